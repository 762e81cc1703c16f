package config

import (
	"regexp/syntax"
	"slices"
	"strings"
	"unicode"
)

// maxWords is how long a list may be that says a regex more plainly.
const maxWords = 10

// simplify remarks on the regexes that a plainer test says as well.
func (d *decoder) simplify(c *Condition, where string) {
	if simpler := c.Simpler(); simpler != "" {
		d.problems.Warn(c.Pos, "regex-glob", "%s.regex: %q says the same as %s, which is plainer and cheaper; write {tag: %s, %s}", where, brief(c.Values[0]), brief(simpler), Readable(c.Tag), brief(simpler))
	}
	for i, child := range c.Children {
		d.simplify(child, c.below(where, i))
	}
}

// Simpler is the test that says the same as a regex more plainly, as the user
// would write it, or "" if there is none or the leaf has another test. Equals, in
// and glob are read at a glance, and only the values of the first two let synth
// ask AWS for fewer keys.
func (c *Condition) Simpler() string {
	if c.Kind != Tag || c.Test != Regex {
		return ""
	}
	return simplerThan(c.Values[0])
}

// simplerThan is a test that fits the values which a regex fits, as the user
// would write it, or "". Values have no line breaks: KMS allows letters, digits,
// spaces and _ . / = + - : @ in a tag ("Tags in AWS KMS", KMS Developer Guide).
func simplerThan(pattern string) string {
	tree, err := syntax.Parse(pattern, syntax.Perl)
	if err != nil {
		return ""
	}
	tree = withoutAnchors(tree)
	if words, ok := wordsOf(tree); ok {
		slices.Sort(words)
		if words = slices.Compact(words); len(words) == 1 {
			return "equals: " + quoted(words[0])
		}
		for i := range words {
			words[i] = quoted(words[i])
		}
		return "in: [" + strings.Join(words, ", ") + "]"
	}
	if glob, ok := globFrom(tree); ok {
		return "glob: " + quoted(glob)
	}
	return ""
}

// quoted is text as YAML takes it literally.
func quoted(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }

// withoutAnchors drops ^ at the beginning and $ at the end, which a pattern for
// the whole value does not need.
func withoutAnchors(re *syntax.Regexp) *syntax.Regexp {
	if re.Op != syntax.OpConcat {
		return re
	}
	subs := re.Sub
	for len(subs) > 0 && subs[0].Op == syntax.OpBeginText {
		subs = subs[1:]
	}
	for len(subs) > 0 && subs[len(subs)-1].Op == syntax.OpEndText {
		subs = subs[:len(subs)-1]
	}
	return &syntax.Regexp{Op: syntax.OpConcat, Sub: subs}
}

// wordsOf are all texts that a pattern fits, if they are few.
func wordsOf(re *syntax.Regexp) ([]string, bool) {
	switch re.Op {
	case syntax.OpEmptyMatch:
		return []string{""}, true
	case syntax.OpLiteral:
		return []string{string(re.Rune)}, literalText(re)
	case syntax.OpCapture:
		return wordsOf(re.Sub[0])
	case syntax.OpCharClass:
		var out []string
		for i := 0; i < len(re.Rune); i += 2 {
			for r := re.Rune[i]; r <= re.Rune[i+1]; r++ {
				if out = append(out, string(r)); len(out) > maxWords || !unicode.IsPrint(r) {
					return nil, false
				}
			}
		}
		return out, true
	case syntax.OpQuest:
		words, ok := wordsOf(re.Sub[0])
		return append(words, ""), ok
	case syntax.OpAlternate:
		var out []string
		for _, sub := range re.Sub {
			words, ok := wordsOf(sub)
			if out = append(out, words...); !ok || len(out) > maxWords {
				return nil, false
			}
		}
		return out, true
	case syntax.OpConcat:
		out := []string{""}
		for _, sub := range re.Sub {
			words, ok := wordsOf(sub)
			if !ok || len(out)*len(words) > maxWords {
				return nil, false
			}
			var longer []string
			for _, begin := range out {
				for _, end := range words {
					longer = append(longer, begin+end)
				}
			}
			out = longer
		}
		return out, true
	}
	return nil, false
}

// literalText says that a literal is case-sensitive and can be written down.
func literalText(re *syntax.Regexp) bool {
	return re.Flags&syntax.FoldCase == 0 && !slices.ContainsFunc(re.Rune, func(r rune) bool { return !unicode.IsPrint(r) })
}

// globFrom writes a pattern as a glob, where there is one.
func globFrom(re *syntax.Regexp) (string, bool) {
	switch re.Op {
	case syntax.OpLiteral:
		var b strings.Builder
		for _, r := range re.Rune {
			if strings.ContainsRune(`*?[\`, r) {
				b.WriteByte('\\')
			}
			b.WriteRune(r)
		}
		return b.String(), literalText(re)
	case syntax.OpCapture:
		return globFrom(re.Sub[0])
	case syntax.OpAnyCharNotNL, syntax.OpAnyChar:
		return "?", true
	case syntax.OpStar:
		return "*", anyChar(re.Sub[0])
	case syntax.OpPlus:
		return "?*", anyChar(re.Sub[0])
	case syntax.OpCharClass:
		return globClassOf(re.Rune)
	case syntax.OpConcat:
		var b strings.Builder
		for _, sub := range re.Sub {
			part, ok := globFrom(sub)
			if !ok {
				return "", false
			}
			b.WriteString(part)
		}
		return b.String(), true
	}
	return "", false
}

func anyChar(re *syntax.Regexp) bool {
	return re.Op == syntax.OpAnyCharNotNL || re.Op == syntax.OpAnyChar
}

// globClassOf writes the ranges of a class, if they are few.
func globClassOf(ranges []rune) (string, bool) {
	const most = 4
	if len(ranges) > 2*most || slices.ContainsFunc(ranges, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return "", false
	}
	var b strings.Builder
	item := func(r rune) {
		if strings.ContainsRune(`\]!^-[`, r) {
			b.WriteByte('\\')
		}
		b.WriteRune(r)
	}
	b.WriteByte('[')
	for i := 0; i < len(ranges); i += 2 {
		if item(ranges[i]); ranges[i+1] > ranges[i] {
			b.WriteByte('-')
			item(ranges[i+1])
		}
	}
	b.WriteByte(']')
	return b.String(), true
}
