package snapshot_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"keywatch/config"
	"keywatch/internal/snapshot"
)

func page(t *testing.T) string {
	t.Helper()
	data, err := os.ReadFile("../../docs/snapshot.md")
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// The command in the docs prints the sum that the file names.
func TestTheDocumentedCommandChecksTheSum(t *testing.T) {
	t.Parallel()
	m := regexp.MustCompile(`(?m)^(grep -v .* FILE \| sha256sum)$`).FindString(page(t))
	if m == "" {
		t.Fatal("the page has no command")
	}
	data := encode(t, example())
	file := filepath.Join(t.TempDir(), "s.json")
	if err := os.WriteFile(file, data, 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.CommandContext(t.Context(), "sh", "-c", strings.Replace(m, "FILE", file, 1)).Output()
	if err != nil {
		t.Fatal(err)
	}
	sum, _, _ := strings.Cut(string(out), " ")
	if !strings.Contains(string(data), `"sha256:`+sum+`"`) {
		t.Errorf("%s prints %s, the file says otherwise", m, sum)
	}
}

// The config in the docs is valid and names a snapshot, and the table of codes
// is whole.
func TestThePageIsTrue(t *testing.T) {
	t.Parallel()
	text := page(t)
	m := regexp.MustCompile("(?ms)^```yaml\n(.*?)^```").FindStringSubmatch(text)
	if m == nil {
		t.Fatal("the page has no config")
	}
	c, problems := config.Parse("docs", []byte(m[1]), nil)
	if len(problems) > 0 || c.Inventory.Source != config.Frozen {
		t.Errorf("the config: %v", problems)
	}
	pages, err := filepath.Glob("../../docs/codes/snapshot-*.md")
	if err != nil || len(pages) < 10 {
		t.Fatalf("%d pages of codes, %v", len(pages), err)
	}
	for _, p := range pages {
		if name := filepath.Base(p); !strings.Contains(text, "(codes/"+name+")") {
			t.Errorf("the page does not name [%s]", strings.TrimSuffix(name, ".md"))
		}
	}
	form, err := os.ReadFile("../../docs/codes/snapshot-form.md")
	if err != nil {
		t.Fatal(err)
	}
	if snapshot.MaxFile != 256<<20 || !strings.Contains(string(form), "larger than 256 MiB") {
		t.Error("snapshot-form.md names another largest file")
	}
}

// The changes that the page shows are printed like that.
func TestTheDocumentedChanges(t *testing.T) {
	t.Parallel()
	const a, b, c, d = "1234abcd-12ab-34cd-56ef-1234567890ab", "2345bcde-12ab-34cd-56ef-1234567890ab", "3456cdef-12ab-34cd-56ef-1234567890ab", "4567defa-12ab-34cd-56ef-1234567890ab"
	var text strings.Builder
	if err := snapshot.Text(&text, []snapshot.Change{
		{Kind: snapshot.TagChanged, Key: a, Name: "env", From: "prod", To: "dev"},
		{Kind: snapshot.StateChanged, Key: b, Name: "state", From: "Enabled", To: "Disabled"},
		{Kind: snapshot.KeyUnreadable, Key: c, To: "kms:DescribeKey: AccessDeniedException"},
		{Kind: snapshot.AliasRepointed, Key: "5678efab-12ab-34cd-56ef-1234567890ab", Name: "alias/ledger", To: "2026-11-20T08:00:00Z"},
		{Kind: snapshot.KeyAdded, Key: d, To: "alias/orders"},
		{Kind: snapshot.PlaceAdded, Key: d + "/Decrypt", To: "1"},
	}); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(page(t), "```text\n"+text.String()+"```") {
		t.Errorf("the page does not show:\n%s", text.String())
	}
}
