package live

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"keywatch/internal/inventory"
	"keywatch/test/fakeaws"
)

// outcome is what one fault may lead to. There is no "shorter".
type outcome int

const (
	whole  outcome = iota // the inventory, equal to that without the fault
	failed                // an error and no inventory
	noted                 // all keys, one of them with a reason
	gone                  // all keys, one of them gone
)

var kinds = map[string]fakeaws.Kind{
	"throttle": fakeaws.Throttle, "internal": fakeaws.Internal, "unavailable": fakeaws.Unavailable,
	"reset": fakeaws.Reset, "cut": fakeaws.Cut, "access denied": fakeaws.AccessDenied,
	"expired token": fakeaws.ExpiredToken, "invalid token": fakeaws.InvalidToken, "bad signature": fakeaws.BadSignature,
	"not found": fakeaws.NotFound, "invalid state": fakeaws.InvalidState, "invalid marker": fakeaws.InvalidMarker,
	"expired page": fakeaws.ExpiredPage, "dribble": fakeaws.Dribble, "cut with a reset": fakeaws.CutReset,
	"slow": fakeaws.Slow, "empty": fakeaws.Empty, "html": fakeaws.HTML, "no marker": fakeaws.NoMarker,
	"marker only": fakeaws.MarkerOnly, "repeat marker": fakeaws.RepeatMarker, "repeat items": fakeaws.RepeatItems,
	"no items": fakeaws.NoItems, "no list": fakeaws.NoList,
}

// ofLists says whether the fault leaves answers that are no page as they are.
func ofLists(kind fakeaws.Kind) bool { return kind >= fakeaws.NoMarker }

func isList(op string) bool { return strings.HasPrefix(op, "kms:List") || op == opGetResources }

// unseen says whether nobody can see that the answer is not whole: GetResources
// has no word but the token on whether there is more.
func unseen(kind fakeaws.Kind, op string) bool {
	return op == opGetResources && kind == fakeaws.NoMarker
}

// expect says what the fault, once, must lead to at an operation.
func expect(kind fakeaws.Kind, op string) outcome {
	perKey := op == opDescribeKey || op == opListResourceTags
	switch kind {
	case fakeaws.AccessDenied:
		switch {
		case perKey:
			return noted
		case op == opGetResources: // the tags are read key by key
			return whole
		}
		return failed
	case fakeaws.InvalidState:
		if perKey {
			return noted
		}
		return failed
	case fakeaws.NotFound: // the second look finds the key
		if perKey {
			return whole
		}
		return failed
	case fakeaws.ExpiredPage: // the query begins anew
		if op == opGetResources {
			return whole
		}
		return failed
	case fakeaws.ExpiredToken, fakeaws.InvalidToken, fakeaws.BadSignature, fakeaws.InvalidMarker, fakeaws.Empty, fakeaws.HTML:
		return failed
	case fakeaws.NoMarker, fakeaws.NoList:
		if isList(op) {
			return failed
		}
	}
	// Retried, followed, or a repetition that is seen through.
	return whole
}

// The two ways in which an inventory is read, and what each asks.
var ways = map[string]struct {
	keyByKey bool
	ops      []string
}{
	"in bulk":    {false, []string{opGetCallerIdentity, opListKeys, opListAliases, opGetResources, opDescribeKey}},
	"key by key": {true, []string{opListResourceTags, opDescribeKey}},
}

// The promise of the package: each request in turn fails in each way, and the
// result is the whole inventory or an error.
func TestNoSingleFaultMakesAShorterInventory(t *testing.T) {
	t.Parallel()
	for way, w := range ways {
		clean := fakeaws.Start(t, world())
		if w.keyByKey {
			withoutTagging(clean)
		}
		want := readAll(t, clean)
		for name, kind := range kinds {
			t.Run(way+", "+name, func(t *testing.T) {
				t.Parallel()
				for _, op := range w.ops {
					if ofLists(kind) && !isList(op) || unseen(kind, op) {
						continue
					}
					for nth := 1; nth <= clean.Count(op); nth++ {
						// A server of its own: a request of a reading that
						// ended early may still arrive.
						srv := fakeaws.Start(t, world())
						if w.keyByKey {
							withoutTagging(srv)
						}
						srv.Fail(fakeaws.Fault{Operation: op, Nth: nth, Kind: kind, Delay: time.Millisecond})
						got, err := session(t, srv, quick()).Inventory(t.Context(), inventory.Need{})
						call, hit := nthCall(srv, op, nth)
						expected := expect(kind, op)
						if kind == fakeaws.RepeatMarker && call.Marker != "" {
							expected = failed // its own page again; the first page leading to itself is only a detour
						}
						if !hit {
							t.Fatalf("%s %d was not asked: the fault did not take place", op, nth)
						}
						check(t, fmt.Sprintf("%s %d", op, nth), expected, want, got, err)
					}
				}
			})
		}
	}
}

func nthCall(srv *fakeaws.Server, op string, nth int) (fakeaws.Call, bool) {
	for _, c := range srv.Calls() {
		if c.Name() == op {
			if nth--; nth == 0 {
				return c, true
			}
		}
	}
	return fakeaws.Call{}, false
}

// The same for faults that do not go away.
func TestNoLastingFaultMakesAShorterInventory(t *testing.T) {
	t.Parallel()
	want := readAll(t, fakeaws.Start(t, world()))
	for way, w := range ways {
		for name, kind := range kinds {
			t.Run(way+", "+name, func(t *testing.T) {
				t.Parallel()
				for _, op := range w.ops {
					if unseen(kind, op) {
						continue
					}
					srv := fakeaws.Start(t, world())
					if w.keyByKey {
						withoutTagging(srv)
					}
					srv.Fail(fakeaws.Fault{Operation: op, Kind: kind, Times: fakeaws.Forever, Delay: time.Millisecond})
					got, err := session(t, srv, quick()).Inventory(t.Context(), inventory.Need{})
					check(t, op, lasting(kind, op), want, got, err)
				}
			})
		}
	}
}

// lasting is expect for a fault that does not go away.
func lasting(kind fakeaws.Kind, op string) outcome {
	switch kind {
	case fakeaws.Throttle, fakeaws.Internal, fakeaws.Unavailable, fakeaws.Reset, fakeaws.Cut, fakeaws.CutReset, fakeaws.ExpiredPage:
		return failed
	case fakeaws.NotFound:
		if op == opDescribeKey {
			return gone
		}
		return failed // tags that are not found of a key that is described: a contradiction
	case fakeaws.RepeatMarker, fakeaws.NoItems:
		if isList(op) {
			return failed
		}
	}
	return expect(kind, op)
}

func check(t *testing.T, where string, expected outcome, want, got *inventory.Inventory, err error) {
	t.Helper()
	if expected == failed || err != nil {
		e := (*Error)(nil)
		switch {
		case expected != failed:
			t.Errorf("%s: unexpected error: %v", where, err)
		case err == nil:
			t.Errorf("%s: no error", where)
		case got != nil:
			t.Errorf("%s: an inventory beside the error", where)
		case !errors.As(err, &e):
			t.Errorf("%s: %T is no *Error", where, err)
		case strings.Contains(err.Error()+e.Hint, fakeaws.SessionToken) || strings.Contains(err.Error()+e.Hint, fakeaws.SecretKey):
			t.Errorf("%s: a secret in %q", where, err)
		}
		return
	}
	if expected == whole {
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s:\n got %+v\nwant %+v", where, got, want)
		}
		return
	}
	marked := func(k inventory.Key) bool {
		return k.Unreadable != "" && expected == noted || k.Gone && expected == gone
	}
	if !slices.EqualFunc(got.Keys, want.Keys, func(a, b inventory.Key) bool {
		return a.ARN == b.ARN && reflect.DeepEqual(a.Aliases, b.Aliases) && (marked(a) || reflect.DeepEqual(a, b))
	}) || !slices.ContainsFunc(got.Keys, marked) {
		t.Errorf("%s:\n got %+v\nwant %+v with a key marked", where, got, want)
	}
}

func TestAThrottleBurstIsSurvived(t *testing.T) {
	t.Parallel()
	srv := fakeaws.Start(t, manyKeys(60), fakeaws.PageSize(50))
	want := readAll(t, srv)
	// More failures than the SDK's own retry quota of 100 would stand.
	for _, op := range InventoryActions() {
		srv.Fail(fakeaws.Fault{Operation: op, Kind: fakeaws.Throttle, Nth: 1, Times: 5})
		for i := range 60 {
			srv.Fail(fakeaws.Fault{Operation: op, Key: id(i), Kind: fakeaws.Throttle, Times: 3})
		}
	}
	before := len(srv.Calls())
	got := readAll(t, srv)
	if !reflect.DeepEqual(got, want) {
		t.Error("the inventory differs after a throttle burst")
	}
	if n := len(srv.Calls()) - before; n < 250 {
		t.Errorf("%d requests; the burst did not take place", n)
	}
}

func TestThrottledForEverGivesUpAfterTheAttempts(t *testing.T) {
	t.Parallel()
	srv := fakeaws.Start(t, world())
	srv.Fail(fakeaws.Fault{Operation: opListKeys, Nth: 2, Kind: fakeaws.Throttle, Times: fakeaws.Forever})
	_, err := session(t, srv, quick()).Inventory(t.Context(), inventory.Need{})
	wantError(t, err, Throttled, "list keys in eu-west-1 as 111122223333: ThrottlingException: Rate exceeded (8 attempts)")
	if n := srv.Count(opListKeys); n != 1+8 {
		t.Errorf("%d ListKeys requests; want 9", n)
	}
}

func TestTheFirstFatalErrorStopsTheOtherKeys(t *testing.T) {
	t.Parallel()
	srv := fakeaws.Start(t, manyKeys(300), fakeaws.PageSize(1000))
	srv.Fail(fakeaws.Fault{Operation: opDescribeKey, Key: id(3), Kind: fakeaws.ExpiredToken, Times: fakeaws.Forever})
	o := quick()
	o.Concurrency = 16
	_, err := session(t, srv, o).Inventory(t.Context(), inventory.Need{})
	wantError(t, err, ExpiredCredentials, "describe key "+id(3)+" in eu-west-1 as 111122223333: ExpiredTokenException: The security token included in the request is expired")
	if n := srv.Count(opDescribeKey); n > 150 {
		t.Errorf("%d of 300 keys were still described", n)
	}
}

func TestACanceledReadIsAnErrorWhereverItIs(t *testing.T) {
	t.Parallel()
	for _, op := range InventoryActions() {
		t.Run(op, func(t *testing.T) {
			t.Parallel()
			srv := fakeaws.Start(t, manyKeys(40), fakeaws.PageSize(7))
			if op == opListResourceTags {
				withoutTagging(srv)
			}
			srv.Fail(fakeaws.Fault{Operation: op, Nth: 1, Kind: fakeaws.Slow, Delay: time.Minute, Times: fakeaws.Forever})
			ctx, cancel := context.WithCancel(t.Context())
			go func() {
				for srv.Count(op) == 0 {
					time.Sleep(time.Millisecond)
				}
				cancel()
			}()
			inv, err := session(t, srv, quick()).Inventory(ctx, inventory.Need{})
			if inv != nil || !errors.Is(err, context.Canceled) || !strings.HasSuffix(err.Error(), ": canceled") {
				t.Errorf("got %v, %v; want an error that is context.Canceled", inv, err)
			}
		})
	}
}

func TestAContextThatIsOverFromTheStartIsAnError(t *testing.T) {
	t.Parallel()
	s := session(t, fakeaws.Start(t, fakeaws.State{}), quick())
	if _, err := s.Caller(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if inv, err := s.Inventory(ctx, inventory.Need{}); inv != nil || !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, %v; want context.Canceled", inv, err)
	}
}

func TestASilentEndpointTimesOut(t *testing.T) {
	t.Parallel()
	srv := fakeaws.Start(t, world())
	srv.Fail(fakeaws.Fault{Operation: opListAliases, Kind: fakeaws.Slow, Delay: time.Minute, Times: fakeaws.Forever})
	o := quick()
	o.RequestTimeout, o.MaxAttempts = 200*time.Millisecond, 2
	_, err := session(t, srv, o).Inventory(t.Context(), inventory.Need{})
	wantError(t, err, Network, "list aliases in eu-west-1 as 111122223333: no answer in time (2 attempts)")
}

func TestASlowAnswerIsRetriedAndUsed(t *testing.T) {
	t.Parallel()
	srv := fakeaws.Start(t, world())
	srv.Fail(fakeaws.Fault{Operation: opListKeys, Nth: 3, Kind: fakeaws.Slow, Delay: time.Minute})
	o := quick()
	o.RequestTimeout = 300 * time.Millisecond
	got, err := session(t, srv, o).Inventory(t.Context(), inventory.Need{})
	if err != nil || !reflect.DeepEqual(got, worldInventory()) {
		t.Errorf("got %+v, %v", got, err)
	}
}
