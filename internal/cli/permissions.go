package cli

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
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
	Resource string
}

// free are the actions that need no permission ("GetCallerIdentity", STS API
// Reference).
var free = []string{"sts:GetCallerIdentity"}

func (w *World) permissionsCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "permissions [VERB]",
		Short: "the IAM policy that reading needs",
		Long: `Print the IAM policy, as JSON, that a verb needs: exactly the calls that it can make.
Without a verb it is that of synth, which is what the CDK CLI runs.

Key policies have their say for kms:DescribeKey and kms:ListResourceTags of each key.
An environment with a role needs the policy on the role, and sts:AssumeRole on it
for whoever runs keywatch. The deploy itself goes through the roles of cdk bootstrap.`,
		Example:   "  keywatch permissions\n  keywatch permissions coverage > policy.json",
		Args:      cobra.MaximumNArgs(1),
		ValidArgs: policed,
		RunE: func(_ *cobra.Command, args []string) error {
			verb := policed[0]
			if len(args) > 0 {
				verb = args[0]
			}
			if !slices.Contains(policed, verb) {
				return fmt.Errorf("%q calls nothing of AWS, or is no verb; allowed: %s", verb, strings.Join(policed, ", "))
			}
			actions := slices.DeleteFunc(w.Actions(verb), func(a string) bool { return slices.Contains(free, a) })
			slices.Sort(actions)
			p := policy{Version: "2012-10-17", Statement: []statement{{
				// A Sid takes letters and digits alone.
				Sid: "Keywatch" + strings.ToUpper(verb[:1]) + verb[1:], Effect: "Allow", Action: actions,
				// The lists take no resource, and which keys there will be nobody knows.
				Resource: "*",
			}}}
			enc := json.NewEncoder(w.Stdout)
			enc.SetIndent("", "  ")
			return output(enc.Encode(p))
		},
	}
}
