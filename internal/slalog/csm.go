package slalog

import (
	"errors"
	"strconv"
	"strings"
	"time"
)

// attempt is what is taken of an event of client-side monitoring, which the AWS
// SDKs send once for each attempt and once for each call ("SDK Metrics", guides of
// the SDKs; botocore/monitoring.py has the names). Neither AccessKey nor
// SessionToken is.
type attempt struct {
	kind, service, api, region, request, code []byte
	// at is in milliseconds of Unix.
	at, status []byte
}

const (
	kindAttempt = "ApiCallAttempt"
	kindCall    = "ApiCall"
)

// Reasons for which an event of the monitoring is read and not counted.
const (
	wholeCall = "of an AWS SDK's monitoring: a call as a whole; its attempts count"
	noAnswer  = "of an AWS SDK's monitoring: an attempt without a request ID, which no answer of KMS came to; it cannot be proved"
)

var errStamp = errors.New("has no Timestamp in milliseconds of Unix")

// attempted says whether a line is of the monitoring. One with a member of our own
// form is a line of ours.
func (c *call) attempted() bool {
	kind := string(c.sdk.kind)
	return (kind == kindAttempt || kind == kindCall) && c.time == nil && c.request == nil
}

// translate makes a line of our own form of one of the monitoring, or says that it
// does not count. The SDKs call KMS by its service ID, in whatever case.
func (r *Reader) translate(c *call) (counts bool, err error) {
	a := &c.sdk
	switch {
	case !strings.EqualFold(string(a.service), "kms"):
		r.skipped[otherService]++
		return false, nil
	case string(a.kind) == kindCall:
		r.skipped[wholeCall]++
		return false, nil
	}
	// An SDK whose language has but one kind of number may write a point.
	ms, err := strconv.ParseFloat(string(a.at), 64)
	if err != nil || !(ms >= 0 && ms < 1<<53) {
		return false, errStamp
	}
	at := time.UnixMilli(int64(ms)).UTC()
	if len(a.request) == 0 && len(a.region) > 0 {
		return false, r.unanswered(a, at.Unix())
	}
	c.stamp = at.AppendFormat(c.stamp[:0], "2006-01-02T15:04:05Z")
	c.event = event{time: c.stamp, request: full(a.request), region: full(a.region), code: full(a.code)}
	c.operation, c.status = full(a.api), a.status
	return true, nil
}

// unanswered counts an attempt to which no answer came.
func (r *Reader) unanswered(a *attempt, unix int64) error {
	if r.Only.Account == "" {
		return errCallAccount
	}
	p, err := r.placeOf([]byte(r.Only.Account), a.region)
	if p == nil {
		r.elsewhere(err)
		return err
	}
	r.see(p, unix)
	if unix < r.begin || unix >= r.end {
		p.month++
		return nil
	}
	p.noAnswer++
	return r.number(p)
}

// full is a text, or nil if it is empty, as an SDK writes what it does not have.
func full(s []byte) []byte {
	if len(s) == 0 {
		return nil
	}
	return s
}
