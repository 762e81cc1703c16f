package plan_test

import (
	"testing"

	"keywatch/internal/inventory"
	"keywatch/internal/plan"
)

// One trail that brings what KMS does is enough; otherwise it is said of each why
// it does not.
func TestCheckTrails(t *testing.T) {
	trail := func(arn string, s ...inventory.TrailSelector) inventory.Trail {
		return inventory.Trail{ARN: arn, Selectors: s}
	}
	all := inventory.TrailSelector{Management: true, Reads: true}
	excludes, writes, data := all, all, all
	excludes.Excluded, writes.Reads, data.Management = []string{"rdsdata.amazonaws.com", "kms.amazonaws.com"}, false, false
	const (
		end  = "; EventBridge has no server faults of KMS then, and CloudTrail cannot recover what it did not record"
		none = "warning sla.evidence is true, but no trail brings what KMS does in 111122223333 eu-west-1: "
		mend = end + ": let one of them log read-only management events of KMS"
	)
	for want, trails := range map[string][]inventory.Trail{
		"": {trail("a", excludes), trail("b", data, all)},
		"warning sla.evidence is true, but no trail of 111122223333 covers eu-west-1" + end + ": make one that logs management events": nil,
		none + "a excludes KMS events" + mend: {trail("a", excludes)},
		none + "a logs no management events, b logs no read-only calls, such as Decrypt, c excludes KMS events" + mend: {trail("a", data), trail("b", writes), trail("c", data, excludes)},
	} {
		l := plan.CheckTrails(account(), trails)
		if want == "" {
			expect(t, l, "trail-excludes-kms")
			continue
		}
		expect(t, l, "trail-excludes-kms", want)
	}
}
