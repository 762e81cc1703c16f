package slalog

import (
	"errors"
	"strconv"
)

// call is a line of a client-side request log; docs/sla-logs.md is its format.
type call struct {
	event
	operation, status []byte
	// sdk is what the monitoring of an AWS SDK says in its place, stamp its time.
	sdk   attempt
	stamp []byte
}

var (
	errCallTime    = errors.New("has no time in the form of RFC 3339")
	errCallPlace   = errors.New("has no region, or one of another form")
	errCallAccount = errors.New("has no account; say with --account whose log it is")
	errCallID      = errors.New("has no requestId: nobody could find it again")
	errOutcome     = errors.New("has neither status (a number from 100 to 599) nor errorCode")
)

// scanCall reads the line at i.
func scanCall(b []byte, i int, c *call) (int, error) {
	*c = call{stamp: c.stamp}
	e := &c.event // for its reading of text
	end, err := object(b, i, func(key []byte, at int) (int, error) {
		switch string(key) {
		case "time":
			return e.text(b, at, &c.time)
		case "requestId":
			return e.text(b, at, &c.request)
		case "operation":
			return e.text(b, at, &c.operation)
		case "region":
			return e.text(b, at, &c.region)
		case "account":
			return e.text(b, at, &c.account)
		case "keyArn":
			return e.text(b, at, &c.key)
		case "errorCode":
			return e.text(b, at, &c.code)
		case "status", "httpStatus":
			return literal(b, at, &c.status)
		case "Type":
			return outer(b, at, &c.sdk.kind)
		case "Service":
			return outer(b, at, &c.sdk.service)
		case "Api":
			return outer(b, at, &c.sdk.api)
		case "Region":
			return outer(b, at, &c.sdk.region)
		case "XAmznRequestId":
			return outer(b, at, &c.sdk.request)
		case "AwsException":
			return outer(b, at, &c.sdk.code)
		case "Timestamp":
			return literal(b, at, &c.sdk.at)
		case "HttpStatusCode":
			return literal(b, at, &c.sdk.status)
		}
		return skip(b, at)
	})
	return end, err
}

// literal takes a value as it stands, unless it is null.
func literal(b []byte, at int, to *[]byte) (int, error) {
	end, err := skip(b, at)
	if err == nil && string(b[at:end]) != "null" {
		*to = b[at:end]
	}
	return end, err
}

// number is the HTTP status, or 0 if there is none.
func (c *call) number() (int, bool) {
	if c.status == nil {
		return 0, true
	}
	n, err := strconv.Atoi(string(c.status))
	return n, err == nil && n >= 100 && n <= 599
}
