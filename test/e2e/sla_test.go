package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"keywatch/internal/live"
	"keywatch/internal/sla"
)

// A claim from its logs to its case, by the real program: report, claim, verify,
// what would be sent, the case itself; and none a second time, with the record of
// the first or without.
func TestAClaimIsFiledOnce(t *testing.T) {
	t.Parallel()
	keywatch := binary(t, "keywatch", ".")
	server := localAWS(t)
	dir := t.TempDir()
	run := func(status int, args ...string) string {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), keywatch, append([]string{"sla"}, args...)...)
		cmd.Dir, cmd.Env = dir, server.Env()
		var b bytes.Buffer
		cmd.Stdout, cmd.Stderr = &b, &b
		if err := cmd.Run(); cmd.ProcessState == nil || cmd.ProcessState.ExitCode() != status {
			t.Fatalf("sla %s: %v, want status %d\n%s", strings.Join(args, " "), err, status, b.String())
		}
		return b.String()
	}

	// One of two requests failed in one interval.
	var logs strings.Builder
	for i, code := range []string{"", "KMSInternalException"} {
		fmt.Fprintf(&logs, `{"eventTime":"2026-09-10T10:0%d:00Z","eventSource":"kms.amazonaws.com","eventName":"Decrypt","awsRegion":%q,"recipientAccountId":%q,"errorCode":%q,"eventType":"AwsApiCall","requestID":"%08d-63bc-11e4-bc2b-4198b6150d5c"}`+"\n", i, region, account, code, i)
	}
	if err := os.WriteFile(filepath.Join(dir, "trail.jsonl"), []byte(strings.ReplaceAll(logs.String(), `"errorCode":"",`, "")), 0o600); err != nil {
		t.Fatal(err)
	}
	month := []string{"--month", "2026-09", "--account", account, "--region", region, "--cloudtrail", "trail.jsonl", "--charges", "500"}
	if out := run(0, append([]string{"report"}, month...)...); !strings.Contains(out, "99.9942129 %") { // 100 − 50/8640, cut off
		t.Errorf("the report:\n%s", out)
	}
	hash := regexp.MustCompile(`[0-9a-f]{64}`).FindString(run(0, append([]string{"claim", "-o", "claim"}, month...)...))
	if out := run(0, "verify", "claim"); !strings.Contains(out, hash) {
		t.Errorf("verify:\n%s", out)
	}

	out := run(0, "file", "claim")
	for _, want := range []string{"service      local-billing (Billing)", "category     local-credits (Service Credits)", "subject      SLA Credit Request: AWS KMS, eu-west-1, September 2026", "nothing was sent"} {
		if !strings.Contains(out, want) {
			t.Errorf("it does not show %q:\n%s", want, out)
		}
	}
	opened := func() (n int) {
		t.Helper()
		calls, err := server.Calls(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range calls {
			if c.Service == "support" && c.Action == "CreateCase" {
				n++
			}
		}
		return n
	}
	if n := opened(); n != 0 {
		t.Fatalf("%d cases without a confirmation", n)
	}
	if out = run(0, "file", "claim", "--confirm", hash, "--incomplete"); !regexp.MustCompile(`the case was opened as case-[0-9A-Za-z-]+; claim/filed.json says so`).MatchString(out) {
		t.Errorf("file:\n%s", out)
	}
	run(0, "verify", "claim", "--manifest", hash)
	if out = run(1, "file", "claim", "--confirm", hash, "--incomplete"); !strings.Contains(out, "nothing was sent again") {
		t.Errorf("a second time:\n%s", out)
	}
	if err := os.Remove(filepath.Join(dir, "claim", "filed.json")); err != nil {
		t.Fatal(err)
	}
	if out = run(1, "file", "claim", "--confirm", hash, "--incomplete"); !strings.Contains(out, "AWS Support has a case with this subject already") {
		t.Errorf("without the record:\n%s", out)
	}
	if n := opened(); n != 1 {
		t.Errorf("%d cases were opened", n)
	}
}

// What a bill says is read through the protocol of Cost Explorer as moto speaks it.
func TestChargesAreRead(t *testing.T) {
	server := localAWS(t)
	for _, v := range server.Vars() {
		name, value, _ := strings.Cut(v, "=")
		t.Setenv(name, value)
	}
	bill := `{"results":[{"ResultsByTime":[{"TimePeriod":{"Start":"2026-09-01","End":"2026-10-01"},"Total":{},"Estimated":true,
		"Groups":[{"Keys":["eu-west-1"],"Metrics":{"UnblendedCost":{"Amount":"1234.5600000001","Unit":"USD"}}}]}]}]}`
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, server.URL()+"/moto-api/static/ce/cost-and-usage-results", strings.NewReader(bill))
	if err != nil {
		t.Fatal(err)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil || res.StatusCode != http.StatusCreated {
		t.Fatalf("give moto a bill: %v, %v", res, err)
	}
	_ = res.Body.Close()
	s, err := live.Open(t.Context(), live.Options{Region: region, Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	got, err := s.Charges(t.Context(), account, sla.Month{Year: 2026, Month: time.September})
	if err != nil || len(got.ByRegion) != 1 || got.ByRegion["eu-west-1"].FloatString(10) != "1234.5600000001" || !got.Estimated {
		t.Errorf("%+v, %v", got, err)
	}
}

// onlyReport reads the one that `sla report --format json` has printed.
func onlyReport(t *testing.T, out string, report any) {
	t.Helper()
	var all struct{ Reports []json.RawMessage }
	if err := json.Unmarshal([]byte(out), &all); err != nil || len(all.Reports) != 1 {
		t.Fatalf("%v, %d reports\n%s", err, len(all.Reports), out)
	}
	if err := json.Unmarshal(all.Reports[0], report); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
}
