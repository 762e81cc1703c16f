// Package localaws starts the local AWS for tests: moto, pinned, patched at
// start-up and strict. It serves everything from one free port of the loopback
// interface, one set of resources per account and region; the account is
// [Account].
//
// Strict means that a request which AWS would refuse is refused: CloudFormation
// operations fail and roll back, with the reason in the events of the stack. The
// Python modules in this folder say what they check and what they mend in moto;
// server.py is the place to start reading.
//
// A server takes about a second to start:
//
//	aws, err := localaws.Start(ctx, localaws.Options{Log: filepath.Join(t.TempDir(), "aws.log")})
//	if err != nil {
//		t.Fatal(err)
//	}
//	defer aws.Stop()
//	cmd := exec.Command("cdk", "deploy", "--all", "--require-approval", "never")
//	cmd.Env = aws.Env()
//
// It needs the Python environment that `make venv` makes.
package localaws

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"time"
)

const (
	// Account is the ID of the account that all credentials belong to.
	Account = "123456789012"
	// Region is the default region.
	Region = "eu-west-1"
	// VenvVariable names the environment variable that may hold the path of the
	// Python environment, in place of .venv in the root of the repository.
	VenvVariable = "KEYWATCH_VENV"

	callsPath   = "/keywatch-local/calls"
	stopPatient = 5 * time.Second
)

// Options says how to start a server. The zero value is fine.
type Options struct {
	// Root is the root of the repository; by default the nearest folder with a
	// go.mod, from the working directory upwards.
	Root string
	// Venv is the Python environment; by default $KEYWATCH_VENV, or Root/.venv.
	Venv string
	// Log is the file that the server's log goes to; by default there is none.
	Log string
	// Region is the region that Env sets; by default [Region].
	Region string
	// Timeout bounds the start; by default it is a minute.
	Timeout time.Duration
}

// Server is a local AWS that runs.
type Server struct {
	url    string
	region string
	cmd    *exec.Cmd
	stdin  io.Closer
	log    *os.File
	done   chan struct{}
	once   sync.Once
}

// Call is one API call that the server has answered, as its journal has it.
type Call struct {
	Seq     int            `json:"seq"`
	Service string         `json:"service"` // cloudformation, cloudwatch, kms, s3, sts, …
	Action  string         `json:"action"`  // CreateChangeSet; for S3, the method and the path
	Region  string         `json:"region"`
	Write   bool           `json:"write"`  // whether it can change anything
	Status  int            `json:"status"` // of HTTP; 0 while it is being answered
	Error   string         `json:"error"`  // the error code, if it was refused
	Params  map[string]any `json:"params"` // of write calls, with long texts cut
}

// Start starts a server and returns once it answers. The server ends with Stop,
// with ctx, or with this process, whatever becomes of it.
func Start(ctx context.Context, opts Options) (*Server, error) {
	root, err := rootOf(opts.Root)
	if err != nil {
		return nil, err
	}
	venv := opts.Venv
	if venv == "" {
		venv = os.Getenv(VenvVariable)
	}
	if venv == "" {
		venv = filepath.Join(root, ".venv")
	}
	python, err := Python(venv)
	if err != nil {
		return nil, err
	}
	script := filepath.Join(root, "test", "localaws", "server.py")
	if _, err := os.Stat(script); err != nil {
		return nil, fmt.Errorf("localaws: %w", err)
	}
	s := &Server{region: opts.Region, done: make(chan struct{})}
	if s.region == "" {
		s.region = Region
	}
	if opts.Log != "" {
		if s.log, err = os.Create(opts.Log); err != nil {
			return nil, fmt.Errorf("localaws: log: %w", err)
		}
	}
	timeout := opts.Timeout
	if timeout == 0 {
		timeout = time.Minute
	}
	if err := s.start(ctx, python, script, timeout); err != nil {
		_ = s.Stop()
		return nil, fmt.Errorf("localaws: %w", err)
	}
	return s, nil
}

// Python is the interpreter of a Python environment. When it is not there, the
// error says what to run.
func Python(venv string) (string, error) {
	python := filepath.Join(venv, "bin", "python")
	if runtime.GOOS == "windows" {
		python = filepath.Join(venv, "Scripts", "python.exe")
	}
	if _, err := os.Stat(python); err != nil {
		return "", fmt.Errorf("localaws: missing: the Python environment %s (%w): run `make venv`", venv, err)
	}
	return python, nil
}

func rootOf(root string) (string, error) {
	if root != "" {
		return filepath.Abs(root)
	}
	dir, err := os.Getwd()
	if err != nil {
		return "", fmt.Errorf("localaws: %w", err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir, nil
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", errors.New("localaws: no go.mod in the working directory or above it: set Options.Root")
		}
		dir = parent
	}
}

func (s *Server) start(ctx context.Context, python, script string, timeout time.Duration) error {
	// -B: no compiled files in the source tree.
	s.cmd = exec.CommandContext(ctx, python, "-B", script)
	s.cmd.Env = clean(os.Environ())
	if s.log != nil {
		s.cmd.Stderr = s.log
	}
	s.cmd.WaitDelay = stopPatient
	stdin, err := s.cmd.StdinPipe()
	if err != nil {
		return err
	}
	s.stdin = stdin
	stdout, err := s.cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := s.cmd.Start(); err != nil {
		s.cmd = nil
		return err
	}
	lines := make(chan string, 1)
	go func() {
		defer close(s.done)
		scanner := bufio.NewScanner(stdout)
		first := true
		for scanner.Scan() {
			if first {
				lines <- scanner.Text()
				first = false
			}
		}
		close(lines)
		_ = s.cmd.Wait()
	}()
	expired := time.NewTimer(timeout)
	defer expired.Stop()
	select {
	case line, ok := <-lines:
		return s.ready(line, ok)
	case <-expired.C:
		return fmt.Errorf("the server was not ready after %v%s", timeout, s.seeLog())
	case <-ctx.Done():
		return ctx.Err()
	}
}

// ready reads the first line of the server: "ready URL" or "missing WHAT".
func (s *Server) ready(line string, ok bool) error {
	word, rest, _ := strings.Cut(line, " ")
	switch {
	case !ok:
		<-s.done
		return fmt.Errorf("the server ended before it was ready (%v)%s", s.cmd.ProcessState, s.seeLog())
	case word == "missing":
		return fmt.Errorf("missing in the Python environment %s: %s: run `make venv`", filepath.Dir(filepath.Dir(s.cmd.Path)), rest)
	case word != "ready":
		return fmt.Errorf("unexpected first line of the server: %q%s", line, s.seeLog())
	}
	s.url = rest
	return nil
}

func (s *Server) seeLog() string {
	if s.log == nil {
		return "; set Options.Log to see why"
	}
	return "; see " + s.log.Name()
}

// URL is where the server listens: what AWS_ENDPOINT_URL must be.
func (s *Server) URL() string { return s.url }

// Vars are the environment variables that point an SDK or the CDK CLI at the
// server, as KEY=value.
func (s *Server) Vars() []string {
	return []string{
		"AWS_ENDPOINT_URL=" + s.url,
		"AWS_ACCESS_KEY_ID=local",
		"AWS_SECRET_ACCESS_KEY=local",
		"AWS_REGION=" + s.region,
		"AWS_DEFAULT_REGION=" + s.region,
		"AWS_CONFIG_FILE=" + os.DevNull,
		"AWS_SHARED_CREDENTIALS_FILE=" + os.DevNull,
		"AWS_EC2_METADATA_DISABLED=true",
		"CDK_DISABLE_CLI_TELEMETRY=true",
		"CDK_DISABLE_VERSION_CHECK=true",
	}
}

// Env is a whole environment for a command that uses the server: that of this
// process without its own AWS and CDK settings (a profile, say), and Vars.
func (s *Server) Env() []string { return append(clean(os.Environ()), s.Vars()...) }

// clean is an environment without what could lead to another AWS than ours, or
// change what the CDK does.
func clean(environ []string) []string {
	var kept []string
	for _, entry := range environ {
		name, _, _ := strings.Cut(entry, "=")
		name = strings.ToUpper(name)
		switch {
		case strings.HasPrefix(name, "AWS_"), strings.HasPrefix(name, "CDK_"), strings.HasPrefix(name, "MOTO_"):
		case strings.HasSuffix(name, "_PROXY"): // the CLI would ask it for localhost
		default:
			kept = append(kept, entry)
		}
	}
	return kept
}

// Calls are all API calls so far, oldest first.
func (s *Server) Calls(ctx context.Context) ([]Call, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.url+callsPath, nil)
	if err != nil {
		return nil, fmt.Errorf("localaws: %w", err)
	}
	resp, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(req)
	if err != nil {
		return nil, fmt.Errorf("localaws: journal: %w", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("localaws: journal: %s", resp.Status)
	}
	var journal struct {
		Calls []Call `json:"calls"`
	}
	if err := json.NewDecoder(resp.Body).Decode(&journal); err != nil {
		return nil, fmt.Errorf("localaws: journal: %w", err)
	}
	return journal.Calls, nil
}

// Stop ends the server and waits until it is gone. Stopping twice is fine.
func (s *Server) Stop() error {
	var err error
	s.once.Do(func() {
		if s.log != nil {
			defer s.log.Close()
		}
		if s.cmd == nil {
			return
		}
		_ = s.stdin.Close()
		patience := time.NewTimer(stopPatient)
		defer patience.Stop()
		select {
		case <-s.done:
		case <-patience.C:
			err = fmt.Errorf("localaws: the server did not end within %v and was killed", stopPatient)
			_ = s.cmd.Process.Kill()
			<-s.done
		}
	})
	return err
}
