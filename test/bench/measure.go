package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// measurement is one run of one thing.
type measurement struct {
	what string // as a Go benchmark is named: "Synth/alarms=1000/…"
	wall time.Duration
	cpu  time.Duration // of all processes; 0 is not known
	memory
	allocated, allocations uint64 // of the pure side only
}

// memory is peaks of resident memory in bytes, 0 where the system has no /proc.
type memory struct {
	largest int64 // of one process
	sum     int64 // of all processes together, at one moment
}

// pollEvery is often enough for processes that grow over a second.
const pollEvery = 20 * time.Millisecond

// measure runs the command to its end. An error has what the command said.
func measure(what string, cmd *exec.Cmd) (measurement, error) {
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	begin := time.Now()
	if err := cmd.Start(); err != nil {
		return measurement{}, err
	}
	watch := watchMemory(cmd.Process.Pid)
	err := cmd.Wait()
	wall := time.Since(begin)
	peak := watch.stop()
	if err != nil {
		return measurement{}, fmt.Errorf("%s: %w\n%s", strings.Join(cmd.Args, " "), err, tail(said.String()))
	}
	cpu := cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	return measurement{what: what, wall: wall, cpu: cpu, memory: peak}, nil
}

func tail(s string) string {
	const most = 4000
	if len(s) > most {
		return "…" + s[len(s)-most:]
	}
	return s
}

// command is a program in a directory of its own, with an environment that is
// the same on every machine but for PATH and HOME.
func command(ctx context.Context, dir string, env []string, name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = dir
	for _, v := range os.Environ() {
		if name, _, _ := strings.Cut(v, "="); slices.Contains([]string{"PATH", "HOME", "TMPDIR", "XDG_CACHE_HOME"}, name) {
			cmd.Env = append(cmd.Env, v)
		}
	}
	cmd.Env = append(cmd.Env, env...)
	cmd.WaitDelay = 10 * time.Second
	return cmd
}

// watcher follows a process and its descendants in /proc. The kernel's own
// account of a child (getrusage) cannot be used: it begins at the size of the
// process that forked it, and knows no sums.
type watcher struct {
	quit chan struct{}
	done sync.WaitGroup
	peak memory
}

func watchMemory(pid int) *watcher {
	w := &watcher{quit: make(chan struct{})}
	w.done.Go(func() {
		tick := time.NewTicker(pollEvery)
		defer tick.Stop()
		for {
			w.look(pid)
			select {
			case <-w.quit:
				return
			case <-tick.C:
			}
		}
	})
	return w
}

func (w *watcher) stop() memory {
	close(w.quit)
	w.done.Wait()
	return w.peak
}

func (w *watcher) look(pid int) {
	now, largest := tree(pid)
	w.peak.largest = max(w.peak.largest, largest)
	w.peak.sum = max(w.peak.sum, now, largest) // a peak between two looks is in largest alone
}

// tree adds up what a process and its descendants hold now, and finds the
// largest peak of one of them.
func tree(pid int) (now, largest int64) {
	now, largest, err := resident(pid)
	if err != nil {
		return 0, 0 // it has just ended, or there is no /proc
	}
	lists, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	for _, list := range lists {
		b, _ := os.ReadFile(list)
		for child := range strings.FieldsSeq(string(b)) {
			if n, err := strconv.Atoi(child); err == nil {
				childNow, childLargest := tree(n)
				now, largest = now+childNow, max(largest, childLargest)
			}
		}
	}
	return now, largest
}

var errNoMemory = errors.New("no VmRSS and VmHWM")

// resident reads VmRSS and VmHWM (proc_pid_status(5)).
func resident(pid int) (now, peak int64, err error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, 0, err
	}
	for line := range strings.Lines(string(b)) {
		name, value, _ := strings.Cut(line, ":")
		kib, _ := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(value), " kB"), 10, 64)
		switch name {
		case "VmRSS":
			now = kib << 10
		case "VmHWM":
			peak = kib << 10
		}
	}
	if peak == 0 { // a process that has ended and was not waited for
		return 0, 0, errNoMemory
	}
	return now, peak, nil
}

// median is the middle of the values, the lower one of two.
func median[T int64 | uint64 | time.Duration](values []T) T {
	sorted := slices.Sorted(slices.Values(values))
	return sorted[(len(sorted)-1)/2]
}

// middle is the median of each figure on its own.
func middle(all []measurement, what string) (m measurement) {
	var wall, cpu []time.Duration
	var largest, sum []int64
	var allocated, allocations []uint64
	for _, one := range all {
		if one.what == what {
			wall, cpu = append(wall, one.wall), append(cpu, one.cpu)
			largest, sum = append(largest, one.largest), append(sum, one.sum)
			allocated, allocations = append(allocated, one.allocated), append(allocations, one.allocations)
		}
	}
	return measurement{
		what: what, wall: median(wall), cpu: median(cpu), memory: memory{median(largest), median(sum)},
		allocated: median(allocated), allocations: median(allocations),
	}
}

// benchstat is every measurement as the line of a Go benchmark.
func benchstat(all []measurement) string {
	var b strings.Builder
	for _, m := range all {
		fmt.Fprintf(&b, "Benchmark%s 1 %d ns/op %d cpu-ns/op %d peak-B %d peak-sum-B", m.what, m.wall.Nanoseconds(), m.cpu.Nanoseconds(), m.largest, m.sum)
		if m.allocations > 0 {
			fmt.Fprintf(&b, " %d B/op %d allocs/op", m.allocated, m.allocations)
		}
		b.WriteByte('\n')
	}
	return b.String()
}
