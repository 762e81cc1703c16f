package config

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
)

// schema is a JSON Schema, as far as the shape of the file needs it ("JSON
// Schema: A Media Type for Describing JSON Documents", 2020-12).
type schema struct {
	Schema               string             `json:"$schema,omitempty"`
	Title                string             `json:"title,omitempty"`
	Description          string             `json:"description,omitempty"`
	Ref                  string             `json:"$ref,omitempty"`
	Type                 string             `json:"type,omitempty"`
	Const                any                `json:"const,omitempty"`
	Enum                 []any              `json:"enum,omitempty"`
	Default              any                `json:"default,omitempty"`
	Examples             []any              `json:"examples,omitempty"`
	Pattern              string             `json:"pattern,omitempty"`
	MinLength            *int               `json:"minLength,omitempty"`
	MaxLength            *int               `json:"maxLength,omitempty"`
	Minimum              *float64           `json:"minimum,omitempty"`
	ExclusiveMinimum     *float64           `json:"exclusiveMinimum,omitempty"`
	Maximum              *float64           `json:"maximum,omitempty"`
	MinItems             *int               `json:"minItems,omitempty"`
	MaxItems             *int               `json:"maxItems,omitempty"`
	UniqueItems          bool               `json:"uniqueItems,omitempty"`
	Items                *schema            `json:"items,omitempty"`
	AdditionalProperties *bool              `json:"additionalProperties,omitempty"`
	MaxProperties        *int               `json:"maxProperties,omitempty"`
	Required             []string           `json:"required,omitempty"`
	PropertyNames        *schema            `json:"propertyNames,omitempty"`
	Properties           map[string]*schema `json:"properties,omitempty"`
	AnyOf                []*schema          `json:"anyOf,omitempty"`
	OneOf                []*schema          `json:"oneOf,omitempty"`
	Not                  *schema            `json:"not,omitempty"`
	If                   *schema            `json:"if,omitempty"`
	Then                 *schema            `json:"then,omitempty"`
	Else                 *schema            `json:"else,omitempty"`
	Defs                 map[string]*schema `json:"$defs,omitempty"`
}

// Schema is the JSON Schema of the file, by which editors complete and check it.
// It sees one value at a time: what several say together (two rules of one name, a
// contradiction) is for the loader.
func Schema() []byte {
	s := schemaOf(reflect.TypeFor[fileShape]())
	s.Schema = "https://json-schema.org/draft/2020-12/schema"
	s.Title = "keywatch.yaml"
	s.Description = "Which KMS keys get which alarms on their usage."
	s.Defs = map[string]*schema{"condition": conditionSchema()}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	if err := enc.Encode(s); err != nil {
		panic(err) // plain data of our own
	}
	return b.Bytes()
}

// shaper is a type whose form tags cannot say.
type shaper interface{ shape() *schema }

func schemaOf(t reflect.Type) *schema {
	switch v := reflect.Zero(t).Interface().(type) {
	case shaper:
		return v.shape()
	case wordShape:
		return &schema{Enum: schemaWords(v.words())}
	}
	switch t.Kind() {
	case reflect.String:
		return &schema{Type: "string"}
	case reflect.Bool:
		return &schema{Type: "boolean"}
	case reflect.Int:
		return &schema{Type: "integer"}
	case reflect.Float64:
		return &schema{Type: "number"}
	case reflect.Slice:
		return &schema{Type: "array", Items: schemaOf(t.Elem()), UniqueItems: t.Elem().Kind() != reflect.Struct || !isMappingShape(t.Elem())}
	case reflect.Map:
		s := &schema{Type: "object", AdditionalProperties: new(bool), Properties: map[string]*schema{}}
		for _, name := range reflect.Zero(t.Key()).Interface().(wordShape).words() {
			s.Properties[name] = schemaOf(t.Elem())
		}
		return s
	}
	if !isMappingShape(t) { // a value with tags of its own
		return fieldOf(t.Field(0))
	}
	s := &schema{Type: "object", AdditionalProperties: new(bool), Properties: map[string]*schema{}}
	s.add(t)
	return s
}

// isMappingShape says whether a struct is a mapping and not a value with tags.
func isMappingShape(t reflect.Type) bool { return t.Field(0).Name != "Value" }

func (s *schema) add(t reflect.Type) {
	for i := range t.NumField() {
		f := t.Field(i)
		if f.Anonymous {
			s.add(f.Type)
			continue
		}
		name, need, _ := strings.Cut(f.Tag.Get("yaml"), ",")
		s.Properties[name] = fieldOf(f)
		if need == "required" {
			s.Required = append(s.Required, name)
		}
	}
}

// fieldOf is the schema of a field's type with what its tags say.
func fieldOf(f reflect.StructField) *schema {
	s := schemaOf(f.Type)
	if f.Tag.Get("off") != "" {
		switch f.Type.Kind() {
		case reflect.Map: // each of its values
			for name, value := range s.Properties {
				s.Properties[name] = withoutDefaults(value).orOff()
			}
		default:
			s = s.orOff()
		}
	}
	s.Description = f.Tag.Get("doc")
	if text := f.Tag.Get("default"); text != "" {
		s.Default = schemaJSON(text)
	}
	if text := f.Tag.Get("enum"); text != "" {
		s.Enum, s.Type = schemaWords(strings.Split(text, ",")), ""
	}
	if text := f.Tag.Get("example"); text != "" {
		for example := range strings.SplitSeq(text, "|") {
			s.Examples = append(s.Examples, schemaJSON(example))
		}
	}
	if text := f.Tag.Get("pattern"); text != "" {
		s.Pattern = text
	}
	s.bound(f.Tag.Get("min"), &s.MinLength, &s.MinItems, &s.Minimum)
	s.bound(f.Tag.Get("max"), &s.MaxLength, &s.MaxItems, &s.Maximum)
	if text := f.Tag.Get("over"); text != "" {
		v := schemaJSON(text).(float64)
		s.ExclusiveMinimum = &v
	}
	return s
}

func (s *schema) bound(text string, length, items **int, value **float64) {
	if text == "" {
		return
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		panic(fmt.Sprintf("config: the bound %q in shape.go: %v", text, err))
	}
	switch s.Type {
	case "string":
		*length = &n
	case "array":
		*items = &n
	default:
		v := float64(n)
		*value = &v
	}
}

func schemaJSON(text string) (v any) {
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		panic(fmt.Sprintf("config: %q in shape.go: %v", text, err))
	}
	return v
}

func schemaWords(words []string) []any {
	var out []any
	for _, w := range words {
		out = append(out, w)
	}
	return out
}

// orOff lets off and false stand for the mapping.
func (s *schema) orOff() *schema {
	return &schema{AnyOf: []*schema{s, {Enum: []any{"off", false}}}}
}

// withoutDefaults is for fields that take what they do not say from elsewhere.
func withoutDefaults(s *schema) *schema {
	for _, p := range s.Properties {
		p.Default = nil
	}
	return s
}

// versionShape is the only version there is.
type versionShape struct{}

func (versionShape) shape() *schema { return &schema{Const: 1} }

// lengthShape is a length of time as Go writes it. How long it may be is beyond a
// pattern.
type lengthShape struct{}

func (lengthShape) shape() *schema {
	return &schema{Type: "string", Pattern: `^\+?(([0-9]+\.?[0-9]*|\.[0-9]+)(ns|us|µs|μs|ms|s|m|h))+$`, Examples: []any{"60s", "5m", "1h"}}
}

// dateShape is a day. YAML 1.2, which editors speak, has no dates.
type dateShape struct{}

const dayPattern = `[0-9]{4}-[0-9]{2}-[0-9]{2}`

func (dateShape) shape() *schema {
	return &schema{Type: "string", Pattern: "^" + dayPattern + "$", Examples: []any{"2027-01-31"}}
}

// timeShape is a day or a moment.
type timeShape struct{}

func (timeShape) shape() *schema {
	return &schema{Type: "string", Pattern: "^" + dayPattern + `([Tt ].+)?$`, Examples: []any{"2026-11-01", "2026-11-01T09:30:00Z"}}
}

// retentionShape is one of the numbers of days that CloudWatch Logs takes.
type retentionShape struct{}

func (retentionShape) shape() *schema {
	s := &schema{}
	for _, days := range retentions {
		s.Enum = append(s.Enum, days)
	}
	return s
}

// operationsShape is a word or a list.
type operationsShape struct{}

func (operationsShape) shape() *schema {
	list := schemaOf(reflect.TypeFor[[]operationWord]())
	list.bound("1", nil, &list.MinItems, nil)
	return &schema{AnyOf: []*schema{{Enum: []any{string(Core), string(Applicable)}}, list}}
}

// matchShape is a condition, or every.
type matchShape struct{}

func (matchShape) shape() *schema {
	return &schema{AnyOf: []*schema{{Const: "every"}, conditionRef{}.shape()}}
}

type conditionRef struct{}

func (conditionRef) shape() *schema { return &schema{Ref: "#/$defs/condition"} }

func (conditionShape) shape() *schema { return conditionRef{}.shape() }

// conditionSchema is one leaf or combination: a key that stands alone, or a tag with one
// test.
func conditionSchema() *schema {
	s := &schema{Type: "object", AdditionalProperties: new(bool), Properties: map[string]*schema{}}
	s.add(reflect.TypeFor[conditionShape]())
	tests := []TagTest{Equals, In, GlobOf, Regex, Exists}
	for i := range reflect.TypeFor[conditionShape]().NumField() {
		name, _, _ := strings.Cut(reflect.TypeFor[conditionShape]().Field(i).Tag.Get("yaml"), ",")
		if name != "tag" && !slices.Contains(tests, TagTest(name)) {
			s.OneOf = append(s.OneOf, schemaOnly(name))
		}
	}
	for _, t := range tests {
		s.OneOf = append(s.OneOf, schemaOnly("tag", string(t)))
	}
	return s
}

// schemaOnly is a mapping of these keys and no others.
func schemaOnly(names ...string) *schema {
	n := len(names)
	return &schema{Required: names, MaxProperties: &n}
}

func (aliasShape) shape() *schema   { return factSchema(reflect.TypeFor[aliasShape]()) }
func (keyIDShape) shape() *schema   { return factSchema(reflect.TypeFor[keyIDShape]()) }
func (factShape[W]) shape() *schema { return factSchema(reflect.TypeFor[factShape[W]]()) }

// factSchema is exactly one of equals, in and glob.
func factSchema(t reflect.Type) *schema {
	s := &schema{Type: "object", AdditionalProperties: new(bool), Properties: map[string]*schema{}}
	s.add(t)
	for _, test := range []TagTest{Equals, In, GlobOf} {
		s.OneOf = append(s.OneOf, schemaOnly(string(test)))
	}
	return s
}

func (ruleShape) shape() *schema {
	s := &schema{Type: "object", AdditionalProperties: new(bool), Properties: map[string]*schema{}}
	s.add(reflect.TypeFor[ruleShape]())
	s.If = &schema{Required: []string{"watch"}, Properties: map[string]*schema{"watch": {Const: false}}}
	s.Then = &schema{PropertyNames: &schema{Enum: []any{"name", "match", "watch"}}}
	return s
}

func (levelShape) shape() *schema {
	return &schema{Enum: []any{string(LevelOff), string(LevelWarn), string(LevelFail), false}, Description: "off drops the finding, warn remarks on it, fail makes it an error."}
}

// shape of a tag that sets bands: a wider one needs an end.
func (bandTagShape) shape() *schema {
	s := &schema{Type: "object", AdditionalProperties: new(bool), Properties: map[string]*schema{}}
	s.add(reflect.TypeFor[bandTagShape]())
	s.If = &schema{Required: []string{"allowLooser"}, Properties: map[string]*schema{"allowLooser": {Const: true}}}
	s.Then = &schema{Required: []string{"max"}}
	return s
}

// shape of an exception: by alias it says where and since when; an ARN names its
// place itself.
func (exceptionShape) shape() *schema {
	s := &schema{Type: "object", AdditionalProperties: new(bool), Properties: map[string]*schema{}}
	s.add(reflect.TypeFor[exceptionShape]())
	by := func(prefix string) *schema {
		return &schema{Required: []string{"key"}, Properties: map[string]*schema{"key": {Pattern: "^" + prefix}}}
	}
	here := &schema{Required: []string{"environment"}}
	everywhere := &schema{Required: []string{"everywhere"}, Properties: map[string]*schema{"everywhere": {Const: true}}}
	both := &schema{Required: []string{"environment", "everywhere"}, Properties: everywhere.Properties}
	since := &schema{Required: []string{"written"}}
	s.If = by("alias/")
	s.Then = &schema{Required: []string{"written"}, OneOf: []*schema{here, everywhere}}
	s.Else = &schema{
		If:   by("arn:"),
		Then: &schema{Not: &schema{AnyOf: []*schema{since, here, everywhere}}},
		Else: &schema{Not: &schema{AnyOf: []*schema{since, both}}},
	}
	return s
}
