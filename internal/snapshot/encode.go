package snapshot

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"keywatch/internal/inventory"
	"keywatch/internal/plan"
)

// Format is the version of the file that this program writes. It changes when
// an older program would misread a newer file.
const Format = 1

// MaxFile is the largest snapshot that is read or written, in bytes: a key with
// ten tags takes about 1 kB.
const MaxFile = 256 << 20

// Encode writes a snapshot down. Equal snapshots are equal bytes, whatever the
// order of their parts. What could not be read back is a diag.List.
func Encode(s Snapshot) ([]byte, error) {
	if err := s.problems(nowhere).Err(); err != nil {
		return nil, err
	}
	sum, size := sha256.New(), counter(0)
	write(io.MultiWriter(sum, &size), &s, "")
	if int(size)+checksumLine > MaxFile {
		return nil, one(s.File, "snapshot-form", "the snapshot would have %d bytes; at most %d are read: use inventory.source: live for this account", int(size)+checksumLine, MaxFile)
	}
	var out bytes.Buffer
	out.Grow(int(size) + checksumLine)
	write(&out, &s, checksum(sum.Sum(nil)))
	return out.Bytes(), nil
}

// checksum is how the sum is written. The line that holds it is the only one
// that begins with two spaces and "checksum", so that
// `grep -v '^  "checksum": ' FILE | sha256sum` checks it.
func checksum(sum []byte) string { return "sha256:" + hex.EncodeToString(sum) }

const checksumLine = len(`  "checksum": "sha256:",`) + 2*sha256.Size + 1

type counter int

func (c *counter) Write(p []byte) (int, error) {
	*c += counter(len(p))
	return len(p), nil
}

// write gives the canonical bytes, without the line of the checksum if that is
// empty. The sinks are memory and never fail.
func write(to io.Writer, s *Snapshot, checksum string) {
	w := &writer{to: to}
	inv := s.Inventory
	w.open("", '{')
	w.raw("format", strconv.Itoa(Format))
	w.optional("checksum", checksum)
	w.optional("deployment", s.Deployment)
	w.text("account", inv.Account)
	w.text("region", inv.Region)
	w.text("partition", inv.Partition)
	w.text("readAt", stamp(inv.ReadAt))
	w.open("keys", '[')
	for _, k := range ordered(inv.Keys, byARN) {
		w.key(&k)
	}
	w.close(']')
	w.places(s.Places)
	w.close('}')
	w.buf = append(w.buf, '\n')
	w.flush()
}

func (w *writer) key(k *inventory.Key) {
	w.open("", '{')
	w.text("arn", k.ARN)
	w.optional("state", k.State)
	w.optional("manager", k.Manager)
	w.optional("usage", k.Usage)
	w.optional("spec", k.Spec)
	w.optional("origin", k.Origin)
	w.flag("multiRegion", k.MultiRegion)
	w.optional("created", date(k.Created))
	if len(k.Aliases) > 0 {
		w.open("aliases", '{')
		for _, a := range ordered(k.Aliases, byAlias) {
			w.open(a.Name, '{')
			w.optional("created", date(a.Created))
			w.optional("updated", date(a.Updated))
			w.close('}')
		}
		w.close('}')
	}
	if len(k.Tags) > 0 {
		w.open("tags", '{')
		for _, t := range ordered(k.Tags, byTag) {
			w.text(t.Key, t.Value)
		}
		w.close('}')
	}
	w.optional("unreadable", k.Unreadable)
	w.flag("gone", k.Gone)
	w.close('}')
}

func (w *writer) places(p plan.Places) {
	w.open("places", '{')
	var stacks []string
	for _, n := range ordered(p.Stacks, cmp.Compare[int]) {
		stacks = append(stacks, strconv.Itoa(n))
	}
	w.raw("stacks", "["+strings.Join(stacks, ", ")+"]")
	w.open("units", '{')
	for _, unit := range slices.Sorted(maps.Keys(p.Units)) {
		w.raw(unit, strconv.Itoa(p.Units[unit]))
	}
	w.close('}')
	if len(p.Elsewhere) > 0 {
		w.open("elsewhere", '{')
		for _, unit := range slices.Sorted(maps.Keys(p.Elsewhere)) {
			w.open(unit, '{')
			w.text("deployment", p.Elsewhere[unit].Deployment)
			w.text("stack", p.Elsewhere[unit].Stack)
			w.close('}')
		}
		w.close('}')
	}
	w.close('}')
}

func byARN(a, b inventory.Key) int     { return cmp.Compare(a.ARN, b.ARN) }
func byAlias(a, b inventory.Alias) int { return cmp.Compare(a.Name, b.Name) }
func byTag(a, b inventory.Tag) int     { return cmp.Compare(a.Key, b.Key) }

// ordered is the list in order; the caller's is left as it is.
func ordered[T any](list []T, compare func(a, b T) int) []T {
	if slices.IsSortedFunc(list, compare) {
		return list
	}
	list = slices.Clone(list)
	slices.SortStableFunc(list, compare)
	return list
}

// writer writes JSON in one form, a fact on each line. encoding/json would do,
// but which characters it escapes has changed between versions of Go, and these
// bytes are compared.
type writer struct {
	to    io.Writer
	buf   []byte
	depth int
	more  bool // the next element follows another one
}

// open begins an object or list; an element of a list has no name.
func (w *writer) open(name string, bracket byte) {
	if w.depth > 0 {
		w.next(name)
	}
	w.buf = append(w.buf, bracket)
	w.depth++
	w.more = false
}

func (w *writer) close(bracket byte) {
	w.depth--
	if w.more {
		w.line()
	}
	w.buf = append(w.buf, bracket)
	w.more = true
}

func (w *writer) next(name string) {
	if w.more {
		w.buf = append(w.buf, ',')
	}
	w.line()
	if name != "" {
		w.buf = append(appendQuoted(w.buf, name), ": "...)
	}
	w.more = true
}

func (w *writer) line() {
	if len(w.buf) > 32<<10 {
		w.flush()
	}
	w.buf = append(w.buf, '\n')
	for range w.depth {
		w.buf = append(w.buf, "  "...)
	}
}

func (w *writer) flush() {
	w.to.Write(w.buf)
	w.buf = w.buf[:0]
}

func (w *writer) raw(name, value string) {
	w.next(name)
	w.buf = append(w.buf, value...)
}

func (w *writer) text(name, value string) {
	w.next(name)
	w.buf = appendQuoted(w.buf, value)
}

func (w *writer) optional(name, value string) {
	if value != "" {
		w.text(name, value)
	}
}

func (w *writer) flag(name string, on bool) {
	if on {
		w.raw(name, "true")
	}
}

// appendQuoted writes a JSON string. Beside what JSON demands, it escapes what a
// reviewer could not see: controls, and characters that turn the direction of
// text or have no width.
func appendQuoted(b []byte, s string) []byte {
	const hexDigits = "0123456789abcdef"
	b = append(b, '"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b = append(b, '\\', byte(r))
		case hidden(r):
			b = append(b, '\\', 'u', hexDigits[r>>12&15], hexDigits[r>>8&15], hexDigits[r>>4&15], hexDigits[r&15])
		default:
			b = utf8.AppendRune(b, r)
		}
	}
	return append(b, '"')
}

// hidden is a fixed list: what counts as printable changes with Unicode.
func hidden(r rune) bool {
	switch {
	case r < 0x20, r >= 0x7f && r <= 0xa0, r == 0xad, r == 0x61c, r == 0x180e, r == 0xfeff:
		return true
	}
	return r >= 0x200b && r <= 0x200f || r >= 0x2028 && r <= 0x202f || r >= 0x2060 && r <= 0x206f
}
