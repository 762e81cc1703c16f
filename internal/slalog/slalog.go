// Package slalog reads the logs that a month of KMS is judged by, and counts.
//
// CloudTrail records come as files of a trail, as an export of a log group, as the
// AWS CLI prints them, or in the envelope of EventBridge; client-side request logs
// are lines of our own form or what the monitoring of an AWS SDK sends
// (docs/sla-logs.md). All of it is streamed, gzip or not: memory depends neither
// on the size of a file nor on the number of requests. Of a record only the
// fields of [event] are taken; no error quotes a log.
//
// Start reading at [Reader.CloudTrail]; forms.go knows the forms that are not read,
// file.go finds the records, event.go, client.go and csm.go take one apart, scan.go
// is the scanner beneath, tally.go keeps each request once, count.go adds up, shown.go
// is what of a log may be seen. It decides nothing about the agreement: what an error
// code counts as comes from package sla.
package slalog

import (
	"cmp"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"keywatch/internal/sla"
)

// Origin is where a record was seen; one of several has the word on when it was.
type Origin uint8

// The order is that of whose clock counts.
const (
	Trail  Origin = iota // CloudTrail, a file or a log group
	Bridge               // EventBridge: what a rule let through
	Client               // the client's own log
	origins
)

// Name is how a report calls it.
func (o Origin) Name() string {
	return [...]string{"CloudTrail", "EventBridge", sla.ClientLogs}[o]
}

// Unseen is what it cannot see, for the report.
func (o Origin) Unseen() string {
	return [...]string{
		"failed calls: CloudTrail records them in some scenarios only. Calls before a trail began, or while it excluded KMS events. A call to another account's key that was denied, in the key's own account",
		"what its rule did not match: with a rule for faults, every request that was served",
		"requests of every other client, what AWS services did with the keys, and what the monitoring of an AWS SDK lost on its way: it sends each attempt as a datagram",
	}[o]
}

// record is one request, from whichever log. The bytes are valid until the next.
type record struct {
	unix   int64
	id     requestID
	place  uint16
	class  sla.Class
	origin Origin
	status int
	// For requests that failed.
	request, operation, code, key, second []byte
}

// requestID is a request ID in 128 bits.
type requestID struct{ hi, lo uint64 }

// idOf reads a UUID, and hashes whatever else stands there.
func idOf(s []byte) requestID {
	if id, ok := uuidOf(s); ok {
		return id
	}
	return hashed(s)
}

func uuidOf(s []byte) (id requestID, ok bool) {
	if len(s) == 36 && s[8] == '-' && s[13] == '-' && s[18] == '-' && s[23] == '-' {
		n := 0
		for _, c := range s {
			var v byte
			switch {
			case c >= '0' && c <= '9':
				v = c - '0'
			case c >= 'a' && c <= 'f':
				v = c - 'a' + 10
			case c >= 'A' && c <= 'F':
				v = c - 'A' + 10
			case c == '-':
				continue
			default:
				return requestID{}, false
			}
			if n < 16 {
				id.hi = id.hi<<4 | uint64(v)
			} else {
				id.lo = id.lo<<4 | uint64(v)
			}
			n++
		}
		return id, n == 32
	}
	return requestID{}, false
}

func hashed(s []byte) requestID {
	sum := sha256.Sum256(s)
	var id requestID
	for i := range 8 {
		id.hi = id.hi<<8 | uint64(sum[i])
		id.lo = id.lo<<8 | uint64(sum[8+i])
	}
	return id
}

// Place is what a month is judged for.
type Place struct{ Account, Region string }

// Options are what a [Reader] needs.
type Options struct {
	// Only the place with these; what is empty is any.
	Only    Place
	Month   sla.Month
	Classes *sla.Classes
	// Dir is an empty directory for what does not fit into memory.
	Dir string
	// Hash says to take the SHA-256 of each file.
	Hash bool
}

// Reader reads logs, once for all accounts and regions in them, and hands what
// counts to a tally.
type Reader struct {
	Options
	tally *tally

	files     []sla.File
	skipped   map[string]int64
	malformed sla.Malformed
	places    map[string]*place
	// last is the place of the last record; name is for looking one up.
	last *place
	name []byte
	// placed are the records of all places, and judged those with requests to KMS.
	placed int64
	judged []*place
	// begin and end of the month in seconds of Unix.
	begin, end int64
	day        dayCache
	buffers
}

// place is what the logs hold of one account and region.
type place struct {
	Place
	// index is its number in the tally; -1 without a request to KMS.
	index int
	// wanted says that somebody asked for it by name.
	wanted  bool
	records int64
	// Records that were read and not counted.
	service, month, noCall, noAnswer int64
	// contradictory counts lines of client logs.
	contradictory int64
	// seen has a bit for each hour of the month of which there is a log.
	seen [31*24/64 + 1]uint64
}

const (
	// mostPlaces are all accounts and regions that logs may name.
	mostPlaces = 1 << 16
	// mostJudged are those with requests to KMS: each takes half a megabyte.
	mostJudged = 256
)

// NewReader reads what belongs to a month.
func NewReader(o Options) *Reader {
	return &Reader{
		Options: o, tally: newTally(o.Month, o.Dir, o.Classes),
		begin: o.Month.Start().Unix(), end: o.Month.End().Unix(),
		skipped: map[string]int64{}, places: map[string]*place{},
	}
}

// Want asks for the input of a place even if no log names it.
func (r *Reader) Want(p Place) error {
	at, err := r.placeOf([]byte(p.Account), []byte(p.Region))
	if err != nil || at == nil {
		return err
	}
	at.wanted = true
	return r.number(at)
}

// placeOf is the place of a record, or nil if it is none of those asked for.
func (r *Reader) placeOf(account, region []byte) (*place, error) {
	if p := r.last; p != nil && string(account) == p.Account && string(region) == p.Region {
		return p, nil
	}
	if !isAccount(account) || !isRegion(region) {
		return nil, errNoPlace
	}
	if r.Only.Account != "" && string(account) != r.Only.Account || r.Only.Region != "" && string(region) != r.Only.Region {
		return nil, nil
	}
	r.name = append(append(append(r.name[:0], account...), '/'), region...)
	p := r.places[string(r.name)]
	if p == nil {
		if len(r.places) == mostPlaces {
			return nil, tallyError{fmt.Errorf("the logs hold more than %d accounts and regions; name an account or a region", mostPlaces)}
		}
		p = &place{Place: Place{string(account), string(region)}, index: -1}
		r.places[string(r.name)] = p
	}
	r.last = p
	return p, nil
}

// number gives a place its number in the tally.
func (r *Reader) number(p *place) error {
	if p.index < 0 {
		if len(r.judged) == mostJudged {
			return tallyError{fmt.Errorf("requests to KMS were made in more than %d accounts and regions; name an account or a region", mostJudged)}
		}
		p.index = len(r.judged)
		r.judged = append(r.judged, p)
	}
	return nil
}

func isAccount(s []byte) bool {
	for _, c := range s {
		if c < '0' || c > '9' {
			return false
		}
	}
	return len(s) == 12
}

func isRegion(s []byte) bool {
	for _, c := range s {
		if !(c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '-') {
			return false
		}
	}
	return len(s) > 0 && len(s) <= 32
}

// Reasons for which a record is read and not counted.
const (
	otherService = "of another service"
	otherPlace   = "of another account or region"
	otherMonth   = "of another month"
	noCall       = "no API call: a service event or an insight"
	healthEvent  = "AWS Health events, for --health"
)

// LeaveOut notes a file that is not read, and why.
func (r *Reader) LeaveOut(name, why string) {
	r.files = append(r.files, sla.File{Name: visible(name), LeftOut: why})
}

// Lose notes a file that cannot be read, though it may be a log, and why.
func (r *Reader) Lose(name, why string) {
	r.files = append(r.files, sla.File{Name: visible(name), Damage: why})
}

// CloudTrail reads a file with CloudTrail records in any of their forms. What is
// wrong with the file is noted in the report; an error is one of reading it.
func (r *Reader) CloudTrail(name string, in io.Reader) error {
	err := r.file(name, in, r.event, true)
	// No file of a trail is empty: this one lost what it held.
	if err == nil && r.window.base+int64(r.window.end) == 0 {
		if f := &r.files[len(r.files)-1]; f.Damage == "" {
			f.Damage = "it is empty, and no file of CloudTrail is"
		}
	}
	return err
}

// LogGroup reads the events of a log group, which may be none.
func (r *Reader) LogGroup(name string, in io.Reader) error {
	return r.file(name, in, r.event, false)
}

// Requests reads a client-side request log.
func (r *Reader) Requests(name string, in io.Reader) error {
	return r.file(name, in, r.call, true)
}

// event takes the record at i of b and counts it. The first error is of the
// form, and ends the file or line; the second of this record alone.
func (r *Reader) event(b []byte, i int, f *sla.File) (end int, form, wrong error) {
	e := &r.one
	end, err := scanEvent(b, i, e)
	if err != nil {
		return 0, err, nil
	}
	if e.digest && e.source == nil && f.Records == 0 { // a digest is alone in its file
		f.LeftOut = digestFile
		return end, nil, nil
	}
	f.Records++
	r.malformed.Records++
	return end, nil, r.count(e)
}

const (
	digestFile  = "a CloudTrail digest file"
	insightFile = "a CloudTrail Insights file"
)

func (r *Reader) count(e *event) error {
	if e.wrong != nil {
		return e.wrong
	}
	if e.source == nil && e.kind == nil {
		if e.envelope && string(e.outerSource) == "aws.health" { // kept beside the faults
			r.skipped[healthEvent]++
			return nil
		}
		return errNoEvent
	}
	at, ok := r.day.unix(e.time)
	if !ok {
		return errTime
	}
	p, err := r.placeOf(e.account, e.region)
	if p == nil {
		r.elsewhere(err)
		return err
	}
	r.see(p, at)
	if string(e.source) != "kms.amazonaws.com" {
		p.service++
		return nil
	}
	if string(e.kind) != "AwsApiCall" {
		p.noCall++
		return nil
	}
	rec := record{unix: at, request: e.request, operation: e.name, code: e.code, key: e.key, second: e.second, origin: Trail}
	if rec.request == nil {
		rec.request = e.id // one event, in however many trails
	}
	if rec.request == nil {
		return errNoID
	}
	if e.envelope {
		rec.origin = Bridge
	}
	rec.class = r.Classes.Of(string(e.code), 0, e.customKeyStore)
	return r.add(p, &rec)
}

// elsewhere counts a record of a place that nobody asks for.
func (r *Reader) elsewhere(err error) {
	if err == nil {
		r.skipped[otherPlace]++
	}
}

// call takes the line of a client's log.
func (r *Reader) call(b []byte, i int, f *sla.File) (end int, form, wrong error) {
	c := &r.oneCall
	end, err := scanCall(b, i, c)
	if err != nil {
		return 0, err, nil
	}
	f.Records++
	r.malformed.Records++
	if c.attempted() {
		if counts, err := r.translate(c); !counts {
			return end, nil, err
		}
	}
	return end, nil, r.countCall(c)
}

func (r *Reader) countCall(c *call) error {
	at, ok := r.day.unix(c.time)
	status, number := c.number()
	switch {
	case c.wrong != nil:
		return c.wrong
	case !ok:
		return errCallTime
	case !isRegion(c.region):
		return errCallPlace
	case c.account == nil && r.Only.Account == "":
		return errCallAccount
	case !number || status == 0 && c.code == nil:
		return errOutcome
	case c.request == nil:
		return errCallID
	}
	account := c.account
	if account == nil {
		account = []byte(r.Only.Account)
	}
	p, err := r.placeOf(account, c.region)
	if p == nil {
		r.elsewhere(err)
		return err
	}
	r.see(p, at)
	rec := record{unix: at, request: c.request, operation: c.operation, code: c.code, status: status, origin: Client}
	if isKey(c.key) {
		rec.key = c.key
	}
	rec.class = r.Classes.Of(string(c.code), status, false)
	if at >= r.begin && at < r.end && r.Classes.Contradictory(string(c.code), status) {
		p.contradictory++
	}
	return r.add(p, &rec)
}

// see notes that there is a log of that hour.
func (r *Reader) see(p *place, unix int64) {
	p.records++
	r.placed++
	if unix >= r.begin && unix < r.end {
		hour := (unix - r.begin) / 3600
		p.seen[hour/64] |= 1 << (hour % 64)
	}
}

// hours says of each hour of the month whether there is a log.
func (p *place) hours(m sla.Month) []bool {
	out := make([]bool, m.Intervals()*sla.IntervalSeconds/3600)
	for h := range out {
		out[h] = p.seen[h/64]&(1<<(h%64)) != 0
	}
	return out
}

// slack is how far outside of the month a request is still looked at: another
// log may say that it was within, by a better clock.
const slack = 24 * 3600

func (r *Reader) add(p *place, rec *record) error {
	if rec.unix < r.begin-slack || rec.unix >= r.end+slack {
		p.month++
		return nil
	}
	if err := r.number(p); err != nil {
		return err
	}
	rec.id, rec.place = idOf(rec.request), uint16(p.index)
	return r.tally.add(rec)
}

// Finish counts what was read: an input for each place that was wanted, has a request
// to KMS in the month, or an attempt at one that nobody answered, sorted. The reader cannot be used after it.
func (r *Reader) Finish(ctx context.Context) ([]sla.Input, error) {
	all := make([]sla.Input, len(r.judged))
	for i, p := range r.judged {
		all[i] = sla.Input{
			Month: r.Month, Account: p.Account, Region: p.Region,
			Files: r.files, Skipped: r.skips(p), Malformed: r.malformed, Seen: p.hours(r.Month), Contradictory: p.contradictory,
		}
	}
	if err := r.tally.finish(ctx, all); err != nil {
		return nil, err
	}
	var out []sla.Input
	for i, p := range r.judged {
		if p.wanted || p.noAnswer > 0 || slices.ContainsFunc(all[i].Intervals, func(iv sla.Interval) bool { return iv.Requests > 0 }) {
			out = append(out, all[i])
		}
	}
	slices.SortFunc(out, func(a, b sla.Input) int {
		return cmp.Or(strings.Compare(a.Account, b.Account), strings.Compare(a.Region, b.Region))
	})
	return out, nil
}

// skips are the records that one place did not count, by the reason.
func (r *Reader) skips(p *place) map[string]int64 {
	out := maps.Clone(r.skipped)
	for _, s := range []struct {
		why string
		n   int64
	}{{otherPlace, r.placed - p.records}, {otherService, p.service}, {otherMonth, p.month}, {noCall, p.noCall}, {noAnswer, p.noAnswer}} {
		if s.n > 0 {
			out[s.why] += s.n
		}
	}
	return out
}

// dayCache turns times into seconds of Unix; most follow one of the same day.
type dayCache struct {
	text     [10]byte
	midnight int64
	known    bool
}

// unix reads a time as CloudTrail writes it, or of RFC 3339 at large.
func (d *dayCache) unix(s []byte) (int64, bool) {
	if len(s) == 20 && s[10] == 'T' && s[13] == ':' && s[16] == ':' && s[19] == 'Z' {
		h, m, sec := two(s[11:]), two(s[14:]), two(s[17:])
		if h < 0 || h > 23 || m < 0 || m > 59 || sec < 0 || sec > 59 {
			return 0, false
		}
		if !d.known || string(d.text[:]) != string(s[:10]) {
			t, err := time.Parse(time.DateOnly, string(s[:10]))
			if err != nil {
				return 0, false
			}
			copy(d.text[:], s)
			d.midnight, d.known = t.Unix(), true
		}
		return d.midnight + int64(h*3600+m*60+sec), true
	}
	if len(s) > 40 {
		return 0, false
	}
	t, err := time.Parse(time.RFC3339Nano, string(s))
	return t.Unix(), err == nil
}

func two(s []byte) int {
	if s[0] < '0' || s[0] > '9' || s[1] < '0' || s[1] > '9' {
		return -1
	}
	return int(s[0]-'0')*10 + int(s[1]-'0')
}

// ioError is a failure of reading or of the temporary files, which no report
// can be made from.
func ioError(name string, err error) error { return fmt.Errorf("%s: %w", name, err) }
