package main

import (
	"context"
	"io"
	"os"
)

// maxRead bounds what is read of any file; each reader has a lower bound of its
// own and complains about the rest.
const maxRead = 512 << 20

// reader makes an os.ReadFile that ends: a device or a pipe may not, and may keep
// even its opening waiting until somebody writes. A pipe is a file like any other,
// as in --config <(…), but ctx ends the wait for it.
func reader(ctx context.Context) func(string) ([]byte, error) {
	return func(path string) ([]byte, error) {
		type result struct {
			data []byte
			err  error
		}
		read := make(chan result, 1)
		go func() { // what it waits for may never come; it ends with the process
			data, err := readFile(path)
			read <- result{data, err}
		}()
		select {
		case r := <-read:
			return r.data, r.err
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

func readFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, maxRead))
}
