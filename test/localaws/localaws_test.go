package localaws_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"keywatch/test/localaws"
)

// holdVariable makes the test binary start a server, print its URL and wait.
const holdVariable = "LOCALAWS_TEST_HOLD"

func TestMain(m *testing.M) {
	if os.Getenv(holdVariable) != "" {
		aws, err := localaws.Start(context.Background(), localaws.Options{})
		if err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		fmt.Println(aws.URL())
		select {}
	}
	os.Exit(m.Run())
}

func start(t *testing.T) *localaws.Server {
	t.Helper()
	log := filepath.Join(t.TempDir(), "aws.log")
	aws, err := localaws.Start(t.Context(), localaws.Options{Log: log})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := aws.Stop(); err != nil {
			t.Error(err)
		}
		if t.Failed() {
			text, _ := os.ReadFile(log)
			t.Logf("the server's log:\n%s", tail(string(text), 60))
		}
	})
	return aws
}

func tail(text string, lines int) string {
	all := strings.Split(strings.TrimSpace(text), "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}

// The refusals, the stacks and the CloudWatch API are tested in Python, each
// test a subtest here. A skipped one counts as failed.
func TestPython(t *testing.T) {
	aws := start(t)
	modules, err := filepath.Glob("test_*.py")
	if err != nil || len(modules) == 0 {
		t.Fatalf("no test_*.py here (%v)", err)
	}
	cmd := exec.CommandContext(t.Context(), interpreter(t), "-B", "run_tests.py")
	cmd.Env = aws.Env()
	var stderr strings.Builder
	cmd.Stderr = &stderr
	stdout, runErr := cmd.Output()
	seen := map[string]int{}
	for line := range strings.Lines(string(stdout)) {
		var result struct{ Test, Outcome, Detail string }
		if err := json.Unmarshal([]byte(line), &result); err != nil {
			t.Errorf("not a result: %q", line)
			continue
		}
		module, _, _ := strings.Cut(result.Test, ".")
		seen[module+".py"]++
		t.Run(result.Test, func(t *testing.T) {
			if result.Outcome != "ok" {
				t.Errorf("%s\n%s", result.Outcome, result.Detail)
			}
		})
	}
	if runErr != nil && !t.Failed() {
		t.Errorf("run_tests.py: %v\n%s", runErr, stderr.String())
	}
	for _, module := range modules {
		if seen[module] == 0 {
			t.Errorf("no test of %s was run\n%s", module, stderr.String())
		}
	}
}

func interpreter(t *testing.T) string {
	t.Helper()
	venv := os.Getenv(localaws.VenvVariable)
	if venv == "" {
		venv = filepath.Join("..", "..", ".venv")
	}
	python, err := localaws.Python(venv)
	if err != nil {
		t.Fatal(err)
	}
	if python, err = filepath.Abs(python); err != nil {
		t.Fatal(err)
	}
	return python
}

func TestServer(t *testing.T) {
	t.Setenv("AWS_PROFILE", "production")
	aws := start(t)
	if !strings.HasPrefix(aws.URL(), "http://localhost:") {
		t.Errorf("URL() = %q, want one that starts with http://localhost:", aws.URL())
	}
	env := map[string]string{}
	for _, entry := range aws.Env() {
		name, value, _ := strings.Cut(entry, "=")
		env[name] = value
	}
	for name, want := range map[string]string{
		"AWS_ENDPOINT_URL":            aws.URL(),
		"AWS_REGION":                  "eu-west-1",
		"AWS_DEFAULT_REGION":          "eu-west-1",
		"AWS_CONFIG_FILE":             os.DevNull,
		"AWS_EC2_METADATA_DISABLED":   "true",
		"CDK_DISABLE_CLI_TELEMETRY":   "true",
		"AWS_SHARED_CREDENTIALS_FILE": os.DevNull,
		"PATH":                        os.Getenv("PATH"),
	} {
		if env[name] != want {
			t.Errorf("Env() has %s=%q, want %q", name, env[name], want)
		}
	}
	if value, ok := env["AWS_PROFILE"]; ok {
		t.Errorf("Env() has AWS_PROFILE=%q, want none", value)
	}

	form(t, aws, "sts", url.Values{"Action": {"GetCallerIdentity"}, "Version": {"2011-06-15"}}, localaws.Account)
	form(t, aws, "monitoring", url.Values{"Action": {"DeleteAlarms"}, "Version": {"2010-08-01"}, "AlarmNames.member.1": {"nobody"}}, "ResourceNotFound")
	calls, err := aws.Calls(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if len(calls) != 2 {
		t.Fatalf("Calls() has %d calls, want 2: %+v", len(calls), calls)
	}
	if got := calls[0]; got.Service != "sts" || got.Action != "GetCallerIdentity" || got.Write || got.Status != 200 {
		t.Errorf("the first call is %+v", got)
	}
	got := calls[1]
	if got.Service != "cloudwatch" || got.Action != "DeleteAlarms" || !got.Write || got.Error != "ResourceNotFound" {
		t.Errorf("the second call is %+v", got)
	}
	if got.Params["AlarmNames.member.1"] != "nobody" {
		t.Errorf("the parameters of the second call are %v", got.Params)
	}

	if err := aws.Stop(); err != nil {
		t.Error(err)
	}
	if err := aws.Stop(); err != nil {
		t.Errorf("the second Stop: %v", err)
	}
	if listens(t, aws.URL()) {
		t.Error("the server listens after Stop")
	}
	if _, err := aws.Calls(t.Context()); err == nil {
		t.Error("Calls() after Stop has no error")
	}
}

// form makes a call of the query protocol whose answer must contain want.
func form(t *testing.T, aws *localaws.Server, service string, values url.Values, want string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, aws.URL(), strings.NewReader(values.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=local/20260101/eu-west-1/"+service+"/aws4_request, Signature=0")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(body), want) {
		t.Errorf("%s answers %s without %q", values.Get("Action"), body, want)
	}
}

func listens(t *testing.T, rawURL string) bool {
	t.Helper()
	u, err := url.Parse(rawURL)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := net.DialTimeout("tcp", u.Host, time.Second)
	if err != nil {
		return false
	}
	conn.Close()
	return true
}

func waitUntilGone(t *testing.T, rawURL string) {
	t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for listens(t, rawURL) {
		if time.Now().After(deadline) {
			t.Fatalf("the server still listens at %s", rawURL)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

func TestTwoServersAreApart(t *testing.T) {
	one, two := start(t), start(t)
	if one.URL() == two.URL() {
		t.Fatalf("both listen at %s", one.URL())
	}
	form(t, one, "sts", url.Values{"Action": {"GetCallerIdentity"}, "Version": {"2011-06-15"}}, localaws.Account)
	calls, err := two.Calls(t.Context())
	if err != nil || len(calls) != 0 {
		t.Errorf("the other server has the calls %v (%v), want none", calls, err)
	}
}

func TestEndsWithContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	aws, err := localaws.Start(ctx, localaws.Options{})
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	waitUntilGone(t, aws.URL())
	if err := aws.Stop(); err != nil {
		t.Error(err)
	}
}

// A parent that is killed cannot clean up; the server must end all the same.
func TestEndsWithKilledParent(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	parent := exec.CommandContext(t.Context(), self)
	parent.Env = append(os.Environ(), holdVariable+"=1")
	stdout, err := parent.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := parent.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		t.Fatalf("%q: %v", line, err)
	}
	where := strings.TrimSpace(line)
	if !listens(t, where) {
		t.Fatalf("nobody listens at %q", where)
	}
	if err := parent.Process.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	_ = parent.Wait()
	waitUntilGone(t, where)
}

func TestMissingVenv(t *testing.T) {
	venv := filepath.Join(t.TempDir(), "nowhere")
	_, err := localaws.Start(t.Context(), localaws.Options{Venv: venv})
	wantError(t, err, venv, "make venv")
	if !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%v is not os.ErrNotExist", err)
	}
}

func TestMissingMoto(t *testing.T) {
	venv := filepath.Join(t.TempDir(), "bare")
	if out, err := exec.CommandContext(t.Context(), interpreter(t), "-m", "venv", "--without-pip", venv).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	_, err := localaws.Start(t.Context(), localaws.Options{Venv: venv})
	wantError(t, err, venv, "moto[server]==5.2.1", "make venv")
}

func TestMissingScript(t *testing.T) {
	venv := filepath.Dir(filepath.Dir(interpreter(t)))
	_, err := localaws.Start(t.Context(), localaws.Options{Root: t.TempDir(), Venv: venv})
	wantError(t, err, "server.py")
}

func TestBadLog(t *testing.T) {
	log := filepath.Join(t.TempDir(), "no", "such", "folder.log")
	_, err := localaws.Start(t.Context(), localaws.Options{Log: log})
	wantError(t, err, "log", log)
}

func TestTooSlow(t *testing.T) {
	log := filepath.Join(t.TempDir(), "aws.log")
	_, err := localaws.Start(t.Context(), localaws.Options{Log: log, Timeout: time.Nanosecond})
	wantError(t, err, "not ready", log)
}

func wantError(t *testing.T, err error, parts ...string) {
	t.Helper()
	if err == nil {
		t.Fatal("no error")
	}
	for _, part := range parts {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("the error %q does not mention %q", err, part)
		}
	}
}
