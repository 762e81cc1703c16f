package report

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/jedib0t/go-pretty/v6/text"
)

// columns is how wide text is.
const columns = 80

// hidden says of a character that it would steer a terminal instead of showing.
func hidden(r rune) bool { return unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) }

// shown replaces what would steer the terminal: names and reasons come from AWS
// or from a file, and so from anybody. Each Write holds whole characters.
type shown struct{ to io.Writer }

func (s shown) Write(b []byte) (int, error) {
	safe := bytes.Map(func(r rune) rune {
		if r != '\n' && hidden(r) {
			return utf8.RuneError
		}
		return r
	}, b)
	_, err := s.to.Write(safe)
	return len(b), err
}

// escaped writes as JSON escapes what JSON allows as it is and a terminal does not.
type escaped struct{ to io.Writer }

func (e escaped) Write(b []byte) (int, error) {
	var out bytes.Buffer
	for _, r := range string(b) {
		if r >= utf8.RuneSelf-1 && hidden(r) {
			fmt.Fprintf(&out, "\\u%04x", r)
			continue
		}
		out.WriteRune(r)
	}
	_, err := e.to.Write(out.Bytes())
	return len(b), err
}

// line keeps a text on one line.
func line(s string) string {
	return strings.Map(func(r rune) rune {
		if hidden(r) {
			return utf8.RuneError
		}
		return r
	}, s)
}

// fold writes a text that begins with first in lines of 80 columns, those after
// the first indented by hang. Words and what is in quotes stay whole.
func fold(w io.Writer, first string, hang int, s string) {
	out, at, empty := first, text.StringWidth(first), true
	for _, word := range words(s) {
		width := text.StringWidth(word)
		switch {
		case empty:
		case at+1+width > columns:
			fmt.Fprintln(w, out)
			out, at = strings.Repeat(" ", hang), hang
		default:
			out, at = out+" ", at+1
		}
		out, at, empty = out+word, at+width, false
	}
	fmt.Fprintln(w, strings.TrimRight(out, " "))
}

// words splits at spaces that are not within quotes.
func words(s string) []string {
	var out []string
	begin, quoted := -1, false
	for i, r := range s {
		switch {
		case r == '"' && (i == 0 || s[i-1] != '\\'):
			quoted = !quoted && strings.Contains(s[i+1:], `"`)
			fallthrough
		case quoted || !unicode.IsSpace(r):
			if begin < 0 {
				begin = i
			}
		case begin >= 0:
			out, begin = append(out, s[begin:i]), -1
		}
	}
	if begin >= 0 {
		out = append(out, s[begin:])
	}
	return out
}

// each writes a field whose items stand on one line if they fit, else on one each.
func each(w io.Writer, name string, items []string) {
	const indent = 10
	all := strings.Join(items, ", ")
	if len(items) == 0 {
		all = "(none)"
	}
	if len(items) < 2 || indent+text.StringWidth(all) <= columns {
		fmt.Fprintf(w, "%-9s %s\n", name, all)
		return
	}
	for i, item := range items {
		if i > 0 {
			name = ""
		}
		fmt.Fprintf(w, "%-9s %s\n", name, item)
	}
}
