package stacks

import (
	"bytes"
	"io"
	"os"
	"regexp"
	"runtime"
	"time"

	"github.com/aws/jsii-runtime-go"
)

// Close ends the jsii runtime, if it was started, and removes its temporary
// directory, which exists even if it was not. Call it once, before the program
// exits.
//
// jsii-runtime-go v1.139.0 waits for its Node process twice, in Close and in a
// goroutine, and if Close is first, the goroutine complains on os.Stderr that
// there is no child process. That line says nothing and looks like a failure,
// so what is written to os.Stderr meanwhile is held back, and passed on without
// it.
func Close() {
	r, w, err := os.Pipe()
	if err != nil {
		jsii.Close()
		return
	}
	written := make(chan []byte)
	go func() {
		b, _ := io.ReadAll(r)
		written <- b
	}()
	stderr := os.Stderr
	os.Stderr = w
	defer func() {
		os.Stderr = stderr
		w.Close()
		stderr.Write(withoutDoubleWait(<-written))
		r.Close()
	}()
	jsii.Close()
	for end := time.Now().Add(time.Second); waiterRuns() && time.Now().Before(end); {
		time.Sleep(time.Millisecond)
	}
}

// doubleWait is what the goroutine says when it was second, as Linux, macOS and
// os/exec word it. Any other exit of the process stays visible.
var doubleWait = regexp.MustCompile(`Runtime process exited abnormally: (wait(id)?: no child processes|exec: Wait was already called)\n?`)

func withoutDoubleWait(b []byte) []byte {
	return doubleWait.ReplaceAll(b, nil)
}

// waiterRuns says whether the goroutine is still there. jsii has no other way
// to tell.
func waiterRuns() bool {
	buf := make([]byte, 1<<20)
	return bytes.Contains(buf[:runtime.Stack(buf, true)], []byte("process.(*Process).ensureStarted.func"))
}
