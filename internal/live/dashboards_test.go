package live

import (
	"slices"
	"testing"
	"time"

	"keywatch/test/fakeaws"
)

func worldDashboards() fakeaws.State {
	return fakeaws.State{Account: account, Region: region, Dashboards: []string{"keywatch-us-east-1", "orders", "keywatch-eu-west-1", "key", "keywatch-team-eu-west-1"}}
}

var wantDashboards = []string{"keywatch-eu-west-1", "keywatch-team-eu-west-1", "keywatch-us-east-1"}

func TestDashboardsOfAPrefixAreWholeAndSortedAtEveryPageSize(t *testing.T) {
	t.Parallel()
	for size := 1; size <= 4; size++ {
		srv := fakeaws.Start(t, worldDashboards(), fakeaws.PageSize(size), fakeaws.Shuffle(uint64(size)))
		got, err := session(t, srv, quick()).Dashboards(t.Context(), "keywatch-")
		if err != nil || !slices.Equal(got, wantDashboards) {
			t.Errorf("page size %d: %v, %v", size, got, err)
		}
		if w := srv.WriteCalls(); len(w) > 0 {
			t.Errorf("it writes: %v", w)
		}
	}
}

func TestNoDashboards(t *testing.T) {
	t.Parallel()
	srv := fakeaws.Start(t, fakeaws.State{})
	got, err := session(t, srv, quick()).Dashboards(t.Context(), "keywatch-")
	if err != nil || len(got) != 0 || srv.Count(opListDashboards) != 1 {
		t.Errorf("got %v, %v after %d requests", got, err, srv.Count(opListDashboards))
	}
}

func TestNoSingleFaultMakesFewerDashboards(t *testing.T) {
	t.Parallel()
	for name, kind := range kinds {
		if kind == fakeaws.Empty || kind == fakeaws.NoList || kind == fakeaws.NoMarker {
			continue // in this protocol, as for alarms: nobody can see it
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for nth := 1; nth <= 3; nth++ {
				srv := fakeaws.Start(t, worldDashboards())
				srv.Fail(fakeaws.Fault{Operation: opListDashboards, Nth: nth, Kind: kind, Delay: time.Millisecond})
				got, err := session(t, srv, quick()).Dashboards(t.Context(), "keywatch-")
				if err == nil && !slices.Equal(got, wantDashboards) || err != nil && got != nil {
					t.Errorf("request %d: %v, %v", nth, got, err)
				}
				if retried := kind == fakeaws.Throttle || kind == fakeaws.Internal || kind == fakeaws.Reset || kind == fakeaws.Cut; retried && err != nil {
					t.Errorf("request %d: %v", nth, err)
				}
			}
		})
	}
}

func TestDashboardErrorTexts(t *testing.T) {
	t.Parallel()
	srv := fakeaws.Start(t, worldDashboards())
	srv.Fail(fakeaws.Fault{Operation: opListDashboards, Kind: fakeaws.AccessDenied, Times: fakeaws.Forever})
	_, err := session(t, srv, quick()).Dashboards(t.Context(), "keywatch-")
	wantError(t, err, AccessDenied, "list dashboards"+as+"AccessDenied: User is not authorized to perform: cloudwatch:ListDashboards")
	wantHint(t, err, "allow cloudwatch:ListDashboards on * for this identity; it is optional, and lets keywatch report the stacks of environments that were taken out of the config")

	s := session(t, fakeaws.Start(t, worldDashboards()), quick())
	s.limits.dashboards = 2
	_, err = s.Dashboards(t.Context(), "keywatch-")
	wantError(t, err, Incomplete, "list dashboards"+as+"there are more than 2 dashboards")
	wantHint(t, err, "repeat the command")

	_, err = session(t, fakeaws.Start(t, fakeaws.State{Dashboards: []string{""}}), quick()).Dashboards(t.Context(), "")
	wantError(t, err, Incomplete, "list dashboards"+as+"the answer holds a dashboard without a name")
}
