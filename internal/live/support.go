package live

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/service/support"
	"github.com/aws/aws-sdk-go-v2/service/support/types"

	"keywatch/internal/sla"
)

// supportRegion is where the one endpoint of AWS Support is, by the region's
// partition ("AWS Support endpoints and quotas", AWS General Reference).
func supportRegion(region string) string {
	switch {
	case strings.HasPrefix(region, "cn-"):
		return "cn-north-1"
	case strings.HasPrefix(region, "us-gov-"):
		return "us-gov-west-1"
	}
	return "us-east-1"
}

// english is the language of a case and of what it is looked up in.
const english = "en"

// SupportServices reads what AWS Support has cases for, sorted by code.
func (s *Session) SupportServices(ctx context.Context) ([]sla.Service, error) {
	if _, err := s.Caller(ctx); err != nil {
		return nil, err
	}
	out, err := s.support.DescribeServices(ctx, &support.DescribeServicesInput{Language: aws.String(english)})
	if err == nil && len(out.Services) == 0 {
		err = incomplete("the answer holds no service")
	}
	if err != nil {
		return nil, s.failSupport(opDescribeServices, err)
	}
	var services []sla.Service
	for _, v := range out.Services {
		service := sla.Service{Code: aws.ToString(v.Code), Name: aws.ToString(v.Name)}
		for _, c := range v.Categories {
			service.Categories = append(service.Categories, sla.Category{Code: aws.ToString(c.Code), Name: aws.ToString(c.Name)})
		}
		services = append(services, service)
	}
	slices.SortFunc(services, func(a, b sla.Service) int { return cmp.Compare(a.Code, b.Code) })
	return services, nil
}

// SupportCase looks for a case with a subject, resolved ones too, and returns its
// ID, or "" if there is none. AWS Support tells of the last 12 months
// ("DescribeCases", AWS Support API Reference).
func (s *Session) SupportCase(ctx context.Context, subject string) (string, error) {
	if _, err := s.Caller(ctx); err != nil {
		return "", err
	}
	found := ""
	seen := map[string]bool{}
	err := eachPage(func(token *string) (page, error) {
		out, err := s.support.DescribeCases(ctx, &support.DescribeCasesInput{
			IncludeResolvedCases: true, IncludeCommunications: aws.Bool(false), Language: aws.String(english), NextToken: token,
		})
		if err != nil {
			return page{}, err
		}
		if out.Cases == nil {
			return page{}, incomplete("the answer holds no list of cases")
		}
		before := len(seen)
		for _, c := range out.Cases {
			id := aws.ToString(c.CaseId)
			if id == "" { // it would look like one that is not there
				return page{}, incomplete("the answer holds a case without an ID")
			}
			seen[id] = true
			if aws.ToString(c.Subject) == subject {
				found = cmp.Or(found, id)
			}
		}
		if len(seen) > s.limits.cases {
			return page{}, incomplete("there are more than %d cases", s.limits.cases)
		}
		return page{fresh: len(seen) - before, next: out.NextToken}, nil
	})
	if err != nil {
		return "", s.failSupport(opDescribeCases, err)
	}
	return found, nil
}

// Attach uploads the attachments of a case and returns the ID of their set, which
// lasts an hour.
func (s *Session) Attach(ctx context.Context, docs []sla.Document) (string, error) {
	in := &support.AddAttachmentsToSetInput{}
	for _, d := range docs {
		in.Attachments = append(in.Attachments, types.Attachment{FileName: &d.Name, Data: d.Data})
	}
	out, err := s.support.AddAttachmentsToSet(ctx, in)
	if err == nil && aws.ToString(out.AttachmentSetId) == "" {
		err = incomplete("the answer names no set of attachments")
	}
	if err != nil {
		return "", s.failSupport(opAddAttachmentsToSet, err)
	}
	return *out.AttachmentSetId, nil
}

// OpenCase opens a case and returns its ID. It is the one call of this package that
// is sent once: a second attempt could open a second case. If nobody can say
// whether it was opened, the error is an [sla.ErrUnsure].
func (s *Session) OpenCase(ctx context.Context, c *sla.Case, service, category, attachments string) (string, error) {
	out, err := s.support.CreateCase(ctx, &support.CreateCaseInput{
		Subject: &c.Subject, CommunicationBody: &c.Body, ServiceCode: &service, CategoryCode: &category,
		IssueType: aws.String(sla.IssueType), Language: aws.String(english), AttachmentSetId: &attachments,
	}, func(o *support.Options) {
		o.Retryer = aws.NopRetryer{}
		// On a connection of its own: AWS may close an idle one just then, and nobody
		// would know whether the request got there.
		if c, ok := o.HTTPClient.(*awshttp.BuildableClient); ok {
			o.HTTPClient = c.WithTransportOptions(func(t *http.Transport) { t.DisableKeepAlives = true })
		}
	})
	if err == nil && aws.ToString(out.CaseId) == "" {
		err = unsure{incomplete("the answer names no case")}
	} else if err != nil && !refused(err) {
		err = unsure{err}
	}
	if err != nil {
		return "", s.failSupport(opCreateCase, err)
	}
	return *out.CaseId, nil
}

// refused says whether the request did not get there, or AWS said no to it.
func refused(err error) bool {
	if c := (*credentialsError)(nil); errors.As(err, &c) || isDial(err) {
		return true
	}
	return apiError(err) != nil && status(err) >= 400 && status(err) < 500
}

// unsure marks an error after which the case may be open or not.
type unsure struct{ error }

func (u unsure) Unwrap() error        { return u.error }
func (u unsure) Is(target error) bool { return target == sla.ErrUnsure }

// noPlan marks the answer that the account has no support plan with an API.
type noPlan struct{ error }

func (n noPlan) Unwrap() error        { return n.error }
func (n noPlan) Is(target error) bool { return target == sla.ErrNoPlan }

func (s *Session) failSupport(operation string, err error) error {
	if a := apiError(err); a != nil && a.ErrorCode() == "SubscriptionRequiredException" {
		err = noPlan{err}
	}
	return s.fail(operation, "", err)
}
