package slalog

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"path"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"

	"keywatch/internal/sla"
)

const (
	bufferSize = 256 << 10
	maxRecord  = 4 << 20
	// mostMalformed are shown by their place; the others are counted.
	mostMalformed = 5
	// mostBroken objects of a file are passed over within a line: each may be looked
	// through to the end of the line, and a file that was made for it would take hours.
	mostBroken = 1000
)

// folder is the account and region in the layout of a trail's bucket ("CloudTrail
// log file names", CloudTrail User Guide).
var folder = regexp.MustCompile(`(?:^|/)([0-9]{12})/(CloudTrail[A-Za-z-]*)/([a-z0-9-]+)/[0-9]{4}/[0-9]{2}/[0-9]{2}/`)

// Skip says by the path alone why a file of a trail's bucket need not be read, or
// "". What is empty of only is any.
func Skip(name string, only Place) string {
	dir := strings.ReplaceAll(name, `\`, "/")
	base := path.Base(dir)
	switch {
	case strings.Contains(dir, "/CloudTrail-Digest/"), strings.Contains(base, "_CloudTrail-Digest_"):
		return digestFile
	case strings.Contains(dir, "/CloudTrail-Insight/"), strings.Contains(base, "_CloudTrail-Insight_"):
		return insightFile
	case base == "aws-logs-write-test":
		return "the test that CloudWatch Logs writes before an export"
	case strings.HasPrefix(base, "."):
		return "a hidden file"
	}
	if m := folder.FindStringSubmatch(dir); m != nil && m[2] == "CloudTrail" && (only.Account != "" && m[1] != only.Account || only.Region != "" && m[3] != only.Region) {
		return otherPlace
	}
	return ""
}

// visible keeps a file name from steering a terminal.
func visible(name string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) {
			return utf8.RuneError
		}
		return r
	}, name)
}

// taker counts the record at i of b: see [Reader.event].
type taker func(b []byte, i int, f *sla.File) (end int, form, wrong error)

// stream is a window on a file.
type stream struct {
	in         io.Reader
	buf        []byte
	start, end int
	// base is the place of buf[0] in the file, when unpacked.
	base int64
	// line is how many lines lie before start; it is right while there are only lines.
	line int
	// broken is how many objects were passed over within a line.
	broken int
	err    error // of the reader; io.EOF is its end
}

func (s *stream) offset() int64 { return s.base + int64(s.start) }

// more reads on. It says false at the end, or if the record is too long.
func (s *stream) more() bool {
	if s.err != nil {
		return false
	}
	if s.start > 0 {
		copy(s.buf, s.buf[s.start:s.end])
		s.base += int64(s.start)
		s.start, s.end = 0, s.end-s.start
	}
	if s.end == len(s.buf) {
		if len(s.buf) >= maxRecord {
			return false
		}
		s.buf = append(s.buf, make([]byte, len(s.buf))...)
	}
	// To the brim, so that a record that is cut off is not looked at again for
	// every few bytes.
	begin := s.end
	for empty := 0; s.end < len(s.buf) && s.err == nil; {
		var n int
		n, s.err = s.in.Read(s.buf[s.end:])
		s.end += n
		if empty++; n > 0 {
			empty = 0
		} else if empty > 100 {
			s.err = io.ErrNoProgress
		}
	}
	return s.end > begin
}

var newline = []byte{'\n'}

// peek is the next byte that is no space, or false at the end.
func (s *stream) peek() (byte, bool) {
	for {
		begin := s.start
		s.start = space(s.buf[:s.end], begin)
		s.line += bytes.Count(s.buf[begin:s.start], newline)
		if s.start < s.end {
			return s.buf[s.start], true
		}
		if !s.more() {
			return 0, false
		}
	}
}

// source notes the errors of the file itself, which are no damage of its content.
type source struct {
	in  io.Reader
	sum hash.Hash
	n   int64
	err error
}

func (s *source) Read(p []byte) (int, error) {
	n, err := s.in.Read(p)
	s.n += int64(n)
	if s.sum != nil {
		s.sum.Write(p[:n])
	}
	if err != nil && !errors.Is(err, io.EOF) {
		s.err = err
	}
	return n, err
}

// file reads one file to its end and notes what became of it. disk: it may have any
// form, which a log group has not.
func (r *Reader) file(name string, in io.Reader, take taker, disk bool) error {
	f := sla.File{Name: visible(name)}
	src := &source{in: in}
	if r.Hash {
		src.sum = sha256.New()
	}
	r.raw.Reset(src)
	if r.window.buf == nil {
		r.window.buf = make([]byte, bufferSize)
	}
	s := &r.window
	*s = stream{in: &r.raw, buf: s.buf}
	if magic, _ := r.raw.Peek(2); string(magic) == "\x1f\x8b" {
		if err := r.unzip.Reset(&r.raw); err != nil {
			f.Damage = "its gzip header is damaged"
		}
		s.in = &r.unzip
	}
	if f.Damage == "" && disk {
		s.more()
		f.Damage = foreign(s.buf[:s.end])
		f.Unread = f.Damage != ""
		if bytes.HasPrefix(s.buf[:s.end], byteOrderMark) {
			s.start = len(byteOrderMark)
		}
	}
	if f.Damage == "" {
		if err := r.documents(&f, s, take); err != nil {
			return ioError(name, err)
		}
	}
	if src.err == nil && r.Hash {
		if _, err := io.Copy(io.Discard, &r.raw); err != nil {
			return ioError(name, err)
		}
		f.SHA256, f.Bytes = fmt.Sprintf("%x", src.sum.Sum(nil)), src.n
	}
	if src.err != nil {
		return ioError(name, src.err)
	}
	r.files = append(r.files, f)
	return nil
}

// documents reads what a file holds: lists of records, one after the other if
// archives were joined, or lines. Only an error of the tally is returned.
func (r *Reader) documents(f *sla.File, s *stream, take taker) error {
	lines := true
	for f.Damage == "" && f.LeftOut == "" {
		c, ok := s.peek()
		if !ok {
			break
		}
		n, match := opening(s.buf[s.start:s.end])
		for match == errShort && s.more() {
			n, match = opening(s.buf[s.start:s.end])
		}
		var err error
		switch {
		case match == nil:
			s.start += n
			lines = false
			err = r.array(f, s, take, c == '{')
		case match == errShort && c == '[' && s.err != nil:
			damage(f, s.offset(), errShort)
		default:
			err = r.line(f, s, take, lines)
		}
		if err != nil {
			return err
		}
	}
	if s.err != nil && s.err != io.EOF && f.Damage == "" {
		f.Damage = fmt.Sprintf("its compressed data ends too early or is damaged, after byte %d of the unpacked file", s.base+int64(s.end))
	}
	return nil
}

// lists are the members that hold records: in the file of a trail, in what aws
// cloudtrail lookup-events prints, and in what aws logs filter-log-events prints.
var lists = [...]string{`"Records"`, `"Events"`, `"events"`}

// opening matches what stands before records, {"Records":[ or a bracket alone, and
// says how long it is.
func opening(b []byte) (int, error) {
	if b[0] == '[' {
		return bracket(b)
	}
	match := errSyntax
	for _, name := range lists {
		n, err := tokens(b, "{", name, ":", "[")
		if err == nil {
			return n, nil
		}
		if err == errShort {
			match = errShort
		}
	}
	return 0, match
}

// tokens matches them with space between, and says how long they are.
func tokens(b []byte, all ...string) (int, error) {
	i := 0
	for _, token := range all {
		i = space(b, i)
		if rest := b[i:]; len(rest) < len(token) {
			if strings.HasPrefix(token, string(rest)) {
				return 0, errShort
			}
			return 0, errSyntax
		}
		if string(b[i:i+len(token)]) != token {
			return 0, errSyntax
		}
		i += len(token)
	}
	return i, nil
}

// lookAhead is how much of a list's first value that is no object is looked at: the
// question comes up for each line.
const lookAhead = 512

// bracket tells a list from a line of text such as [INFO]: it holds nothing, or
// begins with a value of JSON.
func bracket(b []byte) (n int, err error) {
	if len(b) >= lookAhead {
		b = b[:lookAhead]
		defer func() {
			if err == errShort {
				err = errSyntax
			}
		}()
	}
	i := space(b, 1)
	if i == len(b) {
		return 0, errShort
	}
	if b[i] == '{' || b[i] == ']' {
		return 1, nil
	}
	end, err := skip(b, i)
	if err != nil {
		return 0, err
	}
	after := space(b, end)
	switch {
	case after == len(b):
		return 0, errShort
	case b[after] != ',' && b[after] != ']' || !json.Valid(b[i:end]):
		return 0, errSyntax
	}
	return 1, nil
}

// damage notes that the rest of a file cannot be read.
func damage(f *sla.File, offset int64, why error) {
	f.Damage = fmt.Sprintf("it %v, at byte %d of the unpacked file", why, offset)
}

// array reads records from behind the bracket to behind the list, or behind the
// object that holds it.
func (r *Reader) array(f *sla.File, s *stream, take taker, held bool) error {
	for first := true; ; first = false {
		c, ok := s.peek()
		switch {
		case !ok:
			damage(f, s.offset(), errShort)
			return nil
		case c == ']':
			s.start++
			if held {
				r.closing(f, s)
			}
			return nil
		case !first && c != ',':
			damage(f, s.offset(), errSyntax)
			return nil
		case !first:
			s.start++
			c, _ = s.peek()
		}
		value := take
		if c != '{' {
			value = r.noObject
		}
		for {
			end, form, wrong := value(s.buf[:s.end], s.start, f)
			if form == errShort && s.more() {
				continue
			}
			if form != nil {
				if form == errShort && s.err == nil {
					form = errTooLong
				}
				damage(f, s.offset(), form)
				return nil
			}
			if err := r.judge(wrong, func() string { return fmt.Sprintf("%s: byte %d", f.Name, s.offset()) }); err != nil {
				return err
			}
			s.start = end
			break
		}
	}
}

// noObject takes any other value for a record that is malformed.
func (r *Reader) noObject(b []byte, i int, f *sla.File) (end int, form, wrong error) {
	end, err := skip(b, i)
	if err != nil {
		return 0, err, nil
	}
	f.Records++
	r.malformed.Records++
	return end, nil, errNoObject
}

// closing reads what follows the records in their object: nothing, or members
// that nobody asks for.
func (r *Reader) closing(f *sla.File, s *stream) {
	for {
		end, err := skipNested(s.buf[:s.end], s.start, 1)
		if err == nil {
			s.start = end
			return
		}
		if !s.more() {
			damage(f, s.offset(), errShort)
			return
		}
	}
}

// line reads one line. CloudWatch Logs writes its own time before what it
// exports ("Exporting log data to Amazon S3", CloudWatch Logs User Guide). A line
// may hold any number of objects, as a socket's datagrams do that were written
// back to back: of a line without an end in view it reads those that are.
func (r *Reader) line(f *sla.File, s *stream, take taker, lines bool) error {
	where := func() string {
		if lines {
			return fmt.Sprintf("%s:%d", f.Name, s.line+1)
		}
		return fmt.Sprintf("%s: byte %d", f.Name, s.offset())
	}
	end := bytes.IndexByte(s.buf[s.start:s.end], '\n')
	for end < 0 && s.more() {
		end = bytes.IndexByte(s.buf[s.start:s.end], '\n')
	}
	last := end < 0 && s.err != nil
	open := end < 0 && !last // it goes on beyond what is in view
	b := s.buf[s.start:s.end]
	if end >= 0 {
		b = b[:end]
	}
	i := 0
	if len(b) > 0 && b[0] != '{' {
		if i = bytes.IndexByte(b, '{'); i < 0 || !exported(b[:i]) {
			if open {
				return r.tooLong(s, where)
			}
			r.broken(errNoRecord, where)
			s.start += len(b)
			return nil
		}
	}
	begin := i
	for i < len(b) {
		next, form, wrong := take(b, i, f)
		switch {
		case form == errShort && last:
			damage(f, s.offset(), form)
			s.start += len(b)
			return nil
		case form == errShort && open && i == begin:
			return r.tooLong(s, where)
		case open && (form == errShort || form != nil && i > len(b)/2):
			s.start += i // and again, with more in view
			return nil
		case form != nil:
			r.broken(errSyntax, where)
			if next = bytes.Index(b[i:], backToBack); form == errShort || next < 0 {
				s.start += len(b)
				return nil
			}
			if s.broken++; s.broken > mostBroken {
				damage(f, s.offset()+int64(i), errBroken)
				s.start += len(b)
				return nil
			}
			i += next + 1
			continue
		}
		if err := r.judge(wrong, where); err != nil {
			return err
		}
		i = space(b, next)
	}
	s.start += len(b)
	return nil
}

// backToBack is where to go on behind an object that is broken. Within a text it
// begins no object with a member: the quotes of its name are escaped.
var backToBack = []byte("}{")

// tooLong counts a line that no record can be this long for, and passes over it.
func (r *Reader) tooLong(s *stream, where func() string) error {
	r.broken(errTooLong, where)
	for end := -1; end < 0; {
		s.start = s.end
		if !s.more() {
			return nil
		}
		if end = bytes.IndexByte(s.buf[s.start:s.end], '\n'); end >= 0 {
			s.start += end // the line ends where peek goes on
		}
	}
	return nil
}

// exported says whether a text is the time that CloudWatch Logs writes.
func exported(b []byte) bool {
	var d dayCache
	b = bytes.TrimRight(b, " \t")
	_, ok := d.unix(b)
	return ok
}

// broken counts a line that is no record at all.
func (r *Reader) broken(err error, where func() string) {
	r.malformed.Records++
	r.wrong(err, where)
}

// judge counts a record that is wrong; a failure of the tally is returned.
func (r *Reader) judge(err error, where func() string) error {
	if err == nil {
		return nil
	}
	if t := (tallyError{}); errors.As(err, &t) {
		return err
	}
	r.wrong(err, where)
	return nil
}

func (r *Reader) wrong(err error, where func() string) {
	r.malformed.Count++
	if len(r.malformed.First) < mostMalformed {
		r.malformed.First = append(r.malformed.First, fmt.Sprintf("%s %v", where(), err))
	}
}

// buffers are what every file and record uses anew.
type buffers struct {
	raw     bufio.Reader
	unzip   gzip.Reader
	window  stream
	one     event
	oneCall call
}
