package plan_test

import (
	"cmp"
	"fmt"
	"maps"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"

	"keywatch/constructs/spec"
	"keywatch/internal/diag"
	"keywatch/internal/naming"
	"keywatch/internal/plan"
)

// world is what a random history changes: for each key, the alarms on each
// operation. A unit has a detector and one alarm or more.
type world struct {
	r    *rand.Rand
	keys map[string]map[string]int // key → operation → alarms
	next int
}

var operations = []string{"Decrypt", "Decrypt+Encrypt", "Encrypt", "GenerateDataKey", "GenerateDataKeyPair", "GenerateDataKeyWithoutPlaintext"}

// candidates of the world as a plan lists them: by key, then by operation.
func (w *world) candidates() []plan.Candidate {
	var out []plan.Candidate
	for _, k := range slices.Sorted(maps.Keys(w.keys)) {
		for _, op := range slices.Sorted(maps.Keys(w.keys[k])) {
			alarms := w.keys[k][op]
			out = append(out, plan.Candidate{Unit: k + "/" + op, Key: k, Size: plan.Size{Resources: 1 + alarms, Bytes: 550 + alarms*(1400+len(op)*20)}})
		}
	}
	return out
}

func (w *world) add() {
	w.next++
	k := fmt.Sprintf("key-%d-%d", w.r.IntN(1000), w.next) // anywhere in the order
	w.keys[k] = map[string]int{}
	for _, op := range operations {
		if w.r.IntN(2) == 0 {
			w.keys[k][op] = 1
		}
	}
}

// step changes the world as users do.
func (w *world) step() {
	any := func() string {
		all := slices.Sorted(maps.Keys(w.keys))
		if len(all) == 0 {
			w.add()
			return w.any()
		}
		return all[w.r.IntN(len(all))]
	}
	switch w.r.IntN(7) {
	case 0, 1: // keys come
		for range 1 + w.r.IntN(5) {
			w.add()
		}
	case 2: // keys go, or are retagged out of scope
		for range 1 + w.r.IntN(4) {
			delete(w.keys, any())
		}
	case 3: // a key is retagged to another rule
		k := any()
		for op := range w.keys[k] {
			if w.r.IntN(2) == 0 {
				delete(w.keys[k], op)
			}
		}
		w.keys[k][operations[w.r.IntN(len(operations))]] = 1 + w.r.IntN(3)
	case 4: // a rule adds or drops an operation for all
		op, on := operations[w.r.IntN(len(operations))], w.r.IntN(2) == 0
		for _, ops := range w.keys {
			if delete(ops, op); on {
				ops[op] = 1
			}
		}
	case 5: // a rule adds a kind of alarm: units grow in place
		w.eachUnit(func(n int) int { return n + 1 })
	case 6: // or drops one
		w.eachUnit(func(n int) int { return max(1, n-1) })
	}
}

func (w *world) any() string { return slices.Sorted(maps.Keys(w.keys))[0] }

func (w *world) eachUnit(f func(int) int) {
	op := operations[w.r.IntN(len(operations))]
	all := w.r.IntN(3) == 0
	for _, ops := range w.keys {
		for o, n := range ops {
			if all || o == op {
				ops[o] = f(n)
			}
		}
	}
}

func plus(a, b plan.Size) plan.Size {
	return plan.Size{Resources: a.Resources + b.Resources, Bytes: a.Bytes + b.Bytes}
}

func fits(s, limit plan.Size) bool { return s.Resources <= limit.Resources && s.Bytes <= limit.Bytes }

var stackName = naming.Deployment("kw").AlarmStack

// seen is what the histories have shown, so that the test can tell whether its
// generator produces what it is about.
type seen struct{ full, grown, opened, reused, split int }

func TestPlacedUnitsNeverMove(t *testing.T) {
	const seed, histories = 20261122, 10_000
	t.Logf("seed %d, %d histories", seed, histories)
	var s seen
	for n := range histories {
		r := rand.New(rand.NewPCG(seed, uint64(n)))
		w := &world{r: r, keys: map[string]map[string]int{}}
		limit, each := 8+r.IntN(30), 900+r.IntN(500) // resources and bytes are short by turns
		fill := plan.Fill{New: plan.Size{Resources: limit, Bytes: limit * each}, Grown: plan.Size{Resources: limit * 4 / 3, Bytes: limit * each * 9 / 7}}
		for range r.IntN(8) {
			w.add()
		}
		known := plan.Places{Units: map[string]int{}}
		for step := range 7 {
			where := fmt.Sprintf("history %d, step %d, fill %v", n, step, fill)
			next, problems := judge(t, where, known, w.candidates(), fill, r, &s)
			if len(problems) > 0 {
				s.full++
				break // nothing is deployed; here the history cannot go on
			}
			known = plan.Places{Units: next.Units, Stacks: next.Stacks}
			w.step()
		}
		if t.Failed() {
			return
		}
	}
	t.Logf("%+v", s)
	if s.full < 500 || s.full > histories/2 || s.grown < 1000 || s.opened < 1000 || s.reused < 1000 || s.split < 100 {
		t.Errorf("the generator is lopsided: %+v", s)
	}
}

// judge places once and holds the result against what is promised.
func judge(t *testing.T, where string, known plan.Places, units []plan.Candidate, fill plan.Fill, r *rand.Rand, s *seen) (plan.Placement, diag.List) {
	t.Helper()
	got, problems := plan.Place(known, units, fill, stackName)
	used, before := map[int]plan.Size{}, map[int]plan.Size{}
	fresh := map[int]bool{} // stacks that took a new unit
	for _, u := range units {
		n, placed := got.Units[u.Unit]
		old, was := known.Units[u.Unit]
		switch {
		case was && (!placed || n != old):
			t.Errorf("%s: %s moved from %d to %d", where, u.Unit, old, n)
		case was:
			before[old] = plus(before[old], u.Size)
		case placed:
			fresh[n] = true
		}
		if placed {
			used[n] = plus(used[n], u.Size)
		}
	}
	judgeStacks(t, where, known, got, used)
	judgeProblems(t, where, got, problems, before, units, fill)
	for n := range used {
		if fresh[n] && !fits(used[n], fill.New) {
			t.Errorf("%s: new units push stack %d to %v", where, n, used[n])
		}
		if len(problems) == 0 && !fits(used[n], fill.Grown) {
			t.Errorf("%s: stack %d holds %v and nobody says so", where, n, used[n])
		}
		if !fits(used[n], fill.New) {
			s.grown++
		}
	}
	judgeRoom(t, where, known, got, units, used, fill, s)
	if r.IntN(4) == 0 {
		judgeOrder(t, where, known, got, units, fill, r)
	}
	return got, problems
}

// judgeStacks: stack 1 and every known stack are there, sorted, and no others
// but those in use.
func judgeStacks(t *testing.T, where string, known plan.Places, got plan.Placement, used map[int]plan.Size) {
	t.Helper()
	want := map[int]bool{1: true}
	for _, n := range known.Stacks {
		want[n] = true
	}
	for n := range used {
		want[n] = true
	}
	if !slices.Equal(got.Stacks, slices.Sorted(maps.Keys(want))) {
		t.Errorf("%s: stacks %v, want %v", where, got.Stacks, slices.Sorted(maps.Keys(want)))
	}
}

// judgeProblems: [placement-full] for each stack that outgrew its limit, with
// its name and units, for each unit that no stack can take, and for nothing
// else.
func judgeProblems(t *testing.T, where string, got plan.Placement, problems diag.List, before map[int]plan.Size, units []plan.Candidate, fill plan.Fill) {
	t.Helper()
	want := 0
	for n, size := range before {
		if fits(size, fill.Grown) {
			continue
		}
		want++
		if !slices.ContainsFunc(problems, func(p diag.Problem) bool {
			return p.Code == "placement-full" && strings.Contains(p.Message, stackName(n)+" ") && strings.Contains(p.Message, "Deploy twice") &&
				slices.ContainsFunc(units, func(u plan.Candidate) bool {
					return got.Units[u.Unit] == n && strings.Contains(p.Message, u.Unit)
				})
		}) {
			t.Errorf("%s: stack %d outgrew its limit with %v; problems %v", where, n, size, problems)
		}
	}
	for _, u := range units {
		if _, placed := got.Units[u.Unit]; placed {
			continue
		}
		want++
		if fits(u.Size, fill.New) || !strings.Contains(problems.Error(), u.Unit) {
			t.Errorf("%s: %s (%v) was not placed; problems %v", where, u.Unit, u.Size, problems)
		}
	}
	if len(problems) != want {
		t.Errorf("%s: %d problems, want %d: %v", where, len(problems), want, problems)
	}
}

// judgeRoom: the new units of a key are together where a stack can hold them,
// with the key's others if there is room, else in the lowest-numbered stack
// with room. Stacks only fill up while new units are placed, so a stack with
// room at the end had it all along.
func judgeRoom(t *testing.T, where string, known plan.Places, got plan.Placement, units []plan.Candidate, used map[int]plan.Size, fill plan.Fill, s *seen) {
	t.Helper()
	groups, homes := map[string][]plan.Candidate{}, map[string][]int{}
	for _, u := range units {
		if n, was := known.Units[u.Unit]; was {
			homes[u.Key] = append(homes[u.Key], n)
		} else {
			groups[u.Key] = append(groups[u.Key], u)
		}
	}
	for key, group := range groups {
		var whole plan.Size
		stacks := map[int]bool{}
		for _, u := range group {
			whole = plus(whole, u.Size)
			stacks[got.Units[u.Unit]] = true
		}
		if !fits(whole, fill.New) { // each by itself, the lowest with room
			for _, u := range group {
				if n, placed := got.Units[u.Unit]; placed {
					s.split++
					for _, m := range got.Stacks {
						if m < n && fits(plus(used[m], u.Size), fill.New) {
							t.Errorf("%s: %s went to stack %d though %d has room", where, u.Unit, n, m)
						}
					}
				}
			}
			continue
		}
		if len(stacks) != 1 {
			t.Errorf("%s: the new units of %s are in %d stacks", where, key, len(stacks))
		}
		n := got.Units[group[0].Unit]
		room := func(m int) bool { return m != n && fits(plus(used[m], whole), fill.New) }
		if slices.Contains(homes[key], n) {
			continue
		}
		if slices.ContainsFunc(homes[key], room) {
			t.Errorf("%s: the new units of %s are in stack %d, apart from its others in %v, which have room", where, key, n, homes[key])
		}
		existed := n == 1 || slices.Contains(known.Stacks, n)
		if existed {
			s.reused++
		} else {
			s.opened++
		}
		for _, m := range got.Stacks {
			if (m < n || !existed && slices.Contains(known.Stacks, m)) && room(m) {
				t.Errorf("%s: %s went to stack %d though %d has room: %v + %v", where, key, n, m, used[m], whole)
			}
		}
	}
	if len(known.Units) == 0 && len(known.Stacks) == 0 {
		judgeCount(t, where, used, fill)
	}
}

// judgeCount: of a first deploy, any two neighbouring stacks together hold more
// than one stack is filled to, in resources or in bytes: what opened the second
// did not fit into the first. So with T stacks' worth of resources and bytes
// taken together, fewer than 2·T + 2 stacks are made.
func judgeCount(t *testing.T, where string, used map[int]plan.Size, fill plan.Fill) {
	t.Helper()
	total := 0.0
	for _, u := range used {
		total += float64(u.Resources)/float64(fill.New.Resources) + float64(u.Bytes)/float64(fill.New.Bytes)
	}
	if n := len(used); n > 1 && float64(n/2) >= total {
		t.Errorf("%s: %d stacks for %.2f stacks' worth of resources and bytes", where, n, total)
	}
}

// judgeOrder: Place is a pure function, and in whatever order keys come, a
// placed unit stays.
func judgeOrder(t *testing.T, where string, known plan.Places, got plan.Placement, units []plan.Candidate, fill plan.Fill, r *rand.Rand) {
	t.Helper()
	places, sizes := maps.Clone(known.Units), slices.Clone(units)
	again, _ := plan.Place(known, units, fill, stackName)
	if !reflect.DeepEqual(got, again) || !maps.Equal(places, known.Units) || !slices.Equal(sizes, units) {
		t.Errorf("%s: not a pure function", where)
	}
	rank := map[string]int{}
	for i, n := range r.Perm(len(units)) {
		rank[units[i].Key] = n
	}
	shuffled := slices.Clone(units)
	slices.SortStableFunc(shuffled, func(a, b plan.Candidate) int { return cmp.Compare(rank[a.Key], rank[b.Key]) })
	stacks := slices.Clone(known.Stacks)
	slices.Reverse(stacks)
	other, _ := plan.Place(plan.Places{Units: known.Units, Stacks: stacks}, shuffled, fill, stackName)
	for _, u := range units {
		if n, was := known.Units[u.Unit]; was && (other.Units[u.Unit] != n || got.Units[u.Unit] != n) {
			t.Errorf("%s: in another order of keys %s is in %d, not %d", where, u.Unit, other.Units[u.Unit], n)
		}
	}
}

func TestFullStackSaysWhatToDo(t *testing.T) {
	known := plan.Places{Units: map[string]int{}, Stacks: []int{1, 2}}
	var units []plan.Candidate
	for i := range 5 {
		u := fmt.Sprintf("k%d/Decrypt", i)
		known.Units[u] = 2
		units = append(units, plan.Candidate{Unit: u, Key: fmt.Sprintf("k%d", i), Size: plan.Size{Resources: 100, Bytes: 100_500}})
	}
	_, problems := plan.Place(known, units, plan.DefaultFill, stackName)
	expect(t, problems, "placement-full",
		"error stack kw-alarms-002 would grow to 500 resources, 503 kB, more than 480 resources, 900 kB, and a deployed alarm never moves to another stack: it holds k0/Decrypt, k1/Decrypt, k2/Decrypt and 2 more. Deploy twice: first with a rule that says watch: false for some of these keys, then without it; they are then placed anew where there is room")
	big := []plan.Candidate{{Unit: "k/Decrypt", Key: "k", Size: plan.Size{Resources: 361, Bytes: 1}}}
	_, problems = plan.Place(plan.Places{}, big, plan.DefaultFill, stackName)
	expect(t, problems, "placement-full", "error the alarms of k/Decrypt alone take 361 resources, 1 kB, more than a stack is filled to (360 resources, 700 kB); give this key fewer alarms")
}

// Stacks that were deleted by hand leave holes; the lowest free number is used.
func TestNewStackTakesTheLowestFreeNumber(t *testing.T) {
	full := plan.Size{Resources: 360, Bytes: 1}
	known := plan.Places{Units: map[string]int{"a/x": 1, "b/x": 2, "d/x": 4}, Stacks: []int{4, 2, 1}}
	got, _ := plan.Place(known, []plan.Candidate{
		{Unit: "a/x", Key: "a", Size: full}, {Unit: "b/x", Key: "b", Size: full}, {Unit: "d/x", Key: "d", Size: full}, {Unit: "e/x", Key: "e", Size: full}, {Unit: "f/x", Key: "f", Size: full},
	}, plan.DefaultFill, stackName)
	if got.Units["e/x"] != 3 || got.Units["f/x"] != 5 || !slices.Equal(got.Stacks, []int{1, 2, 3, 4, 5}) {
		t.Errorf("%+v", got)
	}
}

// New units join their key's others in the second stack where those live,
// before a lower one that knows nothing of the key.
func TestNewUnitsJoinTheirKey(t *testing.T) {
	half, most := plan.Size{Resources: 180, Bytes: 1}, plan.Size{Resources: 350, Bytes: 1}
	known := plan.Places{Units: map[string]int{"k/a": 1, "fill/x": 1, "k/b": 3}, Stacks: []int{1, 2, 3}}
	got, _ := plan.Place(known, []plan.Candidate{
		{Unit: "fill/x", Key: "fill", Size: most}, {Unit: "k/a", Key: "k", Size: plan.Size{Resources: 5, Bytes: 1}}, {Unit: "k/b", Key: "k", Size: half}, {Unit: "k/c", Key: "k", Size: half},
	}, plan.DefaultFill, stackName)
	if got.Units["k/c"] != 3 {
		t.Errorf("k/c is in stack %d, want 3 with k/b", got.Units["k/c"])
	}
}

// The limits leave room below CloudFormation's own.
func TestDefaultFillIsBelowCloudFormation(t *testing.T) {
	f := plan.DefaultFill
	if f.New != (plan.Size{Resources: 360, Bytes: 700_000}) || f.Grown != (plan.Size{Resources: 480, Bytes: 900_000}) {
		t.Errorf("%+v", f)
	}
	for _, u := range plan.Build(load(t, everyKey), account(key(1)), plan.Options{}).Keys[0].Units {
		if u.Resources() != 2 || u.TemplateBytes() < 1500 || spec.Unit(u.Unit).TemplateBytes() > 3000 {
			t.Errorf("%s takes %d resources and %d bytes", u.ID, u.Resources(), u.TemplateBytes())
		}
	}
}
