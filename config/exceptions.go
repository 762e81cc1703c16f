package config

import (
	"fmt"
	"regexp"
	"strings"
	"time"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

const (
	maxAlias      = 256 // characters, with "alias/"
	maxExceptions = 10_000
	maxReason     = 1000 // characters
	maxOwner      = 256
)

// Dates outside of these are slips: 2207 for 2027.
const firstYear, lastYear = 2000, 2099

var (
	keyIDPattern     = regexp.MustCompile(`^(?:[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}|mrk-[0-9a-f]{32})$`)
	keyARNPattern    = regexp.MustCompile(`^arn:aws(?:-[a-z]+)*:kms:([a-z0-9-]+):([0-9]{12}):key/(.+)$`)
	aliasARNPattern  = regexp.MustCompile(`^arn:aws(?:-[a-z]+)*:kms:([a-z0-9-]*):([0-9]*):(alias/.*)$`)
	aliasNamePattern = regexp.MustCompile(`^alias/[a-zA-Z0-9/_-]{1,250}$`) // AliasName ("CreateAlias", KMS API Reference)
)

// IsAlias says whether a customer managed key can have the alias.
func IsAlias(name string) bool {
	return aliasNamePattern.MatchString(name) && !strings.HasPrefix(name, "alias/aws/")
}

const exceptionKeys = "a key ID, a key ARN, or an alias with alias/"

// exceptions reads which keys are excepted. It comes after environments, which
// they are held against.
func (d *decoder) exceptions(n *yaml.Node, c *Config) {
	type identity struct{ key, account, region string } // of all environments: without account and region
	first, anywhere := map[identity]int{}, map[string]int{}
	d.list(n, "exceptions", "exceptions, each beginning with - key:", func(i int, item *yaml.Node) {
		if i >= maxExceptions {
			return
		}
		where := fmt.Sprintf("exceptions[%d]", i)
		before := d.mistakes()
		e := d.exception(item, where, c.Environments)
		c.Exceptions = append(c.Exceptions, e)
		if d.mistakes() > before {
			return
		}
		key := e.Key[strings.LastIndex(e.Key, ":key/")+1:]
		key = strings.TrimPrefix(key, "key/")
		other, double := first[identity{key, e.Account, e.Region}]
		if !double {
			other, double = first[identity{key: key}]
		}
		if !double && e.Account == "" {
			other, double = anywhere[key]
		}
		if double {
			o := &c.Exceptions[other]
			d.problems.Add(e.Pos, "duplicate-exception", "%s excepts %s in %s, and so does exceptions[%d] in line %d, in %s; keep one, with the reason and the date that hold", where, e.Key, e.of(), other, o.Pos.Line, o.of())
			return
		}
		first[identity{key, e.Account, e.Region}] = i
		if _, there := anywhere[key]; !there {
			anywhere[key] = i
		}
	})
	if count := len(resolve(n).Content); resolve(n).Kind == yaml.SequenceNode && count > maxExceptions {
		d.fail(n, "too-many", "exceptions holds %d entries; at most %d are allowed: say what is in nobody's scope by a rule with watch: false", count, maxExceptions)
	}
}

// of says which environment an exception is for, in the middle of a sentence.
func (e *Exception) of() string {
	if e.Account == "" {
		return "each environment"
	}
	return e.Account + "/" + e.Region
}

// exceptionNodes are the values of an exception that are judged together.
type exceptionNodes struct{ key, environment, everywhere, written *yaml.Node }

func (d *decoder) exception(n *yaml.Node, where string, all []Environment) Exception {
	e := Exception{Pos: d.pos(resolve(n))}
	var at exceptionNodes
	everywhere := false
	before := d.mistakes()
	d.mapping(n, where, "a mapping of key, reason, owner and expires", fields{
		"key": required(func(v *yaml.Node) { at.key = v; e.Key = d.exceptionKey(v, where+".key") }),
		"environment": optional(func(v *yaml.Node) {
			at.environment = v
			e.Account, e.Region = d.exceptionPlace(v, where+".environment")
		}),
		"everywhere": optional(func(v *yaml.Node) { at.everywhere = v; d.setBool(v, where+".everywhere", &everywhere) }),
		"written":    optional(func(v *yaml.Node) { at.written = v; e.Written = d.moment(v, where+".written") }),
		"reason":     required(func(v *yaml.Node) { e.Reason = d.words(v, where+".reason", maxReason) }),
		"owner":      required(func(v *yaml.Node) { e.Owner = d.words(v, where+".owner", maxOwner) }),
		"expires": required(func(v *yaml.Node) {
			if day := d.day(v, where+".expires"); !day.IsZero() {
				e.Expires = day.AddDate(0, 0, 1)
			}
		}),
	})
	if d.mistakes() > before {
		return e
	}
	d.checkException(&e, n, where, at, everywhere, all)
	return e
}

// checkException looks at the parts of an exception together.
func (d *decoder) checkException(e *Exception, n *yaml.Node, where string, at exceptionNodes, everywhere bool, all []Environment) {
	arn := keyARNPattern.FindStringSubmatch(e.Key)
	switch placed := at.environment != nil; {
	case arn != nil && (placed || everywhere):
		d.fail(at.key, "exception-environment", "%s.key is an ARN, which names its account and region; remove environment and everywhere, or write the key ID alone", where)
		return
	case placed && everywhere:
		d.fail(at.environment, "exception-environment", "%s has environment and everywhere: true; it is for one or for all: remove one of them", where)
		return
	case e.ByAlias() && !placed && !everywhere:
		d.fail(n, "exception-environment", "%s is by alias, and another key may bear %s in another account or region; add environment: ACCOUNT/REGION, or everywhere: true", where, e.Key)
		return
	case e.ByAlias() && at.written == nil:
		d.fail(n, "exception-written", "%s is by alias, and an alias can be pointed to another key; add written: with the date of today, so that it then no longer holds", where)
		return
	case !e.ByAlias() && at.written != nil:
		d.fail(at.written, "exception-written", "%s.written is for an exception by alias; a key ID is always that of the same key: remove it", where)
		return
	case !e.Written.IsZero() && !e.Written.Before(e.Expires):
		d.fail(at.written, "exception-written", "%s.written is %s, after it expires; it is when this exception was written, not when it begins", where, momentText(e.Written))
		return
	}
	node := at.environment
	if arn != nil {
		node, e.Region, e.Account = at.key, arn[1], arn[2]
	}
	if node == nil || len(all) == 0 {
		return
	}
	for _, one := range all {
		if one.Account == e.Account && one.Region == e.Region {
			return
		}
	}
	d.fail(node, "exception-environment", "%s is for %s/%s, which is none of environments; mend one or the other", where, e.Account, e.Region)
}

// exceptionKey reads which key is meant; "" after a mistake.
func (d *decoder) exceptionKey(n *yaml.Node, where string) string {
	s, ok := d.text(n, where)
	if !ok {
		return ""
	}
	arn, alias := keyARNPattern.FindStringSubmatch(s), aliasARNPattern.FindStringSubmatch(s)
	switch {
	case keyIDPattern.MatchString(s), arn != nil && regionPattern.MatchString(arn[1]) && keyIDPattern.MatchString(arn[3]):
		return s
	case strings.HasPrefix(s, "alias/aws/"):
		d.fail(n, "exception-key", "%s is %s, the alias of an AWS managed key, which gets no alarms anyway; remove this exception", where, shown(s))
	case aliasNamePattern.MatchString(s):
		return s
	case alias != nil:
		d.fail(n, "exception-key", "%s is the ARN of an alias; write key: %s and environment: %s/%s", where, brief(alias[3]), alias[2], alias[1])
	case keyIDPattern.MatchString(strings.ToLower(s)):
		d.fail(n, "exception-key", "%s is %s; KMS writes key IDs in lower case: %s", where, shown(s), strings.ToLower(s))
	case aliasNamePattern.MatchString(asAlias(s)):
		d.fail(n, "exception-key", "%s is %s; allowed: %s; if this is an alias, write %s", where, shown(s), exceptionKeys, asAlias(s))
	default:
		d.fail(n, "exception-key", "%s is %s; allowed: %s, such as 1234abcd-12ab-34cd-56ef-1234567890ab or alias/orders", where, shown(brief(s)), exceptionKeys)
	}
	return ""
}

func (d *decoder) exceptionPlace(n *yaml.Node, where string) (account, region string) {
	s, ok := d.text(n, where)
	account, region, _ = strings.Cut(s, "/")
	if ok && !(accountPattern.MatchString(account) && regionPattern.MatchString(region)) {
		d.fail(n, "exception-environment", "%s is %s; allowed: ACCOUNT/REGION, for example 111122223333/eu-west-1, or everywhere: true instead", where, shown(brief(s)))
	}
	return account, region
}

// words reads text that a person is to read: not empty, not a book.
func (d *decoder) words(n *yaml.Node, where string, most int) string {
	s, ok := d.text(n, where)
	switch count := utf8.RuneCountInString(s); {
	case !ok:
	case strings.TrimSpace(s) == "":
		d.fail(n, "not-allowed", "%s is empty; an auditor reads it: say it in some words", where)
	case count > most:
		d.fail(n, "not-allowed", "%s has %d characters; at most %d are allowed: refer to a ticket", where, count, most)
	}
	return s
}

// day reads a date and gives its beginning in UTC; zero after a mistake. YAML
// may take it for a date or for text.
func (d *decoder) day(n *yaml.Node, where string) time.Time {
	return d.instant(n, where, "a date such as 2027-01-31", time.DateOnly)
}

// moment reads a date, which is its beginning in UTC, or a time.
func (d *decoder) moment(n *yaml.Node, where string) time.Time {
	return d.instant(n, where, "a date such as 2026-11-30, or a time such as 2026-11-30T12:00:00Z", time.DateOnly, time.RFC3339)
}

func (d *decoder) instant(n *yaml.Node, where, want string, layouts ...string) time.Time {
	n = resolve(n)
	if n.Kind != yaml.ScalarNode || n.ShortTag() != "!!str" && n.ShortTag() != "!!timestamp" {
		d.wrongType(n, where, want)
		return time.Time{}
	}
	for _, layout := range layouts {
		t, err := time.Parse(layout, n.Value)
		switch {
		case err != nil:
			continue
		case t.Year() < firstYear || t.Year() > lastYear:
			d.fail(n, "bad-date", "%s is %s; allowed: years from %d to %d", where, n.Value, firstYear, lastYear)
			return time.Time{}
		}
		return t.UTC()
	}
	d.fail(n, "bad-date", "%s is %s, and there is no such date or it is written otherwise; write %s", where, shown(brief(n.Value)), want)
	return time.Time{}
}

// momentText is a time as moment reads it.
func momentText(t time.Time) string {
	if t.Equal(t.Truncate(24 * time.Hour)) {
		return t.Format(time.DateOnly)
	}
	return t.Format(time.RFC3339Nano)
}
