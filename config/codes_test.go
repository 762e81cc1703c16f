package config_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

var codePattern = regexp.MustCompile(`^[a-z]+(-[a-z]+)*$`)

// codesIn reads the Go files of a package and returns every diagnostic code
// that stands in them as a literal, with its place.
func codesIn(t *testing.T, dir string) map[string]string {
	t.Helper()
	codes := map[string]string{}
	fset := token.NewFileSet()
	for _, path := range glob(t, filepath.Join(dir, "*.go")) {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(fset, path, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			if lit, ok := codeOf(n).(*ast.BasicLit); ok && lit.Kind == token.STRING {
				if code, err := strconv.Unquote(lit.Value); err == nil && codePattern.MatchString(code) {
					codes[code] = fset.Position(lit.Pos()).String()
				}
			}
			return true
		})
	}
	return codes
}

// codeOf is where a code stands in a call or literal: the second argument of
// Add, Warn, fail and one; Code: in a Problem; after severity and place in a
// literal without field names.
func codeOf(n ast.Node) ast.Expr {
	switch n := n.(type) {
	case *ast.CallExpr:
		if len(n.Args) >= 2 && giver(n.Fun) {
			return n.Args[1]
		}
	case *ast.KeyValueExpr:
		if key, ok := n.Key.(*ast.Ident); ok && key.Name == "Code" {
			return n.Value
		}
	case *ast.CompositeLit:
		if len(n.Elts) < 3 {
			return nil
		}
		if s, ok := n.Elts[0].(*ast.SelectorExpr); ok && (s.Sel.Name == "Error" || s.Sel.Name == "Warning") {
			return n.Elts[2]
		}
	}
	return nil
}

func giver(fun ast.Expr) bool {
	names := []string{"Add", "Warn", "fail", "one"}
	switch f := fun.(type) {
	case *ast.SelectorExpr:
		return slices.Contains(names, f.Sel.Name)
	case *ast.Ident:
		return slices.Contains(names, f.Name)
	}
	return false
}

const codesDir = "../docs/codes/"

// pages are the pages of docs/codes, by code.
func pages(t *testing.T) map[string]string {
	t.Helper()
	out := map[string]string{}
	for _, path := range glob(t, codesDir+"*.md") {
		if code := strings.TrimSuffix(filepath.Base(path), ".md"); code != "README" {
			out[code] = string(read(t, path))
		}
	}
	return out
}

// given are the codes that the program can give, with a place for each.
func given(t *testing.T) map[string]string {
	t.Helper()
	all := map[string]string{}
	for _, dir := range append([]string{"."}, glob(t, "../internal/*")...) {
		codes := codesIn(t, dir)
		if len(codes) == 0 && slices.Contains([]string{".", "plan", "places", "cli", "snapshot"}, filepath.Base(dir)) {
			t.Errorf("%s gives no code: the search is broken", dir)
		}
		maps.Copy(all, codes)
	}
	return all
}

// docs/codes has a page for each code and none for a code that nobody gives; so
// has its index, in alphabetical order.
func TestEveryCodeIsDocumented(t *testing.T) {
	t.Parallel()
	codes, documented := given(t), pages(t)
	for _, problem := range compareCodes(codes, slices.Sorted(maps.Keys(documented))) {
		t.Error("docs/codes: " + problem)
	}
	var index []string
	for _, m := range regexp.MustCompile("(?m)^\\| \\[`([^`]*)`\\]\\(([^)]*)\\.md\\) \\| .").FindAllStringSubmatch(string(read(t, codesDir+"README.md")), -1) {
		if m[1] != m[2] {
			t.Errorf("docs/codes/README.md leads from [%s] to the page of [%s]", m[1], m[2])
		}
		index = append(index, m[1])
	}
	for _, problem := range compareCodes(codes, index) {
		t.Error("docs/codes/README.md: " + problem)
	}
}

// A page names its code and says what it means, how to mend it, and its level if
// the config sets that.
func TestThePagesOfCodes(t *testing.T) {
	t.Parallel()
	levels := schemaAt(t, "findings").names()
	for code, text := range pages(t) {
		if !strings.HasPrefix(text, "# `"+code+"`\n\nMeans: ") || !strings.Contains(text, "\nFix: ") {
			t.Errorf("the page of [%s] lacks its name, what it means or the fix:\n%s", code, text)
		}
		if has := strings.Contains(text, "\nLevel: `"); has != slices.Contains(levels, code) {
			t.Errorf("the page of [%s] has a line of its level: %t; the config sets it: %t", code, has, !has)
		}
	}
}

func compareCodes(given map[string]string, documented []string) (problems []string) {
	for _, code := range slices.Sorted(maps.Keys(given)) {
		if !slices.Contains(documented, code) {
			problems = append(problems, fmt.Sprintf("nothing on [%s], given at %s", code, given[code]))
		}
	}
	for i, code := range documented {
		if given[code] == "" {
			problems = append(problems, fmt.Sprintf("[%s] is explained, which nothing gives", code))
		}
		if i > 0 && documented[i-1] >= code {
			problems = append(problems, fmt.Sprintf("[%s] is out of order or there twice", code))
		}
	}
	return problems
}

// The comparison notices a code too few, one too many, and one out of order.
func TestCompareCodes(t *testing.T) {
	t.Parallel()
	given := map[string]string{"a": "x.go:1", "b": "x.go:2"}
	for name, test := range map[string]struct {
		documented []string
		problems   int
	}{
		"right":        {[]string{"a", "b"}, 0},
		"one too few":  {[]string{"a"}, 1},
		"one too many": {[]string{"a", "b", "c"}, 1},
		"order":        {[]string{"b", "a"}, 1},
		"twice":        {[]string{"a", "a", "b"}, 1},
	} {
		if got := compareCodes(given, test.documented); len(got) != test.problems {
			t.Errorf("%s: %q, want %d problems", name, got, test.problems)
		}
	}
}
