package slalog

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
	"time"

	"keywatch/internal/sla"
)

// sent is what botocore sends for an attempt (botocore/monitoring.py), with a secret
// wherever there could be one.
func sent(api, outcome string) string {
	return `{"Version":1,"ClientId":"hunter2","Type":"ApiCallAttempt","Service":"KMS","Api":"` + api + `","Timestamp":1790812800123,"AttemptLatency":12,"Fqdn":"hunter2","UserAgent":"hunter2","AccessKey":"hunter2","Region":"eu-west-1","SessionToken":"hunter2",` + outcome + `}`
}

// monitored are the events of three calls of KMS with five attempts, two of which
// were answered by a fault and one of which by nobody, and of one call of S3.
func monitored() []string {
	whole := func(e string) string {
		return strings.NewReplacer(`"ApiCallAttempt"`, `"ApiCall"`, `"XAmznRequestId"`, `"Final"`, `"HttpStatusCode"`, `"FinalHttpStatusCode"`).Replace(e)
	}
	served := sent("Decrypt", `"HttpStatusCode":200,"XAmznRequestId":"`+uuid(1)+`"`)
	return []string{
		served, whole(served),
		sent("Encrypt", `"HttpStatusCode":500,"XAmznRequestId":"`+uuid(2)+`","AwsException":"KMSInternalException","AwsExceptionMessage":"hunter2 }{\"Type\":"`),
		sent("Encrypt", `"SdkException":"ConnectTimeoutError","SdkExceptionMessage":"hunter2"`),
		sent("Encrypt", `"HttpStatusCode":503,"XAmznRequestId":"`+uuid(3)+`"`), whole(served),
		sent("Decrypt", `"HttpStatusCode":400,"XAmznRequestId":"`+uuid(4)+`","AwsException":"NotFoundException","AwsExceptionMessage":"hunter2"`), whole(served),
		strings.Replace(sent("ListBuckets", `"HttpStatusCode":200,"XAmzRequestId":"x"`), `"KMS"`, `"S3"`, 1),
	}
}

// ours is a line of our own form.
const ours = `{"time":"2026-10-01T00:00:00Z","requestId":"00000009-63bc-11e4-bc2b-4198b6150d5c","operation":"Sign","region":"eu-west-1","status":200}`

// The monitoring of an AWS SDK counts each attempt that has a request ID, beside
// our own lines, with line ends and without.
func TestTheMonitoringOfAnSDK(t *testing.T) {
	t.Parallel()
	events := append(monitored(), ours)
	lines := strings.Join(events, "\n") + "\n"
	for name, data := range map[string]string{
		"lines": lines, "lines of Windows": strings.ReplaceAll(lines, "\n", "\r\n"), "back to back": strings.Join(events, ""), "with spaces": strings.Join(events, " \t"),
		"some lines": strings.Join(events[:4], "") + "\n" + strings.Join(events[4:], ""), "gzip": zip(t, strings.Join(events, "")), "a list": "[" + strings.Join(events, ",\n") + "]",
		"a mark": "\xef\xbb\xbf" + lines, "pretty-printed list": indented(t, "["+strings.Join(events, ",")+"]"),
	} {
		got := readAll(t, reader(t), client(data))
		if want := (sla.Interval{Requests: 5, Faults: 2, Rejected: 1}); total(got) != want || got.Intervals[0].Requests != 5 || got.Malformed.Count != 0 || got.Files[0].Damage != "" || got.Files[0].Records != 10 {
			t.Errorf("%s: %+v, want %+v in the first interval; %+v %+v", name, total(got), want, got.Files[0], got.Malformed)
		}
		if want := map[string]int64{otherService: 1, wholeCall: 3, noAnswer: 1}; !reflect.DeepEqual(got.Skipped, want) {
			t.Errorf("%s: not counted: %v, want %v", name, got.Skipped, want)
		}
		if len(got.Failed) != 2 || got.Failed[0].ID != uuid(2) || got.Failed[0].Operation != "Encrypt" || got.Failed[0].Code != "KMSInternalException" || got.Failed[0].Status != 500 || got.Failed[1].Status != 503 || got.Failed[0].Key != "" {
			t.Errorf("%s: failed %+v", name, got.Failed)
		}
		if said := fmt.Sprintf("%+v", got); strings.Contains(said, secret) {
			t.Errorf("%s: a secret is kept: %s", name, said)
		}
	}
}

// What the SDKs do otherwise: an empty text for what they do not have, numbers with
// a point, the service ID in another case, members in another order.
func TestWhatOtherSDKsSend(t *testing.T) {
	t.Parallel()
	base := sent("Decrypt", `"HttpStatusCode":500,"XAmznRequestId":"`+uuid(1)+`","AwsException":"KMSInternalException"`)
	change := func(from, to string) string { return strings.Replace(base, from, to, 1) }
	for name, test := range map[string]struct {
		data string
		want sla.Interval
		why  string
	}{
		"Go without an answer":  {change(`"XAmznRequestId":"`+uuid(1)+`"`, `"XAmznRequestId":""`), sla.Interval{}, noAnswer},
		"a request ID of null":  {change(`"`+uuid(1)+`"`, `null`), sla.Interval{}, noAnswer},
		"with an exponent":      {change("1790812800123", "1.790812800123e12"), sla.Interval{Requests: 1, Faults: 1}, ""},
		"the service in lower":  {change(`"KMS"`, `"kms"`), sla.Interval{Requests: 1, Faults: 1}, ""},
		"an empty exception":    {change(`"AwsException":"KMSInternalException"`, `"AwsException":""`), sla.Interval{Requests: 1, Faults: 1}, ""},
		"no exception, served":  {sent("Decrypt", `"HttpStatusCode":200,"XAmznRequestId":"`+uuid(1)+`","AwsException":null`), sla.Interval{Requests: 1}, ""},
		"another service":       {change(`"KMS"`, `"KMS Other"`), sla.Interval{}, otherService},
		"another region":        {change("eu-west-1", "us-east-1"), sla.Interval{}, otherPlace},
		"another month":         {change("1790812800123", "1780812800123"), sla.Interval{}, otherMonth},
		"unanswered, elsewhere": {sent("Decrypt", `"Region":"us-east-1"`), sla.Interval{}, otherPlace},
		"unanswered, long ago":  {strings.Replace(sent("Decrypt", `"x":1`), "1790812800123", "1780812800123", 1), sla.Interval{}, otherMonth},
		"the members reversed":  {`{"XAmznRequestId":"` + uuid(1) + `","HttpStatusCode":500,"Region":"eu-west-1","Timestamp":1790812800123,"Api":"Decrypt","Service":"KMS","Type":"ApiCallAttempt"}`, sla.Interval{Requests: 1, Faults: 1}, ""},
		"an unsigned call":      {`{"Type":"ApiCallAttempt","Service":"STS","Timestamp":1790812800123}`, sla.Interval{}, otherService},
		"ours with their names": {strings.Replace(ours, `{`, `{"Type":"ApiCallAttempt","Service":"S3","Region":"us-east-1","Timestamp":"hunter2",`, 1), sla.Interval{Requests: 1}, ""},
		"ours with a type":      {strings.Replace(ours, `{`, `{"Type":7,"Service":{},"HttpStatusCode":"hunter2",`, 1), sla.Interval{Requests: 1}, ""},
	} {
		got := readAll(t, reader(t), client(test.data))
		if total(got) != test.want || got.Malformed.Count != 0 || test.why == "" && len(got.Skipped) != 0 || test.why != "" && got.Skipped[test.why] != 1 {
			t.Errorf("%s: %+v, want %+v, not counted %v; %+v", name, total(got), test.want, got.Skipped, got.Malformed)
		}
	}
	for bad, want := range map[string]string{
		change("1790812800123", `"hunter2"`): "has no Timestamp", change("1790812800123", "NaN"): "has no Timestamp", change("1790812800123", "-1"): "has no Timestamp", change(`"Timestamp":1790812800123,`, ""): "has no Timestamp", change("1790812800123", "1e300"): "has no Timestamp",
		sent("Decrypt", `"XAmznRequestId":"x","AwsException":""`): "has neither status",
		change(`"Region":"eu-west-1",`, ""):                       "has no region", change("eu-west-1", "hunter2 x"): "has no region", change(`500,`, `"hunter2",`): "has neither status",
		change(`"ApiCallAttempt"`, `"hunter2"`): "has no time", strings.TrimSuffix(base, "}") + " hunter2}": "not valid JSON",
	} {
		got := readAll(t, reader(t), client(bad+"\n"+ours))
		if m := got.Malformed; m.Count != 1 || !strings.HasPrefix(m.First[0], "c:1 "+want) && !strings.Contains(m.First[0], want) || strings.Contains(m.First[0], secret) || total(got).Requests != 1 {
			t.Errorf("%s: %+v %+v, want %q", bad, total(got), m, want)
		}
	}
}

// A datagram that was cut off costs those it touches, and no other.
func TestADatagramThatWasCutOff(t *testing.T) {
	t.Parallel()
	one := func(n int) string { return sent("Decrypt", `"HttpStatusCode":200,"XAmznRequestId":"`+uuid(n)+`"`) }
	for at := 2; at < len(one(1)); at++ {
		data := one(1)[:at] + "\n" + one(2) + one(3) + one(4)
		if got := readAll(t, reader(t), client(data)); total(got).Requests != 3 || got.Malformed.Count != 1 {
			t.Fatalf("a line of %d bytes: %+v %+v", at, total(got), got.Malformed)
		}
		data = one(1)[:at] + one(2) + one(3) + one(4)
		if got := readAll(t, reader(t), client(data)); total(got).Requests < 2 && got.Files[0].Damage == "" || got.Malformed.Count == 0 && got.Files[0].Damage == "" {
			t.Fatalf("%d bytes, back to back: %+v %+v %+v", at, total(got), got.Files[0], got.Malformed)
		}
	}
}

// The same attempts in the form of the monitoring and in ours are the same requests,
// whatever their order, and however often they are told.
func TestTheMonitoringSaysWhatOurLinesSay(t *testing.T) {
	t.Parallel()
	for seed := range uint64(4) {
		rng := rand.New(rand.NewPCG(seed, 3))
		type pair struct{ ours, theirs string }
		var all []pair
		for range 200 {
			at := october.Start().Unix() + rng.Int64N(40*60) - 600
			id, status := uuid(rng.IntN(150)), []int{200, 400, 500}[rng.IntN(3)]
			code, exception := "", ""
			if status > 200 {
				name := []string{"ThrottlingException", "KMSInternalException"}[rng.IntN(2)]
				code, exception = `,"errorCode":"`+name+`"`, `,"AwsException":"`+name+`"`
			}
			all = append(all, pair{
				fmt.Sprintf(`{"time":%q,"requestId":%q,"operation":"Sign","region":"eu-west-1","status":%d%s}`, time.Unix(at, 0).UTC().Format(time.RFC3339), id, status, code),
				strings.Replace(sent("Sign", fmt.Sprintf(`"HttpStatusCode":%d,"XAmznRequestId":%q%s`, status, id, exception)), "1790812800123", fmt.Sprint(at*1000+999), 1),
			})
		}
		var want strings.Builder
		for _, p := range all {
			want.WriteString(p.ours + "\n")
		}
		first := counted(readAll(t, reader(t), client(want.String())))
		for range 3 {
			rng.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
			var b strings.Builder
			for _, p := range all {
				b.WriteString([]string{p.theirs, p.theirs + "\n", p.theirs + p.theirs}[rng.IntN(3)])
				if rng.IntN(2) == 0 {
					b.WriteString(p.ours)
				}
			}
			got := counted(readAll(t, reader(t), client(b.String())))
			// How many contradict themselves is of lines, which are told again here.
			got.Contradictory = first.Contradictory
			if !reflect.DeepEqual(got, first) || total(got).Faults == 0 {
				t.Fatalf("seed %d: %+v, want %+v", seed, total(got), total(first))
			}
		}
	}
}
