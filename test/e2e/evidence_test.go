package e2e

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"keywatch/internal/evidence"
	"keywatch/internal/sla"
	"keywatch/test/localaws"
)

// A fault and a Health event come by EventBridge; what is kept of them is what a
// report reads, and nothing that a claim does not need. A claim is made of it and
// filed, once. The evidence outlives its stack.
func TestEvidenceIsKept(t *testing.T) {
	w := newWorld(t, binary(t, "keywatch", "."))
	rules, err := os.ReadFile(w.config)
	if err != nil {
		t.Fatal(err)
	}
	on, off := filepath.Join(w.dir, "on.yaml"), w.config
	const sla = "\nsla: {evidence: true, actions: {alarm: [\"arn:{partition}:sns:{region}:{account}:pager\"]}}\n"
	if err := os.WriteFile(on, append(rules, sla...), 0o600); err != nil {
		t.Fatal(err)
	}
	w.config = on
	// The account has no trail, and it would be too late to find that out when KMS fails.
	if out := w.cdk("deploy", "--all"); !strings.Contains(out, "no trail of "+account+" covers "+region) {
		t.Errorf("nobody says that there is no trail:\n%s", out)
	}

	w.putEvent("aws.kms", "AWS API Call via CloudTrail", faultEvent)
	w.putEvent("aws.kms", "AWS API Call via CloudTrail", strings.Replace(faultEvent, "KMSInternalException", "ThrottlingException", 1))
	w.putEvent("aws.health", "AWS Health Event", healthEvent)
	w.putEvent("aws.health", "AWS Health Event", strings.Replace(healthEvent, `"KMS"`, `"EC2"`, 1))
	kept := w.evidence()
	if len(kept) != 2 {
		t.Fatalf("kept are %d events, want the fault and the Health event of KMS:\n%s", len(kept), strings.Join(kept, "\n"))
	}
	for _, secret := range []string{"secret", "alice", "192.0.2.7", "ASIA"} {
		if text := strings.Join(kept, "\n"); strings.Contains(text, secret) {
			t.Errorf("%q is kept:\n%s", secret, text)
		}
	}

	file := filepath.Join(w.dir, "evidence.jsonl")
	if err := os.WriteFile(file, []byte(strings.Join(kept, "\n")+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := w.run(w.app, "sla", "report", "--month", "2026-10", "--account", account, "--region", region, "--cloudtrail", file, "--health", file, "--format", "json")
	if err != nil {
		t.Fatalf("sla report: %v\n%s", err, out)
	}
	var report struct {
		Missing        []string `json:"missing"`
		FailedRequests []struct {
			Time, RequestID, Operation, ErrorCode, KeyARN, Source string
		}
		AffectedKeys []string `json:"affectedKeys"`
		HealthEvents []struct{ ARN string }
		Malformed    struct{ Count int }
		Figure       struct{ Faults int } `json:"withoutContestable"`
	}
	onlyReport(t, out, &report)
	key := fmt.Sprintf("arn:aws:kms:%s:%s:key/1234abcd-12ab-34cd-56ef-1234567890ab", region, account)
	if len(report.FailedRequests) != 1 || report.Figure.Faults != 1 || report.Malformed.Count != 0 {
		t.Fatalf("%s", out)
	}
	if r := report.FailedRequests[0]; r.Time != "2026-10-07T10:00:00Z" || r.RequestID != "11111111-2222-3333-4444-555555555555" || r.Operation != "Decrypt" ||
		r.ErrorCode != "KMSInternalException" || r.KeyARN != key || r.Source != "EventBridge" {
		t.Errorf("%+v", r)
	}
	if len(report.HealthEvents) != 1 || report.HealthEvents[0].ARN != "arn:aws:health:eu-west-1::event/KMS/AWS_KMS_OPERATIONAL_ISSUE/1" {
		t.Errorf("%+v", report.HealthEvents)
	}
	// A rule for faults knows no denominator, and the report says so.
	if !strings.Contains(strings.Join(report.Missing, "\n"), "the logs hold nothing but failures of that time") {
		t.Errorf("missing: %q", report.Missing)
	}

	w.trailState()
	w.fileTheClaim(file)

	w.config = off
	if out, err := w.run(w.app, "plan", "--config", w.config); err != nil || !strings.Contains(out, "stack demo-sla-evidence is of this deployment") || !strings.Contains(out, "but not the log group with the evidence") {
		t.Errorf("the stack is left, and nobody says so: %v\n%s", err, out)
	}
	w.config = on
	w.cdk("destroy", "demo-sla-evidence@*", "--force")
	if _, there := w.read().Stacks["demo-sla-evidence"]; there {
		t.Error("the stack is still there")
	}
	if got := w.evidence(); strings.Join(got, "\n") != strings.Join(kept, "\n") {
		t.Errorf("without the stack %d events are left", len(got))
	}
}

// trailState makes the account's first trail and says what synth and plan make of it:
// a new one is switched off until somebody starts it.
func (w *world) trailState() {
	w.t.Helper()
	trail := func(operation string, in map[string]any) {
		w.call("cloudtrail", "com.amazonaws.cloudtrail.v20131101.CloudTrail_20131101."+operation, in, &struct{}{})
	}
	trail("CreateTrail", map[string]any{"Name": "main", "S3BucketName": "cdk-hnb659fds-assets-" + account + "-" + region})
	trail("PutEventSelectors", map[string]any{"TrailName": "main", "EventSelectors": []any{map[string]any{"ReadWriteType": "All", "IncludeManagementEvents": true}}})
	const off = "trail/main is switched off; "
	if out, err := w.run(w.app, "plan", "--config", w.config); err != nil || !strings.Contains(out, off) {
		w.t.Errorf("the trail is switched off, and nobody says so: %v\n%s", err, out)
	}
	trail("StartLogging", map[string]any{"Name": "main"})
	if out, err := w.run(w.app, "plan", "--config", w.config); err != nil || strings.Contains(out, "trail") {
		w.t.Errorf("the trail logs: %v\n%s", err, out)
	}
}

// fileTheClaim goes from the log group of the evidence to the case: report, claim,
// verify, file, and no second case. Nothing is missing: the clients' log has the fault
// too, and the numbers that were kept say how many requests there were.
func (w *world) fileTheClaim(health string) {
	w.t.Helper()
	month := sla.Month{Year: 2026, Month: time.October}
	kept := evidence.New(account, region, month)
	var counts []evidence.Count
	for i := range month.Intervals() {
		n := evidence.Count{Start: month.IntervalStart(i), Source: evidence.Successes, Requests: map[string]int64{"Decrypt": 9}}
		counts = append(counts, n, evidence.Count{Start: n.Start, Source: evidence.Calls})
	}
	if _, err := kept.Add(counts, month.End()); err != nil {
		w.t.Fatal(err)
	}
	var quiet strings.Builder // a trail that has something of each day
	for day := range 31 {
		fmt.Fprintf(&quiet, `{"eventTime":%q,"eventSource":"s3.amazonaws.com","eventName":"ListBuckets","awsRegion":%q,"recipientAccountId":%q,"eventType":"AwsApiCall","requestID":"%08d-63bc-11e4-bc2b-4198b6150d5c"}`+"\n",
			month.Start().AddDate(0, 0, day).Format(time.RFC3339), region, account, day)
	}
	trail, client := filepath.Join(w.dir, "trail.jsonl"), filepath.Join(w.dir, "app.jsonl")
	for path, data := range map[string]string{
		trail:  quiet.String(),
		client: fmt.Sprintf(`{"time":"2026-10-07T10:00:00Z","requestId":"11111111-2222-3333-4444-555555555555","operation":"Decrypt","region":%q,"status":500,"errorCode":"KMSInternalException"}`+"\n", region),
		filepath.Join(w.dir, "kept", filepath.FromSlash(evidence.Name(account, region, month))): string(kept.Bytes()),
	} {
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			w.t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(data), 0o600); err != nil {
			w.t.Fatal(err)
		}
	}
	run := func(status int, args ...string) string {
		w.t.Helper()
		out, err := w.run(w.app, append([]string{"sla"}, args...)...)
		exit := (*exec.ExitError)(nil)
		if errors.As(err, &exit) && exit.ExitCode() != status || exit == nil && (err != nil || status != 0) {
			w.t.Fatalf("sla %s: %v, want status %d\n%s", strings.Join(args, " "), err, status, out)
		}
		return out
	}
	judged := []string{"--month", month.String(), "--account", account, "--region", region, "--log-group", "/aws/events/demo-sla-evidence",
		"--cloudtrail", trail, "--requests", client, "--evidence", filepath.Join(w.dir, "kept"), "--health", health, "--charges", "500", "--strict"}
	// One of ten requests failed in one interval of 8,928: 100 − 10/8928, cut off.
	if out := run(0, append([]string{"report"}, judged...)...); !strings.Contains(out, "99.9988799 %") || !strings.Contains(out, "$50.00") {
		w.t.Errorf("the report:\n%s", out)
	}
	dir := filepath.Join(w.dir, "claim")
	hash := regexp.MustCompile(`[0-9a-f]{64}`).FindString(run(0, append([]string{"claim", "-o", dir}, judged...)...))
	if out := run(0, "verify", dir, "--manifest", hash); !strings.Contains(out, "unchanged") {
		w.t.Errorf("verify:\n%s", out)
	}
	if out := run(0, "file", dir, "--confirm", hash); !strings.Contains(out, "the case was opened as case-") {
		w.t.Errorf("file:\n%s", out)
	}
	if out := run(1, "file", dir, "--confirm", hash); !strings.Contains(out, "nothing was sent again") {
		w.t.Errorf("a second time:\n%s", out)
	}
	calls, err := w.server.Calls(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	opened := slices.DeleteFunc(calls, func(c localaws.Call) bool { return c.Service != "support" || c.Action != "CreateCase" })
	if len(opened) != 1 {
		w.t.Errorf("%d cases were opened", len(opened))
	}
}

// A CloudTrail record in its real shape, with what nobody may keep.
const faultEvent = `{"eventVersion":"1.11","userIdentity":{"type":"AssumedRole","userName":"alice","accessKeyId":"ASIAEXAMPLE"},"eventTime":"2026-10-07T10:00:00Z",
	"eventSource":"kms.amazonaws.com","eventName":"Decrypt","awsRegion":"` + region + `","sourceIPAddress":"192.0.2.7","userAgent":"secret-agent",
	"errorCode":"KMSInternalException","errorMessage":"a secret","requestParameters":{"encryptionContext":{"tenant":"secret"}},"responseElements":null,
	"requestID":"11111111-2222-3333-4444-555555555555","eventID":"66666666-7777-8888-9999-000000000000","readOnly":true,
	"resources":[{"accountId":"` + account + `","type":"AWS::KMS::Key","ARN":"arn:aws:kms:` + region + `:` + account + `:key/1234abcd-12ab-34cd-56ef-1234567890ab"}],
	"eventType":"AwsApiCall","managementEvent":true,"recipientAccountId":"` + account + `","eventCategory":"Management"}`

const healthEvent = `{"eventArn":"arn:aws:health:eu-west-1::event/KMS/AWS_KMS_OPERATIONAL_ISSUE/1","service":"KMS","eventTypeCode":"AWS_KMS_OPERATIONAL_ISSUE",
	"eventTypeCategory":"issue","eventScopeCode":"PUBLIC","eventRegion":"` + region + `","communicationId":"1","startTime":"Wed, 7 Oct 2026 09:50:00 GMT",
	"lastUpdatedTime":"Wed, 7 Oct 2026 10:40:00 GMT","statusCode":"open","eventDescription":[{"language":"en_US","latestDescription":"a secret"}],"affectedEntities":[{"entityValue":"secret"}]}`

// putEvent injects an event. In AWS only services may use a source that begins
// with "aws."; the local AWS has no services that fail.
func (w *world) putEvent(source, kind, detail string) {
	w.t.Helper()
	at := time.Date(2026, 10, 7, 10, 0, 30, 0, time.UTC).Unix()
	var out struct{ FailedEntryCount int }
	w.call("events", "AWSEvents.PutEvents", map[string]any{"Entries": []any{map[string]any{"Source": source, "DetailType": kind, "Detail": detail, "Time": at}}}, &out)
	if out.FailedEntryCount > 0 {
		w.t.Fatalf("the event was refused: %s", detail)
	}
}

// evidence is what the log group holds, as an export of it would: one event a line.
func (w *world) evidence() []string {
	w.t.Helper()
	var out struct{ Events []struct{ Message string } }
	w.call("logs", "Logs_20140328.FilterLogEvents", map[string]any{"logGroupName": "/aws/events/demo-sla-evidence"}, &out)
	var lines []string
	for _, e := range out.Events {
		lines = append(lines, e.Message)
	}
	return lines
}

// call is a request by hand: the product needs no client of these services.
func (w *world) call(service, target string, in, out any) {
	w.t.Helper()
	body, err := json.Marshal(in)
	if err != nil {
		w.t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(w.t.Context(), http.MethodPost, w.server.URL(), strings.NewReader(string(body)))
	if err != nil {
		w.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-amz-json-1.1")
	req.Header.Set("X-Amz-Target", target)
	req.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=test/20261007/"+region+"/"+service+"/aws4_request, SignedHeaders=host, Signature=0")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		w.t.Fatal(err)
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != http.StatusOK {
		w.t.Fatalf("%s: %s, %v\n%s", target, res.Status, err, answer)
	}
	if err := json.Unmarshal(answer, out); err != nil {
		w.t.Fatal(err)
	}
}
