package live

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"keywatch/internal/inventory"
	"keywatch/test/fakeaws"
)

// keysWith is an account of n keys with these tags, "key=value".
func keysWith(n int, tags ...string) fakeaws.State {
	st := fakeaws.State{Account: account, Region: region}
	for i := range n {
		k := fakeaws.Key{ID: id(i)}
		for _, t := range tags {
			name, value, _ := strings.Cut(t, "=")
			k.Tags = append(k.Tags, fakeaws.Tag{Key: name, Value: value})
		}
		st.Keys = append(st.Keys, k)
	}
	return st
}

func needsNothing() inventory.Need {
	return inventory.Need{Describe: func(*inventory.Key) bool { return false }}
}

func filter(conditions ...inventory.TagCondition) inventory.TagFilter { return conditions }

func has(key string, values ...string) inventory.TagCondition {
	return inventory.TagCondition{Key: key, Values: values}
}

// The fewest calls that the APIs allow, exactly.
func TestCallsAreTheTheoreticalMinimum(t *testing.T) {
	t.Parallel()
	const keys, tagged, needed = 2345, 1801, 77
	st := manyKeys(keys)
	for i := tagged; i < keys; i++ {
		st.Keys[i].Tags = nil
	}
	for i := range needed {
		st.Keys[i*20].Tags = append(st.Keys[i*20].Tags, fakeaws.Tag{Key: "watch", Value: "yes"})
	}
	// The latency is that an answer never comes before net/http has noticed that
	// it has sent the whole request: it then drops the connection, and the SDK
	// asks once more.
	srv := fakeaws.Start(t, st, fakeaws.PageSize(1000), fakeaws.Latency(5*time.Millisecond))
	inv := readFor(t, srv, inventory.Need{Describe: func(k *inventory.Key) bool { _, ok := k.Tag("watch"); return ok }})
	want := map[string]int{opListKeys: 3, opListAliases: 24, opGetResources: 19, opDescribeKey: needed, opListResourceTags: 0, opGetCallerIdentity: 1}
	for op, n := range want {
		if got := srv.Count(op); got != n {
			t.Errorf("%d %s; want %d", got, op, n)
		}
	}
	described := 0
	for _, k := range inv.Keys {
		_, watched := k.Tag("watch")
		if k.Described != watched || k.Alias() == "" {
			t.Fatalf("key %+v", k)
		}
		if k.Described {
			described++
		}
	}
	if len(inv.Keys) != keys || described != needed {
		t.Errorf("%d keys, %d described", len(inv.Keys), described)
	}
}

// With filters only what fits is fetched, in as many pages as it fills.
func TestFiltersArePushedDown(t *testing.T) {
	t.Parallel()
	account := func() fakeaws.State {
		st := keysWith(1000, "env=dev")
		for i := range 150 {
			st.Keys[i].Tags[0].Value = "prod"
			st.Keys[i].Tags = append(st.Keys[i].Tags, fakeaws.Tag{Key: "team", Value: fmt.Sprint("t", i%3)})
		}
		return st
	}
	tests := map[string]struct {
		filters []inventory.TagFilter
		calls   int
		tagged  int // keys that are returned with tags
		omitted bool
	}{
		"none":                   {nil, 10, 1000, false},
		"none can match":         {[]inventory.TagFilter{}, 0, 0, true},
		"one":                    {[]inventory.TagFilter{filter(has("env", "prod"))}, 2, 150, true},
		"any value":              {[]inventory.TagFilter{filter(has("team"))}, 2, 150, true},
		"and":                    {[]inventory.TagFilter{filter(has("env", "prod"), has("team", "t1", "t2"))}, 1, 100, true},
		"or":                     {[]inventory.TagFilter{filter(has("team", "t0")), filter(has("team", "t1"))}, 2, 100, true},
		"or, overlapping":        {[]inventory.TagFilter{filter(has("team", "t0")), filter(has("env", "prod"))}, 3, 150, true},
		"nothing fits":           {[]inventory.TagFilter{filter(has("env", "Prod"))}, 1, 0, true},
		"as many as all pages":   {slices.Repeat([]inventory.TagFilter{filter(has("team", "t0"))}, 10), 10, 50, true},
		"more than all pages":    {slices.Repeat([]inventory.TagFilter{filter(has("team", "t0"))}, 11), 10, 1000, false},
		"costlier than all":      {[]inventory.TagFilter{filter(has("env")), filter(has("team")), filter(has("env", "prod"))}, 8 + 10, 1000, false},
		"too many values to ask": {[]inventory.TagFilter{filter(has("team", append(numbers(20), "t0")...))}, 2, 150, true},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			srv := fakeaws.Start(t, account(), fakeaws.PageSize(1000), fakeaws.Latency(5*time.Millisecond))
			need := needsNothing()
			need.Filters = tt.filters
			inv := readFor(t, srv, need)
			tagged := 0
			for _, k := range inv.Keys {
				if len(k.Tags) > 0 {
					tagged++
				}
				if k.TagsOmitted != (tt.omitted && len(k.Tags) == 0) {
					t.Fatalf("TagsOmitted of %+v", k)
				}
			}
			if got := srv.Count(opGetResources); got != tt.calls || tagged != tt.tagged || len(inv.Keys) != 1000 {
				t.Errorf("%d calls, %d of %d keys with tags; want %d calls, %d of 1000", got, tagged, len(inv.Keys), tt.calls, tt.tagged)
			}
		})
	}
}

func numbers(n int) []string {
	out := make([]string, n)
	for i := range out {
		out[i] = fmt.Sprint(i)
	}
	return out
}

// What the tagging API and KMS do not agree on.
func TestTheTwoSourcesAreReconciled(t *testing.T) {
	t.Parallel()
	tag := []fakeaws.Tag{{Key: "a", Value: "b"}}
	tests := map[string]struct {
		key       fakeaws.Key
		alias     bool
		tags      int
		gone      bool
		described bool
		denied    bool
	}{
		"never tagged":                               {key: fakeaws.Key{}},
		"tagged":                                     {key: fakeaws.Key{Tags: tag}, tags: 1},
		"was tagged once":                            {key: fakeaws.Key{EverTagged: true}},
		"tagged a moment ago":                        {key: fakeaws.Key{Tags: tag, Untracked: true}},
		"untagged a moment ago":                      {key: fakeaws.Key{StaleTags: tag}, tags: 1},
		"new: not listed yet":                        {key: fakeaws.Key{Tags: tag, Unlisted: true}, tags: 1, described: true},
		"new: only an alias tells of it":             {key: fakeaws.Key{Unlisted: true}, alias: true, described: true},
		"deleted, and the tagging API does not know": {key: fakeaws.Key{Tags: tag, Deleted: true, Lingers: true}, tags: 1, gone: true},
		"new and denied":                             {key: fakeaws.Key{Tags: tag, Unlisted: true, DenyDescribe: true}, tags: 1, denied: true},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tt.key.ID = id(1)
			st := fakeaws.State{Keys: []fakeaws.Key{{ID: id(0)}, tt.key}}
			if tt.alias {
				st.Aliases = []fakeaws.Alias{{Name: "alias/new", Target: id(1)}}
			}
			inv := readFor(t, fakeaws.Start(t, st), needsNothing())
			if len(inv.Keys) != 2 {
				t.Fatalf("%d keys: %+v", len(inv.Keys), inv.Keys)
			}
			k := inv.Keys[1]
			if len(k.Tags) != tt.tags || k.Gone != tt.gone || k.Described != tt.described || (k.Unreadable != "") != tt.denied || k.TagsOmitted {
				t.Errorf("got %+v; want %+v", k, tt)
			}
			if inv.Keys[0].Described {
				t.Errorf("a key that nobody needs was described")
			}
		})
	}
}

func TestWithoutGetResourcesTheTagsAreReadKeyByKeyAndItIsSaid(t *testing.T) {
	t.Parallel()
	want := readAll(t, fakeaws.Start(t, world()))
	srv := fakeaws.Start(t, world())
	withoutTagging(srv)
	var said []string
	o := quick()
	o.Notice = func(s string) { said = append(said, s) }
	inv, err := session(t, srv, o).Inventory(t.Context(), inventory.Need{Filters: []inventory.TagFilter{filter(has("env"))}})
	if err != nil || !reflect.DeepEqual(inv, want) {
		t.Errorf("got %+v, %v\nwant %+v", inv, err, want)
	}
	if !slices.Equal(said, []string{noticeWithoutTagging}) {
		t.Errorf("said %q", said)
	}
	if n := srv.Count(opGetResources); n != 1 {
		t.Errorf("%d GetResources", n)
	}
	asked := map[string]bool{}
	for _, c := range srv.Calls() {
		if c.Name() == opListResourceTags {
			asked[c.Key] = true
		}
	}
	if len(asked) != 4 || asked[id(3)] {
		t.Errorf("tags of %v; want those of four keys, and not of the AWS managed one", asked)
	}
}

// The permission goes half-way: what was read is read again, the other way.
func TestGetResourcesIsDeniedHalfWay(t *testing.T) {
	t.Parallel()
	want := readAll(t, fakeaws.Start(t, world()))
	srv := fakeaws.Start(t, world())
	srv.Fail(fakeaws.Fault{Operation: opGetResources, Nth: 2, Kind: fakeaws.AccessDenied, Times: fakeaws.Forever})
	if got := readAll(t, srv); !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v\nwant %+v", got, want)
	}
}

func TestAnExpiredTokenBeginsTheQueryAnew(t *testing.T) {
	t.Parallel()
	srv := fakeaws.Start(t, keysWith(950, "env=dev"), fakeaws.PageSize(1000), fakeaws.Latency(5*time.Millisecond))
	for i := range maxRestarts {
		srv.Fail(fakeaws.Fault{Operation: opGetResources, Nth: 3 * (i + 1), Kind: fakeaws.ExpiredPage})
	}
	inv := readFor(t, srv, needsNothing())
	if n := srv.Count(opGetResources); n != 3*maxRestarts+10 {
		t.Errorf("%d GetResources; want three for each of %d restarts and ten", n, maxRestarts)
	}
	if slices.ContainsFunc(inv.Keys, func(k inventory.Key) bool { return len(k.Tags) != 1 }) {
		t.Error("a key lost its tag")
	}
}

// A key that is tagged anew between two pages that both have it keeps the newer
// tags.
func TestTheNewestTagsCount(t *testing.T) {
	t.Parallel()
	srv := fakeaws.Start(t, keysWith(2, "env=dev"))
	srv.Fail(fakeaws.Fault{Operation: opGetResources, Nth: 2, Kind: fakeaws.ExpiredPage, Change: func(s *fakeaws.State) {
		s.Keys[0].Tags = []fakeaws.Tag{{Key: "env", Value: "prod"}}
	}})
	inv := readFor(t, srv, inventory.Need{Describe: func(k *inventory.Key) bool { v, _ := k.Tag("env"); return v == "prod" }})
	if v, _ := inv.Keys[0].Tag("env"); v != "prod" || !inv.Keys[0].Described || inv.Keys[1].Described {
		t.Errorf("got %+v", inv.Keys)
	}
}

func TestInternedStringsAreOne(t *testing.T) {
	t.Parallel()
	var in interner
	page := strings.Repeat("x", 1000)
	a, b := in.one(page[:5]), in.one(page[10:15])
	if a != b || len(in.known) != 1 {
		t.Errorf("%q, %q, %d known", a, b, len(in.known))
	}
	for i := range maxInterned * 2 {
		in.one(fmt.Sprint(i))
	}
	if len(in.known) > maxInterned || in.one("new") != "new" {
		t.Errorf("%d known", len(in.known))
	}
}
