package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"

	"keywatch/test/fakeaws"
	"keywatch/test/fixture"
)

// cfn-lint finds nothing in what is synthesised, without any ignore, from no
// key at all to full stacks.
func TestTemplatesPassCfnLint(t *testing.T) {
	app := binary(t, "keywatch", ".")
	many := fakeaws.State{}
	for i := range 300 { // four alarms each: 1,200 alarms in seven stacks
		many.Keys = append(many.Keys, fakeaws.Key{ID: fmt.Sprintf("%08x-1111-2222-3333-4444%08x", i, i), Tags: []fakeaws.Tag{{Key: "env", Value: "prod"}}})
	}
	demo, err := os.ReadFile("../../examples/demo.yaml")
	if err != nil {
		t.Fatal(err)
	}
	cloudwatch := filepath.Join(t.TempDir(), "keywatch.yaml")
	if err := os.WriteFile(cloudwatch, append(demo, "\ndetector: cloudwatch\n"...), 0o600); err != nil {
		t.Fatal(err)
	}
	kept, trail := filepath.Join(t.TempDir(), "keywatch.yaml"), filepath.Join(t.TempDir(), "keywatch.yaml")
	for path, sla := range map[string]string{
		kept:  "\nsla: {evidence: true, encryptionKey: 'arn:{partition}:kms:{region}:{account}:key/mrk-1234abcd12ab34cd56ef1234567890ab', actions: {alarm: ['arn:{partition}:sns:{region}:{account}:pager']}}\n",
		trail: "\nsla: {evidence: true, trailLogGroup: trail}\n",
	} {
		if err := os.WriteFile(path, append(slices.Clone(demo), sla...), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	tests := map[string]struct {
		state  fakeaws.State
		config string
		stacks int // with the dashboard's
	}{
		"no key":                       {fakeaws.State{}, "config/keywatch.yaml", 2},
		"three keys":                   {smallAccount(), "config/keywatch.yaml", 2},
		"1200 alarms":                  {many, "config/keywatch.yaml", 8},
		"one of everything":            {everything(), "examples/demo.yaml", 2},
		"detectors left to CloudWatch": {everything(), cloudwatch, 2},
		"evidence":                     {everything(), kept, 3},
		"evidence of a trail":          {everything(), trail, 3},
	}
	lint, err := filepath.Abs("../../.venv/bin/cfn-lint")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(lint); err != nil {
		t.Fatalf("cfn-lint is missing; run make venv: %v", err)
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			srv := fakeaws.Start(t, tt.state, fakeaws.PageSize(1000))
			dir := filepath.Join(t.TempDir(), "cdk.out")
			cmd := exec.CommandContext(t.Context(), app, "--config", tt.config, "-c", "keywatch:limits.alarms=2000", "-c", "keywatch:limits.monthlyUSD=1000")
			cmd.Dir = filepath.Join("..", "..")
			cmd.Env = slices.Concat(os.Environ(), srv.Env(), []string{"CDK_OUTDIR=" + dir})
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Fatalf("synth: %v\n%s", err, out)
			}
			templates, err := filepath.Glob(filepath.Join(dir, "*.template.json"))
			if err != nil || len(templates) != tt.stacks {
				t.Fatalf("templates %v (%v), want %d", templates, err, tt.stacks)
			}
			for _, template := range templates {
				info, err := os.Stat(template)
				if err != nil || info.Size() > 700_000+10_000 {
					t.Errorf("%s: %v, %d bytes", template, err, info.Size())
				}
			}
			out, err := exec.CommandContext(t.Context(), lint, append([]string{"--regions", "eu-west-1", "--"}, templates...)...).CombinedOutput()
			if err != nil {
				t.Errorf("cfn-lint: %v\n%s", err, out)
			}
		})
	}
}

// everything is the account of the demo: each kind of key, and each kind of
// alarm.
func everything() fakeaws.State {
	var s fakeaws.State
	for i, k := range fixture.Keys() {
		key := fakeaws.Key{ID: fmt.Sprintf("%08x-1111-2222-3333-4444%08x", i, i), Usage: string(k.Usage), Spec: string(k.Spec)}
		for name, value := range k.Tags {
			key.Tags = append(key.Tags, fakeaws.Tag{Key: name, Value: value})
		}
		s.Keys = append(s.Keys, key)
	}
	return s
}
