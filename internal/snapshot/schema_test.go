package snapshot

import (
	"encoding/json"
	"os"
	"reflect"
	"testing"

	"keywatch/test/schema"
)

const schemaFile = "snapshot.schema.json"

func TestSchemaHasEveryField(t *testing.T) {
	t.Parallel()
	s := schema.Read(t, schemaFile)
	// keys read one by one what a list of key holds.
	schema.CompareFields(t, "$", s, reflect.TypeFor[document](), map[reflect.Type]reflect.Type{reflect.TypeFor[keys](): reflect.TypeFor[[]key]()})
	if s.Properties["format"].Const != float64(Format) {
		t.Errorf("the schema is of format %v, the program of %d", s.Properties["format"].Const, Format)
	}
}

// The golden file has one of everything.
func TestTheGoldenFileFitsTheSchema(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile("testdata/example.json")
	if err != nil {
		t.Fatal(err)
	}
	for _, problem := range schema.Problems(t, schemaFile, data) {
		t.Error(problem)
	}
	var v any
	if err := json.Unmarshal(data, &v); err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	show(t, "$", schema.Read(t, schemaFile), v, seen)
	if len(seen) < 27 {
		t.Errorf("the golden file shows only %d fields: %v", len(seen), seen)
	}
}

// show collects the places of a schema that a value of it has.
func show(t *testing.T, at string, s *schema.Schema, v any, seen map[string]bool) {
	t.Helper()
	seen[at] = true
	switch v := v.(type) {
	case map[string]any:
		for name, value := range v {
			if s.Closed() {
				show(t, at+"."+name, s.Properties[name], value, seen)
			} else {
				show(t, at+".*", s.Values(t), value, seen)
			}
		}
	case []any:
		for _, item := range v {
			show(t, at+"[]", s.Items, item, seen)
		}
	}
}
