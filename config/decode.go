package config

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"go.yaml.in/yaml/v3"

	"keywatch/internal/diag"
)

// decoder walks a YAML tree and collects every problem on the way.
type decoder struct {
	file     string
	problems diag.List
	// origin names the source of nodes that are not from the file.
	origin map[*yaml.Node]string
	// sourceOverridden: inventory.source is not from the file.
	sourceOverridden bool
	// compare is the value of inventory.compare, or nil.
	compare *yaml.Node
	// counted are the problems that mistakes has looked at, errors those of them
	// that are errors.
	counted, errors int
	// given is to be Config.Given.
	given map[string]Pos
	// defaults are what rules build on.
	defaults defaults
	// actionPaths are the paths of actions; what rules share by an alias has that of
	// the first, so that one mistake is one message.
	actionPaths map[*yaml.Node]string
}

func (d *decoder) pos(n *yaml.Node) Pos {
	if o, ok := d.origin[n]; ok {
		return Pos{File: o}
	}
	return Pos{File: d.file, Line: n.Line, Col: n.Column}
}

// mistakes is the number of errors so far. It is asked after each of many values,
// so it looks at each problem once.
func (d *decoder) mistakes() int {
	for ; d.counted < len(d.problems); d.counted++ {
		if d.problems[d.counted].Severity == diag.Error {
			d.errors++
		}
	}
	return d.errors
}

func (d *decoder) fail(n *yaml.Node, code, format string, args ...any) {
	d.problems.Add(d.pos(n), code, format, args...)
}

// resolve follows an alias; limits were checked when the file was read.
func resolve(n *yaml.Node) *yaml.Node {
	for n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	return n
}

// field is one key of a mapping: how to read it and whether it must be there.
type field struct {
	read     func(*yaml.Node)
	required bool
}

type fields map[string]field

func optional(read func(*yaml.Node)) field { return field{read: read} }
func required(read func(*yaml.Node)) field { return field{read: read, required: true} }

// mapping reads the fields of a mapping. It reports what is no mapping (want
// says what it should be), keys that are unknown or double, and required ones
// that are missing.
func (d *decoder) mapping(n *yaml.Node, where, want string, fs fields) bool {
	n = resolve(n)
	if n.Kind != yaml.MappingNode {
		d.wrongType(n, where, want)
		return false
	}
	names := slices.Sorted(maps.Keys(fs))
	seen := map[string]int{}
	meant, strange := map[string]bool{}, 0 // unknown keys: what they are slips of, or how many of nothing
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := resolve(n.Content[i]), n.Content[i+1]
		f, known := fs[key.Value]
		switch first, double := seen[key.Value]; {
		case key.Kind != yaml.ScalarNode:
			d.fail(key, "wrong-type", "a key of %s is %s; write a name", where, kindOf(key))
			continue
		case double:
			d.fail(key, "duplicate-key", "%q stands twice in %s, first in line %d; remove one", key.Value, where, first)
			continue
		case !known:
			if near := diag.Nearest(key.Value, names); near == "" {
				strange++
			} else {
				meant[near] = true
			}
			d.unknownKey(key, where, "allowed", names)
			continue
		}
		seen[key.Value] = key.Line
		d.given[within(where, key.Value)] = d.pos(resolve(value))
		f.read(value)
	}
	missing := slices.DeleteFunc(names, func(name string) bool {
		_, there := seen[name]
		return !fs[name].required || there || meant[name]
	})
	if len(missing) <= strange {
		return true // each unknown key may be one of them: one cause, one message
	}
	for _, name := range missing {
		d.fail(n, "missing-key", "%s lacks the required key %q", where, name)
	}
	return true
}

// root is what messages call the whole; its fields have paths without it.
const root = "the config"

func within(where, key string) string {
	if where == root {
		return key
	}
	return where + "." + key
}

func (d *decoder) unknownKey(key *yaml.Node, where, allowed string, names []string) {
	if key.Value == "<<" {
		d.fail(key, "unknown-key", "merge keys (<<) are not supported in %s; repeat the values, or use an alias for a whole value", where)
		return
	}
	d.fail(key, "unknown-key", "unknown key %q in %s%s; %s: %s", key.Value, where, diag.DidYouMean(key.Value, names), allowed, strings.Join(names, ", "))
}

// list calls read for each item of a sequence; want says what it is a list of.
func (d *decoder) list(n *yaml.Node, where, want string, read func(i int, item *yaml.Node)) bool {
	n = resolve(n)
	if n.Kind != yaml.SequenceNode {
		d.wrongType(n, where, "a list of "+want)
		return false
	}
	for i, item := range n.Content {
		read(i, item)
	}
	return true
}

func (d *decoder) wrongType(n *yaml.Node, where, want string) {
	d.fail(n, "wrong-type", "%s must be %s, not %s", where, want, kindOf(n))
}

// kindOf says in a user's words what a node is, with its value if short.
func kindOf(n *yaml.Node) string {
	n = resolve(n)
	switch n.Kind {
	case yaml.MappingNode:
		return "a mapping"
	case yaml.SequenceNode:
		return "a list"
	}
	value := n.Value
	if len([]rune(value)) > 40 {
		value = string([]rune(value)[:40]) + "…"
	}
	switch n.ShortTag() {
	case "!!null":
		return "empty"
	case "!!int", "!!float":
		return "the number " + value
	case "!!bool":
		return "the boolean " + value
	case "!!timestamp":
		return "the date " + value
	case "!!str":
	default:
		return "a value with the YAML tag " + n.ShortTag()
	}
	return fmt.Sprintf("the text %q", value)
}

// text reads a string. What YAML takes for a number, boolean or date is an
// error that shows the quotes.
func (d *decoder) text(n *yaml.Node, where string) (string, bool) {
	n = resolve(n)
	if n.Kind == yaml.ScalarNode && n.ShortTag() == "!!str" {
		return n.Value, true
	}
	switch {
	case n.Kind != yaml.ScalarNode, n.ShortTag() == "!!null":
		d.wrongType(n, where, "text")
		return "", false
	case !strings.HasPrefix(n.ShortTag(), "!!"):
		d.fail(n, "quote-it", "%s begins with !, which makes %s a YAML tag; if the ! is part of the text, put it in quotes: %s", where, n.Tag, strconv.Quote(strings.TrimSpace(n.Tag+" "+n.Value)))
		return "", false
	}
	d.fail(n, "quote-it", "%s must be text, but YAML reads %s as %s; write %s", where, n.Value, article(n), strconv.Quote(n.Value))
	return "", false
}

// article is what YAML takes a scalar for.
func article(n *yaml.Node) string {
	switch n.ShortTag() {
	case "!!int", "!!float":
		return "a number"
	case "!!bool":
		return "a boolean"
	case "!!timestamp":
		return "a date"
	}
	return "a value with the tag " + n.ShortTag()
}

// shown quotes a pattern as it is, so that its characters can be counted; only
// what cannot be printed is escaped.
func shown(s string) string {
	if strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return strconv.Quote(s)
	}
	return `"` + s + `"`
}

// choice reads one of a few words.
func (d *decoder) choice(n *yaml.Node, where string, allowed ...string) (string, bool) {
	n = resolve(n)
	if n.Kind != yaml.ScalarNode || n.ShortTag() != "!!str" {
		d.wrongType(n, where, "one of "+strings.Join(allowed, ", "))
		return "", false
	}
	s, ok := n.Value, true
	if !slices.Contains(allowed, s) {
		d.fail(n, "not-allowed", "%s is %q%s; allowed: %s", where, s, diag.DidYouMean(s, allowed), strings.Join(allowed, ", "))
		return "", false
	}
	return s, ok
}

func (d *decoder) boolean(n *yaml.Node, where string) (value, ok bool) {
	n = resolve(n)
	if n.Kind != yaml.ScalarNode || n.ShortTag() != "!!bool" {
		d.wrongType(n, where, "true or false")
		return false, false
	}
	return strings.EqualFold(n.Value, "true"), true
}

// wholeNumber is one that YAML takes for a float if it is too large.
var wholeNumber = regexp.MustCompile(`^[0-9]{19,}$`)

func (d *decoder) integer(n *yaml.Node, where string, low, high int) (int, bool) {
	n = resolve(n)
	if n.Kind != yaml.ScalarNode || n.ShortTag() != "!!int" && !wholeNumber.MatchString(n.Value) {
		d.wrongType(n, where, "a whole number")
		return 0, false
	}
	v, err := strconv.Atoi(n.Value)
	if err == nil && n.Value != strconv.Itoa(v) { // YAML reads 010 as eight
		err = strconv.ErrSyntax
	}
	if err != nil || v < low || v > high {
		d.fail(n, "out-of-range", "%s is %s; allowed: a whole number from %d to %d", where, n.Value, low, high)
		return 0, false
	}
	return v, true
}

// plainNumber is a number that each reader of YAML takes for the same one: not
// 1_000, 0x10 or 010, which some read in another way, and some as text.
var plainNumber = regexp.MustCompile(`^[-+]?((0|[1-9][0-9]*)(\.[0-9]*)?|\.[0-9]+)([eE][-+]?[0-9]+)?$`)

// number reads a decimal number and returns it with the text as written.
func (d *decoder) number(n *yaml.Node, where string) (v float64, written string, ok bool) {
	n = resolve(n)
	if n.Kind != yaml.ScalarNode || n.ShortTag() != "!!int" && n.ShortTag() != "!!float" {
		d.wrongType(n, where, "a number")
		return 0, "", false
	}
	v, err := strconv.ParseFloat(n.Value, 64)
	if err != nil || !plainNumber.MatchString(n.Value) || v > 1e300 || v < -1e300 {
		d.fail(n, "out-of-range", "%s is %s; write a decimal number such as 2 or 2.5", where, n.Value)
		return 0, "", false
	}
	return v, n.Value, true
}

// A length of time is whole hours, minutes and seconds, so that the schema can say
// what it looks like; that of a period has no seconds beside others.
var (
	periodForm = regexp.MustCompile(`^([1-9][0-9]*h([0-9]+m)?(0s)?|[1-9][0-9]*m(0s)?|[1-9][0-9]*s)$`)
	lengthForm = regexp.MustCompile(`^([1-9][0-9]*h([0-9]+m)?([0-9]+s)?|[1-9][0-9]*m([0-9]+s)?|[1-9][0-9]*s)$`)
)

// duration reads a length of time in whole minutes, as Go writes it.
func (d *decoder) duration(n *yaml.Node, where string, longest time.Duration) (time.Duration, bool) {
	n = resolve(n)
	if n.Kind == yaml.ScalarNode && (n.ShortTag() == "!!int" || n.ShortTag() == "!!float") {
		d.fail(n, "period", "%s is the bare number %s; write the unit, for example 60s or 5m", where, n.Value)
		return 0, false
	}
	if n.Kind != yaml.ScalarNode || n.ShortTag() != "!!str" {
		d.wrongType(n, where, "a duration such as 5m or 1h")
		return 0, false
	}
	s := n.Value
	v, err := time.ParseDuration(s)
	switch {
	case err != nil:
		d.fail(n, "period", "%s is %q, which is no duration; write for example 60s, 5m, 15m or 1h", where, s)
	case v < time.Minute || v%time.Minute != 0:
		d.fail(n, "period", "%s is %s; the metrics of AWS/KMS come in whole minutes: write for example 1m, 5m, 15m or 1h", where, s)
	case v > longest:
		d.fail(n, "period", "%s is %s; the longest period here is %s", where, s, GoDuration(longest))
	case !periodForm.MatchString(s):
		d.fail(n, "period", "%s is %q; write it in whole hours and minutes: %s", where, s, GoDuration(v))
	default:
		return v, true
	}
	return 0, false
}

// GoDuration writes whole seconds as Go does, without the parts that are zero:
// 168h, not 168h0m0s.
func GoDuration(v time.Duration) string {
	s := v.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// isOff says whether a value switches something off: off or false.
func isOff(n *yaml.Node) bool {
	return n.Kind == yaml.ScalarNode && (n.Value == "off" || n.ShortTag() == "!!bool" && strings.EqualFold(n.Value, "false"))
}
