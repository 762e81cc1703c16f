package config_test

import (
	"errors"
	"io/fs"
	"strings"
	"syscall"
	"testing"

	"keywatch/config"
)

const smallest = "version: 1\nrules: [{name: %, match: every, watch: false}]\n"

// disk is a file system: content by path; an error where reading fails.
type disk map[string]any

func (d disk) read(path string) ([]byte, error) {
	switch v := d[path].(type) {
	case nil:
		return nil, &fs.PathError{Op: "open", Path: path, Err: syscall.ENOENT}
	case error:
		return nil, &fs.PathError{Op: "open", Path: path, Err: v}
	default:
		return []byte(v.(string)), nil
	}
}

// named is a valid config whose only rule has this name.
func named(rule string) string { return strings.Replace(smallest, "%", rule, 1) }

// The first source that is set and not empty decides; a file that is named and
// cannot be used is an error, never a reason to look further.
func TestFind(t *testing.T) {
	t.Parallel()
	all := disk{
		"ctx.yaml": named("context"), "flag.yaml": named("flag"), "env.yaml": named("env"),
		"keywatch.yaml": named("here"), "config/keywatch.yaml": named("folder"),
	}
	with := func(path string, content any) disk {
		d := disk{path: content}
		for p, c := range all {
			if p != path {
				d[p] = c
			}
		}
		return d
	}
	for name, test := range map[string]struct {
		context, flag, env string
		disk               disk
		rule               string // of the file that is loaded, or
		problem            string // what the error says
	}{
		"context wins":                       {"ctx.yaml", "flag.yaml", "env.yaml", all, "context", ""},
		"flag beats env":                     {"", "flag.yaml", "env.yaml", all, "flag", ""},
		"env beats files":                    {"", "", "env.yaml", all, "env", ""},
		"here beats folder":                  {"", "", "", all, "here", ""},
		"folder last":                        {"", "", "", with("keywatch.yaml", nil), "folder", ""},
		"nothing at all":                     {"", "", "", disk{}, "", "there is no config: neither keywatch.yaml nor config/keywatch.yaml exists here; write one (the README shows a small one), or name it with -c keywatch:config=PATH, --config PATH or $KEYWATCH_CONFIG [no-file]"},
		"context absent":                     {"no.yaml", "flag.yaml", "env.yaml", all, "", "no.yaml: the CDK context value keywatch:config names this config, but there is no such file; check the path, which starts at the working directory [no-file]"},
		"flag absent":                        {"", "no.yaml", "env.yaml", all, "", "no.yaml: --config names this config, but there is no such file; check the path, which starts at the working directory [no-file]"},
		"env absent":                         {"", "", "no.yaml", all, "", "no.yaml: $KEYWATCH_CONFIG names this config, but there is no such file; check the path, which starts at the working directory [no-file]"},
		"flag unreadable":                    {"", "flag.yaml", "", with("flag.yaml", syscall.EACCES), "", "flag.yaml: --config names this config, but reading it gives: permission denied [no-file]"},
		"flag is a folder":                   {"", "flag.yaml", "", with("flag.yaml", syscall.EISDIR), "", "flag.yaml: --config names this config, but reading it gives: is a directory [no-file]"},
		"here unreadable is no fall-through": {"", "", "", with("keywatch.yaml", syscall.EACCES), "", "keywatch.yaml: this config cannot be used: reading it gives: permission denied; mend that, or name another one with -c keywatch:config=PATH, --config PATH or $KEYWATCH_CONFIG [no-file]"},
		"here empty is no fall-through":      {"", "", "", with("keywatch.yaml", ""), "", "keywatch.yaml:1:1: the config is empty; it needs at least version: 1 and rules (the README shows a small one) [empty]"},
		"flag empty file":                    {"", "flag.yaml", "", with("flag.yaml", "\n"), "", "flag.yaml:1:1: the config is empty; it needs at least version: 1 and rules (the README shows a small one) [empty]"},
		"other error":                        {"", "flag.yaml", "", with("flag.yaml", errors.New("the disk is on fire")), "", "flag.yaml: --config names this config, but reading it gives: the disk is on fire [no-file]"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, err := config.Load(config.Request{Context: test.context, Flag: test.flag, Env: test.env, ReadFile: test.disk.read})
			if found := config.Found(config.Request{Context: test.context, Flag: test.flag, Env: test.env, ReadFile: test.disk.read}); found != (name != "nothing at all") {
				t.Errorf("Found says %v", found)
			}
			switch {
			case c == nil:
				t.Fatal("no Config at all; it carries the file for the snippets")
			case test.problem != "":
				if err == nil || err.Error() != test.problem {
					t.Errorf("error %v\nwant  %s", err, test.problem)
				}
			case err != nil:
				t.Fatal(err)
			case len(c.Rules) != 1 || c.Rules[0].Name != test.rule:
				t.Errorf("loaded %s, want the file with rule %q", c.File, test.rule)
			}
		})
	}
}

// With errors, Load hands back what the snippets need and nothing to act on.
func TestLoadWithErrors(t *testing.T) {
	t.Parallel()
	source := "version: 1\nrules: []\n"
	c, err := config.Load(config.Request{ReadFile: disk{"keywatch.yaml": source}.read})
	if err == nil || c == nil {
		t.Fatalf("config %v, error %v", c, err)
	}
	if c.File != "keywatch.yaml" || string(c.Source) != source || c.Name != "" || len(c.Rules) != 0 {
		t.Errorf("got %+v", c)
	}
}
