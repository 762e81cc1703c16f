package inventory

import "strings"

// Need says what a reader needs of an inventory, so that no call is made whose
// answer would change nothing. The zero value needs everything.
type Need struct {
	// Filters, if not nil, are alternatives: a key that fits none of them is not
	// needed with its tags. The reader may leave the tags of such a key out, and
	// then sets Key.TagsOmitted.
	Filters []TagFilter
	// Describe says, once the key's tags and aliases are known, whether its
	// description (state, usage, spec, …) is needed. Nil: always. The reader
	// sets Key.Described on those that it described. It asks about one key at a
	// time, and may ask again when it learns other tags of a key.
	Describe func(*Key) bool
	// ByTags says that Describe looks at the key's tags alone, so that the reader
	// may ask it before the aliases are known.
	ByTags bool
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

// ReasonTags begins Key.Unreadable when it is the tags that may not be read:
// the operation, as with every reason.
const ReasonTags = "kms:ListResourceTags: "

// TagsUnreadable says that the key has no tags here because they may not be
// read: nobody knows which rules would take it.
func (k *Key) TagsUnreadable() bool { return strings.HasPrefix(k.Unreadable, ReasonTags) }
