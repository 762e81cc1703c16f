package live

import (
	"context"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
)

// Dashboards reads the names of the account's dashboards that begin with a
// prefix, sorted; or there is an [*Error]. Dashboards are global to an account
// ("PutDashboard", CloudWatch API Reference), so any region tells all of them.
func (s *Session) Dashboards(ctx context.Context, prefix string) ([]string, error) {
	// Only so that an error can say whose dashboards these were.
	if _, err := s.Caller(ctx); err != nil {
		return nil, err
	}
	var names []string
	seen := make(map[string]bool)
	err := eachPage(func(marker *string) (page, error) {
		out, err := s.dashboards.ListDashboards(ctx, &cloudwatch.ListDashboardsInput{DashboardNamePrefix: &prefix, NextToken: marker})
		if err != nil {
			return page{}, err
		}
		before := len(names)
		for _, d := range out.DashboardEntries {
			name := aws.ToString(d.DashboardName)
			if name == "" {
				return page{}, incomplete("the answer holds a dashboard without a name")
			}
			if !seen[name] {
				seen[name] = true
				names = append(names, name)
			}
		}
		if len(names) > s.limits.dashboards {
			return page{}, incomplete("there are more than %d dashboards", s.limits.dashboards)
		}
		return page{fresh: len(names) - before, next: out.NextToken}, nil
	})
	if err != nil {
		return nil, s.fail(opListDashboards, "", err)
	}
	slices.Sort(names)
	return names, nil
}
