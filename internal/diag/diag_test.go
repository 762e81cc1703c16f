package diag_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"keywatch/internal/diag"
)

func at(line, col int) diag.Pos { return diag.Pos{File: "f.yaml", Line: line, Col: col} }

func TestString(t *testing.T) {
	t.Parallel()
	var l diag.List
	l.Add(at(3, 7), "band", "band is %d", 0)
	l.Warn(at(4, 1), "no-actions", "nobody is told")
	l.Add(diag.Pos{File: "context keywatch:name"}, "bad-name", "name is %q", "X")
	l.Add(diag.Pos{}, "no-match", "no key is watched")
	want := `f.yaml:3:7: band is 0 [band]
f.yaml:4:1: warning: nobody is told [no-actions]
context keywatch:name: name is "X" [bad-name]
no key is watched [no-match]`
	if diff := cmp.Diff(want, l.Error()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if diag.Error.String() != "error" || diag.Warning.String() != "warning" {
		t.Errorf("severities are %q and %q", diag.Error, diag.Warning)
	}
}

// Sort is a total order, whatever the order before, and drops repetitions.
func TestSort(t *testing.T) {
	t.Parallel()
	var want diag.List
	want.Add(diag.Pos{}, "a", "no place")
	want.Add(diag.Pos{File: "a.yaml", Line: 9, Col: 9}, "a", "first file")
	want.Add(at(2, 9), "a", "line 2")
	want.Add(at(10, 1), "a", "line 10, column 1")
	want.Add(at(10, 2), "a", "an error before")
	want.Add(at(10, 2), "b", "by code")
	want.Add(at(10, 2), "b", "by text")
	want.Warn(at(10, 2), "a", "a warning")
	random := rand.New(rand.NewPCG(1, 1))
	for range 50 {
		got := append(append(diag.List{}, want...), want[3], want[7])
		random.Shuffle(len(got), func(i, j int) { got[i], got[j] = got[j], got[i] })
		got.Sort()
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("(-want +got):\n%s", diff)
		}
	}
}

func TestErr(t *testing.T) {
	t.Parallel()
	var l diag.List
	if l.Err() != nil {
		t.Error("an empty list is an error")
	}
	l.Warn(at(1, 1), "w", "only a warning")
	if l.Err() != nil {
		t.Error("a warning alone is an error")
	}
	l.Add(at(1, 1), "e", "an error")
	var got diag.List
	if err := fmt.Errorf("load: %w", l.Err()); !errors.As(err, &got) || len(got) != 2 {
		t.Errorf("the error holds %v", got)
	}
	if len(l.Errors()) != 1 || l.Errors()[0].Code != "e" || len(l.Warnings()) != 1 || l.Warnings()[0].Code != "w" {
		t.Errorf("errors %v, warnings %v", l.Errors(), l.Warnings())
	}
}

func TestPrint(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 101)
	for name, test := range map[string]struct {
		pos    diag.Pos
		source string
		want   string
	}{
		"a caret":              {at(2, 3), "a\nb: c\n", "    b: c\n      ^\n"},
		"the first column":     {at(1, 1), "abc", "    abc\n    ^\n"},
		"behind the last":      {at(1, 4), "abc", "    abc\n       ^\n"},
		"beyond the line":      {at(1, 5), "abc", ""},
		"tabs stay tabs":       {at(1, 4), "\t\ta: b", "    \t\ta: b\n    \t\t ^\n"},
		"columns are runes":    {at(1, 5), "été: x", "    été: x\n        ^\n"},
		"CRLF":                 {at(1, 1), "abc\r\nd", "    abc\n    ^\n"},
		"an empty line":        {at(2, 1), "a\n\nb", ""},
		"wide characters":      {at(1, 4), "鍵: x", "    鍵: x\n        ^\n"},
		"marks take no column": {at(1, 4), "e\u0301: x", "    e\u0301: x\n      ^\n"},
		"just fits":            {at(1, 75), long[:75], "    " + long[:75] + "\n    " + strings.Repeat(" ", 74) + "^\n"},
		"cut behind":           {at(1, 1), long, "    " + long[:73] + "…\n    ^\n"},
		"cut before":           {at(1, 101), long, "    …" + long[:73] + "\n    " + strings.Repeat(" ", 73) + "^\n"},
		"cut on both sides":    {at(1, 51), long, "    …" + long[:73] + "…\n    " + strings.Repeat(" ", 37) + "^\n"},
		"a cut line of wides":  {at(1, 51), strings.Repeat("鍵", 100), "    …" + strings.Repeat("鍵", 36) + "…\n    " + strings.Repeat(" ", 37) + "^\n"},
		"tabs of a cut line":   {at(1, 101), strings.Repeat("\t", 100) + "a: b", "    …" + strings.Repeat(" ", 69) + "a: b\n    " + strings.Repeat(" ", 70) + "^\n"},
		"no turning around":    {at(1, 3), "a\u202eb", "    a\ufffdb\n      ^\n"},
		"no such line":         {at(9, 1), "a", ""},
		"no column":            {at(1, 0), "a", ""},
		"another file":         {diag.Pos{File: "g.yaml", Line: 1, Col: 1}, "a", ""},
		"no line":              {diag.Pos{File: "f.yaml"}, "a", ""},
		"no terminal controls": {at(1, 3), "a\x1b[31mb", "    a\ufffd[31mb\n      ^\n"},
		"broken UTF-8":         {at(1, 2), "a\xffb", "    a\ufffdb\n     ^\n"},
	} {
		var l diag.List
		l.Add(test.pos, "code", "wrong")
		var b strings.Builder
		l.Print(&b, "f.yaml", []byte(test.source))
		if diff := cmp.Diff(l[0].String()+"\n"+test.want, b.String()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

// Whatever a line holds and wherever its caret is, a snippet fits 80 columns.
func TestSnippetsFitATerminal(t *testing.T) {
	t.Parallel()
	letters := []rune("ab: 鍵é\t\u0301한🔑")
	random := rand.New(rand.NewPCG(1, 1))
	for range 2000 {
		line := make([]rune, 1+random.IntN(200))
		for i := range line {
			line[i] = letters[random.IntN(len(letters))]
		}
		col := 1 + random.IntN(len(line)+1)
		var l diag.List
		l.Add(at(1, col), "code", "wrong")
		var b strings.Builder
		l.Print(&b, "f.yaml", []byte(string(line)))
		lines := strings.Split(b.String(), "\n")
		if len(lines) != 4 {
			t.Fatalf("no snippet for column %d of %q", col, string(line))
		}
		for _, line := range lines[1:3] {
			columns := 0
			for _, r := range line {
				switch {
				case r == '\t':
					columns += 8 - columns%8
				case strings.ContainsRune("鍵한🔑", r):
					columns += 2
				case r != '\u0301':
					columns++
				}
			}
			if columns > 80 {
				t.Fatalf("%d columns: %q", columns, line)
			}
		}
	}
}

// A value of the user's cannot break a message into lines, colour it or turn it
// around.
func TestMessagesStayOnOneLine(t *testing.T) {
	t.Parallel()
	var l diag.List
	l.Add(diag.Pos{}, "code", "tag %s", "a\nb\x1b[0m\u0085")
	l.Warn(diag.Pos{}, "code", "tag %s", "a\r\u202e")
	if got, want := l.Error(), "tag a\ufffdb\ufffd[0m\ufffd [code]\nwarning: tag a\ufffd\ufffd [code]"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestDidYouMean(t *testing.T) {
	t.Parallel()
	allowed := []string{"name", "match", "watch", "operations", "onUnreadable", "thresholds", "tag"}
	for got, want := range map[string]string{
		"nam": "name", "names": "name", "nmae": "name", "Name": "name", "NAME": "name",
		"mtach": "match", "wacth": "watch", "tga": "tag", "tags": "tag",
		"threshold": "thresholds", "operation": "operations", "onUnreadible": "onUnreadable",
		"": "", "x": "", "owner": "", "team": "", "alarms": "", "name-of-the-rule": "",
	} {
		if near := diag.Nearest(got, allowed); near != want {
			t.Errorf("%q: %q, want %q", got, near, want)
		}
		text := ""
		if want != "" {
			text = ` (did you mean "` + want + `"?)`
		}
		if d := diag.DidYouMean(got, allowed); d != text {
			t.Errorf("%q: %q, want %q", got, d, text)
		}
	}
	// Of two that are as near, the first by name, in whatever order they come.
	for _, allowed := range [][]string{{"ba", "bc"}, {"bc", "ba"}} {
		if got := diag.Nearest("bb", allowed); got != "ba" {
			t.Errorf("of %q: %q", allowed, got)
		}
	}
}
