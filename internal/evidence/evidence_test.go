package evidence

import (
	"bytes"
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	"keywatch/internal/sla"
)

var (
	october = sla.Month{Year: 2026, Month: time.October}
	later   = time.Date(2026, 11, 2, 3, 4, 5, 6, time.UTC)
)

func at(n int) time.Time { return october.IntervalStart(n) }

func successes(n int, decrypt int64) Count {
	requests := map[string]int64{}
	if decrypt > 0 {
		requests["Decrypt"] = decrypt
	}
	return Count{at(n), Successes, requests}
}

func add(t *testing.T, f *File, counts ...Count) Changes {
	t.Helper()
	c, err := f.Add(counts, later)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func parse(t *testing.T, data []byte) *File {
	t.Helper()
	f, err := Parse("111122223333", "eu-west-1", october, data)
	if err != nil {
		t.Fatalf("%v\n%s", err, data)
	}
	return f
}

// A file only grows: what is there is not added again, a correction says what
// stood there, and whoever reads it again gets the same.
func TestAFileOnlyGrows(t *testing.T) {
	t.Parallel()
	f := New("111122223333", "eu-west-1", october)
	calls := Count{at(0), Calls, map[string]int64{"DescribeKey": 2}}
	if c := add(t, f, successes(1, 0), calls, successes(0, 5)); c != (Changes{Added: 3}) {
		t.Errorf("first: %+v", c)
	}
	first := f.Bytes()
	const want = `{"format":"keywatch-sla-evidence","version":1,"account":"111122223333","region":"eu-west-1","month":"2026-10"}
{"interval":"2026-10-01T00:00:00Z","source":"SuccessfulRequest","requests":{"Decrypt":5}}
{"interval":"2026-10-01T00:00:00Z","source":"CallCount","requests":{"DescribeKey":2}}
{"interval":"2026-10-01T00:05:00Z","source":"SuccessfulRequest","requests":{}}
{"sealed":"`
	if !strings.HasPrefix(string(first), want) || !strings.HasSuffix(string(first), `","lines":4,"collected":"2026-11-02T03:04:05Z"}`+"\n") {
		t.Errorf("%s", first)
	}
	f = parse(t, first)
	if c := add(t, f, successes(0, 5), successes(1, 0), calls); c != (Changes{}) || !bytes.Equal(f.Bytes(), first) {
		t.Errorf("again: %+v", c)
	}
	// Late data: also of an interval that seemed idle.
	if c := add(t, f, successes(0, 7), successes(1, 2)); c != (Changes{Corrected: 2}) {
		t.Errorf("late: %+v", c)
	}
	if got := string(f.Bytes()[len(first):]); !strings.HasPrefix(got, `{"interval":"2026-10-01T00:00:00Z","source":"SuccessfulRequest","requests":{"Decrypt":7},"was":{"Decrypt":5}}
{"interval":"2026-10-01T00:05:00Z","source":"SuccessfulRequest","requests":{"Decrypt":2},"was":{}}
{"sealed":`) || !bytes.HasPrefix(f.Bytes(), first) {
		t.Errorf("%s", got)
	}
	f = parse(t, f.Bytes())
	kept := f.Kept()
	if !kept[0].Known || kept[0].Successes != 7 || kept[0].Calls == nil || *kept[0].Calls != 2 || kept[1].Successes != 2 || kept[2].Known {
		t.Errorf("kept %+v", kept[:3])
	}
	// Less than before is not whole, and what is of another month is not ours.
	before := f.Bytes()
	if c := add(t, f, successes(0, 6), successes(-1, 3), successes(8928, 3)); c != (Changes{Shrunk: 1}) || !bytes.Equal(f.Bytes(), before) {
		t.Errorf("shrunk: %+v", c)
	}
}

// Every change of a file is seen, at whatever byte.
func TestParseProves(t *testing.T) {
	t.Parallel()
	f := New("111122223333", "eu-west-1", october)
	add(t, f, successes(0, 5), successes(1, 6))
	add(t, f, successes(0, 7), successes(2, 0))
	data := f.Bytes()
	sealing := 0
	for i := range data {
		changed := bytes.Clone(data)
		changed[i] ^= 1
		// When it was collected is said, not proved, in the last seal alone.
		if _, err := Parse("111122223333", "eu-west-1", october, changed); err == nil {
			sealing++
		}
	}
	if sealing > 20 {
		t.Errorf("%d changes of a byte go unseen", sealing)
	}
	for n := range len(data) {
		if _, err := Parse("111122223333", "eu-west-1", october, data[:n]); err == nil && n != 0 && !bytes.HasSuffix(data[:n], []byte("Z\"}\n")) {
			t.Errorf("the first %d bytes are taken for a file", n)
		}
	}
	for _, place := range []string{"444455556666 eu-west-1", "111122223333 us-east-1"} {
		account, region, _ := strings.Cut(place, " ")
		if _, err := Parse(account, region, october, data); err == nil || !strings.Contains(err.Error(), "line 1 is not the head of the file of "+account) {
			t.Errorf("%s: %v", place, err)
		}
	}
	// A number that was changed, with a seal that fits: the chain of corrections
	// still shows it.
	if _, err := Parse("111122223333", "eu-west-1", october, bytes.Replace(data, []byte(`"was":{"Decrypt":5}`), []byte(`"was":{"Decrypt":4}`), 1)); err == nil || !strings.Contains(err.Error(), "does not say what stood there before") {
		t.Errorf("%v", err)
	}
	if _, err := Parse("111122223333", "eu-west-1", october, []byte("{\"secret\":\"hunter2\"}\n")); err == nil || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("%v", err)
	}
}

// extremes are the most that a line may hold.
func extremes() map[string]int64 {
	requests := map[string]int64{}
	for i := range mostNames {
		requests[fmt.Sprintf("%0128d", i)] = mostRequests
	}
	return requests
}

// A line holds what somebody may have made, whether it is read or added.
func TestALineIsBounded(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		change func(map[string]int64)
		want   string
	}{
		"the most":        {func(map[string]int64) {}, ""},
		"a name more":     {func(r map[string]int64) { r["Sign"] = 1 }, "has 201 names, more than 200"},
		"a request more":  {func(r map[string]int64) { r[fmt.Sprintf("%0128d", 0)]++ }, "has a number that is not from 1 to 1000000000000"},
		"near 2^63":       {func(r map[string]int64) { clear(r); r["Sign"] = 1<<63 - 1 }, "has a number that is not from 1 to 1000000000000"},
		"a longer name":   {func(r map[string]int64) { clear(r); r[strings.Repeat("a", 129)] = 1 }, "has a name that is none of an API"},
		"an empty name":   {func(r map[string]int64) { clear(r); r[""] = 1 }, "has a name that is none of an API"},
		"a terminal's":    {func(r map[string]int64) { clear(r); r["\x1b[2J"] = 1 }, "has a name that is none of an API"},
		"a name and more": {func(r map[string]int64) { clear(r); r["Sign\n"] = 1 }, "has a name that is none of an API"},
	} {
		requests := extremes()
		test.change(requests)
		_, err := New("111122223333", "eu-west-1", october).Add([]Count{{at(0), Successes, requests}}, later)
		if test.want == "" && err != nil || test.want != "" && (err == nil || !strings.Contains(err.Error(), "what CloudWatch says of SuccessfulRequest in the interval of 2026-10-01T00:00:00Z "+test.want+"; nothing of 2026-10 was kept")) {
			t.Errorf("%s added: %v", name, err)
		}
		// Written by somebody else, with a seal that fits.
		f := New("111122223333", "eu-west-1", october)
		if err := f.write([]line{{at(0), Successes, requests, nil}}, later); err != nil {
			t.Fatal(err)
		}
		_, err = Parse("111122223333", "eu-west-1", october, f.Bytes())
		if test.want == "" && err != nil || test.want != "" && (err == nil || !strings.Contains(err.Error(), "line 2 "+test.want)) {
			t.Errorf("%s read: %v", name, err)
		}
	}
}

// A month of nothing but the most that a line may hold is summed up exactly.
func TestTheSumOfAMonthDoesNotOverflow(t *testing.T) {
	t.Parallel()
	f, most := New("111122223333", "eu-west-1", october), extremes()
	for i := range october.Intervals() {
		for _, s := range Sources {
			f.last[slot{at(i).Unix(), s}] = most
		}
	}
	in := sla.Input{Month: october, Account: "111122223333", Region: "eu-west-1", Intervals: make([]sla.Interval, october.Intervals()), Kept: f.Kept()}
	in.Intervals[0] = sla.Interval{Requests: 1, Faults: 1}
	r, err := sla.Build(in)
	if err != nil {
		t.Fatal(err)
	}
	const each int64 = 200_000_000_000_000
	if want := 8928*each + 1; r.Requests != want || r.Sources[0].Requests != want-1 {
		t.Errorf("%d requests, %d by CloudWatch; want %d", r.Requests, r.Sources[0].Requests, want)
	}
	if r.Figure.SumExact != "1/200000000000001" || r.Below[0].Availability != "99.9999" || *r.Below[0].CallCount != each {
		t.Errorf("sum %s, %+v", r.Figure.SumExact, r.Below[0])
	}
}

func TestGaps(t *testing.T) {
	t.Parallel()
	f := New("111122223333", "eu-west-1", october)
	var counts []Count
	for _, n := range []int{2, 3, 5} {
		counts = append(counts, successes(n, 1), Count{at(n), Calls, nil})
	}
	// Of 6 the calls are missing, of 7 the successes.
	add(t, f, append(counts, successes(6, 1), Count{at(7), Calls, nil})...)
	var got []string
	for _, g := range f.Gaps(at(1), at(8)) {
		got = append(got, g.String())
	}
	const want = "2026-10-01T00:05:00Z to 2026-10-01T00:10:00Z (1), 2026-10-01T00:20:00Z to 2026-10-01T00:25:00Z (1), 2026-10-01T00:30:00Z to 2026-10-01T00:40:00Z (2)"
	if strings.Join(got, ", ") != want {
		t.Errorf("%s\nwant %s", strings.Join(got, ", "), want)
	}
}

// Only whole intervals that are settled are asked for, and none beyond the reach.
func TestWindow(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 10, 20, 12, 34, 56, 0, time.FixedZone("", 7200))
	for days, want := range map[int]string{
		1: "2026-10-19T10:15:00Z to 2026-10-20T10:15:00Z (0)", 14: "2026-10-06T11:35:00Z to 2026-10-20T10:15:00Z (0)", 60: "2026-10-06T11:35:00Z to 2026-10-20T10:15:00Z (0)",
	} {
		begin, end := Window(now, days)
		if got := (Gap{From: begin, To: end}).String(); got != want {
			t.Errorf("%d days: %s, want %s", days, got, want)
		}
		if now.Sub(begin) > Reach || begin.Unix()%300 != 0 || end.Unix()%300 != 0 || now.Sub(end) < Settled {
			t.Errorf("%d days: %s to %s", days, begin, end)
		}
	}
}

// No input makes the reader panic, and what it takes it would write the same.
func FuzzParse(f *testing.F) {
	file := New("111122223333", "eu-west-1", october)
	if _, err := file.Add([]Count{successes(0, 5), {at(0), Calls, map[string]int64{"a": 1}}}, later); err != nil {
		f.Fatal(err)
	}
	f.Add(file.Bytes())
	f.Add([]byte("{}\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		got, err := Parse("111122223333", "eu-west-1", october, data)
		if err != nil {
			return
		}
		counts := []Count{}
		for s, requests := range got.last {
			counts = append(counts, Count{time.Unix(s.unix, 0), s.source, maps.Clone(requests)})
		}
		if c, err := got.Add(counts, later); err != nil || c != (Changes{}) {
			t.Errorf("%+v, %v", c, err)
		}
	})
}
