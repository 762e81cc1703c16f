package snapshot

import (
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// schema is the part of JSON Schema 2020-12 that the snapshot's schema uses.
// Reading it refuses every other keyword.
type schema struct {
	Schema      string             `json:"$schema"`
	Title       string             `json:"title"`
	Description string             `json:"description"`
	Type        string             `json:"type"`
	Const       any                `json:"const"`
	Pattern     string             `json:"pattern"`
	Required    []string           `json:"required"`
	Properties  map[string]*schema `json:"properties"`
	// Additional is false, or the schema of the values of a map.
	Additional json.RawMessage `json:"additionalProperties"`
	Items      *schema         `json:"items"`
	Minimum    *int            `json:"minimum"`
}

func readSchema(t *testing.T) *schema {
	t.Helper()
	file, err := os.Open(filepath.Join("..", "..", "docs", "schema", "snapshot.schema.json"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	var s schema
	d := json.NewDecoder(file)
	d.DisallowUnknownFields()
	if err := d.Decode(&s); err != nil {
		t.Fatal(err)
	}
	if s.Schema != "https://json-schema.org/draft/2020-12/schema" {
		t.Errorf("$schema is %q", s.Schema)
	}
	return &s
}

// Every field that is read and written is in the schema, with its type, and
// required unless it may be left out; and the schema has no others.
func TestSchemaHasEveryField(t *testing.T) {
	t.Parallel()
	s := readSchema(t)
	compareType(t, "$", s, reflect.TypeFor[document]())
	if s.Properties["format"].Const != float64(Format) {
		t.Errorf("the schema is of format %v, the program of %d", s.Properties["format"].Const, Format)
	}
}

func compareType(t *testing.T, at string, s *schema, of reflect.Type) {
	t.Helper()
	if of == reflect.TypeFor[keys]() {
		of = reflect.TypeFor[[]key]() // what is read of each
	}
	want := map[reflect.Kind]string{
		reflect.String: "string", reflect.Int: "integer", reflect.Bool: "boolean",
		reflect.Slice: "array", reflect.Map: "object", reflect.Struct: "object",
	}[of.Kind()]
	if s.Type != want {
		t.Errorf("%s: %v is %q in the schema", at, of, s.Type)
		return
	}
	switch of.Kind() {
	case reflect.Slice:
		compareType(t, at+"[]", s.Items, of.Elem())
	case reflect.Map:
		var value schema
		if err := json.Unmarshal(s.Additional, &value); err != nil {
			t.Errorf("%s: %v", at, err)
		}
		compareType(t, at+".*", &value, of.Elem())
	case reflect.Struct:
		compareFields(t, at, s, of)
	}
}

func compareFields(t *testing.T, at string, s *schema, of reflect.Type) {
	t.Helper()
	if string(s.Additional) != "false" {
		t.Errorf("%s: the schema allows unknown fields", at)
	}
	var names, required []string
	for i := range of.NumField() {
		name, option, _ := strings.Cut(of.Field(i).Tag.Get("json"), ",")
		names = append(names, name)
		if option != "omitempty" {
			required = append(required, name)
		}
		if property := s.Properties[name]; property == nil {
			t.Errorf("%s: %q is not in the schema", at, name)
		} else {
			compareType(t, at+"."+name, property, of.Field(i).Type)
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

// The golden file, which has one of everything, has only fields of the schema
// and all that it requires.
func TestTheGoldenFileFitsTheSchema(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile("testdata/example.json")
	if err != nil {
		t.Fatal(err)
	}
	var v any
	if err := json.Unmarshal(data, &v); err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	fit(t, "$", readSchema(t), v, seen)
	if len(seen) < 27 {
		t.Errorf("the golden file shows only %d fields: %v", len(seen), seen)
	}
}

func fit(t *testing.T, at string, s *schema, v any, seen map[string]bool) {
	t.Helper()
	seen[at] = true
	switch v := v.(type) {
	case map[string]any:
		var values schema
		if isMap := string(s.Additional) != "false"; isMap {
			if err := json.Unmarshal(s.Additional, &values); err != nil {
				t.Fatalf("%s: %v", at, err)
			}
		}
		for name, value := range v {
			switch property := s.Properties[name]; {
			case property != nil:
				fit(t, at+"."+name, property, value, seen)
			case string(s.Additional) == "false":
				t.Errorf("%s: %q is unknown", at, name)
			default:
				fit(t, at+".*", &values, value, seen)
			}
		}
		for _, name := range s.Required {
			if _, ok := v[name]; !ok {
				t.Errorf("%s: %q is missing", at, name)
			}
		}
	case []any:
		for _, item := range v {
			fit(t, at+"[]", s.Items, item, seen)
		}
	}
}
