package config

import (
	"fmt"
	"regexp"
	"strings"

	"keywatch/constructs/spec"
	"keywatch/internal/diag"
)

// Place is the account and region that ARNs are filled for. An empty field is
// one that is not known yet; nothing is then said about it.
type Place struct{ Partition, Region, Account string }

// Fill puts the place into the ARNs of the actions and checks the result. The
// problems stand at the ARN they are about.
func (a Actions) Fill(at Place) (spec.Actions, diag.List) {
	var problems diag.List
	fill := func(in []Action) []string {
		var out []string
		for _, action := range in {
			arn := at.expand(action.ARN)
			if why := at.refuse(arn); why != "" {
				problems.Add(action.Pos, "bad-arn", "%s %q %s", action.Path, brief(action.ARN), why)
				continue
			}
			out = append(out, arn)
		}
		return out
	}
	return spec.Actions{Alarm: fill(a.Alarm), OK: fill(a.OK), InsufficientData: fill(a.InsufficientData)}, problems
}

// brief is the beginning of what is too long to show.
func brief(s string) string {
	if r := []rune(s); len(r) > 150 {
		return string(r[:150]) + "…"
	}
	return s
}

func (p Place) expand(arn string) string {
	for name, value := range map[string]string{"{partition}": p.Partition, "{region}": p.Region, "{account}": p.Account} {
		if value != "" {
			arn = strings.ReplaceAll(arn, name, value)
		}
	}
	return arn
}

const maxARN = 1024 // AlarmActions of PutMetricAlarm

var (
	placeholderPattern = regexp.MustCompile(`\{[^{}]*\}`)
	accountPattern     = regexp.MustCompile(`^[0-9]{12}$`)
	regionPattern      = regexp.MustCompile(`^[a-z]{2,4}(-[a-z]+)+-[0-9]{1,2}$`)
	partitionPattern   = regexp.MustCompile(`^aws(-[a-z]+)*$`)
)

// refuse says why CloudWatch would not take the ARN as an action here, or "".
// A topic of another account is fine, one of another region is not.
func (p Place) refuse(arn string) string {
	for _, m := range placeholderPattern.FindAllString(arn, -1) {
		if m != "{partition}" && m != "{region}" && m != "{account}" {
			return fmt.Sprintf("has the unknown placeholder %s; allowed: {partition}, {region}, {account}", m)
		}
	}
	if len(arn) > maxARN {
		return fmt.Sprintf("has %d characters; at most %d are allowed", len(arn), maxARN)
	}
	parts := strings.SplitN(arn, ":", 6)
	if len(parts) != 6 || parts[0] != "arn" || parts[2] == "" || parts[5] == "" || strings.ContainsAny(arn, " \t\n\"'") {
		return "is no ARN; write arn:{partition}:sns:{region}:{account}:TOPIC"
	}
	partition, service, region, account, resource := parts[1], parts[2], parts[3], parts[4], parts[5]
	switch {
	case partition != "{partition}" && !partitionPattern.MatchString(partition):
		return fmt.Sprintf("has the partition %q; write {partition}, aws, aws-cn or aws-us-gov", partition)
	case p.Partition != "" && partition != p.Partition:
		return fmt.Sprintf("is of the partition %q, but this is %q; write {partition}", partition, p.Partition)
	case region != "" && region != "{region}" && !regionPattern.MatchString(region):
		return fmt.Sprintf("has the region %q, which is none; write {region}", region)
	case region == "" && service == "sns":
		return "names no region; write {region}"
	case p.Region != "" && region != "" && region != p.Region:
		return fmt.Sprintf("is of the region %s, but CloudWatch only notifies within its own, %s; write {region}, or name a resource there", region, p.Region)
	case account == "" && service == "sns":
		return "names no account; write {account}"
	case account != "" && account != "{account}" && !accountPattern.MatchString(account):
		return fmt.Sprintf("has the account %q; an account ID has 12 digits: write {account}", account)
	case service == "sns" && strings.Contains(resource, ":"):
		return "is a subscription to a topic; name the topic itself, without what follows the last colon"
	case service == "autoscaling":
		return "is an Auto Scaling action, which an anomaly alarm cannot have; notify an SNS topic"
	}
	return ""
}
