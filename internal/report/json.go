package report

import (
	"encoding/json"
	"io"

	"keywatch/constructs/spec"
	"keywatch/internal/coverage"
	"keywatch/internal/plan"
	"keywatch/internal/rules"
)

// document is the one JSON object of plan, coverage and explain.
type document struct {
	SchemaVersion int         `json:"schemaVersion"`
	Account       string      `json:"account"`
	Region        string      `json:"region"`
	Keys          []key       `json:"keys"`
	Exceptions    []exception `json:"exceptions,omitempty"`
	Totals        *totals     `json:"totals,omitempty"`
	Problems      []string    `json:"problems"`
}

// exception is one of the config; see plan.Plan.
type exception struct {
	Exception string               `json:"exception"`
	KeyARN    string               `json:"keyArn"`
	State     rules.ExceptionState `json:"state"`
	Reason    string               `json:"reason"`
	Owner     string               `json:"owner"`
	Until     string               `json:"until"`
	Note      string               `json:"note,omitempty"`
}

type key struct {
	KeyARN  string          `json:"keyArn"`
	Aliases []string        `json:"aliases"`
	Status  coverage.Status `json:"status"`
	Rule    string          `json:"rule"`
	Reason  string          `json:"reason"`
	Notes   []string        `json:"notes,omitempty"`
	Alarms  []alarm         `json:"alarms"`
	Bands   []band          `json:"bands,omitempty"`
	// Only with --verify, and with --tags.
	Verified *bool `json:"verified,omitempty"`
	Assumed  bool  `json:"assumed,omitempty"`
	// Only with a trace.
	Exceptions []rules.ExceptionTrace `json:"exceptions,omitempty"`
	Trace      []rules.RuleTrace      `json:"trace,omitempty"`
}

// band is one that a tag of the key changes.
type band struct {
	Rule       string           `json:"rule"`
	Operations []spec.Operation `json:"operations"`
	From       string           `json:"from"`
	To         string           `json:"to"`
	Tag        string           `json:"tag"`
	Looser     bool             `json:"looser"`
}

type alarm struct {
	Name       string           `json:"name"`
	Operations []spec.Operation `json:"operations"`
	Kind       spec.Kind        `json:"kind"`
	ID         string           `json:"id"`
	Rule       string           `json:"rule"`
	Stack      string           `json:"stack"`
	// Only in coverage.
	Present *bool  `json:"present,omitempty"`
	By      string `json:"by,omitempty"`
	Why     string `json:"why,omitempty"`
}

type totals struct {
	Keys       int     `json:"keys"`
	Alarms     int     `json:"alarms"`
	MonthlyUSD float64 `json:"monthlyUSD"`
	// What a deploy would change.
	DeployedKeys  int       `json:"deployedKeys"`
	NewAlarms     int       `json:"newAlarms"`
	RemovedAlarms int       `json:"removedAlarms"`
	Renames       []rename  `json:"renames"`
	Removals      []removal `json:"removals"`
	// Evidence is what is kept for a claim, if anything is.
	Evidence *evidence `json:"evidence,omitempty"`
}

type evidence struct {
	Stack         string  `json:"stack"`
	LogGroup      string  `json:"logGroup"`
	RetentionDays int     `json:"retentionDays"`
	Alarms        int     `json:"alarms"`
	MonthlyUSD    float64 `json:"monthlyUSD"`
	// Assumes says what the price rests on.
	Assumes string `json:"assumes"`
}

type rename struct {
	From string `json:"from"`
	To   string `json:"to"`
}

type removal struct {
	KeyARN string `json:"keyArn"`
	Reason string `json:"reason"`
}

// Form says which parts a verb's JSON has.
type Form struct {
	Totals  bool // plan
	Present bool // coverage
}

// JSON writes a report as one object, keys sorted by ARN; those of several
// environments as one object that holds them all (docs/schema/reports.schema.json).
func JSON(w io.Writer, f Form, reports ...*coverage.Report) error {
	enc := json.NewEncoder(escaped{w})
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	if len(reports) == 1 {
		return enc.Encode(documentOf(reports[0], f))
	}
	all := documents{SchemaVersion: 1, Environments: make([]document, len(reports))}
	for i, r := range reports {
		all.Environments[i] = documentOf(r, f)
	}
	return enc.Encode(all)
}

// documents is the JSON of several environments.
type documents struct {
	SchemaVersion int        `json:"schemaVersion"`
	Environments  []document `json:"environments"`
}

func documentOf(r *coverage.Report, f Form) document {
	d := document{
		SchemaVersion: 1,
		Account:       r.Plan.Inventory.Account,
		Region:        r.Plan.Inventory.Region,
		Keys:          make([]key, len(r.Keys)),
		Problems:      []string{},
	}
	for i := range r.Keys {
		d.Keys[i] = jsonKey(&r.Keys[i], f)
	}
	for _, p := range r.Plan.Problems {
		d.Problems = append(d.Problems, p.String())
	}
	for _, e := range r.Plan.Exceptions {
		d.Exceptions = append(d.Exceptions, jsonException(&e))
	}
	if f.Totals {
		d.Totals = jsonTotals(r.Plan)
	}
	return d
}

func jsonException(e *plan.Exception) exception {
	out := exception{Exception: e.Exception.Key, State: noKey, Reason: e.Reason, Owner: e.Owner, Until: e.Until()}
	switch {
	case e.Key != nil:
		out.KeyARN, out.State = e.Key.ARN, e.State
	case e.Elsewhere:
		out.State = elsewhere
	}
	if out.State == rules.Repointed {
		out.Note = e.Note
	}
	return out
}

// noKey is the state of an exception that names no key here, elsewhere that of one
// for another account or region.
const noKey, elsewhere rules.ExceptionState = "no-key", "elsewhere"

func jsonTotals(p *plan.Plan) *totals {
	t := p.Totals
	out := &totals{
		Keys: t.Keys, Alarms: t.Alarms, MonthlyUSD: float64(t.MonthlyUSD) / 1e6,
		DeployedKeys: t.Deployed, NewAlarms: t.Added, RemovedAlarms: t.Removed, Renames: []rename{}, Removals: []removal{},
	}
	for _, r := range p.Renames {
		out.Renames = append(out.Renames, rename{From: r.From, To: r.To})
	}
	for _, r := range p.Removals {
		out.Removals = append(out.Removals, removal{KeyARN: r.KeyARN, Reason: r.Reason})
	}
	if e := p.Deployment.Evidence; e != nil {
		out.Evidence = &evidence{
			Stack: e.StackName, LogGroup: e.LogGroup(), RetentionDays: e.RetentionDays, Alarms: len(e.Alarms()),
			MonthlyUSD: float64(p.EvidenceUSD()) / 1e6, Assumes: plan.EvidenceAssumes,
		}
	}
	return out
}

func jsonKey(k *coverage.Key, f Form) key {
	out := key{
		KeyARN: k.ARN, Aliases: []string{}, Status: k.Status, Rule: k.Rule, Reason: k.Reason,
		Notes: k.Notes, Alarms: []alarm{}, Trace: k.Decision.Trace,
		Verified: k.Verified, Assumed: k.Assumed,
	}
	if k.Decision.Trace != nil {
		out.Exceptions = k.Decision.Exceptions
	}
	for _, b := range k.Bands {
		out.Bands = append(out.Bands, band(b))
	}
	for _, a := range k.Aliases {
		out.Aliases = append(out.Aliases, a.Name)
	}
	for _, a := range k.Alarms {
		j := alarm{Name: a.Name, Operations: a.Operations, Kind: a.Kind, ID: a.AlarmID, Rule: a.Rule, Stack: a.Stack}
		if f.Present {
			j.Present, j.By, j.Why = &a.Present, a.By, a.Why
		}
		out.Alarms = append(out.Alarms, j)
	}
	return out
}
