package live

import (
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"keywatch/internal/inventory"
	"keywatch/test/fakeaws"
)

func TestOpenNeedsAClock(t *testing.T) {
	t.Parallel()
	if _, err := Open(t.Context(), Options{}); err == nil || err.Error() != "live: Options.Now is required" {
		t.Errorf("got %v", err)
	}
}

func setenv(t *testing.T, env []string) {
	t.Helper()
	for _, kv := range env {
		name, value, _ := strings.Cut(kv, "=")
		t.Setenv(name, value)
	}
}

func TestOpenHonoursTheEnvironment(t *testing.T) {
	srv := fakeaws.Start(t, world())
	setenv(t, srv.Env())
	s, err := Open(t.Context(), quick())
	if err != nil {
		t.Fatal(err)
	}
	if s.Region() != region {
		t.Errorf("region %q", s.Region())
	}
	caller, err := s.Caller(t.Context())
	if want := (Caller{Account: account, Partition: "aws", ARN: "arn:aws:iam::111122223333:user/tester"}); err != nil || caller != want {
		t.Errorf("got %+v, %v; want %+v", caller, err, want)
	}
	inv, err := s.Inventory(t.Context(), inventory.Need{})
	if err != nil || !reflect.DeepEqual(inv, worldInventory()) {
		t.Errorf("got %+v, %v", inv, err)
	}
	if c := srv.Calls()[0]; c.AccessKey != "AKIDEXAMPLE" || c.Region != region {
		t.Errorf("signed with %q for %q", c.AccessKey, c.Region)
	}
}

func TestTheRegionOfTheOptionsWins(t *testing.T) {
	srv := fakeaws.Start(t, fakeaws.State{Region: "us-east-1"})
	setenv(t, srv.Env())
	o := quick()
	o.Region = "eu-central-1"
	s, err := Open(t.Context(), o)
	if err != nil || s.Region() != "eu-central-1" {
		t.Fatalf("got %v, %v", s, err)
	}
	if _, err := s.Caller(t.Context()); err != nil || srv.Calls()[0].Region != "eu-central-1" {
		t.Errorf("got %v, %+v", err, srv.Calls())
	}
}

func TestTheSDKsMaxAttemptsWins(t *testing.T) {
	srv := fakeaws.Start(t, fakeaws.State{})
	srv.Fail(fakeaws.Fault{Kind: fakeaws.Throttle, Times: fakeaws.Forever})
	setenv(t, append(srv.Env(), "AWS_MAX_ATTEMPTS=2"))
	s, err := Open(t.Context(), quick())
	if err != nil {
		t.Fatal(err)
	}
	_, err = s.Inventory(t.Context(), inventory.Need{})
	wantError(t, err, Throttled, "get caller identity in eu-west-1: Throttling: Rate exceeded (2 attempts)")
	if n := len(srv.Calls()); n != 2 {
		t.Errorf("%d requests; want 2", n)
	}
}

func TestBackoffGrowsStaysBelowItsLimitAndIsNeverNothing(t *testing.T) {
	t.Parallel()
	o := Options{Now: now}
	if err := o.defaults(); err != nil {
		t.Fatal(err)
	}
	var patience time.Duration
	for attempt := 1; attempt < o.MaxAttempts; attempt++ {
		full := min(time.Second<<(attempt-1), o.MaxBackoff)
		patience += full / 2
		for range 100 {
			if d := o.backoff(attempt); d < full/2 || d > full {
				t.Fatalf("attempt %d: %s is not within %s and %s", attempt, d, full/2, full)
			}
		}
	}
	if patience < 20*time.Second {
		t.Errorf("a throttled account gets %s; want at least 20s", patience)
	}
	if d := o.backoff(1000); d > o.MaxBackoff {
		t.Errorf("got %s", d)
	}
}

// The interfaces are the policy: nothing else can be called, and nothing is
// asked for that is not called.
func TestActionsAreTheInterfacesMethods(t *testing.T) {
	t.Parallel()
	actions := func(service string, api reflect.Type) []string {
		var out []string
		for i := range api.NumMethod() {
			out = append(out, service+":"+api.Method(i).Name)
		}
		return out
	}
	inventory := slices.Concat(actions("kms", reflect.TypeFor[kmsAPI]()), actions("sts", reflect.TypeFor[stsAPI]()), actions("tag", reflect.TypeFor[taggingAPI]()))
	synth := append(slices.Clone(inventory), actions("cloudformation", reflect.TypeFor[cloudformationAPI]())...)
	coverage := append(slices.Clone(synth), actions("cloudwatch", reflect.TypeFor[cloudwatchAPI]())...)
	slices.Sort(inventory)
	slices.Sort(synth)
	slices.Sort(coverage)
	if got := InventoryActions(); !slices.Equal(got, inventory) {
		t.Errorf("InventoryActions() = %v; the interfaces have %v", got, inventory)
	}
	if got := SynthActions(); !slices.Equal(got, synth) {
		t.Errorf("SynthActions() = %v; the interfaces have %v", got, synth)
	}
	if got := CoverageActions(); !slices.Equal(got, coverage) {
		t.Errorf("CoverageActions() = %v; the interfaces have %v", got, coverage)
	}
	optional := append(actions("cloudtrail", reflect.TypeFor[cloudtrailAPI]()), actions("cloudwatch", reflect.TypeFor[dashboardAPI]())...)
	judged := append(actions("logs", reflect.TypeFor[logsAPI]()), actions("ce", reflect.TypeFor[costsAPI]())...)
	for verb, want := range map[string][2][]string{
		"synth": {synth, optional}, "plan": {synth, optional}, "explain": {synth, nil}, "snapshot": {synth, nil}, "coverage": {coverage, nil},
		"sla collect": {slaNeeds(actions("cloudwatch", reflect.TypeFor[metricsAPI]())), nil},
		"sla report":  {slaNeeds(judged), nil},
		"sla claim":   {slaNeeds(judged), nil},
		"sla file":    {slaNeeds(actions("support", reflect.TypeFor[supportAPI]())), nil},
	} {
		if needed, more := Actions(verb); !slices.Equal(needed, want[0]) || !slices.Equal(more, want[1]) {
			t.Errorf("Actions(%q) = %v, %v; want %v", verb, needed, more, want)
		}
	}
	// Beside these, only sla file may do more than read.
	for _, a := range slices.Concat(coverage, optional, actions("cloudwatch", reflect.TypeFor[metricsAPI]()), judged) {
		if !slices.ContainsFunc([]string{":Describe", ":List", ":Get", ":Filter"}, func(verb string) bool { return strings.Contains(a, verb) }) {
			t.Errorf("%s does not only read", a)
		}
	}
}

func slaNeeds(actions []string) []string {
	all := append(actions, opGetCallerIdentity)
	slices.Sort(all)
	return all
}
