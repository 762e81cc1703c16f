package sla

import (
	"fmt"
	"math/big"
	"slices"
	"strings"
	"time"
)

// Interval is what was counted in one interval.
type Interval struct {
	// Requests are all, each counted once however many logs hold it.
	Requests int64
	// Faults are server-side errors; Contestable are those besides that AWS may
	// put down to the customer's own key store.
	Faults, Contestable int64
	// Rejected are errors of the caller's side, throttling among them; Unjudged
	// those of which the terms do not say whose side they are of.
	Rejected, Unjudged int64
	// Partial says that the logs do not hold all requests, so that nobody knows how
	// many others there were: they hold nothing but errors, or one log has a fault that
	// the others lack.
	Partial bool
	// AllFailed says that no request was served, by client logs that hold served
	// ones of nearby: they are taken to be whole.
	AllFailed bool
	// ByMetric says that CloudWatch counted more requests than the logs hold.
	ByMetric bool
}

// from is where the number of requests comes from.
func (iv Interval) from() string {
	switch {
	case iv.ByMetric:
		return Metric + " and the failed requests of the logs"
	case iv.Partial:
		return "logs that do not hold all requests"
	}
	return "logs"
}

// Sum is Σ of the error rates of all intervals: how many whole intervals were
// lost. An interval without requests adds nothing.
func Sum(intervals []Interval, contestable bool) *big.Rat {
	faults := map[int64]int64{} // by the number of requests, so that few fractions are left
	for _, iv := range intervals {
		n := iv.Faults
		if contestable {
			n += iv.Contestable
		}
		if n > 0 {
			faults[iv.Requests] += n
		}
	}
	type fraction struct{ num, den *big.Int }
	var all []fraction
	for requests, n := range faults {
		all = append(all, fraction{big.NewInt(n), big.NewInt(requests)})
	}
	// In pairs, and reduced only at the end: thousands of denominators one after
	// the other would take minutes.
	for len(all) > 1 {
		var half []fraction
		for i := 0; i+1 < len(all); i += 2 {
			a, b := all[i], all[i+1]
			num := new(big.Int).Mul(a.num, b.den)
			num.Add(num, new(big.Int).Mul(b.num, a.den))
			half = append(half, fraction{num, new(big.Int).Mul(a.den, b.den)})
		}
		if len(all)%2 == 1 {
			half = append(half, all[len(all)-1])
		}
		all = half
	}
	if len(all) == 0 {
		return new(big.Rat)
	}
	return new(big.Rat).SetFrac(all[0].num, all[0].den)
}

// Uptime is the mean availability in percent: 100 · (1 − sum / intervals).
func Uptime(sum *big.Rat, intervals int) *big.Rat {
	lost := new(big.Rat).Quo(sum, new(big.Rat).SetInt64(int64(intervals)))
	return lost.Mul(lost.Sub(big.NewRat(1, 1), lost), big.NewRat(100, 1))
}

// percent reads a percentage of the terms.
func percent(s string) *big.Rat {
	r, ok := new(big.Rat).SetString(s)
	if !ok {
		panic("sla: the terms hold " + s)
	}
	return r
}

// Allowed is the sum of error rates that still keeps the commitment.
func (t Terms) Allowed(intervals int) *big.Rat {
	r := new(big.Rat).Sub(percent("100"), percent(t.Commitment.Value))
	return r.Mul(r, big.NewRat(int64(intervals), 100))
}

// Credit is the percentage of the charges that an uptime gives: 0 if the
// commitment was kept. A tier begins strictly below its bound.
func (t Terms) Credit(uptime *big.Rat) int {
	credit := 0
	for _, tier := range t.Tiers.Value { // from the highest bound to the lowest
		if uptime.Cmp(percent(tier.Below)) < 0 {
			credit = tier.Percent
		}
	}
	return credit
}

// Deadline is the last day on which a claim is received in time, by the earlier
// of the two readings.
func (t Terms) Deadline(m Month) time.Time {
	return slices.MinFunc([]time.Time{t.deadlineByDays(m), t.deadlineByCycles(m)}, time.Time.Compare)
}

// Late says whether a deadline, the last day in time, has passed.
func Late(deadline, now time.Time) bool { return !now.Before(deadline.AddDate(0, 0, 1)) }

// deadlineByDays counts from the last day of the billing period.
func (t Terms) deadlineByDays(m Month) time.Time {
	return m.End().AddDate(0, 0, -1+t.ClaimDays.Value)
}

// deadlineByCycles is the last day of the second billing cycle after the month.
func (t Terms) deadlineByCycles(m Month) time.Time {
	return m.After(t.ClaimCycles.Value).End().AddDate(0, 0, -1)
}

// ParseUSD reads an amount such as 1234.56, exactly.
func ParseUSD(s string) (*big.Rat, error) {
	whole, cents, _ := strings.Cut(s, ".")
	digits := strings.Trim(whole+cents, "0123456789") == "" && whole != "" && len(s) <= 32 && !strings.HasSuffix(s, ".")
	r, ok := new(big.Rat).SetString(s)
	if !digits || !ok {
		return nil, fmt.Errorf("%q is no amount in USD; write it as 1234.56, without a sign, a currency or commas", s)
	}
	return r, nil
}

// down writes a fraction with so many decimals, cut off: an uptime is never
// shown as more than it is.
func down(r *big.Rat, decimals int) string {
	scale := new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(decimals)), nil)
	n := new(big.Int).Mul(r.Num(), scale)
	n.Quo(n, r.Denom())
	s := fmt.Sprintf("%0*s", decimals+1, n.String())
	return s[:len(s)-decimals] + "." + s[len(s)-decimals:]
}

// decimal writes an amount exactly. It ends: amounts are decimal fractions, and a
// credit is some hundredths of one.
func decimal(r *big.Rat) string {
	places, exact := r.FloatPrec()
	if !exact {
		panic("sla: " + r.RatString() + " is no decimal fraction")
	}
	return r.FloatString(max(places, 2))
}

// fraction writes it exactly, or says that it is too long to.
func fraction(r *big.Rat) string {
	s := r.RatString()
	if len(s) > 60 {
		return ""
	}
	return s
}
