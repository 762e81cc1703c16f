package sla

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"time"
)

// FiledName is the record of a filing, beside the manifest. It is not of the claim
// and not in the manifest; [Verify] takes it only if it is of that manifest.
const FiledName = "filed.json"

// Filing says that a claim was sent. Case is empty while nobody knows whether the
// case was opened.
type Filing struct {
	Format   string    `json:"format"`
	Version  int       `json:"version"`
	Manifest string    `json:"manifestSHA256"`
	Subject  string    `json:"subject"`
	Sent     time.Time `json:"sent"`
	Case     string    `json:"caseId,omitempty"`
}

const (
	filingFormat  = "keywatch-sla-filing"
	filingVersion = 1
)

// NewFiling is the record of a case that is about to be opened.
func NewFiling(manifest, subject string, sent time.Time) Filing {
	return Filing{filingFormat, filingVersion, manifest, subject, sent.UTC().Truncate(time.Second), ""}
}

// Encode is the file.
func (f Filing) Encode() ([]byte, error) { return encode(f) }

// ReadFiling reads the record of a claim with that manifest.
func ReadFiling(data []byte, manifest string) (Filing, error) {
	var f Filing
	switch err := json.Unmarshal(data, &f); {
	case f.Format == filingFormat && f.Version != filingVersion:
		return f, fmt.Errorf("it is of version %d of its format, and this keywatch reads version %d; use the keywatch that wrote it", f.Version, filingVersion)
	case err != nil || f.Format != filingFormat:
		return f, errors.New("it is no record of a filing of keywatch")
	}
	if f.Manifest != manifest {
		return f, errors.New("it is the record of another claim")
	}
	f.Subject, f.Case = shownText(f.Subject), printable(f.Case)
	return f, nil
}

// shownText is printable with the spaces and commas of a subject.
func shownText(s string) string {
	return strings.Map(func(r rune) rune {
		if r == ' ' || r == ',' {
			return r
		}
		return []rune(printable(string(r)))[0]
	}, s)
}

// Limits of a case. Three files of 5 MB are of "AddAttachmentsToSet" (AWS Support
// API Reference); the length of the text is that of the console, and assumed.
const (
	maxBody       = 8000
	maxAttachment = 5 << 20
)

// IssueType is that of account and billing.
const IssueType = "customer-service"

// Case is what is sent to AWS Support.
type Case struct {
	Account, Region, Month string
	Subject, Body          string
	Attachments            []Document
	// Missing are the pieces that the claim lacks.
	Missing []string
	// Deadline is the last day.
	Deadline time.Time
}

// subject has the words that the agreement asks for.
func subject(t Terms, region string, m Month) string {
	return fmt.Sprintf("%s: AWS KMS, %s, %s", t.Subject.Value, region, m.long())
}

// NewCase makes a case of a claim folder that is verified.
func NewCase(dir fs.FS, m Manifest) (*Case, error) {
	month, err := ParseMonth(m.Month)
	if err != nil {
		return nil, err
	}
	terms, err := TermsOf(month)
	if err != nil {
		return nil, err
	}
	c := &Case{Account: m.Account, Region: m.Region, Month: m.Month, Subject: subject(terms, m.Region, month), Deadline: terms.Deadline(month)}
	for _, name := range []string{"claim.md", "requests.csv", "intervals.csv"} {
		data, err := readBounded(dir, name, maxFile)
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", name, err)
		}
		if name == "claim.md" {
			c.Body = body(data)
		}
		d, err := attachment(name, data)
		if err != nil {
			return nil, err
		}
		c.Attachments = append(c.Attachments, d)
	}
	s, err := ReadSummary(dir)
	if err != nil {
		return nil, err
	}
	c.Missing = s.Missing
	return c, nil
}

// body is the claim, or its beginning up to the end of a line.
func body(claim []byte) string {
	const rest = "\n(The whole claim is attached: claim.md)\n"
	if len(claim) <= maxBody {
		return string(claim)
	}
	cut := claim[:maxBody-len(rest)]
	return string(cut[:bytes.LastIndexByte(cut, '\n')+1]) + rest
}

// attachment packs a file that is too large as it is.
func attachment(name string, data []byte) (Document, error) {
	if len(data) <= maxAttachment {
		return Document{name, data}, nil
	}
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if _, err := z.Write(data); err != nil {
		return Document{}, err
	}
	if err := z.Close(); err != nil {
		return Document{}, err
	}
	if b.Len() > maxAttachment {
		return Document{}, fmt.Errorf("%s has %d bytes even as gzip, and AWS Support takes at most %d of a file; open the case in the console, where its parts can follow", name, b.Len(), maxAttachment)
	}
	return Document{name + ".gz", b.Bytes()}, nil
}

// Summary is what a claim folder says of itself.
type Summary struct {
	SchemaVersion int      `json:"schemaVersion"`
	Account       string   `json:"account"`
	Region        string   `json:"region"`
	Month         string   `json:"month"`
	Missing       []string `json:"missing"`
	Without       Figure   `json:"withoutContestable"`
	With          Figure   `json:"withContestable"`
}

// summaryVersion is that of report.json.
const summaryVersion = 1

// ReadSummary reads report.json of a claim folder.
func ReadSummary(dir fs.FS) (Summary, error) {
	var s Summary
	data, err := readBounded(dir, "report.json", maxFile)
	if err == nil {
		err = json.Unmarshal(data, &s)
	}
	if err == nil && s.SchemaVersion != summaryVersion {
		err = errors.New(ofVersion(s.SchemaVersion, summaryVersion))
	}
	if err != nil {
		return s, fmt.Errorf("read report.json: %w", err)
	}
	return s, nil
}

// Service is one that AWS Support has cases for, with its categories.
type Service struct {
	Code, Name string
	Categories []Category
}

// Category is one of a service.
type Category struct{ Code, Name string }

// Choose looks up the service and category of a case about the bill, in what AWS
// Support says there is. What the user names must be among it.
func Choose(services []Service, service, category string) (Service, Category, error) {
	var named []string
	billing := func(s Service) bool {
		return s.Code == service || service == "" && strings.Contains(strings.ToLower(s.Name), "billing")
	}
	var found []Service
	for _, s := range services {
		named = append(named, s.Code)
		if billing(s) {
			found = append(found, s)
		}
	}
	slices.Sort(named)
	if len(found) != 1 {
		return Service{}, Category{}, fmt.Errorf("%d of AWS Support's services %s; name the right one with --service: %s", len(found), which(service, "are about billing"), strings.Join(named, ", "))
	}
	var codes []string
	var fit []Category
	for _, c := range found[0].Categories {
		codes = append(codes, c.Code)
		if c.Code == category || category == "" && strings.Contains(strings.ToLower(c.Name), "credit") {
			fit = append(fit, c)
		}
	}
	slices.Sort(codes)
	if len(fit) != 1 {
		return Service{}, Category{}, fmt.Errorf("%d of the categories of %s %s; name the right one with --category: %s", len(fit), found[0].Code, which(category, "are about credits"), strings.Join(codes, ", "))
	}
	return found[0], fit[0], nil
}

func which(code, about string) string {
	if code != "" {
		return fmt.Sprintf("have the code %q", code)
	}
	return about
}

// What may become of a request to AWS Support, beside an answer.
var (
	// ErrUnsure: nobody can say whether the case was opened.
	ErrUnsure = errors.New("nobody can say whether the case was opened")
	// ErrNoPlan: the account's support plan has no API.
	ErrNoPlan = errors.New("the support plan has no API")
)
