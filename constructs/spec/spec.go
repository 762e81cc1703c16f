// Package spec is the plain data that crosses the wall between deciding and
// drawing: what a KMS key is to keywatch, which operations it can be watched
// for, and the alarms, detectors, shards and dashboards that were decided.
//
// It knows neither AWS clients nor jsii, reads nothing and decides nothing
// about a user's rules. Everything imports it, so it imports only the standard
// library. Start reading at [Unit], the thing that is placed and drawn, then
// at [Alarm]; [Expand] (expand.go) turns a key and what to watch into units.
package spec

import "time"

// Operation is a KMS API operation as CloudWatch spells it in the dimension
// "Operation" of the metric AWS/KMS SuccessfulRequest ("Monitor KMS keys with
// Amazon CloudWatch", KMS Developer Guide).
type Operation string

// Key is what drawing and naming need to know of a KMS key.
type Key struct {
	// ARN is the whole key ARN. In a construct it may be an unresolved token.
	ARN string
	// Alias is the alias that names the key, with its "alias/" prefix, or
	// empty. Of several, [inventory] has chosen one.
	Alias string
	// Usage and Spec are the KMS KeyUsage and KeySpec.
	Usage, Spec string
}

// Direction says on which side of the band a value is an anomaly.
type Direction string

const (
	Above Direction = "above"
	Below Direction = "below"
	Both  Direction = "both"
)

// Kind is the kind of an alarm, part of its identity and of its name.
type Kind string

const (
	KindAnomaly   Kind = "anomaly"
	KindThreshold Kind = "threshold"
)

// Word is what a reader calls the kind: an alarm on a threshold is static.
func (k Kind) Word() string {
	if k == KindThreshold {
		return "static"
	}
	return string(k)
}

// DefaultID is the alarm ID that a name leaves out.
const DefaultID = "main"

// Evaluation is what anomaly and static alarms have in common.
type Evaluation struct {
	// Statistic is Sum, SampleCount, Average, Minimum or Maximum.
	Statistic string
	// Period is the length of one datapoint: whole minutes.
	Period time.Duration
	// Evaluate is the number of latest datapoints that are looked at, and
	// Breaching how many of them must breach ("M out of N").
	Evaluate, Breaching int
	// Missing is TreatMissingData: notBreaching, breaching, ignore, missing.
	Missing string
}

// Anomaly is one anomaly alarm to make for each watched operation.
type Anomaly struct {
	ID        string
	Direction Direction
	// Band is the width in standard deviations, > 0 and at most 100, as the
	// text that goes into ANOMALY_DETECTION_BAND: "2", "2.5".
	Band string
	Evaluation
}

// Threshold is one static alarm on the sum of a set of operations.
type Threshold struct {
	ID         string
	Operations []Operation // sorted, without duplicates
	Above      float64
	Evaluation
}

// Actions are the ARNs that an alarm notifies, at most five a list
// (PutMetricAlarm, CloudWatch API Reference).
type Actions struct {
	Alarm, OK, InsufficientData []string
}

// Detector is one AWS::CloudWatch::AnomalyDetector. Its identity is the key,
// the operation and the statistic; several alarms may share it.
type Detector struct {
	// ID is the construct ID, which in a keywatch stack is also the logical ID.
	ID        string
	KeyARN    string
	Operation Operation
	Statistic string
}

// Query is one MetricDataQuery of an alarm: a metric when Operation is set,
// else an expression.
type Query struct {
	ID         string
	Operation  Operation
	KeyARN     string
	Statistic  string
	Period     time.Duration
	Expression string
	Label      string
	ReturnData bool
}

// Alarm is one AWS::CloudWatch::Alarm, complete: drawing it takes no decision.
type Alarm struct {
	// ID is the construct ID, which in a keywatch stack is also the logical ID.
	ID string
	// Name is AlarmName, create-only. Empty leaves the name to CloudFormation.
	Name        string
	Description string
	Kind        Kind
	// AlarmID is the identity's "id", "main" unless the user says otherwise.
	AlarmID string
	// Rule is the rule that wants it, for reports; nothing of it is drawn.
	Rule       string
	Operations []Operation // sorted
	Queries    []Query
	// ThresholdMetricID names the band (anomaly); Threshold is set otherwise.
	ThresholdMetricID string
	Threshold         *float64
	// Operator is ComparisonOperator as CloudWatch spells it.
	Operator          string
	EvaluationPeriods int
	DatapointsToAlarm int
	TreatMissingData  string
	Actions           Actions
	// DetectorID is the Detector that this alarm depends on, or empty.
	DetectorID string
}

// Unit is what is placed: one key and one operation (or set of operations)
// with all the detectors and alarms on it. It never moves between stacks.
type Unit struct {
	// ID is the unit's identity, as its spec.Names gives it.
	ID         string
	Key        Key
	Operations []Operation // sorted
	Detectors  []Detector
	Alarms     []Alarm
}

// Resources is the number of CloudFormation resources of the unit.
func (u Unit) Resources() int { return len(u.Detectors) + len(u.Alarms) }

// Shard is one alarm stack as it is to be drawn.
type Shard struct {
	StackName   string
	Description string
	// Units in the order of their IDs. None means: a placeholder keeps the
	// stack alive, since CloudFormation refuses a template without resources.
	Units []Unit
}

// Dashboard is the dashboard of the busiest keys.
type Dashboard struct {
	StackName   string
	Description string
	// Name is DashboardName. Dashboards are global to an account, so it holds
	// the region (PutDashboard, CloudWatch API Reference).
	Name string
	// TopKeys is the LIMIT of the queries, 1 to 500.
	TopKeys int
	// AlarmARNs are all the alarms of the deployment, sorted; the construct
	// shows the first MaxDashboardAlarms and says how many it left out.
	AlarmARNs []string
	// Evidence is what is kept for a claim; nil: nothing.
	Evidence *EvidenceContent
}

// MaxDashboardAlarms is how many alarms one alarm-status widget shows
// ("Dashboard Body Structure and Syntax", CloudWatch API Reference).
const MaxDashboardAlarms = 100

// Deployment is all that one environment gets: account × region.
type Deployment struct {
	Name      string // the config's name
	Account   string
	Region    string
	Partition string
	Shards    []Shard
	Dashboard *Dashboard // nil: none
	Evidence  *Evidence  // nil: none
}
