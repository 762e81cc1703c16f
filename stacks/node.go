package stacks

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
)

// ErrNode is the error, wrapped, when Node.js, which the CDK runs on, is not
// there or too old. Its text says how to get it.
var ErrNode = errors.New("run `npm ci` and then `npx cdk …`, which puts the pinned Node.js on the PATH, or install Node.js 22 or later")

// minNode is the oldest major version that aws-cdk-lib 2.270 runs on (the
// "engines" of its package.json).
const minNode = 20

// findNode looks where jsii will look: JSII_RUNTIME replaces the whole command
// and is nobody's business here, JSII_NODE names the program, and otherwise
// "node" is in the PATH. Left to jsii, a missing Node.js would be a panic about
// an executable file.
func findNode() error {
	if os.Getenv("JSII_RUNTIME") != "" {
		return nil
	}
	node, from := os.Getenv("JSII_NODE"), "JSII_NODE"
	if node == "" {
		node, from = "node", "the PATH"
	}
	path, err := exec.LookPath(node)
	if err != nil {
		return fmt.Errorf("the CDK runs on Node.js, but there is no %q in %s: %w", node, from, ErrNode)
	}
	out, err := exec.Command(path, "--version").Output()
	if err != nil {
		return fmt.Errorf("the CDK runs on Node.js, but %s --version fails: %w: %w", path, err, ErrNode)
	}
	version := strings.TrimSpace(string(out))
	major, _, _ := strings.Cut(strings.TrimPrefix(version, "v"), ".")
	if n, err := strconv.Atoi(major); err != nil || n < minNode {
		return fmt.Errorf("the CDK runs on Node.js %d or later, but %s is %q: %w", minNode, path, version, ErrNode)
	}
	return nil
}
