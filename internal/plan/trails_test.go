package plan_test

import (
	"errors"
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
	off := func(t inventory.Trail) inventory.Trail { t.Off = true; return t }
	for want, trails := range map[string][]inventory.Trail{
		"": {trail("a", excludes), trail("b", data, all)},
		"warning sla.evidence is true, but no trail of 111122223333 covers eu-west-1" + end + ": make one that logs management events": nil,
		none + "a excludes KMS events" + mend: {trail("a", excludes)},
		none + "a logs no management events, b logs no read-only calls, such as Decrypt, c excludes KMS events" + mend: {trail("a", data), trail("b", writes), trail("c", data, excludes)},
		none + "a is switched off, b excludes KMS events and is switched off" + end + ": switch the logging of a on":   {off(trail("a", all)), off(trail("b", excludes))},
	} {
		l, err := plan.CheckTrails(account(), trails)
		if err != nil {
			t.Error(err)
		}
		if want == "" {
			expect(t, l, "trail-excludes-kms")
			continue
		}
		expect(t, l, "trail-excludes-kms", want)
	}
	// A trail that may not be asked may bring it: nobody is warned, and nobody is sure.
	denied := errors.New("denied")
	secret := inventory.Trail{ARN: "secret", Unknown: denied}
	if l, err := plan.CheckTrails(account(), []inventory.Trail{off(trail("a", all)), secret}); len(l) > 0 || !errors.Is(err, denied) {
		t.Errorf("%v, %v", l, err)
	}
	// Of one that is blind anyway nobody need know whether it is switched on.
	blind := trail("a", excludes)
	blind.Unknown = denied
	l, err := plan.CheckTrails(account(), []inventory.Trail{blind})
	if err != nil {
		t.Error(err)
	}
	expect(t, l, "trail-excludes-kms", none+"a excludes KMS events"+mend)
	sees := trail("a", all)
	sees.Unknown = denied
	if l, err := plan.CheckTrails(account(), []inventory.Trail{sees}); len(l) > 0 || !errors.Is(err, denied) {
		t.Errorf("whether it is switched on is not known: %v, %v", l, err)
	}
	if l, err := plan.CheckTrails(account(), []inventory.Trail{secret, trail("a", all)}); len(l) > 0 || err != nil {
		t.Errorf("beside one that brings it: %v, %v", l, err)
	}
}
