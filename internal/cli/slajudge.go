package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"math/big"
	"os"
	"path/filepath"
	"regexp"
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
	month, account, region string
	cloudTrail, requests   []string
	logGroups              []string
	evidence               string
	health, malformed      string
	charges, countAs       []string
	format, output         string
	strict                 bool
	// claim says that a claim is made: so the SHA-256 of each input is taken.
	claim bool

	healthDigest *sla.Digest
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
	f.StringVar(&j.health, "health", "", "file with AWS Health events, gzip or not")
	f.StringArrayVar(&j.charges, "charges", nil, "`USD` paid for KMS in the month, for example 1234.56; REGION=USD, repeated, for several regions; or read: from Cost Explorer, at $0.01")
	f.StringArrayVar(&j.countAs, "count-as", nil, "`CODE=CLASS`: what an error code that the terms do not know counts as: fault, contestable or rejected; may be repeated")
	f.StringVar(&j.malformed, "max-malformed", "0.1", "percent of records that may be malformed")
	f.BoolVar(&j.strict, "strict", false, "exit status 1 if a piece is missing")
	_ = cmd.MarkFlagRequired("month")
}

// judgeMonth reads the logs once and judges the month: of the account and region that
// are named, or of each that has requests to KMS.
func (w *World) judgeMonth(ctx context.Context, j *judging) ([]*sla.Report, error) {
	m, err := sla.ParseMonth(j.month)
	if err != nil {
		return nil, fmt.Errorf("--month %w", err)
	}
	terms, err := sla.TermsOf(m)
	if err != nil {
		return nil, fmt.Errorf("--month: %w", err)
	}
	if w.Now != nil && w.Now().Before(m.Start()) {
		return nil, fmt.Errorf("--month %s has not begun", m)
	}
	classes := terms.Classes()
	money, err := j.check(classes)
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "keywatch-sla-")
	if err != nil {
		return nil, environment(fmt.Errorf("make a temporary folder: %w", err))
	}
	defer os.RemoveAll(dir)
	reader := slalog.NewReader(slalog.Options{Only: j.place(), Month: m, Classes: classes, Dir: dir, Hash: j.claim})
	if err := j.want(m, reader); err != nil {
		return nil, environment(fmt.Errorf("read what was collected: %w", err))
	}
	labels, err := labelled(j.cloudTrail, j.requests, []string{j.health})
	if err != nil {
		return nil, environment(fmt.Errorf("read the logs: %w", err))
	}
	health, err := j.readHealth(w, labels)
	if err != nil {
		return nil, environment(fmt.Errorf("read the AWS Health events: %w", err))
	}
	if err := readLogs(ctx, j, labels, reader); err != nil {
		return nil, environment(fmt.Errorf("read the logs: %w", err))
	}
	if err := w.readLogGroups(ctx, j, m, reader); err != nil {
		return nil, err
	}
	inputs, err := reader.Finish(ctx)
	if err != nil {
		return nil, environment(fmt.Errorf("count the requests: %w", err))
	}
	if len(inputs) == 0 {
		w.note("error", "no request to KMS%s in %s is in the logs: nothing can be judged", j.of(), m)
		w.note("hint", "name --account and --region for a report of the place nevertheless; it says which files were read and what was not counted")
		return nil, errGate
	}
	var reports []*sla.Report
	var used []string // of --count-as
	for _, in := range inputs {
		in.Open = w.Now != nil && w.Now().Before(m.End())
		in.Said = sla.Said(j.countAs, in.Codes)
		used = append(used, in.Said...)
		if err := w.readKept(j, m, &in); err != nil {
			return nil, err
		}
		if err := w.readCharges(ctx, j, money, m, &in); err != nil {
			return nil, err
		}
		if j.health != "" {
			if in.Health, in.HealthGiven, err = sla.ReadHealth(j.health, health, m, in.Region); err != nil {
				w.note("error", "%v", err)
				return nil, errGate
			}
		}
		r, err := sla.Build(in)
		if err != nil {
			return nil, environment(err)
		}
		reports = append(reports, r)
	}
	for _, said := range slices.Sorted(slices.Values(j.countAs)) {
		if !slices.Contains(used, said) {
			w.note("warning", "--count-as %s: no request failed with that code where neither the terms nor the HTTP status says what it counts as", said)
		}
	}
	for _, region := range slices.Sorted(maps.Keys(money.byRegion)) {
		if !slices.ContainsFunc(reports, func(r *sla.Report) bool { return r.Region == region }) {
			w.note("warning", "--charges %s=…: no report is of that region", region)
		}
	}
	missed := slices.ContainsFunc(reports, func(r *sla.Report) bool { return r.Contestable.Missed })
	if missed && w.Now != nil && sla.Late(terms.Deadline(m), w.Now()) {
		w.note("warning", "the claim was due by %s, by the earlier reading of the agreement", reports[0].Deadline)
	}
	return reports, nil
}

// place is what is asked for; what is empty is any.
func (j *judging) place() slalog.Place { return slalog.Place{Account: j.account, Region: j.region} }

// of says which account and region are asked for, if any is.
func (j *judging) of() string {
	out := ""
	if j.account != "" {
		out += " of account " + j.account
	}
	if j.region != "" {
		out += " in " + j.region
	}
	return out
}

// check looks at all flags before anything is read.
func (j *judging) check(classes *sla.Classes) (*charges, error) {
	if j.account != "" && !accountForm.MatchString(j.account) {
		return nil, fmt.Errorf("--account %q; allowed: 12 digits", j.account)
	}
	if j.region != "" && !regionForm.MatchString(j.region) {
		return nil, fmt.Errorf("--region %q; allowed: a region such as eu-west-1", j.region)
	}
	for _, said := range j.countAs {
		code, class, ok := strings.Cut(said, "=")
		if !ok || !codeForm.MatchString(code) {
			return nil, fmt.Errorf("--count-as %q; write it as CODE=CLASS, for example HTTP-504=fault", said)
		}
		if err := classes.CountAs(code, class); err != nil {
			return nil, fmt.Errorf("--count-as %s: %w", said, err)
		}
	}
	money, err := j.parseCharges()
	if err != nil {
		return nil, err
	}
	if limit, err := sla.ParseUSD(j.malformed); err != nil || limit.Cmp(big.NewRat(100, 1)) > 0 {
		return nil, fmt.Errorf("--max-malformed %q; allowed: a percentage from 0 to 100, for example 0.1", j.malformed)
	}
	if len(j.cloudTrail)+len(j.requests)+len(j.logGroups) == 0 {
		return nil, errors.New("no logs are given, and nothing else knows of failed requests; name some with --cloudtrail, --log-group or --requests")
	}
	return money, j.apart()
}

// codeForm is that of an error code as a report shows it, or of a status.
var codeForm = regexp.MustCompile(`^([A-Z][A-Za-z.]{0,127}|HTTP-[0-9]{3})$`)

// want asks for the places of which there must be a report, whatever the logs hold:
// the one that is named, or those of which numbers were kept.
func (j *judging) want(m sla.Month, r *slalog.Reader) error {
	if j.evidence != "" {
		if _, err := os.Stat(j.evidence); errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("--evidence %s: there is no such folder; name the one that keywatch sla collect was given", j.evidence)
		}
	}
	if j.account != "" && j.region != "" {
		return r.Want(j.place())
	}
	if j.evidence == "" {
		return nil
	}
	files, err := keptFiles(j.evidence)
	if err != nil {
		return err
	}
	for _, f := range files {
		if f.month != m {
			continue
		}
		if err := r.Want(slalog.Place{Account: f.account, Region: f.region}); err != nil {
			return err
		}
	}
	return nil
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
func (w *World) readKept(j *judging, m sla.Month, in *sla.Input) error {
	if j.evidence == "" {
		return nil
	}
	name := evidence.Name(in.Account, in.Region, m)
	path := filepath.Join(j.evidence, filepath.FromSlash(name))
	f, err := w.kept(path, in.Account, in.Region, m)
	if err != nil {
		return err
	}
	in.Kept = f.Kept()
	if len(f.Bytes()) == 0 { // the report says that they are missing
		return nil
	}
	file := sla.File{Name: "evidence/" + name, Records: int64(f.Lines())}
	if j.claim {
		file.SHA256, file.Bytes = sla.Sum256(f.Bytes()), int64(len(f.Bytes()))
	}
	in.Files = append(slices.Clip(in.Files), file) // the others are those of every place
	return nil
}

// readHealth reads the file of AWS Health events, if there is one: once for all regions,
// since it may be a pipe.
func (j *judging) readHealth(w *World, labels map[string]string) ([]byte, error) {
	if j.health == "" {
		return nil, nil
	}
	data, err := w.ReadFile(j.health)
	if err != nil {
		return nil, err
	}
	if j.claim {
		path, err := filepath.Abs(j.health)
		if err != nil {
			return nil, err
		}
		d := sla.DigestOf(labels[path], data)
		j.healthDigest = &d
	}
	return data, nil
}

// slaVerdict is the gate of a report.
func (w *World) slaVerdict(j *judging, reports []*sla.Report) error {
	limit, err := sla.ParseUSD(j.malformed)
	if err != nil {
		return err
	}
	failed := false
	if bad := reports[0].Malformed; bad.Above(limit) { // of all logs, whatever the place
		w.note("error", "malformed are %d of %s, more than %s %%; the first: %s; raise --max-malformed if the rest is enough",
			bad.Count, counted(int(bad.Records), "record"), j.malformed, strings.Join(bad.First, "; "))
		failed = true
	}
	for _, f := range reports[0].Files {
		if f.Unread && !j.strict { // which names it below
			w.note("error", "%s is not in the sum: %s", f.Name, f.Damage)
			failed = true
		}
	}
	for _, r := range reports {
		if !j.strict || len(r.Missing) == 0 {
			continue
		}
		w.note("error", "%s in %s: %s missing, and --strict is set:", r.Account, r.Region, counted(len(r.Missing), "piece"))
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
