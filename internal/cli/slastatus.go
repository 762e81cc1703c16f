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
	Estimate      string        `json:"estimate"`
	AsOf          string        `json:"asOf"`
	Months        []monthStatus `json:"months"`
	// Unplaced are claims of which nobody knows account, region and month.
	Unplaced []claimStatus `json:"unplaced"`
}

// monthStatus is one month of one account and region.
type monthStatus struct {
	Account  string `json:"account"`
	Region   string `json:"region"`
	Month    string `json:"month"`
	Open     bool   `json:"monthNotOver"`
	Deadline string `json:"claimBy"`
	Passed   bool   `json:"claimByPassed"`
	// DueIn are the days up to the deadline of a claim of which no case is known; nil
	// without one, or after it.
	DueIn *int `json:"dueInDays,omitempty"`
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
	// Nobody knows them of a folder that was changed since.
	Percent         *int   `json:"creditPercent,omitempty"`
	WithContestable *int   `json:"creditPercentWithContestable,omitempty"`
	Missing         *int   `json:"missingPieces,omitempty"`
	Sent            string `json:"sent,omitempty"`
	Case            string `json:"caseId,omitempty"`
	// SentUnknown says that the record of the filing cannot be read.
	SentUnknown bool `json:"sentUnknown,omitempty"`
}

func (w *World) slaStatusCommand() *cobra.Command {
	var dir, format string
	var claims []string
	cmd := &cobra.Command{
		Use:   "status",
		Short: "which months have evidence or a claim, what is due, what was sent",
		Long: `List the months of which numbers were kept or a claim was made: the tier that the
claim says, the day by which it is due, and what was sent. What is due next comes
first. Exit status 1 if a file or folder was changed since it was made, or is of
another version. Everything is read from your disk.`,
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
	s := &statusJSON{SchemaVersion: 1, Estimate: sla.Estimate, AsOf: now.UTC().Format(time.RFC3339), Months: []monthStatus{}, Unplaced: []claimStatus{}}
	if err := w.readAllKept(s, dir, now); err != nil {
		return nil, err
	}
	folders, err := claimFolders(claims)
	if err != nil {
		return nil, environment(fmt.Errorf("read the claims: %w", err))
	}
	for _, folder := range folders {
		if err := w.readClaim(s, folder, now); err != nil {
			return nil, environment(fmt.Errorf("read the claims: %w", err))
		}
	}
	for i := range s.Months {
		s.Months[i].count(now)
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
		e.Deadline, e.Passed = deadline.Format(time.DateOnly), sla.Late(deadline, now)
	}
	s.Months = append(s.Months, e)
	return &s.Months[len(s.Months)-1]
}

// count says how long a claim has still of which no case is known.
func (m *monthStatus) count(now time.Time) {
	deadline, err := time.Parse(time.DateOnly, m.Deadline)
	opened := slices.ContainsFunc(m.Claims, func(c claimStatus) bool { return c.Case != "" })
	if err != nil || m.Passed || opened || len(m.Claims) == 0 {
		return
	}
	days := int(deadline.Sub(now.UTC().Truncate(24*time.Hour)).Hours()) / 24
	m.DueIn = &days
}

// readAllKept looks at each file that was collected.
func (w *World) readAllKept(s *statusJSON, dir string, now time.Time) error {
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

// has says whether a folder has an entry of that name, if only a link that leads nowhere.
func has(dir, name string) bool {
	_, err := os.Lstat(filepath.Join(dir, name))
	return err == nil
}

func (w *World) readClaim(s *statusJSON, folder string, now time.Time) error {
	m, hash, problems, err := sla.Verify(os.DirFS(folder))
	if err != nil {
		return fmt.Errorf("%s: %w", folder, err)
	}
	month, err := sla.ParseMonth(m.Month)
	placed := err == nil && accountForm.MatchString(m.Account) && regionForm.MatchString(m.Region)
	if !placed && len(problems) == 0 {
		problems = []string{sla.ManifestName + " names no account, region and month"}
	}
	c := claimStatus{Folder: folder, Problems: append([]string{}, problems...)}
	if len(problems) == 0 {
		sum, err := sla.ReadSummary(os.DirFS(folder))
		if err != nil {
			c.Problems = append(c.Problems, err.Error())
		} else {
			missing := len(sum.Missing)
			c.Uptime, c.Percent, c.WithContestable, c.Missing = plainText(sum.Without.Uptime), &sum.Without.Percent, &sum.With.Percent, &missing
		}
	}
	// Of a claim that was changed since, too: it may be sent already.
	filed, err := w.readFiling(folder, hash)
	if err != nil && len(problems) == 0 {
		return fmt.Errorf("%s: %w", folder, err)
	}
	switch {
	case err != nil:
		c.SentUnknown = true
	case filed != nil:
		c.Sent, c.Case = filed.Sent.Format(time.RFC3339), filed.Case
	}
	if !placed {
		s.Unplaced = append(s.Unplaced, c)
		return nil
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
	return len(s.Unplaced) > 0
}

func (s *statusJSON) text(w *World) error {
	var b bytes.Buffer
	if len(s.Months) == 0 && len(s.Unplaced) == 0 {
		fmt.Fprintln(&b, "nothing is kept and no claim was made")
	} else {
		sla.Fold(&b, "", s.Estimate)
		fmt.Fprintln(&b)
		sla.Fold(&b, "due next  ", s.next())
		fmt.Fprintln(&b)
	}
	for _, m := range s.Months {
		fmt.Fprintf(&b, "%s  %s  %s  %s\n", m.Month, m.Account, m.Region, m.due())
		switch k := m.Kept; {
		case k == nil:
			fmt.Fprintln(&b, "  kept    nothing")
		case k.Problem != "":
			sla.Fold(&b, "  kept    ", k.File+": "+k.Problem)
		default:
			sla.Fold(&b, "  kept    ", fmt.Sprintf("%d of %s: %s", k.Intervals, counted(k.Of, "interval"), k.File))
		}
		for _, c := range m.Claims {
			sla.Fold(&b, "  claim   ", c.Folder+": "+c.tell())
		}
	}
	if len(s.Unplaced) > 0 {
		fmt.Fprintln(&b, "of which account, region and month is not known")
	}
	for _, c := range s.Unplaced {
		sla.Fold(&b, "  claim   ", c.Folder+": "+c.tell())
	}
	_, err := w.Stdout.Write(b.Bytes())
	return err
}

// soon is how many days before its deadline a claim is pointed out.
const soon = 14

// next says what is due first.
func (s *statusJSON) next() string {
	var first []monthStatus
	for _, m := range s.Months {
		switch {
		case m.DueIn == nil:
		case len(first) == 0 || *m.DueIn < *first[0].DueIn:
			first = []monthStatus{m}
		case *m.DueIn == *first[0].DueIn:
			first = append(first, m)
		}
	}
	if len(first) == 0 && len(s.Unplaced) > 0 {
		return "nothing, as far as the months are known"
	}
	if len(first) == 0 {
		return "nothing"
	}
	m := first[0]
	out := fmt.Sprintf("%s of %s in %s, by %s, %s", m.Month, m.Account, m.Region, m.Deadline, m.in())
	if n := len(first) - 1; n > 0 {
		out += fmt.Sprintf("; and %d more by then", n)
	}
	return out
}

func (m *monthStatus) in() string {
	if *m.DueIn == 0 {
		return "today"
	}
	return "in " + counted(*m.DueIn, "day")
}

func (m *monthStatus) due() string {
	switch {
	case m.Deadline == "":
		return "before the first known agreement"
	case m.Open:
		return "not over; claim by " + m.Deadline
	case m.Passed:
		return "the claim was due by " + m.Deadline
	case m.DueIn != nil && *m.DueIn <= soon:
		return "claim by " + m.Deadline + ": due " + m.in()
	}
	return "claim by " + m.Deadline
}

func (c *claimStatus) tell() string {
	out := strings.Join(c.Problems, "; ")
	if len(c.Problems) == 0 {
		out = c.figures()
	}
	switch {
	case c.SentUnknown:
		return out + "; nobody can say whether it was sent; look in the AWS Support Center"
	case c.Sent == "":
		return out + "; not sent"
	case c.Case == "":
		return out + "; sent " + c.Sent + ", and nobody knows whether a case was opened"
	}
	return out + "; sent " + c.Sent + " as " + c.Case
}

func (c *claimStatus) figures() string {
	out := fmt.Sprintf("uptime %s %%, credit %d %%, with contestable faults %d %%", c.Uptime, *c.Percent, *c.WithContestable)
	if *c.Missing > 0 {
		out += ", " + counted(*c.Missing, "missing piece")
	}
	return out
}
