package plan

import (
	"fmt"

	"keywatch/config"
	"keywatch/constructs/spec"
)

// Prices of us-east-1 in November 2026, as quoted from the page "Amazon
// CloudWatch Pricing"; other regions differ by little. An anomaly alarm bills
// as three standard-resolution alarm metrics: the value and the two bounds.
var (
	priceAlarmMetric = config.Dollars(0.10)
	priceDashboard   = config.Dollars(3.00) // beyond an account's first three
	priceMetric      = config.Dollars(0.30) // a custom one, such as that of a metric filter
	priceLogsGB      = config.Dollars(0.50) // taken in
)

// PricesOf says where the prices come from, for a reader.
const PricesOf = "us-east-1 list prices of November 2026"

// MonthlyUSD is what one alarm costs in a month.
func MonthlyUSD(a spec.Alarm) config.USD {
	metrics := 0
	for _, q := range a.Queries {
		if q.Expression == "" {
			metrics++
		}
	}
	if a.Kind == spec.KindAnomaly {
		metrics *= 3
	}
	return config.USD(metrics) * priceAlarmMetric
}

// evidenceEvents is how many faults and Health events a month the price of the
// evidence assumes, of a kilobyte each. Nobody knows: in a month without an outage
// there are few or none.
const evidenceEvents = 100_000

// EvidenceAssumes says what the price of the evidence rests on, for a reader.
const EvidenceAssumes = "up to 100,000 server faults and AWS Health events of 1 kB a month; each million more is $0.50"

// EvidenceUSD is the price of what is kept for a claim, 0 if nothing is.
func (p *Plan) EvidenceUSD() config.USD {
	e := p.Deployment.Evidence
	if e == nil {
		return 0
	}
	usd := config.USD(len(e.Alarms()))*priceAlarmMetric + priceLogsGB*evidenceEvents/1_000_000
	if e.Filter() != nil {
		usd += priceMetric
	}
	return usd
}

// FormatUSD writes dollars and cents, rounded up to the cent.
func FormatUSD(v config.USD) string {
	cents := (v + 9_999) / 10_000
	return fmt.Sprintf("$%d.%02d", cents/100, cents%100)
}
