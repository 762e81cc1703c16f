package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"keywatch/internal/evidence"
	"keywatch/internal/sla"
)

// A path is nobody's business but the reader's: what a report and a claim name is as
// little of it as tells the files apart, however the paths were written.
func TestFilesAreNamedWithoutTheirPlace(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"a/logs/2026/x.json", "a/logs/y.json", "b/logs/y.json", "single.json", "c/d/e.json"} {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, nil, 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	t.Chdir(filepath.Join(dir, "a"))
	for _, test := range []struct{ named, want []string }{
		{[]string{"logs"}, []string{"logs/2026/x.json", "logs/y.json"}},
		{[]string{"./logs/", "../a/logs", filepath.Join(dir, "a", "logs")}, []string{"logs/2026/x.json", "logs/y.json"}},
		{[]string{"."}, []string{"a/logs/2026/x.json", "a/logs/y.json"}},
		{[]string{"logs/y.json", "logs"}, []string{"logs/2026/x.json", "logs/y.json"}},
		{[]string{"../b/logs", "logs"}, []string{"a/logs/2026/x.json", "a/logs/y.json", "b/logs/y.json"}},
		{[]string{"../single.json", "../c"}, []string{"c/d/e.json", "single.json"}},
	} {
		for range 2 {
			labels, err := labelled(test.named)
			if err != nil {
				t.Fatal(err)
			}
			files, err := logFiles(test.named, labels)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, f := range files {
				got = append(got, f.name)
				if !filepath.IsAbs(f.path) || !strings.HasSuffix(filepath.ToSlash(f.path), f.name) {
					t.Errorf("%s is %s", f.name, f.path)
				}
			}
			if !slices.Equal(got, test.want) {
				t.Errorf("%v: %v, want %v", test.named, got, test.want)
			}
			slices.Reverse(test.named)
		}
	}
}

// An amount that does not say what it is of, or says it wrongly, is refused before
// anything is read.
func TestCharges(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		account, region string
		charges         []string
		want            string // of one, or region=amount
		wrong           string
	}{
		{"111122223333", "eu-west-1", []string{"12.5"}, "12.5", ""},
		{"111122223333", "", []string{"eu-west-1=12.5", "us-east-1=3"}, "eu-west-1=12.5 us-east-1=3", ""},
		{"111122223333", "eu-west-1", []string{"eu-west-1=12.5"}, "eu-west-1=12.5", ""},
		{"", "", []string{"read"}, "read", ""},
		{"111122223333", "eu-west-1", nil, "", ""},
		{"", "eu-west-1", []string{"12.5"}, "", "name it with --account"},
		{"111122223333", "", []string{"12.5"}, "", "of which region?"},
		{"111122223333", "eu-west-1", []string{"12.5", "3"}, "", "stands alone"},
		{"111122223333", "", []string{"eu-west-1=1", "read"}, "", "stands alone"},
		{"111122223333", "", []string{"eu-west-1=1", "eu-west-1=2"}, "", "given twice"},
		{"111122223333", "", []string{"Europe=1"}, "", `"Europe" is no region`},
		{"111122223333", "", []string{"eu-west-1="}, "", `"" is no amount`},
		{"111122223333", "eu-west-1", []string{"$12"}, "", `"$12" is no amount in USD`},
	} {
		j := judging{account: test.account, region: test.region, charges: test.charges}
		c, err := j.parseCharges()
		if test.wrong != "" {
			if err == nil || !strings.Contains(err.Error(), test.wrong) {
				t.Errorf("%v: %v, want %q", test.charges, err, test.wrong)
			}
			continue
		}
		if err != nil {
			t.Errorf("%v: %v", test.charges, err)
			continue
		}
		var got []string
		if c.read {
			got = append(got, "read")
		}
		if c.one != nil {
			got = append(got, c.one.FloatString(1))
		}
		for _, region := range slices.Sorted(maps.Keys(c.byRegion)) {
			got = append(got, region+"="+strings.TrimSuffix(c.byRegion[region].FloatString(1), ".0"))
		}
		if strings.Join(got, " ") != test.want {
			t.Errorf("%v: %v, want %s", test.charges, got, test.want)
		}
	}
}

// Without a region each one is judged, with its own charges: what Cost Explorer says
// of it, and nothing where it says nothing.
func TestEachRegionHasItsOwnReport(t *testing.T) {
	t.Parallel()
	d, b := newBench(t)
	served := strings.Replace(fault("2026-10-07T00:01:00Z", "x"), `"errorCode":"x",`, "", 1)
	other := strings.Replace(served, "eu-west-1", "us-east-1", 1)
	b.events += served + other
	b.charges = sla.Charges{ByRegion: map[string]*big.Rat{"eu-west-1": big.NewRat(1001, 4)}, Estimated: true}
	out, status := d.run("sla", "report", "--month", "2026-10", "--log-group", "trail", "--charges", "read", "--format", "json")
	if status != ExitOK {
		t.Fatalf("%d %s", status, d.stderr.String())
	}
	fits(t, "sla-reports.schema.json", out)
	var all sla.Reports
	if err := json.Unmarshal([]byte(out), &all); err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, r := range all.Reports {
		got = append(got, fmt.Sprintf("%s %s %d %d %s %s", r.Account, r.Region, r.Requests, r.Figure.Faults, r.Charges, r.ChargesFrom))
	}
	if want := []string{"111122223333 eu-west-1 2 1 250.25 Cost Explorer", "111122223333 us-east-1 1 0 0.00 Cost Explorer"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	if !slices.ContainsFunc(all.Reports[0].Missing, func(s string) bool { return strings.Contains(s, "is not final") }) {
		t.Errorf("%q", all.Reports[0].Missing)
	}
	if b.charged != 1 {
		t.Errorf("the charges of one account were read %d times, and each time costs", b.charged)
	}
	out, _ = d.run("sla", "report", "--month", "2026-10", "--log-group", "trail", "--charges", "read")
	for i, line := range strings.Split(out, "\n") {
		if len([]rune(line)) > 80 && !strings.Contains(line, "arn:") {
			t.Errorf("line %d has %d columns: %s", i+1, len([]rune(line)), line)
		}
	}
	if !strings.Contains(out, "111122223333  us-east-1") || strings.Count(out, sla.Estimate[:40]) != 2 {
		t.Errorf("%.1500s", out)
	}
}

// Where nothing is to be judged, no empty report is made.
func TestNoRequestIsNoReport(t *testing.T) {
	t.Parallel()
	d, b := newBench(t)
	b.events = ""
	out, status := d.run("sla", "report", "--month", "2026-10", "--region", "eu-west-1", "--log-group", "trail")
	if said := d.stderr.String(); status != ExitProblems || out != "" || !strings.Contains(said, "no request to KMS in eu-west-1 in 2026-10 is in the logs") {
		t.Errorf("%d %s %s", status, out, said)
	}
}

// A code that the terms do not know is a missing piece until somebody says what it is;
// then the report says who said so.
func TestUnknownCodesMustBeJudged(t *testing.T) {
	t.Parallel()
	d, b := newBench(t)
	served := strings.Replace(fault("2026-10-07T00:01:00Z", "x"), `"errorCode":"x",`, "", 1)
	b.events = served + fault("2026-10-07T00:00:00Z", "NewException")
	judged := func(more ...string) *sla.Report {
		t.Helper()
		out, status := d.run(octoberOf("report", append(more, "--format", "json")...)...)
		if status != ExitOK {
			t.Fatalf("%d %s", status, d.stderr.String())
		}
		var all sla.Reports
		if err := json.Unmarshal([]byte(out), &all); err != nil {
			t.Fatal(err)
		}
		return all.Reports[0]
	}
	if r := judged(); r.Figure.Faults != 0 || r.Unjudged != 1 || !strings.Contains(strings.Join(r.Missing, " "), "1 request failed with a code that the terms do not know (NewException: 1)") {
		t.Errorf("%+v %q", r.Codes, r.Missing)
	}
	r := judged("--count-as", "NewException=fault", "--count-as", "Never=rejected")
	if said := d.stderr.String(); !strings.Contains(said, "--count-as Never=rejected: no request failed with that code") || strings.Contains(said, "NewException") || strings.Contains(strings.Join(r.Assumptions, " "), "Never") {
		t.Errorf("%s %q", said, r.Assumptions)
	}
	if r.Figure.Faults != 1 || r.Unjudged != 0 || strings.Contains(strings.Join(r.Missing, " "), "do not know") || !strings.Contains(strings.Join(r.Assumptions, " "), "NewException=fault") {
		t.Errorf("%+v %q", r.Codes, r.Missing)
	}
	for said, want := range map[string]string{"NewException": "write it as CODE=CLASS", "NewException=bad": "allowed: fault, contestable, rejected", "ThrottlingException=fault": "ThrottlingException is a code of the terms, and counts as rejected", "a b=fault": "write it as"} {
		if _, status := d.run(octoberOf("report", "--count-as", said)...); status != ExitUsage || !strings.Contains(d.stderr.String(), want) {
			t.Errorf("%s: %d %s", said, status, d.stderr.String())
		}
	}
}

// Of which numbers were kept there is a report, whatever the logs hold; each has its own
// file among its inputs, and nothing of where it lies.
func TestReportsOfKeptNumbers(t *testing.T) {
	t.Parallel()
	d, b := newBench(t)
	b.events = strings.Replace(fault("2026-10-07T00:01:00Z", "x"), `"errorCode":"x",`, "", 1)
	dir := filepath.Join(t.TempDir(), "kept [*]")
	for _, name := range []string{"111122223333/eu-west-1/2026-10", "111122223333/us-east-1/2026-10", "111122223333/ap-south-1/2026-09", "other/eu-west-1/2026-10"} {
		part := strings.Split(name, "/")
		m, err := sla.ParseMonth(part[2])
		if err != nil {
			t.Fatal(err)
		}
		f := evidence.New(part[0], part[1], m)
		if _, err := f.Add([]evidence.Count{{Start: m.Start(), Source: evidence.Successes, Requests: map[string]int64{"Sign": 9}}, {Start: m.Start(), Source: evidence.Calls}}, november); err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(dir, filepath.FromSlash(name)+".jsonl")
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, f.Bytes(), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	out, status := d.run("sla", "report", "--month", "2026-10", "--log-group", "a", "--log-group", "b", "--log-group", "c", "--evidence", dir, "--format", "json")
	if status != ExitOK {
		t.Fatalf("%d %s", status, d.stderr.String())
	}
	var all sla.Reports
	if err := json.Unmarshal([]byte(out), &all); err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, r := range all.Reports {
		var inputs []string
		for _, f := range r.Files {
			inputs = append(inputs, f.Name)
		}
		got = append(got, fmt.Sprintf("%s %d %s", r.Region, r.Requests, strings.Join(inputs, " ")))
	}
	if want := []string{
		"eu-west-1 10 log group a log group b log group c evidence/111122223333/eu-west-1/2026-10.jsonl",
		"us-east-1 9 log group a log group b log group c evidence/111122223333/us-east-1/2026-10.jsonl",
	}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

// An amount for a region that has no report may be a slip, and is said.
func TestChargesOfNoReport(t *testing.T) {
	t.Parallel()
	d, _ := newBench(t)
	if _, status := d.run("sla", "report", "--month", "2026-10", "--account", "111122223333", "--log-group", "trail", "--charges", "eu-wset-1=12", "--charges", "eu-west-1=1"); status != ExitOK ||
		!strings.Contains(d.stderr.String(), "--charges eu-wset-1=…: no report is of that region") || strings.Contains(d.stderr.String(), "eu-west-1=") {
		t.Errorf("%d %s", status, d.stderr.String())
	}
}

// Files of different flags are told apart too: a claim lists each by a name of its own.
func TestInputsOfAllFlagsHaveNamesOfTheirOwn(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	var paths []string
	for _, name := range []string{"a/x.jsonl", "b/x.jsonl", "c/x.jsonl"} {
		paths = append(paths, filepath.Join(dir, filepath.FromSlash(name)))
	}
	labels, err := labelled(paths[:1], paths[1:2], paths[2:])
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []string{"a/x.jsonl", "b/x.jsonl", "c/x.jsonl"} {
		if labels[paths[i]] != want {
			t.Errorf("%s is called %s", paths[i], labels[paths[i]])
		}
	}
}

// What lies in a folder of logs and is no file is named and left out: a pipe would be
// waited for without end. A link to a file is read, and so is what is named itself.
func TestWhatIsNoFileIsLeftOut(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	logs := filepath.Join(dir, "logs")
	if err := errors.Join(
		os.MkdirAll(filepath.Join(logs, "sub"), 0o755), os.WriteFile(filepath.Join(logs, "a.json"), nil, 0o600),
		os.Symlink("a.json", filepath.Join(logs, "file")), os.Symlink("sub", filepath.Join(logs, "folder")),
		os.Symlink("nowhere", filepath.Join(logs, "dangling")), os.Symlink("loop", filepath.Join(logs, "loop")),
		os.Symlink("/dev/null", filepath.Join(logs, "device")), os.Symlink("logs", filepath.Join(dir, "link")),
	); err != nil {
		t.Fatal(err)
	}
	for _, root := range []string{"logs", "link"} {
		named := []string{filepath.Join(dir, root), "/dev/null"}
		labels, err := labelled(named)
		if err != nil {
			t.Fatal(err)
		}
		files, err := logFiles(named, labels)
		if err != nil {
			t.Fatal(err)
		}
		got := map[string]string{}
		for _, f := range files {
			got[f.name] = f.leftOut + f.lost
		}
		if want := map[string]string{
			root + "/a.json": "", root + "/file": "", root + "/folder": "it is a link to a folder, and such are not followed; name the folder itself",
			root + "/dangling": "it is a link that leads nowhere", root + "/loop": "it is a link that leads nowhere",
			root + "/device": "no regular file; a pipe is read if it is named itself", "null": "",
		}; !maps.Equal(got, want) {
			t.Errorf("%v, want %v", got, want)
		}
	}
}

// Whoever interrupts while logs are read does not wait for their end, nor for that of
// a pipe that says nothing; and no claim is written.
func TestReadingCanBeInterrupted(t *testing.T) {
	t.Parallel()
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer write.Close()
	defer read.Close()
	d, _ := newBench(t)
	dir := t.TempDir()
	ctx, interrupt := context.WithCancel(t.Context())
	defer interrupt()
	event := []byte(fault("2026-10-07T00:00:00Z", "KMSInternalException"))
	file := filepath.Join(dir, "a.json")
	if _, err := write.Write(event); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, event, 0o600); err != nil {
		t.Fatal(err)
	}
	silent := filepath.Join(dir, "pipe")
	if out, err := exec.CommandContext(t.Context(), "mkfifo", silent).CombinedOutput(); err != nil {
		t.Fatalf("%v %s", err, out)
	}
	go interrupt()
	for _, path := range []string{silent, fmt.Sprintf("/dev/fd/%d", read.Fd()), file} { // the first waits for it
		_, err := d.judgeMonth(ctx, &judging{month: "2026-10", account: "111122223333", region: "eu-west-1", cloudTrail: []string{path}, malformed: "0"})
		if !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v", path, err)
		}
	}
}

// A claim among the logs would be read as one the next time.
func TestAClaimDoesNotLieAmongTheLogs(t *testing.T) {
	t.Chdir(t.TempDir())
	d, _ := newBench(t)
	for _, args := range [][]string{{"--cloudtrail", ".", "-o", "claims/x"}, {"--cloudtrail", "."}, {"--requests", "a", "-o", "a"}, {"--requests", "a/b", "--cloudtrail", "../", "-o", "c"}} {
		if _, status := d.run(octoberOf("claim", args...)...); status != ExitUsage || !strings.Contains(d.stderr.String(), "among the logs; name another folder with -o") {
			t.Errorf("%v: %d %s", args, status, d.stderr.String())
		}
	}
	// A link is another name of where it leads.
	if err := errors.Join(os.MkdirAll("logs/deep", 0o700), os.Symlink("logs", "loglink"), os.Symlink("logs/deep", "deeplink"), os.Mkdir("away", 0o700), os.Symlink("../away", "logs/out")); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"--requests", "loglink", "-o", "logs/claim"}, {"--requests", "logs", "-o", "loglink/a/claim"}, {"--cloudtrail", "loglink", "-o", "deeplink/claim"}} {
		if _, status := d.run(octoberOf("claim", args...)...); status != ExitUsage || !strings.Contains(d.stderr.String(), "which lies in "+args[1]+" among the logs; name another folder with -o") {
			t.Errorf("%v: %d %s", args, status, d.stderr.String())
		}
	}
	for _, args := range [][]string{{"--requests", "a", "-o", "ab"}, {"--requests", "loglink", "-o", "logs2"}, {"--requests", "logs", "-o", "logs/out/claim"}} {
		if _, status := d.run(octoberOf("claim", args...)...); status == ExitUsage {
			t.Errorf("beside the logs: %v: %s", args, d.stderr.String())
		}
	}
}

// A month that has not begun has no logs, whatever is given.
func TestAMonthThatHasNotBegun(t *testing.T) {
	t.Parallel()
	d, _ := newBench(t)
	if _, status := d.run("sla", "report", "--month", "2026-12", "--log-group", "trail"); status != ExitUsage || !strings.Contains(d.stderr.String(), "--month 2026-12 has not begun") {
		t.Errorf("%d %s", status, d.stderr.String())
	}
}

// A folder of kept numbers that is not there is a slip, and nothing is judged; one
// without the month is a missing piece.
func TestKeptNumbersThatAreNotThere(t *testing.T) {
	t.Parallel()
	d, _ := newBench(t)
	nowhere := filepath.Join(t.TempDir(), "nowhere")
	all := []string{"sla", "report", "--month", "2026-10", "--log-group", "trail", "--evidence", nowhere}
	for _, args := range [][]string{octoberOf("report", "--evidence", nowhere), all} {
		out, status := d.run(args...)
		if want := "--evidence " + nowhere + ": there is no such folder; name the one that keywatch sla collect was given"; status != ExitEnvironment || out != "" || !strings.Contains(d.stderr.String(), want) {
			t.Errorf("%d %s%s\nwant %s", status, out, d.stderr.String(), want)
		}
	}
	const want = "The folder of --evidence holds no numbers of this account, region and month"
	out, status := d.run(octoberOf("report", "--evidence", t.TempDir())...)
	if status != ExitOK || !strings.Contains(strings.Join(strings.Fields(out), " "), want) || d.stderr.String() != "" {
		t.Errorf("%d %s%s", status, out, d.stderr.String())
	}
	if _, status := d.run(octoberOf("report", "--evidence", t.TempDir(), "--strict")...); status != ExitProblems || !strings.Contains(d.stderr.String(), "error: "+want) {
		t.Errorf("--strict: %d %s", status, d.stderr.String())
	}
}

// The Health events are read once, for each region that has a report: a pipe gives them
// no second time.
func TestHealthEventsOfEachRegion(t *testing.T) {
	t.Parallel()
	d, b := newBench(t)
	b.events += strings.ReplaceAll(b.events, "eu-west-1", "us-east-1")
	read, reads := d.ReadFile, 0
	d.ReadFile = func(path string) ([]byte, error) {
		if path != "health" {
			return read(path)
		}
		if reads++; reads > 1 {
			return nil, nil
		}
		return []byte(`{"events":[{"arn":"arn:1","service":"KMS","region":"us-east-1","startTime":"2026-10-07T00:00:00Z"},{"arn":"arn:2","service":"EC2"}]}`), nil
	}
	args := []string{"sla", "report", "--month", "2026-10", "--log-group", "trail", "--health", "health", "--format", "json"}
	out, status := d.run(args...)
	if status != ExitOK {
		t.Fatalf("%d %s", status, d.stderr.String())
	}
	var all sla.Reports
	if err := json.Unmarshal([]byte(out), &all); err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, r := range all.Reports {
		got = append(got, fmt.Sprintf("%s %d of %d", r.Region, len(r.Health), r.HealthGiven))
	}
	if want := []string{"eu-west-1 0 of 2", "us-east-1 1 of 2"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	if out, status := d.run(args...); status != ExitProblems || out != "" || !strings.Contains(d.stderr.String(), "error: health: no AWS Health event is in it") {
		t.Errorf("an empty file: %d %s%s", status, out, d.stderr.String())
	}
}
