package live

import (
	"sync"
	"time"

	"keywatch/internal/progress"
)

// Progress is how far a reading is.
type Progress = progress.Progress

// stage is a part of a reading. The parts overlap; shown is the first that is
// not finished.
type stage int

const (
	stageKeys stage = iota
	stageAliases
	stageTags
	stageDescriptions
	stages
)

func (s stage) String() string {
	return [stages]string{"listing keys", "listing aliases", "reading tags", "describing keys"}[s]
}

// showEvery bounds how often progress is reported.
const showEvery = 100 * time.Millisecond

// A stage begins with a burst, and a page of a thousand keys comes at once: what
// is done in less than this says nothing of a rate.
const ratedAfter = time.Second

// meter counts what a reading has done. Its methods may be called from several
// goroutines; what it reports to is called from one at a time.
type meter struct {
	now  func() time.Time
	show func(Progress)

	mu    sync.Mutex
	last  time.Time
	shown stage
	parts [stages]struct {
		done, total int
		began       time.Time // of the first that was done
		finished    bool
	}
}

func newMeter(now func() time.Time, show func(Progress)) *meter {
	return &meter{now: now, show: show}
}

// add counts n more done of the stage.
func (m *meter) add(s stage, n int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	part := &m.parts[s]
	if part.done += n; part.began.IsZero() {
		part.began = m.now()
	}
	m.report()
}

// expect says that there are n more to do than was known.
func (m *meter) expect(s stage, n int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.parts[s].total += n
}

func (m *meter) finish(s stage) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.parts[s].finished = true
	m.report()
}

func (m *meter) end() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.show != nil {
		m.show(Progress{Stage: m.current().String(), Ended: true})
	}
}

func (m *meter) current() stage {
	for s := range stages - 1 {
		if !m.parts[s].finished {
			return s
		}
	}
	return stages - 1
}

func (m *meter) report() {
	if m.show == nil {
		return
	}
	s, now := m.current(), m.now()
	if s == m.shown && !m.last.IsZero() && now.Sub(m.last) < showEvery {
		return
	}
	m.last, m.shown = now, s
	part := m.parts[s]
	p := Progress{Stage: s.String(), Done: part.done, Total: part.total}
	if elapsed := now.Sub(part.began); part.done > 0 && elapsed >= ratedAfter {
		p.Rate = float64(part.done) / elapsed.Seconds()
	}
	if p.Rate > 0 && p.Total > p.Done {
		p.Left = time.Duration(float64(p.Total-p.Done) / p.Rate * float64(time.Second))
	}
	m.show(p)
}
