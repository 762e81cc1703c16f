// Package naming gives every alarm, detector, unit, stack and dashboard its
// identity and its name.
//
// IDs come from what a thing is (key, operations, kind, id) and can be read
// back: [ParseLogicalID] is the inverse. Names are for people; they hold the
// alias and may change with it. It knows no rules and draws nothing. Start
// reading at [Deployment].
package naming

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"

	"keywatch/constructs/spec"
)

// Deployment names the things of one keywatch deployment; its value is the
// config's name. It is the [spec.Names] of the app.
type Deployment string

// Unit is the identity of a placed unit: the key ID and its operations.
func (Deployment) Unit(k spec.Key, ops []spec.Operation) string {
	return keyID(k.ARN) + "/" + spec.JoinOperations(ops, "+")
}

// Alarm gives the logical ID and the AlarmName of an alarm.
func (d Deployment) Alarm(k spec.Key, ops []spec.Operation, kind spec.Kind, id string) (logicalID, name string) {
	return alarmID(k.ARN, ops, kind, id), d.AlarmName(k, ops, kind, id)
}

// Detector gives the logical ID of a detector.
func (Deployment) Detector(k spec.Key, op spec.Operation, statistic string) string {
	return detectorID(k.ARN, op, statistic)
}

func alarmID(arn string, ops []spec.Operation, kind spec.Kind, id string) string {
	return "Alarm" + keyToken(arn) + spec.JoinOperations(ops, operationSplit) + kindTokens[kind] + idToken(id)
}

func detectorID(arn string, op spec.Operation, statistic string) string {
	return "Detector" + keyToken(arn) + string(op) + "Of" + statistic
}

// AlarmStack is the name of the n-th alarm stack, from 1.
func (d Deployment) AlarmStack(n int) string { return fmt.Sprintf("%s-alarms-%03d", d, n) }

// ParseAlarmStack is the inverse of AlarmStack; false for any other name.
func ParseAlarmStack(stack string) (Deployment, int, bool) {
	m := alarmStackPattern.FindStringSubmatch(stack)
	if m == nil {
		return "", 0, false
	}
	n, err := strconv.Atoi(m[2])
	d := Deployment(m[1])
	return d, n, err == nil && n > 0 && d.AlarmStack(n) == stack
}

var alarmStackPattern = regexp.MustCompile(`^([a-z][a-z0-9-]*)-alarms-([0-9]+)$`)

// DashboardStack is the name of the dashboard's stack.
func (d Deployment) DashboardStack() string { return string(d) + "-dashboard" }

// EvidenceStack is the name of the stack of what is kept for a claim.
func (d Deployment) EvidenceStack() string { return string(d) + "-sla-evidence" }

// Dashboard is the DashboardName: dashboards are global to an account
// ("PutDashboard", CloudWatch API Reference), so the region is in it.
func (d Deployment) Dashboard(region string) string { return string(d) + "-" + region }

// DashboardRegion is the inverse of Dashboard; false for any other name, that of
// another deployment included, whose name begins like this one's.
func (d Deployment) DashboardRegion(dashboard string) (string, bool) {
	region, ours := strings.CutPrefix(dashboard, string(d)+"-")
	return region, ours && regionPattern.MatchString(region)
}

// regionPattern takes the names of regions as all partitions have them, such as
// eu-west-1, us-gov-west-1, eu-isoe-west-1 and eusc-de-east-1, but not
// team-eu-west-1.
var regionPattern = regexp.MustCompile(`^([a-z]{2}(-gov|-iso[a-z]?)?|eusc-[a-z]{2})-[a-z]+-[0-9]+$`)

// AlarmName is what a person reads at 3 a.m.: deployment, alias, the tail of
// the key ID, operations, kind, and the alarm's id unless it is "main". The
// tail makes it unique when aliases are swapped, repointed or reused. Over 255
// characters, the alias and then the operations are cut, and the name ends in
// "~" and 8 hex digits of the SHA-256 of the whole.
func (d Deployment) AlarmName(k spec.Key, ops []spec.Operation, kind spec.Kind, id string) string {
	alias := strings.TrimPrefix(k.Alias, "alias/")
	if alias == "" {
		alias = "-"
	}
	key := keyID(k.ARN)
	tail := key[max(0, len(key)-12):]
	operations := spec.JoinOperations(ops, "+")
	end := string(kind)
	if id != spec.DefaultID {
		end += " " + id
	}
	join := func(alias, operations string) string {
		return strings.Join([]string{string(d), alias, tail, operations, end}, " ")
	}
	whole := join(alias, operations)
	excess := utf8.RuneCountInString(whole) - spec.MaxAlarmName
	if excess <= 0 {
		return whole
	}
	sum := sha256.Sum256([]byte(whole))
	suffix := "~" + hex.EncodeToString(sum[:4])
	excess += utf8.RuneCountInString(suffix)
	alias, excess = cut(alias, excess)
	operations, _ = cut(operations, excess)
	return join(alias, operations) + suffix
}

// cut shortens s by up to n characters, leaving one, and says how many are
// still too many.
func cut(s string, n int) (string, int) {
	r := []rune(s)
	drop := max(0, min(n, len(r)-1))
	return string(r[:len(r)-drop]), n - drop
}

// Local names the resources of a construct outside of a keywatch deployment:
// the caller's construct ID is the identity, and AlarmName is left out, so that
// CloudFormation makes a unique one. The key's ARN may be a token.
type Local struct{}

// Unit is the operations alone.
func (Local) Unit(_ spec.Key, ops []spec.Operation) string { return spec.JoinOperations(ops, "+") }

// Alarm gives a construct ID within the construct, and no name.
func (Local) Alarm(_ spec.Key, ops []spec.Operation, kind spec.Kind, id string) (constructID, name string) {
	return "Alarm" + spec.JoinOperations(ops, operationSplit) + kindTokens[kind] + idToken(id), ""
}

// Detector gives a construct ID within the construct.
func (Local) Detector(_ spec.Key, op spec.Operation, statistic string) string {
	return "Detector" + string(op) + "Of" + statistic
}

var kindTokens = map[spec.Kind]string{spec.KindAnomaly: "Anomaly", spec.KindThreshold: "Threshold"}

// idToken makes an alarm id fit for a logical ID, which must be alphanumeric:
// ids are lower-case, so "Z" can stand for "-" and "I" can begin it.
func idToken(id string) string { return "I" + strings.ReplaceAll(id, "-", "Z") }

// keyID is the part of a key ARN after "key/".
func keyID(arn string) string { return arn[strings.LastIndexByte(arn, '/')+1:] }

// keyToken makes a key ID fit for a logical ID: K and 32 hex digits for a
// UUID, M and 32 hex digits for a multi-Region key, else X and the ID in hex.
func keyToken(arn string) string {
	id := keyID(arn)
	if m := uuidPattern.FindString(id); m != "" {
		return "K" + strings.ReplaceAll(id, "-", "")
	}
	if mrkPattern.MatchString(id) {
		return "M" + strings.TrimPrefix(id, "mrk-")
	}
	return "X" + hex.EncodeToString([]byte(id)) + "Y"
}

var (
	uuidPattern   = regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$`)
	mrkPattern    = regexp.MustCompile(`^mrk-[0-9a-f]{32}$`)
	alarmPattern  = regexp.MustCompile(`^Alarm(K[0-9a-f]{32}|M[0-9a-f]{32}|X[0-9a-f]+Y)([A-Za-z]+?)(Anomaly|Threshold)I([a-z0-9Z]{1,16})$`)
	detectPattern = regexp.MustCompile(`^Detector(K[0-9a-f]{32}|M[0-9a-f]{32}|X[0-9a-f]+Y)([A-Za-z]+)Of(Sum|SampleCount|Average|Minimum|Maximum)$`)
)

// operationSplit joins operations in a logical ID; no operation holds it.
const operationSplit = "And"

// Identity is what a logical ID says.
type Identity struct {
	KeyID      string
	Operations []spec.Operation
	// Kind and AlarmID are set for an alarm, Statistic for a detector.
	Kind      spec.Kind
	AlarmID   string
	Statistic string
}

// Unit is the identity of the unit that the thing belongs to.
func (i Identity) Unit() string { return i.KeyID + "/" + spec.JoinOperations(i.Operations, "+") }

// ParseLogicalID reads back what Alarm and Detector wrote; false for any other
// logical ID, one that says the same in another spelling included: two
// spellings of one identity would be two resources with one name.
func ParseLogicalID(s string) (Identity, bool) {
	if m := alarmPattern.FindStringSubmatch(s); m != nil {
		i := Identity{Kind: spec.Kind(strings.ToLower(m[3])), AlarmID: strings.ReplaceAll(m[4], "Z", "-")}
		if i.parse(m[1], strings.Split(m[2], operationSplit)) && alarmID(i.KeyID, i.Operations, i.Kind, i.AlarmID) == s {
			return i, true
		}
	}
	if m := detectPattern.FindStringSubmatch(s); m != nil {
		i := Identity{Statistic: m[3]}
		if i.parse(m[1], []string{m[2]}) && detectorID(i.KeyID, i.Operations[0], i.Statistic) == s {
			return i, true
		}
	}
	return Identity{}, false
}

func (i *Identity) parse(token string, operations []string) bool {
	key, fine := parseKeyToken(token)
	ops, known := parseOperations(operations)
	i.KeyID, i.Operations = key, ops
	return fine && known
}

// parseOperations takes known operations only, sorted and each once.
func parseOperations(names []string) ([]spec.Operation, bool) {
	ops := make([]spec.Operation, len(names))
	for i, n := range names {
		ops[i] = spec.Operation(n)
		if !spec.IsWatchable(ops[i]) || i > 0 && ops[i] <= ops[i-1] {
			return nil, false
		}
	}
	return ops, true
}

func parseKeyToken(t string) (string, bool) {
	switch body := t[1:]; t[0] {
	case 'K':
		return body[:8] + "-" + body[8:12] + "-" + body[12:16] + "-" + body[16:20] + "-" + body[20:], true
	case 'M':
		return "mrk-" + body, true
	default:
		id, err := hex.DecodeString(strings.TrimSuffix(body, "Y"))
		return string(id), err == nil
	}
}
