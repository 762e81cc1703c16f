package main

import (
	"io"
	"os"
)

// maxRead bounds what is read of any file; each reader has a lower bound of its
// own and complains about the rest.
const maxRead = 512 << 20

// readFile is os.ReadFile that ends: a device or a pipe may not.
func readFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, maxRead))
}
