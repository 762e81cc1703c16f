// Package schema holds what keywatch writes to the schemas in docs/schema: the JSON
// itself by a validator, and the Go types that it is made from by their fields. Start
// reading at [Problems] and [CompareFields].
package schema

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// path is as seen from a package two folders deep.
func path(name string) string { return filepath.Join("..", "..", "docs", "schema", name) }

// Problems lists what of a JSON text does not fit a schema, as "at 'POINTER': what".
func Problems(t testing.TB, name string, text []byte) []string {
	t.Helper()
	s, err := jsonschema.NewCompiler().Compile(path(name))
	if err != nil {
		t.Fatal(err)
	}
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatalf("%v:\n%s", err, text)
	}
	err = s.Validate(v)
	if err == nil {
		return nil
	}
	if invalid := (*jsonschema.ValidationError)(nil); !errors.As(err, &invalid) {
		t.Fatal(err)
	}
	_, list, _ := strings.Cut(err.Error(), "\n- ") // the first line names the schema
	return strings.Split(list, "\n- ")
}

// Schema is the part of JSON Schema 2020-12 that [CompareFields] understands. Reading
// it refuses every other keyword.
type Schema struct {
	Schema      string             `json:"$schema"`
	Title       string             `json:"title"`
	Description string             `json:"description"`
	Type        string             `json:"type"`
	Const       any                `json:"const"`
	Enum        []any              `json:"enum"`
	Pattern     string             `json:"pattern"`
	Minimum     *int               `json:"minimum"`
	Required    []string           `json:"required"`
	Properties  map[string]*Schema `json:"properties"`
	// Additional is false, or the schema of the values of a map.
	Additional json.RawMessage `json:"additionalProperties"`
	Items      *Schema         `json:"items"`
}

// Read is a schema to look into.
func Read(t testing.TB, name string) *Schema {
	t.Helper()
	data, err := os.ReadFile(path(name))
	if err != nil {
		t.Fatal(err)
	}
	s := decode(t, data)
	if s.Schema != "https://json-schema.org/draft/2020-12/schema" {
		t.Errorf("$schema is %q", s.Schema)
	}
	return s
}

func decode(t testing.TB, data []byte) *Schema {
	t.Helper()
	var s Schema
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(&s); err != nil {
		t.Fatal(err)
	}
	return &s
}

// Closed says whether an object has no fields but its properties.
func (s *Schema) Closed() bool { return string(s.Additional) == "false" }

// Values is the schema of what a map holds.
func (s *Schema) Values(t testing.TB) *Schema {
	t.Helper()
	return decode(t, s.Additional)
}

// CompareFields wants every field of a type in the schema, with its type, and required
// unless it may be left out; and no others there. A type that reads its JSON by
// itself is looked at as what stands for it.
func CompareFields(t testing.TB, at string, s *Schema, of reflect.Type, stand map[reflect.Type]reflect.Type) {
	t.Helper()
	if instead, ok := stand[of]; ok {
		of = instead
	}
	if of.Kind() == reflect.Pointer {
		CompareFields(t, at, s, of.Elem(), stand)
		return
	}
	want := map[reflect.Kind]string{
		reflect.String: "string", reflect.Int: "integer", reflect.Float64: "number", reflect.Bool: "boolean",
		reflect.Slice: "array", reflect.Map: "object", reflect.Struct: "object",
	}[of.Kind()]
	if s.Type != want {
		t.Errorf("%s: %v is %q in the schema", at, of, s.Type)
		return
	}
	switch of.Kind() {
	case reflect.Slice:
		if s.Items == nil {
			t.Errorf("%s: the schema does not say what is in %v", at, of)
			return
		}
		CompareFields(t, at+"[]", s.Items, of.Elem(), stand)
	case reflect.Map:
		CompareFields(t, at+".*", s.Values(t), of.Elem(), stand)
	case reflect.Struct:
		compareStruct(t, at, s, of, stand)
	}
}

func compareStruct(t testing.TB, at string, s *Schema, of reflect.Type, stand map[reflect.Type]reflect.Type) {
	t.Helper()
	if !s.Closed() {
		t.Errorf("%s: the schema allows unknown fields", at)
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
			CompareFields(t, at+"."+name, property, of.Field(i).Type, stand)
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
