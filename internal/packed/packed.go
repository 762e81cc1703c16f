// Package packed keeps jsii from unpacking itself in a process that draws nothing.
//
// jsii-runtime-go unpacks 2 MB into a temporary directory when it is initialised,
// before main, and panics if it cannot; unless JSII_RUNTIME names a program to use
// in its place. A verb such as version needs neither jsii nor a directory. So this
// package sets JSII_RUNTIME before jsii looks, and main takes it back with
// [Restore]. A process that has the variable, be it empty, is left alone: that is
// how stacks.SynthApart asks for the real one.
//
// It is first because of what it imports: of the packages that could be
// initialised, Go takes the one whose path sorts first ("Program initialization",
// The Go Programming Language Specification). All that this one waits for is
// syscall, and jsii waits for os too, which itself waits for syscall and sorts
// behind keywatch. So do not import anything else here, and import this package
// from main alone: elsewhere, in a test say, jsii is wanted. Start reading at init.
package packed

import "syscall"

const (
	variable = "JSII_RUNTIME"
	none     = "false" // the program: it is never started
)

var ours bool

func init() {
	if _, set := syscall.Getenv(variable); !set {
		ours = syscall.Setenv(variable, none) == nil
	}
}

// Restore gives the environment back as it was. Call it first of all.
func Restore() {
	if ours {
		_ = syscall.Unsetenv(variable)
	}
}
