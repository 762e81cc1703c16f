package slalog

import (
	"bufio"
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"keywatch/internal/sla"
)

const (
	// mostEntries are kept in memory: 12 MB.
	mostEntries = 1 << 19
	// mostListed are the failed requests that are kept of each interval, and
	// mostKeys the keys: what a claim can show.
	mostListed = 50
	mostKeys   = 10_000

	partBits = 6
	parts    = 1 << partBits
	// mostLevels is where the bits to part by are used up.
	mostLevels = 64 / partBits
	entrySize  = 24
)

// tallyError is a failure of the temporary files.
type tallyError struct{ error }

func (t tallyError) Unwrap() error { return t.error }

// entry is what is kept of a request.
type entry struct {
	id       requestID
	interval int32
	class    sla.Class
	first    Origin // whose clock gave the interval
	origins  uint8  // a bit for each
	differ   bool   // two records told it differently
}

// merge makes one of two records of a request. The order does not matter.
func (e *entry) merge(o entry) {
	e.differ = e.differ || o.differ || (e.class >= sla.Faulted) != (o.class >= sla.Faulted)
	e.class = max(e.class, o.class)
	e.origins |= o.origins
	if o.first < e.first || o.first == e.first && o.interval < e.interval {
		e.first, e.interval = o.first, o.interval
	}
}

// Tally counts each request once. Beyond so many it keeps them in files of a
// directory, parted by request ID, so that memory stays what it is.
type Tally struct {
	month sla.Month
	dir   string
	max   int
	level int
	buf   []entry
	files []*part

	// The failed requests of each interval with the smallest IDs, so that neither
	// the order of the logs nor their division matters.
	failed map[int64][]failed
	keys   map[string]bool
	// moreKeys says that a key was left out.
	moreKeys bool
}

type part struct {
	file *os.File
	w    *bufio.Writer
}

// failed is a failed request with what a claim shows of it.
type failed struct {
	id     requestID
	origin Origin
	sla.Request
}

// NewTally counts the requests of a month; dir is an empty directory for what
// does not fit into memory.
func NewTally(m sla.Month, dir string) *Tally {
	return &Tally{month: m, dir: dir, max: mostEntries, failed: map[int64][]failed{}, keys: map[string]bool{}}
}

func (t *Tally) add(r *record) error {
	interval := t.month.Interval(r.unix)
	if r.class >= sla.Faulted {
		t.keepFailed(interval, r)
	}
	return t.put(entry{id: r.id, interval: int32(interval), class: r.class, first: r.origin, origins: 1 << r.origin})
}

func (t *Tally) put(e entry) error {
	if t.buf == nil {
		t.buf = make([]entry, 0, min(t.max, 4096))
	}
	t.buf = append(t.buf, e)
	if len(t.buf) < t.max {
		return nil
	}
	t.compact()
	// Many duplicates: there is room again.
	if len(t.buf) <= t.max/2 || t.level == mostLevels {
		return nil
	}
	return t.spill()
}

// compact sorts and makes one of the records of a request.
func (t *Tally) compact() {
	slices.SortFunc(t.buf, func(a, b entry) int { return cmp.Or(cmp.Compare(a.id.hi, b.id.hi), cmp.Compare(a.id.lo, b.id.lo)) })
	kept := t.buf[:0]
	for _, e := range t.buf {
		if n := len(kept); n > 0 && kept[n-1].id == e.id {
			kept[n-1].merge(e)
			continue
		}
		kept = append(kept, e)
	}
	t.buf = kept
}

// partOf divides by the ID, mixed since some IDs begin alike; each level by
// other bits.
func (t *Tally) partOf(id requestID) int {
	h := id.hi*0x9E3779B97F4A7C15 ^ id.lo*0xC2B2AE3D27D4EB4F
	h ^= h >> 29
	h *= 0xBF58476D1CE4E5B9
	h ^= h >> 32
	return int(h >> (partBits * t.level) % parts)
}

// spill writes everything in memory into the parts.
func (t *Tally) spill() error {
	if t.files == nil {
		t.files = make([]*part, parts)
	}
	var b [entrySize]byte
	for _, e := range t.buf {
		p := t.files[t.partOf(e.id)]
		if p == nil {
			f, err := os.CreateTemp(t.dir, fmt.Sprintf("requests-%d-*", t.level))
			if err != nil {
				return tallyError{fmt.Errorf("keep requests in a temporary file: %w", err)}
			}
			p = &part{f, bufio.NewWriterSize(f, 16<<10)}
			t.files[t.partOf(e.id)] = p
		}
		e.encode(&b)
		if _, err := p.w.Write(b[:]); err != nil {
			return tallyError{fmt.Errorf("keep requests in a temporary file: %w", err)}
		}
	}
	t.buf = t.buf[:0]
	return nil
}

func (e *entry) encode(b *[entrySize]byte) {
	binary.LittleEndian.PutUint64(b[0:], e.id.hi)
	binary.LittleEndian.PutUint64(b[8:], e.id.lo)
	binary.LittleEndian.PutUint32(b[16:], uint32(e.interval))
	b[20], b[21], b[22], b[23] = byte(e.class), byte(e.first), e.origins, 0
	if e.differ {
		b[23] = 1
	}
}

func decode(b *[entrySize]byte) entry {
	return entry{
		id:       requestID{binary.LittleEndian.Uint64(b[0:]), binary.LittleEndian.Uint64(b[8:])},
		interval: int32(binary.LittleEndian.Uint32(b[16:])),
		class:    sla.Class(b[20]), first: Origin(b[21]), origins: b[22], differ: b[23] == 1,
	}
}

// each hands over every request once. It ends the tally and removes its files.
func (t *Tally) each(f func(entry)) error {
	t.compact()
	if t.files == nil {
		for _, e := range t.buf {
			f(e)
		}
		return nil
	}
	if err := t.spill(); err != nil {
		return err
	}
	sub := Tally{dir: t.dir, max: t.max, level: t.level + 1, buf: t.buf}
	for _, p := range t.files {
		if p == nil {
			continue
		}
		sub.buf, sub.files = sub.buf[:0], nil
		if err := p.each(sub.put); err != nil {
			return err
		}
		if err := sub.each(f); err != nil {
			return err
		}
	}
	return nil
}

// each reads a part back and removes it.
func (p *part) each(f func(entry) error) error {
	fail := func(err error) error {
		return tallyError{fmt.Errorf("read requests back from %s: %w", p.file.Name(), err)}
	}
	if err := p.w.Flush(); err != nil {
		return fail(err)
	}
	if _, err := p.file.Seek(0, io.SeekStart); err != nil {
		return fail(err)
	}
	in := bufio.NewReaderSize(p.file, 256<<10)
	var b [entrySize]byte
	for {
		_, err := io.ReadFull(in, b[:])
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return fail(err)
		}
		if err := f(decode(&b)); err != nil {
			return err
		}
	}
	if err := cmp.Or(p.file.Close(), os.Remove(filepath.Clean(p.file.Name()))); err != nil {
		return fail(err)
	}
	return nil
}

// keepFailed keeps what a claim shows of a failed request.
func (t *Tally) keepFailed(interval int64, r *record) {
	if interval >= 0 && interval < int64(t.month.Intervals()) {
		t.keepKey(r.key)
		t.keepKey(r.second)
	}
	kept := t.failed[interval]
	if len(kept) == mostListed && compareID(r.id, kept[mostListed-1].id) > 0 {
		return
	}
	next := failed{r.id, r.origin, sla.Request{
		Time: time.Unix(r.unix, 0).UTC(), ID: shownID(r.request), Operation: shownOperation(r.operation), Code: shown(r.code),
		Status: r.status, Key: shownKey(r.key), Source: r.origin.Name(), Class: r.class,
	}}
	at, found := slices.BinarySearchFunc(kept, next, func(a, b failed) int { return compareID(a.id, b.id) })
	if found {
		kept[at] = betterWord(kept[at], next)
		return
	}
	kept = slices.Insert(kept, at, next)
	t.failed[interval] = kept[:min(len(kept), mostListed)]
}

func (t *Tally) keepKey(key []byte) {
	if !keyForm.Match(key) || t.keys[string(key)] {
		return
	}
	t.keys[string(key)] = true
	if len(t.keys) > 2*mostKeys {
		t.fewerKeys()
	}
}

// fewerKeys keeps those that come first, whatever the order they came in.
func (t *Tally) fewerKeys() {
	all := t.sortedKeys()
	for _, key := range all[min(len(all), mostKeys):] {
		delete(t.keys, key)
		t.moreKeys = true
	}
}

func (t *Tally) sortedKeys() []string {
	all := make([]string, 0, len(t.keys))
	for key := range t.keys {
		all = append(all, key)
	}
	slices.Sort(all)
	return all
}

func compareID(a, b requestID) int {
	return cmp.Or(cmp.Compare(a.hi, b.hi), cmp.Compare(a.lo, b.lo))
}

// betterWord is which of two logs of one failed request is shown: CloudTrail's
// before the others, and then by what stands there, so that order does not
// matter.
func betterWord(a, b failed) failed {
	if cmp.Or(cmp.Compare(a.origin, b.origin), a.Time.Compare(b.Time), cmp.Compare(a.Code, b.Code), cmp.Compare(a.Operation, b.Operation), cmp.Compare(a.Key, b.Key), cmp.Compare(a.Status, b.Status), cmp.Compare(a.ID, b.ID)) <= 0 {
		return a
	}
	return b
}

// shown is a name or ID from a log, if it has the form of one and a spreadsheet
// does not take it for a formula.
func shown(s []byte) string {
	if len(s) > maxShown || !plain(s) || len(s) > 0 && strings.IndexByte("=+-@", s[0]) >= 0 {
		return sla.Hidden
	}
	return string(s)
}

// What KMS writes: anything else in its place may be a secret.
var (
	operationForm = regexp.MustCompile(`^[A-Z][A-Za-z]{2,63}$`)
	keyForm       = regexp.MustCompile(`^arn:aws[a-z-]*:kms:[a-z0-9-]+:[0-9]{12}:key/([0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|mrk-[0-9a-f]{32})$`)
)

// shownID is a request ID if it is a UUID.
func shownID(s []byte) string {
	if _, ok := uuidOf(s); !ok {
		return sla.Hidden
	}
	return string(s)
}

func shownOperation(s []byte) string { return inForm(operationForm, s) }

func shownKey(s []byte) string { return inForm(keyForm, s) }

// inForm is a value that a log may lack.
func inForm(form *regexp.Regexp, s []byte) string {
	if len(s) > 0 && !form.Match(s) {
		return sla.Hidden
	}
	return string(s)
}

// finish counts.
func (t *Tally) finish(in *sla.Input) error {
	listed := map[requestID]failed{}
	for _, all := range t.failed {
		for _, f := range all {
			if other, known := listed[f.id]; known {
				f = betterWord(f, other)
			}
			listed[f.id] = f
		}
	}
	in.Intervals = make([]sla.Interval, t.month.Intervals())
	for i := range in.Intervals {
		in.Intervals[i].FaultsOnly = true
	}
	var requests, faults [origins]int64
	var all int64
	err := t.each(func(e entry) {
		if e.interval < 0 || int(e.interval) >= len(in.Intervals) {
			return
		}
		iv := &in.Intervals[e.interval]
		iv.Requests++
		switch e.class {
		case sla.Rejected:
			iv.Rejected++
		case sla.Faulted:
			iv.Faults++
		case sla.Contestable:
			iv.Contestable++
		}
		failed := e.class >= sla.Faulted
		// Of a rule or a client's log that holds only errors nobody knows what else
		// there was; a request that was served says that it holds more.
		if e.origins&(1<<Trail) != 0 || e.class == sla.Served {
			iv.FaultsOnly = false
		}
		if e.differ {
			in.Disagreed++
		}
		for o := range origins {
			if e.origins&(1<<o) != 0 {
				requests[o]++
				if failed {
					faults[o]++
				}
			}
		}
		if failed {
			all++
			if f, ok := listed[e.id]; ok {
				f.Class, f.Interval = e.class, int(e.interval)
				in.Failed = append(in.Failed, f.Request)
			}
		}
	})
	if err != nil {
		return err
	}
	slices.SortFunc(in.Failed, func(a, b sla.Request) int {
		// Hidden IDs are alike, so the rest decides.
		return cmp.Or(cmp.Compare(a.Interval, b.Interval), a.Time.Compare(b.Time), cmp.Compare(a.ID, b.ID), cmp.Compare(a.Operation, b.Operation), cmp.Compare(a.Code, b.Code), cmp.Compare(a.Key, b.Key), cmp.Compare(a.Status, b.Status), cmp.Compare(a.Source, b.Source), cmp.Compare(a.Class, b.Class))
	})
	in.MoreFailed = all - int64(len(in.Failed))
	t.fewerKeys()
	in.Keys, in.MoreKeys = t.sortedKeys(), t.moreKeys
	for o := range origins {
		if requests[o] > 0 {
			in.Sources = append(in.Sources, sla.Source{Name: o.Name(), Requests: requests[o], Faults: faults[o], Unseen: o.Unseen()})
		}
	}
	return nil
}
