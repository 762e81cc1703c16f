package cli

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"keywatch/internal/evidence"
	"keywatch/internal/sla"
)

// statusJSON is what `sla status` says.
type statusJSON struct {
	SchemaVersion int           `json:"schemaVersion"`
	AsOf          string        `json:"asOf"`
	Months        []monthStatus `json:"months"`
}

// monthStatus is one month of one account and region.
type monthStatus struct {
	Account  string `json:"account"`
	Region   string `json:"region"`
	Month    string `json:"month"`
	Open     bool   `json:"monthNotOver"`
	Deadline string `json:"claimBy"`
	Passed   bool   `json:"claimByPassed"`
	// Kept are the intervals with kept numbers; null if nothing is kept.
	Kept   *keptStatus   `json:"kept"`
	Claims []claimStatus `json:"claims"`
}

type keptStatus struct {
	File      string `json:"file"`
	Intervals int    `json:"intervals"`
	Of        int    `json:"of"`
	// Problem says why the file cannot be believed.
	Problem string `json:"problem,omitempty"`
}

type claimStatus struct {
	Folder string `json:"folder"`
	// Problems say what was changed in the folder since.
	Problems []string `json:"problems"`
	Uptime   string   `json:"monthlyUptimePercentage,omitempty"`
	// Percent is the credit without contestable faults, and WithContestable with.
	Percent         int    `json:"creditPercent"`
	WithContestable int    `json:"creditPercentWithContestable"`
	Missing         int    `json:"missingPieces"`
	Sent            string `json:"sent,omitempty"`
	Case            string `json:"caseId,omitempty"`
}

func (w *World) slaStatusCommand() *cobra.Command {
	var dir, format string
	var claims []string
	cmd := &cobra.Command{
		Use:   "status",
		Short: "which months have evidence or a claim, what is due, what was sent",
		Long: `List the months of which numbers were kept or a claim was made: the tier that the
claim says, the day by which it is due, and what was sent. Exit status 1 if a file or
folder was changed since it was made. Everything is read from your disk.`,
		Example: "  keywatch sla status --evidence evidence --claims claims",
		Args:    cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			if err := checkFormat(format); err != nil {
				return err
			}
			if dir == "" && len(claims) == 0 {
				return errors.New("nothing to look at; give --evidence, --claims, or both")
			}
			s, err := w.status(dir, claims)
			if err != nil {
				return err
			}
			if format == "json" {
				err = w.printJSON(s)
			} else {
				err = output(s.text(w))
			}
			if err == nil && s.doubtful() {
				err = errGate
			}
			return err
		},
	}
	cmd.Flags().StringVar(&dir, "evidence", "", "folder of what keywatch sla collect has kept")
	cmd.Flags().StringArrayVar(&claims, "claims", nil, "claim folder, or folder of claim folders; may be repeated")
	formatFlag(cmd, &format)
	return cmd
}

func (w *World) status(dir string, claims []string) (*statusJSON, error) {
	now := w.Now()
	s := &statusJSON{SchemaVersion: 1, AsOf: now.UTC().Format(time.RFC3339), Months: []monthStatus{}}
	if err := s.readKept(w, dir, now); err != nil {
		return nil, err
	}
	folders, err := claimFolders(claims)
	if err != nil {
		return nil, environment(fmt.Errorf("read the claims: %w", err))
	}
	for _, folder := range folders {
		if err := s.readClaim(folder, now); err != nil {
			return nil, environment(fmt.Errorf("read the claims: %w", err))
		}
	}
	slices.SortFunc(s.Months, func(a, b monthStatus) int {
		return cmp.Or(cmp.Compare(a.Month, b.Month), cmp.Compare(a.Account, b.Account), cmp.Compare(a.Region, b.Region))
	})
	return s, nil
}

// month finds or makes the entry of a month. Of a month before the agreement
// nothing is due.
func (s *statusJSON) month(account, region string, m sla.Month, now time.Time) *monthStatus {
	for i := range s.Months {
		if e := &s.Months[i]; e.Account == account && e.Region == region && e.Month == m.String() {
			return e
		}
	}
	e := monthStatus{Account: account, Region: region, Month: m.String(), Open: now.Before(m.End()), Claims: []claimStatus{}}
	if terms, err := sla.TermsOf(m); err == nil {
		deadline := terms.Deadline(m)
		e.Deadline, e.Passed = deadline.Format(time.DateOnly), !now.Before(deadline.AddDate(0, 0, 1))
	}
	s.Months = append(s.Months, e)
	return &s.Months[len(s.Months)-1]
}

// readKept looks at each file that was collected.
func (s *statusJSON) readKept(w *World, dir string, now time.Time) error {
	if dir == "" {
		return nil
	}
	files, err := keptFiles(dir)
	if err != nil {
		return environment(fmt.Errorf("read what was collected: %w", err))
	}
	for _, file := range files {
		data, err := w.ReadFile(file.path)
		if err != nil {
			return environment(fmt.Errorf("read what was collected: %w", err))
		}
		kept := &keptStatus{File: file.path, Of: file.month.Intervals()}
		if f, err := evidence.Parse(file.account, file.region, file.month, data); err != nil {
			kept.Problem = err.Error()
		} else {
			for _, k := range f.Kept() {
				if k.Known {
					kept.Intervals++
				}
			}
		}
		s.month(file.account, file.region, file.month, now).Kept = kept
	}
	return nil
}

// claimFolders are those that are named, or lie in one that is.
func claimFolders(dirs []string) ([]string, error) {
	var out []string
	for _, dir := range dirs {
		if has(dir, sla.ManifestName) {
			out = append(out, filepath.Clean(dir))
			continue
		}
		entries, err := os.ReadDir(dir)
		if err != nil {
			return nil, err
		}
		for _, e := range entries {
			if path := filepath.Join(dir, e.Name()); has(path, sla.ManifestName) {
				out = append(out, path)
			}
		}
	}
	slices.Sort(out)
	return slices.Compact(out), nil
}

func has(dir, name string) bool {
	_, err := os.Stat(filepath.Join(dir, name))
	return err == nil
}

func (s *statusJSON) readClaim(folder string, now time.Time) error {
	m, hash, problems, err := sla.Verify(os.DirFS(folder))
	if err != nil {
		return fmt.Errorf("%s: %w", folder, err)
	}
	month, err := sla.ParseMonth(m.Month)
	if err != nil { // and the problems say that it is no manifest
		return fmt.Errorf("%s: %s", folder, strings.Join(problems, "; "))
	}
	c := claimStatus{Folder: folder, Problems: append([]string{}, problems...)}
	if len(problems) == 0 {
		sum, err := sla.ReadSummary(os.DirFS(folder))
		if err != nil {
			return fmt.Errorf("%s: %w", folder, err)
		}
		c.Uptime, c.Percent, c.WithContestable, c.Missing = sum.Without.Uptime, sum.Without.Percent, sum.With.Percent, len(sum.Missing)
		filed, err := readFiling(folder, hash)
		if err != nil {
			return fmt.Errorf("%s: %w", folder, err)
		}
		if filed != nil {
			c.Sent, c.Case = filed.Sent.Format(time.RFC3339), filed.Case
		}
	}
	e := s.month(m.Account, m.Region, month, now)
	e.Claims = append(e.Claims, c)
	return nil
}

// doubtful says whether something was changed since it was made.
func (s *statusJSON) doubtful() bool {
	for _, m := range s.Months {
		if m.Kept != nil && m.Kept.Problem != "" || slices.ContainsFunc(m.Claims, func(c claimStatus) bool { return len(c.Problems) > 0 }) {
			return true
		}
	}
	return false
}

func (s *statusJSON) text(w *World) error {
	var b bytes.Buffer
	if len(s.Months) == 0 {
		fmt.Fprintln(&b, "nothing is kept and no claim was made")
	}
	for _, m := range s.Months {
		fmt.Fprintf(&b, "%s  %s  %s  %s\n", m.Month, m.Account, m.Region, m.due())
		switch k := m.Kept; {
		case k == nil:
			fmt.Fprintln(&b, "  kept    nothing")
		case k.Problem != "":
			fmt.Fprintf(&b, "  kept    %s: %s\n", k.File, k.Problem)
		default:
			fmt.Fprintf(&b, "  kept    %d of %d intervals: %s\n", k.Intervals, k.Of, k.File)
		}
		for _, c := range m.Claims {
			fmt.Fprintf(&b, "  claim   %s: %s\n", c.Folder, c.tell())
		}
	}
	_, err := w.Stdout.Write(b.Bytes())
	return err
}

func (m *monthStatus) due() string {
	switch {
	case m.Open:
		return "not over; claim by " + m.Deadline
	case m.Passed:
		return "the claim was due by " + m.Deadline
	}
	return "claim by " + m.Deadline
}

func (c *claimStatus) tell() string {
	if len(c.Problems) > 0 {
		return strings.Join(c.Problems, "; ")
	}
	out := fmt.Sprintf("uptime %s %%, credit %d %%, with contestable faults %d %%", c.Uptime, c.Percent, c.WithContestable)
	if c.Missing > 0 {
		out += ", " + counted(c.Missing, "missing piece")
	}
	switch {
	case c.Sent == "":
		return out + "; not sent"
	case c.Case == "":
		return out + "; sent " + c.Sent + ", and nobody knows whether a case was opened"
	}
	return out + "; sent " + c.Sent + " as " + c.Case
}
