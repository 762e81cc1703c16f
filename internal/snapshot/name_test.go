package snapshot_test

import (
	"strings"
	"testing"

	"keywatch/internal/snapshot"
)

// A snapshot remembers whose places it holds, and is refused by anybody else.
func TestASnapshotIsOfOneDeployment(t *testing.T) {
	t.Parallel()
	s := example()
	s.Deployment = "team-b"
	data, err := snapshot.Encode(s)
	if err != nil {
		t.Fatal(err)
	}
	got, err := snapshot.Decode("s.json", data)
	if err != nil || got.Deployment != "team-b" {
		t.Fatalf("%q, %v", got.Deployment, err)
	}
	if err := got.CheckName("team-b"); err != nil {
		t.Error(err)
	}
	if err := got.CheckName("keywatch"); err == nil || !strings.Contains(err.Error(), `"team-b"`) || !strings.Contains(err.Error(), "[snapshot-name]") {
		t.Errorf("another deployment: %v", err)
	}
}
