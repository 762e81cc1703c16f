package cli

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"keywatch/config"
	"keywatch/internal/inventory"
)

// Only who wants to say which keys match no rule reads the tags of all.
func TestDepthOfReading(t *testing.T) {
	t.Parallel()
	c, problems := config.Parse("f", []byte("version: 1\nrules: [{name: a, match: {tag: team, equals: x}}]\n"), nil)
	if len(problems.Errors()) > 0 {
		t.Fatal(problems)
	}
	level := func(all config.Level, codes map[string]config.Level) config.Findings {
		return config.Findings{All: all, Codes: codes}
	}
	for name, test := range map[string]struct {
		how      depth
		findings config.Findings
		filtered bool
	}{
		"synth":                    {asNeeded, level(config.LevelWarn, nil), true},
		"plan":                     {allTags, level(config.LevelWarn, nil), false},
		"synth, strict":            {asNeeded, level(config.LevelFail, nil), false},
		"synth, of these only one": {asNeeded, level(config.LevelWarn, map[string]config.Level{"tag-typo": config.LevelFail}), false},
		"synth, of these the other": {asNeeded, level(config.LevelFail, map[string]config.Level{
			"tag-typo": config.LevelOff, "unmatched": config.LevelFail}), false},
		"synth, strict but for these": {asNeeded, level(config.LevelFail, map[string]config.Level{
			"tag-typo": config.LevelWarn, "unmatched": config.LevelOff, "never-seen": config.LevelWarn}), true},
		"synth, of these the third": {asNeeded, level(config.LevelWarn, map[string]config.Level{"never-seen": config.LevelFail}), false},
	} {
		c.Findings = test.findings
		need := test.how.need(c)
		if got := need.Filters != nil; got != test.filtered || need.Describe == nil {
			t.Errorf("%s: filtered %v, want %v", name, got, test.filtered)
		}
	}
	if need := traced.need(c); need.Filters != nil || need.Describe != nil {
		t.Errorf("an explanation leaves out %+v", need)
	}
}

func TestParseTags(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		args []string
		want []inventory.Tag
	}{
		{[]string{""}, nil},
		{[]string{"a=b"}, []inventory.Tag{{Key: "a", Value: "b"}}},
		{[]string{"a=b,c=", "d=e"}, []inventory.Tag{{Key: "a", Value: "b"}, {Key: "c"}, {Key: "d", Value: "e"}}},
		{[]string{`a=b\,c\\`}, []inventory.Tag{{Key: "a", Value: `b,c\`}}},
		{[]string{`a\=b=c=d`}, []inventory.Tag{{Key: "a=b", Value: "c=d"}}},
		{[]string{strings.Repeat("é", 128) + "=" + strings.Repeat("v", 256)}, []inventory.Tag{{Key: strings.Repeat("é", 128), Value: strings.Repeat("v", 256)}}},
		{[]string{"cost center= x ,ü=鍵"}, []inventory.Tag{{Key: "cost center", Value: " x "}, {Key: "ü", Value: "鍵"}}},
	} {
		got, err := parseTags(test.args)
		if err != nil || !cmp.Equal(got, test.want) {
			t.Errorf("%q: %+v, %v", test.args, got, err)
		}
	}
	for _, wrong := range []string{"a", "a=b,", ",a=b", "a=b,,c=d", "=b", "a=1,a=1", `a=\`, strings.Repeat("k", 129) + "=a", "a=" + strings.Repeat("é", 257)} {
		if got, err := parseTags([]string{wrong}); err == nil {
			t.Errorf("%q is taken for %+v", wrong, got)
		}
	}
}

// A whole run alone can tell that an exception names no key anywhere.
func TestDanglingExceptionsNeedAWholeRun(t *testing.T) {
	t.Parallel()
	c, problems := config.Parse("f", []byte(threeEnvironments), nil)
	if len(problems.Errors()) > 0 {
		t.Fatal(problems)
	}
	end := time.Date(2027, 2, 1, 0, 0, 0, 0, time.UTC)
	c.Exceptions = []config.Exception{
		{Key: "alias/cn-north-1", Reason: "r", Owner: "o", Expires: end, Written: end}, // a key of the last one
		{Key: "22222222-2222-2222-2222-222222222222", Reason: "r", Owner: "o", Expires: end},
	}
	for name, test := range map[string]struct {
		only []place
		want int
	}{
		"a whole run": {nil, 1},
		"a part":      {[]place{{"111122223333", "eu-west-1"}}, 0},
	} {
		all, err := newOrganisation().plans(t.Context(), c, &settings{only: test.only, qualifier: defaultQualifier}, asked{depth: asNeeded})
		if err != nil {
			t.Fatal(name, err)
		}
		n := 0
		for _, b := range all {
			for _, p := range b.plan.Problems {
				if p.Code == "exception-dangling" {
					n++
				}
			}
		}
		if n != test.want {
			t.Errorf("%s: %d dangling exceptions, want %d", name, n, test.want)
		}
	}
}

// Some of the environments cannot fail a rule that may be for keys of the others.
func TestRulesForOtherEnvironmentsDoNotFailAPart(t *testing.T) {
	t.Parallel()
	const everywhere = "findings: {all: fail, no-actions: off, unmatched: off}\n"
	const part = "keywatch:env=111122223333/eu-west-1"
	for name, test := range map[string]struct {
		alias  string
		args   []string
		want   string // how the line begins
		status int
	}{
		"a key of another": {"alias/cn-north-1", nil, "", ExitOK},
		"not in this part": {"alias/cn-north-1", []string{"-c", part}, "warning: rule", ExitOK},
		"nowhere":          {"alias/nobody", nil, "rule", ExitProblems},
		"off":              {"alias/nobody", []string{"-c", part, "-c", "keywatch:findings.all=off"}, "", ExitOK},
	} {
		o := newOrganisation()
		o.config = strings.Replace(threeEnvironments, "rules:\n", everywhere+"rules:\n  - {name: one, match: {alias: {equals: "+test.alias+"}}}\n", 1)
		status := o.Run(t.Context(), append([]string{"plan"}, test.args...))
		_, said, _ := strings.Cut(o.stderr.String(), "keywatch.yaml:8:5: ")
		line, _, _ := strings.Cut(said, "\n")
		if status != test.status || !strings.HasPrefix(line, test.want) || (line == "") != (test.want == "") || line != "" && !strings.HasSuffix(line, "[matches-nothing]") {
			t.Errorf("%s: status %d, %q; want %d, %q\n%s", name, status, line, test.status, test.want, o.stderr.String())
		}
	}
}

// A warning that is the same everywhere is said once.
func TestTheSameWarningIsSaidOnce(t *testing.T) {
	t.Parallel()
	o := newOrganisation()
	o.config = strings.Replace(threeEnvironments, "match: every", `match: {not: {tag: env, regex: "dev.*"}}`, 1)
	if status := o.Run(t.Context(), []string{"plan"}); status != ExitOK {
		t.Fatalf("status %d\n%s", status, o.stderr.String())
	}
	if n := strings.Count(o.stderr.String(), "[regex-glob]"); n != 1 {
		t.Errorf("said %d times:\n%s", n, o.stderr.String())
	}
}

// An ARN that is not found may be one of elsewhere, and then it says so.
func TestWhyThereIsNoSuchKey(t *testing.T) {
	t.Parallel()
	const id = "11111111-1111-1111-1111-000000000009"
	for arg, says := range map[string]string{
		"arn:aws:kms:eu-west-1:111122223333:key/" + id: `/` + id + `"` + "\n",
		"arn:aws:kms:eu-west-1:999988887777:key/" + id: "; that is an ARN of 999988887777 in eu-west-1, which was not read\n",
		"arn:aws:kms:us-east-1:111122223333:alias/x":   "; that is an ARN of 111122223333 in us-east-1, which was not read\n",
		"arn:aws:sns:eu-west-1:111122223333:pager":     "; that is an ARN of sns, not of kms\n",
		"key/" + id: "; a key ID stands alone: " + id + "\n",
		"x":         "; an alias begins with alias/\n",
		"arn:x":     "; an alias begins with alias/\n",
	} {
		f := newSnapshotWorld(2)
		f.must(t, "snapshot")
		if status := f.run(t, "explain", arg); status != ExitProblems || !strings.HasSuffix(f.stderr.String(), says) {
			t.Errorf("%s: status %d, %q, want %q", arg, status, f.stderr.String(), says)
		}
	}
}
