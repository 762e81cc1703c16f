package snapshot_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"keywatch/internal/naming"
	"keywatch/internal/plan"
	"keywatch/internal/snapshot"
)

var stackName = naming.Deployment("kw").AlarmStack

func candidate(unit string, resources int) plan.Candidate {
	k, _, _ := strings.Cut(unit, "/")
	return plan.Candidate{Unit: unit, Key: k, Size: plan.Size{Resources: resources, Bytes: resources * 700}}
}

func candidates(units ...string) []plan.Candidate {
	var out []plan.Candidate
	for _, u := range units {
		out = append(out, candidate(u, 2))
	}
	return out
}

// Whatever is added: existing places never change, what is added has a place
// that is among the stacks, and the result can be written and read.
func TestPlaceOnlyAppends(t *testing.T) {
	t.Parallel()
	const seed, cases = 20261122, 2000
	r := rand.New(rand.NewPCG(seed, 3))
	fill := plan.Fill{New: plan.Size{Resources: 12, Bytes: 700_000}, Grown: plan.Size{Resources: 13, Bytes: 900_000}}
	full, grew, opened := 0, 0, 0
	for n := range cases {
		s := of()
		s.Places.Units = map[string]int{}
		for step := range 4 {
			var units []plan.Candidate
			for k := range 1 + r.IntN(8) {
				for _, op := range []string{"Decrypt", "Encrypt", "Sign"} {
					if r.IntN(2) == 0 {
						units = append(units, candidate(fmt.Sprintf("k%d-%d/%s", r.IntN(3), k, op), 1+r.IntN(4)))
					}
				}
			}
			slices.SortFunc(units, func(a, b plan.Candidate) int { return strings.Compare(a.Unit, b.Unit) })
			units = slices.CompactFunc(units, func(a, b plan.Candidate) bool { return a.Unit == b.Unit })
			before := maps.Clone(s.Places.Units)
			got, added, problems := snapshot.Place(&s, units, fill, stackName)
			if diff := cmp.Diff(before, s.Places.Units); diff != "" {
				t.Fatalf("seed %d, case %d: Place changes what it is given:\n%s", seed, n, diff)
			}
			if len(problems) > 0 {
				full++
				if got != nil {
					t.Fatalf("seed %d, case %d: a snapshot beside %v", seed, n, problems)
				}
				break
			}
			for unit, stack := range before {
				if got.Places.Units[unit] != stack {
					t.Fatalf("seed %d, case %d, step %d: %s moved from %d to %d", seed, n, step, unit, stack, got.Places.Units[unit])
				}
			}
			if len(got.Places.Units) != len(before)+len(added) || !slices.IsSorted(added) {
				t.Fatalf("seed %d, case %d: %d places, then %d, said to be added: %q", seed, n, len(before), len(got.Places.Units), added)
			}
			for _, u := range units {
				if !slices.Contains(got.Places.Stacks, got.Places.Units[u.Unit]) {
					t.Fatalf("seed %d, case %d: %s has no stack", seed, n, u.Unit)
				}
			}
			if len(snapshot.Unplaced(names(units), got.Places)) > 0 {
				t.Fatalf("seed %d, case %d: a unit is still unplaced", seed, n)
			}
			grew += len(added)
			opened = max(opened, len(got.Places.Stacks))
			s = *decode(t, encode(t, *got))
		}
	}
	if full < 10 || grew < 1000 || opened < 3 {
		t.Errorf("the cases show too little: %d full, %d units added, %d stacks", full, grew, opened)
	}
}

func names(units []plan.Candidate) []string {
	var out []string
	for _, u := range units {
		out = append(out, u.Unit)
	}
	return out
}

func TestRefreshKeepsAndTakesPlaces(t *testing.T) {
	t.Parallel()
	denied := key(9, refused("kms:DescribeKey: AccessDeniedException"))
	old := of()
	old.File = "old.json"
	old.Places = plan.Places{Units: map[string]int{"a/x": 1, "b/x": 2, "c/x": 3, "gone/x": 4, denied.ID + "/x": 2}, Stacks: []int{1, 2, 3, 4, 5}}
	deployed := plan.Places{
		Units: map[string]int{"a/x": 1, "d/x": 7, "going/x": 1}, Stacks: []int{1, 6, 7},
		Elsewhere: map[string]plan.Holder{"e/x": {Stack: "other-alarms-001", Deployment: "other"}},
		Names:     map[string]string{"Alarm": "name"},
	}
	inv := of(key(1), denied).Inventory
	got, problems := snapshot.Refresh(&old, inv, deployed, candidates("a/x", "b/x", "c/x", "new/x"), stackName)
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	want := &snapshot.Snapshot{File: "old.json", Inventory: inv, Places: plan.Places{
		// b and c are placed and wanted; d and going are deployed; gone is neither;
		// of denied nobody knows.
		Units: map[string]int{"a/x": 1, "b/x": 2, "c/x": 3, "d/x": 7, "going/x": 1, denied.ID + "/x": 2},
		// 6 exists and is empty; 4 and 5 neither exist nor hold anything.
		Stacks:    []int{1, 2, 3, 6, 7},
		Elsewhere: deployed.Elsewhere,
	}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	first, problems := snapshot.Refresh(nil, inv, plan.Places{}, candidates("a/x"), stackName)
	if len(problems) > 0 || len(first.Places.Units) > 0 || len(first.Places.Stacks) > 0 {
		t.Errorf("the first snapshot has the places %+v, %v", first.Places, problems)
	}
}

func TestRefreshRefusesPlacesThatDisagree(t *testing.T) {
	t.Parallel()
	old := of()
	old.File = "old.json"
	old.Places = plan.Places{Units: map[string]int{"a/x": 1, "b/x": 2}, Stacks: []int{1, 2}}
	got, problems := snapshot.Refresh(&old, of().Inventory, plan.Places{Units: map[string]int{"a/x": 1, "b/x": 1}, Stacks: []int{1}}, nil, stackName)
	if got != nil || len(problems) != 1 || problems[0].Code != "snapshot-places" ||
		!strings.HasPrefix(problems[0].String(), "old.json: the alarms of b/x are deployed in stack kw-alarms-001, but the snapshot places them in kw-alarms-002; ") {
		t.Errorf("%v, %v", got, problems)
	}
}

// What the stacks have and the file lacks is a problem; what the file has and the
// stacks lack is yet to be deployed.
func TestUnknown(t *testing.T) {
	t.Parallel()
	known := plan.Places{Units: map[string]int{"a/x": 1, "b/x": 2}, Stacks: []int{1, 2}}
	for want, deployed := range map[string]plan.Places{
		"":  {},
		" ": {Units: map[string]int{"a/x": 1}, Stacks: []int{1, 2}},
		"1 of the 3 deployed units of alarms (c/x), so": {Units: map[string]int{"a/x": 1, "b/x": 2, "c/x": 1}, Stacks: []int{1, 2}},
		"5 of the 5 deployed units of alarms (c/x, d/x, e/x and 2 more) and 2 of the 3 deployed alarm stacks (kw-alarms-003, kw-alarms-004), so": {
			Units: map[string]int{"c/x": 3, "d/x": 3, "e/x": 3, "f/x": 3, "g/x": 3}, Stacks: []int{1, 3, 4},
		},
		"1 of the 1 deployed alarm stacks (kw-alarms-003), so": {Stacks: []int{3}},
	} {
		l := snapshot.Unknown("f.json", known, deployed, stackName)
		if want = strings.TrimSpace(want); want == "" {
			if len(l) > 0 {
				t.Errorf("%v: %v", deployed, l)
			}
			continue
		}
		if len(l) != 1 || l[0].Code != "snapshot-places" || !strings.HasPrefix(l[0].String(), "f.json: the snapshot does not know "+want) || !strings.Contains(l[0].Message, "`keywatch snapshot`") {
			t.Errorf("%v, want %q", l, want)
		}
	}
	// The first stack is there from the first deploy on, whatever it holds.
	if l := snapshot.Unknown("f.json", plan.Places{}, plan.Places{Stacks: []int{1}}, stackName); len(l) > 0 {
		t.Error(l)
	}
}

// What is younger than the file and would go is a problem, be it one alarm of a unit
// that stays; what is as old, or that Unknown names, is none.
func TestBehind(t *testing.T) {
	t.Parallel()
	s := of()
	s.File = "f.json"
	s.Places.Units = map[string]int{"a/x": 1, "a/y": 1, "b/x": 1}
	after := readAt.Add(time.Nanosecond)
	lost := func(unit, name string, changed time.Time) plan.Loss {
		return plan.Loss{Unit: unit, Name: name, Changed: changed}
	}
	tests := map[string]struct {
		losses []plan.Loss
		want   string
	}{
		"nothing goes":             {},
		"older, or of that moment": {losses: []plan.Loss{lost("a/x", "one", readAt.Add(-time.Hour)), lost("a/y", "two", readAt), lost("b/x", "three", time.Time{})}},
		"no such unit in the file": {losses: []plan.Loss{lost("c/x", "one", after)}},
		"one":                      {[]plan.Loss{lost("a/x", "one", after), lost("a/y", "two", readAt)}, "1 alarm of 1 key was deployed after this snapshot was read (2026-11-22T10:30:00Z) and would go: one; "},
		"several of two keys": {
			[]plan.Loss{lost("a/x", "one", after), lost("a/x", "two", after), lost("a/y", "three", after), lost("b/x", "four", after), lost("c/x", "five", after)},
			"4 alarms of 2 keys were deployed after this snapshot was read (2026-11-22T10:30:00Z) and would go: one, two, three and 1 more; ",
		},
	}
	for name, tt := range tests {
		l := snapshot.Behind(&s, tt.losses)
		if tt.want == "" {
			if len(l) > 0 {
				t.Errorf("%s: %v", name, l)
			}
			continue
		}
		if len(l) != 1 || l[0].Code != "snapshot-behind" || l.Err() == nil || !strings.HasPrefix(l[0].String(), "f.json: "+tt.want) || !strings.Contains(l[0].Message, "`keywatch snapshot`") {
			t.Errorf("%s: %v, want %q", name, l, tt.want)
		}
	}
}

func TestUnplacedNamesTheVerb(t *testing.T) {
	t.Parallel()
	p := plan.Places{Units: map[string]int{"a/x": 1}}
	for want, units := range map[string][]string{
		"":                           {"a/x"},
		"of b/x; add":                {"b/x", "a/x"},
		"of b/x, c/x, d/x; add":      {"d/x", "c/x", "b/x"},
		"b/x, c/x, d/x and 2 more; ": {"f/x", "e/x", "d/x", "c/x", "b/x", "a/x"},
	} {
		l := snapshot.Unplaced(units, p)
		if want == "" && len(l) == 0 {
			continue
		}
		if len(l) != 1 || l[0].Code != "snapshot-unplaced" || !strings.Contains(l[0].Message, want) || !strings.Contains(l[0].Message, "`keywatch snapshot --place`") {
			t.Errorf("%q: %v, want %q", units, l, want)
		}
	}
	if snapshot.Unplaced(nil, plan.Places{}) != nil {
		t.Error("nothing to place is a problem")
	}
}

// Place and plan.Place agree: what --place writes is what a live synth would do.
func TestPlaceIsThatOfThePlan(t *testing.T) {
	t.Parallel()
	s := of()
	s.Places = plan.Places{Units: map[string]int{"a/x": 2}, Stacks: []int{1, 2}}
	units := candidates("a/x", "a/y", "b/x")
	got, added, problems := snapshot.Place(&s, units, plan.DefaultFill, stackName)
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	live, _ := plan.Place(s.Places, units, plan.DefaultFill, stackName)
	if diff := cmp.Diff(live.Units, got.Places.Units, cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("(-live +snapshot):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"a/y", "b/x"}, added); diff != "" {
		t.Error(diff)
	}
}
