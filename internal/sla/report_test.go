package sla

import (
	"bytes"
	"maps"
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
		"No request to KMS":                            func(in *Input) { in.Intervals = make([]Interval, 8928) },
		"x.json.gz could not":                          func(in *Input) { in.Files = append(in.Files, File{Name: "x.json.gz", Damage: "it ends"}) },
		"x.csv is not in the sum: it is CSV.":          func(in *Input) { in.Files = append(in.Files, File{Name: "x.csv", Damage: "it is CSV", Unread: true}) },
		"1 day of the month (the first is 2026-10-03)": func(in *Input) { clear(in.Seen[48:72]) },
		"1 interval with faults and without a count":   func(in *Input) { in.Intervals[287].FaultsOnly = true },
		"No log names the KMS key":                     func(in *Input) { in.Keys = nil },
		"(--charges)":                                  func(in *Input) { in.Charges = nil },
		"(--health)":                                   func(in *Input) { in.Health = nil },
		"logs of the clients (--requests)":             func(in *Input) { in.Sources[0].Faults = 0 },
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

func TestContradictoryLinesAreNamed(t *testing.T) {
	t.Parallel()
	in := failing(t)
	in.Contradictory = 7
	r := build(t, in)
	var text bytes.Buffer
	Text(&text, r)
	for name, page := range map[string]string{"text": text.String(), "claim.md": string(r.markdown())} {
		if !strings.Contains(page, "- 7 contradictory: the HTTP status") {
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
	Text(&text, r)
	squeeze := func(b []byte) string { return strings.Join(strings.Fields(string(b)), " ") }
	for name, page := range map[string]string{"text": squeeze(text.Bytes()), "claim.md": squeeze(docs[0].Data), "report.json": squeeze(docs[len(docs)-2].Data)} {
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

func TestTextFitsATerminal(t *testing.T) {
	t.Parallel()
	in := failing(t)
	in.Charges = rat(t, "1234567.89")
	in.Disagreed, in.Malformed = 3, Malformed{Count: 2, Records: 100, First: []string{"a.jsonl:7 is not valid JSON"}}
	in.Skipped = map[string]int64{"of another service": 12345678}
	for i := range in.Intervals {
		in.Intervals[i] = Interval{Requests: 12345678, Faults: 1234567, Contestable: 123456}
	}
	in.Health = []Event{{ARN: "arn:aws:health:eu-west-1::event/KMS/X/1", Type: "AWS_KMS_OPERATIONAL_ISSUE", Start: in.Month.Start()}}
	var b bytes.Buffer
	Text(&b, build(t, in))
	TermsText(&b)
	for _, line := range strings.Split(b.String(), "\n") {
		if len([]rune(line)) > columns {
			t.Errorf("%d columns: %s", len(line), line)
		}
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
			if err == nil {
				t.Error("a folder without a manifest passes")
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
	dir = folder(docs)
	dir["sub/notes.txt"], dir["a\x1bb"] = &fstest.MapFile{}, &fstest.MapFile{Data: []byte("x")}
	if _, _, problems, _ := Verify(dir); len(problems) != 2 || !strings.HasPrefix(problems[0], `"a\x1bb": extra`) || !strings.Contains(problems[1], `sub/notes.txt: extra`) {
		t.Errorf("an extra file: %q", problems)
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
	events, err := ReadHealth("h", strings.NewReader(bridge+describe), m, "eu-west-1")
	if err != nil {
		t.Fatal(err)
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
		if _, err := ReadHealth("h", strings.NewReader(bad), m, "eu-west-1"); err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: %v", bad, err)
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
