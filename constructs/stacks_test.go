package constructs_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"keywatch/constructs/spec"
	"keywatch/internal/naming"
	"keywatch/stacks"
)

func fullDeployment() spec.Deployment {
	d := naming.Deployment("keywatch")
	return spec.Deployment{
		Name: "keywatch", Account: account, Region: region, Partition: "aws",
		Shards: []spec.Shard{
			{StackName: d.AlarmStack(1), Description: "keywatch: alarms on the usage of KMS keys (1)", Units: fullUnits()},
			{StackName: d.AlarmStack(2), Description: "keywatch: alarms on the usage of KMS keys (2)"},
		},
		Dashboard: &spec.Dashboard{
			StackName: d.DashboardStack(), Description: "keywatch: the busiest KMS keys", Name: d.Dashboard(region), TopKeys: 20, AlarmARNs: alarmARNs(101),
			Evidence: fullEvidence(),
		},
		Evidence: &spec.Evidence{StackName: d.EvidenceStack(), Description: "keywatch: evidence", EvidenceContent: *fullEvidence()},
	}
}

func minimalDeployment() spec.Deployment {
	return spec.Deployment{
		Name: "k", Account: account, Region: region, Partition: "aws",
		Shards:    []spec.Shard{{StackName: "k-alarms-001"}},
		Dashboard: &spec.Dashboard{StackName: "k-dashboard", Name: "k-eu-west-1", TopKeys: 1},
	}
}

func synth(t *testing.T, d ...spec.Deployment) string {
	t.Helper()
	dir := t.TempDir()
	if err := stacks.Synth(d, stacks.Options{Outdir: dir}); err != nil {
		t.Fatal(err)
	}
	return dir
}

// stackTemplate is found through the manifest, as the CDK CLI does it.
func stackTemplate(t *testing.T, dir, stackID string) object {
	t.Helper()
	file, ok := artifact(t, dir, stackID).at("properties", "templateFile").(string)
	if !ok {
		t.Fatalf("no stack %s", stackID)
	}
	return readJSON(t, filepath.Join(dir, file))
}

func artifact(t *testing.T, dir, stackID string) object {
	t.Helper()
	for _, a := range readJSON(t, filepath.Join(dir, "manifest.json"))["artifacts"].(map[string]any) {
		if a := object(a.(map[string]any)); a["displayName"] == stackID {
			return a
		}
	}
	return nil
}

func TestStackGoldens(t *testing.T) {
	dir := synth(t, fullDeployment())
	golden(t, "stack-alarms-full", stackTemplate(t, dir, "keywatch-alarms-001"+env))
	golden(t, "stack-dashboard-full", stackTemplate(t, dir, "keywatch-dashboard"+env))
	golden(t, "stack-sla-evidence-full", stackTemplate(t, dir, "keywatch-sla-evidence"+env))
	dir = synth(t, minimalDeployment())
	golden(t, "stack-alarms-minimal", stackTemplate(t, dir, "k-alarms-001"+env))
	golden(t, "stack-dashboard-minimal", stackTemplate(t, dir, "k-dashboard"+env))
}

func TestWhyTheStacksAreSo(t *testing.T) {
	dir := synth(t, fullDeployment())
	alarms := stackTemplate(t, dir, "keywatch-alarms-001"+env)

	// The IDs of the plan, so that a deployed stack can be read back.
	for _, u := range fullUnits() {
		for _, a := range u.Alarms {
			if alarms.at("Resources", a.ID) == nil {
				t.Errorf("no resource %s", a.ID)
			}
		}
	}
	// Alarms need no permission for tags, and a path would say again what the
	// logical ID says.
	for id, a := range alarms.ofType(alarmType) {
		if a.at("Properties", "Tags") != nil || a["Metadata"] != nil {
			t.Errorf("%s has tags or metadata", id)
		}
	}
	// An empty stack stays deployable, and so loses its alarms in the next deploy.
	empty := stackTemplate(t, dir, "keywatch-alarms-002"+env)
	equal(t, "the resources of an empty stack", empty["Resources"], any(map[string]any{
		"Placeholder": map[string]any{"Type": "AWS::CloudFormation::WaitConditionHandle"},
	}))
	equal(t, "Description", empty["Description"], any("keywatch: alarms on the usage of KMS keys (2)"))

	for id, part := range map[string]string{"keywatch-alarms-001": "alarms", "keywatch-alarms-002": "alarms", "keywatch-dashboard": "dashboard", "keywatch-sla-evidence": "sla-evidence"} {
		a := artifact(t, dir, id+env)
		tpl := stackTemplate(t, dir, id+env)
		// Outputs and exports would tie stacks together, and with them their order.
		// Without a template section nothing else can refer across either.
		for section := range tpl {
			if !slices.Contains([]string{"Description", "Resources", "Parameters", "Rules"}, section) {
				t.Errorf("%s has the section %s", id, section)
			}
		}
		contents, _ := json.Marshal(tpl)
		for _, no := range []string{"Fn::ImportValue", "AWS::CDK::Metadata", "aws:cdk:path", "keywatch:deployment"} {
			if bytes.Contains(contents, []byte(no)) {
				t.Errorf("%s has %s", id, no)
			}
		}
		// Only what the bootstrap check of the CDK needs.
		equal(t, "Parameters of "+id, keys(tpl["Parameters"]), []string{"BootstrapVersion"})
		equal(t, "Rules of "+id, keys(tpl["Rules"]), []string{"CheckBootstrapVersion"})
		// Tags on the stack: CloudFormation hands them to the resources.
		equal(t, "tags of "+id, a.at("properties", "tags"), any(map[string]any{"keywatch:deployment": "keywatch", "keywatch:stack": part}))
		equal(t, "stack name", a.at("properties", "stackName"), any(id))
		equal(t, "environment", a["environment"], any("aws://"+account+"/"+region))
		equal(t, "termination protection", a.at("properties", "terminationProtection"), any(false))
		// Stacks deploy in any order, at the same time.
		equal(t, "dependencies", len(a["dependencies"].([]any)), 1) // its own template
	}
}

func keys(v any) []string {
	var list []string
	for k := range v.(map[string]any) {
		list = append(list, k)
	}
	slices.Sort(list)
	return list
}

func TestDashboardShowsAtMost100AlarmsAndSaysTheRest(t *testing.T) {
	dir := synth(t, fullDeployment())
	tpl := stackTemplate(t, dir, "keywatch-dashboard"+env)
	text, _ := json.Marshal(bodyOf(t, tpl))
	shown := 0
	for _, w := range bodyOf(t, tpl)["widgets"].([]any) {
		if w := object(w.(map[string]any)); w.at("properties", "title") == "Alarms (100 of 101)" {
			shown++
			equal(t, "alarms shown", len(w.at("properties", "alarms").([]any)), 100)
		}
	}
	equal(t, "widgets", shown, 1)
	contains(t, string(text), "100 of 101 alarms are shown", "The other 1 ")
}

// The ID of a stack never depends on how many environments there are.
func TestTwoEnvironments(t *testing.T) {
	first, second := fullDeployment(), fullDeployment()
	second.Region = "us-east-1"
	alone, both := synth(t, first), synth(t, first, second)
	for _, id := range []string{"keywatch-alarms-001", "keywatch-dashboard"} {
		equal(t, id, stackTemplate(t, both, id+env), stackTemplate(t, alone, id+env))
		equal(t, "stack name", artifact(t, both, id+"@"+account+"-us-east-1").at("properties", "stackName"), any(id))
	}
}

// Every file is the same, the manifest included: from two apps in one process,
// which share counters and caches, and from another process under the context
// that the CDK CLI gives.
func TestSynthIsDeterministic(t *testing.T) {
	want := synth(t, fullDeployment())
	sameFiles(t, want, synth(t, fullDeployment()))

	dir := t.TempDir()
	cmd := child("synth", t.TempDir(), dir)
	cmd.Env = append(cmd.Env, `CDK_CONTEXT_JSON={"aws:cdk:enable-path-metadata":true,"aws:cdk:enable-asset-metadata":true,"aws:cdk:version-reporting":true,"aws:cdk:bundling-stacks":["**"]}`)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	sameFiles(t, want, dir)
}

func sameFiles(t *testing.T, a, b string) {
	t.Helper()
	equal(t, "the files", fileNames(t, b), fileNames(t, a))
	for _, f := range fileNames(t, a) {
		x, _ := os.ReadFile(filepath.Join(a, f))
		y, _ := os.ReadFile(filepath.Join(b, f))
		equal(t, f, string(y), string(x))
	}
}

func fileNames(t *testing.T, dir string) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

func TestSynthErrors(t *testing.T) {
	broken := fullDeployment()
	broken.Shards = broken.Shards[:1:1]
	units := fullUnits()[:1:1]
	units[0].Alarms = slices.Clone(units[0].Alarms[:1])
	units[0].Alarms[0].Description = strings.Repeat("d", spec.MaxAlarmDescription+1)
	broken.Shards[0].Units = units

	twice := fullDeployment()
	kept := fullDeployment()
	kept.Shards, kept.Dashboard = nil, nil
	badUnit := fullDeployment()
	badUnit.Shards[0].Units = append(fullUnits(), fullUnits()[0])
	badEnv := fullDeployment()
	badEnv.Shards[0].StackName = "not a name"

	for name, c := range map[string]struct {
		deployments []spec.Deployment
		want        []string
	}{
		"none":           {nil, []string{"synth: there is no stack to synthesise in 0 environments"}},
		"no stacks":      {[]spec.Deployment{{Name: "x"}}, []string{"no stack to synthesise in 1 environments"}},
		"stack twice":    {[]spec.Deployment{twice, twice}, []string{"the stack keywatch-alarms-001 is there twice in account 111122223333, region eu-west-1"}},
		"evidence twice": {[]spec.Deployment{kept, kept}, []string{"the stack keywatch-sla-evidence is there twice"}},
		"our own":        {[]spec.Deployment{badUnit}, []string{`KeyUsageAlarms at "keywatch-alarms-001` + env + `/Default"`, "is there twice"}},
		"the CDK's":      {[]spec.Deployment{badEnv}, []string{"Stack name must match", "not a name"}},
		// A finding of the template check, whole, in the error.
		"a finding": {[]spec.Deployment{broken}, []string{"AlarmDescription", units[0].Alarms[0].ID}},
	} {
		t.Run(name, func(t *testing.T) {
			err := stacks.Synth(c.deployments, stacks.Options{Outdir: t.TempDir()})
			if err == nil {
				t.Fatal("no error")
			}
			contains(t, err.Error(), c.want...)
			for _, no := range []string{"goroutine ", ".go:"} {
				if strings.Contains(err.Error(), no) {
					t.Errorf("a stack trace is in:\n%v", err)
				}
			}
		})
	}
}

// What crosses to the process apart is drawn as it would be here, and an error
// comes back as it is.
func TestSynthApartIsSynth(t *testing.T) {
	here, apart := synth(t, fullDeployment(), minimalDeployment()), t.TempDir()
	var stderr bytes.Buffer
	if err := stacks.SynthApart(t.Context(), []spec.Deployment{fullDeployment(), minimalDeployment()}, apart, &stderr); err != nil {
		t.Fatal(err)
	}
	equal(t, "stderr", stderr.String(), "")
	equal(t, "the assembly", files(t, apart), files(t, here))

	bad := fullDeployment()
	bad.Shards[0].StackName = "not a name"
	err := stacks.Synth([]spec.Deployment{bad}, stacks.Options{Outdir: t.TempDir()})
	equal(t, "the error", fmt.Sprint(stacks.SynthApart(t.Context(), []spec.Deployment{bad}, apart, &stderr)), fmt.Sprint(err))
	equal(t, "the assembly after an error", files(t, apart), files(t, here))
}

// files are the files of a directory, by name.
func files(t *testing.T, dir string) map[string]string {
	t.Helper()
	found := map[string]string{}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) < 4 {
		t.Fatalf("%v, %v", entries, err)
	}
	for _, e := range entries {
		data, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		found[e.Name()] = string(data)
	}
	return found
}

func TestNodeMissing(t *testing.T) {
	empty := t.TempDir()
	old := filepath.Join(empty, "old")
	if err := os.WriteFile(old, []byte("#!/bin/sh\necho v18.1.0\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	sick := filepath.Join(empty, "sick")
	if err := os.WriteFile(sick, []byte("#!/bin/sh\nexit 3\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct{ node, want string }{
		"not in the PATH": {"", `the CDK runs on Node.js, but there is no "node" in the PATH`},
		"JSII_NODE":       {"/nowhere/node", `there is no "/nowhere/node" in JSII_NODE`},
		"too old":         {old, "Node.js 20 or later, but " + old + ` is "v18.1.0"`},
		"does not run":    {sick, "but " + sick + " --version fails: exit status 3"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("PATH", empty+":/bin")
			if name == "not in the PATH" {
				t.Setenv("PATH", empty)
			}
			t.Setenv("JSII_RUNTIME", "")
			t.Setenv("JSII_NODE", c.node)
			err := stacks.Synth([]spec.Deployment{minimalDeployment()}, stacks.Options{Outdir: t.TempDir()})
			if !errors.Is(err, stacks.ErrNode) {
				t.Fatalf("got %v", err)
			}
			contains(t, err.Error(), c.want, "npm ci", "npx cdk", "Node.js 22 or later")
		})
	}
}

// A whole process: nothing on stderr, nothing left in the temporary directory,
// whether it synthesised or not. Node ends a little after its output does here,
// so that the two who wait for it both wait; without Close's care about every
// second run would say so.
func TestCloseIsQuietAndLeavesNothing(t *testing.T) {
	for range 8 {
		equal(t, "stderr", stderrOfChild(t, "synth", "exec 2>&- >&-; sleep 0.05"), "real error\n")
	}
	equal(t, "stderr", stderrOfChild(t, "nothing", ""), "real error\n")
}

// What Node itself says while it ends is passed on.
func TestCloseHidesNoRealError(t *testing.T) {
	equal(t, "stderr", stderrOfChild(t, "synth", "echo trouble at the end >&2"), "trouble at the end\nreal error\n")
}

// stderrOfChild runs [TestChild] with a Node that does something at its end,
// and checks that nothing stays in the temporary directory.
func stderrOfChild(t *testing.T, what, atEnd string) string {
	t.Helper()
	node, err := exec.LookPath("node")
	if err != nil {
		t.Fatal(err)
	}
	script := filepath.Join(t.TempDir(), "node")
	text := "#!/bin/sh\n'" + node + "' \"$@\"\n[ \"$1\" = --version ] && exit\n" + atEnd + "\n"
	if err := os.WriteFile(script, []byte(text), 0o755); err != nil {
		t.Fatal(err)
	}
	tmp := t.TempDir()
	cmd := child(what, tmp, filepath.Join(t.TempDir(), "out"))
	cmd.Env = append(cmd.Env, "CDK_VALIDATION=false", "JSII_NODE="+script)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	if err := cmd.Run(); err != nil {
		t.Fatalf("%v: %s", err, stderr.String())
	}
	left, _ := os.ReadDir(tmp)
	equal(t, "left in the temporary directory", fmt.Sprint(left), "[]")
	return stderr.String()
}

// child is a process of its own that runs [TestChild].
func child(what, tmp, outdir string) *exec.Cmd {
	cmd := exec.Command(os.Args[0], "-test.run=^TestChild$")
	cmd.Env = append(os.Environ(), "TMPDIR="+tmp, "KEYWATCH_TEST_CHILD="+what, "KEYWATCH_TEST_OUTDIR="+outdir)
	return cmd
}

// TestChild is that process; on its own it does nothing.
func TestChild(t *testing.T) {
	what := os.Getenv("KEYWATCH_TEST_CHILD")
	if what == "" {
		return
	}
	if what == "synth" {
		if err := stacks.Synth([]spec.Deployment{fullDeployment()}, stacks.Options{Outdir: os.Getenv("KEYWATCH_TEST_OUTDIR")}); err != nil {
			t.Fatal(err)
		}
	}
	stacks.Close()
	fmt.Fprintln(os.Stderr, "real error")
}
