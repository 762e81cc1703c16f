package slalog

import (
	"errors"
	"strconv"
)

// call is a line of a client-side request log; docs/sla-logs.md is its format.
type call struct {
	event
	operation, status []byte
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
	*c = call{}
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
			end, err := skip(b, at)
			if err == nil && string(b[at:end]) != "null" {
				c.status = b[at:end]
			}
			return end, err
		}
		return skip(b, at)
	})
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
