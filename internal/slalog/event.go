package slalog

import (
	"bytes"
	"errors"
)

// event is what is taken of a CloudTrail record ("CloudTrail record contents",
// CloudTrail User Guide), and all that is: no identity, address, parameter or
// response ever leaves the bytes. The fields are valid until the buffer moves.
type event struct {
	time, id, request, source, name, code, region, account, kind []byte
	// key and second are the KMS keys of resources: ReEncrypt has two.
	key, second []byte
	// customKeyStore: additionalEventData names one ("Decrypt", CloudTrail log
	// examples, KMS Developer Guide).
	customKeyStore bool
	// digest: it is no event but a digest file.
	digest bool
	// envelope: EventBridge delivered it, and says the place again, which some
	// events lack.
	envelope                  bool
	outerAccount, outerRegion []byte
	outerSource               []byte
	// held is the event as a text within: CloudTrailEvent of lookup-events, message
	// of filter-log-events.
	held []byte
	// wrong is a field that holds something else than text.
	wrong error
}

// Errors of one record say which field is wrong, never what it holds.
var (
	errTime     = errors.New("has no eventTime in the form 2026-10-01T00:00:00Z")
	errNoID     = errors.New("has neither requestID nor eventID")
	errNotText  = errors.New("has a field that is no text where text belongs")
	errNoPlace  = errors.New("has no awsRegion or no recipientAccountId, or one of another form")
	errNoEvent  = errors.New("has no eventSource: it is no CloudTrail event")
	errTooLong  = errors.New("has a record of more than 4 MiB")
	errHeld     = errors.New("holds a message or CloudTrailEvent that is not valid JSON")
	errNoObject = errors.New("is no JSON object")
	errBroken   = errors.New("has more than a thousand broken objects that are followed by others in their line")
	errNoRecord = errors.New("is no JSON object, with or without a time before it")
)

// text reads a text or null into a field.
func (e *event) text(b []byte, at int, to *[]byte) (int, error) {
	if at >= len(b) {
		return 0, errShort
	}
	*to = nil
	if b[at] != '"' {
		end, err := skip(b, at)
		if err == nil && string(b[at:end]) != "null" {
			e.wrong = errNotText
		}
		return end, err
	}
	t, end, err := scanString(b, at)
	if err != nil {
		return 0, err
	}
	// What an event lacked is an empty text where EventBridge picked its fields.
	if v := t.value(); len(v) > 0 {
		*to = v
	}
	return end, nil
}

// scanEvent reads the record at i and returns where it ends. An event in the
// envelope of EventBridge or in what the AWS CLI prints is taken out of it.
func scanEvent(b []byte, i int, e *event) (int, error) {
	*e = event{}
	end, err := scanFields(b, i, e)
	if err == nil && e.held != nil && e.source == nil && e.kind == nil && !e.envelope {
		e.unwrap()
	}
	if e.account == nil {
		e.account = e.outerAccount
	}
	if e.region == nil {
		e.region = e.outerRegion
	}
	return end, err
}

// unwrap reads the event that the record holds as a text. What is wrong with it is
// wrong with this record alone.
func (e *event) unwrap() {
	held := e.held
	*e = event{}
	end, err := scanFields(held, space(held, 0), e)
	if err != nil || space(held, end) < len(held) {
		*e = event{wrong: errHeld}
	}
	e.digest = false
}

func scanFields(b []byte, i int, e *event) (int, error) {
	return object(b, i, func(key []byte, at int) (int, error) {
		switch string(key) {
		case "eventTime":
			return e.text(b, at, &e.time)
		case "eventID":
			return e.text(b, at, &e.id)
		case "requestID":
			return e.text(b, at, &e.request)
		case "eventSource":
			return e.text(b, at, &e.source)
		case "eventName":
			return e.text(b, at, &e.name)
		case "errorCode":
			return e.text(b, at, &e.code)
		case "awsRegion":
			return e.text(b, at, &e.region)
		case "recipientAccountId":
			return e.text(b, at, &e.account)
		case "eventType":
			return e.text(b, at, &e.kind)
		case "resources":
			return e.resources(b, at)
		case "additionalEventData":
			return e.additional(b, at)
		case "digestStartTime":
			e.digest = true
		case "detail":
			if at < len(b) && b[at] == '{' && !e.envelope {
				e.envelope = true
				return scanFields(b, at, e)
			}
		case "CloudTrailEvent", "message":
			if !e.envelope {
				return e.hold(b, at)
			}
		case "source":
			return outer(b, at, &e.outerSource)
		case "account":
			return outer(b, at, &e.outerAccount)
		case "region":
			return outer(b, at, &e.outerRegion)
		}
		return skip(b, at)
	})
}

// outer reads what the envelope says, if it is text.
func outer(b []byte, at int, to *[]byte) (int, error) {
	if at >= len(b) || b[at] != '"' {
		return skip(b, at)
	}
	t, end, err := scanString(b, at)
	*to = t.value()
	return end, err
}

// hold keeps a text that is an object.
func (e *event) hold(b []byte, at int) (int, error) {
	var held []byte
	end, err := outer(b, at, &held)
	if i := space(held, 0); i < len(held) && held[i] == '{' {
		e.held = held
	}
	return end, err
}

func (e *event) resources(b []byte, at int) (int, error) {
	e.key, e.second = nil, nil
	if at >= len(b) || b[at] != '[' {
		return skip(b, at)
	}
	return list(b, at, func(at int) (int, error) {
		if at >= len(b) || b[at] != '{' {
			return skip(b, at)
		}
		return object(b, at, func(key []byte, at int) (int, error) {
			if e.second != nil || string(key) != "ARN" || at >= len(b) || b[at] != '"' {
				return skip(b, at)
			}
			t, end, err := scanString(b, at)
			switch arn := t.value(); {
			case !isKey(arn):
			case e.key == nil:
				e.key = arn
			default:
				e.second = arn
			}
			return end, err
		})
	})
}

// isKey says whether a text has the form of a key ARN, and so may be shown.
func isKey(arn []byte) bool {
	return len(arn) <= maxShown && bytes.HasPrefix(arn, []byte("arn:")) &&
		bytes.Contains(arn, []byte(":kms:")) && bytes.Contains(arn, []byte(":key/")) && plain(arn)
}

func (e *event) additional(b []byte, at int) (int, error) {
	e.customKeyStore = false
	if at >= len(b) || b[at] != '{' {
		return skip(b, at)
	}
	return object(b, at, func(key []byte, at int) (int, error) {
		end, err := skip(b, at)
		if string(key) == "customKeyStoreId" && err == nil {
			e.customKeyStore = string(b[at:end]) != `""` // see text
		}
		return end, err
	})
}

// maxShown is how long a name from a log may be to be shown.
const maxShown = 256

// plain says whether a text holds only what AWS writes into names and IDs.
func plain(s []byte) bool {
	for _, c := range s {
		if !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' ||
			c == '-' || c == '_' || c == '.' || c == ':' || c == '/' || c == '+' || c == '=' || c == '@') {
			return false
		}
	}
	return true
}
