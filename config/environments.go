package config

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"keywatch/internal/diag"
)

// maxEnvironments is far above what one run can read in a sensible time.
const maxEnvironments = 1000

func (d *decoder) environments(n *yaml.Node, c *Config) {
	seen := map[[2]string]Pos{}
	whole := d.list(n, "environments", "{account, region}", func(i int, item *yaml.Node) {
		e := d.environment(fmt.Sprintf("environments[%d]", i), item)
		c.Environments = append(c.Environments, e)
		pair := [2]string{e.Account, e.Region}
		if first, twice := seen[pair]; twice && e.Account != "" && e.Region != "" {
			d.problems.Add(e.Pos, "duplicate-environment", "environments[%d] is %s in %s, as in line %d; two runs of one deployment in one account and region would undo each other: remove one", i, e.Account, e.Region, first.Line)
		} else if !twice {
			seen[pair] = e.Pos
		}
	})
	switch count := len(c.Environments); {
	case !whole:
	case count == 0:
		d.fail(n, "no-environment", "environments is an empty list; leave it out to take the account and region of the CDK CLI")
	case count > maxEnvironments:
		d.fail(n, "too-many", "environments holds %d entries; at most %d are allowed", count, maxEnvironments)
	}
}

func (d *decoder) environment(where string, item *yaml.Node) Environment {
	e := Environment{Pos: d.pos(resolve(item)), Role: RoleNone}
	var role *yaml.Node
	d.mapping(item, where, "a mapping of account and region", fields{
		"account": required(func(v *yaml.Node) {
			e.Account = d.matching(v, where+".account", accountPattern.MatchString, "12 digits, in quotes")
		}),
		"region": required(func(v *yaml.Node) {
			e.Region = d.matching(v, where+".region", regionPattern.MatchString, "a region such as eu-west-1")
		}),
		"role": optional(func(v *yaml.Node) {
			if s, ok := d.text(v, where+".role"); ok {
				e.Role, role = s, v
			}
		}),
	})
	if role != nil { // after the account, which it is held against
		d.role(role, where+".role", e)
	}
	return e
}

const maxRoleName = 64 + 512 // name and path ("CreateRole", IAM API Reference)

// roleARN has the account and the name with its path in groups.
const roleARN = `arn:(?:\{partition\}|aws(?:-[a-z]+)*):iam::(\{account\}|[0-9]{12}):role/((?:[\w+=,.@/-]|\{(?:partition|account|region)\})*(?:[\w+=,.@-]|\{(?:partition|account|region)\}))`

var rolePattern = regexp.MustCompile(`^` + roleARN + `$`)

func (d *decoder) role(n *yaml.Node, where string, e Environment) {
	if e.Role == RoleNone || e.Role == RoleLookup {
		return
	}
	words := []string{RoleLookup, RoleNone}
	m := rolePattern.FindStringSubmatch(e.Role)
	switch strange := strangePlaceholder(e.Role); {
	case strange != "":
		d.fail(n, "bad-role", "%s has the unknown placeholder %s; allowed: {partition}, {account}, {region}", where, strange)
	case m == nil && !strings.HasPrefix(e.Role, "arn:"):
		d.fail(n, "bad-role", "%s is %q%s; allowed: none, cdk-lookup, or the ARN of a role", where, brief(e.Role), diag.DidYouMean(e.Role, words))
	case m == nil || len(m[2]) > maxRoleName:
		d.fail(n, "bad-role", "%s is %q, which is no ARN of a role; write for example arn:{partition}:iam::{account}:role/keywatch-read", where, brief(e.Role))
	case m[1] != "{account}" && accountPattern.MatchString(e.Account) && m[1] != e.Account:
		d.fail(n, "bad-role", "%s is a role of account %s, but this environment is account %s, and a role reads its own account; write {account}", where, m[1], e.Account)
	}
}

func strangePlaceholder(s string) string {
	known := []string{"{partition}", "{account}", "{region}"}
	for _, p := range pathPlaceholder.FindAllString(s, -1) {
		if !slices.Contains(known, p) {
			return p
		}
	}
	return ""
}

// RoleARN is the role's ARN within a partition, or "" if the role is a word.
func (e Environment) RoleARN(partition string) string {
	if e.Role == RoleNone || e.Role == RoleLookup {
		return ""
	}
	return Place{Partition: partition, Region: e.Region, Account: e.Account}.expand(e.Role)
}

// PartitionOf is the partition of a region, which begins its ARNs ("AWS
// partitions", AWS General Reference). It is needed before AWS can be asked.
func PartitionOf(region string) string {
	for _, p := range []struct{ prefix, partition string }{
		{"cn-", "aws-cn"}, {"us-gov-", "aws-us-gov"}, {"us-iso-", "aws-iso"}, {"us-isob-", "aws-iso-b"},
		{"eu-isoe-", "aws-iso-e"}, {"us-isof-", "aws-iso-f"}, {"eusc-", "aws-eusc"},
	} {
		if strings.HasPrefix(region, p.prefix) {
			return p.partition
		}
	}
	return "aws"
}
