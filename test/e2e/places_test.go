package e2e

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"keywatch/test/fixture"
	"keywatch/test/localaws"
	"keywatch/test/observed"
)

// refund is a key more, in stack 2 if stack 1 is full.
func refund(n int) fixture.Key {
	return fixture.Key{Aliases: []string{fmt.Sprintf("refunds-%d", n)}, Tags: map[string]string{"team": "payments", "env": "prod"},
		Rule: "payments", Anomaly: []string{"Decrypt", "Encrypt", "GenerateDataKey", "GenerateDataKeyWithoutPlaintext"}, Static: []string{"Decrypt+Encrypt burst"}}
}

// The account grows past one stack and shrinks again: no alarm moves, by the
// places that keywatch itself reads back. Then what must stop it does: another
// deployment that wants the same keys, and a slip that would take the alarms
// from many.
func TestGrowAndShrinkMovesNothing(t *testing.T) {
	w := newWorld(t, binary(t, "app", "./test/e2e/app"))
	w.env = []string{"KEYWATCH_TEST_FILL=1000"}
	w.cdk("deploy", "--all")
	small := w.read()
	w.check(small)
	if n := alarmStacks(small); n != 1 {
		t.Fatalf("%d alarm stacks, want one to grow out of", n)
	}

	// From here on stack 1 is full to the brim. The tags are taken from the
	// stacks, as `cdk deploy --tags` does without being asked to.
	w.env = []string{fmt.Sprintf("KEYWATCH_TEST_FILL=%d", inStack(small, "demo-alarms-001"))}
	refunds := []string{"refunds-1", "refunds-2"}
	for i := range refunds {
		w.create(refund(i + 1))
	}
	w.cdk("deploy", "--all", "--tags", "owner=me")
	grown := w.read()
	w.check(grown)
	w.unmoved(small, grown, w.watched(refunds...)...)
	if n := inStack(grown, "demo-alarms-002"); alarmStacks(grown) != 2 || n != 18 {
		t.Fatalf("%d alarm stacks, %d resources in the second; want the two new keys there", alarmStacks(grown), n)
	}
	if tags := grown.Stacks["demo-alarms-002"].Tags; len(tags) != 1 || *tags[0].Key != "owner" {
		t.Fatalf("tags %v: this test means to look at stacks without keywatch's", tags)
	}

	// Both new keys go out of scope: the second stack stays, and is empty.
	kept := map[string]liveKey{}
	for _, name := range refunds {
		kept[name] = *w.keys[name]
		w.retag(name, "env", "sandbox")
		w.keys[name].drop()
	}
	w.cdk("deploy", "--all")
	shrunk := w.read()
	w.check(shrunk)
	w.unmoved(small, shrunk, w.watched()...)
	if alarmStacks(shrunk) != 2 || inStack(shrunk, "demo-alarms-002") != 1 || shrunk.Resources["Placeholder"].Stack != "demo-alarms-002" {
		t.Errorf("the emptied stack is not kept by its placeholder: %+v", shrunk.Resources["Placeholder"])
	}

	// One of them comes back and gets a place, in the stack with room.
	w.retag("refunds-2", "env", "prod")
	*w.keys["refunds-2"] = kept["refunds-2"]
	w.cdk("deploy", "--all")
	back := w.read()
	w.check(back)
	w.unmoved(small, back, w.watched(refunds...)...)
	if n := inStack(back, "demo-alarms-002"); n != 9 {
		t.Errorf("%d resources in the second stack, want those of the key that came back", n)
	}

	w.refuses(back, "placed-elsewhere", "name: demo", "name: second", "stack demo-alarms-001 of the keywatch deployment \"demo\" already holds alarms on ")
	said := w.refuses(back, "mass-removal", "in: [payments, ledger]", "in: [payment, ledgers]", "8 of the 17 keys with deployed alarms would lose them all", "-c keywatch:allowRemoval=8")

	// The number that it says, and only that, lets it through.
	w.editConfig("in: [payments, ledger]", "in: [payment, ledgers]")
	if out, err := w.tryCDK("deploy", "--all", "-c", "keywatch:allowRemoval=9"); err == nil || !strings.Contains(out, "only the exact number counts") {
		t.Errorf("another number lets it through (%v):\n%s\nbefore it said:\n%s", err, out, said)
	}
	w.cdk("deploy", "--all", "-c", "keywatch:allowRemoval=8")
	for _, k := range w.keys {
		if strings.HasSuffix(k.Rule, "payments") {
			k.Anomaly, k.Static = nil, slices.DeleteFunc(slices.Clone(k.Static), func(s string) bool { return !strings.HasSuffix(s, " pci") })
		}
	}
	removed := w.read()
	w.check(removed)
	w.unmoved(small, removed, w.watched()...)
}

func inStack(s *observed.State, stack string) int {
	n := 0
	for _, r := range s.Resources {
		if r.Stack == stack {
			n++
		}
	}
	return n
}

// refuses runs a deploy with a changed config, which must end with an error that
// says what, and write nothing. The config is as before afterwards.
func (w *world) refuses(before *observed.State, code, from, to string, says ...string) string {
	w.t.Helper()
	config := w.config
	w.editConfig(from, to)
	defer func() { w.config = config }()
	writes := w.writes()
	out, err := w.tryCDK("deploy", "--all")
	if err == nil {
		w.t.Errorf("the deploy with %q succeeded", to)
	}
	for _, want := range append(says, "["+code+"]", "nothing was written") {
		if !strings.Contains(out, want) {
			w.t.Errorf("the output lacks %q:\n%s", want, out)
		}
	}
	if more := w.writes()[len(writes):]; len(more) > 0 {
		w.t.Errorf("it wrote: %+v", more)
	}
	after := w.read()
	if !maps.Equal(before.Resources, after.Resources) {
		w.t.Error("the resources of the stacks are not what they were")
	}
	return out
}

// writes are the calls so far that can have changed something.
func (w *world) writes() []localaws.Call {
	w.t.Helper()
	calls, err := w.server.Calls(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	return slices.DeleteFunc(calls, func(c localaws.Call) bool { return !c.Write })
}
