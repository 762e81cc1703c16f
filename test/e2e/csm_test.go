package e2e

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"keywatch/test/localaws"
)

// calling makes calls of KMS with botocore: two that are served, one that is refused,
// one of another service, and one to an endpoint where nobody answers.
const calling = `
import os
import botocore.session
from botocore.config import Config
from botocore.exceptions import ClientError, EndpointConnectionError

session = botocore.session.get_session()
kms = session.create_client("kms")
key = kms.create_key()["KeyMetadata"]["KeyId"]
kms.encrypt(KeyId=key, Plaintext=b"x")
try:
    kms.describe_key(KeyId="00000000-0000-0000-0000-000000000000")
    raise SystemExit("a key that is not there was described")
except ClientError:
    pass
session.create_client("s3").list_buckets()
retries = Config(retries={"mode": "standard", "total_max_attempts": 2})
silent = session.create_client("kms", endpoint_url=os.environ["SILENT"], config=retries)
try:
    silent.list_keys()
    raise SystemExit("nobody answered")
except EndpointConnectionError:
    pass
`

// listening runs a program at a free port, which it says.
const listening = `
import runpy, socket, sys

class Socket(socket.socket):
    def bind(self, address):
        assert address == ("127.0.0.1", 31000), address
        super().bind(("127.0.0.1", 0))
        print(self.getsockname()[1], file=sys.stderr, flush=True)

socket.socket = Socket
runpy.run_path(sys.argv[1])
`

// What botocore itself sends is read as what the local AWS answered: datagrams back
// to back, one a line, and as the program of docs/sla-logs.md keeps them. No access
// key appears.
func TestTheMonitoringOfBotocore(t *testing.T) {
	t.Parallel()
	keywatch := binary(t, "keywatch", ".")
	server := localAWS(t)
	venv := os.Getenv(localaws.VenvVariable)
	if venv == "" {
		venv = "../../.venv"
	}
	python, err := localaws.Python(venv)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	write := func(name, data string) string {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(data), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}

	// The documented program listens, and is sent what we receive.
	page, err := os.ReadFile("../../docs/sla-logs.md")
	if err != nil {
		t.Fatal(err)
	}
	program := regexp.MustCompile("(?ms)^```python\n(.*?)^```$").FindStringSubmatch(string(page))
	if program == nil {
		t.Fatal("docs/sla-logs.md has no program")
	}
	keeper := exec.CommandContext(t.Context(), python, "-B", "-c", listening, write("keep.py", program[1]))
	kept, err := keeper.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	ready, err := keeper.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := keeper.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = keeper.Process.Kill(); _ = keeper.Wait() })
	port, err := bufio.NewReader(ready).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	on, err := net.Dial("udp", "127.0.0.1:"+strings.TrimSpace(port))
	if err != nil {
		t.Fatal(err)
	}
	defer on.Close()
	socket, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer socket.Close()
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	nobody := "http://" + silent.Addr().String()
	_ = silent.Close()

	const accessKey, token = "AKIAOFTHETESTALONE01", "token-of-the-test-alone"
	caller := exec.CommandContext(t.Context(), python, "-B", "-c", calling)
	caller.Env = append(server.Env(), "AWS_ACCESS_KEY_ID="+accessKey, "AWS_SESSION_TOKEN="+token, "SILENT="+nobody,
		"AWS_CSM_ENABLED=true", fmt.Sprintf("AWS_CSM_PORT=%d", socket.LocalAddr().(*net.UDPAddr).Port))
	if out, err := caller.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}

	// All that was sent lies before what we send now.
	const last = `{"Type":"ApiCallAttempt","Service":"KMS","Timestamp":0,"Region":"eu-west-1","XAmznRequestId":"last"}`
	self, err := net.Dial("udp", socket.LocalAddr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer self.Close()
	if _, err := self.Write([]byte(last)); err != nil {
		t.Fatal(err)
	}
	var datagrams []string
	months := map[string]bool{}
	for buf := make([]byte, 1<<16); ; {
		n, err := socket.Read(buf)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := on.Write(buf[:n]); err != nil {
			t.Fatal(err)
		}
		if string(buf[:n]) == last {
			break
		}
		datagrams = append(datagrams, string(buf[:n]))
		var event struct{ Timestamp int64 }
		if err := json.Unmarshal(buf[:n], &event); err != nil {
			t.Fatal(err)
		}
		months[time.UnixMilli(event.Timestamp).UTC().Format("2006-01")] = true
	}
	var documented strings.Builder
	for lines := bufio.NewScanner(kept); lines.Scan() && !strings.Contains(lines.Text(), `"last"`); {
		documented.WriteString(lines.Text() + "\n")
	}
	raw := strings.Join(datagrams, "")
	if !strings.Contains(raw, accessKey) || !strings.Contains(raw, token) {
		t.Fatalf("botocore sends no access key, so this test shows nothing:\n%s", raw)
	}
	if strings.Contains(documented.String(), accessKey) || strings.Contains(documented.String(), token) {
		t.Errorf("the documented program keeps credentials:\n%s", documented.String())
	}

	// What the server answered, by its own journal.
	calls, err := server.Calls(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	answered, rejected := 0, 0
	for _, c := range calls {
		if c.Service == "kms" {
			answered++
			if c.Status == 400 {
				rejected++
			}
		}
	}
	if answered != 3 || rejected != 1 {
		t.Fatalf("the local AWS answered %d requests, %d with 400; want 3 and 1", answered, rejected)
	}
	for name, file := range map[string]struct {
		data       string
		notCounted map[string]int
	}{
		"back to back": {raw, map[string]int{"another service": 2, "a call as a whole": 4, "no answer": 2}},
		"lines":        {strings.Join(datagrams, "\n") + "\n", map[string]int{"another service": 2, "a call as a whole": 4, "no answer": 2}},
		"documented":   {documented.String(), map[string]int{"no answer": 2}},
	} {
		requests, rejections := 0, 0
		notCounted := map[string]int{}
		for month := range months { // two if the test ran across the end of one
			cmd := exec.CommandContext(t.Context(), keywatch, "sla", "report", "--month", month, "--account", account, "--region", region, "--format", "json",
				"--requests", write(strings.ReplaceAll(name, " ", "-"), file.data))
			cmd.Env = server.Env()
			var out, complaints bytes.Buffer
			cmd.Stdout, cmd.Stderr = &out, &complaints
			if err := cmd.Run(); err != nil {
				t.Fatalf("%s: %v\n%s%s", name, err, out.String(), complaints.String())
			}
			if said := out.String() + complaints.String(); strings.Contains(said, accessKey) || strings.Contains(said, token) {
				t.Errorf("%s: it shows credentials:\n%s", name, said)
			}
			var report struct {
				Requests         int
				RejectedByCaller int
				NotCounted       map[string]int
				Malformed        struct{ Count int }
			}
			onlyReport(t, out.String(), &report)
			requests, rejections = requests+report.Requests, rejections+report.RejectedByCaller
			if report.Malformed.Count > 0 {
				t.Errorf("%s: %d malformed", name, report.Malformed.Count)
			}
			for why, n := range report.NotCounted {
				for _, of := range []string{"another service", "a call as a whole", "no answer"} {
					if strings.Contains(why, of) {
						notCounted[of] = max(n, notCounted[of])
					}
				}
			}
		}
		if requests != answered || rejections != rejected || fmt.Sprint(notCounted) != fmt.Sprint(file.notCounted) {
			t.Errorf("%s: %d requests, %d rejected, want %d and %d; not counted %v, want %v\n%s", name, requests, rejections, answered, rejected, notCounted, file.notCounted, file.data)
		}
	}
}
