package live

import (
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/costexplorer"

	"keywatch/internal/sla"
	"keywatch/test/fakeaws"
)

var billed = sla.Month{Year: 2026, Month: time.October}

func charge(region, amount string) fakeaws.Charge {
	return fakeaws.Charge{Month: "2026-10", Region: region, Amount: amount}
}

func charges(t *testing.T, srv *fakeaws.Server, account string) (sla.Charges, error) {
	t.Helper()
	return session(t, srv, quick()).Charges(t.Context(), account, billed)
}

// The charges of one account and month are read to the last page, and not rounded.
func TestCharges(t *testing.T) {
	t.Parallel()
	const long = "12345678901234567890.123456789012345678901234567891"
	state := fakeaws.State{Charges: []fakeaws.Charge{
		charge("eu-west-1", "1234.56"), charge("us-east-1", "1E-5"), charge("eu-central-1", long), charge("global", "-0"),
		{Month: "2026-09", Region: "eu-west-1", Amount: "7"}, {Month: "2026-11", Region: "eu-west-1", Amount: "8"},
		{Month: "2026-10", Region: "eu-west-1", Amount: "99.5", Account: "444455556666", Estimated: true},
	}}
	want := map[string]string{"eu-west-1": "30864/25", "us-east-1": "1/100000", "global": "0/1"}
	exact, _ := new(big.Rat).SetString(long)
	want["eu-central-1"] = exact.String()
	for _, size := range []int{1, 2, 1000} {
		srv := fakeaws.Start(t, state, fakeaws.PageSize(size))
		got, err := charges(t, srv, account)
		if err != nil {
			t.Fatal(err)
		}
		for region, amount := range got.ByRegion {
			if amount.String() != want[region] {
				t.Errorf("%s: %s, want %s", region, amount, want[region])
			}
		}
		if len(got.ByRegion) != len(want) || got.Estimated {
			t.Errorf("%d a page: %+v", size, got)
		}
		if n := srv.Count(opGetCostAndUsage); n != (4+size-1)/size {
			t.Errorf("%d a page: %d requests, and each is paid for", size, n)
		}
		if w := srv.WriteCalls(); len(w) > 0 {
			t.Errorf("it writes: %v", w)
		}
	}
	srv := fakeaws.Start(t, state)
	member, err := charges(t, srv, "444455556666")
	if err != nil || len(member.ByRegion) != 1 || member.ByRegion["eu-west-1"].Cmp(big.NewRat(199, 2)) != 0 || !member.Estimated {
		t.Errorf("of a member: %+v, %v", member, err)
	}
	// Nothing is charged: the month is there, without a region.
	if none, err := charges(t, srv, "777788889999"); err != nil || len(none.ByRegion) != 0 {
		t.Errorf("without charges: %+v, %v", none, err)
	}
}

// An estimate on any page makes the whole an estimate.
func TestChargesThatAreEstimated(t *testing.T) {
	t.Parallel()
	first := charge("eu-west-1", "1")
	first.Estimated = true
	got, err := charges(t, fakeaws.Start(t, fakeaws.State{Charges: []fakeaws.Charge{first, charge("us-east-1", "2")}}), account)
	if err != nil || !got.Estimated || len(got.ByRegion) != 2 {
		t.Errorf("%+v, %v", got, err)
	}
}

// A credit must not rest on an answer that is not understood.
func TestChargesAreWholeOrAnError(t *testing.T) {
	t.Parallel()
	with := func(change func(*fakeaws.Charge)) fakeaws.Charge {
		c := charge("eu-west-1", "1")
		change(&c)
		return c
	}
	for want, c := range map[string]fakeaws.Charge{
		`the charges of eu-west-1 are in "CNY", not in USD`:                                    with(func(c *fakeaws.Charge) { c.Unit = "CNY" }),
		`the charges of eu-west-1 are "", which is no amount`:                                  charge("eu-west-1", ""),
		`the charges of eu-west-1 are "1/3", which is no amount`:                               charge("eu-west-1", "1/3"),
		`the charges of eu-west-1 are "0x10", which is no amount`:                              charge("eu-west-1", "0x10"),
		`the charges of eu-west-1 are "NaN", which is no amount`:                               charge("eu-west-1", "NaN"),
		`the charges of eu-west-1 are "1e999999999", which is no amount`:                       charge("eu-west-1", "1e999999999"),
		"the charges of eu-west-1 are -0.01 USD, and nobody is paid a credit of that":          charge("eu-west-1", "-0.01"),
		"the charges of eu-west-1 have no amount":                                              with(func(c *fakeaws.Charge) { c.Metric = "BlendedCost" }),
		"a charge is of 2 regions":                                                             with(func(c *fakeaws.Charge) { c.Keys = []string{account, "eu-west-1"} }),
		"a charge is of 0 regions":                                                             with(func(c *fakeaws.Charge) { c.Keys = []string{} }),
		"a charge is of no region":                                                             with(func(c *fakeaws.Charge) { c.Keys = []string{""} }),
		"the charges of us-east-1 came twice":                                                  charge("us-east-1", "1"),
		"the charges of eu-west-1 are \"" + strings.Repeat("9", 41) + "\", which is no amount": charge("eu-west-1", strings.Repeat("9", 41)),
	} {
		got, err := charges(t, fakeaws.Start(t, fakeaws.State{Charges: []fakeaws.Charge{charge("us-east-1", "2"), c}}), account)
		wantPart(t, err, Incomplete, "read charges in eu-west-1 as 111122223333: "+want)
		if got.ByRegion != nil {
			t.Errorf("%s: %+v beside the error", want, got)
		}
	}
	for kind, want := range map[fakeaws.Kind]struct {
		class      Class
		says, hint string
	}{
		fakeaws.NoList:       {Incomplete, "the answer holds no list of results", "repeat the command; keywatch never goes on with a part of an answer; or give the amount from the bill: --charges AMOUNT"},
		fakeaws.NoResults:    {Incomplete, "the answer says nothing of 2026-10", "--charges AMOUNT"},
		fakeaws.NoGroups:     {Incomplete, "the charges are not grouped by region", "--charges AMOUNT"},
		fakeaws.OtherMonth:   {Incomplete, "charges of another time than 2026-10 are in the answer", "--charges AMOUNT"},
		fakeaws.RepeatMarker: {Incomplete, "the same page marker came twice", "--charges AMOUNT"},
		fakeaws.RepeatItems:  {Incomplete, "the charges of eu-west-1 came twice", "--charges AMOUNT"},
		fakeaws.Throttle:     {Throttled, "Rate exceeded (8 attempts)", "--charges AMOUNT"},
		fakeaws.Cut:          {Network, "closed before the answer was complete", "--charges AMOUNT"},
		fakeaws.AccessDenied: {AccessDenied, "AccessDeniedException", "allow ce:GetCostAndUsage for this identity; `keywatch permissions sla report` prints the policy; the account that pays must"},
		fakeaws.ExpiredToken: {ExpiredCredentials, "expired", "aws sso login"},
		fakeaws.Internal:     {Other, "InternalFailure", "--charges AMOUNT"},
	} {
		srv := fakeaws.Start(t, fakeaws.State{Charges: []fakeaws.Charge{charge("eu-west-1", "1"), charge("us-east-1", "2"), charge("us-east-2", "3")}})
		nth := 2
		if kind == fakeaws.NoResults {
			nth = 1
		}
		srv.Fail(fakeaws.Fault{Operation: opGetCostAndUsage, Kind: kind, Nth: nth, Times: fakeaws.Forever})
		got, err := charges(t, srv, account)
		wantPart(t, err, want.class, want.says)
		if hint := Hint(err); !strings.Contains(hint, want.hint) || got.ByRegion != nil {
			t.Errorf("%s: %+v, hint %q", want.says, got, hint)
		}
	}
}

// Each page is paid for, so an answer without an end is given up early.
func TestChargesWithoutEnd(t *testing.T) {
	t.Parallel()
	state := fakeaws.State{}
	for i := range 3 * mostChargePages {
		state.Charges = append(state.Charges, charge("region-"+id(i), "1"))
	}
	srv := fakeaws.Start(t, state)
	_, err := charges(t, srv, account)
	wantPart(t, err, Incomplete, "there are more than 20 pages")
	if n := srv.Count(opGetCostAndUsage); n != mostChargePages {
		t.Errorf("%d requests", n)
	}
}

// Cost Explorer is off, or does not show a member its charges.
func TestChargesThatNobodyShows(t *testing.T) {
	t.Parallel()
	for kind, message := range map[fakeaws.Kind]string{
		fakeaws.AccessDenied: "User not enabled for cost explorer access",
		fakeaws.NotEnabled:   "Data is not available. Please try to adjust the time period. If just enabled Cost Explorer, data might not be ingested yet",
	} {
		srv := fakeaws.Start(t, fakeaws.State{})
		srv.Fail(fakeaws.Fault{Operation: opGetCostAndUsage, Kind: kind, Message: message, Times: fakeaws.Forever})
		_, err := charges(t, srv, account)
		for _, part := range []string{"the account that pays must have Cost Explorer enabled, and show members their charges", "--charges AMOUNT"} {
			if err == nil || !strings.Contains(err.Error(), message) || !strings.Contains(Hint(err), part) {
				t.Errorf("%v, hint %q", err, Hint(err))
			}
		}
	}
}

// Cost Explorer is in one region of each partition, whichever is judged.
func TestWhereCostExplorerIs(t *testing.T) {
	t.Parallel()
	for region, want := range map[string]string{
		"eu-west-1": "https://ce.us-east-1.amazonaws.com", "us-east-1": "https://ce.us-east-1.amazonaws.com", "cn-north-1": "https://ce.cn-northwest-1.amazonaws.com.cn",
	} {
		got, err := costexplorer.NewDefaultEndpointResolverV2().ResolveEndpoint(t.Context(), costexplorer.EndpointParameters{Region: &region}.WithDefaults())
		if err != nil || got.URI.String() != want {
			t.Errorf("%s: %s, %v; want %s", region, got.URI.String(), err, want)
		}
	}
}
