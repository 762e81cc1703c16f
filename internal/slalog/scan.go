package slalog

import (
	"bytes"
	"encoding/json"
	"errors"
)

var (
	// errShort: the bytes end within the value. More of them may complete it.
	errShort = errors.New("ends in the middle of a record")
	// errSyntax never says what stands there: it may be a secret.
	errSyntax = errors.New("is not valid JSON")
)

// space skips white space.
func space(b []byte, i int) int {
	for i < len(b) && (b[i] == ' ' || b[i] == '\n' || b[i] == '\t' || b[i] == '\r') {
		i++
	}
	return i
}

// text is a JSON string between its quotes, as it stands.
type text struct{ raw []byte }

// scanString reads the string that begins at i.
func scanString(b []byte, i int) (text, int, error) {
	begin := i + 1
	for j := begin; ; {
		k := bytes.IndexByte(b[j:], '"')
		if k < 0 {
			return text{}, 0, errShort
		}
		j += k
		slashes := 0
		for j-1-slashes >= begin && b[j-1-slashes] == '\\' {
			slashes++
		}
		if slashes%2 == 0 {
			return text{b[begin:j]}, j + 1, nil
		}
		j++
	}
}

// value unescapes. What is no valid string becomes empty.
func (t text) value() []byte {
	if bytes.IndexByte(t.raw, '\\') < 0 {
		return t.raw
	}
	var s string
	quoted := append(append([]byte{'"'}, t.raw...), '"')
	if json.Unmarshal(quoted, &s) != nil {
		return nil
	}
	return []byte(s)
}

// stops ends a number or literal.
var stops = [256]bool{',': true, '}': true, ']': true, ' ': true, '\n': true, '\t': true, '\r': true, '"': true, '{': true, '[': true, ':': true}

// skip passes over the value that begins at i. Of an object or a list it only
// looks for the end: that is what makes it fast, and it may let broken JSON pass
// that nobody asks for.
func skip(b []byte, i int) (int, error) {
	if i >= len(b) {
		return 0, errShort
	}
	switch b[i] {
	case '"':
		_, end, err := scanString(b, i)
		return end, err
	case '{', '[':
		return skipNested(b, i+1, 1)
	}
	begin := i
	for i < len(b) && !stops[b[i]] {
		i++
	}
	switch {
	case i == len(b):
		return 0, errShort
	case i == begin:
		return 0, errSyntax
	}
	return i, nil
}

// skipNested passes over the rest of so many open objects and lists.
func skipNested(b []byte, i, depth int) (int, error) {
	for i < len(b) {
		switch b[i] {
		case '"':
			// Most strings hold no quote of their own.
			k := bytes.IndexByte(b[i+1:], '"')
			if k < 0 {
				return 0, errShort
			}
			if end := i + 1 + k; b[end-1] != '\\' || end-1 == i {
				i = end + 1
				continue
			}
			_, end, err := scanString(b, i)
			if err != nil {
				return 0, err
			}
			i = end
			continue
		case '{', '[':
			depth++
		case '}', ']':
			if depth--; depth == 0 {
				return i + 1, nil
			}
		}
		i++
	}
	return 0, errShort
}

// object calls member for each member of the object at i; member is given the
// place of the value and returns where that ends.
func object(b []byte, i int, member func(key []byte, at int) (int, error)) (int, error) {
	if i >= len(b) {
		return 0, errShort
	}
	if b[i] != '{' {
		return 0, errSyntax
	}
	i = space(b, i+1)
	if i < len(b) && b[i] == '}' {
		return i + 1, nil
	}
	for {
		if i >= len(b) {
			return 0, errShort
		}
		if b[i] != '"' {
			return 0, errSyntax
		}
		key, end, err := scanString(b, i)
		if err != nil {
			return 0, err
		}
		i = space(b, end)
		if i >= len(b) {
			return 0, errShort
		}
		if b[i] != ':' {
			return 0, errSyntax
		}
		if i, err = member(key.value(), space(b, i+1)); err != nil {
			return 0, err
		}
		if i = space(b, i); i >= len(b) {
			return 0, errShort
		}
		switch b[i] {
		case ',':
			i = space(b, i+1)
		case '}':
			return i + 1, nil
		default:
			return 0, errSyntax
		}
	}
}

// list calls item for each item of the list at i.
func list(b []byte, i int, item func(at int) (int, error)) (int, error) {
	i = space(b, i+1)
	if i < len(b) && b[i] == ']' {
		return i + 1, nil
	}
	for {
		var err error
		if i, err = item(i); err != nil {
			return 0, err
		}
		if i = space(b, i); i >= len(b) {
			return 0, errShort
		}
		switch b[i] {
		case ',':
			i = space(b, i+1)
		case ']':
			return i + 1, nil
		default:
			return 0, errSyntax
		}
	}
}
