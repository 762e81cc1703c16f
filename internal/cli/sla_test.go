package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
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
		fits(t, "sla-report.schema.json", out)
	}
	table := filepath.Join(t.TempDir(), "table.csv")
	if err := os.WriteFile(table, []byte("eventtime,eventname\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	unread, status := d.run(octoberOf("report", "--requests", table, "--format", "json")...)
	if fits(t, "sla-report.schema.json", unread); status != ExitProblems || !strings.Contains(unread, `"unread": true`) {
		t.Errorf("a table: status %d\n%s", status, unread)
	}
	b.events = served + fault("2026-10-07T00:00:00Z", "KMSInternalException")
	month := sla.Month{Year: 2026, Month: time.October}
	f := evidence.New("111122223333", "eu-west-1", month)
	at := time.Date(2026, 10, 7, 0, 0, 0, 0, time.UTC)
	if _, err := f.Add([]evidence.Count{{Start: at, Source: evidence.Successes, Requests: map[string]int64{"Sign": 9}}, {Start: at, Source: evidence.Calls}}, november); err != nil {
		t.Fatal(err)
	}
	d.files[filepath.Join("kept", "111122223333", "eu-west-1", "2026-10.jsonl")] = string(f.Bytes())
	out, _ := d.run(octoberOf("report", "--evidence", "kept", "--format", "json")...)
	fits(t, "sla-report.schema.json", out)
	var r sla.Report
	if err := json.Unmarshal([]byte(out), &r); err != nil || r.Below[0].Requests != 10 || r.FromMetric != 1 || r.Unknown != 8927 {
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
	if m := s.Months[1]; m.Month != "2026-10" || m.Kept != nil || m.Deadline != "2026-12-30" || len(m.Claims) != 1 || m.Claims[0].Percent != 10 || m.Claims[0].Sent != "" {
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
			if filed, err := readFiling(dir, hash); err != nil || filed == nil || filed.Case != "" {
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

// A reading that breaks off is an error and leaves the file as it was; so does a
// file that was changed.
func TestCollectWritesWholeReadingsOnly(t *testing.T) {
	t.Parallel()
	d, b := newBench(t)
	path := filepath.Join("kept", "111122223333", "eu-west-1", "2026-11.jsonl")
	whole := func(begin, end time.Time) (out []evidence.Count, err error) {
		for at := begin; at.Before(end); at = at.Add(5 * time.Minute) {
			out = append(out, evidence.Count{Start: at, Source: evidence.Successes}, evidence.Count{Start: at, Source: evidence.Calls})
		}
		return out, nil
	}
	b.usage = whole
	if _, status := d.run("sla", "collect", "--evidence", "kept", "--days", "1"); status != ExitOK {
		t.Fatalf("%d %s", status, d.stderr.String())
	}
	first := d.files[path]
	b.usage = func(time.Time, time.Time) ([]evidence.Count, error) {
		return nil, errors.New("page 2 of 3 was cut off")
	}
	if _, status := d.run("sla", "collect", "--evidence", "kept"); status != ExitEnvironment || d.files[path] != first {
		t.Errorf("status %d, or the file was changed", status)
	}
	b.usage = whole
	d.files[path] = strings.Replace(first, `"requests":{}`, `"requests":{"Sign":1}`, 1)
	if _, status := d.run("sla", "collect", "--evidence", "kept", "--days", "1"); status != ExitProblems || !strings.Contains(d.stderr.String(), "is a seal that does not fit") {
		t.Errorf("status %d %s", status, d.stderr.String())
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
