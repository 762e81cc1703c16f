package diag

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode"
)

// A snippet fits a terminal, its indentation included.
const (
	snippetIndent  = "    "
	snippetColumns = 80 - len(snippetIndent)
)

// Print writes each problem, and below it the line of the source with a caret
// where it is. source is the text of the file that positions refer to; other
// files get no snippet.
func (l List) Print(w io.Writer, file string, source []byte) {
	lines := strings.Split(string(source), "\n")
	for _, p := range l {
		fmt.Fprintln(w, p)
		if p.Pos.File != file || p.Pos.Line < 1 || p.Pos.Line > len(lines) || p.Pos.Col < 1 {
			continue
		}
		line := []rune(printable(strings.TrimRight(lines[p.Pos.Line-1], "\r")))
		if len(line) == 0 || p.Pos.Col > len(line)+1 {
			continue
		}
		shown, caret := around(line, p.Pos.Col-1)
		var indent strings.Builder
		for _, r := range shown[:caret] {
			if r == '\t' { // keeps the caret below its character
				indent.WriteRune(r)
				continue
			}
			indent.WriteString(strings.Repeat(" ", columnsOf(r)))
		}
		fmt.Fprintf(w, "%s%s\n%s%s^\n", snippetIndent, string(shown), snippetIndent, indent.String())
	}
}

// around is the part of a line around its caret that fits a snippet, with … where
// it is cut, and where in it the caret is.
func around(line []rune, caret int) ([]rune, int) {
	wide := 1 // the caret may stand behind the last character
	for _, r := range line {
		wide += columnsOf(r)
		if r == '\t' {
			wide += maxTab
		}
	}
	if wide <= snippetColumns {
		return line, caret
	}
	line = slices.Clone(line)
	for i, r := range line {
		if r == '\t' { // what is cut has no tab stops
			line[i] = ' '
		}
	}
	room := snippetColumns - 3 // … on both sides, and the caret
	from, to := caret, caret
	before := func(room int) (taken int) {
		for from > 0 && taken+columnsOf(line[from-1]) <= room {
			from--
			taken += columnsOf(line[from])
		}
		return taken
	}
	room -= before(room / 2)
	for to < len(line) && columnsOf(line[to]) <= room {
		room -= columnsOf(line[to])
		to++
	}
	before(room) // what the end of the line left over
	shown, at := line[from:to], caret-from
	if from > 0 {
		shown, at = append([]rune("…"), shown...), at+1
	}
	if to < len(line) {
		shown = append(slices.Clip(shown), '…')
	}
	return shown, at
}

// maxTab is how many columns a tab may take beyond its own.
const maxTab = 7

// columnsOf is how many columns of a terminal a character takes.
func columnsOf(r rune) int {
	switch {
	case unicode.In(r, unicode.Mn, unicode.Me, unicode.Cf):
		return 0
	case unicode.Is(wideCharacters, r):
		return 2
	}
	return 1
}

// wideCharacters are the blocks whose characters take two columns ("Unicode
// Standard Annex #11: East Asian Width").
var wideCharacters = &unicode.RangeTable{
	R16: []unicode.Range16{
		{Lo: 0x1100, Hi: 0x115f, Stride: 1}, {Lo: 0x2e80, Hi: 0x303e, Stride: 1}, {Lo: 0x3041, Hi: 0x4dbf, Stride: 1},
		{Lo: 0x4e00, Hi: 0xa4cf, Stride: 1}, {Lo: 0xa960, Hi: 0xa97f, Stride: 1}, {Lo: 0xac00, Hi: 0xd7a3, Stride: 1},
		{Lo: 0xf900, Hi: 0xfaff, Stride: 1}, {Lo: 0xfe30, Hi: 0xfe6f, Stride: 1}, {Lo: 0xff01, Hi: 0xff60, Stride: 1},
		{Lo: 0xffe0, Hi: 0xffe6, Stride: 1},
	},
	R32: []unicode.Range32{
		{Lo: 0x17000, Hi: 0x18aff, Stride: 1}, {Lo: 0x1f300, Hi: 0x1f64f, Stride: 1}, {Lo: 0x1f680, Hi: 0x1f6ff, Stride: 1},
		{Lo: 0x1f900, Hi: 0x1f9ff, Stride: 1}, {Lo: 0x20000, Hi: 0x3fffd, Stride: 1},
	},
}
