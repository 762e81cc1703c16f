package cli

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"strings"
	"testing"
)

func newPoliced() *organisation {
	o := newOrganisation()
	o.Actions = func(verb string) (needed, optional []string) {
		needed = []string{"kms:ListKeys", "sts:GetCallerIdentity", "kms:DescribeKey", "verb:" + verb}
		if verb == "synth" {
			optional = []string{"cloudwatch:ListDashboards"}
		}
		return needed, optional
	}
	return o
}

func policyOf(t *testing.T, o *organisation, args ...string) policy {
	t.Helper()
	o.stdout.Reset()
	if status := o.Run(t.Context(), append([]string{"permissions"}, args...)); status != ExitOK {
		t.Fatalf("%v: status %d\n%s", args, status, o.stderr.String())
	}
	var p policy
	if err := json.Unmarshal(o.stdout.Bytes(), &p); err != nil {
		t.Fatal(err)
	}
	return p
}

// The policy of a verb is exactly what the room that calls AWS says it can call.
func TestPermissions(t *testing.T) {
	t.Parallel()
	for args, want := range map[string]string{
		"":            "[{KeywatchSynth Allow [kms:DescribeKey kms:ListKeys verb:synth] *} {KeywatchSynthOptional Allow [cloudwatch:ListDashboards] *}]",
		"coverage":    "[{KeywatchCoverage Allow [kms:DescribeKey kms:ListKeys verb:coverage] *}]",
		"sla collect": "[{KeywatchSlaCollect Allow [kms:DescribeKey kms:ListKeys verb:sla collect] *}]",
		"snapshot":    "[{KeywatchSnapshot Allow [kms:DescribeKey kms:ListKeys verb:snapshot] *}]",
	} {
		o := newPoliced()
		o.ReadFile = func(string) ([]byte, error) { return nil, fs.ErrNotExist } // no config is fine
		if p := policyOf(t, o, strings.Fields(args)...); p.Version != "2012-10-17" || fmt.Sprint(p.Statement) != want {
			t.Errorf("%q: %+v\nwant %s", args, p, want)
		}
	}
}

// Whoever runs keywatch must be allowed to assume the roles of the environments,
// each named as it will be asked for, and no others.
func TestPermissionsToAssumeTheRolesOfTheConfig(t *testing.T) {
	t.Parallel()
	o := newPoliced()
	// The same role for two regions stands there once.
	o.config = strings.Replace(o.config, "rules:", `  - {account: "444455556666", region: eu-west-1, role: "arn:{partition}:iam::{account}:role/reader-us-east-1"}`+"\nrules:", 1)
	p := policyOf(t, o, "plan", "-c", contextQualifier+"=team")
	const want = "{KeywatchAssumesReadRoles Allow [sts:AssumeRole] [" +
		"arn:aws-cn:iam::111122223333:role/cdk-team-lookup-role-111122223333-cn-north-1 " +
		"arn:aws:iam::111122223333:role/cdk-team-lookup-role-111122223333-eu-west-1 " +
		"arn:aws:iam::444455556666:role/reader-us-east-1]}"
	if len(p.Statement) != 2 || fmt.Sprint(p.Statement[1]) != want {
		t.Errorf("%+v\nwant %s", p.Statement, want)
	}
	p = policyOf(t, o, "plan", "-c", "keywatch:env=444455556666/us-east-1")
	if got := fmt.Sprint(p.Statement[1].Resource); got != "[arn:aws:iam::444455556666:role/reader-us-east-1]" {
		t.Errorf("one environment assumes %s", got)
	}
	if len(o.opened) > 0 {
		t.Errorf("it opens %v", o.opened)
	}

	o.config = "version: 1\nrules: [{name: all, match: every}]\n"
	if p := policyOf(t, o, "plan"); len(p.Statement) != 1 {
		t.Errorf("without roles: %+v", p.Statement)
	}
}

func TestPermissionsThatCannotBeSaid(t *testing.T) {
	t.Parallel()
	for args, want := range map[string]struct {
		status int
		says   string
	}{
		"validate":               {ExitUsage, "error: validate calls nothing of AWS and needs no permission; verbs that do: synth, plan, explain, coverage, snapshot, init, sla collect, sla report, sla claim, sla file\n"},
		"permissions":            {ExitUsage, "error: permissions calls nothing of AWS and needs no permission; "},
		"covrage":                {ExitUsage, `error: there is no verb "covrage" (did you mean "coverage"?); allowed: synth, plan, explain, coverage, snapshot, init, sla collect, sla report, sla claim, sla file` + "\n"},
		"nonsense":               {ExitUsage, `error: there is no verb "nonsense"; allowed: synth, `},
		"sla verify":             {ExitUsage, "error: sla verify calls nothing of AWS and needs no permission; "},
		"sla colect":             {ExitUsage, `error: there is no verb "sla colect" (did you mean "sla collect"?)`},
		"plan --config no.yaml":  {ExitProblems, "no.yaml: --config names this config, but there is no such file"},
		"plan --config bad.yaml": {ExitProblems, "[missing"},
	} {
		o := newPoliced()
		read := o.ReadFile
		o.ReadFile = func(path string) ([]byte, error) {
			if path == "bad.yaml" {
				return []byte("version: 1\n"), nil
			}
			return read(path)
		}
		if status := o.Run(t.Context(), append([]string{"permissions"}, strings.Fields(args)...)); status != want.status || !strings.Contains(o.stderr.String(), want.says) || o.stdout.Len() > 0 {
			t.Errorf("%s: status %d, want %d and %q\n%s%s", args, status, want.status, want.says, o.stdout.String(), o.stderr.String())
		}
	}
}
