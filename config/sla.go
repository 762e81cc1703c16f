package config

import (
	"regexp"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"keywatch/internal/diag"
)

// SLA is what is kept for a claim under the KMS service level agreement.
type SLA struct {
	// Evidence makes the stack that keeps it.
	Evidence bool
	// RetentionDays is how long it is kept.
	RetentionDays int
	// TrailLogGroup is the log group that a trail of the account writes to, and
	// server faults are found in; empty: EventBridge brings them.
	TrailLogGroup string
	// EncryptionKey is the ARN of a KMS key with placeholders, see FillKey; empty:
	// CloudWatch Logs encrypts by its own.
	EncryptionKey string
	KeyPos        Pos
	// Actions are those of the alarms on server faults.
	Actions Actions
}

var defaultSLA = SLA{RetentionDays: 400}

// retentions are the days that CloudWatch Logs can keep ("PutRetentionPolicy",
// CloudWatch Logs API Reference), from what a claim needs: a fault of the first of
// a month of 31 days may be claimed until two more are over, and be asked about in
// the one after that.
var retentions = []int{150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653}

var (
	logGroupPattern    = regexp.MustCompile(`^[-._/#A-Za-z0-9]{1,512}$`)
	evidenceKeyPattern = regexp.MustCompile(`^arn:(aws(-[a-z]+)*|\{partition\}):kms:([a-z]{2,4}(-[a-z]+)+-[0-9]{1,2}|\{region\}):([0-9]{12}|\{account\}):key/[A-Za-z0-9-]+$`)
)

func (d *decoder) sla(n *yaml.Node, c *Config) {
	s, before := &c.SLA, d.mistakes()
	d.mapping(n, "sla", "a mapping such as {evidence: true}", fields{
		"evidence":      optional(func(v *yaml.Node) { d.setBool(v, "sla.evidence", &s.Evidence) }),
		"retentionDays": optional(func(v *yaml.Node) { d.retention(v, s) }),
		"trailLogGroup": optional(func(v *yaml.Node) {
			s.TrailLogGroup = d.matching(v, "sla.trailLogGroup", logGroupPattern.MatchString, "the name of a log group, 1 to 512 of a-z, A-Z, 0-9, -, _, ., / and #: no ARN")
		}),
		"encryptionKey": optional(func(v *yaml.Node) { d.evidenceKey(v, s) }),
		"actions":       optional(func(v *yaml.Node) { d.actions(v, "sla.actions", &s.Actions) }),
	})
	_, decided := d.given["sla.evidence"]
	switch {
	case d.mistakes() > before:
	case !decided && len(resolve(n).Content) > 0:
		d.problems.Warn(d.pos(resolve(n)), "unused", "sla does not say evidence: true, so nothing is kept and what it says has no effect; add it, or remove sla")
	case s.Evidence && s.Actions.None():
		d.problems.Warn(d.pos(resolve(n)), "no-actions", "sla has no actions, so its alarms on server faults notify nobody; add actions: {alarm: [ARN]}")
	}
}

func (d *decoder) retention(n *yaml.Node, s *SLA) {
	n = resolve(n)
	var words []string
	for _, days := range retentions {
		words = append(words, strconv.Itoa(days))
	}
	allowed := strings.Join(words, ", ")
	days, err := strconv.Atoi(n.Value)
	switch {
	case n.Kind != yaml.ScalarNode || n.ShortTag() != "!!int":
		d.fail(n, "wrong-type", "sla.retentionDays must be a number of days, not %s; allowed: %s", kindOf(n), allowed)
	case err == nil && slices.Contains(retentions, days) && n.Value == strconv.Itoa(days):
		s.RetentionDays = days
	case err == nil && days > 0 && days < retentions[0]:
		d.fail(n, "retention", "sla.retentionDays is %s, which may be over before a claim is due and answered; allowed: %s", n.Value, allowed)
	default:
		d.fail(n, "retention", "sla.retentionDays is %s, which is none of the numbers that CloudWatch Logs takes; allowed: %s", n.Value, allowed)
	}
}

func (d *decoder) evidenceKey(n *yaml.Node, s *SLA) {
	arn, ok := d.text(n, "sla.encryptionKey")
	if !ok {
		return
	}
	s.EncryptionKey, s.KeyPos = arn, d.pos(resolve(n))
	if !evidenceKeyPattern.MatchString(arn) {
		d.fail(n, "evidence-key", "sla.encryptionKey is %q, which is no ARN of a KMS key; write arn:{partition}:kms:{region}:{account}:key/KEY-ID, or leave it out: CloudWatch Logs then encrypts by its own", brief(arn))
		s.EncryptionKey = ""
		return
	}
	d.problems.Warn(s.KeyPos, "evidence-key", "sla.encryptionKey makes the evidence depend on KMS, whose failure it records: while KMS fails, nothing may be written or read; leave it out unless you must have it")
}

// FillKey puts the place into the ARN of the encryption key. A log group takes a
// key of its own region only.
func (s SLA) FillKey(at Place) (string, diag.List) {
	var problems diag.List
	arn := at.expand(s.EncryptionKey)
	if parts := strings.Split(arn, ":"); s.EncryptionKey != "" && (parts[1] != at.Partition || parts[3] != at.Region) {
		problems.Add(s.KeyPos, "evidence-key", "sla.encryptionKey is %s, but a log group in %s takes a key of that region only; write {partition} and {region}, with a multi-Region key, or leave it out", arn, at.Region)
	}
	return arn, problems
}
