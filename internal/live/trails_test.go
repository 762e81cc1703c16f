package live

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"keywatch/internal/inventory"
	"keywatch/test/fakeaws"
)

func TestTrails(t *testing.T) {
	t.Parallel()
	type selector = map[string]any
	field := func(name, test string, values ...string) map[string]any {
		return map[string]any{"Field": name, test: values}
	}
	advanced := func(fields ...map[string]any) []map[string]any { return []map[string]any{{"FieldSelectors": fields}} }
	const prefix = "arn:aws:cloudtrail:" + region + ":" + account + ":trail/"
	srv := fakeaws.Start(t, fakeaws.State{Account: account, Region: region, Trails: []fakeaws.Trail{
		{Name: "new"},
		{Name: "excludes", Selectors: []selector{{"ReadWriteType": "All", "IncludeManagementEvents": true, "ExcludeManagementEventSources": []string{"kms.amazonaws.com"}}}},
		{Name: "data", Selectors: []selector{{"ReadWriteType": "WriteOnly", "IncludeManagementEvents": false}}},
		{Name: "b-all", Advanced: advanced(field("eventCategory", "Equals", "Management"))},
		{Name: "b-no-kms", Advanced: advanced(field("eventCategory", "Equals", "Management"), field("eventSource", "NotEquals", "kms.amazonaws.com", "rdsdata.amazonaws.com"))},
		{Name: "b-other", Advanced: advanced(field("eventCategory", "Equals", "Management"), field("eventSource", "Equals", "s3.amazonaws.com"))},
		{Name: "b-writes", Advanced: advanced(field("eventCategory", "Equals", "Management"), field("readOnly", "Equals", "false"))},
		{Name: "c-off", Off: true},
		{Name: "c-other-region", Home: "us-east-1"},
		{Name: "c-organization", Home: "us-east-1", Owner: "444455556666", Off: true},
		{Name: "b-data", Advanced: advanced(field("eventCategory", "Equals", "Data"), field("resources.type", "Equals", "AWS::S3::Object"))},
	}})
	got, err := session(t, srv, quick()).Trails(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	one := func(s inventory.TrailSelector) []inventory.TrailSelector { return []inventory.TrailSelector{s} }
	whole := one(inventory.TrailSelector{Management: true, Reads: true})
	want := []inventory.Trail{
		{ARN: prefix + "b-all", Selectors: whole},
		{ARN: prefix + "b-data", Selectors: one(inventory.TrailSelector{Reads: true})},
		{ARN: prefix + "b-no-kms", Selectors: one(inventory.TrailSelector{Management: true, Reads: true, Excluded: []string{"kms.amazonaws.com", "rdsdata.amazonaws.com"}})},
		{ARN: prefix + "b-other", Selectors: one(inventory.TrailSelector{Management: true, Reads: true, Excluded: []string{"kms.amazonaws.com"}})},
		{ARN: prefix + "b-writes", Selectors: one(inventory.TrailSelector{Management: true})},
		{ARN: prefix + "c-off", Selectors: whole, Off: true},
		{ARN: prefix + "data", Selectors: one(inventory.TrailSelector{})},
		{ARN: prefix + "excludes", Selectors: one(inventory.TrailSelector{Management: true, Reads: true, Excluded: []string{"kms.amazonaws.com"}})},
		{ARN: prefix + "new", Selectors: whole},
		{ARN: "arn:aws:cloudtrail:us-east-1:111122223333:trail/c-other-region", Selectors: whole},
		{ARN: "arn:aws:cloudtrail:us-east-1:444455556666:trail/c-organization", Selectors: whole, Off: true},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if w := srv.WriteCalls(); len(w) > 0 {
		t.Errorf("it writes: %v", w)
	}
}

func TestTrailsThatMayNotBeRead(t *testing.T) {
	t.Parallel()
	two := fakeaws.State{Trails: []fakeaws.Trail{{Name: "a"}, {Name: "b"}}}
	for _, op := range []string{opDescribeTrails, opGetEventSelectors, opGetTrailStatus} {
		srv := fakeaws.Start(t, two)
		srv.Fail(fakeaws.Fault{Operation: op, Kind: fakeaws.AccessDenied})
		got, err := session(t, srv, quick()).Trails(t.Context())
		if op != opDescribeTrails { // the other trail may bring the evidence
			if err != nil || len(got) != 2 || got[1].Unknown != nil {
				t.Fatalf("%s: %v, %v", op, got, err)
			}
			err = got[0].Unknown
		}
		if err == nil || Hint(err) != "allow "+op+" on * for this identity; it is optional, and lets keywatch say whether a trail brings the evidence" {
			t.Errorf("%s: %v, %v, hint %q", op, got, err, Hint(err))
		}
	}
	// What is no refusal is an error: it says nothing of the trail.
	for kind, want := range map[fakeaws.Kind]string{
		fakeaws.Throttle: "get status of trail arn:aws:cloudtrail:eu-west-1:111122223333:trail/a in eu-west-1 as 111122223333: ThrottlingException",
		fakeaws.Empty:    "the answer does not say whether it logs",
	} {
		srv := fakeaws.Start(t, two)
		srv.Fail(fakeaws.Fault{Operation: opGetTrailStatus, Kind: kind, Times: fakeaws.Forever})
		if got, err := session(t, srv, quick()).Trails(t.Context()); got != nil || err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, %v; want %s", got, err, want)
		}
	}
	srv := fakeaws.Start(t, fakeaws.State{})
	if got, err := session(t, srv, quick()).Trails(t.Context()); err != nil || len(got) != 0 {
		t.Errorf("without trails: %v, %v", got, err)
	}
}
