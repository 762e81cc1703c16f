package sla

import (
	"bytes"
	"crypto/sha256"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strconv"
	"strings"
)

// Hidden stands for a value of a log that has not the form that AWS writes. The
// agreement asks for asterisks.
const Hidden = "***"

// ManifestName is the file that the others are proved by.
const ManifestName = "manifest.json"

// Redaction is the rule that requests.csv follows.
const Redaction = "Only its columns are taken from a log; identities, addresses, parameters, encryption contexts and responses are never read. A value that has not the form that AWS writes is replaced by asterisks."

// Document is one file of a claim folder.
type Document struct {
	Name string
	Data []byte
}

// Manifest proves a claim folder.
type Manifest struct {
	Format  string `json:"format"`
	Version int    `json:"version"`
	Account string `json:"account"`
	Region  string `json:"region"`
	Month   string `json:"month"`
	// Files are those of the folder, Inputs what they were made from.
	Files  []Digest `json:"files"`
	Inputs []Digest `json:"inputs"`
}

// Digest is one file by its content.
type Digest struct {
	Name    string `json:"name"`
	Bytes   int64  `json:"bytes"`
	SHA256  string `json:"sha256,omitempty"`
	LeftOut string `json:"leftOut,omitempty"`
}

const (
	manifestFormat  = "keywatch-sla-claim"
	manifestVersion = 1
)

// always are the files that every claim has, beside the manifest.
var always = []string{"claim.md", "review.md", "intervals.csv", "requests.csv", "terms.json", "report.json"}

// ofVersion is said of a file of another version of its format.
func ofVersion(found, known int) string {
	return fmt.Sprintf("it is of version %d of its format, and this keywatch reads version %d; use the keywatch that made it, or make the claim anew", found, known)
}

// DigestOf is that of some bytes.
func DigestOf(name string, data []byte) Digest {
	return Digest{Name: name, Bytes: int64(len(data)), SHA256: Sum256(data)}
}

// Sum256 is the SHA-256 in hexadecimal.
func Sum256(data []byte) string { return fmt.Sprintf("%x", sha256.Sum256(data)) }

// Claim makes the files of a claim, the manifest last. The same report gives the
// same bytes. health is the file of Health events, or nil.
func Claim(r *Report, health *Digest) ([]Document, error) {
	var docs []Document
	add := func(name string, data []byte) { docs = append(docs, Document{name, data}) }
	add("claim.md", r.markdown())
	add("review.md", r.review())
	add("intervals.csv", r.intervalsCSV())
	add("requests.csv", r.requestsCSV())
	if r.in.Health != nil {
		data, err := encode(r.Health)
		if err != nil {
			return nil, err
		}
		add("health.json", data)
	}
	terms, err := encode(r.terms)
	if err != nil {
		return nil, err
	}
	add("terms.json", terms)
	report, err := encode(r)
	if err != nil {
		return nil, err
	}
	add("report.json", report)

	m := Manifest{Format: manifestFormat, Version: manifestVersion, Account: r.Account, Region: r.Region, Month: r.Month}
	for _, d := range docs {
		m.Files = append(m.Files, DigestOf(d.Name, d.Data))
	}
	for _, f := range r.Files {
		m.Inputs = append(m.Inputs, Digest{f.Name, f.Bytes, f.SHA256, f.LeftOut})
	}
	if health != nil && !slices.Contains(m.Inputs, *health) { // the log group's export holds both
		m.Inputs = append(m.Inputs, *health)
	}
	slices.SortFunc(m.Inputs, func(a, b Digest) int { return strings.Compare(a.Name, b.Name) })
	data, err := encode(m)
	if err != nil {
		return nil, err
	}
	add(ManifestName, data)
	return docs, nil
}

// Reports are those of a month, as JSON: one for each account and region.
type Reports struct {
	SchemaVersion int       `json:"schemaVersion"`
	Estimate      string    `json:"estimate"`
	Month         string    `json:"month"`
	Reports       []*Report `json:"reports"`
}

// JSON writes the reports of a month for machines.
func JSON(w io.Writer, reports []*Report) error {
	data, err := encode(Reports{1, Estimate, reports[0].Month, reports})
	if err != nil {
		return err
	}
	_, err = w.Write(data)
	return err
}

// CatalogueJSON is every version of the terms.
func CatalogueJSON() ([]byte, error) { return encode(Catalogue()) }

func encode(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	err := e.Encode(v)
	return b.Bytes(), err
}

// maxManifest and maxFile bound what is read of a claim folder.
const (
	maxManifest = 256 << 20
	maxFile     = 1 << 30
)

// Verify compares a claim folder with its manifest and says what differs. The
// manifest cannot prove itself: its own SHA-256 is returned, to compare with the
// one that was printed when the claim was made.
func Verify(dir fs.FS) (m Manifest, hash string, problems []string, err error) {
	data, err := readBounded(dir, ManifestName, maxManifest)
	switch {
	case errors.Is(err, errIrregular):
		return m, "", []string{ManifestName + ": " + err.Error()}, nil
	case errors.Is(err, fs.ErrNotExist):
		return m, "", nil, fmt.Errorf("it has no %s", ManifestName)
	case err != nil:
		return m, "", nil, fmt.Errorf("read the manifest: %w", err)
	}
	hash = Sum256(data)
	// Whatever becomes of it, nothing of it may steer a terminal.
	defer func() { m.Account, m.Region, m.Month = printable(m.Account), printable(m.Region), printable(m.Month) }()
	switch err := json.Unmarshal(data, &m); {
	case m.Format == manifestFormat && m.Version != manifestVersion:
		return m, hash, []string{ManifestName + ": " + ofVersion(m.Version, manifestVersion)}, nil
	case err != nil || m.Format != manifestFormat:
		return m, hash, []string{ManifestName + ": changed: it is no manifest of a claim of keywatch"}, nil
	}
	if again, err := encode(m); err != nil || !bytes.Equal(again, data) {
		problems = append(problems, ManifestName+": changed: it is not as keywatch writes it")
	}
	listed := map[string]bool{ManifestName: true}
	data, err = readBounded(dir, FiledName, maxFile)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case errors.Is(err, errIrregular):
		listed[FiledName] = true
		problems = append(problems, FiledName+": "+err.Error())
	case err != nil:
		return m, hash, nil, fmt.Errorf("read %s: %w", FiledName, err)
	default:
		listed[FiledName] = true
		if _, err := ReadFiling(data, hash); err != nil {
			problems = append(problems, fmt.Sprintf("%s: changed: %v", FiledName, err))
		}
	}
	for _, d := range m.Files {
		if !fs.ValidPath(d.Name) || strings.Contains(d.Name, "/") || d.Name == ManifestName || d.Name == FiledName {
			problems = append(problems, fmt.Sprintf("%s: changed: it lists %q, which is no file of the claim", ManifestName, d.Name))
			continue
		}
		if listed[d.Name] {
			problems = append(problems, fmt.Sprintf("%s: changed: it lists %s twice", ManifestName, named(d.Name)))
			continue
		}
		listed[d.Name] = true
		data, err := readBounded(dir, d.Name, maxFile)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			problems = append(problems, named(d.Name)+": missing")
		case errors.Is(err, errIrregular):
			problems = append(problems, named(d.Name)+": "+err.Error())
		case err != nil:
			return m, hash, nil, fmt.Errorf("read %s: %w", d.Name, err)
		case Sum256(data) != d.SHA256:
			problems = append(problems, named(d.Name)+": changed")
		case d.Name == "report.json":
			var s Summary
			if json.Unmarshal(data, &s) != nil || s.Account != m.Account || s.Region != m.Region || s.Month != m.Month {
				problems = append(problems, fmt.Sprintf("%s: changed: its account, region and month are not those of report.json", ManifestName))
			}
		}
	}
	for _, name := range always {
		if !slices.ContainsFunc(m.Files, func(d Digest) bool { return d.Name == name }) {
			problems = append(problems, fmt.Sprintf("%s: changed: it does not list %s, which every claim has", ManifestName, name))
		}
	}
	entries, err := fs.ReadDir(dir, ".") // a claim has no folders, so one is extra, empty or not
	for _, e := range entries {
		if !listed[e.Name()] {
			problems = append(problems, named(e.Name())+": extra: the manifest does not list it")
		}
	}
	return m, hash, problems, err
}

// named quotes a file name that a terminal would not show as it is.
func named(name string) string {
	if quoted := strconv.Quote(name); quoted != `"`+name+`"` {
		return quoted
	}
	return name
}

// errIrregular is of a link, a folder or a pipe: what it leads to is no part of the
// claim folder, and can change without it.
var errIrregular = errors.New("is no regular file")

func readBounded(dir fs.FS, name string, most int64) ([]byte, error) {
	if info, err := fs.Lstat(dir, name); err != nil {
		return nil, err
	} else if !info.Mode().IsRegular() {
		return nil, errIrregular
	}
	f, err := dir.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, most+1))
	if err == nil && int64(len(data)) > most {
		err = fmt.Errorf("it has more than %d bytes", most)
	}
	return data, err
}

func (r *Report) intervalsCSV() []byte {
	var b bytes.Buffer
	w := csv.NewWriter(&b)
	_ = w.Write([]string{"begins_utc", "ends_utc", "requests", "faults", "contestable_faults", "rejected", "unknown_errors", "availability_percent", "availability_with_contestable_percent", "requests_from", "successful_request", "call_count"})
	for i, iv := range r.in.Intervals {
		without, with, from, successes, calls := "100.0000", "100.0000", "", "", ""
		if r.in.Kept != nil && r.in.Kept[i].Known {
			successes = fmt.Sprint(r.in.Kept[i].Successes)
		}
		if n := r.in.calls(i); n != nil {
			calls = fmt.Sprint(*n)
		}
		if iv.Requests > 0 {
			without, with = availability(iv.Requests, iv.Faults), availability(iv.Requests, iv.Faults+iv.Contestable)
			from = iv.from()
		}
		_ = w.Write([]string{
			stamp(r.in.Month.IntervalStart(i)), stamp(r.in.Month.IntervalStart(i + 1)),
			fmt.Sprint(iv.Requests), fmt.Sprint(iv.Faults), fmt.Sprint(iv.Contestable), fmt.Sprint(iv.Rejected), fmt.Sprint(iv.Unjudged), without, with,
			from, successes, calls,
		})
	}
	w.Flush() // a bytes.Buffer does not fail
	return b.Bytes()
}

func (r *Report) requestsCSV() []byte {
	var b bytes.Buffer
	w := csv.NewWriter(&b)
	_ = w.Write([]string{"time_utc", "request_id", "operation", "error_code", "http_status", "key_arn", "counted_as", "source"})
	for _, q := range r.Failed {
		status, class := "", "fault"
		if q.Status != 0 {
			status = fmt.Sprint(q.Status)
		}
		if q.Class == Contestable {
			class = "contestable fault"
		}
		_ = w.Write([]string{stamp(q.Time), q.ID, q.Operation, q.Code, status, q.Key, class, q.Source})
	}
	w.Flush()
	return b.Bytes()
}

// review is for the person who reviews the claim, and no part of what is sent.
func (r *Report) review() []byte {
	var b bytes.Buffer
	chapter := func(title string, items []string) {
		if len(items) > 0 {
			fmt.Fprintf(&b, "\n%s\n%s\n\n", title, strings.Repeat("-", len(title)))
		}
		for _, item := range items {
			Fold(&b, "- ", item)
		}
	}
	fmt.Fprintln(&b, "For the person who reviews the claim; this file is not sent")
	fmt.Fprintln(&b, "===========================================================")
	chapter("Send it", []string{
		fmt.Sprintf("To be received by %s, the earlier of: %s.", r.Deadline, strings.Join(r.Deadlines, "; ")),
		fmt.Sprintf("Open the case in the AWS Support Center of account %s, under Account and billing; keywatch sla file does so where the support plan has an API.", r.Account),
		fmt.Sprintf("Subject of the case: %s", subject(r.terms, r.Region, r.in.Month)),
		"Text of the case: claim.md. Attach claim.md, requests.csv and intervals.csv.",
	})
	chapter("Missing: a claim that lacks such a piece was denied", r.Missing)
	chapter("Assumed, and not said in the claim", r.terms.reminders())
	return b.Bytes()
}

// request is what is asked for: by the reading that AWS cannot contest, if that alone
// misses the commitment.
func (r *Report) request() string {
	f, rests := r.Figure, ""
	unpaid := f.AboveFloor != nil && !*f.AboveFloor && *r.Contestable.AboveFloor
	switch {
	case f.Missed && unpaid:
		f, rests = r.Contestable, fmt.Sprintf(" It is the figure with contestable faults; the one without them is not above $%s, the least that is paid.", r.terms.Floor.Value)
	case !f.Missed:
		f, rests = r.Contestable, " It is the figure with contestable faults; without them the commitment was kept."
	case r.Contestable.Faults > f.Faults:
		rests = " It is the figure without contestable faults; the one with them is shown beside."
	}
	credit := fmt.Sprintf("%d %%", f.Percent)
	if f.Credit != "" {
		credit += " ($" + f.Credit + ")"
	}
	return fmt.Sprintf("We request a Service Credit of %s of the charges for KMS in %s, %s.%s", credit, r.Region, r.month(), rests)
}

// tableIndent makes a code block of a table in Markdown.
const tableIndent = "    "

// markdown is the claim itself, to be read by a person and pasted into a case. There
// Markdown is shown as it is written, so it is written to be read as plain text.
func (r *Report) markdown() []byte {
	var b bytes.Buffer
	p := func(format string, args ...any) { Fold(&b, "", fmt.Sprintf(format, args...)) }
	item := func(format string, args ...any) { Fold(&b, "- ", fmt.Sprintf(format, args...)) }
	row := func(name, format string, args ...any) {
		fmt.Fprintf(&b, "%s%-16s %s\n", tableIndent, name, fmt.Sprintf(format, args...))
	}
	space := func() { fmt.Fprintln(&b) }
	title := func(line, text string) {
		fmt.Fprintf(&b, "%s\n%s\n\n", text, strings.Repeat(line, len(text)))
	}
	chapter := func(text string) { space(); title("-", text) }

	title("=", subject(r.terms, r.Region, r.in.Month))
	p("%s", r.request())
	space()
	p("%s", r.Estimate)
	space()
	row("Account", "%s", r.Account)
	row("Region", "%s", r.Region)
	row("Billing cycle", "%s (UTC)", r.month())
	row("  begins", "%s", stamp(r.in.Month.Start()))
	row("  ends", "%s", stamp(r.in.Month.End()))
	row("Requests", "%d", r.Requests)

	chapter("Computation")
	p("Each of the %d intervals of 5 minutes has an error rate: failed requests divided by requests, 0 without requests. The commitment of %s %% allows a sum of %s. All of it was computed exactly and is cut off here, never rounded up.", r.Intervals, r.terms.Commitment.Value, r.Allowed)
	space()
	fmt.Fprintf(&b, "%sMonthly Uptime Percentage = 100 × (1 − sum / %d)\n\n", tableIndent, r.Intervals)
	r.figures(&b, tableIndent)
	space()
	p("Contestable faults may come from a custom key store of the customer's own.")
	space()
	for _, f := range []struct {
		name string
		Figure
	}{{"without contestable faults", r.Figure}, {"with contestable faults", r.Contestable}} {
		if f.SumExact != "" && f.UptimeExact != "" {
			item("Exactly, %s: sum %s, uptime %s %%.", f.name, f.SumExact, f.UptimeExact)
		}
	}

	chapter("Affected keys")
	if len(r.Keys) == 0 {
		p("No log names one.")
	}
	for _, key := range r.Keys {
		item("%s", key)
	}
	if r.MoreKeys {
		item("and more, which the logs name")
	}

	chapter("Incidents: intervals below 100 %")
	p("All are in the region %s, and end 5 minutes after they begin.", r.Region)
	space()
	r.intervals(&b, tableIndent, len(r.Below))
	space()
	if r.FromMetric > 0 {
		p("Of %s the requests are those that CloudWatch counted (%s) and the failed ones of the logs; intervals.csv says which.", count(r.FromMetric, "interval"), Metric)
	}
	p("All %d intervals are in intervals.csv. requests.csv has %s with request IDs%s.", r.Intervals, count(len(r.Failed), "failed request"), more(r.MoreFailed))

	if len(r.Codes) > 0 {
		chapter("Errors by code, of all requests of the month")
		r.codes(&b, tableIndent, len(r.Codes))
	}

	chapter("AWS Health")
	if r.in.Health == nil {
		p("No events were given.")
	} else {
		p("%s.", r.healthGiven())
	}
	for i, e := range r.Health {
		if i == 0 {
			space()
		}
		item("%s (%s) %s, over %s: %s", e.Type, e.Category, e.span(), r.during(e), e.ARN)
	}

	chapter("How the logs were read")
	for _, s := range r.Sources {
		item("%s", s.tell())
	}
	if r.Contradictory > 0 {
		item("%s.", r.contradictory())
	}
	item("requests.csv: %s", Redaction)
	item("The name and SHA-256 of each input are kept; we send them on request.")

	chapter("Terms used, and what is assumed")
	p("KMS SLA, last updated %s. Read at the source: the commitment, the tiers, and that a credit is paid above $%s only. Assumed:", r.Terms, r.terms.Floor.Value)
	space()
	for _, a := range r.computed {
		item("%s", a)
	}
	return b.Bytes()
}

func (r *Report) month() string { return r.in.Month.long() }

// during says which of the intervals below 100 % an event overlaps.
func (r *Report) during(e Event) string {
	var over []Bad
	for _, b := range r.Below {
		if slices.Contains(b.Health, e.ARN) {
			over = append(over, b)
		}
	}
	switch n := len(over); n {
	case 0:
		return "no interval below 100 %"
	case 1:
		return "the interval of " + minute(over[0].Start) + " below 100 %"
	default:
		return fmt.Sprintf("%s below 100 %%, the first of %s and the last of %s", count(n, "interval"), minute(over[0].Start), minute(over[n-1].Start))
	}
}

func more(n int64) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprintf("; the logs have %d more (of each interval the first 50 by ID are listed)", n)
}

// TermsText writes the catalogue for a terminal: each term with how sure it is
// and the number of its source.
func TermsText(w io.Writer) {
	var sources []string
	term := func(mark Mark, source, format string, args ...any) {
		n := slices.Index(sources, source)
		if n < 0 {
			n = len(sources)
			sources = append(sources, source)
		}
		Fold(w, fmt.Sprintf("  %-8s ", mark), fmt.Sprintf(format, args...)+fmt.Sprintf(" [%d]", n+1))
	}
	for _, t := range Catalogue() {
		fmt.Fprintf(w, "KMS SLA, last updated %s\n", t.Version)
		one(term, t.Effective, "in force from %v")
		one(term, t.Commitment, "commitment: %v %%")
		one(term, t.Scope, "applies to %v")
		for _, tier := range t.Tiers.Value {
			term(t.Tiers.Mark, t.Tiers.Source, "credit: below %s %%, %d %% of the charges", tier.Below, tier.Percent)
		}
		one(term, t.Floor, "a credit is paid only above $%v")
		one(term, t.Interval, "intervals of %v seconds")
		one(term, t.Uptime, "Monthly Uptime Percentage: %v")
		one(term, t.Idle, "an interval without requests: %v")
		one(term, t.Error, "an error: %v")
		for _, f := range []Fact[[]Code]{t.Faults, t.Unmodelled, t.Contested, t.Excluded} {
			for _, c := range f.Value {
				term(f.Mark, f.Source, "%s: %s, %s", c.Class, c.Code, c.Why)
			}
		}
		for _, f := range []Fact[[]string]{t.Client, t.Common} {
			term(f.Mark, f.Source, "client errors: %s", strings.Join(f.Value, ", "))
		}
		for _, e := range t.Exclusions.Value {
			term(t.Exclusions.Mark, t.Exclusions.Source, "excluded: %s", e)
		}
		one(term, t.ClaimCycles, "claim window: to the end of billing cycle %v after the incident")
		one(term, t.ClaimDays, "claim window: %v days after the billing period; the earlier is used")
		one(term, t.Subject, "the subject of a claim has the words %q")
		for _, c := range t.Contents.Value {
			term(t.Contents.Mark, t.Contents.Source, "a claim needs %s", c)
		}
		fmt.Fprintln(w)
	}
	fmt.Fprintf(w, "Sources, as of %s\n", readOn)
	for i, source := range sources {
		Fold(w, fmt.Sprintf("  [%d] ", i+1), source)
	}
}

func one[T any](term func(Mark, string, string, ...any), f Fact[T], format string) {
	term(f.Mark, f.Source, format, f.Value)
}
