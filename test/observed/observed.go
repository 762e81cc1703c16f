// Package observed reads back what a deployment left in an account, through the
// public APIs of CloudWatch and CloudFormation, for the demo and the end-to-end
// test. It shares no code with internal/live on purpose: a mistake there must
// not hide itself here. Start reading at [Read].
package observed

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	cfntypes "github.com/aws/aws-sdk-go-v2/service/cloudformation/types"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	cwtypes "github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"
)

// State is what there is.
type State struct {
	// Alarms by name.
	Alarms map[string]cwtypes.MetricAlarm
	// Detectors as "KeyArn Operation statistic", sorted.
	Detectors []string
	// Dashboards by name, with their bodies.
	Dashboards map[string]string
	// Stacks by name, without the CDK's own.
	Stacks map[string]cfntypes.Stack
	// Resources of those stacks by logical ID.
	Resources map[string]Resource
}

// Resource is one resource of a stack.
type Resource struct{ Stack, Type, PhysicalID string }

// Read reads all of it.
func Read(ctx context.Context, cfg aws.Config) (*State, error) {
	s := &State{
		Alarms: map[string]cwtypes.MetricAlarm{}, Dashboards: map[string]string{},
		Stacks: map[string]cfntypes.Stack{}, Resources: map[string]Resource{},
	}
	cw, cfn := cloudwatch.NewFromConfig(cfg), cloudformation.NewFromConfig(cfg)
	for _, read := range []func() error{
		func() error { return s.alarms(ctx, cw) },
		func() error { return s.detectors(ctx, cw) },
		func() error { return s.dashboards(ctx, cw) },
		func() error { return s.stacks(ctx, cfn) },
	} {
		if err := read(); err != nil {
			return nil, err
		}
	}
	return s, nil
}

func (s *State) alarms(ctx context.Context, c *cloudwatch.Client) error {
	pages := cloudwatch.NewDescribeAlarmsPaginator(c, &cloudwatch.DescribeAlarmsInput{AlarmTypes: []cwtypes.AlarmType{cwtypes.AlarmTypeMetricAlarm}})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return fmt.Errorf("describe alarms: %w", err)
		}
		for _, a := range page.MetricAlarms {
			s.Alarms[aws.ToString(a.AlarmName)] = a
		}
	}
	return nil
}

func (s *State) detectors(ctx context.Context, c *cloudwatch.Client) error {
	pages := cloudwatch.NewDescribeAnomalyDetectorsPaginator(c, &cloudwatch.DescribeAnomalyDetectorsInput{})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return fmt.Errorf("describe anomaly detectors: %w", err)
		}
		for _, d := range page.AnomalyDetectors {
			m := d.SingleMetricAnomalyDetector
			if m == nil {
				return fmt.Errorf("a detector on no single metric: %+v", d)
			}
			dimensions := Dimensions(m.Dimensions)
			if aws.ToString(m.Namespace) != "AWS/KMS" || aws.ToString(m.MetricName) != "SuccessfulRequest" || len(dimensions) != 2 {
				return fmt.Errorf("a detector on another metric: %s %s %v", aws.ToString(m.Namespace), aws.ToString(m.MetricName), dimensions)
			}
			s.Detectors = append(s.Detectors, strings.Join([]string{dimensions["KeyArn"], dimensions["Operation"], aws.ToString(m.Stat)}, " "))
		}
	}
	slices.Sort(s.Detectors)
	return nil
}

// Dimensions of a metric by name.
func Dimensions(ds []cwtypes.Dimension) map[string]string {
	m := map[string]string{}
	for _, d := range ds {
		m[aws.ToString(d.Name)] = aws.ToString(d.Value)
	}
	return m
}

func (s *State) dashboards(ctx context.Context, c *cloudwatch.Client) error {
	list, err := c.ListDashboards(ctx, &cloudwatch.ListDashboardsInput{})
	if err != nil {
		return fmt.Errorf("list dashboards: %w", err)
	}
	for _, d := range list.DashboardEntries {
		out, err := c.GetDashboard(ctx, &cloudwatch.GetDashboardInput{DashboardName: d.DashboardName})
		if err != nil {
			return fmt.Errorf("get dashboard %s: %w", aws.ToString(d.DashboardName), err)
		}
		s.Dashboards[aws.ToString(d.DashboardName)] = aws.ToString(out.DashboardBody)
	}
	return nil
}

func (s *State) stacks(ctx context.Context, c *cloudformation.Client) error {
	pages := cloudformation.NewDescribeStacksPaginator(c, &cloudformation.DescribeStacksInput{})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return fmt.Errorf("describe stacks: %w", err)
		}
		for _, stack := range page.Stacks {
			name := aws.ToString(stack.StackName)
			if name == "CDKToolkit" || stack.StackStatus == cfntypes.StackStatusDeleteComplete {
				continue
			}
			s.Stacks[name] = stack
		}
	}
	for _, name := range slices.Sorted(maps.Keys(s.Stacks)) {
		pages := cloudformation.NewListStackResourcesPaginator(c, &cloudformation.ListStackResourcesInput{StackName: &name})
		for pages.HasMorePages() {
			page, err := pages.NextPage(ctx)
			if err != nil {
				return fmt.Errorf("list resources of stack %s: %w", name, err)
			}
			for _, r := range page.StackResourceSummaries {
				id := aws.ToString(r.LogicalResourceId)
				if other, twice := s.Resources[id]; twice && id != "Placeholder" && other.Type == "AWS::CloudWatch::Alarm" {
					return fmt.Errorf("logical ID %s is in the stacks %s and %s", id, other.Stack, name)
				}
				s.Resources[id] = Resource{Stack: name, Type: aws.ToString(r.ResourceType), PhysicalID: aws.ToString(r.PhysicalResourceId)}
			}
		}
	}
	return nil
}
