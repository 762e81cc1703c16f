package sla

import (
	"fmt"
	"time"
)

// IntervalSeconds is the length of the intervals that availability is measured
// in; the terms say how sure that is.
const IntervalSeconds = 300

// Month is a billing cycle: a calendar month in UTC.
type Month struct {
	Year  int
	Month time.Month
}

// ParseMonth reads "2026-10".
func ParseMonth(s string) (Month, error) {
	t, err := time.Parse("2006-01", s)
	if err != nil {
		return Month{}, fmt.Errorf("%q is no month; write it as YYYY-MM, for example 2026-10", s)
	}
	return Month{t.Year(), t.Month()}, nil
}

// MonthOf is the month of a moment.
func MonthOf(t time.Time) Month { return Month{t.UTC().Year(), t.UTC().Month()} }

func (m Month) String() string { return fmt.Sprintf("%04d-%02d", m.Year, int(m.Month)) }

// long is "October 2026".
func (m Month) long() string { return m.Start().Format("January 2006") }

// Start is the first moment of the month.
func (m Month) Start() time.Time { return time.Date(m.Year, m.Month, 1, 0, 0, 0, 0, time.UTC) }

// End is the first moment after it.
func (m Month) End() time.Time { return m.After(1).Start() }

// After is the month n months later.
func (m Month) After(n int) Month {
	t := time.Date(m.Year, m.Month+time.Month(n), 1, 0, 0, 0, 0, time.UTC)
	return Month{t.Year(), t.Month()}
}

// Intervals is how many there are: 8,064 in 28 days to 8,928 in 31.
func (m Month) Intervals() int {
	return int(m.End().Unix()-m.Start().Unix()) / IntervalSeconds
}

// Interval is the number of the interval that holds a moment, given in seconds
// of Unix. Before the month it is negative, after it Intervals or more.
func (m Month) Interval(unix int64) int64 {
	d := unix - m.Start().Unix()
	if d < 0 {
		return -((-d + IntervalSeconds - 1) / IntervalSeconds)
	}
	return d / IntervalSeconds
}

// IntervalStart is when an interval begins; it ends where the next begins.
func (m Month) IntervalStart(i int) time.Time {
	return m.Start().Add(time.Duration(i) * IntervalSeconds * time.Second)
}
