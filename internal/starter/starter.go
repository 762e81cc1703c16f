// Package starter writes a first config for an account: rules by the tag that says
// most about its keys, with what they would make and cost.
//
// It is pure: the inventory comes in, the text of a file goes out. What the text
// says of alarms and prices is asked of internal/plan, on the text itself. Start
// reading at [Config].
package starter

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"unicode"

	"go.yaml.in/yaml/v3"

	"keywatch/config"
	"keywatch/internal/inventory"
	"keywatch/internal/plan"
	"keywatch/internal/rules"
)

// Limits of what is suggested and told, for a file that somebody reads.
const (
	mostTags   = 10
	mostValues = 5
	mostRules  = 8
	// mostWords is how many values one rule lists.
	mostWords = 20
	// leastShare is which part of the keys carries a tag that rules go by: one in two.
	leastShare = 2
)

// Suggestion is a first config, with what it says of the account as data.
type Suggestion struct {
	Text []byte
	Tags []Tag
	// Plan is what the config makes; Rules are its rules, and last the one for all
	// other keys, which stands there as a comment.
	Plan  *plan.Plan
	Rules []Rule
	// NotTaken are the keys without alarms, by why.
	NotTaken NotTaken
}

// Rule is one rule that is suggested.
type Rule struct {
	Name, YAML string
	// Commented: it stands in the config as a comment.
	Commented bool
	Total     plan.RuleTotal
}

// NotTaken counts keys without alarms: those that no rule takes, that can have none,
// and that could not be read.
type NotTaken struct{ Unmatched, NotEligible, Unreadable int }

// Config suggests a config for the account of an inventory that was read as a whole.
// schema is where an editor finds the schema, as seen from the config; empty: nowhere
// yet.
func Config(inv *inventory.Inventory, schema string) (*Suggestion, error) {
	every, err := planned(inv, file{rules: suggest(nil)})
	if err != nil {
		return nil, err
	}
	tags := tagsOf(every)
	choice, why := choose(tags, every.Totals.Watched)
	f := file{schema: schema, rules: suggest(choice), tags: tags, why: why, every: every}
	if choice != nil {
		f.why += f.unlisted(choice)
	}
	if choice != nil {
		f.rest = &rule{name: "others", ops: oneOperation, band: "3", about: "Every other key: one alarm, on the operation that reads or signs."}
		if f.withRest, err = planned(inv, file{rules: append(slices.Clone(f.rules), *f.rest)}); err != nil {
			return nil, err
		}
	}
	if f.plan, err = planned(inv, file{rules: f.rules}); err != nil {
		return nil, err
	}
	text := f.text()
	if _, err = parse(text); err != nil {
		return nil, err
	}
	return f.suggestion(text), nil
}

func (f *file) suggestion(text string) *Suggestion {
	s := &Suggestion{Text: []byte(text), Tags: f.tags, Plan: f.plan, NotTaken: f.notTaken()}
	for i, r := range f.rules {
		s.Rules = append(s.Rules, Rule{Name: r.name, YAML: r.text(""), Total: f.plan.Rules[i]})
	}
	if f.rest != nil {
		s.Rules = append(s.Rules, Rule{Name: f.rest.name, YAML: f.rest.text(""), Commented: true, Total: f.withRest.Rules[len(f.rules)]})
	}
	return s
}

// unlisted says which values of the tag that rules go by are in none of them.
func (f *file) unlisted(t *Tag) string {
	listed := map[string]bool{}
	for _, r := range f.rules {
		for _, v := range r.values {
			listed[v] = true
		}
	}
	values, keys := 0, 0
	for _, v := range t.Values {
		if !listed[v.Text] {
			values++
			keys += v.Keys
		}
	}
	if values == 0 {
		return ""
	}
	return fmt.Sprintf(" In no rule: %s of it, on %s.", counted(values, "value"), counted(keys, "key"))
}

func (f *file) notTaken() NotTaken {
	counts := map[rules.Status]int{}
	for i := range f.every.Keys {
		counts[f.every.Keys[i].Decision.Status]++
	}
	return NotTaken{counts[rules.Watched] - f.plan.Totals.Watched, counts[rules.NotEligible], counts[rules.Unreadable]}
}

func parse(text string) (*config.Config, error) {
	c, problems := config.Parse("keywatch.yaml", []byte(text), nil)
	if err := problems.Errors().Err(); err != nil {
		return nil, fmt.Errorf("starter: the suggested config is not valid, which is a mistake of keywatch: %w", err)
	}
	return c, nil
}

func planned(inv *inventory.Inventory, f file) (*plan.Plan, error) {
	c, err := parse(f.text())
	if err != nil {
		return nil, err
	}
	return plan.Build(c, inv, plan.Options{}), nil
}

// Tag is one tag key with the keys that carry it.
type Tag struct {
	Key    string
	Keys   int
	Values []Value
}

// Value is one of a tag's values, the most frequent first.
type Value struct {
	Text string
	Keys int
}

// tagsOf counts the tags of the keys that can have alarms, those on most keys
// first.
func tagsOf(every *plan.Plan) []Tag {
	counts := map[string]map[string]int{}
	for i := range every.Keys {
		if every.Keys[i].Decision.Status != rules.Watched {
			continue
		}
		for _, t := range every.Keys[i].Tags {
			if counts[t.Key] == nil {
				counts[t.Key] = map[string]int{}
			}
			counts[t.Key][t.Value]++
		}
	}
	var out []Tag
	for key, values := range counts {
		t := Tag{Key: key}
		for text, n := range values {
			t.Values = append(t.Values, Value{text, n})
			t.Keys += n
		}
		slices.SortFunc(t.Values, func(a, b Value) int { return cmp.Or(cmp.Compare(b.Keys, a.Keys), cmp.Compare(a.Text, b.Text)) })
		out = append(out, t)
	}
	slices.SortFunc(out, func(a, b Tag) int { return cmp.Or(cmp.Compare(b.Keys, a.Keys), cmp.Compare(a.Key, b.Key)) })
	return out
}

// kinds are what a tag key may be about, by the words that people use for it,
// without blanks and punctuation.
var kinds = []struct {
	name  string
	words []string
}{
	{"an environment", []string{"env", "environment", "stage", "tier"}},
	{"a data class", []string{"dataclass", "dataclassification", "classification", "confidentiality", "sensitivity"}},
	{"a team", []string{"team", "owner", "squad", "application", "app", "service", "project", "product"}},
}

// kindOf is the index in kinds of what a tag key looks like, or -1.
func kindOf(key string) int {
	word := strings.Map(func(r rune) rune {
		if r < 'a' || r > 'z' {
			return -1
		}
		return r
	}, strings.ToLower(key))
	for i, k := range kinds {
		if slices.Contains(k.words, word) {
			return i
		}
	}
	return -1
}

// choose takes the tag to make rules of: of those on half of the keys and more, the
// one on most keys that looks like an environment, a data class or a team. Nil: there
// is none.
func choose(seen []Tag, keys int) (*Tag, string) {
	const purposes = "an environment, a data class or a team"
	best := -1
	var rare []string
	for i := range seen {
		switch t := &seen[i]; {
		case kindOf(t.Key) < 0:
		case t.Keys*leastShare < keys:
			rare = append(rare, fmt.Sprintf("%s is on %d of %d", told(t.Key), t.Keys, keys))
		case best < 0 || t.Keys == seen[best].Keys && kindOf(t.Key) < kindOf(seen[best].Key):
			best = i
		}
	}
	switch {
	case best >= 0:
		return &seen[best], fmt.Sprintf("The rules go by the tag %s: of the tags that look like %s, it is on most keys. It looks like %s.",
			told(seen[best].Key), purposes, kinds[kindOf(seen[best].Key)].name)
	case len(rare) > 0:
		return nil, fmt.Sprintf("No tag that looks like %s is on half of the keys (%s), so one rule takes every key.", purposes, strings.Join(rare, ", "))
	}
	return nil, "No tag looks like " + purposes + ", so one rule takes every key."
}

// rule is one suggestion.
type rule struct {
	name, about string
	tag         string // empty: every key
	values      []string
	ops         []string // empty: core
	band        string
}

var (
	oneOperation = []string{"Decrypt", "Sign", "GenerateMac", "DeriveSharedSecret"}
	production   = []string{"prod", "production", "prd", "live"}
)

func suggest(t *Tag) []rule {
	if t == nil {
		return []rule{{name: "all", ops: oneOperation, band: "3", about: "Every key: one alarm, on the operation that reads or signs."}}
	}
	if kindOf(t.Key) == 0 {
		return byEnvironment(t)
	}
	var out []rule
	taken := map[string]bool{"others": true}
	for _, v := range t.Values[:min(len(t.Values), mostRules)] {
		out = append(out, rule{name: name(v.Text, taken), tag: t.Key, values: []string{v.Text}, band: "2",
			about: "Each operation that the key can do has its own alarm, but for the two data key pair operations."})
	}
	return out
}

// byEnvironment watches production closely and the rest a little.
func byEnvironment(t *Tag) []rule {
	prod := rule{name: "production", tag: t.Key, band: "2",
		about: "Production: each operation that the key can do has its own alarm, but for the two data key pair operations."}
	rest := rule{name: "not-production", tag: t.Key, ops: oneOperation, band: "3",
		about: "The other environments: one alarm, on the operation that reads or signs. For none at all write watch: false."}
	for _, v := range t.Values {
		to := &rest
		if slices.Contains(production, strings.ToLower(v.Text)) {
			to = &prod
		}
		if len(to.values) < mostWords {
			to.values = append(to.values, v.Text)
		}
	}
	return slices.DeleteFunc([]rule{prod, rest}, func(r rule) bool { return len(r.values) == 0 })
}

// name makes the name of a rule of a tag's value.
func name(text string, taken map[string]bool) string {
	word := strings.Trim(strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
			return r
		}
		return '-'
	}, strings.ToLower(text)), "-")
	if len(word) > 24 { // room for a number
		word = strings.Trim(word[:24], "-")
	}
	word = cmp.Or(word, "rule")
	free := word
	for n := 2; taken[free]; n++ {
		free = fmt.Sprintf("%s-%d", word, n)
	}
	taken[free] = true
	return free
}

// file is what is written. Without a plan it has no comments and the widest limits.
type file struct {
	schema string
	rules  []rule
	tags   []Tag
	why    string
	plan   *plan.Plan
	// every is the plan of a rule that takes every key.
	every *plan.Plan
	// rest is the rule for all other keys, which stands there as a comment, and
	// withRest the plan with it.
	rest     *rule
	withRest *plan.Plan
}

func (f *file) text() string {
	var b strings.Builder
	if f.plan != nil {
		f.head(&b)
	}
	b.WriteString("version: 1\n")
	if f.plan != nil {
		alarms, usd := above(f.plan)
		b.WriteString("\n")
		note(&b, "", "", "Just above what is suggested. Synth refuses to exceed them.")
		fmt.Fprintf(&b, "limits: {alarms: %d, monthlyUSD: %d}\n", alarms, usd)
		b.WriteString("\n")
		note(&b, "", "", f.why)
	}
	b.WriteString("rules:\n")
	for i, r := range f.rules {
		if f.plan != nil {
			if i > 0 {
				b.WriteString("\n")
			}
			note(&b, "", "  ", r.about)
			fmt.Fprintf(&b, "  # %s.\n", total(f.plan.Rules[i]))
		}
		b.WriteString(r.text("  "))
	}
	if f.plan != nil {
		f.tail(&b)
	}
	return b.String()
}

// head says whose config this is, and which tags the keys have.
func (f *file) head(b *strings.Builder) {
	inv := f.plan.Inventory
	if f.schema != "" {
		fmt.Fprintf(b, "# yaml-language-server: $schema=%s\n#\n", f.schema)
	} else {
		b.WriteString("# For an editor: keywatch schema > keywatch.schema.json, and the first line\n" +
			"#   \"# yaml-language-server: $schema=keywatch.schema.json\"\n#\n")
	}
	note(b, "", "", fmt.Sprintf("A first config for %s in %s, as it was on %s. Look at each rule, say whom to tell, then see keywatch validate and keywatch plan. Every field is in docs/config.md.",
		inv.Account, inv.Region, inv.ReadAt.UTC().Format("2006-01-02")))
	fmt.Fprintf(b, "#\n# In all: %s, %s with alarms, %s, %s a month.\n#\n",
		counted(f.plan.Totals.Keys, "key"), counted(f.plan.Totals.Watched, "key"), counted(f.plan.Totals.Alarms, "alarm"), plan.FormatUSD(f.plan.Totals.MonthlyUSD))
	note(b, "", "", fmt.Sprintf("The prices are %s; the dashboard is in them.", plan.PricesOf))
	b.WriteString("#\n")
	if len(f.tags) == 0 {
		b.WriteString("# No key that can have alarms carries a tag.\n")
		return
	}
	fmt.Fprintf(b, "# Tags, by how many of the %s that can have alarms carry them:\n", counted(f.every.Totals.Watched, "key"))
	for _, t := range f.tags[:min(len(f.tags), mostTags)] {
		var values []string
		for _, v := range t.Values[:min(len(t.Values), mostValues)] {
			values = append(values, fmt.Sprintf("%s %d", told(v.Text), v.Keys))
		}
		if more := len(t.Values) - mostValues; more > 0 {
			values = append(values, fmt.Sprintf("and %d more", more))
		}
		note(b, "  ", "", fmt.Sprintf("%s: %d: %s", told(t.Key), t.Keys, strings.Join(values, ", ")))
	}
	if more := len(f.tags) - mostTags; more > 0 {
		fmt.Fprintf(b, "#   and %d more\n", more)
	}
}

// tail says which keys no rule takes, and what it would take to watch them.
func (f *file) tail(b *strings.Builder) {
	b.WriteString("\n")
	n := f.notTaken()
	note(b, "", "  ", fmt.Sprintf("%s can have alarms and match no rule here.", counted(n.Unmatched, "key")))
	note(b, "", "  ", fmt.Sprintf("%s can have no alarms: AWS managed, pending deletion, or of an unknown spec.", counted(n.NotEligible, "key")))
	note(b, "", "  ", fmt.Sprintf("%s could not be read.", counted(n.Unreadable, "key")))
	if n.Unreadable > 0 {
		note(b, "", "  ", "Synth stops at a key that it cannot read. So that it goes on, and such keys count as not covered, write this line above rules:")
		b.WriteString("  #   inventory: {onUnreadable: warn}\n")
	}
	if f.rest == nil {
		return
	}
	alarms, usd := above(f.withRest)
	note(b, "", "  ", f.rest.about+fmt.Sprintf(" To have that rule too, take the # away and set limits to alarms: %d, monthlyUSD: %d.", alarms, usd))
	fmt.Fprintf(b, "  # %s.\n", total(f.withRest.Rules[len(f.rules)]))
	for line := range strings.Lines(f.rest.text("")) {
		b.WriteString("  #" + line)
	}
}

// above are limits that a plan fits under, with a little room.
func above(p *plan.Plan) (alarms int, usd int64) {
	const dollar = 1_000_000
	return (p.Totals.Alarms/10 + 1) * 10, (int64(p.Totals.MonthlyUSD)/(5*dollar) + 1) * 5
}

func total(r plan.RuleTotal) string {
	return fmt.Sprintf("%s, %s, %s a month", counted(r.Keys, "key"), counted(r.Alarms(), "alarm"), plan.FormatUSD(r.MonthlyUSD))
}

func counted(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// text is the rule as YAML, each line after the indentation.
func (r *rule) text(indent string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s- name: %s\n", indent, encoded(quoted(r.name)))
	switch {
	case r.tag == "":
		fmt.Fprintf(&b, "%s  match: every\n", indent)
	case len(r.values) == 1:
		fmt.Fprintf(&b, "%s  match: %s\n", indent, flow("tag", r.tag, "equals", r.values[0]))
	default:
		fmt.Fprintf(&b, "%s  match: %s\n", indent, flow("tag", r.tag, "in", r.values))
	}
	if len(r.ops) > 0 {
		fmt.Fprintf(&b, "%s  operations: [%s]\n", indent, strings.Join(r.ops, ", "))
	}
	fmt.Fprintf(&b, "%s  anomaly: {band: %s}\n", indent, r.band)
	fmt.Fprintf(&b, "%s  # actions: {alarm: [\"arn:{partition}:sns:{region}:{account}:TOPIC\"]}\n", indent)
	return b.String()
}

// flow is a mapping of texts and lists of texts as YAML on one line, its keys in
// the order given.
func flow(pairs ...any) string {
	n := &yaml.Node{Kind: yaml.MappingNode, Style: yaml.FlowStyle}
	for i := 0; i < len(pairs); i += 2 {
		value := &yaml.Node{Kind: yaml.SequenceNode, Style: yaml.FlowStyle}
		switch v := pairs[i+1].(type) {
		case string:
			value = quoted(v)
		case []string:
			for _, item := range v {
				value.Content = append(value.Content, quoted(item))
			}
		}
		n.Content = append(n.Content, quoted(pairs[i].(string)), value)
	}
	return encoded(n)
}

// quoted is a text, in quotes if YAML would read something else. A text that does
// not stay on its line is escaped.
func quoted(s string) *yaml.Node {
	n := &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: s}
	if strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }) {
		n.Style = yaml.DoubleQuotedStyle
	}
	return n
}

func encoded(n *yaml.Node) string {
	text, err := yaml.Marshal(n)
	if err != nil {
		panic(err) // a tree of texts
	}
	return config.Escaped(strings.TrimSuffix(string(text), "\n"))
}

// told is a tag's key or value in a comment: on one line, and not too long.
func told(s string) string {
	if r := []rune(s); len(r) > 40 {
		s = string(r[:40]) + "…"
	}
	return config.Readable(s)
}

// note writes a text as comment lines of 80 columns.
func note(b *strings.Builder, hang, indent, text string) {
	line := indent + "#" + hang
	empty := line
	for word := range strings.FieldsSeq(text) {
		if line != empty && len([]rune(line))+1+len([]rune(word)) > 80 {
			b.WriteString(line + "\n")
			line = empty + strings.Repeat(" ", len(hang))
			empty = line
		}
		line += " " + word
	}
	b.WriteString(line + "\n")
}
