package plan

import (
	"fmt"
	"slices"
	"strconv"

	"keywatch/config"
	"keywatch/constructs/spec"
	"keywatch/internal/diag"
)

// BandOverride is a band that a tag of the key changes.
type BandOverride struct {
	Rule       string
	Operations []spec.Operation // sorted
	// From is the band that the rule says, To that of the tag.
	From, To string
	Tag      string // its key
	// Looser: the alarms see less than by the rule. Whoever may tag the key
	// decides that, so it is listed like an exception.
	Looser bool
}

// perOperation is what a rule says of single operations, for all keys.
func perOperation(r *config.Rule) map[spec.Operation][]spec.Anomaly {
	if len(r.PerOperation) == 0 {
		return nil
	}
	out := make(map[spec.Operation][]spec.Anomaly, len(r.PerOperation))
	for op, a := range r.PerOperation {
		if out[op] = nil; a != nil {
			out[op] = []spec.Anomaly{*a}
		}
	}
	return out
}

// tagBands puts the band that a tag of the key asks for in place of those of the
// rule, operation by operation, as far as the rule lets it.
func (b *builder) tagBands(k *Key, r *config.Rule, w *spec.Watch) {
	t := r.BandTag
	value, tagged := k.Tag(t.Tag)
	if !tagged {
		return
	}
	to, ok := parseBand(value)
	if !ok {
		b.refuse(k, r, value, fmt.Sprintf("it is no decimal number above 0 and up to %d, such as 1.5", spec.MaxBand))
		return
	}
	var refused []string // reasons; each is one remark on the key
	own := make(map[spec.Operation][]spec.Anomaly, len(w.Operations))
	for _, op := range w.Operations {
		anomalies := w.Anomalies
		if differs, ok := w.PerOperation[op]; ok {
			anomalies = differs
		}
		for _, a := range anomalies {
			from, _ := parseBand(a.Band)
			switch why := unfit(t, from, to); {
			case why != "" && !slices.Contains(refused, why):
				refused = append(refused, why)
			case why == "" && from != to:
				k.override(BandOverride{Rule: r.Name, Operations: []spec.Operation{op}, From: a.Band, To: value, Tag: t.Tag, Looser: to > from})
				a.Band = value
			}
			own[op] = append(own[op], a)
		}
		if len(anomalies) == 0 {
			own[op] = nil
		}
	}
	w.PerOperation = own
	for _, why := range refused {
		b.refuse(k, r, value, why)
	}
}

// parseBand reads a band as it goes into an alarm's expression.
func parseBand(s string) (float64, bool) {
	v, err := strconv.ParseFloat(s, 64)
	return v, err == nil && v > 0 && v <= spec.MaxBand && spec.BandPattern.MatchString(s)
}

// unfit says why a rule does not let a key have this band, or "".
func unfit(t *config.BandTag, from, to float64) string {
	switch {
	case to < from && to < t.Min.Value:
		return fmt.Sprintf("it is below bandTag.min: %s", t.Min.Text)
	case to > from && !t.AllowLooser:
		return "it is wider than the rule's, and bandTag does not say allowLooser: true"
	case to > from && to > t.Max.Value:
		return fmt.Sprintf("it is above bandTag.max: %s", t.Max.Text)
	}
	return ""
}

// override notes a change, together with those that differ in the operation alone.
func (k *Key) override(o BandOverride) {
	for i := range k.Bands {
		have := &k.Bands[i]
		if have.Rule == o.Rule && have.From == o.From {
			have.Operations = append(have.Operations, o.Operations...)
			return
		}
	}
	k.Bands = append(k.Bands, o)
}

// refuse notes a tag that changes nothing; many keys may bear the like.
func (b *builder) refuse(k *Key, r *config.Rule, value, why string) {
	keeps := fmt.Sprintf("rule %q keeps its band, whatever the tag %s", r.Name, config.Readable(r.BandTag.Tag))
	k.Notes = append(k.Notes, fmt.Sprintf("%s=%q says: %s", keeps, value, why))
	b.found(group{diag.Warning, r.BandTag.Pos, "band-tag", keeps + " says of ", ": " + why + "; `keywatch explain KEY` says so of each key"},
		k, fmt.Sprintf("key %s, which has %q", k.ARN, value))
}
