package inventory_test

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"keywatch/internal/inventory"
)

var day = time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)

func alias(name string, days int) inventory.Alias {
	return inventory.Alias{Name: "alias/" + name, Created: day.AddDate(0, 0, days)}
}

func TestAliasOrderOldestFirstThenNameNoDateLast(t *testing.T) {
	elsewhere := inventory.Alias{Name: "alias/zone", Created: day.In(time.FixedZone("UTC+14", 14*3600))}
	want := []inventory.Alias{alias("a-old", 0), alias("b-old", 0), elsewhere, alias("a-new", 1), {Name: "alias/a-none"}, {Name: "alias/b-none"}}
	r := rand.New(rand.NewPCG(1, 1))
	for range 100 {
		got := append([]inventory.Alias(nil), want...)
		r.Shuffle(len(got), func(i, j int) { got[i], got[j] = got[j], got[i] })
		inventory.SortAliases(got)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("aliases (-want +got):\n%s", diff)
		}
	}
	k := inventory.Key{Aliases: want}
	if k.Alias() != "alias/a-old" {
		t.Errorf("the key is named %q", k.Alias())
	}
	if none := (&inventory.Key{}).Alias(); none != "" {
		t.Errorf("a key without aliases is named %q", none)
	}
}

func TestSortDoesNotDependOnTheOrderOfTheInput(t *testing.T) {
	whole := func() *inventory.Inventory {
		return &inventory.Inventory{Keys: []inventory.Key{
			{ARN: "arn:a", Tags: []inventory.Tag{{Key: "A", Value: ""}, {Key: "a", Value: "1"}, {Key: "a", Value: "2"}, {Key: "é", Value: "x"}}, Aliases: []inventory.Alias{alias("x", 0), alias("y", 1)}},
			{ARN: "arn:b"},
			{ARN: "arn:c", Tags: []inventory.Tag{{Key: "t", Value: "v"}}},
		}}
	}
	want := whole()
	for seed := range uint64(100) {
		r := rand.New(rand.NewPCG(seed, 2))
		got := whole()
		r.Shuffle(len(got.Keys), func(i, j int) { got.Keys[i], got.Keys[j] = got.Keys[j], got.Keys[i] })
		for i := range got.Keys {
			k := &got.Keys[i]
			r.Shuffle(len(k.Tags), func(i, j int) { k.Tags[i], k.Tags[j] = k.Tags[j], k.Tags[i] })
			r.Shuffle(len(k.Aliases), func(i, j int) { k.Aliases[i], k.Aliases[j] = k.Aliases[j], k.Aliases[i] })
		}
		got.Sort()
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("seed %d (-want +got):\n%s", seed, diff)
		}
	}
}

func TestTag(t *testing.T) {
	inv := inventory.Inventory{Keys: []inventory.Key{{Tags: []inventory.Tag{
		{Key: "team", Value: "pay"}, {Key: "Team", Value: "other"}, {Key: "empty", Value: ""}, {Key: "a b/ü", Value: "x"},
	}}}}
	inv.Sort()
	k := &inv.Keys[0]
	for _, c := range []struct {
		key, value string
		present    bool
	}{{"team", "pay", true}, {"Team", "other", true}, {"empty", "", true}, {"a b/ü", "x", true}, {"tea", "", false}, {"teams", "", false}, {"", "", false}} {
		if v, ok := k.Tag(c.key); v != c.value || ok != c.present {
			t.Errorf("Tag(%q) = %q, %v; want %q, %v", c.key, v, ok, c.value, c.present)
		}
	}
	if _, ok := (&inventory.Key{}).Tag("team"); ok {
		t.Error("a key without tags has one")
	}
}
