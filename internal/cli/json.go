package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode"

	"keywatch/config"
	"keywatch/internal/diag"
	"keywatch/internal/inventory"
	"keywatch/internal/snapshot"
	"keywatch/internal/starter"
)

// The JSON of the verbs that make no report; docs/schema has a schema for each.

// validity is what validate says.
type validity struct {
	SchemaVersion int       `json:"schemaVersion"`
	File          string    `json:"file"`
	Valid         bool      `json:"valid"`
	Rules         int       `json:"rules"`
	Watching      int       `json:"watching"`
	Problems      []problem `json:"problems"`
	// Effective is there with --effective, if the config is valid.
	Effective []config.Value `json:"effective,omitempty"`
}

type problem struct {
	File     string `json:"file"`
	Line     int    `json:"line"`
	Col      int    `json:"col"`
	Code     string `json:"code"`
	Severity string `json:"severity"`
	Message  string `json:"message"`
}

func problemsOf(list diag.List) []problem {
	out := make([]problem, len(list))
	for i, p := range list {
		out[i] = problem{p.Pos.File, p.Pos.Line, p.Pos.Col, p.Code, p.Severity.String(), p.Message}
	}
	return out
}

// named is what version says.
type named struct {
	SchemaVersion int    `json:"schemaVersion"`
	Version       string `json:"version"`
}

// startJSON is what init says.
type startJSON struct {
	SchemaVersion int     `json:"schemaVersion"`
	File          string  `json:"file"` // empty: none was written
	Account       string  `json:"account"`
	Region        string  `json:"region"`
	Keys          int     `json:"keys"`
	Watched       int     `json:"watched"`
	Alarms        int     `json:"alarms"`
	MonthlyUSD    float64 `json:"monthlyUSD"`

	Tags        []startTag  `json:"tags"`
	Suggestions []startRule `json:"suggestions"`
	NotTaken    notTaken    `json:"notTaken"`
	Config      string      `json:"config"`
}

type startTag struct {
	Key    string       `json:"key"`
	Keys   int          `json:"keys"`
	Values []startValue `json:"values"`
}

type startValue struct {
	Value string `json:"value"`
	Keys  int    `json:"keys"`
}

type startRule struct {
	Name       string  `json:"name"`
	Rule       string  `json:"rule"`
	Commented  bool    `json:"commented"`
	Keys       int     `json:"keys"`
	Alarms     int     `json:"alarms"`
	MonthlyUSD float64 `json:"monthlyUSD"`
}

type notTaken struct {
	Unmatched   int `json:"unmatched"`
	NotEligible int `json:"notEligible"`
	Unreadable  int `json:"unreadable"`
}

func startOf(s *starter.Suggestion, inv *inventory.Inventory, file string) startJSON {
	total := s.Plan.Totals
	out := startJSON{
		SchemaVersion: 1, File: file, Account: inv.Account, Region: inv.Region,
		Keys: total.Keys, Watched: total.Watched, Alarms: total.Alarms, MonthlyUSD: dollars(total.MonthlyUSD),
		Tags: []startTag{}, NotTaken: notTaken(s.NotTaken), Config: string(s.Text),
	}
	for _, t := range s.Tags {
		values := make([]startValue, len(t.Values))
		for i, v := range t.Values {
			values[i] = startValue{v.Text, v.Keys}
		}
		out.Tags = append(out.Tags, startTag{t.Key, t.Keys, values})
	}
	for _, r := range s.Rules {
		out.Suggestions = append(out.Suggestions, startRule{r.Name, r.YAML, r.Commented, r.Total.Keys, r.Total.Alarms(), dollars(r.Total.MonthlyUSD)})
	}
	return out
}

func dollars(amount config.USD) float64 { return float64(amount) / 1e6 }

// snapshotJSON is what snapshot says of one file.
type snapshotJSON struct {
	SchemaVersion int    `json:"schemaVersion"`
	File          string `json:"file"`
	Account       string `json:"account"`
	Region        string `json:"region"`
	// New: there was no such file. Written: there is one now that holds the changes.
	New        bool     `json:"new"`
	Written    bool     `json:"written"`
	Keys       int      `json:"keys"`
	Unreadable int      `json:"unreadable"`
	Places     int      `json:"places"`
	Changes    []change `json:"changes"`
}

type change struct {
	Kind string `json:"kind"`
	Key  string `json:"key"`
	Name string `json:"name,omitempty"`
	From string `json:"from,omitempty"`
	To   string `json:"to,omitempty"`
}

// snapshotsJSON is what snapshot says of several environments.
type snapshotsJSON struct {
	SchemaVersion int             `json:"schemaVersion"`
	Environments  []*snapshotJSON `json:"environments"`
}

// json is what is said of the file before it is written.
func (m *frozen) json() *snapshotJSON {
	s := m.next
	out := &snapshotJSON{
		SchemaVersion: 1, File: m.path, Account: s.Inventory.Account, Region: s.Inventory.Region, New: m.old == nil,
		Keys: len(s.Inventory.Keys), Places: len(s.Places.Units), Changes: []change{},
	}
	for i := range s.Inventory.Keys {
		if s.Inventory.Keys[i].Unreadable != "" {
			out.Unreadable++
		}
	}
	return out
}

func changesOf(diff []snapshot.Change) []change {
	out := make([]change, len(diff))
	for i, c := range diff {
		out[i] = change{c.Kind.String(), c.Key, c.Name, c.From, c.To}
	}
	return out
}

// printSnapshots writes what became of the files: one object.
func (w *World) printSnapshots(all []*snapshotJSON) error {
	if len(all) == 1 {
		return w.printJSON(all[0])
	}
	return w.printJSON(snapshotsJSON{1, all})
}

// printJSON writes one object, with nothing in it that steers a terminal.
func (w *World) printJSON(v any) error {
	var b strings.Builder
	enc := json.NewEncoder(&b)
	enc.SetIndent("", "  ")
	if err := enc.Encode(v); err != nil {
		return output(err)
	}
	var safe strings.Builder
	for _, r := range b.String() {
		if r >= 0x7f && (unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r)) {
			fmt.Fprintf(&safe, "\\u%04x", r)
			continue
		}
		safe.WriteRune(r)
	}
	_, err := fmt.Fprint(w.Stdout, safe.String())
	return output(err)
}

// validateJSON is validate as one object, which holds the problems too: nothing but
// what is no problem of the input is said on stderr.
func (w *World) validateJSON(o *options, effective bool) error {
	c, problems, err := w.judge(o)
	if err != nil {
		return err
	}
	v := validity{SchemaVersion: 1, File: c.File, Valid: len(problems.Errors()) == 0, Rules: len(c.Rules), Watching: watching(c), Problems: problemsOf(problems)}
	if effective && v.Valid {
		if v.Effective, err = c.EffectiveValues(); err != nil {
			return err
		}
	}
	if err := w.printJSON(v); err != nil {
		return err
	}
	if !v.Valid {
		return errGate
	}
	return nil
}

// invalid says what is wrong with config or context before a verb can begin: to a
// machine as validate does.
func (w *World) invalid(o *options, c *config.Config, problems diag.List, where string) error {
	if o.json {
		if err := w.printJSON(validity{SchemaVersion: 1, File: c.File, Problems: problemsOf(problems)}); err != nil {
			return err
		}
		return errGate
	}
	w.say(problems, c)
	w.note("error", "%s in the %s", counted(len(problems.Errors()), "problem"), where)
	return errGate
}

// judge reads context and config, and finds all that is wrong with them.
func (w *World) judge(o *options) (*config.Config, diag.List, error) {
	var problems diag.List
	s, err := w.gather(o)
	if errors.As(err, &problems) {
		return &config.Config{}, problems, nil
	}
	if err != nil {
		return nil, nil, err
	}
	c, err := config.Load(s.request)
	switch {
	case errors.As(err, &problems):
		return c, problems, nil
	case err != nil:
		return nil, nil, environment(err)
	}
	return c, judged(c), nil
}

// judged are the remarks on a config that loads, and what is wrong with its ARNs in
// the environments that it names.
func judged(c *config.Config) diag.List {
	problems := slices.Concat(c.Warnings, checkActions(c))
	problems.Sort()
	return problems
}

// watching is the number of rules that watch.
func watching(c *config.Config) int {
	n := 0
	for _, r := range c.Rules {
		if r.Watch {
			n++
		}
	}
	return n
}
