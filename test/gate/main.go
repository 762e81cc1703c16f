// Gate reads the output of `go test -json` from stdin and decides whether it
// counts as passed: a failed test, a skipped one, a package that does not build
// and a package whose tests did not run all fail it. It prints what ran.
//
// Usage: go test -json PACKAGES | gate NAME
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
)

// event is one line of test2json ("go doc test2json").
type event struct {
	Action  string
	Package string
	Test    string
	Output  string
	Elapsed float64
	// Of a build: the package that failed to build.
	ImportPath string
}

type result struct {
	order   []string            // packages as they ended
	elapsed map[string]float64  // by package
	top     map[string][]string // top-level tests that passed, by package
	passed  int
	failed  []string
	skipped []string
	output  map[string][]string // by package and test, until it is known to be fine
	broken  []string
}

func main() {
	name := "tests"
	if len(os.Args) > 1 {
		name = os.Args[1]
	}
	r, err := read(os.Stdin)
	if err != nil {
		fmt.Fprintf(os.Stderr, "gate: read the output of go test: %v\n", err)
		os.Exit(1)
	}
	if !r.print(os.Stdout, name) {
		os.Exit(1)
	}
}

func read(in io.Reader) (*result, error) {
	r := &result{elapsed: map[string]float64{}, top: map[string][]string{}, output: map[string][]string{}}
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		var e event
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			r.broken = append(r.broken, lines.Text()) // not of test2json: go itself
			continue
		}
		r.add(e)
	}
	return r, lines.Err()
}

func (r *result) add(e event) {
	id := e.Package + " " + e.Test
	switch e.Action {
	case "output":
		r.output[id] = append(r.output[id], e.Output)
	case "build-output":
		r.broken = append(r.broken, strings.TrimRight(e.Output, "\n"))
	case "build-fail":
		r.failed = append(r.failed, e.ImportPath+" (does not build)")
	case "pass":
		if e.Test == "" {
			r.order = append(r.order, e.Package)
			r.elapsed[e.Package] = e.Elapsed
			return
		}
		r.passed++
		delete(r.output, id)
		if !strings.Contains(e.Test, "/") {
			r.top[e.Package] = append(r.top[e.Package], e.Test)
		}
	case "fail":
		if e.Test == "" {
			r.order = append(r.order, e.Package)
			r.elapsed[e.Package] = e.Elapsed
			if len(r.failed) > 0 {
				return // the test that failed it is in the list
			}
		}
		r.failed = append(r.failed, strings.TrimSpace(id))
	case "skip":
		if e.Test != "" {
			r.skipped = append(r.skipped, id)
		}
	}
}

// print says what ran and what is wrong, and whether all is well.
func (r *result) print(w io.Writer, name string) bool {
	for _, p := range r.order {
		tests := r.top[p]
		slices.Sort(tests)
		fmt.Fprintf(w, "%-40s %3d tests %7.1fs\n", p, len(tests), r.elapsed[p])
		for _, t := range tests {
			fmt.Fprintf(w, "    %s\n", t)
		}
		if len(tests) == 0 && !slices.ContainsFunc(r.failed, func(f string) bool { return strings.HasPrefix(f, p) }) {
			r.failed = append(r.failed, p+" (ran no test)")
		}
	}
	for _, line := range r.broken {
		fmt.Fprintln(w, line)
	}
	for _, f := range slices.Concat(r.failed, r.skipped) {
		fmt.Fprintf(w, "\n--- %s\n%s", f, strings.Join(r.output[f], ""))
		delete(r.output, f)
		if p, _, _ := strings.Cut(f, " "); r.output[p+" "] != nil {
			fmt.Fprint(w, strings.Join(r.output[p+" "], ""))
			delete(r.output, p+" ")
		}
	}
	for _, s := range r.skipped {
		fmt.Fprintf(w, "skipped, which counts as failed: %s\n", s)
	}
	failed := len(r.failed) + len(r.skipped)
	if r.passed == 0 && failed == 0 {
		fmt.Fprintln(w, "no test ran")
		failed = 1
	}
	fmt.Fprintf(w, "%s: %d passed, %d failed\n", name, r.passed, failed)
	return failed == 0
}
