package live

import (
	"fmt"
	"reflect"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"context"

	"github.com/aws/aws-sdk-go-v2/service/kms"

	"keywatch/internal/inventory"
	"keywatch/test/fakeaws"
)

func readAll(t *testing.T, srv *fakeaws.Server) *inventory.Inventory {
	t.Helper()
	inv, err := session(t, srv, quick()).Inventory(t.Context(), inventory.Need{})
	if err != nil {
		t.Fatal(err)
	}
	return inv
}

func readFor(t *testing.T, srv *fakeaws.Server, need inventory.Need) *inventory.Inventory {
	t.Helper()
	inv, err := session(t, srv, quick()).Inventory(t.Context(), need)
	if err != nil {
		t.Fatal(err)
	}
	return inv
}

func TestInventoryOfTheWorldIsWholeAtEveryPageSize(t *testing.T) {
	t.Parallel()
	for size := 1; size <= 7; size++ {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			t.Parallel()
			srv := fakeaws.Start(t, world(), fakeaws.PageSize(size))
			if got := readAll(t, srv); !reflect.DeepEqual(got, worldInventory()) {
				t.Errorf("page size %d:\n got %+v\nwant %+v", size, got, worldInventory())
			}
		})
	}
}

func TestInventoryDoesNotDependOnTheOrderOfTheAnswers(t *testing.T) {
	t.Parallel()
	want := worldInventory()
	for seed := range uint64(20) {
		if got := readAll(t, fakeaws.Start(t, world(), fakeaws.Shuffle(seed), fakeaws.PageSize(4))); !reflect.DeepEqual(got, want) {
			t.Errorf("seed %d:\n got %+v\nwant %+v", seed, got, want)
		}
	}
}

func TestAnAccountWithoutKeysIsAnEmptyInventory(t *testing.T) {
	t.Parallel()
	inv := readAll(t, fakeaws.Start(t, fakeaws.State{Account: account, Region: region}))
	if len(inv.Keys) != 0 || inv.Account != account || inv.Region != region || inv.Partition != "aws" || !inv.ReadAt.Equal(now()) {
		t.Errorf("got %+v", inv)
	}
}

func TestNoMoreCallsThanNeeded(t *testing.T) {
	t.Parallel()
	srv := fakeaws.Start(t, world(), fakeaws.PageSize(1000), fakeaws.Latency(5*time.Millisecond))
	s := session(t, srv, quick())
	if _, err := s.Inventory(t.Context(), inventory.Need{}); err != nil {
		t.Fatal(err)
	}
	want := map[string]int{
		"sts:GetCallerIdentity": 1,
		"kms:ListKeys":          1,
		"kms:ListAliases":       1,
		"kms:DescribeKey":       4, // not of the AWS managed key
		"tag:GetResources":      1,
	}
	limits := map[string]int{"kms:ListKeys": 1000, "kms:ListAliases": 100, "tag:GetResources": 100}
	got := make(map[string]int)
	for _, c := range srv.Calls() {
		got[c.Name()]++
		if c.Limit != limits[c.Name()] {
			t.Errorf("%s asks for %d a page; want %d", c.Name(), c.Limit, limits[c.Name()])
		}
		if c.Region != region {
			t.Errorf("%s is signed for %q", c.Name(), c.Region)
		}
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %v; want %v", got, want)
	}
	if w := srv.WriteCalls(); len(w) != 0 {
		t.Errorf("write calls: %v", w)
	}
	if _, err := s.Inventory(t.Context(), inventory.Need{}); err != nil || srv.Count(opGetCallerIdentity) != 1 {
		t.Errorf("the caller was asked for %d times, %v; want once a session", srv.Count(opGetCallerIdentity), err)
	}
}

func TestAKeyThatMayNotBeReadStaysWithItsReason(t *testing.T) {
	t.Parallel()
	tags := []fakeaws.Tag{{Key: "team", Value: "payments"}, {Key: "env", Value: "prod"}}
	read := []inventory.Tag{{Key: "env", Value: "prod"}, {Key: "team", Value: "payments"}}
	described := inventory.Key{
		Manager: "CUSTOMER", State: "Enabled", Usage: "ENCRYPT_DECRYPT", Spec: "SYMMETRIC_DEFAULT", Origin: "AWS_KMS", Created: worldKeys()[0].Created, Described: true,
	}
	because := func(k inventory.Key, reason string) inventory.Key {
		k.Unreadable = reason
		return k
	}
	tests := map[string]struct {
		key        fakeaws.Key
		fault      fakeaws.Fault
		keyByKey   bool
		want       inventory.Key
		tagsHidden bool
	}{
		"DescribeKey is denied: the tags are kept": {
			key:  fakeaws.Key{DenyDescribe: true, Tags: tags},
			want: inventory.Key{Tags: read, Unreadable: "kms:DescribeKey: AccessDeniedException: User is not authorized to perform: kms:DescribeKey on resource: " + id(1)},
		},
		"DescribeKey is denied: the tags are kept, read key by key too": {
			key: fakeaws.Key{DenyDescribe: true, Tags: tags}, keyByKey: true,
			want: inventory.Key{Tags: read, Unreadable: "kms:DescribeKey: AccessDeniedException: User is not authorized to perform: kms:DescribeKey on resource: " + id(1)},
		},
		"ListResourceTags is denied: the tags are in the tagging API": {
			key:  fakeaws.Key{DenyTags: true, Tags: tags},
			want: func() inventory.Key { k := described; k.Tags = read; return k }(),
		},
		"ListResourceTags is denied, key by key: the rest is kept": {
			key: fakeaws.Key{DenyTags: true, Tags: tags}, keyByKey: true, tagsHidden: true,
			want: because(described, "kms:ListResourceTags: AccessDeniedException: User is not authorized to perform: kms:ListResourceTags on resource: "+id(1)),
		},
		"both are denied: both reasons, that of the tags first": {
			key: fakeaws.Key{DenyDescribe: true, DenyTags: true}, keyByKey: true, tagsHidden: true,
			want: inventory.Key{
				Unreadable: "kms:ListResourceTags: AccessDeniedException: User is not authorized to perform: kms:ListResourceTags on resource: " + id(1) +
					"; kms:DescribeKey: AccessDeniedException: User is not authorized to perform: kms:DescribeKey on resource: " + id(1),
			},
		},
		"the second page of tags is denied: no half of the tags": {
			key: fakeaws.Key{Tags: tags}, keyByKey: true, tagsHidden: true,
			fault: fakeaws.Fault{Operation: opListResourceTags, Nth: 2, Kind: fakeaws.AccessDenied, Message: "no."},
			want:  because(described, "kms:ListResourceTags: AccessDeniedException: no"),
		},
		"the key's state does not allow it": {
			key:   fakeaws.Key{Tags: tags},
			fault: fakeaws.Fault{Operation: opDescribeKey, Kind: fakeaws.InvalidState, Message: "it is\npending   import"},
			want:  inventory.Key{Tags: read, Unreadable: "kms:DescribeKey: KMSInvalidStateException: it is pending import"},
		},
		"an AWS managed key without an alias has no tags to deny": {
			key: fakeaws.Key{Manager: "AWS"}, keyByKey: true,
			want: func() inventory.Key { k := described; k.Manager = "AWS"; return k }(),
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tt.key.ID = id(1)
			tt.want.ID, tt.want.ARN = id(1), arnOf(id(1))
			tt.want.Aliases = []inventory.Alias{{Name: "alias/one", Created: day(1), Updated: day(1)}}
			srv := fakeaws.Start(t, fakeaws.State{
				Keys:    []fakeaws.Key{tt.key, {ID: id(2)}},
				Aliases: []fakeaws.Alias{{Name: "alias/one", Target: id(1), Created: day(1)}},
			})
			if tt.keyByKey {
				withoutTagging(srv)
			}
			if tt.fault.Kind != 0 {
				tt.fault.Key = id(1)
				srv.Fail(tt.fault)
			}
			inv := readAll(t, srv)
			if len(inv.Keys) != 2 || !reflect.DeepEqual(inv.Keys[0], tt.want) || inv.Keys[1].Unreadable != "" {
				t.Errorf("\n got %+v\nwant %+v and a readable key", inv.Keys, tt.want)
			}
			if inv.Keys[0].TagsUnreadable() != tt.tagsHidden {
				t.Errorf("TagsUnreadable() is %v", inv.Keys[0].TagsUnreadable())
			}
		})
	}
}

func TestAllKeysDeniedIsStillAnInventory(t *testing.T) {
	t.Parallel()
	srv := fakeaws.Start(t, manyKeys(20), fakeaws.PageSize(20))
	srv.Fail(fakeaws.Fault{Operation: opDescribeKey, Kind: fakeaws.AccessDenied, Times: fakeaws.Forever})
	inv := readAll(t, srv)
	if len(inv.Keys) != 20 || slices.ContainsFunc(inv.Keys, func(k inventory.Key) bool { return k.Unreadable == "" || len(k.Tags) != 2 }) {
		t.Errorf("got %+v", inv.Keys)
	}
}

func TestAKeyThatIsListedAndThenUnknown(t *testing.T) {
	t.Parallel()
	described := fakeaws.Key{ID: id(1), Tags: []fakeaws.Tag{{Key: "a", Value: "b"}}}
	tests := map[string]struct {
		key          fakeaws.Key
		keyByKey     bool
		faults       []fakeaws.Fault
		gone         bool
		tags         int
		describeKeys int
	}{
		"is gone, after a second look": {key: fakeaws.Key{ID: id(1), Gone: true}, gone: true, describeKeys: 2},
		"is there at the second look": {
			key: described, faults: []fakeaws.Fault{{Operation: opDescribeKey, Kind: fakeaws.NotFound}}, tags: 1, describeKeys: 2,
		},
		"is gone when its tags are read": {
			key: described, keyByKey: true, gone: true, describeKeys: 2,
			faults: []fakeaws.Fault{{Operation: opListResourceTags, Kind: fakeaws.NotFound}, {Operation: opDescribeKey, Kind: fakeaws.NotFound, Times: 2}},
		},
		"is unknown to ListResourceTags for a moment": {
			key: described, keyByKey: true, faults: []fakeaws.Fault{{Operation: opListResourceTags, Kind: fakeaws.NotFound}}, tags: 1, describeKeys: 1,
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			srv := fakeaws.Start(t, fakeaws.State{Keys: []fakeaws.Key{tt.key}})
			if tt.keyByKey {
				withoutTagging(srv)
			}
			for _, f := range tt.faults {
				srv.Fail(f)
			}
			// Only once its tags are known, so that the calls can be counted.
			inv := readFor(t, srv, inventory.Need{Describe: func(*inventory.Key) bool { return true }})
			if len(inv.Keys) != 1 || inv.Keys[0].Gone != tt.gone || inv.Keys[0].Unreadable != "" || len(inv.Keys[0].Tags) != tt.tags {
				t.Errorf("got %+v; want gone %v, %d tags", inv.Keys, tt.gone, tt.tags)
			}
			if n := srv.Count(opDescribeKey); n != tt.describeKeys {
				t.Errorf("%d DescribeKey requests; want %d", n, tt.describeKeys)
			}
		})
	}
}

func TestAKeyThatOnlyAnAliasNamesIsReadLikeEveryOther(t *testing.T) {
	t.Parallel()
	inv := readAll(t, fakeaws.Start(t, fakeaws.State{
		Keys:    []fakeaws.Key{{ID: id(2)}, {ID: id(1), Unlisted: true, Spec: "HMAC_256", Usage: "GENERATE_VERIFY_MAC", Tags: []fakeaws.Tag{{Key: "a", Value: "b"}}}},
		Aliases: []fakeaws.Alias{{Name: "alias/new", Target: id(1)}},
	}))
	if len(inv.Keys) != 2 || inv.Keys[0].ARN != arnOf(id(1)) || inv.Keys[0].Spec != "HMAC_256" || inv.Keys[0].Alias() != "alias/new" || len(inv.Keys[0].Tags) != 1 {
		t.Errorf("got %+v", inv.Keys)
	}
}

func TestAPageThatComesTwiceCountsOnce(t *testing.T) {
	t.Parallel()
	for _, op := range []string{opListKeys, opListAliases, opGetResources, opListResourceTags} {
		srv := fakeaws.Start(t, world())
		if op == opListResourceTags {
			withoutTagging(srv)
		}
		srv.Fail(fakeaws.Fault{Operation: op, Kind: fakeaws.RepeatItems, Times: fakeaws.Forever})
		if got := readAll(t, srv); !reflect.DeepEqual(got, worldInventory()) {
			t.Errorf("%s:\n got %+v\nwant %+v", op, got, worldInventory())
		}
	}
}

func TestKeysOfAPartitionOfItsOwn(t *testing.T) {
	t.Parallel()
	inv := readAll(t, fakeaws.Start(t, fakeaws.State{Account: account, Region: region, Partition: "aws-cn", Keys: []fakeaws.Key{{ID: id(1)}}}))
	if inv.Partition != "aws-cn" || len(inv.Keys) != 1 {
		t.Errorf("got %+v", inv)
	}
}

// inFlight counts how many requests are under way at once.
type inFlight struct {
	kmsAPI
	running, most atomic.Int64
}

func (f *inFlight) DescribeKey(ctx context.Context, in *kms.DescribeKeyInput, opts ...func(*kms.Options)) (*kms.DescribeKeyOutput, error) {
	n := f.running.Add(1)
	defer f.running.Add(-1)
	for {
		most := f.most.Load()
		if n <= most || f.most.CompareAndSwap(most, n) {
			break
		}
	}
	return f.kmsAPI.DescribeKey(ctx, in, opts...)
}

func TestConcurrencyIsBounded(t *testing.T) {
	t.Parallel()
	o := quick()
	o.Concurrency = 3
	s := session(t, fakeaws.Start(t, manyKeys(60), fakeaws.PageSize(60)), o)
	f := &inFlight{kmsAPI: s.kms}
	s.kms = f
	if _, err := s.Inventory(t.Context(), inventory.Need{}); err != nil {
		t.Fatal(err)
	}
	if most := f.most.Load(); most < 2 || most > 3 {
		t.Errorf("%d keys were described at once; want 2 to 3", most)
	}
}
