package progress_test

import (
	"strings"
	"testing"
	"time"

	"keywatch/internal/progress"
)

// Of several environments there is one line: how many were read, and the sum of
// those that are in the stage of the first.
func TestSeveralEnvironmentsAreOneProgress(t *testing.T) {
	t.Parallel()
	var last progress.Progress
	shown := 0
	g := progress.NewGroup(3, func(p progress.Progress) { last = p; shown++ })
	says := func(want string) {
		t.Helper()
		if got := progress.Line(last); got != want || last.Ended {
			t.Errorf("got  %q, ended %v\nwant %q", got, last.Ended, want)
		}
	}
	g.Show(1, progress.Progress{Stage: "describing keys", Done: 10, Total: 100, Rate: 5, Left: 18 * time.Second})
	says("0 of 3 environments read; describing keys: 10 of 100, 5.0 per second, 18 s left")
	g.Show(2, progress.Progress{Stage: "describing keys", Done: 1000, Total: 2000, Rate: 100, Left: 10 * time.Second})
	says("0 of 3 environments read; describing keys: 1,010 of 2,100, 105 per second, 18 s left")
	g.Show(0, progress.Progress{Stage: "listing keys", Done: 7})
	says("0 of 3 environments read; listing keys: 7")
	g.Show(0, progress.Progress{Stage: "listing keys", Ended: true}) // its stacks are still to come
	says("0 of 3 environments read; describing keys: 1,010 of 2,100, 105 per second, 18 s left")
	g.Show(2, progress.Progress{Stage: "describing keys", Done: 1100}) // nobody knows of how many
	says("0 of 3 environments read; describing keys: 1,110, 5.0 per second")
	g.Read(0)
	says("1 of 3 environments read; describing keys: 1,110, 5.0 per second")
	g.Show(1, progress.Progress{Ended: true})
	g.Show(2, progress.Progress{Ended: true})
	says("1 of 3 environments read")
	g.Read(1)
	if g.Read(2); !last.Ended {
		t.Errorf("not ended: %+v", last)
	}

	// A run that reads no keys, of snapshots say, shows nothing.
	shown = 0
	g = progress.NewGroup(2, func(p progress.Progress) { last = p; shown++ })
	if g.Read(0); shown > 0 {
		t.Errorf("shown: %+v", last)
	}
}

// With as many keys as an account may have, nothing is cut off.
func TestTheLineOfSeveralEnvironmentsFitsATerminal(t *testing.T) {
	t.Parallel()
	at := progress.Progress{Read: 3, Environments: 12, Stage: "describing keys", Done: 41_300, Total: 100_000, Rate: 500, Left: 84 * time.Second}
	for mode, want := range map[progress.Mode]string{
		progress.Terminal: "\rkeywatch: 3/12 read; describing keys: 41,300 of 100,000, 500/s, 1 min 24 s left",
		progress.Lines:    "keywatch: 3 of 12 environments read; describing keys: 41,300 of 100,000, 500 per second, 1 min 24 s left\n",
		progress.Quiet:    "",
	} {
		var out strings.Builder
		c := start()
		p := progress.New(&out, mode, c.Now)
		c.now = c.now.Add(time.Minute)
		if p.Show(at); out.String() != want || len(strings.Trim(out.String(), "\r")) > 79 && mode == progress.Terminal {
			t.Errorf("got  %q\nwant %q", out.String(), want)
		}
	}
	var out strings.Builder
	p := progress.New(&out, progress.Terminal, start().Now)
	p.Show(progress.Progress{Read: 1, Environments: 2, Stage: "listing keys", Done: 1000})
	if want := "\rkeywatch: 1 of 2 environments read; listing keys: 1,000"; out.String() != want {
		t.Errorf("got  %q\nwant %q", out.String(), want)
	}
}
