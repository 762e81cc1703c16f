package spec

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Limits of CloudWatch that drawing relies on (PutMetricAlarm and "CloudWatch
// service quotas", CloudWatch User Guide).
const (
	MaxAlarmName        = 255
	MaxAlarmDescription = 1024
	MaxActions          = 5
	// MaxMetricsPerAlarm is how many MetricStat queries one alarm may hold.
	MaxMetricsPerAlarm = 10
	MaxTopKeys         = 500
)

// Watch is what to make for one key: an anomaly alarm of each kind in
// Anomalies for each operation, and the static alarms.
type Watch struct {
	Operations []Operation // sorted; for the anomaly alarms
	Anomalies  []Anomaly
	// PerOperation replaces Anomalies for single operations; an empty list means
	// none.
	PerOperation map[Operation][]Anomaly
	Thresholds   []Threshold
	Actions      Actions
	// Detectors says whether detectors are declared ("managed") or left to
	// CloudWatch, which makes them when it first evaluates the alarm.
	Detectors bool
	// Origin is the last sentence of each description: which rule wants it.
	Origin string
	// Rule is the name of that rule, for reports; empty outside of the app.
	Rule string
}

// Names gives alarms and detectors their identity and their name.
type Names interface {
	Unit(Key, []Operation) string
	Alarm(k Key, ops []Operation, kind Kind, id string) (constructID, name string)
	Detector(k Key, op Operation, statistic string) (constructID string)
}

// Expand makes the units of one key, sorted by their operations. It takes no
// decision: what an operation list may hold was checked before.
func Expand(k Key, w Watch, n Names) []Unit {
	units := make([]Unit, 0, len(w.Operations)+len(w.Thresholds))
	at := func(ops []Operation) *Unit {
		for i := range units {
			if slices.Equal(units[i].Operations, ops) {
				return &units[i]
			}
		}
		units = append(units, Unit{ID: n.Unit(k, ops), Key: k, Operations: ops})
		return &units[len(units)-1]
	}
	for i, op := range w.Operations {
		anomalies := w.Anomalies
		if own, differs := w.PerOperation[op]; differs {
			anomalies = own
		}
		if len(anomalies) == 0 {
			continue
		}
		u := at(w.Operations[i : i+1 : i+1])
		for _, a := range anomalies {
			u.addAnomaly(a, w, n)
		}
	}
	for _, t := range w.Thresholds {
		at(t.Operations).addThreshold(t, w, n)
	}
	slices.SortFunc(units, func(a, b Unit) int { return slices.Compare(a.Operations, b.Operations) })
	return units
}

// Merge adds the detectors and alarms of another unit of the same key and
// operations; a detector that both have is kept once. It returns the alarms
// of the other unit whose identity this one already has.
func (u *Unit) Merge(o Unit) (clashes []Alarm) {
	for _, d := range o.Detectors {
		u.addDetector(d)
	}
	for _, a := range o.Alarms {
		if slices.ContainsFunc(u.Alarms, func(b Alarm) bool { return a.Kind == b.Kind && a.AlarmID == b.AlarmID }) {
			clashes = append(clashes, a)
			continue
		}
		u.addAlarm(a)
	}
	return clashes
}

func (u *Unit) addAnomaly(a Anomaly, w Watch, n Names) {
	op := u.Operations[0]
	id, name := n.Alarm(u.Key, u.Operations, KindAnomaly, a.ID)
	alarm := Alarm{
		ID: id, Name: name, Kind: KindAnomaly, AlarmID: a.ID, Rule: w.Rule, Operations: u.Operations,
		Description: describe(u.Key, u.Operations, sides[a.Direction]+" the expected band ("+a.Band+" standard deviations)", a.Evaluation, w.Origin),
		Queries: []Query{
			{ID: "m1", Operation: op, KeyARN: u.Key.ARN, Statistic: a.Statistic, Period: a.Period, ReturnData: true},
			{ID: "ad1", Expression: "ANOMALY_DETECTION_BAND(m1, " + a.Band + ")", ReturnData: true},
		},
		ThresholdMetricID: "ad1",
		Operator:          operators[a.Direction],
		Actions:           w.Actions,
	}
	alarm.evaluate(a.Evaluation)
	if w.Detectors {
		d := Detector{ID: n.Detector(u.Key, op, a.Statistic), KeyARN: u.Key.ARN, Operation: op, Statistic: a.Statistic}
		alarm.DetectorID = d.ID
		u.addDetector(d)
	}
	u.addAlarm(alarm)
}

func (u *Unit) addThreshold(t Threshold, w Watch, n Names) {
	id, name := n.Alarm(u.Key, u.Operations, KindThreshold, t.ID)
	above := t.Above
	alarm := Alarm{
		ID: id, Name: name, Kind: KindThreshold, AlarmID: t.ID, Rule: w.Rule, Operations: u.Operations,
		Description: describe(u.Key, u.Operations, "above "+strconv.FormatFloat(t.Above, 'f', -1, 64), t.Evaluation, w.Origin),
		Threshold:   &above,
		Operator:    "GreaterThanThreshold",
		Actions:     w.Actions,
	}
	alarm.evaluate(t.Evaluation)
	var terms []string
	for i, op := range u.Operations {
		q := Query{ID: fmt.Sprintf("m%d", i+1), Operation: op, KeyARN: u.Key.ARN, Statistic: t.Statistic, Period: t.Period, ReturnData: len(u.Operations) == 1}
		alarm.Queries = append(alarm.Queries, q)
		terms = append(terms, "FILL("+q.ID+",0)")
	}
	if len(terms) > 1 {
		// FILL: an operation that was not called has no datapoint, and a sum
		// with a missing term would be missing ("Using math expressions with
		// CloudWatch metrics", CloudWatch User Guide).
		alarm.Queries = append(alarm.Queries, Query{ID: "e1", Expression: strings.Join(terms, "+"), Label: JoinOperations(u.Operations, "+"), ReturnData: true})
	}
	u.addAlarm(alarm)
}

func (u *Unit) addAlarm(a Alarm) {
	u.Alarms = append(u.Alarms, a)
	slices.SortFunc(u.Alarms, func(a, b Alarm) int {
		return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.AlarmID, b.AlarmID))
	})
}

func (u *Unit) addDetector(d Detector) {
	if slices.Contains(u.Detectors, d) {
		return
	}
	u.Detectors = append(u.Detectors, d)
	slices.SortFunc(u.Detectors, func(a, b Detector) int { return cmp.Compare(a.ID, b.ID) })
}

func (a *Alarm) evaluate(e Evaluation) {
	a.EvaluationPeriods, a.DatapointsToAlarm, a.TreatMissingData = e.Evaluate, e.Breaching, e.Missing
}

var sides = map[Direction]string{Above: "above", Below: "below", Both: "outside of"}

// ComparisonOperator values for an anomaly alarm (PutMetricAlarm).
var operators = map[Direction]string{
	Above: "GreaterThanUpperThreshold",
	Below: "LessThanLowerThreshold",
	Both:  "LessThanLowerOrGreaterThanUpperThreshold",
}

// describe says what a person who is woken by the alarm needs first.
func describe(k Key, ops []Operation, limit string, e Evaluation, origin string) string {
	alias := ""
	if k.Alias != "" {
		alias = k.Alias + ": "
	}
	if origin != "" {
		origin = " " + origin
	}
	return truncate(alias+JoinOperations(ops, " + ")+" requests of KMS key "+k.ARN+": "+e.Statistic+" over "+Minutes(e.Period)+" "+limit+
		" in "+strconv.Itoa(e.Breaching)+" of "+strconv.Itoa(e.Evaluate)+" periods."+origin, MaxAlarmDescription)
}

// Minutes writes a duration as the config does: "5m", "1h".
func Minutes(d time.Duration) string {
	switch {
	case d >= time.Hour && d%time.Hour == 0:
		return fmt.Sprintf("%dh", d/time.Hour)
	case d%time.Minute == 0:
		return fmt.Sprintf("%dm", d/time.Minute)
	}
	return fmt.Sprintf("%ds", d/time.Second)
}

// truncate cuts at a whole character.
func truncate(s string, limit int) string {
	if len(s) <= limit {
		return s
	}
	n := 0
	for i := range s {
		if n++; n > limit {
			return s[:i]
		}
	}
	return s
}
