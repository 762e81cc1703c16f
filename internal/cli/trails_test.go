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
		"the trails may not be read": {"sla: {evidence: true}\n", errors.New("denied"), 3, []string{"keywatch: notice: whether a trail brings the evidence was not looked at: denied"}},
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
				return trailed{source.(*account), &count, []inventory.Trail{{ARN: "arn:excludes", Selectors: []inventory.TrailSelector{excludes}}}, c.err}, nil
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
