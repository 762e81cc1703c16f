package report

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"keywatch/constructs/spec"
	"keywatch/internal/coverage"
	"keywatch/internal/rules"
)

// schema is the part of JSON Schema 2020-12 that the report's schema uses.
// Reading it refuses every other keyword.
type schema struct {
	Schema               string             `json:"$schema"`
	Title                string             `json:"title"`
	Description          string             `json:"description"`
	Type                 string             `json:"type"`
	Const                any                `json:"const"`
	Enum                 []any              `json:"enum"`
	Required             []string           `json:"required"`
	Properties           map[string]*schema `json:"properties"`
	AdditionalProperties *bool              `json:"additionalProperties"`
	Items                *schema            `json:"items"`
}

func readSchema(t *testing.T) *schema {
	t.Helper()
	file, err := os.Open(filepath.Join("..", "..", "docs", "schema", "report.schema.json"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	var s schema
	decoder := json.NewDecoder(file)
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&s); err != nil {
		t.Fatal(err)
	}
	if s.Schema != "https://json-schema.org/draft/2020-12/schema" {
		t.Errorf("$schema is %q", s.Schema)
	}
	return &s
}

// check lists what of a value does not fit.
func (s *schema) check(at string, v any) []string {
	var out []string
	add := func(format string, args ...any) { out = append(out, at+": "+fmt.Sprintf(format, args...)) }
	if s.Type != "" && !isType(s.Type, v) {
		add("%v is no %s", v, s.Type)
	}
	if s.Const != nil && !reflect.DeepEqual(s.Const, v) {
		add("%v is not %v", v, s.Const)
	}
	if s.Enum != nil && !slices.Contains(s.Enum, v) {
		add("%v is none of %v", v, s.Enum)
	}
	if object, ok := v.(map[string]any); ok {
		out = append(out, s.checkObject(at, object)...)
	}
	if list, ok := v.([]any); ok && s.Items != nil {
		for i, item := range list {
			out = append(out, s.Items.check(fmt.Sprintf("%s[%d]", at, i), item)...)
		}
	}
	return out
}

func (s *schema) checkObject(at string, object map[string]any) []string {
	var out []string
	for _, name := range s.Required {
		if _, ok := object[name]; !ok {
			out = append(out, fmt.Sprintf("%s: %q is missing", at, name))
		}
	}
	for name, value := range object {
		switch property, known := s.Properties[name]; {
		case known:
			out = append(out, property.check(at+"."+name, value)...)
		case s.AdditionalProperties != nil && !*s.AdditionalProperties:
			out = append(out, fmt.Sprintf("%s: %q is unknown", at, name))
		}
	}
	return out
}

func isType(name string, v any) bool {
	switch v := v.(type) {
	case map[string]any:
		return name == "object"
	case []any:
		return name == "array"
	case string:
		return name == "string"
	case bool:
		return name == "boolean"
	case float64:
		return name == "number" || name == "integer" && v == float64(int64(v))
	}
	return false
}

func readGolden(t *testing.T, name string) map[string]any {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	var v map[string]any
	if err := json.Unmarshal(data, &v); err != nil {
		t.Fatal(err)
	}
	return v
}

func TestReportsFitTheSchema(t *testing.T) {
	s := readSchema(t)
	files, err := filepath.Glob(filepath.Join("testdata", "*.json"))
	if err != nil || len(files) < 4 {
		t.Fatalf("%d reports, %v", len(files), err)
	}
	for _, file := range files {
		for _, problem := range s.check("$", readGolden(t, filepath.Base(file))) {
			t.Errorf("%s: %s", file, problem)
		}
	}
}

// The check above is worth something only if it refuses what is wrong.
func TestSchemaRefusesWhatDoesNotFit(t *testing.T) {
	s := readSchema(t)
	firstKey := func(v map[string]any) map[string]any { return v["keys"].([]any)[0].(map[string]any) }
	firstAlarm := func(v map[string]any) map[string]any { return firstKey(v)["alarms"].([]any)[0].(map[string]any) }
	for want, spoil := range map[string]func(map[string]any){
		`$.schemaVersion: 2 is not 1`:                               func(v map[string]any) { v["schemaVersion"] = 2.0 },
		`$: "keys" is missing`:                                      func(v map[string]any) { delete(v, "keys") },
		`$: "extra" is unknown`:                                     func(v map[string]any) { v["extra"] = true },
		`$.account: 1 is no string`:                                 func(v map[string]any) { v["account"] = 1.0 },
		`$.keys: <nil> is no array`:                                 func(v map[string]any) { v["keys"] = nil },
		`$.keys[0]: "reason" is missing`:                            func(v map[string]any) { delete(firstKey(v), "reason") },
		`$.keys[0].status: fine is none of [covered`:                func(v map[string]any) { firstKey(v)["status"] = "fine" },
		`$.keys[0].alarms[0].present: yes is no boolean`:            func(v map[string]any) { firstAlarm(v)["present"] = "yes" },
		`$.keys[0].alarms[0].operations[0]: ReEncrypt is none of [`: func(v map[string]any) { firstAlarm(v)["operations"] = []any{"ReEncrypt"} },
		`$.totals.alarms: 1.5 is no integer`: func(v map[string]any) {
			v["totals"] = readGolden(t, "plan.json")["totals"]
			v["totals"].(map[string]any)["alarms"] = 1.5
		},
	} {
		v := readGolden(t, "coverage.json")
		spoil(v)
		if got := s.check("$", v); len(got) != 1 || !strings.HasPrefix(got[0], want) {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

// Every field that is written is in the schema, with its type, and required
// unless it may be left out; and the schema has no others.
func TestSchemaHasEveryField(t *testing.T) {
	compare(t, "$", readSchema(t), reflect.TypeFor[document]())
}

func compare(t *testing.T, at string, s *schema, of reflect.Type) {
	t.Helper()
	switch of.Kind() {
	case reflect.Pointer:
		compare(t, at, s, of.Elem())
	case reflect.Slice:
		if s.Type != "array" || s.Items == nil {
			t.Errorf("%s: %v is %q with items %v in the schema", at, of, s.Type, s.Items)
			return
		}
		compare(t, at+"[]", s.Items, of.Elem())
	case reflect.Struct:
		compareFields(t, at, s, of)
	default:
		want := map[reflect.Kind]string{reflect.String: "string", reflect.Int: "integer", reflect.Float64: "number", reflect.Bool: "boolean"}[of.Kind()]
		if s.Type != want && s.Enum == nil && s.Const == nil {
			t.Errorf("%s: %v is %q in the schema", at, of, s.Type)
		}
	}
}

func compareFields(t *testing.T, at string, s *schema, of reflect.Type) {
	t.Helper()
	if s.Type != "object" || s.AdditionalProperties == nil || *s.AdditionalProperties {
		t.Errorf("%s: no object without additional properties", at)
	}
	var names, required []string
	for i := range of.NumField() {
		name, option, _ := strings.Cut(of.Field(i).Tag.Get("json"), ",")
		if name == "-" {
			continue
		}
		names = append(names, name)
		if option != "omitempty" {
			required = append(required, name)
		}
		if property := s.Properties[name]; property == nil {
			t.Errorf("%s: %q is not in the schema", at, name)
		} else {
			compare(t, at+"."+name, property, of.Field(i).Type)
		}
	}
	for name := range s.Properties {
		if !slices.Contains(names, name) {
			t.Errorf("%s: the schema has %q, which is never written", at, name)
		}
	}
	slices.Sort(required)
	if got := slices.Sorted(slices.Values(s.Required)); !slices.Equal(got, required) {
		t.Errorf("%s: required are %v, always written are %v", at, got, required)
	}
}

// The words that the schema lists are those of the program.
func TestSchemaKnowsTheWords(t *testing.T) {
	key := readSchema(t).Properties["keys"].Items
	alarm := key.Properties["alarms"].Items
	for what, c := range map[string]struct {
		schema *schema
		words  []string
	}{
		"status": {key.Properties["status"], texts(coverage.Covered, coverage.PartlyCovered, coverage.NotCovered, coverage.Status(rules.OutOfScope),
			coverage.Status(rules.Unmatched), coverage.Status(rules.Excepted), coverage.Status(rules.Unreadable), coverage.Status(rules.NotEligible))},
		"state":          {readSchema(t).Properties["exceptions"].Items.Properties["state"], texts(rules.Holds, rules.Expired, rules.Repointed, noKey, elsewhere)},
		"state of a key": {key.Properties["exceptions"].Items.Properties["state"], texts(rules.Holds, rules.Expired, rules.Repointed)},
		"answer":         {key.Properties["trace"].Items.Properties["answer"], texts(rules.Yes, rules.No, rules.Unknown)},
		"answer of part": {key.Properties["trace"].Items.Properties["leaves"].Items.Properties["answer"], texts(rules.Yes, rules.No, rules.Unknown)},
		"operations":     {alarm.Properties["operations"].Items, texts(spec.Watchable()...)},
		"kind":           {alarm.Properties["kind"], texts(spec.KindAnomaly, spec.KindThreshold)},
	} {
		var got []string
		for _, v := range c.schema.Enum {
			got = append(got, v.(string))
		}
		if !slices.Equal(got, c.words) {
			t.Errorf("%s: the schema has %q, the program %q", what, got, c.words)
		}
	}
}

func texts[T ~string](words ...T) []string {
	out := make([]string, len(words))
	for i, w := range words {
		out[i] = string(w)
	}
	return out
}

// The schema of several environments holds that of one, and nothing else beside
// the version.
func TestSchemaOfSeveralEnvironments(t *testing.T) {
	data, err := os.ReadFile(filepath.Join("..", "..", "docs", "schema", "reports.schema.json"))
	if err != nil {
		t.Fatal(err)
	}
	var s struct {
		AdditionalProperties *bool
		Required             []string
		Properties           map[string]struct {
			Const any
			Items struct {
				Ref string `json:"$ref"`
			}
		}
	}
	if err := json.Unmarshal(data, &s); err != nil {
		t.Fatal(err)
	}
	var fields []string
	for i := range reflect.TypeFor[documents]().NumField() {
		fields = append(fields, reflect.TypeFor[documents]().Field(i).Tag.Get("json"))
	}
	if !slices.Equal(fields, s.Required) || len(s.Properties) != len(fields) || s.AdditionalProperties == nil || *s.AdditionalProperties {
		t.Errorf("written are %v, the schema requires %v of %v", fields, s.Required, s.Properties)
	}
	if got := s.Properties["environments"].Items.Ref; got != "report.schema.json" {
		t.Errorf("an environment is %q", got)
	}
	if got := s.Properties["schemaVersion"].Const; got != readSchema(t).Properties["schemaVersion"].Const {
		t.Errorf("version %v", got)
	}
}
