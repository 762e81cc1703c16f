package config

import (
	"context"
	"errors"
	"io/fs"
	"maps"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"keywatch/constructs/spec"
	"keywatch/internal/diag"
)

// Places where a config is looked for when nothing names one.
var DefaultFiles = []string{"keywatch.yaml", "config/keywatch.yaml"}

// MaxFile is the largest config that is read, in bytes.
const MaxFile = 1 << 20

// Request says which config to load.
type Request struct {
	// Context, Flag and Env name a file; the first that is not empty decides.
	Context, Flag, Env string
	// Overrides are values that replace the file's, by their path in it, as
	// the CDK context gives them ("limits.alarms" → "5000").
	Overrides map[string]string
	// ReadFile is os.ReadFile, or a test's.
	ReadFile func(string) ([]byte, error)
}

// Load finds, reads and checks the config. Problems in the file come back as a
// diag.List with every one of them; the Config then holds only File and Source,
// for the snippets. Its Warnings are the user's to see.
func Load(r Request) (*Config, error) {
	name, data, err := r.find()
	if err != nil {
		return &Config{File: name}, err
	}
	c, problems := Parse(name, data, r.Overrides)
	problems.Sort()
	if err := problems.Errors().Err(); err != nil {
		return &Config{File: name, Source: data}, problems
	}
	c.Warnings = problems
	return c, nil
}

// Found says whether there is a config to load, good or bad.
func Found(r Request) bool {
	name, _, _ := r.find() // a name comes with its error
	return name != ""
}

func (r Request) find() (string, []byte, error) {
	named := []struct{ path, by string }{
		{r.Context, "the CDK context value keywatch:config"}, {r.Flag, "--config"}, {r.Env, "$KEYWATCH_CONFIG"},
	}
	for _, n := range named {
		if n.path == "" {
			continue
		}
		data, err := r.ReadFile(n.path)
		if errors.Is(err, context.Canceled) {
			return n.path, nil, err
		}
		if err != nil {
			return n.path, nil, one(Pos{File: n.path}, "no-file", "%s names this config, but %s", n.by, reason(err))
		}
		return n.path, data, nil
	}
	for _, path := range DefaultFiles {
		data, err := r.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if errors.Is(err, context.Canceled) {
			return path, nil, err
		}
		if err != nil {
			return path, nil, one(Pos{File: path}, "no-file", "this config cannot be used: %s; mend that, or name another one with -c keywatch:config=PATH, --config PATH or $KEYWATCH_CONFIG", reason(err))
		}
		return path, data, nil
	}
	return "", nil, one(Pos{}, "no-file", "there is no config: neither %s exists here; write one (the README shows a small one), or name it with -c keywatch:config=PATH, --config PATH or $KEYWATCH_CONFIG", strings.Join(DefaultFiles, " nor "))
}

func reason(err error) string {
	var p *fs.PathError
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "there is no such file; check the path, which starts at the working directory"
	case errors.As(err, &p):
		err = p.Err
	}
	return "reading it gives: " + err.Error()
}

func one(pos Pos, code, format string, args ...any) diag.List {
	var l diag.List
	l.Add(pos, code, format, args...)
	return l
}

// Parse reads a config from bytes and reports every problem, unsorted; with an
// error among them the Config is not to be used.
func Parse(file string, data []byte, overrides map[string]string) (*Config, diag.List) {
	tree, problems := parseYAML(file, data)
	if tree == nil {
		return nil, problems
	}
	d := &decoder{file: file, origin: map[*yaml.Node]string{}, given: map[string]Pos{}, defaults: defaults{rule: plainRule()}, actionPaths: map[*yaml.Node]string{}}
	d.override(tree, overrides)
	c := &Config{
		File: file, Source: data,
		Name:             "keywatch",
		Inventory:        defaultInventory,
		Limits:           Limits{Alarms: 1000, MonthlyUSD: Dollars(300)},
		DetectorsManaged: true,
		Dashboard:        &Dashboard{TopKeys: 20},
		SLA:              defaultSLA,
		Findings:         Findings{All: LevelWarn},
		Given:            d.given,
	}
	c.Limits.AlarmsPos, c.Limits.MonthlyUSDPos, c.Inventory.PathPos = d.pos(tree), d.pos(tree), d.pos(tree)
	var rules, exceptions *yaml.Node // read after what they build on, wherever they stand
	d.mapping(tree, root, "a mapping that begins with version: 1", fields{
		"version":      required(d.version),
		"name":         optional(func(n *yaml.Node) { d.deploymentName(n, c) }),
		"environments": optional(func(n *yaml.Node) { d.environments(n, c) }),
		"inventory":    optional(func(n *yaml.Node) { d.inventory(n, c) }),
		"limits":       optional(func(n *yaml.Node) { d.limits(n, c) }),
		"detector": optional(func(n *yaml.Node) {
			s, _ := d.choice(n, "detector", "managed", "cloudwatch")
			c.DetectorsManaged = s != "cloudwatch"
		}),
		"defaults":     optional(d.readDefaults),
		"rules":        required(func(n *yaml.Node) { rules = n }),
		"exceptions":   optional(func(n *yaml.Node) { exceptions = n }),
		"dashboard":    optional(func(n *yaml.Node) { d.dashboard(n, c) }),
		"sla":          optional(func(n *yaml.Node) { d.sla(n, c) }),
		"requireMatch": optional(func(n *yaml.Node) { d.setBool(n, "requireMatch", &c.RequireMatch) }),
		"findings":     optional(func(n *yaml.Node) { d.findings(n, c) }),
	})
	if rules != nil {
		d.rules(rules, c)
	}
	if exceptions != nil {
		d.exceptions(exceptions, c)
	}
	d.checkPath(c)
	return c, c.Findings.Apply(d.problems)
}

// overriddenText are those that hold any text: all of the value is taken, as a
// shell gives it.
var overriddenText = []string{"name", "inventory.path"}

// Overridable are the paths that a context value keywatch:PATH may set.
var Overridable = []string{
	"name", "detector", "requireMatch",
	"inventory.source", "inventory.path", "inventory.compare", "inventory.maxAge", "inventory.onStale", "inventory.onUnreadable", "inventory.timeout",
	"limits.alarms", "limits.monthlyUSD",
	"dashboard.topKeys", "findings.all", "sla.evidence", "sla.retentionDays",
}

// override puts values into the tree, in place of those of the file, so that
// they pass through the same checks.
func (d *decoder) override(root *yaml.Node, values map[string]string) {
	if root.Kind != yaml.MappingNode {
		return
	}
	for _, path := range slices.Sorted(maps.Keys(values)) {
		origin := "context keywatch:" + path
		if !slices.Contains(Overridable, path) {
			d.problems.Add(Pos{File: origin}, "unknown-context", "no such context value%s; allowed: %s", diag.DidYouMean(path, Overridable), strings.Join(Overridable, ", "))
			continue
		}
		scalar := single(values[path])
		if slices.Contains(overriddenText, path) && (scalar == nil || scalar.Style&(yaml.SingleQuotedStyle|yaml.DoubleQuotedStyle) == 0) {
			// {account}-{region}.json would be a mapping, and 2026 a number.
			scalar = &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: values[path]}
		}
		if scalar == nil {
			d.problems.Add(Pos{File: origin}, "wrong-type", "the value %q is no single value; write -c keywatch:%s=VALUE", values[path], path)
			continue
		}
		d.origin[scalar] = origin
		parent := root
		names := strings.Split(path, ".")
		for _, name := range names[:len(names)-1] {
			parent = d.child(parent, name, origin)
		}
		set(parent, names[len(names)-1], scalar)
	}
}

// single is what YAML reads a context value as, or nil if that is more than one
// value, or none.
func single(value string) *yaml.Node {
	var doc yaml.Node
	if err := yaml.Unmarshal([]byte(value), &doc); err != nil || len(doc.Content) != 1 || doc.Content[0].Kind != yaml.ScalarNode {
		return nil
	}
	return doc.Content[0]
}

// child is the mapping below a name, made where it is missing or off. What is
// of another type stays, so that its own mistake is reported.
func (d *decoder) child(parent *yaml.Node, name, origin string) *yaml.Node {
	made := &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map"}
	d.origin[made] = origin
	for i := 0; i+1 < len(parent.Content); i += 2 {
		if parent.Content[i].Value != name {
			continue
		}
		there := resolve(parent.Content[i+1])
		if there.Kind == yaml.MappingNode {
			return there
		}
		if !isOff(there) {
			return made
		}
	}
	set(parent, name, made)
	return made
}

func set(parent *yaml.Node, name string, value *yaml.Node) {
	for i := 0; i+1 < len(parent.Content); i += 2 {
		if parent.Content[i].Value == name {
			parent.Content[i+1] = value
			return
		}
	}
	parent.Content = append(parent.Content, &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: name}, value)
}

func (d *decoder) version(n *yaml.Node) {
	n = resolve(n)
	switch {
	case n.Kind != yaml.ScalarNode || n.ShortTag() != "!!int":
		d.wrongType(n, "version", "the whole number 1")
	case n.Value != "1":
		d.fail(n, "version", "version is %s; this keywatch reads version 1", n.Value)
	}
}

var deploymentPattern = regexp.MustCompile(`^[a-z][a-z0-9-]{0,31}$`)

func (d *decoder) deploymentName(n *yaml.Node, c *Config) {
	s, ok := d.text(n, "name")
	if ok && !deploymentPattern.MatchString(s) {
		d.fail(n, "bad-name", "name is %q; allowed: a letter a-z, then up to 31 of a-z, 0-9 and -: it begins the name of each stack and alarm", s)
	}
	c.Name = s
}

func (d *decoder) matching(n *yaml.Node, where string, fits func(string) bool, allowed string) string {
	s, ok := d.text(n, where)
	if ok && !fits(s) {
		d.fail(n, "not-allowed", "%s is %q; allowed: %s", where, s, allowed)
	}
	return s
}

func (d *decoder) limits(n *yaml.Node, c *Config) {
	d.mapping(n, "limits", "a mapping such as {alarms: 1000}", fields{
		"alarms": optional(func(v *yaml.Node) {
			c.Limits.Alarms, _ = d.integer(v, "limits.alarms", 0, 10_000_000)
			c.Limits.AlarmsPos = d.pos(resolve(v))
		}),
		"monthlyUSD": optional(func(v *yaml.Node) {
			usd, written, ok := d.number(v, "limits.monthlyUSD")
			if ok && (usd < 0 || usd > 1e9) {
				d.fail(v, "out-of-range", "limits.monthlyUSD is %s; allowed: 0 to 1000000000", written)
			}
			c.Limits.MonthlyUSD = Dollars(usd)
			c.Limits.MonthlyUSDPos = d.pos(resolve(v))
		}),
	})
}

func (d *decoder) dashboard(n *yaml.Node, c *Config) {
	if isOff(resolve(n)) {
		c.Dashboard = nil
		return
	}
	d.mapping(n, "dashboard", "a mapping such as {topKeys: 20}, or off", fields{
		"topKeys": optional(func(v *yaml.Node) {
			c.Dashboard.TopKeys, _ = d.integer(v, "dashboard.topKeys", 1, spec.MaxTopKeys)
		}),
	})
}
