package report

import (
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"keywatch/constructs/spec"
	"keywatch/internal/coverage"
	"keywatch/internal/rules"
	"keywatch/test/schema"
)

const schemaFile = "report.schema.json"

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
	files, err := filepath.Glob(filepath.Join("testdata", "*.json"))
	if err != nil || len(files) < 4 {
		t.Fatalf("%d reports, %v", len(files), err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, problem := range schema.Problems(t, schemaFile, text) {
			t.Errorf("%s: %s", file, problem)
		}
	}
}

// The check above is worth something only if the schema refuses what is wrong.
func TestSchemaRefusesWhatDoesNotFit(t *testing.T) {
	firstKey := func(v map[string]any) map[string]any { return v["keys"].([]any)[0].(map[string]any) }
	firstAlarm := func(v map[string]any) map[string]any { return firstKey(v)["alarms"].([]any)[0].(map[string]any) }
	for want, spoil := range map[string]func(map[string]any){
		`at '/schemaVersion': value must be 1`:                           func(v map[string]any) { v["schemaVersion"] = 2.0 },
		`at '': missing property 'keys'`:                                 func(v map[string]any) { delete(v, "keys") },
		`at '': additional properties 'extra' not allowed`:               func(v map[string]any) { v["extra"] = true },
		`at '/account': got number, want string`:                         func(v map[string]any) { v["account"] = 1.0 },
		`at '/keys': got null, want array`:                               func(v map[string]any) { v["keys"] = nil },
		`at '/keys/0': missing property 'reason'`:                        func(v map[string]any) { delete(firstKey(v), "reason") },
		`at '/keys/0/status': value must be one of 'covered', `:          func(v map[string]any) { firstKey(v)["status"] = "fine" },
		`at '/keys/0/alarms/0/present': got string, want boolean`:        func(v map[string]any) { firstAlarm(v)["present"] = "yes" },
		`at '/keys/0/alarms/0/operations/0': value must be one of 'Decr`: func(v map[string]any) { firstAlarm(v)["operations"] = []any{"ReEncrypt"} },
		`at '/totals/alarms': got number, want integer`: func(v map[string]any) {
			v["totals"] = readGolden(t, "plan.json")["totals"]
			v["totals"].(map[string]any)["alarms"] = 1.5
		},
	} {
		v := readGolden(t, "coverage.json")
		spoil(v)
		text, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		if got := schema.Problems(t, schemaFile, text); len(got) != 1 || !strings.HasPrefix(got[0], want) {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

func TestSchemaHasEveryField(t *testing.T) {
	schema.CompareFields(t, "$", schema.Read(t, schemaFile), reflect.TypeFor[document](), nil)
}

// The words that the schema lists are those of the program.
func TestSchemaKnowsTheWords(t *testing.T) {
	key := schema.Read(t, schemaFile).Properties["keys"].Items
	alarm := key.Properties["alarms"].Items
	for what, c := range map[string]struct {
		schema *schema.Schema
		words  []string
	}{
		"status": {key.Properties["status"], texts(coverage.Covered, coverage.PartlyCovered, coverage.NotCovered, coverage.Status(rules.OutOfScope),
			coverage.Status(rules.Unmatched), coverage.Status(rules.Excepted), coverage.Status(rules.Unreadable), coverage.Status(rules.NotEligible))},
		"state":          {schema.Read(t, schemaFile).Properties["exceptions"].Items.Properties["state"], texts(rules.Holds, rules.Expired, rules.Repointed, noKey, elsewhere)},
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
	if got := s.Properties["schemaVersion"].Const; got != schema.Read(t, schemaFile).Properties["schemaVersion"].Const {
		t.Errorf("version %v", got)
	}
}
