package live

import (
	"cmp"
	"context"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudtrail"
	"github.com/aws/aws-sdk-go-v2/service/cloudtrail/types"

	"keywatch/internal/inventory"
)

// kmsSource is the event source of KMS.
const kmsSource = "kms.amazonaws.com"

// Trails reads the trails that cover the region, those of other regions and of the
// organisation included, with what they log and whether they do, sorted by ARN; or
// there is an [*Error]. Of a trail that may not be asked the error is in Unknown.
func (s *Session) Trails(ctx context.Context) ([]inventory.Trail, error) {
	// Only so that an error can say whose trails these were.
	if _, err := s.Caller(ctx); err != nil {
		return nil, err
	}
	out, err := s.cloudtrail.DescribeTrails(ctx, &cloudtrail.DescribeTrailsInput{})
	if err == nil && out.TrailList == nil {
		err = incomplete("the answer holds no list of trails")
	}
	if err != nil {
		return nil, s.fail(opDescribeTrails, "", err)
	}
	trails := make([]inventory.Trail, 0, len(out.TrailList))
	for _, t := range out.TrailList {
		trail := inventory.Trail{ARN: aws.ToString(t.TrailARN)}
		if err := s.readTrail(ctx, &trail); isDenied(err) {
			trail.Unknown = err
		} else if err != nil {
			return nil, err
		}
		trails = append(trails, trail)
	}
	slices.SortFunc(trails, func(a, b inventory.Trail) int { return cmp.Compare(a.ARN, b.ARN) })
	return trails, nil
}

// readTrail asks by ARN: a name would not do for a trail of another region or of the
// organization ("GetTrailStatus", CloudTrail API Reference).
func (s *Session) readTrail(ctx context.Context, trail *inventory.Trail) error {
	selectors, err := s.cloudtrail.GetEventSelectors(ctx, &cloudtrail.GetEventSelectorsInput{TrailName: &trail.ARN})
	if err == nil && selectors.EventSelectors == nil && selectors.AdvancedEventSelectors == nil {
		err = incomplete("the answer holds no selectors")
	}
	if err != nil {
		return s.fail(opGetEventSelectors, trail.ARN, err)
	}
	for _, e := range selectors.EventSelectors {
		trail.Selectors = append(trail.Selectors, inventory.TrailSelector{
			Management: aws.ToBool(cmp.Or(e.IncludeManagementEvents, aws.Bool(true))), // the default
			Reads:      e.ReadWriteType != types.ReadWriteTypeWriteOnly,
			Excluded:   e.ExcludeManagementEventSources,
		})
	}
	for _, e := range selectors.AdvancedEventSelectors {
		trail.Selectors = append(trail.Selectors, advanced(e))
	}
	status, err := s.cloudtrail.GetTrailStatus(ctx, &cloudtrail.GetTrailStatusInput{Name: &trail.ARN})
	if err == nil && status.IsLogging == nil {
		err = incomplete("the answer does not say whether it logs")
	}
	if err != nil {
		return s.fail(opGetTrailStatus, trail.ARN, err)
	}
	trail.Off = !*status.IsLogging
	return nil
}

// advanced reads an advanced selector, whose fields must all fit an event
// ("AdvancedFieldSelector", CloudTrail API Reference).
func advanced(e types.AdvancedEventSelector) inventory.TrailSelector {
	out := inventory.TrailSelector{Reads: true}
	for _, f := range e.FieldSelectors {
		switch aws.ToString(f.Field) {
		case "eventCategory":
			out.Management = slices.Contains(f.Equals, "Management")
		case "readOnly":
			out.Reads = !slices.Contains(f.Equals, "false")
		case "eventSource":
			out.Excluded = append(out.Excluded, f.NotEquals...)
			if len(f.Equals) > 0 && !slices.Contains(f.Equals, kmsSource) {
				out.Excluded = append(out.Excluded, kmsSource)
			}
		}
	}
	return out
}
