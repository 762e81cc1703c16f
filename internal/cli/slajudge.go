package cli

import (
	"cmp"
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
	if missed && w.Now != nil && !w.Now().Before(terms.Deadline(m).AddDate(0, 0, 1)) {
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

// keptFile is one that keywatch sla collect has made.
type keptFile struct {
	path, account, region string
	month                 sla.Month
}

// keptFiles are the files DIR/ACCOUNT/REGION/MONTH.jsonl; others are not ours.
func keptFiles(dir string) ([]keptFile, error) {
	if _, err := os.Stat(dir); err != nil {
		return nil, err
	}
	paths, err := filepath.Glob(filepath.Join(globbed(dir), "*", "*", "*.jsonl"))
	if err != nil {
		return nil, err
	}
	var out []keptFile
	for _, path := range paths {
		f := keptFile{path: path, region: filepath.Base(filepath.Dir(path)), account: filepath.Base(filepath.Dir(filepath.Dir(path)))}
		f.month, err = sla.ParseMonth(strings.TrimSuffix(filepath.Base(path), ".jsonl"))
		if err == nil && accountForm.MatchString(f.account) && regionForm.MatchString(f.region) {
			out = append(out, f)
		}
	}
	return out, nil
}

// globbed is a directory as a pattern that matches it alone.
func globbed(dir string) string {
	return strings.NewReplacer(`\`, `\\`, "*", `\*`, "?", `\?`, "[", `\[`).Replace(dir)
}

// charges are what is known of the bill.
type charges struct {
	// one is of the only place, byRegion of each that is named.
	one      *big.Rat
	byRegion map[string]*big.Rat
	// read says to ask Cost Explorer, once for each account.
	read      bool
	byAccount map[string]sla.Charges
}

func (j *judging) parseCharges() (*charges, error) {
	c := &charges{byRegion: map[string]*big.Rat{}, byAccount: map[string]sla.Charges{}}
	for _, text := range j.charges {
		region, amount, several := strings.Cut(text, "=")
		switch {
		case len(j.charges) == 1 && text == "read":
			c.read = true
			return c, nil
		case j.account == "":
			return nil, fmt.Errorf("--charges %s: the charges are of one account; name it with --account", text)
		case !several && len(j.charges) > 1:
			return nil, fmt.Errorf("--charges %s: an amount that names no region, or read, stands alone; write REGION=USD for each of several", text)
		case !several && j.region == "":
			return nil, fmt.Errorf("--charges %s: of which region? Write REGION=USD for each, or name one with --region", text)
		case several && !regionForm.MatchString(region):
			return nil, fmt.Errorf("--charges %s: %q is no region; write REGION=USD, for example eu-west-1=1234.56", text, region)
		case several && c.byRegion[region] != nil:
			return nil, fmt.Errorf("--charges %s: the charges of %s are given twice", text, region)
		case !several:
			amount = text
		}
		usd, err := sla.ParseUSD(amount)
		if err != nil {
			return nil, fmt.Errorf("--charges %w; or \"read\", to read it from Cost Explorer", err)
		}
		if several {
			c.byRegion[region] = usd
		} else {
			c.one = usd
		}
	}
	return c, nil
}

// readCharges finds what the place was charged, if somebody said it or it is to be read.
func (w *World) readCharges(ctx context.Context, j *judging, c *charges, m sla.Month, in *sla.Input) error {
	if !c.read {
		in.Charges = c.one
		if in.Charges == nil {
			in.Charges = c.byRegion[in.Region]
		}
		return nil
	}
	bill, known := c.byAccount[in.Account]
	if !known {
		// The caller may be the account that pays for this one.
		s, _, err := w.witness(ctx, "", j.region, "")
		if err != nil {
			return err
		}
		if bill, err = s.Charges(ctx, in.Account, m); err != nil {
			return environment(fmt.Errorf("read the charges: %w", err))
		}
		c.byAccount[in.Account] = bill
	}
	in.ChargesRead, in.ChargesOpen = true, bill.Estimated
	if in.Charges = bill.ByRegion[in.Region]; in.Charges == nil {
		in.Charges = new(big.Rat)
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

// readLogs reads every file, sorted by name: what a report shows does not depend
// on the order of the flags.
func readLogs(ctx context.Context, j *judging, labels map[string]string, r *slalog.Reader) error {
	for _, kind := range []struct {
		paths []string
		read  func(string, io.Reader) error
		skip  bool
	}{{j.cloudTrail, r.CloudTrail, true}, {j.requests, r.Requests, false}} {
		files, err := logFiles(kind.paths, labels)
		if err != nil {
			return err
		}
		for _, file := range files {
			why := file.leftOut
			if kind.skip {
				why = cmp.Or(why, slalog.Skip(file.path, j.place()))
			}
			if why != "" {
				r.LeaveOut(file.name, why)
				continue
			}
			if file.lost != "" {
				r.Lose(file.name, file.lost)
				continue
			}
			f, err := openUntilDone(ctx, file.path)
			if err != nil {
				return err
			}
			stop := context.AfterFunc(ctx, func() { f.Close() }) // a pipe may say nothing for ever
			err = kind.read(file.name, untilDone{ctx, f})
			stop()
			if err := cmp.Or(ctx.Err(), err, f.Close()); err != nil {
				return err
			}
		}
	}
	return nil
}

// openUntilDone opens a file: that of a pipe takes until somebody writes there.
func openUntilDone(ctx context.Context, path string) (*os.File, error) {
	type opened struct {
		f   *os.File
		err error
	}
	c := make(chan opened, 1)
	go func() {
		f, err := os.Open(path)
		c <- opened{f, err}
	}()
	select {
	case o := <-c:
		return o.f, o.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// untilDone reads until somebody interrupts: a log may take minutes.
type untilDone struct {
	ctx context.Context
	in  io.Reader
}

func (u untilDone) Read(p []byte) (int, error) {
	if err := u.ctx.Err(); err != nil {
		return 0, err
	}
	return u.in.Read(p)
}

// logFile is one to be read.
type logFile struct {
	path string // absolute
	// leftOut says why it is not read, lost why it cannot be, though it may be a log.
	leftOut, lost string
	// name is how a report and a claim call it: as little of the path as tells the
	// files apart. Where they lie on somebody's disk is nobody's business at AWS, and the
	// same logs make the same claim from wherever they are read.
	name string
}

// labelled calls each of the paths that are named, when absolute, by its last elements.
func labelled(named ...[]string) (map[string]string, error) {
	var roots []string
	for _, p := range slices.Concat(named...) {
		if p == "" {
			continue
		}
		root, err := filepath.Abs(p)
		if err != nil {
			return nil, err
		}
		roots = append(roots, root)
	}
	slices.Sort(roots)
	roots = slices.Compact(roots)
	labels := map[string]string{}
	for i, label := range lastElements(roots) {
		labels[roots[i]] = filepath.ToSlash(label)
	}
	return labels, nil
}

// logFiles are the files that are named or lie in a folder that is, each once. Links to
// files are followed, and a link that is named itself; what else is no regular file is
// read only if it is named, such as a pipe.
func logFiles(named []string, labels map[string]string) ([]logFile, error) {
	var roots []string
	for _, p := range named {
		root, err := filepath.Abs(p)
		if err != nil {
			return nil, err
		}
		roots = append(roots, root)
	}
	slices.Sort(roots)
	known := map[string]bool{}
	var files []logFile
	for _, root := range slices.Compact(roots) {
		walked := root
		if info, err := os.Stat(root); err == nil && info.IsDir() {
			if walked, err = filepath.EvalSymlinks(root); err != nil {
				return nil, err
			}
		}
		err := filepath.WalkDir(walked, func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			f := logFile{path: path, name: labels[root] + filepath.ToSlash(strings.TrimPrefix(path, walked))}
			if path != walked {
				f.leftOut, f.lost = irregular(path, d)
			}
			// A folder comes before what is named within, so it gives the name.
			if !known[path] {
				known[path] = true
				files = append(files, f)
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	slices.SortFunc(files, func(a, b logFile) int { return cmp.Or(cmp.Compare(a.name, b.name), cmp.Compare(a.path, b.path)) })
	return files, nil
}

// irregular says why something in a folder is no file to be read, or one that is lost.
func irregular(path string, d fs.DirEntry) (leftOut, lost string) {
	if d.Type().IsRegular() {
		return "", ""
	}
	link := d.Type()&fs.ModeSymlink != 0
	switch info, err := os.Stat(path); {
	case err != nil:
		return "", "it is a link that leads nowhere"
	case link && info.IsDir():
		return "", "it is a link to a folder, and such are not followed; name the folder itself"
	case !info.Mode().IsRegular():
		return "no regular file; a pipe is read if it is named itself", ""
	}
	return "", ""
}

// apart refuses a folder for the claim among the logs, by whatever links they are named:
// the next run would take it for one.
func (j *judging) apart() error {
	if !j.claim {
		return nil
	}
	folder, err := unlinked(j.folder())
	if err != nil {
		return err
	}
	for _, named := range slices.Concat(j.cloudTrail, j.requests) {
		root, err := unlinked(named)
		if err != nil {
			return err
		}
		if within, err := filepath.Rel(root, folder); err == nil && filepath.IsLocal(within) {
			return fmt.Errorf("the claim would be written to %s, which lies in %s among the logs; name another folder with -o", j.folder(), named)
		}
	}
	return nil
}

// unlinked is an absolute path without the links in as much of it as is there.
func unlinked(path string) (string, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	for there := path; ; there = filepath.Dir(there) {
		if real, err := filepath.EvalSymlinks(there); err == nil {
			return filepath.Join(real, strings.TrimPrefix(path, there)), nil
		} else if there == filepath.Dir(there) {
			return path, nil
		}
	}
}

// folder is where a claim is written, without a slash at its end, which would follow a
// link.
func (j *judging) folder() string {
	return filepath.Clean(cmp.Or(j.output, fmt.Sprintf("sla-claim-%s-%s-%s", j.account, j.region, j.month)))
}

// lastElements are the last elements of absolute paths, as few as tell them apart.
func lastElements(paths []string) []string {
	labels := make([]string, len(paths))
	for n := 1; ; n++ {
		known := map[string]bool{}
		for i, p := range paths {
			elements := strings.Split(p, string(filepath.Separator))
			labels[i] = strings.Join(elements[max(0, len(elements)-n):], string(filepath.Separator))
			known[labels[i]] = true
		}
		if len(known) == len(paths) {
			return labels
		}
	}
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
