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

// FormatUSD writes dollars and cents, rounded up to the cent.
func FormatUSD(v config.USD) string {
	cents := (v + 9_999) / 10_000
	return fmt.Sprintf("$%d.%02d", cents/100, cents%100)
}
