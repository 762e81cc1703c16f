package live

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"keywatch/config"
	"keywatch/internal/inventory"
	"keywatch/internal/rules"
	"keywatch/test/fakeaws"
)

// schedulesSeed makes the schedules the same each time; a failure names its own.
const schedulesSeed = 20261124

// schedules is how many are run: a few hundred, or KEYWATCH_FUZZ_SCHEDULES.
func schedules(t *testing.T) int {
	const usual = 300
	s := os.Getenv("KEYWATCH_FUZZ_SCHEDULES")
	if s == "" {
		return usual
	}
	n, err := strconv.Atoi(s)
	if err != nil || n < 1 {
		t.Fatalf("KEYWATCH_FUZZ_SCHEDULES=%q; want a number from 1", s)
	}
	return n
}

// Whatever goes wrong, and in whatever order: the whole inventory, equal to what
// the account holds, or an error. A key that may not be read is there with its
// reason; a key that was deleted meanwhile is whole, gone, or not there.
func TestNoScheduleOfFaultsLosesAKeyOrATag(t *testing.T) {
	t.Parallel()
	n := schedules(t)
	t.Logf("%d schedules, seed %d", n, schedulesSeed)
	var read, failed, marked atomic.Int64
	t.Run("of faults", func(t *testing.T) {
		const lanes = 8
		for lane := range lanes {
			t.Run(fmt.Sprint(lane), func(t *testing.T) {
				t.Parallel()
				for i := lane; i < n; i += lanes {
					c := newChaos(uint64(i))
					srv := fakeaws.Start(t, c.state, c.options...)
					for _, f := range c.faults {
						srv.Fail(f)
					}
					o := quick()
					o.RequestTimeout = 150 * time.Millisecond
					inv, err := session(t, srv, o).Inventory(t.Context(), c.need)
					_ = srv.Close()
					c.check(t, inv, err, &marked)
					if err != nil {
						failed.Add(1)
					} else {
						read.Add(1)
					}
				}
			})
		}
	})
	t.Logf("%d inventories, %d errors, %d keys that could not be read", read.Load(), failed.Load(), marked.Load())
	if int(read.Load()) < n/3 || int(failed.Load()) < n/10 {
		t.Error("the schedules are lopsided")
	}
}

// chaos is one account, one need and one schedule of faults.
type chaos struct {
	seed    uint64
	state   fakeaws.State
	options []fakeaws.Option
	need    inventory.Need
	faults  []fakeaws.Fault
	deleted map[string]bool // at some moment
	refused bool            // some single key may be refused
	unknown bool            // a key may be unknown to KMS for ever
}

func newChaos(seed uint64) *chaos {
	r := rand.New(rand.NewPCG(schedulesSeed, seed))
	c := &chaos{seed: seed, deleted: map[string]bool{}, state: randomAccount(r)}
	c.options = []fakeaws.Option{fakeaws.PageSize(1 + r.IntN(6)), fakeaws.Shuffle(seed)}
	switch r.IntN(4) {
	case 0:
		c.need.Filters = []inventory.TagFilter{filter(has("env", "prod"))}
	case 1:
		c.need.Filters = []inventory.TagFilter{filter(has("env", "prod")), filter(has("team"))}
	}
	if r.IntN(2) == 0 {
		c.need.Describe = func(k *inventory.Key) bool { v, _ := k.Tag("env"); return v == "prod" }
	}
	if r.IntN(3) == 0 {
		c.faults = append(c.faults, fakeaws.Fault{Operation: opGetResources, Nth: 1 + r.IntN(3), Kind: fakeaws.AccessDenied, Times: fakeaws.Forever})
	}
	for range 1 + r.IntN(4) {
		c.faults = append(c.faults, c.fault(r))
	}
	return c
}

func randomAccount(r *rand.Rand) fakeaws.State {
	st := fakeaws.State{Account: account, Region: region}
	for i := range 1 + r.IntN(15) {
		k := fakeaws.Key{ID: id(i)}
		for _, name := range []string{"env", "team", "name"} {
			if r.IntN(2) == 0 {
				k.Tags = append(k.Tags, fakeaws.Tag{Key: name, Value: []string{"prod", "dev", "", "ü/x"}[r.IntN(4)]})
			}
		}
		switch r.IntN(12) {
		case 0:
			k.Manager, k.Tags = "AWS", nil
			st.Aliases = append(st.Aliases, fakeaws.Alias{Name: fmt.Sprint("alias/aws/s", i), Target: k.ID})
		case 1:
			k.DenyDescribe = true
		case 2:
			k.DenyTags = true
		case 3:
			k.State = "PendingDeletion"
		case 4:
			k.EverTagged = true
		case 5:
			k.Unlisted = len(k.Tags) > 0
		}
		if k.Manager == "" && r.IntN(2) == 0 {
			st.Aliases = append(st.Aliases, fakeaws.Alias{Name: fmt.Sprint("alias/k", i), Target: k.ID, Created: day(1 + r.IntN(9))})
		}
		st.Keys = append(st.Keys, k)
	}
	return st
}

var chaosKinds = []fakeaws.Kind{
	fakeaws.Throttle, fakeaws.Throttle, fakeaws.Internal, fakeaws.Unavailable, fakeaws.Reset, fakeaws.Cut, fakeaws.CutReset, fakeaws.AccessDenied,
	fakeaws.ExpiredToken, fakeaws.NotFound, fakeaws.InvalidMarker, fakeaws.ExpiredPage, fakeaws.OnlyChange, fakeaws.Dribble, fakeaws.Slow, fakeaws.Empty,
	fakeaws.HTML, fakeaws.NoMarker, fakeaws.MarkerOnly, fakeaws.RepeatMarker, fakeaws.RepeatItems, fakeaws.NoItems, fakeaws.NoList,
}

func (c *chaos) fault(r *rand.Rand) fakeaws.Fault {
	ops := []string{opListKeys, opListAliases, opGetResources, opGetResources, opDescribeKey, opListResourceTags}
	f := fakeaws.Fault{
		Operation: ops[r.IntN(len(ops))],
		Nth:       1 + r.IntN(8),
		Times:     1 + r.IntN(6),
		Kind:      chaosKinds[r.IntN(len(chaosKinds))],
		Delay:     time.Duration(1+r.IntN(30)) * time.Millisecond,
	}
	if r.IntN(8) == 0 {
		f.Times = fakeaws.Forever
	}
	if unseen(f.Kind, f.Operation) { // what nobody can see
		f.Kind = fakeaws.NoList
	}
	perKey := f.Operation == opDescribeKey || f.Operation == opListResourceTags
	c.refused = c.refused || perKey && f.Kind == fakeaws.AccessDenied
	c.unknown = c.unknown || perKey && f.Kind == fakeaws.NotFound
	if f.Kind == fakeaws.OnlyChange {
		victim := id(r.IntN(len(c.state.Keys)))
		c.deleted[victim] = true
		f.Times = 1
		f.Change = func(s *fakeaws.State) {
			for i := range s.Keys {
				if s.Keys[i].ID == victim {
					s.Keys[i].Deleted = true
				}
			}
		}
	}
	return f
}

func (c *chaos) check(t *testing.T, inv *inventory.Inventory, err error, marked *atomic.Int64) {
	t.Helper()
	if err != nil {
		if e := (*Error)(nil); inv != nil || !errors.As(err, &e) || e.Operation == "" || e.Class == "" {
			t.Errorf("seed %d: %v (%T), %v", c.seed, err, err, inv)
		}
		return
	}
	have := map[string]*inventory.Key{}
	for i := range inv.Keys {
		have[inv.Keys[i].ID] = &inv.Keys[i]
	}
	if len(have) != len(inv.Keys) || !slices.IsSortedFunc(inv.Keys, func(a, b inventory.Key) int { return strings.Compare(a.ARN, b.ARN) }) {
		t.Errorf("seed %d: a key is there twice, or the keys are not sorted", c.seed)
	}
	for i := range c.state.Keys {
		k := &c.state.Keys[i]
		if why := c.wrong(k, have[k.ID]); why != "" {
			t.Errorf("seed %d, %s: %s: %+v, from %+v with %+v", c.seed, k.ID, why, have[k.ID], *k, c.faults)
		}
		if got := have[k.ID]; got != nil && got.Unreadable != "" {
			marked.Add(1)
		}
		delete(have, k.ID)
	}
	for id := range have {
		t.Errorf("seed %d: there is no key %s", c.seed, id)
	}
}

// wrong says what is wrong with what was read of a key.
func (c *chaos) wrong(k *fakeaws.Key, got *inventory.Key) string {
	if got == nil {
		if c.deleted[k.ID] || c.unheardOf(k) {
			return ""
		}
		return "lost"
	}
	if got.Gone {
		if c.deleted[k.ID] || c.unknown {
			return ""
		}
		return "gone"
	}
	if got.Unreadable != "" && !k.DenyDescribe && !k.DenyTags && !c.refused {
		return "unreadable"
	}
	if !slices.Equal(aliasNames(c.state, k.ID), names(got.Aliases)) {
		return "other aliases"
	}
	fits := c.fits(k)
	switch {
	case got.TagsUnreadable():
		if len(got.Tags) > 0 {
			return "half of the tags"
		}
		return ""
	case got.TagsOmitted:
		if fits && !c.deleted[k.ID] {
			return "the tags of a key that fits are left out"
		}
		return ""
	case c.deleted[k.ID] && len(got.Tags) == 0: // listed, then deleted, and the tags were read after that
		return ""
	case !reflect.DeepEqual(tagsOf(k), got.Tags):
		return "other tags"
	}
	if got.Unreadable == "" && got.Manager != "AWS" && !got.Described && (c.need.Describe == nil || k.Unlisted || c.need.Describe(got)) {
		return "not described"
	}
	if got.Described && (got.State != stateOf(k) || got.Spec != "SYMMETRIC_DEFAULT") {
		return "another description"
	}
	return ""
}

// unheardOf: ListKeys does not have the key yet, and nobody else tells of it.
func (c *chaos) unheardOf(k *fakeaws.Key) bool {
	denied := slices.ContainsFunc(c.faults, func(f fakeaws.Fault) bool { return f.Operation == opGetResources && f.Kind == fakeaws.AccessDenied })
	return k.Unlisted && len(aliasNames(c.state, k.ID)) == 0 && (denied || !c.fits(k))
}

func (c *chaos) fits(k *fakeaws.Key) bool {
	if c.need.Filters == nil {
		return true
	}
	return slices.ContainsFunc(c.need.Filters, func(f inventory.TagFilter) bool {
		return !slices.ContainsFunc(f, func(want inventory.TagCondition) bool {
			return !slices.ContainsFunc(k.Tags, func(t fakeaws.Tag) bool {
				return t.Key == want.Key && (want.Values == nil || slices.Contains(want.Values, t.Value))
			})
		})
	})
}

func stateOf(k *fakeaws.Key) string {
	if k.State == "" {
		return "Enabled"
	}
	return k.State
}

func tagsOf(k *fakeaws.Key) []inventory.Tag {
	var tags []inventory.Tag
	for _, t := range k.Tags {
		tags = append(tags, inventory.Tag{Key: t.Key, Value: t.Value})
	}
	sortTags(tags)
	return tags
}

func aliasNames(st fakeaws.State, id string) []string {
	var out []string
	for _, a := range st.Aliases {
		if a.Target == id {
			out = append(out, a.Name)
		}
	}
	slices.Sort(out)
	return out
}

func names(as []inventory.Alias) []string {
	var out []string
	for _, a := range as {
		out = append(out, a.Name)
	}
	slices.Sort(out)
	return out
}

// The decisions on an inventory that was read for the rules are those on the
// full one, for every key: through the real clients, in bulk and key by key.
func TestPushdownChangesNoDecision(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(schedulesSeed, 1<<32))
	pushed, watched := 0, 0
	for round := range 60 {
		st := randomAccount(r)
		yaml := randomRules(r)
		parsed, problems := config.Parse("keywatch.yaml", []byte("version: 1\nrules:\n"+yaml), nil)
		if parsed == nil || len(parsed.Rules) == 0 {
			t.Fatalf("%v in\n%s", problems, yaml)
		}
		srv := fakeaws.Start(t, st, fakeaws.PageSize(1+r.IntN(9)))
		if round%4 == 3 {
			withoutTagging(srv)
		}
		need := rules.Need(parsed.Rules)
		if need.Filters != nil {
			pushed++
		}
		full, part := readAll(t, srv), readFor(t, srv, need)
		read := map[string]*inventory.Key{}
		for i := range part.Keys {
			read[part.Keys[i].ARN] = &part.Keys[i]
		}
		engine := rules.New(parsed.Rules)
		for i := range full.Keys {
			k := &full.Keys[i]
			want, have := engine.Decide(k), read[k.ARN]
			if have == nil {
				// Only one that ListKeys does not have yet, and that no rule takes.
				if unlisted := slices.ContainsFunc(st.Keys, func(s fakeaws.Key) bool { return s.ID == k.ID && s.Unlisted }); !unlisted || want.Status != rules.Unmatched {
					t.Errorf("round %d: lost %+v", round, k)
				}
				continue
			}
			if got := engine.Decide(have); got.Status != want.Status || !slices.Equal(got.Rules, want.Rules) {
				t.Errorf("round %d: %+v on %+v; in full %+v on %+v; by\n%s", round, got, have, want, k, yaml)
			}
			if want.Status == rules.Watched {
				watched++
			}
		}
		if len(part.Keys) > len(full.Keys) {
			t.Errorf("round %d: %d keys, in full %d", round, len(part.Keys), len(full.Keys))
		}
		_ = srv.Close()
	}
	if pushed < 20 || watched < 60 {
		t.Errorf("the generator is lopsided: %d of 60 are pushed down, %d keys watched", pushed, watched)
	}
}

func randomRules(r *rand.Rand) string {
	leaves := []string{
		`{tag: env, equals: prod}`, `{tag: team, in: [prod, dev]}`, `{tag: name, exists: true}`, `{tag: env, equals: ""}`, `{tag: team, glob: "*/x"}`,
		`{tag: env, exists: false}`, `{not: {tag: team, equals: dev}}`,
	}
	leaf := func() string { return leaves[min(r.IntN(len(leaves)+4), r.IntN(len(leaves)))] }
	var b strings.Builder
	for i := range 1 + r.IntN(3) {
		match := leaf()
		switch r.IntN(4) {
		case 0:
			match = "{all: [" + leaf() + ", " + leaf() + "]}"
		case 1:
			match = "{any: [" + leaf() + ", " + leaf() + "]}"
		}
		fmt.Fprintf(&b, "  - {name: r-%d, match: %s, watch: %v}\n", i, match, r.IntN(4) > 0)
	}
	return b.String()
}

// A reading that is cancelled at any moment is an error, and no request comes
// after it has returned.
func TestCancelledAtAnyMoment(t *testing.T) {
	t.Parallel()
	for i := range 20 {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			t.Parallel()
			srv := fakeaws.Start(t, manyKeys(60), fakeaws.PageSize(10), fakeaws.Latency(time.Millisecond))
			ctx, cancel := context.WithTimeout(t.Context(), time.Duration(i)*2*time.Millisecond)
			inv, err := session(t, srv, quick()).Inventory(ctx, inventory.Need{})
			cancel()
			if (inv == nil) == (err == nil) || inv != nil && len(inv.Keys) != 60 {
				t.Errorf("%v, %v", inv, err)
			}
			time.Sleep(300 * time.Millisecond) // what was sent arrives
			n := len(srv.Calls())
			time.Sleep(100 * time.Millisecond)
			if more := len(srv.Calls()) - n; more > 0 {
				t.Errorf("%d requests after the return", more)
			}
		})
	}
}
