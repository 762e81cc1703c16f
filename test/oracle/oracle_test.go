package oracle

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"keywatch/test/localaws"
)

// enough is how often each kind of input must decide something over all seeds, so that a
// generator that makes nothing of it cannot pass: about half of what there is.
var enough = map[string]int{
	"form records": 25, "form lines": 25, "form stamped": 25, "form envelopes": 20,
	"form list": 25, "form lookup": 25, "form messages": 25, "packed file": 120,
	"line of a client": 3000, "attempt of an SDK": 400, "attempt without an answer": 100,
	"record of another service": 1500, "record of no API call": 50, "fault of a stranger": 80,

	"request served": 4000, "request rejected": 800, "request unknown": 450, "request fault": 800, "request contestable": 400,
	"contradictory": 20, "told differently": 150, "exact figure": 200,
	"duplicate in CloudTrail": 1500, "duplicate of a client": 800, "in several sources": 2000,
	"months of several places": 35, "request of two accounts": 800,

	"clocks of two intervals":     600,
	"first second of an interval": 3000, "last second of an interval": 3000,
	"second before the month": 200, "first second of the month": 200,
	"last second of the month": 200, "second after the month": 200,

	"outage that a served request vouches for": 150, "outage that nothing vouches for": 80,
	"served 12 hours away to the second": 50, "served a second more than 12 hours away": 30,
	"interval of which a rule alone knows": 25,
	"kept number above the logs":           800, "kept number not above the logs": 150, "kept number corrected": 200,
}

// Each seed is a month, and each bound of a tier is one exactly and one with a fault more.
func TestTheSumIsTheOracles(t *testing.T) {
	keywatch := filepath.Join(t.TempDir(), "keywatch")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", keywatch, "keywatch")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	seeds := ask(t, keywatch, "1-150")
	for kind, times := range enough {
		if seeds[kind] < times {
			t.Errorf("over all seeds there is %q %d times, want %d or more", kind, seeds[kind], times)
		}
	}
	for kind := range seeds {
		if enough[kind] == 0 {
			t.Errorf("nothing says how often %q must be", kind)
		}
	}
	bounds := ask(t, keywatch, "bounds")
	for _, kind := range []string{"exactly at a bound", "one fault beyond a bound"} {
		if bounds[kind] != 12 {
			t.Errorf("there is %q %d times, want 12: three bounds, four lengths of a month", kind, bounds[kind])
		}
	}
}

// ask runs the oracle and adds up what kinds of input it had.
func ask(t *testing.T, keywatch, months string) map[string]int {
	t.Helper()
	venv := os.Getenv(localaws.VenvVariable)
	if venv == "" {
		venv = filepath.Join("..", "..", ".venv")
	}
	python, err := localaws.Python(venv)
	if err != nil {
		t.Fatal(err)
	}
	// -S: the standard library alone. -B: no compiled files in the source tree.
	cmd := exec.CommandContext(t.Context(), python, "-S", "-B", "oracle.py", "--keywatch", keywatch, months)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	stdout, err := cmd.Output()
	kinds := map[string]int{}
	for line := range strings.Lines(string(stdout)) {
		var month struct {
			Month       string
			Differences []string
			Kinds       map[string]int
		}
		if err := json.Unmarshal([]byte(line), &month); err != nil {
			t.Fatalf("not a month: %q", line)
		}
		for _, difference := range month.Differences[:min(5, len(month.Differences))] {
			t.Errorf("%s: %s; to repeat it: make build; python test/oracle/oracle.py %s", month.Month, difference, again(month.Month))
		}
		for kind, times := range month.Kinds {
			kinds[kind] += times
		}
	}
	if err != nil && !t.Failed() {
		t.Errorf("oracle.py %s: %v\n%s", months, err, stderr.String())
	}
	return kinds
}

// again is the argument that repeats a month.
func again(month string) string {
	if seed, ok := strings.CutPrefix(month, "seed "); ok {
		return seed
	}
	return "bounds"
}
