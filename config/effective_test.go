package config_test

import (
	"bytes"
	"os"
	"slices"
	"strings"
	"testing"
	"unicode"

	"github.com/google/go-cmp/cmp"

	"keywatch/config"
)

// Where each value comes from, in all the ways that there are.
func TestEffectiveOrigins(t *testing.T) {
	t.Parallel()
	source := string(read(t, "testdata/ok/outcome.yaml"))
	c, err := config.Load(config.Request{Flag: "f", Overrides: map[string]string{"limits.alarms": "7"}, ReadFile: disk{"f": source}.read})
	if err != nil {
		t.Fatal(err)
	}
	values, err := c.EffectiveValues()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]config.Value{}
	for _, v := range values {
		if _, twice := got[v.Path]; twice {
			t.Errorf("%s is there twice", v.Path)
		}
		got[v.Path] = v
	}
	for path, want := range map[string]struct {
		value  any
		origin string
	}{
		"version":                                 {1, "line 2"},
		"limits.alarms":                           {7, "context keywatch:limits.alarms"},
		"limits.monthlyUSD":                       {300, "default"},
		"rules[0].match":                          {map[string]any{"tag": "plan", "equals": "plain"}, "line 5"},
		"rules[0].watch":                          {true, "default"},
		"rules[0].operations":                     {"applicable", "defaults, line 25"},
		"rules[0].anomaly.band":                   {3, "defaults, line 26"},
		"rules[0].anomaly.period":                 {"5m", "default"},
		"rules[0].thresholds[0].above":            {5, "defaults, line 29"},
		"rules[0].thresholds[0].period":           {"5m", "default"},
		"rules[0].bandTag.tag":                    {"keywatch-band", "defaults, line 28"},
		"rules[0].bandTag.min":                    {1, "default"},
		"rules[1].operations":                     {[]any{"Decrypt", "Encrypt", "Sign"}, "line 8"},
		"rules[1].anomaly.period":                 {"15m", "line 9"},
		"rules[1].perOperation.Decrypt.band":      {1.5, "line 10"},
		"rules[1].perOperation.Decrypt.evaluate":  {4, "defaults, line 27"},
		"rules[1].perOperation.Decrypt.period":    {"15m", "line 9"},
		"rules[1].perOperation.Decrypt.direction": {"above", "default"},
		"rules[1].perOperation.Encrypt":           {"off", "defaults, line 27"},
		"rules[1].perOperation.Sign":              {"off", "line 10"},
		"rules[1].bandTag.allowLooser":            {true, "line 11"},
		"rules[1].actions.ok[0]":                  {"arn:aws:sns:eu-west-1:111122223333:calm", "line 12"},
		"rules[1].actions.alarm[0]":               {"arn:{partition}:sns:{region}:{account}:pager", "defaults, line 31"},
		"rules[1].actions.insufficientData":       {[]any{}, "line 12"},
		"rules[2].thresholds":                     {[]any{}, "line 17"},
		"rules[3].anomaly":                        {"off", "line 20"},
		"rules[4].watch":                          {false, "line 23"},
		"exceptions":                              {[]any{}, "default"},
		"findings.all":                            {"warn", "default"},
	} {
		if diff := cmp.Diff(config.Value{Path: path, Value: want.value, Origin: want.origin}, got[path]); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	}
	for _, path := range []string{"rules[2].bandTag.tag", "rules[3].operations", "rules[4].anomaly", "rules[4].continue"} {
		if v, there := got[path]; there {
			t.Errorf("%+v is filled in, but is of no effect there", v)
		}
	}
}

// What --effective prints is a config that means the same and has no less to say:
// each value has its origin on its line.
func TestEffectiveRoundTrip(t *testing.T) {
	t.Parallel()
	paths := append(glob(t, "testdata/ok/*.yaml"), glob(t, "../examples/*.yaml")...)
	for _, path := range append(paths, "keywatch.yaml") {
		c := load(t, path)
		text, err := c.Effective()
		if err != nil {
			t.Fatal(err)
		}
		again, err := config.Load(config.Request{Flag: path, ReadFile: func(string) ([]byte, error) { return text, nil }})
		if err != nil {
			t.Errorf("%s: %v\n%s", path, err, text)
			continue
		}
		if diff := cmp.Diff(c, again, sameValues); diff != "" {
			t.Errorf("%s means something else (-want +got):\n%s\n%s", path, diff, text)
		}
		if diff := cmp.Diff(codes(c.Warnings), codes(again.Warnings)); diff != "" && !slices.Contains(codes(c.Warnings), "unreachable") {
			t.Errorf("%s: other warnings (-want +got):\n%s", path, diff)
		}
		twice, err := again.Effective()
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(withoutOrigins(text), withoutOrigins(twice)); diff != "" {
			t.Errorf("%s: the second time it is different:\n%s", path, diff)
		}
		if i := bytes.IndexFunc(text, func(r rune) bool { return r != '\n' && !unicode.IsPrint(r) }); i >= 0 {
			t.Errorf("%s: what does not show is not escaped: %q", path, text[i:])
		}
		for line := range strings.Lines(string(text)) {
			value := strings.TrimSuffix(strings.TrimSpace(line), ":")
			if !strings.Contains(line, " # ") && strings.Contains(value, ": ") {
				t.Errorf("%s: a value without an origin: %s", path, line)
			}
			if len([]rune(line)) > 81 && !strings.Contains(line, "arn:") && !strings.Contains(line, "keyId:") {
				t.Errorf("%s: more than 80 columns: %s", path, line)
			}
		}
	}
	if _, err := os.Stat("../examples/demo.yaml"); err != nil {
		t.Error(err)
	}
}

func withoutOrigins(text []byte) string {
	var b strings.Builder
	for line := range strings.Lines(string(text)) {
		if i := strings.LastIndex(line, " # "); i >= 0 {
			line = line[:i] + "\n"
		}
		b.WriteString(line)
	}
	return b.String()
}
