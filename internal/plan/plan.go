// Package plan turns decisions into what is to be deployed: the alarms of each
// key, the stack that each lives in, the dashboard, and the price.
//
// It is pure: no I/O, no clock, no network. Everything after it either reports
// a [Plan] or draws its Deployment. Start reading at [Build]; placement is in
// place.go, what a deploy would change in deployed.go, prices in price.go.
package plan

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"keywatch/config"
	"keywatch/constructs/spec"
	"keywatch/internal/diag"
	"keywatch/internal/inventory"
	"keywatch/internal/naming"
	"keywatch/internal/rules"
	"keywatch/internal/sla"
)

// Options are what a plan depends on besides config and inventory.
type Options struct {
	// Places are where units go. They alone decide what is drawn.
	Places Places
	// Deployed is what is deployed, if that is known apart from Places; nil: they
	// are taken for it. It is what the guards look at.
	Deployed *Places
	// Frozen says that the keys are those of a snapshot, not of the account now.
	Frozen bool
	// AllowRemoval is the number of keys that may lose their alarms, when it is
	// so many that somebody has to confirm it; 0 when nobody has.
	AllowRemoval int
	// Several says that the run has other environments, so that a number of keys
	// has to name this one.
	Several bool
	// Fill is DefaultFill unless set.
	Fill Fill
	// Trace records every step of every decision.
	Trace bool
}

// Plan is the answer for one environment.
type Plan struct {
	Config    *config.Config
	Inventory *inventory.Inventory
	// Deployment is what to draw; only to be drawn if Problems has no errors.
	Deployment spec.Deployment
	// Keys has an entry for every key of the inventory, in its order.
	Keys []Key
	// Rules has an entry for every rule of the config, in its order.
	Rules  []RuleTotal
	Totals Totals
	// Exceptions are those of the config that are for this account and region, and
	// those for elsewhere if the config does not say which environments there are.
	Exceptions []Exception
	// Removals are the keys whose deployed alarms all go, Renames the deployed
	// alarms that get another name, and Losses those that go. All are sorted.
	Removals []Removal
	Renames  []Rename
	Losses   []Loss
	// MassRemoval says that the removals are so many that somebody has to confirm
	// their number, or has.
	MassRemoval bool
	// Compared says that the deployed alarms are known, and so Renames and the
	// totals of new and removed ones.
	Compared bool
	// Problems are errors that forbid a deployment, and warnings. Sorted.
	Problems diag.List
	// about are the ARNs of the keys that a problem is about; it has no entry for
	// one that is about no key by itself, such as a limit. Whatever its level, a
	// problem stands there as an error.
	about map[diag.Problem][]string
}

// ErrorsOf are the errors at which synth stops for a key: all but those that are
// about other keys alone.
func (p *Plan) ErrorsOf(arn string) diag.List {
	return slices.DeleteFunc(p.Problems.Errors(), func(e diag.Problem) bool {
		keys, others := p.about[e]
		return others && !slices.Contains(keys, arn)
	})
}

// Key is what becomes of one key.
type Key struct {
	*inventory.Key
	Decision rules.Decision
	// Rule names the rules of the decision, joined by ", ".
	Rule  string
	Units []PlacedUnit
	// Notes are what a rule names and the key does not get: operations that it
	// cannot do, and a band that its tag asks for.
	Notes []string
	// Bands are the bands that a tag of the key changes.
	Bands []BandOverride
}

// PlacedUnit is a unit with its stack; empty when it could not be placed.
type PlacedUnit struct {
	spec.Unit
	Stack string
}

// Covered says whether a watched key gets any alarm.
func (k *Key) Covered() bool { return len(k.Units) > 0 }

// RuleTotal is what one rule makes.
type RuleTotal struct {
	Name       string
	Watch      bool
	Keys       int // that the rule decides or adds to
	Anomaly    int // alarms
	Threshold  int // alarms
	MonthlyUSD config.USD

	// without is how many keys the rule matches that get no alarms, since they
	// are not eligible, unreadable or excepted; ineligible is the first of the
	// first kind.
	without    int
	ineligible *Key

	actions      spec.Actions                      // filled for this environment
	perOperation map[spec.Operation][]spec.Anomaly // as spec.Watch has it
	origin       string                            // what descriptions say of it
}

// Alarms is the number of alarms of both kinds.
func (r RuleTotal) Alarms() int { return r.Anomaly + r.Threshold }

// Totals is what the environment gets.
type Totals struct {
	Keys    int // of the inventory
	Watched int
	// Deployed is how many keys have deployed alarms now.
	Deployed  int
	Alarms    int
	Added     int // alarms that are not deployed yet
	Removed   int // deployed alarms that go: the Losses
	Detectors int
	Stacks    int // alarm stacks
	Dashboard int // 0 or 1
	// MonthlyUSD includes the dashboard's, which is free among the first three
	// of an account, and the evidence's.
	MonthlyUSD config.USD
}

// DashboardUSD is the price of the dashboard, 0 without one.
func (p *Plan) DashboardUSD() config.USD { return config.USD(p.Totals.Dashboard) * priceDashboard }

// AlarmsByKind is the number of anomaly and of static alarms.
func (p *Plan) AlarmsByKind() (anomaly, static int) {
	for _, r := range p.Rules {
		anomaly += r.Anomaly
		static += r.Threshold
	}
	return anomaly, static
}

// Build decides for every key of the inventory, makes and places the alarms,
// adds up and checks the limits. It always returns a whole plan; whether it may
// be deployed is in its Problems.
func Build(c *config.Config, inv *inventory.Inventory, o Options) *Plan {
	if o.Fill == (Fill{}) {
		o.Fill = DefaultFill
	}
	b := builder{
		options: o,
		groups:  map[group]*members{},
		names:   naming.Deployment(c.Name),
		plan: &Plan{
			Config: c, Inventory: inv,
			Keys:       make([]Key, len(inv.Keys)),
			about:      map[diag.Problem][]string{},
			Deployment: spec.Deployment{Name: c.Name, Account: inv.Account, Region: inv.Region, Partition: inv.Partition},
		},
	}
	b.fillActions()
	b.decide()
	b.place()
	b.evidence()
	b.dashboard()
	b.compare()
	b.checkNames()
	b.checkGates()
	b.checkLimits()
	b.findings()
	b.report()
	b.plan.Problems = c.Findings.Apply(b.plan.Problems)
	b.plan.Problems.Sort()
	return b.plan
}

type builder struct {
	options Options
	names   naming.Deployment
	plan    *Plan
	groups  map[group]*members
	// deployed is how many units of each key are deployed, by key ID.
	deployed map[string]int
}

// group is a problem that many keys may share, so that a mistake in one rule is
// one line and not one for each of 100,000 keys.
type group struct {
	severity diag.Severity
	pos      diag.Pos
	code     string
	before   string // the message up to the first member
	after    string
}

type members struct {
	first []string
	more  int
	keys  []string // the ARNs of all
}

// named is how many members a group's message names. The tags of keys are mended
// key by key.
func (g group) named() int {
	if g.code == "band-tag" {
		return 3
	}
	return 1
}

// found notes one more member of a group, and the key that it is about.
func (b *builder) found(g group, k *Key, member string) {
	m := b.groups[g]
	if m == nil {
		m = &members{}
		b.groups[g] = m
	}
	if len(m.first) < g.named() {
		m.first = append(m.first, member)
	} else {
		m.more++
	}
	m.keys = append(m.keys, k.ARN)
}

// about says which keys the problem is about that was added last.
func (b *builder) about(arns ...string) {
	last := b.plan.Problems[len(b.plan.Problems)-1]
	last.Severity = diag.Error
	b.plan.about[last] = append(b.plan.about[last], arns...)
}

// report turns the groups into problems; their order comes from the sort.
func (b *builder) report() {
	for g, m := range b.groups {
		more := ""
		if m.more > 0 {
			more = fmt.Sprintf(" (and on %d more)", m.more)
		}
		add := b.plan.Problems.Add
		if g.severity == diag.Warning {
			add = b.plan.Problems.Warn
		}
		add(g.pos, g.code, "%s", g.before+strings.Join(m.first, ", ")+more+g.after)
		b.about(m.keys...)
	}
}

// at is where ARNs are filled for.
func (b *builder) at() config.Place {
	inv := b.plan.Inventory
	return config.Place{Partition: inv.Partition, Region: inv.Region, Account: inv.Account}
}

func (b *builder) fillActions() {
	p := b.plan
	at := b.at()
	for _, r := range p.Config.Rules {
		actions, problems := r.Actions.Fill(at)
		p.Problems = append(p.Problems, problems...)
		origin := fmt.Sprintf("Rule %s of keywatch deployment %s.", r.Name, b.names)
		p.Rules = append(p.Rules, RuleTotal{Name: r.Name, Watch: r.Watch, actions: actions, perOperation: perOperation(&r), origin: origin})
	}
}

func (b *builder) decide() {
	p := b.plan
	engine := rules.New(p.Config.Rules)
	engine.Except(p.Config.Exceptions, p.Inventory.Account, p.Inventory.Region, p.Inventory.ReadAt)
	decide := engine.Decide
	if b.options.Trace {
		decide = engine.Explain
	}
	p.Totals.Keys = len(p.Keys)
	for i := range p.Keys {
		k := &p.Keys[i]
		k.Key = &p.Inventory.Keys[i]
		k.Decision = decide(k.Key)
		k.Rule = engine.Names(k.Decision.Rules)
		for _, r := range k.Decision.Rules {
			p.Rules[r].Keys++
		}
		b.without(k)
		if k.Decision.Status != rules.Watched {
			continue
		}
		p.Totals.Watched++
		b.watch(k)
		b.count(k)
	}
}

// without notes a key that rules match and that gets no alarms all the same.
func (b *builder) without(k *Key) {
	for _, r := range k.Decision.Matched {
		total := &b.plan.Rules[r]
		total.without++
		if total.ineligible == nil && k.Decision.Status == rules.NotEligible {
			total.ineligible = k
		}
	}
	if k.Decision.UnknownSpec && len(k.Decision.Matched) > 0 {
		b.found(group{diag.Warning, diag.Pos{}, "unknown-spec", "no alarms, though a rule wants them, on key ",
			fmt.Sprintf(": keywatch does not know what a key of usage %q with spec %q can do; use a newer keywatch, or say watch: false for such keys", k.Usage, k.Spec)}, k, k.ARN)
	}
}

// watch makes the units of a key from each rule that applies.
func (b *builder) watch(k *Key) {
	key := spec.Key{ARN: k.ARN, Alias: k.Alias(), Usage: k.Usage, Spec: k.Spec}
	var units []spec.Unit
	operations := 0           // that rules choose and the key can do
	var owners map[string]int // alarm ID → rule, while several rules apply
	if len(k.Decision.Rules) > 1 {
		owners = map[string]int{}
	}
	for _, r := range k.Decision.Rules {
		w := b.watchOf(k, r)
		operations += len(w.Operations)
		made := spec.Expand(key, w, b.names)
		if len(made) == 0 {
			why := "can do none of the operations that it names"
			if len(w.Operations) > 0 {
				why = "can do only operations for which its perOperation is off"
			}
			b.found(group{diag.Warning, b.plan.Config.Rules[r].Pos, "no-operation", fmt.Sprintf("rule %q makes no alarm on key ", b.plan.Rules[r].Name),
				fmt.Sprintf(": a key of %s, %s %s", k.Usage, k.Spec, why)}, k, k.ARN)
		}
		for _, u := range made {
			b.own(r, u, owners)
			at := slices.IndexFunc(units, func(have spec.Unit) bool { return have.ID == u.ID })
			if at < 0 {
				units = append(units, u)
				continue
			}
			for _, clash := range units[at].Merge(u) {
				b.clash(owners[clash.ID], r, clash, k)
			}
		}
	}
	slices.SortFunc(units, func(a, b spec.Unit) int { return cmp.Compare(a.ID, b.ID) })
	k.Units = make([]PlacedUnit, len(units))
	for i, u := range units {
		k.Units[i] = PlacedUnit{Unit: u}
	}
	if len(units) == 0 {
		k.Decision.Reason = fmt.Sprintf("the key (%s, %s) can do none of the operations that rule %q names", k.Usage, k.Spec, k.Rule)
		if operations > 0 {
			k.Decision.Reason = fmt.Sprintf("the key (%s, %s) can do only operations for which perOperation of rule %q is off", k.Usage, k.Spec, k.Rule)
		}
	}
}

// own charges a rule for the alarms of a unit that no earlier rule makes.
func (b *builder) own(rule int, u spec.Unit, owners map[string]int) {
	for _, a := range u.Alarms {
		if _, taken := owners[a.ID]; taken {
			continue
		}
		if owners != nil {
			owners[a.ID] = rule
		}
		b.charge(rule, a)
	}
}

func (b *builder) clash(first, second int, a spec.Alarm, k *Key) {
	p := b.plan
	b.found(group{diag.Error, p.Config.Rules[second].Pos, "duplicate-alarm",
		fmt.Sprintf("rules[%d]: rules %q and %q both make the %s alarm %q on ", second, p.Rules[first].Name, p.Rules[second].Name, a.Kind.Word(), a.AlarmID),
		"; give one of them another id, or drop continue: true"}, k, spec.JoinOperations(a.Operations, "+")+" of key "+k.ARN)
}

// watchOf is what a rule wants for a key, without what the key cannot do.
func (b *builder) watchOf(k *Key, rule int) spec.Watch {
	r := &b.plan.Config.Rules[rule]
	w := spec.Watch{
		Actions:   b.plan.Rules[rule].actions,
		Detectors: b.plan.Config.DetectorsManaged,
		Origin:    b.plan.Rules[rule].origin,
		Rule:      r.Name,
	}
	can, _ := spec.Applicable(k.Usage, k.Spec)
	if r.Anomaly != nil {
		w.Anomalies = []spec.Anomaly{*r.Anomaly}
		switch r.Operations.Scope {
		case config.Core:
			w.Operations, _ = spec.Core(k.Usage, k.Spec)
		case config.Applicable:
			w.Operations = can
		default:
			w.Operations = b.able(k, r, r.Operations.List, can)
		}
		w.PerOperation = b.plan.Rules[rule].perOperation
		if r.BandTag != nil {
			b.tagBands(k, r, &w)
		}
	}
	for _, t := range r.Thresholds {
		t.Operations = b.able(k, r, t.Operations, can)
		switch {
		case len(t.Operations) == 0:
		case slices.ContainsFunc(w.Thresholds, func(o spec.Threshold) bool { return o.ID == t.ID && slices.Equal(o.Operations, t.Operations) }):
			b.found(group{diag.Error, t.Pos, "duplicate-alarm", fmt.Sprintf("rules[%d]: rule %q makes two static alarms %q on ", rule, r.Name, t.ID),
				fmt.Sprintf(": that is what a key of %s, %s can do of both lists of operations; give one of them another id", k.Usage, k.Spec)}, k, spec.JoinOperations(t.Operations, "+")+" of key "+k.ARN)
		default:
			w.Thresholds = append(w.Thresholds, t.Threshold)
		}
	}
	return w
}

// able keeps the operations that the key can do and notes the others.
func (b *builder) able(k *Key, r *config.Rule, wanted, can []spec.Operation) []spec.Operation {
	out := make([]spec.Operation, 0, len(wanted))
	for _, op := range wanted {
		if slices.Contains(can, op) {
			out = append(out, op)
			continue
		}
		note := fmt.Sprintf("rule %q names %s, which a key of %s, %s cannot do", r.Name, op, k.Usage, k.Spec)
		if !slices.Contains(k.Notes, note) {
			k.Notes = append(k.Notes, note)
		}
	}
	return out
}

func (b *builder) charge(rule int, a spec.Alarm) {
	r := &b.plan.Rules[rule]
	if a.Kind == spec.KindAnomaly {
		r.Anomaly++
	} else {
		r.Threshold++
	}
	r.MonthlyUSD += MonthlyUSD(a)
}

func (b *builder) count(k *Key) {
	for _, u := range k.Units {
		b.plan.Totals.Alarms += len(u.Alarms)
		b.plan.Totals.Detectors += len(u.Detectors)
		for _, a := range u.Alarms {
			b.plan.Totals.MonthlyUSD += MonthlyUSD(a)
		}
	}
}

func (b *builder) place() {
	p := b.plan
	units := 0
	for i := range p.Keys {
		units += len(p.Keys[i].Units)
	}
	candidates := make([]Candidate, 0, units)
	for i := range p.Keys {
		for _, u := range p.Keys[i].Units {
			candidates = append(candidates, Candidate{
				Unit: u.ID, Key: p.Keys[i].ARN,
				Size: Size{Resources: u.Resources(), Bytes: u.TemplateBytes()},
			})
		}
	}
	placement, problems := Place(b.options.Places, candidates, b.options.Fill, b.names.AlarmStack)
	p.Problems = append(p.Problems, problems...)
	b.shards(placement)
}

// shards hands each stack its units, in the order of their IDs.
func (b *builder) shards(placement Placement) {
	p := b.plan
	shards := make([]spec.Shard, len(placement.Stacks))
	index, held := map[int]int{}, map[int]int{}
	for _, n := range placement.Units {
		held[n]++
	}
	for i, n := range placement.Stacks {
		index[n] = i
		shards[i] = spec.Shard{
			StackName:   b.names.AlarmStack(n),
			Description: fmt.Sprintf("Alarms on the usage of KMS keys, made by keywatch (deployment %s, part %d)", b.names, n),
			Units:       make([]spec.Unit, 0, held[n]),
		}
	}
	for i := range p.Keys {
		for j := range p.Keys[i].Units {
			u := &p.Keys[i].Units[j]
			n, ok := placement.Units[u.ID]
			if !ok {
				continue
			}
			shard := &shards[index[n]]
			u.Stack = shard.StackName
			shard.Units = append(shard.Units, u.Unit)
		}
	}
	for i := range shards {
		slices.SortFunc(shards[i].Units, func(a, b spec.Unit) int { return cmp.Compare(a.ID, b.ID) })
	}
	p.Deployment.Shards = shards
	p.Totals.Stacks = len(shards)
}

// evidence is the stack of what is kept for a claim.
func (b *builder) evidence() {
	p := b.plan
	s := p.Config.SLA
	if !s.Evidence {
		return
	}
	at := b.at()
	actions, problems := s.Actions.Fill(at)
	key, wrong := s.FillKey(at)
	p.Problems = append(append(p.Problems, problems...), wrong...)
	terms := sla.Current()
	p.Deployment.Evidence = &spec.Evidence{
		StackName:   b.names.EvidenceStack(),
		Description: fmt.Sprintf("What a claim under the KMS service level agreement needs, kept by keywatch (deployment %s)", b.names),
		EvidenceContent: spec.EvidenceContent{
			Name: p.Config.Name, Partition: at.Partition, Region: at.Region, Account: at.Account,
			ErrorCodes: terms.FaultCodes(), Budget: terms.MonthlyBudget(),
			RetentionDays: s.RetentionDays, TrailLogGroup: s.TrailLogGroup, KeyARN: key, Actions: actions,
		},
	}
	p.Totals.MonthlyUSD += p.EvidenceUSD()
}

func (b *builder) dashboard() {
	p := b.plan
	if p.Config.Dashboard == nil {
		return
	}
	d := &spec.Dashboard{
		StackName:   b.names.DashboardStack(),
		Description: fmt.Sprintf("The busiest KMS keys, made by keywatch (deployment %s)", b.names),
		Name:        b.names.Dashboard(p.Inventory.Region),
		TopKeys:     p.Config.Dashboard.TopKeys,
	}
	d.AlarmARNs = make([]string, 0, p.Totals.Alarms)
	for i := range p.Keys {
		for _, u := range p.Keys[i].Units {
			for _, a := range u.Alarms {
				d.AlarmARNs = append(d.AlarmARNs, AlarmARN(p.Inventory, a.Name))
			}
		}
	}
	slices.Sort(d.AlarmARNs)
	if e := p.Deployment.Evidence; e != nil {
		d.Evidence = &e.EvidenceContent
	}
	p.Deployment.Dashboard = d
	p.Totals.Dashboard = 1
	p.Totals.MonthlyUSD += p.DashboardUSD()
}

// checkNames makes sure that no alarm would overwrite another one: the name
// is the primary ID of AWS::CloudWatch::Alarm.
func (b *builder) checkNames() {
	p := b.plan
	owner := make(map[string]string, p.Totals.Alarms)
	for i := range p.Keys {
		for _, u := range p.Keys[i].Units {
			for _, a := range u.Alarms {
				if other, taken := owner[a.Name]; taken {
					p.Problems.Add(diag.Pos{}, "name-clash", "keys %s and %s both need the alarm name %q; give one of the keys another alias", other, u.Key.ARN, a.Name)
					b.about(other, u.Key.ARN)
				}
				owner[a.Name] = u.Key.ARN
			}
		}
	}
}

// AlarmARN composes the ARN of an alarm ("Actions, resources, and condition
// keys for Amazon CloudWatch", Service Authorization Reference).
func AlarmARN(inv *inventory.Inventory, name string) string {
	return strings.Join([]string{"arn", inv.Partition, "cloudwatch", inv.Region, inv.Account, "alarm", name}, ":")
}

// checkGates looks at unreadable keys and at rules and accounts without keys.
func (b *builder) checkGates() {
	p := b.plan
	for i := range p.Keys {
		k := &p.Keys[i]
		if k.Gone {
			p.Problems.Warn(diag.Pos{}, "gone", "key %s was listed, and a moment later KMS did not know it; it was deleted meanwhile, or is so new that not all of KMS has it: run again to be sure", k.ARN)
			b.about(k.ARN)
		}
		if k.Decision.Status != rules.Unreadable || b.deployed[k.ID] > 0 { // the latter: see compare
			continue
		}
		const format = "key %s could not be read and counts as not covered: %s; let this identity read it (key policy and IAM)"
		if p.Config.Inventory.FailOnUnreadable {
			p.Problems.Add(diag.Pos{}, "unreadable", format+", or set inventory.onUnreadable: warn to deploy without it (for one run -c keywatch:inventory.onUnreadable=warn)", k.ARN, k.Decision.Reason)
		} else {
			p.Problems.Warn(diag.Pos{}, "unreadable", format, k.ARN, k.Decision.Reason)
		}
		b.about(k.ARN)
	}
	b.checkWatched()
}

// checkWatched remarks on an account of which no key is watched.
func (b *builder) checkWatched() {
	p := b.plan
	if p.Totals.Watched > 0 {
		return
	}
	why := b.whyNone()
	if p.Config.RequireMatch {
		p.Problems.Add(diag.Pos{}, "no-match", "no key of %s in %s is watched: %s, and requireMatch is true", p.Inventory.Account, p.Inventory.Region, why)
	} else {
		p.Problems.Warn(diag.Pos{}, "no-match", "no key of %s in %s is watched: %s; the stacks hold no alarms", p.Inventory.Account, p.Inventory.Region, why)
	}
}

// whyNone says why no key is watched.
func (b *builder) whyNone() string {
	p := b.plan
	matched := 0
	why := "none can have alarms or be read"
	for i := range p.Keys {
		if len(p.Keys[i].Decision.Matched) > 0 {
			matched++
		}
		if p.Keys[i].Decision.Status == rules.Excepted {
			why = "none can have alarms or be read, or they are excepted"
		}
	}
	switch {
	case p.Totals.Keys == 0:
		return "it has no keys"
	case matched > 0:
		verb := "match"
		if matched == 1 {
			verb = "matches"
		}
		return fmt.Sprintf("of %s, %d %s a rule that watches, and %s", counted(p.Totals.Keys, "key"), matched, verb, why)
	}
	return fmt.Sprintf("of %s, none matches a rule that watches", counted(p.Totals.Keys, "key"))
}

func counted(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

func (b *builder) checkLimits() {
	p, limits := b.plan, b.plan.Config.Limits
	if p.Totals.Alarms > limits.Alarms {
		p.Problems.Add(limits.AlarmsPos, "limit-alarms", "this plan makes %s in %s, more than limits.alarms: %d (%s); raise limits.alarms here (for one run -c keywatch:limits.alarms=%d), or narrow the rules",
			counted(p.Totals.Alarms, "alarm"), p.Inventory.Region, limits.Alarms, b.perRule(), p.Totals.Alarms)
	}
	if p.Totals.MonthlyUSD > limits.MonthlyUSD {
		p.Problems.Add(limits.MonthlyUSDPos, "limit-cost", "this plan costs %s a month in %s, more than limits.monthlyUSD: %s (%s; %s); raise limits.monthlyUSD here (for one run -c keywatch:limits.monthlyUSD=%s), or narrow the rules",
			FormatUSD(p.Totals.MonthlyUSD), p.Inventory.Region, strings.TrimPrefix(FormatUSD(limits.MonthlyUSD), "$"), b.perRule(), PricesOf, strings.TrimPrefix(FormatUSD(p.Totals.MonthlyUSD), "$"))
	}
}

// perRule is the price of each rule that makes alarms, the dearest first.
func (b *builder) perRule() string {
	totals := slices.DeleteFunc(slices.Clone(b.plan.Rules), func(r RuleTotal) bool { return r.Alarms() == 0 })
	slices.SortStableFunc(totals, func(a, b RuleTotal) int { return cmp.Compare(b.MonthlyUSD, a.MonthlyUSD) })
	var parts []string
	for _, r := range totals {
		parts = append(parts, fmt.Sprintf("rule %s: %s, %s", r.Name, counted(r.Alarms(), "alarm"), FormatUSD(r.MonthlyUSD)))
	}
	if b.plan.Totals.Dashboard > 0 {
		parts = append(parts, "dashboard: "+FormatUSD(b.plan.DashboardUSD()))
	}
	if b.plan.Deployment.Evidence != nil {
		parts = append(parts, "SLA evidence: "+FormatUSD(b.plan.EvidenceUSD()))
	}
	return strings.Join(parts, "; ")
}
