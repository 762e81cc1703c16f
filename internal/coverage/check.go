// Package coverage holds the alarms that a plan wants against the alarms that
// CloudWatch has, and says for each key what is missing.
//
// It is pure: it is given both sides and calls nobody. An alarm counts by what
// it watches, whoever made it and whatever its name. Start reading at [Check].
package coverage

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strconv"

	"keywatch/constructs/spec"
	"keywatch/internal/plan"
	"keywatch/internal/rules"
)

// Status is how well a key is covered; for keys that are not watched, why.
type Status string

const (
	Covered       Status = "covered"
	PartlyCovered Status = "partly-covered"
	NotCovered    Status = "not-covered"
)

// Key is one key with what became of each alarm it should have.
type Key struct {
	*plan.Key
	Status Status // one of the above, or the rules.Status of a key without alarms
	Reason string
	Alarms []Wanted
}

// Wanted is an alarm that the plan wants for a key.
type Wanted struct {
	spec.Alarm
	Stack   string
	Present bool
	// By is the name of the alarm that does it, if it has another name.
	By string
	// Why says what is wrong with the alarm that comes nearest, or "".
	Why string
}

// Report is the answer for one environment.
type Report struct {
	Plan *plan.Plan
	Keys []Key // one for each key of the inventory, in its order
}

// Passed says whether every watched key has every alarm, and no key in
// question was unreadable.
func (r *Report) Passed() bool {
	return !slices.ContainsFunc(r.Keys, func(k Key) bool { return k.Failed() })
}

// Failed says whether the key alone fails the gate.
func (k *Key) Failed() bool {
	return k.Status == PartlyCovered || k.Status == NotCovered || k.Status == Status(rules.Unreadable)
}

// Check compares.
func Check(p *plan.Plan, existing []Alarm) *Report {
	byKey := map[string][]watcher{}
	for _, a := range existing {
		if w, ok := watcherOf(a); ok {
			byKey[w.keyARN] = append(byKey[w.keyARN], w)
		}
	}
	r := &Report{Plan: p, Keys: make([]Key, len(p.Keys))}
	for i := range p.Keys {
		r.Keys[i] = check(&p.Keys[i], byKey[p.Keys[i].ARN])
	}
	return r
}

// Planned is the report before anything is deployed: what the plan wants counts
// as present.
func Planned(p *plan.Plan) *Report {
	r := &Report{Plan: p, Keys: make([]Key, len(p.Keys))}
	for i := range p.Keys {
		k := keyOf(&p.Keys[i])
		for j := range k.Alarms {
			k.Alarms[j].Present = true
		}
		k.judge()
		r.Keys[i] = k
	}
	return r
}

func keyOf(k *plan.Key) Key {
	out := Key{Key: k, Status: Status(k.Decision.Status), Reason: k.Decision.Reason}
	for _, u := range k.Units {
		for _, a := range u.Alarms {
			out.Alarms = append(out.Alarms, Wanted{Alarm: a, Stack: u.Stack})
		}
	}
	return out
}

func check(k *plan.Key, have []watcher) Key {
	out := keyOf(k)
	for i := range out.Alarms {
		out.Alarms[i].find(have)
	}
	out.judge()
	return out
}

// judge sets the status of a watched key from its alarms.
func (k *Key) judge() {
	if k.Decision.Status != rules.Watched {
		return
	}
	present := 0
	for _, a := range k.Alarms {
		if a.Present {
			present++
		}
	}
	switch {
	case present == len(k.Alarms) && present > 0:
		k.Status = Covered
	case present == 0:
		k.Status = NotCovered
	default:
		k.Status = PartlyCovered
	}
	if k.Reason == "" && k.Status != Covered {
		k.Reason = fmt.Sprintf("%d of %d alarms are missing", len(k.Alarms)-present, len(k.Alarms))
	}
}

// find looks for an alarm that does what is wanted, the one of that name first.
func (w *Wanted) find(have []watcher) {
	var near []watcher
	for _, h := range have {
		if h.kind == w.Kind && slices.Equal(h.operations, w.Operations) {
			near = append(near, h)
		}
	}
	slices.SortStableFunc(near, func(a, b watcher) int {
		return cmp.Compare(sameName(b, w), sameName(a, w))
	})
	for _, h := range near {
		why := h.lacks(w)
		if why == "" {
			w.Present = true
			if h.name != w.Name {
				w.By = h.name
			}
			return
		}
		if w.Why == "" {
			w.Why = fmt.Sprintf("alarm %q %s", h.name, why)
		}
	}
}

func sameName(h watcher, w *Wanted) int {
	if h.name == w.Name {
		return 1
	}
	return 0
}

// watcher is an existing alarm on the usage of one key, reduced to what it sees.
type watcher struct {
	name       string
	keyARN     string
	operations []spec.Operation // sorted
	kind       spec.Kind
	up, down   bool
	band       float64 // anomaly; 0 when it is no plain number
	above      float64 // threshold
	actions    bool
	statistic  string
}

// lacks says why an existing alarm does not do what is wanted, or "".
func (h watcher) lacks(w *Wanted) string {
	wantsActions := len(w.Actions.Alarm)+len(w.Actions.OK)+len(w.Actions.InsufficientData) > 0
	switch {
	case !h.actions && wantsActions:
		return "has its actions switched off"
	case h.statistic != w.Queries[0].Statistic:
		return fmt.Sprintf("looks at the statistic %s, not %s", h.statistic, w.Queries[0].Statistic)
	case w.Kind == spec.KindThreshold && (!h.up || h.above > *w.Threshold):
		return fmt.Sprintf("fires above %s, the rule wants %s", decimal(h.above), decimal(*w.Threshold))
	case w.Kind == spec.KindThreshold:
		return ""
	case w.Operator != "LessThanLowerThreshold" && !h.up:
		return "does not look above the band"
	case w.Operator != "GreaterThanUpperThreshold" && !h.down:
		return "does not look below the band"
	}
	if wanted := bandOf(w.Queries[1].Expression); h.band == 0 || h.band > wanted {
		return fmt.Sprintf("has the band %s, the rule wants %s", decimal(h.band), decimal(wanted))
	}
	return ""
}

func decimal(v float64) string { return strconv.FormatFloat(v, 'f', -1, 64) }

// watcherOf reads an alarm; false when it is not on the usage of one key.
func watcherOf(a Alarm) (watcher, bool) {
	w := watcher{name: a.Name, actions: a.ActionsEnabled}
	for _, q := range a.Queries {
		if q.MetricName == "" {
			if q.ID == a.ThresholdMetricID {
				w.band = bandOf(q.Expression)
			}
			continue
		}
		key := q.Dimensions[spec.DimensionKeyARN]
		if q.Namespace != spec.Namespace || q.MetricName != spec.MetricName || len(q.Dimensions) != 2 || key == "" || w.keyARN != "" && w.keyARN != key {
			return watcher{}, false
		}
		w.keyARN, w.statistic = key, q.Statistic
		w.operations = append(w.operations, spec.Operation(q.Dimensions[spec.DimensionOperation]))
	}
	slices.Sort(w.operations)
	switch a.Operator {
	case "GreaterThanUpperThreshold":
		w.up = true
	case "LessThanLowerThreshold":
		w.down = true
	case "LessThanLowerOrGreaterThanUpperThreshold":
		w.up, w.down = true, true
	case "GreaterThanThreshold", "GreaterThanOrEqualToThreshold":
		w.up = true
	}
	if w.kind = spec.KindThreshold; a.ThresholdMetricID != "" {
		w.kind = spec.KindAnomaly
	} else if a.Threshold != nil {
		w.above = *a.Threshold
	}
	return w, w.keyARN != ""
}

var bandPattern = regexp.MustCompile(`^ANOMALY_DETECTION_BAND\(\s*[a-z][A-Za-z0-9_]*\s*,\s*([0-9.]+)\s*\)$`)

// bandOf is the width of a band expression; 2 when it leaves it out, which is
// CloudWatch's default, and 0 when it cannot be read.
func bandOf(expression string) float64 {
	if m := bandPattern.FindStringSubmatch(expression); m != nil {
		v, _ := strconv.ParseFloat(m[1], 64)
		return v
	}
	if bareBand.MatchString(expression) {
		return 2
	}
	return 0
}

var bareBand = regexp.MustCompile(`^ANOMALY_DETECTION_BAND\(\s*[a-z][A-Za-z0-9_]*\s*\)$`)
