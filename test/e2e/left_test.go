package e2e

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/kms"

	"keywatch/test/fixture"
	"keywatch/test/observed"
)

// Two regions are deployed to, and one of them is taken out of the config: its
// stacks are there and are reported, with commands that name each of them and
// nothing else, until they are gone.
func TestARemovedEnvironmentIsReported(t *testing.T) {
	const other = "us-east-1"
	w := newWorld(t, binary(t, "keywatch", "."))
	there := w.cfg.Copy()
	there.Region = other
	if _, err := fixture.Create(t.Context(), kms.NewFromConfig(there), refund(1)); err != nil {
		t.Fatal(err)
	}
	w.cdk("bootstrap", "aws://"+account+"/"+other)

	rules, err := os.ReadFile(w.config)
	if err != nil {
		t.Fatal(err)
	}
	configure := func(name string, regions ...string) {
		t.Helper()
		text := string(rules) + "\nenvironments:\n"
		for _, r := range regions {
			text += fmt.Sprintf("  - {account: %q, region: %s}\n", account, r)
		}
		w.config = filepath.Join(w.dir, name)
		if err := os.WriteFile(w.config, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	plan := func() string {
		t.Helper()
		out, err := w.run(w.app, "plan", "--config", w.config)
		if err != nil {
			t.Fatalf("plan: %v\n%s", err, out)
		}
		return out
	}
	configure("both.yaml", region, other)
	w.cdk("deploy", "--all")
	if out := plan(); strings.Contains(out, "environment-left") {
		t.Errorf("both regions are in the config:\n%s", out)
	}

	configure("one.yaml", region)
	left, err := observed.Read(t.Context(), there)
	if err != nil {
		t.Fatal(err)
	}
	stacks := slices.Sorted(maps.Keys(left.Stacks))
	if !slices.Equal(stacks, []string{"demo-alarms-001", "demo-dashboard"}) {
		t.Fatalf("stacks in %s: %v", other, stacks)
	}
	for verb, out := range map[string]string{"synth": w.cdk("diff"), "plan": plan()} {
		if !strings.Contains(out, fmt.Sprintf("%s/%s (any more)", account, other)) || !strings.Contains(out, "[environment-left]") {
			t.Errorf("%s does not report %s:\n%s", verb, other, out)
		}
		if n := strings.Count(out, "delete-stack"); n != len(stacks) {
			t.Errorf("%s has %d commands:\n%s", verb, n, out)
		}
		for _, stack := range stacks {
			if !strings.Contains(out, fmt.Sprintf("`aws cloudformation delete-stack --stack-name %s --region %s`", stack, other)) {
				t.Errorf("%s does not say how to remove %s:\n%s", verb, stack, out)
			}
		}
	}

	// `npx cdk destroy` before would have been the way; the list has to be right.
	configure("both.yaml", region, other)
	w.cdk("destroy", "*@"+account+"-"+other, "--force")
	configure("one.yaml", region)
	if out := plan(); strings.Contains(out, "environment-left") {
		t.Errorf("nothing is left, but:\n%s", out)
	}
	w.check(w.read())
}
