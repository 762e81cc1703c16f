package cli

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"keywatch/config"
	"keywatch/internal/diag"
)

// options are what flags say.
type options struct {
	config       string
	context      []string
	allowRemoval string
	// json: the result is JSON, also that the config is not valid.
	json bool
}

// settings are flags and context values together.
type settings struct {
	request      config.Request
	allowRemoval removals
	// qualifier is that of the bootstrap stack, as the CDK CLI knows it.
	qualifier string
	// only are the environments that are meant; empty: all.
	only []place
}

// place is one account and region that a context value names.
type place struct{ account, region string }

func (p place) String() string { return p.account + "/" + p.region }

const (
	prefix            = "keywatch:"
	contextConfig     = "config"
	contextRemoval    = "allowRemoval"
	contextEnv        = "env"
	contextQualifier  = "@aws-cdk/core:bootstrapQualifier"
	defaultQualifier  = "hnb659fds" // of `cdk bootstrap`
	maxContext        = 64 << 20
	envContext        = "CDK_CONTEXT_JSON"
	envOverflow       = "CONTEXT_OVERFLOW_LOCATION_ENV"
	envConfig         = "KEYWATCH_CONFIG"
	envDefaultAccount = "CDK_DEFAULT_ACCOUNT"
	envDefaultRegion  = "CDK_DEFAULT_REGION"
	envOutDir         = "CDK_OUTDIR"
	envHome           = "HOME"
	fileCDK           = "cdk.json"
	fileContext       = "cdk.context.json"
)

// settings gathers the values keywatch:* of the CDK context, and says what is
// wrong with them.
func (w *World) settings(o *options) (*settings, error) {
	s, err := w.gather(o)
	var problems diag.List
	if errors.As(err, &problems) {
		return nil, w.invalid(o, &config.Config{}, problems, "context")
	}
	return s, err
}

func (w *World) gather(o *options) (*settings, error) {
	values, err := w.contextValues()
	if err != nil {
		return nil, err
	}
	var problems diag.List
	for _, c := range o.context {
		key, value, ok := strings.Cut(c, "=")
		if !ok {
			return nil, fmt.Errorf("--context %q has no value; write keywatch:NAME=VALUE", c)
		}
		if slices.Contains(names(), key) && !strings.Contains(key, ".") { // one with a dot is found below
			unprefixed(&problems, key)
		}
		values[key] = value
	}
	s := &settings{
		request: config.Request{
			Flag: o.config, Env: w.Getenv(envConfig), Overrides: map[string]string{}, ReadFile: w.ReadFile,
		},
		qualifier: defaultQualifier,
	}
	if o.allowRemoval != "" { // it wins over the context, as every flag
		if s.allowRemoval, err = parseRemovals(o.allowRemoval); err != nil {
			return nil, fmt.Errorf("--allow-removal %w", err)
		}
		s.allowRemoval.by = "--allow-removal"
	}
	for _, key := range slices.Sorted(maps.Keys(values)) {
		name, ours := strings.CutPrefix(key, prefix)
		switch {
		case ours:
			s.take(name, values[key], o, &problems)
		case key == contextQualifier && values[key] != "" && values[key] != "null":
			s.qualifier = values[key]
		case strings.Contains(key, ".") && slices.Contains(names(), key):
			unprefixed(&problems, key)
		}
	}
	if len(problems) > 0 {
		problems.Sort()
		return nil, problems
	}
	return s, nil
}

// names are the context values, without the prefix.
func names() []string {
	return append([]string{contextConfig, contextRemoval, contextEnv}, config.Overridable...)
}

// unprefixed reports a value that looks like one of keywatch. Of a whole context,
// which others share, only names with a dot are surely meant so.
func unprefixed(to *diag.List, name string) {
	to.Add(diag.Pos{File: "context " + name}, "unknown-context", "keywatch reads only values that begin with %s; write -c %s%s=VALUE", prefix, prefix, name)
}

// take sets the value keywatch:NAME.
func (s *settings) take(name, value string, o *options, problems *diag.List) {
	at := diag.Pos{File: "context " + prefix + name}
	switch {
	case name == contextConfig:
		s.request.Context = value
	case name == contextRemoval:
		r, err := parseRemovals(value)
		if err != nil {
			problems.Add(at, "wrong-type", "the value is %v", err)
		} else if o.allowRemoval == "" {
			s.allowRemoval, s.allowRemoval.by = r, at.File
		}
	case name == contextEnv:
		for _, item := range strings.Split(value, ",") {
			p, ok := parsePlace(item)
			if !ok {
				problems.Add(at, "not-allowed", "%q is no environment; allowed: ACCOUNT/REGION, several with commas between them, for example 111122223333/eu-west-1", item)
				continue
			}
			s.only = append(s.only, p)
		}
	case slices.Contains(config.Overridable, name):
		s.request.Overrides[name] = value
	default:
		problems.Add(at, "unknown-context", "no such context value%s; allowed: %s", diag.DidYouMean(name, names()), strings.Join(names(), ", "))
	}
}

var (
	accountForm = regexp.MustCompile(`^[0-9]{12}$`)
	regionForm  = regexp.MustCompile(`^[a-z]{2,}(-[a-z]+)+-[0-9]+$`)
)

func parsePlace(text string) (place, bool) {
	account, region, _ := strings.Cut(strings.TrimSpace(text), "/")
	return place{account, region}, accountForm.MatchString(account) && regionForm.MatchString(region)
}

// contextValues is the CDK context. The CDK CLI hands it over in
// CDK_CONTEXT_JSON, or in a file if it is long; a verb reads what the CLI reads,
// so that a gate checks what is deployed. Of the files, cdk.json goes before
// cdk.context.json before ~/.cdk.json, and -c before all of them ("Context
// values and the AWS CDK", CDK Developer Guide).
func (w *World) contextValues() (map[string]string, error) {
	values := map[string]string{}
	if text := w.Getenv(envContext); text != "" {
		if err := addContext(values, []byte(text), envContext); err != nil {
			return nil, err
		}
		if path := w.Getenv(envOverflow); path != "" {
			data, err := w.ReadFile(path)
			if err != nil {
				return nil, environment(fmt.Errorf("read the CDK context: %w", err))
			}
			return values, addContext(values, data, path)
		}
		return values, nil
	}
	var files []contextFile // what is read later wins
	if home := w.Getenv(envHome); home != "" {
		files = append(files, contextFile{filepath.Join(home, "."+fileCDK), true})
	}
	for _, f := range append(files, contextFile{fileContext, false}, contextFile{fileCDK, true}) {
		if err := w.addFile(values, f); err != nil {
			return nil, err
		}
	}
	return values, nil
}

// contextFile is a file with context values: in its "context", or all it holds.
type contextFile struct {
	path   string
	within bool
}

func (w *World) addFile(values map[string]string, f contextFile) error {
	data, err := w.ReadFile(f.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return environment(fmt.Errorf("read the CDK context: %w", err))
	}
	if !f.within {
		return addContext(values, data, f.path)
	}
	var file struct {
		Context json.RawMessage `json:"context"`
	}
	if err := json.Unmarshal(data, &file); err != nil {
		return notJSON(f.path, err, "is valid JSON but no object with a context")
	}
	if file.Context == nil {
		return nil
	}
	return addContext(values, file.Context, f.path)
}

func addContext(values map[string]string, data []byte, from string) error {
	if len(data) > maxContext {
		return one(from, "has %d bytes; at most %d are read", len(data), maxContext)
	}
	var all map[string]json.RawMessage
	if err := json.Unmarshal(data, &all); err != nil {
		return notJSON(from, err, "the CDK context is no JSON object of names and values")
	}
	for key, raw := range all {
		var text string
		if json.Unmarshal(raw, &text) != nil {
			text = string(bytes.TrimSpace(raw)) // a number or boolean as it stands
		}
		values[key] = text
	}
	return nil
}

// notJSON says what is wrong with a file, without the words of Go's types.
func notJSON(file string, err error, otherwise string) error {
	var syntax *json.SyntaxError
	if errors.As(err, &syntax) {
		return one(file, "is not valid JSON: %v", err)
	}
	return one(file, "%s", otherwise)
}

func one(file, format string, args ...any) error {
	var l diag.List
	l.Add(diag.Pos{File: file}, "context", format, args...)
	return l
}
