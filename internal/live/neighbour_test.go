package live

import (
	"context"
	"errors"
	"math"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/smithy-go"

	"keywatch/internal/inventory"
	"keywatch/test/fakeaws"
)

func TestDefaultRatesAreHalfOfThePublishedQuotas(t *testing.T) {
	t.Parallel()
	rates := DefaultRates()
	for op, quota := range fakeaws.PublishedQuotas() {
		if rates[op] > quota/2 {
			t.Errorf("%s: %v per second of %v", op, rates[op], quota)
		}
		if strings.HasPrefix(op, "kms:") && rates[op] != quota/2 {
			t.Errorf("%s: %v per second; want half of %v", op, rates[op], quota)
		}
	}
	for _, op := range append(CoverageActions(), opListDashboards, opDescribeTrails, opGetEventSelectors, opGetTrailStatus) {
		if rates[op] == 0 {
			t.Errorf("%s has no rate", op)
		}
	}
}

func TestRatesThatAreNone(t *testing.T) {
	t.Parallel()
	for _, r := range []float64{0, -1, math.NaN(), math.Inf(1)} {
		if _, err := Open(t.Context(), Options{Now: now, Rates: map[string]float64{opListKeys: r}}); err == nil || !strings.Contains(err.Error(), "must be more than 0") {
			t.Errorf("%v: %v", r, err)
		}
	}
	_, err := Open(t.Context(), Options{Now: now, Rates: map[string]float64{"kms:Describe": 1}})
	if err == nil || !strings.Contains(err.Error(), `names "kms:Describe"; allowed: [ce:GetCostAndUsage cloudformation:`) {
		t.Errorf("got %v", err)
	}
}

// The server allows as many requests as the client may send, and never has to
// throttle; the reading takes as long as the rate says.
func TestTheRateIsKept(t *testing.T) {
	t.Parallel()
	const keys, perSecond = 120, 200
	srv := fakeaws.Start(t, manyKeys(keys), fakeaws.PageSize(1000), fakeaws.Latency(5*time.Millisecond), fakeaws.Quotas(map[string]float64{opDescribeKey: perSecond}))
	o := quick()
	o.Rates = map[string]float64{opDescribeKey: perSecond}
	begin := time.Now()
	if _, err := session(t, srv, o).Inventory(t.Context(), inventory.Need{}); err != nil {
		t.Fatal(err)
	}
	if n := srv.Count(opDescribeKey); n != keys {
		t.Errorf("%d DescribeKey for %d keys: some were throttled", n, keys)
	}
	burst := perSecond / 20
	if took, least := time.Since(begin), time.Duration(keys-burst)*time.Second/perSecond; took < least {
		t.Errorf("%s; at %d per second it takes %s", took, perSecond, least)
	}
}

// Every attempt counts: six of one request at ten a second take half a second,
// though the pauses between them are short.
func TestRetriesCountToo(t *testing.T) {
	t.Parallel()
	srv := fakeaws.Start(t, fakeaws.State{})
	srv.Fail(fakeaws.Fault{Operation: opGetCallerIdentity, Kind: fakeaws.Internal, Times: 5})
	o := quick()
	o.Rates = nil
	begin := time.Now()
	if _, err := session(t, srv, o).Caller(t.Context()); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(begin); took < 500*time.Millisecond || srv.Count(opGetCallerIdentity) != 6 {
		t.Errorf("%d attempts in %s", srv.Count(opGetCallerIdentity), took)
	}
}

func TestThePaceHalvesOnceARoundAndRecovers(t *testing.T) {
	t.Parallel()
	throttled := &smithy.GenericAPIError{Code: "ThrottledException"}
	p := newPace(1000)
	p.heard(0, throttled)
	for range 100 {
		p.heard(0, throttled) // of requests that were under way
	}
	if p.now != 500 {
		t.Fatalf("%v per second after a round of throttling; want 500", p.now)
	}
	for range 20 {
		p.heard(p.round, throttled)
	}
	if p.now != 1000*slowest {
		t.Fatalf("%v per second after many rounds; want %v", p.now, 1000*slowest)
	}
	p.heard(p.round, errors.New("something else"))
	if p.now != 1000*slowest {
		t.Fatal("another error changed the pace")
	}
	seconds := 0.0
	for p.now < 1000 && seconds < 100 {
		seconds += 1 / p.now
		p.heard(p.round, nil)
	}
	if seconds < 10 || seconds > 30 || p.now != 1000 || p.limiter.Limit() != 1000 {
		t.Errorf("at %v per second after %.1f s; want the full rate after some 20 s", p.now, seconds)
	}
}

// The quota is less than the rate, since others use it too: the reader slows
// down, and reads everything.
func TestThrottlingSlowsDownAndLosesNothing(t *testing.T) {
	t.Parallel()
	const keys = 250
	srv := fakeaws.Start(t, manyKeys(keys), fakeaws.PageSize(1000), fakeaws.Quotas(map[string]float64{opDescribeKey: 150}))
	o := quick()
	o.Rates = map[string]float64{opDescribeKey: 1000}
	o.MaxBackoff, o.MaxAttempts = 200*time.Millisecond, 20
	inv, err := session(t, srv, o).Inventory(t.Context(), inventory.Need{})
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range inv.Keys {
		if !k.Described || len(k.Tags) != 2 {
			t.Fatalf("key %+v", k)
		}
	}
	if n := srv.Count(opDescribeKey); len(inv.Keys) != keys || n > 3*keys {
		t.Errorf("%d requests for %d keys", n, keys)
	}
}

func TestConcurrencyReachesTheRate(t *testing.T) {
	t.Parallel()
	for rate, want := range map[float64]int{1: 4, 7: 4, 250: 32, 1000: 125, 2000: 250, 10_000: 256} {
		if got := concurrency(rate); got != want {
			t.Errorf("%v per second: %d workers; want %d", rate, got, want)
		}
	}
	o := Options{Now: now}
	if err := o.defaults(); err != nil {
		t.Fatal(err)
	}
	for _, op := range []string{opDescribeKey, opListResourceTags} {
		if rate := float64(o.workers(op)) / 0.1; rate < o.Rates[op] {
			t.Errorf("%s: at 100 ms an answer, %d workers make %v per second of %v", op, o.workers(op), rate, o.Rates[op])
		}
	}
}

// goroutines are the stacks that are in this package.
func goroutines() string {
	buf := make([]byte, 4<<20)
	var ours []string
	for g := range strings.SplitSeq(string(buf[:runtime.Stack(buf, true)]), "\n\n") {
		if strings.Contains(g, "keywatch/internal/live.(*reading)") || strings.Contains(g, "keywatch/internal/live.(*governor)") {
			ours = append(ours, g)
		}
	}
	return strings.Join(ours, "\n\n")
}

// Not parallel: it looks at all goroutines of the process.
func TestCancellationLeavesNothingBehind(t *testing.T) {
	for _, op := range InventoryActions() {
		srv := fakeaws.Start(t, manyKeys(300), fakeaws.PageSize(50), fakeaws.Latency(2*time.Millisecond))
		if op == opListResourceTags {
			withoutTagging(srv)
		}
		// Some answer late, and some requests wait for their turn.
		srv.Fail(fakeaws.Fault{Operation: op, Nth: 1, Kind: fakeaws.Slow, Delay: time.Minute, Times: fakeaws.Forever})
		o := quick()
		o.Rates = map[string]float64{op: 5}
		ctx, cancel := context.WithCancel(t.Context())
		go func() {
			for srv.Count(op) == 0 {
				time.Sleep(time.Millisecond)
			}
			cancel()
		}()
		_, err := session(t, srv, o).Inventory(ctx, inventory.Need{})
		cancelled := time.Now()
		if !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v", op, err)
		}
		if left := goroutines(); left != "" {
			t.Errorf("%s: %s after the return:\n%s", op, time.Since(cancelled), left)
		}
	}
}

func TestTheDeadlineOfTheWholeReading(t *testing.T) {
	t.Parallel()
	const hint = "repeat the command when less else uses the account's request quotas; keywatch never goes on with a part of the keys"
	t.Run("while an answer is waited for", func(t *testing.T) {
		t.Parallel()
		srv := fakeaws.Start(t, manyKeys(3))
		srv.Fail(fakeaws.Fault{Operation: opListAliases, Kind: fakeaws.Slow, Delay: time.Minute, Times: fakeaws.Forever})
		ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
		defer cancel()
		inv, err := session(t, srv, quick()).Inventory(ctx, inventory.Need{})
		if inv != nil {
			t.Error("an inventory beside the error")
		}
		wantError(t, err, TooLong, "list aliases"+as+"not finished in the time allowed")
		wantHint(t, err, hint)
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%v is not context.DeadlineExceeded", err)
		}
	})
	t.Run("while a turn is waited for", func(t *testing.T) {
		t.Parallel()
		o := quick()
		o.Rates = map[string]float64{opDescribeKey: 0.01}
		o.Concurrency = 1
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		begin := time.Now()
		_, err := session(t, fakeaws.Start(t, keysWith(2)), o).Inventory(ctx, inventory.Need{})
		if e := (*Error)(nil); !errors.As(err, &e) || e.Class != TooLong || !strings.HasSuffix(err.Error(), as+"not finished in the time allowed") {
			t.Errorf("got %v", err)
		}
		if took := time.Since(begin); took > 4*time.Second {
			t.Errorf("%s; it was clear at once that the turn comes after the deadline", took)
		}
	})
}

func TestProgressIsBoundedOrderedAndEnds(t *testing.T) {
	t.Parallel()
	srv := fakeaws.Start(t, manyKeys(500), fakeaws.PageSize(100))
	var seen []Progress
	var running atomic.Int32
	clock := now()
	o := quick()
	o.Now = func() time.Time { return clock }
	o.Progress = func(p Progress) {
		if running.Add(1) > 1 {
			t.Error("called by two goroutines at once")
		}
		seen = append(seen, p)
		running.Add(-1)
	}
	if _, err := session(t, srv, o).Inventory(t.Context(), inventory.Need{}); err != nil {
		t.Fatal(err)
	}
	// The clock stands still: only a new stage is news.
	if n := len(seen); n < 2 || n > int(stages)+2 || !seen[n-1].Ended {
		t.Errorf("%d reports: %+v", n, seen)
	}
}

// A page of a thousand keys in a millisecond is no million a second.
func TestThereIsNoRateBeforeASecond(t *testing.T) {
	t.Parallel()
	clock := now()
	var last Progress
	m := newMeter(func() time.Time { return clock }, func(p Progress) { last = p })
	m.expect(stageKeys, 5000)
	m.add(stageKeys, 1000)
	clock = clock.Add(999 * time.Millisecond)
	m.add(stageKeys, 1000)
	if last.Done != 2000 || last.Rate != 0 || last.Left != 0 {
		t.Errorf("before a second: %+v", last)
	}
	clock = clock.Add(time.Second)
	m.add(stageKeys, 0)
	if last.Rate < 1000 || last.Rate > 1001 || last.Left < 2900*time.Millisecond {
		t.Errorf("after it: %+v", last)
	}
}

func TestProgressHasRateAndTimeLeft(t *testing.T) {
	t.Parallel()
	clock := now()
	var last Progress
	calls := 0
	m := newMeter(func() time.Time { return clock }, func(p Progress) { last = p; calls++ })
	m.finish(stageKeys)
	m.finish(stageAliases)
	m.expect(stageTags, 1000)
	m.add(stageTags, 0)
	for range 100 { // a second
		clock = clock.Add(10 * time.Millisecond)
		m.add(stageTags, 1)
	}
	if last.Stage != "reading tags" || last.Total != 1000 || last.Done < 90 || last.Rate < 80 || last.Rate > 120 || last.Left < 8*time.Second || last.Left > 12*time.Second {
		t.Errorf("got %+v", last)
	}
	if calls > 20 {
		t.Errorf("%d reports in a second", calls)
	}
	m.finish(stageTags)
	m.expect(stageDescriptions, 10)
	clock = clock.Add(time.Second)
	m.add(stageDescriptions, 10)
	if last.Stage != "describing keys" || last.Done != 10 || last.Left != 0 {
		t.Errorf("got %+v", last)
	}
	m.end()
	if !last.Ended {
		t.Errorf("got %+v", last)
	}
}
