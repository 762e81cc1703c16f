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
var policed = []string{"synth", "plan", "explain", "coverage", "snapshot", "init", "sla collect", "sla report", "sla claim", "sla file"}

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
	var format string
	cmd := &cobra.Command{
		Use:   "permissions [VERB]",
		Short: "the IAM policy that reading needs",
		Long: `Print the IAM policy, as JSON, that a verb needs: exactly the calls that it can make.
Without a verb it is that of synth, which is what the CDK CLI runs.

A statement whose Sid ends in Optional may be left out: keywatch then does not see the
stacks of environments that were taken out of the config, nor whether a trail brings the
evidence of sla.evidence, and says so.

Key policies have their say for kms:DescribeKey and kms:ListResourceTags of each key.
If a config is found, the policy is for what it says, or -c in its place. With
inventory.source snapshot, synth and plan only look at the deployed stacks, and not
even that with compare: never; coverage only reads the alarms; explain calls nothing.
To write a snapshot takes the rights to read keys, except with --place, which calls
nothing.

The roles of its environments are listed under sts:AssumeRole: that statement is for
whoever runs keywatch, the others then are for each role. The deploy itself goes
through the roles of cdk bootstrap.

Of the verbs of sla, which read no config, report and claim need theirs for
--log-group, and for charges that are read, alone; sla file is the one that may do more than read: it opens a case
of AWS Support.`,
		Example:   "  keywatch permissions\n  keywatch permissions coverage > policy.json\n  keywatch permissions synth -c keywatch:inventory.source=live\n  keywatch permissions sla collect",
		Args:      cobra.MaximumNArgs(2),
		ValidArgs: policed,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := checkOnlyJSON(format); err != nil {
				return err
			}
			verb := policed[0]
			if len(args) > 0 {
				verb = strings.Join(args, " ")
			}
			if !slices.Contains(policed, verb) {
				return noPolicy(cmd.Root(), verb)
			}
			c, roles := &config.Config{}, []string(nil)
			if !strings.HasPrefix(verb, "sla ") { // which reads no config
				var err error
				if c, roles, err = w.reads(o); err != nil {
					return err
				}
			}
			// A Sid takes letters and digits alone.
			sid := "Keywatch"
			for word := range strings.FieldsSeq(verb) {
				sid += strings.ToUpper(word[:1]) + word[1:]
			}
			needed, optional := w.Actions(verb)
			if from := c.Inventory; from.Source == config.Frozen {
				needed, optional = w.FrozenActions(verb, from.Compare != config.CompareNever)
			}
			if !c.SLA.Evidence { // whose trail is looked at
				optional = slices.DeleteFunc(optional, func(a string) bool { return strings.HasPrefix(a, "cloudtrail:") })
			}
			p := policy{Version: "2012-10-17", Statement: []statement{}}
			if len(needed) > 0 {
				p.Statement = append(p.Statement, allow(sid, needed))
			} else {
				w.note("notice", "with inventory.source %s, %s calls nothing of AWS and needs no permission", c.Inventory.Source, verb)
			}
			if len(optional) > 0 {
				p.Statement = append(p.Statement, allow(sid+"Optional", optional))
			}
			if len(needed) > 0 && len(roles) > 0 {
				p.Statement = append(p.Statement, statement{Sid: "KeywatchAssumesReadRoles", Effect: "Allow", Action: []string{"sts:AssumeRole"}, Resource: roles})
			}
			enc := json.NewEncoder(w.Stdout)
			enc.SetIndent("", "  ")
			return output(enc.Encode(p))
		},
	}
	onlyJSONFlag(cmd, &format)
	return cmd
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
	if words := strings.Fields(verb); len(words) > 0 {
		if c, rest, err := root.Find(words); err == nil && c != root && len(rest) == 0 && c.Runnable() { // and is no help topic
			return fmt.Errorf("%s calls nothing of AWS and needs no permission; verbs that do: %s", verb, allowed)
		}
	}
	return fmt.Errorf("there is no verb %q%s; allowed: %s", verb, diag.DidYouMean(verb, policed), allowed)
}

// reads is the config of the run, and the roles that its environments are read
// with, sorted. Without a config only the context says anything.
func (w *World) reads(o *options) (c *config.Config, roles []string, err error) {
	s, err := w.settings(o)
	if err != nil {
		return nil, nil, err
	}
	if !config.Found(s.request) {
		if s.request.Overrides["inventory.source"] == string(config.Frozen) {
			s.request.Overrides["inventory.path"] = "{account}-{region}.json" // which one takes no permission
		}
		c, problems := config.Parse("", []byte(plainConfig), s.request.Overrides)
		if err := problems.Errors().Err(); err != nil {
			return nil, nil, w.refuse(&config.Config{}, err)
		}
		return c, nil, nil
	}
	if c, s, err = w.load(o); err != nil {
		return nil, nil, err
	}
	spots, err := w.spots(c, s)
	if err != nil {
		return nil, nil, err
	}
	for _, sp := range spots {
		if sp.role != "" {
			roles = append(roles, sp.role)
		}
	}
	slices.Sort(roles)
	return c, slices.Compact(roles), nil
}
