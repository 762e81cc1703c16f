package plan

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"keywatch/internal/diag"
	"keywatch/internal/inventory"
)

// CheckTrails remarks on trails that bring no events of KMS, so that no evidence
// comes: what is not recorded cannot be recovered. One trail that brings them is
// enough, and there are good reasons for a second one to leave them out. The error
// is why that is not known, since a trail that may bring them may not be asked.
func CheckTrails(inv *inventory.Inventory, trails []inventory.Trail) (diag.List, error) {
	var why []string
	var unknown error
	mend := "let one of them log read-only management events of KMS"
	for _, t := range trails {
		reason := blind(t)
		switch {
		case t.Unknown != nil && (len(t.Selectors) == 0 || reason == ""): // else it is blind anyway
			unknown = cmp.Or(unknown, t.Unknown)
			continue
		case reason == "" && !t.Off:
			return nil, nil
		case reason == "":
			reason, mend = "is switched off", "switch the logging of "+t.ARN+" on"
		case t.Off:
			reason += " and is switched off"
		}
		why = append(why, fmt.Sprintf("%s %s", t.ARN, reason))
	}
	if unknown != nil {
		return nil, unknown
	}
	var l diag.List
	const and = "; EventBridge has no server faults of KMS then, and CloudTrail cannot recover what it did not record"
	if len(trails) == 0 {
		l.Warn(diag.Pos{}, "trail-excludes-kms", "sla.evidence is true, but no trail of %s covers %s%s: make one that logs management events", inv.Account, inv.Region, and)
		return l, nil
	}
	l.Warn(diag.Pos{}, "trail-excludes-kms", "sla.evidence is true, but no trail brings what KMS does in %s %s: %s%s: %s", inv.Account, inv.Region, strings.Join(why, ", "), and, mend)
	return l, nil
}

// blind says why a trail brings no Decrypt, or "".
func blind(t inventory.Trail) string {
	why := "logs no management events"
	for _, s := range t.Selectors {
		switch {
		case !s.Management:
		case slices.Contains(s.Excluded, "kms.amazonaws.com"):
			why = "excludes KMS events"
		case !s.Reads:
			why = "logs no read-only calls, such as Decrypt"
		default:
			return ""
		}
	}
	return why
}
