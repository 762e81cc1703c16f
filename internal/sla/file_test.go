package sla

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/fstest"
	"time"
)

// idleKept is a month of which every interval is known, and idle.
func idleKept(n int) []Kept {
	out := make([]Kept, n)
	for i := range out {
		out[i].Known = true
	}
	return out
}

// CloudWatch counts what was served. With what failed by the logs that is the
// denominator, worked out by hand; what the logs hold more of stays theirs.
func TestKeptNumbersAreTheDenominator(t *testing.T) {
	t.Parallel()
	in := failing(t)
	in.Intervals[287].Partial = true
	before := in.Intervals[287]
	in.Kept = idleKept(len(in.Intervals))
	calls := int64(2000)
	in.Kept[287] = Kept{Known: true, Successes: 999, Calls: &calls} // 999 served, 1 failed
	in.Kept[288].Successes = 1                                      // 1 served, 1 failed, 2 rejected: 4, as the logs say
	in.Intervals[5] = Interval{Requests: 3, Contestable: 1, Rejected: 2}
	in.Kept[5].Successes = 7 // 7 served, 1 failed, 2 rejected
	in.Kept[6].Known = false
	r := build(t, in)
	if r.Figure.SumExact != "1/1000" || r.Contestable.SumExact != "351/1000" {
		t.Errorf("sums %s and %s, want 1/1000 and 1/1000 + 1/4 + 1/10", r.Figure.SumExact, r.Contestable.SumExact)
	}
	if r.Requests != 1014 || r.Idle != 8925 || r.FromMetric != 2 || r.Unknown != 1 {
		t.Errorf("%d requests, %d idle, %d by CloudWatch, %d unknown", r.Requests, r.Idle, r.FromMetric, r.Unknown)
	}
	if b := r.Below[1]; b.Requests != 1000 || b.RequestsFrom != "CloudWatch SuccessfulRequest and the failed requests of the logs" || *b.CallCount != 2000 {
		t.Errorf("%+v", b)
	}
	if b := r.Below[2]; b.Requests != 4 || b.RequestsFrom != "logs" || b.CallCount != nil {
		t.Errorf("%+v", b)
	}
	// With them the commitment is kept, but for the contestable faults.
	if len(r.Missing) != 1 || !strings.HasPrefix(r.Missing[0], "Without contestable faults the credit of $0.00") {
		t.Errorf("missing: %q", r.Missing)
	}
	if s := r.Sources[len(r.Sources)-1]; s.Name != Metric || s.Requests != 1007 || !strings.Contains(s.Unseen, "ReEncrypt") {
		t.Errorf("%+v", s)
	}
	if in.Intervals[287] != before {
		t.Error("the input was changed")
	}
	if csv := string(r.intervalsCSV()); !strings.Contains(csv, "\n2026-10-01T23:55:00Z,2026-10-02T00:00:00Z,1000,1,0,0,0,99.9000,99.9000,CloudWatch SuccessfulRequest and the failed requests of the logs,999,2000\n") ||
		!strings.Contains(csv, "\n2026-10-01T00:30:00Z,2026-10-01T00:35:00Z,0,0,0,0,0,100.0000,100.0000,,,\n") {
		t.Errorf("%.600s", csv)
	}
	if md := string(r.markdown()); !strings.Contains(md, "Of 2 intervals the requests are those that CloudWatch counted") {
		t.Error("the claim does not say where its requests come from")
	}
}

// An outage of which only a rule for faults knows, with nothing served beside: all
// of it failed. Where no numbers were kept of that time, it is a missing piece.
func TestAnIntervalWithFaultsNeedsADenominator(t *testing.T) {
	t.Parallel()
	in := failing(t)
	in.Intervals[287] = Interval{Requests: 3, Faults: 3, Partial: true}
	in.Kept = idleKept(len(in.Intervals))
	if r := build(t, in); len(r.Missing) > 0 || r.Figure.SumExact != "1" {
		t.Errorf("known: sum %s, missing %q", r.Figure.SumExact, r.Missing)
	}
	in.Kept[287].Known = false
	if r := build(t, in); len(r.Missing) != 1 || !strings.Contains(r.Missing[0], "(--evidence)") || r.Below[0].RequestsFrom != "logs that do not hold all requests" {
		t.Errorf("unknown: missing %q", r.Missing)
	}
	in.Kept = in.Kept[1:]
	if _, err := Build(in); err == nil {
		t.Error("numbers of 8927 intervals are taken for a month")
	}
}

// Kept numbers only ever make an error rate smaller, in any month.
func TestKeptNumbersNeverMakeAnErrorRateGreater(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(1, 2))
	for range 20 {
		in := failing(t)
		in.Kept = make([]Kept, len(in.Intervals))
		for i := range in.Intervals {
			if r.IntN(20) > 0 {
				continue
			}
			faults, rest := r.Int64N(5), r.Int64N(5)
			in.Intervals[i] = Interval{Requests: faults + rest, Faults: faults, Rejected: rest}
			in.Kept[i] = Kept{Known: r.IntN(2) > 0, Successes: r.Int64N(9)}
		}
		with := in.withKept()
		if Sum(with.Intervals, true).Cmp(Sum(in.Intervals, true)) > 0 {
			t.Fatal("the sum is greater")
		}
		for i, iv := range with.Intervals {
			if iv.Requests < in.Intervals[i].Requests || iv.Requests < iv.Faults+iv.Contestable+iv.Rejected {
				t.Fatalf("interval %d: %+v of %+v and %+v", i, iv, in.Intervals[i], in.Kept[i])
			}
		}
	}
}

func TestAMonthThatIsNotOver(t *testing.T) {
	t.Parallel()
	in := failing(t)
	in.Open = true
	if r := build(t, in); !r.Open || len(r.Missing) != 1 || !strings.HasPrefix(r.Missing[0], "The month is not over: it ends at 2026-11-01T00:00:00Z.") {
		t.Errorf("missing %q", r.Missing)
	}
}

func claimed(t *testing.T, in Input) (fstest.MapFS, Manifest, string) {
	t.Helper()
	docs, err := Claim(build(t, in), nil)
	if err != nil {
		t.Fatal(err)
	}
	dir := folder(docs)
	m, hash, problems, err := Verify(dir)
	if err != nil || len(problems) > 0 {
		t.Fatal(problems, err)
	}
	return dir, m, hash
}

// The record of a filing lies in the folder, and only that of this claim.
func TestAFilingLeavesTheClaimUnchanged(t *testing.T) {
	t.Parallel()
	dir, _, hash := claimed(t, failing(t))
	f := NewFiling(hash, "SLA Credit Request: AWS KMS", time.Date(2026, 11, 3, 4, 5, 6, 7, time.UTC))
	f.Case = "case-1"
	data, err := f.Encode()
	if err != nil {
		t.Fatal(err)
	}
	dir[FiledName] = &fstest.MapFile{Data: data}
	if _, _, problems, err := Verify(dir); len(problems) > 0 || err != nil {
		t.Errorf("%q %v", problems, err)
	}
	if got, err := ReadFiling(data, hash); err != nil || got != f {
		t.Errorf("%+v, %v; want %+v", got, err, f)
	}
	for name, bad := range map[string][]byte{"another version's": bytes.Replace(data, []byte(`"version": 1`), []byte(`"version": 7`), 1), "another claim's": bytes.Replace(data, []byte(hash), []byte(strings.Repeat("0", 64)), 1), "no record": []byte("{}")} {
		dir[FiledName] = &fstest.MapFile{Data: bad}
		if _, _, problems, _ := Verify(dir); len(problems) != 1 || !strings.HasPrefix(problems[0], "filed.json: changed: ") {
			t.Errorf("%s: %q", name, problems)
		}
	}
	if _, err := ReadFiling(bytes.Replace(data, []byte(`"version": 1`), []byte(`"version": 7`), 1), hash); err == nil || !strings.Contains(err.Error(), "it is of version 7 of its format, and this keywatch reads version 1") {
		t.Errorf("%v", err)
	}
}

// A report of another version is not read for what it is not.
func TestTheSummaryOfAnotherVersion(t *testing.T) {
	t.Parallel()
	dir, _, _ := claimed(t, failing(t))
	if s, err := ReadSummary(dir); err != nil || s.Without.Percent != 10 {
		t.Errorf("%+v, %v", s, err)
	}
	dir["report.json"].Data = bytes.Replace(dir["report.json"].Data, []byte(`"schemaVersion": 1`), []byte(`"schemaVersion": 2`), 1)
	if _, err := ReadSummary(dir); err == nil || !strings.Contains(err.Error(), "read report.json: it is of version 2 of its format, and this keywatch reads version 1") {
		t.Errorf("%v", err)
	}
}

// What is sent is the claim, within the limits of AWS Support.
func TestNewCase(t *testing.T) {
	t.Parallel()
	in := failing(t)
	in.Charges = nil
	dir, m, _ := claimed(t, in)
	c, err := NewCase(dir, m)
	if err != nil {
		t.Fatal(err)
	}
	if c.Subject != "SLA Credit Request: AWS KMS, eu-west-1, October 2026" || c.Body != string(dir["claim.md"].Data) || len(c.Missing) != 1 || c.Deadline.Format(time.DateOnly) != "2026-12-30" {
		t.Errorf("%+v", c)
	}
	if !strings.HasPrefix(c.Body, c.Subject+"\n") || !strings.Contains(string(dir["review.md"].Data), "- Subject of the case: "+c.Subject+"\n") {
		t.Error("the claim has another subject")
	}
	var names []string
	for _, d := range c.Attachments {
		names = append(names, d.Name)
	}
	if fmt.Sprint(names) != "[claim.md requests.csv intervals.csv]" {
		t.Errorf("attachments %v", names)
	}
	for i := range 2000 { // an outage of a week
		in.Intervals[i] = Interval{Requests: 5, Faults: 5}
	}
	dir, m, _ = claimed(t, in)
	if c, err = NewCase(dir, m); err != nil {
		t.Fatal(err)
	}
	head, last, _ := strings.Cut(c.Body, "\n(The whole claim is attached")
	if len(c.Body) > maxBody || last == "" || !strings.HasPrefix(string(dir["claim.md"].Data), head) || !strings.HasSuffix(head, " 0.0000\n") {
		t.Errorf("%d bytes, which end in %q", len(c.Body), c.Body[len(c.Body)-200:])
	}
}

func TestAttachmentsAreWithinTheLimit(t *testing.T) {
	t.Parallel()
	large := bytes.Repeat([]byte("0123456789"), maxAttachment/10+1)
	d, err := attachment("requests.csv", large)
	if err != nil || d.Name != "requests.csv.gz" || len(d.Data) > maxAttachment {
		t.Fatalf("%s, %d bytes, %v", d.Name, len(d.Data), err)
	}
	z, err := gzip.NewReader(bytes.NewReader(d.Data))
	if err != nil {
		t.Fatal(err)
	}
	if back, err := io.ReadAll(z); err != nil || !bytes.Equal(back, large) {
		t.Error("the attachment is not the file")
	}
	noise := make([]byte, maxAttachment+1)
	rand.NewChaCha8([32]byte{}).Read(noise)
	if _, err := attachment("requests.csv", noise); err == nil || !strings.Contains(err.Error(), "takes at most 5242880 of a file") {
		t.Errorf("%v", err)
	}
}

// Codes are looked up, never guessed.
func TestChoose(t *testing.T) {
	t.Parallel()
	services := []Service{
		{"kms", "Key Management Service", nil},
		{"billing", "Account and Billing", []Category{{"other", "Other"}, {"credits", "Promotional or Service Credits"}}},
	}
	s, c, err := Choose(services, "", "")
	if err != nil || s.Code != "billing" || c.Code != "credits" {
		t.Errorf("%v %v %v", s, c, err)
	}
	if _, c, err := Choose(services, "billing", "other"); err != nil || c.Code != "other" {
		t.Errorf("%v %v", c, err)
	}
	two := append(services, Service{"billing-2", "More Billing", nil})
	for want, ask := range map[string][]string{
		`2 of AWS Support's services are about billing; name the right one with --service: billing, billing-2, kms`:    {"", ""},
		`0 of AWS Support's services have the code "bill"; name the right one with --service: billing, billing-2, kms`: {"bill", ""},
		`0 of the categories of billing have the code "credit"; name the right one with --category: credits, other`:    {"billing", "credit"},
		`0 of the categories of billing-2 are about credits; name the right one with --category: `:                     {"billing-2", ""},
	} {
		if _, _, err := Choose(two, ask[0], ask[1]); err == nil || err.Error() != want {
			t.Errorf("%v: %v\nwant %s", ask, err, want)
		}
	}
}
