package sla

import (
	"fmt"
	"math/big"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"
)

func month(t *testing.T, s string) Month {
	t.Helper()
	m, err := ParseMonth(s)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func rat(t *testing.T, s string) *big.Rat {
	t.Helper()
	r, ok := new(big.Rat).SetString(s)
	if !ok {
		t.Fatal(s)
	}
	return r
}

// run is some intervals alike, from one on.
type run struct {
	from, n          int
	requests, faults int64
}

// Each month here was worked out by hand; sum and uptime are the arithmetic.
//
//	days  intervals = days · 24 · 12     the commitment allows intervals / 100,000
//	 28   8,064                          0.08064
//	 29   8,352                          0.08352
//	 30   8,640                          0.08640
//	 31   8,928                          0.08928
func TestHandWorkedMonths(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name, month string
		runs        []run
		intervals   int
		sum         string // Σ faults / requests
		uptime      string // 100 · (1 − sum / intervals)
		credit      int
	}{
		{"no traffic at all", "2026-10", nil, 8928, "0", "100", 0},
		{"traffic without a fault", "2026-10", []run{{0, 8928, 7, 0}}, 8928, "0", "100", 0},
		// 1/10 > 0.08928: 100 · (1 − 0.1 / 8928) = 100 − 10/8928
		{"one failed call of 10", "2026-10", []run{{0, 1, 10, 1}}, 8928, "1/10", "446395/4464", 10},
		// 1/11 = 0.0909… > 0.08928; 1/12 = 0.0833… is not
		{"one of 11 in 31 days", "2026-10", []run{{5, 1, 11, 1}}, 8928, "1/11", "2455175/24552", 10}, // 100 − 100/98,208
		{"one of 12 in 31 days", "2026-10", []run{{5, 1, 12, 1}}, 8928, "1/12", "2678375/26784", 0},
		// 1/12 = 0.0833… > 0.08064 in 28 days, and 0.0833… < 0.08352 in 29
		{"one of 12 in 28 days", "2026-02", []run{{5, 1, 12, 1}}, 8064, "1/12", "2419175/24192", 10},
		{"one of 12 in 29 days", "2028-02", []run{{5, 1, 12, 1}}, 8352, "1/12", "2505575/25056", 0},
		// The bound is strict: 100 · (1 − 0.08928 / 8928) = 99.999 exactly.
		{"exactly 99.999 %, 31 days", "2026-10", []run{{100, 1, 100_000, 8928}}, 8928, "0.08928", "99.999", 0},
		{"one fault below it, 31 days", "2026-10", []run{{100, 1, 100_000, 8929}}, 8928, "0.08929", "892791071/8928000", 10}, // 100 − 8,929/8,928,000
		{"exactly 99.999 %, 30 days", "2026-11", []run{{100, 1, 100_000, 8640}}, 8640, "0.0864", "99.999", 0},
		{"exactly 99.999 %, 29 days", "2028-02", []run{{100, 1, 100_000, 8352}}, 8352, "0.08352", "99.999", 0},
		{"exactly 99.999 %, 28 days", "2026-02", []run{{100, 1, 100_000, 8064}}, 8064, "0.08064", "99.999", 0},
		// 1 % of 8,640 is 86.4 intervals: 86 down, and 4 of 10 failed in another.
		{"exactly 99.0 %", "2026-11", []run{{0, 86, 3, 3}, {86, 1, 10, 4}}, 8640, "86.4", "99", 10},
		{"just below 99.0 %", "2026-11", []run{{0, 86, 3, 3}, {86, 1, 10, 4}, {87, 1, 1000, 1}}, 8640, "86.401", "8553599/86400", 25},
		// 5 % is 432 intervals, 36 hours.
		{"exactly 95.0 %", "2026-11", []run{{0, 432, 1, 1}}, 8640, "432", "95", 25},
		{"just below 95.0 %", "2026-11", []run{{0, 432, 1, 1}, {500, 1, 1000, 1}}, 8640, "432.001", "8207999/86400", 100},
		{"down all month", "2026-02", []run{{0, 8064, 9, 9}}, 8064, "8064", "0", 100},
		// The version of 2019: the commitment is 99.9 %, and 95 % is no bound.
		{"exactly 99.9 % in 2021", "2021-11", []run{{0, 8, 1, 1}, {8, 1, 100, 64}}, 8640, "8.64", "99.9", 0},
		{"below 99.9 % in 2021", "2021-11", []run{{0, 9, 1, 1}}, 8640, "9", "4795/48", 10},
		{"below 95.0 % in 2021", "2021-11", []run{{0, 433, 1, 1}}, 8640, "433", "41035/432", 25},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			m := month(t, test.month)
			intervals := make([]Interval, m.Intervals())
			for _, r := range test.runs {
				for i := range r.n {
					intervals[r.from+i] = Interval{Requests: r.requests, Faults: r.faults}
				}
			}
			if len(intervals) != test.intervals {
				t.Errorf("%d intervals, want %d", len(intervals), test.intervals)
			}
			terms, err := TermsOf(m)
			if err != nil {
				t.Fatal(err)
			}
			sum := Sum(intervals, false)
			uptime := Uptime(sum, len(intervals))
			if sum.Cmp(rat(t, test.sum)) != 0 || uptime.Cmp(rat(t, test.uptime)) != 0 {
				t.Errorf("sum %s, uptime %s; want %s and %s", sum.RatString(), uptime.RatString(), test.sum, test.uptime)
			}
			if got := terms.Credit(uptime); got != test.credit {
				t.Errorf("credit %d %%, want %d", got, test.credit)
			}
			// The same by the sum alone: the commitment is missed if it is above what it allows.
			if missed := sum.Cmp(terms.Allowed(len(intervals))) > 0; missed != (test.credit > 0) {
				t.Errorf("sum %s of %s allowed: missed %v", sum.RatString(), terms.Allowed(len(intervals)).RatString(), missed)
			}
		})
	}
}

// A second, independent computation: a plain list of seconds with requests, gone
// through interval by interval, one fraction added to the other.
func TestSumAgainstAPlainListOfSeconds(t *testing.T) {
	t.Parallel()
	type request struct {
		at     time.Time
		failed bool
	}
	for seed := range uint64(12) {
		rng := rand.New(rand.NewPCG(seed, 5))
		m := Month{2024 + int(seed)/12, time.Month(1 + seed)}
		var all []request
		for range 120 {
			at := m.Start().Add(time.Duration(rng.Int64N(m.End().Unix()-m.Start().Unix())) * time.Second)
			if rng.IntN(4) == 0 { // on a border, and a second before it
				at = at.Truncate(5 * time.Minute).Add(time.Duration(-rng.IntN(2)) * time.Second)
			}
			for range 1 + rng.IntN(6) {
				all = append(all, request{at, rng.IntN(3) == 0})
			}
		}
		intervals := make([]Interval, m.Intervals())
		for _, r := range all {
			if i := m.Interval(r.at.Unix()); i >= 0 {
				intervals[i].Requests++
				if r.failed {
					intervals[i].Faults++
				}
			}
		}
		want, n := new(big.Rat), int64(0)
		for begin := m.Start(); begin.Month() == m.Month; begin = begin.Add(5 * time.Minute) {
			requests, failed := int64(0), int64(0)
			for _, r := range all {
				if !r.at.Before(begin) && r.at.Before(begin.Add(5*time.Minute)) {
					requests++
					if r.failed {
						failed++
					}
				}
			}
			availability := big.NewRat(1, 1)
			if requests > 0 {
				availability = big.NewRat(requests-failed, requests)
			}
			want.Add(want, availability)
			n++
		}
		want.Mul(want, big.NewRat(100, n))
		if got := Uptime(Sum(intervals, false), len(intervals)); got.Cmp(want) != 0 {
			t.Errorf("%s, seed %d: uptime %s, by the list %s", m, seed, got.FloatString(12), want.FloatString(12))
		}
	}
}

func TestMonthsAndBorders(t *testing.T) {
	t.Parallel()
	for s, want := range map[string]int{"2026-02": 8064, "2028-02": 8352, "2000-02": 8352, "2100-02": 8064, "2026-04": 8640, "2026-12": 8928} {
		if got := month(t, s).Intervals(); got != want {
			t.Errorf("%s has %d intervals, want %d", s, got, want)
		}
	}
	m := month(t, "2026-10") // daylight saving ends in Europe, not in UTC
	for at, want := range map[string]int64{
		"2026-10-01T00:00:00Z": 0, "2026-10-01T00:04:59Z": 0, "2026-10-01T00:05:00Z": 1,
		"2026-09-30T23:59:59Z": -1, "2026-09-30T23:55:00Z": -1, "2026-09-30T23:54:59Z": -2,
		"2026-10-25T01:30:00Z": 24*288 + 18, "2026-10-31T23:59:59Z": 8927, "2026-11-01T00:00:00Z": 8928,
	} {
		parsed, err := time.Parse(time.RFC3339, at)
		if err != nil {
			t.Fatal(err)
		}
		if got := m.Interval(parsed.Unix()); got != want {
			t.Errorf("%s is in interval %d, want %d", at, got, want)
		}
	}
	for _, bad := range []string{"", "2026", "2026-13", "2026-1", "2026-10-01", "October"} {
		if _, err := ParseMonth(bad); err == nil || !strings.Contains(err.Error(), "YYYY-MM") {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

// 60 days after the period, or the end of the second cycle after it: around the
// short February the second is earlier.
func TestDeadlines(t *testing.T) {
	t.Parallel()
	for s, want := range map[string]string{
		"2026-10": "2026-12-30", // 31 October + 60; not 31 December
		"2026-06": "2026-08-29", // 30 June + 60; not 31 August
		"2026-07": "2026-09-29",
		"2026-12": "2027-02-28", // not 1 March
		"2027-12": "2028-02-29", // 60 days after is 29 February too
		"2027-01": "2027-03-31", // not 1 April
		"2026-02": "2026-04-29",
	} {
		terms, err := TermsOf(month(t, s))
		if err != nil {
			t.Fatal(err)
		}
		if got := terms.Deadline(month(t, s)).Format(time.DateOnly); got != want {
			t.Errorf("%s is to be claimed by %s, want %s", s, got, want)
		}
	}
}

func TestTermsOfAMonth(t *testing.T) {
	t.Parallel()
	for s, want := range map[string]string{"2019-02": "2019-01-16", "2022-11": "2019-01-16", "2022-12": "2022-11-29", "2026-10": "2022-11-29"} {
		terms, err := TermsOf(month(t, s))
		if err != nil || terms.Version != want {
			t.Errorf("%s: %s, want %s (%v)", s, terms.Version, want, err)
		}
	}
	if _, err := TermsOf(month(t, "2019-01")); err == nil || !strings.Contains(err.Error(), "2019-02") {
		t.Errorf("2019-01: %v", err)
	}
}

func TestWhatCodesCountAs(t *testing.T) {
	t.Parallel()
	terms, err := TermsOf(month(t, "2026-10"))
	if err != nil {
		t.Fatal(err)
	}
	classes := terms.Classes()
	for _, test := range []struct {
		code   string
		status int
		store  bool
		want   Class
	}{
		{"", 0, false, Served}, {"", 200, false, Served},
		{"KMSInternalException", 0, false, Faulted}, {"KeyUnavailableException", 500, false, Faulted},
		{"KMSInternal", 0, false, Faulted}, {"InternalFailure", 0, false, Faulted}, {"ServiceUnavailableException", 0, false, Faulted},
		{"KMSInternalException", 0, true, Contestable}, {"", 503, true, Contestable},
		{"DependencyTimeoutException", 503, false, Contestable},
		{"", 500, false, Faulted}, {"", 503, false, Faulted}, {"Unknown", 500, false, Faulted},
		// Only 500 and 503 are errors; throttling is a 400.
		{"", 502, false, Unjudged}, {"", 404, false, Rejected}, {"ThrottlingException", 400, false, Rejected},
		{"KMSInvalidStateException", 0, true, Rejected}, {"AccessDenied", 0, false, Rejected},
		{"ConflictException", 0, false, Rejected}, {"Conflict", 409, false, Rejected},
		// Nobody knows whose fault that is: it may be a new code of either side.
		{"NewException", 0, false, Unjudged}, {"NewException", 0, true, Unjudged}, {"NewException", 200, false, Unjudged},
		{"NewException", 400, false, Rejected}, {"NewException", 503, false, Faulted}, {"NewException", 504, false, Unjudged},
	} {
		if got := classes.Of(test.code, test.status, test.store); got != test.want {
			t.Errorf("%q, status %d, custom key store %v: class %d, want %d", test.code, test.status, test.store, got, test.want)
		}
	}
}

// The word of a person counts only where the terms say nothing: it makes no served
// request a failed one, and overrules no code and no status of the terms.
func TestWhatAPersonSaysOfCodes(t *testing.T) {
	t.Parallel()
	terms, err := TermsOf(month(t, "2026-10"))
	if err != nil {
		t.Fatal(err)
	}
	classes := terms.Classes()
	for _, said := range []string{"Exception", "NewException", "HTTP-504"} {
		if err := classes.CountAs(said, "fault"); err != nil {
			t.Fatal(err)
		}
	}
	for _, test := range []struct {
		code   string
		status int
		want   Class
	}{
		{"", 0, Served}, {"", 200, Served}, {"Exception", 502, Faulted}, {"Exception", 400, Rejected},
		{"New", 0, Faulted}, {"NewException", 502, Faulted}, {"NewException", 400, Rejected}, {"NewException", 200, Faulted},
		{"", 504, Faulted}, {"", 502, Unjudged}, {"OtherException", 504, Unjudged}, {"AccessDenied", 0, Rejected},
	} {
		if got := classes.Of(test.code, test.status, false); got != test.want {
			t.Errorf("%q, status %d: %s, want %s", test.code, test.status, got.Name(), test.want.Name())
		}
	}
	if got := classes.Of("New", 0, true); got != Contestable {
		t.Errorf("a fault on a key of a custom key store is %s", got.Name())
	}
	for said, want := range map[string]string{
		"HTTP-500": "counts as fault", "HTTP-429": "counts as rejected", "HTTP-200": "counts as served", "Throttling": "counts as rejected",
		"New": "said twice", "HTTP-504": "said twice", "NewException": "said twice",
		"HTTP-099": "is no HTTP status", "HTTP-600": "is no HTTP status", "HTTP-": "is no HTTP status", "HTTP-0504": "is no HTTP status", "HTTP-x": "is no HTTP status",
	} {
		if err := classes.CountAs(said, "rejected"); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", said, err, want)
		}
	}
}

// Only what a person said that had a part in the count is repeated, in one order.
func TestWhatHadAPart(t *testing.T) {
	t.Parallel()
	codes := []CodeCount{{"NewException", "fault", 3}, {"NewException", "rejected", 1}, {"Odd", "contestable", 1}, {"HTTP-504", "unknown", 1}, {"ThrottlingException", "rejected", 9}}
	all := []string{"Odd=fault", "New=fault", "Never=fault", "HTTP-504=rejected"}
	for range 2 {
		if got := Said(all, codes); !slices.Equal(got, []string{"New=fault", "Odd=fault"}) {
			t.Errorf("%q", got)
		}
		slices.Reverse(all)
	}
	// Where all are one, nobody can tell.
	if got := Said(all, []CodeCount{{OtherCodes, "fault", 3}}); len(got) != len(all) {
		t.Errorf("%q", got)
	}
}

// Thousands of different denominators are no matter of minutes; the sum is that
// of the plain order.
func TestSumOfManyDenominators(t *testing.T) {
	t.Parallel()
	intervals := make([]Interval, 8928)
	want := new(big.Rat)
	for i := range intervals {
		intervals[i] = Interval{Requests: int64(1_000_003 + 2*i), Faults: 1, Contestable: 1}
		if i < 300 {
			want.Add(want, big.NewRat(2, intervals[i].Requests))
		}
	}
	if Sum(intervals[:300], true).Cmp(want) != 0 {
		t.Error("the sum in pairs differs from the sum in order")
	}
	if s := Sum(intervals, false); s.Cmp(big.NewRat(8928, 1_017_857)) < 0 || s.Cmp(big.NewRat(8928, 1_000_003)) > 0 {
		t.Errorf("the sum is %s", s.FloatString(9))
	}
}

// An uptime is cut off, never rounded up: 99.99899999… is not 99.999.
func TestUptimeIsCutOff(t *testing.T) {
	t.Parallel()
	for s, want := range map[string]string{"99.99899999999": "99.9989999", "99.999": "99.9990000", "100": "100.0000000", "1/3": "0.3333333", "0": "0.0000000"} {
		if got := down(rat(t, s), 7); got != want {
			t.Errorf("%s is shown as %s, want %s", s, got, want)
		}
	}
}

func TestAmounts(t *testing.T) {
	t.Parallel()
	for s, want := range map[string]string{"10": "10", "10.00": "10", "0.01": "1/100", "1234.567": "1234567/1000"} {
		got, err := ParseUSD(s)
		if err != nil || got.RatString() != want {
			t.Errorf("%q: %v (%v)", s, got, err)
		}
	}
	for _, bad := range []string{"", "-1", "+1", "1,5", "$1", "1.", ".5", "1e9", "0x10", "1/3", "1_0", "NaN", strings.Repeat("9", 40)} {
		if got, err := ParseUSD(bad); err == nil {
			t.Errorf("%q is taken as %s", bad, got.RatString())
		}
	}
}

// More than $1 means more: 10 % of $10 is not paid.
func TestCreditFloorIsStrict(t *testing.T) {
	t.Parallel()
	for charges, want := range map[string]bool{"10.00": false, "10.01": true, "9.99": false} {
		in := failing(t)
		in.Charges, _ = ParseUSD(charges)
		r, err := Build(in)
		if err != nil {
			t.Fatal(err)
		}
		if r.Figure.Percent != 10 || *r.Figure.AboveFloor != want {
			t.Errorf("%d %% of $%s is $%s: above $1 %v, want %v", r.Figure.Percent, charges, r.Figure.Credit, *r.Figure.AboveFloor, want)
		}
	}
}

// What is shown of an amount is what is tested, and never more than it is.
func TestAmountsAreNotRoundedUp(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ charges, shown, credit string }{
		{"10.00", "10.00", "1.00"}, {"10.01", "10.01", "1.001"}, {"10.0000000001", "10.00", "1.00000000001"},
		{"10.099", "10.09", "1.0099"}, {"10.1", "10.10", "1.01"}, {"123.456", "123.45", "12.34"}, {"9.999", "9.99", "0.99"},
	} {
		in := failing(t)
		in.Charges = rat(t, test.charges)
		if r := build(t, in); r.Charges != test.shown || r.Figure.Credit != test.credit {
			t.Errorf("10 %% of $%s: $%s of $%s, want $%s of $%s", test.charges, r.Figure.Credit, r.Charges, test.credit, test.shown)
		}
	}
}

// failing is a month with one fault of 10 across midnight, and a contestable one.
// What Cost Explorer charges may be longer than what a person gives.
func TestACreditIsAsLongAsItIs(t *testing.T) {
	t.Parallel()
	in := failing(t)
	in.Charges = new(big.Rat).Add(rat(t, "10"), rat(t, "1e-40"))
	if f := build(t, in).Contestable; f.Percent != 10 || f.Credit != "1."+strings.Repeat("0", 40)+"1" || !*f.AboveFloor {
		t.Errorf("%+v", f)
	}
}

func failing(t *testing.T) Input {
	t.Helper()
	m := month(t, "2026-10")
	in := Input{Month: m, Account: "111122223333", Region: "eu-west-1", Intervals: make([]Interval, m.Intervals()), Seen: make([]bool, 31*24)}
	for i := range in.Seen {
		in.Seen[i] = true
	}
	in.Intervals[287] = Interval{Requests: 10, Faults: 1}
	in.Intervals[288] = Interval{Requests: 4, Contestable: 1, Rejected: 2}
	in.Sources = []Source{{Name: ClientLogs, Requests: 14, Faults: 2, Unseen: "others"}}
	in.Keys = []string{"arn:aws:kms:eu-west-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"}
	in.Failed = []Request{{Time: m.IntervalStart(287), ID: "a", Operation: "Decrypt", Code: "KMSInternalException", Status: 500, Source: ClientLogs, Class: Faulted, Interval: 287}}
	in.Files = []File{{Name: "b.jsonl", SHA256: "bb", Bytes: 2, Records: 4}, {Name: "a.jsonl", SHA256: "aa", Bytes: 1, Records: 10}}
	in.Health, in.HealthGiven = []Event{}, 2
	in.Charges = big.NewRat(100, 1)
	return in
}

func ExampleTerms_Allowed() {
	terms, _ := TermsOf(Month{2026, 11})
	fmt.Println(terms.Allowed(8640).FloatString(4), "of one interval")
	// Output: 0.0864 of one interval
}

// What is kept for a claim is what is counted: each code of a fault in both
// spellings, and none that is no fault.
func TestFaultCodes(t *testing.T) {
	t.Parallel()
	terms := Current()
	const want = "DependencyTimeout DependencyTimeoutException InternalFailure KMSInternal KMSInternalException KeyUnavailable KeyUnavailableException ServiceUnavailable"
	if got := strings.Join(terms.FaultCodes(), " "); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	for _, code := range terms.FaultCodes() {
		if class := terms.Classes().Of(code, 0, false); class != Faulted && class != Contestable {
			t.Errorf("%s is kept and counts as %d", code, class)
		}
	}
	// 99.999 % of 8,640 intervals.
	if got := terms.MonthlyBudget(); got != "0.0864" {
		t.Errorf("the budget of a month is %s", got)
	}
}
