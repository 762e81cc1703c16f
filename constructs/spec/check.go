package spec

import (
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Limits of an alarm's evaluation (PutMetricAlarm, CloudWatch API Reference).
const (
	MaxBand = 100
	// MaxAnomalyPeriod: ANOMALY_DETECTION_BAND takes no longer periods ("Using
	// CloudWatch anomaly detection", CloudWatch User Guide).
	MaxAnomalyPeriod = time.Hour
	MaxPeriod        = 7 * 24 * time.Hour
)

// The words and forms that settings of an alarm may have.
var (
	Statistics  = []string{"Sum", "SampleCount", "Average", "Minimum", "Maximum"}
	MissingData = []string{"notBreaching", "breaching", "ignore", "missing"}
	// AlarmIDPattern is the form of an alarm's id.
	AlarmIDPattern = regexp.MustCompile(`^[a-z0-9-]{1,16}$`)
	// BandPattern is the form of a band, which goes into the alarm's expression as
	// it stands.
	BandPattern = regexp.MustCompile(`^(0|[1-9][0-9]*)(\.[0-9]{1,6})?$`)
)

// MaxWindow is how far back an alarm with this period may look: a week, or a
// day if the period is under an hour.
func MaxWindow(period time.Duration) time.Duration {
	if period < time.Hour {
		return 24 * time.Hour
	}
	return 7 * 24 * time.Hour
}

// DefaultAnomaly is the anomaly alarm that a key gets when nobody says
// otherwise: above the band of 2 standard deviations, judged by the sum over 5
// minutes, in 2 of 3 periods; silence is no breach.
func DefaultAnomaly() Anomaly { return Anomaly{}.WithDefaults() }

// WithDefaults fills the fields that are zero; see [DefaultAnomaly]. Breaching
// is 2, or Evaluate where that is less.
func (a Anomaly) WithDefaults() Anomaly {
	setDefault(&a.ID, DefaultID)
	setDefault(&a.Direction, Above)
	setDefault(&a.Band, "2")
	setDefault(&a.Evaluate, 3)
	setDefault(&a.Breaching, min(2, a.Evaluate))
	a.Evaluation = a.withDefaults()
	return a
}

// WithDefaults fills the fields that are zero: id "main", the sum over 5
// minutes, in 1 of 1 periods; silence is no breach. Operations and Above have
// no default.
func (t Threshold) WithDefaults() Threshold {
	setDefault(&t.ID, DefaultID)
	setDefault(&t.Evaluate, 1)
	setDefault(&t.Breaching, 1)
	t.Evaluation = t.withDefaults()
	return t
}

func (e Evaluation) withDefaults() Evaluation {
	setDefault(&e.Statistic, "Sum")
	setDefault(&e.Period, 5*time.Minute)
	setDefault(&e.Missing, "notBreaching")
	return e
}

func setDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

// Problems lists what CloudWatch or KMS would refuse, or would silently never
// see, if the key were watched so. Each names the thing, the value and what is
// allowed. The key's Usage and Spec may be empty when nobody knows them; then
// any operation that has a series per key is accepted.
func (w Watch) Problems(k Key) []string {
	var p problems
	if len(w.Anomalies) > 0 {
		p.operations(k, "operation", w.Operations)
	}
	switch {
	case len(w.Anomalies)*len(w.Operations)+len(w.Thresholds) > 0:
	case k.Usage+k.Spec == "" && len(w.Anomalies) > 0:
		p.add("there is nothing to watch: neither operations nor the key's Usage and Spec are given; set one or the other")
	default:
		p.add("there is nothing to watch: no operation with an anomaly alarm and no threshold")
	}
	seen := map[string]bool{}
	for _, a := range w.Anomalies {
		p.anomaly(a)
		p.unique(seen, "anomaly alarm", a.ID)
	}
	for _, t := range w.Thresholds {
		p.threshold(k, t)
		p.unique(seen, "threshold on "+JoinOperations(t.Operations, "+"), t.ID)
	}
	p.actions(w.Actions)
	return p
}

// UnitProblems lists what is wrong with units that come from elsewhere: an ID
// that is there twice, an alarm that CloudWatch would refuse, a detector that
// is not there.
func UnitProblems(units []Unit) []string {
	var p problems
	seen := map[string]bool{}
	once := func(id string) {
		if seen[id] {
			p.add("the construct ID %q is there twice; units must differ in key or operations", id)
		}
		seen[id] = true
	}
	for _, u := range units {
		for _, d := range u.Detectors {
			once(d.ID)
		}
		for _, a := range u.Alarms {
			once(a.ID)
			p.alarm(u, a)
		}
	}
	return p
}

// IsToken says whether a string holds a CDK token: a value that is known only
// when CloudFormation deploys ("Tokens and the AWS CDK", CDK Developer Guide).
func IsToken(s string) bool { return strings.Contains(s, "${Token[") }

type problems []string

func (p *problems) add(format string, args ...any) { *p = append(*p, fmt.Sprintf(format, args...)) }

func (p *problems) unique(seen map[string]bool, what, id string) {
	if key := what + " " + id; seen[key] {
		p.add("%s: the id %q is there twice; give each its own", what, id)
	} else {
		seen[key] = true
	}
}

func (p *problems) operations(k Key, what string, ops []Operation) {
	can, known := Applicable(k.Usage, k.Spec)
	if !known {
		can = watchable
	}
	if !known && k.Usage+k.Spec != "" {
		p.add("the key's usage %q with spec %q is not known here; leave both empty and name the operations", k.Usage, k.Spec)
	}
	for i, op := range ops {
		switch {
		case op == ReEncrypt:
			p.add("%s %q has no series per key: CloudWatch counts it per pair of keys; watch Decrypt or Encrypt, and see ReEncrypt on the dashboard", what, op)
		case !IsWatchable(op):
			p.add("%s %q is none that KMS counts per key; allowed are %s", what, op, JoinOperations(watchable, ", "))
		case !slices.Contains(can, op):
			p.add("%s %q: a key with usage %s and spec %s cannot do it; it can do %s", what, op, k.Usage, k.Spec, JoinOperations(can, ", "))
		case slices.Contains(ops[:i], op):
			p.add("%s %q is there twice", what, op)
		}
	}
}

func (p *problems) id(what, id string) {
	if !AlarmIDPattern.MatchString(id) {
		p.add("%s: the id is %q; allowed are 1 to 16 of a-z, 0-9 and -", what, id)
	}
}

func (p *problems) anomaly(a Anomaly) {
	what := "anomaly alarm " + strconv.Quote(a.ID)
	p.id(what, a.ID)
	if _, ok := operators[a.Direction]; !ok {
		p.add("%s: the direction is %q; allowed are above, below and both", what, a.Direction)
	}
	if band, err := strconv.ParseFloat(a.Band, 64); err != nil || !BandPattern.MatchString(a.Band) || band <= 0 || band > MaxBand {
		p.add("%s: the band is %q; allowed is a number over 0, up to %d, such as 2 or 2.5", what, a.Band, MaxBand)
	}
	p.evaluation(what, a.Evaluation, MaxAnomalyPeriod)
}

func (p *problems) threshold(k Key, t Threshold) {
	what := "threshold " + strconv.Quote(t.ID)
	p.id(what, t.ID)
	p.operations(k, what+": operation", t.Operations)
	if n := len(t.Operations); n == 0 || n > MaxMetricsPerAlarm {
		p.add("%s sums %d operations; an alarm takes 1 to %d", what, n, MaxMetricsPerAlarm)
	}
	if math.IsNaN(t.Above) || math.IsInf(t.Above, 0) || t.Above < 0 {
		p.add("%s: above is %v; allowed is a number from 0", what, t.Above)
	}
	p.evaluation(what, t.Evaluation, MaxPeriod)
}

func (p *problems) evaluation(what string, e Evaluation, maxPeriod time.Duration) {
	if !slices.Contains(Statistics, e.Statistic) {
		p.add("%s: the statistic is %q; allowed are Sum, SampleCount, Average, Minimum and Maximum", what, e.Statistic)
	}
	if e.Period < time.Minute || e.Period%time.Minute != 0 || e.Period > maxPeriod {
		p.add("%s: the period is %v; allowed are whole minutes up to %s", what, e.Period, Minutes(maxPeriod))
	}
	if e.Evaluate < 1 || e.Breaching < 1 || e.Breaching > e.Evaluate {
		p.add("%s: %d of %d periods must breach; allowed is at least 1, and not more than are evaluated", what, e.Breaching, e.Evaluate)
	}
	window := MaxWindow(e.Period)
	if e.Period > 0 && time.Duration(e.Evaluate) > window/e.Period {
		p.add("%s looks back over %d periods of %s; CloudWatch allows %s at most", what, e.Evaluate, Minutes(e.Period), Minutes(window))
	}
	if !slices.Contains(MissingData, e.Missing) {
		p.add("%s: missing is %q; allowed are notBreaching, breaching, ignore and missing", what, e.Missing)
	}
}

func (p *problems) actions(a Actions) {
	for _, l := range []struct {
		name string
		arns []string
	}{{"alarm", a.Alarm}, {"OK", a.OK}, {"insufficient-data", a.InsufficientData}} {
		if len(l.arns) > MaxActions {
			p.add("there are %d %s actions; CloudWatch allows %d, so send them through one SNS topic", len(l.arns), l.name, MaxActions)
		}
		for i, arn := range l.arns {
			switch {
			case !strings.HasPrefix(arn, "arn:") && !IsToken(arn):
				p.add("the %s action %q is no ARN", l.name, arn)
			case slices.Contains(l.arns[:i], arn):
				p.add("the %s action %q is there twice", l.name, arn)
			}
		}
	}
}

func (p *problems) alarm(u Unit, a Alarm) {
	if (a.Threshold == nil) == (a.ThresholdMetricID == "") {
		p.add("alarm %q needs exactly one of a threshold and a threshold metric", a.ID)
	}
	if a.DetectorID != "" && !slices.ContainsFunc(u.Detectors, func(d Detector) bool { return d.ID == a.DetectorID }) {
		p.add("alarm %q depends on the detector %q, which its unit does not have", a.ID, a.DetectorID)
	}
	metrics := 0
	for _, q := range a.Queries {
		if q.Operation != "" {
			metrics++
		}
	}
	if metrics == 0 || metrics > MaxMetricsPerAlarm {
		p.add("alarm %q watches %d metrics; CloudWatch allows 1 to %d", a.ID, metrics, MaxMetricsPerAlarm)
	}
	p.actions(a.Actions)
}
