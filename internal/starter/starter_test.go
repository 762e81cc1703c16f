package starter_test

import (
	"fmt"
	"math/rand/v2"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"keywatch/config"
	"keywatch/internal/inventory"
	"keywatch/internal/plan"
	"keywatch/internal/rules"
	"keywatch/internal/starter"
)

func account(keys ...inventory.Key) *inventory.Inventory {
	inv := &inventory.Inventory{Account: "111122223333", Region: "eu-west-1", Partition: "aws", ReadAt: time.Date(2026, 11, 1, 8, 0, 0, 0, time.UTC)}
	for i, k := range keys {
		k.ID = fmt.Sprintf("%08d-12ab-34cd-56ef-1234%08d", i, i)
		k.ARN = "arn:aws:kms:eu-west-1:111122223333:key/" + k.ID
		inv.Keys = append(inv.Keys, k)
	}
	inv.Sort()
	return inv
}

func key(tags ...string) inventory.Key {
	k := inventory.Key{Described: true, Manager: "CUSTOMER", State: "Enabled", Usage: "ENCRYPT_DECRYPT", Spec: "SYMMETRIC_DEFAULT"}
	for _, t := range tags {
		name, value, _ := strings.Cut(t, "=")
		k.Tags = append(k.Tags, inventory.Tag{Key: name, Value: value})
	}
	return k
}

func times(n int, k inventory.Key) []inventory.Key {
	var out []inventory.Key
	for range n {
		out = append(out, k)
	}
	return out
}

// written is the config for an account, and the plan that it leads to.
func written(t *testing.T, inv *inventory.Inventory) (string, *plan.Plan) {
	t.Helper()
	s, err := starter.Config(inv, "")
	if err != nil {
		t.Fatal(err)
	}
	return string(s.Text), planOf(t, inv, string(s.Text))
}

func planOf(t *testing.T, inv *inventory.Inventory, text string) *plan.Plan {
	t.Helper()
	c, problems := config.Parse("keywatch.yaml", []byte(text), nil)
	for _, p := range problems {
		if p.Code != "no-actions" {
			t.Errorf("%v\n%s", p, text)
		}
	}
	p := plan.Build(c, inv, plan.Options{})
	for _, problem := range p.Problems.Errors() {
		if problem.Code != "unreadable" {
			t.Errorf("%v\n%s", problem, text)
		}
	}
	return p
}

var totalLine = regexp.MustCompile(`(?m)^  # (\d+) keys?, (\d+) alarms?, (\$[0-9.]+) a month\.$`)

// check holds what the comments say against the plan.
func check(t *testing.T, text string, p *plan.Plan) {
	t.Helper()
	said := totalLine.FindAllStringSubmatch(text, -1)
	if len(said) < len(p.Rules) {
		t.Fatalf("%d totals for %d rules:\n%s", len(said), len(p.Rules), text)
	}
	for i, r := range p.Rules {
		want := []string{strconv.Itoa(r.Keys), strconv.Itoa(r.Alarms()), plan.FormatUSD(r.MonthlyUSD)}
		if got := said[i][1:]; strings.Join(got, " ") != strings.Join(want, " ") {
			t.Errorf("rule %s: the comment says %v, the plan %v", r.Name, got, want)
		}
	}
	all := fmt.Sprintf("# In all: %d keys, %d keys with alarms, %d alarms, %s a month.\n", p.Totals.Keys, p.Totals.Watched, p.Totals.Alarms, plan.FormatUSD(p.Totals.MonthlyUSD))
	if !strings.Contains(strings.NewReplacer("1 key,", "1 keys,", "1 key with", "1 keys with", "1 alarm,", "1 alarms,").Replace(text), all) {
		t.Errorf("lacks %q:\n%s", all, text)
	}
	l := p.Config.Limits
	if l.Alarms <= p.Totals.Alarms || l.Alarms > p.Totals.Alarms+10 || l.MonthlyUSD <= p.Totals.MonthlyUSD || l.MonthlyUSD > p.Totals.MonthlyUSD+config.Dollars(5) {
		t.Errorf("the limits %d and %s are not just above %d and %s", l.Alarms, plan.FormatUSD(l.MonthlyUSD), p.Totals.Alarms, plan.FormatUSD(p.Totals.MonthlyUSD))
	}
}

// withRest is the config as it is once its user takes the # away and sets the
// limits that the comment says.
func withRest(t *testing.T, text string) string {
	t.Helper()
	limits := regexp.MustCompile(`set limits to( |\n  # )alarms:\s(?:  # )?(\d+),\s(?:  # )?monthlyUSD:\s(?:  # )?(\d+)\.`).FindStringSubmatch(text)
	if limits == nil {
		t.Fatalf("no limits for the last rule:\n%s", text)
	}
	head, rest, ok := strings.Cut(text, "  #- name: others\n")
	if !ok {
		t.Fatalf("no last rule:\n%s", text)
	}
	head = regexp.MustCompile(`(?m)^limits: .*$`).ReplaceAllString(head, fmt.Sprintf("limits: {alarms: %s, monthlyUSD: %s}", limits[2], limits[3]))
	return head + "  - name: others\n" + strings.ReplaceAll(rest, "  #  ", "    ")
}

func TestRulesGoByTheTagThatSaysMost(t *testing.T) {
	t.Parallel()
	keys := append(times(5, key("env=prod", "team=pay")), times(3, key("env=dev"))...)
	keys = append(keys, times(7, key("noise=x"))...)
	keys = append(keys, key("env=Production"), key("team=web"))
	keys = append(keys, inventory.Key{Manager: "AWS", Described: true}, inventory.Key{Unreadable: "denied"})
	inv := account(keys...)
	text, p := written(t, inv)
	check(t, text, p)
	for _, want := range []string{
		"# The rules go by the tag env: ", "#   env: 9: prod 5, dev 3, Production 1\n", "#   noise: 7: x 7\n",
		"  - name: production\n    match: {tag: env, in: [prod, Production]}\n", "  - name: not-production\n    match: {tag: env, equals: dev}\n",
		"  # 8 keys can have alarms and match no rule here.\n", "  # 1 key can have no alarms: ", "  # 1 key could not be read.\n", "\n  #   inventory: {onUnreadable: warn}\n",
		"# A first config for 111122223333 in eu-west-1, as it was on 2026-11-01.",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("lacks %q:\n%s", want, text)
		}
	}
	rest := withRest(t, text)
	wide := planOf(t, inv, rest)
	if wide.Totals.Watched != 17 || len(wide.Rules) != 3 {
		t.Errorf("with the last rule %d keys are watched, by %d rules:\n%s", wide.Totals.Watched, len(wide.Rules), rest)
	}
	check(t, regexp.MustCompile(`# In all: .*`).ReplaceAllLiteralString(rest, fmt.Sprintf("# In all: %d keys, %d keys with alarms, %d alarms, %s a month.",
		wide.Totals.Keys, wide.Totals.Watched, wide.Totals.Alarms, plan.FormatUSD(wide.Totals.MonthlyUSD))), wide)
}

// Of equal tags an environment goes before a data class and a team; team tags have
// a rule for each frequent value, under names that are free.
func TestTheChoiceOfATag(t *testing.T) {
	t.Parallel()
	for want, keys := range map[string][]inventory.Key{
		"Environment": {key("Environment=prod", "Team=a", "data-class=x")},
		"data-class":  {key("Team=a", "data-class=x")},
		"Team":        {key("Team=a", "data-class=x"), key("Team=b")},
		"":            {key("colour=red")},
	} {
		text, p := written(t, account(keys...))
		check(t, text, p)
		if got := strings.Contains(text, "# The rules go by the tag "+want+":"); got != (want != "") {
			t.Errorf("not by %q:\n%s", want, text)
		}
	}
	var keys []inventory.Key
	for i := range 12 {
		keys = append(keys, times(i+1, key(fmt.Sprintf("team=Team %d!", i)))...)
	}
	keys = append(keys, times(20, key("team=a b"))...)
	keys = append(keys, times(21, key("team=a/b"))...)
	text, p := written(t, account(append(keys, times(30, key("team=others"))...)...))
	check(t, text, p)
	var names []string
	for _, r := range p.Rules {
		names = append(names, r.Name)
	}
	if got := strings.Join(names, " "); got != "others-2 a-b a-b-2 team-11 team-10 team-9 team-8 team-7" {
		t.Errorf("rules %s", got)
	}
}

// A tag goes before others only if it is on half of the keys; if none is, every key is
// taken, and the text says why.
func TestATagOnFewKeysIsNoBase(t *testing.T) {
	t.Parallel()
	for env, want := range map[int]string{1: "", 19: "", 20: "env", 21: "env"} {
		keys := append(times(40-env, key("Name=x")), times(env, key("env=prod", "Name=x"))...)
		text, p := written(t, account(keys...))
		check(t, text, p)
		if got := strings.Contains(text, "# The rules go by the tag env:"); got != (want != "") {
			t.Errorf("env on %d of 40 keys:\n%s", env, text)
		}
		if said := fmt.Sprintf("(env is on %d of 40)", env); want == "" && (!strings.Contains(strings.ReplaceAll(text, "\n#", ""), said) || p.Totals.Watched != 40 || !strings.Contains(text, "match: every")) {
			t.Errorf("lacks %q, or a rule for all:\n%s", said, text)
		}
	}
}

// Values of the tag that are in no rule are counted.
func TestValuesInNoRule(t *testing.T) {
	t.Parallel()
	var keys []inventory.Key
	for i := range 12 {
		keys = append(keys, times(20-i, key(fmt.Sprintf("team=t%02d", i)))...)
	}
	s, err := starter.Config(account(keys...), "")
	if err != nil {
		t.Fatal(err)
	}
	if want := "In no rule: 4 values of it, on 42 keys."; !strings.Contains(strings.ReplaceAll(string(s.Text), "\n#", ""), want) || s.NotTaken.Unmatched != 42 {
		t.Errorf("lacks %q, %+v:\n%s", want, s.NotTaken, s.Text)
	}
	if last := s.Rules[len(s.Rules)-1]; len(s.Rules) != 9 || !last.Commented || last.Total.Keys != 42 || s.Rules[0].Commented || s.Rules[0].Total.Keys != 20 {
		t.Errorf("%d rules, the last %+v", len(s.Rules), last)
	}
}

// The first line leads an editor to the schema if there is one, and else says how to
// get one.
func TestWhereTheSchemaIs(t *testing.T) {
	t.Parallel()
	for schema, want := range map[string]string{
		"docs/schema/config.schema.json": "# yaml-language-server: $schema=docs/schema/config.schema.json\n",
		"":                               "# For an editor: keywatch schema > keywatch.schema.json,",
	} {
		s, err := starter.Config(account(key()), schema)
		if err != nil || !strings.HasPrefix(string(s.Text), want) {
			t.Errorf("%q: %v\n%s", schema, err, s.Text)
		}
	}
}

// An account without keys, or without tags, gets one rule for every key.
func TestNothingToGoBy(t *testing.T) {
	t.Parallel()
	for _, inv := range []*inventory.Inventory{account(), account(key(), key())} {
		text, p := written(t, inv)
		check(t, text, p)
		if !strings.Contains(text, "match: every") || !strings.Contains(text, "# No key that can have alarms carries a tag.") || p.Totals.Watched != len(inv.Keys) {
			t.Errorf("%d watched:\n%s", p.Totals.Watched, text)
		}
	}
}

// Whatever tags hold, the file is YAML that means them, fits 80 columns where the
// values do, and is the same each time.
func TestTagsOfAnyText(t *testing.T) {
	t.Parallel()
	values := []string{
		"", "no", "true", "1234", "1e3", "2026-01-31", "~", "null", "a: b", "a #b", "- a", "*a", "&a", "!a", "[a", "{a", "'", `"`, `\`, "%a", "@a", "`a",
		"Équipe Ω/génomique", " a ", "a,b", "=", "<<", "\u2028", "\u202e", "a\u00a0b", strings.Repeat("x", 256), "0x1F", "yes", "on", "1_000", "?", "? a", ":", "a:",
	}
	letters := []rune(` abcABC019_.:/=+-@,#[]{}*&!|>'"%` + "`é\u00a0\u3000")
	random := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		b := make([]rune, 1+random.IntN(12))
		for i := range b {
			b[i] = letters[random.IntN(len(letters))]
		}
		values = append(values, string(b))
	}
	for i := 0; i < len(values); i += 7 {
		for _, tag := range []string{"env", "Team"} {
			var keys []inventory.Key
			for j, v := range values[i:min(i+7, len(values))] {
				keys = append(keys, times(j+1, key(tag+"="+v))...)
			}
			for j := range keys { // a tag may hold = in its value
				keys[j].Tags[0].Key = tag
			}
			inv := account(keys...)
			text, p := written(t, inv)
			check(t, text, p)
			if p.Totals.Watched != len(keys) {
				t.Errorf("%d of %d keys are watched:\n%s", p.Totals.Watched, len(keys), text)
			}
			if again, _ := written(t, inv); again != text {
				t.Error("a second text differs")
			}
			for line := range strings.Lines(text) {
				if strings.HasPrefix(strings.TrimSpace(line), "# ") && !strings.Contains(line, "match:") && utf8.RuneCountInString(line) > 120 {
					t.Errorf("%d columns: %s", utf8.RuneCountInString(line), line)
				}
			}
		}
	}
}

// A key that cannot be watched is told of, and never watched.
func TestKeysWithoutAlarms(t *testing.T) {
	t.Parallel()
	gone := key("env=prod")
	gone.State = "PendingDeletion"
	strange := key("env=prod")
	strange.Spec = "ML_KEM_768"
	inv := account(gone, strange, key("env=prod"))
	text, p := written(t, inv)
	if !strings.Contains(text, "  # 2 keys can have no alarms: ") || p.Totals.Watched != 1 || p.Keys[0].Decision.Status == rules.Watched {
		t.Errorf("%d watched:\n%s", p.Totals.Watched, text)
	}
}
