// Package progress says how far a long reading is, to whoever waits for it: one
// line that is rewritten on a terminal, a plain line now and then in a log, and
// nothing at all when quiet.
//
// It reads nothing and has no clock of its own. Start reading at [Progress],
// what a reader tells; [Printer] writes it, and a [Group] makes one of several
// readers side by side.
package progress

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"time"
)

// Progress is how far a reading is.
type Progress struct {
	// Stage is what is being done, "reading tags".
	Stage string
	// Done counts what is done of the stage, Total what there is to do: 0 when
	// nobody knows. Total may be an upper bound, and grow.
	Done, Total int
	// Rate is how many were done per second since the stage began; 0 is not
	// known.
	Rate float64
	// Left is how long the stage will take at this rate; 0 is not known.
	Left time.Duration
	// Ended says that this is the last one.
	Ended bool
	// Read counts the environments that were read, of several; Environments is 0
	// when there is one. The rest is then of those that are in the stage at once.
	Read, Environments int
}

// Mode is where the progress is written to.
type Mode int

const (
	Quiet    Mode = iota
	Lines         // a log: plain lines, seldom
	Terminal      // one line that is rewritten
)

// How often something is written.
const (
	everyTerminal = 200 * time.Millisecond
	everyLine     = 10 * time.Second
)

// width is what fits on one line of any terminal.
const width = 80

// Printer writes progress. It is safe for concurrent use.
type Printer struct {
	out  io.Writer
	mode Mode
	now  func() time.Time

	mu    sync.Mutex
	began time.Time
	last  time.Time // something was written
	shown int       // characters on the terminal's line
}

// New makes a Printer. What takes less than the time between two lines of a log
// leaves none there.
func New(out io.Writer, mode Mode, now func() time.Time) *Printer {
	p := &Printer{out: out, mode: mode, now: now, began: now()}
	if mode == Lines {
		p.last = p.began
	}
	return p
}

// ModeOf chooses: quiet wins, then what the stream is.
func ModeOf(quiet, isTerminal bool) Mode {
	switch {
	case quiet:
		return Quiet
	case isTerminal:
		return Terminal
	}
	return Lines
}

// Write passes on what is said meanwhile, on a line of its own. Show writes the
// next progress below it.
func (p *Printer) Write(text []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.wipe()
	return p.out.Write(text)
}

// Show writes the progress if it is time to. At the end the terminal's line is
// wiped, so that what follows begins on a clean one.
func (p *Printer) Show(at Progress) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.mode == Quiet {
		return
	}
	if at.Ended {
		p.wipe()
		return
	}
	now, every := p.now(), everyLine
	if p.mode == Terminal {
		every = everyTerminal
	}
	if !p.last.IsZero() && now.Sub(p.last) < every {
		return
	}
	p.last = now
	if p.mode == Lines {
		fmt.Fprintf(p.out, "keywatch: %s\n", Line(at))
		return
	}
	line := fit("keywatch: ", at, width-1) // a full line would wrap on some terminals
	n := len([]rune(line))
	fmt.Fprintf(p.out, "\r%s%s", line, strings.Repeat(" ", max(p.shown-n, 0)))
	p.shown = n
}

// Close wipes the terminal's line: after an error, say.
func (p *Printer) Close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.wipe()
}

func (p *Printer) wipe() {
	if p.shown > 0 {
		fmt.Fprintf(p.out, "\r%s\r", strings.Repeat(" ", p.shown))
		p.shown = 0
	}
}

// Line says the progress in words.
func Line(at Progress) string {
	return words(at, "%d of %d environments read", "%s per second")
}

// fit is the line in as many characters: of several environments the short one,
// which holds all of it at 100,000 keys, unless the long one fits.
func fit(voice string, at Progress, most int) string {
	line := voice + Line(at)
	if at.Environments > 0 && len(line) > most {
		line = voice + words(at, "%d/%d read", "%s/s")
	}
	return cut(line, most)
}

func words(at Progress, environments, rate string) string {
	var b strings.Builder
	if at.Environments > 0 {
		fmt.Fprintf(&b, environments, at.Read, at.Environments)
		if at.Stage == "" {
			return b.String()
		}
		b.WriteString("; ")
	}
	fmt.Fprintf(&b, "%s: %s", at.Stage, count(at.Done))
	if at.Total > 0 {
		fmt.Fprintf(&b, " of %s", count(at.Total))
	}
	if at.Rate > 0 {
		fmt.Fprintf(&b, ", "+rate, perSecond(at.Rate))
	}
	if at.Left > 0 {
		fmt.Fprintf(&b, ", %s left", left(at.Left))
	}
	return b.String()
}

// count writes 100000 as 100,000.
func count(n int) string {
	s := fmt.Sprint(max(n, 0))
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

func perSecond(rate float64) string {
	if rate < 10 {
		return fmt.Sprintf("%.1f", rate)
	}
	return count(int(rate + 0.5))
}

func left(d time.Duration) string {
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%d s", int((d+time.Second-1)/time.Second))
	case d < time.Hour:
		d = d.Round(time.Second)
		return fmt.Sprintf("%d min %02d s", d/time.Minute, d%time.Minute/time.Second)
	}
	d = d.Round(time.Minute)
	return fmt.Sprintf("%d h %02d min", d/time.Hour, d%time.Hour/time.Minute)
}

func cut(s string, most int) string {
	if r := []rune(s); len(r) > most {
		return string(r[:most-1]) + "…"
	}
	return s
}
