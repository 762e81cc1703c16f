package cli

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"keywatch/internal/sla"
)

func (w *World) slaCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "sla",
		Short: "when KMS fails: its uptime in a month, and a claim",
		Long: `Judge a month of KMS by the service level agreement, from logs on your disk, a log
group, and what was collected in time; make the claim, and file it. No config is
needed. docs/sla.md says what the figures are and are not, docs/sla-logs.md which logs
are read.`,
		Example: "  keywatch sla report --month 2026-10 --account 111122223333 \\\n    --region eu-west-1 --cloudtrail AWSLogs\n  keywatch sla terms",
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(w.slaCollectCommand(), w.slaReportCommand(), w.slaClaimCommand(), w.slaVerifyCommand(), w.slaFileCommand(), w.slaStatusCommand(), w.slaTermsCommand())
	return cmd
}

func (w *World) slaReportCommand() *cobra.Command {
	var j judging
	cmd := &cobra.Command{
		Use:   "report",
		Short: "the uptime of a month, and the credit that follows",
		Long: `Count requests and server-side errors in each interval of 5 minutes of the month
(UTC), and compute the Monthly Uptime Percentage, the credit tier and the deadline,
exactly. Each account and region is judged alone, never merged; without --account or
--region, all that the logs hold. ` + sla.Estimate + `

Logs are streamed, gzip or not. A request in several of them counts once. What is
missing is said first; --strict makes it exit status 1.`,
		Example: `  keywatch sla report --month 2026-10 --cloudtrail AWSLogs
  keywatch sla report --month 2026-10 --account 111122223333 \
    --region eu-west-1 --cloudtrail AWSLogs --requests app.jsonl.gz \
    --evidence evidence --charges 1234.56 --strict`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := checkFormat(j.format); err != nil {
				return err
			}
			reports, err := w.judgeMonth(cmd.Context(), &j)
			if err != nil {
				return err
			}
			var b bytes.Buffer
			if j.format == "json" {
				if err := sla.JSON(&b, reports); err != nil {
					return output(err)
				}
			} else {
				sla.Text(&b, reports)
			}
			if _, err := w.Stdout.Write(b.Bytes()); err != nil {
				return output(err)
			}
			return w.slaVerdict(&j, reports)
		},
	}
	j.flags(cmd)
	formatFlag(cmd, &j.format)
	return cmd
}

func (w *World) slaClaimCommand() *cobra.Command {
	j := judging{claim: true}
	cmd := &cobra.Command{
		Use:   "claim",
		Short: "a folder with the claim, for a person to review and send",
		Long: `Make a folder with the claim: claim.md to paste into a case, review.md with what its
sender must know, each interval and each failed request as CSV, the terms with their
sources, and a manifest with the SHA-256 of every file and input. The same logs give
the same bytes. Nothing is sent.

A folder that is there is filled if it is empty, and replaced if it holds an unchanged
claim of the same account, region and month; its mode stays. A link never is, nor the
current directory with a claim. With --strict nothing is written while a piece is
missing.`,
		Example: `  keywatch sla claim --month 2026-10 --account 111122223333 \
    --region eu-west-1 --cloudtrail AWSLogs --requests app.jsonl.gz \
    --evidence evidence --charges 1234.56 -o claims/2026-10`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			reports, err := w.judgeMonth(cmd.Context(), &j)
			if err != nil {
				return err
			}
			r := reports[0] // of the account and region that are named
			if r.Open {
				w.note("error", "%s is not over; a claim is made of a whole billing cycle, so make it in the next month", r.Month)
				return errGate
			}
			if err := w.slaVerdict(&j, reports); err != nil {
				return err
			}
			if !r.Contestable.Missed {
				w.note("error", "the commitment was kept in %s, as far as the logs say: uptime %s %%; there is nothing to claim", r.Month, r.Contestable.Uptime)
				return errGate
			}
			docs, err := sla.Claim(r, j.healthDigest)
			if err != nil {
				return output(err)
			}
			if err := cmd.Context().Err(); err != nil {
				return environment(fmt.Errorf("write the claim: %w", err))
			}
			dir := j.folder()
			if err := w.keepClaim(dir, r, docs); err != nil {
				return err
			}
			for _, m := range r.Missing {
				w.note("warning", "%s", m)
			}
			files, manifest := docs[:len(docs)-1], docs[len(docs)-1]
			_, err = fmt.Fprintf(w.Stdout, "%s: %s; the SHA-256 of its manifest is\n%s\n", dir, counted(len(files), "file"), sla.Sum256(manifest.Data))
			return output(err)
		},
	}
	j.flags(cmd)
	for _, name := range []string{"account", "region"} {
		_ = cmd.MarkFlagRequired(name)
	}
	cmd.Flags().StringVarP(&j.output, "output", "o", "", "the folder (default: sla-claim-ACCOUNT-REGION-MONTH)")
	return cmd
}

func (w *World) slaVerifyCommand() *cobra.Command {
	var hash string
	cmd := &cobra.Command{
		Use:   "verify DIR",
		Short: "was anything in a claim folder changed?",
		Long: `Compare every file of a claim folder with its manifest. Exit status 1, with the
names, if one was changed, is missing, is extra, or is no regular file.

Whoever can change a file can change the manifest with it. So keep the SHA-256 that
keywatch sla claim printed, and give it: --manifest HASH.`,
		Example: "  keywatch sla verify claim-2026-10",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := checkHash(cmd, "manifest"); err != nil {
				return err
			}
			dir := args[0]
			m, found, problems, err := verifyClaim(dir)
			if err != nil {
				return err
			}
			if hash != "" && found != "" && !strings.EqualFold(hash, found) {
				problems = append(problems, fmt.Sprintf("%s: changed: its SHA-256 is %s, not %s", sla.ManifestName, found, hash))
			}
			for _, p := range problems {
				w.note("error", "%s: %s", dir, p)
			}
			if len(problems) > 0 {
				return errGate
			}
			_, err = fmt.Fprintf(w.Stdout, "%s: unchanged: the claim of %s in %s for %s, %s; the SHA-256 of its manifest is\n%s\n",
				dir, m.Account, m.Region, m.Month, counted(len(m.Files), "file"), found)
			return output(err)
		},
	}
	cmd.Flags().StringVar(&hash, "manifest", "", "the SHA-256 that the manifest must have")
	return cmd
}

// hashForm is a SHA-256.
var hashForm = regexp.MustCompile(`^[0-9a-fA-F]{64}$`)

// checkHash refuses a flag that holds no SHA-256: of a variable that is not set, nothing
// would be compared at all.
func checkHash(cmd *cobra.Command, flag string) error {
	const want = "give the 64 hexadecimal digits that keywatch sla claim printed"
	switch f := cmd.Flags().Lookup(flag); {
	case !f.Changed || hashForm.MatchString(f.Value.String()):
		return nil
	case f.Value.String() == "":
		return fmt.Errorf("--%s is empty, as from a variable that is not set; %s", flag, want)
	default:
		return fmt.Errorf("--%s %q is no SHA-256; %s", flag, f.Value, want)
	}
}

// verifyClaim compares a claim folder with its manifest.
func verifyClaim(dir string) (m sla.Manifest, hash string, problems []string, err error) {
	if dir == "" {
		return m, "", nil, errors.New("DIR is empty, as from a variable that is not set; give the folder that keywatch sla claim made")
	}
	info, err := os.Stat(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		err = fmt.Errorf("%s is not there", dir)
	case err == nil && !info.IsDir():
		err = fmt.Errorf("%s is no folder", dir)
	case err == nil:
		if m, hash, problems, err = sla.Verify(os.DirFS(dir)); err != nil {
			err = fmt.Errorf("%s: %w", dir, err)
		}
	}
	if err != nil {
		err = environment(advised{err, "give the folder that keywatch sla claim made"})
	}
	return m, hash, problems, err
}

func (w *World) slaTermsCommand() *cobra.Command {
	var format string
	cmd := &cobra.Command{
		Use:   "terms",
		Short: "the agreement as keywatch knows it, and how sure each term is",
		Long: `Print every version of the KMS service level agreement that keywatch knows. Each term
is marked: read (in the words of the source) or assumed (a person should read the live
page before a claim rests on it).`,
		Example: "  keywatch sla terms",
		Args:    cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			if err := checkFormat(format); err != nil {
				return err
			}
			var b bytes.Buffer
			if format == "json" {
				data, err := sla.CatalogueJSON()
				if err != nil {
					return output(err)
				}
				b.Write(data)
			} else {
				sla.TermsText(&b)
			}
			_, err := w.Stdout.Write(b.Bytes())
			return output(err)
		},
	}
	formatFlag(cmd, &format)
	return cmd
}

// keepClaim writes the folder in one step: beside it, and then in its place. A folder
// that is there and empty stays, and gets the files.
func (w *World) keepClaim(dir string, r *sla.Report, docs []sla.Document) (err error) {
	fail := func(err error) error { return environment(fmt.Errorf("write the claim: %w", err)) }
	there, empty, err := w.replaceable(dir, r)
	if err != nil {
		return err
	}
	where := filepath.Dir(dir)
	if empty {
		where = dir // which can be another file system than what it lies in
	}
	if err := os.MkdirAll(where, 0o755); err != nil {
		return fail(err)
	}
	tmp, err := os.MkdirTemp(where, ".keywatch-claim-")
	if err != nil {
		return fail(err)
	}
	defer os.RemoveAll(tmp)
	next, old := filepath.Join(tmp, "next"), filepath.Join(tmp, "old")
	if err := os.Mkdir(next, 0o755); err != nil {
		return fail(err)
	}
	for _, d := range docs {
		if err := os.WriteFile(filepath.Join(next, d.Name), d.Data, 0o644); err != nil {
			return fail(err)
		}
	}
	if empty {
		if err := moveAll(next, dir, docs); err != nil {
			return fail(err)
		}
		return nil
	}
	if there != nil {
		if err := os.Chmod(next, there.Mode()); err != nil { // what is private stays so
			return fail(err)
		}
		if err := os.Rename(dir, old); err != nil {
			return fail(immovable(dir, err))
		}
	}
	if err := os.Rename(next, dir); err != nil {
		if there != nil {
			err = errors.Join(err, os.Rename(old, dir))
		}
		return fail(err)
	}
	return nil
}

// moveAll moves the files of a claim to a folder. The manifest is the last of them, so
// what is cut off is no claim.
func moveAll(from, to string, docs []sla.Document) error {
	for i, d := range docs {
		if err := os.Rename(filepath.Join(from, d.Name), filepath.Join(to, d.Name)); err != nil {
			for _, moved := range docs[:i] {
				err = errors.Join(err, os.Remove(filepath.Join(to, moved.Name)))
			}
			return err
		}
	}
	return nil
}

// immovable is of a folder that the system does not let go, as a mount point.
func immovable(dir string, err error) error {
	if !errors.Is(err, syscall.EBUSY) {
		return err
	}
	return advised{err, fmt.Sprintf("%s is in use, as a mount point is, and stays as it was; name another folder with -o", dir)}
}

// replaceable says which folder is there, nil if none is, and whether it is empty. A
// claim may replace one that is, or a claim that nobody has changed since, or the work
// of a person would be lost.
func (w *World) replaceable(dir string, r *sla.Report) (there fs.FileInfo, empty bool, err error) {
	there, err = os.Lstat(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, false, nil
	case err == nil && there.Mode()&fs.ModeSymlink != 0:
		w.note("error", "%s is a link, and a claim is written in the place of a folder", dir)
		w.note("hint", "name with -o the folder that it leads to, or another one")
		return nil, false, errGate
	}
	if entries, err := os.ReadDir(dir); err == nil && len(entries) == 0 {
		return there, true, nil
	}
	m, hash, problems, err := sla.Verify(os.DirFS(dir))
	filed, _ := w.readFiling(dir, hash)
	here, _ := os.Stat(".")
	switch {
	case err != nil:
		w.note("error", "%s is there and is no claim of keywatch: %v", dir, err)
	case len(problems) > 0:
		w.note("error", "%s holds a claim that was changed since: %s", dir, strings.Join(problems, "; "))
	case m.Account != r.Account || m.Region != r.Region || m.Month != r.Month:
		w.note("error", "%s holds the claim of %s in %s for %s", dir, m.Account, m.Region, m.Month)
	case filed != nil:
		w.note("error", "%s holds a claim that was sent on %s", dir, filed.Sent.Format(time.DateOnly))
	case os.SameFile(here, there):
		w.note("error", "%s is the current directory and holds a claim; to replace it would delete the one that your shell stands in", dir)
		w.note("hint", "run it from elsewhere, or name another folder with -o")
		return nil, false, errGate
	default:
		return there, false, nil
	}
	w.note("hint", "name another folder with -o, or move this one away")
	return nil, false, errGate
}
