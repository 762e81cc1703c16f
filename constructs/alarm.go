package constructs

import (
	"github.com/aws/aws-cdk-go/awscdk/v2/awscloudwatch"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"

	"keywatch/constructs/spec"
)

// newAlarm draws one AWS::CloudWatch::Alarm. Unit stays out of it: with a unit
// that the metric does not have, the alarm would hang in INSUFFICIENT_DATA
// (PutMetricAlarm, CloudWatch API Reference). So do Tags, which need
// permissions of their own at deploy time.
func newAlarm(scope constructs.Construct, a spec.Alarm) awscloudwatch.CfnAlarm {
	return awscloudwatch.NewCfnAlarm(scope, &a.ID, &awscloudwatch.CfnAlarmProps{
		AlarmName:               optional(a.Name),
		AlarmDescription:        optional(a.Description),
		Metrics:                 queries(a.Queries),
		Threshold:               a.Threshold,
		ThresholdMetricId:       optional(a.ThresholdMetricID),
		ComparisonOperator:      &a.Operator,
		EvaluationPeriods:       jsii.Number(a.EvaluationPeriods),
		DatapointsToAlarm:       jsii.Number(a.DatapointsToAlarm),
		TreatMissingData:        &a.TreatMissingData,
		AlarmActions:            arns(a.Actions.Alarm),
		OkActions:               arns(a.Actions.OK),
		InsufficientDataActions: arns(a.Actions.InsufficientData),
	})
}

func queries(qs []spec.Query) []any {
	out := make([]any, len(qs))
	for i, q := range qs {
		out[i] = query(q)
	}
	return out
}

func query(q spec.Query) *awscloudwatch.CfnAlarm_MetricDataQueryProperty {
	p := &awscloudwatch.CfnAlarm_MetricDataQueryProperty{
		Id: &q.ID, Expression: optional(q.Expression), Label: optional(q.Label), ReturnData: q.ReturnData,
	}
	if q.Operation != "" {
		p.MetricStat = &awscloudwatch.CfnAlarm_MetricStatProperty{
			Metric: &awscloudwatch.CfnAlarm_MetricProperty{
				Namespace:  jsii.String(spec.Namespace),
				MetricName: jsii.String(spec.MetricName),
				Dimensions: []any{
					&awscloudwatch.CfnAlarm_DimensionProperty{Name: jsii.String(spec.DimensionKeyARN), Value: &q.KeyARN},
					&awscloudwatch.CfnAlarm_DimensionProperty{Name: jsii.String(spec.DimensionOperation), Value: (*string)(&q.Operation)},
				},
			},
			Period: jsii.Number(q.Period.Seconds()),
			Stat:   &q.Statistic,
		}
	}
	return p
}

// optional leaves a property out of the template when there is nothing to say.
func optional(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

func arns(list []string) *[]any {
	if len(list) == 0 {
		return nil
	}
	out := make([]any, len(list))
	for i, a := range list {
		out[i] = a
	}
	return &out
}
