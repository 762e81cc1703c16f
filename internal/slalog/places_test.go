package slalog

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"keywatch/internal/sla"
)

// at moves a record to another account and region.
func at(p Place, record string) string {
	return strings.NewReplacer(`"awsRegion":"eu-west-1"`, `"awsRegion":"`+p.Region+`"`, `"recipientAccountId":"111122223333"`, `"recipientAccountId":"`+p.Account+`"`).Replace(record)
}

// One pass over the logs of several accounts and regions gives each of them what a
// pass for it alone gives: they are never merged. The same request ID in two accounts
// is two requests.
func TestEachPlaceIsJudgedAlone(t *testing.T) {
	t.Parallel()
	places := []Place{{"111122223333", "eu-west-1"}, {"111122223333", "us-east-1"}, {"444455556666", "eu-west-1"}}
	rng := rand.New(rand.NewPCG(7, 7))
	var trails, clients []string
	for range 900 {
		p := places[rng.IntN(3)]
		when := october.Start().Add(time.Duration(rng.Int64N(50*3600)-3600) * time.Second)
		id := uuid(rng.IntN(300))
		if rng.IntN(4) == 0 {
			clients = append(clients, fmt.Sprintf(`{"time":%q,"requestId":%q,"operation":"Sign","region":%q,"account":%q,"status":%d}`, when.Format(time.RFC3339), id, p.Region, p.Account, []int{200, 200, 500, 502}[rng.IntN(4)]))
			continue
		}
		record := at(p, kms(when.Format("2006-01-02T15:04:05Z"), id, []string{"", "", "KMSInternalException", "NewException", "NotFoundException"}[rng.IntN(5)]))
		if rng.IntN(9) == 0 {
			record = strings.Replace(record, "kms.amazonaws.com", "ec2.amazonaws.com", 1)
		}
		trails = append(trails, record)
	}
	// A region with a trail and no request to KMS is no place of a report.
	trails = append(trails, strings.Replace(at(Place{"111122223333", "sa-east-1"}, kms("2026-10-03T00:00:00Z", uuid(1), "")), "kms.amazonaws.com", "s3.amazonaws.com", 1))
	files := []input{trail(file(trails...)), client(strings.Join(clients, "\n"))}

	for name, max := range map[string]int{"in memory": 1 << 20, "in files": 64} {
		r := readerOf(t, Place{}, october)
		r.tally.max = max
		together := readPlaces(t, r, files...)
		if len(together) != len(places) {
			t.Fatalf("%d places, want %d", len(together), len(places))
		}
		for i, p := range places {
			alone := readAll(t, readerOf(t, p, october), files...)
			if alone.Account != p.Account || alone.Region != p.Region || total(alone).Requests == 0 || total(alone).Faults == 0 {
				t.Fatalf("%+v: %+v", p, total(alone))
			}
			if !reflect.DeepEqual(alone, together[i]) {
				t.Errorf("%s, %+v: alone %+v, together %+v", name, p, total(alone), total(together[i]))
			}
		}
	}
	// One of account and region picks the places with it.
	for only, want := range map[Place][]Place{{Account: "111122223333"}: places[:2], {Region: "eu-west-1"}: {places[0], places[2]}, {Region: "sa-east-1"}: nil} {
		var got []Place
		for _, in := range readPlaces(t, readerOf(t, only, october), files...) {
			got = append(got, Place{in.Account, in.Region})
		}
		if !slices.Equal(got, want) {
			t.Errorf("%+v: %v, want %v", only, got, want)
		}
	}
}

// A client's line without an account is of the account that is asked for; without one
// nobody knows, and nothing is guessed.
func TestLinesWithoutAnAccount(t *testing.T) {
	t.Parallel()
	line := client(`{"time":"2026-10-01T00:00:00Z","requestId":"` + uuid(1) + `","region":"eu-west-1","status":200}`)
	if in := readPlaces(t, readerOf(t, Place{Account: account}, october), line); len(in) != 1 || in[0].Malformed.Count != 0 || in[0].Account != account {
		t.Errorf("%+v", in)
	}
	r := readerOf(t, Place{}, october)
	if in := readPlaces(t, r, line); len(in) != 0 || r.malformed.Count != 1 || !strings.Contains(r.malformed.First[0], "--account") {
		t.Errorf("%+v %+v", in, r.malformed)
	}
}

// Memory is bounded: so many places, and no more.
func TestTooManyPlaces(t *testing.T) {
	t.Parallel()
	r := readerOf(t, Place{}, october)
	var records []string
	for i := range mostJudged + 1 {
		records = append(records, at(Place{fmt.Sprintf("%012d", i), "eu-west-1"}, kms("2026-10-01T00:00:00Z", uuid(i), "")))
	}
	if err := r.CloudTrail("f", strings.NewReader(file(records...))); err == nil || !strings.Contains(err.Error(), "more than 256 accounts and regions; name an account or a region") {
		t.Errorf("%v", err)
	}
	var lines strings.Builder // without KMS, of which there may be more
	for i := range mostPlaces + 1 {
		fmt.Fprintf(&lines, `{"eventTime":"2026-10-01T00:00:00Z","eventSource":"s3.amazonaws.com","awsRegion":"eu-west-1","recipientAccountId":"%012d","eventType":"AwsApiCall"}`+"\n", i)
	}
	r = readerOf(t, Place{}, october)
	if err := r.CloudTrail("f", strings.NewReader(lines.String())); err == nil || !strings.Contains(err.Error(), "more than 65536 accounts and regions") || len(r.places) != mostPlaces {
		t.Errorf("%v, %d places", err, len(r.places))
	}
}

// Every code of a request that was not served is told, with what it counts as: one
// that the terms do not know is never taken for the caller's in silence.
func TestEveryErrorCodeIsTold(t *testing.T) {
	t.Parallel()
	records := []string{
		kms("2026-10-01T00:00:00Z", uuid(1), "KMSInternalException"), kms("2026-10-01T00:00:00Z", uuid(2), "KMSInternalException", `"additionalEventData":{"customKeyStoreId":"c"},`),
		kms("2026-10-01T00:00:00Z", uuid(3), "NewException"), kms("2026-10-01T00:00:00Z", uuid(4), "NewException"), kms("2026-10-01T00:00:00Z", uuid(4), "NewException"),
		kms("2026-10-01T00:00:00Z", uuid(5), "AccessDenied"), kms("2026-10-01T00:00:00Z", uuid(6), "pass word"), kms("2026-10-01T00:00:00Z", uuid(7), ""),
		kms("2026-11-02T00:00:00Z", uuid(8), "NewException"), // of another month
	}
	lines := `{"time":"2026-10-01T00:00:00Z","requestId":"` + uuid(9) + `","region":"eu-west-1","status":502}` + "\n" +
		`{"time":"2026-10-01T00:00:00Z","requestId":"` + uuid(3) + `","region":"eu-west-1","status":504}`
	got := readAll(t, reader(t), trail(file(records...)), client(lines))
	want := []sla.CodeCount{
		{Code: "NewException", CountsAs: "unknown", Requests: 2}, {Code: "***", CountsAs: "unknown", Requests: 1}, {Code: "AccessDenied", CountsAs: "rejected", Requests: 1},
		{Code: "HTTP-502", CountsAs: "unknown", Requests: 1}, {Code: "KMSInternalException", CountsAs: "contestable", Requests: 1}, {Code: "KMSInternalException", CountsAs: "fault", Requests: 1},
	}
	if !slices.Equal(got.Codes, want) {
		t.Errorf("%+v", got.Codes)
	}
	if sum := (sla.Interval{Requests: 8, Faults: 1, Contestable: 1, Rejected: 1, Unjudged: 4}); total(got) != sum {
		t.Errorf("%+v, want %+v", total(got), sum)
	}
}

// With more codes than there are numbers for, those of the terms keep their names and
// all others are one: which came first does not matter.
func TestMoreCodesThanNumbers(t *testing.T) {
	t.Parallel()
	var records []string
	for i := range 400 {
		code := fmt.Sprintf("New%c%cException", 'a'+i/26, 'a'+i%26)
		if i%100 == 99 {
			code = "ThrottlingException"
		}
		records = append(records, kms("2026-10-01T00:00:00Z", uuid(i), code))
	}
	for range 3 {
		got := readAll(t, reader(t), trail(file(records...)))
		if want := []sla.CodeCount{{Code: sla.OtherCodes, CountsAs: "unknown", Requests: 396}, {Code: "ThrottlingException", CountsAs: "rejected", Requests: 4}}; !slices.Equal(got.Codes, want) {
			t.Errorf("%+v", got.Codes)
		}
		rand.Shuffle(len(records), func(i, j int) { records[i], records[j] = records[j], records[i] })
	}
}

// Of two words for one request the same is told in whatever order they come, also when
// there are more codes than numbers.
func TestTwoCodesOfOneRequest(t *testing.T) {
	known := newCodes([]string{"ThrottlingException"})
	status, other, another := known.number("HTTP-429"), known.number("ZzzException"), known.number("AaaException")
	order := []uint8{0, status, another, other, known.number("ThrottlingException")} // a code of the terms before all, a status after codes
	for i, a := range order {
		for j, b := range order {
			if known.more(a, b) != (i > j) {
				t.Errorf("%q before %q: %v", known.name(a), known.name(b), i <= j)
			}
		}
	}
	t.Parallel()
	var records []string
	for i := range 300 {
		records = append(records, kms("2026-10-01T00:00:00Z", uuid(i), fmt.Sprintf("New%c%cException", 'a'+i/26, 'a'+i%26)))
	}
	two := []string{kms("2026-10-01T00:00:00Z", uuid(999), "ThrottlingException"), kms("2026-10-01T00:00:00Z", uuid(999), "AaException")}
	want := readAll(t, reader(t), trail(file(append(slices.Clone(two), records...)...))).Codes
	slices.Reverse(two)
	for _, all := range [][]string{append(slices.Clone(two), records...), append(slices.Clone(records), two...)} {
		r := reader(t)
		r.tally.max = 8
		if got := readAll(t, r, trail(file(all...))).Codes; !slices.Equal(got, want) {
			t.Errorf("%+v, want %+v", got, want)
		}
	}
}

// A client's log that holds served requests near an outage is a whole log, so an
// interval in which all failed has a denominator; one that holds failures alone has
// none, nor has a rule's, nor a day without anything served around it.
func TestATotalOutageInAWholeLog(t *testing.T) {
	t.Parallel()
	line := func(when string, n, status int) string {
		return fmt.Sprintf(`{"time":%q,"requestId":%q,"region":"eu-west-1","status":%d}`+"\n", when, uuid(n), status)
	}
	outage := line("2026-10-07T12:00:00Z", 1, 503) + line("2026-10-07T12:01:00Z", 2, 503) + line("2026-10-07T12:02:00Z", 5, 400)
	const interval = 6*288 + 144
	for name, test := range map[string]struct {
		more  input
		whole bool
	}{
		"served before":            {client(line("2026-10-07T00:00:00Z", 3, 200)), true},
		"served after":             {client(line("2026-10-08T00:04:59Z", 3, 200)), true},
		"served a little too late": {client(line("2026-10-08T00:05:00Z", 3, 200)), false},
		"served a little too soon": {client(line("2026-10-06T23:59:59Z", 3, 200)), false},
		"served a day before":      {client(line("2026-10-06T12:00:00Z", 3, 200)), false},
		"rejected alone":           {client(line("2026-10-07T11:00:00Z", 3, 400)), false},
		"nothing else":             {client(""), false},
		"a rule's word of a fault": {trail(`{"account":"111122223333","region":"eu-west-1","detail":` + kms("2026-10-07T11:00:00Z", uuid(3), "KMSInternalException") + `}`), false},
		"served, says another log": {trail(kms("2026-10-07T11:00:00Z", uuid(3), "")), false},
	} {
		got := readAll(t, reader(t), client(outage), test.more)
		iv := got.Intervals[interval]
		if iv.Requests != 3 || iv.Faults != 2 || iv.AllFailed != test.whole || iv.Partial == test.whole {
			t.Errorf("%s: %+v", name, iv)
		}
	}
	// A rule knows of a fault that the client's log does not hold: there are other
	// clients, and nobody knows how much they asked for.
	bridge := func(n int) string {
		return `{"account":"111122223333","region":"eu-west-1","detail":` + kms("2026-10-07T12:03:00Z", uuid(n), "KMSInternalException") + "}\n"
	}
	near := line("2026-10-07T11:00:00Z", 3, 200)
	for name, test := range map[string]struct {
		bridge, client string
		only           bool
	}{
		"another client's fault":                        {bridge(9), outage + near, true},
		"another client's fault, and one was served":    {bridge(9), outage + line("2026-10-07T12:04:00Z", 4, 200), true},
		"the client's own fault":                        {bridge(1), outage + near, false},
		"the client's own fault, and one was served":    {bridge(1), outage + line("2026-10-07T12:04:00Z", 4, 200), false},
		"another client's fault and nothing of the own": {bridge(9), near, true},
		"another client's rejected request":             {strings.Replace(bridge(9), "KMSInternalException", "AccessDenied", 1), outage + near, true},
		"a fault and a rejected request of a rule":      {bridge(9) + strings.Replace(bridge(8), "KMSInternalException", "AccessDenied", 1), "", true},
	} {
		got := readAll(t, reader(t), trail(test.bridge), client(test.client))
		if iv := got.Intervals[interval]; iv.Partial != test.only {
			t.Errorf("%s: %+v", name, iv)
		}
		// CloudTrail's own file has all that was served.
		got = readAll(t, reader(t), trail(test.bridge), client(test.client), trail(file(kms("2026-10-07T12:00:00Z", uuid(50), ""))))
		if iv := got.Intervals[interval]; iv.Partial || iv.AllFailed {
			t.Errorf("%s, and CloudTrail: %+v", name, iv)
		}
	}
	// The end of the month before vouches for its beginning.
	first := line("2026-10-01T00:00:00Z", 1, 503)
	if got := readAll(t, reader(t), client(line("2026-09-30T13:00:00Z", 2, 200)+first)); !got.Intervals[0].AllFailed || total(got).Requests != 1 {
		t.Errorf("%+v", got.Intervals[0])
	}
	last := line("2026-10-31T23:59:59Z", 1, 503)
	if got := readAll(t, reader(t), client(line("2026-11-01T11:00:00Z", 2, 200)+last)); !got.Intervals[8927].AllFailed {
		t.Errorf("%+v", got.Intervals[8927])
	}
}

// Of many keys so many are kept, while the logs are read too, and the report says that
// there are more.
func TestMoreKeysThanAClaimShows(t *testing.T) {
	t.Parallel()
	record := func(i int) string {
		key := fmt.Sprintf("arn:aws:kms:eu-west-1:111122223333:key/%08x-1234-1234-1234-123456789012", i)
		return strings.Replace(kms("2026-10-01T00:00:00Z", uuid(i), "KMSInternalException"), keyARN, key, 1)
	}
	r := reader(t)
	for i := range 2*mostKeys + 100 {
		if err := r.CloudTrail("f", strings.NewReader(record(2*mostKeys+100-i))); err != nil {
			t.Fatal(err)
		}
		if n := len(r.tally.keys[0].arns); n > 2*mostKeys {
			t.Fatalf("%d keys are kept", n)
		}
	}
	in := finish(t, r)[0]
	if len(in.Keys) != mostKeys || !in.MoreKeys || !strings.Contains(in.Keys[0], "key/00000001-") || !strings.Contains(in.Keys[mostKeys-1], fmt.Sprintf("key/%08x-", mostKeys)) {
		t.Errorf("%d keys, more: %v, from %s to %s", len(in.Keys), in.MoreKeys, in.Keys[0], in.Keys[len(in.Keys)-1])
	}
}

// A line that contradicts itself is told of the month that is judged, and no other.
func TestContradictoryLinesOfTheMonth(t *testing.T) {
	t.Parallel()
	line := func(at string) string {
		return `{"time":"` + at + `","requestId":"` + uuid(len(at)) + `","region":"eu-west-1","status":400,"errorCode":"KMSInternalException"}` + "\n"
	}
	if got := readAll(t, reader(t), client(line("2026-09-30T23:59:59Z")+line("2026-10-01T00:00:00Z")+line("2026-11-01T00:00:00Z"))); got.Contradictory != 1 {
		t.Errorf("%d", got.Contradictory)
	}
}

// An outage of the network leaves attempts that nobody answered: there is a report of
// them, and a day with them is no day without a log.
func TestAttemptsWithoutAnAnswerAreReported(t *testing.T) {
	t.Parallel()
	attempt := client(`{"Type":"ApiCallAttempt","Service":"KMS","Api":"Decrypt","Region":"eu-west-1","Timestamp":1791331200000,"SdkException":"timeout"}`) // 2026-10-07
	in := readPlaces(t, readerOf(t, Place{Account: account}, october), attempt)
	if len(in) != 1 || in[0].Skipped[noAnswer] != 1 || total(in[0]).Requests != 0 || !in[0].Seen[6*24] || in[0].Seen[5*24] {
		t.Errorf("%+v", in)
	}
	if in := readPlaces(t, readerOf(t, Place{Account: account, Region: "us-east-1"}, october), attempt); in[0].Skipped[noAnswer] != 0 || in[0].Skipped[otherPlace] != 1 {
		t.Errorf("elsewhere: %+v", in[0].Skipped)
	}
	elsewhere := trail(at(Place{account, "us-east-1"}, kms("2026-10-01T00:00:00Z", uuid(1), "")))
	if in := readPlaces(t, readerOf(t, Place{Account: account}, october), attempt, elsewhere); len(in) != 2 || in[1].Skipped[otherPlace] != 1 || in[0].Skipped[otherPlace] != 1 {
		t.Errorf("beside another region: %+v", in)
	}
}

// Who interrupts while requests are counted, of which there may be millions, does not
// wait for the end either.
func TestCountingCanBeInterrupted(t *testing.T) {
	t.Parallel()
	r := reader(t)
	r.tally.max = 8
	if err := r.CloudTrail("f", &flood{n: 200}); err != nil {
		t.Fatal(err)
	}
	ctx, interrupt := context.WithCancel(t.Context())
	interrupt()
	if in, err := r.Finish(ctx); !errors.Is(err, context.Canceled) || in != nil {
		t.Errorf("%v, %v", in, err)
	}
}

// A digest is alone in its file. What looks like one among events is a record that
// nobody understands, and does not take the others with it.
func TestADigestAmongEvents(t *testing.T) {
	t.Parallel()
	digest := `{"digestStartTime":"2026-10-01T00:00:00Z"}`
	event := func(n int) string { return kms("2026-10-01T00:00:00Z", uuid(n), "") }
	got := readAll(t, reader(t), trail(event(1)+"\n"+digest+"\n"+event(2)))
	if f := got.Files[0]; total(got).Requests != 2 || got.Malformed.Count != 1 || f.LeftOut != "" {
		t.Errorf("%+v, %d requests, %+v", f, total(got).Requests, got.Malformed)
	}
}
