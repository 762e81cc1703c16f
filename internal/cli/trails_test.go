package cli

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"

	"keywatch/internal/inventory"
)

// trailed is an account with trails.
type trailed struct {
	*account
	asked  *atomic.Int32
	trails []inventory.Trail
	err    error
}

func (a trailed) Trails(context.Context) ([]inventory.Trail, error) {
	a.asked.Add(1)
	return a.trails, a.err
}

// Whether a trail brings the evidence is asked only by whoever wants evidence, said
// per environment, and fails nobody.
func TestTrailsThatBringNoEvidence(t *testing.T) {
	for name, c := range map[string]struct {
		sla   string
		err   error
		asked int
		want  []string
	}{
		"nobody wants evidence":      {"", nil, 0, nil},
		"a trail excludes KMS":       {"sla: {evidence: true}\n", nil, 3, []string{"arn:excludes excludes KMS events", "[trail-excludes-kms]"}},
		"a trail may not be asked":   {"sla: {evidence: true}\n", nil, 3, []string{"keywatch: notice: whether a trail brings the evidence is not known: not a member's"}},
		"the trails may not be read": {"sla: {evidence: true}\n", errors.New("denied"), 3, []string{"keywatch: notice: whether a trail brings the evidence is not known: denied"}},
	} {
		t.Run(name, func(t *testing.T) {
			o := newOrganisation()
			o.config += c.sla
			var count atomic.Int32
			open := o.Open
			o.Open = func(ctx context.Context, target Target) (Source, error) {
				source, err := open(ctx, target)
				if err != nil {
					return nil, err
				}
				excludes := inventory.TrailSelector{Management: true, Reads: true, Excluded: []string{"kms.amazonaws.com"}}
				trails := []inventory.Trail{{ARN: "arn:excludes", Selectors: []inventory.TrailSelector{excludes}}}
				if name == "a trail may not be asked" {
					trails = append(trails, inventory.Trail{ARN: "arn:organization", Unknown: errors.New("not a member's")})
				}
				return trailed{source.(*account), &count, trails, c.err}, nil
			}
			status := o.Run(t.Context(), []string{"plan"})
			asked, stderr := int(count.Load()), o.stderr.String()
			if status != ExitOK || asked != c.asked {
				t.Errorf("status %d, asked %d times, want %d\n%s", status, asked, c.asked, stderr)
			}
			for _, w := range c.want {
				if strings.Count(stderr, w) != c.asked {
					t.Errorf("%q is there %d times:\n%s", w, strings.Count(stderr, w), stderr)
				}
			}
			if c.asked == 0 && strings.Contains(stderr, "trail") {
				t.Errorf("%s", stderr)
			}
		})
	}
}

// From a snapshot the trails are looked at by whoever looks at the stacks, and nobody
// else says a word of them.
func TestTrailsBesideASnapshot(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		mode   string
		change func(*snapshotWorld)
		asked  bool
	}{
		"auto":                  {"auto", nil, true},
		"always":                {"always", nil, true},
		"never":                 {"never", nil, false},
		"auto, no credentials":  {"auto", func(f *snapshotWorld) { f.failing = errNone }, false},
		"auto, another account": {"auto", func(f *snapshotWorld) { f.caller = "444455556666" }, false},
	} {
		for _, verb := range []string{"synth", "plan", "explain alias/a", "coverage"} {
			f := newSnapshotWorld(1)
			f.edit("rules:", "sla: {evidence: true}\nrules:")
			f.must(t, "snapshot")
			if c.change != nil {
				c.change(f)
			}
			args := strings.Fields(strings.TrimPrefix(verb, "synth"))
			f.run(t, append(args, "-c", "keywatch:inventory.compare="+c.mode)...)
			asked := c.asked && (verb == "synth" || verb == "plan")
			if said := strings.Contains(f.stderr.String(), "no trail of 111122223333 covers eu-west-1"); said != asked || f.trails != asked {
				t.Errorf("%s, %s: asked %v, said %v, want %v\n%s", name, verb, f.trails, said, asked, f.stderr.String())
			}
			if !asked && strings.Contains(f.stderr.String(), "trail") {
				t.Errorf("%s, %s:\n%s", name, verb, f.stderr.String())
			}
		}
	}
}
