package config

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"keywatch/internal/diag"
)

var facts = []Fact{Alias, KeyID, Usage, Spec, Origin, State, MultiRegion, CreatedBefore, CreatedAfter}

// Values are all that the fact can be, as keywatch knows it; nil if it can be
// any text, or is none ("KeyMetadata", KMS API Reference).
func (f Fact) Values() []string {
	switch f {
	case Usage:
		return []string{"ENCRYPT_DECRYPT", "SIGN_VERIFY", "GENERATE_VERIFY_MAC", "KEY_AGREEMENT"}
	case Spec:
		return []string{
			"SYMMETRIC_DEFAULT", "RSA_2048", "RSA_3072", "RSA_4096",
			"ECC_NIST_P256", "ECC_NIST_P384", "ECC_NIST_P521", "ECC_SECG_P256K1", "ECC_NIST_EDWARDS25519",
			"ML_DSA_44", "ML_DSA_65", "ML_DSA_87", "HMAC_224", "HMAC_256", "HMAC_384", "HMAC_512", "SM2",
		}
	case Origin:
		return []string{"AWS_KMS", "EXTERNAL", "AWS_CLOUDHSM", "EXTERNAL_KEY_STORE"}
	case State:
		return []string{"Creating", "Enabled", "Disabled", "PendingDeletion", "PendingImport", "PendingReplicaDeletion", "Unavailable", "Updating"}
	}
	return nil
}

// MatchText says whether a leaf with equals, in, glob or regex is satisfied by a
// value: that of a tag, or a fact.
func (c *Condition) MatchText(value string) bool {
	switch c.Test {
	case Equals:
		return value == c.Values[0]
	case In:
		return slices.Contains(c.Values, value)
	case GlobOf:
		return c.glob.Match(value)
	default:
		return c.regex.MatchString(value)
	}
}

// MatchCreated says whether a createdBefore or createdAfter is satisfied by the
// moment at which the key was made: before that day begins, or from then on.
func (c *Condition) MatchCreated(created time.Time) bool {
	return created.Before(c.Date) == (c.Fact == CreatedBefore)
}

func isFact(word string) bool { return slices.Contains(facts, Fact(word)) }

// fact reads {usage: {equals|in|glob: …}}, {multiRegion: …} or {createdBefore: …}.
func (d *decoder) fact(n *yaml.Node, f Fact, where string) *Condition {
	c := &Condition{Pos: d.pos(n), Kind: Is, Fact: f}
	where += "." + string(f)
	value, ok := resolve(n.Content[1]), false
	switch f {
	case MultiRegion:
		c.Want, ok = d.boolean(value, where)
	case CreatedBefore, CreatedAfter:
		c.Date = d.day(value, where)
		ok = !c.Date.IsZero()
	default:
		ok = d.factTest(value, where, c)
	}
	if !ok {
		return nil
	}
	return c
}

func (d *decoder) factTest(n *yaml.Node, where string, c *Condition) bool {
	switch {
	case n.Kind == yaml.SequenceNode:
		d.fail(n, "wrong-type", "%s is a list; write {%s: {in: […]}}", where, c.Fact)
		return false
	case n.Kind == yaml.ScalarNode && n.ShortTag() != "!!null":
		d.fail(n, "wrong-type", "%s lacks a test; write {%s: {equals: %s}}, or in or glob in place of equals", where, c.Fact, n.Value)
		return false
	}
	var tests []string
	before := len(d.problems)
	test := func(t TagTest, read func(v *yaml.Node, at string)) field {
		return optional(func(v *yaml.Node) {
			tests = append(tests, string(t))
			c.Test = t
			read(v, where+"."+string(t))
		})
	}
	if !d.mapping(n, where, "a mapping of one test, such as {equals: …}", fields{
		"equals": test(Equals, func(v *yaml.Node, at string) { c.Values = []string{d.factValue(v, at, c.Fact)} }),
		"in":     test(In, func(v *yaml.Node, at string) { d.factList(v, at, c) }),
		"glob":   test(GlobOf, func(v *yaml.Node, at string) { d.factGlob(v, at, c) }),
	}) {
		return false
	}
	switch {
	case len(tests) > 1:
		d.fail(n, "two-operators", "%s has %s; a leaf has exactly one test: put a leaf for each below \"all\"", where, strings.Join(tests, " and "))
	case len(tests) == 0 && len(d.problems) == before:
		d.fail(n, "no-operator", "%s has no test; add one of equals, in, glob", where)
	}
	return len(d.problems) == before
}

// factValue reads what a fact is compared with, and refuses what no key can be.
func (d *decoder) factValue(n *yaml.Node, where string, f Fact) string {
	n = resolve(n)
	if n.Kind == yaml.SequenceNode && !strings.HasSuffix(where, "]") {
		d.wrongType(n, where, "one text (use in for several)")
		return ""
	}
	s, ok := d.text(n, where)
	if !ok {
		return ""
	}
	known := f.Values()
	switch {
	case known != nil && !slices.Contains(known, s):
		d.fail(n, "not-allowed", "%s is %q%s; allowed: %s", where, s, diag.DidYouMean(s, known), strings.Join(known, ", "))
	case f == Alias && !strings.HasPrefix(s, "alias/"):
		d.fail(n, "not-allowed", "%s is %q, and each alias begins with alias/; write %q", where, s, asAlias(s[strings.LastIndex(s, ":")+1:]))
	case f == Alias && (!aliasNamePattern.MatchString(s)):
		d.fail(n, "not-allowed", "%s is %s, which no key can have; an alias is alias/ and letters, digits, /, _ and -, at most %d characters (for * and ? use glob)", where, shown(s), maxAlias)
	case f == KeyID && strings.HasPrefix(s, "arn:"):
		d.fail(n, "not-allowed", "%s is an ARN; write its last part, which is the key ID: %q", where, s[strings.LastIndex(s, "/")+1:])
	case f == KeyID && !keyIDPattern.MatchString(s):
		d.fail(n, "not-allowed", "%s is %s; a key ID looks like 1234abcd-12ab-34cd-56ef-1234567890ab, or is mrk- and 32 of 0-9 and a-f (for an alias use alias)", where, shown(s))
	}
	return s
}

// asAlias is a name as an alias begins, whatever it begins with.
func asAlias(s string) string {
	const prefix = "alias/"
	if len(s) >= len(prefix) && strings.EqualFold(s[:len(prefix)], prefix) {
		s = s[len(prefix):]
	}
	return prefix + s
}

func (d *decoder) factList(n *yaml.Node, where string, c *Condition) {
	if !d.list(n, where, "values, for example [a, b]", func(i int, item *yaml.Node) {
		at := fmt.Sprintf("%s[%d]", where, i)
		before := len(d.problems)
		s := d.factValue(item, at, c.Fact)
		if len(d.problems) == before && slices.Contains(c.Values, s) {
			d.fail(item, "duplicate-value", "%s repeats %q", at, s)
		}
		c.Values = append(c.Values, s)
	}) {
		return
	}
	if len(c.Values) == 0 {
		d.fail(n, "empty-condition", "%s is an empty list, which no key can match; write at least one value", where)
	}
}

func (d *decoder) factGlob(n *yaml.Node, where string, c *Condition) {
	s, ok := d.text(n, where)
	if c.Values = []string{s}; !ok || !d.globPattern(n, where, c) {
		return
	}
	known := c.Fact.Values()
	switch {
	case known != nil && !slices.ContainsFunc(known, c.glob.Match):
		d.fail(n, "contradiction", "%s %s fits nothing that %s can be; the values are %s", where, shown(s), c.Fact, strings.Join(known, ", "))
	case c.Fact == Alias && !c.glob.MayBegin("alias/"):
		d.fail(n, "contradiction", "%s %s fits no alias, since each begins with alias/; write for example %s", where, shown(s), shown(asAlias(s)))
	case c.Fact == KeyID && !c.glob.spelledWith("0123456789abcdef-mrk"):
		d.fail(n, "contradiction", "%s %s fits no key ID, which is mrk- and 0-9, a-f, or 0-9, a-f and -; of an ARN write the last part", where, shown(s))
	}
}
