package slalog

import (
	"cmp"
	"strings"

	"keywatch/internal/sla"
)

// codes are the error codes that the logs hold, by number; 0 is none.
type codes struct {
	names []string
	index map[string]uint8
	// known are those of the terms, which have a number from the start.
	known int
	// over says that there were more than have a number.
	over bool
}

// mostCodes have a number of their own.
const mostCodes = 255

func newCodes(known []string) *codes {
	c := &codes{names: append([]string{""}, known...), index: map[string]uint8{}}
	for i, name := range c.names {
		c.index[name] = uint8(i)
	}
	c.known = len(c.names)
	return c
}

func (c *codes) of(r *record) uint8 {
	if len(r.code) == 0 && r.status > 0 {
		return c.number(sla.StatusCode(r.status))
	}
	if i, known := c.index[string(r.code)]; known {
		return i
	}
	return c.number(shownCode(r.code))
}

func (c *codes) number(name string) uint8 {
	i, known := c.index[name]
	switch {
	case known:
	case len(c.names) == mostCodes:
		c.over = true
		return mostCodes
	default:
		i = uint8(len(c.names))
		c.names = append(c.names, name)
		c.index[name] = i
	}
	return i
}

// name of a number. With too many codes those that the terms do not know are one:
// which of them came first must not matter.
func (c *codes) name(i uint8) string {
	if int(i) >= len(c.names) || c.over && int(i) >= c.known {
		return sla.OtherCodes
	}
	return c.names[i]
}

// more orders codes, so that of two the same is taken in whatever order they come:
// a code of the terms says more than another one, and that more than a status.
func (c *codes) more(a, b uint8) bool {
	rank := func(i uint8) (int, string) {
		switch {
		case i == 0:
			return 0, ""
		case int(i) < c.known:
			return 3, c.names[i]
		case int(i) >= len(c.names):
			return 2, ""
		case strings.HasPrefix(c.names[i], "HTTP-"):
			return 1, c.names[i]
		}
		return 2, c.names[i]
	}
	x, left := rank(a)
	y, right := rank(b)
	return cmp.Or(cmp.Compare(x, y), cmp.Compare(left, right)) > 0
}
