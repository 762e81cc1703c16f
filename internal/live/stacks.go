package live

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation/types"
	"golang.org/x/sync/errgroup"

	"keywatch/internal/places"
)

// Stacks reads every keywatch stack of the account and region, under whatever
// name it was deployed, with its resources, sorted by name; or there is an
// [*Error]. Without it nobody knows where the deployed alarms live, so to be
// denied is no less an error than to be cut off.
//
// Calls for S stacks of which K are of keywatch: a DescribeStacks for each page
// of S, and for each of the K a ListStackResources for each page of it.
func (s *Session) Stacks(ctx context.Context) ([]places.Stack, error) {
	// Only so that an error can say whose stacks these were.
	if _, err := s.Caller(ctx); err != nil {
		return nil, err
	}
	stacks, err := s.listStacks(ctx)
	if err != nil {
		return nil, s.fail(opDescribeStacks, "", err)
	}
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(stacksAtOnce)
	for i := range stacks {
		if places.Empty(stacks[i].Status) {
			continue
		}
		g.Go(func() (err error) {
			stacks[i].Resources, err = s.listStackResources(gctx, stacks[i].Name)
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	slices.SortFunc(stacks, func(a, b places.Stack) int { return cmp.Compare(a.Name, b.Name) })
	return stacks, nil
}

// stacksAtOnce hides some of the latency; the rate is bounded elsewhere.
const stacksAtOnce = 4

func (s *Session) listStacks(ctx context.Context) ([]places.Stack, error) {
	var stacks []places.Stack
	seen := make(map[string]string) // stack name → ID and status
	err := eachPage(func(marker *string) (page, error) {
		out, err := s.cloudformation.DescribeStacks(ctx, &cloudformation.DescribeStacksInput{NextToken: marker})
		if err != nil {
			return page{}, err
		}
		// An answer of no stacks holds an empty list; one without a list must not
		// look like an account where nothing is deployed.
		if out.Stacks == nil {
			return page{}, incomplete("the answer holds no list of stacks")
		}
		fresh := 0
		for i := range out.Stacks {
			stack := stackOf(&out.Stacks[i])
			what := aws.ToString(out.Stacks[i].StackId) + " " + stack.Status
			if stack.Name == "" || stack.Status == "" {
				return page{}, incomplete("the answer holds a stack without a name or status")
			}
			if known, again := seen[stack.Name]; again && known != what {
				return page{}, incomplete("stack %s is listed as %s and as %s", stack.Name, known, what)
			} else if again {
				continue
			}
			seen[stack.Name] = what
			fresh++
			if places.Ours(stack.Name, stack.Deployment) {
				stacks = append(stacks, stack)
			}
		}
		if len(seen) > s.limits.stacks {
			return page{}, incomplete("there are more than %d stacks", s.limits.stacks)
		}
		return page{fresh: fresh, next: out.NextToken}, nil
	})
	return stacks, err
}

func stackOf(s *types.Stack) places.Stack {
	out := places.Stack{Name: aws.ToString(s.StackName), Status: string(s.StackStatus)}
	for _, t := range s.Tags {
		if aws.ToString(t.Key) == places.DeploymentTag {
			out.Deployment = aws.ToString(t.Value)
		}
	}
	return out
}

// listStackResources asks by the stack's name and not by its ID: of a stack
// that was deleted a moment ago CloudFormation would still tell by the ID, and
// one of the same name may be there by now.
func (s *Session) listStackResources(ctx context.Context, stack string) ([]places.Resource, error) {
	var resources []places.Resource
	seen := make(map[string]places.Resource)
	err := eachPage(func(marker *string) (page, error) {
		out, err := s.cloudformation.ListStackResources(ctx, &cloudformation.ListStackResourcesInput{StackName: &stack, NextToken: marker})
		if isNoStack(err) {
			return page{}, incomplete("the stack was deleted while it was read")
		}
		if err != nil {
			return page{}, err
		}
		if out.StackResourceSummaries == nil {
			return page{}, incomplete("the answer holds no list of resources")
		}
		fresh := 0
		for _, r := range out.StackResourceSummaries {
			res := places.Resource{
				LogicalID: aws.ToString(r.LogicalResourceId), PhysicalID: aws.ToString(r.PhysicalResourceId),
				Type: aws.ToString(r.ResourceType), Status: string(r.ResourceStatus),
				Changed: aws.ToTime(r.LastUpdatedTimestamp).UTC(),
			}
			known, again := seen[res.LogicalID]
			switch {
			case res.LogicalID == "" || res.Status == "" || r.LastUpdatedTimestamp == nil:
				return page{}, incomplete("the answer holds a resource without a logical ID, status or time of its last change")
			case again && known != res:
				return page{}, incomplete("resource %s is listed twice and differs", res.LogicalID)
			case again:
				continue
			}
			seen[res.LogicalID] = res
			fresh++
			resources = append(resources, res)
		}
		if len(resources) > s.limits.resources {
			return page{}, incomplete("there are more than %d resources", s.limits.resources)
		}
		return page{fresh: fresh, next: out.NextToken}, nil
	})
	if err != nil {
		return nil, s.fail(opListStackResources, stack, err)
	}
	slices.SortFunc(resources, func(a, b places.Resource) int { return cmp.Compare(a.LogicalID, b.LogicalID) })
	return resources, nil
}

// isNoStack says whether CloudFormation does not know the stack. It has no error
// code for that ("ListStackResources", CloudFormation API Reference).
func isNoStack(err error) bool {
	a := apiError(err)
	return a != nil && a.ErrorCode() == "ValidationError" && strings.Contains(a.ErrorMessage(), "does not exist")
}
