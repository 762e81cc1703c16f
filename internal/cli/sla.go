package cli

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/big"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"keywatch/internal/evidence"
	"keywatch/internal/sla"
	"keywatch/internal/slalog"
)

// judging is one run of `sla report` or `sla claim`.
type judging struct {
	month, account, region     string
	cloudTrail, requests       []string
	logGroups                  []string
	evidence                   string
	health, charges, malformed string
	format, output             string
	strict                     bool

	healthDigest *sla.Digest
}

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

func (j *judging) flags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&j.month, "month", "", "the billing cycle, for example 2026-10")
	f.StringVar(&j.account, "account", "", "account ID")
	f.StringVar(&j.region, "region", "", "region")
	f.StringArrayVar(&j.cloudTrail, "cloudtrail", nil, "file or folder with CloudTrail records; may be repeated")
	f.StringArrayVar(&j.requests, "requests", nil, "file or folder with client-side request logs or the monitoring of an AWS SDK; may be repeated")
	f.StringArrayVar(&j.logGroups, "log-group", nil, "log group with CloudTrail records, read from AWS; may be repeated")
	f.StringVar(&j.evidence, "evidence", "", "folder of what keywatch sla collect has kept")
	f.StringVar(&j.health, "health", "", "file with AWS Health events")
	f.StringVar(&j.charges, "charges", "", "USD paid for KMS in the region and month, for example 1234.56")
	f.StringVar(&j.malformed, "max-malformed", "0.1", "percent of records that may be malformed")
	f.BoolVar(&j.strict, "strict", false, "exit status 1 if a piece is missing")
	for _, name := range []string{"month", "account", "region"} {
		_ = cmd.MarkFlagRequired(name)
	}
}

func (w *World) slaReportCommand() *cobra.Command {
	var j judging
	cmd := &cobra.Command{
		Use:   "report",
		Short: "the uptime of a month, and the credit that follows",
		Long: `Count requests and server-side errors in each interval of 5 minutes of the month
(UTC), and compute the Monthly Uptime Percentage, the credit tier and the deadline,
exactly. ` + sla.Estimate + `

Logs are streamed, gzip or not. A request in several of them counts once. What is
missing is said first; --strict makes it exit status 1.`,
		Example: `  keywatch sla report --month 2026-10 --account 111122223333 \
    --region eu-west-1 --cloudtrail AWSLogs --requests app.jsonl.gz \
    --evidence evidence --charges 1234.56 --strict`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if !slices.Contains(formats, j.format) {
				return fmt.Errorf("--format %q; allowed: %s", j.format, strings.Join(formats, ", "))
			}
			r, err := w.judgeMonth(cmd.Context(), &j, false)
			if err != nil {
				return err
			}
			var b bytes.Buffer
			if j.format == "json" {
				if err := sla.JSON(&b, r); err != nil {
					return output(err)
				}
			} else {
				sla.Text(&b, r)
			}
			if _, err := w.Stdout.Write(b.Bytes()); err != nil {
				return output(err)
			}
			return w.slaVerdict(&j, r)
		},
	}
	j.flags(cmd)
	formatFlag(cmd, &j.format)
	return cmd
}

func (w *World) slaClaimCommand() *cobra.Command {
	var j judging
	cmd := &cobra.Command{
		Use:   "claim",
		Short: "a folder with the claim, for a person to review and send",
		Long: `Make a folder with the claim: claim.md to paste into a case, each interval and each
failed request as CSV, the terms with their sources, and a manifest with the SHA-256
of every file and input. The same logs give the same bytes. Nothing is sent.

A folder that is there is replaced only if it is an unchanged claim of the same
account, region and month. With --strict nothing is written while a piece is missing.`,
		Example: `  keywatch sla claim --month 2026-10 --account 111122223333 \
    --region eu-west-1 --cloudtrail AWSLogs --requests app.jsonl.gz \
    --evidence evidence --charges 1234.56 -o claims/2026-10`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			r, err := w.judgeMonth(cmd.Context(), &j, true)
			if err != nil {
				return err
			}
			if r.Open {
				w.note("error", "%s is not over; a claim is made of a whole billing cycle, so make it in the next month", r.Month)
				return errGate
			}
			if err := w.slaVerdict(&j, r); err != nil {
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
			dir := cmp.Or(j.output, fmt.Sprintf("sla-claim-%s-%s-%s", r.Account, r.Region, r.Month))
			if err := w.keepClaim(dir, r, docs); err != nil {
				return err
			}
			for _, m := range r.Missing {
				w.note("warning", "%s", m)
			}
			_, err = fmt.Fprintf(w.Stdout, "%s: %s; the SHA-256 of its manifest is\n%s\n", dir, counted(len(docs), "file"), sla.Sum256(docs[len(docs)-1].Data))
			return output(err)
		},
	}
	j.flags(cmd)
	cmd.Flags().StringVarP(&j.output, "output", "o", "", "the folder (default: sla-claim-ACCOUNT-REGION-MONTH)")
	return cmd
}

func (w *World) slaVerifyCommand() *cobra.Command {
	var hash string
	cmd := &cobra.Command{
		Use:   "verify DIR",
		Short: "was anything in a claim folder changed?",
		Long: `Compare every file of a claim folder with its manifest. Exit status 1, with the
names, if one was changed, is missing, or is extra.

Whoever can change a file can change the manifest with it. So keep the SHA-256 that
keywatch sla claim printed, and give it: --manifest HASH.`,
		Example: "  keywatch sla verify claim-2026-10",
		Args:    cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			dir := args[0]
			m, found, problems, err := sla.Verify(os.DirFS(dir))
			if err != nil {
				return environment(fmt.Errorf("%s: %w", dir, err))
			}
			if hash != "" && !strings.EqualFold(hash, found) {
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
			var b bytes.Buffer
			switch format {
			case "text":
				sla.TermsText(&b)
			case "json":
				data, err := sla.CatalogueJSON()
				if err != nil {
					return output(err)
				}
				b.Write(data)
			default:
				return fmt.Errorf("--format %q; allowed: %s", format, strings.Join(formats, ", "))
			}
			_, err := w.Stdout.Write(b.Bytes())
			return output(err)
		},
	}
	formatFlag(cmd, &format)
	return cmd
}

// judgeMonth reads the logs and judges the month. hash says to take the SHA-256 of
// each input.
func (w *World) judgeMonth(ctx context.Context, j *judging, hash bool) (*sla.Report, error) {
	m, err := sla.ParseMonth(j.month)
	if err != nil {
		return nil, fmt.Errorf("--month %w", err)
	}
	terms, err := sla.TermsOf(m)
	if err != nil {
		return nil, fmt.Errorf("--month: %w", err)
	}
	if !accountForm.MatchString(j.account) {
		return nil, fmt.Errorf("--account %q; allowed: 12 digits", j.account)
	}
	if !regionForm.MatchString(j.region) {
		return nil, fmt.Errorf("--region %q; allowed: a region such as eu-west-1", j.region)
	}
	var charges *big.Rat
	if j.charges != "" {
		if charges, err = sla.ParseUSD(j.charges); err != nil {
			return nil, fmt.Errorf("--charges %w", err)
		}
	}
	if limit, err := sla.ParseUSD(j.malformed); err != nil || limit.Cmp(big.NewRat(100, 1)) > 0 {
		return nil, fmt.Errorf("--max-malformed %q; allowed: a percentage from 0 to 100, for example 0.1", j.malformed)
	}
	if len(j.cloudTrail)+len(j.requests)+len(j.logGroups) == 0 {
		return nil, errors.New("no logs are given; name some with --cloudtrail, --log-group or --requests")
	}

	dir, err := os.MkdirTemp("", "keywatch-sla-")
	if err != nil {
		return nil, environment(fmt.Errorf("make a temporary folder: %w", err))
	}
	defer os.RemoveAll(dir)
	reader := slalog.NewReader(j.account, j.region, m, terms, slalog.NewTally(m, dir), hash)
	if err := readLogs(j, reader); err != nil {
		return nil, environment(fmt.Errorf("read the logs: %w", err))
	}
	if err := w.readLogGroups(ctx, j, m, reader); err != nil {
		return nil, err
	}
	in, err := reader.Finish()
	if err != nil {
		return nil, environment(fmt.Errorf("count the requests: %w", err))
	}
	in.Charges = charges
	in.Open = w.Now != nil && w.Now().Before(m.End())
	if err := w.readKept(j, m, &in, hash); err != nil {
		return nil, err
	}
	if in.Health, err = j.readHealth(w, m, hash); err != nil {
		return nil, err
	}
	r, err := sla.Build(in)
	if err != nil {
		return nil, environment(err)
	}
	if w.Now != nil && !w.Now().Before(terms.Deadline(m).AddDate(0, 0, 1)) {
		w.note("warning", "the claim was due by %s, by the earlier reading of the agreement", r.Deadline)
	}
	return r, nil
}

// margin is how far outside of the month the events of a log group are read: a log
// event's time may be that of its delivery.
const margin = 24 * time.Hour

// readLogGroups reads log groups to their end, or it is an error.
func (w *World) readLogGroups(ctx context.Context, j *judging, m sla.Month, r *slalog.Reader) error {
	groups := slices.Clone(j.logGroups)
	slices.Sort(groups)
	for _, group := range slices.Compact(groups) {
		// Whose log group it is nobody asks: that of an organization's trail is another
		// account's.
		s, _, err := w.witness(ctx, "", regionOf(group, j.region), "")
		if err != nil {
			return err
		}
		from, to := io.Pipe()
		read := make(chan error, 1)
		go func() {
			err := s.LogEvents(ctx, group, m.Start().Add(-margin), m.End().Add(margin), to)
			to.CloseWithError(err)
			read <- err
		}()
		err = r.LogGroup("log group "+group, from)
		from.CloseWithError(err) // ends the reading, if it still goes on
		if failed := <-read; failed != nil && !errors.Is(failed, io.ErrClosedPipe) {
			err = failed // without the name that the reader put before it
		}
		if err != nil {
			return environment(fmt.Errorf("read the logs: %w", err))
		}
	}
	return nil
}

// regionOf is where a log group is: an ARN says so. A trail of several regions has
// its log group in one of them.
func regionOf(group, region string) string {
	if parts := strings.Split(group, ":"); parts[0] == "arn" && len(parts) > 3 {
		return parts[3]
	}
	return region
}

// readKept takes the numbers that were collected of the month.
func (w *World) readKept(j *judging, m sla.Month, in *sla.Input, hash bool) error {
	if j.evidence == "" {
		return nil
	}
	path := filepath.Join(j.evidence, filepath.FromSlash(evidence.Name(j.account, j.region, m)))
	f, err := w.kept(path, j.account, j.region, m)
	if err != nil {
		return err
	}
	in.Kept = f.Kept()
	if len(f.Bytes()) == 0 {
		w.note("warning", "%s is not there: no numbers of that month were collected", path)
		return nil
	}
	file := sla.File{Name: path, Records: int64(f.Lines())}
	if hash {
		file.SHA256, file.Bytes = sla.Sum256(f.Bytes()), int64(len(f.Bytes()))
	}
	in.Files = append(in.Files, file)
	return nil
}

// readHealth reads the events of AWS Health, if there are any.
func (j *judging) readHealth(w *World, m sla.Month, hash bool) ([]sla.Event, error) {
	if j.health == "" {
		return nil, nil
	}
	data, err := w.ReadFile(j.health)
	if err != nil {
		return nil, environment(fmt.Errorf("read the AWS Health events: %w", err))
	}
	if hash {
		d := sla.DigestOf(j.health, data)
		j.healthDigest = &d
	}
	events, err := sla.ReadHealth(j.health, bytes.NewReader(data), m, j.region)
	if err != nil {
		w.note("error", "%v", err)
		return nil, errGate
	}
	return events, nil
}

// readLogs reads every file, sorted by name: what a report shows does not depend
// on the order of the flags.
func readLogs(j *judging, r *slalog.Reader) error {
	for _, kind := range []struct {
		paths []string
		read  func(string, io.Reader) error
		skip  bool
	}{{j.cloudTrail, r.CloudTrail, true}, {j.requests, r.Requests, false}} {
		files, err := logFiles(kind.paths)
		if err != nil {
			return err
		}
		for _, name := range files {
			if why := slalog.Skip(name, j.account, j.region); kind.skip && why != "" {
				r.LeaveOut(name, why)
				continue
			}
			f, err := os.Open(name)
			if err != nil {
				return err
			}
			if err := cmp.Or(kind.read(name, f), f.Close()); err != nil {
				return err
			}
		}
	}
	return nil
}

// logFiles are the files that are named or lie in a folder that is, each once.
func logFiles(paths []string) ([]string, error) {
	var files []string
	for _, p := range paths {
		err := filepath.WalkDir(p, func(name string, d fs.DirEntry, err error) error {
			if err == nil && !d.IsDir() {
				files = append(files, filepath.Clean(name))
			}
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	slices.Sort(files)
	return slices.Compact(files), nil
}

// slaVerdict is the gate of a report.
func (w *World) slaVerdict(j *judging, r *sla.Report) error {
	limit, err := sla.ParseUSD(j.malformed)
	if err != nil {
		return err
	}
	failed := false
	if r.Malformed.Above(limit) {
		w.note("error", "%d of %s are malformed, more than %s %%; the first: %s; raise --max-malformed if the rest is enough",
			r.Malformed.Count, counted(int(r.Malformed.Records), "record"), j.malformed, strings.Join(r.Malformed.First, "; "))
		failed = true
	}
	for _, f := range r.Files {
		if f.Unread && !j.strict { // which names it below
			w.note("error", "%s is not in the sum: %s", f.Name, f.Damage)
			failed = true
		}
	}
	if j.strict && len(r.Missing) > 0 {
		w.note("error", "%s missing, and --strict is set:", counted(len(r.Missing), "piece"))
		for _, m := range r.Missing {
			w.note("error", "%s", m)
		}
		failed = true
	}
	if failed {
		return errGate
	}
	return nil
}

// keepClaim writes the folder in one step: beside it, and then in its place.
func (w *World) keepClaim(dir string, r *sla.Report, docs []sla.Document) (err error) {
	fail := func(err error) error { return environment(fmt.Errorf("write the claim: %w", err)) }
	replace, err := w.replaceable(dir, r)
	if err != nil {
		return err
	}
	parent := filepath.Dir(filepath.Clean(dir))
	if err := os.MkdirAll(parent, 0o755); err != nil {
		return fail(err)
	}
	tmp, err := os.MkdirTemp(parent, ".keywatch-claim-")
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
	if replace {
		if err := os.Rename(dir, old); err != nil {
			return fail(err)
		}
	}
	if err := os.Rename(next, dir); err != nil {
		if replace {
			err = errors.Join(err, os.Rename(old, dir))
		}
		return fail(err)
	}
	return nil
}

// replaceable says whether a claim is there that a new one may replace: one that
// nobody has changed since, or the work of a person would be lost.
func (w *World) replaceable(dir string, r *sla.Report) (bool, error) {
	if _, err := os.Lstat(dir); errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	m, hash, problems, err := sla.Verify(os.DirFS(dir))
	filed, _ := readFiling(dir, hash)
	switch {
	case err != nil:
		w.note("error", "%s is there and is no claim of keywatch: %v", dir, err)
	case len(problems) > 0:
		w.note("error", "%s holds a claim that was changed since: %s", dir, strings.Join(problems, "; "))
	case m.Account != r.Account || m.Region != r.Region || m.Month != r.Month:
		w.note("error", "%s holds the claim of %s in %s for %s", dir, m.Account, m.Region, m.Month)
	case filed != nil:
		w.note("error", "%s holds a claim that was sent on %s", dir, filed.Sent.Format(time.DateOnly))
	default:
		return true, nil
	}
	w.note("hint", "name another folder with -o, or move this one away")
	return false, errGate
}
