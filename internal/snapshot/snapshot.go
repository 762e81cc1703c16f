// Package snapshot freezes an inventory and the places of its alarms into a
// file that people review and that synthesises the same templates anywhere.
//
// It is pure: bytes in, bytes out; no clock, no network, no files. There is one
// way to write a snapshot down, so that equal snapshots are equal bytes and a
// diff of two files shows facts and nothing else. Start reading at [Snapshot];
// encode.go writes it, decode.go reads it and refuses whatever was not written
// so, diff.go says what changed, and places.go keeps places where they are.
package snapshot

import (
	"fmt"
	"time"

	"keywatch/constructs/spec"
	"keywatch/internal/diag"
	"keywatch/internal/inventory"
	"keywatch/internal/plan"
)

// Snapshot is an inventory with the places of the units that it is deployed as.
type Snapshot struct {
	// File is where it was read from, for messages.
	File string
	// Deployment is the config's name, whose alarms the places are of.
	Deployment string
	Inventory  *inventory.Inventory
	// Places are those of units that are deployed or about to be. Of their fields
	// the file has Units, Stacks and Elsewhere; the others are what only the
	// deployed stacks can tell.
	Places plan.Places
}

// CheckName refuses a snapshot of another deployment: its places are those of
// other stacks, and its own would be overwritten by a refresh.
func (s *Snapshot) CheckName(deployment string) error {
	if s.Deployment == "" || s.Deployment == deployment {
		return nil
	}
	var l diag.List
	l.Add(diag.Pos{File: s.File}, "snapshot-name", "this is a snapshot of the deployment %q, and the config's name is %q; each deployment has a file of its own: name another one in inventory.path, or put the name back", s.Deployment, deployment)
	return l
}

// Check refuses a snapshot of another account or region. An empty argument is
// one that nobody has asked for.
func (s *Snapshot) Check(account, region string) error {
	inv := s.Inventory
	if (account == "" || account == inv.Account) && (region == "" || region == inv.Region) {
		return nil
	}
	var l diag.List
	l.Add(diag.Pos{File: s.File}, "snapshot-account", "this is a snapshot of %s in %s, but %s in %s is meant; name the file for that one in inventory.path, where {account} and {region} keep them apart",
		inv.Account, inv.Region, orAny(account, "any account"), orAny(region, "any region"))
	return l
}

func orAny(s, other string) string {
	if s == "" {
		return other
	}
	return s
}

// Age is how long ago the inventory was read.
func (s *Snapshot) Age(now time.Time) time.Duration { return now.Sub(s.Inventory.ReadAt) }

// clockSkew is how far two clocks may be apart before somebody should look.
const clockSkew = 10 * time.Minute

// CheckAge remarks on a snapshot that is older than a limit, or from the
// future; fail makes an old one an error.
func (s *Snapshot) CheckAge(now time.Time, limit time.Duration, fail bool) diag.List {
	var l diag.List
	pos, read := diag.Pos{File: s.File}, stamp(s.Inventory.ReadAt)
	switch age := s.Age(now); {
	case age < -clockSkew:
		l.Warn(pos, "snapshot-old", "the snapshot was read at %s, which is %s in the future; check the clocks", read, span(-age))
	case age > limit && fail:
		l.Add(pos, "snapshot-old", "the snapshot was read at %s, %s ago, more than inventory.maxAge: %s allows; refresh it with `keywatch snapshot`, or raise inventory.maxAge", read, span(age), spec.Minutes(limit))
	case age > limit:
		l.Warn(pos, "snapshot-old", "the snapshot was read at %s, %s ago, more than inventory.maxAge: %s; keys made or retagged since then are not in it: refresh it with `keywatch snapshot`", read, span(age), spec.Minutes(limit))
	}
	return l
}

// CheckFuture refuses to compare a snapshot from the future with what is deployed:
// every alarm would seem to be older than it, so that none were missed.
func (s *Snapshot) CheckFuture(now time.Time) diag.List {
	var l diag.List
	if age := s.Age(now); age < -clockSkew {
		l.Add(diag.Pos{File: s.File}, "snapshot-old", "the snapshot was read at %s, which is %s in the future, so nobody can say which deployed alarms are newer than it; mend the clock that is wrong, then refresh it with `keywatch snapshot`", stamp(s.Inventory.ReadAt), span(-age))
	}
	return l
}

// span writes a time in the largest unit of which there are two.
func span(d time.Duration) string {
	const day = 24 * time.Hour
	switch {
	case d >= 2*day:
		return fmt.Sprintf("%d days", d/day)
	case d >= 2*time.Hour:
		return fmt.Sprintf("%d hours", d/time.Hour)
	case d >= 2*time.Minute:
		return fmt.Sprintf("%d minutes", d/time.Minute)
	}
	return fmt.Sprintf("%d seconds", d/time.Second)
}

// stamp is how times are written: UTC, as short as they are exact.
func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339Nano) }

// date is the stamp of a time that may be unknown.
func date(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return stamp(t)
}
