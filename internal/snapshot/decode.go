package snapshot

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"keywatch/internal/diag"
	"keywatch/internal/inventory"
	"keywatch/internal/plan"
)

// document is the file. docs/schema/snapshot.schema.json says the same.
type document struct {
	Format   int    `json:"format"`
	Checksum string `json:"checksum"`
	// Deployment is left out by a snapshot that was taken for none.
	Deployment string `json:"deployment,omitempty"`

	Account   string `json:"account"`
	Region    string `json:"region"`
	Partition string `json:"partition"`
	ReadAt    string `json:"readAt"`
	Keys      keys   `json:"keys"`
	Places    places `json:"places"`
}

type key struct {
	ARN         string            `json:"arn"`
	State       string            `json:"state,omitempty"`
	Manager     string            `json:"manager,omitempty"`
	Usage       string            `json:"usage,omitempty"`
	Spec        string            `json:"spec,omitempty"`
	Origin      string            `json:"origin,omitempty"`
	MultiRegion bool              `json:"multiRegion,omitempty"`
	Created     string            `json:"created,omitempty"`
	Aliases     map[string]alias  `json:"aliases,omitempty"`
	Tags        map[string]string `json:"tags,omitempty"`
	Unreadable  string            `json:"unreadable,omitempty"`
	Gone        bool              `json:"gone,omitempty"`
}

type alias struct {
	Created string `json:"created,omitempty"`
	Updated string `json:"updated,omitempty"`
}

type places struct {
	Stacks    []int             `json:"stacks"`
	Units     map[string]int    `json:"units"`
	Elsewhere map[string]holder `json:"elsewhere,omitempty"`
}

type holder struct {
	Deployment string `json:"deployment"`
	Stack      string `json:"stack"`
}

// keys become those of an inventory one by one: 100,000 of them twice would be
// much memory.
type keys []inventory.Key

func (ks *keys) UnmarshalJSON(data []byte) error {
	d := json.NewDecoder(bytes.NewReader(data))
	if t, err := d.Token(); err != nil || t != json.Delim('[') {
		return errors.New("keys is no list")
	}
	for d.More() {
		var k key
		if err := d.Decode(&k); err != nil {
			return err
		}
		made, err := k.inventory()
		if err != nil {
			return fmt.Errorf("key %s: %w", k.ARN, err)
		}
		*ks = append(*ks, made)
	}
	return nil
}

func (k *key) inventory() (inventory.Key, error) {
	out := inventory.Key{
		ARN: k.ARN, ID: k.ARN[strings.LastIndexByte(k.ARN, '/')+1:],
		State: k.State, Manager: k.Manager, Usage: k.Usage, Spec: k.Spec, Origin: k.Origin, MultiRegion: k.MultiRegion,
		// Whoever froze it asked for everything of every key.
		Described: true, Unreadable: k.Unreadable, Gone: k.Gone,
	}
	var err error
	if out.Created, err = parseTime(k.Created); err != nil {
		return out, err
	}
	for _, name := range slices.Sorted(maps.Keys(k.Aliases)) {
		a := inventory.Alias{Name: name}
		if a.Created, err = parseTime(k.Aliases[name].Created); err != nil {
			return out, err
		}
		if a.Updated, err = parseTime(k.Aliases[name].Updated); err != nil {
			return out, err
		}
		out.Aliases = append(out.Aliases, a)
	}
	inventory.SortAliases(out.Aliases)
	for _, name := range slices.Sorted(maps.Keys(k.Tags)) {
		out.Tags = append(out.Tags, inventory.Tag{Key: name, Value: k.Tags[name]})
	}
	return out, nil
}

func parseTime(s string) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	t, err := time.Parse(time.RFC3339Nano, s)
	return t.UTC(), err
}

// Decode reads a snapshot and refuses what Encode would not have written, byte
// for byte: a slip in a file that decides which alarms exist must never be
// guessed right. The error is a diag.List.
func Decode(file string, data []byte) (*Snapshot, error) {
	if l := checkBytes(file, data); l != nil {
		return nil, l
	}
	var d document
	if err := json.Unmarshal(data, &d); err != nil {
		return nil, one(file, "snapshot-form", "the checksum is right, but the snapshot cannot be read: %v; %s", err, anew)
	}
	s, err := d.snapshot(file)
	if err != nil {
		return nil, one(file, "snapshot-form", "the checksum is right, but the snapshot cannot be read: %v; %s", err, anew)
	}
	if err := s.problems(placeIn(file, data)).Err(); err != nil {
		return nil, err
	}
	if l := s.checkForm(data, d.Checksum); l != nil {
		return nil, l
	}
	return s, nil
}

func (d *document) snapshot(file string) (*Snapshot, error) {
	readAt, err := parseTime(d.ReadAt)
	if err != nil {
		return nil, err
	}
	s := &Snapshot{File: file, Deployment: d.Deployment, Inventory: &inventory.Inventory{
		Account: d.Account, Region: d.Region, Partition: d.Partition, ReadAt: readAt, Keys: d.Keys,
	}}
	s.Places = plan.Places{Stacks: d.Places.Stacks, Units: d.Places.Units}
	if len(d.Places.Elsewhere) > 0 {
		s.Places.Elsewhere = make(map[string]plan.Holder, len(d.Places.Elsewhere))
		for unit, h := range d.Places.Elsewhere {
			s.Places.Elsewhere[unit] = plan.Holder{Deployment: h.Deployment, Stack: h.Stack}
		}
	}
	return s, nil
}

var (
	headPattern     = regexp.MustCompile(`^\{\n  "format": ([1-9][0-9]{0,8}),\n`)
	checksumPattern = regexp.MustCompile(`^  "checksum": "(sha256:[0-9a-f]{64})",\n`)
)

// A refresh does not write over a file that it cannot believe, so each way out of
// one begins with another file or with none.
const (
	anew    = "remove the file and take a new snapshot with `keywatch snapshot`"
	restore = "take the whole file from version control, or " + anew + ", which does not write over a changed one; places are added by `keywatch snapshot --place`, never by hand"
)

// checkBytes looks at the file as bytes: is it a snapshot, of this format, whole
// and unchanged? The order makes each slip give the message that helps.
func checkBytes(file string, data []byte) diag.List {
	head := headPattern.FindSubmatch(data)
	switch {
	case len(data) > MaxFile:
		return one(file, "snapshot-form", "the file has %d bytes; at most %d are read; name another file, or %s", len(data), MaxFile, anew)
	case bytes.ContainsRune(data, '\r'):
		return one(file, "snapshot-changed", "the line ends were changed to those of Windows; keep git from changing them with the line `snapshots/*.json -text` in .gitattributes, then take the file from version control again, or %s", anew)
	case head == nil:
		return one(file, "snapshot-form", "this is no snapshot, or its first lines were changed; name another file, take the whole of this one from version control, or %s", anew)
	case string(head[1]) != fmt.Sprint(Format):
		return one(file, "snapshot-version", "this snapshot has format %s, and this keywatch reads format %d; use a newer keywatch", head[1], Format)
	case lastLine(data) != "}":
		return one(file, "snapshot-form", "the snapshot ends in the middle; take the whole file from version control, or %s", anew)
	}
	rest := data[len(head[0]):]
	line := checksumPattern.FindSubmatch(rest)
	if line == nil {
		return one(file, "snapshot-changed", "the snapshot has no checksum in line 3, so it was changed by hand; %s", restore)
	}
	sum := sha256.New()
	sum.Write(head[0])
	sum.Write(rest[len(line[0]):])
	if got := checksum(sum.Sum(nil)); got != string(line[1]) {
		return one(file, "snapshot-changed", "the snapshot was changed since it was written: its checksum is %s…, the file says %s…; %s", got[:15], line[1][:15], restore)
	}
	return nil
}

func lastLine(data []byte) string {
	data = bytes.TrimSuffix(data, []byte("\n"))
	return string(data[bytes.LastIndexByte(data, '\n')+1:])
}

// checkForm makes sure that there is one way to write the snapshot: unknown
// fields, double keys, another order or another spelling are all a difference.
func (s *Snapshot) checkForm(data []byte, checksum string) diag.List {
	c := &comparer{want: data}
	write(c, s, checksum)
	if !c.differs && c.at == len(data) {
		return nil
	}
	line := 1 + bytes.Count(data[:c.at], []byte("\n"))
	text, _, _ := bytes.Cut(data[bytes.LastIndexByte(data[:c.at], '\n')+1:], []byte("\n"))
	if len(text) > 80 {
		text = text[:80]
	}
	var l diag.List
	l.Add(diag.Pos{File: s.File, Line: line, Col: 1}, "snapshot-form", "keywatch does not write such a line here: %q is unknown, out of order, double or spelt otherwise; %s", bytes.TrimSpace(text), restore)
	return l
}

// comparer is a sink that stops at the first byte that differs.
type comparer struct {
	want    []byte
	at      int
	differs bool
}

func (c *comparer) Write(p []byte) (int, error) {
	for i := range p {
		if c.differs = c.differs || c.at >= len(c.want) || c.want[c.at] != p[i]; c.differs {
			break
		}
		c.at++
	}
	return len(p), nil
}

// placeIn finds texts in the file, as they are quoted there.
func placeIn(file string, data []byte) place {
	return func(text string) diag.Pos {
		i := bytes.Index(data, appendQuoted(nil, text))
		if i < 0 {
			return diag.Pos{File: file}
		}
		return diag.Pos{File: file, Line: 1 + bytes.Count(data[:i], []byte("\n")), Col: i - bytes.LastIndexByte(data[:i], '\n')}
	}
}
