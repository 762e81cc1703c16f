package sla

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

// Event is an AWS Health event of KMS. Its description is not kept: it is free
// text.
type Event struct {
	ARN      string    `json:"arn"`
	Type     string    `json:"typeCode"`
	Category string    `json:"category"`
	Region   string    `json:"region"`
	Scope    string    `json:"scope,omitempty"`
	Start    time.Time `json:"start"`
	// End is nil while it goes on.
	End *time.Time `json:"end,omitempty"`
	// During are the intervals below 100 % that it overlaps.
	During  int `json:"intervalsBelow100"`
	updated time.Time
}

// healthEvent is one as EventBridge delivers it or DescribeEvents returns it
// ("AWS Health events Amazon EventBridge schema", AWS Health User Guide;
// "DescribeEvents", AWS Health API Reference).
type healthEvent struct {
	EventARN    string     `json:"eventArn"`
	ARN         string     `json:"arn"`
	Service     string     `json:"service"`
	Type        string     `json:"eventTypeCode"`
	Category    string     `json:"eventTypeCategory"`
	Scope       string     `json:"eventScopeCode"`
	EventRegion string     `json:"eventRegion"`
	Region      string     `json:"region"`
	Start       healthTime `json:"startTime"`
	End         healthTime `json:"endTime"`
	Updated     healthTime `json:"lastUpdatedTime"`
}

// healthTime is RFC 3339, the form of HTTP, or seconds of Unix.
type healthTime struct{ time.Time }

var errHealthTime = errors.New("a time has no known form")

func (t *healthTime) UnmarshalJSON(b []byte) error {
	var s string
	if json.Unmarshal(b, &s) == nil {
		if s == "" {
			return nil
		}
		for _, layout := range []string{time.RFC3339, time.RFC1123, "Mon, 2 Jan 2006 15:04:05 MST"} {
			if at, err := time.Parse(layout, s); err == nil {
				t.Time = at.UTC()
				return nil
			}
		}
		return errHealthTime
	}
	var f float64
	if json.Unmarshal(b, &f) != nil || f < 0 || f > 1e11 {
		return errHealthTime
	}
	t.Time = time.Unix(int64(f), 0).UTC()
	return nil
}

// maxHealth bounds the text of the events: a small gzip file may unpack to any length.
const maxHealth = 512 << 20

// healthForms are those that are read.
const healthForms = "want JSON Lines as EventBridge delivers them, or what `aws health describe-events` prints"

// ReadHealth reads events of KMS in a region that touch the month: JSON Lines of
// EventBridge, or what DescribeEvents returns, gzip or not. Of one event the latest word
// counts. It says too how many events there are, of whatever service, region and time.
// CloudTrail events may stand between them, but one Health event there must be: in a file
// of something else nothing is found either, and that proves nothing. The result is
// never nil.
func ReadHealth(name string, data []byte, m Month, region string) ([]Event, int, error) {
	text, err := plainText(data, maxHealth)
	if err != nil {
		return nil, 0, fmt.Errorf("%s: %w", name, err)
	}
	given, latest, none := map[string]bool{}, map[string]Event{}, false
	d := json.NewDecoder(bytes.NewReader(text))
	for {
		begin := len(text) - len(bytes.TrimLeft(text[d.InputOffset():], " \t\r\n"))
		var raw json.RawMessage
		var v healthValue
		err := d.Decode(&raw)
		if errors.Is(err, io.EOF) {
			break
		}
		if err == nil {
			err = json.Unmarshal(raw, &v)
		}
		if err != nil {
			// The decoder's own words may quote the file.
			return nil, 0, fmt.Errorf("%s: byte %d: not an AWS Health event; %s", name, d.InputOffset(), healthForms)
		}
		none = none || asked(raw)
		for i, h := range v.all() {
			e := h.event()
			if h.Service == "KMS" || v.Source == "aws.health" {
				if lacks := h.lacks(); lacks != "" {
					return nil, 0, fmt.Errorf("%s: byte %d: AWS Health event %d there has no %s, so nobody can say whether it touches the month; get the events again, whole", name, begin, i+1, lacks)
				}
			}
			if e.ARN == "" || h.Service == "" {
				continue
			}
			given[e.ARN] = true
			if h.Service != "KMS" || e.Region != region {
				continue
			}
			if old, known := latest[e.ARN]; !known || laterWord(e, old) {
				latest[e.ARN] = e
			}
		}
	}
	if len(given) == 0 && !none {
		return nil, 0, fmt.Errorf("%s: no AWS Health event is in it; %s. If there was none, give the empty list that the latter prints; if nobody knows, leave --health out", name, healthForms)
	}
	out := []Event{}
	for _, e := range latest {
		if e.Start.Before(m.End()) && (e.End == nil || e.End.After(m.Start())) {
			out = append(out, e)
		}
	}
	slices.SortFunc(out, func(a, b Event) int {
		return cmp.Or(a.Start.Compare(b.Start), cmp.Compare(a.ARN, b.ARN))
	})
	return out, len(given), nil
}

// plainText is a text that may be gzip and may begin with a byte order mark.
func plainText(data []byte, most int64) ([]byte, error) {
	if bytes.HasPrefix(data, []byte("\x1f\x8b")) {
		z, err := gzip.NewReader(bytes.NewReader(data))
		if err == nil {
			data, err = io.ReadAll(io.LimitReader(z, most+1))
		}
		if err != nil {
			return nil, errors.New("its gzip is damaged or ends too early; get the file again")
		}
		if int64(len(data)) > most {
			return nil, fmt.Errorf("it has more than %d bytes when unpacked; give the AWS Health events alone", most)
		}
	}
	return bytes.TrimPrefix(data, []byte("\xef\xbb\xbf")), nil
}

// healthValue is one JSON value of the file: an event, alone or in the envelope of
// EventBridge, or a list of them.
type healthValue struct {
	Source string        `json:"source"`
	Region string        `json:"region"`
	Time   healthTime    `json:"time"`
	Detail *healthEvent  `json:"detail"`
	Events []healthEvent `json:"events"`
	healthEvent
}

// asked says that a value is the answer of AWS Health that there is nothing to tell:
// other commands print empty lists of events too, with members of their own.
func asked(raw []byte) bool {
	var members map[string]json.RawMessage
	if json.Unmarshal(raw, &members) != nil || members["events"] == nil {
		return false
	}
	var events []json.RawMessage
	empty := json.Unmarshal(members["events"], &events) == nil && events != nil && len(events) == 0
	delete(members, "events")
	delete(members, "nextToken")
	return empty && len(members) == 0
}

func (v healthValue) all() []healthEvent {
	all := v.Events
	switch {
	case v.Detail != nil:
		one := *v.Detail
		one.Region = cmp.Or(one.EventRegion, v.Region)
		if one.Updated.IsZero() {
			one.Updated = v.Time
		}
		all = append(all, one)
	case all == nil:
		v.healthEvent.Region = v.Region
		all = append(all, v.healthEvent)
	}
	return all
}

func (h healthEvent) event() Event {
	e := Event{
		ARN: printable(cmp.Or(h.ARN, h.EventARN)), Type: printable(h.Type), Category: printable(h.Category),
		Region: printable(h.Region), Scope: printable(h.Scope), Start: h.Start.Time, updated: h.Updated.Time,
	}
	if !h.End.IsZero() {
		e.End = &h.End.Time
	}
	return e
}

// lacks names what an event cannot be judged without.
func (h healthEvent) lacks() string {
	switch {
	case h.ARN == "" && h.EventARN == "":
		return "ARN"
	case h.Service == "":
		return "service"
	case h.Region == "":
		return "region"
	case h.Start.IsZero():
		return "start time"
	}
	return ""
}

// laterWord orders what is said of one event, whatever the order in the file.
func laterWord(a, b Event) bool {
	end := func(e Event) int64 {
		if e.End == nil {
			return 0
		}
		return e.End.Unix()
	}
	return cmp.Or(a.updated.Compare(b.updated), cmp.Compare(end(a), end(b)), a.Start.Compare(b.Start), cmp.Compare(a.Type, b.Type)) > 0
}

// printable keeps what AWS writes into codes and names, and nothing else.
func printable(s string) string {
	if len(s) > 256 {
		s = s[:256]
	}
	return string(bytes.Map(func(r rune) rune {
		if r < 0x80 && (r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("-_.:/+=@", r)) {
			return r
		}
		return '?'
	}, []byte(s)))
}

// crossReference says which events overlap which intervals.
func (r *Report) crossReference() {
	for _, e := range r.in.Health {
		for i := range r.Below {
			b := &r.Below[i]
			if e.Start.Before(b.End) && (e.End == nil || e.End.After(b.Start)) {
				e.During++
				b.Health = append(b.Health, e.ARN)
			}
		}
		r.Health = append(r.Health, e)
	}
}

// healthGiven says how many events there were, and how many of them the report is about.
func (r *Report) healthGiven() string {
	return fmt.Sprintf("Of KMS in this region and month: %d of %s given", len(r.Health), count(r.HealthGiven, "AWS Health event"))
}
