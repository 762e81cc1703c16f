package inventory

import (
	"time"

	"keywatch/constructs/spec"
)

// Alarm is one metric alarm that exists in CloudWatch, whoever made it, as
// DescribeAlarms tells it. An alarm on a single metric (MetricName instead of
// Metrics) has one query.
type Alarm struct {
	Name           string
	ARN            string
	ActionsEnabled bool
	// Actions are whom it notifies; nil when nobody looked, and then nothing is
	// said about it.
	Actions *spec.Actions
	Queries []Query
	// ThresholdMetricID names the band of an anomaly alarm; Threshold is set
	// on a static one.
	ThresholdMetricID string
	Threshold         *float64
	Operator          string
	EvaluationPeriods int
	DatapointsToAlarm int    // 0: as many as EvaluationPeriods
	TreatMissingData  string // empty: missing
}

// Query is one metric or expression of an Alarm.
type Query struct {
	ID         string
	Namespace  string
	MetricName string
	// Dimensions by name.
	Dimensions map[string]string
	Statistic  string
	Unit       string // empty: any
	Period     time.Duration
	Expression string
	ReturnData bool
}
