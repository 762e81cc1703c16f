package config_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.yaml.in/yaml/v3"

	"keywatch/config"
)

const schemaFile = "../docs/schema/config.schema.json"

// The schema in the repository is the one that the program prints.
func TestTheSchemaInTheDocsIsThatOfTheProgram(t *testing.T) {
	t.Parallel()
	if *update {
		if err := os.WriteFile(schemaFile, config.Schema(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Equal(read(t, schemaFile), config.Schema()) {
		t.Errorf("%s is not what `keywatch schema` prints: go test ./config -update", schemaFile)
	}
}

func validator(t testing.TB) *jsonschema.Schema {
	t.Helper()
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(config.Schema()))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	if err := c.AddResource("config.schema.json", doc); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile("config.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// plain is a YAML tree as an editor hands it to a schema: JSON, aliases followed,
// and as text what YAML 1.2 has not: dates, and numbers with _ in them.
func plain(n *yaml.Node) any {
	switch n.Kind {
	case yaml.DocumentNode:
		return plain(n.Content[0])
	case yaml.AliasNode:
		return plain(n.Alias)
	case yaml.SequenceNode:
		out := make([]any, len(n.Content))
		for i, item := range n.Content {
			out[i] = plain(item)
		}
		return out
	case yaml.MappingNode:
		out := map[string]any{}
		for i := 0; i+1 < len(n.Content); i += 2 {
			key := n.Content[i].Value
			if n.Content[i].Kind != yaml.ScalarNode {
				key = "a key that is no text"
			}
			out[key] = plain(n.Content[i+1])
		}
		return out
	}
	var v any
	if err := n.Decode(&v); err != nil || n.ShortTag() == "!!timestamp" || n.ShortTag() != "!!str" && strings.Contains(n.Value, "_") {
		return n.Value
	}
	if f, ok := v.(float64); ok && (math.IsNaN(f) || math.IsInf(f, 0)) {
		return n.Value // JSON has no such number
	}
	return v
}

// errorCodes are the codes of the errors that the loader finds.
func errorCodes(source []byte) []string {
	_, problems := config.Parse("f.yaml", source, nil)
	return slices.Compact(slices.Sorted(slices.Values(codes(problems.Errors()))))
}

// agree says what loader and schema make of a file.
func agree(s *jsonschema.Schema, source []byte) (codes []string, schema error) {
	codes = errorCodes(source)
	if slices.ContainsFunc(codes, func(code string) bool { return treeless[code] }) {
		return codes, nil
	}
	var doc yaml.Node
	if err := yaml.Unmarshal(source, &doc); err != nil {
		return codes, err
	}
	return codes, s.Validate(plain(&doc))
}

// treeless are the codes of files without a tree that a schema could look at, or
// with one so large, aliases followed, that nobody should.
var treeless = map[string]bool{"not-yaml": true, "empty": true, "too-large": true}

// unseen are the codes of mistakes that no schema sees, and why. A file with any
// other mistake is refused by both.
var unseen = map[string]string{
	"not-yaml":              "there is no tree to look at",
	"empty":                 "there is no tree to look at",
	"too-large":             "the whole file is meant",
	"duplicate-key":         "a mapping in JSON has each key once",
	"duplicate-rule":        "two rules together",
	"duplicate-environment": "two environments together",
	"duplicate-alarm":       "two static alarms together",
	"no-alarm":              "a rule and defaults together",
	"breaching":             "two numbers together",
	"window":                "two values together",
	"contradiction":         "two leaves together, or a glob and the words that it is for",
	"too-deep":              "a schema has no depth",
	"bad-regex":             "RE2 is a language of its own",
	"bad-glob":              "a glob is a language of its own",
	"bad-arn":               "what fits depends on the environment",
	"snapshot-path":         "source and path may come from the context",
	"snapshot-compare":      "source and compare may come from the context",
	"duplicate-exception":   "two exceptions together",
	"exception-written":     "two dates together",
	"no-actions":            "a remark that findings make an error",
	"missing-data":          "a remark that findings make an error",
	"unused":                "a remark that findings make an error",
	"regex-glob":            "a remark that findings make an error",
}

// unseenFiles are those that the schema takes though the code is one that it sees
// elsewhere, and why.
var unseenFiles = map[string]string{
	"period-week-seconds":   "arithmetic: a pattern cannot divide by 60",
	"period-week-minutes":   "arithmetic: more than 168h in another unit",
	"timeout-sum":           "arithmetic: a sum of units",
	"role-account":          "an account and a role together",
	"band-decimals":         "a number has no pattern, and multipleOf 0.000001 fails for 2.1 where editors compute in floats",
	"band-exponent":         "JSON has only the number, not how it is written",
	"band-octal":            "JSON has only the number, not how it is written",
	"band-hex":              "JSON has only the number, not how it is written",
	"threshold-above-octal": "JSON has only the number, not how it is written",
	"band-plus":             "JSON has only the number, not how it is written",
	"version-float":         "JSON has only the number, not how it is written",
	"leaf-date":             "YAML 1.2, which editors speak, has no dates",
	"not-twice":             "a mapping in JSON has each key once",
	"band-tag-order":        "two numbers together",

	"exception-arn-strange":         "an exception and environments together",
	"exception-environment-strange": "an exception and environments together",
}

// Whatever the loader takes, the schema takes: all valid files, and every example
// in the docs.
func TestTheSchemaTakesEveryValidFile(t *testing.T) {
	t.Parallel()
	s := validator(t)
	for name, source := range validFiles(t) {
		codes, err := agree(s, source)
		if len(codes) > 0 || err != nil {
			t.Errorf("%s: the loader says %q, the schema %v\n%s", name, codes, err, source)
		}
	}
}

// validFiles are the valid configs of the repository, by where they are.
func validFiles(t *testing.T) map[string][]byte {
	t.Helper()
	out := map[string][]byte{}
	for _, pattern := range []string{"testdata/ok/*.yaml", "keywatch.yaml", "../examples/*.yaml"} {
		for _, path := range glob(t, pattern) {
			if source := read(t, path); len(overridesIn(source)) == 0 {
				out[path] = source
			}
		}
	}
	pages := append(glob(t, "../docs/*.md"), "../README.md")
	for _, page := range pages {
		for i, b := range yamlBlock.FindAllStringSubmatch(string(read(t, page)), -1) {
			text, err := wrap(b[1], b[2])
			if err != nil {
				t.Errorf("%s: %v", page, err)
			}
			out[fmt.Sprintf("%s, example %d", page, i+1)] = []byte(text)
		}
	}
	if len(out) < 25 {
		t.Errorf("only %d valid files", len(out))
	}
	return out
}

// What the loader refuses, the schema refuses, unless it cannot see it; and what
// is said to be unseen really is.
func TestTheSchemaRefusesEveryMistakeThatItCanSee(t *testing.T) {
	t.Parallel()
	s := validator(t)
	usedCodes, usedFiles := map[string]bool{}, map[string]bool{}
	for _, path := range glob(t, "testdata/err/*.yaml") {
		name := strings.TrimSuffix(filepath.Base(path), ".yaml")
		source := read(t, path)
		if len(overridesIn(source)) > 0 {
			continue // the mistake is not in the file
		}
		codes, err := agree(s, source)
		if err != nil {
			continue
		}
		if unseenFiles[name] != "" {
			usedFiles[name] = true
			continue
		}
		for _, code := range codes {
			usedCodes[code] = true
			if unseen[code] == "" {
				t.Errorf("%s: the loader says [%s], and the schema takes it:\n%s", name, code, source)
			}
		}
	}
	for _, code := range slices.Sorted(maps.Keys(unseen)) {
		if !usedCodes[code] {
			t.Errorf("[%s] is said to be unseen, but no file shows that", code)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(unseenFiles)) {
		if !usedFiles[name] {
			t.Errorf("%s.yaml is said to be unseen, and the schema refuses it", name)
		}
	}
}

// Lengths of time and dates, of which a pattern sees nearly all: whatever the loader
// takes, the schema takes, and it refuses the slips that people make.
func TestTheSchemaOfLengthsAndDates(t *testing.T) {
	t.Parallel()
	s := validator(t)
	const rest = "\nrules: [{name: r, match: every}]\n"
	period := func(v string) string {
		return "version: 1\nrules: [{name: r, match: every, anomaly: {period: " + v + ", evaluate: 2}}]\n"
	}
	static := func(v string) string {
		return "version: 1\nrules: [{name: r, match: every, thresholds: [{operations: [Sign], above: 1, period: " + v + "}]}]\n"
	}
	age := func(v string) string { return "version: 1\ninventory: {maxAge: " + v + "}" + rest }
	timeout := func(v string) string { return "version: 1\ninventory: {timeout: " + v + "}" + rest }
	created := func(v string) string { return "version: 1\nrules: [{name: r, match: {createdAfter: " + v + "}}]\n" }
	var lengths []string
	for n := 0; n <= 3700; n += 10 {
		lengths = append(lengths, fmt.Sprintf("%ds", n))
	}
	for _, n := range []int{0, 1, 2, 9, 10, 23, 24, 25, 59, 60, 61, 99, 100, 159, 160, 167, 168, 169, 999, 1000, 1440, 8699, 8759, 8760, 8761, 9000, 10080, 99999, 604800} {
		for _, form := range []string{"%dh", "%dm", "%ds", "%dh30m", "%dm0s", "%dh0m0s", "%dm90s", "1h%dm", "0h%dm", "0%dm", "+%dm", "%d.5h", "%dms", "%dM", "%d"} {
			lengths = append(lengths, fmt.Sprintf(form, n))
		}
	}
	taken := map[string]int{}
	for field, file := range map[string]func(string) string{"period": period, "static": static, "maxAge": age, "timeout": timeout} {
		for _, v := range lengths {
			codes, err := agree(s, []byte(file(v)))
			if len(codes) == 0 {
				taken[field]++
				if err != nil {
					t.Errorf("%s: %s: the loader takes it, the schema says %v", field, v, err)
				}
			}
		}
	}
	if taken["period"] < 60 || taken["static"] < taken["period"] || taken["maxAge"] < 400 || taken["timeout"] < 400 {
		t.Errorf("the loader takes %v: the search is broken", taken)
	}
	for _, bad := range []string{period("90s"), period("0m"), period("2h"), period("30s"), static("90s"), static("0s"), static("169h"), age("7d"), age("8761h"), timeout("25h"), timeout("500ms")} {
		if codes, err := agree(s, []byte(bad)); err == nil || len(codes) == 0 {
			t.Errorf("the loader says %q, the schema %v:\n%s", codes, err, bad)
		}
	}
	for _, year := range []int{1999, 2000, 2027, 2028, 2099, 2100, 2207} {
		for month := range 14 {
			for _, day := range []int{0, 1, 28, 29, 30, 31, 32, 40} {
				text := created(fmt.Sprintf("%d-%02d-%02d", year, month, day))
				if codes, err := agree(s, []byte(text)); (len(codes) == 0) != (err == nil) {
					t.Errorf("the loader says %q, the schema %v:\n%s", codes, err, text)
				}
			}
		}
	}
}

// A glob of aliases may begin with alias/, or no alias fits.
func TestTheSchemaOfAliasGlobs(t *testing.T) {
	t.Parallel()
	s := validator(t)
	random := rand.New(rand.NewPCG(1, 1))
	parts := []string{"a", "l", "i", "s", "/", "alias/", "ali", "*", "?", "[a-z]", "[/]", `\a`, `\*`, "b", "A"}
	taken := 0
	for range 3000 {
		glob := ""
		for range 1 + random.IntN(4) {
			glob += parts[random.IntN(len(parts))]
		}
		codes, err := agree(s, []byte("version: 1\nrules: [{name: r, match: {alias: {glob: '"+glob+"'}}}]\n"))
		if len(codes) == 0 {
			taken++
		}
		if len(codes) == 0 && err != nil || len(codes) > 0 && err == nil && !strings.Contains(glob, "[") {
			t.Errorf("%s: the loader says %q, the schema %v", glob, codes, err)
		}
	}
	if taken < 300 {
		t.Errorf("the loader takes %d globs: the search is broken", taken)
	}
}

// Valid files with one change each: a field dropped, a key misspelt, a value of
// another type. Loader and schema agree on every one.
func TestLoaderAndSchemaAgreeOnMutations(t *testing.T) {
	t.Parallel()
	s := validator(t)
	tried, refused := 0, 0
	for name, source := range validFiles(t) {
		if strings.Contains(name, ".md, ") {
			continue // they say again what the files say, and every one takes its time
		}
		var doc yaml.Node
		if err := yaml.Unmarshal(source, &doc); err != nil {
			t.Fatal(err)
		}
		mutate(&doc, func(what string) {
			changed, err := yaml.Marshal(&doc)
			if err != nil {
				t.Fatalf("%s: %s: %v", name, what, err)
			}
			tried++
			codes, schema := errorCodes(changed), s.Validate(plain(&doc))
			seen := slices.ContainsFunc(codes, func(code string) bool { return unseen[code] == "" })
			if schema != nil {
				refused++
			}
			if schema == nil && seen || schema != nil && len(codes) == 0 {
				t.Errorf("%s: %s: the loader says %q, the schema %v\n%s", name, what, codes, schema, changed)
			}
		})
	}
	if tried < 2000 || refused < tried/2 {
		t.Errorf("%d changes tried, %d refused: the search is broken", tried, refused)
	}
}

// mutate changes a tree in one place after the other, calls try, and changes it
// back.
func mutate(n *yaml.Node, try func(what string)) {
	if n.Kind == yaml.AliasNode {
		return
	}
	if n.Kind == yaml.MappingNode {
		for i := 0; i+1 < len(n.Content); i += 2 {
			key, whole := n.Content[i], n.Content
			name := key.Value
			key.Value = name + "x"
			try("misspell " + name)
			key.Value = name
			if !marked(n.Content[i+1]) {
				n.Content = slices.Concat(whole[:i], whole[i+2:])
				try("drop " + name)
				n.Content = whole
			}
		}
	}
	if n.Kind != yaml.DocumentNode && n.Anchor == "" {
		was := *n
		for _, v := range []yaml.Node{
			{Kind: yaml.MappingNode, Tag: "!!map"}, {Kind: yaml.SequenceNode, Tag: "!!seq"},
			{Kind: yaml.ScalarNode, Tag: "!!str", Value: "zzz"}, {Kind: yaml.ScalarNode, Tag: "!!str", Value: ""},
			{Kind: yaml.ScalarNode, Tag: "!!int", Value: "7"}, {Kind: yaml.ScalarNode, Tag: "!!int", Value: "-1"},
			{Kind: yaml.ScalarNode, Tag: "!!float", Value: "0.5"},
			{Kind: yaml.ScalarNode, Tag: "!!bool", Value: "true"}, {Kind: yaml.ScalarNode, Tag: "!!bool", Value: "false"},
			{Kind: yaml.ScalarNode, Tag: "!!null", Value: "null"},
		} {
			if marked(&was) {
				break
			}
			*n = v
			try(fmt.Sprintf("%s %q for what is in line %d", v.Tag, v.Value, was.Line))
		}
		*n = was
	}
	for i, child := range n.Content {
		if n.Kind != yaml.MappingNode || i%2 == 1 {
			mutate(child, try)
		}
	}
}

// marked says whether something in a tree is repeated elsewhere, so that it cannot
// go.
func marked(n *yaml.Node) bool {
	return n.Anchor != "" || slices.ContainsFunc(n.Content, marked)
}

// form is one mapping of the file: where its schema is, a file with the mapping in
// the place of {}, and what it needs to be valid.
type form struct {
	at, file string
	needs    []string
}

const ruleForm = `{version: 1, rules: [{name: r, match: every, actions: {alarm: []}, %s}]}`

var forms = []form{
	{"", "{}", []string{"version: 1", "rules: [{name: r, match: every}]"}},
	{"environments[]", "{version: 1, rules: [{name: r, match: every}], environments: [{}]}", []string{`account: "111122223333"`, "region: eu-west-1"}},
	{"inventory", "{version: 1, rules: [{name: r, match: every}], inventory: {}}", nil},
	{"inventory.rates", "{version: 1, rules: [{name: r, match: every}], inventory: {rates: {}}}", nil},
	{"limits", "{version: 1, rules: [{name: r, match: every}], limits: {}}", nil},
	{"dashboard", "{version: 1, rules: [{name: r, match: every}], dashboard: {}}", nil},
	{"sla", "{version: 1, rules: [{name: r, match: every}], sla: {}}", nil},
	{"sla.actions", "{version: 1, rules: [{name: r, match: every}], sla: {evidence: true, actions: {}}}", nil},
	{"rules[]", "{version: 1, rules: [{}]}", []string{"name: r", "match: every"}},
	{"rules[].anomaly", fmt.Sprintf(ruleForm, "anomaly: {}"), nil},
	{"rules[].thresholds[]", fmt.Sprintf(ruleForm, "thresholds: [{}]"), []string{"operations: [Decrypt]", "above: 5"}},
	{"rules[].actions", "{version: 1, rules: [{name: r, match: every, actions: {}}]}", nil},
	{"findings", "{version: 1, rules: [{name: r, match: every, watch: false}], findings: {}}", nil},
	{"defaults", "{version: 1, rules: [{name: r, match: every}], defaults: {}}", nil},
	{"defaults.anomaly", "{version: 1, rules: [{name: r, match: every}], defaults: {anomaly: {}}}", nil},
	{"rules[].perOperation", fmt.Sprintf(ruleForm, "perOperation: {}"), nil},
	{"rules[].perOperation.Decrypt", fmt.Sprintf(ruleForm, "perOperation: {Decrypt: {}}"), nil},
	{"rules[].bandTag", fmt.Sprintf(ruleForm, "bandTag: {}"), []string{"tag: t", "min: 0.001"}},
	{"exceptions[]", "{version: 1, rules: [{name: r, match: every}], exceptions: [{}]}", []string{"key: 1234abcd-12ab-34cd-56ef-1234567890ab", "reason: r", "owner: o", "expires: 2027-01-31"}},
}

func (f form) with(fields ...string) string {
	return strings.Replace(f.file, "{}", "{"+strings.Join(fields, ", ")+"}", 1)
}

// node is a schema as JSON.
type node map[string]any

// schemaAt is the schema of the mapping at a path such as "rules[].anomaly".
func schemaAt(t *testing.T, path string) node {
	t.Helper()
	var root node
	if err := json.Unmarshal(config.Schema(), &root); err != nil {
		t.Fatal(err)
	}
	n := root
	for _, name := range strings.FieldsFunc(path, func(r rune) bool { return r == '.' }) {
		name, list := strings.CutSuffix(name, "[]")
		n = n.property(name)
		if list {
			n = n["items"].(map[string]any)
		}
		if either, ok := n["anyOf"].([]any); ok { // or off
			n = either[0].(map[string]any)
		}
	}
	if n["additionalProperties"] != false {
		t.Fatalf("%s is no closed mapping: %v", path, n)
	}
	return n
}

func (n node) property(name string) node {
	return n["properties"].(map[string]any)[name].(map[string]any)
}

func (n node) names() []string {
	return slices.Sorted(maps.Keys(n["properties"].(map[string]any)))
}

func join(at, name string) string { return strings.TrimPrefix(at+"."+name, ".") }

// problemsOf is what the loader says of a file, "code: message" each.
func problemsOf(source string) []string {
	_, problems := config.Parse("f.yaml", []byte(source), nil)
	var out []string
	for _, p := range problems.Errors() {
		out = append(out, p.Code+": "+p.Message)
	}
	return out
}

// The names that the loader lists when it meets one that it does not know are
// those of the schema, and the fields without which it complains are those that
// the schema requires.
func TestTheLoaderHasThisShape(t *testing.T) {
	t.Parallel()
	for _, f := range forms {
		s := schemaAt(t, f.at)
		said := problemsOf(f.with(append(slices.Clone(f.needs), "zzzzzzzzzzzz: 1")...))
		if len(said) != 1 || !strings.HasPrefix(said[0], "unknown-key: ") && !strings.HasPrefix(said[0], "bad-operation: ") {
			t.Errorf("%s: an unknown key gives %q", f.at, said)
			continue
		}
		_, list, _ := strings.Cut(said[0], "; allowed: ")
		if diff := cmp.Diff(s.names(), strings.Split(list, ", ")); diff != "" {
			t.Errorf("%s: the names (-schema +loader):\n%s", f.at, diff)
		}
		var required []string
		if said := problemsOf(f.with(f.needs...)); len(said) > 0 {
			t.Errorf("%s: %q", f.at, said)
		}
		for i, field := range f.needs {
			name, _, _ := strings.Cut(field, ":")
			if said := strings.Join(problemsOf(f.with(slices.Concat(f.needs[:i], f.needs[i+1:])...)), "\n"); strings.Contains(said, fmt.Sprintf("required key %q", name)) {
				required = append(required, name)
			}
		}
		want := []string{}
		for _, name := range s.list("required") {
			want = append(want, name.(string))
		}
		if diff := cmp.Diff(want, required, cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("%s: required (-schema +loader):\n%s", f.at, diff)
		}
	}
}

func (n node) list(name string) []any {
	list, _ := n[name].([]any)
	return list
}

// A condition has the keys that the loader names.
func TestTheLoaderHasTheseConditions(t *testing.T) {
	t.Parallel()
	var root node
	if err := json.Unmarshal(config.Schema(), &root); err != nil {
		t.Fatal(err)
	}
	condition := node(root["$defs"].(map[string]any)["condition"].(map[string]any))
	known := map[string]bool{}
	for _, match := range []string{"{zzzzzzzzzzzz: []}", "{tag: t, zzzzzzzzzzzz: 1}"} {
		said := problemsOf(`{version: 1, rules: [{name: r, match: ` + match + `}]}`)
		if len(said) != 1 {
			t.Fatalf("%q", said)
		}
		list := regexp.MustCompile(`(?:allowed|has one of): (.*)$`).FindStringSubmatch(said[0])
		if list == nil {
			t.Fatalf("%q", said)
		}
		for _, name := range strings.Split(list[1], ", ") {
			known[name] = true
		}
	}
	if diff := cmp.Diff(condition.names(), slices.Sorted(maps.Keys(known))); diff != "" {
		t.Errorf("(-schema +loader):\n%s", diff)
	}
}

// What the schema says is the default is what the loader fills in; the words that
// it allows are those that the loader names; and its ranges end where the loader's
// do.
func TestTheLoaderHasTheseValues(t *testing.T) {
	t.Parallel()
	defaults, words, ends := 0, 0, 0
	for _, f := range forms {
		s := schemaAt(t, f.at)
		for _, name := range s.names() {
			at, f := join(f.at, name), f
			if at == "inventory.compare" { // it is about snapshots alone
				f.needs = []string{"source: snapshot", "path: p"}
			}
			p := s.property(name)
			field := func(v any) string {
				data, err := json.Marshal(v)
				if err != nil {
					t.Fatal(err)
				}
				others := slices.DeleteFunc(slices.Clone(f.needs), func(need string) bool { return strings.HasPrefix(need, name+":") })
				return f.with(append(others, name+": "+string(data))...)
			}
			if v, ok := p["default"]; ok {
				defaults++
				checkDefault(t, at, f.with(f.needs...), field(v))
			}
			if list := p.list("enum"); list != nil {
				words++
				checkWords(t, at, list, field)
			}
			ends += checkEnds(t, at, p, field)
		}
	}
	if defaults < 25 || words < 6 || ends < 30 {
		t.Errorf("%d defaults, %d lists of words, %d ends of ranges: the search is broken", defaults, words, ends)
	}
}

func checkDefault(t *testing.T, at, without, with string) {
	t.Helper()
	a, _ := config.Parse("f.yaml", []byte(without), nil)
	b, problems := config.Parse("f.yaml", []byte(with), nil)
	if err := problems.Errors().Err(); err != nil {
		t.Errorf("%s: the default is refused: %v", at, err)
		return
	}
	if diff := cmp.Diff(a, b, sameValues, cmpopts.IgnoreFields(config.Config{}, "Given")); diff != "" {
		t.Errorf("%s: the default is another one (-left out +written):\n%s", at, diff)
	}
}

func checkWords(t *testing.T, at string, list []any, field func(any) string) {
	t.Helper()
	var names []string
	for _, word := range list {
		if word != false { // which is off
			names = append(names, fmt.Sprint(word))
		}
		for _, said := range problemsOf(field(word)) {
			if !strings.HasPrefix(said, "snapshot-path") { // source: snapshot needs a path beside it
				t.Errorf("%s: %v is refused: %s", at, word, said)
			}
		}
	}
	said := problemsOf(field("zzz"))
	if len(said) != 1 || !strings.HasSuffix(said[0], "; allowed: "+strings.Join(names, ", ")) {
		t.Errorf("%s: the schema allows %q, the loader says %q", at, names, said)
	}
}

// checkEnds tries the numbers at both ends of a range, and those just beyond.
func checkEnds(t *testing.T, at string, p node, field func(any) string) (tried int) {
	t.Helper()
	refused := func(v any) bool {
		return slices.ContainsFunc(problemsOf(field(v)), func(said string) bool {
			return strings.HasPrefix(said, "out-of-range: ") || strings.HasPrefix(said, "band: ")
		})
	}
	check := func(v float64, want bool) {
		tried++
		if refused(v) != want {
			t.Errorf("%s: %v: refused is %t by the loader, %t by the schema", at, v, !want, want)
		}
	}
	step := 1.0
	if p["type"] == "number" {
		step = 0.001
	}
	if low, ok := p["minimum"].(float64); ok {
		check(low, false)
		check(low-step, true)
	}
	if low, ok := p["exclusiveMinimum"].(float64); ok {
		check(low, true)
		check(low+step, false)
	}
	if high, ok := p["maximum"].(float64); ok {
		check(high, false)
		check(high+step, true)
	}
	return tried
}

// What the loader does not read yet has its examples here. Both refuse the bad
// ones; the good ones are for the schema alone until they are read.
func TestTheSchemaOfWhatBelongsTogether(t *testing.T) {
	t.Parallel()
	s := validator(t)
	const rest = "\nrules: [{name: r, match: every}]\n"
	match := func(text string) string { return "version: 1\nrules: [{name: r, match: " + text + "}]\n" }
	rule := func(text string) string { return "version: 1\nrules: [{name: r, match: every, " + text + "}]\n" }
	exception := func(text string) string { return "version: 1\nexceptions: [{" + text + "}]" + rest }
	const who = ", reason: retired, owner: data, expires: 2027-01-31"
	for source, good := range map[string]bool{
		"version: 1\nfindings: {all: warn, tag-typo: fail, unmatched: off}" + rest: true,
		"version: 1\nfindings: {no-match: false}" + rest:                           true,
		rule("bandTag: off"):                         true,
		rule("bandTag: {tag: t, allowLooser: true}"): false,
		exception("key: legacy" + who):               false,
		exception("key: 'arn:aws:kms:eu-west-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab'" + who):                        true,
		exception("key: 'arn:aws:kms:eu-west-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab', everywhere: true" + who):      false,
		"version: 1\nfindings: {tag-typos: fail}" + rest:                                                                             false,
		"version: 1\nfindings: {all: error}" + rest:                                                                                  false,
		"version: 1\ndefaults: {operations: applicable, anomaly: {band: 3}, perOperation: {Sign: off}, actions: {alarm: []}}" + rest: true,
		"version: 1\ndefaults: {anomaly: off, thresholds: [{operations: [Decrypt], above: 5}]}" + rest:                               true,
		"version: 1\ndefaults: {name: r}" + rest:                                                                                     false,
		"version: 1\ndefaults: {match: every}" + rest:                                                                                false,
		rule("perOperation: {Decrypt: {band: 3}, Sign: off, Encrypt: false}"):                                                        true,
		rule("perOperation: {ReEncrypt: {band: 3}}"):                                                                                 false,
		rule("perOperation: {Decrypt: {id: x}}"):                                                                                     false,
		rule("perOperation: {Decrypt: {band: 0}}"):                                                                                   false,
		rule("bandTag: {tag: keywatch-band, min: 1, max: 4.5, allowLooser: false}"):                                                  true,
		rule("bandTag: {min: 1}"):                                                                                                    false,
		rule("bandTag: {tag: t, min: 0}"):                                                                                            false,
		exception("key: 1234abcd-12ab-34cd-56ef-1234567890ab" + who):                                                                 true,
		exception("key: alias/a, environment: 111122223333/eu-west-1, written: 2026-11-01" + who):                                    true,
		exception("key: alias/a, everywhere: true, written: 2026-11-01T10:00:00Z" + who):                                             true,
		exception("key: alias/a, everywhere: false, written: 2026-11-01" + who):                                                      false,
		exception("key: alias/a, everywhere: true" + who):                                                                            false,
		exception("key: alias/a, written: 2026-11-01" + who):                                                                         false,
		exception("key: alias/a, everywhere: true, environment: 111122223333/eu-west-1, written: 2026-11-01" + who):                  false,
		exception("key: 1234abcd-12ab-34cd-56ef-1234567890ab, written: 2026-11-01" + who):                                            false,
		exception("key: 1234abcd-12ab-34cd-56ef-1234567890ab, reason: r, owner: o"):                                                  false,
		exception("key: alias/a, everywhere: true, written: yesterday" + who):                                                        false,
		match(`{alias: {glob: "alias/pay-*"}}`):                                                                                      true,
		match(`{alias: {equals: pay}}`):                                                                                              false,
		match(`{alias: alias/pay}`):                                                                                                  false,
		match(`{keyId: {in: [1234abcd-12ab-34cd-56ef-1234567890ab]}}`):                                                               true,
		match(`{keyId: {equals: "arn:aws:kms:eu-west-1:111122223333:key/1"}}`):                                                       false,
		match(`{usage: {equals: SIGN_VERIFY}}`):                                                                                      true,
		match(`{usage: {equals: SIGN}}`):                                                                                             false,
		match(`{spec: {glob: "RSA_*"}}`):                                                                                             true,
		match(`{spec: {glob: "RSA_*", equals: RSA_2048}}`):                                                                           false,
		match(`{spec: {}}`): false,
		match(`{origin: {in: [EXTERNAL, AWS_CLOUDHSM]}}`):                         true,
		match(`{state: {not: Enabled}}`):                                          false,
		match(`{state: {equals: Disabled}}`):                                      true,
		match(`{multiRegion: true}`):                                              true,
		match(`{multiRegion: "yes"}`):                                             false,
		match(`{createdAfter: 2026-01-31}`):                                       true,
		match(`{createdAfter: "2026-01-31"}`):                                     true,
		match(`{createdBefore: January}`):                                         false,
		match(`{multiRegion: true, createdAfter: 2026-01-31}`):                    false,
		match(`{all: [{multiRegion: true}, {not: {state: {equals: Disabled}}}]}`): true,
	} {
		codes, err := agree(s, []byte(source))
		if (err == nil) != good {
			t.Errorf("good is %t, the schema says %v:\n%s", good, err, source)
		}
		if !good && len(codes) == 0 || good && len(codes) > 0 {
			t.Errorf("good is %t, the loader says %q:\n%s", good, codes, source)
		}
	}
}
