package rules_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"keywatch/config"
	"keywatch/internal/inventory"
	"keywatch/internal/rules"
)

const (
	exceptedID  = "1234abcd-12ab-34cd-56ef-1234567890ab"
	exceptedARN = "arn:aws:kms:eu-west-1:111122223333:key/" + exceptedID
)

// written is when the exceptions by alias were written, expiry the first moment
// after 2027-01-31.
var (
	written = time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
	expiry  = time.Date(2027, 2, 1, 0, 0, 0, 0, time.UTC)
)

func exception(names string) config.Exception {
	e := config.Exception{Key: names, Reason: "retired in Q1", Owner: "data-platform", Expires: expiry}
	if e.ByAlias() {
		e.Written = written
	}
	return e
}

// decide is the answer for one key by an exception and a rule that takes all.
func decide(t *testing.T, k *inventory.Key, now time.Time, exs ...config.Exception) rules.Decision {
	t.Helper()
	engine := rules.New(ruleSet(t, "  - {name: all, match: every}\n"))
	engine.Except(exs, "111122223333", "eu-west-1", now)
	return engine.Decide(k)
}

func named(aliases ...inventory.Alias) *inventory.Key {
	return with(key("team=pay"), func(k *inventory.Key) { k.ID, k.ARN, k.Aliases = exceptedID, exceptedARN, aliases })
}

func TestAnExceptionNamesItsKey(t *testing.T) {
	t.Parallel()
	old := inventory.Alias{Name: "alias/legacy", Created: written.AddDate(-1, 0, 0), Updated: written.Add(-time.Nanosecond)}
	there := func(account, region string) config.Exception {
		e := exception("alias/legacy")
		e.Account, e.Region = account, region
		return e
	}
	for name, c := range map[string]struct {
		ex   config.Exception
		want rules.Status
	}{
		"by key ID":             {exception(exceptedID), rules.Excepted},
		"by ARN":                {exception(exceptedARN), rules.Excepted},
		"by alias":              {exception("alias/legacy"), rules.Excepted},
		"by the second alias":   {exception("alias/second"), rules.Excepted},
		"another key ID":        {exception("1234abcd-12ab-34cd-56ef-1234567890ac"), rules.Watched},
		"another alias":         {exception("alias/Legacy"), rules.Watched},
		"a part of an alias":    {exception("alias/leg"), rules.Watched},
		"an ARN of elsewhere":   {exception("arn:aws:kms:eu-west-2:111122223333:key/" + exceptedID), rules.Watched},
		"this environment":      {there("111122223333", "eu-west-1"), rules.Excepted},
		"another account":       {there("444455556666", "eu-west-1"), rules.Watched},
		"another region":        {there("111122223333", "us-east-1"), rules.Watched},
		"an alias in no region": {there("111122223333", ""), rules.Watched},
	} {
		k := named(old, inventory.Alias{Name: "alias/second", Created: written.AddDate(0, -1, 0)})
		d := decide(t, k, expiry.Add(-time.Hour), c.ex)
		if d.Status != c.want {
			t.Errorf("%s: %s, want %s", name, d.Status, c.want)
		}
		if want := "excepted until 2027-01-31: retired in Q1 (owner data-platform)"; c.want == rules.Excepted && (d.Reason != want || d.Exception == nil || d.Exception.Key != c.ex.Key || len(d.Rules) > 0 || !cmp.Equal(d.Matched, []int{0})) {
			t.Errorf("%s: %+v, want the reason %q and no rule", name, d, want)
		}
	}
}

// The moment counts and not the day, nor the zone that it is written in.
func TestAnExceptionExpires(t *testing.T) {
	t.Parallel()
	east := time.FixedZone("east", 14*3600)
	for at, want := range map[time.Time]rules.Status{
		expiry.Add(-time.Hour):                  rules.Excepted,
		expiry.Add(-time.Nanosecond):            rules.Excepted,
		expiry:                                  rules.Watched,
		expiry.Add(time.Nanosecond):             rules.Watched,
		expiry.Add(time.Hour):                   rules.Watched,
		expiry.Add(-time.Hour).In(east):         rules.Excepted, // the next day there
		expiry.In(time.FixedZone("w", -8*3600)): rules.Watched,  // the day before there
	} {
		d := decide(t, named(), at, exception(exceptedID))
		if d.Status != want {
			t.Errorf("at %s: %s, want %s", at, d.Status, want)
		}
		if want == rules.Watched {
			note := "expired at the end of 2027-01-31; it said: retired in Q1 (owner data-platform)"
			if len(d.Exceptions) != 1 || d.Exceptions[0].State != rules.Expired || d.Exceptions[0].Note != note || d.Exception != nil {
				t.Errorf("at %s: %+v, want %q", at, d.Exceptions, note)
			}
		}
	}
}

// An alias that was made or moved since the exception was written names a key
// that nobody has excepted.
func TestARepointedAliasExceptsNothing(t *testing.T) {
	t.Parallel()
	before, after := written.Add(-time.Nanosecond), written.Add(time.Hour)
	for name, c := range map[string]struct {
		alias inventory.Alias
		note  string
	}{
		"never moved":           {inventory.Alias{Created: before, Updated: before}, ""},
		"moved before":          {inventory.Alias{Created: before.AddDate(-1, 0, 0), Updated: before}, ""},
		"its moving unknown":    {inventory.Alias{Created: before}, ""},
		"its making unknown":    {inventory.Alias{Updated: before}, ""},
		"moved since":           {inventory.Alias{Created: before, Updated: after}, "alias/legacy was last pointed to a key at 2026-11-01T01:00:00Z, and the exception was written at 2026-11-01T00:00:00Z"},
		"moved at that moment":  {inventory.Alias{Created: before, Updated: written}, "alias/legacy was last pointed to a key at 2026-11-01T00:00:00Z, and the exception was written at 2026-11-01T00:00:00Z"},
		"made since":            {inventory.Alias{Created: after, Updated: after}, "alias/legacy was made at 2026-11-01T01:00:00Z, and the exception was written at 2026-11-01T00:00:00Z"},
		"made at that moment":   {inventory.Alias{Created: written}, "alias/legacy was made at 2026-11-01T00:00:00Z, and the exception was written at 2026-11-01T00:00:00Z"},
		"nothing known":         {inventory.Alias{}, "nobody can say since when alias/legacy points to this key"},
		"moved, making unknown": {inventory.Alias{Updated: after}, "alias/legacy was last pointed to a key at 2026-11-01T01:00:00Z, and the exception was written at 2026-11-01T00:00:00Z"},
	} {
		c.alias.Name = "alias/legacy"
		d := decide(t, named(c.alias), expiry.Add(-time.Hour), exception("alias/legacy"))
		want, state := rules.Excepted, rules.Holds
		if c.note != "" {
			want, state = rules.Watched, rules.Repointed
		}
		if d.Status != want || len(d.Exceptions) != 1 || d.Exceptions[0].State != state || c.note != "" && d.Exceptions[0].Note != c.note {
			t.Errorf("%s: %s, %+v; want %s, %q", name, d.Status, d.Exceptions, want, c.note)
		}
	}
}

// A date that is yet to come is no proof that the alias was looked at: the guard
// would be off until then.
func TestAnExceptionOfTheFutureExceptsNothing(t *testing.T) {
	t.Parallel()
	alias := inventory.Alias{Name: "alias/legacy", Created: written.AddDate(-1, 0, 0), Updated: written.AddDate(-1, 0, 0)}
	for now, want := range map[time.Time]rules.ExceptionState{
		written.Add(-time.Nanosecond): rules.Repointed,
		written:                       rules.Holds,
	} {
		d := decide(t, named(alias), now, exception("alias/legacy"))
		if len(d.Exceptions) != 1 || d.Exceptions[0].State != want || (d.Status == rules.Excepted) != (want == rules.Holds) {
			t.Errorf("at %s: %s, %+v; want %s", now, d.Status, d.Exceptions, want)
		}
	}
	const note = "written is 2026-11-01T00:00:00Z, in the future of when the keys were read, 2026-10-31T00:00:00Z, so that nobody can say which key was meant"
	if d := decide(t, named(alias), written.AddDate(0, 0, -1), exception("alias/legacy")); d.Exceptions[0].Note != note {
		t.Errorf("%q, want %q", d.Exceptions[0].Note, note)
	}
}

// It is asked before everything else: whatever the key is, and whatever of it
// could be read.
func TestAnExceptionWinsOverWhatTheKeyIs(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*inventory.Key){
		"tags left out":     func(k *inventory.Key) { k.Tags, k.TagsOmitted = nil, true },
		"tags unreadable":   func(k *inventory.Key) { k.Tags, k.Unreadable = nil, inventory.ReasonTags+"AccessDeniedException" },
		"not described":     func(k *inventory.Key) { k.Unreadable = "kms:DescribeKey: AccessDeniedException" },
		"pending deletion":  func(k *inventory.Key) { k.State = "PendingDeletion" },
		"gone":              func(k *inventory.Key) { k.Gone = true },
		"of an unknown use": func(k *inventory.Key) { k.Usage = "NEW" },
	} {
		if d := decide(t, with(named(), change), written, exception(exceptedID)); d.Status != rules.Excepted || d.Exception == nil {
			t.Errorf("%s: %+v, want it excepted", name, d)
		}
	}
}

// Of several the first that holds decides; the others are shown.
func TestSeveralExceptionsOfAKey(t *testing.T) {
	t.Parallel()
	past, renewed := exception(exceptedID), exception(exceptedARN)
	past.Expires, renewed.Owner = written, "new"
	engine := rules.New(ruleSet(t, teams))
	engine.Except([]config.Exception{past, renewed, exception("alias/legacy")}, "111122223333", "eu-west-1", written)
	d := engine.Explain(named(inventory.Alias{Name: "alias/legacy"}))
	var states []rules.ExceptionState
	for _, e := range d.Exceptions {
		states = append(states, e.State)
	}
	if diff := cmp.Diff([]rules.ExceptionState{rules.Expired, rules.Holds, rules.Repointed}, states); diff != "" {
		t.Error(diff)
	}
	if d.Exception == nil || d.Exception.Owner != "new" || len(d.Trace) == 0 || d.Trace[0].Rule != "pay" || !d.Trace[0].Matched {
		t.Errorf("%+v, want the exception of new and what the rules would say", d)
	}
}

// An exception of one key changes the answer for no other one.
func TestOtherKeysAreNotExcepted(t *testing.T) {
	t.Parallel()
	if d := decide(t, key("team=pay"), written, exception(exceptedID), exception("alias/legacy")); d.Status != rules.Watched || d.Exceptions != nil {
		t.Errorf("%+v", d)
	}
}
