package config

import (
	"slices"

	"go.yaml.in/yaml/v3"

	"keywatch/internal/diag"
)

// FindingCodes are the codes of the remarks whose level the config sets, sorted.
// What stops a deployment is no finding, nor is what has a setting of its own,
// such as a stale snapshot.
var FindingCodes = []string{
	"band-tag", "exception-dangling", "exception-expired", "exception-expiring", "exception-repointed",
	"matches-nothing", "missing-data", "never-seen", "no-actions", "no-match", "no-operation", "regex-glob", "tag-typo",
	"unknown-spec", "unmatched", "unreachable", "unused",
}

// findings reads the level of each code.
func (d *decoder) findings(n *yaml.Node, c *Config) {
	fs := fields{"all": optional(func(v *yaml.Node) { c.Findings.All = d.level(v, "findings.all") })}
	c.Findings.Codes = map[string]Level{}
	for _, code := range FindingCodes {
		fs[code] = optional(func(v *yaml.Node) { c.Findings.Codes[code] = d.level(v, "findings."+code) })
	}
	d.mapping(n, "findings", "a mapping such as {all: warn, tag-typo: fail}", fs)
}

func (d *decoder) level(n *yaml.Node, where string) Level {
	if isOff(resolve(n)) {
		return LevelOff
	}
	s, ok := d.choice(n, where, string(LevelOff), string(LevelWarn), string(LevelFail))
	if !ok {
		return LevelWarn
	}
	return Level(s)
}

// Level is that of a code.
func (f Findings) Level(code string) Level {
	if level, named := f.Codes[code]; named {
		return level
	}
	return f.All
}

// Apply gives findings their level: those that are off go, those that fail become
// errors. It never makes an error less.
func (f Findings) Apply(l diag.List) diag.List {
	var out diag.List
	for _, p := range l {
		if p.Severity == diag.Warning && slices.Contains(FindingCodes, p.Code) {
			switch f.Level(p.Code) {
			case LevelOff:
				continue
			case LevelFail:
				p.Severity = diag.Error
			}
		}
		out = append(out, p)
	}
	return out
}
