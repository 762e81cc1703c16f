package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"

	"keywatch/internal/diag"
)

// What one file may hold, aliases expanded, so that none can blow up.
const (
	maxNodes = 200_000
	maxNest  = 128
)

const emptyConfig = "the config is empty; it needs at least version: 1 and rules (the README shows a small one)"

// parseYAML gives the one document of the file as a tree, or says why not.
func parseYAML(file string, data []byte) (*yaml.Node, diag.List) {
	top := Pos{File: file, Line: 1, Col: 1}
	if len(data) > MaxFile {
		return nil, one(Pos{File: file}, "too-large", "the config has %d bytes; at most %d are read", len(data), MaxFile)
	}
	dec := yaml.NewDecoder(bytes.NewReader(data))
	var doc, second yaml.Node
	switch err := dec.Decode(&doc); {
	case errors.Is(err, io.EOF):
		return nil, one(top, "empty", emptyConfig)
	case err != nil:
		return nil, notYAML(file, data, err)
	}
	if err := dec.Decode(&second); !errors.Is(err, io.EOF) {
		if err != nil {
			return nil, notYAML(file, data, err)
		}
		return nil, one(Pos{File: file, Line: second.Line, Col: 1}, "not-yaml", "a second YAML document begins here; a config is one document: remove the ---")
	}
	root := doc.Content[0]
	nodes := 0
	if too := tooLarge(root, 0, &nodes); too != "" {
		return nil, one(top, "too-large", "%s", too)
	}
	if root.Kind == yaml.ScalarNode && root.ShortTag() == "!!null" {
		return nil, one(top, "empty", emptyConfig)
	}
	return root, nil
}

var yamlLine = regexp.MustCompile(`^yaml: (?:line (\d+): )?(.*)$`)

// slips are what the parser's complaints usually come from, in its words.
var slips = []struct{ complaint, advice string }{
	{"tab character", "indent with spaces, not with tabs"},
	{"cannot start any token", "indent with spaces, not with tabs, and put a value that begins with @, ` or % in quotes"},
	{"alphabetic or numeric", "a value that begins with * or & needs quotes, for example \"*-prod\""},
	{"unknown anchor", "a value that begins with * needs quotes, for example \"*-prod\"; without them it repeats the value marked & before"},
	{"mapping values are not allowed", "a value that holds a colon and a space needs quotes; if there is none, the indentation is wrong here"},
	{"unexpected end of stream", "a quote is opened here and never closed"},
	{"unknown escape", "within \"…\" a backslash begins an escape; write patterns within '…'"},
	{"',' or ']'", "a [ is not closed, or a comma is missing"},
	{"',' or '}'", "a { is not closed, or a comma is missing"},
	{"node content", "a bracket is not closed, or a value is missing"},
	{"UTF-8", "save the file as UTF-8 text"},
	{"control characters", "save the file as UTF-8 text"},
	{"whitespace or line break", "a value that begins with ! needs quotes"},
	{"expected key", "indent this line like its neighbours, and close each bracket once"},
	{"'-' indicator", "indent this line like its neighbours; each item of a list begins with -"},
}

func notYAML(file string, data []byte, err error) diag.List {
	text, line := err.Error(), 1
	if m := yamlLine.FindStringSubmatch(text); m != nil {
		text = m[2]
		if n, err := strconv.Atoi(m[1]); err == nil {
			line = n
		}
	}
	pos := Pos{File: file, Line: line, Col: 1}
	lines := bytes.SplitAfter(data, []byte("\n"))
	if i := slices.IndexFunc(lines, func(l []byte) bool { return !utf8.Valid(l) }); i >= 0 {
		pos.Line = i + 1
	} else if pos.Line = brokenLine(lines, line); pos.Line <= len(lines) {
		this := string(lines[pos.Line-1])
		pos.Col += utf8.RuneCountInString(this) - utf8.RuneCountInString(strings.TrimLeft(this, " \t"))
	}
	advice := "check indentation, quotes and brackets here and in the line before"
	for _, s := range slips {
		if strings.Contains(text, s.complaint) {
			advice = s.advice
			break
		}
	}
	return one(pos, "not-yaml", "this is not YAML: %s; %s", text, advice)
}

// brokenLine is the line after the longest beginning of the file that is YAML:
// where a bracket or quote opens that never closes, or where the indentation
// goes wrong. The parser itself only knows where it noticed, and counts lines
// from 0 or 1. A large file is not worth the search; it gets the parser's line.
func brokenLine(lines [][]byte, fallback int) int {
	budget := 2 << 20
	whole := bytes.Join(lines, nil)
	for n := len(lines) - 1; n >= 0; n-- {
		whole = whole[:len(whole)-len(lines[n])]
		if budget -= len(whole); budget < 0 {
			return fallback
		}
		if isYAML(whole) {
			return n + 1
		}
	}
	return fallback
}

func isYAML(data []byte) bool {
	dec := yaml.NewDecoder(bytes.NewReader(data))
	for {
		var doc yaml.Node
		if err := dec.Decode(&doc); err != nil {
			return errors.Is(err, io.EOF)
		}
	}
}

// tooLarge counts with aliases expanded: a few lines can stand for billions.
func tooLarge(n *yaml.Node, depth int, nodes *int) string {
	*nodes++
	if *nodes > maxNodes {
		return fmt.Sprintf("the config holds more than %d values, aliases expanded; use fewer aliases (*name)", maxNodes)
	}
	if depth > maxNest {
		return fmt.Sprintf("the config is nested more than %d deep, aliases expanded", maxNest)
	}
	if n.Kind == yaml.AliasNode {
		return tooLarge(n.Alias, depth+1, nodes)
	}
	for _, child := range n.Content {
		if too := tooLarge(child, depth+1, nodes); too != "" {
			return too
		}
	}
	return ""
}
