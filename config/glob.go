package config

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// Glob is a compiled pattern over whole values: `*` any run of characters
// ("/" included), `?` one character, `[abc]`, `[a-z]` and `[!a-z]` one of or
// none of, and `\` takes the next character literally. Characters are Unicode
// code points.
type Glob struct {
	text  string
	items []globItem
}

type globItem struct {
	kind    globKind
	literal rune
	set     []runeRange
	negated bool
}

type globKind uint8

const (
	globLiteral globKind = iota
	globAny              // ?
	globRun              // *
	globSet              // […]
)

type runeRange struct{ low, high rune }

// CompileGlob reads a pattern. The error says at which character it is wrong.
func CompileGlob(pattern string) (*Glob, error) {
	g := &Glob{text: pattern}
	rs := []rune(pattern)
	for i := 0; i < len(rs); i++ {
		switch rs[i] {
		case '*':
			if n := len(g.items); n == 0 || g.items[n-1].kind != globRun {
				g.items = append(g.items, globItem{kind: globRun})
			}
		case '?':
			g.items = append(g.items, globItem{kind: globAny})
		case '[':
			item, end, err := globClass(rs, i)
			if err != nil {
				return nil, err
			}
			g.items = append(g.items, item)
			i = end
		case '\\':
			if i++; i == len(rs) {
				return nil, fmt.Errorf(`character %d: a \ at the end has nothing to take literally; write \\ for a backslash`, i)
			}
			fallthrough
		default:
			g.items = append(g.items, globItem{kind: globLiteral, literal: rs[i]})
		}
	}
	return g, nil
}

var errClassOpen = errors.New("is never closed by ]")

// globClass reads […] at rs[start] and returns the index of its "]". A "]"
// that comes first is literal.
func globClass(rs []rune, start int) (item globItem, end int, err error) {
	item = globItem{kind: globSet}
	i := start + 1
	if i < len(rs) && rs[i] == '^' { // means "none of" elsewhere, so it is likely meant
		return item, 0, fmt.Errorf(`character %d: [^…] is not known; write [!…] for none of these, or [\^…] for a literal ^`, start+1)
	}
	if i < len(rs) && rs[i] == '!' {
		item.negated = true
		i++
	}
	next := func() (rune, bool) {
		if i < len(rs) && rs[i] == '\\' {
			i++
		}
		if i >= len(rs) {
			return 0, false
		}
		i++
		return rs[i-1], true
	}
	for first := true; ; first = false {
		if i >= len(rs) {
			return item, 0, fmt.Errorf(`character %d: [ %w; write \[ for a literal one`, start+1, errClassOpen)
		}
		if rs[i] == ']' && !first {
			return item, i, nil
		}
		low, ok := next()
		high := low
		if ok && i+1 < len(rs) && rs[i] == '-' && rs[i+1] != ']' {
			i++
			high, ok = next()
		}
		if !ok {
			continue // the end of the pattern: reported above
		}
		if high < low {
			return item, 0, fmt.Errorf("character %d: the range %c-%c runs backwards", start+1, low, high)
		}
		item.set = append(item.set, runeRange{low, high})
	}
}

// Match says whether the whole of s fits the pattern. It takes at most
// len(pattern) × len(s) steps.
func (g *Glob) Match(s string) bool {
	item, at := 0, 0
	lastRun, lastAt := -1, 0 // where to go back to: the last * and its end
	for at < len(s) {
		if item < len(g.items) {
			if g.items[item].kind == globRun {
				lastRun, lastAt = item, at
				item++
				continue
			}
			r, size := utf8.DecodeRuneInString(s[at:])
			if g.items[item].matches(r) {
				item++
				at += size
				continue
			}
		}
		if lastRun < 0 {
			return false
		}
		_, size := utf8.DecodeRuneInString(s[lastAt:])
		lastAt += size
		item, at = lastRun+1, lastAt
	}
	for item < len(g.items) && g.items[item].kind == globRun {
		item++
	}
	return item == len(g.items)
}

// MayBegin says whether the pattern may fit a text that begins so: if there is a
// way through it that takes the whole beginning.
func (g *Glob) MayBegin(beginning string) bool {
	at := map[int]bool{0: true} // the items that may come next
	for _, r := range beginning {
		next := map[int]bool{}
		for i := range len(g.items) {
			switch item := &g.items[i]; {
			case !at[i]:
			case item.kind == globRun:
				next[i], at[i+1] = true, true
			case item.matches(r):
				next[i+1] = true
			}
		}
		at = next
	}
	return len(at) > 0
}

// spelledWith says whether each character that the pattern asks for literally is
// one of these.
func (g *Glob) spelledWith(letters string) bool {
	return !slices.ContainsFunc(g.items, func(i globItem) bool {
		return i.kind == globLiteral && !strings.ContainsRune(letters, i.literal)
	})
}

func (g *Glob) String() string { return g.text }

func (i *globItem) matches(r rune) bool {
	switch i.kind {
	case globLiteral:
		return i.literal == r
	case globAny:
		return true
	}
	for _, c := range i.set {
		if c.low <= r && r <= c.high {
			return !i.negated
		}
	}
	return i.negated
}
