package live

import (
	"errors"
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	"keywatch/internal/evidence"
	"keywatch/test/fakeaws"
)

var october = time.Date(2026, 10, 1, 0, 0, 0, 0, time.UTC)

// used is an account with two keys and two APIs, in three intervals of a day.
func used() fakeaws.State {
	return fakeaws.State{
		Requests: []fakeaws.Requests{
			{At: october, Key: "a", Operation: "Decrypt", Count: 3},
			{At: october, Key: "b", Operation: "Decrypt", Count: 4},
			{At: october, Key: "a", Operation: "Sign", Count: 1},
			{At: october.Add(24 * time.Hour), Key: "a", Operation: "Decrypt", Count: 9},
			{At: october, Key: "a", Operation: "ReEncrypt", Count: 99}, // has no KeyArn
		},
		Calls: []fakeaws.Calls{
			{At: october, Resource: "CryptographicOperationsSymmetric", Count: 12},
			{At: october, Resource: "DescribeKey", Count: 5},
			{At: october.Add(24 * time.Hour), Resource: "DescribeKey", Count: 6},
		},
	}
}

func usage(t *testing.T, srv *fakeaws.Server, hours int) ([]evidence.Count, error) {
	t.Helper()
	return session(t, srv, quick()).Usage(t.Context(), october, october.Add(time.Duration(hours)*time.Hour))
}

// wantPart is wantError for a part of the text.
func wantPart(t *testing.T, err error, class Class, part string) {
	t.Helper()
	e := (*Error)(nil)
	if !errors.As(err, &e) || e.Class != class || !strings.Contains(err.Error(), part) {
		t.Errorf("\n got %v\nwant %s: %s", err, class, part)
	}
}

// Requests are summed over keys by operation, an interval without datapoints is
// there and empty, and pages and windows change nothing.
func TestUsage(t *testing.T) {
	t.Parallel()
	for _, size := range []int{1, 2, 1000} {
		srv := fakeaws.Start(t, used(), fakeaws.PageSize(size))
		counts, err := usage(t, srv, 25)
		if err != nil {
			t.Fatal(err)
		}
		if len(counts) != 25*12*2 {
			t.Errorf("%d counts, want one for each interval and source", len(counts))
		}
		got := map[string]string{}
		for _, c := range counts {
			if len(c.Requests) > 0 {
				got[c.Start.Format("02T15:04 ")+string(c.Source)] = fmt.Sprint(c.Requests)
			}
		}
		want := map[string]string{
			"01T00:00 SuccessfulRequest": "map[Decrypt:7 Sign:1]",
			"02T00:00 SuccessfulRequest": "map[Decrypt:9]",
			"01T00:00 CallCount":         "map[CryptographicOperationsSymmetric:12 DescribeKey:5]",
			"02T00:00 CallCount":         "map[DescribeKey:6]",
		}
		if !maps.Equal(got, want) {
			t.Errorf("%d a page: %v, want %v", size, got, want)
		}
		// A query of each operation for all, and a search for each day.
		if n := srv.Count(opGetMetricData); size == 1000 && n != 11+2 {
			t.Errorf("%d requests", n)
		}
		for _, c := range srv.WriteCalls() {
			t.Errorf("it writes: %s", c.Name())
		}
	}
}

// What is not whole is an error: an undercount would make error rates too high.
func TestUsageIsWholeOrAnError(t *testing.T) {
	t.Parallel()
	for kind, want := range map[fakeaws.Kind]struct {
		class Class
		says  string
	}{
		fakeaws.Partial:      {Incomplete, "a series is marked as PartialData"},
		fakeaws.Warned:       {Incomplete, "get metric data of Decrypt in eu-west-1 as 111122223333: CloudWatch says that the answer is not whole (MaxMetricsExceeded: The maximum number of metrics was exceeded.)"},
		fakeaws.WarnedSeries: {Incomplete, "CloudWatch says that the answer is not whole (MaxMetricsExceeded: The maximum number of metrics was exceeded.)"},
		fakeaws.Doubled:      {Incomplete, "get metric data of Decrypt in eu-west-1 as 111122223333: there are more than 1 series"},
		fakeaws.NoList:       {Incomplete, "the answer holds no list of results"},
		fakeaws.RepeatItems:  {Incomplete, "two datapoints are at 2026-10-01T00:00:00Z"},
		fakeaws.AccessDenied: {AccessDenied, "AccessDenied"},
		fakeaws.Throttle:     {Throttled, "Rate exceeded"},
	} {
		srv := fakeaws.Start(t, used())
		nth := 1
		if kind == fakeaws.RepeatItems {
			srv.Update(func(s *fakeaws.State) {
				s.Requests = append(s.Requests, fakeaws.Requests{At: october.Add(5 * time.Minute), Operation: "Decrypt", Count: 1})
			})
			nth = 2
		}
		srv.Fail(fakeaws.Fault{Operation: opGetMetricData, Kind: kind, Nth: nth, Times: fakeaws.Forever})
		counts, err := usage(t, srv, 1)
		wantPart(t, err, want.class, want.says)
		if counts != nil {
			t.Errorf("%s: %d counts beside the error", want.says, len(counts))
		}
	}
	srv := fakeaws.Start(t, used())
	srv.Fail(fakeaws.Fault{Operation: opGetMetricData, Kind: fakeaws.AccessDenied, Times: fakeaws.Forever})
	_, err := usage(t, srv, 1)
	if hint := Hint(err); !strings.Contains(hint, "allow cloudwatch:GetMetricData") || !strings.Contains(hint, "keywatch permissions sla collect") {
		t.Errorf("hint %q", hint)
	}
}

// A series that is a part on one page must have its rest on another, or an undercount
// would look whole.
func TestUsageWithoutTheRestOfASeries(t *testing.T) {
	t.Parallel()
	srv := fakeaws.Start(t, used())
	srv.Fail(fakeaws.Fault{Operation: opGetMetricData, Kind: fakeaws.Partial, Nth: len(keyOperations()) + 1})
	_, err := usage(t, srv, 1)
	wantPart(t, err, Incomplete, "get metric data of CallCount in eu-west-1 as 111122223333: the rest of 1 series marked as PartialData never came")
}

func TestUsageTakesOnlyNumbersAndNames(t *testing.T) {
	t.Parallel()
	for want, change := range map[string]func(*fakeaws.State){
		"there are more than 499 series": func(s *fakeaws.State) {
			for i := range 498 {
				s.Calls = append(s.Calls, fakeaws.Calls{At: october, Resource: fmt.Sprint("Api", i), Count: 1})
			}
		},
		"a datapoint is at 2026-10-01T00:01:00Z, which was not asked for": func(s *fakeaws.State) { s.Requests[0].At = october.Add(time.Minute) },
		"a datapoint is no number of requests":                            func(s *fakeaws.State) { s.Requests[0].Count = 0.5 },
		"a series of CallCount has a name that is no API's":               func(s *fakeaws.State) { s.Calls[0].Resource = "a b" },
	} {
		state := used()
		change(&state)
		_, err := usage(t, fakeaws.Start(t, state, fakeaws.PageSize(1000)), 1)
		wantPart(t, err, Incomplete, want)
	}
}

// A log group is read to its last page, empty pages among them, or it is an error.
func TestLogEvents(t *testing.T) {
	t.Parallel()
	state := fakeaws.State{LogGroups: map[string][]fakeaws.LogEvent{"trail": {
		{At: october.Add(-time.Hour), Message: "before"}, {At: october, Message: "{\n1}"}, {At: october.Add(time.Hour), Message: "{2}"},
		{At: october.Add(2 * time.Hour), Message: "{3}"}, {At: october.Add(3 * time.Hour), Message: "at the end"},
	}}}
	read := func(srv *fakeaws.Server, group string) (string, error) {
		var b strings.Builder
		err := session(t, srv, quick()).LogEvents(t.Context(), group, october, october.Add(3*time.Hour), &b)
		return b.String(), err
	}
	srv := fakeaws.Start(t, state)
	srv.Fail(fakeaws.Fault{Operation: opFilterLogEvents, Kind: fakeaws.NoItems, Nth: 2})
	if got, err := read(srv, "trail"); err != nil || got != "{ 1}\n{2}\n{3}\n" {
		t.Errorf("%q, %v", got, err)
	}
	for kind, want := range map[fakeaws.Kind]struct {
		class Class
		says  string
	}{
		fakeaws.NoList:       {Incomplete, "the answer holds no list of events"},
		fakeaws.RepeatMarker: {Incomplete, "the same page marker came twice"},
		fakeaws.AccessDenied: {AccessDenied, "read log group trail in eu-west-1 as 111122223333"},
		fakeaws.Cut:          {Network, "closed before the answer was complete"},
	} {
		srv := fakeaws.Start(t, state)
		srv.Fail(fakeaws.Fault{Operation: opFilterLogEvents, Kind: kind, Nth: 2, Times: fakeaws.Forever})
		_, err := read(srv, "trail")
		wantPart(t, err, want.class, want.says)
	}
	_, err := read(fakeaws.Start(t, state), "nowhere")
	wantPart(t, err, Other, "ResourceNotFoundException")
	if !strings.Contains(Hint(err), "check the name of the log group") {
		t.Errorf("hint %q", Hint(err))
	}
}
