package cli

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"keywatch/internal/cli"
	"keywatch/internal/live"
	"keywatch/test/fakeaws"
)

// caller is keywatch with the clients of AWS, in a directory of its own.
type caller struct {
	*testing.T
	dir string
	srv *fakeaws.Server
}

func (c *caller) run(args ...string) string {
	c.Helper()
	var out, complaints bytes.Buffer
	w := cli.World{
		Stdout: &out, Stderr: &complaints,
		Getenv: func(name string) string {
			return map[string]string{"CDK_OUTDIR": filepath.Join(c.dir, "out")}[name]
		},
		ReadFile: func(path string) ([]byte, error) {
			if !filepath.IsAbs(path) {
				return nil, fs.ErrNotExist
			}
			return os.ReadFile(path)
		},
		Open:  open,
		Now:   time.Now,
		Synth: draw, Hint: live.Hint, Actions: live.Actions, FrozenActions: live.FrozenActions,
	}
	if status := w.Run(c.Context(), args); status > cli.ExitProblems { // a gate may fail
		c.Fatalf("keywatch %v: exit status %d\n%s", args, status, &complaints)
	}
	return out.String()
}

// called are the actions that AWS was asked for.
func (c *caller) called() []string {
	var names []string
	for _, call := range c.srv.Calls() {
		if call.Name() != "sts:GetCallerIdentity" { // needs no permission
			names = append(names, call.Name())
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// allowed are the actions of the policy that the verb permissions prints.
func (c *caller) allowed(args ...string) []string {
	c.Helper()
	var policy struct{ Statement []struct{ Action []string } }
	if err := json.Unmarshal([]byte(c.run(append([]string{"permissions"}, args...)...)), &policy); err != nil {
		c.Fatal(err)
	}
	if policy.Statement == nil {
		c.Errorf("%v: the policy has no list of statements", args)
	}
	var all []string
	for _, s := range policy.Statement {
		all = append(all, s.Action...)
	}
	slices.Sort(all)
	return all
}

// The policy of each verb is exactly what the verb calls, wherever the keys come
// from. Tags are read key by key only if they may not be had in bulk.
func TestThePolicyIsWhatIsCalled(t *testing.T) {
	for _, from := range []string{"live", "snapshot", "snapshot, compare: never"} {
		for verb, args := range map[string][]string{
			"synth": nil, "plan": {"plan"}, "explain": {"explain", "alias/a"}, "coverage": {"coverage"}, "snapshot": {"snapshot"}, "init": {"init", "-o", "-"},
		} {
			t.Run(from+"/"+verb, func(t *testing.T) {
				c := &caller{T: t, dir: t.TempDir()}
				config := filepath.Join(c.dir, "keywatch.yaml")
				file := filepath.Join(c.dir, "keys.json")
				path := fmt.Sprintf(", path: %q", file)
				if from == "live" {
					path = ""
				}
				text := `version: 1
environments: [{account: "111122223333", region: eu-west-1, role: "arn:aws:iam::111122223333:role/reader"}]
inventory: {source: ` + from + path + `}
sla: {evidence: true}
rules: [{name: all, match: every, operations: [Decrypt], actions: {alarm: ["arn:aws:sns:eu-west-1:111122223333:pager"]}}]
`
				if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
				begin := func() {
					c.srv = fakeaws.Start(t, fakeaws.State{
						Keys:    []fakeaws.Key{{ID: "00000000-1111-2222-3333-444444444444"}},
						Aliases: []fakeaws.Alias{{Name: "alias/a", Target: "00000000-1111-2222-3333-444444444444"}},
						Trails:  []fakeaws.Trail{{Name: "main"}},
						Stacks:  []fakeaws.Stack{{Name: "keywatch-alarms-001", Tags: []fakeaws.Tag{{Key: "keywatch:deployment", Value: "keywatch"}}}},
					})
					for _, v := range c.srv.Env() {
						name, value, _ := strings.Cut(v, "=")
						t.Setenv(name, value)
					}
				}
				if begin(); from != "live" {
					c.run("snapshot", "--config", config)
					begin()
				} else if verb == "snapshot" {
					args = append(args, "-o", file)
				}
				c.run(append(args, "--config", config)...)
				called := c.called()
				if slices.Contains(called, "kms:ListKeys") {
					called = append(called, "kms:ListResourceTags")
					slices.Sort(called)
				}
				if allowed := c.allowed(verb, "--config", config); !slices.Equal(called, allowed) {
					t.Errorf("calls   %v\nallowed %v", called, allowed)
				}
				// Without a config, the context says where the keys come from.
				source, compare, _ := strings.Cut(from, ", compare: ")
				context := []string{verb, "-c", "keywatch:sla.evidence=true", "-c", "keywatch:inventory.source=" + source}
				if compare != "" {
					context = append(context, "-c", "keywatch:inventory.compare="+compare)
				}
				called = slices.DeleteFunc(called, func(a string) bool { return a == "sts:AssumeRole" })
				if allowed := c.allowed(context...); !slices.Equal(called, allowed) {
					t.Errorf("calls   %v\nallowed by %v %v", called, context, allowed)
				}
			})
		}
	}
}
