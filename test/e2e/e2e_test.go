// Package e2e runs keywatch as its users do: the real CDK CLI, the real binary,
// and an account behind AWS_ENDPOINT_URL. What is expected stands by hand in
// test/fixture and here; nothing is asked of the program under test.
package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/google/go-cmp/cmp"

	"keywatch/test/fixture"
	"keywatch/test/localaws"
	"keywatch/test/observed"
)

const (
	account = "123456789012" // moto's
	region  = "eu-west-1"
)

// world is one local account with the CDK CLI beside it.
type world struct {
	t      *testing.T
	server *localaws.Server
	cfg    aws.Config
	kms    *kms.Client
	root   string // of the repository
	app    string // what cdk runs
	dir    string // scratch
	config string
	env    []string // beside the server's
	keys   map[string]*liveKey
	out    int
}

// liveKey is a key of the account with what it should get now.
type liveKey struct {
	fixture.Key
	id, arn string
	band    string // of the rule signing
}

// localAWS is one for this test alone.
func localAWS(t *testing.T) *localaws.Server {
	t.Helper()
	server, err := localaws.Start(t.Context(), localaws.Options{Root: "../..", Log: filepath.Join(t.TempDir(), "server.log")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Stop(); err != nil {
			t.Errorf("stop the local AWS: %v", err)
		}
	})
	return server
}

func newWorld(t *testing.T, app string) *world {
	t.Helper()
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	server := localAWS(t)
	cfg, err := config.LoadDefaultConfig(t.Context(),
		config.WithRegion(region), config.WithBaseEndpoint(server.URL()),
		config.WithCredentialsProvider(credentials.NewStaticCredentialsProvider("test", "test", "")))
	if err != nil {
		t.Fatal(err)
	}
	w := &world{
		t: t, server: server, cfg: cfg, kms: kms.NewFromConfig(cfg), root: root, app: app, dir: t.TempDir(),
		config: filepath.Join(root, "examples", "demo.yaml"), keys: map[string]*liveKey{},
	}
	for _, k := range fixture.Keys() {
		w.create(k)
	}
	w.cdk("bootstrap", "aws://"+account+"/"+region)
	return w
}

// nameless stands in keys for the last key that was made without an alias.
const nameless = "(no alias)"

func (w *world) create(k fixture.Key) {
	w.t.Helper()
	id, err := fixture.Create(w.t.Context(), w.kms, k)
	if err != nil {
		w.t.Fatal(err)
	}
	name := nameless
	if len(k.Aliases) > 0 {
		name = k.Aliases[0]
	}
	w.keys[name] = &liveKey{Key: k, id: id, arn: fmt.Sprintf("arn:aws:kms:%s:%s:key/%s", region, account, id), band: "3"}
}

// cdk runs the CDK CLI and fails the test if it fails.
func (w *world) cdk(args ...string) string {
	w.t.Helper()
	out, err := w.tryCDK(args...)
	if err != nil {
		w.t.Fatalf("cdk %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return out
}

func (w *world) tryCDK(args ...string) (string, error) {
	w.out++
	args = append(args, "--app", w.app, "--output", filepath.Join(w.dir, fmt.Sprintf("cdk.out.%d", w.out)),
		"-c", "keywatch:config="+w.config, "--require-approval", "never", "--ci")
	return w.run(filepath.Join(w.root, "node_modules", ".bin", "cdk"), args...)
}

// run runs a program against the local AWS and returns all that it printed.
func (w *world) run(name string, args ...string) (string, error) {
	cmd := exec.CommandContext(w.t.Context(), name, args...)
	cmd.Dir = w.root
	cmd.Env = slices.Concat(w.server.Env(), []string{"CDK_HOME=" + w.dir}, w.env)
	var b bytes.Buffer
	cmd.Stdout, cmd.Stderr = &b, &b
	err := cmd.Run()
	return b.String(), err
}

func (w *world) read() *observed.State {
	w.t.Helper()
	s, err := observed.Read(context.WithoutCancel(w.t.Context()), w.cfg)
	if err != nil {
		w.t.Fatal(err)
	}
	return s
}

// alarm is what an alarm must be, as CloudWatch tells it.
type alarm struct {
	Key, Operations, Kind                  string
	Expression, ThresholdMetric, Operator  string
	Threshold                              string
	Statistic                              string
	Period, EvaluationPeriods, Datapoints  int32
	Missing                                string
	Actions, OKActions, InsufficientAction string
}

// settings of the rules in examples/demo.yaml, by hand.
func (k *liveKey) anomalyAlarm(op string) alarm {
	pager := fmt.Sprintf("arn:aws:sns:%s:%s:pager", region, account)
	a := alarm{
		Key: k.arn, Operations: op, Kind: "anomaly", Expression: "ANOMALY_DETECTION_BAND(m1, 2)", ThresholdMetric: "ad1",
		Operator: "GreaterThanUpperThreshold", Statistic: "Sum", Period: 300, EvaluationPeriods: 3, Datapoints: 2,
		Missing: "notBreaching", Actions: pager,
	}
	switch k.Rule {
	case "payments", "pci, payments":
		a.OKActions = pager
	case "signing":
		a.Expression = "ANOMALY_DETECTION_BAND(m1, " + k.band + ")"
	case "cost-centre":
		a.Expression = "ANOMALY_DETECTION_BAND(m1, 2.5)"
		a.Operator, a.Period, a.EvaluationPeriods, a.Datapoints, a.Missing = "LessThanLowerOrGreaterThanUpperThreshold", 900, 2, 1, "breaching"
	}
	return a
}

func (k *liveKey) staticAlarm(spec string) alarm {
	ops, id, _ := strings.Cut(spec, " ")
	topic := func(name string) string { return fmt.Sprintf("arn:aws:sns:%s:%s:%s", region, account, name) }
	a := alarm{Key: k.arn, Operations: ops, Kind: "threshold " + id, Operator: "GreaterThanThreshold", Statistic: "Sum", Missing: "notBreaching"}
	switch id {
	case "burst":
		a.Expression, a.Threshold, a.Period, a.EvaluationPeriods, a.Datapoints = "FILL(m1,0)+FILL(m2,0)", "100000", 300, 1, 1
		a.Actions, a.OKActions = topic("pager"), topic("pager")
	case "pci":
		a.Threshold, a.Period, a.EvaluationPeriods, a.Datapoints = "5000", 900, 2, 2
		a.Actions = topic("security")
	}
	return a
}

// check holds the account against what it should have, exactly.
func (w *world) check(s *observed.State) {
	w.t.Helper()
	want := map[string]alarm{}
	var detectors []string
	for _, k := range w.keys {
		alias := "-"
		if len(k.Aliases) > 0 {
			alias = slices.Min(k.Aliases)
		}
		name := func(ops, kind string) string {
			return strings.Join([]string{"demo", alias, k.id[len(k.id)-12:], ops, kind}, " ")
		}
		for _, op := range k.Anomaly {
			want[name(op, "anomaly")] = k.anomalyAlarm(op)
			detectors = append(detectors, k.arn+" "+op+" Sum")
		}
		for _, static := range k.Static {
			ops, id, _ := strings.Cut(static, " ")
			want[name(ops, "threshold "+id)] = k.staticAlarm(static)
		}
	}
	slices.Sort(detectors)
	got := map[string]alarm{}
	for name, a := range s.Alarms {
		got[name] = w.describe(a)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		w.t.Errorf("alarms (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(detectors, s.Detectors); diff != "" {
		w.t.Errorf("detectors (-want +got):\n%s", diff)
	}
	body, ok := s.Dashboards["demo-"+region]
	if !ok || len(s.Dashboards) != 1 {
		w.t.Errorf("dashboards: %v, want demo-%s alone", slices.Collect(maps.Keys(s.Dashboards)), region)
	}
	if !strings.Contains(body, "ORDER BY SUM() DESC LIMIT 20") {
		w.t.Errorf("the dashboard has no top 20 query:\n%s", body)
	}
	for name := range want {
		if !strings.Contains(body, fmt.Sprintf("arn:aws:cloudwatch:%s:%s:alarm:%s", region, account, name)) {
			w.t.Errorf("the dashboard does not show the alarm %q", name)
		}
	}
}

func (w *world) describe(a types.MetricAlarm) alarm {
	w.t.Helper()
	out := alarm{
		ThresholdMetric: aws.ToString(a.ThresholdMetricId), Operator: string(a.ComparisonOperator),
		EvaluationPeriods: aws.ToInt32(a.EvaluationPeriods), Datapoints: aws.ToInt32(a.DatapointsToAlarm), Missing: aws.ToString(a.TreatMissingData),
		Actions: strings.Join(a.AlarmActions, " "), OKActions: strings.Join(a.OKActions, " "), InsufficientAction: strings.Join(a.InsufficientDataActions, " "),
	}
	if a.Threshold != nil {
		out.Threshold = fmt.Sprint(int(*a.Threshold))
	}
	var ops []string
	for _, q := range a.Metrics {
		if q.MetricStat == nil {
			out.Expression = aws.ToString(q.Expression)
			continue
		}
		m := q.MetricStat
		d := observed.Dimensions(m.Metric.Dimensions)
		if aws.ToString(m.Metric.Namespace) != "AWS/KMS" || aws.ToString(m.Metric.MetricName) != "SuccessfulRequest" || len(d) != 2 || m.Unit != "" {
			w.t.Errorf("alarm %s watches %s %s %v unit %q", aws.ToString(a.AlarmName), aws.ToString(m.Metric.Namespace), aws.ToString(m.Metric.MetricName), d, m.Unit)
		}
		out.Key, out.Statistic, out.Period = d["KeyArn"], aws.ToString(m.Stat), aws.ToInt32(m.Period)
		ops = append(ops, d["Operation"])
	}
	out.Operations = strings.Join(ops, "+")
	if a.ThresholdMetricId != nil {
		out.Kind = "anomaly"
		if len(a.Metrics) != 2 || !aws.ToBool(a.Metrics[0].ReturnData) || !aws.ToBool(a.Metrics[1].ReturnData) {
			w.t.Errorf("anomaly alarm %s has %d queries, not a metric and its band with ReturnData", aws.ToString(a.AlarmName), len(a.Metrics))
		}
	} else {
		name := aws.ToString(a.AlarmName)
		out.Kind = name[strings.LastIndex(name, "threshold"):]
	}
	return out
}

// unmoved makes sure that the alarms of the given keys are the very same in both
// states: name, stack and logical ID, for as many alarms as each key should have.
func (w *world) unmoved(before, after *observed.State, names ...string) {
	w.t.Helper()
	was, is := alarmResources(before), alarmResources(after)
	for _, name := range names {
		k := w.keys[name]
		seen := 0
		for alarm, r := range was {
			if !strings.Contains(alarm, " "+k.id[len(k.id)-12:]+" ") {
				continue
			}
			seen++
			if is[alarm] != r {
				w.t.Errorf("alarm %q was %+v and is %+v: it was moved or replaced", alarm, r, is[alarm])
			}
		}
		if want := len(k.Anomaly) + len(k.Static); seen != want {
			w.t.Errorf("key %s had %d alarms, want %d", name, seen, want)
		}
	}
}

type placed struct{ stack, logicalID string }

// alarmResources says for each alarm, by its name, which resource it is.
func alarmResources(s *observed.State) map[string]placed {
	out := map[string]placed{}
	for id, r := range s.Resources {
		if r.Type == "AWS::CloudWatch::Alarm" {
			out[r.PhysicalID] = placed{r.Stack, id}
		}
	}
	return out
}

// watched are the names of the keys with alarms, without some.
func (w *world) watched(without ...string) []string {
	var names []string
	for name, k := range w.keys {
		if len(k.Anomaly) > 0 && !slices.Contains(without, name) {
			names = append(names, name)
		}
	}
	return names
}

// change does to the account what time does: one key is new, one is retagged
// out of scope, one is scheduled for deletion, and a rule has another band.
func (w *world) change() {
	w.t.Helper()
	w.create(fixture.Key{Aliases: []string{"payments-refunds"}, Tags: map[string]string{"team": "payments", "env": "prod"},
		Rule: "payments", Anomaly: []string{"Decrypt", "Encrypt", "GenerateDataKey", "GenerateDataKeyWithoutPlaintext"}, Static: []string{"Decrypt+Encrypt burst"}})
	w.retag("ledger-mac", "team", "search")
	w.keys["ledger-mac"].drop()
	if err := fixture.Delete(w.t.Context(), w.kms, w.keys["payments-cache"].id); err != nil {
		w.t.Fatal(err)
	}
	w.keys["payments-cache"].drop()
	w.editConfig("anomaly: {band: 3}", "anomaly: {band: 4}")
	for _, k := range w.keys {
		k.band = "4"
	}
}

func (k *liveKey) drop() { k.Rule, k.Anomaly, k.Static = "", nil, nil }

func (w *world) retag(name, key, value string) {
	w.t.Helper()
	if err := fixture.Retag(w.t.Context(), w.kms, w.keys[name].id, key, value); err != nil {
		w.t.Fatal(err)
	}
}

// editConfig replaces a text in a copy of the config, which must hold it once.
func (w *world) editConfig(from, to string) {
	w.t.Helper()
	data, err := os.ReadFile(w.config)
	if err != nil {
		w.t.Fatal(err)
	}
	if strings.Count(string(data), from) != 1 {
		w.t.Fatalf("%s does not hold %q once", w.config, from)
	}
	w.config = filepath.Join(w.dir, "keywatch.yaml")
	if err := os.WriteFile(w.config, []byte(strings.Replace(string(data), from, to, 1)), 0o600); err != nil {
		w.t.Fatal(err)
	}
}

// swap exchanges the aliases of two keys and puts a new key behind the alias of
// a third.
func (w *world) swap() {
	w.t.Helper()
	a, b := w.keys["ledger-main"], w.keys["reports"]
	w.alias("ledger-main", b.id)
	w.alias("reports", a.id)
	a.Aliases, b.Aliases = []string{"reports"}, []string{"ledger-main", "teams/reports/daily"}

	old := w.keys["payments-pan"]
	w.keys["payments-pan (old)"] = old
	fresh := old.Key
	fresh.Aliases = nil
	w.create(fresh)
	w.keys["payments-pan"] = w.keys[nameless]
	delete(w.keys, nameless)
	w.alias("payments-pan", w.keys["payments-pan"].id)
	w.keys["payments-pan"].Aliases, w.keys["payments-pan"].band = []string{"payments-pan"}, "4"
	old.Aliases = nil
}

func (w *world) alias(name, id string) {
	w.t.Helper()
	if _, err := w.kms.UpdateAlias(w.t.Context(), &kms.UpdateAliasInput{AliasName: aws.String("alias/" + name), TargetKeyId: &id}); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) coverage() (report map[string]any, passed bool) {
	w.t.Helper()
	cmd := exec.CommandContext(w.t.Context(), w.app, "coverage", "--format", "json", "--config", w.config)
	cmd.Dir = w.root
	cmd.Env = w.server.Env()
	stdout, err := cmd.Output()
	if json.Unmarshal(stdout, &report) != nil {
		w.t.Fatalf("coverage wrote no JSON: %s (%v)", stdout, err)
	}
	return report, err == nil
}

// The main job: create, change, swap, destroy; after each the account has
// exactly the alarms and detectors that it should have.
func TestCreateChangeSwapDestroy(t *testing.T) {
	w := newWorld(t, binary(t, "keywatch", "."))
	if _, passed := w.coverage(); passed {
		t.Error("coverage passes before anything is deployed")
	}

	w.cdk("deploy", "--all")
	created := w.read()
	w.check(created)
	if _, passed := w.coverage(); !passed {
		t.Error("coverage fails after the deploy")
	}

	w.change()
	w.cdk("deploy", "--all")
	changed := w.read()
	w.check(changed)
	w.unmoved(created, changed, w.watched("payments-refunds")...)

	w.swap()
	w.cdk("deploy", "--all")
	swapped := w.read()
	w.check(swapped)
	w.unmoved(changed, swapped, w.watched("ledger-main", "reports", "payments-pan", "payments-pan (old)")...)
	for id, r := range changed.Resources {
		if got, there := swapped.Resources[id]; there && got.Stack != r.Stack {
			t.Errorf("%s moved from %s to %s", id, r.Stack, got.Stack)
		}
	}

	w.cdk("destroy", "--all", "--force")
	left := w.read()
	if len(left.Alarms)+len(left.Detectors)+len(left.Dashboards)+len(left.Stacks) > 0 {
		t.Errorf("left after destroy: %d alarms, %d detectors, dashboards %v, stacks %v", len(left.Alarms), len(left.Detectors), left.Dashboards, slices.Collect(maps.Keys(left.Stacks)))
	}
}

// The same with a fill limit so low that three stacks are needed: nothing that
// is still watched moves.
func TestThreeStacksNothingMoves(t *testing.T) {
	w := newWorld(t, binary(t, "app", "./test/e2e/app"))
	w.env = []string{"KEYWATCH_TEST_FILL=36"}
	deploy := func() *observed.State {
		t.Helper()
		w.cdk("deploy", "--all")
		s := w.read()
		w.check(s)
		return s
	}
	created := deploy()
	if n := alarmStacks(created); n != 3 {
		t.Fatalf("%d alarm stacks, want 3: the test means to look at three", n)
	}
	w.change()
	changed := deploy()
	w.unmoved(created, changed, w.watched("payments-refunds")...)
	w.swap()
	swapped := deploy()
	w.unmoved(changed, swapped, w.watched("ledger-main", "reports", "payments-pan", "payments-pan (old)")...)
}

func alarmStacks(s *observed.State) int {
	n := 0
	for name := range s.Stacks {
		if strings.HasPrefix(name, "demo-alarms-") {
			n++
		}
	}
	return n
}

// binary builds a main package once per test.
func binary(t *testing.T, name, pkg string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	cmd := exec.CommandContext(t.Context(), "go", "build", "-o", path, pkg)
	cmd.Dir = "../.."
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("go build %s: %v\n%s", pkg, err, out)
	}
	return path
}
