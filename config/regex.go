package config

import (
	"errors"
	"regexp"
	"regexp/syntax"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

func (d *decoder) regexPattern(n *yaml.Node, where string, c *Condition) bool {
	pattern := c.Values[0]
	if utf8.RuneCountInString(pattern) > maxRegex {
		d.fail(n, "bad-regex", "%s has more than %d characters", where, maxRegex)
		return false
	}
	r, err := compileRegex(pattern)
	if errors.Is(err, errRegexSize) {
		d.fail(n, "bad-regex", "%s %s takes more than %d steps for one character, counts such as {100} written out; use smaller counts, or * and +", where, shown(pattern), maxProgram)
		return false
	}
	if err == nil {
		c.regex = r
		return true
	}
	var bad *syntax.Error
	if !errors.As(err, &bad) {
		d.fail(n, "bad-regex", "%s %s: %v", where, shown(pattern), err)
		return false
	}
	part := ""
	if bad.Expr != pattern && bad.Expr != "" {
		part = " in " + shown(bad.Expr)
	}
	at, code := utf8.RuneCountInString(pattern[:mistake(pattern, bad)])+1, bad.Code
	if code == syntax.ErrInvalidNamedCapture && lookBehind.MatchString(bad.Expr) {
		code = syntax.ErrInvalidPerlOp
	}
	d.fail(n, "bad-regex", "%s %s is wrong at character %d: %s%s%s", where, shown(pattern), at, code, part, remedies[code])
	return false
}

// lookBehind is what the parser takes for the beginning of a name.
var lookBehind = regexp.MustCompile(`^\(\?<[=!]`)

// remedies say what to write instead, where the mistake alone does not.
var remedies = map[syntax.ErrorCode]string{
	syntax.ErrMissingRepeatArgument: `; write .* for any text and \* for a star, or use glob instead of regex`,
	syntax.ErrInvalidPerlOp:         "; RE2 has no look-ahead and no look-behind: use not with a second leaf",
	syntax.ErrInvalidEscape:         "; RE2 has no such escape, and no back-references",
}

// compileRegex anchors a pattern to the whole value. It is parsed bare first,
// since "a)|(b" is only whole within the anchoring group.
func compileRegex(pattern string) (*regexp.Regexp, error) {
	tree, err := syntax.Parse(pattern, syntax.Perl)
	if err != nil {
		return nil, err
	}
	if steps(tree) > maxProgram {
		return nil, errRegexSize
	}
	r, err := regexp.Compile(`\A(?:` + pattern + `)\z`)
	if err != nil { // \Q without \E would quote the end of the group too
		r, err = regexp.Compile(`\A(?:` + tree.String() + `)\z`)
	}
	return r, err
}

// maxProgram bounds the program of a pattern. RE2 takes time in proportion to the
// program and the value, so that only a huge program could be slow, and only
// counted repetitions make one huge: without any, maxRegex characters stay below.
const maxProgram = 2*maxRegex + 2

var errRegexSize = errors.New("the pattern is too large")

// steps is the size of the program that a pattern becomes, counts written out.
func steps(re *syntax.Regexp) int {
	n := 1
	if re.Op == syntax.OpLiteral {
		n = len(re.Rune)
	}
	for _, sub := range re.Sub {
		n += steps(sub)
	}
	switch re.Op {
	case syntax.OpRepeat:
		times := max(re.Max, re.Min+1) // Max is -1 for no end
		n = (n-1)*times + times - re.Min
	case syntax.OpCapture:
		n++
	}
	return n
}

// mistake is the byte at which a pattern is wrong. The parser only says with
// which part it was unhappy, or hands back the whole pattern.
func mistake(pattern string, bad *syntax.Error) int {
	switch bad.Code {
	case syntax.ErrMissingParen:
		if open, _ := parens(pattern); len(open) > 0 {
			return open[len(open)-1]
		}
		return 0
	case syntax.ErrUnexpectedParen:
		_, extra := parens(pattern)
		return max(0, extra)
	}
	// The part may also stand where it is fine: the place sought is the first
	// at which the parser, reading up to there, makes the same complaint.
	for at := 0; ; at++ {
		next := strings.Index(pattern[at:], bad.Expr)
		if next < 0 {
			return max(0, strings.LastIndex(pattern, bad.Expr))
		}
		at += next
		var same *syntax.Error
		if _, err := syntax.Parse(pattern[:at+len(bad.Expr)], syntax.Perl); errors.As(err, &same) && *same == *bad {
			return at
		}
		if at == len(pattern) {
			return at
		}
	}
}

// parens finds the "(" that are never closed, and the first ")" that closes
// nothing or -1. Escaped ones, quoted ones and those within […] are text.
func parens(pattern string) (open []int, extra int) {
	for i := 0; i < len(pattern); i++ {
		switch pattern[i] {
		case '\\':
			if strings.HasPrefix(pattern[i:], `\Q`) {
				end := strings.Index(pattern[i:], `\E`)
				if end < 0 {
					return open, -1
				}
				i += end
			}
			i++
		case '[':
			i = classEnd(pattern, i)
		case '(':
			open = append(open, i)
		case ')':
			if len(open) == 0 {
				return nil, i
			}
			open = open[:len(open)-1]
		}
	}
	return open, -1
}

// classEnd is the index of the "]" that closes the class at pattern[i].
func classEnd(pattern string, i int) int {
	i++
	if strings.HasPrefix(pattern[i:], "^") {
		i++
	}
	for first := true; i < len(pattern); i, first = i+1, false {
		switch {
		case pattern[i] == '\\':
			i++
		case strings.HasPrefix(pattern[i:], "[:"):
			if end := strings.Index(pattern[i:], ":]"); end > 0 {
				i += end + 1
			}
		case pattern[i] == ']' && !first:
			return i
		}
	}
	return i
}
