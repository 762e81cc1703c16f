package slalog

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"keywatch/internal/sla"
)

// oracle reads an event by encoding/json.
func oracle(t *testing.T, data []byte) (want event, object bool) {
	t.Helper()
	var all map[string]json.RawMessage
	if json.Unmarshal(data, &all) != nil || all == nil {
		return want, false
	}
	if inner, ok := all["detail"]; ok && inner[0] == '{' {
		var detail map[string]json.RawMessage
		if err := json.Unmarshal(inner, &detail); err != nil {
			t.Fatal(err)
		}
		if _, nested := detail["detail"]; nested {
			return want, false // an envelope in an envelope: not comparable
		}
		// The event's own word goes before that of the envelope.
		account, region := all["account"], all["region"]
		for name, raw := range detail {
			all[name] = raw
		}
		all["account"], all["region"] = account, region
		want.envelope = true
	}
	text := func(raw json.RawMessage) []byte {
		var s string
		if len(raw) == 0 || raw[0] != '"' || json.Unmarshal(raw, &s) != nil {
			return nil
		}
		return []byte(s)
	}
	// What holds an event as a text, and is none, is that event.
	message, lookup := text(all["message"]), text(all["CloudTrailEvent"])
	if held := bytes.TrimLeft(slices.Concat(message, lookup), " \t\r\n"); len(held) > 0 && !want.envelope && text(all["eventSource"]) == nil && text(all["eventType"]) == nil {
		switch {
		case message != nil && lookup != nil || repeated(held):
			return want, false
		case held[0] == '{':
			if want, object = unheld(t, held); object {
				want.digest = false
			}
			return want, object
		}
	}
	for name, to := range map[string]*[]byte{
		"eventTime": &want.time, "eventID": &want.id, "requestID": &want.request, "eventSource": &want.source, "eventName": &want.name,
		"errorCode": &want.code, "awsRegion": &want.region, "recipientAccountId": &want.account, "eventType": &want.kind,
	} {
		raw := all[name]
		*to = text(raw)
		if len(raw) > 0 && raw[0] != '"' && string(raw) != "null" {
			want.wrong = errNotText
		}
	}
	if want.account == nil {
		want.account = text(all["account"])
	}
	if want.region == nil {
		want.region = text(all["region"])
	}
	var resources []json.RawMessage
	_ = json.Unmarshal(all["resources"], &resources)
	for _, r := range resources {
		var fields map[string]json.RawMessage
		if json.Unmarshal(r, &fields) != nil {
			continue
		}
		if arn := text(fields["ARN"]); isKey(arn) && want.key == nil {
			want.key = arn
		} else if isKey(arn) && want.second == nil {
			want.second = arn
		}
	}
	var additional map[string]json.RawMessage
	_ = json.Unmarshal(all["additionalEventData"], &additional)
	_, want.customKeyStore = additional["customKeyStoreId"]
	_, want.digest = all["digestStartTime"]
	return want, true
}

// unheld reads an event that was a text within another object, which holds no other.
func unheld(t *testing.T, data []byte) (want event, object bool) {
	t.Helper()
	var all map[string]json.RawMessage
	if json.Unmarshal(data, &all) != nil || all["message"] != nil || all["CloudTrailEvent"] != nil {
		return want, false
	}
	return oracle(t, data)
}

// repeated says whether an object names a member twice, or has letters that
// encoding/json mends: there the two may differ.
func repeated(data []byte) bool {
	d := json.NewDecoder(bytes.NewReader(data))
	type level struct {
		names map[string]bool
		key   bool
	}
	var open []level
	for {
		token, err := d.Token()
		if err != nil {
			return !json.Valid(data)
		}
		n := len(open)
		if name, ok := token.(string); ok && n > 0 && open[n-1].names != nil && open[n-1].key {
			if open[n-1].names[name] {
				return true
			}
			open[n-1].names[name], open[n-1].key = true, false
			continue
		}
		switch token {
		case json.Delim('{'):
			open = append(open, level{map[string]bool{}, true})
		case json.Delim('['):
			open = append(open, level{})
		case json.Delim('}'), json.Delim(']'):
			open = open[:n-1]
			if n > 1 {
				open[n-2].key = true
			}
		default:
			if n > 0 {
				open[n-1].key = true
			}
		}
	}
}

// compare holds the scanner against encoding/json.
func compare(t *testing.T, data []byte) {
	t.Helper()
	trimmed := bytes.TrimSpace(data)
	if len(trimmed) == 0 || trimmed[0] != '{' {
		return
	}
	var got event
	_, err := scanEvent(trimmed, 0, &got)
	if repeated(trimmed) || bytes.Contains(trimmed, []byte(`\ud`)) || bytes.Contains(trimmed, []byte(`\uD`)) || bytes.ContainsRune(trimmed, '\uFFFD') || !json.Valid(trimmed) {
		return // the scanner may let pass what encoding/json does not
	}
	want, ok := oracle(t, trimmed)
	if !ok {
		return
	}
	if err != nil {
		t.Fatalf("%v: encoding/json reads it: %.300s", err, trimmed)
	}
	show := func(e event) string {
		return fmt.Sprintf("%q %q %q %q %q %q %q %q %q %q %q %v %v %v %v", e.time, e.id, e.request, e.source, e.name, e.code, e.region, e.account, e.kind, e.key, e.second, e.customKeyStore, e.digest, e.envelope, e.wrong)
	}
	if show(got) != show(want) {
		t.Fatalf("%s\nencoding/json: %s\n%.600s", show(got), show(want), trimmed)
	}
}

var events = []string{
	kms("2026-10-01T00:00:00Z", uuid(1), ""), kms("2026-10-01T00:00:00Z", uuid(2), "KMSInternalException", `"additionalEventData":{"customKeyStoreId":"cks-1"},`),
	`{"account":"1","region":"r","detail":` + kms("2026-10-01T00:00:00Z", uuid(3), "") + `}`,
	`{"detail":` + kms("2026-10-01T00:00:00Z", uuid(3), "") + `,"account":"1","region":"r"}`,
	`{}`, `{ }`, `{"a":{},"b":[],"c":[{}],"d":-1.5e+3,"e":true}`, `{"eventTime":null,"errorCode":7,"eventName":{"x":1}}`,
	`{"event\u0054ime":"a\"\\b\u00e9\n","requestID":"\/"}`, `{"resources":[1,"x",null,{"ARN":5},{"ARN":"arn:aws:s3:::b"},{"type":"x","ARN":"` + keyARN + `"}]}`,
	`{"resources":[{"ARN":"` + keyARN + `1"},{"ARN":"` + keyARN + `2"},{"ARN":"` + keyARN + `3"}]}`,
	`{"resources":null,"additionalEventData":null,"digestStartTime":"x"}`, `{"x":"\\\\","y":"\\\"","eventID":"z"}`,
	`{"a":"}","b":"{[","eventSource":"kms.amazonaws.com"}`, `{"detail":"text","eventID":"a"}`, "{\t\"eventID\" \r\n: \"a\" , \"x\":1\n}",
	`{"region":{},"account":7,"eventID":"a"}`, `{"region":"r","account":"a","awsRegion":null}`, `{"region":"r","detail":{"awsRegion":null,"recipientAccountId":"own"},"account":"a"}`,
	`{"customKeyStoreId":"x","additionalEventData":{"a":{"customKeyStoreId":1}}}`,
	`{"EventId":"x","CloudTrailEvent":"{\"eventTime\":\"a\",\"requestID\":\"b\",\"eventSource\":\"kms.amazonaws.com\"}","AccessKeyId":"hunter2"}`,
	`{"message":" {\"region\":\"r\",\"detail\":{\"eventSource\":\"s\",\"errorCode\":\"c\"}}\n","timestamp":1}`, `{"message":"text","eventSource":"s"}`,
	`{"eventType":"x","message":"{\"eventSource\":\"s\"}"}`, `{"message":"{\"digestStartTime\":1}","CloudTrailEvent":null}`,
}

func TestScannerAgainstEncodingJSON(t *testing.T) {
	t.Parallel()
	for _, e := range events {
		if !json.Valid([]byte(e)) {
			t.Fatalf("the case is no JSON: %s", e)
		}
		compare(t, []byte(e))
		// What is cut off is short, never something else.
		for n := 1; n < len(e); n++ {
			var got event
			if _, err := scanEvent([]byte(e[:n]), 0, &got); err != errShort {
				t.Fatalf("%d bytes of %.80s: %v", n, e, err)
			}
		}
	}
}

func FuzzEvent(f *testing.F) {
	for _, e := range events {
		f.Add([]byte(e))
	}
	f.Fuzz(compareFuzz)
}

func compareFuzz(t *testing.T, data []byte) { compare(t, data) }

// No input makes a reader panic, take more memory than a record, or say a word of
// what it read that is not of the form of a name.
func FuzzReader(f *testing.F) {
	for _, e := range events {
		f.Add([]byte(file(e, e)), false)
		f.Add([]byte(e+"\n"+e), true)
		f.Add([]byte(zip(f, file(e))), false)
		for _, form := range forms(f) {
			f.Add([]byte(form([]string{e, e})), false)
		}
	}
	for _, datagrams := range [][]string{monitored(), {"\xef\xbb\xbf" + ours, ours}} {
		f.Add([]byte(strings.Join(datagrams, "")), true)
		f.Add([]byte(strings.Join(datagrams, "\n")), true)
		f.Add([]byte("["+strings.Join(datagrams, ",")+",7]"), true)
	}
	for _, other := range []string{"PAR1", "eventtime,eventname\n", "[INFO] x\n", "[7]", "[\"x\" 1"} {
		f.Add([]byte(other), false)
	}
	f.Add([]byte("2026-10-01T00:00:00Z {\"Records\":[1]}\n"), false)
	f.Add([]byte("{\"Records\" : [ ] , \"x\""), false)
	terms, err := sla.TermsOf(october)
	if err != nil {
		f.Fatal(err)
	}
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, data []byte, client bool) {
		r := NewReader(Options{Only: Place{account, region}, Month: october, Classes: terms.Classes(), Dir: dir, Hash: true})
		if err := r.Want(Place{account, region}); err != nil {
			t.Fatal(err)
		}
		read := r.CloudTrail
		if client {
			read = r.Requests
		}
		if err := read("name", bytes.NewReader(data)); err != nil {
			t.Fatal(err)
		}
		in := finish(t, r)[0]
		said, err := json.Marshal(in.Malformed)
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(said, []byte(secret)) || strings.Contains(in.Files[0].Damage, secret) {
			t.Fatalf("an error quotes the log: %s %s", said, in.Files[0].Damage)
		}
		for _, q := range in.Failed {
			for _, s := range []string{q.ID, q.Operation, q.Code, q.Key} {
				if s != sla.Hidden && !plain([]byte(s)) {
					t.Fatalf("%q is shown", s)
				}
			}
		}
		if in.Malformed.Count > in.Malformed.Records {
			t.Fatalf("%+v", in.Malformed)
		}
	})
}

// flood is a log of n records, half of KMS, made while it is read.
type flood struct {
	n, at int
	left  []byte
	buf   []byte
}

func (f *flood) Read(p []byte) (int, error) {
	if len(f.left) == 0 {
		if f.at == f.n {
			return 0, io.EOF
		}
		f.buf = append(f.buf[:0], floodRecord...)
		for i, n := 0, uint32(f.at)*2654435761; i < 8; i, n = i+1, n>>4 {
			f.buf[floodID+i] = "0123456789abcdef"[n&15]
		}
		f.left = f.buf
		f.at++
	}
	n := copy(p, f.left)
	f.left = f.left[n:]
	return n, nil
}

var (
	floodRecord = kms("2026-10-01T00:00:00Z", "00000000-63bc-11e4-bc2b-4198b6150d5c", "") + "\n"
	floodID     = strings.Index(floodRecord, "00000000-63bc")
)

// Twice the log takes no more memory: what a request needs is not kept.
func TestMemoryDoesNotGrowWithTheLog(t *testing.T) {
	peak := func(n int) uint64 {
		r := reader(t)
		r.tally.max = 1 << 12
		var most uint64
		in := &watched{Reader: &flood{n: n}, every: 4 << 20, look: func() {
			runtime.GC()
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			most = max(most, m.HeapAlloc)
		}}
		if err := r.CloudTrail("f", in); err != nil {
			t.Fatal(err)
		}
		got := finish(t, r)[0]
		if total(got).Requests != int64(n) {
			t.Fatalf("%d requests of %d", total(got).Requests, n)
		}
		return most
	}
	peak(1000) // what is made once
	one, two := peak(30_000), peak(60_000)
	if two > one+one/4+256<<10 {
		t.Errorf("%d bytes for 30,000 requests, %d for 60,000", one, two)
	}
	allocs := func(n int) float64 {
		return testing.AllocsPerRun(3, func() {
			r := reader(t)
			if err := r.CloudTrail("f", &flood{n: n}); err != nil {
				t.Fatal(err)
			}
		})
	}
	if one, two := allocs(5000), allocs(10_000); two > one+100 {
		t.Errorf("%.0f allocations for 5,000 requests, %.0f for 10,000", one, two)
	}
}

// watched looks at something every so many bytes.
type watched struct {
	io.Reader
	every, n int
	look     func()
}

func (w *watched) Read(p []byte) (int, error) {
	n, err := w.Reader.Read(p)
	if w.n += n; w.n > w.every {
		w.n = 0
		w.look()
	}
	return n, err
}

// BenchmarkScan is plain text and gzip on one core; MB are unpacked.
func BenchmarkScan(b *testing.B) {
	var text strings.Builder
	text.WriteString(`{"Records":[`)
	for i := range 20_000 {
		if i > 0 {
			text.WriteByte(',')
		}
		at := october.Start().Add(time.Duration(i) * time.Second).Format("2006-01-02T15:04:05Z")
		text.WriteString(kms(at, uuid(i*2654435761&0xffffffff), ""))
	}
	text.WriteString("]}")
	for name, data := range map[string]string{"plain": text.String(), "gzip": zip(b, text.String())} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(text.Len()))
			b.ReportAllocs()
			for b.Loop() {
				r := reader(b)
				r.Hash = false
				if err := r.CloudTrail("f", strings.NewReader(data)); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
