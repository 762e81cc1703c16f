package slalog

import (
	"bufio"
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/bits"
	"os"
	"path/filepath"
	"slices"
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
	interval int16
	place    uint16
	class    sla.Class
	code     uint8 // of tally.codes
	origins  uint8 // a bit for each
	differ   bool  // two records told it differently
}

// first is the origin whose clock gave the interval.
func (e *entry) first() int { return bits.TrailingZeros8(e.origins) }

// merge makes one of two records of a request. The order does not matter.
func (t *tally) merge(e *entry, o entry) {
	e.differ = e.differ || o.differ || e.class.Failed() != o.class.Failed()
	if o.class > e.class || o.class == e.class && t.codes.more(o.code, e.code) {
		e.class, e.code = o.class, o.code
	}
	if o.first() < e.first() || o.first() == e.first() && o.interval < e.interval {
		e.interval = o.interval
	}
	e.origins |= o.origins
}

// tally counts each request once. Beyond so many it keeps them in files of a
// directory, parted by request ID, so that memory stays what it is.
type tally struct {
	month sla.Month
	dir   string
	max   int
	level int
	buf   []entry
	files []*part
	codes *codes

	// The failed requests of each interval with the smallest IDs, so that neither
	// the order of the logs nor their division matters.
	failed map[spot][]failed
	keys   map[uint16]*keys
}

// spot is an interval of a place.
type spot struct {
	place    uint16
	interval int64
}

// keys are those of failed requests of a place.
type keys struct {
	arns map[string]bool
	// more says that a key was left out.
	more bool
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

// newTally counts the requests of a month; dir is an empty directory for what
// does not fit into memory.
func newTally(m sla.Month, dir string, known *sla.Classes) *tally {
	return &tally{month: m, dir: dir, max: mostEntries, codes: newCodes(known.Codes()), failed: map[spot][]failed{}, keys: map[uint16]*keys{}}
}

func (t *tally) add(r *record) error {
	interval := t.month.Interval(r.unix)
	e := entry{id: r.id, interval: int16(interval), place: r.place, class: r.class, origins: 1 << r.origin}
	if r.class != sla.Served {
		e.code = t.codes.of(r)
	}
	if r.class.Failed() {
		t.keepFailed(interval, r)
	}
	return t.put(e)
}

func (t *tally) put(e entry) error {
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
func (t *tally) compact() {
	slices.SortFunc(t.buf, func(a, b entry) int {
		return cmp.Or(cmp.Compare(a.id.hi, b.id.hi), cmp.Compare(a.id.lo, b.id.lo), cmp.Compare(a.place, b.place))
	})
	kept := t.buf[:0]
	for _, e := range t.buf {
		if n := len(kept); n > 0 && kept[n-1].id == e.id && kept[n-1].place == e.place {
			t.merge(&kept[n-1], e)
			continue
		}
		kept = append(kept, e)
	}
	t.buf = kept
}

// partOf divides by the ID, mixed since some IDs begin alike; each level by
// other bits.
func (t *tally) partOf(id requestID) int {
	h := id.hi*0x9E3779B97F4A7C15 ^ id.lo*0xC2B2AE3D27D4EB4F
	h ^= h >> 29
	h *= 0xBF58476D1CE4E5B9
	h ^= h >> 32
	return int(h >> (partBits * t.level) % parts)
}

// spill writes everything in memory into the parts.
func (t *tally) spill() error {
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
	binary.LittleEndian.PutUint16(b[16:], uint16(e.interval))
	binary.LittleEndian.PutUint16(b[18:], e.place)
	b[20], b[21], b[22], b[23] = byte(e.class), e.code, e.origins, 0
	if e.differ {
		b[23] = 1
	}
}

func decode(b *[entrySize]byte) entry {
	return entry{
		id:       requestID{binary.LittleEndian.Uint64(b[0:]), binary.LittleEndian.Uint64(b[8:])},
		interval: int16(binary.LittleEndian.Uint16(b[16:])), place: binary.LittleEndian.Uint16(b[18:]),
		class: sla.Class(b[20]), code: b[21], origins: b[22], differ: b[23] == 1,
	}
}

// each hands over every request once. It ends the tally and removes its files.
func (t *tally) each(ctx context.Context, f func(entry)) error {
	if err := ctx.Err(); err != nil {
		return err
	}
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
	sub := tally{dir: t.dir, max: t.max, level: t.level + 1, buf: t.buf, codes: t.codes}
	for _, p := range t.files {
		if p == nil {
			continue
		}
		sub.buf, sub.files = sub.buf[:0], nil
		if err := p.each(sub.put); err != nil {
			return err
		}
		if err := sub.each(ctx, f); err != nil {
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
func (t *tally) keepFailed(interval int64, r *record) {
	if interval >= 0 && interval < int64(t.month.Intervals()) {
		t.keepKey(r.place, r.key)
		t.keepKey(r.place, r.second)
	}
	at := spot{r.place, interval}
	kept := t.failed[at]
	if len(kept) == mostListed && compareID(r.id, kept[mostListed-1].id) > 0 {
		return
	}
	next := failed{r.id, r.origin, sla.Request{
		Time: time.Unix(r.unix, 0).UTC(), ID: shownID(r.request), Operation: shownOperation(r.operation), Code: shownCode(r.code),
		Status: r.status, Key: shownKey(r.key), Source: r.origin.Name(), Class: r.class,
	}}
	i, found := slices.BinarySearchFunc(kept, next, func(a, b failed) int { return compareID(a.id, b.id) })
	if found {
		kept[i] = betterWord(kept[i], next)
		return
	}
	kept = slices.Insert(kept, i, next)
	t.failed[at] = kept[:min(len(kept), mostListed)]
}

func (t *tally) keepKey(place uint16, key []byte) {
	if !keyForm.Match(key) {
		return
	}
	k := t.keys[place]
	if k == nil {
		k = &keys{arns: map[string]bool{}}
		t.keys[place] = k
	}
	if k.arns[string(key)] {
		return
	}
	k.arns[string(key)] = true
	if len(k.arns) > 2*mostKeys {
		k.fewer()
	}
}

// fewer keeps those that come first, whatever the order they came in.
func (k *keys) fewer() []string {
	all := slices.Sorted(maps.Keys(k.arns))
	kept := all[:min(len(all), mostKeys)]
	for _, arn := range all[len(kept):] {
		delete(k.arns, arn)
		k.more = true
	}
	return kept
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

// finish counts, into the input of each place.
func (t *tally) finish(ctx context.Context, in []sla.Input) error {
	type request struct {
		place uint16
		id    requestID
	}
	listed := map[request]failed{}
	for at, all := range t.failed {
		for _, f := range all {
			key := request{at.place, f.id}
			if other, known := listed[key]; known {
				f = betterWord(f, other)
			}
			listed[key] = f
		}
	}
	counts := make([]*count, len(in))
	for i := range in {
		in[i].Intervals = make([]sla.Interval, t.month.Intervals())
		counts[i] = newCount(t.month.Intervals())
	}
	err := t.each(ctx, func(e entry) {
		n, of := counts[e.place], &in[e.place]
		client := e.origins&(1<<Client) != 0
		if client && e.class == sla.Served {
			n.served[int(e.interval)+slackIntervals] = true
		}
		if e.interval < 0 || int(e.interval) >= len(of.Intervals) {
			return
		}
		iv := &of.Intervals[e.interval]
		iv.Requests++
		switch e.class {
		case sla.Rejected:
			iv.Rejected++
		case sla.Unjudged:
			iv.Unjudged++
		case sla.Faulted:
			iv.Faults++
		case sla.Contestable:
			iv.Contestable++
		}
		switch bridge := e.origins&(1<<Bridge) != 0; {
		case e.origins&(1<<Trail) != 0, bridge && e.class == sla.Served:
			n.whole[e.interval] = true
		case !client:
			n.strange[e.interval] = true
		case e.class == sla.Served:
			n.answered[e.interval] = true
		default:
			n.clients[e.interval] = true
		}
		n.count(e)
		if e.differ {
			of.Disagreed++
		}
		if e.class.Failed() {
			n.failed++
			if f, ok := listed[request{e.place, e.id}]; ok {
				f.Class, f.Interval = e.class, int(e.interval)
				of.Failed = append(of.Failed, f.Request)
			}
		}
	})
	if err != nil {
		return err
	}
	for i := range in {
		counts[i].finish(&in[i], t.codes)
		if k := t.keys[uint16(i)]; k != nil {
			in[i].Keys = k.fewer()
			in[i].MoreKeys = k.more
		}
	}
	return nil
}
