package main

import (
	"io"
	"strings"
	"testing"
)

func TestGate(t *testing.T) {
	t.Parallel()
	const fine = `{"Action":"pass","Package":"p","Test":"TestA"}
{"Action":"pass","Package":"p","Elapsed":1}
`
	tests := map[string]struct {
		in   string
		pass bool
	}{
		"all tests pass":                      {fine, true},
		"a failed test":                       {fine + `{"Action":"fail","Package":"p","Test":"TestB"}`, false},
		"a skipped test":                      {fine + `{"Action":"skip","Package":"p","Test":"TestB"}`, false},
		"a skipped subtest":                   {fine + `{"Action":"skip","Package":"p","Test":"TestB/x"}`, false},
		"a package that does not build":       {fine + `{"Action":"build-fail","ImportPath":"q"}`, false},
		"a package that failed outside tests": {fine + `{"Action":"fail","Package":"q"}`, false},
		"a package whose tests did not run":   {fine + `{"Action":"pass","Package":"q"}`, false},
		"a package without test files":        {fine + `{"Action":"skip","Package":"q"}`, true},
		"nothing at all":                      {"", false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r, err := read(strings.NewReader(tt.in))
			if err != nil {
				t.Fatal(err)
			}
			if got := r.print(io.Discard, "x"); got != tt.pass {
				t.Errorf("passed = %v, want %v", got, tt.pass)
			}
		})
	}
}
