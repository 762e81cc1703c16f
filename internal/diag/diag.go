// Package diag is how keywatch tells a user what is wrong with their input: one
// problem type, one order, one text form.
//
// It knows no YAML, no AWS and no rules. Start reading at [Problem].
package diag

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/agnivade/levenshtein"
)

// Severity separates what stops keywatch from what it only remarks.
type Severity int

const (
	Error Severity = iota
	Warning
)

func (s Severity) String() string {
	if s == Warning {
		return "warning"
	}
	return "error"
}

// Pos is a place in the user's input. Line and Col count from 1; 0 means that
// File is no file with lines, such as a context value.
type Pos struct {
	File string
	Line int
	Col  int
}

func (p Pos) String() string {
	if p.Line == 0 {
		return p.File
	}
	return fmt.Sprintf("%s:%d:%d", p.File, p.Line, p.Col)
}

// Problem is one thing that is wrong, where, and with which code; every code
// has a page in docs/codes.
type Problem struct {
	Pos      Pos
	Severity Severity
	Message  string
	Code     string
}

// String is `file:line:col: message [code]`; a warning says so.
func (p Problem) String() string {
	label := ""
	if p.Severity == Warning {
		label = "warning: "
	}
	at := p.Pos.String()
	if at != "" {
		at += ": "
	}
	return fmt.Sprintf("%s%s%s [%s]", at, label, p.Message, p.Code)
}

// List is a set of problems. As an error it is all of them, a line each.
type List []Problem

// Add appends an error.
func (l *List) Add(pos Pos, code, format string, args ...any) {
	*l = append(*l, Problem{Pos: pos, Message: printable(fmt.Sprintf(format, args...)), Code: code})
}

// Warn appends a warning.
func (l *List) Warn(pos Pos, code, format string, args ...any) {
	*l = append(*l, Problem{Pos: pos, Severity: Warning, Message: printable(fmt.Sprintf(format, args...)), Code: code})
}

// printable keeps off the terminal what steers it or turns its text around, and
// broken text, and keeps a message on one line.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) && r != '\t' || unicode.Is(unicode.Bidi_Control, r) {
			return utf8.RuneError
		}
		return r
	}, s)
}

// Sort orders by place, then severity, code and text, and drops repetitions.
func (l *List) Sort() {
	slices.SortFunc(*l, func(a, b Problem) int {
		return cmp.Or(
			cmp.Compare(a.Pos.File, b.Pos.File), cmp.Compare(a.Pos.Line, b.Pos.Line), cmp.Compare(a.Pos.Col, b.Pos.Col),
			cmp.Compare(a.Severity, b.Severity), cmp.Compare(a.Code, b.Code), cmp.Compare(a.Message, b.Message),
		)
	})
	*l = slices.Compact(*l)
}

// Errors returns the problems that are no warnings.
func (l List) Errors() List { return l.of(Error) }

// Warnings returns the warnings.
func (l List) Warnings() List { return l.of(Warning) }

func (l List) of(s Severity) List {
	var out List
	for _, p := range l {
		if p.Severity == s {
			out = append(out, p)
		}
	}
	return out
}

func (l List) Error() string {
	lines := make([]string, len(l))
	for i, p := range l {
		lines[i] = p.String()
	}
	return strings.Join(lines, "\n")
}

// Err is the list as an error if it holds any error, else nil.
func (l List) Err() error {
	if len(l.Errors()) == 0 {
		return nil
	}
	return l
}

// Nearest is the allowed word that got is most likely a slip of, or "" when
// none is near.
func Nearest(got string, allowed []string) string {
	best, distance := "", 1+max(1, utf8.RuneCountInString(got)/3)
	for _, a := range allowed {
		d := levenshtein.ComputeDistance(strings.ToLower(got), strings.ToLower(a))
		if d == 2 && sameLetters(got, a) { // two letters swapped are one slip
			d = 1
		}
		if d < distance || d == distance && a < best {
			best, distance = a, d
		}
	}
	return best
}

func sameLetters(a, b string) bool {
	sorted := func(s string) []rune {
		r := []rune(strings.ToLower(s))
		slices.Sort(r)
		return r
	}
	return slices.Equal(sorted(a), sorted(b))
}

// DidYouMean is ` (did you mean "x"?)` for the nearest allowed word, or "" when
// none is near. It stands in the middle of a sentence.
func DidYouMean(got string, allowed []string) string {
	best := Nearest(got, allowed)
	if best == "" {
		return ""
	}
	return fmt.Sprintf(" (did you mean %q?)", best)
}
