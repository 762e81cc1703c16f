// Package evidence is the file in which the numbers of a month are kept: how many
// requests to KMS there were in each interval, as CloudWatch told it at the time.
//
// CloudWatch forgets; a claim may come later. A file only grows: what is collected
// is appended, and a number that CloudWatch has corrected since is a further line
// that says what stood there. Each run ends in a seal, the SHA-256 of all bytes
// before it.
//
// It is pure: no files, no clock, no network. Start reading at [File.Add];
// internal/live reads the numbers, internal/sla uses them.
package evidence

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"time"

	"keywatch/internal/sla"
)

// Source is a metric of CloudWatch.
type Source string

const (
	// Successes are of AWS/KMS, by operation: "the total number of successful
	// requests" ("Monitor KMS keys with Amazon CloudWatch", KMS Developer Guide).
	Successes Source = "SuccessfulRequest"
	// Calls are of AWS/Usage, by API or group of APIs. Whether failed calls are
	// among them is not documented.
	Calls Source = "CallCount"
)

// Sources are all, in the order of a file.
var Sources = []Source{Successes, Calls}

// Reach is how far back the numbers can be asked for. Metrics Insights takes "up to
// two weeks of data" ("Metrics Insights quotas", CloudWatch User Guide). A search goes
// further back, but finds only what had data in the last two weeks ("Use search
// expressions in graphs", same guide): the sum of an older day would lack the keys
// that are idle by now. An hour is left out: the oldest point may lack a part
// ("Troubleshooting Metrics Insights", same guide), and a reading takes its time.
const Reach = 14*24*time.Hour - time.Hour

// Settled is how long after its end an interval is taken to be whole; what comes
// later still is a correction.
const Settled = 15 * time.Minute

// Window are the borders of the whole intervals of the last days that can be asked
// for now.
func Window(now time.Time, days int) (begin, end time.Time) {
	const interval = sla.IntervalSeconds * time.Second
	end = now.UTC().Add(-Settled).Truncate(interval)
	begin = end.AddDate(0, 0, -days)
	if oldest := now.UTC().Add(-Reach); begin.Before(oldest) {
		begin = oldest.Add(interval - 1).Truncate(interval)
	}
	return begin, end
}

// Count is what one source says of one interval. One without requests has an
// empty Requests: it was asked for, and nothing was there.
type Count struct {
	Start    time.Time
	Source   Source
	Requests map[string]int64
}

// What one line may hold. Nobody comes near it, and it keeps every sum within an
// int64: a month of 8,928 intervals has at most 8,928 · 200 · 10¹² = 1.8 · 10¹⁸ requests.
const (
	mostRequests = 1_000_000_000_000
	mostNames    = 200
)

// nameForm is that of an operation, an API or a group of APIs.
var nameForm = regexp.MustCompile(`^[A-Za-z0-9_-]{1,128}$`)

// believable says what nobody makes of the requests of one line, and never their text.
func believable(requests map[string]int64) error {
	if len(requests) > mostNames {
		return fmt.Errorf("has %d names, more than %d", len(requests), mostNames)
	}
	for name, n := range requests {
		if !nameForm.MatchString(name) {
			return errors.New("has a name that is none of an API")
		}
		if n < 1 || n > mostRequests {
			return fmt.Errorf("has a number that is not from 1 to %d", int64(mostRequests))
		}
	}
	return nil
}

// Total is the sum over operations.
func (c Count) Total() int64 {
	var n int64
	for _, v := range c.Requests {
		n += v
	}
	return n
}

// File is that of one account, region and month.
type File struct {
	Account, Region string
	Month           sla.Month

	data  []byte
	lines int
	last  map[slot]map[string]int64
}

type slot struct {
	unix   int64
	source Source
}

// header is the first line.
type header struct {
	Format  string `json:"format"`
	Version int    `json:"version"`
	Account string `json:"account"`
	Region  string `json:"region"`
	Month   string `json:"month"`
}

const format = "keywatch-sla-evidence"

// line is one interval of one source. Was is what stood there before, of one that
// was corrected.
type line struct {
	Interval time.Time        `json:"interval"`
	Source   Source           `json:"source"`
	Requests map[string]int64 `json:"requests"`
	Was      map[string]int64 `json:"was,omitzero"`
}

// seal ends what one run has brought: its SHA-256 is of every byte before it.
type seal struct {
	Sealed    string    `json:"sealed"`
	Lines     int       `json:"lines"`
	Collected time.Time `json:"collected"`
}

// New is a file that holds nothing yet.
func New(account, region string, m sla.Month) *File {
	return &File{Account: account, Region: region, Month: m, last: map[slot]map[string]int64{}}
}

// Name is where the file lies below a directory, with slashes.
func Name(account, region string, m sla.Month) string {
	return account + "/" + region + "/" + m.String() + ".jsonl"
}

// Parse reads a file and proves it. Its errors say the line, never what it holds.
func Parse(account, region string, m sla.Month, data []byte) (*File, error) {
	f := New(account, region, m)
	sealed := false
	for at := 0; at < len(data); f.lines++ {
		n := bytes.IndexByte(data[at:], '\n')
		if n < 0 {
			return nil, f.broken("ends in the middle")
		}
		text := data[at : at+n]
		sealed = bytes.HasPrefix(text, []byte(`{"sealed":`))
		var err error
		switch {
		case at == 0:
			err = f.begins(text)
		case sealed:
			err = f.proves(text, data[:at])
		default:
			err = f.takes(text)
		}
		if err != nil {
			return nil, f.broken(err.Error())
		}
		at += n + 1
	}
	if !sealed {
		return nil, f.broken("does not end in a seal")
	}
	f.data = data
	return f, nil
}

// broken says where; the lines are counted from 1.
func (f *File) broken(what string) error {
	return fmt.Errorf("line %d %s: the file was changed since it was collected, or is damaged; restore it, or move it away and collect what CloudWatch still has", f.lines+1, what)
}

func (f *File) begins(text []byte) error {
	want := header{format, 1, f.Account, f.Region, f.Month.String()}
	var h header
	if err := canonical(text, &h); err != nil {
		return err
	}
	if h != want {
		return fmt.Errorf("is not the head of the file of %s in %s for %s", f.Account, f.Region, f.Month)
	}
	return nil
}

func (f *File) takes(text []byte) error {
	var l line
	if err := canonical(text, &l); err != nil {
		return err
	}
	at := f.Month.Interval(l.Interval.Unix())
	if at < 0 || at >= int64(f.Month.Intervals()) || !f.Month.IntervalStart(int(at)).Equal(l.Interval) {
		return errors.New("is no interval of the month")
	}
	if !slices.Contains(Sources, l.Source) {
		return errors.New("has an unknown source")
	}
	if err := believable(l.Requests); err != nil {
		return err
	}
	s := slot{l.Interval.Unix(), l.Source}
	if was, known := f.last[s]; known != (l.Was != nil) || known && !maps.Equal(was, l.Was) {
		return errors.New("does not say what stood there before")
	}
	f.last[s] = l.Requests
	return nil
}

func (f *File) proves(text, before []byte) error {
	var s seal
	if err := canonical(text, &s); err != nil {
		return err
	}
	if s.Sealed != sla.Sum256(before) || s.Lines != f.lines {
		return errors.New("is a seal that does not fit")
	}
	return nil
}

var errForm = errors.New("is not as keywatch writes it")

// canonical takes only what would be written for the same value, so that a line
// means one thing to every reader.
func canonical(text []byte, v any) error {
	if err := json.Unmarshal(text, v); err != nil {
		return errForm
	}
	again, err := encode(v)
	if err != nil || !bytes.Equal(again, text) {
		return errForm
	}
	return nil
}

func encode(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	err := e.Encode(v)
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), err
}

// Changes are what an Add has brought.
type Changes struct {
	Added, Corrected int
	// Shrunk are numbers that have become smaller; the greater stays. Late data
	// only adds, so a smaller number is one that is not whole.
	Shrunk int
}

// Add appends what is new of some counts, and a seal. Without anything new the
// file stays as it is. Counts of other months are passed over. After an error the
// file is not to be used.
func (f *File) Add(counts []Count, collected time.Time) (Changes, error) {
	var c Changes
	var lines []line
	counts = slices.SortedFunc(slices.Values(counts), func(a, b Count) int {
		return cmp.Or(a.Start.Compare(b.Start), cmp.Compare(slices.Index(Sources, a.Source), slices.Index(Sources, b.Source)))
	})
	for _, n := range counts {
		at := f.Month.Interval(n.Start.Unix())
		if at < 0 || at >= int64(f.Month.Intervals()) {
			continue
		}
		s := slot{n.Start.Unix(), n.Source}
		requests := map[string]int64{}
		for name, v := range n.Requests {
			if v > 0 {
				requests[name] = v
			}
		}
		if err := believable(requests); err != nil {
			return c, fmt.Errorf("what CloudWatch says of %s in the interval of %s %w; nothing of %s was kept; look at that metric in the CloudWatch console", n.Source, stamp(n.Start), err, f.Month)
		}
		was, known := f.last[s]
		switch {
		case known && maps.Equal(was, requests):
			continue
		case known && shrunk(was, requests):
			c.Shrunk++
			continue
		case known:
			c.Corrected++
		default:
			c.Added++
		}
		lines = append(lines, line{n.Start.UTC(), n.Source, requests, was})
		f.last[s] = requests
	}
	if len(lines) == 0 {
		return c, nil
	}
	return c, f.write(lines, collected)
}

func shrunk(was, is map[string]int64) bool {
	for name, n := range was {
		if is[name] < n {
			return true
		}
	}
	return false
}

func (f *File) write(lines []line, collected time.Time) error {
	put := func(v any) error {
		text, err := encode(v)
		f.data = append(append(f.data, text...), '\n')
		f.lines++
		return err
	}
	// A copy: what was parsed belongs to somebody else.
	f.data = slices.Clone(f.data)
	if len(f.data) == 0 {
		if err := put(header{format, 1, f.Account, f.Region, f.Month.String()}); err != nil {
			return err
		}
	}
	for _, l := range lines {
		if err := put(l); err != nil {
			return err
		}
	}
	return put(seal{sla.Sum256(f.data), f.lines, collected.UTC().Truncate(time.Second)})
}

// Bytes are the whole file; empty if nothing was ever added.
func (f *File) Bytes() []byte { return f.data }

// Lines is how many lines the file has.
func (f *File) Lines() int { return f.lines }

// Kept says of each interval of the month what is known of it.
func (f *File) Kept() []sla.Kept {
	out := make([]sla.Kept, f.Month.Intervals())
	for i := range out {
		at := f.Month.IntervalStart(i).Unix()
		if n, known := f.last[slot{at, Successes}]; known {
			out[i].Known, out[i].Successes = true, Count{Requests: n}.Total()
		}
		if n, known := f.last[slot{at, Calls}]; known {
			total := Count{Requests: n}.Total()
			out[i].Calls = &total
		}
	}
	return out
}

// Gaps are the intervals of this month, from begin up to end, of which a source has
// no line.
func (f *File) Gaps(begin, end time.Time) []Gap {
	var out []Gap
	for i := range f.Month.Intervals() {
		at := f.Month.IntervalStart(i)
		if at.Before(begin) || !at.Before(end) {
			continue
		}
		whole := true
		for _, s := range Sources {
			_, known := f.last[slot{at.Unix(), s}]
			whole = whole && known
		}
		switch n := len(out); {
		case whole:
		case n > 0 && out[n-1].To.Equal(at):
			out[n-1].To = f.Month.IntervalStart(i + 1)
			out[n-1].Intervals++
		default:
			out = append(out, Gap{at, f.Month.IntervalStart(i + 1), 1})
		}
	}
	return out
}

// Gap are intervals one after the other of which nothing is kept.
type Gap struct {
	From, To  time.Time
	Intervals int
}

func (g Gap) String() string {
	return fmt.Sprintf("%s to %s (%d)", stamp(g.From), stamp(g.To), g.Intervals)
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }
