package cli

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"keywatch/config"
)

// helpColumns is how wide help is.
const helpColumns = 80

// teach adds what explains the verbs: topics, the completion of a shell, and help
// that fits a terminal.
func (w *World) teach(root *cobra.Command, o *options) {
	root.AddCommand(w.completionCommand())
	for _, t := range topics {
		root.AddCommand(&cobra.Command{Use: t.name, Short: t.short, Long: t.text})
	}
	root.CompletionOptions.DisableDefaultCmd = true
	for _, cmd := range append(below(root), root) {
		cmd.Long = filled(cmd.Long)
	}
	usage := root.UsageTemplate()
	for _, flags := range []string{"LocalFlags", "InheritedFlags"} {
		usage = strings.ReplaceAll(usage, "."+flags+".FlagUsages ", fmt.Sprintf(".%s.FlagUsagesWrapped %d ", flags, helpColumns))
	}
	root.SetUsageTemplate(usage)
	words := func(list []string) cobra.CompletionFunc {
		return cobra.FixedCompletions(list, cobra.ShellCompDirectiveNoFileComp)
	}
	for _, cmd := range below(root) {
		if cmd.ValidArgs == nil && !strings.Contains(cmd.Use, " DIR") {
			cmd.ValidArgsFunction = cobra.NoFileCompletions // keys, or nothing
		}
		said := formats
		if f := cmd.Flags().Lookup("format"); f != nil && f.DefValue != formats[0] {
			said = []string{f.DefValue}
		}
		for flag, complete := range map[string]cobra.CompletionFunc{"format": words(said), "verify": w.completeRules(o), "usage": words(config.Usage.Values()), "spec": words(config.Spec.Values())} {
			if cmd.Flags().Lookup(flag) != nil {
				_ = cmd.RegisterFlagCompletionFunc(flag, complete) // fails only for a flag that is not there
			}
		}
	}
	_ = root.RegisterFlagCompletionFunc("context", func(_ *cobra.Command, _ []string, begun string) ([]string, cobra.ShellCompDirective) {
		var out []string
		for _, name := range names() {
			if value := prefix + name + "="; strings.HasPrefix(value, begun) {
				out = append(out, value)
			}
		}
		return out, cobra.ShellCompDirectiveNoSpace | cobra.ShellCompDirectiveNoFileComp
	})
}

// below are the commands below one, those of `sla` too.
func below(cmd *cobra.Command) []*cobra.Command {
	var out []*cobra.Command
	for _, c := range cmd.Commands() {
		out = append(append(out, c), below(c)...)
	}
	return out
}

// completeRules are the names of the config's rules. It reads the config alone, and
// has nothing to say about one that is wrong.
func (w *World) completeRules(o *options) cobra.CompletionFunc {
	return func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		var out []string
		if c, _, err := w.judge(o); err == nil {
			for _, r := range c.Rules {
				out = append(out, r.Name)
			}
		}
		return out, cobra.ShellCompDirectiveNoFileComp
	}
}

var shells = []string{"bash", "zsh", "fish", "powershell"}

func (w *World) completionCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "completion SHELL",
		Short: "the completion of verbs and flags for your shell",
		Long: `Print a script that completes verbs, flags and their values in a shell: bash, zsh,
fish or powershell. Load it in each session, or once into the shell's folder.`,
		Example: `  source <(keywatch completion bash)
  keywatch completion zsh > "${fpath[1]}/_keywatch"
  keywatch completion fish > ~/.config/fish/completions/keywatch.fish
  keywatch completion powershell | Out-String | Invoke-Expression`,
		Args:      cobra.ExactArgs(1),
		ValidArgs: shells,
		RunE: func(cmd *cobra.Command, args []string) error {
			root := cmd.Root()
			switch args[0] {
			case "bash":
				return output(root.GenBashCompletionV2(w.Stdout, true))
			case "zsh":
				return output(root.GenZshCompletion(w.Stdout))
			case "fish":
				return output(root.GenFishCompletion(w.Stdout, true))
			case "powershell":
				return output(root.GenPowerShellCompletionWithDesc(w.Stdout))
			}
			return fmt.Errorf("no completion for the shell %q; allowed: %s", args[0], strings.Join(shells, ", "))
		},
	}
}

// topics are what help explains beside the verbs: keywatch help NAME.
var topics = []struct{ name, short, text string }{
	{"config", "the config file, field by field", `One YAML file says which keys get which alarms.

  version: 1
  limits: {alarms: 500, monthlyUSD: 100}
  rules:
    - name: sandbox
      match: {tag: env, in: [sandbox, dev]}
      watch: false
    - name: payments
      match: {tag: team, equals: payments}
      actions: {alarm: ["arn:{partition}:sns:{region}:{account}:pager"]}

Rules are asked in order; the first that matches a key decides, unless it says
continue: true. The file is looked for in this order: -c keywatch:config=PATH,
--config PATH, $KEYWATCH_CONFIG, ./keywatch.yaml, config/keywatch.yaml.

  keywatch init         writes a first one for the account
  keywatch validate     says all that is wrong with it
  keywatch schema       lets an editor complete and check it

A value may come from outside: -c keywatch:limits.alarms=900. These may:
` + broken(strings.Fields(strings.Join(config.Overridable, ", ")), "  ") + `

Every field, its default and its meaning: docs/config.md.`},
	{"conditions", "which keys a rule matches", `The match of a rule is the word every, or a condition: a leaf, or all, any, not.

  match:
    all:
      - {tag: team, in: [payments, ledger]}
      - not: {tag: env, glob: "dev*"}

A leaf on a tag names it and has one test:

  equals: TEXT      the value is this text
  in: [A, B]        the value is one of these
  glob: "pay-*"     * any run of characters, ? one, [abc] one of these
  regex: 'a[0-9]+'  RE2, on the whole value
  exists: true      the key has the tag; false: it has not

Case matters. An empty value is a value. A tag that is not there satisfies only
exists: false, and not around any other leaf. What YAML reads as a number, a
boolean or a date needs quotes.

A leaf on what the key is stands alone; the first six have equals, in or glob:

  - alias: {glob: "alias/pay-*"}       any alias of the key
  - keyId: {glob: "mrk-*"}
  - usage: {equals: SIGN_VERIFY}
  - spec: {in: [RSA_2048, RSA_4096]}
  - origin: {equals: EXTERNAL}
  - state: {equals: Disabled}
  - multiRegion: true
  - createdBefore: 2026-01-31          also createdAfter; days in UTC

What may not be read is unknown, and a rule that needs it leaves the key unreadable.

  keywatch explain KEY  shows what each leaf saw of a key

More, with a table of what matches what: docs/rules.md.`},
	{"exceptions", "keys that are taken out for a time", `An exception wins over all rules: the key gets no alarms, until a day, for a reason
that explain and coverage show.

  exceptions:
    - key: 1234abcd-12ab-34cd-56ef-1234567890ab
      reason: retired in Q1
      owner: data-platform
      expires: 2027-01-31
    - key: alias/legacy
      environment: 111122223333/eu-west-1
      written: 2026-11-30
      reason: moves to the new ledger
      owner: payments
      expires: 2027-03-31

key is a key ID, a key ARN, or an alias. One by alias says where, by environment or
everywhere: true, and since when, by written: an alias that was pointed to another
key since then is not excepted, and that is a finding. So is one that has expired,
that expires soon, or that names no key.

More: docs/exceptions.md.`},
	{"findings", "remarks on the rules, and their levels", `A finding is a remark on the rule set: a rule that matches no key, keys that no rule
takes, a tag that looks like a slip, an exception that has expired. Each has a code,
and each code a level:

  findings: {all: warn, tag-typo: fail, unmatched: off}

  warn  it is said, and nothing stops; the level of all unless it is set
  fail  it is an error: synth stops, and plan and validate exit with 1
  off   it is not said

For one strict run: -c keywatch:findings.all=fail. These codes have a level:
` + broken(strings.Fields(strings.Join(config.FindingCodes, ", ")), "  ") + `

A page for each: docs/codes.`},
	{"snapshots", "synth without credentials", `A snapshot is a file with the keys of an account and region, and the stack in
which each alarm lives. With it, synth needs neither credentials nor network.

  inventory: {source: snapshot, path: "snapshots/{account}-{region}.json"}

  keywatch snapshot            reads AWS and writes the file
  keywatch snapshot --place    offline, after a change of the rules
  keywatch snapshot --check    fails if the file is old or not what is there now

Commit the file and have it reviewed: it decides which keys have alarms. It has a
checksum; an edit by hand is refused. Where there are credentials, synth compares
it with what is deployed: alarms go only by a file that was read after they were
last deployed. For one run on what is there now: -c keywatch:inventory.source=live.

More: docs/snapshot.md.`},
	{"environments", "several accounts and regions", `Without environments in the config, a run is for the account and region that the
CDK CLI resolved, or else those of the credentials and of $AWS_REGION.

  environments:
    - {account: "111122223333", region: eu-west-1}
    - {account: "444455556666", region: us-east-1, role: cdk-lookup}

role is whose permissions read the keys: none (the caller's own), cdk-lookup (the
role that cdk bootstrap made), or the ARN of a role. Environments are read side by
side; if one fails, the run fails.

  -c keywatch:env=111122223333/eu-west-1    only that one

ARNs may hold {partition}, {region} and {account}, which are filled in for each.

More: docs/config.md.`},
	{"exit-status", "what the exit status says", `  0  fine
  1  problems in the config, or a gate failed: coverage found a key without its
     alarms, snapshot --check a file that is not what is there now, explain an
     error at which synth stops for a key, explain --verify a key that another
     rule decides; or a finding whose level is fail
  2  bad usage: a verb, flag or argument that does not exist, or is missing
  3  the environment failed: AWS, files, Node.js

go run and cdk turn any of them but 0 into 1. Problems end in a code in brackets;
docs/codes has a page for each.`},
}

// filled breaks the lines of prose anew, so that they fit; what is indented, or a
// table, stays.
func filled(text string) string {
	paragraphs := strings.Split(text, "\n\n")
	for i, p := range paragraphs {
		if !strings.HasPrefix(p, " ") && !strings.Contains(p, "\n ") && !strings.Contains(p, "  ") {
			paragraphs[i] = broken(strings.Fields(p), "")
		}
	}
	return strings.Join(paragraphs, "\n\n")
}

// broken puts words into lines that begin with indent.
func broken(words []string, indent string) string {
	var b strings.Builder
	line := indent
	for _, word := range words {
		if line != indent && len(line)+1+len(word) > helpColumns {
			b.WriteString(line + "\n")
			line = indent
		}
		if line != indent {
			line += " "
		}
		line += word
	}
	return b.String() + line
}
