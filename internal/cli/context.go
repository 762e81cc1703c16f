package cli

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strconv"
	"strings"

	"keywatch/config"
	"keywatch/internal/diag"
)

// options are what flags say.
type options struct {
	config       string
	context      []string
	allowRemoval string
}

// settings are flags and context values together.
type settings struct {
	request      config.Request
	allowRemoval int
}

const (
	prefix            = "keywatch:"
	contextConfig     = "config"
	contextRemoval    = "allowRemoval"
	maxContext        = 64 << 20
	envContext        = "CDK_CONTEXT_JSON"
	envOverflow       = "CONTEXT_OVERFLOW_LOCATION_ENV"
	envConfig         = "KEYWATCH_CONFIG"
	envDefaultAccount = "CDK_DEFAULT_ACCOUNT"
	envDefaultRegion  = "CDK_DEFAULT_REGION"
	envOutDir         = "CDK_OUTDIR"
	fileCDK           = "cdk.json"
)

// settings gathers the values keywatch:* of the CDK context. The CDK CLI hands
// them over in CDK_CONTEXT_JSON, or in a file if they are long; a verb reads
// the "context" of cdk.json itself, so that a gate checks what is deployed.
func (w *World) settings(o *options) (*settings, error) {
	values, err := w.contextValues()
	if err != nil {
		return nil, err
	}
	for _, c := range o.context {
		key, value, ok := strings.Cut(c, "=")
		if !ok {
			return nil, fmt.Errorf("--context %q has no value; write keywatch:NAME=VALUE", c)
		}
		if name, ours := strings.CutPrefix(key, prefix); ours {
			values[name] = value
		}
	}
	s := &settings{
		request: config.Request{
			Flag: o.config, Env: w.Getenv(envConfig), Overrides: map[string]string{}, ReadFile: w.ReadFile,
		},
	}
	if o.allowRemoval != "" { // it wins over the context, as every flag
		if s.allowRemoval, err = number(o.allowRemoval); err != nil {
			return nil, fmt.Errorf("--allow-removal %w", err)
		}
	}
	var problems diag.List
	for _, name := range slices.Sorted(maps.Keys(values)) {
		value := values[name]
		switch {
		case name == contextConfig:
			s.request.Context = value
		case name == contextRemoval:
			n, err := number(value)
			if err != nil {
				problems.Add(diag.Pos{File: "context " + prefix + name}, "wrong-type", "the value is %v", err)
			} else if o.allowRemoval == "" {
				s.allowRemoval = n
			}
		case slices.Contains(config.Overridable, name):
			s.request.Overrides[name] = value
		default:
			known := append([]string{contextConfig, contextRemoval}, config.Overridable...)
			problems.Add(diag.Pos{File: "context " + prefix + name}, "unknown-context", "no such context value%s; allowed: %s", diag.DidYouMean(name, known), strings.Join(known, ", "))
		}
	}
	if len(problems) > 0 {
		problems.Sort()
		return nil, problems
	}
	return s, nil
}

func number(text string) (int, error) {
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		return 0, fmt.Errorf("%q; allowed: the number of keys, as the message says it", text)
	}
	return n, nil
}

// contextValues are the context values of the app by name, without the prefix.
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
	data, err := w.ReadFile(fileCDK)
	if errors.Is(err, fs.ErrNotExist) {
		return values, nil
	}
	if err != nil {
		return nil, environment(fmt.Errorf("read the CDK context: %w", err))
	}
	var file struct {
		Context json.RawMessage `json:"context"`
	}
	if err := json.Unmarshal(data, &file); err != nil {
		return nil, one(fileCDK, "is not valid JSON: %v", err)
	}
	if file.Context == nil {
		return values, nil
	}
	return values, addContext(values, file.Context, fileCDK)
}

func addContext(values map[string]string, data []byte, from string) error {
	if len(data) > maxContext {
		return one(from, "has %d bytes; at most %d are read", len(data), maxContext)
	}
	var all map[string]json.RawMessage
	if err := json.Unmarshal(data, &all); err != nil {
		return one(from, "the CDK context is not a JSON object: %v", err)
	}
	for key, raw := range all {
		name, ours := strings.CutPrefix(key, prefix)
		if !ours {
			continue
		}
		var text string
		if json.Unmarshal(raw, &text) != nil {
			text = string(bytes.TrimSpace(raw)) // a number or boolean as it stands
		}
		values[name] = text
	}
	return nil
}

func one(file, format string, args ...any) error {
	var l diag.List
	l.Add(diag.Pos{File: file}, "context", format, args...)
	return l
}
