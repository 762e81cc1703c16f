package cli

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"keywatch/config"
	"keywatch/internal/diag"
)

// policed are the verbs that call AWS.
var policed = []string{"synth", "plan", "explain", "coverage", "snapshot", "init"}

// policy is an IAM policy document ("IAM JSON policy elements reference", IAM
// User Guide).
type policy struct {
	Version   string
	Statement []statement
}

type statement struct {
	Sid      string
	Effect   string
	Action   []string
	Resource any // "*", or a list of ARNs
}

// free are the actions that need no permission ("GetCallerIdentity", STS API
// Reference).
var free = []string{"sts:GetCallerIdentity"}

func (w *World) permissionsCommand(o *options) *cobra.Command {
	return &cobra.Command{
		Use:   "permissions [VERB]",
		Short: "the IAM policy that reading needs",
		Long: `Print the IAM policy, as JSON, that a verb needs: exactly the calls that it can make.
Without a verb it is that of synth, which is what the CDK CLI runs.

A statement whose Sid ends in Optional may be left out: keywatch then does not see the
stacks of environments that were taken out of the config, nor whether a trail brings the
evidence of sla.evidence, and says so.

Key policies have their say for kms:DescribeKey and kms:ListResourceTags of each key.
If a config is found, the roles of its environments are listed under sts:AssumeRole:
that statement is for whoever runs keywatch, the others then are for each role. The
deploy itself goes through the roles of cdk bootstrap.`,
		Example:   "  keywatch permissions\n  keywatch permissions coverage > policy.json",
		Args:      cobra.MaximumNArgs(1),
		ValidArgs: policed,
		RunE: func(cmd *cobra.Command, args []string) error {
			verb := policed[0]
			if len(args) > 0 {
				verb = args[0]
			}
			if !slices.Contains(policed, verb) {
				return noPolicy(cmd.Root(), verb)
			}
			roles, err := w.roles(o)
			if err != nil {
				return err
			}
			// A Sid takes letters and digits alone.
			sid := "Keywatch" + strings.ToUpper(verb[:1]) + verb[1:]
			needed, optional := w.Actions(verb)
			p := policy{Version: "2012-10-17", Statement: []statement{allow(sid, needed)}}
			if len(optional) > 0 {
				p.Statement = append(p.Statement, allow(sid+"Optional", optional))
			}
			if len(roles) > 0 {
				p.Statement = append(p.Statement, statement{Sid: "KeywatchAssumesReadRoles", Effect: "Allow", Action: []string{"sts:AssumeRole"}, Resource: roles})
			}
			enc := json.NewEncoder(w.Stdout)
			enc.SetIndent("", "  ")
			return output(enc.Encode(p))
		},
	}
}

// allow takes no resource: lists have none, and which keys there will be nobody
// knows.
func allow(sid string, actions []string) statement {
	actions = slices.DeleteFunc(actions, func(a string) bool { return slices.Contains(free, a) })
	slices.Sort(actions)
	return statement{Sid: sid, Effect: "Allow", Action: actions, Resource: "*"}
}

// noPolicy tells a verb that calls nothing from a slip.
func noPolicy(root *cobra.Command, verb string) error {
	allowed := strings.Join(policed, ", ")
	for _, c := range root.Commands() {
		if c.Name() == verb && c.Runnable() { // and is no help topic
			return fmt.Errorf("%s calls nothing of AWS and needs no permission; verbs that do: %s", verb, allowed)
		}
	}
	return fmt.Errorf("there is no verb %q%s; allowed: %s", verb, diag.DidYouMean(verb, policed), allowed)
}

// roles are those that the environments of the run are read with, sorted; none
// without a config.
func (w *World) roles(o *options) ([]string, error) {
	s, err := w.settings(o)
	if err != nil || !config.Found(s.request) {
		return nil, err
	}
	c, s, err := w.load(o)
	if err != nil {
		return nil, err
	}
	spots, err := w.spots(c, s)
	if err != nil {
		return nil, err
	}
	var roles []string
	for _, sp := range spots {
		if sp.role != "" {
			roles = append(roles, sp.role)
		}
	}
	slices.Sort(roles)
	return slices.Compact(roles), nil
}
