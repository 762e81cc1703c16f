package coverage_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"keywatch/config"
	"keywatch/constructs/spec"
	"keywatch/internal/coverage"
	"keywatch/internal/inventory"
	"keywatch/internal/plan"
)

const (
	region = "arn:aws:kms:eu-west-1:111122223333:key/"
	keyA   = "00000001-12ab-34cd-56ef-1234567890aa"
	keyB   = "00000002-12ab-34cd-56ef-1234567890bb"
	pager  = "arn:aws:sns:eu-west-1:111122223333:pager"
)

const oneAnomaly = `
  - name: pay
    match: {tag: team, equals: pay}
    operations: [Decrypt]
    actions: {alarm: ["arn:{partition}:sns:{region}:{account}:pager"]}
`

const oneSum = `
  - name: pay
    match: {tag: team, equals: pay}
    anomaly: off
    thresholds: [{operations: [Decrypt, Encrypt], above: 100}]
`

func planOf(t testing.TB, rules string, keys ...inventory.Key) *plan.Plan {
	t.Helper()
	c, problems := config.Parse("keywatch.yaml", []byte("version: 1\ninventory: {onUnreadable: warn}\nrules:\n"+rules), nil)
	if err := problems.Errors().Err(); err != nil {
		t.Fatal(err)
	}
	inv := &inventory.Inventory{Account: "111122223333", Region: "eu-west-1", Partition: "aws", Keys: keys}
	inv.Sort()
	return plan.Build(c, inv, plan.Options{})
}

func key(id string, change func(*inventory.Key)) inventory.Key {
	k := inventory.Key{
		ARN: region + id, ID: id, Manager: "CUSTOMER", State: "Enabled", Usage: "ENCRYPT_DECRYPT", Spec: "SYMMETRIC_DEFAULT",
		Tags: []inventory.Tag{{Key: "team", Value: "pay"}},
	}
	if change != nil {
		change(&k)
	}
	return k
}

// deployed is what CloudWatch says of a plan's alarms once they are there.
func deployed(p *plan.Plan) []coverage.Alarm {
	var out []coverage.Alarm
	for i := range p.Keys {
		for _, u := range p.Keys[i].Units {
			for _, a := range u.Alarms {
				out = append(out, alarmOf(a))
			}
		}
	}
	return out
}

func alarmOf(a spec.Alarm) coverage.Alarm {
	out := coverage.Alarm{
		Name: a.Name, ActionsEnabled: true, Actions: &a.Actions, ThresholdMetricID: a.ThresholdMetricID, Threshold: a.Threshold, Operator: a.Operator,
		EvaluationPeriods: a.EvaluationPeriods, DatapointsToAlarm: a.DatapointsToAlarm, TreatMissingData: a.TreatMissingData,
	}
	for _, q := range a.Queries {
		c := coverage.Query{ID: q.ID, Expression: q.Expression, ReturnData: q.ReturnData}
		if q.Operation != "" {
			c.Namespace, c.MetricName, c.Statistic, c.Period = "AWS/KMS", "SuccessfulRequest", q.Statistic, q.Period
			c.Dimensions = map[string]string{"KeyArn": q.KeyARN, "Operation": string(q.Operation)}
		}
		out.Queries = append(out.Queries, c)
	}
	return out
}

// judge compares one wanted alarm with the one that exists after the change.
func judge(t *testing.T, rules string, change func(*coverage.Alarm)) coverage.Wanted {
	t.Helper()
	p := planOf(t, rules, key(keyA, nil))
	have := deployed(p)
	if len(have) != 1 {
		t.Fatalf("%d alarms", len(have))
	}
	change(&have[0])
	return coverage.Check(p, have).Keys[0].Alarms[0]
}

func number(v float64) *float64 { return &v }

func TestWhatCountsAsTheAnomalyAlarm(t *testing.T) {
	const name = "keywatch - 1234567890aa Decrypt anomaly"
	metric := func(a *coverage.Alarm) *coverage.Query { return &a.Queries[0] }
	band := func(expression string) func(*coverage.Alarm) {
		return func(a *coverage.Alarm) { a.Queries[1].Expression = expression }
	}
	periods := func(m, n int) func(*coverage.Alarm) {
		return func(a *coverage.Alarm) { a.DatapointsToAlarm, a.EvaluationPeriods = m, n }
	}
	missing := func(s string) func(*coverage.Alarm) {
		return func(a *coverage.Alarm) { a.TreatMissingData = s }
	}
	for what, c := range map[string]struct {
		change func(*coverage.Alarm)
		why    string // "": it counts; "-": no alarm comes near
	}{
		"as deployed":                           {func(*coverage.Alarm) {}, ""},
		"another name":                          {func(a *coverage.Alarm) { a.Name = "someone's" }, ""},
		"another direction too":                 {func(a *coverage.Alarm) { a.Operator = "LessThanLowerOrGreaterThanUpperThreshold" }, ""},
		"the wrong direction":                   {func(a *coverage.Alarm) { a.Operator = "LessThanLowerThreshold" }, "does not look above the band"},
		"an operator of a static alarm":         {func(a *coverage.Alarm) { a.Operator = "GreaterThanThreshold" }, "does not look above the band"},
		"a narrower band":                       {band("ANOMALY_DETECTION_BAND(m1, 1.5)"), ""},
		"a wider band":                          {band("ANOMALY_DETECTION_BAND(m1, 2.01)"), "has the band 2.01, the rule wants 2"},
		"the default band, 2":                   {band("ANOMALY_DETECTION_BAND( m1 )"), ""},
		"a band over an expression":             {band("ANOMALY_DETECTION_BAND(m1*0, 2)"), `has the band "ANOMALY_DETECTION_BAND(m1*0, 2)", which cannot be judged`},
		"a band over something else":            {band("ANOMALY_DETECTION_BAND(m2, 2)"), `has the band "ANOMALY_DETECTION_BAND(m2, 2)", which cannot be judged`},
		"a band of no number":                   {band("ANOMALY_DETECTION_BAND(m1, 1.2.3)"), `has the band "ANOMALY_DETECTION_BAND(m1, 1.2.3)", which cannot be judged`},
		"no band":                               {band("m1*2"), `has the band "m1*2", which cannot be judged`},
		"a band that is not the threshold":      {func(a *coverage.Alarm) { a.ThresholdMetricID = "e9" }, "compares more than one metric with one band"},
		"the metric behind an expression":       {func(a *coverage.Alarm) { a.Queries = append(a.Queries, coverage.Query{ID: "e1", Expression: "m1*0"}) }, "compares more than one metric with one band"},
		"actions switched off":                  {func(a *coverage.Alarm) { a.ActionsEnabled = false }, "has its actions switched off"},
		"nobody notified":                       {func(a *coverage.Alarm) { a.Actions = &spec.Actions{} }, "does not notify " + pager},
		"somebody else notified":                {func(a *coverage.Alarm) { a.Actions = &spec.Actions{Alarm: []string{pager + "-2"}} }, "does not notify " + pager},
		"more notified":                         {func(a *coverage.Alarm) { a.Actions = &spec.Actions{Alarm: []string{"arn:x", pager}} }, ""},
		"nobody looked whom it notifies":        {func(a *coverage.Alarm) { a.Actions = nil }, ""},
		"another statistic":                     {func(a *coverage.Alarm) { metric(a).Statistic = "Average" }, "looks at the statistic Average, the rule wants Sum"},
		"longer periods":                        {func(a *coverage.Alarm) { metric(a).Period = time.Hour }, "looks at periods of 1h, the rule wants 5m"},
		"shorter periods":                       {func(a *coverage.Alarm) { metric(a).Period = time.Minute }, "looks at periods of 1m, the rule wants 5m"},
		"a unit":                                {func(a *coverage.Alarm) { metric(a).Unit = "Bytes" }, "asks for the unit Bytes, in which there may be no data"},
		"needs more datapoints":                 {periods(3, 3), "needs 3 of 3 periods, the rule wants 2 of 3"},
		"so many that it is blind":              {periods(288, 288), "needs 288 of 288 periods, the rule wants 2 of 3"},
		"all of its periods, by leaving it out": {periods(0, 3), "needs 3 of 3 periods, the rule wants 2 of 3"},
		"as many, in a row":                     {periods(2, 2), "needs 2 of 2 periods, the rule wants 2 of 3"},
		"as many, of more":                      {periods(2, 10), ""},
		"one is enough":                         {periods(1, 1), ""},
		"missing data as missing":               {missing("missing"), ""},
		"missing data by default":               {missing(""), ""},
		"missing data ignored":                  {missing("ignore"), "takes missing data as ignore, the rule wants notBreaching"},
		"missing data as a breach":              {missing("breaching"), "takes missing data as breaching, the rule wants notBreaching"},
		"another key":                           {func(a *coverage.Alarm) { metric(a).Dimensions["KeyArn"] = region + keyB }, "-"},
		"the same key ID in another region": {func(a *coverage.Alarm) {
			metric(a).Dimensions["KeyArn"] = strings.Replace(region, "eu-west-1", "us-east-1", 1) + keyA
		}, "-"},
		"another operation":      {func(a *coverage.Alarm) { metric(a).Dimensions["Operation"] = "Encrypt" }, "-"},
		"another namespace":      {func(a *coverage.Alarm) { metric(a).Namespace = "AWS/KMS2" }, "-"},
		"another metric":         {func(a *coverage.Alarm) { metric(a).MetricName = "SecondsUntilKeyMaterialExpiration" }, "-"},
		"a dimension more":       {func(a *coverage.Alarm) { metric(a).Dimensions["X"] = "y" }, "-"},
		"a dimension less":       {func(a *coverage.Alarm) { delete(metric(a).Dimensions, "Operation") }, "-"},
		"a static alarm instead": {func(a *coverage.Alarm) { a.ThresholdMetricID, a.Threshold, a.Queries = "", number(1), a.Queries[:1] }, "-"},
		"no queries":             {func(a *coverage.Alarm) { a.Queries = nil }, "-"},
		"two keys in one": {func(a *coverage.Alarm) {
			other := *metric(a)
			other.ID, other.Dimensions = "m2", map[string]string{"KeyArn": region + keyB, "Operation": "Decrypt"}
			a.Queries = append(a.Queries, other)
		}, "-"},
	} {
		t.Run(what, func(t *testing.T) {
			var by string
			got := judge(t, oneAnomaly, func(a *coverage.Alarm) {
				c.change(a)
				by = a.Name
			})
			want := c.why
			if want == "-" {
				want = ""
			} else if want != "" {
				want = fmt.Sprintf("alarm %q %s", name, want)
			}
			if got.Why != want || got.Present != (c.why == "") {
				t.Errorf("present %v, %q; want %q", got.Present, got.Why, want)
			}
			if by == name || !got.Present {
				by = ""
			}
			if got.By != by {
				t.Errorf("by %q, want %q", got.By, by)
			}
		})
	}
}

func TestBothDirectionsMustBeLookedAt(t *testing.T) {
	rules := strings.Replace(oneAnomaly, "operations:", "anomaly: {direction: both, missing: breaching, evaluate: 2, breaching: 2}\n    operations:", 1)
	for operator, why := range map[string]string{
		"LessThanLowerOrGreaterThanUpperThreshold": "",
		"GreaterThanUpperThreshold":                "does not look below the band",
		"LessThanLowerThreshold":                   "does not look above the band",
	} {
		got := judge(t, rules, func(a *coverage.Alarm) { a.Operator = operator })
		if got.Present != (why == "") || !strings.HasSuffix(got.Why, why) {
			t.Errorf("%s: present %v, %q; want %q", operator, got.Present, got.Why, why)
		}
	}
	for _, treat := range []string{"notBreaching", "missing", "", "ignore"} {
		if got := judge(t, rules, func(a *coverage.Alarm) { a.TreatMissingData = treat }); got.Present {
			t.Errorf("a rule that wants silence seen is content with TreatMissingData %q", treat)
		}
	}
	if got := judge(t, rules, func(a *coverage.Alarm) { a.DatapointsToAlarm, a.EvaluationPeriods = 1, 1 }); !got.Present {
		t.Errorf("1 of 1 is stricter than 2 of 2: %s", got.Why)
	}
}

func TestWhatCountsAsTheSum(t *testing.T) {
	sum := func(expression string) func(*coverage.Alarm) {
		return func(a *coverage.Alarm) { a.Queries[2].Expression = expression }
	}
	odd := func(expression string) string {
		return fmt.Sprintf("compares %q, which is not the sum of FILL(metric,0)", expression)
	}
	for what, c := range map[string]struct {
		change func(*coverage.Alarm)
		why    string
	}{
		"as deployed":                      {func(*coverage.Alarm) {}, ""},
		"spaces and another order":         {sum("FILL( m2 , 0 ) + FILL(m1, 0)"), ""},
		"a lower threshold":                {func(a *coverage.Alarm) { a.Threshold = number(99.5) }, ""},
		"a higher threshold":               {func(a *coverage.Alarm) { a.Threshold = number(100.5) }, "fires above 100.5, the rule wants 100"},
		"at the threshold already":         {func(a *coverage.Alarm) { a.Operator = "GreaterThanOrEqualToThreshold" }, ""},
		"below the threshold":              {func(a *coverage.Alarm) { a.Operator = "LessThanThreshold" }, "does not look above its threshold"},
		"no threshold":                     {func(a *coverage.Alarm) { a.Threshold = nil }, "has no threshold"},
		"the sum made small":               {sum("(FILL(m1,0)+FILL(m2,0))/1000"), odd("(FILL(m1,0)+FILL(m2,0))/1000")},
		"half of the sum":                  {sum("FILL(m1,0)"), odd("FILL(m1,0)")},
		"one operation twice":              {sum("FILL(m1,0)+FILL(m1,0)"), odd("FILL(m1,0)+FILL(m1,0)")},
		"missing with one silent metric":   {sum("m1+m2"), odd("m1+m2")},
		"filled with something else":       {sum("FILL(m1,-9)+FILL(m2,0)"), odd("FILL(m1,-9)+FILL(m2,0)")},
		"two expressions":                  {func(a *coverage.Alarm) { a.Queries = append(a.Queries, coverage.Query{ID: "e2", Expression: "e1*0"}) }, odd("FILL(m1,0)+FILL(m2,0)")},
		"no sum at all":                    {func(a *coverage.Alarm) { a.Queries = a.Queries[:2] }, "holds several metrics without a sum"},
		"metrics of different periods":     {func(a *coverage.Alarm) { a.Queries[1].Period = time.Hour }, "mixes statistics or periods"},
		"metrics of different statistics":  {func(a *coverage.Alarm) { a.Queries[1].Statistic = "Average" }, "mixes statistics or periods"},
		"another period":                   {func(a *coverage.Alarm) { a.Queries[0].Period, a.Queries[1].Period = time.Minute, time.Minute }, "looks at periods of 1m, the rule wants 5m"},
		"actions off, but none are wanted": {func(a *coverage.Alarm) { a.ActionsEnabled = false }, ""},
	} {
		t.Run(what, func(t *testing.T) {
			got := judge(t, oneSum, c.change)
			want := c.why
			if want != "" {
				want = `alarm "keywatch - 1234567890aa Decrypt+Encrypt threshold" ` + want
			}
			if got.Present != (c.why == "") || got.Why != want {
				t.Errorf("present %v, %q; want %q", got.Present, got.Why, want)
			}
		})
	}
}

// The form of an alarm on MetricName instead of Metrics, as people click it.
func TestSingleMetricAlarmCounts(t *testing.T) {
	rules := strings.Replace(oneSum, "[Decrypt, Encrypt]", "[Decrypt]", 1)
	single := func(a *coverage.Alarm) {
		a.Name = "clicked"
		a.Queries[0].ID = ""
	}
	if got := judge(t, rules, single); !got.Present || got.By != "clicked" {
		t.Errorf("present %v by %q: %s", got.Present, got.By, got.Why)
	}
	filled := func(a *coverage.Alarm) {
		a.Queries = append(a.Queries, coverage.Query{ID: "e1", Expression: "FILL(m1, 0)", ReturnData: true})
	}
	if got := judge(t, rules, filled); !got.Present {
		t.Error(got.Why)
	}
	scaled := func(a *coverage.Alarm) {
		a.Queries = append(a.Queries, coverage.Query{ID: "e1", Expression: "m1/60", ReturnData: true})
	}
	if got := judge(t, rules, scaled); got.Present {
		t.Error("a rate per second counts as the number of requests")
	}
}

// Of several alarms that come near, one that does it is enough; what is said is
// of the alarm with the plan's own name.
func TestTheBestOfSeveralAlarms(t *testing.T) {
	p := planOf(t, oneAnomaly, key(keyA, nil))
	have := deployed(p)
	wide := have[0]
	wide.Queries = slices.Clone(wide.Queries)
	wide.Queries[1].Expression = "ANOMALY_DETECTION_BAND(m1, 9)"
	other := have[0]
	other.Name = "a-good-one"
	also := wide
	also.Name, also.ActionsEnabled = "a-bad-one", false
	if got := coverage.Check(p, []coverage.Alarm{also, wide, other}).Keys[0].Alarms[0]; !got.Present || got.By != "a-good-one" {
		t.Errorf("%+v", got)
	}
	if got := coverage.Check(p, []coverage.Alarm{also, wide}).Keys[0].Alarms[0]; got.Present || got.Why != `alarm "keywatch - 1234567890aa Decrypt anomaly" has the band 9, the rule wants 2` {
		t.Errorf("%q", got.Why)
	}
	if got := coverage.Check(p, []coverage.Alarm{other, have[0]}).Keys[0].Alarms[0]; !got.Present || got.By != "" {
		t.Errorf("the plan's own alarm is there, and %q is named", got.By)
	}
}

func TestStatusOfEachKey(t *testing.T) {
	unreadable := func(k *inventory.Key) {
		*k = inventory.Key{ARN: k.ARN, ID: k.ID, Unreadable: inventory.ReasonTags + "denied"}
	}
	rules := strings.Replace(oneAnomaly, "[Decrypt]", "[Decrypt, Encrypt]", 1) + "  - {name: sign, match: {tag: sign, exists: true}, operations: [Sign]}\n  - {name: sandbox, match: {tag: box, exists: true}, watch: false}\n"
	tagged := func(tag string) func(*inventory.Key) {
		return func(k *inventory.Key) { k.Tags = []inventory.Tag{{Key: tag}} }
	}
	all := func(p *plan.Plan) []coverage.Alarm { return deployed(p) }
	some := func(p *plan.Plan) []coverage.Alarm { return deployed(p)[:1] }
	none := func(*plan.Plan) []coverage.Alarm { return nil }
	for what, c := range map[string]struct {
		change func(*inventory.Key)
		have   func(*plan.Plan) []coverage.Alarm
		status coverage.Status
		reason string
		passes bool
	}{
		"covered":                  {nil, all, "covered", "", true},
		"partly covered":           {nil, some, "partly-covered", "1 of 2 alarms are missing", false},
		"not covered":              {nil, none, "not-covered", "2 of 2 alarms are missing", false},
		"watched without an alarm": {tagged("sign"), none, "not-covered", `the key (ENCRYPT_DECRYPT, SYMMETRIC_DEFAULT) can do none of the operations that rule "sign" names`, false},
		"unreadable":               {unreadable, none, "unreadable", "kms:ListResourceTags: denied", false},
		"unmatched":                {tagged("x"), none, "unmatched", "no rule matches", true},
		"out of scope":             {tagged("box"), none, "out-of-scope", `rule "sandbox" says watch: false`, true},
		"not eligible":             {func(k *inventory.Key) { k.State = "PendingDeletion" }, none, "not-eligible", "the key state is PendingDeletion", true},
	} {
		t.Run(what, func(t *testing.T) {
			p := planOf(t, rules, key(keyA, c.change))
			r := coverage.Check(p, c.have(p))
			k := r.Keys[0]
			if k.Status != c.status || k.Reason != c.reason || r.Passed() != c.passes || k.Failed() == c.passes {
				t.Errorf("%s, %q, passed %v, failed %v; want %s, %q, %v", k.Status, k.Reason, r.Passed(), k.Failed(), c.status, c.reason, c.passes)
			}
		})
	}
	if r := coverage.Check(planOf(t, rules), nil); !r.Passed() || len(r.Keys) != 0 {
		t.Error("an account without keys does not pass")
	}
	p := planOf(t, rules, key(keyA, nil), key(keyB, nil))
	if r := coverage.Check(p, deployed(p)[:2]); r.Passed() || r.Keys[0].Status != "covered" || r.Keys[1].Status != "not-covered" {
		t.Errorf("one key's alarms count for another's: %s, %s", r.Keys[0].Status, r.Keys[1].Status)
	}
}

// What keywatch itself makes must always count, whatever a rule asks for.
func TestWhatIsDeployedCounts(t *testing.T) {
	for _, direction := range []string{"above", "below", "both"} {
		for _, missing := range []string{"notBreaching", "breaching", "ignore", "missing"} {
			for _, band := range []string{"0.001", "2", "2.50", "100"} {
				for _, periods := range []string{"evaluate: 1, breaching: 1", "evaluate: 5, breaching: 2", "evaluate: 24, breaching: 24"} {
					rules := fmt.Sprintf(`
  - name: pay
    match: every
    operations: applicable
    anomaly: {direction: %s, missing: %s, band: %s, period: 15m, %s}
    thresholds: [{operations: [Decrypt], above: 0}, {operations: [Decrypt, Encrypt, GenerateDataKey], above: 1.5, missing: %s, %s, period: 1h, id: x}]
    actions: {alarm: ["arn:{partition}:sns:{region}:{account}:pager"], ok: ["arn:{partition}:sns:{region}:{account}:ok"]}
`, direction, missing, band, periods, missing, periods)
					p := planOf(t, rules, key(keyA, nil))
					for _, a := range coverage.Check(p, deployed(p)).Keys[0].Alarms {
						if !a.Present || a.By != "" {
							t.Errorf("%s: present %v by %q: %s", a.Name, a.Present, a.By, a.Why)
						}
					}
				}
			}
		}
	}
}

func TestPlannedCountsEverythingAsPresent(t *testing.T) {
	p := planOf(t, oneAnomaly, key(keyA, nil), key(keyB, func(k *inventory.Key) { k.Tags = nil }))
	r := coverage.Planned(p)
	var got []string
	for _, k := range r.Keys {
		got = append(got, fmt.Sprintf("%s %d", k.Status, len(k.Alarms)))
	}
	if diff := cmp.Diff([]string{"covered 1", "unmatched 0"}, got); diff != "" || !r.Passed() {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if a := r.Keys[0].Alarms[0]; !a.Present || a.Stack != "keywatch-alarms-001" {
		t.Errorf("%+v", a)
	}
}

func TestOrderOfAlarmsDoesNotMatter(t *testing.T) {
	p := planOf(t, oneSum, key(keyA, nil), key(keyB, nil))
	have := deployed(p)[:1]
	for _, name := range []string{"b", "a", "c"} { // all three do it
		have[0].Name = name
		have = append(have, have[0])
	}
	have = have[1:]
	want := coverage.Check(p, have)
	slices.Reverse(have)
	if diff := cmp.Diff(want.Keys[0].Alarms, coverage.Check(p, have).Keys[0].Alarms); diff != "" {
		t.Errorf("(-forwards +backwards):\n%s", diff)
	}
}

func TestSumOverTwoKeysCountsForNeither(t *testing.T) {
	p := planOf(t, oneSum, key(keyA, nil), key(keyB, nil))
	have := deployed(p)[:1]
	have[0].Queries[1].Dimensions["KeyArn"] = region + keyB
	for _, k := range coverage.Check(p, have).Keys {
		if k.Alarms[0].Present || k.Alarms[0].Why != "" {
			t.Errorf("%s: present %v, %q", k.ID, k.Alarms[0].Present, k.Alarms[0].Why)
		}
	}
}
