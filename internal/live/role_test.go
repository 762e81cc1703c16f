package live

import (
	"strings"
	"testing"

	"keywatch/internal/inventory"
	"keywatch/test/fakeaws"
)

const lookupRole = "arn:aws:iam::111122223333:role/cdk-hnb659fds-lookup-role-111122223333-eu-west-1"

// With a role everything is read as the role, which is assumed once.
func TestARoleReadsEverything(t *testing.T) {
	t.Parallel()
	srv := fakeaws.Start(t, manyKeys(3), fakeaws.PageSize(2))
	o := quick()
	o.Role = lookupRole
	inv, err := session(t, srv, o).Inventory(t.Context(), inventory.Need{})
	if err != nil || len(inv.Keys) != 3 {
		t.Fatalf("%v, %v", inv, err)
	}
	for _, c := range srv.Calls() {
		want := "ASIAEXAMPLE"
		if c.Name() == "sts:AssumeRole" {
			want = "AKIDEXAMPLE"
		}
		if c.AccessKey != want {
			t.Errorf("%s is signed with %s, want %s", c.Name(), c.AccessKey, want)
		}
	}
	if n := srv.Count("sts:AssumeRole"); n != 1 {
		t.Errorf("the role is assumed %d times", n)
	}
}

// A role that may not be assumed names itself and says what lets it be.
func TestARoleThatMayNotBeAssumed(t *testing.T) {
	t.Parallel()
	srv := fakeaws.Start(t, manyKeys(1))
	srv.Fail(fakeaws.Fault{Operation: "sts:AssumeRole", Kind: fakeaws.AccessDenied, Times: fakeaws.Forever})
	o := quick()
	o.Role = lookupRole
	_, err := session(t, srv, o).Caller(t.Context())
	if err == nil || !strings.Contains(err.Error(), "no credentials of the role "+lookupRole) || !strings.Contains(Hint(err), "--trust-for-lookup") {
		t.Errorf("%v\nhint: %s", err, Hint(err))
	}
	if srv.Count("kms:ListKeys") > 0 {
		t.Error("something was read all the same")
	}
}
