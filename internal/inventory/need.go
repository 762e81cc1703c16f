package inventory

// Need says what a reader needs of an inventory, so that no call is made whose
// answer would change nothing. The zero value needs everything.
type Need struct {
	// Filters, if not nil, are alternatives: a key that fits none of them is not
	// needed with its tags. The reader may leave the tags of such a key out, and
	// then sets Key.TagsOmitted.
	Filters []TagFilter
	// Describe says, once the key's tags are known, whether its description
	// (state, usage, spec, …) is needed. Nil: always. The reader sets
	// Key.Described on those that it described.
	Describe func(*Key) bool
}

// TagFilter is fitted by a key that has every one of the tags (at most 50 tag
// keys with 20 values each: "GetResources", Resource Groups Tagging API
// Reference).
type TagFilter []TagCondition

// TagCondition is fitted by a key that has the tag with one of the values, or
// with any value if there are none.
type TagCondition struct {
	Key    string
	Values []string
}
