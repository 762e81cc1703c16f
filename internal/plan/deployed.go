package plan

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"keywatch/internal/diag"
	"keywatch/internal/naming"
	"keywatch/internal/rules"
)

// Removal is a key that has deployed alarms and keeps none.
type Removal struct {
	KeyARN string
	Units  int // that are deployed
	Reason string
}

// Rename is a deployed alarm that gets another name. CloudFormation replaces
// it: the name is create-only.
type Rename struct{ From, To string }

// Loss is a deployed alarm that the plan does not make any more.
type Loss struct {
	Unit, Name string
	// Changed is when CloudFormation last made or changed it.
	Changed time.Time
}

// A deploy may take all alarms from a few keys, or from a small part of them,
// without being asked: that is the daily coming and going of keys. More at once
// is what a slip in a rule, a lost tag or the wrong account looks like.
const (
	fewRemovals     = 4  // keys
	partOfRemovals  = 10 // percent of the keys with deployed alarms
	removalContext  = "keywatch:allowRemoval"
	removalsInError = 3 // keys and reasons that the message names
)

// compare holds the plan against what is deployed.
func (b *builder) compare() {
	b.deployed = map[string]int{}
	for unit := range b.there().Units {
		b.deployed[keyOf(unit)]++
	}
	b.plan.Totals.Deployed = len(b.deployed)
	b.checkHolders()
	b.findRenames()
	b.findRemovals()
	b.checkRemovals()
	b.checkLeft()
}

// there is what is deployed, as far as anybody knows.
func (b *builder) there() *Places {
	if b.options.Deployed != nil {
		return b.options.Deployed
	}
	return &b.options.Places
}

// keyOf is the key ID in the ID of a unit.
func keyOf(unit string) string {
	id, _, _ := strings.Cut(unit, "/")
	return id
}

// checkHolders refuses the units that something else holds: the second owner
// of a detector or of an alarm's name would collide with the first, or delete
// it when it goes.
func (b *builder) checkHolders() {
	known := b.there()
	for i := range b.plan.Keys {
		k := &b.plan.Keys[i]
		for _, u := range k.Units {
			what := fmt.Sprintf("%s of key %s", strings.TrimPrefix(u.ID, keyOf(u.ID)+"/"), u.Key.ARN)
			if stacks, twice := known.Twice[u.ID]; twice {
				b.found(group{diag.Error, diag.Pos{}, "placed-twice", fmt.Sprintf("the stacks %s and %s both hold the alarms on ", stacks[0], stacks[1]),
					"; let both drop them by a deploy with a rule that says watch: false for these keys, then deploy without it"}, k, what)
			}
			if h, held := known.Elsewhere[u.ID]; held {
				b.found(group{diag.Error, diag.Pos{}, "placed-elsewhere", fmt.Sprintf("stack %s of the keywatch deployment %q already holds alarms on ", h.Stack, h.Deployment),
					fmt.Sprintf("; two deployments would share its anomaly detector, and either could delete it: let the rules of one of them leave these keys out (watch: false), or give up the deployment %q", h.Deployment)}, k, what)
			}
		}
	}
}

// findRenames finds the alarms that are new, that go, and that get another
// name, if it is known which there are.
func (b *builder) findRenames() {
	p, names := b.plan, b.there().Names
	if names == nil {
		return
	}
	p.Compared = true
	gone := maps.Clone(names)
	for i := range p.Keys {
		for _, u := range p.Keys[i].Units {
			for _, a := range u.Alarms {
				name, there := names[a.ID]
				delete(gone, a.ID)
				switch {
				case !there:
					p.Totals.Added++
				case name != a.Name:
					p.Renames = append(p.Renames, Rename{From: name, To: a.Name})
				}
			}
		}
	}
	for id, name := range gone {
		deployed, _ := naming.ParseLogicalID(id)
		p.Losses = append(p.Losses, Loss{Unit: deployed.Unit(), Name: name, Changed: b.there().Changed[id]})
	}
	p.Totals.Removed = len(p.Losses)
	slices.SortFunc(p.Losses, func(a, b Loss) int { return cmp.Or(cmp.Compare(a.Unit, b.Unit), cmp.Compare(a.Name, b.Name)) })
	slices.SortFunc(p.Renames, func(a, b Rename) int { return cmp.Or(cmp.Compare(a.From, b.From), cmp.Compare(a.To, b.To)) })
}

// findRemovals finds the keys that have deployed alarms and keep none. A key
// that cannot be read is not among them: nobody knows whether it is still to be
// watched, so its alarms stay, whatever inventory.onUnreadable says.
func (b *builder) findRemovals() {
	p := b.plan
	gone := maps.Clone(b.deployed)
	for i := range p.Keys {
		k := &p.Keys[i]
		units := gone[k.ID]
		delete(gone, k.ID)
		switch {
		case units == 0 || k.Covered():
		case k.Decision.Status == rules.Unreadable:
			p.Problems.Add(diag.Pos{}, "unreadable-deployed",
				"key %s has deployed alarms and can no longer be read: %s; they are not removed for that: find out who changed the key's policy or this identity's permissions, and let it read the key again", k.ARN, k.Decision.Reason)
			b.about(k.ARN)
		default:
			p.Removals = append(p.Removals, Removal{KeyARN: k.ARN, Units: units, Reason: k.Decision.Reason})
		}
	}
	reason := "the account has no such key any more"
	if b.options.Frozen { // of the account the file says nothing
		reason = "the snapshot has no such key"
	}
	for id, units := range gone {
		p.Removals = append(p.Removals, Removal{KeyARN: b.keyARN(id), Units: units, Reason: reason})
	}
	slices.SortFunc(p.Removals, func(a, b Removal) int { return cmp.Compare(a.KeyARN, b.KeyARN) })
}

func (b *builder) keyARN(id string) string {
	inv := b.plan.Inventory
	return strings.Join([]string{"arn", inv.Partition, "kms", inv.Region, inv.Account, "key/" + id}, ":")
}

// checkRemovals is the guard against mass removal.
func (b *builder) checkRemovals() {
	p := b.plan
	n, of := len(p.Removals), len(b.deployed)
	p.MassRemoval = n > fewRemovals && n*100 > of*partOfRemovals
	if !p.MassRemoval || n == b.options.AllowRemoval {
		return
	}
	stated := ""
	if b.options.AllowRemoval > 0 {
		stated = fmt.Sprintf(" (it is %d, and only the exact number counts)", b.options.AllowRemoval)
	}
	p.Problems.Add(diag.Pos{}, "mass-removal",
		"%d of the %d keys with deployed alarms would lose them all, which is more than %d keys and more than %d %%: %s; the first: %s. If that is meant, say %s%s; if not, look at the rules, the tags of these keys, and whether this is the right account",
		n, of, fewRemovals, partOfRemovals, reasons(p.Removals), firstKeys(p.Removals), AllowRemoval(b.options.Several, p), stated)
}

// AllowRemoval is how to confirm the removals of plans: by their number, and of
// one among several environments by its name too.
func AllowRemoval(several bool, plans ...*Plan) string {
	var numbers []string
	for _, p := range plans {
		n := strconv.Itoa(len(p.Removals))
		if several {
			n = p.Inventory.Account + "/" + p.Inventory.Region + ":" + n
		}
		numbers = append(numbers, n)
	}
	return "-c " + removalContext + "=" + strings.Join(numbers, ",")
}

// reasons counts the removals by reason, the most frequent first.
func reasons(rs []Removal) string {
	counts := map[string]int{}
	for _, r := range rs {
		counts[r.Reason]++
	}
	order := slices.SortedFunc(maps.Keys(counts), func(a, b string) int { return cmp.Or(cmp.Compare(counts[b], counts[a]), cmp.Compare(a, b)) })
	var parts []string
	for _, r := range order[:min(removalsInError, len(order))] {
		parts = append(parts, fmt.Sprintf("%d because %s", counts[r], r))
	}
	if len(order) > removalsInError {
		parts = append(parts, fmt.Sprintf("%d more reasons", len(order)-removalsInError))
	}
	return strings.Join(parts, ", ")
}

func firstKeys(rs []Removal) string {
	var keys []string
	for _, r := range rs[:min(removalsInError, len(rs))] {
		keys = append(keys, r.KeyARN)
	}
	return strings.Join(keys, ", ")
}

// checkLeft reports the stacks of this deployment that the plan does not make:
// nothing would ever remove them.
func (b *builder) checkLeft() {
	p := b.plan
	made := map[string]bool{}
	for _, s := range p.Deployment.Shards {
		made[s.StackName] = true
	}
	if p.Deployment.Dashboard != nil {
		made[p.Deployment.Dashboard.StackName] = true
	}
	if p.Deployment.Evidence != nil {
		made[p.Deployment.Evidence.StackName] = true
	}
	for _, name := range b.there().Others {
		if !made[name] {
			but := ""
			if name == b.names.EvidenceStack() {
				but = ", but not the log group with the evidence, which stays until its events expire"
			}
			p.Problems.Warn(diag.Pos{}, "stack-left", "stack %s is of this deployment, but the config makes no such stack (any more), so a deploy leaves it as it is; `%s` removes it%s",
				name, StackCommand("delete-stack", name, p.Inventory.Region), but)
		}
	}
}

// StackCommand is a command of the AWS CLI on a stack.
func StackCommand(verb, stack, region string) string {
	return fmt.Sprintf("aws cloudformation %s --stack-name %s --region %s", verb, stack, region)
}
