// Shuffler synthesises one account many times, each time served in another
// order of keys, tags, aliases and pages: shuffler DIR FIRST LAST writes the
// cloud assembly of seed N to DIR/N. The determinism test compares the bytes.
package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"keywatch/config"
	"keywatch/internal/inventory"
	"keywatch/internal/live"
	"keywatch/internal/plan"
	"keywatch/stacks"

	"keywatch/constructs/spec"
	"keywatch/test/fakeaws"
	"keywatch/test/fixture"
)

func main() {
	err := run(os.Args[1:])
	stacks.Close()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) != 3 {
		return fmt.Errorf("usage: shuffler DIR FIRST LAST")
	}
	first, err := strconv.ParseUint(args[1], 10, 64)
	if err != nil {
		return err
	}
	last, err := strconv.ParseUint(args[2], 10, 64)
	if err != nil {
		return err
	}
	for seed := first; seed <= last; seed++ {
		if err := synth(filepath.Join(args[0], fmt.Sprint(seed)), seed); err != nil {
			return fmt.Errorf("seed %d: %w", seed, err)
		}
	}
	return nil
}

func synth(dir string, seed uint64) error {
	srv, err := fakeaws.New(account(), fakeaws.Shuffle(seed), fakeaws.PageSize(1+int(seed%7)))
	if err != nil {
		return err
	}
	defer srv.Close()
	for _, v := range srv.Env() {
		name, value, _ := strings.Cut(v, "=")
		if err := os.Setenv(name, value); err != nil {
			return err
		}
	}
	ctx := context.Background()
	session, err := live.Open(ctx, live.Options{Now: time.Now})
	if err != nil {
		return err
	}
	inv, err := session.Inventory(ctx, inventory.Need{})
	if err != nil {
		return err
	}
	c, err := config.Load(config.Request{Flag: os.Getenv("KEYWATCH_CONFIG"), ReadFile: os.ReadFile})
	if err != nil {
		return err
	}
	p := plan.Build(c, inv, plan.Options{})
	if err := p.Problems.Err(); err != nil {
		return err
	}
	return stacks.Synth([]spec.Deployment{p.Deployment}, stacks.Options{Outdir: dir})
}

// account is the account of the demo, with fixed IDs and several aliases of one
// age on a key.
func account() fakeaws.State {
	var s fakeaws.State
	day := time.Date(2025, 5, 6, 7, 8, 9, 0, time.UTC)
	for i, k := range fixture.Keys() {
		key := fakeaws.Key{
			ID:          fmt.Sprintf("%08x-1234-5678-9abc-def012345678", i),
			Usage:       string(k.Usage),
			Spec:        string(k.Spec),
			MultiRegion: k.MultiRegion,
		}
		if k.Disabled {
			key.State = "Disabled"
		}
		if k.Deleted {
			key.State = "PendingDeletion"
		}
		for name, value := range k.Tags {
			key.Tags = append(key.Tags, fakeaws.Tag{Key: name, Value: value})
		}
		s.Keys = append(s.Keys, key)
		for _, a := range k.Aliases {
			s.Aliases = append(s.Aliases,
				fakeaws.Alias{Name: "alias/" + a, Target: key.ID, Created: day},
				fakeaws.Alias{Name: "alias/z/" + a, Target: key.ID, Created: day},
				fakeaws.Alias{Name: "alias/b/" + a, Target: key.ID, Created: day.Add(-time.Hour)})
		}
	}
	return s
}
