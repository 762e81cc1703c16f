// Package sla judges a month of KMS by the service level agreement: what was
// counted becomes an uptime, a tier, a credit, a deadline, and a claim folder.
//
// It is pure: no files, no clock, no network. All arithmetic is exact. Start
// reading at [Build]; terms.go is the agreement as data, with how sure each term
// is, uptime.go the sum, claim.go the folder and its proof. Logs are read and
// counted by internal/slalog.
package sla

import (
	"fmt"
	"math/big"
	"slices"
	"strings"
	"time"
)

// Estimate is said in every report and claim.
const Estimate = "This is an estimate from the customer's side, from the logs that were given. AWS decides by its own measurement whether the commitment was missed, and whether and how much it credits."

// Source is where requests were seen.
type Source struct {
	Name     string `json:"name"`
	Requests int64  `json:"requests"`
	Faults   int64  `json:"faults"`
	// Unseen is what it cannot see.
	Unseen string `json:"cannotSee"`
}

// Request is one that failed, as far as a claim may show it.
type Request struct {
	Time      time.Time `json:"time"`
	ID        string    `json:"requestId"`
	Operation string    `json:"operation"`
	Code      string    `json:"errorCode"`
	Status    int       `json:"httpStatus,omitempty"`
	Key       string    `json:"keyArn,omitempty"`
	Source    string    `json:"source"`
	Class     Class     `json:"-"`
	Interval  int       `json:"-"`
}

// CodeCount is an error code, or the HTTP status of requests without one.
type CodeCount struct {
	Code     string `json:"errorCode"`
	CountsAs string `json:"countsAs"`
	Requests int64  `json:"requests"`
}

// File is one input and what became of it.
type File struct {
	Name    string `json:"name"`
	SHA256  string `json:"sha256,omitempty"`
	Bytes   int64  `json:"bytes,omitempty"`
	Records int64  `json:"records"`
	// LeftOut says why it was not counted, Damage why it could not be read to
	// its end.
	LeftOut string `json:"leftOut,omitempty"`
	Damage  string `json:"damage,omitempty"`
	// Unread says that nothing was read of it: Damage is its form.
	Unread bool `json:"unread,omitempty"`
}

// Malformed are the records that could not be understood.
type Malformed struct {
	Count   int64 `json:"count"`
	Records int64 `json:"ofRecords"`
	// First are the places of the first, never their text.
	First []string `json:"first,omitempty"`
}

// Above says whether there are more than a limit, in percent.
func (m Malformed) Above(limit *big.Rat) bool {
	return new(big.Rat).SetInt64(m.Count*100).Cmp(new(big.Rat).Mul(limit, new(big.Rat).SetInt64(m.Records))) > 0
}

// Kept is what CloudWatch said of one interval when it was collected. It counts
// no failed request.
type Kept struct {
	// Known says that the successes were asked for; they may be none.
	Known     bool
	Successes int64
	// Calls are of AWS/Usage, nil if nobody asked. They are shown, never used.
	Calls *int64
}

// Input is what was found for one account, region and month.
type Input struct {
	Month           Month
	Account, Region string
	// Intervals are all of the month.
	Intervals []Interval
	Sources   []Source
	Files     []File
	// Skipped counts records that were read and not counted, by the reason.
	Skipped   map[string]int64
	Malformed Malformed
	// Seen says of each hour of the month whether a log holds any record of it,
	// of whatever service.
	Seen []bool
	// Disagreed is how many requests two logs told differently.
	Disagreed int64
	// Contradictory is how many lines of client logs have a status that is not one of
	// their error code.
	Contradictory int64
	// Failed are requests that failed, by time; MoreFailed those beyond the
	// number that is kept of each interval.
	Failed     []Request
	MoreFailed int64
	// Codes are the error codes of all requests that were not served.
	Codes []CodeCount
	// Said are what a person said that codes count as: CODE=CLASS, sorted.
	Said []string
	Keys []string
	// MoreKeys says that there are more keys than are kept.
	MoreKeys bool
	// Kept is nil if no kept numbers were given, else one for each interval.
	Kept []Kept
	// Open says that the month is not over.
	Open bool
	// Charges are nil if nobody said them. ChargesRead says that Cost Explorer did, and
	// ChargesOpen that its bill is not final.
	Charges                  *big.Rat
	ChargesRead, ChargesOpen bool
	// Health are the events of KMS in the region and month, nil if nobody gave any;
	// HealthGiven is how many were given, whatever they are of.
	Health      []Event
	HealthGiven int
}

// Figure is one reading of the month: with contestable faults, or without.
type Figure struct {
	Faults int64 `json:"faults"`
	// Sum is Σ of the error rates, in intervals; SumExact is empty if it is too
	// long to be read.
	Sum      string `json:"sumOfErrorRates"`
	SumExact string `json:"sumOfErrorRatesExact,omitempty"`
	// Uptime is cut off after 7 decimals, never rounded up.
	Uptime      string `json:"monthlyUptimePercentage"`
	UptimeExact string `json:"monthlyUptimePercentageExact,omitempty"`
	Missed      bool   `json:"commitmentMissed"`
	Percent     int    `json:"creditPercent"`
	Credit      string `json:"creditUSD,omitempty"`
	// AboveFloor says whether the credit is more than the least that is paid.
	AboveFloor *bool `json:"creditAboveFloor,omitempty"`
}

// Bad is an interval below 100 %.
type Bad struct {
	Start       time.Time `json:"start"`
	End         time.Time `json:"end"`
	Requests    int64     `json:"requests"`
	Faults      int64     `json:"faults"`
	Contestable int64     `json:"contestableFaults"`
	// Availability is in percent, cut off; WithContestable counts those faults.
	Availability    string `json:"availability"`
	WithContestable string `json:"availabilityWithContestable"`
	// RequestsFrom says where Requests come from, and CallCount what AWS/Usage
	// said beside.
	RequestsFrom string   `json:"requestsFrom"`
	CallCount    *int64   `json:"callCount,omitempty"`
	Health       []string `json:"healthEvents,omitempty"`
	index        int
}

// Report is what there is to say about the month.
type Report struct {
	SchemaVersion int      `json:"schemaVersion"`
	Estimate      string   `json:"estimate"`
	Account       string   `json:"account"`
	Region        string   `json:"region"`
	Month         string   `json:"month"`
	Open          bool     `json:"monthNotOver"`
	Missing       []string `json:"missing"`
	Terms         string   `json:"termsVersion"`
	Intervals     int      `json:"intervals"`
	Idle          int      `json:"intervalsWithoutRequests"`
	Requests      int64    `json:"requests"`
	Rejected      int64    `json:"rejectedByCaller"`
	// Unjudged failed with a code that the terms do not know.
	Unjudged int64       `json:"failedByUnknownCodes"`
	Codes    []CodeCount `json:"errorCodes"`
	// FromMetric are the intervals whose requests CloudWatch counted, Unknown
	// those of which no numbers were kept; both 0 without kept numbers.
	FromMetric  int       `json:"intervalsCountedByCloudWatch"`
	Unknown     int       `json:"intervalsWithoutKeptNumbers"`
	Allowed     string    `json:"allowedSumOfErrorRates"`
	Figure      Figure    `json:"withoutContestable"`
	Contestable Figure    `json:"withContestable"`
	Charges     string    `json:"chargesUSD,omitempty"`
	ChargesFrom string    `json:"chargesFrom,omitempty"`
	Deadline    string    `json:"claimBy"`
	Deadlines   []string  `json:"claimWindows"`
	Below       []Bad     `json:"intervalsBelow100"`
	Keys        []string  `json:"affectedKeys"`
	MoreKeys    bool      `json:"moreKeys,omitempty"`
	Failed      []Request `json:"failedRequests"`
	MoreFailed  int64     `json:"failedRequestsNotListed"`
	Health      []Event   `json:"healthEvents"`
	// HealthGiven are the events that were given, whatever they are of.
	HealthGiven int      `json:"healthEventsGiven"`
	Sources     []Source `json:"sources"`
	Files       []File   `json:"inputs"`
	// Skipped are records that were read and not counted, by the reason.
	Skipped   map[string]int64 `json:"notCounted,omitempty"`
	Malformed Malformed        `json:"malformed"`
	Disagreed int64            `json:"requestsToldDifferently"`
	// Contradictory are lines whose status is not one of their error code.
	Contradictory int64    `json:"contradictoryLines,omitempty"`
	Assumptions   []string `json:"assumptions"`

	// computed are the assumptions that the figures rest on, as the claim says them.
	computed []string

	in    Input
	terms Terms
}

// Build judges a month.
func Build(in Input) (*Report, error) {
	t, err := TermsOf(in.Month)
	if err != nil {
		return nil, err
	}
	if len(in.Intervals) != in.Month.Intervals() {
		return nil, fmt.Errorf("%s has %d intervals, %d were counted", in.Month, in.Month.Intervals(), len(in.Intervals))
	}
	if in.Kept != nil && len(in.Kept) != len(in.Intervals) {
		return nil, fmt.Errorf("%s has %d intervals, numbers of %d were kept", in.Month, len(in.Intervals), len(in.Kept))
	}
	in = in.withKept()
	r := &Report{
		SchemaVersion: 1, Estimate: Estimate,
		Account: in.Account, Region: in.Region, Month: in.Month.String(), Open: in.Open,
		Terms: t.Version, Intervals: len(in.Intervals),
		Allowed:  down(t.Allowed(len(in.Intervals)), 5),
		Deadline: t.Deadline(in.Month).Format(time.DateOnly),
		Deadlines: []string{
			fmt.Sprintf("%s: %d days after the billing period", t.deadlineByDays(in.Month).Format(time.DateOnly), t.ClaimDays.Value),
			fmt.Sprintf("%s: the end of billing cycle %d after the month", t.deadlineByCycles(in.Month).Format(time.DateOnly), t.ClaimCycles.Value),
		},
		Codes: listed(in.Codes),
		Keys:  listed(in.Keys), MoreKeys: in.MoreKeys, Below: []Bad{},
		Failed: listed(in.Failed), MoreFailed: in.MoreFailed, Health: []Event{}, HealthGiven: in.HealthGiven,
		Sources: listed(in.Sources), Files: listed(in.Files), Skipped: in.Skipped,
		Malformed: in.Malformed, Disagreed: in.Disagreed, Contradictory: in.Contradictory,
		in: in, terms: t,
	}
	if in.Charges != nil {
		r.Charges, r.ChargesFrom = down(in.Charges, 2), "given"
		if in.ChargesRead {
			r.ChargesFrom = "Cost Explorer"
		}
	}
	allFailed := 0
	for i, iv := range in.Intervals {
		r.Requests += iv.Requests
		r.Rejected += iv.Rejected
		r.Unjudged += iv.Unjudged
		if iv.AllFailed && iv.Faults+iv.Contestable > 0 {
			allFailed++
		}
		r.Figure.Faults += iv.Faults
		r.Contestable.Faults += iv.Faults + iv.Contestable
		if iv.Requests == 0 {
			r.Idle++
		}
		if iv.ByMetric {
			r.FromMetric++
		}
		if in.Kept != nil && !in.Kept[i].Known {
			r.Unknown++
		}
		if iv.Faults+iv.Contestable > 0 {
			r.Below = append(r.Below, Bad{
				Start: in.Month.IntervalStart(i), End: in.Month.IntervalStart(i + 1),
				Requests: iv.Requests, Faults: iv.Faults, Contestable: iv.Contestable,
				Availability:    availability(iv.Requests, iv.Faults),
				WithContestable: availability(iv.Requests, iv.Faults+iv.Contestable),
				RequestsFrom:    iv.from(), CallCount: in.calls(i),
				index: i,
			})
		}
	}
	r.figure(&r.Figure, Sum(in.Intervals, false))
	r.figure(&r.Contestable, Sum(in.Intervals, true))
	r.crossReference()
	r.computed = append(t.assumptions(), method...)
	r.Assumptions = slices.Concat(t.assumptions(), t.reminders(), method)
	if allFailed > 0 {
		whole := fmt.Sprintf("In %s every request failed that the clients' logs hold. The same logs hold requests that were served at most 12 hours before or after, so they are taken to be whole.", count(allFailed, "interval"))
		r.computed, r.Assumptions = append(r.computed, whole), append(r.Assumptions, whole)
	}
	for _, said := range in.Said {
		code, class, _ := strings.Cut(said, "=")
		r.computed = append(r.computed, fmt.Sprintf("Where neither the agreement nor the HTTP status says more, we count %s as %s.", code, counts[class]))
		r.Assumptions = append(r.Assumptions, fmt.Sprintf("Whoever made this report said what a code counts as, where neither the terms nor the HTTP status says it: %s.", said))
	}
	r.Missing = r.missing()
	return r, nil
}

// listed is a list that JSON writes as one, be it empty.
func listed[T any](list []T) []T { return append([]T{}, list...) }

// withKept takes the number of requests of an interval from CloudWatch where that
// says more than the logs: neither counts a request that nobody made, and too small
// a number makes the error rate too high. CloudWatch counts successes alone, so
// what failed is added.
func (in Input) withKept() Input {
	if in.Kept == nil {
		return in
	}
	in.Intervals = slices.Clone(in.Intervals)
	source := Source{Name: Metric, Unseen: "requests that failed, which are added as far as a log holds them; ReEncrypt and GenerateRandom; requests of which CloudWatch had not heard when they were collected"}
	for i, k := range in.Kept {
		if !k.Known {
			continue
		}
		source.Requests += k.Successes
		iv := &in.Intervals[i]
		iv.Partial, iv.AllFailed = false, false
		if n := k.Successes + iv.Faults + iv.Contestable + iv.Rejected + iv.Unjudged; n > iv.Requests {
			iv.Requests, iv.ByMetric = n, true
		}
	}
	in.Sources = append(slices.Clone(in.Sources), source)
	return in
}

// calls are what AWS/Usage said of an interval, or nil.
func (in Input) calls(i int) *int64 {
	if in.Kept == nil {
		return nil
	}
	return in.Kept[i].Calls
}

func availability(requests, faults int64) string {
	return down(big.NewRat((requests-faults)*100, requests), 4)
}

// figure fills in what follows from a sum.
func (r *Report) figure(f *Figure, sum *big.Rat) {
	uptime := Uptime(sum, r.Intervals)
	f.Sum, f.SumExact = down(sum, 7), fraction(sum)
	f.Uptime, f.UptimeExact = down(uptime, 7), fraction(uptime)
	f.Percent = r.terms.Credit(uptime)
	f.Missed = f.Percent > 0
	if r.in.Charges != nil {
		credit := new(big.Rat).Mul(r.in.Charges, big.NewRat(int64(f.Percent), 100))
		floor := percent(r.terms.Floor.Value)
		above := credit.Cmp(floor) > 0
		f.Credit, f.AboveFloor = down(credit, 2), &above
		// Cut off, it would seem to be the floor itself.
		if above && percent(f.Credit).Cmp(floor) <= 0 {
			f.Credit = decimal(credit)
		}
	}
}

// counts are what a person says that a code counts as, in the words of a claim.
var counts = map[string]string{Faulted.Name(): "a fault", Contestable.Name(): "a contestable fault", Rejected.Name(): "no fault"}

// method is what keywatch itself assumes, beside the terms.
var method = []string{
	"The billing cycle is the calendar month in UTC.",
	"Each request counts, retries too: every attempt has a request ID of its own. One ID in several logs counts once, at the time of CloudTrail if it is there, and as a fault if any log says so.",
	"Requests that were rejected for a reason of the caller's (throttling, denied access) count as requests and not as errors.",
	"A cross-account request counts for each account whose own log holds it (recipientAccountId).",
	"Credits are cut off to cents, but for one that lies less than a cent above the least that is paid.",
}

// missing lists in plain words what a claim lacks, or what makes its sum doubtful.
func (r *Report) missing() []string {
	out := []string{}
	add := func(format string, args ...any) { out = append(out, fmt.Sprintf(format, args...)) }
	r.lacksCredit(add)
	if r.Open {
		add("The month is not over: it ends at %s. Until then nothing here is final.", stamp(r.in.Month.End()))
	}
	if r.Requests == 0 {
		add("No request to KMS of this account, region and month is in the logs: nothing can be shown.")
	}
	for _, f := range r.Files {
		switch {
		case f.Unread:
			add("%s is not in the sum: %s.", f.Name, f.Damage)
		case f.Damage != "":
			add("%s could not be read to its end: %s. What follows is not in the sum; get the file again.", f.Name, f.Damage)
		}
	}
	if days := r.blindDays(); len(days) > 0 {
		add("No log holds a record of any service for %s of the month (the first is %s), which count as 100 %% available; if logs are missing, add them.", count(len(days), "day"), days[0])
	}
	if partial := r.partial(); len(partial) > 0 {
		add("%s with faults and without a count of all requests (the first begins %s): the logs hold nothing but failures of that time, or a rule for faults knows of one that the clients' logs do not hold. Add CloudTrail or the logs of all clients, or the numbers that were kept of that time (--evidence); without them the sum is far too high.", count(len(partial), "interval"), stamp(partial[0].Start))
	}
	if r.Unknown == r.Intervals {
		add("The folder of --evidence holds no numbers of this account, region and month: all requests are counted from the logs. Name the folder into which they were collected, or leave --evidence out.")
	}
	if r.Unjudged > 0 {
		hidden := ""
		if slices.ContainsFunc(r.Codes, func(c CodeCount) bool { return c.Code == Hidden }) {
			hidden += " " + Hidden + " stands for what has not the form of a code of AWS: it cannot be named, so look for it in the logs."
		}
		if slices.ContainsFunc(r.Codes, func(c CodeCount) bool { return c.Code == OtherCodes }) {
			hidden += " " + OtherCodes + " stands for all codes that the terms do not know, since there are too many of them."
		}
		add("%s failed with a code that the terms do not know (%s). They count as no faults; look up what the codes mean and say it: --count-as CODE=fault, contestable or rejected.%s", count(int(r.Unjudged), "request"), r.unknownCodes(), hidden)
	}
	if len(r.Below) > 0 {
		if len(r.Keys) == 0 {
			add("No log names the KMS key of a failed request. A claim names the affected resources.")
		}
		if r.in.Charges == nil {
			add("The charges for KMS in the region and month are not given (--charges): the credit cannot be computed.")
		}
		if r.in.ChargesOpen {
			add("The bill of the month is not final: the charges of $%s are what Cost Explorer estimates.", r.Charges)
		}
		if r.in.Health == nil {
			add("No AWS Health events are given (--health): the outage is not cross-referenced.")
		}
		if !slices.ContainsFunc(r.Sources, func(s Source) bool { return s.Name == ClientLogs && s.Faults > 0 }) {
			add("No failed request is in logs of the clients (--requests). A claim asks for your request logs, and CloudTrail does not record every failed call.")
		}
	}
	return out
}

// unknownCodes are the codes that the terms do not know, the first of them.
func (r *Report) unknownCodes() string {
	var out []string
	for _, c := range r.Codes {
		if c.CountsAs == Unjudged.Name() {
			out = append(out, fmt.Sprintf("%s: %d", c.Code, c.Requests))
		}
	}
	const most = 5
	if n := len(out); n > most {
		out = append(out[:most], fmt.Sprintf("and %d more", n-most))
	}
	return strings.Join(out, ", ")
}

// lacksCredit says what is not paid at all: for nothing else is a claim needed.
func (r *Report) lacksCredit(add func(format string, args ...any)) {
	floor := r.terms.Floor.Value
	switch {
	case r.in.Charges == nil || !r.Contestable.Missed:
	case !*r.Contestable.AboveFloor:
		add("The credit of $%s is not above $%s, the least that is paid.", r.Contestable.Credit, floor)
	case !*r.Figure.AboveFloor:
		add("Without contestable faults the credit of $%s is not above $%s, the least that is paid: the claim rests on faults that AWS may contest.", r.Figure.Credit, floor)
	}
}

// OtherCodes stands for all codes that the terms do not know, if there are too many.
const OtherCodes = "other"

// ClientLogs is the source that the agreement asks for.
const ClientLogs = "client logs"

// Metric is how a report calls the kept numbers.
const Metric = "CloudWatch SuccessfulRequest"

// blindDays are the days of which no log holds anything.
func (r *Report) blindDays() []string {
	var out []string
	for day := 0; day*24 < len(r.in.Seen); day++ {
		if !slices.Contains(r.in.Seen[day*24:day*24+24], true) {
			out = append(out, r.in.Month.Start().AddDate(0, 0, day).Format(time.DateOnly))
		}
	}
	return out
}

func (r *Report) partial() []Bad {
	return slices.DeleteFunc(slices.Clone(r.Below), func(b Bad) bool { return !r.in.Intervals[b.index].Partial })
}

func stamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05Z") }

func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
