package config

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"go.yaml.in/yaml/v3"

	"keywatch/constructs/spec"
)

// Value is one value of the config with everything filled in.
type Value struct {
	// Path is as in messages: "rules[0].anomaly.band".
	Path  string `json:"path"`
	Value any    `json:"value"`
	// Origin says where the value comes from: "line 12", "defaults, line 5",
	// "context keywatch:limits.alarms" or "default".
	Origin string `json:"origin"`
}

// Effective is the config as YAML with everything filled in, and behind each
// value where it comes from. Without its comments it is a config that means the
// same: defaults are in the rules.
func (c *Config) Effective() ([]byte, error) {
	var b bytes.Buffer
	enc := yaml.NewEncoder(&b)
	enc.SetIndent(2)
	if err := errors.Join(enc.Encode(c.tree()), enc.Close()); err != nil {
		return nil, err
	}
	return []byte(Escaped(b.String())), nil
}

// Escaped is YAML that shows all that it holds: what does not show, or turns the
// text around it, stands within double quotes and is escaped.
func Escaped(text string) string {
	var b strings.Builder
	for _, r := range text {
		switch {
		case unicode.IsPrint(r) || r == '\n':
			b.WriteRune(r)
		case r > 0xffff:
			fmt.Fprintf(&b, `\U%08x`, r)
		default:
			fmt.Fprintf(&b, `\u%04x`, r)
		}
	}
	return b.String()
}

// EffectiveValues are the values of [Config.Effective], in its order.
func (c *Config) EffectiveValues() ([]Value, error) {
	var out []Value
	err := flatten(c.tree(), "", &out)
	return out, err
}

// flatten takes what stands on one line as one value.
func flatten(n *yaml.Node, path string, to *[]Value) error {
	if n.LineComment != "" {
		var value any
		if err := n.Decode(&value); err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		if _, date := value.(time.Time); date {
			value = n.Value
		}
		*to = append(*to, Value{path, value, n.LineComment})
		return nil
	}
	for i, child := range n.Content {
		at := fmt.Sprintf("%s[%d]", path, i)
		if n.Kind == yaml.MappingNode {
			if i%2 == 0 {
				continue
			}
			at = strings.TrimPrefix(path+"."+n.Content[i-1].Value, ".")
		}
		if err := flatten(child, at, to); err != nil {
			return err
		}
	}
	return nil
}

// block is a mapping that is written key by key. A value comes from the first of
// the paths below which its key is given.
type block struct {
	*yaml.Node
	c     *Config
	paths []string
}

func (c *Config) block(paths ...string) block {
	return block{&yaml.Node{Kind: yaml.MappingNode}, c, paths}
}

// in is the block of a key, to be put there.
func (b block) in(key string) block {
	var paths []string
	for _, p := range b.paths {
		paths = append(paths, strings.TrimPrefix(p+"."+key, "."))
	}
	return b.c.block(paths...)
}

func (b block) put(key string, n *yaml.Node) {
	b.Content = append(b.Content, &yaml.Node{Kind: yaml.ScalarNode, Value: key}, n)
}

// set puts a value that fits on one line, with its origin.
func (b block) set(key string, n *yaml.Node) {
	n.LineComment = b.origin(key)
	b.put(key, n)
}

func (b block) origin(key string) string {
	for _, p := range b.in(key).paths {
		if pos, ok := b.c.Given[p]; ok {
			return originOf(p, pos)
		}
	}
	return "default"
}

func originOf(path string, pos Pos) string {
	switch {
	case pos.Line == 0:
		return pos.File
	case strings.HasPrefix(path, "defaults."):
		return fmt.Sprintf("defaults, line %d", pos.Line)
	}
	return fmt.Sprintf("line %d", pos.Line)
}

// text is a string, which the encoder quotes where it must.
func text[T ~string](s T) *yaml.Node {
	n := &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: string(s)}
	if strings.ContainsFunc(n.Value, func(r rune) bool { return !unicode.IsPrint(r) }) {
		n.Style = yaml.DoubleQuotedStyle // on one line, with its origin; see Escaped
	}
	return n
}

// plain is a number, a boolean or a date as it is written.
func plain(v any) *yaml.Node {
	return &yaml.Node{Kind: yaml.ScalarNode, Value: fmt.Sprint(v)}
}

func decimal(v float64) *yaml.Node { return plain(strconv.FormatFloat(v, 'f', -1, 64)) }

func texts[T ~string](list []T) *yaml.Node {
	n := &yaml.Node{Kind: yaml.SequenceNode, Style: yaml.FlowStyle}
	for _, s := range list {
		n.Content = append(n.Content, text(s))
	}
	return n
}

// oneOf is the first word if the condition holds, else the second.
func oneOf(condition bool, yes, no string) *yaml.Node {
	if condition {
		return text(yes)
	}
	return text(no)
}

func (c *Config) tree() *yaml.Node {
	b := c.block("")
	b.set("version", plain(1))
	b.set("name", text(c.Name))
	c.effectiveEnvironments(b)
	c.effectiveInventory(b)
	limits := b.in("limits")
	limits.set("alarms", plain(c.Limits.Alarms))
	limits.set("monthlyUSD", decimal(float64(c.Limits.MonthlyUSD)/1e6))
	b.put("limits", limits.Node)
	b.set("detector", oneOf(c.DetectorsManaged, "managed", "cloudwatch"))
	b.set("requireMatch", plain(c.RequireMatch))
	findings := b.in("findings")
	findings.set("all", text(c.Findings.All))
	for _, code := range slices.Sorted(maps.Keys(c.Findings.Codes)) {
		findings.set(code, text(c.Findings.Codes[code]))
	}
	b.put("findings", findings.Node)
	rules := &yaml.Node{Kind: yaml.SequenceNode}
	for i := range c.Rules {
		rules.Content = append(rules.Content, c.effectiveRule(i))
	}
	b.put("rules", rules)
	c.effectiveExceptions(b)
	c.effectiveSLA(b)
	if c.Dashboard == nil {
		b.set("dashboard", text("off"))
		return b.Node
	}
	dashboard := b.in("dashboard")
	dashboard.set("topKeys", plain(c.Dashboard.TopKeys))
	b.put("dashboard", dashboard.Node)
	return b.Node
}

// effectiveEnvironments leaves an empty list out, which may not be written.
func (c *Config) effectiveEnvironments(b block) {
	if len(c.Environments) == 0 {
		return
	}
	list := &yaml.Node{Kind: yaml.SequenceNode}
	for i, e := range c.Environments {
		item := c.block(fmt.Sprintf("environments[%d]", i))
		item.set("account", text(e.Account))
		item.set("region", text(e.Region))
		item.set("role", text(e.Role))
		list.Content = append(list.Content, item.Node)
	}
	b.put("environments", list)
}

func (c *Config) effectiveInventory(b block) {
	i, n := c.Inventory, b.in("inventory")
	n.set("source", text(i.Source))
	if i.Path != "" {
		n.set("path", text(i.Path))
	}
	if i.Source == Frozen {
		n.set("compare", text(i.Compare))
	}
	n.set("maxAge", text(GoDuration(i.MaxAge)))
	n.set("onStale", oneOf(i.FailOnStale, "fail", "warn"))
	n.set("onUnreadable", oneOf(i.FailOnUnreadable, "fail", "warn"))
	if len(i.Rates) > 0 {
		rates := n.in("rates")
		for _, op := range slices.Sorted(maps.Keys(i.Rates)) {
			rates.set(op, decimal(i.Rates[op]))
		}
		n.put("rates", rates.Node)
	}
	n.set("timeout", text(GoDuration(i.Timeout)))
	b.put("inventory", n.Node)
}

// effectiveSLA leaves out what has no effect without the evidence.
func (c *Config) effectiveSLA(b block) {
	n := b.in("sla")
	n.set("evidence", plain(c.SLA.Evidence))
	if c.SLA.Evidence {
		n.set("retentionDays", plain(c.SLA.RetentionDays))
		if c.SLA.TrailLogGroup != "" {
			n.set("trailLogGroup", text(c.SLA.TrailLogGroup))
		}
		if c.SLA.EncryptionKey != "" {
			n.set("encryptionKey", text(c.SLA.EncryptionKey))
		}
		n.setActions(c.SLA.Actions)
	}
	b.put("sla", n.Node)
}

func (c *Config) effectiveRule(i int) *yaml.Node {
	r, where := &c.Rules[i], fmt.Sprintf("rules[%d]", i)
	own := c.block(where)
	own.set("name", text(r.Name))
	own.put("match", conditionTree(r.Match))
	own.set("watch", plain(r.Watch))
	if !r.Watch {
		return own.Node
	}
	own.set("continue", plain(r.Continue))
	b := block{own.Node, c, []string{where, "defaults"}}
	c.effectiveAnomalies(b, r)
	c.effectiveThresholds(b, r)
	b.setActions(r.Actions)
	return own.Node
}

func (b block) setActions(a Actions) {
	actions := b.in("actions")
	for _, list := range []struct {
		key     string
		actions []Action
	}{{"alarm", a.Alarm}, {"ok", a.OK}, {"insufficientData", a.InsufficientData}} {
		var arns []string
		for _, a := range list.actions {
			arns = append(arns, a.ARN)
		}
		n := texts(arns)
		if len(arns) == 0 {
			actions.set(list.key, n)
			continue
		}
		n.Style = 0 // ARNs are long: one a line
		for _, item := range n.Content {
			item.LineComment = actions.origin(list.key)
		}
		actions.put(list.key, n)
	}
	b.put("actions", actions.Node)
}

func (c *Config) effectiveAnomalies(b block, r *Rule) {
	if r.Operations.Scope == Listed {
		b.set("operations", texts(r.Operations.List))
	} else if r.Anomaly != nil || r.Operations.Scope != Core {
		b.set("operations", text(r.Operations.Scope))
	}
	if r.Anomaly == nil {
		b.set("anomaly", text("off"))
		return
	}
	anomaly := b.in("anomaly")
	anomaly.set("id", text(r.Anomaly.ID))
	anomaly.setAnomaly(r.Anomaly)
	b.put("anomaly", anomaly.Node)
	if len(r.PerOperation) > 0 {
		all := b.in("perOperation")
		for _, op := range slices.Sorted(maps.Keys(r.PerOperation)) {
			a := r.PerOperation[op]
			if a == nil {
				all.set(string(op), text("off"))
				continue
			}
			one := all.in(string(op))
			one.paths = append(one.paths, anomaly.paths...)
			one.setAnomaly(a)
			all.put(string(op), one.Node)
		}
		b.put("perOperation", all.Node)
	}
	if t := r.BandTag; t != nil {
		tag := b.whole("bandTag")
		tag.set("tag", text(t.Tag))
		tag.set("min", plain(t.Min.Text))
		if t.Max.Text != "" {
			tag.set("max", plain(t.Max.Text))
		}
		tag.set("allowLooser", plain(t.AllowLooser))
		b.put("bandTag", tag.Node)
	}
}

// whole is in for a key whose value is replaced and not merged.
func (b block) whole(key string) block {
	all := b.in(key).paths
	for _, p := range all {
		if _, ok := b.c.Given[p]; ok {
			return b.c.block(p)
		}
	}
	return b.c.block(all...)
}

func (b block) setAnomaly(a *spec.Anomaly) {
	b.set("direction", text(a.Direction))
	b.set("band", plain(a.Band))
	b.set("statistic", text(a.Statistic))
	b.setEvaluation(a.Evaluation)
}

func (b block) setEvaluation(e spec.Evaluation) {
	b.set("period", text(GoDuration(e.Period)))
	b.set("evaluate", plain(e.Evaluate))
	b.set("breaching", plain(e.Breaching))
	b.set("missing", text(e.Missing))
}

func (c *Config) effectiveThresholds(b block, r *Rule) {
	if len(r.Thresholds) == 0 {
		b.set("thresholds", texts[string](nil))
		return
	}
	list, where := &yaml.Node{Kind: yaml.SequenceNode}, b.whole("thresholds").paths[0]
	for i, t := range r.Thresholds {
		item := c.block(fmt.Sprintf("%s[%d]", where, i))
		item.set("id", text(t.ID))
		item.set("operations", texts(t.Operations))
		item.set("above", decimal(t.Above))
		item.setEvaluation(t.Evaluation)
		list.Content = append(list.Content, item.Node)
	}
	b.put("thresholds", list)
}

func (c *Config) effectiveExceptions(b block) {
	if len(c.Exceptions) == 0 {
		b.set("exceptions", texts[string](nil))
		return
	}
	list := &yaml.Node{Kind: yaml.SequenceNode}
	for i, e := range c.Exceptions {
		where := fmt.Sprintf("exceptions[%d]", i)
		item := c.block(where)
		item.set("key", text(e.Key))
		if _, given := c.Given[where+".environment"]; given {
			item.set("environment", text(e.Account+"/"+e.Region))
		} else if e.ByAlias() {
			item.set("everywhere", plain(true))
		}
		if e.ByAlias() {
			item.set("written", plain(momentText(e.Written)))
		}
		item.set("reason", text(e.Reason))
		item.set("owner", text(e.Owner))
		item.set("expires", plain(e.Expires.AddDate(0, 0, -1).Format(time.DateOnly)))
		list.Content = append(list.Content, item.Node)
	}
	b.put("exceptions", list)
}

// longLeaf is from how many characters on a leaf is written on two lines.
const longLeaf = 40

// conditionTree is a condition as it is written; a leaf is one line if it fits.
func conditionTree(c *Condition) *yaml.Node {
	switch c.Kind {
	case Every:
		n := text("every")
		n.LineComment = originOf("", c.Pos)
		return n
	case All, Any, Not:
		word, of := "all", &yaml.Node{Kind: yaml.SequenceNode}
		for _, child := range c.Children {
			of.Content = append(of.Content, conditionTree(child))
		}
		if c.Kind == Any {
			word = "any"
		}
		if c.Kind == Not {
			word, of = "not", of.Content[0]
		}
		return &yaml.Node{Kind: yaml.MappingNode, Content: []*yaml.Node{text(word), of}}
	}
	n := leafTree(c)
	if c.Kind == Tag && len([]rune(c.String())) > longLeaf {
		n.Style = 0
		n.Content[1].LineComment, n.Content[3].LineComment = originOf("", c.Pos), originOf("", c.Pos)
		return n
	}
	n.LineComment = originOf("", c.Pos)
	return n
}

func leafTree(c *Condition) *yaml.Node {
	var value *yaml.Node
	switch {
	case c.Test == In:
		value = texts(c.Values)
	case c.Test == Exists, c.Fact == MultiRegion:
		value = plain(c.Want)
	case c.Fact == CreatedBefore, c.Fact == CreatedAfter:
		value = plain(c.Date.Format(time.DateOnly))
	default:
		value = text(c.Values[0])
	}
	flow := func(content ...*yaml.Node) *yaml.Node {
		return &yaml.Node{Kind: yaml.MappingNode, Style: yaml.FlowStyle, Content: content}
	}
	switch {
	case c.Kind == Tag:
		return flow(text("tag"), text(c.Tag), text(c.Test), value)
	case c.Test == "":
		return flow(text(c.Fact), value)
	}
	return flow(text(c.Fact), flow(text(c.Test), value))
}
