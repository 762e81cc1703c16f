package progress_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"keywatch/internal/progress"
)

// clock is a clock that a test turns.
type clock struct{ now time.Time }

func (c *clock) Now() time.Time { return c.now }

func start() *clock { return &clock{time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)} }

func TestLine(t *testing.T) {
	t.Parallel()
	for want, p := range map[string]progress.Progress{
		"listing keys: 0":                        {Stage: "listing keys"},
		"listing aliases: 12,300, 98 per second": {Stage: "listing aliases", Done: 12300, Rate: 98.4},
		"reading tags: 41,300 of 100,000, 700 per second, 1 min 24 s left": {Stage: "reading tags", Done: 41300, Total: 100_000, Rate: 700, Left: 84 * time.Second},
		"describing keys: 1 of 3, 0.5 per second, 4 s left":                {Stage: "describing keys", Done: 1, Total: 3, Rate: 0.5, Left: 3100 * time.Millisecond},
		"describing keys: 999 of 1,000,000, 9.9 per second, 28 h 03 min left": {
			Stage: "describing keys", Done: 999, Total: 1_000_000, Rate: 9.9, Left: 28*time.Hour + 2*time.Minute + 31*time.Second,
		},
	} {
		if got := progress.Line(p); got != want {
			t.Errorf("got  %q\nwant %q", got, want)
		}
	}
}

func TestATerminalHasOneLineThatIsRewritten(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	c := start()
	p := progress.New(&out, progress.ModeOf(false, true), c.Now)
	p.Show(progress.Progress{Stage: "reading tags", Done: 100, Total: 2000})
	p.Show(progress.Progress{Stage: "reading tags", Done: 200, Total: 2000}) // too soon
	c.now = c.now.Add(200 * time.Millisecond)
	p.Show(progress.Progress{Stage: "reading tags", Done: 7})
	p.Show(progress.Progress{Ended: true})
	p.Show(progress.Progress{Ended: true})
	p.Close()
	first, second := "\rkeywatch: reading tags: 100 of 2,000", "\rkeywatch: reading tags: 7"
	want := first + second + strings.Repeat(" ", len(first)-len(second)) + "\r" + strings.Repeat(" ", len(second)-1) + "\r"
	if out.String() != want {
		t.Errorf("got  %q\nwant %q", out.String(), want)
	}
}

// What is said meanwhile begins on a clean line, and the progress goes on below.
func TestWhatIsSaidWipesTheLine(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	c := start()
	p := progress.New(&out, progress.Terminal, c.Now)
	p.Show(progress.Progress{Stage: "a", Done: 1})
	fmt.Fprintln(p, "keywatch: notice: b")
	fmt.Fprintln(p, "keywatch: notice: c")
	c.now = c.now.Add(time.Second)
	p.Show(progress.Progress{Stage: "a", Done: 2})
	const line = "\rkeywatch: a: "
	if want := line + "1\r" + strings.Repeat(" ", len(line)) + "\rkeywatch: notice: b\nkeywatch: notice: c\n" + line + "2"; out.String() != want {
		t.Errorf("got  %q\nwant %q", out.String(), want)
	}
}

func TestNoLineOfATerminalWraps(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	c := start()
	p := progress.New(&out, progress.Terminal, c.Now)
	long := progress.Progress{Stage: "describing keys", Done: 99_999_999, Total: 1_000_000_000, Rate: 123_456_789, Left: 999 * time.Hour}
	p.Show(long)
	for line := range strings.SplitSeq(out.String(), "\r") {
		if n := len([]rune(line)); n >= 80 {
			t.Errorf("%d characters: %q", n, line)
		}
	}
	if strings.ContainsAny(out.String(), "\n\x1b") {
		t.Errorf("a line feed or a colour in %q", out.String())
	}
}

func TestALogHasALineEveryTenSeconds(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	c := start()
	p := progress.New(&out, progress.ModeOf(false, false), c.Now)
	for i := range 250 { // 25 seconds
		p.Show(progress.Progress{Stage: "reading tags", Done: i * 100})
		c.now = c.now.Add(100 * time.Millisecond)
	}
	p.Show(progress.Progress{Ended: true})
	if want := "keywatch: reading tags: 10,000\nkeywatch: reading tags: 20,000\n"; out.String() != want {
		t.Errorf("got %q\nwant %q", out.String(), want)
	}
}

func TestQuietIsSilent(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	for _, terminal := range []bool{true, false} {
		c := start()
		p := progress.New(&out, progress.ModeOf(true, terminal), c.Now)
		p.Show(progress.Progress{Stage: "reading tags"})
		c.now = c.now.Add(time.Hour)
		p.Show(progress.Progress{Stage: "reading tags", Done: 5})
		p.Show(progress.Progress{Ended: true})
		p.Close()
	}
	if out.Len() > 0 {
		t.Errorf("got %q", out.String())
	}
}
