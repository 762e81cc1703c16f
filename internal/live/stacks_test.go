package live

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"keywatch/internal/places"
	"keywatch/test/fakeaws"
)

func ours(name string) []fakeaws.Tag {
	return []fakeaws.Tag{{Key: "team", Value: "platform"}, {Key: "keywatch:deployment", Value: name}, {Key: "keywatch:stack", Value: "alarms"}}
}

// worldStacks is an account with one of each kind of stack, in no order.
func worldStacks() fakeaws.State {
	return fakeaws.State{Account: account, Region: region, Stacks: []fakeaws.Stack{
		{Name: "team-b-alarms-001", Status: "UPDATE_IN_PROGRESS", Tags: ours("team-b"), Resources: []fakeaws.StackResource{
			{LogicalID: "C", Status: "CREATE_IN_PROGRESS"},
		}},
		{Name: "CDKToolkit", Resources: []fakeaws.StackResource{{LogicalID: "Bucket", PhysicalID: "b"}}},
		{Name: "keywatch-alarms-002", Status: "ROLLBACK_COMPLETE", Tags: ours("keywatch"), Resources: []fakeaws.StackResource{{LogicalID: "X"}}},
		{Name: "keywatch-alarms-001", Status: "UPDATE_COMPLETE", Tags: ours("keywatch"), Resources: []fakeaws.StackResource{
			{LogicalID: "B", PhysicalID: "alarm b & <c>", Changed: changed},
			{LogicalID: "A", PhysicalID: "detector", Type: "AWS::CloudWatch::AnomalyDetector", Status: "UPDATE_COMPLETE"},
			{LogicalID: "D", PhysicalID: "alarm d", Status: "DELETE_COMPLETE"},
		}},
		{Name: "gone-alarms-001", Status: "DELETE_COMPLETE", Tags: ours("gone")},
		{Name: "bare-alarms-007", Resources: []fakeaws.StackResource{{LogicalID: "A", PhysicalID: "a"}}}, // without our tag
		{Name: "announced-alarms-001", Status: "REVIEW_IN_PROGRESS", Tags: ours("announced")},
	}}
}

// changed is when one of the resources was last updated, the others made.
var changed, made = time.Date(2026, 11, 1, 10, 30, 0, 250_000_000, time.UTC), time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func wantStacks() []places.Stack {
	const anAlarm = "AWS::CloudWatch::Alarm"
	return []places.Stack{
		{Name: "announced-alarms-001", Status: "REVIEW_IN_PROGRESS", Deployment: "announced"},
		{Name: "bare-alarms-007", Status: "CREATE_COMPLETE", Resources: []places.Resource{{LogicalID: "A", PhysicalID: "a", Type: anAlarm, Status: "CREATE_COMPLETE", Changed: made}}},
		{Name: "keywatch-alarms-001", Status: "UPDATE_COMPLETE", Deployment: "keywatch", Resources: []places.Resource{
			{LogicalID: "A", PhysicalID: "detector", Type: "AWS::CloudWatch::AnomalyDetector", Status: "UPDATE_COMPLETE", Changed: made},
			{LogicalID: "B", PhysicalID: "alarm b & <c>", Type: anAlarm, Status: "CREATE_COMPLETE", Changed: changed},
			{LogicalID: "D", PhysicalID: "alarm d", Type: anAlarm, Status: "DELETE_COMPLETE", Changed: made},
		}},
		{Name: "keywatch-alarms-002", Status: "ROLLBACK_COMPLETE", Deployment: "keywatch"},
		{Name: "team-b-alarms-001", Status: "UPDATE_IN_PROGRESS", Deployment: "team-b", Resources: []places.Resource{{LogicalID: "C", Type: anAlarm, Status: "CREATE_IN_PROGRESS", Changed: made}}},
	}
}

func TestStacksAreWholeAndSortedAtEveryPageSize(t *testing.T) {
	t.Parallel()
	for size := 1; size <= 4; size++ {
		for seed := range uint64(5) {
			srv := fakeaws.Start(t, worldStacks(), fakeaws.PageSize(size), fakeaws.Shuffle(seed))
			got, err := session(t, srv, quickStacks()).Stacks(t.Context())
			if diff := cmp.Diff(wantStacks(), got); err != nil || diff != "" {
				t.Errorf("page size %d, seed %d: %v (-want +got):\n%s", size, seed, err, diff)
			}
		}
	}
}

// quickStacks does not wait for the rate of CloudFormation.
func quickStacks() Options {
	o := quick()
	o.Rates = map[string]float64{opDescribeStacks: 1000, opListStackResources: 1000, opGetCallerIdentity: 1000}
	return o
}

// Only stacks that may hold something of ours are asked for their resources.
func TestRequestsForStacks(t *testing.T) {
	t.Parallel()
	srv := fakeaws.Start(t, worldStacks(), fakeaws.PageSize(100))
	if _, err := session(t, srv, quickStacks()).Stacks(t.Context()); err != nil {
		t.Fatal(err)
	}
	var asked []string
	for _, c := range srv.Calls() {
		if c.Name() == opListStackResources {
			asked = append(asked, c.Key)
		}
	}
	slices.Sort(asked)
	if !slices.Equal(asked, []string{"bare-alarms-007", "keywatch-alarms-001", "team-b-alarms-001"}) || srv.Count(opDescribeStacks) != 1 {
		t.Errorf("asked for %v, %d DescribeStacks", asked, srv.Count(opDescribeStacks))
	}
	if w := srv.WriteCalls(); len(w) > 0 {
		t.Errorf("it writes: %v", w)
	}
}

func TestAnAccountWithoutStacks(t *testing.T) {
	t.Parallel()
	got, err := session(t, fakeaws.Start(t, fakeaws.State{}), quickStacks()).Stacks(t.Context())
	if err != nil || len(got) != 0 {
		t.Errorf("got %+v, %v", got, err)
	}
}

// Each request in turn fails in each way, once and for ever: the result is all
// stacks with all resources, or an error. A stack that is missing would look
// like one that was never deployed.
func TestNoFaultMakesFewerStacks(t *testing.T) {
	t.Parallel()
	want := wantStacks()
	clean := fakeaws.Start(t, worldStacks())
	if _, err := session(t, clean, quickStacks()).Stacks(t.Context()); err != nil {
		t.Fatal(err)
	}
	requests := len(clean.Calls())
	retried := []fakeaws.Kind{fakeaws.Throttle, fakeaws.Internal, fakeaws.Unavailable, fakeaws.Reset, fakeaws.Cut, fakeaws.Slow}
	for name, kind := range kinds {
		if kind == fakeaws.NoMarker {
			continue // in this protocol, a page without a token is the last one
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, times := range []int{1, fakeaws.Forever} {
				for nth := 1; nth <= requests; nth++ {
					srv := fakeaws.Start(t, worldStacks())
					srv.Fail(fakeaws.Fault{Nth: nth, Times: times, Kind: kind, Delay: time.Millisecond})
					got, err := session(t, srv, quickStacks()).Stacks(t.Context())
					where := fmt.Sprintf("request %d, %d times", nth, times)
					if err == nil && !reflect.DeepEqual(got, want) || err != nil && got != nil {
						t.Errorf("%s: %+v, %v", where, got, err)
					}
					if times == 1 && slices.Contains(retried, kind) && err != nil {
						t.Errorf("%s: %v", where, err)
					}
					wantNoSecret(t, err)
				}
			}
		})
	}
}

func TestStackErrorTexts(t *testing.T) {
	t.Parallel()
	const denied = "allow %s on * for this identity; without it keywatch does not know in which stack each alarm lives, and stops, since a deploy could move alarms and lose them"
	const again = "repeat the command; keywatch never goes on with a part of the stacks"
	tests := map[string]struct {
		fault      fakeaws.Fault
		class      Class
		text, hint string
	}{
		"no permission to list": {
			fakeaws.Fault{Operation: opDescribeStacks, Kind: fakeaws.AccessDenied}, AccessDenied,
			"describe stacks" + as + "AccessDenied: User is not authorized to perform: cloudformation:DescribeStacks", fmt.Sprintf(denied, opDescribeStacks),
		},
		"no permission for one": {
			fakeaws.Fault{Operation: opListStackResources, Key: "team-b-alarms-001", Kind: fakeaws.AccessDenied}, AccessDenied,
			"list resources of stack team-b-alarms-001" + as + "AccessDenied: User is not authorized to perform: cloudformation:ListStackResources on resource: team-b-alarms-001", fmt.Sprintf(denied, opListStackResources),
		},
		"throttled": {
			fakeaws.Fault{Operation: opDescribeStacks, Nth: 2, Kind: fakeaws.Throttle}, Throttled,
			"describe stacks" + as + "Throttling: Rate exceeded (8 attempts)", "others use up the account's request quota: repeat the command when it is quieter, or set AWS_MAX_ATTEMPTS above 8",
		},
		"the same token again": {
			fakeaws.Fault{Operation: opDescribeStacks, Nth: 2, Kind: fakeaws.RepeatMarker}, Incomplete,
			"describe stacks" + as + "the same page marker came twice", again,
		},
		"the same token for resources": {
			fakeaws.Fault{Operation: opListStackResources, Key: "keywatch-alarms-001", Nth: 2, Kind: fakeaws.RepeatMarker}, Incomplete,
			"list resources of stack keywatch-alarms-001" + as + "the same page marker came twice", again,
		},
		"nothing instead of stacks": {
			fakeaws.Fault{Operation: opDescribeStacks, Kind: fakeaws.Empty}, Incomplete,
			"describe stacks" + as + "the answer holds no list of stacks", again,
		},
		"nothing instead of resources": {
			fakeaws.Fault{Operation: opListStackResources, Key: "keywatch-alarms-001", Kind: fakeaws.NoList}, Incomplete,
			"list resources of stack keywatch-alarms-001" + as + "the answer holds no list of resources", again,
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			srv := fakeaws.Start(t, worldStacks())
			tt.fault.Times = fakeaws.Forever
			srv.Fail(tt.fault)
			got, err := session(t, srv, quickStacks()).Stacks(t.Context())
			if got != nil {
				t.Errorf("stacks beside the error: %+v", got)
			}
			wantError(t, err, tt.class, tt.text)
			wantHint(t, err, tt.hint)
		})
	}
}

// Answers that cannot be the whole truth.
func TestContradictionsAmongStacks(t *testing.T) {
	t.Parallel()
	resources := func(rs ...fakeaws.StackResource) fakeaws.State {
		return fakeaws.State{Stacks: []fakeaws.Stack{{Name: "keywatch-alarms-001", Resources: rs}}}
	}
	gone := worldStacks()
	tests := map[string]struct {
		state  fakeaws.State
		change func(*fakeaws.State)
		limits limits
		want   string
	}{
		"a stack in two states": {
			state: fakeaws.State{Stacks: []fakeaws.Stack{{Name: "a", ID: "arn:1"}, {Name: "a", ID: "arn:1", Status: "UPDATE_IN_PROGRESS"}}},
			want:  "describe stacks" + as + "stack a is listed as arn:1 CREATE_COMPLETE and as arn:1 UPDATE_IN_PROGRESS",
		},
		"a stack without a name": {state: fakeaws.State{Stacks: []fakeaws.Stack{{}}}, want: "describe stacks" + as + "the answer holds a stack without a name or status"},
		"a resource twice": {
			state: resources(fakeaws.StackResource{LogicalID: "A", PhysicalID: "a"}, fakeaws.StackResource{LogicalID: "A", PhysicalID: "b"}),
			want:  "list resources of stack keywatch-alarms-001" + as + "resource A is listed twice and differs",
		},
		"a resource without an ID": {
			state: resources(fakeaws.StackResource{PhysicalID: "a"}),
			want:  "list resources of stack keywatch-alarms-001" + as + "the answer holds a resource without a logical ID, status or time of its last change",
		},
		"a resource of which nobody knows since when": {
			state: resources(fakeaws.StackResource{LogicalID: "A", PhysicalID: "a", Undated: true}),
			want:  "list resources of stack keywatch-alarms-001" + as + "the answer holds a resource without a logical ID, status or time of its last change",
		},
		"a stack that is deleted meanwhile": {
			state: gone,
			change: func(s *fakeaws.State) {
				s.Stacks = slices.DeleteFunc(slices.Clone(s.Stacks), func(st fakeaws.Stack) bool { return st.Name == "keywatch-alarms-001" })
			},
			want: "list resources of stack keywatch-alarms-001" + as + "the stack was deleted while it was read",
		},
		"more stacks than can be":    {state: worldStacks(), limits: limits{stacks: 2, resources: 9}, want: "describe stacks" + as + "there are more than 2 stacks"},
		"more resources than can be": {state: worldStacks(), limits: limits{stacks: 9, resources: 2}, want: "list resources of stack keywatch-alarms-001" + as + "there are more than 2 resources"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			srv := fakeaws.Start(t, tt.state)
			if tt.change != nil {
				srv.Fail(fakeaws.Fault{Operation: opListStackResources, Key: "keywatch-alarms-001", Kind: fakeaws.OnlyChange, Change: tt.change})
			}
			s := session(t, srv, quickStacks())
			if tt.limits != (limits{}) {
				s.limits = tt.limits
			}
			got, err := s.Stacks(t.Context())
			if got != nil {
				t.Errorf("stacks beside the error: %+v", got)
			}
			wantError(t, err, Incomplete, tt.want)
		})
	}
}

func TestACanceledReadOfStacks(t *testing.T) {
	t.Parallel()
	for _, op := range []string{opDescribeStacks, opListStackResources} {
		srv := fakeaws.Start(t, worldStacks())
		srv.Fail(fakeaws.Fault{Operation: op, Kind: fakeaws.Slow, Delay: time.Minute, Times: fakeaws.Forever})
		o := quickStacks()
		o.RequestTimeout, o.MaxAttempts = 100*time.Millisecond, 2
		got, err := session(t, srv, o).Stacks(t.Context())
		if got != nil || err == nil {
			t.Errorf("%s: %v, %v", op, got, err)
		}
	}
}

func wantNoSecret(t *testing.T, err error) {
	t.Helper()
	if err == nil {
		return
	}
	for _, secret := range []string{fakeaws.SecretKey, fakeaws.SessionToken} {
		if strings.Contains(err.Error()+Hint(err), secret) {
			t.Errorf("a secret in %q", err)
		}
	}
}
