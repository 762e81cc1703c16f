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
	Format               string             `json:"format,omitempty"`
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
				value = withoutDefaults(value).orOff()
				value.Description = fmt.Sprintf(f.Tag.Get("each"), name)
				s.Properties[name] = value
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

// Lengths of time, in whole hours, minutes and seconds. Of seconds in thousands a
// pattern sees no more than the last two digits, and of sums of units no sum.
type (
	periodShape     struct{} // whole minutes, up to an hour
	longPeriodShape struct{} // whole minutes, up to a week
	ageShape        struct{} // up to 8760h
	timeoutShape    struct{} // up to 24h
)

const wholeMinutes = `60|1[28]0|240|3[06]0|4[28]0|540|6[06]0|7[28]0|840|9[06]0`

func (periodShape) shape() *schema {
	return lengthSchema(`1h(0+m)?(0s)?|([1-9]|[1-5][0-9]|60)m(0s)?|(`+wholeMinutes+`|[12][0-9][02468]0|3[0-5][02468]0|3600)s`, "60s", "5m", "1h")
}

func (longPeriodShape) shape() *schema {
	return lengthSchema(`([1-9][0-9]?|1[0-5][0-9]|16[0-8])h([0-9]+m)?(0s)?|[1-9][0-9]{0,4}m(0s)?|(`+wholeMinutes+`|[1-9][0-9]{1,3}[02468]0)s`, "5m", "1h", "24h")
}

func (ageShape) shape() *schema {
	return lengthSchema(`([1-9][0-9]{0,2}|[1-7][0-9]{3}|8[0-6][0-9]{2}|87[0-5][0-9]|8760)h([0-9]+m)?([0-9]+s)?|[1-9][0-9]{0,5}m([0-9]+s)?|[1-9][0-9]{0,7}s`, "24h", "168h")
}

func (timeoutShape) shape() *schema {
	return lengthSchema(`([1-9]|1[0-9]|2[0-4])h([0-9]+m)?([0-9]+s)?|[1-9][0-9]{0,3}m([0-9]+s)?|[1-9][0-9]{0,4}s`, "90s", "30m", "2h")
}

func lengthSchema(pattern string, examples ...string) *schema {
	return &schema{Type: "string", Pattern: "^(" + pattern + ")$", Examples: schemaWords(examples)}
}

// roleShape is a word or the ARN of a role.
type roleShape struct{}

func (roleShape) shape() *schema {
	return &schema{Type: "string", Pattern: "^(" + RoleNone + "|" + RoleLookup + "|" + strings.ReplaceAll(roleARN, "(?:", "(") + ")$"}
}

// dateShape is a day. YAML 1.2, which editors speak, has no dates.
type dateShape struct{}

const (
	dayPattern  = `20[0-9]{2}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])`
	timePattern = `([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\.[0-9]+)?(Z|[+-][0-9]{2}:[0-9]{2})`
)

func (dateShape) shape() *schema {
	return &schema{Type: "string", Pattern: "^" + dayPattern + "$", Format: "date", Examples: []any{"2027-01-31"}}
}

// timeShape is a day or a moment.
type timeShape struct{}

func (timeShape) shape() *schema {
	return &schema{Type: "string", Examples: []any{"2026-11-01", "2026-11-01T09:30:00Z"}, AnyOf: []*schema{
		{Pattern: "^" + dayPattern + "$", Format: "date"}, {Pattern: "^" + dayPattern + "T" + timePattern + "$", Format: "date-time"},
	}}
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

func (aliasShape) shape() *schema {
	s := factSchema(reflect.TypeFor[aliasShape]())
	s.Properties["glob"].Pattern = mayBegin("alias/")
	return s
}

// mayBegin is a pattern of the globs that may fit a text which begins so: letter by
// letter, until something in the glob fits many.
func mayBegin(beginning string) string {
	pattern := ""
	for _, r := range slices.Backward([]byte(beginning)) {
		pattern = fmt.Sprintf(`([*[]|(%[1]c|\?|\\%[1]c)%s)`, r, pattern)
	}
	return "^" + pattern
}

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
	s.Properties["key"].Not = &schema{Pattern: "^alias/aws/"} // AWS managed keys have no alarms
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
