package main

import (
	"bytes"
	"context"
	"encoding/json"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"keywatch/constructs/spec"
	"keywatch/internal/inventory"
	"keywatch/internal/live"
	"keywatch/internal/plan"
	"keywatch/test/fakeaws"
)

func smallPlan(t *testing.T) *plan.Plan {
	t.Helper()
	s := shapeOf(200)
	p, err := planOf(s.Config(), s.Inventory())
	if err != nil {
		t.Fatal(err)
	}
	if p.Totals.Alarms != 200 || p.Totals.Detectors != 200 || p.Totals.Dashboard != 0 {
		t.Fatalf("the plan has %+v; want 200 alarms, 200 detectors and no dashboard", p.Totals)
	}
	return p
}

// What the JavaScript app reads is the plan's deployment, whole.
func TestJavaScriptIsHandedThePlansDeployment(t *testing.T) {
	p := smallPlan(t)
	data, err := handed(p)
	if err != nil {
		t.Fatal(err)
	}
	var got spec.Deployment
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(&got); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(p.Deployment, got); diff != "" {
		t.Errorf("the deployment, and what is handed over (-want +got):\n%s", diff)
	}
}

// keywatch reads from the endpoint the keys that the plan was made of.
func TestEndpointHasTheKeysOfThePlan(t *testing.T) {
	want := shapeOf(80).Inventory()
	server := fakeaws.Start(t, account(want), fakeaws.PageSize(1000))
	for _, v := range server.Env() {
		name, value, _ := strings.Cut(v, "=")
		t.Setenv(name, value)
	}
	s, err := live.Open(t.Context(), live.Options{Now: func() time.Time { return want.ReadAt }})
	if err != nil {
		t.Fatal(err)
	}
	got, err := s.Inventory(t.Context(), inventory.Need{})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the inventory (-want +got):\n%s", diff)
	}
}

// Both sides must have the same CDK.
func TestJavaScriptUsesTheCDKOfGoMod(t *testing.T) {
	mod, err := os.ReadFile("../../go.mod")
	if err != nil {
		t.Fatal(err)
	}
	var pkg struct{ Dependencies map[string]string }
	data, err := os.ReadFile("js/package.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, &pkg); err != nil {
		t.Fatal(err)
	}
	want := map[string]string{}
	for npm, module := range map[string]string{"aws-cdk-lib": "aws-cdk-go/awscdk/v2", "constructs": "constructs-go/constructs/v10"} {
		m := regexp.MustCompile(regexp.QuoteMeta(module) + ` v(\S+)`).FindSubmatch(mod)
		if m == nil {
			t.Fatalf("go.mod has no %s", module)
		}
		want[npm] = string(m[1])
	}
	if diff := cmp.Diff(want, pkg.Dependencies); diff != "" {
		t.Errorf("versions in go.mod, and in js/package.json (-want +got):\n%s", diff)
	}
}

func TestLockFileNamesNoHost(t *testing.T) {
	data, err := os.ReadFile("js/package-lock.json")
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(data, []byte(`"resolved"`)) {
		t.Error("js/package-lock.json names hosts; make it with npm install --omit-lockfile-registry-resolved")
	}
}

// assembly writes templates into a new directory; edit changes one resource.
func assembly(t *testing.T, alarms int, edit func(resources map[string]any)) string {
	t.Helper()
	dir := t.TempDir()
	resources := map[string]any{}
	for i := range alarms {
		id := string(rune('A' + i))
		resources["Alarm"+id] = map[string]any{"Type": "AWS::CloudWatch::Alarm", "Properties": map[string]any{"AlarmName": id}}
		resources["Detector"+id] = map[string]any{"Type": "AWS::CloudWatch::AnomalyDetector"}
	}
	if edit != nil {
		edit(resources)
	}
	data, err := json.Marshal(map[string]any{"Resources": resources})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "a.template.json"), data, 0o644); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestSameAssembly(t *testing.T) {
	detector := map[string]any{"Type": "AWS::CloudWatch::AnomalyDetector"}
	for _, c := range []struct {
		name, want string
		alarms     int
		edit       func(map[string]any)
		validated  bool
	}{
		{name: "the same", alarms: 3},
		{name: "a property", alarms: 3, want: "a.template.json: AlarmB",
			edit: func(r map[string]any) { r["AlarmB"].(map[string]any)["Properties"] = nil }},
		{name: "one is missing", alarms: 3, want: "DetectorC", edit: func(r map[string]any) { delete(r, "DetectorC") }},
		{name: "one too many", alarms: 3, want: "DetectorX", edit: func(r map[string]any) { r["DetectorX"] = detector }},
		{name: "both too few", alarms: 4, want: "want map[AWS::CloudWatch::Alarm:4"},
		{name: "not validated", alarms: 3, validated: true, want: "validation is to be on"},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := sameAssembly(assembly(t, 3, nil), assembly(t, 3, c.edit), c.alarms, c.validated)
			switch {
			case c.want == "" && err != nil:
				t.Errorf("error %v; want none", err)
			case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
				t.Errorf("error %v; want one with %q", err, c.want)
			}
		})
	}
}

func TestNoTemplatesAreAnError(t *testing.T) {
	if err := sameAssembly(t.TempDir(), t.TempDir(), 0, false); err == nil {
		t.Error("two empty directories passed for the same assembly")
	}
}

func TestMissingNamesEachWithItsFix(t *testing.T) {
	err := missing(t.TempDir())
	for _, want := range []string{"bin/keywatch", "node_modules/.bin/node", "npm ci --prefix test/bench/js"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v; want %q in it", err, want)
		}
	}
}

// hold is an environment variable that makes this test binary hold 64 MiB, and
// if it says "parent", a child of it too.
const hold = "BENCH_TEST_HOLD"

func TestMain(m *testing.M) {
	if who, ok := os.LookupEnv(hold); ok {
		holdMemory(who)
		return
	}
	os.Exit(m.Run())
}

func holdMemory(who string) {
	block := bytes.Repeat([]byte{1}, 64<<20)
	if who == "parent" {
		child := exec.Command(os.Args[0])
		child.Env = append(os.Environ(), hold+"=child")
		if err := child.Run(); err != nil {
			panic(err)
		}
	} else {
		time.Sleep(10 * pollEvery)
	}
	os.Stdout.Write(block[:1])
}

func TestMeasureSeesChildren(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	m, err := measure("x", command(context.Background(), t.TempDir(), []string{hold + "=parent"}, self))
	if err != nil {
		t.Fatal(err)
	}
	if m.wall < 10*pollEvery {
		t.Errorf("wall %s; want the child's sleep in it", m.wall)
	}
	if _, err := os.Stat("/proc/self/status"); err != nil {
		if m.memory != (memory{}) {
			t.Errorf("memory %+v without /proc; want none", m.memory)
		}
		return
	}
	if m.largest < 64<<20 || m.sum < 2*64<<20 || m.sum < m.largest*3/2 {
		t.Errorf("largest process %s, all %s; want 67 MB at least in each of two", megabytes(m.largest), megabytes(m.sum))
	}
}

func TestMeasureTellsWhatAFailureSaid(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	_, err = measure("x", command(t.Context(), t.TempDir(), nil, self, "-no-such-flag"))
	if err == nil || !strings.Contains(err.Error(), "flag provided but not defined") {
		t.Errorf("error %v; want what the process said", err)
	}
}

func TestCommandsSeeNoSettingsOfTheCaller(t *testing.T) {
	t.Setenv("AWS_PROFILE", "prod")
	t.Setenv("CDK_VALIDATION", "false")
	t.Setenv("KEYWATCH_CONFIG", "mine.yaml")
	for _, v := range command(t.Context(), ".", []string{"A=1"}, "x").Env {
		if name, _, _ := strings.Cut(v, "="); strings.HasPrefix(name, "AWS_") || strings.HasPrefix(name, "CDK_") || strings.HasPrefix(name, "KEYWATCH_") {
			t.Errorf("the command sees %s", v)
		}
	}
}

func TestMiddle(t *testing.T) {
	var all []measurement
	for _, n := range []int64{9, 1, 5} {
		all = append(all, measurement{what: "a", wall: time.Duration(n), memory: memory{largest: 10 - n, sum: n}}, measurement{what: "b", wall: 100})
	}
	got := middle(all, "a")
	want := measurement{what: "a", wall: 5, memory: memory{largest: 5, sum: 5}}
	if got != want {
		t.Errorf("%+v; want %+v", got, want)
	}
}

func TestParse(t *testing.T) {
	o, err := parse([]string{"-n", "2", "-alarms", "8,400", "-root", "/x"})
	if err != nil || o.runs != 2 || len(o.sizes) != 2 || o.sizes[1] != 400 || !o.pure || o.root != "/x" {
		t.Errorf("%+v, %v", o, err)
	}
	for _, args := range [][]string{{"-n", "0"}, {"-alarms", "10"}, {"-alarms", "x"}, {"more"}} {
		if _, err := parse(args); err == nil {
			t.Errorf("%q passed", args)
		}
	}
}

func TestPrinted(t *testing.T) {
	var all []measurement
	for validation, factor := range map[bool]time.Duration{true: 3, false: 1} {
		all = append(all,
			measurement{what: synthName(1000, validation, goSide), wall: 4 * factor * time.Second, cpu: 5 * factor * time.Second, memory: memory{100e6, 300e6}},
			measurement{what: synthName(1000, validation, jsSide), wall: 2 * factor * time.Second, cpu: 2 * time.Second, memory: memory{200e6, 200e6}})
	}
	all = append(all, measurement{what: readName(1000), wall: time.Second})
	var out strings.Builder
	printSynth(&out, options{runs: 1, sizes: []int{1000}}, all)
	printPure(&out, []measurement{{what: pureName, wall: 2 * time.Second, memory: memory{400e6, 400e6}, allocations: 7}})
	for _, want := range []string{
		`1000 │ on +│ keywatch +│ 12.00 s │ 15.00 s │ 100 MB +│ 300 MB`,
		`validation off +│ 2.0× │ 2.5× │ 1.5× +│ JavaScript +│ 3.0× │ 1.0×`,
		`wall +│ 2.00 s +│ under 1.00 s │ missed`,
		`peak memory, the keys included │ 400 MB +│ under 500 MB │ met`,
	} {
		if !regexp.MustCompile(want).MatchString(out.String()) {
			t.Errorf("no %q in\n%s", want, &out)
		}
	}
}

func TestBenchstatLines(t *testing.T) {
	got := benchstat([]measurement{
		{what: "Synth/x", wall: 5, cpu: 4, memory: memory{1, 2}},
		{what: "Pure/y", wall: 6, memory: memory{3, 3}, allocated: 8, allocations: 9},
	})
	want := "BenchmarkSynth/x 1 5 ns/op 4 cpu-ns/op 1 peak-B 2 peak-sum-B\n" +
		"BenchmarkPure/y 1 6 ns/op 0 cpu-ns/op 3 peak-B 3 peak-sum-B 8 B/op 9 allocs/op\n"
	if got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}

func TestUnion(t *testing.T) {
	a, b := map[string]int{"x": 1}, map[string]int{"y": 2}
	if diff := cmp.Diff([]string{"x", "y"}, union(a, b)); diff != "" || !maps.Equal(a, map[string]int{"x": 1}) {
		t.Errorf("%s; a is %v", diff, a)
	}
	if diff := cmp.Diff([]string{"y"}, union(nil, b)); diff != "" {
		t.Error(diff)
	}
}

// What the sides of `bench sla` read holds as many requests as is said.
func TestReaderCountsTheLogsOfTheBench(t *testing.T) {
	name := filepath.Join(t.TempDir(), "log.json")
	size, calls, err := writeLog(name, 3)
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(name); err != nil || info.Size() != size {
		t.Errorf("%d bytes are said: %v %v", size, info, err)
	}
	for _, args := range [][]string{{logsArgument, name}, {logsArgument, name + ".gz"}, {floodArgument, "3333"}} {
		var out bytes.Buffer
		if err := readLogs(args, &out); err != nil || strings.TrimSpace(out.String()) != strconv.Itoa(calls) {
			t.Errorf("%v: %q, want %d (%v)", args, out.String(), calls, err)
		}
	}
}
