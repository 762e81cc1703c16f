package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"
	"unicode"

	"github.com/spf13/cobra"

	"keywatch/internal/sla"
)

// sending is one run of `sla file`.
type sending struct {
	dir, confirm      string
	service, category string
	incomplete        bool
}

func (w *World) slaFileCommand() *cobra.Command {
	var f sending
	cmd := &cobra.Command{
		Use:   "file DIR",
		Short: "open the case of a claim, once a person has confirmed it",
		Long: `Show the case that would be opened for a claim folder: service and category, which
are looked up at AWS Support, subject, text, attachments. With --confirm and the
SHA-256 of the manifest, which keywatch sla claim printed, the case is opened.
Without credentials it is shown all the same, but for what is looked up, with exit
status 3.

The folder must be unchanged. What was sent is recorded in filed.json in the folder;
keywatch sla verify knows that file. A claim that has a record, or a case with the same
subject, is not sent again. AWS Support has an API from the Business plan on; without
one, the steps for the console are printed. A claim that lacks a piece is sent only with
--incomplete.`,
		Example: "  keywatch sla file claim-2026-10\n  keywatch sla file claim-2026-10 --confirm 3f5a…",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := checkHash(cmd, "confirm"); err != nil {
				return err
			}
			f.dir = args[0]
			return w.file(cmd.Context(), f)
		},
	}
	cmd.Flags().StringVar(&f.confirm, "confirm", "", "the SHA-256 of the manifest: open the case")
	cmd.Flags().BoolVar(&f.incomplete, "incomplete", false, "send a claim that lacks a piece")
	cmd.Flags().StringVar(&f.service, "service", "", "service code of AWS Support (default: the one about billing)")
	cmd.Flags().StringVar(&f.category, "category", "", "category code (default: the service's one about credits)")
	return cmd
}

func (w *World) file(ctx context.Context, f sending) error {
	c, hash, err := w.caseOf(f)
	if err != nil {
		return err
	}
	s, _, err := w.witness(ctx, c.Account, c.Region, "the claim")
	if err != nil {
		return w.notLookedUp(f, c, err)
	}
	services, err := s.SupportServices(ctx)
	switch {
	case errors.Is(err, sla.ErrNoPlan):
		return w.noCase(f, c, err)
	case err != nil:
		return w.notLookedUp(f, c, environment(fmt.Errorf("nothing was sent: %w", err)))
	}
	service, category, err := sla.Choose(services, f.service, f.category)
	if err != nil {
		w.note("error", "%v", err)
		return errGate
	}
	if err := w.showCase(c, coded(service.Code, service.Name), coded(category.Code, category.Name)); err != nil {
		return err
	}
	open, err := s.SupportCase(ctx, c.Subject)
	if err != nil {
		return w.noCase(f, c, err)
	}
	if open != "" {
		w.note("error", "AWS Support has a case with this subject already: %s; nothing was sent", open)
		w.note("hint", "look at it in the AWS Support Center, and write there what is to be added")
		return errGate
	}
	if f.confirm == "" {
		w.note("notice", "nothing was sent; when you have reviewed it: %s", f.command(hash, len(c.Missing) > 0))
		return nil
	}
	return w.send(ctx, s, f, c, hash, service.Code, category.Code)
}

// command is what sends the claim with that manifest: to be copied as it is.
func (f sending) command(hash string, incomplete bool) string {
	words := []string{"keywatch", "sla", "file", quoted(f.dir), "--confirm", hash}
	if incomplete {
		words = append(words, "--incomplete")
	}
	if f.service != "" {
		words = append(words, "--service", quoted(f.service))
	}
	if f.category != "" {
		words = append(words, "--category", quoted(f.category))
	}
	return strings.Join(words, " ")
}

var plainWord = regexp.MustCompile(`^[A-Za-z0-9_./:=@%+,-]+$`)

// quoted is one word for a shell.
func quoted(word string) string {
	if plainWord.MatchString(word) {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}

// caseOf makes the case of a folder that is unchanged and was not sent.
func (w *World) caseOf(f sending) (*sla.Case, string, error) {
	m, hash, problems, err := verifyClaim(f.dir)
	if err != nil {
		return nil, "", err
	}
	for _, p := range problems {
		w.note("error", "%s: %s", f.dir, p)
	}
	filed, err := w.readFiling(f.dir, hash)
	if len(problems) > 0 {
		// One that was sent must not be made anew, and sent twice.
		switch {
		case err != nil && m.Account == "":
			w.note("hint", "nobody can say whether it was sent, nor of which account it is; look in the AWS Support Center for a case about KMS; only if there is none, remove %s and make the claim anew", filepath.Join(f.dir, sla.FiledName))
		case err != nil:
			w.note("hint", "nobody can say whether it was sent; look in the AWS Support Center of account %s for a case about KMS, %s, %s; only if there is none, remove %s and repeat", m.Account, m.Region, m.Month, filepath.Join(f.dir, sla.FiledName))
		case filed != nil:
			w.note("hint", "it was sent on %s already; look in the AWS Support Center for a case %q", filed.Sent.Format(time.RFC3339), filed.Subject)
		default:
			w.note("hint", "only an unchanged claim is sent; make it anew with keywatch sla claim")
		}
		return nil, "", errGate
	}
	switch {
	case err != nil:
		return nil, "", environment(fmt.Errorf("%s: %w", f.dir, err))
	case filed != nil && filed.Case == "":
		w.note("error", "%s was sent on %s, and it is not known whether the case was opened; nothing was sent", f.dir, filed.Sent.Format(time.RFC3339))
		w.note("hint", "look in the AWS Support Center for a case %q; only if there is none, remove %s and repeat", filed.Subject, filepath.Join(f.dir, sla.FiledName))
		return nil, "", errGate
	case filed != nil:
		w.note("error", "%s was sent on %s as %s; nothing was sent again", f.dir, filed.Sent.Format(time.RFC3339), filed.Case)
		return nil, "", errGate
	case f.confirm != "" && !strings.EqualFold(f.confirm, hash):
		w.note("error", "--confirm is %s, and the SHA-256 of the manifest of %s is %s; nothing was sent", f.confirm, f.dir, hash)
		w.note("hint", "review this claim with keywatch sla file %s, and confirm the one that you have reviewed", quoted(f.dir))
		return nil, "", errGate
	}
	c, err := sla.NewCase(os.DirFS(f.dir), m)
	if err != nil {
		return nil, "", environment(fmt.Errorf("%s: %w", f.dir, err))
	}
	for _, piece := range c.Missing {
		w.note("warning", "the claim lacks a piece: %s", strings.ReplaceAll(plainText(piece), "\n", " "))
	}
	if len(c.Missing) > 0 && f.confirm != "" && !f.incomplete {
		w.note("error", "the claim in %s lacks %s; nothing was sent", f.dir, counted(len(c.Missing), "piece"))
		w.note("hint", "mend the claim, or send it as it is with --incomplete")
		return nil, "", errGate
	}
	if w.Now != nil && sla.Late(c.Deadline, w.Now()) {
		w.note("warning", "the claim was due by %s, by the earlier reading of the agreement", c.Deadline.Format(time.DateOnly))
	}
	return c, hash, nil
}

// readFiling is the record of a claim with that manifest, or nil. A pipe could be read
// without end, and a link leads to a record that is not of this folder.
func (w *World) readFiling(dir, hash string) (*sla.Filing, error) {
	path := filepath.Join(dir, sla.FiledName)
	if info, err := os.Lstat(path); err == nil && !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is no regular file", sla.FiledName)
	}
	data, err := w.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	filed, err := sla.ReadFiling(data, hash)
	return &filed, err
}

// notLookedUp shows a case of which AWS Support could not be asked, and fails with the
// reason. To review it, nobody needs credentials; what is confirmed was reviewed.
func (w *World) notLookedUp(f sending, c *sla.Case, why error) error {
	if f.confirm != "" {
		return why
	}
	const unknown = "not looked up"
	if err := w.showCase(c, unknown, unknown); err != nil {
		return err
	}
	return environment(fmt.Errorf("service and category were not looked up: %w", why))
}

func coded(code, name string) string { return fmt.Sprintf("%s (%s)", code, plainText(name)) }

// showCase prints exactly what is sent.
func (w *World) showCase(c *sla.Case, service, category string) error {
	var b bytes.Buffer
	fmt.Fprintf(&b, "service      %s\n", service)
	fmt.Fprintf(&b, "category     %s\n", category)
	fmt.Fprintf(&b, "issue type   %s\n", sla.IssueType)
	fmt.Fprintf(&b, "account      %s\n", c.Account)
	fmt.Fprintf(&b, "claim by     %s\n", c.Deadline.Format(time.DateOnly))
	showText(&b, c)
	_, err := w.Stdout.Write(b.Bytes())
	return output(err)
}

func showText(b *bytes.Buffer, c *sla.Case) {
	for _, d := range c.Attachments {
		fmt.Fprintf(b, "attachment   %s, %s\n", d.Name, counted(len(d.Data), "byte"))
	}
	fmt.Fprintf(b, "subject      %s\n\n%s", c.Subject, plainText(c.Body))
}

// plainText keeps text that others wrote from steering a terminal.
func plainText(s string) string {
	return strings.Map(func(r rune) rune {
		if r != '\n' && (unicode.IsControl(r) || unicode.Is(unicode.Cf, r)) {
			return unicode.ReplacementChar
		}
		return r
	}, s)
}

// noCase is a failure of AWS Support. Without a plan that has its API, the console
// takes the same case from a person.
func (w *World) noCase(f sending, c *sla.Case, err error) error {
	if !errors.Is(err, sla.ErrNoPlan) {
		return environment(fmt.Errorf("nothing was sent: %w", err))
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, `The support plan of account %s has no API. A case about the bill can be opened in the
console on every plan:

1. Sign in to account %[1]s and open the AWS Support Center, "Create case".
2. Choose "Account and billing", the service and category about billing and credits.
3. Subject and description are below, and which files of %s to attach.
4. Send it by %s, and keep the case ID.

`, c.Account, f.dir, c.Deadline.Format(time.DateOnly))
	showText(&b, c)
	if _, err := w.Stdout.Write(b.Bytes()); err != nil {
		return output(err)
	}
	return environment(advised{
		fmt.Errorf("nothing was sent: %w", err),
		"open the case in the console: the steps and the text are on standard output",
	})
}

// send opens the case. The record comes first: if this process ends while AWS is
// asked, it says that nobody knows.
func (w *World) send(ctx context.Context, s Witness, f sending, c *sla.Case, hash, service, category string) error {
	set, err := s.Attach(ctx, c.Attachments)
	if err != nil {
		return w.noCase(f, c, err)
	}
	path := filepath.Join(f.dir, sla.FiledName)
	filing := sla.NewFiling(hash, c.Subject, w.Now())
	if err := newFile(path, filing); err != nil {
		return environment(fmt.Errorf("nothing was sent: record what is sent: %w", err))
	}
	id, err := s.OpenCase(ctx, c, service, category, set)
	if errors.Is(err, sla.ErrUnsure) {
		// There was none with this subject a moment ago. If there is none now either, it
		// may still be on its way.
		if found, failed := s.SupportCase(ctx, c.Subject); failed == nil && found != "" {
			w.note("notice", "the answer was lost (%v), and the case is there", err)
			id, err = found, nil
		}
	}
	if errors.Is(err, sla.ErrUnsure) {
		return environment(advised{
			fmt.Errorf("the case may have been opened; look before you repeat: %w", err),
			fmt.Sprintf("look in the AWS Support Center for a case %q; only if there is none, remove %s and repeat", c.Subject, path),
		})
	}
	if err != nil {
		return w.noCase(f, c, errors.Join(err, os.Remove(path)))
	}
	filing.Case = id
	data, err := filing.Encode()
	if err == nil {
		err = replaceFile(path, data)
	}
	if err != nil {
		return environment(fmt.Errorf("the case was opened as %s; %s could not be completed: %w", id, path, err))
	}
	w.note("notice", "the case was opened as %s; %s says so", id, path)
	return nil
}

// newFile writes a record where there is none yet: of two that file one claim at
// once, the second fails.
func newFile(path string, filing sla.Filing) error {
	data, err := filing.Encode()
	if err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	return errors.Join(err, f.Sync(), f.Close())
}
