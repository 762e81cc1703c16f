package fakeaws

import (
	"cmp"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
)

// Stack is one CloudFormation stack.
type Stack struct {
	Name      string
	ID        string // default: composed of the account, region and name
	Status    string // default CREATE_COMPLETE
	Region    string // default: every one
	Tags      []Tag
	Resources []StackResource
}

// StackResource is one resource of a stack.
type StackResource struct {
	LogicalID, PhysicalID string
	Type                  string // default AWS::CloudWatch::Alarm
	Status                string // default CREATE_COMPLETE
	// Changed is its LastUpdatedTimestamp; by default when the stack was created.
	Changed time.Time
	Undated bool // the answer lacks it, as none of AWS does
}

// created is when each stack was.
var created = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// cloudformation answers what only reads; there is nothing to write to, see
// others.
func (s *Server) cloudformation(req *request, f Fault) answer {
	switch req.Operation {
	case "DescribeStacks":
		return s.describeStacks(req, f)
	case "ListStackResources":
		return s.listStackResources(req, f)
	case "GetTemplate": // the CDK CLI compares with it
		if _, ok := s.stack(req); !ok {
			return noStack(req.Key)
		}
		return answer{xml: "<TemplateBody>{}</TemplateBody>"}
	}
	return s.others(req)
}

// describeStacks leaves out deleted stacks unless one is asked for by its name
// ("DescribeStacks", CloudFormation API Reference).
func (s *Server) describeStacks(req *request, f Fault) answer {
	stacks := slices.DeleteFunc(order(s, s.state.Stacks), func(st Stack) bool { return st.Status == "DELETE_COMPLETE" || !st.in(req.Region) })
	if req.Key != "" {
		st, ok := s.stack(req)
		if !ok {
			return noStack(req.Key)
		}
		stacks = []Stack{st}
	}
	b, ok := paginate(s, req, f, 100, stacks)
	if !ok {
		return badToken()
	}
	return xmlPage(b, "Stacks", func(st Stack) string {
		var tags strings.Builder
		for _, t := range st.Tags {
			fmt.Fprintf(&tags, "<member><Key>%s</Key><Value>%s</Value></member>", escape(t.Key), escape(t.Value))
		}
		return fmt.Sprintf("<StackId>%s</StackId><StackName>%s</StackName><StackStatus>%s</StackStatus><CreationTime>%s</CreationTime><Tags>%s</Tags>",
			escape(s.stackID(st)), escape(st.Name), cmp.Or(st.Status, "CREATE_COMPLETE"), created.Format(time.RFC3339), tags.String())
	})
}

func (s *Server) listStackResources(req *request, f Fault) answer {
	st, ok := s.stack(req)
	if !ok {
		return noStack(req.Key)
	}
	b, ok := paginate(s, req, f, 100, order(s, st.Resources))
	if !ok {
		return badToken()
	}
	return xmlPage(b, "StackResourceSummaries", func(r StackResource) string {
		out := fmt.Sprintf("<LogicalResourceId>%s</LogicalResourceId><ResourceType>%s</ResourceType><ResourceStatus>%s</ResourceStatus>",
			escape(r.LogicalID), cmp.Or(r.Type, "AWS::CloudWatch::Alarm"), cmp.Or(r.Status, "CREATE_COMPLETE"))
		if !r.Undated {
			out += "<LastUpdatedTimestamp>" + cmp.Or(r.Changed, created).Format(time.RFC3339Nano) + "</LastUpdatedTimestamp>"
		}
		if r.PhysicalID != "" {
			out += "<PhysicalResourceId>" + escape(r.PhysicalID) + "</PhysicalResourceId>"
		}
		return out
	})
}

// stack is the one that the request names.
func (s *Server) stack(req *request) (Stack, bool) {
	i := slices.IndexFunc(s.state.Stacks, func(st Stack) bool {
		return st.in(req.Region) && (st.Name == req.Key || s.stackID(st) == req.Key)
	})
	if i < 0 {
		return Stack{}, false
	}
	return s.state.Stacks[i], true
}

func (st Stack) in(region string) bool { return st.Region == "" || st.Region == region }

func (s *Server) stackID(st Stack) string {
	return cmp.Or(st.ID, fmt.Sprintf("arn:%s:cloudformation:%s:%s:stack/%s/00000000-0000-4000-8000-000000000000", s.state.Partition, s.state.Region, s.state.Account, st.Name))
}

// xmlPage is the page as the AWS query protocol spells it: a list that is empty
// is there, and only NextToken says that it is cut.
func xmlPage[T any](b batch[T], list string, each func(T) string) answer {
	var out strings.Builder
	if !b.noList {
		fmt.Fprintf(&out, "<%s>", list)
		for _, item := range b.items {
			fmt.Fprintf(&out, "<member>%s</member>", each(item))
		}
		fmt.Fprintf(&out, "</%s>", list)
	}
	if b.marker != "" {
		fmt.Fprintf(&out, "<NextToken>%s</NextToken>", escape(b.marker))
	}
	return answer{xml: out.String()}
}

func noStack(name string) answer {
	return failure(http.StatusBadRequest, "ValidationError", fmt.Sprintf("Stack with id %s does not exist", name))
}

func badToken() answer {
	return failure(http.StatusBadRequest, "ValidationError", "The specified token is not valid.")
}
