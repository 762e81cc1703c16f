package config

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"

	"keywatch/internal/diag"
)

// ConditionKind is what a condition does: a combination of others, or a leaf.
type ConditionKind uint8

const (
	Every ConditionKind = iota // matches each key
	All
	Any
	Not // one child
	Tag // a leaf on a tag
	Is  // a leaf on what the key is
)

// Fact is what a leaf of the kind Is looks at.
type Fact string

const (
	Alias         Fact = "alias" // any of the key's aliases
	KeyID         Fact = "keyId"
	Usage         Fact = "usage"
	Spec          Fact = "spec"
	Origin        Fact = "origin"
	State         Fact = "state"
	MultiRegion   Fact = "multiRegion"
	CreatedBefore Fact = "createdBefore"
	CreatedAfter  Fact = "createdAfter"
)

// Described says whether only the key's description tells the fact.
func (f Fact) Described() bool { return f != Alias && f != KeyID }

// TagTest is how a tag leaf looks at the tag's value.
type TagTest string

const (
	Equals TagTest = "equals"
	In     TagTest = "in"
	GlobOf TagTest = "glob"
	Regex  TagTest = "regex"
	Exists TagTest = "exists"
)

// Condition is one node of a rule's match.
type Condition struct {
	Pos      Pos
	Kind     ConditionKind
	Children []*Condition // All, Any, Not

	// The leaf: a tag's key or a fact, the test and what it compares with.
	Tag    string
	Fact   Fact
	Test   TagTest
	Values []string  // Equals (one), In, GlobOf (one), Regex (one; tags alone)
	Want   bool      // Exists, MultiRegion
	Date   time.Time // CreatedBefore, CreatedAfter: the beginning of that day in UTC
	glob   *Glob
	regex  *regexp.Regexp
}

// MatchTag says whether a leaf is satisfied by a tag: its value, and whether
// the key has it at all. An absent tag satisfies only `exists: false`.
func (c *Condition) MatchTag(value string, present bool) bool {
	if c.Test == Exists {
		return present == c.Want
	}
	return present && c.MatchText(value)
}

// String is the condition as the user would write it on one line.
func (c *Condition) String() string {
	switch c.Kind {
	case Every:
		return "every"
	case Not:
		return "not " + c.Children[0].String()
	case All, Any:
		parts := make([]string, len(c.Children))
		for i, child := range c.Children {
			parts[i] = child.String()
		}
		word := "all"
		if c.Kind == Any {
			word = "any"
		}
		return word + "(" + strings.Join(parts, ", ") + ")"
	}
	subject := string(c.Fact)
	if c.Kind == Tag {
		subject = "tag " + Readable(c.Tag)
	}
	switch {
	case c.Fact == MultiRegion:
		return subject + " " + strconv.FormatBool(c.Want)
	case c.Fact == CreatedBefore || c.Fact == CreatedAfter:
		return subject + " " + c.Date.Format(time.DateOnly)
	case c.Test == Exists && c.Want:
		return subject + " exists"
	case c.Test == Exists:
		return subject + " does not exist"
	case c.Test == In:
		quoted := make([]string, len(c.Values))
		for i, v := range c.Values {
			quoted[i] = strconv.Quote(v)
		}
		return subject + " in [" + strings.Join(quoted, ", ") + "]"
	}
	return fmt.Sprintf("%s %s %q", subject, c.Test, c.Values[0])
}

// Readable is a tag key or an alias for a reader: as it is, or in quotes when it
// holds anything that does not show or that ends it, such as a space.
func Readable(s string) string {
	odd := func(r rune) bool { return r == ' ' || r == '"' || r == '=' || !unicode.IsPrint(r) }
	if s == "" || !utf8.ValidString(s) || strings.ContainsFunc(s, odd) {
		return strconv.Quote(s)
	}
	return s
}

// Limits of what one file may hold. KMS allows tag keys of 128 and tag values
// of 256 characters (TagResource, KMS API Reference).
const (
	maxDepth    = 32
	maxRegex    = 1000
	MaxTagKey   = 128
	MaxTagValue = 256
)

var conditionWords = func() []string {
	words := []string{"tag"}
	for _, f := range facts {
		words = append(words, string(f))
	}
	return append(words, "all", "any", "not")
}()

// condition reads a match: the word "every", one leaf, or all / any / not.
func (d *decoder) condition(n *yaml.Node, where string, depth int) *Condition {
	n = resolve(n)
	if n.Kind == yaml.ScalarNode && n.Value == "every" {
		if depth > 0 {
			d.fail(n, "every", "%s is \"every\", which is only allowed as the whole of match", where)
			return nil
		}
		return &Condition{Pos: d.pos(n), Kind: Every}
	}
	if n.Kind != yaml.MappingNode {
		want := "a condition such as {tag: team, equals: payments}"
		if n.Kind == yaml.SequenceNode {
			want += ", or several below all or any"
		} else if depth == 0 {
			want += ", or the word every"
		}
		d.wrongType(n, where, want)
		return nil
	}
	if len(n.Content) == 0 {
		d.fail(n, "empty-condition", "%s is empty; write a condition, or match: every to match each key", where)
		return nil
	}
	if depth > maxDepth {
		d.fail(n, "too-deep", "%s nests conditions more than %d deep here; say it with fewer levels of all, any and not", where[:strings.Index(where, ".match")+len(".match")], maxDepth)
		return nil
	}
	keys := mappingKeys(n)
	alone := slices.DeleteFunc(slices.Clone(keys), func(k string) bool { return k == "tag" || !slices.Contains(conditionWords, k) })
	if len(alone) > 0 {
		if len(keys) > 1 {
			d.fail(n, "two-conditions", "%s holds %s side by side; a condition is one leaf or one of all, any, not: put them below one \"all\"", where, strings.Join(keys, ", "))
			return nil
		}
		if isFact(alone[0]) {
			return d.fact(n, Fact(alone[0]), where)
		}
		return d.combination(n, alone[0], where, depth)
	}
	if slices.Contains(keys, "tag") || slices.ContainsFunc(keys, isTagTest) {
		return d.leaf(n, where)
	}
	d.noCondition(n, where)
	return nil
}

// noCondition answers a mapping that has none of a condition's words: mostly
// {team: payments} or {every: true}.
func (d *decoder) noCondition(n *yaml.Node, where string) {
	key, value := resolve(n.Content[0]), resolve(n.Content[1])
	switch {
	case key.Kind != yaml.ScalarNode:
		d.fail(key, "wrong-type", "a key of %s is %s; write a name", where, kindOf(key))
	case key.Value == "every":
		d.fail(key, "unknown-key", "every in %s is a word and no key; write match: every to match each key", where)
	case key.Value == "or" || key.Value == "and":
		d.fail(key, "unknown-key", "unknown key %q in %s; write any for or, and all for and", key.Value, where)
	case key.Value != "<<" && !near(key.Value, "tag", "all", "any", "not") && value.Kind == yaml.ScalarNode:
		d.fail(key, "unknown-key", "unknown key %q in %s%s; a condition has one of: %s; for a tag's value write {tag: %s, equals: %s}",
			key.Value, where, diag.DidYouMean(key.Value, conditionWords), strings.Join(conditionWords, ", "), key.Value, value.Value)
	default:
		d.unknownKey(key, where, "a condition has one of", conditionWords)
	}
}

func near(word string, allowed ...string) bool { return diag.Nearest(word, allowed) != "" }

func isTagTest(k string) bool {
	switch TagTest(k) {
	case Equals, In, GlobOf, Regex, Exists:
		return true
	}
	return false
}

func mappingKeys(n *yaml.Node) []string {
	var keys []string
	for i := 0; i+1 < len(n.Content); i += 2 {
		keys = append(keys, resolve(n.Content[i]).Value)
	}
	return keys
}

func (d *decoder) combination(n *yaml.Node, word, where string, depth int) *Condition {
	c := &Condition{Pos: d.pos(n)}
	where += "." + word
	value := resolve(n.Content[1])
	if word == "not" {
		c.Kind = Not
		if child := d.condition(value, where, depth+1); child != nil {
			c.Children = []*Condition{child}
			return c
		}
		return nil
	}
	if c.Kind = All; word == "any" {
		c.Kind = Any
	}
	whole := d.list(value, where, "conditions, each beginning with -", func(i int, item *yaml.Node) {
		if child := d.condition(item, fmt.Sprintf("%s[%d]", where, i), depth+1); child != nil {
			c.Children = append(c.Children, child)
		}
	})
	if whole && len(value.Content) == 0 {
		d.fail(value, "empty-condition", "%s is an empty list; write a condition below %s, or match: every to match each key", where, word)
	}
	if len(c.Children) == 0 || len(c.Children) < len(value.Content) {
		return nil // the child's problem is reported
	}
	return c
}

// leaf reads {tag: KEY, equals|in|glob|regex|exists: …}.
func (d *decoder) leaf(n *yaml.Node, where string) *Condition {
	c := &Condition{Pos: d.pos(n), Kind: Tag}
	var tests []string
	ok := true
	test := func(t TagTest, read func(v *yaml.Node) bool) field {
		return optional(func(v *yaml.Node) {
			tests = append(tests, string(t))
			c.Test = t
			ok = read(v) && ok
		})
	}
	one := func(t TagTest) func(v *yaml.Node) bool {
		return func(v *yaml.Node) bool {
			s, fine := d.tagValue(v, where+"."+string(t))
			c.Values = []string{s}
			return fine
		}
	}
	before := len(d.problems)
	d.mapping(n, where, "a condition", fields{
		"tag": required(func(v *yaml.Node) { c.Tag = d.tagKey(v, where+".tag") }),
		"equals": test(Equals, func(v *yaml.Node) bool {
			return one(Equals)(v) && d.possibleValue(v, where+".equals", c.Values[0])
		}),
		"in": test(In, func(v *yaml.Node) bool { return d.valueList(v, where+".in", c) }),
		"glob": test(GlobOf, func(v *yaml.Node) bool {
			return one(GlobOf)(v) && d.globPattern(v, where+".glob", c)
		}),
		"regex": test(Regex, func(v *yaml.Node) bool {
			return one(Regex)(v) && d.regexPattern(v, where+".regex", c)
		}),
		"exists": test(Exists, func(v *yaml.Node) bool {
			want, fine := d.boolean(v, where+".exists")
			c.Want = want
			return fine
		}),
	})
	switch {
	case len(tests) > 1:
		d.fail(n, "two-operators", "%s has %s; a tag leaf has exactly one: put a leaf for each below \"all\"", where, strings.Join(tests, " and "))
	case len(tests) == 0 && len(d.problems) == before:
		d.fail(n, "no-operator", "%s names the tag %q but no test; add one of equals, in, glob, regex, exists", where, c.Tag)
	}
	if len(d.problems) > before || !ok {
		return nil
	}
	return c
}

func (d *decoder) tagKey(n *yaml.Node, where string) string {
	s, ok := d.text(n, where)
	switch {
	case !ok:
	case s == "":
		d.fail(n, "tag-key", "%s is the empty text; a tag key has 1 to %d characters", where, MaxTagKey)
	case utf8.RuneCountInString(s) > MaxTagKey:
		d.fail(n, "tag-key", "%s has %d characters; a tag key has 1 to %d", where, utf8.RuneCountInString(s), MaxTagKey)
	}
	return s
}

// tagValue reads what a tag's value is compared with, which may be empty.
func (d *decoder) tagValue(n *yaml.Node, where string) (string, bool) {
	switch n := resolve(n); {
	case n.Kind == yaml.SequenceNode && !strings.HasSuffix(where, "]"):
		d.wrongType(n, where, "one text (use in for several)")
		return "", false
	case n.Kind == yaml.ScalarNode && n.ShortTag() == "!!null":
		d.fail(n, "wrong-type", "%s is empty; for the empty text write \"\"", where)
		return "", false
	}
	return d.text(n, where)
}

func (d *decoder) possibleValue(n *yaml.Node, where, s string) bool {
	if count := utf8.RuneCountInString(s); count > MaxTagValue {
		d.fail(n, "tag-value", "%s has %d characters; a tag value has at most %d, so this can never match", where, count, MaxTagValue)
		return false
	}
	return true
}

func (d *decoder) valueList(n *yaml.Node, where string, c *Condition) bool {
	ok := true
	whole := d.list(n, where, "values, for example [a, b]", func(i int, item *yaml.Node) {
		at := fmt.Sprintf("%s[%d]", where, i)
		s, fine := d.tagValue(item, at)
		switch {
		case !fine || !d.possibleValue(item, at, s):
			ok = false
		case slices.Contains(c.Values, s):
			d.fail(item, "duplicate-value", "%s repeats %q", at, s)
			ok = false
		default:
			c.Values = append(c.Values, s)
		}
	})
	if whole && ok && len(c.Values) == 0 {
		d.fail(n, "empty-condition", "%s is an empty list, which no key can match; write at least one value", where)
		return false
	}
	return whole && ok
}

func (d *decoder) globPattern(n *yaml.Node, where string, c *Condition) bool {
	if utf8.RuneCountInString(c.Values[0]) > maxRegex {
		d.fail(n, "bad-glob", "%s has more than %d characters", where, maxRegex)
		return false
	}
	g, err := CompileGlob(c.Values[0])
	if err != nil {
		d.fail(n, "bad-glob", "%s %s is wrong at %v", where, shown(c.Values[0]), err)
		return false
	}
	c.glob = g
	return true
}
