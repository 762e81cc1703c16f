package places_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/cloudformation/types"
	"github.com/google/go-cmp/cmp"

	"keywatch/constructs/spec"
	"keywatch/internal/diag"
	"keywatch/internal/naming"
	"keywatch/internal/places"
	"keywatch/internal/plan"
)

const name = naming.Deployment("keywatch")

func keyID(n int) string { return fmt.Sprintf("%08d-1111-2222-3333-444444444444", n) }

func key(n int) spec.Key {
	return spec.Key{ARN: "arn:aws:kms:eu-west-1:111122223333:key/" + keyID(n)}
}

// alarm and detector are the resources of the unit of key n on an operation.
func alarm(n int, op spec.Operation) places.Resource {
	id, alarmName := name.Alarm(key(n), []spec.Operation{op}, spec.KindAnomaly, spec.DefaultID)
	return places.Resource{LogicalID: id, PhysicalID: alarmName, Type: "AWS::CloudWatch::Alarm", Status: "CREATE_COMPLETE"}
}

func detector(n int, op spec.Operation) places.Resource {
	return places.Resource{LogicalID: name.Detector(key(n), op, "Sum"), PhysicalID: "keywatch-alarms-001-Detector-X", Type: "AWS::CloudWatch::AnomalyDetector", Status: "CREATE_COMPLETE"}
}

func in(status string, r places.Resource) places.Resource {
	r.Status = status
	return r
}

func never(r places.Resource) places.Resource {
	r.PhysicalID, r.Status = "", "CREATE_FAILED"
	return r
}

var placeholder = places.Resource{LogicalID: "Placeholder", PhysicalID: "https://example", Type: "AWS::CloudFormation::WaitConditionHandle", Status: "CREATE_COMPLETE"}

func stack(n int, status string, resources ...places.Resource) places.Stack {
	return places.Stack{Name: name.AlarmStack(n), Status: status, Deployment: string(name), Resources: resources}
}

func read(stacks ...places.Stack) (plan.Places, diag.List) {
	return places.Read(stacks, string(name), "eu-west-1")
}

func text(l diag.List) []string {
	var out []string
	for _, p := range l {
		out = append(out, fmt.Sprintf("%s %s [%s]", p.Severity, p.Message, p.Code))
	}
	return out
}

func check(t *testing.T, l diag.List, want ...string) {
	t.Helper()
	if diff := cmp.Diff(want, text(l)); diff != "" {
		t.Errorf("problems (-want +got):\n%s", diff)
	}
}

// What CloudFormation says of a stack, and what follows. Every status that the
// SDK knows is here; see the loop below.
const (
	reads    = "what its resources say"
	nothing  = "holds nothing"
	left     = "holds nothing, and is left if the plan makes no such stack"
	waits    = "error [stack-busy]"
	rollback = "error [stack-stuck]: finish the rollback"
	deletion = "error [stack-stuck]: finish the deletion"
)

var statuses = map[types.StackStatus]string{
	types.StackStatusCreateComplete:         reads,
	types.StackStatusUpdateComplete:         reads,
	types.StackStatusImportComplete:         reads,
	types.StackStatusCreateFailed:           reads, // paused by --no-rollback
	types.StackStatusUpdateFailed:           reads, // paused by --no-rollback
	types.StackStatusRollbackFailed:         reads, // the CDK CLI deletes it first
	types.StackStatusUpdateRollbackComplete: reads,
	types.StackStatusImportRollbackComplete: reads,
	types.StackStatusImportRollbackFailed:   reads,

	types.StackStatusDeleteComplete:   nothing,
	types.StackStatusReviewInProgress: left,
	types.StackStatusRollbackComplete: left,

	types.StackStatusCreateInProgress:                        waits,
	types.StackStatusUpdateInProgress:                        waits,
	types.StackStatusUpdateCompleteCleanupInProgress:         waits,
	types.StackStatusUpdateRollbackInProgress:                waits,
	types.StackStatusUpdateRollbackCompleteCleanupInProgress: waits,
	types.StackStatusRollbackInProgress:                      waits,
	types.StackStatusDeleteInProgress:                        waits,
	types.StackStatusImportInProgress:                        waits,
	types.StackStatusImportRollbackInProgress:                waits,

	types.StackStatusUpdateRollbackFailed: rollback,
	types.StackStatusDeleteFailed:         deletion,
}

func TestEachStackStatus(t *testing.T) {
	const shows = "`aws cloudformation describe-stack-events --stack-name keywatch-alarms-002 --region eu-west-1`"
	const deletes = "`aws cloudformation delete-stack --stack-name keywatch-alarms-002 --region eu-west-1`"
	for _, status := range types.StackStatus("").Values() {
		t.Run(string(status), func(t *testing.T) {
			want, known := statuses[status]
			if !known {
				t.Fatalf("the SDK knows the stack status %s: say what it means", status)
			}
			got, problems := read(stack(1, "CREATE_COMPLETE", placeholder), stack(2, string(status), alarm(7, "Decrypt"), detector(7, "Decrypt")))
			in2 := map[string]int{keyID(7) + "/Decrypt": 2}
			stacks := []int{1, 2}
			var others []string
			if want == nothing || want == left {
				in2, stacks = map[string]int{}, []int{1}
			}
			if want == left {
				others = []string{"keywatch-alarms-002"}
			}
			if diff := cmp.Diff(plan.Places{Units: in2, Stacks: stacks, Others: others}, got, cmp.FilterPath(func(p cmp.Path) bool {
				return slices.Contains([]string{"Names", "Changed", "Twice", "Elsewhere"}, strings.TrimPrefix(p.Last().String(), "."))
			}, cmp.Ignore())); diff != "" {
				t.Errorf("places (-want +got):\n%s", diff)
			}
			switch want {
			case waits:
				check(t, problems, fmt.Sprintf("error stack keywatch-alarms-002 is in %s: another deploy is at work, and where alarms live is only known after it; wait for it, then repeat; %s shows how far it is [stack-busy]", status, shows))
			case rollback:
				check(t, problems, "error stack keywatch-alarms-002 is in UPDATE_ROLLBACK_FAILED, and CloudFormation refuses to update it; finish the rollback with `aws cloudformation continue-update-rollback --stack-name keywatch-alarms-002 --region eu-west-1` (with --resources-to-skip for what it cannot bring back), then repeat [stack-stuck]")
			case deletion:
				check(t, problems, "error stack keywatch-alarms-002 is in DELETE_FAILED, and CloudFormation refuses to update it; "+shows+" shows why, "+deletes+" tries again; once it is gone, a deploy makes it anew [stack-stuck]")
			default:
				check(t, problems)
			}
		})
	}
}

// The dashboard's stack is busy or stuck like any other one of the deployment.
func TestTheDashboardsStackCountsToo(t *testing.T) {
	for status, code := range map[string]string{"UPDATE_IN_PROGRESS": "stack-busy", "UPDATE_ROLLBACK_FAILED": "stack-stuck", "UPDATE_COMPLETE": ""} {
		got, problems := read(places.Stack{Name: "keywatch-dashboard", Status: status, Deployment: "keywatch"})
		if !slices.Equal(got.Others, []string{"keywatch-dashboard"}) || len(got.Stacks) != 0 {
			t.Errorf("%s: %+v", status, got)
		}
		if len(problems) > 1 || code != "" && (len(problems) == 0 || problems[0].Code != code) {
			t.Errorf("%s: %v", status, problems)
		}
	}
}

// What a settled stack holds: every resource status that the SDK knows, with
// and without a physical ID.
func TestEachResourceStatus(t *testing.T) {
	gone := []types.ResourceStatus{types.ResourceStatusDeleteComplete, types.ResourceStatusDeleteSkipped}
	for _, status := range types.ResourceStatus("").Values() {
		unit := keyID(7) + "/Decrypt"
		got, problems := read(stack(1, "UPDATE_ROLLBACK_COMPLETE", in(string(status), alarm(7, "Decrypt"))))
		if _, held := got.Units[unit]; held == slices.Contains(gone, status) {
			t.Errorf("%s with a physical ID: held %v", status, held)
		}
		atWork := strings.HasSuffix(string(status), "_IN_PROGRESS")
		if len(problems) > 0 != atWork {
			t.Errorf("%s: %v", status, problems)
		}
		r := never(alarm(7, "Decrypt"))
		r.Status = string(status)
		got, _ = read(stack(1, "UPDATE_ROLLBACK_COMPLETE", r))
		if _, held := got.Units[unit]; held != atWork {
			t.Errorf("%s without a physical ID: held %v", status, held)
		}
	}
	_, problems := read(stack(1, "CREATE_COMPLETE", in("UPDATE_IN_PROGRESS", alarm(7, "Decrypt"))))
	check(t, problems, "error stack keywatch-alarms-001 is in CREATE_COMPLETE, but its resource "+alarm(7, "Decrypt").LogicalID+" in UPDATE_IN_PROGRESS: another deploy is at work, and where alarms live is only known after it; wait for it, then repeat; `aws cloudformation describe-stack-events --stack-name keywatch-alarms-001 --region eu-west-1` shows how far it is [stack-busy]")
}

// A unit is where any of its resources is.
func TestOneResourceHoldsTheUnit(t *testing.T) {
	got, problems := read(stack(3, "CREATE_FAILED", never(alarm(1, "Decrypt")), detector(1, "Decrypt"), never(alarm(2, "Encrypt")), in("DELETE_COMPLETE", detector(2, "Encrypt"))))
	check(t, problems)
	if diff := cmp.Diff(map[string]int{keyID(1) + "/Decrypt": 3}, got.Units); diff != "" {
		t.Error(diff)
	}
	if len(got.Names) != 0 {
		t.Errorf("names of alarms that were never made: %v", got.Names)
	}
}

func TestNoStacksIsAFirstDeploy(t *testing.T) {
	got, problems := read()
	check(t, problems)
	if len(got.Units)+len(got.Stacks)+len(got.Others) != 0 {
		t.Errorf("%+v", got)
	}
}

func TestPlacesOfADeployment(t *testing.T) {
	sum, sumName := name.Alarm(key(2), []spec.Operation{"Decrypt", "Encrypt"}, spec.KindThreshold, "burst")
	young, then := alarm(1, "Encrypt"), time.Date(2026, 11, 1, 10, 0, 0, 0, time.UTC)
	young.Changed = then
	stacks := []places.Stack{
		stack(12, "UPDATE_COMPLETE", young, detector(1, "Encrypt")),
		stack(2, "UPDATE_COMPLETE", placeholder),
		stack(1, "CREATE_COMPLETE", alarm(1, "Decrypt"), detector(1, "Decrypt"), places.Resource{LogicalID: sum, PhysicalID: sumName, Type: "AWS::CloudWatch::Alarm", Status: "UPDATE_COMPLETE"}),
		{Name: "keywatch-dashboard", Status: "CREATE_COMPLETE", Deployment: "keywatch", Resources: []places.Resource{{LogicalID: "Dashboard", PhysicalID: "keywatch-eu-west-1", Type: "AWS::CloudWatch::Dashboard", Status: "CREATE_COMPLETE"}}},
	}
	want := plan.Places{
		Units:  map[string]int{keyID(1) + "/Decrypt": 1, keyID(1) + "/Encrypt": 12, keyID(2) + "/Decrypt+Encrypt": 1},
		Stacks: []int{1, 2, 12},
		Names: map[string]string{
			alarm(1, "Decrypt").LogicalID: "keywatch - 444444444444 Decrypt anomaly", alarm(1, "Encrypt").LogicalID: "keywatch - 444444444444 Encrypt anomaly",
			sum: "keywatch - 444444444444 Decrypt+Encrypt threshold burst",
		},
		Changed: map[string]time.Time{young.LogicalID: then, alarm(1, "Decrypt").LogicalID: {}, sum: {}},
		Twice:   map[string][2]string{}, Elsewhere: map[string]plan.Holder{},
		Others: []string{"keywatch-dashboard"},
	}
	got, problems := read(stacks...)
	check(t, problems)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("places (-want +got):\n%s", diff)
	}
	slices.Reverse(stacks)
	again, _ := read(stacks...)
	if diff := cmp.Diff(got, again); diff != "" {
		t.Errorf("in another order of stacks:\n%s", diff)
	}
}

func TestAUnitInTwoStacksNamesBoth(t *testing.T) {
	got, problems := read(stack(2, "CREATE_COMPLETE", detector(1, "Decrypt")), stack(1, "UPDATE_COMPLETE", alarm(1, "Decrypt")))
	check(t, problems) // [placed-twice] comes from the plan, if it wants the unit
	if diff := cmp.Diff(map[string][2]string{keyID(1) + "/Decrypt": {"keywatch-alarms-001", "keywatch-alarms-002"}}, got.Twice); diff != "" {
		t.Error(diff)
	}
}

func TestUnitsOfAnotherDeployment(t *testing.T) {
	other := func(status string, rs ...places.Resource) places.Stack {
		return places.Stack{Name: "team-b-alarms-003", Status: status, Deployment: "team-b", Resources: rs}
	}
	held := map[string]plan.Holder{keyID(1) + "/Decrypt": {Stack: "team-b-alarms-003", Deployment: "team-b"}}
	never := never(alarm(1, "Decrypt"))
	tests := map[string]struct {
		stack places.Stack
		want  map[string]plan.Holder
	}{
		"holds it":                   {other("CREATE_COMPLETE", alarm(1, "Decrypt")), held},
		"is about to":                {other("UPDATE_IN_PROGRESS", in("CREATE_IN_PROGRESS", never)), held},
		"is still giving it up":      {other("UPDATE_COMPLETE_CLEANUP_IN_PROGRESS", in("DELETE_IN_PROGRESS", alarm(1, "Decrypt"))), held},
		"is stuck with it":           {other("UPDATE_ROLLBACK_FAILED", alarm(1, "Decrypt")), held},
		"has given it up":            {other("UPDATE_COMPLETE", in("DELETE_COMPLETE", alarm(1, "Decrypt"))), map[string]plan.Holder{}},
		"never got it":               {other("UPDATE_ROLLBACK_COMPLETE", never), map[string]plan.Holder{}},
		"was rolled back":            {other("ROLLBACK_COMPLETE", alarm(1, "Decrypt")), map[string]plan.Holder{}},
		"lost its tag but not it":    {places.Stack{Name: "team-b-alarms-003", Status: "UPDATE_COMPLETE", Resources: []places.Resource{alarm(1, "Decrypt")}}, held},
		"has a name of its own kind": {places.Stack{Name: "kms", Status: "UPDATE_COMPLETE", Deployment: "team-b", Resources: []places.Resource{detector(1, "Decrypt")}}, map[string]plan.Holder{keyID(1) + "/Decrypt": {Stack: "kms", Deployment: "team-b"}}},
	}
	for title, tt := range tests {
		t.Run(title, func(t *testing.T) {
			got, problems := read(tt.stack)
			check(t, problems)
			if diff := cmp.Diff(tt.want, got.Elsewhere); diff != "" {
				t.Errorf("units elsewhere (-want +got):\n%s", diff)
			}
			if len(got.Units)+len(got.Stacks)+len(got.Others) != 0 {
				t.Errorf("taken for ours: %+v", got)
			}
		})
	}
}

// `cdk deploy --tags` replaces the tags that the app sets: the name of an alarm
// stack is then all there is, and what is in it tells whether it is ours.
func TestStacksWithoutTheTag(t *testing.T) {
	bare := func(rs ...places.Resource) places.Stack {
		s := stack(1, "UPDATE_COMPLETE", rs...)
		s.Deployment = ""
		return s
	}
	got, problems := read(bare(alarm(1, "Decrypt"), detector(1, "Decrypt"), in("DELETE_COMPLETE", placeholder)))
	check(t, problems)
	if got.Units[keyID(1)+"/Decrypt"] != 1 || !slices.Equal(got.Stacks, []int{1}) {
		t.Errorf("%+v", got)
	}
	topic := places.Resource{LogicalID: "Pager", PhysicalID: "arn:aws:sns:x", Type: "AWS::SNS::Topic", Status: "CREATE_COMPLETE"}
	theirs := places.Resource{LogicalID: "HighCPU", PhysicalID: "high cpu", Type: "AWS::CloudWatch::Alarm", Status: "CREATE_COMPLETE"}
	for _, r := range []places.Resource{topic, theirs} {
		_, problems = read(bare(r))
		check(t, problems, "error stack keywatch-alarms-001 has a name of this deployment, no tag keywatch:deployment, and the resource "+r.LogicalID+", which keywatch never makes, so keywatch neither takes it over nor goes around it; choose another `name` in the config, or, if nobody needs the stack, `aws cloudformation delete-stack --stack-name keywatch-alarms-001 --region eu-west-1` [stack-foreign]")
	}
	for stackName, ours := range map[string]bool{"keywatch-alarms-001": true, "x-alarms-1234": true, "x-alarms-1": false, "billing": false} {
		if got := places.Ours(stackName, ""); got != ours {
			t.Errorf("%s: %v", stackName, got)
		}
	}
	if !places.Ours("billing", "keywatch") {
		t.Error("a tagged stack is not ours")
	}
}

func TestStacksThatClaimTwoThings(t *testing.T) {
	const end = ", so keywatch neither takes it over nor goes around it; choose another `name` in the config, or, if nobody needs the stack, `aws cloudformation delete-stack --stack-name %s --region eu-west-1` [stack-foreign]"
	_, problems := read(places.Stack{Name: "keywatch-alarms-001", Status: "CREATE_COMPLETE", Deployment: "team-b"})
	check(t, problems, `error stack keywatch-alarms-001 has a name of this deployment and the tag keywatch:deployment of another, "team-b"`+fmt.Sprintf(end, "keywatch-alarms-001"))
	_, problems = read(places.Stack{Name: "old-name-alarms-001", Status: "CREATE_COMPLETE", Deployment: "keywatch", Resources: []places.Resource{alarm(1, "Decrypt")}})
	check(t, problems, "error stack old-name-alarms-001 has the tag keywatch:deployment of this deployment and holds alarms, such as "+alarm(1, "Decrypt").LogicalID+", but has none of its names (keywatch-alarms-001, …)"+fmt.Sprintf(end, "old-name-alarms-001"))
	got, problems := read(places.Stack{Name: "watch", Status: "CREATE_COMPLETE", Deployment: "keywatch"})
	check(t, problems)
	if !slices.Equal(got.Others, []string{"watch"}) {
		t.Errorf("%+v", got)
	}
}

// An alarm of ours that this version cannot read would be removed in silence.
func TestAlarmsOfANewerVersion(t *testing.T) {
	newer := places.Resource{LogicalID: alarm(1, "Decrypt").LogicalID + "V2", PhysicalID: "x", Type: "AWS::CloudWatch::Alarm", Status: "CREATE_COMPLETE"}
	_, problems := read(stack(1, "CREATE_COMPLETE", newer, alarm(1, "Decrypt")))
	check(t, problems, "warning stack keywatch-alarms-001 holds "+newer.LogicalID+", which this version of keywatch does not make, so that a deploy removes it; if a newer version made it, use that one [unknown-alarm]")
	var many []places.Resource
	for i := range 5 {
		r := newer
		r.LogicalID = fmt.Sprintf("Alarm%d", i)
		many = append(many, r)
	}
	_, problems = read(stack(1, "CREATE_COMPLETE", many...))
	check(t, problems, "warning stack keywatch-alarms-001 holds Alarm0, Alarm1, Alarm2 and 2 more, which this version of keywatch does not make, so that a deploy removes them; if a newer version made them, use that one [unknown-alarm]")
}

// Stacks that a removed environment leaves: by tag or by name, empty ones too;
// not those that are gone or going, of somebody else, or a stranger's.
func TestStacksOfADeployment(t *testing.T) {
	t.Parallel()
	got := places.Of([]places.Stack{
		{Name: "keywatch-dashboard", Status: "CREATE_COMPLETE", Deployment: "keywatch"},
		{Name: "keywatch-alarms-002", Status: "ROLLBACK_COMPLETE"},
		{Name: "keywatch-alarms-001", Status: "UPDATE_ROLLBACK_FAILED", Deployment: "keywatch", Resources: []places.Resource{{LogicalID: "Bucket", Type: "AWS::S3::Bucket", PhysicalID: "b", Status: "CREATE_COMPLETE"}}},
		{Name: "keywatch-alarms-003", Status: "DELETE_COMPLETE", Deployment: "keywatch"},
		{Name: "keywatch-alarms-004", Status: "DELETE_IN_PROGRESS", Deployment: "keywatch"},
		{Name: "keywatch-alarms-005", Status: "CREATE_COMPLETE", Deployment: "other"},
		{Name: "keywatch-alarms-006", Status: "CREATE_COMPLETE", Resources: []places.Resource{{LogicalID: "Bucket", Type: "AWS::S3::Bucket", PhysicalID: "b", Status: "CREATE_COMPLETE"}}},
		{Name: "team-b-alarms-001", Status: "CREATE_COMPLETE"},
	}, "keywatch")
	if want := []string{"keywatch-alarms-001", "keywatch-alarms-002", "keywatch-dashboard"}; !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}
