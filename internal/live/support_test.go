package live

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"keywatch/internal/sla"
	"keywatch/test/fakeaws"
)

var testCase = &sla.Case{Subject: "SLA Credit Request: AWS KMS, eu-west-1, October 2026", Body: "text"}

// A case is opened with what was looked up and uploaded, and found again, whatever
// the page it is on.
func TestOpenCase(t *testing.T) {
	t.Parallel()
	srv := fakeaws.Start(t, fakeaws.State{Cases: []fakeaws.SupportCase{{ID: "case-1", Subject: "another"}, {ID: "case-2", Subject: "a third"}}})
	s := session(t, srv, quick())
	services, err := s.SupportServices(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	service, category, err := sla.Choose(services, "", "")
	if err != nil || service.Code != "billing" || category.Code != "service-credits" {
		t.Fatalf("%v %v %v", service, category, err)
	}
	if id, err := s.SupportCase(t.Context(), testCase.Subject); id != "" || err != nil {
		t.Errorf("found %q, %v", id, err)
	}
	set, err := s.Attach(t.Context(), []sla.Document{{Name: "claim.md", Data: []byte("x")}})
	if err != nil {
		t.Fatal(err)
	}
	id, err := s.OpenCase(t.Context(), testCase, service.Code, category.Code, set)
	if err != nil {
		t.Fatal(err)
	}
	opened := srv.Cases()[2]
	if opened.ID != id || opened.Subject != testCase.Subject || opened.Body != "text" || opened.Service != "billing" || opened.Category != "service-credits" ||
		opened.IssueType != "customer-service" || string(opened.Files["claim.md"]) != "x" {
		t.Errorf("opened %+v", opened)
	}
	// An idle connection may be closed by the other side at that moment.
	clients := map[string][]string{}
	for _, c := range srv.Calls() {
		clients[c.Client] = append(clients[c.Client], c.Name())
	}
	for _, names := range clients {
		if slices.Contains(names, opCreateCase) && len(names) > 1 {
			t.Errorf("one connection for %v", names)
		}
	}
	srv.Update(func(s *fakeaws.State) { s.Cases[2].Resolved = true })
	if found, err := s.SupportCase(t.Context(), testCase.Subject); found != id || err != nil {
		t.Errorf("found %q, %v; want %s", found, err, id)
	}
}

// A request whose answer was lost is sent once, and nobody says that it failed.
func TestNobodyKnowsWhetherTheCaseWasOpened(t *testing.T) {
	t.Parallel()
	for kind, want := range map[fakeaws.Kind]struct {
		unsure bool
		cases  int
	}{
		fakeaws.Cut:          {true, 1},
		fakeaws.Reset:        {true, 0},
		fakeaws.Internal:     {true, 0},
		fakeaws.Unavailable:  {true, 0},
		fakeaws.Empty:        {true, 0},
		fakeaws.AccessDenied: {false, 0},
		fakeaws.Throttle:     {false, 0},
	} {
		srv := fakeaws.Start(t, fakeaws.State{})
		srv.Fail(fakeaws.Fault{Operation: opCreateCase, Kind: kind, Times: fakeaws.Forever})
		_, err := session(t, srv, quick()).OpenCase(t.Context(), testCase, "billing", "other", "")
		if err == nil || errors.Is(err, sla.ErrUnsure) != want.unsure {
			t.Errorf("%d: %v; want unsure %v", kind, err, want.unsure)
		}
		if n := srv.Count(opCreateCase); n != 1 || len(srv.Cases()) != want.cases {
			t.Errorf("%d: %d requests, %d cases; want one request and %d", kind, n, len(srv.Cases()), want.cases)
		}
	}
}

// Whoever is interrupted while AWS is asked does not know either.
func TestInterruptedWhileTheCaseIsOpened(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	srv := fakeaws.Start(t, fakeaws.State{})
	srv.Fail(fakeaws.Fault{Operation: opCreateCase, Kind: fakeaws.Slow, Delay: time.Hour, Change: func(*fakeaws.State) { cancel() }})
	if _, err := session(t, srv, quick()).OpenCase(ctx, testCase, "billing", "other", ""); !errors.Is(err, sla.ErrUnsure) {
		t.Errorf("%v", err)
	}
}

func TestNoSupportPlan(t *testing.T) {
	t.Parallel()
	s := session(t, fakeaws.Start(t, fakeaws.State{NoSupportPlan: true}), quick())
	if _, err := s.SupportServices(t.Context()); !errors.Is(err, sla.ErrNoPlan) {
		t.Errorf("services: %v", err)
	}
	if _, err := s.OpenCase(t.Context(), testCase, "billing", "other", ""); !errors.Is(err, sla.ErrNoPlan) || errors.Is(err, sla.ErrUnsure) {
		t.Errorf("open: %v", err)
	}
}

// A list of cases that is not whole must not look like one without the case.
func TestSupportCaseIsWholeOrAnError(t *testing.T) {
	t.Parallel()
	for kind, want := range map[fakeaws.Kind]string{
		fakeaws.NoList: "the answer holds no list of cases", fakeaws.RepeatMarker: "the same page marker came twice",
	} {
		srv := fakeaws.Start(t, fakeaws.State{Cases: []fakeaws.SupportCase{{ID: "1"}, {ID: "2"}, {ID: "3", Subject: testCase.Subject}}})
		srv.Fail(fakeaws.Fault{Operation: opDescribeCases, Kind: kind, Nth: 2, Times: fakeaws.Forever})
		_, err := session(t, srv, quick()).SupportCase(t.Context(), testCase.Subject)
		wantPart(t, err, Incomplete, want)
	}
}

// A case that cannot be named, or cases without end, must not look like none.
func TestSupportCasesThatAreNone(t *testing.T) {
	t.Parallel()
	s := session(t, fakeaws.Start(t, fakeaws.State{Cases: []fakeaws.SupportCase{{ID: "1"}, {Subject: testCase.Subject}}}), quick())
	_, err := s.SupportCase(t.Context(), testCase.Subject)
	wantPart(t, err, Incomplete, "the answer holds a case without an ID")
	s = session(t, fakeaws.Start(t, fakeaws.State{Cases: []fakeaws.SupportCase{{ID: "1"}, {ID: "2"}, {ID: "3"}}}), quick())
	s.limits.cases = 2
	_, err = s.SupportCase(t.Context(), testCase.Subject)
	wantPart(t, err, Incomplete, "there are more than 2 cases")
}

// AWS Support has one endpoint in each partition.
func TestSupportRegion(t *testing.T) {
	t.Parallel()
	for region, want := range map[string]string{"eu-west-1": "us-east-1", "cn-northwest-1": "cn-north-1", "us-gov-east-1": "us-gov-west-1"} {
		if got := supportRegion(region); got != want {
			t.Errorf("%s: %s, want %s", region, got, want)
		}
	}
}
