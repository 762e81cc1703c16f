package cli

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"keywatch/config"
	"keywatch/constructs/spec"
	"keywatch/internal/coverage"
	"keywatch/internal/diag"
	"keywatch/internal/inventory"
	"keywatch/internal/plan"
	"keywatch/internal/report"
	"keywatch/internal/rules"
)

// question is what explain is asked.
type question struct {
	format string
	keys   []string
	verify string // a rule that is to decide each key
	tags   []string
	alias  string
	usage  string
	spec   string
}

func (w *World) explainCommand(o *options) *cobra.Command {
	var q question
	cmd := &cobra.Command{
		Use:   "explain KEY... | --tags KEY=VALUE,...",
		Short: "why a key has its alarms, or none",
		Long: `Show for each KEY (a key ID, key ARN or alias) the exceptions that name it, every
rule in order, what each condition saw and said, and the alarms that follow, or the
reason for none.

With --tags it answers for a key that does not exist yet, and reads nothing from
AWS: --tags team=x,env=y, with \\ in front of a comma that belongs to a value.

With --verify RULE it is an assertion for a pipeline: exit status 1 unless RULE
decides every KEY, that is, makes an alarm for it, or says watch: false and leaves
it without any.

Exit status 1 also if synth would stop at an error on one of the keys, or at one
that is about no key by itself, such as a limit. Errors on other keys alone are
left to plan, and so is what is deployed when the keys come from a snapshot: explain
then calls nothing of AWS.`,
		Example: "  keywatch explain alias/payments-db\n  keywatch explain 1234abcd-12ab-34cd-56ef-1234567890ab --format json\n  keywatch explain --tags team=payments --usage SIGN_VERIFY --spec RSA_2048\n  keywatch explain alias/payments-db --verify payments",
		RunE: func(cmd *cobra.Command, args []string) error {
			q.keys = args
			assume := cmd.Flags().Changed("tags")
			if cmd.Flags().Changed("verify") && strings.TrimSpace(q.verify) == "" {
				return fmt.Errorf("--verify %q names no rule, so it would assert nothing; give the name of the rule that is to decide the keys", q.verify)
			}
			if err := q.check(assume); err != nil {
				return err
			}
			o.json = q.format == "json"
			c, s, err := w.load(o)
			if err != nil {
				return err
			}
			if err := q.checkRule(c); err != nil {
				return err
			}
			if assume {
				return w.explainAssumed(c, s, &q)
			}
			return w.explainKeys(cmd.Context(), c, s, &q)
		},
	}
	formatFlag(cmd, &q.format)
	flags := cmd.Flags()
	flags.StringVar(&q.verify, "verify", "", "fail unless this rule decides every key")
	flags.StringArrayVar(&q.tags, "tags", nil, "tags of a key that does not exist yet, KEY=VALUE,...; may be repeated")
	flags.StringVar(&q.alias, "alias", "", "with --tags: the key's alias")
	flags.StringVar(&q.usage, "usage", "", "with --tags: the key's usage (default ENCRYPT_DECRYPT)")
	flags.StringVar(&q.spec, "spec", "", "with --tags: the key's spec (default SYMMETRIC_DEFAULT)")
	return cmd
}

// check looks at the arguments together.
func (q *question) check(assume bool) error {
	switch {
	case assume && len(q.keys) > 0:
		return fmt.Errorf("--tags is for a key that does not exist yet, and %q is given too; ask for one or the other", q.keys[0])
	case !assume && q.alias+q.usage+q.spec != "":
		return fmt.Errorf("--alias, --usage and --spec say what a key that does not exist yet is; give its tags too, --tags '' for none")
	case !assume && len(q.keys) == 0:
		return fmt.Errorf("explain which key? Give a key ID, key ARN or alias, or --tags for one that does not exist yet")
	}
	return checkFormat(q.format)
}

func (q *question) checkRule(c *config.Config) error {
	if q.verify == "" {
		return nil
	}
	var names []string
	for _, r := range c.Rules {
		names = append(names, r.Name)
	}
	if slices.Contains(names, q.verify) {
		return nil
	}
	return fmt.Errorf("--verify %q names no rule of %s%s; it has %s", q.verify, c.File, diag.DidYouMean(q.verify, names), strings.Join(names, ", "))
}

func (w *World) explainKeys(ctx context.Context, c *config.Config, s *settings, q *question) error {
	all, err := w.plans(ctx, c, s, asked{depth: traced})
	if err != nil {
		return err
	}
	var reports []*coverage.Report
	found := map[string]bool{}
	plans := make([]*plan.Plan, len(all))
	for i, b := range all {
		plans[i] = b.plan
		picked := pick(coverage.Planned(b.plan), q.keys, found)
		if len(picked.Keys) > 0 || len(all) == 1 {
			reports = append(reports, picked)
		}
	}
	if !w.allFound(all, q.keys, found) {
		return errGate
	}
	return w.answer(q, plans, reports)
}

// answer prints explanations, and then says which of them are not as expected. The
// errors of the plans that stop a deployment of one of the keys are said first.
func (w *World) answer(q *question, plans []*plan.Plan, reports []*coverage.Report) error {
	var wrong []string
	var stops diag.List
	for _, r := range reports {
		for i := range r.Keys {
			k := &r.Keys[i]
			errs := errorsOf(plans, k.ARN)
			stops = append(stops, errs...)
			if q.verify == "" {
				continue
			}
			decides := k.Verify(q.verify)
			ok := decides && len(errs) == 0
			switch k.Verified = &ok; {
			case !decides:
				wrong = append(wrong, unexpected(r.Plan.Config, k, q.verify))
			case !ok:
				wrong = append(wrong, fmt.Sprintf("key %s: rule %q decides it, but synth would stop: %s [%s]", k.ARN, q.verify, errs[0].Message, errs[0].Code))
			}
		}
	}
	stops.Sort()
	w.say(stops, plans[0].Config)
	err := w.print(q.format, reports, report.Form{}, func(out io.Writer, r *coverage.Report) {
		for i := range r.Keys {
			if i > 0 {
				fmt.Fprintln(out)
			}
			report.Explain(out, &r.Keys[i])
		}
	})
	if err != nil || len(wrong)+len(stops) == 0 {
		return err
	}
	for _, text := range wrong {
		w.note("error", "%s", text)
	}
	return errGate
}

// errorsOf are the errors at which a run of these plans stops for a key: one
// environment with an error stops them all.
func errorsOf(plans []*plan.Plan, arn string) diag.List {
	var l diag.List
	for _, p := range plans {
		l = append(l, p.ErrorsOf(arn)...)
	}
	return l
}

// unexpected says what decides a key instead of a rule, and why that one does not.
func unexpected(c *config.Config, k *coverage.Key, rule string) string {
	got := report.Without(k.Status, k.Reason)
	if len(k.Alarms) > 0 {
		var by []string // those that make its alarms, and no other that matches
		for _, a := range k.Alarms {
			if name := fmt.Sprintf("rule %q", a.Rule); !slices.Contains(by, name) {
				by = append(by, name)
			}
		}
		got = "alarms by " + strings.Join(by, " and ")
	}
	off := slices.ContainsFunc(c.Rules, func(r config.Rule) bool { return r.Name == rule && !r.Watch })
	why := fmt.Sprintf("rule %q is not asked, since an earlier one decides", rule)
	for _, t := range k.Decision.Trace {
		switch {
		case t.Answer == rules.Unknown && t.Rule == rule:
			why = fmt.Sprintf("rule %q hangs on what is unknown", rule)
		case t.Answer == rules.Unknown:
			why = fmt.Sprintf("rule %q is not asked, since the walk ended at rule %q, which hangs on what is unknown", rule, t.Rule)
		case t.Rule != rule:
		case t.Matched && off && len(k.Alarms) > 0:
			why = fmt.Sprintf("rule %q says watch: false, after an earlier rule with continue: true made alarms", rule)
		case t.Matched:
			why = fmt.Sprintf("rule %q matches, and makes no alarm on it", rule)
		default:
			why = fmt.Sprintf("rule %q does not match", rule)
		}
	}
	return fmt.Sprintf("key %s: expected rule %q, got %s; %s", k.ARN, rule, got, why)
}

// explainAssumed answers for a key that does not exist yet. It would be the same
// in every environment but for its ARN, so that one answers for all.
func (w *World) explainAssumed(c *config.Config, s *settings, q *question) error {
	k, err := q.assumed()
	if err != nil {
		return err
	}
	spots, err := w.spots(c, s)
	if err != nil {
		return err
	}
	inv := &inventory.Inventory{Account: spots[0].account, Region: spots[0].region, Partition: "aws"}
	if inv.Account == "" {
		inv.Account = "{account}"
	}
	if inv.Region == "" {
		inv.Region = "{region}"
	} else {
		inv.Partition = config.PartitionOf(inv.Region)
	}
	if w.Now != nil {
		inv.ReadAt = w.Now()
	}
	k.Created = inv.ReadAt
	k.ARN = strings.Join([]string{"arn", inv.Partition, "kms", inv.Region, inv.Account, "key/" + k.ID}, ":")
	inv.Keys = []inventory.Key{*k}
	inv.Sort()
	p := plan.Build(c, inv, plan.Options{Fill: w.Fill, Trace: true})
	// Of limits and of the rest of the account it can say nothing.
	p.Problems = slices.DeleteFunc(p.Problems, func(p diag.Problem) bool { return p.Code != "duplicate-alarm" })
	r := coverage.Planned(p)
	answer := &r.Keys[0]
	answer.Assumed = true
	for i := range answer.Alarms {
		answer.Alarms[i].Stack = ""
	}
	return w.answer(q, []*plan.Plan{p}, []*coverage.Report{r})
}

// assumed is the key that the flags describe.
func (q *question) assumed() (*inventory.Key, error) {
	tags, err := parseTags(q.tags)
	if err != nil {
		return nil, err
	}
	k := &inventory.Key{
		ID: inventory.NoID, Tags: tags, Manager: "CUSTOMER", State: "Enabled", Origin: "AWS_KMS", Described: true,
		Usage: q.usage, Spec: q.spec,
	}
	if q.alias != "" {
		if name, ok := strings.CutPrefix(q.alias, "alias/"); !ok || name == "" || strings.HasPrefix(name, "aws/") {
			return nil, fmt.Errorf("--alias %q is no alias that a key of yours can have; write alias/NAME", q.alias)
		}
		if !config.IsAlias(q.alias) {
			return nil, fmt.Errorf("--alias %q is no alias that a key can have: it is alias/ and letters, digits, /, _ and -, at most 256 characters", q.alias)
		}
		k.Aliases = []inventory.Alias{{Name: q.alias}}
	}
	return k, assumeType(k)
}

// usages are the KeyUsage values (CreateKey, KMS API Reference).
var usages = []string{spec.UsageEncryptDecrypt, spec.UsageSignVerify, spec.UsageGenerateVerifyMac, spec.UsageKeyAgreement}

// assumeType fills in usage and spec as CreateKey does, or as one follows from the
// other.
func assumeType(k *inventory.Key) error {
	if k.Usage != "" && !slices.Contains(usages, k.Usage) {
		return fmt.Errorf("--usage %q%s; allowed: %s", k.Usage, diag.DidYouMean(k.Usage, usages), strings.Join(usages, ", "))
	}
	if k.Spec == "" && (k.Usage == "" || k.Usage == spec.UsageEncryptDecrypt) {
		k.Spec = spec.SpecSymmetricDefault
	}
	if k.Spec == "" {
		return fmt.Errorf("--usage %s needs a --spec too, such as RSA_2048, ECC_NIST_P256 or HMAC_256", k.Usage)
	}
	fits := slices.DeleteFunc(slices.Clone(usages), func(usage string) bool { _, known := spec.Applicable(usage, k.Spec); return !known })
	switch {
	case len(fits) == 0:
		return fmt.Errorf("--spec %q is no key spec that keywatch knows; write it as CreateKey does, such as SYMMETRIC_DEFAULT, RSA_2048 or ECC_NIST_P256", k.Spec)
	case k.Usage == "" && len(fits) == 1:
		k.Usage = fits[0]
	case !slices.Contains(fits, k.Usage):
		return fmt.Errorf("--spec %s goes with --usage %s, not %q", k.Spec, strings.Join(fits, " or "), k.Usage)
	}
	return nil
}

// parseTags reads KEY=VALUE pairs with commas between them; a backslash takes the
// next character as it is.
func parseTags(args []string) ([]inventory.Tag, error) {
	var out []inventory.Tag
	for _, arg := range args {
		if arg == "" {
			continue // a key without tags
		}
		var part strings.Builder
		var key *string
		end := func() error {
			if key == nil {
				return fmt.Errorf("--tags: %q has no value; write KEY=VALUE, or KEY= for an empty one", part.String())
			}
			t := inventory.Tag{Key: *key, Value: part.String()}
			switch {
			case t.Key == "":
				return fmt.Errorf("--tags: %q has no key; write KEY=VALUE", "="+t.Value)
			case utf8.RuneCountInString(t.Key) > config.MaxTagKey:
				return fmt.Errorf("--tags: the tag key %q has %d characters; at most %d are allowed", t.Key, utf8.RuneCountInString(t.Key), config.MaxTagKey)
			case utf8.RuneCountInString(t.Value) > config.MaxTagValue:
				return fmt.Errorf("--tags: the value of the tag %q has %d characters; at most %d are allowed", t.Key, utf8.RuneCountInString(t.Value), config.MaxTagValue)
			case slices.ContainsFunc(out, func(o inventory.Tag) bool { return o.Key == t.Key }):
				return fmt.Errorf("--tags gives the tag %q twice; a key has each tag once", t.Key)
			}
			out, key = append(out, t), nil
			part.Reset()
			return nil
		}
		escaped := false
		for _, r := range arg {
			switch {
			case escaped:
				part.WriteRune(r)
				escaped = false
			case r == '\\':
				escaped = true
			case r == '=' && key == nil:
				name := part.String()
				key = &name
				part.Reset()
			case r == ',':
				if err := end(); err != nil {
					return nil, err
				}
			default:
				part.WriteRune(r)
			}
		}
		if escaped {
			return nil, fmt.Errorf(`--tags: a \ at the end of %q has nothing to take as it is; write \\ for a backslash`, arg)
		}
		if err := end(); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// pick keeps the keys that are asked for, each once, in the report's order, and
// notes what was found.
func pick(r *coverage.Report, args []string, found map[string]bool) *coverage.Report {
	out := &coverage.Report{Plan: r.Plan}
	for _, k := range r.Keys {
		wanted := false
		for _, arg := range args {
			if k.ID == arg || k.ARN == arg || slices.ContainsFunc(k.Aliases, func(a inventory.Alias) bool { return a.Name == arg || aliasARN(&k, a) == arg }) {
				wanted, found[arg] = true, true
			}
		}
		if wanted {
			out.Keys = append(out.Keys, k)
		}
	}
	return out
}

// aliasARN is the ARN of one of the key's aliases, which is that of the key but
// for its last part ("Key identifiers", KMS Developer Guide).
func aliasARN(k *coverage.Key, a inventory.Alias) string {
	return strings.TrimSuffix(k.ARN, "key/"+k.ID) + a.Name
}

// allFound says which of the keys that were asked for do not exist.
func (w *World) allFound(all []built, args []string, found map[string]bool) bool {
	var where []string
	for _, b := range all {
		where = append(where, b.plan.Inventory.Account+" in "+b.plan.Inventory.Region)
	}
	whole := true
	for _, arg := range args {
		if !found[arg] {
			w.note("error", "no key of %s has the ID, ARN or alias %q%s", strings.Join(where, ", "), arg, perhaps(all, arg))
			whole = false
		}
	}
	return whole
}

// perhaps says why there may be no key of that name.
func perhaps(all []built, arg string) string {
	parts := strings.SplitN(arg, ":", 6) // arn:partition:service:region:account:resource
	switch {
	case parts[0] != "arn" || len(parts) < 6:
		if id, ok := strings.CutPrefix(arg, "key/"); ok {
			return fmt.Sprintf("; a key ID stands alone: %s", id)
		}
		return nearAlias(all, arg) + "; an alias begins with alias/"
	case parts[2] != "kms":
		return fmt.Sprintf("; that is an ARN of %s, not of kms", parts[2])
	case !slices.ContainsFunc(all, func(b built) bool {
		return b.plan.Inventory.Account == parts[4] && b.plan.Inventory.Region == parts[3]
	}):
		return fmt.Sprintf("; that is an ARN of %s in %s, which was not read", parts[4], parts[3])
	}
	return ""
}

// nearAlias is ` (did you mean "alias/x"?)` for the alias that comes nearest, or "".
// What all aliases begin with makes none of them near.
func nearAlias(all []built, arg string) string {
	var names []string
	for _, b := range all {
		for i := range b.plan.Keys {
			for _, a := range b.plan.Keys[i].Aliases {
				names = append(names, strings.TrimPrefix(a.Name, "alias/"))
			}
		}
	}
	near := diag.Nearest(strings.TrimPrefix(arg, "alias/"), names)
	if near == "" {
		return ""
	}
	return fmt.Sprintf(" (did you mean %q?)", "alias/"+near)
}
