package slalog

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"keywatch/internal/sla"
)

const (
	account = "111122223333"
	region  = "eu-west-1"
	keyARN  = "arn:aws:kms:eu-west-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"
	secret  = "hunter2"
)

var october = sla.Month{Year: 2026, Month: time.October}

// kms is a CloudTrail record as KMS writes it ("Decrypt", CloudTrail log entries,
// KMS Developer Guide), with a secret wherever there could be one.
func kms(at, id, code string, more ...string) string {
	if code != "" {
		code = `"errorCode":"` + code + `","errorMessage":"hunter2 \"}]} said",`
	}
	return `{"eventVersion":"1.11","userIdentity":{"type":"IAMUser","principalId":"hunter2","arn":"arn:aws:iam::111122223333:user/hunter2","accountId":"111122223333","accessKeyId":"hunter2","userName":"hunter2","sessionContext":{"attributes":{"mfaAuthenticated":"false"},"list":[1,-2.5e3,true,null,{}]}},` +
		`"eventTime":"` + at + `","eventSource":"kms.amazonaws.com","eventName":"Decrypt","awsRegion":"eu-west-1","sourceIPAddress":"hunter2","userAgent":"hunter2",` + code +
		`"requestParameters":{"encryptionContext":{"eventTime":"hunter2","a\\\\":"}\""},"encryptionAlgorithm":"SYMMETRIC_DEFAULT"},"responseElements":null,` + strings.Join(more, "") +
		`"requestID":"` + id + `","eventID":"e-` + id + `","readOnly":true,"resources":[{"accountId":"111122223333","type":"AWS::KMS::Key","ARN":"` + keyARN + `"}],"eventType":"AwsApiCall","managementEvent":true,"recipientAccountId":"111122223333","eventCategory":"Management"}`
}

func uuid(n int) string { return fmt.Sprintf("%08x-63bc-11e4-bc2b-4198b6150d5c", n) }

func file(records ...string) string { return `{"Records":[` + strings.Join(records, ",") + `]}` }

func zip(t testing.TB, s string) string {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := io.WriteString(w, s); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func reader(t testing.TB) *Reader { return readerOf(t, Place{account, region}, october) }

// readerOf reads a month of the places with what is named of one; a place that is
// named in whole is there, whatever the logs hold.
func readerOf(t testing.TB, only Place, m sla.Month) *Reader {
	t.Helper()
	terms, err := sla.TermsOf(m)
	if err != nil {
		t.Fatal(err)
	}
	r := NewReader(Options{Only: only, Month: m, Classes: terms.Classes(), Dir: t.TempDir(), Hash: true})
	if only.Account != "" && only.Region != "" {
		if err := r.Want(only); err != nil {
			t.Fatal(err)
		}
	}
	return r
}

// input is one file: its name, what is in it, and whether a client wrote it.
type input struct {
	name, data string
	client     bool
}

func readAll(t testing.TB, r *Reader, all ...input) sla.Input {
	t.Helper()
	return readPlaces(t, r, all...)[0]
}

func readPlaces(t testing.TB, r *Reader, all ...input) []sla.Input {
	t.Helper()
	for _, in := range all {
		read := r.CloudTrail
		if in.client {
			read = r.Requests
		}
		if err := read(in.name, strings.NewReader(in.data)); err != nil {
			t.Fatal(err)
		}
	}
	return finish(t, r)
}

func finish(t testing.TB, r *Reader) []sla.Input {
	t.Helper()
	out, err := r.Finish(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func trail(data string) input  { return input{name: "f", data: data} }
func client(data string) input { return input{name: "c", data: data, client: true} }

// total sums up the month.
func total(in sla.Input) (sum sla.Interval) {
	for _, iv := range in.Intervals {
		sum.Requests += iv.Requests
		sum.Faults += iv.Faults
		sum.Contestable += iv.Contestable
		sum.Rejected += iv.Rejected
		sum.Unjudged += iv.Unjudged
	}
	return sum
}

// The forms that CloudTrail records come in all say the same.
func TestFormsOfCloudTrail(t *testing.T) {
	t.Parallel()
	a, b, c := kms("2026-10-01T00:00:00Z", uuid(1), ""), kms("2026-10-01T00:04:59Z", uuid(2), "KMSInternalException"), kms("2026-10-01T00:05:00Z", uuid(3), "ThrottlingException")
	var pretty bytes.Buffer
	if err := json.Indent(&pretty, []byte(file(a, b, c)), "", "    "); err != nil {
		t.Fatal(err)
	}
	bridge := func(e string) string {
		return `{"version":"0","id":"7bf73129","detail-type":"AWS API Call via CloudTrail","source":"aws.kms","account":"111122223333","time":"2026-10-01T00:00:00Z","region":"eu-west-1","resources":[],"detail":` + e + `}`
	}
	lines := a + "\n" + b + "\n" + c + "\n"
	for name, data := range map[string]string{
		"one line":                    file(a, b, c),
		"pretty-printed":              pretty.String(),
		"gzip":                        zip(t, file(a, b, c)),
		"gzip members, one file":      zip(t, file(a, b, c)[:700]) + zip(t, file(a, b, c)[700:]),
		"gzip members, two":           zip(t, file(a)) + zip(t, file(b, c)+"\n"),
		"joined":                      file(a) + file(b, c),
		"members after records":       `{"Records":[` + a + "," + b + "," + c + `],"x":{"y":["]}"]}}`,
		"lines":                       lines,
		"lines, the last open":        strings.TrimSuffix(lines, "\n"),
		"lines of Windows":            strings.ReplaceAll(lines, "\n", "\r\n"),
		"lines, gzip":                 zip(t, lines),
		"export with times":           "2026-10-01T00:00:01.000Z " + strings.ReplaceAll(strings.TrimSpace(lines), "\n", "\n2026-10-01T00:00:01.123Z "),
		"EventBridge":                 bridge(a) + "\n" + bridge(b) + "\n" + bridge(c),
		"EventBridge, no own account": bridge(strings.Replace(a, `"recipientAccountId":"111122223333",`, "", 1)) + "\n" + bridge(b) + "\n" + bridge(c),
		"with a BOM of nothing":       "\n\n " + file(a, b, c) + "\n",
	} {
		for way, wrap := range map[string]func(io.Reader) io.Reader{"at once": func(r io.Reader) io.Reader { return r }, "in bytes": iotest.OneByteReader, "data with EOF": iotest.DataErrReader} {
			r := reader(t)
			if err := r.CloudTrail("f", wrap(strings.NewReader(data))); err != nil {
				t.Fatal(err)
			}
			got := finish(t, r)[0]
			if want := (sla.Interval{Requests: 3, Faults: 1, Rejected: 1}); total(got) != want {
				t.Errorf("%s, %s: %+v, want %+v; %+v %+v", name, way, total(got), want, got.Files, got.Malformed)
			}
			if got.Intervals[0].Requests != 2 || got.Intervals[1].Requests != 1 || got.Files[0].Damage != "" || got.Malformed.Count > 0 {
				t.Errorf("%s, %s: %+v %+v %+v", name, way, got.Intervals[:2], got.Files, got.Malformed)
			}
			if len(got.Failed) != 1 || got.Failed[0].ID != uuid(2) || got.Failed[0].Key != keyARN || !slices.Equal(got.Keys, []string{keyARN}) {
				t.Errorf("%s, %s: failed %+v, keys %v", name, way, got.Failed, got.Keys)
			}
		}
	}
}

// A file that was cut off is told from a whole one at every byte, and never
// counts as quiet.
func TestTruncatedFiles(t *testing.T) {
	t.Parallel()
	whole := file(kms("2026-10-01T00:00:00Z", uuid(1), ""), kms("2026-10-01T00:00:01Z", uuid(2), ""))
	packed := zip(t, whole)
	r := reader(t)
	for _, data := range []string{whole, packed} {
		for n := 2; n < len(data); n++ {
			if err := r.CloudTrail("f", strings.NewReader(data[:n])); err != nil {
				t.Fatal(err)
			}
			if f := r.files[len(r.files)-1]; f.Damage == "" {
				t.Fatalf("%d of %d bytes pass as whole: %+v %+v", n, len(data), f, r.malformed)
			}
		}
	}
	got := readAll(t, reader(t), trail(whole[:len(whole)-9]))
	second := strings.Index(whole, ",{\"eventVersion") + 1
	if want := fmt.Sprintf("at byte %d ", second); !strings.Contains(got.Files[0].Damage, want) || total(got).Requests != 1 {
		t.Errorf("%q, want %q; %+v", got.Files[0].Damage, want, total(got))
	}
	damagedSum := []byte(packed)
	damagedSum[len(damagedSum)-6] ^= 1
	if got := readAll(t, reader(t), trail(string(damagedSum))); !strings.Contains(got.Files[0].Damage, "compressed data") {
		t.Errorf("a wrong checksum: %+v", got.Files[0])
	}
	cut := kms("2026-10-01T00:00:00Z", uuid(1), "") + "\n" + kms("2026-10-01T00:00:00Z", uuid(2), "")[:200]
	if got := readAll(t, reader(t), trail(cut)); got.Files[0].Damage == "" || total(got).Requests != 1 || got.Malformed.Count != 0 {
		t.Errorf("cut within the last line: %+v %+v", got.Files[0], got.Malformed)
	}
}

// An empty file lost all of its records; a log group may have none.
func TestEmptyFiles(t *testing.T) {
	t.Parallel()
	for name, data := range map[string]string{"plain": "", "gzip": zip(t, "")} {
		r := reader(t)
		if err := r.LogGroup("log group g", strings.NewReader(data)); err != nil {
			t.Fatal(err)
		}
		got := readAll(t, r, trail(file()), trail(data), client(data))
		for i, want := range []string{"", "", "it is empty, and no file of CloudTrail is", ""} {
			if got.Files[i].Damage != want {
				t.Errorf("%s: file %d: %q, want %q", name, i, got.Files[i].Damage, want)
			}
		}
	}
}

// Records that lie across what is read at once are whole.
func TestFilesLongerThanTheWindow(t *testing.T) {
	t.Parallel()
	var records []string
	for i := range 3 * bufferSize / 1000 {
		records = append(records, kms("2026-10-01T00:00:00Z", uuid(i), "", `"x":"`+strings.Repeat("y", i%97)+`",`))
	}
	huge := kms("2026-10-01T00:00:00Z", uuid(1<<20), "", `"x":"`+strings.Repeat("y", 3*bufferSize)+`",`)
	records = append(records, huge)
	for name, data := range map[string]string{"records": file(records...), "lines": strings.Join(records, "\n"), "spaces": file(records...) + strings.Repeat(" ", 2*bufferSize)} {
		got := readAll(t, reader(t), trail(data))
		if total(got).Requests != int64(len(records)) || got.Files[0].Damage != "" || got.Malformed.Count > 0 {
			t.Errorf("%s: %d requests of %d; %+v %+v", name, total(got).Requests, len(records), got.Files, got.Malformed)
		}
	}
}

// The place of what is wrong is that in the file, not in the window.
func TestPlacesInLongFiles(t *testing.T) {
	t.Parallel()
	var records []string
	for i := range 3 * bufferSize / 1000 {
		records = append(records, kms("2026-10-01T00:00:00Z", uuid(i), ""))
	}
	whole := file(records...)
	at := strings.LastIndex(whole, `{"eventVersion`)
	if got := readAll(t, reader(t), trail(whole[:at+99])); !strings.Contains(got.Files[0].Damage, fmt.Sprintf("at byte %d ", at)) {
		t.Errorf("%q, want byte %d", got.Files[0].Damage, at)
	}
	lines := strings.Join(records, "\n") + "\n{" + secret + "}\n"
	if got := readAll(t, reader(t), trail(lines)); got.Malformed.First[0] != fmt.Sprintf("f:%d is not valid JSON", len(records)+1) {
		t.Errorf("%q, want line %d", got.Malformed.First, len(records)+1)
	}
}

// An outage across the end of a month and of a day is shared out to the second,
// and a region that was up knows nothing of one that was down.
func TestOutageAcrossTheMonthAndRegions(t *testing.T) {
	t.Parallel()
	var records []string
	for i, at := range []string{"2026-10-31T23:54:59Z", "2026-10-31T23:55:00Z", "2026-10-31T23:59:59Z", "2026-11-01T00:00:00Z", "2026-11-01T00:04:59Z", "2026-11-01T00:05:00Z"} {
		down := kms(at, uuid(i), "KMSInternalException")
		records = append(records, down, strings.Replace(kms(at, uuid(100+i), ""), `"awsRegion":"eu-west-1"`, `"awsRegion":"us-east-1"`, 1))
	}
	for _, test := range []struct {
		month, region string
		faults        map[int]int64
	}{
		{"2026-10", "eu-west-1", map[int]int64{8926: 1, 8927: 2}},
		{"2026-11", "eu-west-1", map[int]int64{0: 2, 1: 1}},
		{"2026-10", "us-east-1", map[int]int64{}},
		{"2026-11", "us-east-1", map[int]int64{}},
	} {
		m, err := sla.ParseMonth(test.month)
		if err != nil {
			t.Fatal(err)
		}
		got := readAll(t, readerOf(t, Place{account, test.region}, m), trail(file(records...)))
		faults := map[int]int64{}
		for i, iv := range got.Intervals {
			if iv.Faults > 0 {
				faults[i] = iv.Faults
			}
		}
		if !maps.Equal(faults, test.faults) || total(got).Requests != 3 {
			t.Errorf("%s in %s: faults %v, want %v; %+v", test.month, test.region, faults, test.faults, total(got))
		}
	}
}

// A failed ReEncrypt names two keys, and both are affected.
func TestBothKeysOfReEncrypt(t *testing.T) {
	t.Parallel()
	other := "arn:aws:kms:eu-west-1:111122223333:key/mrk-1234abcd12ab34cd56ef1234567890ab"
	record := strings.Replace(kms("2026-10-01T00:00:00Z", uuid(1), "KMSInternalException"), `"resources":[`, `"resources":[{"ARN":"`+other+`"},`, 1)
	got := readAll(t, reader(t), trail(file(record)))
	if !slices.Equal(got.Keys, []string{keyARN, other}) {
		t.Errorf("keys %v", got.Keys)
	}
}

// A disk that fails is an error, not a short file.
func TestReadErrors(t *testing.T) {
	t.Parallel()
	for _, data := range []string{file(kms("2026-10-01T00:00:00Z", uuid(1), ""))[:300], zip(t, file(kms("2026-10-01T00:00:00Z", uuid(1), "")))[:60]} {
		err := reader(t).CloudTrail("f", io.MultiReader(strings.NewReader(data), iotest.ErrReader(os.ErrPermission)))
		if err == nil || !strings.Contains(err.Error(), "f: permission denied") {
			t.Errorf("error %v", err)
		}
	}
}

func TestWhatDoesNotCount(t *testing.T) {
	t.Parallel()
	at := "2026-10-05T10:00:00Z"
	change := func(from, to string) string { return strings.Replace(kms(at, uuid(1), ""), from, to, 1) }
	for name, test := range map[string]struct{ record, why string }{
		"another service": {change(`"kms.amazonaws.com"`, `"s3.amazonaws.com"`), otherService},
		"another region":  {change(`"awsRegion":"eu-west-1"`, `"awsRegion":"us-east-1"`), otherPlace},
		"another account": {change(`"recipientAccountId":"111122223333"`, `"recipientAccountId":"444455556666"`), otherPlace},
		"a service event": {change(`"AwsApiCall"`, `"AwsServiceEvent"`), noCall},
		"an insight":      {change(`"AwsApiCall"`, `"AwsCloudTrailInsight"`), noCall},
		"another month":   {kms("2026-08-05T10:00:00Z", uuid(1), ""), otherMonth},
	} {
		got := readAll(t, reader(t), trail(file(test.record)))
		if total(got).Requests != 0 || got.Skipped[test.why] != 1 || got.Malformed.Count != 0 {
			t.Errorf("%s: %+v, skipped %v, malformed %+v", name, total(got), got.Skipped, got.Malformed)
		}
	}
	// A digest is known by its content, and by its path like an insight.
	got := readAll(t, reader(t), trail(`{"awsAccountId":"111122223333","digestStartTime":"2026-10-01T00:00:00Z","logFiles":[]}`))
	if got.Files[0].LeftOut != digestFile || got.Malformed.Count != 0 {
		t.Errorf("a digest: %+v", got.Files[0])
	}
	const dir = "AWSLogs/111122223333/"
	for name, want := range map[string]string{
		dir + "CloudTrail/eu-west-1/2026/10/01/111122223333_CloudTrail_eu-west-1_20261001T0000Z_a.json.gz": "",
		"AWSLogs/o-abc/111122223333/CloudTrail/eu-west-1/2026/10/01/x.json.gz":                             "",
		dir + "CloudTrail/us-east-1/2026/10/01/x.json.gz":                                                  otherPlace,
		"AWSLogs/444455556666/CloudTrail/eu-west-1/2026/10/01/x.json.gz":                                   otherPlace,
		dir + "CloudTrail-Digest/eu-west-1/2026/10/01/x.json.gz":                                           digestFile,
		"111122223333_CloudTrail-Digest_eu-west-1_t_eu-west-1_20261001T000000Z.json.gz":                    digestFile,
		dir + "CloudTrail-Insight/eu-west-1/2026/10/01/x.json.gz":                                          insightFile,
		"exportedlogs/aws-logs-write-test":                                                                 "the test that CloudWatch Logs writes before an export",
		"AWSLogs/.DS_Store":                                                                                "a hidden file",
		"my-copies/x.json":                                                                                 "", `AWSLogs\111122223333\CloudTrail\us-east-1\2026\10\01\x.json.gz`: otherPlace,
	} {
		if got := Skip(name, Place{account, region}); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
		if got := Skip(name, Place{}); want == otherPlace && got != "" {
			t.Errorf("%s: %q, though any place is asked for", name, got)
		}
	}
}

func TestClientLogs(t *testing.T) {
	t.Parallel()
	line := func(rest string) string {
		return `{"time":"2026-10-01T00:00:00.5Z","operation":"Decrypt","region":"eu-west-1",` + rest + "}\n"
	}
	got := readAll(t, reader(t), client(
		line(`"requestId":"a","status":200`)+
			line(`"requestId":"b","httpStatus":500,"attempt":1,"keyArn":"`+keyARN+`"`)+
			line(`"requestId":"c","httpStatus":200,"attempt":2,"account":"111122223333"`)+
			line(`"requestId":"d","errorCode":"DependencyTimeoutException"`)+
			line(`"requestId":"e","status":400,"errorCode":"ThrottlingException"`)+
			line(`"requestId":"f","status":503,"account":"444455556666"`)+
			strings.Replace(line(`"requestId":"g","status":503`), "00:00:00.5Z", "02:04:59+02:00", 1)+
			strings.Replace(line(`"requestId":"h","status":503`), "eu-west-1", "us-east-1", 1)))
	if want := (sla.Interval{Requests: 6, Faults: 2, Contestable: 1, Rejected: 1}); total(got) != want || got.Intervals[0].Requests != 6 {
		t.Errorf("%+v, want %+v all in the first interval; %+v", total(got), want, got.Malformed)
	}
	for want, bad := range map[string]string{
		"not valid JSON":     `{"time" ` + secret + "}\n",
		"no JSON object":     secret + "\n",
		"form of RFC 3339":   strings.Replace(line(`"requestId":"a","status":200`), "2026-10", secret, 1),
		"has no requestId":   line(`"status":200,"x":"` + secret + `"`),
		"no text":            line(`"requestId":["` + secret + `"],"status":200`),
		"has neither":        line(`"requestId":"a"`),
		"status (a number":   line(`"requestId":"a","status":"` + secret + `"`),
		"has no region":      `{"time":"2026-10-01T00:00:00Z","requestId":"a","status":200,"operation":"` + secret + `"}` + "\n",
		"not valid JSON too": line(`"requestId":"a","status":200`)[:60] + "\n",
	} {
		got := readAll(t, reader(t), client("\n \r\n"+bad))
		m := got.Malformed
		if m.Count != 1 || m.Records != 1 || !strings.HasPrefix(m.First[0], "c:3 ") || !strings.Contains(m.First[0], strings.TrimSuffix(want, " too")) || strings.Contains(m.First[0], secret) {
			t.Errorf("%q: %+v", bad, m)
		}
	}
}

// Some malformed records do not stop the others, and only the first are shown.
func TestMalformedRecordsAreCounted(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	for i := range 20 {
		fmt.Fprintf(&b, "%s\n{%s\n", kms("2026-10-01T00:00:00Z", uuid(i), ""), secret)
	}
	got := readAll(t, reader(t), trail(b.String()))
	if m := got.Malformed; m.Count != 20 || m.Records != 40 || len(m.First) != mostMalformed || m.First[1] != "f:4 is not valid JSON" || total(got).Requests != 20 {
		t.Errorf("%+v %+v", m, total(got))
	}
	bad := file(kms("2026-10-01T00:00:00Z", uuid(1), ""), strings.Replace(kms("x", uuid(2), ""), `"x"`, `"`+secret+`"`, 1), kms("2026-10-01T00:00:00Z", uuid(3), ""))
	got = readAll(t, reader(t), trail(bad))
	if m := got.Malformed; m.Count != 1 || !strings.HasPrefix(m.First[0], "f: byte ") || total(got).Requests != 2 {
		t.Errorf("%+v %+v", m, total(got))
	}
	got = readAll(t, reader(t), trail(secret+" "+kms("2026-10-01T00:00:00Z", uuid(1), "")))
	if m := got.Malformed; m.Count != 1 || m.First[0] != "f:1 "+errNoRecord.Error() {
		t.Errorf("a line that begins with something else: %+v", m)
	}
	// A line that no record can be this long for.
	long := kms("2026-10-01T00:00:00Z", uuid(1), "") + "\n" + `{"x":"` + strings.Repeat("x", maxRecord+1) + `"}` + "\n" + kms("2026-10-01T00:00:00Z", uuid(2), "") + "\n" + secret
	got = readAll(t, reader(t), trail(long))
	if m := got.Malformed; m.Count != 2 || !strings.HasPrefix(m.First[1], "f:4 ") || total(got).Requests != 2 || !strings.HasPrefix(m.First[0], "f:2 ") || !strings.Contains(m.First[0], "4 MiB") {
		t.Errorf("a long line: %+v %+v", m, total(got))
	}
}

// One request in several logs counts once: a fault if any says so, at the time
// that CloudTrail says.
func TestOneRequestInSeveralLogs(t *testing.T) {
	t.Parallel()
	call := `{"time":"2026-10-01T00:04:58Z","requestId":"` + strings.ToUpper(uuid(1)) + `","operation":"Decrypt","region":"eu-west-1","status":500}` + "\n"
	served := kms("2026-10-01T00:05:01Z", uuid(1), "")
	for _, order := range [][]input{{trail(file(served, served)), client(call + call)}, {client(call), trail(served), trail(served)}} {
		got := readAll(t, reader(t), order...)
		if got.Intervals[0].Requests != 0 || got.Intervals[1].Requests != 1 || got.Intervals[1].Faults != 1 || got.Disagreed != 1 {
			t.Errorf("%+v, told differently %d", got.Intervals[:2], got.Disagreed)
		}
		if len(got.Sources) != 2 || got.Sources[0].Requests != 1 || got.Sources[1].Requests != 1 {
			t.Errorf("sources %+v", got.Sources)
		}
	}
	// By the client's clock it was in the month, by CloudTrail's a second before.
	early := kms("2026-09-30T23:59:59Z", uuid(2), "KMSInternalException")
	late := strings.NewReplacer("2026-10-01T00:04:58Z", "2026-10-01T00:00:01Z", strings.ToUpper(uuid(1)), uuid(2)).Replace(call)
	if got := readAll(t, reader(t), client(late), trail(early)); total(got).Requests != 0 || len(got.Failed) != 0 {
		t.Errorf("a request of September counts in October: %+v", total(got))
	}
	// A retry has an ID of its own, and counts.
	if got := readAll(t, reader(t), trail(file(kms("2026-10-01T00:00:00Z", uuid(1), "KMSInternalException"), kms("2026-10-01T00:00:01Z", uuid(3), "")))); total(got) != (sla.Interval{Requests: 2, Faults: 1}) {
		t.Errorf("a retry: %+v", total(got))
	}
}

func TestFaultsOfACustomKeyStore(t *testing.T) {
	t.Parallel()
	store := `"additionalEventData":{"customKeyStoreId":"cks-1234567890abcdef0"},`
	got := readAll(t, reader(t), trail(file(
		kms("2026-10-01T00:00:00Z", uuid(1), "KMSInternalException", store), kms("2026-10-01T00:00:00Z", uuid(2), "", store),
		kms("2026-10-01T00:00:00Z", uuid(3), "KMSInvalidStateException", store), kms("2026-10-01T00:00:00Z", uuid(4), "KMSInternalException", `"additionalEventData":{"keyMaterialId":"x"},`))))
	if want := (sla.Interval{Requests: 4, Faults: 1, Contestable: 1, Rejected: 1}); total(got) != want {
		t.Errorf("%+v, want %+v", total(got), want)
	}
}

// What a rule for faults let through is no denominator.
// The log group of the evidence holds Health events too, which are no malformed
// records; anything else without an eventSource is.
func TestHealthEventsBesideTheFaults(t *testing.T) {
	t.Parallel()
	const health = `{"source":"aws.health","account":"111122223333","region":"eu-west-1","detail":{"service":"KMS","eventArn":"a"}}` + "\n"
	in := readAll(t, reader(t), trail(health+strings.Replace(health, "aws.health", "aws.kms", 1)))
	if in.Skipped[healthEvent] != 1 || in.Malformed.Count != 1 {
		t.Errorf("%v, %+v", in.Skipped, in.Malformed)
	}
}

// EventBridge leaves a field empty that it was to pick and that the event lacks.
func TestEmptyFieldsAreNone(t *testing.T) {
	t.Parallel()
	picked := func(id, store string) string {
		return `{"detail":{"eventTime":"2026-10-01T00:00:00Z","eventSource":"kms.amazonaws.com","eventName":"Decrypt","errorCode":"KMSInternalException",` +
			`"awsRegion":"eu-west-1","recipientAccountId":"111122223333","eventType":"AwsApiCall","eventID":"` + id + `","requestID":"",` +
			`"resources":[{"ARN":""},{"ARN":""}],"additionalEventData":{"customKeyStoreId":"` + store + `"}}}` + "\n"
	}
	in := readAll(t, reader(t), trail(picked(uuid(1), "")+picked(uuid(2), "")+picked(uuid(3), "cks-1234567890abcdef0")))
	if sum := total(in); sum.Requests != 3 || sum.Faults != 2 || sum.Contestable != 1 || len(in.Keys) != 0 || in.Malformed.Count != 0 {
		t.Errorf("%+v, keys %q, %+v", sum, in.Keys, in.Malformed)
	}
}

func TestFaultsWithoutADenominator(t *testing.T) {
	t.Parallel()
	bridge := `{"account":"111122223333","region":"eu-west-1","detail":` + kms("2026-10-01T00:00:00Z", uuid(1), "KMSInternalException") + "}\n"
	if got := readAll(t, reader(t), trail(bridge)); !got.Intervals[0].Partial {
		t.Error("faults of EventBridge alone pass as all requests")
	}
	if got := readAll(t, reader(t), trail(bridge), trail(kms("2026-10-01T00:00:00Z", uuid(2), ""))); got.Intervals[0].Partial {
		t.Error("the requests of CloudTrail are no denominator")
	}
	served := strings.Replace(strings.Replace(bridge, uuid(1), uuid(7), 2), `"errorCode":"KMSInternalException",`, "", 1)
	if got := readAll(t, reader(t), trail(bridge+served)); got.Intervals[0].Partial {
		t.Error("a rule that lets what was served through is no denominator")
	}
	line := func(n, status int) string {
		return fmt.Sprintf(`{"time":"2026-10-01T00:00:00Z","requestId":"%s","region":"eu-west-1","status":%d}`+"\n", uuid(n), status)
	}
	for name, test := range map[string]struct {
		client string
		only   bool
	}{
		"the rule's own fault": {line(1, 500), true}, "other failures": {line(2, 500) + line(3, 400), true}, "a request that was served": {line(2, 500) + line(3, 200), true},
		"the rule's own fault and a request that was served": {line(1, 500) + line(3, 200), false},
	} {
		if got := readAll(t, reader(t), trail(bridge), client(test.client)); got.Intervals[0].Partial != test.only {
			t.Errorf("client logs with %s: faults only is %v", name, !test.only)
		}
	}
}

// counted is all that must not depend on order, division and duplication.
func counted(in sla.Input) sla.Input {
	in.Files, in.Malformed, in.Skipped = nil, sla.Malformed{}, nil
	return in
}

// Order, division into files, duplicates, gzip, and how much fits into memory
// change nothing.
func TestOrderAndDivisionDoNotMatter(t *testing.T) {
	t.Parallel()
	for seed := range uint64(6) {
		rng := rand.New(rand.NewPCG(seed, 1))
		var records []input
		for i := range 600 {
			at := october.Start().Add(time.Duration(rng.Int64N(40*60)-600) * time.Second)
			id := uuid(rng.IntN(400))
			code := []string{"", "", "", "KMSInternalException", "DependencyTimeoutException", "ThrottlingException", "NewException", "OtherException"}[rng.IntN(8)]
			if i%3 == 0 {
				records = append(records, client(fmt.Sprintf(`{"time":%q,"requestId":%q,"operation":"Sign","region":"eu-west-1","status":%d,"keyArn":%q}`, at.Format(time.RFC3339), id, []int{200, 500, 502, 504}[rng.IntN(4)], keyARN+fmt.Sprint(rng.IntN(9)))))
				continue
			}
			records = append(records, trail(kms(at.Format("2006-01-02T15:04:05Z"), id, code)))
		}
		var want *sla.Input
		for round := range 4 {
			r := reader(t)
			if round > 0 {
				rng.Shuffle(len(records), func(i, j int) { records[i], records[j] = records[j], records[i] })
				r.tally.max = []int{0, 1 << 20, 64, 7}[round] // it spills, and the parts spill again
			}
			var files []input
			for rest := records; len(rest) > 0; {
				n := min(len(rest), 1+rng.IntN(90))
				var ct, cl []string
				for _, rec := range rest[:n] {
					for range 1 + rng.IntN(1+round) {
						if rec.client {
							cl = append(cl, rec.data)
						} else {
							ct = append(ct, rec.data)
						}
					}
				}
				rest = rest[n:]
				files = append(files, client(strings.Join(cl, "\n")), trail(zip(t, file(ct...))))
			}
			got := counted(readAll(t, r, files...))
			if want == nil {
				want = &got
				if total(got).Requests == 0 || len(got.Failed) == 0 || got.Disagreed == 0 {
					t.Fatalf("seed %d shows nothing: %+v", seed, total(got))
				}
			} else if !reflect.DeepEqual(*want, got) {
				t.Fatalf("seed %d, round %d: %+v, want %+v", seed, round, total(got), total(*want))
			}
		}
	}
}

// Of a great outage a bounded number of requests is listed, the same whatever
// the order; the others are counted.
func TestFewOfManyFailedRequests(t *testing.T) {
	t.Parallel()
	var records []string
	for i := range 3 * mostListed {
		records = append(records, kms("2026-10-01T00:00:00Z", uuid(i), "KMSInternalException"))
	}
	first := readAll(t, reader(t), trail(file(records...)))
	slices.Reverse(records)
	second := readAll(t, reader(t), trail(file(records...)))
	if len(first.Failed) != mostListed || first.MoreFailed != 2*mostListed || !reflect.DeepEqual(first.Failed, second.Failed) {
		t.Errorf("%d listed, %d more, the same backwards: %v", len(first.Failed), first.MoreFailed, reflect.DeepEqual(first.Failed, second.Failed))
	}
}

// A file name comes from anybody who could write the archive.
func TestFileNamesDoNotSteerATerminal(t *testing.T) {
	t.Parallel()
	got := readAll(t, reader(t), input{name: "a\x1b[2J\u202eb", data: "x\n" + file(kms("x", "y", ""))[:99]})
	if name := got.Files[0].Name; name != "a\uFFFD[2J\uFFFDb" || !strings.HasPrefix(got.Malformed.First[0], name+":1 ") {
		t.Errorf("%q, %q", name, got.Malformed.First)
	}
}

func TestNothingSecretIsKept(t *testing.T) {
	t.Parallel()
	record := kms("2026-10-01T00:00:00Z", secret+" in an id, which is no id", "KMSInternalException")
	record = strings.Replace(record, `"eventName":"Decrypt"`, `"eventName":"=cmd|hunter2"`, 1)
	got := readAll(t, reader(t), trail(file(record, kms("x", "y", ""))))
	data, err := json.Marshal(got)
	if err != nil || bytes.Contains(data, []byte(secret)) {
		t.Errorf("%v %s", err, data)
	}
	if len(got.Failed) != 1 || got.Failed[0].ID != sla.Hidden || got.Failed[0].Operation != sla.Hidden {
		t.Errorf("%+v", got.Failed)
	}
}

// A secret of letters and digits alone has no form of KMS either. It counts, and
// each such ID once.
func TestWhatHasNotTheFormOfKMSIsHidden(t *testing.T) {
	t.Parallel()
	line := func(id, operation, key string) string {
		return `{"time":"2026-10-01T00:00:00Z","requestId":"` + id + `","operation":"` + operation + `","region":"eu-west-1","keyArn":"` + key + `","status":500}` + "\n"
	}
	odd := line(secret, secret, "arn:aws:kms:eu-west-1:111122223333:key/"+secret) + line(secret, secret, "arn:aws:kms:eu-west-1:"+secret+":key/1234abcd-12ab-34cd-56ef-1234567890ab")
	got := readAll(t, reader(t), client(odd+line(uuid(1), "GenerateDataKeyWithoutPlaintext", keyARN)+line("g"+uuid(1)[1:], "a", "")))
	if total(got).Faults != 3 || !slices.Equal(got.Keys, []string{keyARN}) || len(got.Failed) != 3 {
		t.Fatalf("%+v, keys %v, %+v", total(got), got.Keys, got.Failed)
	}
	var shown []string
	for _, q := range got.Failed {
		shown = append(shown, q.ID+" "+q.Operation+" "+q.Key)
	}
	if want := []string{"*** *** ", "*** *** ***", uuid(1) + " GenerateDataKeyWithoutPlaintext " + keyARN}; !slices.Equal(shown, want) {
		t.Errorf("%q, want %q", shown, want)
	}
}

// A status that is not one of the code makes a fault that AWS may contest.
func TestContradictoryLines(t *testing.T) {
	t.Parallel()
	var lines string
	for i, outcome := range []string{
		`"status":400,"errorCode":"KMSInternalException"`, `"status":200,"errorCode":"InternalFailure"`, `"status":500,"errorCode":"ThrottlingException"`, `"status":503,"errorCode":"AccessDeniedException"`, `"status":500,"errorCode":"Throttling"`, `"status":500,"errorCode":"Unknown"`,
		`"status":500,"errorCode":"KMSInternalException"`, `"status":400,"errorCode":"ThrottlingException"`, `"status":503`, `"errorCode":"KMSInternalException"`,
	} {
		lines += fmt.Sprintf(`{"time":"2026-10-01T00:00:00Z","requestId":"%s","region":"eu-west-1",%s}`+"\n", uuid(i), outcome)
	}
	got := readAll(t, reader(t), client(lines))
	if want := (sla.Interval{Requests: 10, Faults: 4, Contestable: 5, Rejected: 1}); total(got) != want || got.Contradictory != 5 {
		t.Errorf("%+v, want %+v; %d contradictory, want 5", total(got), want, got.Contradictory)
	}
}

// The line that the page shows is read as it says.
func TestTheDocumentedRequest(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../docs/sla-logs.md")
	if err != nil {
		t.Fatal(err)
	}
	_, line, found := strings.Cut(string(page), "```json\n")
	line, _, _ = strings.Cut(line, "```")
	line = strings.NewReplacer("0d8e…", uuid(1), "arn:aws:kms:…", "arn:aws:kms:eu-west-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab").Replace(line)
	got := readAll(t, reader(t), client(line))
	if !found || total(got) != (sla.Interval{Requests: 1, Faults: 1}) || len(got.Failed) != 1 {
		t.Errorf("%+v of %s", total(got), line)
	}
}
