package slalog

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"keywatch/internal/sla"
)

// quoted is a text of JSON.
func quoted(t testing.TB, s string) string {
	t.Helper()
	data, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func indented(t testing.TB, s string) string {
	t.Helper()
	var b bytes.Buffer
	if err := json.Indent(&b, []byte(s), "", "    "); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func bridged(e string) string {
	return `{"version":"0","source":"aws.kms","account":"111122223333","time":"2026-10-01T00:00:00Z","region":"eu-west-1","resources":[],"detail":` + e + `}`
}

// looked is an item of aws cloudtrail lookup-events ("Event", CloudTrail API
// Reference), filtered one of aws logs filter-log-events ("FilteredLogEvent",
// CloudWatch Logs API Reference); last puts the event before the other members.
func looked(t testing.TB, e string, last bool) string {
	t.Helper()
	held := `"CloudTrailEvent":` + quoted(t, e)
	others := `"EventId":"e","EventName":"Decrypt","ReadOnly":"true","AccessKeyId":"hunter2","EventTime":"2026-10-01T02:00:00+02:00","EventSource":"kms.amazonaws.com","Username":"hunter2","Resources":[{"ResourceType":"AWS::KMS::Key","ResourceName":"` + keyARN + `"}]`
	if last {
		return "{" + held + "," + others + "}"
	}
	return "{" + others + "," + held + "}"
}

func filtered(t testing.TB, e string, last bool) string {
	t.Helper()
	held, others := `"message":`+quoted(t, e), `"logStreamName":"111122223333_CloudTrail_eu-west-1","timestamp":1790812800000,"ingestionTime":1790812800001,"eventId":"3"`
	if last {
		return "{" + held + "," + others + "}"
	}
	return "{" + others + "," + held + "}"
}

// forms are ways to write the same events. Each gives one file.
func forms(t testing.TB) map[string]func(events []string) string {
	t.Helper()
	each := func(one func(string) string, join func([]string) string) func([]string) string {
		return func(events []string) string {
			var items []string
			for _, e := range events {
				items = append(items, one(e))
			}
			return join(items)
		}
	}
	lines := func(items []string) string { return strings.Join(items, "\n") + "\n" }
	list := func(items []string) string { return "[" + strings.Join(items, ",") + "]" }
	held := func(name, more string) func([]string) string {
		return func(items []string) string { return `{"` + name + `":` + list(items) + more + "}" }
	}
	plainly := func(e string) string { return e }
	look := func(last bool) func(string) string { return func(e string) string { return looked(t, e, last) } }
	filter := func(last bool) func(string) string { return func(e string) string { return filtered(t, e, last) } }
	pretty := func(form func([]string) string) func([]string) string {
		return func(items []string) string { return indented(t, form(items)) }
	}
	return map[string]func([]string) string{
		"a trail's file":               func(events []string) string { return file(events...) },
		"a list":                       each(plainly, list),
		"a list, pretty-printed":       each(plainly, pretty(list)),
		"lists, one a line":            func(events []string) string { return list(events[:1]) + "\n" + list(events[1:]) + "\n" },
		"a list beside a trail's file": func(events []string) string { return list(events[:1]) + "\n" + file(events[1:]...) },
		"lookup-events":                each(look(false), held("Events", "")),
		"lookup-events, pretty":        each(look(true), pretty(held("Events", `,"NextToken":"hunter2"`))),
		"lookup-events, a list":        each(look(true), list),
		"lookup-events, lines":         each(look(false), lines),
		"filter-log-events":            each(filter(false), held("events", `,"searchedLogStreams":[]`)),
		"filter-log-events, pretty":    each(filter(true), pretty(held("events", `,"searchedLogStreams":[{"a":"]}"}]`))),
		"filter-log-events, lines":     each(filter(true), lines),
		"filter-log-events, twice":     func(events []string) string { return strings.Repeat(each(filter(true), held("events", ""))(events), 2) },
	}
}

// A byte order mark, lists without a trail around them, and what the AWS CLI prints
// say the same as a trail's file.
func TestTheFormsSayTheSame(t *testing.T) {
	t.Parallel()
	events := []string{kms("2026-10-01T00:00:00Z", uuid(1), ""), kms("2026-10-01T00:04:59Z", uuid(2), "KMSInternalException"), kms("2026-10-01T00:05:00Z", uuid(3), "ThrottlingException")}
	want := counted(readAll(t, reader(t), trail(file(events...))))
	if total(want) != (sla.Interval{Requests: 3, Faults: 1, Rejected: 1}) {
		t.Fatalf("%+v", total(want))
	}
	for name, form := range forms(t) {
		for _, mark := range []string{"", "\xef\xbb\xbf"} {
			for _, data := range []string{mark + form(events), zip(t, mark+form(events))} {
				for way, wrap := range map[string]func(io.Reader) io.Reader{"at once": func(r io.Reader) io.Reader { return r }, "in bytes": iotest.OneByteReader} {
					r := reader(t)
					if err := r.CloudTrail("f", wrap(strings.NewReader(data))); err != nil {
						t.Fatal(err)
					}
					got := readAll(t, r)
					if got.Files[0].Damage != "" || got.Malformed.Count > 0 || !reflect.DeepEqual(counted(got), want) {
						t.Errorf("%s, %s, mark %q: %+v, want %+v; %+v %+v", name, way, mark, total(got), total(want), got.Files[0], got.Malformed)
					}
				}
			}
		}
	}
	// The envelope of EventBridge is within a message too.
	message := `{"events":[` + filtered(t, bridged(events[1]), false) + `,` + filtered(t, `{"source":"aws.health","detail":{}}`, true) + `]}`
	got := readAll(t, reader(t), trail(message))
	if total(got).Faults != 1 || !got.Intervals[0].Partial || got.Skipped[healthEvent] != 1 || got.Malformed.Count > 0 {
		t.Errorf("an envelope: %+v, %v, %+v", got.Intervals[0], got.Skipped, got.Malformed)
	}
}

// Division into files and forms, order and duplicates change nothing.
func TestFormsOrderAndDivisionDoNotMatter(t *testing.T) {
	t.Parallel()
	for seed := range uint64(3) {
		rng := rand.New(rand.NewPCG(seed, 2))
		var events []string
		for range 200 {
			at := october.Start().Add(time.Duration(rng.Int64N(40*60)-600) * time.Second)
			code := []string{"", "", "KMSInternalException", "DependencyTimeoutException", "ThrottlingException"}[rng.IntN(5)]
			events = append(events, kms(at.Format("2006-01-02T15:04:05Z"), uuid(rng.IntN(150)), code))
		}
		want := counted(readAll(t, reader(t), trail(file(events...))))
		all := forms(t)
		names := slices.Sorted(maps.Keys(all))
		for round := range 3 {
			rng.Shuffle(len(events), func(i, j int) { events[i], events[j] = events[j], events[i] })
			r := reader(t)
			r.tally.max = []int{1 << 20, 64, 7}[round]
			var files []input
			for rest := events; len(rest) > 0; {
				n := min(len(rest), 1+rng.IntN(40))
				for range 1 + rng.IntN(2) {
					files = append(files, trail(all[names[rng.IntN(len(names))]](rest[:n])))
				}
				rest = rest[n:]
			}
			if got := counted(readAll(t, r, files...)); !reflect.DeepEqual(got, want) {
				t.Fatalf("seed %d, round %d: %+v, want %+v", seed, round, total(got), total(want))
			}
		}
	}
}

// One value that is no object, or holds no event, costs that record alone.
func TestAValueThatIsNoEvent(t *testing.T) {
	t.Parallel()
	a, b := kms("2026-10-01T00:00:00Z", uuid(1), ""), kms("2026-10-01T00:00:00Z", uuid(2), "")
	for name, test := range map[string]struct{ value, why string }{
		"a text":                       {`"hunter2}],"`, errNoObject.Error()},
		"a number":                     {"-7.5e3", errNoObject.Error()},
		"null":                         {"null", errNoObject.Error()},
		"true":                         {"true", errNoObject.Error()},
		"a list":                       {`["hunter2",{"x":[]}]`, errNoObject.Error()},
		"an empty object":              {"{}", errNoEvent.Error()},
		"a message of text":            {filtered(t, "hunter2 started", false), errNoEvent.Error()},
		"a message of another thing":   {filtered(t, `{"level":"info","secret":"hunter2"}`, true), errNoEvent.Error()},
		"a message that was cut off":   {filtered(t, a[:len(a)-20], false), errHeld.Error()},
		"a message and more":           {filtered(t, a+" hunter2", false), errHeld.Error()},
		"a message within a message":   {filtered(t, filtered(t, a, true), true), errNoEvent.Error()},
		"a message that is a list":     {filtered(t, "["+a+"]", true), errNoEvent.Error()},
		"a message that is a digest":   {filtered(t, `{"digestStartTime":"hunter2"}`, true), errNoEvent.Error()},
		"a message that is no text":    {`{"message":{"eventTime":"hunter2"}}`, errNoEvent.Error()},
		"a CloudTrailEvent of nothing": {looked(t, "", false), errNoEvent.Error()},
		"a CloudTrailEvent, cut off":   {looked(t, a[:300], true), errHeld.Error()},
		"an item without the event":    {`{"EventId":"hunter2","EventSource":"kms.amazonaws.com"}`, errNoEvent.Error()},
	} {
		for form, data := range map[string]string{
			"between": file(a, test.value, b), "first": file(test.value, a, b), "last": file(a, b, test.value),
			"a list": "[" + a + ",\n" + test.value + "\n," + b + "]", "Events": `{"Events":[` + test.value + "," + a + "," + b + "]}",
		} {
			got := readAll(t, reader(t), trail(data))
			m := got.Malformed
			if total(got).Requests != 2 || got.Files[0].Damage != "" || got.Files[0].LeftOut != "" || got.Files[0].Records != 3 || m.Count != 1 || m.Records != 3 {
				t.Errorf("%s, %s: %+v; %+v %+v", name, form, total(got), got.Files[0], m)
			} else if !strings.HasPrefix(m.First[0], "f: byte ") || !strings.HasSuffix(m.First[0], " "+test.why) || strings.Contains(m.First[0], secret) {
				t.Errorf("%s, %s: %q, want %s", name, form, m.First[0], test.why)
			}
		}
	}
	// An event with a member of that name of its own is an event.
	own := strings.Replace(a, `"readOnly":true`, `"message":"{\"eventID\":\"hunter2\"}"`, 1)
	if got := readAll(t, reader(t), trail(file(own, b)+own+"\n")); total(got).Requests != 2 || got.Malformed.Count != 0 {
		t.Errorf("an event with a message: %+v %+v", total(got), got.Malformed)
	}
	// What begins a line of text is no list.
	lines := "[INFO] hunter2\n" + a + "\n[2026-10-01 INFO] hunter2\n[\"hunter2\" x\n" + b + "\n"
	if got := readAll(t, reader(t), trail("\n"+lines)); total(got).Requests != 2 || got.Malformed.Count != 3 || got.Files[0].Damage != "" {
		t.Errorf("lines of text: %+v %+v %+v", total(got), got.Files[0], got.Malformed)
	}
}

// Each form is told from a whole one wherever it is cut off.
func TestTruncatedForms(t *testing.T) {
	t.Parallel()
	a, b := kms("2026-10-01T00:00:00Z", uuid(1), ""), kms("2026-10-01T00:00:01Z", uuid(2), "")
	r := reader(t)
	for name, whole := range map[string]string{
		"a list": "[" + a + "," + b + "]", "a list of others": `["x",7,` + a + "]", "Events": `{"Events":[` + looked(t, a, false) + "]}", "events": `{"events":[` + filtered(t, a, false) + `],"searchedLogStreams":[]}`,
		"a mark": "\xef\xbb\xbf" + file(a, b),
	} {
		for n := 4; n < len(whole); n++ {
			if err := r.CloudTrail("f", strings.NewReader(whole[:n])); err != nil {
				t.Fatal(err)
			}
			if f := r.files[len(r.files)-1]; f.Damage == "" || f.Unread {
				t.Fatalf("%s: %d of %d bytes pass as whole: %+v %+v", name, n, len(whole), f, r.malformed)
			}
		}
	}
}

// A form that is not read says what it is and what to do, and not what it holds.
func TestFormsThatAreNotRead(t *testing.T) {
	t.Parallel()
	for data, want := range map[string]string{
		"PAR1\x15\x04hunter2":              "seems to be Parquet; query it and give the events as JSON",
		"\x28\xb5\x2f\xfdhunter2":          "seems to be packed with zstd; unpack it, or pack it as gzip",
		"PK\x03\x04hunter2":                "seems to be a zip archive; unpack it",
		"BZh91AY&SYhunter2":                "seems to be packed with bzip2; unpack it",
		"\xfd7zXZ\x00hunter2":              "seems to be packed with xz; unpack it",
		"\xff\xfe{\x00\"\x00":              "seems to be text in UTF-16; convert it to UTF-8",
		"\xfe\xff\x00{\x00\"":              "seems to be text in UTF-16; convert it to UTF-8",
		"eventtime,eventname\n1,hunter2\n": "seems to be CSV; export the events as JSON",
		"\"eventversion\",\"useridentity\"\r\n\"hunter2\",\"{x=1}\"\r\n": "seems to be CSV",
		"@timestamp,@message\n2026,\"{\"\"eventVersion\"\":1}\"\n":       "seems to be CSV",
		"@message\n\"{}\"\n": "seems to be CSV",
		"\xef\xbb\xbfEvent name,Event time,User name,AWS region\nDecrypt,x,hunter2,y": "seems to be CSV",
	} {
		for _, packed := range []string{data, zip(t, data)} {
			for _, in := range []input{trail(packed), client(packed)} {
				got := readAll(t, reader(t), in)
				f := got.Files[0]
				if !strings.Contains(f.Damage, want) || !strings.Contains(f.Damage, "docs/sla-logs.md") || strings.Contains(f.Damage, secret) || !f.Unread || f.Records != 0 || f.SHA256 == "" || got.Malformed.Count != 0 {
					t.Errorf("%q: %+v, want %q; %+v", data[:8], f, want, got.Malformed)
				}
			}
		}
	}
	// Lines that are broken are no table.
	a := kms("2026-10-01T00:00:00Z", uuid(1), "")
	for _, first := range []string{"Hello, world", `amazonaws.com","eventName":"Decrypt"}`, "hunter2", "a;b:c", strings.Repeat("a,", maxHeader) + "b"} {
		got := readAll(t, reader(t), trail(first+"\n"+a))
		if got.Files[0].Damage != "" || got.Malformed.Count != 1 || total(got).Requests != 1 {
			t.Errorf("%.40q: %+v %+v", first, got.Files[0], got.Malformed)
		}
	}
	// A log group is no file: its events may be any text.
	r := reader(t)
	if err := r.LogGroup("g", strings.NewReader("a,b\n"+a+"\n")); err != nil {
		t.Fatal(err)
	}
	if got := readAll(t, r); got.Files[0].Damage != "" || total(got).Requests != 1 || got.Malformed.Count != 1 {
		t.Errorf("a log group: %+v %+v", got.Files[0], got.Malformed)
	}
}

// Objects may follow each other without any line end, in a file of any length; one
// that is broken costs itself alone.
func TestObjectsBackToBack(t *testing.T) {
	t.Parallel()
	var whole strings.Builder
	n := 0
	for ; whole.Len() < 2*maxRecord; n++ {
		whole.WriteString(kms("2026-10-01T00:00:00Z", uuid(n), ""))
		if n%1000 == 0 {
			fmt.Fprintf(&whole, `{"eventTime":"hunter2","x" %s}`, secret)
		}
	}
	bad := int64((n + 999) / 1000)
	got := readAll(t, reader(t), trail(whole.String()))
	if total(got).Requests != int64(n) || got.Malformed.Count != bad || got.Files[0].Damage != "" {
		t.Errorf("%d requests of %d, %d malformed of %d; %+v", total(got).Requests, n, got.Malformed.Count, bad, got.Files[0])
	}
	// One that is broken at the edge of what is in view.
	edge := kms("2026-10-01T00:00:00Z", uuid(0), "")
	edge += strings.Repeat(" ", maxRecord-50-len(edge)) + `{"x" hunter2` + strings.Repeat(" ", 200) + "}" + kms("2026-10-01T00:00:00Z", uuid(1), "")
	if got := readAll(t, reader(t), trail(edge)); total(got).Requests != 2 || got.Malformed.Count != 1 || got.Files[0].Damage != "" {
		t.Errorf("at the edge: %+v %+v %+v", total(got), got.Malformed, got.Files[0])
	}
	cut := whole.String()[:whole.Len()-9]
	if got := readAll(t, reader(t), trail(cut)); total(got).Requests != int64(n-1) || !strings.Contains(got.Files[0].Damage, errShort.Error()) {
		t.Errorf("cut off: %d requests of %d; %+v", total(got).Requests, n-1, got.Files[0])
	}
}

// A file of broken objects is not looked through for each of them, however its lines
// are cut and the window lies: it ends there, and the report says so.
func TestBrokenObjectsWithoutEnd(t *testing.T) {
	t.Parallel()
	good := kms("2026-10-01T00:00:00Z", uuid(1), "")
	const one = `{"a":1 2}`
	long := `{"a":"` + strings.Repeat("x", 10_000) + `" 2}`
	for name, data := range map[string]string{
		"one line":                strings.Repeat(one, 2*mostBroken),
		"several lines":           strings.Repeat(strings.Repeat(one, 100)+"\n", 50),
		"more than a window":      strings.Repeat(long, 2*mostBroken),
		"a window without an end": strings.Repeat(long, mostBroken) + good,
	} {
		got := readAll(t, reader(t), trail(good+"\n"+data+"\n"+good))
		cut := strings.Contains(got.Files[0].Damage, "more than a thousand broken objects")
		if want := name != "a window without an end"; cut != want || total(got).Requests != 1 || got.Malformed.Count < mostBroken || got.Malformed.Count > mostBroken+50 {
			t.Errorf("%s: %d malformed, %d requests, %s", name, got.Malformed.Count, total(got).Requests, got.Files[0].Damage)
		}
	}
}

// A line that might begin a list is looked at for a moment, not through all that
// follows it.
func TestBracketsWithoutEnd(t *testing.T) {
	t.Parallel()
	for _, b := range []string{strings.Repeat("[[\n", 1000), `["` + strings.Repeat("x", 2*lookAhead), "[" + strings.Repeat(" ", lookAhead)} {
		if _, err := bracket([]byte(b)); err != errSyntax {
			t.Errorf("%.20q: %v", b, err)
		}
	}
	if _, err := bracket([]byte(`["` + strings.Repeat("x", lookAhead/2))); err != errShort {
		t.Errorf("the beginning of a short value: %v", err)
	}
	got := readAll(t, reader(t), trail(strings.Repeat("[[\n", 3*bufferSize)+kms("2026-10-01T00:00:00Z", uuid(1), "")))
	if total(got).Requests != 1 || got.Malformed.Count != 3*bufferSize {
		t.Errorf("%d requests, %d malformed", total(got).Requests, got.Malformed.Count)
	}
}
