// Package places reads out of the deployed stacks where every unit lives, so
// that the next plan leaves it there.
//
// It is pure: internal/live lists the stacks, internal/plan uses the places. A
// stack whose content cannot be relied on (an operation is at work or got
// stuck) is a problem, never a guess: a unit that is taken for new would be
// made in another stack, and collide with itself or be deleted by its old one.
// Start reading at [Read].
package places

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"keywatch/internal/diag"
	"keywatch/internal/naming"
	"keywatch/internal/plan"
)

// DeploymentTag is the tag of every keywatch stack, as package stacks writes it.
// Its value is the config's name.
const DeploymentTag = "keywatch:deployment"

// Stack is one CloudFormation stack with its resources.
type Stack struct {
	Name string
	// Status as CloudFormation spells it ("Stack status codes", CloudFormation
	// User Guide).
	Status string
	// Deployment is the value of the tag DeploymentTag, or "".
	Deployment string
	// Resources are those of a stack that may hold any: see [Empty].
	Resources []Resource
}

// Resource is one resource of a stack, one that is gone included.
type Resource struct {
	LogicalID, PhysicalID, Type, Status string
	// Changed is when the stack last made, replaced or updated it.
	Changed time.Time
}

// Ours says whether a stack may be one of keywatch, under whatever name it was
// deployed. The tag says so, but `cdk deploy --tags` replaces all tags that an
// app sets, so the name of an alarm stack says it too.
func Ours(name, deploymentTag string) bool {
	_, _, named := naming.ParseAlarmStack(name)
	return deploymentTag != "" || named
}

// Empty says whether a stack in this status holds nothing for certain: it is
// gone, has only been announced by a change set, or its creation was rolled
// back. The CDK CLI deletes the last kind before it deploys.
func Empty(status string) bool {
	return status == "DELETE_COMPLETE" || status == "REVIEW_IN_PROGRESS" || status == "ROLLBACK_COMPLETE"
}

func busy(status string) bool {
	return strings.HasSuffix(status, "_IN_PROGRESS") && status != "REVIEW_IN_PROGRESS"
}

// holds says whether the stack has the resource. One that was never made has
// no physical ID; one whose creation failed half-way has, and its stack will
// remove it by that ID, so its place is there.
func (r Resource) holds() bool {
	switch {
	case busy(r.Status):
		return true
	case r.Status == "DELETE_COMPLETE" || r.Status == "DELETE_SKIPPED": // skipped: left behind, by nobody's stack
		return false
	}
	return r.PhysicalID != ""
}

// Read gives the places of the deployment of this name, and the problems that
// forbid to rely on them. What it says of other deployments is only which
// units they hold.
func Read(stacks []Stack, name, region string) (plan.Places, diag.List) {
	r := reader{name: naming.Deployment(name), region: region, out: plan.Places{
		Units: map[string]int{}, Names: map[string]string{}, Changed: map[string]time.Time{}, Twice: map[string][2]string{}, Elsewhere: map[string]plan.Holder{},
	}}
	stacks = slices.Clone(stacks)
	slices.SortFunc(stacks, func(a, b Stack) int { return cmp.Compare(a.Name, b.Name) })
	for i := range stacks {
		r.read(&stacks[i])
	}
	slices.Sort(r.out.Stacks)
	r.problems.Sort()
	return r.out, r.problems
}

// Of are the names of the stacks of a deployment that a deploy elsewhere would
// leave behind, sorted: all but those that are gone or going, and strangers that
// only have such a name.
func Of(stacks []Stack, name string) []string {
	var out []string
	for i := range stacks {
		s := &stacks[i]
		switch {
		case s.owner() != naming.Deployment(name), s.Status == "DELETE_COMPLETE", s.Status == "DELETE_IN_PROGRESS":
		case s.Deployment == "" && s.stranger() != "":
		default:
			out = append(out, s.Name)
		}
	}
	slices.Sort(out)
	return out
}

// owner is the deployment that the stack is of: its tag says so before its name.
func (s *Stack) owner() naming.Deployment {
	named, _, _ := naming.ParseAlarmStack(s.Name)
	return naming.Deployment(cmp.Or(s.Deployment, string(named)))
}

type reader struct {
	name     naming.Deployment
	region   string
	out      plan.Places
	problems diag.List
}

func (r *reader) read(s *Stack) {
	named, number, alarms := naming.ParseAlarmStack(s.Name)
	owner := s.owner()
	ours := alarms && named == r.name
	switch {
	case owner != r.name && ours:
		r.foreign(s, fmt.Sprintf("has a name of this deployment and the tag %s of another, %q", DeploymentTag, owner))
	case owner != r.name:
		r.others(s, string(owner))
	case s.Status == "DELETE_COMPLETE":
	case Empty(s.Status):
		r.out.Others = append(r.out.Others, s.Name)
	case !ours:
		r.settled(s)
		r.beside(s)
	case s.Deployment == "" && s.stranger() != "":
		r.foreign(s, fmt.Sprintf("has a name of this deployment, no tag %s, and the resource %s, which keywatch never makes", DeploymentTag, s.stranger()))
	default:
		r.settled(s)
		r.alarms(s, number)
	}
}

// alarms reads an alarm stack of this deployment.
func (r *reader) alarms(s *Stack, number int) {
	r.out.Stacks = append(r.out.Stacks, number)
	var unknown []string
	for _, res := range s.Resources {
		if !res.holds() {
			continue
		}
		id, parsed := naming.ParseLogicalID(res.LogicalID)
		if !parsed {
			if keywatchType(res.Type) {
				unknown = append(unknown, res.LogicalID)
			}
			continue
		}
		unit := id.Unit()
		if other, there := r.out.Units[unit]; there && other != number {
			r.out.Twice[unit] = [2]string{r.name.AlarmStack(other), s.Name}
		} else {
			r.out.Units[unit] = number
		}
		if id.Kind != "" && res.PhysicalID != "" {
			r.out.Names[res.LogicalID], r.out.Changed[res.LogicalID] = res.PhysicalID, res.Changed
		}
	}
	if len(unknown) > 0 {
		slices.Sort(unknown)
		r.problems.Warn(diag.Pos{}, "unknown-alarm", "stack %s holds %s, which this version of keywatch does not make, so that a deploy removes %s; if a newer version made %s, use that one",
			s.Name, listed(unknown), them(unknown), them(unknown))
	}
}

// beside looks at a stack of this deployment that is no alarm stack.
func (r *reader) beside(s *Stack) {
	for _, res := range s.Resources {
		if _, unit := naming.ParseLogicalID(res.LogicalID); unit && res.holds() {
			r.foreign(s, fmt.Sprintf("has the tag %s of this deployment and holds alarms, such as %s, but has none of its names (%s, …)", DeploymentTag, res.LogicalID, r.name.AlarmStack(1)))
			return
		}
	}
	r.out.Others = append(r.out.Others, s.Name)
}

// others notes which units a stack of another deployment holds, or is about
// to: what it is busy with is no reason to wait here.
func (r *reader) others(s *Stack, deployment string) {
	if Empty(s.Status) {
		return
	}
	for _, res := range s.Resources {
		id, unit := naming.ParseLogicalID(res.LogicalID)
		if _, known := r.out.Elsewhere[id.Unit()]; unit && !known && res.holds() {
			r.out.Elsewhere[id.Unit()] = plan.Holder{Stack: s.Name, Deployment: deployment}
		}
	}
}

// settled reports a stack that is at work or stuck.
func (r *reader) settled(s *Stack) {
	switch {
	case busy(s.Status):
		r.busy(s, "is in "+s.Status)
	case s.Status == "UPDATE_ROLLBACK_FAILED":
		r.problems.Add(diag.Pos{}, "stack-stuck", "stack %s is in %s, and CloudFormation refuses to update it; finish the rollback with `%s` (with --resources-to-skip for what it cannot bring back), then repeat",
			s.Name, s.Status, r.command("continue-update-rollback", s))
	case s.Status == "DELETE_FAILED":
		r.problems.Add(diag.Pos{}, "stack-stuck", "stack %s is in %s, and CloudFormation refuses to update it; `%s` shows why, `%s` tries again; once it is gone, a deploy makes it anew",
			s.Name, s.Status, r.command("describe-stack-events", s), r.command("delete-stack", s))
	default:
		for _, res := range s.Resources {
			if busy(res.Status) {
				r.busy(s, fmt.Sprintf("is in %s, but its resource %s in %s", s.Status, res.LogicalID, res.Status))
				return
			}
		}
	}
}

func (r *reader) busy(s *Stack, what string) {
	r.problems.Add(diag.Pos{}, "stack-busy", "stack %s %s: another deploy is at work, and where alarms live is only known after it; wait for it, then repeat; `%s` shows how far it is",
		s.Name, what, r.command("describe-stack-events", s))
}

func (r *reader) foreign(s *Stack, what string) {
	r.problems.Add(diag.Pos{}, "stack-foreign", "stack %s %s, so keywatch neither takes it over nor goes around it; choose another `name` in the config, or, if nobody needs the stack, `%s`",
		s.Name, what, r.command("delete-stack", s))
}

// command is not one of the CDK CLI: that runs this app first, which stops at
// the very problem, and it only knows stacks that the app makes.
func (r *reader) command(verb string, s *Stack) string {
	return plan.StackCommand(verb, s.Name, r.region)
}

// stranger is a resource that no alarm stack has, or "".
func (s *Stack) stranger() string {
	for _, res := range s.Resources {
		_, unit := naming.ParseLogicalID(res.LogicalID)
		if !unit && res.Type != "AWS::CloudFormation::WaitConditionHandle" && res.holds() {
			return res.LogicalID
		}
	}
	return ""
}

func keywatchType(t string) bool {
	return t == "AWS::CloudWatch::Alarm" || t == "AWS::CloudWatch::AnomalyDetector"
}

func listed(ids []string) string {
	const most = 3
	if len(ids) <= most {
		return strings.Join(ids, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(ids[:most], ", "), len(ids)-most)
}

func them(ids []string) string {
	if len(ids) == 1 {
		return "it"
	}
	return "them"
}
