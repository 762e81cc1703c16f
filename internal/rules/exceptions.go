package rules

import (
	"fmt"
	"time"

	"keywatch/config"
	"keywatch/internal/inventory"
)

// ExceptionState says what an exception is worth for a key.
type ExceptionState string

const (
	Holds   ExceptionState = "holds"
	Expired ExceptionState = "expired"
	// Repointed: the alias may have pointed to another key when the exception was
	// written, so that nobody has excepted this one.
	Repointed ExceptionState = "repointed"
)

// ExceptionTrace is what one exception that names a key says of it.
type ExceptionTrace struct {
	Exception *config.Exception `json:"-"`
	// Names is the key ID, ARN or alias, as the config has it.
	Names string         `json:"exception"`
	State ExceptionState `json:"state"`
	Note  string         `json:"note"`
}

// Except adds the exceptions that are for this account and region, judged at a
// moment. They win over rules, and over what the key is.
func (e *Engine) Except(exs []config.Exception, account, region string, now time.Time) {
	e.now, e.named = now, map[string][]*config.Exception{}
	for i := range exs {
		if ex := &exs[i]; ex.In(account, region) {
			e.named[ex.Key] = append(e.named[ex.Key], ex)
		}
	}
}

// exceptions are those that name the key; few keys have any.
func (e *Engine) exceptions(k *inventory.Key) []ExceptionTrace {
	if len(e.named) == 0 {
		return nil
	}
	var out []ExceptionTrace
	for _, ex := range e.named[k.ID] {
		out = append(out, e.judge(ex, nil))
	}
	for _, ex := range e.named[k.ARN] {
		out = append(out, e.judge(ex, nil))
	}
	for i := range k.Aliases {
		for _, ex := range e.named[k.Aliases[i].Name] {
			out = append(out, e.judge(ex, &k.Aliases[i]))
		}
	}
	return out
}

// judge says whether an exception holds; by an alias only if the alias has
// pointed to this key since before the exception was written: whoever may move an
// alias could otherwise take any key out of what the rules say. A date that is not
// over yet would say so of every alias, for ever.
func (e *Engine) judge(ex *config.Exception, alias *inventory.Alias) ExceptionTrace {
	t := ExceptionTrace{Exception: ex, Names: ex.Key}
	forWhat := fmt.Sprintf("%s (owner %s)", ex.Reason, ex.Owner)
	switch {
	case !e.now.Before(ex.Expires):
		t.State, t.Note = Expired, fmt.Sprintf("expired at the end of %s; it said: %s", ex.Until(), forWhat)
	case alias != nil && e.repointed(ex, alias) != "":
		t.State, t.Note = Repointed, e.repointed(ex, alias)
	default:
		t.State, t.Note = Holds, fmt.Sprintf("excepted until %s: %s", ex.Until(), forWhat)
	}
	return t
}

// repointed says why an alias may not be the one that the exception meant, or "".
func (e *Engine) repointed(ex *config.Exception, a *inventory.Alias) string {
	since := func(what string, at time.Time) string {
		return fmt.Sprintf("%s was %s at %s, and the exception was written at %s", a.Name, what, at.UTC().Format(time.RFC3339), ex.Written.UTC().Format(time.RFC3339))
	}
	switch {
	case ex.Written.After(e.now):
		return fmt.Sprintf("written is %s, in the future of when the keys were read, %s, so that nobody can say which key was meant", ex.Written.UTC().Format(time.RFC3339), e.now.UTC().Format(time.RFC3339))
	case a.Created.IsZero() && a.Updated.IsZero():
		return fmt.Sprintf("nobody can say since when %s points to this key", a.Name)
	case !a.Created.Before(ex.Written):
		return since("made", a.Created)
	case !a.Updated.Before(ex.Written):
		return since("last pointed to a key", a.Updated)
	}
	return ""
}

// excepted is the answer for a key of which an exception holds. What the rules
// would say is only for the reader.
func (e *Engine) excepted(k *inventory.Key, by ExceptionTrace, trace bool) Decision {
	d := Decision{Status: Excepted, Exception: by.Exception, Reason: by.Note}
	if k.TagsOmitted {
		return d
	}
	asked, _ := e.ask(k, trace)
	if d.Trace = asked.Trace; asked.Status == Watched {
		d.Matched = asked.Rules
	}
	return d
}
