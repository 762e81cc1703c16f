package coverage

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"keywatch/constructs/spec"
)

// watcher is an existing alarm on the usage of one key, reduced to what it sees.
type watcher struct {
	Alarm
	keyARN     string
	operations []spec.Operation // sorted
	kind       spec.Kind
	statistic  string
	period     time.Duration
	// band is the width of an anomaly alarm's band.
	band float64
	// odd says why nobody can tell what the alarm sees, or "".
	odd string
}

// watcherOf reads an alarm; false when it is not on the usage of one key.
func watcherOf(a Alarm) (watcher, bool) {
	w := watcher{Alarm: a, kind: spec.KindThreshold}
	var metrics, expressions []Query
	for _, q := range a.Queries {
		if q.MetricName == "" {
			expressions = append(expressions, q)
			continue
		}
		key := q.Dimensions[spec.DimensionKeyARN]
		if q.Namespace != spec.Namespace || q.MetricName != spec.MetricName || len(q.Dimensions) != 2 || key == "" || w.keyARN != "" && w.keyARN != key {
			return watcher{}, false
		}
		w.keyARN = key
		metrics = append(metrics, q)
		w.operations = append(w.operations, spec.Operation(q.Dimensions[spec.DimensionOperation]))
	}
	if w.keyARN == "" {
		return watcher{}, false
	}
	slices.Sort(w.operations)
	if a.ThresholdMetricID != "" {
		w.kind = spec.KindAnomaly
		w.readBand(metrics, expressions)
	} else {
		w.readSum(metrics, expressions)
	}
	w.readMetrics(metrics)
	return w, true
}

func (w *watcher) readMetrics(metrics []Query) {
	w.statistic, w.period = metrics[0].Statistic, metrics[0].Period
	for _, q := range metrics {
		switch {
		case q.Statistic != w.statistic || q.Period != w.period:
			w.odd = "mixes statistics or periods"
		case q.Unit != "" && q.Unit != "None":
			w.odd = fmt.Sprintf("asks for the unit %s, in which there may be no data", q.Unit)
		}
	}
}

var (
	bandPattern = regexp.MustCompile(`^ANOMALY_DETECTION_BAND\(\s*([a-z][A-Za-z0-9_]*)\s*(?:,\s*([0-9.]+)\s*)?\)$`)
	sumTerm     = regexp.MustCompile(`^(?:FILL\(\s*([a-z][A-Za-z0-9_]*)\s*,\s*0\s*\)|([a-z][A-Za-z0-9_]*))$`)
)

// readBand takes one metric and one band over that metric itself: over an
// expression, the band may be as wide as one likes.
func (w *watcher) readBand(metrics, expressions []Query) {
	if len(metrics) != 1 || len(expressions) != 1 || expressions[0].ID != w.ThresholdMetricID {
		w.odd = "compares more than one metric with one band"
		return
	}
	of, width := bandOf(expressions[0].Expression)
	if w.band = width; of != metrics[0].ID || width == 0 {
		w.odd = fmt.Sprintf("has the band %q, which cannot be judged", expressions[0].Expression)
	}
}

// bandOf is what a band is over, and its width: 2 when it is left out, which is
// CloudWatch's default, and 0 when it cannot be read.
func bandOf(expression string) (metric string, width float64) {
	m := bandPattern.FindStringSubmatch(strings.TrimSpace(expression))
	switch {
	case m == nil:
		return "", 0
	case m[2] == "":
		return m[1], 2
	}
	width, err := strconv.ParseFloat(m[2], 64)
	if err != nil {
		return m[1], 0
	}
	return m[1], width
}

// readSum takes one metric, or the sum of several in which a silent operation
// counts as 0: without FILL, the sum would be missing with it.
func (w *watcher) readSum(metrics, expressions []Query) {
	if w.Threshold == nil {
		w.odd = "has no threshold"
		return
	}
	if len(expressions) == 0 {
		if len(metrics) > 1 {
			w.odd = "holds several metrics without a sum"
		}
		return
	}
	var names []string
	for _, term := range strings.Split(expressions[0].Expression, "+") {
		m := sumTerm.FindStringSubmatch(strings.TrimSpace(term))
		if m == nil || m[2] != "" && len(metrics) > 1 {
			names = nil
			break
		}
		names = append(names, m[1]+m[2])
	}
	wanted := make([]string, len(metrics))
	for i, q := range metrics {
		wanted[i] = q.ID
	}
	slices.Sort(names)
	slices.Sort(wanted)
	if len(expressions) > 1 || !slices.Equal(names, wanted) {
		w.odd = fmt.Sprintf("compares %q, which is not the sum of FILL(metric,0)", expressions[0].Expression)
	}
}

// lacks says why an existing alarm does not do what is wanted, or "".
func (w watcher) lacks(want *Wanted) string {
	q := want.Queries[0]
	if w.odd != "" {
		return w.odd
	}
	if why := w.lacksActions(want.Actions); why != "" {
		return why
	}
	switch {
	case w.statistic != q.Statistic:
		return fmt.Sprintf("looks at the statistic %s, the rule wants %s", w.statistic, q.Statistic)
	case w.period != q.Period:
		return fmt.Sprintf("looks at periods of %s, the rule wants %s", spec.Minutes(w.period), spec.Minutes(q.Period))
	}
	judge := w.lacksThreshold
	if want.Kind == spec.KindAnomaly {
		judge = w.lacksBand
	}
	if why := judge(want); why != "" {
		return why
	}
	return w.lacksDatapoints(want)
}

func (w watcher) lacksActions(want spec.Actions) string {
	if len(want.Alarm)+len(want.OK)+len(want.InsufficientData) > 0 && !w.ActionsEnabled {
		return "has its actions switched off"
	}
	if w.Actions == nil {
		return ""
	}
	for _, arn := range want.Alarm {
		if !slices.Contains(w.Actions.Alarm, arn) {
			return "does not notify " + arn
		}
	}
	return ""
}

func (w watcher) lacksThreshold(want *Wanted) string {
	switch {
	case w.Operator != "GreaterThanThreshold" && w.Operator != "GreaterThanOrEqualToThreshold":
		return "does not look above its threshold"
	case *w.Threshold > *want.Threshold:
		return fmt.Sprintf("fires above %s, the rule wants %s", decimal(*w.Threshold), decimal(*want.Threshold))
	}
	return ""
}

// sides are what the operators of an anomaly alarm look at.
var sides = map[string]struct{ up, down bool }{
	"GreaterThanUpperThreshold":                {up: true},
	"LessThanLowerThreshold":                   {down: true},
	"LessThanLowerOrGreaterThanUpperThreshold": {up: true, down: true},
}

func (w watcher) lacksBand(want *Wanted) string {
	_, width := bandOf(want.Queries[1].Expression)
	has, wants := sides[w.Operator], sides[want.Operator]
	switch {
	case wants.up && !has.up:
		return "does not look above the band"
	case wants.down && !has.down:
		return "does not look below the band"
	case w.band > width:
		return fmt.Sprintf("has the band %s, the rule wants %s", decimal(w.band), decimal(width))
	}
	return ""
}

// lacksDatapoints compares "M out of N". M breaching datapoints with at most
// N-M others between them are enough for the wanted alarm, so they must be
// enough for this one. A single datapoint is always enough for 1 out of N.
func (w watcher) lacksDatapoints(want *Wanted) string {
	m, n := w.DatapointsToAlarm, w.EvaluationPeriods
	if m == 0 {
		m = n
	}
	wantM, wantN := want.DatapointsToAlarm, want.EvaluationPeriods
	if m > wantM || m > 1 && n-m < wantN-wantM {
		return fmt.Sprintf("needs %d of %d periods, the rule wants %d of %d", m, n, wantM, wantN)
	}
	missing := w.TreatMissingData
	if missing == "" {
		missing = "missing"
	}
	if !sameSilence(missing, want.TreatMissingData) {
		return fmt.Sprintf("takes missing data as %s, the rule wants %s", missing, want.TreatMissingData)
	}
	return ""
}

// sameSilence says whether an alarm that treats missing data one way fires
// anew for each burst for which the wanted one does. "ignore" and "breaching"
// leave an alarm of an idle key in ALARM, where a new burst changes nothing and
// notifies nobody; only "breaching" sees a key that falls silent.
func sameSilence(has, want string) bool {
	return has == want || has != "ignore" && has != "breaching" && want != "breaching"
}

func decimal(v float64) string { return strconv.FormatFloat(v, 'f', -1, 64) }
