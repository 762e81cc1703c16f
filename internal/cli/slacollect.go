package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/gofrs/flock"
	"github.com/spf13/cobra"

	"keywatch/internal/evidence"
	"keywatch/internal/sla"
)

// mostDays is what [evidence.Reach] makes of whole days.
const mostDays = 14

// mostGaps are shown of a month.
const mostGaps = 5

// collecting is one run of `sla collect`.
type collecting struct {
	account, region, dir string
	days                 int
}

func (w *World) slaCollectCommand() *cobra.Command {
	var c collecting
	cmd := &cobra.Command{
		Use:   "collect",
		Short: "keep how many requests there were, before CloudWatch forgets",
		Long: `Read from CloudWatch how many requests to KMS there were in each interval of 5
minutes (AWS/KMS SuccessfulRequest by operation, AWS/Usage CallCount), and append what
is new to DIR/ACCOUNT/REGION/YYYY-MM.jsonl. It is made for a schedule, once a day:
what is kept is not added again, and a number that CloudWatch has corrected since is a
further line that says what stood there. Each run ends in a seal, the SHA-256 of all
before it.

CloudWatch sums over all keys for two weeks only; what is older is named as missing,
and hourly data never stands in for it. keywatch sla report --evidence DIR uses what
was kept. No config is needed, only cloudwatch:GetMetricData. Of two at once for one
account and region, the second stops with exit status 3.`,
		Example: "  keywatch sla collect --region eu-west-1 --evidence evidence",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if c.days < 1 || c.days > mostDays {
				return fmt.Errorf("--days %d; allowed: 1 to %d, since CloudWatch sums over all keys for two weeks only; hourly data is never taken in its place", c.days, mostDays)
			}
			if c.account != "" && !accountForm.MatchString(c.account) {
				return fmt.Errorf("--account %q; allowed: 12 digits", c.account)
			}
			return w.collect(cmd.Context(), c)
		},
	}
	f := cmd.Flags()
	f.StringVar(&c.region, "region", "", "region (default: that of the credentials' profile or $AWS_REGION)")
	f.StringVar(&c.account, "account", "", "stop if the credentials are of another account")
	f.StringVar(&c.dir, "evidence", "", "the folder of what is kept")
	f.IntVar(&c.days, "days", 3, "how far back to read; more than the schedule's pause, for late data")
	_ = cmd.MarkFlagRequired("evidence")
	return cmd
}

// witness opens an account and region, and makes sure that it is the one that is
// meant.
func (w *World) witness(ctx context.Context, account, region, by string) (Witness, string, error) {
	s, err := w.Witness(ctx, Target{Region: region, Notice: func(text string) { w.note("notice", "%s", text) }})
	if err != nil {
		return nil, "", environment(fmt.Errorf("aws: %w", err))
	}
	caller, err := s.Caller(ctx)
	if err != nil {
		return nil, "", environment(fmt.Errorf("aws: %w", err))
	}
	if account != "" && account != caller.Account {
		return nil, "", environment(advised{
			fmt.Errorf("the account is %s by %s, but the credentials of this process are of %s (%s); nothing was done", account, by, caller.Account, caller.ARN),
			"set AWS_PROFILE to credentials of that account",
		})
	}
	return s, caller.Account, nil
}

func (w *World) collect(ctx context.Context, c collecting) error {
	s, account, err := w.witness(ctx, c.account, c.region, "--account")
	if err != nil {
		return err
	}
	now := w.Now()
	release, err := lock(filepath.Join(c.dir, account, s.Region()), now)
	if err != nil {
		return err
	}
	defer release()
	begin, end := evidence.Window(now, c.days)
	counts, err := s.Usage(ctx, begin, end)
	if err != nil {
		return environment(fmt.Errorf("collect: %w", err))
	}
	for m := sla.MonthOf(begin); m.Start().Before(end); m = m.After(1) {
		if err := w.keepMonth(c.dir, account, s.Region(), m, counts, end, now); err != nil {
			return err
		}
	}
	return nil
}

// lockName is a file beside those of an account and region, locked while a collect is
// at work on them. It stays when that ends: removed, it would no longer keep out
// whoever has it open.
const lockName = ".lock"

// lock keeps a second collect out: both would read a file, and the later one would
// write over what the earlier has brought. It does not wait, since a schedule runs
// again. The lock ends with the process, however that ends.
func lock(dir string, now time.Time) (release func(), err error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, environment(fmt.Errorf("nothing was collected: %w", err))
	}
	path := filepath.Join(dir, lockName)
	if info, err := os.Lstat(path); err == nil && !info.Mode().IsRegular() { // it is written to
		return nil, environment(fmt.Errorf("nothing was collected: %s is no regular file; move it away", path))
	}
	l := flock.New(path, flock.SetPermissions(0o644))
	held, err := l.TryLock()
	if err != nil {
		return nil, environment(fmt.Errorf("nothing was collected: lock %s: %w", path, err))
	}
	if !held {
		return nil, environment(advised{
			fmt.Errorf("nothing was collected: another keywatch sla collect%s is at work in %s", holder(path), dir),
			fmt.Sprintf("let it end, and run one after the other; %s is free once its process has ended, so do not remove it", path),
		})
	}
	// Only the message of a second one reads it.
	_ = os.WriteFile(path, fmt.Appendf(nil, "process %d, since %s\n", os.Getpid(), now.UTC().Format(time.RFC3339)), 0o644)
	return func() { l.Close() }, nil
}

var holderForm = regexp.MustCompile(`^process [0-9]{1,20}, since [0-9TZ:-]{20}\n$`)

// holder is who holds a lock, as far as its file says it already.
func holder(path string) string {
	data, err := os.ReadFile(path)
	if err != nil || !holderForm.Match(data) {
		return ""
	}
	return " (" + strings.TrimSpace(string(data)) + ")"
}

// keepMonth adds what is new of one month to its file.
func (w *World) keepMonth(dir, account, region string, m sla.Month, counts []evidence.Count, end, now time.Time) error {
	path := filepath.Join(dir, filepath.FromSlash(evidence.Name(account, region, m)))
	f, err := w.kept(path, account, region, m)
	if err != nil {
		return err
	}
	changes, err := f.Add(counts, now)
	if err != nil {
		return environment(fmt.Errorf("collect: %w", err))
	}
	if changes.Added+changes.Corrected > 0 {
		write := w.WriteFile
		if write == nil {
			write = replaceFile
		}
		if err := write(path, f.Bytes()); err != nil {
			return environment(fmt.Errorf("write what was collected: %w", err))
		}
	}
	if changes.Shrunk > 0 {
		w.note("warning", "%s: CloudWatch now has less of %s than before; the greater numbers stay", path, counted(changes.Shrunk, "line"))
	}
	w.sayGaps(path, f.Gaps(m.Start(), end), now)
	_, err = fmt.Fprintf(w.Stdout, "%s: %s added, %d corrected\n", path, counted(changes.Added, "line"), changes.Corrected)
	return output(err)
}

// sayGaps names the intervals of a month of which nothing is kept.
func (w *World) sayGaps(path string, gaps []evidence.Gap, now time.Time) {
	oldest, _ := evidence.Window(now, mostDays)
	more := fmt.Sprintf("read it with a greater --days, up to %d", mostDays)
	for i, g := range gaps {
		if i == mostGaps {
			w.note("warning", "%s: not shown: %s", path, counted(len(gaps)-i, "more gap"))
			return
		}
		why := "CloudWatch no longer sums over all keys of that time, and hourly data would be no evidence"
		switch {
		case !g.From.Before(oldest):
			why = more
		case g.To.After(oldest):
			why = fmt.Sprintf("CloudWatch no longer sums over all keys of what is before %s, and hourly data would be no evidence; %s", oldest.Format(time.RFC3339), strings.Replace(more, "it", "the rest", 1))
		}
		w.note("warning", "%s: nothing is kept of %s; %s", path, g, why)
	}
}

// kept reads and proves the file of a month; one that is not there holds nothing.
func (w *World) kept(path, account, region string, m sla.Month) (*evidence.File, error) {
	data, err := w.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return evidence.New(account, region, m), nil
	}
	if err != nil {
		return nil, environment(fmt.Errorf("read what was collected: %w", err))
	}
	f, err := evidence.Parse(account, region, m, data)
	if err != nil {
		w.note("error", "%s: %v", path, err)
		return nil, errGate
	}
	return f, nil
}
