package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"keywatch/internal/evidence"
	"keywatch/internal/inventory"
	"keywatch/internal/sla"
)

// bench is a witness whose answers a test writes down.
type bench struct {
	t      *testing.T
	events string
	usage  func(begin, end time.Time) ([]evidence.Count, error)
	open   func() (string, error)
	opened int
	cases  string
	// charges are of the account by region.
	charges sla.Charges
	charged int
}

func (b *bench) Region() string { return "eu-west-1" }
func (b *bench) Caller(context.Context) (inventory.Caller, error) {
	return inventory.Caller{Account: "111122223333"}, nil
}
func (b *bench) Usage(_ context.Context, begin, end time.Time) ([]evidence.Count, error) {
	return b.usage(begin, end)
}
func (b *bench) LogEvents(_ context.Context, _ string, begin, end time.Time, to io.Writer) error {
	if begin.Day() != 30 || end.Day() != 2 {
		b.t.Errorf("read from %s to %s, want a day more on both sides", begin, end)
	}
	_, err := io.WriteString(to, b.events)
	return err
}
func (b *bench) Charges(context.Context, string, sla.Month) (sla.Charges, error) {
	b.charged++
	return b.charges, nil
}
func (b *bench) SupportServices(context.Context) ([]sla.Service, error) {
	return []sla.Service{{Code: "billing", Name: "Billing", Categories: []sla.Category{{Code: "credits", Name: "Credits"}}}}, nil
}
func (b *bench) SupportCase(context.Context, string) (string, error) { return b.cases, nil }
func (b *bench) Attach(context.Context, []sla.Document) (string, error) {
	return "set", nil
}
func (b *bench) OpenCase(context.Context, *sla.Case, string, string, string) (string, error) {
	b.opened++
	return b.open()
}

// fault is a request to KMS that failed, or was served.
func fault(at, code string) string {
	return fmt.Sprintf(`{"eventTime":%q,"eventSource":"kms.amazonaws.com","eventName":"Decrypt","awsRegion":"eu-west-1","recipientAccountId":"111122223333","errorCode":%q,"eventType":"AwsApiCall","requestID":%q}`+"\n", at, code, "r"+at)
}

var november = time.Date(2026, 11, 3, 0, 0, 0, 0, time.UTC)

// newBench is a world with a bench, in November 2026.
func newBench(t *testing.T) (*disk, *bench) {
	t.Helper()
	d := newDisk(map[string]string{})
	memory := d.ReadFile
	d.ReadFile = func(path string) ([]byte, error) { // a claim lies on the disk
		if data, err := memory(path); err == nil {
			return data, nil
		}
		return os.ReadFile(path)
	}
	b := &bench{t: t, events: fault("2026-10-07T00:00:00Z", "KMSInternalException"), open: func() (string, error) { return "case-1", nil }}
	d.Now = func() time.Time { return november }
	d.Witness = func(context.Context, Target) (Witness, error) { return b, nil }
	return d, b
}

// octoberOf are the arguments that judge October by the log group.
func octoberOf(verb string, more ...string) []string {
	return append([]string{"sla", verb, "--month", "2026-10", "--account", "111122223333", "--region", "eu-west-1", "--log-group", "trail"}, more...)
}

// madeClaim makes a claim and returns its folder and the hash of its manifest.
func madeClaim(t *testing.T, d *disk) (dir, hash string) {
	t.Helper()
	dir = filepath.Join(t.TempDir(), "claim")
	out, status := d.run(octoberOf("claim", "-o", dir)...)
	if status != ExitOK {
		t.Fatalf("%d %s", status, d.stderr.String())
	}
	return dir, strings.Fields(out)[len(strings.Fields(out))-1]
}

func TestTheJSONOfAReportFitsItsSchema(t *testing.T) {
	t.Parallel()
	d, b := newBench(t)
	served := strings.Replace(fault("2026-10-07T00:01:00Z", "x"), `"errorCode":"x",`, "", 1)
	for name, events := range map[string]string{"an outage": b.events + served, "a quiet month": served, "nothing": "", "broken": "{]\n" + served} {
		b.events = events
		out, _ := d.run(octoberOf("report", "--charges", "12", "--format", "json", "--max-malformed", "100")...)
		if out == "" {
			t.Fatalf("%s: %s", name, d.stderr.String())
		}
		fits(t, "sla-reports.schema.json", out)
	}
	table := filepath.Join(t.TempDir(), "table.csv")
	if err := os.WriteFile(table, []byte("eventtime,eventname\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	unread, status := d.run(octoberOf("report", "--requests", table, "--format", "json")...)
	if fits(t, "sla-reports.schema.json", unread); status != ExitProblems || !strings.Contains(unread, `"unread": true`) {
		t.Errorf("a table: status %d\n%s", status, unread)
	}
	b.events = served + fault("2026-10-07T00:00:00Z", "KMSInternalException")
	month := sla.Month{Year: 2026, Month: time.October}
	f := evidence.New("111122223333", "eu-west-1", month)
	at := time.Date(2026, 10, 7, 0, 0, 0, 0, time.UTC)
	if _, err := f.Add([]evidence.Count{{Start: at, Source: evidence.Successes, Requests: map[string]int64{"Sign": 9}}, {Start: at, Source: evidence.Calls}}, november); err != nil {
		t.Fatal(err)
	}
	kept := t.TempDir()
	d.files[filepath.Join(kept, "111122223333", "eu-west-1", "2026-10.jsonl")] = string(f.Bytes())
	out, _ := d.run(octoberOf("report", "--evidence", kept, "--format", "json")...)
	fits(t, "sla-reports.schema.json", out)
	var all sla.Reports
	err := json.Unmarshal([]byte(out), &all)
	if err != nil || len(all.Reports) != 1 {
		t.Fatalf("%v %+v", err, all)
	}
	if r := all.Reports[0]; r.Below[0].Requests != 10 || r.FromMetric != 1 || r.Unknown != 8927 {
		t.Errorf("%v %+v", err, r.Below)
	}
}

func TestStatusAsJSON(t *testing.T) {
	t.Parallel()
	d, b := newBench(t)
	dir, hash := madeClaim(t, d)
	kept := filepath.Join(t.TempDir(), "kept")
	path := filepath.Join(kept, "111122223333", "eu-west-1")
	if err := os.MkdirAll(path, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(path, "2026-09.jsonl"), []byte("{}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	look := func(want int) statusJSON {
		t.Helper()
		out, status := d.run("sla", "status", "--claims", dir, "--evidence", kept, "--format", "json")
		if status != want {
			t.Errorf("status %d, want %d: %s", status, want, d.stderr.String())
		}
		fits(t, "sla-status.schema.json", out)
		var s statusJSON
		if err := json.Unmarshal([]byte(out), &s); err != nil || len(s.Months) != 2 {
			t.Fatalf("%v\n%s", err, out)
		}
		return s
	}
	s := look(ExitProblems)
	if m := s.Months[0]; m.Month != "2026-09" || m.Kept.Problem == "" || m.Deadline != "2026-11-29" || m.Passed {
		t.Errorf("%+v", m)
	}
	if m := s.Months[1]; m.Month != "2026-10" || m.Kept != nil || m.Deadline != "2026-12-30" || len(m.Claims) != 1 || m.Claims[0].Percent == nil || *m.Claims[0].Percent != 10 || m.Claims[0].Sent != "" {
		t.Errorf("%+v", m)
	}
	if _, status := d.run("sla", "file", dir, "--confirm", hash, "--incomplete"); status != ExitOK || b.opened != 1 {
		t.Fatalf("%d %s", status, d.stderr.String())
	}
	d.Now = func() time.Time { return time.Date(2026, 12, 30, 23, 59, 0, 0, time.UTC) }
	if s = look(ExitProblems); s.Months[1].Passed || !s.Months[0].Passed || s.Months[1].Claims[0].Case != "case-1" || s.Months[1].Claims[0].Sent != "2026-11-03T00:00:00Z" {
		t.Errorf("on the last day: %+v", s.Months)
	}
	d.Now = func() time.Time { return time.Date(2026, 12, 31, 0, 0, 0, 0, time.UTC) }
	if s = look(ExitProblems); !s.Months[1].Passed {
		t.Error("the day after: not passed")
	}
}

// A collect that has ended keeps nobody out, in the same process neither; and the lock
// writes over no file that somebody has put in its place.
func TestALockEndsWithItsCollect(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for range 2 {
		release, err := lock(dir, november)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := lock(dir, november); err == nil {
			t.Error("two hold it")
		}
		release()
	}
	victim := filepath.Join(t.TempDir(), "victim")
	if err := errors.Join(os.Remove(filepath.Join(dir, lockName)), os.WriteFile(victim, []byte("precious"), 0o600), os.Symlink(victim, filepath.Join(dir, lockName))); err != nil {
		t.Fatal(err)
	}
	if _, err := lock(dir, november); err == nil || !strings.Contains(err.Error(), "is no regular file; move it away") {
		t.Errorf("%v", err)
	}
	if data, err := os.ReadFile(victim); err != nil || string(data) != "precious" {
		t.Errorf("%s, %v", data, err)
	}
}

// Files are read as the world says, which bounds them: what was kept, and what was sent.
func TestStatusReadsNoFileWithoutEnd(t *testing.T) {
	t.Parallel()
	d, _ := newBench(t)
	dir, _ := madeClaim(t, d)
	kept := filepath.Join(t.TempDir(), "111122223333", "eu-west-1")
	if err := errors.Join(os.MkdirAll(kept, 0o700), os.WriteFile(filepath.Join(kept, "2026-10.jsonl"), nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	d.ReadFile = func(path string) ([]byte, error) { return nil, errors.New(filepath.Base(path) + " has no end") }
	for want, args := range map[string][]string{
		"read what was collected: 2026-10.jsonl has no end": {"--evidence", filepath.Dir(filepath.Dir(kept))},
		"filed.json has no end":                             {"--claims", dir},
	} {
		if _, status := d.run(append([]string{"sla", "status"}, args...)...); status != ExitEnvironment || !strings.Contains(d.stderr.String(), want) {
			t.Errorf("%d %s, want %s", status, d.stderr.String(), want)
		}
	}
}

// The record of a filing is there before AWS is asked: whoever is stopped while the
// case is opened finds out what he must look for.
func TestTheRecordComesBeforeTheCase(t *testing.T) {
	t.Parallel()
	d, b := newBench(t)
	dir, hash := madeClaim(t, d)
	path := filepath.Join(dir, sla.FiledName)
	for _, c := range []struct {
		fails  error
		stays  bool
		status int
	}{
		{errors.New("refused"), false, ExitEnvironment},
		{fmt.Errorf("cut off: %w", sla.ErrUnsure), true, ExitEnvironment},
	} {
		b.open = func() (string, error) {
			if filed, err := d.readFiling(dir, hash); err != nil || filed == nil || filed.Case != "" {
				t.Errorf("while the case is opened: %+v, %v", filed, err)
			}
			return "", c.fails
		}
		if _, status := d.run("sla", "file", dir, "--confirm", hash, "--incomplete"); status != c.status {
			t.Errorf("%v: status %d", c.fails, status)
		}
		if _, err := os.Stat(path); (err == nil) != c.stays {
			t.Errorf("%v: the record: %v", c.fails, err)
		}
	}
	before := b.opened
	if _, status := d.run("sla", "file", dir, "--confirm", hash, "--incomplete"); status != ExitProblems || b.opened != before {
		t.Errorf("after an unknown outcome: status %d, %d opened", status, b.opened-before)
	}
}

// An answer that was lost is no unknown outcome if the case is there: it is recorded
// under its ID, and nothing is sent again.
func TestALostAnswerIsLookedUp(t *testing.T) {
	t.Parallel()
	d, b := newBench(t)
	dir, hash := madeClaim(t, d)
	b.open = func() (string, error) {
		b.cases = "case-9"
		return "", fmt.Errorf("cut off: %w", sla.ErrUnsure)
	}
	if _, status := d.run("sla", "file", dir, "--confirm", hash, "--incomplete"); status != ExitOK || !strings.Contains(d.stderr.String(), "the case was opened as case-9") {
		t.Fatalf("%d %s", status, d.stderr.String())
	}
	if filed, err := d.readFiling(dir, hash); err != nil || filed == nil || filed.Case != "case-9" || b.opened != 1 {
		t.Errorf("%+v, %v, opened %d times", filed, err, b.opened)
	}
}

// A reading that breaks off is an error and leaves the file as it was; so does a
// file that was changed.
func TestCollectWritesWholeReadingsOnly(t *testing.T) {
	t.Parallel()
	d, b := newBench(t)
	kept := t.TempDir()
	path := filepath.Join(kept, "111122223333", "eu-west-1", "2026-11.jsonl")
	b.usage = whole
	if _, status := d.run("sla", "collect", "--evidence", kept, "--days", "1"); status != ExitOK {
		t.Fatalf("%d %s", status, d.stderr.String())
	}
	first := d.files[path]
	b.usage = func(time.Time, time.Time) ([]evidence.Count, error) {
		return nil, errors.New("page 2 of 3 was cut off")
	}
	if _, status := d.run("sla", "collect", "--evidence", kept); status != ExitEnvironment || d.files[path] != first {
		t.Errorf("status %d, or the file was changed", status)
	}
	b.usage = whole
	d.files[path] = strings.Replace(first, `"requests":{}`, `"requests":{"Sign":1}`, 1)
	if _, status := d.run("sla", "collect", "--evidence", kept, "--days", "1"); status != ExitProblems || !strings.Contains(d.stderr.String(), "is a seal that does not fit") {
		t.Errorf("status %d %s", status, d.stderr.String())
	}
}

// whole is a reading of an idle account.
func whole(begin, end time.Time) (out []evidence.Count, err error) {
	for at := begin; at.Before(end); at = at.Add(5 * time.Minute) {
		out = append(out, evidence.Count{Start: at, Source: evidence.Successes}, evidence.Count{Start: at, Source: evidence.Calls})
	}
	return out, nil
}

// Of two at once the second stops: both have read the file, and the later would
// write over what the earlier brought.
func TestTwoCollectsAtOnce(t *testing.T) {
	t.Parallel()
	kept := t.TempDir()
	path := filepath.Join(kept, "111122223333", "eu-west-1", "2026-11.jsonl")
	args := []string{"sla", "collect", "--evidence", kept, "--days", "1"}
	collector := func(operation string) *disk {
		d, b := newBench(t)
		b.usage = func(begin, end time.Time) ([]evidence.Count, error) {
			out, err := whole(begin, end)
			out[len(out)-2].Requests = map[string]int64{operation: 1}
			return out, err
		}
		d.WriteFile = nil
		return d
	}
	first, second := collector("Decrypt"), collector("Sign")
	during := 0
	first.WriteFile = func(to string, data []byte) error { // it has read the file by now
		if to == path {
			during++
			out, status := second.run(args...)
			want := "keywatch: error: nothing was collected: another keywatch sla collect (process " + fmt.Sprint(os.Getpid()) + ", since 2026-11-03T00:00:00Z) is at work in " + filepath.Dir(path) + "\nkeywatch: hint: let it end, and run one after the other; " + filepath.Join(filepath.Dir(path), ".lock") + " is free once its process has ended"
			if status != ExitEnvironment || out != "" || !strings.HasPrefix(second.stderr.String(), want) {
				t.Errorf("the second: %d %s%s\nwant %s", status, out, second.stderr.String(), want)
			}
			// Who only reads is not kept out.
			if _, status := second.run("sla", "status", "--evidence", kept); status != ExitOK {
				t.Errorf("sla status: %d %s", status, second.stderr.String())
			}
			if _, status := second.run(octoberOf("report", "--evidence", kept)...); status != ExitOK {
				t.Errorf("sla report: %d %s", status, second.stderr.String())
			}
			// Nor is another region.
			second.Witness = func(context.Context, Target) (Witness, error) { return elsewhere{&bench{t: t, usage: whole}}, nil }
			if _, status := second.run(args...); status != ExitOK {
				t.Errorf("another region: %d %s", status, second.stderr.String())
			}
		}
		return replaceFile(to, data)
	}
	if _, status := first.run(args...); status != ExitOK || during != 1 {
		t.Fatalf("the first: %d, written %d times: %s", status, during, first.stderr.String())
	}
	// Afterwards its lock is free, and what it brought stays.
	third := collector("Decrypt")
	if _, status := third.run(append(args, "--days", "2")...); status != ExitOK {
		t.Errorf("the third: %d %s", status, third.stderr.String())
	}
	data, err := os.ReadFile(path)
	if err != nil || strings.Count(string(data), `"Decrypt":1`) != 1 || strings.Contains(string(data), "Sign") {
		t.Errorf("%v\n%.500s", err, data)
	}
}

type elsewhere struct{ *bench }

func (elsewhere) Region() string { return "us-east-1" }

// Whoever collects and finds the lock in another's hands is told of that other even
// where the lock's file says nothing of it, or something else.
func TestTheHolderOfALockIsAWordOfOurs(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), lockName)
	for text, want := range map[string]string{
		"process 7, since 2026-11-03T00:00:00Z\n": " (process 7, since 2026-11-03T00:00:00Z)",
		"": "", "\x1b[2J": "", "process 7, since 2026-11-03T00:00:00Z\nprocess 8": "",
	} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if got := holder(path); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}

// The command that sla file shows is the one that sends: a shell takes it as it is.
func TestTheCommandThatIsShownSends(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		flags, want []string
	}{
		"my claim's":  {nil, []string{"--incomplete"}},
		"plain":       {[]string{"--service", "billing", "--category", "credits"}, []string{"--incomplete", "--service", "billing", "--category", "credits"}},
		"$(id) `id`;": {[]string{"--service", "billing"}, []string{"--incomplete", "--service", "billing"}},
	} {
		d, b := newBench(t)
		made, hash := madeClaim(t, d)
		dir := filepath.Join(t.TempDir(), name)
		if err := os.Rename(made, dir); err != nil {
			t.Fatal(err)
		}
		if _, status := d.run(append([]string{"sla", "file", dir}, test.flags...)...); status != ExitOK {
			t.Fatalf("%d %s", status, d.stderr.String())
		}
		_, command, _ := strings.Cut(strings.TrimSpace(d.stderr.String()), "when you have reviewed it: ")
		out, err := exec.CommandContext(t.Context(), "sh", "-c", `keywatch() { printf '%s\n' "$@"; }; `+command).Output()
		if err != nil {
			t.Fatalf("%s: %v", command, err)
		}
		args := strings.Split(strings.TrimSpace(string(out)), "\n")
		if want := append([]string{"sla", "file", dir, "--confirm", hash}, test.want...); !slices.Equal(args, want) {
			t.Errorf("%s\nis %q, want %q", command, args, want)
		}
		if _, status := d.run(args...); status != ExitOK || b.opened != 1 {
			t.Errorf("%s: %d, %d opened: %s", command, status, b.opened, d.stderr.String())
		}
	}
}

// Of a claim that lacks nothing the command does not say so.
func TestTheCommandOfAWholeClaim(t *testing.T) {
	t.Parallel()
	if got := (sending{dir: "a"}).command("f00", false); got != "keywatch sla file a --confirm f00" {
		t.Error(got)
	}
}

// What is due is said in time, of what waits to be sent alone, and in 80 columns.
func TestWhatIsDue(t *testing.T) {
	t.Parallel()
	d, b := newBench(t)
	dir, hash := madeClaim(t, d)
	look := func(day string, more ...string) string {
		t.Helper()
		now, err := time.Parse(time.DateTime, day)
		if err != nil {
			t.Fatal(err)
		}
		d.Now = func() time.Time { return now }
		out, status := d.run(append([]string{"sla", "status", "--claims", dir}, more...)...)
		if status != ExitOK {
			t.Fatalf("%d %s", status, d.stderr.String())
		}
		return out
	}
	for day, want := range map[string][2]string{
		"2026-11-03 00:00:00": {"due next  2026-10 of 111122223333 in eu-west-1, by 2026-12-30, in 57 days\n", "eu-west-1  claim by 2026-12-30\n"},
		"2026-12-15 23:59:59": {", in 15 days\n", "  claim by 2026-12-30\n"},
		"2026-12-16 00:00:00": {", in 14 days\n", "  claim by 2026-12-30: due in 14 days\n"},
		"2026-12-29 12:00:00": {", in 1 day\n", "  claim by 2026-12-30: due in 1 day\n"},
		"2026-12-30 23:59:59": {", today\n", "  claim by 2026-12-30: due today\n"},
		"2026-12-31 00:00:00": {"due next  nothing\n", "  the claim was due by 2026-12-30\n"},
	} {
		out := look(day)
		for _, part := range want {
			if !strings.Contains(out, part) {
				t.Errorf("%s: no %q:\n%s", day, part, out)
			}
		}
		if !strings.HasPrefix(out, "This is an estimate from the customer's side") {
			t.Errorf("%s: it does not say what it is:\n%s", day, out)
		}
		fits(t, "sla-status.schema.json", look(day, "--format", "json"))
		for _, line := range strings.Split(strings.ReplaceAll(out, dir, "claims/2026-10"), "\n") {
			if len(line) > 80 {
				t.Errorf("%d columns: %s", len(line), line)
			}
		}
	}
	var s statusJSON
	if err := json.Unmarshal([]byte(look("2026-12-21 08:00:00", "--format", "json")), &s); err != nil || s.Estimate != sla.Estimate || s.Months[0].DueIn == nil || *s.Months[0].DueIn != 9 {
		t.Errorf("%v %+v", err, s)
	}
	// Sent, and nobody knows whether a case was opened: that has to be found out.
	b.open = func() (string, error) { return "", sla.ErrUnsure }
	if _, status := d.run("sla", "file", dir, "--confirm", hash, "--incomplete"); status != ExitEnvironment {
		t.Fatalf("%d %s", status, d.stderr.String())
	}
	if out := look("2026-12-21 08:00:00"); !strings.Contains(out, "claim by 2026-12-30: due in 9 days\n") {
		t.Errorf("unsure:\n%s", out)
	}
	b.open = func() (string, error) { return "case-1", nil }
	if err := os.Remove(filepath.Join(dir, sla.FiledName)); err != nil {
		t.Fatal(err)
	}
	if _, status := d.run("sla", "file", dir, "--confirm", hash, "--incomplete"); status != ExitOK {
		t.Fatalf("%d %s", status, d.stderr.String())
	}
	if out := look("2026-12-21 08:00:00"); !strings.Contains(out, "due next  nothing\n") || strings.Contains(out, "due in") {
		t.Errorf("sent:\n%s", out)
	}
	// Changed since: that it was sent is still known.
	if err := os.WriteFile(filepath.Join(dir, "claim.md"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if out, status := d.run("sla", "status", "--claims", dir); status != ExitProblems || !strings.Contains(out, "due next  nothing\n") || !strings.Contains(strings.Join(strings.Fields(out), " "), "claim.md: changed; sent 2026-12-21T08:00:00Z as case-1") {
		t.Errorf("changed: %d\n%s", status, out)
	}
}

// The earliest comes first, and the others of that day are counted.
func TestWhatIsDueNext(t *testing.T) {
	t.Parallel()
	in := func(n int) *int { return &n }
	s := statusJSON{Months: []monthStatus{
		{Month: "2026-09", Account: "a", Region: "r"}, {Month: "2026-10", Account: "a", Region: "r", Deadline: "2026-12-30", DueIn: in(40)},
		{Month: "2026-08", Account: "a", Region: "r", Deadline: "2026-10-30", DueIn: in(3)}, {Month: "2026-08", Account: "b", Region: "r", Deadline: "2026-10-30", DueIn: in(3)},
	}}
	if got := s.next(); got != "2026-08 of a in r, by 2026-10-30, in 3 days; and 1 more by then" {
		t.Error(got)
	}
}

// A claim of another version is named with it, and the other claims are still shown.
func TestAClaimOfAnotherVersion(t *testing.T) {
	t.Parallel()
	d, _ := newBench(t)
	dir, _ := madeClaim(t, d)
	path := filepath.Join(dir, sla.ManifestName)
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(strings.Replace(string(data), `"version": 1`, `"version": 2`, 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	const want = "manifest.json: it is of version 2 of its format, and this keywatch reads version 1; use the keywatch that made it, or make the claim anew"
	if _, status := d.run("sla", "file", dir); status != ExitProblems || !strings.Contains(d.stderr.String(), want) {
		t.Errorf("sla file: %d %s", status, d.stderr.String())
	}
	if out, status := d.run("sla", "status", "--claims", dir); status != ExitProblems || !strings.Contains(strings.Join(strings.Fields(out), " "), want) || !strings.Contains(out, "2026-10  111122223333  eu-west-1") {
		t.Errorf("sla status: %d\n%s%s", status, out, d.stderr.String())
	}
	if _, status := d.run("sla", "verify", dir); status != ExitProblems || !strings.Contains(d.stderr.String(), want) {
		t.Errorf("sla verify: %d %s", status, d.stderr.String())
	}
	// One that names no account is of no month.
	if err := os.WriteFile(path, []byte(`{"format":"keywatch-sla-claim","version":2,"month":"2026-10","account":"\u001b[2J","region":"eu-west-1"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, status := d.run("sla", "status", "--claims", dir); status != ExitProblems || !strings.Contains(out, "\nof which account, region and month is not known\n  claim   ") || !strings.Contains(out, "version 2") || strings.Contains(out, "\x1b") {
		t.Errorf("no account: %d\n%s%s", status, out, d.stderr.String())
	}
}

// A folder whose manifest says nothing is listed with what is wrong, beside the others.
func TestAClaimWhoseManifestIsNoRegularFile(t *testing.T) {
	t.Parallel()
	d, _ := newBench(t)
	dir, hash := madeClaim(t, d)
	claims := filepath.Dir(dir)
	bad := filepath.Join(claims, "bad")
	manifest := filepath.Join(bad, sla.ManifestName)
	for kind, put := range map[string]func() error{
		"link":                    func() error { return os.Symlink(filepath.Join(dir, sla.ManifestName), manifest) },
		"link that leads nowhere": func() error { return os.Symlink("nowhere", manifest) },
		"pipe":                    func() error { return syscall.Mkfifo(manifest, 0o600) },
	} {
		if err := errors.Join(os.Mkdir(bad, 0o700), put()); err != nil {
			t.Fatal(err)
		}
		out, status := d.run("sla", "status", "--claims", claims, "--format", "json")
		fits(t, "sla-status.schema.json", out)
		var s statusJSON
		if err := json.Unmarshal([]byte(out), &s); err != nil || status != ExitProblems || len(s.Months) != 1 || s.Months[0].Claims[0].Folder != dir {
			t.Errorf("%s: %v, status %d\n%s", kind, err, status, out)
		}
		if len(s.Unplaced) != 1 || s.Unplaced[0].Folder != bad || !slices.Equal(s.Unplaced[0].Problems, []string{"manifest.json: is no regular file"}) {
			t.Errorf("%s: %+v", kind, s.Unplaced)
		}
		out, status = d.run("sla", "status", "--claims", bad)
		if want := "\nof which account, region and month is not known\n  claim " + bad + ": manifest.json: is no regular file; not sent"; status != ExitProblems || !strings.Contains(strings.Join(strings.Fields(out), " "), strings.Join(strings.Fields(want), " ")) {
			t.Errorf("%s: %d\n%s", kind, status, out)
		}
		if !strings.Contains(out, "due next  nothing, as far as the months are known\n") {
			t.Errorf("%s: %s", kind, out)
		}
		// Of what cannot be read there is no SHA-256 to compare.
		want := "keywatch: error: " + bad + ": manifest.json: is no regular file\n"
		if _, status := d.run("sla", "verify", bad, "--manifest", hash); status != ExitProblems || d.stderr.String() != want {
			t.Errorf("%s: %d %s", kind, status, d.stderr.String())
		}
		record := filepath.Join(bad, sla.FiledName)
		if err := os.WriteFile(record, []byte("{}"), 0o600); err != nil {
			t.Fatal(err)
		}
		want += "keywatch: hint: nobody can say whether it was sent, nor of which account it is; look in the AWS Support Center for a case about KMS; only if there is none, remove " + record + " and make the claim anew\n"
		if _, status := d.run("sla", "file", bad); status != ExitProblems || d.stderr.String() != want {
			t.Errorf("%s: %d %s", kind, status, d.stderr.String())
		}
		if err := os.RemoveAll(bad); err != nil {
			t.Fatal(err)
		}
	}
}

// What a folder says of itself does not steer a terminal.
func TestAPieceIsOneLineOfText(t *testing.T) {
	t.Parallel()
	d, b := newBench(t)
	reports, err := d.judgeMonth(t.Context(), &judging{month: "2026-10", account: "111122223333", region: "eu-west-1", logGroups: []string{"g"}, malformed: "0", claim: true})
	if err != nil {
		t.Fatal(err)
	}
	r := reports[0]
	r.Missing = []string{"\x1b[2Ja\nkeywatch: notice: all is well"}
	r.Figure.Uptime = "\x1b[2J"
	docs, err := sla.Claim(r, nil)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for _, doc := range docs {
		if err := os.WriteFile(filepath.Join(dir, doc.Name), doc.Data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if _, status := d.run("sla", "file", dir); status != ExitOK || b.opened != 0 || strings.Contains(d.stderr.String(), "\x1b") || strings.Contains(d.stderr.String(), "\nkeywatch: notice: all is well") {
		t.Errorf("%d %q", status, d.stderr.String())
	}
	if out, status := d.run("sla", "status", "--claims", dir); status != ExitOK || strings.Contains(out, "\x1b") {
		t.Errorf("%d %q", status, out)
	}
}

// A month in which nothing can be claimed has no deadline that one could miss.
func TestALateMonthWithoutAClaim(t *testing.T) {
	t.Parallel()
	d, b := newBench(t)
	d.Now = func() time.Time { return time.Date(2027, 2, 1, 0, 0, 0, 0, time.UTC) }
	if _, status := d.run(octoberOf("report")...); status != ExitOK || !strings.Contains(d.stderr.String(), "the claim was due by 2026-12-30") {
		t.Errorf("%d %s", status, d.stderr.String())
	}
	b.events = strings.Replace(fault("2026-10-07T00:01:00Z", "x"), `"errorCode":"x",`, "", 1)
	if _, status := d.run(octoberOf("report")...); status != ExitOK || d.stderr.Len() > 0 {
		t.Errorf("%d %s", status, d.stderr.String())
	}
}

// A log group that cannot be read to its end makes no report.
func TestALogGroupIsReadToItsEnd(t *testing.T) {
	t.Parallel()
	d, b := newBench(t)
	d.Witness = func(context.Context, Target) (Witness, error) { return cutOff{b}, nil }
	out, status := d.run(octoberOf("report")...)
	if status != ExitEnvironment || out != "" || !strings.Contains(d.stderr.String(), "read the logs: page 2 was cut off") {
		t.Errorf("%d %s%s", status, out, d.stderr.String())
	}
}

// A trail of several regions has its log group in one of them: an ARN says where.
func TestALogGroupIsReadWhereItIs(t *testing.T) {
	t.Parallel()
	d, b := newBench(t)
	var asked []string
	d.Witness = func(_ context.Context, t Target) (Witness, error) {
		asked = append(asked, t.Region)
		return b, nil
	}
	if _, status := d.run(octoberOf("report", "--log-group", "arn:aws:logs:us-east-1:444455556666:log-group:trail:*")...); status != ExitOK || strings.Join(asked, " ") != "us-east-1 eu-west-1" {
		t.Errorf("status %d, asked %v: %s", status, asked, d.stderr.String())
	}
}

type cutOff struct{ *bench }

func (c cutOff) LogEvents(ctx context.Context, group string, begin, end time.Time, to io.Writer) error {
	return errors.Join(c.bench.LogEvents(ctx, group, begin, end, to), errors.New("page 2 was cut off"))
}

// An unset variable proves nothing and confirms nothing.
func TestAHashIsASHA256(t *testing.T) {
	t.Parallel()
	d, b := newBench(t)
	dir, hash := madeClaim(t, d)
	for _, args := range [][]string{{"sla", "verify", dir, "--manifest"}, {"sla", "file", dir, "--incomplete", "--confirm"}} {
		flag := args[len(args)-1]
		for value, want := range map[string]string{
			"":             flag + " is empty, as from a variable that is not set; give the 64 hexadecimal digits that keywatch sla claim printed\n",
			hash[:63]:      flag + ` "` + hash[:63] + `" is no SHA-256; give the 64`,
			hash + "0":     "is no SHA-256",
			hash + "\n":    `\n" is no SHA-256`,
			"g" + hash[1:]: "is no SHA-256",
		} {
			if out, status := d.run(append(slices.Clone(args), value)...); status != ExitUsage || out != "" || !strings.Contains(d.stderr.String(), want) {
				t.Errorf("%s %q: %d %s%s", flag, value, status, out, d.stderr.String())
			}
		}
		if _, status := d.run(append(slices.Clone(args), strings.ToUpper(hash))...); status != ExitOK {
			t.Errorf("%s in upper case: %d %s", flag, status, d.stderr.String())
		}
	}
	if b.opened != 1 {
		t.Errorf("%d cases were opened", b.opened)
	}
}

// A record that cannot be read says nothing, and least of all that nothing was sent.
func TestADamagedRecordOfAFiling(t *testing.T) {
	t.Parallel()
	d, b := newBench(t)
	dir, hash := madeClaim(t, d)
	if _, status := d.run("sla", "file", dir, "--confirm", hash, "--incomplete"); status != ExitOK {
		t.Fatalf("%d %s", status, d.stderr.String())
	}
	record := filepath.Join(dir, sla.FiledName)
	sent, err := os.ReadFile(record)
	if err != nil {
		t.Fatal(err)
	}
	look := func() claimStatus {
		t.Helper()
		out, status := d.run("sla", "status", "--claims", dir, "--format", "json")
		fits(t, "sla-status.schema.json", out)
		var s statusJSON
		if err := json.Unmarshal([]byte(out), &s); err != nil || status != ExitProblems || strings.Contains(out, "creditPercent") || strings.Contains(out, "missingPieces") {
			t.Errorf("%v, status %d\n%s", err, status, out)
		}
		return s.Months[0].Claims[0]
	}
	if err := os.WriteFile(record, append(sent, 'x'), 0o600); err != nil {
		t.Fatal(err)
	}
	if c := look(); !c.SentUnknown || c.Sent != "" {
		t.Errorf("%+v", c)
	}
	out, _ := d.run("sla", "status", "--claims", dir)
	if out = strings.Join(strings.Fields(out), " "); strings.Contains(out, "not sent") || !strings.Contains(out, "; nobody can say whether it was sent; look in the AWS Support Center") {
		t.Error(out)
	}
	for _, more := range [][]string{nil, {"--confirm", hash, "--incomplete"}} {
		want := "hint: nobody can say whether it was sent; look in the AWS Support Center of account 111122223333 for a case about KMS, eu-west-1, 2026-10; only if there is none, remove " + record + " and repeat\n"
		if _, status := d.run(append([]string{"sla", "file", dir}, more...)...); status != ExitProblems || !strings.HasSuffix(d.stderr.String(), want) || strings.Contains(d.stderr.String(), "anew") {
			t.Errorf("%d %s\nwant %s", status, d.stderr.String(), want)
		}
	}
	// Of one that was sent and changed since, the record is still believed.
	if err := errors.Join(os.WriteFile(record, sent, 0o600), os.WriteFile(filepath.Join(dir, "notes.txt"), nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	if c := look(); c.SentUnknown || c.Case != "case-1" {
		t.Errorf("%+v", c)
	}
	if _, status := d.run("sla", "file", dir); status != ExitProblems || !strings.HasSuffix(d.stderr.String(), "hint: it was sent on 2026-11-03T00:00:00Z already; look in the AWS Support Center for a case \"SLA Credit Request: AWS KMS, eu-west-1, October 2026\"\n") {
		t.Errorf("%d %s", status, d.stderr.String())
	}
	if b.opened != 1 {
		t.Errorf("%d cases were opened", b.opened)
	}
}

// What is no regular file is no record: a pipe is not waited for, and a link, if to the
// record itself, is not followed.
func TestARecordThatIsNoRegularFile(t *testing.T) {
	t.Parallel()
	d, b := newBench(t)
	dir, hash := madeClaim(t, d)
	if _, status := d.run("sla", "file", dir, "--confirm", hash, "--incomplete"); status != ExitOK {
		t.Fatalf("%d %s", status, d.stderr.String())
	}
	record, moved := filepath.Join(dir, sla.FiledName), filepath.Join(t.TempDir(), "moved")
	if err := os.Rename(record, moved); err != nil {
		t.Fatal(err)
	}
	read := d.ReadFile
	d.ReadFile = func(path string) ([]byte, error) {
		if path == record {
			t.Error("it was read")
			path = moved
		}
		return read(path)
	}
	for kind, put := range map[string]func() error{
		"pipe":                    func() error { return syscall.Mkfifo(record, 0o600) },
		"link":                    func() error { return os.Symlink(moved, record) },
		"link that leads nowhere": func() error { return os.Symlink("nowhere", record) },
	} {
		if err := put(); err != nil {
			t.Fatal(err)
		}
		out, status := d.run("sla", "status", "--claims", dir, "--format", "json")
		if status != ExitProblems || !strings.Contains(out, `"filed.json: is no regular file"`) || !strings.Contains(out, `"sentUnknown": true`) || strings.Contains(out, `"sent"`) {
			t.Errorf("%s: %d\n%s", kind, status, out)
		}
		want := dir + ": filed.json: is no regular file\nkeywatch: hint: nobody can say whether it was sent; "
		if _, status := d.run("sla", "file", dir, "--confirm", hash, "--incomplete"); status != ExitProblems || !strings.Contains(d.stderr.String(), want) {
			t.Errorf("%s: %d %s", kind, status, d.stderr.String())
		}
		want = dir + " holds a claim that was changed since: filed.json: is no regular file\n"
		if _, status := d.run(octoberOf("claim", "-o", dir)...); status != ExitProblems || !strings.Contains(d.stderr.String(), want) {
			t.Errorf("%s: %d %s", kind, status, d.stderr.String())
		}
		if err := os.Remove(record); err != nil {
			t.Fatal(err)
		}
	}
	if b.opened != 1 {
		t.Errorf("%d cases were opened", b.opened)
	}
}

// A claim goes into a folder that is empty, and never in the place of a link.
func TestWhereAClaimIsWritten(t *testing.T) {
	t.Parallel()
	d, _ := newBench(t)
	dir := t.TempDir()
	empty, link := filepath.Join(dir, "empty"), filepath.Join(dir, "link")
	if err := errors.Join(os.Mkdir(empty, 0o700), os.Symlink(empty, link)); err != nil {
		t.Fatal(err)
	}
	refused := func(as string) {
		t.Helper()
		want := "keywatch: error: " + link + " is a link, and a claim is written in the place of a folder\nkeywatch: hint: name with -o the folder that it leads to, or another one\n"
		if _, status := d.run(octoberOf("claim", "-o", as)...); status != ExitProblems || d.stderr.String() != want {
			t.Errorf("%s: %d %s", as, status, d.stderr.String())
		}
		if to, err := os.Readlink(link); err != nil || to != empty {
			t.Errorf("%s: the link leads to %q: %v", as, to, err)
		}
	}
	refused(link)
	refused(link + "/")
	out, status := d.run(octoberOf("claim", "-o", empty+"/")...)
	if status != ExitOK {
		t.Fatalf("%d %s", status, d.stderr.String())
	}
	refused(link) // to an unchanged claim of the same month, too
	// Both count the files without the manifest that proves them.
	entries, err := os.ReadDir(empty)
	if err != nil {
		t.Fatal(err)
	}
	files := fmt.Sprintf("%d files; the SHA-256 of its manifest is\n", len(entries)-1)
	if said, _ := d.run("sla", "verify", empty); !strings.HasPrefix(out, empty+": "+files) || !strings.Contains(said, ", "+files) {
		t.Errorf("%s%swant %s", out, said, files)
	}
}

// A folder that is there stays as it was made: an empty one is filled, the current
// directory too, and one with a claim keeps its mode.
func TestTheFolderOfAClaimKeepsItsMode(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "claim")
	if err := errors.Join(os.Mkdir(dir, 0o700), os.Chmod(dir, 0o710)); err != nil {
		t.Fatal(err)
	}
	stat := func() os.FileInfo {
		t.Helper()
		info, err := os.Stat(dir)
		if err != nil || info.Mode().Perm() != 0o710 {
			t.Fatalf("%v: %v, want mode 0710", info.Mode(), err)
		}
		return info
	}
	made := stat()
	t.Chdir(dir)
	d, _ := newBench(t)
	if _, status := d.run(octoberOf("claim", "-o", ".")...); status != ExitOK {
		t.Fatalf("%d %s", status, d.stderr.String())
	}
	if _, status := d.run("sla", "verify", dir); status != ExitOK || !os.SameFile(made, stat()) {
		t.Errorf("%d %s", status, d.stderr.String())
	}
	for _, as := range []string{".", dir} {
		want := "keywatch: error: " + as + " is the current directory and holds a claim; to replace it would delete the one that your shell stands in\nkeywatch: hint: run it from elsewhere, or name another folder with -o\n"
		if _, status := d.run(octoberOf("claim", "-o", as)...); status != ExitProblems || d.stderr.String() != want || !os.SameFile(made, stat()) {
			t.Errorf("-o %s: %d %s", as, status, d.stderr.String())
		}
	}
	t.Chdir(filepath.Dir(dir))
	if _, status := d.run(octoberOf("claim", "-o", dir)...); status != ExitOK || os.SameFile(made, stat()) {
		t.Errorf("it was not replaced: %d %s", status, d.stderr.String())
	}
	if entries, err := os.ReadDir("."); err != nil || len(entries) != 1 {
		t.Errorf("beside the claim: %v %v", entries, err)
	}
}

// What is cut off is no claim: the manifest is moved last, and a failure leaves nothing.
func TestAClaimIsMovedManifestLast(t *testing.T) {
	t.Parallel()
	d, _ := newBench(t)
	made, _ := madeClaim(t, d)
	docs := []sla.Document{{Name: "claim.md"}, {Name: "no such file"}, {Name: sla.ManifestName}}
	to := t.TempDir()
	if err := moveAll(made, to, docs); err == nil || !has(made, sla.ManifestName) {
		t.Errorf("%v; the manifest is gone, before another file", err)
	}
	if entries, err := os.ReadDir(to); err != nil || len(entries) != 0 {
		t.Errorf("left over: %v %v", entries, err)
	}
}

func TestAFolderThatCannotBeMoved(t *testing.T) {
	t.Parallel()
	busy := &os.LinkError{Op: "rename", Old: "a", New: "b", Err: syscall.EBUSY}
	var hint advised
	if err := immovable("a", busy); !errors.As(err, &hint) || hint.hint != "a is in use, as a mount point is, and stays as it was; name another folder with -o" {
		t.Errorf("%v", err)
	}
	if err := immovable("a", os.ErrPermission); errors.As(err, &hint) {
		t.Errorf("another reason: %v", err)
	}
}

// Whoever has no credentials can review what would be sent; to send it takes some.
func TestACaseIsShownWithoutCredentials(t *testing.T) {
	t.Parallel()
	d, b := newBench(t)
	dir, hash := madeClaim(t, d)
	text, err := os.ReadFile(filepath.Join(dir, "claim.md"))
	if err != nil {
		t.Fatal(err)
	}
	asked := d.Witness
	for why, witness := range map[string]func(context.Context, Target) (Witness, error){
		"aws: no credentials": func(context.Context, Target) (Witness, error) { return nil, errors.New("no credentials") },
		"nothing was sent: throttled": func(ctx context.Context, t Target) (Witness, error) {
			_, err := asked(ctx, t)
			return noServices{b}, err
		},
	} {
		d.Witness = witness
		out, status := d.run("sla", "file", dir)
		if want := "keywatch: error: service and category were not looked up: " + why + "\n"; status != ExitEnvironment || !strings.HasSuffix(d.stderr.String(), want) {
			t.Errorf("%d %s\nwant %s", status, d.stderr.String(), want)
		}
		for _, want := range []string{"service      not looked up\ncategory     not looked up\n", "\nsubject      SLA Credit Request: AWS KMS, eu-west-1, October 2026\n", "attachment   requests.csv, ", string(text)} {
			if !strings.Contains(out, want) {
				t.Errorf("%s: no %q:\n%s", why, want, out)
			}
		}
		out, status = d.run("sla", "file", dir, "--confirm", hash, "--incomplete")
		if status != ExitEnvironment || out != "" || !strings.HasSuffix(d.stderr.String(), "keywatch: error: "+why+"\n") {
			t.Errorf("with --confirm: %d %s%s", status, out, d.stderr.String())
		}
	}
	if b.opened != 0 {
		t.Errorf("%d cases were opened", b.opened)
	}
}

type noServices struct{ *bench }

func (noServices) SupportServices(context.Context) ([]sla.Service, error) {
	return nil, errors.New("throttled")
}

// What is no claim folder is named, with what it is not.
func TestWhatIsNoClaimFolder(t *testing.T) {
	t.Parallel()
	d, _ := newBench(t)
	dir := t.TempDir()
	file, nowhere := filepath.Join(dir, "file"), filepath.Join(dir, "nowhere")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	const hint = "keywatch: hint: give the folder that keywatch sla claim made\n"
	for name, want := range map[string]string{
		nowhere: nowhere + " is not there\n" + hint,
		file:    file + " is no folder\n" + hint,
		dir:     dir + ": it has no manifest.json\n" + hint,
		"":      "DIR is empty, as from a variable that is not set; give the folder that keywatch sla claim made\n",
	} {
		for _, verb := range []string{"verify", "file"} {
			wants := ExitEnvironment
			if name == "" {
				wants = ExitUsage
			}
			if _, status := d.run("sla", verb, name); status != wants || !strings.HasPrefix(d.stderr.String(), "keywatch: error: "+want) {
				t.Errorf("%s %q: %d %s", verb, name, status, d.stderr.String())
			}
		}
	}
}
