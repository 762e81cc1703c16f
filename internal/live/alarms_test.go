package live

import (
	"reflect"
	"testing"
	"time"

	"keywatch/internal/inventory"
	"keywatch/test/fakeaws"
)

func worldAlarms() []inventory.Alarm {
	return []inventory.Alarm{anomalyAlarm("a"), staticAlarm("m"), anomalyAlarm("z")}
}

func TestAlarmsAreWholeAndSortedAtEveryPageSize(t *testing.T) {
	t.Parallel()
	for size := 1; size <= 4; size++ {
		srv := fakeaws.Start(t, world(), fakeaws.PageSize(size))
		got, err := session(t, srv, quick()).Alarms(t.Context())
		if err != nil || !reflect.DeepEqual(got, worldAlarms()) {
			t.Errorf("page size %d:\n got %+v, %v\nwant %+v", size, got, err, worldAlarms())
		}
		if n := srv.Count(opDescribeAlarms); n != (3+size-1)/size {
			t.Errorf("page size %d: %d requests", size, n)
		}
	}
}

func TestDefaultsThatCloudWatchLeavesOutAreFilledIn(t *testing.T) {
	t.Parallel()
	bare := staticAlarm("bare")
	bare.EvaluationPeriods, bare.DatapointsToAlarm, bare.TreatMissingData = 3, 0, ""
	got, err := session(t, fakeaws.Start(t, fakeaws.State{Alarms: []inventory.Alarm{bare}}), quick()).Alarms(t.Context())
	if err != nil || got[0].DatapointsToAlarm != 3 || got[0].TreatMissingData != "missing" {
		t.Errorf("got %+v, %v", got, err)
	}
}

func TestNoAlarms(t *testing.T) {
	t.Parallel()
	got, err := session(t, fakeaws.Start(t, fakeaws.State{}), quick()).Alarms(t.Context())
	if err != nil || len(got) != 0 {
		t.Errorf("got %+v, %v", got, err)
	}
}

func TestNoSingleFaultMakesFewerAlarms(t *testing.T) {
	t.Parallel()
	for name, kind := range kinds {
		if kind == fakeaws.Empty || kind == fakeaws.NoList || kind == fakeaws.NoMarker {
			continue // see the tests below
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for nth := 1; nth <= 3; nth++ {
				srv := fakeaws.Start(t, world())
				srv.Fail(fakeaws.Fault{Operation: opDescribeAlarms, Nth: nth, Kind: kind, Delay: time.Millisecond})
				got, err := session(t, srv, quick()).Alarms(t.Context())
				if err == nil && !reflect.DeepEqual(got, worldAlarms()) || err != nil && got != nil {
					t.Errorf("request %d: %+v, %v", nth, got, err)
				}
				if retried := kind == fakeaws.Throttle || kind == fakeaws.Internal || kind == fakeaws.Reset || kind == fakeaws.Cut; retried && err != nil {
					t.Errorf("request %d: %v", nth, err)
				}
			}
		})
	}
}

func TestAlarmErrorTexts(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		kind       fakeaws.Kind
		class      Class
		text, hint string
	}{
		"no permission": {
			fakeaws.AccessDenied, AccessDenied, "AccessDenied: User is not authorized to perform: cloudwatch:DescribeAlarms",
			"allow cloudwatch:DescribeAlarms on * for this identity; `keywatch permissions coverage` prints the policy that it needs",
		},
		"throttled": {
			fakeaws.Throttle, Throttled, "ThrottlingException: Rate exceeded (8 attempts)",
			"others use up the account's request quota: repeat the command when it is quieter, or set AWS_MAX_ATTEMPTS above 8",
		},
		"expired":            {fakeaws.ExpiredToken, ExpiredCredentials, "ExpiredTokenException: The security token included in the request is expired", expiredHint},
		"a web page instead": {fakeaws.HTML, Network, "the answer is not one of AWS (HTTP status 200)", networkHint},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			srv := fakeaws.Start(t, world())
			srv.Fail(fakeaws.Fault{Operation: opDescribeAlarms, Kind: tt.kind, Times: fakeaws.Forever})
			_, err := session(t, srv, quick()).Alarms(t.Context())
			wantError(t, err, tt.class, "describe alarms"+as+tt.text)
			wantHint(t, err, tt.hint)
		})
	}
}

func TestMoreAlarmsThanCanBe(t *testing.T) {
	t.Parallel()
	s := session(t, fakeaws.Start(t, world()), quick())
	s.limits.alarms = 2
	_, err := s.Alarms(t.Context())
	wantError(t, err, Incomplete, "describe alarms"+as+"there are more than 2 alarms")
}

func TestAnAlarmWithoutANameIsNoAlarm(t *testing.T) {
	t.Parallel()
	_, err := session(t, fakeaws.Start(t, fakeaws.State{Alarms: []inventory.Alarm{{}}}), quick()).Alarms(t.Context())
	wantError(t, err, Incomplete, "describe alarms"+as+"the answer holds an alarm without a name")
}
