package live

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"

	"keywatch/constructs/spec"
	"keywatch/internal/inventory"
)

// Alarms reads every metric alarm of the account and region, whoever made it,
// sorted by name; or there is an [*Error].
func (s *Session) Alarms(ctx context.Context) ([]inventory.Alarm, error) {
	// Only so that an error can say whose alarms these were.
	if _, err := s.Caller(ctx); err != nil {
		return nil, err
	}
	var alarms []inventory.Alarm
	seen := make(map[string]bool)
	err := eachPage(func(marker *string) (page, error) {
		out, err := s.cloudwatch.DescribeAlarms(ctx, &cloudwatch.DescribeAlarmsInput{
			AlarmTypes: []types.AlarmType{types.AlarmTypeMetricAlarm},
			MaxRecords: aws.Int32(100),
			NextToken:  marker,
		})
		if err != nil {
			return page{}, err
		}
		before := len(alarms)
		for i := range out.MetricAlarms {
			name := aws.ToString(out.MetricAlarms[i].AlarmName)
			if name == "" {
				return page{}, incomplete("the answer holds an alarm without a name")
			}
			if !seen[name] {
				seen[name] = true
				alarms = append(alarms, alarm(&out.MetricAlarms[i]))
			}
		}
		if len(alarms) > s.limits.alarms {
			return page{}, incomplete("there are more than %d alarms", s.limits.alarms)
		}
		return page{fresh: len(alarms) - before, next: out.NextToken}, nil
	})
	if err != nil {
		return nil, s.fail(opDescribeAlarms, "", err)
	}
	slices.SortFunc(alarms, func(a, b inventory.Alarm) int { return cmp.Compare(a.Name, b.Name) })
	return alarms, nil
}

// alarm says an alarm in our words. What CloudWatch leaves out because it is the
// default is filled in ("PutMetricAlarm", CloudWatch API Reference), so that an
// alarm that spells it out and one that does not are the same.
func alarm(a *types.MetricAlarm) inventory.Alarm {
	periods := int(aws.ToInt32(a.EvaluationPeriods))
	return inventory.Alarm{
		Name:              aws.ToString(a.AlarmName),
		ARN:               aws.ToString(a.AlarmArn),
		ActionsEnabled:    a.ActionsEnabled == nil || *a.ActionsEnabled,
		Actions:           &spec.Actions{Alarm: a.AlarmActions, OK: a.OKActions, InsufficientData: a.InsufficientDataActions},
		Queries:           queries(a),
		ThresholdMetricID: aws.ToString(a.ThresholdMetricId),
		Threshold:         a.Threshold,
		Operator:          string(a.ComparisonOperator),
		EvaluationPeriods: periods,
		DatapointsToAlarm: cmp.Or(int(aws.ToInt32(a.DatapointsToAlarm)), periods),
		TreatMissingData:  cmp.Or(aws.ToString(a.TreatMissingData), "missing"),
	}
}

func queries(a *types.MetricAlarm) []inventory.Query {
	if aws.ToString(a.MetricName) != "" {
		return []inventory.Query{{
			Namespace:  aws.ToString(a.Namespace),
			MetricName: aws.ToString(a.MetricName),
			Dimensions: dimensions(a.Dimensions),
			Statistic:  cmp.Or(string(a.Statistic), aws.ToString(a.ExtendedStatistic)),
			Unit:       string(a.Unit),
			Period:     seconds(a.Period),
			ReturnData: true,
		}}
	}
	var qs []inventory.Query
	for _, m := range a.Metrics {
		q := inventory.Query{
			ID:         aws.ToString(m.Id),
			Expression: aws.ToString(m.Expression),
			Period:     seconds(m.Period),
			ReturnData: m.ReturnData == nil || *m.ReturnData,
		}
		if st := m.MetricStat; st != nil {
			q.Statistic = aws.ToString(st.Stat)
			q.Unit = string(st.Unit)
			q.Period = seconds(st.Period)
			if st.Metric != nil {
				q.Namespace = aws.ToString(st.Metric.Namespace)
				q.MetricName = aws.ToString(st.Metric.MetricName)
				q.Dimensions = dimensions(st.Metric.Dimensions)
			}
		}
		qs = append(qs, q)
	}
	return qs
}

func dimensions(ds []types.Dimension) map[string]string {
	if len(ds) == 0 {
		return nil
	}
	m := make(map[string]string, len(ds))
	for _, d := range ds {
		m[aws.ToString(d.Name)] = aws.ToString(d.Value)
	}
	return m
}

func seconds(n *int32) time.Duration { return time.Duration(aws.ToInt32(n)) * time.Second }
