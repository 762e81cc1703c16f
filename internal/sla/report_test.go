package sla

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"
)

func build(t *testing.T, in Input) *Report {
	t.Helper()
	r, err := Build(in)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestBothFigures(t *testing.T) {
	t.Parallel()
	r := build(t, failing(t))
	if r.Figure.SumExact != "1/10" || r.Contestable.SumExact != "7/20" {
		t.Errorf("sums %s and %s, want 1/10 and 7/20", r.Figure.SumExact, r.Contestable.SumExact)
	}
	if r.Requests != 14 || r.Rejected != 2 || r.Idle != 8926 {
		t.Errorf("%d requests, %d rejected, %d idle", r.Requests, r.Rejected, r.Idle)
	}
	if len(r.Missing) > 0 {
		t.Errorf("missing: %v", r.Missing)
	}
	// An outage across midnight: the interval before it and the one after.
	if got := stamp(r.Below[0].End) + " " + stamp(r.Below[1].Start); got != "2026-10-02T00:00:00Z 2026-10-02T00:00:00Z" {
		t.Errorf("borders %s", got)
	}
}

// Each missing piece is said, and only then.
func TestMissingPieces(t *testing.T) {
	t.Parallel()
	for want, change := range map[string]func(*Input){
		"No request to KMS":                                            func(in *Input) { in.Intervals = make([]Interval, 8928) },
		"x.json.gz could not":                                          func(in *Input) { in.Files = append(in.Files, File{Name: "x.json.gz", Damage: "it ends"}) },
		"x.csv is not in the sum: it is CSV.":                          func(in *Input) { in.Files = append(in.Files, File{Name: "x.csv", Damage: "it is CSV", Unread: true}) },
		"1 day of the month (the first is 2026-10-03)":                 func(in *Input) { clear(in.Seen[48:72]) },
		"1 interval with faults and without a count":                   func(in *Input) { in.Intervals[287].Partial = true },
		"No log names the KMS key":                                     func(in *Input) { in.Keys = nil },
		"(--charges)":                                                  func(in *Input) { in.Charges = nil },
		"(--health)":                                                   func(in *Input) { in.Health = nil },
		"The folder of --evidence holds no numbers":                    func(in *Input) { in.Kept = make([]Kept, len(in.Intervals)) },
		"logs of the clients (--requests)":                             func(in *Input) { in.Sources[0].Faults = 0 },
		"The credit of $1.00 is not above $1, the least that is paid.": func(in *Input) { in.Charges = rat(t, "10") },
		"Without contestable faults the credit of $0.00 is not above $1, the least that is paid: the claim rests on faults that AWS may contest.": func(in *Input) { in.Intervals[287].Requests = 100 },
	} {
		in := failing(t)
		change(&in)
		r := build(t, in)
		if len(r.Missing) != 1 || !strings.Contains(r.Missing[0], want) {
			t.Errorf("want %q, got %q", want, r.Missing)
		}
	}
	// A month without a fault needs no more than its logs.
	in := failing(t)
	in.Intervals = make([]Interval, 8928)
	in.Intervals[0].Requests = 1
	in.Charges, in.Health, in.Keys, in.Sources = nil, nil, nil, nil
	if r := build(t, in); len(r.Missing) > 0 {
		t.Errorf("missing in a good month: %q", r.Missing)
	}
}

// What is not paid at all is said before all else, and only of what could be claimed.
func TestACreditThatIsNotPaidIsSaidFirst(t *testing.T) {
	t.Parallel()
	in := failing(t)
	in.Charges, in.Open, in.Keys, in.Health = rat(t, "4.99"), true, nil, nil
	if r := build(t, in); len(r.Missing) != 4 || r.Missing[0] != "The credit of $0.49 is not above $1, the least that is paid." {
		t.Errorf("%q", r.Missing)
	}
	in.Charges = rat(t, "10.01")
	if r := build(t, in); len(r.Missing) != 3 {
		t.Errorf("above it: %q", r.Missing)
	}
	in = failing(t)
	in.Charges, in.Intervals[287].Requests, in.Intervals[288] = rat(t, "4.99"), 100, Interval{}
	if r := build(t, in); r.Contestable.Missed || len(r.Missing) > 0 {
		t.Errorf("a commitment that was kept: %q", r.Missing)
	}
}

// One of a kind is not called several.
func TestOneIsSingular(t *testing.T) {
	t.Parallel()
	in := failing(t)
	in.Intervals[288], in.Sources[0].Requests, in.Sources[0].Faults = Interval{}, 1, 1
	in.Disagreed, in.Contradictory, in.Malformed = 1, 1, Malformed{Count: 1, Records: 1}
	in.Files, in.Keys, in.MoreFailed, in.MoreKeys = []File{{Name: "a", Records: 1}}, nil, 1, true
	in.Kept = idleKept(len(in.Intervals))
	in.Kept[287].Successes = 10
	clear(in.Seen[48:72])
	in.Health, in.HealthGiven = []Event{{ARN: "arn:1", Start: in.Month.Start()}}, 1
	r := build(t, in)
	var text bytes.Buffer
	Text(&text, []*Report{r})
	plural := regexp.MustCompile(`\b1 (more )?(contestable )?(faults|requests|failed requests|records|lines|files|days|intervals|keys|pieces|events)\b`)
	for name, page := range map[string][]byte{"text": text.Bytes(), "claim.md": r.markdown(), "review.md": r.review()} {
		if found := plural.FindAll(bytes.ReplaceAll(page, []byte("\n"), []byte(" ")), -1); len(found) > 0 {
			t.Errorf("%s: %q", name, found)
		}
	}
	for _, want := range []string{"1 file with 1 record\n", "1 request told by two logs", "1 line with an HTTP status", "malformed: 1 of 1 record\n", "client logs: 1 request, 1 failed."} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("the text does not say %q", want)
		}
	}
}

func TestContradictoryLinesAreNamed(t *testing.T) {
	t.Parallel()
	in := failing(t)
	in.Contradictory = 7
	r := build(t, in)
	var text bytes.Buffer
	Text(&text, []*Report{r})
	for name, page := range map[string]string{"text": text.String(), "claim.md": string(r.markdown())} {
		if !strings.Contains(page, "- 7 lines with an HTTP status that is not one of the error code") {
			t.Errorf("%s does not say so", name)
		}
	}
}

// What an estimate is, and every assumption, stands in each report and claim.
func TestEveryReportSaysWhatItIs(t *testing.T) {
	t.Parallel()
	r := build(t, failing(t))
	docs, err := Claim(r, nil)
	if err != nil {
		t.Fatal(err)
	}
	var text bytes.Buffer
	Text(&text, []*Report{r})
	squeeze := func(b []byte) string { return strings.Join(strings.Fields(string(b)), " ") }
	claim, review := squeeze(docs[0].Data), squeeze(docs[1].Data)
	if !strings.Contains(claim, Estimate) {
		t.Error("the claim does not say that it is an estimate")
	}
	for name, page := range map[string]string{"text": squeeze(text.Bytes()), "claim.md and review.md": Estimate + claim + review, "report.json": squeeze(docs[len(docs)-2].Data)} {
		for _, want := range append(slices.Clone(r.Assumptions), Estimate) {
			if !strings.Contains(strings.ReplaceAll(page, `\"`, `"`), want) {
				t.Errorf("%s does not say %q", name, want)
			}
		}
	}
	if len(r.Assumptions) < 12 {
		t.Errorf("only %d assumptions", len(r.Assumptions))
	}
}

// outage is as much of everything as a month may have.
func outage(t *testing.T) *Report {
	t.Helper()
	in := failing(t)
	in.Charges = rat(t, "1234567.89")
	in.Disagreed, in.Contradictory, in.Malformed = 3, 3, Malformed{Count: 2, Records: 100, First: []string{"a.jsonl:7 is not valid JSON"}}
	in.Skipped = map[string]int64{"of another service": 12345678}
	for i := range in.Intervals {
		in.Intervals[i] = Interval{Requests: 12345678, Faults: 1234567, Contestable: 123456}
	}
	in.Codes = []CodeCount{{"XksProxyVpcEndpointServiceInvalidConfigurationException", Rejected.Name(), 12345678}, {StatusCode(504), Unjudged.Name(), 3}}
	in.Keys = append(in.Keys, "arn:aws:kms:eu-west-1:111122223333:key/mrk-1234abcd12ab34cd56ef1234567890ab")
	in.Kept = idleKept(len(in.Intervals))
	in.Kept[0].Successes = 12345678
	in.Health = []Event{{ARN: "arn:aws:health:eu-west-1::event/KMS/X/1", Type: "AWS_KMS_OPERATIONAL_ISSUE", Start: in.Month.Start()}}
	in.MoreFailed, in.MoreKeys = 12345678, true
	return build(t, in)
}

// What all reports of a month assume stands at the end; what one alone assumes, in that
// one. An interval in which all failed is no assumption if nothing counts as a fault, or
// CloudWatch knows it.
func TestWhatOneReportAloneAssumes(t *testing.T) {
	t.Parallel()
	const alone = "Assumed of this one alone:"
	say := func(change func(*Input)) string {
		t.Helper()
		one, other := failing(t), failing(t)
		other.Region = "us-east-1"
		change(&other)
		var b bytes.Buffer
		Text(&b, []*Report{build(t, one), build(t, other)})
		text := strings.Join(strings.Fields(b.String()), " ")
		if strings.Count(text, "An interval without requests is 100 % available.") != 1 {
			t.Errorf("what both assume is not said once:\n%s", b.String())
		}
		return text
	}
	failed := func(in *Input) { in.Intervals[287].AllFailed = true }
	if text := say(failed); !strings.Contains(text, alone+" - In 1 interval every request failed that the clients' logs hold.") || strings.Index(text, alone) < strings.Index(text, "KMS in us-east-1") {
		t.Error(text)
	}
	for name, change := range map[string]func(*Input){
		"nothing":        func(*Input) {},
		"rejected alone": func(in *Input) { in.Intervals[7] = Interval{Requests: 1, Rejected: 1, AllFailed: true} },
		"known by CloudWatch": func(in *Input) {
			failed(in)
			in.Kept = idleKept(len(in.Intervals))
		},
	} {
		if text := say(change); strings.Contains(text, alone) {
			t.Errorf("%s: %s", name, text)
		}
	}
}

// Codes that nobody can judge are a missing piece, with what to do about them.
func TestUnknownCodesAreAMissingPiece(t *testing.T) {
	t.Parallel()
	in := failing(t)
	in.Intervals[3] = Interval{Requests: 9, Unjudged: 9}
	for i, code := range []string{"Aaa", "Bbb", "Ccc", "Ddd", "Eee", Hidden} {
		in.Codes = append(in.Codes, CodeCount{code, Unjudged.Name(), int64(6 - i)})
	}
	in.Codes = append(in.Codes, CodeCount{"ThrottlingException", Rejected.Name(), 1})
	missing := strings.Join(build(t, in).Missing, "\n")
	for _, want := range []string{"9 requests failed with a code that the terms do not know (Aaa: 6, Bbb: 5, Ccc: 4, Ddd: 3, Eee: 2, and 1 more).", "--count-as CODE=fault", "*** stands for what has not the form of a code of AWS"} {
		if !strings.Contains(missing, want) {
			t.Errorf("%q is not in %s", want, missing)
		}
	}
	in.Codes = in.Codes[:5]
	if missing := strings.Join(build(t, in).Missing, "\n"); strings.Contains(missing, "***") {
		t.Error(missing)
	}
}

func TestTextFitsATerminal(t *testing.T) {
	t.Parallel()
	r := outage(t)
	r.Missing = []string{strings.Repeat("a piece that is missing ", 20)}
	var b bytes.Buffer
	Text(&b, []*Report{r})
	TermsText(&b)
	b.Write(r.markdown())
	b.Write(r.review())
	for _, line := range strings.Split(b.String(), "\n") {
		if len([]rune(line)) > columns {
			t.Errorf("%d columns: %s", len(line), line)
		}
	}
}

// A claim is pasted where Markdown is shown as it is written: no line needs to be
// rendered, and no table has rules.
func TestAClaimIsPlainText(t *testing.T) {
	t.Parallel()
	md := string(outage(t).markdown())
	for _, bad := range []string{"|", "`", "**", "\n#", " \n", "\n\n\n"} {
		if strings.Contains(md, bad) {
			t.Errorf("it has %q:\n%.3000s", bad, md)
		}
	}
	for _, want := range []string{
		"SLA Credit Request: AWS KMS, eu-west-1, October 2026\n====================================================\n\nWe request a Service Credit of 100 % ($1234567.89) of the charges for KMS in\neu-west-1, October 2026. ",
		"\nAll are in the region eu-west-1, and end 5 minutes after they begin.\n\n",
		"\n    begins (UTC)       requests     faults      faults            %            %\n    2026-10-01 00:00   13703701    1234567      123456      90.9909      90.0901\n    2026-10-01 00:05   12345678 ",
		"- AWS_KMS_OPERATIONAL_ISSUE () from 2026-10-01T00:00:00Z on, over 8928 intervals\n  below 100 %, the first of 2026-10-01 00:00 and the last of 2026-10-31 23:55:\n  arn:aws:health:eu-west-1::event/KMS/X/1\n",
	} {
		if !strings.Contains(md, want) {
			t.Errorf("it does not have %q:\n%.3000s", want, md)
		}
	}
	in := failing(t)
	end := in.Month.IntervalStart(288)
	in.Health = []Event{{ARN: "arn:1", Start: in.Month.Start(), End: &end}, {ARN: "arn:2", Start: in.Month.End().Add(-time.Hour)}}
	md = string(build(t, in).markdown())
	for _, want := range []string{"over the interval of\n  2026-10-01 23:55 below 100 %: arn:1\n", " on, over no interval below 100 %: arn:2\n", "- Exactly, with contestable faults: sum 7/20, uptime"} {
		if !strings.Contains(md, want) {
			t.Errorf("it does not have %q:\n%s", want, md)
		}
	}
}

// A claim asks for the credit of one reading, and says which. What AWS can contest is
// asked for only if nothing else misses the commitment.
func TestAClaimAsksForACredit(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change func(*Input)
		want   string
	}{
		"both miss it":   {func(*Input) {}, "10 % ($10.00) of the charges for KMS in eu-west-1, October 2026. It is the figure without contestable faults; the one with them is shown beside."},
		"one tier apart": {func(in *Input) { contest(in, 400) }, "10 % ($10.00) of the charges for KMS in eu-west-1, October 2026. It is the figure without contestable faults; the one with them is shown beside."},
		"none is contestable": {func(in *Input) { in.Intervals[288] = Interval{} },
			"10 % ($10.00) of the charges for KMS in eu-west-1, October 2026."},
		"contestable alone": {func(in *Input) { in.Intervals[287].Requests = 100; contest(in, 400) },
			"25 % ($25.00) of the charges for KMS in eu-west-1, October 2026. It is the figure with contestable faults; without them the commitment was kept."},
		"unpaid alone": {func(in *Input) { in.Charges = rat(t, "6"); contest(in, 500) },
			"100 % ($6.00) of the charges for KMS in eu-west-1, October 2026. It is the figure with contestable faults; the one without them is not above $1, the least that is paid."},
		"unpaid both": {func(in *Input) { in.Charges = rat(t, "6") },
			"10 % ($0.60) of the charges for KMS in eu-west-1, October 2026. It is the figure without contestable faults; the one with them is shown beside."},
		"no charges": {func(in *Input) { in.Charges, in.Intervals[288] = nil, Interval{} }, "10 % of the charges for KMS in eu-west-1, October 2026."},
	} {
		in := failing(t)
		c.change(&in)
		_, md, _ := strings.Cut(string(build(t, in).markdown()), "\n\n")
		asked, _, _ := strings.Cut(md, "\n\n")
		if got := strings.Join(strings.Fields(asked), " "); got != "We request a Service Credit of "+c.want {
			t.Errorf("%s: %s", name, got)
		}
	}
}

// contest adds n intervals in which every request failed, of which each may be contested.
func contest(in *Input, n int) {
	for i := range n {
		in.Intervals[1000+i] = Interval{Requests: 1, Contestable: 1}
	}
}

// What a person must know before a claim is sent, and AWS need not be told, stands in
// a file that every claim has and that is not sent.
func TestNotesToOneselfAreNotSent(t *testing.T) {
	t.Parallel()
	in := failing(t)
	in.Charges, in.Said = nil, []string{"HTTP-504=fault", "Odd=contestable", "Odder=rejected"}
	r := build(t, in)
	docs, err := Claim(r, nil)
	if err != nil {
		t.Fatal(err)
	}
	page := func(name string) string {
		return strings.Join(strings.Fields(string(folder(docs)[name].Data)), " ")
	}
	claim, review := page("claim.md"), page("review.md")
	for _, note := range append([]string{
		"To be received by 2026-12-30, the earlier of: 2026-12-30: 60 days after the billing period; 2026-12-31: the end of billing cycle 2 after the month.",
		"in the AWS Support Center of account 111122223333, under Account and billing",
		"The exclusions are those of sister agreements; nothing here looks for them.",
		"A claim is due by the end of billing cycle 2 after the incident, or 60 days after the billing period; the earlier is used.",
		"A claim needs what those of sister agreements need.",
	}, r.Missing...) {
		if !strings.Contains(review, note) {
			t.Errorf("review.md does not say %q:\n%s", note, review)
		}
		if strings.Contains(claim, note) {
			t.Errorf("claim.md says %q", note)
		}
	}
	for _, bad := range []string{"received by", "Account and billing", "sister", "is due", "Whoever"} {
		if strings.Contains(claim, bad) {
			t.Errorf("claim.md says %q", bad)
		}
	}
	if want := "we count HTTP-504 as a fault. - Where neither the agreement nor the HTTP status says more, we count Odd as a contestable fault. - Where neither the agreement nor the HTTP status says more, we count Odder as no fault."; !strings.Contains(claim, want) {
		t.Errorf("claim.md does not say %q", want)
	}
	if len(r.Missing) != 1 || !strings.Contains(strings.Join(r.Assumptions, " "), "Whoever made this report said what a code counts as, where neither the terms nor the HTTP status says it: HTTP-504=fault.") {
		t.Errorf("missing %q, assumed %q", r.Missing, r.Assumptions)
	}
	for _, reminder := range r.terms.reminders() {
		if !slices.Contains(r.Assumptions, reminder) {
			t.Errorf("the report does not say %q", reminder)
		}
	}
	// A whole claim has the file too.
	if r := string(build(t, failing(t)).review()); strings.Contains(r, "Missing") || !strings.Contains(r, "2026-12-30") {
		t.Error(r)
	}
}

func folder(docs []Document) fstest.MapFS {
	dir := fstest.MapFS{}
	for _, d := range docs {
		dir[d.Name] = &fstest.MapFile{Data: d.Data}
	}
	return dir
}

// The same input gives the same bytes, whatever the order of its files, and
// verify names each file that was changed, is missing, or is extra.
func TestClaimIsProved(t *testing.T) {
	t.Parallel()
	health := DigestOf("health.json", []byte("x"))
	docs, err := Claim(build(t, failing(t)), &health)
	if err != nil {
		t.Fatal(err)
	}
	again, err := Claim(build(t, failing(t)), &health)
	if err != nil {
		t.Fatal(err)
	}
	for i := range docs {
		if !bytes.Equal(docs[i].Data, again[i].Data) {
			t.Errorf("%s differs the second time", docs[i].Name)
		}
	}
	m, hash, problems, err := Verify(folder(docs))
	if err != nil || len(problems) > 0 || hash != Sum256(docs[len(docs)-1].Data) || m.Month != "2026-10" {
		t.Fatalf("a fresh claim: %v %v %s", problems, err, hash)
	}
	if len(m.Inputs) != 3 || m.Inputs[0].Name != "a.jsonl" || m.Inputs[0].SHA256 != "aa" || m.Inputs[2].Name != "health.json" {
		t.Errorf("inputs %v", m.Inputs)
	}
	for _, d := range docs {
		for at := range []int{0, len(d.Data) / 2, len(d.Data) - 1} {
			dir := folder(docs)
			changed := bytes.Clone(d.Data)
			changed[at] ^= 1
			dir[d.Name] = &fstest.MapFile{Data: changed}
			if _, _, problems, _ := Verify(dir); len(problems) == 0 || !strings.HasPrefix(problems[0], d.Name+": ") && d.Name != ManifestName {
				t.Errorf("byte %d of %s changed: %q", at, d.Name, problems)
			}
		}
		dir := folder(docs)
		delete(dir, d.Name)
		_, _, problems, err := Verify(dir)
		if d.Name == ManifestName {
			if err == nil || err.Error() != "it has no manifest.json" {
				t.Errorf("a folder without a manifest: %v", err)
			}
		} else if !slices.Equal(problems, []string{d.Name + ": missing"}) {
			t.Errorf("without %s: %q %v", d.Name, problems, err)
		}
	}
	dir := folder(docs)
	dir[ManifestName].Data = append(slices.Clone(dir[ManifestName].Data), ' ')
	if _, _, problems, _ := Verify(dir); len(problems) != 1 || !strings.Contains(problems[0], "not as keywatch writes it") {
		t.Errorf("a space behind the manifest: %q", problems)
	}
	for _, other := range []func(*Manifest){
		func(m *Manifest) { m.Account = "444455556666" }, func(m *Manifest) { m.Region = "us-east-1" }, func(m *Manifest) { m.Month = "2026-09" },
	} {
		head := m
		other(&head)
		dir = folder(docs)
		if dir[ManifestName].Data, err = encode(head); err != nil {
			t.Fatal(err)
		}
		if _, _, problems, _ := Verify(dir); len(problems) != 1 || !strings.Contains(problems[0], "not those of report.json") {
			t.Errorf("the manifest of %s in %s for %s: %q", head.Account, head.Region, head.Month, problems)
		}
	}
	for want, other := range map[string]func(*Manifest){
		"it does not list terms.json, which every claim has":                  func(m *Manifest) { m.Files = slices.DeleteFunc(m.Files, listedAs("terms.json")) },
		"it does not list review.md, which every claim has":                   func(m *Manifest) { m.Files = slices.DeleteFunc(m.Files, listedAs("review.md")) },
		"it does not list report.json, which every claim has":                 func(m *Manifest) { m.Files = slices.DeleteFunc(m.Files, listedAs("report.json")) },
		"it lists claim.md twice":                                             func(m *Manifest) { m.Files = append(m.Files, m.Files[0]) },
		`it lists "../claim.md", which is no file of the claim`:               func(m *Manifest) { m.Files = append(m.Files, Digest{Name: "../claim.md"}) },
		`it lists "sub/claim.md", which is no file of the claim`:              func(m *Manifest) { m.Files = append(m.Files, Digest{Name: "sub/claim.md"}) },
		`it lists "filed.json", which is no file of the claim`:                func(m *Manifest) { m.Files = append(m.Files, Digest{Name: "filed.json"}) },
		"it is of version 2 of its format, and this keywatch reads version 1": func(m *Manifest) { m.Version = 2 },
		"it is of version 0 of its format, and this keywatch reads version 1": func(m *Manifest) { m.Version = 0 },
		"changed: it is no manifest of a claim of keywatch":                   func(m *Manifest) { m.Format = "\x1b[2J" },
	} {
		head := m
		head.Files = slices.Clone(m.Files)
		other(&head)
		dir = folder(docs)
		if dir[ManifestName].Data, err = encode(head); err != nil {
			t.Fatal(err)
		}
		if _, _, problems, err := Verify(dir); err != nil || len(problems) == 0 || !strings.HasPrefix(problems[0], ManifestName+": ") || !strings.Contains(problems[0], want) {
			t.Errorf("want %q, got %q, %v", want, problems, err)
		}
	}
	// A manifest that nobody can read says nothing of what is shown in a terminal.
	for _, odd := range []Manifest{{Format: manifestFormat, Version: 2, Account: "\x1b[2J", Month: "2026-10"}, {Format: "x", Account: "\x1b[2J", Month: "2026-10"}} {
		dir = folder(docs)
		if dir[ManifestName].Data, err = encode(odd); err != nil {
			t.Fatal(err)
		}
		if m, _, _, _ := Verify(dir); strings.Contains(m.Account, "\x1b") {
			t.Errorf("%+v", m)
		}
	}
	dir = folder(docs)
	dir["sub/notes.txt"], dir["a\x1bb"], dir["empty"] = &fstest.MapFile{}, &fstest.MapFile{Data: []byte("x")}, &fstest.MapFile{Mode: fs.ModeDir}
	want := []string{`"a\x1bb"`, "empty", "sub"}
	_, _, problems, _ = Verify(dir)
	for i, name := range want {
		if len(problems) != len(want) || problems[i] != name+": extra: the manifest does not list it" {
			t.Fatalf("extra are %q, want %q", problems, want)
		}
	}
}

func listedAs(name string) func(Digest) bool { return func(d Digest) bool { return d.Name == name } }

// What a link leads to is no part of the claim, be it the same bytes today.
func TestAClaimHasRegularFilesOnly(t *testing.T) {
	t.Parallel()
	_, _, hash := claimed(t, failing(t))
	filing, err := NewFiling(hash, "x", time.Time{}).Encode()
	if err != nil {
		t.Fatal(err)
	}
	docs, err := Claim(build(t, failing(t)), nil)
	if err != nil {
		t.Fatal(err)
	}
	docs = append(docs, Document{FiledName, filing})
	for _, d := range docs {
		dir, elsewhere := t.TempDir(), filepath.Join(t.TempDir(), "file")
		for _, d := range docs {
			if err := os.WriteFile(filepath.Join(dir, d.Name), d.Data, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if _, _, problems, err := Verify(os.DirFS(dir)); err != nil || len(problems) > 0 {
			t.Fatal(problems, err)
		}
		path := filepath.Join(dir, d.Name)
		if err := errors.Join(os.Rename(path, elsewhere), os.Symlink(elsewhere, path)); err != nil {
			t.Fatal(err)
		}
		if _, _, problems, err := Verify(os.DirFS(dir)); err != nil || !slices.Equal(problems, []string{d.Name + ": is no regular file"}) {
			t.Errorf("a link in place of %s: %q, %v", d.Name, problems, err)
		}
		if err := errors.Join(os.Remove(path), os.Mkdir(path, 0o700)); err != nil {
			t.Fatal(err)
		}
		if _, _, problems, err := Verify(os.DirFS(dir)); err != nil || !slices.Equal(problems, []string{d.Name + ": is no regular file"}) {
			t.Errorf("a folder in place of %s: %q, %v", d.Name, problems, err)
		}
	}
}

func TestHealthEvents(t *testing.T) {
	t.Parallel()
	const bridge = `{"source":"aws.health","time":"2026-10-01T23:00:00Z","region":"eu-west-1","detail":{"eventArn":"arn:1","service":"KMS","eventTypeCode":"A","eventTypeCategory":"issue","startTime":"Thu, 1 Oct 2026 23:50:00 GMT","eventDescription":[{"latestDescription":"hunter2"}]}}
{"source":"aws.health","time":"2026-10-02T03:00:00Z","region":"eu-west-1","detail":{"eventArn":"arn:1","service":"KMS","eventTypeCode":"A","eventTypeCategory":"issue","startTime":"Thu, 01 Oct 2026 23:50:00 GMT","endTime":"Fri, 02 Oct 2026 00:00:00 GMT"}}
{"region":"us-east-1","detail":{"eventArn":"arn:2","service":"KMS","startTime":"Thu, 01 Oct 2026 23:50:00 GMT"}}
{"region":"eu-west-1","detail":{"eventArn":"arn:3","service":"EC2","startTime":"Thu, 01 Oct 2026 23:50:00 GMT"}}
`
	const describe = `{"events":[{"arn":"arn:4","service":"KMS","eventTypeCode":"B","region":"eu-west-1","startTime":1759276800.5,"endTime":"2025-10-01T01:00:00+00:00"},
 {"arn":"arn:6","service":"KMS","eventTypeCode":"B","region":"eu-west-1","startTime":"2026-10-02T00:05:00+00:00"},
 {"arn":"arn:5","service":"KMS","eventTypeCode":"B","region":"eu-west-1","startTime":"2026-09-30T23:00:00+00:00","endTime":"2026-10-02T00:01:00+00:00"}]}`
	m := month(t, "2026-10")
	events, given, err := ReadHealth("h", []byte(bridge+describe), m, "eu-west-1")
	if err != nil || given != 6 {
		t.Fatalf("%d events given, want 6: %v", given, err)
	}
	in := failing(t)
	in.Health = events
	r := build(t, in)
	got := map[string]int{}
	for _, e := range r.Health {
		got[e.ARN] = e.During
	}
	// arn:1 ends at midnight, where the second bad interval begins; arn:5 goes on; arn:6
	// begins where the second ends.
	if want := map[string]int{"arn:1": 1, "arn:5": 2, "arn:6": 0}; !maps.Equal(got, want) {
		t.Errorf("events over intervals: %v, want %v", got, want)
	}
	if e := r.Health[1]; e.ARN != "arn:1" || e.End == nil || !e.End.Equal(time.Date(2026, 10, 2, 0, 0, 0, 0, time.UTC)) {
		t.Errorf("the latest word on arn:1 is not kept: %+v", e)
	}
	for _, bad := range []string{"hunter2", `{"detail":{"startTime":"hunter2"}}`, `{"detail":`} {
		if _, _, err := ReadHealth("h", []byte(bad), m, "eu-west-1"); err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: %v", bad, err)
		}
	}
}

const (
	// healthLine and faultLine are as the log group of the evidence keeps them.
	healthLine = `{"source":"aws.health","time":"2026-10-07T10:00:00Z","region":"eu-west-1","detail":{"eventArn":"arn:1","service":"KMS","eventTypeCode":"A","startTime":"Wed, 7 Oct 2026 09:50:00 GMT","endTime":""}}` + "\n"
	faultLine  = `{"source":"aws.kms","time":"2026-10-07T10:00:00Z","region":"eu-west-1","detail":{"eventTime":"2026-10-07T10:00:00Z","eventSource":"kms.amazonaws.com","eventName":"Decrypt","eventType":"AwsApiCall"}}` + "\n"
)

// A file of something else shows nothing of AWS Health, and must not pass for one that
// shows that nothing was; nor must an event that cannot be judged.
func TestWhatIsNoHealthEventProvesNothing(t *testing.T) {
	t.Parallel()
	const none = "h: no AWS Health event is in it; want JSON Lines as EventBridge delivers them, or what `aws health describe-events` prints. If there was none, give the empty list that the latter prints; if nobody knows, leave --health out"
	for text, want := range map[string]string{
		"":     none,
		" \n":  none,
		"null": none,
		// What the log commands print of nothing found.
		`{"events":[],"searchedLogStreams":[]}`:                        none,
		`{"events":[],"nextForwardToken":"f","nextBackwardToken":"b"}`: none,
		`{"Events":[]}`:   none,
		`{"events":null}`: none,
		faultLine:         none,
		`{"Records":[{"eventSource":"kms.amazonaws.com","eventTime":"2026-10-07T10:00:00Z"}]}`:                 none,
		`{"time":"2026-10-07T10:00:00Z","requestId":"a","operation":"Sign","region":"eu-west-1","status":200}`: none,
		`{"time":"2026-10-07T10:00:00Z","service":"payments"}`:                                                 none,
		`{"events":[{"service":"KMS"}]}`:                                                                       "h: byte 0: AWS Health event 1 there has no ARN,",
		`{"source":"aws.health","detail":{"eventArn":"arn:1"}}`:                                                "has no service,",
		healthLine + " " + strings.Replace(healthLine, "startTime", "x", 1):                                    fmt.Sprintf("h: byte %d: AWS Health event 1 there has no start time,", len(healthLine)+1),
		strings.Replace(healthLine, `"region":"eu-west-1",`, "", 1):                                            "has no region,",
		`{"events":[{"arn":"a","service":"EC2"},{"arn":"a","service":"KMS","region":"eu-west-1"}]}`:            "h: byte 0: AWS Health event 2 there has no start time,",
		healthLine + `{"events":[{"arn":"a","service":"KMS","region":"eu-west-1","startTime":""}]}`:            fmt.Sprintf("h: byte %d: AWS Health event 1 there has no start time,", len(healthLine)),
	} {
		if _, _, err := ReadHealth("h", []byte(text), month(t, "2026-10"), "eu-west-1"); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v\nwant %s", text, err, want)
		}
	}
}

// AWS Health that was asked, and has nothing to tell, is an answer.
func TestNoHealthEventIsAnAnswer(t *testing.T) {
	t.Parallel()
	events, given, err := ReadHealth("h", []byte("{\n    \"events\": []\n}\n"), month(t, "2026-10"), "eu-west-1")
	if err != nil || given != 0 || events == nil || len(events) != 0 {
		t.Errorf("%v of %d: %v", events, given, err)
	}
}

// The log group of the evidence holds faults beside Health events.
func TestFaultsBesideTheHealthEvents(t *testing.T) {
	t.Parallel()
	events, given, err := ReadHealth("h", []byte(faultLine+healthLine+faultLine), month(t, "2026-10"), "eu-west-1")
	if err != nil || given != 1 || len(events) != 1 || events[0].ARN != "arn:1" {
		t.Errorf("%+v of %d: %v", events, given, err)
	}
}

func packed(t *testing.T, text string) []byte {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if _, err := z.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// A file of Health events may be gzip and have a byte order mark, like every other; what
// it unpacks to has a bound.
func TestHealthEventsMayBePacked(t *testing.T) {
	t.Parallel()
	const mark = "\xef\xbb\xbf"
	for name, data := range map[string][]byte{"a mark": []byte(mark + healthLine), "gzip": packed(t, healthLine), "a mark in gzip": packed(t, mark+healthLine)} {
		if events, given, err := ReadHealth("h", data, month(t, "2026-10"), "eu-west-1"); err != nil || given != 1 || len(events) != 1 {
			t.Errorf("%s: %+v of %d: %v", name, events, given, err)
		}
	}
	whole := packed(t, healthLine)
	for name, data := range map[string][]byte{"cut": whole[:len(whole)-1], "the header alone": whole[:2], "something behind it": append(slices.Clone(whole), 'x')} {
		if _, _, err := ReadHealth("h", data, month(t, "2026-10"), "eu-west-1"); err == nil || err.Error() != "h: its gzip is damaged or ends too early; get the file again" {
			t.Errorf("%s: %v", name, err)
		}
	}
	long := packed(t, strings.Repeat(" ", 1000))
	if text, err := plainText(long, 1000); err != nil || len(text) != 1000 {
		t.Errorf("%d bytes, %v", len(text), err)
	}
	if _, err := plainText(long, 999); err == nil || !strings.Contains(err.Error(), "more than 999 bytes when unpacked") {
		t.Errorf("a byte above the bound: %v", err)
	}
}

// How many events were looked at is said wherever the events are, and nothing of them
// where none were given.
func TestHealthEventsAreCounted(t *testing.T) {
	t.Parallel()
	in := failing(t)
	in.Health, in.HealthGiven = []Event{{ARN: "arn:1", Start: in.Month.Start()}}, 3
	none, quiet := failing(t), failing(t)
	none.Health, none.HealthGiven = nil, 0
	for want, in := range map[string]Input{
		"Of KMS in this region and month: 1 of 3 AWS Health events given": in,
		"Of KMS in this region and month: 0 of 2 AWS Health events given": quiet,
		"No events were given.": none,
	} {
		r := build(t, in)
		if r.HealthGiven != in.HealthGiven {
			t.Errorf("%d events given, want %d", r.HealthGiven, in.HealthGiven)
		}
		if md := string(r.markdown()); !strings.Contains(md, want) {
			t.Errorf("claim.md does not say %q:\n%s", want, md)
		}
		var text bytes.Buffer
		Text(&text, []*Report{r})
		if in.Health == nil {
			want = ""
		}
		if !strings.Contains(text.String(), want) || strings.Contains(text.String(), "AWS Health events given") != (want != "") {
			t.Errorf("the text, for %q:\n%s", want, text.String())
		}
	}
}

// Each term says where it comes from.
func TestEveryTermHasASource(t *testing.T) {
	t.Parallel()
	data, err := CatalogueJSON()
	if err != nil {
		t.Fatal(err)
	}
	marks := strings.Count(string(data), `"mark": "`)
	if sources := strings.Count(string(data), `"source": "`) - strings.Count(string(data), `"source": ""`); marks == 0 || sources != marks {
		t.Errorf("%d terms, %d sources", marks, sources)
	}
	for _, terms := range Catalogue() {
		for _, f := range []Mark{terms.Error.Mark, terms.ClaimDays.Mark, terms.ClaimCycles.Mark, terms.Interval.Mark, terms.Idle.Mark} {
			if f != Assumed {
				t.Errorf("%s: a term that nobody read is not marked as assumed", terms.Version)
			}
		}
	}
}
