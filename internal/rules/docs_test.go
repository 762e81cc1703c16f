package rules_test

import (
	"os"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"

	"keywatch/internal/inventory"
	"keywatch/internal/rules"
)

// table is the table in docs/rules.md that is marked with the name, without the
// line below the head.
func table(t *testing.T, name string) [][]string {
	t.Helper()
	text, err := os.ReadFile("../../docs/rules.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, found := strings.Cut(string(text), "<!-- table: "+name+" -->\n\n")
	if !found {
		t.Fatalf("docs/rules.md has no table %s", name)
	}
	var rows [][]string
	for line := range strings.Lines(rest) {
		if !strings.HasPrefix(line, "|") {
			break
		}
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), " | ")
		for i := range cells {
			cells[i] = strings.ReplaceAll(strings.Trim(strings.TrimSpace(cells[i]), "`"), `\|`, "|")
		}
		if strings.HasPrefix(line, "|---") {
			continue
		}
		if rows = append(rows, cells); len(cells) != len(rows[0]) {
			t.Fatalf("a row has %d cells of %d: %s", len(cells), len(rows[0]), line)
		}
	}
	if len(rows) < 3 {
		t.Fatalf("table %s has %d rows", name, len(rows))
	}
	return rows
}

// holdTable asks each condition of a table about the key of each column.
func holdTable(t *testing.T, rows [][]string, keys []*inventory.Key) {
	t.Helper()
	for _, row := range rows[1:] {
		engine := rules.New(ruleSet(t, "  - {name: r, watch: false, match: "+row[0]+"}\n"))
		for i, k := range keys {
			got := "unknown"
			switch d := engine.Decide(k); d.Status {
			case rules.OutOfScope:
				got = "yes"
			case rules.Unmatched:
				got = "no"
			}
			if got != row[i+1] {
				t.Errorf("%s on %s: docs/rules.md says %s, the program %s", row[0], rows[0][i+1], row[i+1], got)
			}
		}
	}
}

func TestDocumentedTags(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"tags", "unicode"} {
		rows := table(t, name)
		var keys []*inventory.Key
		for _, column := range rows[0][1:] {
			k := key()
			switch column {
			case "no tag":
			case "hidden":
				k.Unreadable = inventory.ReasonTags + "AccessDeniedException"
			default:
				var value string
				if err := yaml.Unmarshal([]byte(column), &value); err != nil {
					t.Fatal(err)
				}
				k.Tags = []inventory.Tag{{Key: "env", Value: value}}
			}
			keys = append(keys, k)
		}
		holdTable(t, rows, keys)
	}
}

func TestDocumentedFacts(t *testing.T) {
	t.Parallel()
	var keys []*inventory.Key
	for _, row := range table(t, "keys")[1:] {
		k := &inventory.Key{ID: row[2], Tags: []inventory.Tag{{Key: "env", Value: "prod"}}}
		for alias := range strings.SplitSeq(row[1], "`, `") {
			if alias != "none" {
				k.Aliases = append(k.Aliases, inventory.Alias{Name: alias})
			}
		}
		if row[3] == "unknown" {
			k.Unreadable = "kms:DescribeKey: AccessDeniedException"
		} else {
			k.Manager, k.Usage, k.Spec, k.Origin, k.State, k.MultiRegion = "CUSTOMER", row[3], row[4], row[5], row[6], row[7] == "true"
			var err error
			if k.Created, err = time.Parse(time.RFC3339, row[8]); err != nil {
				t.Fatal(err)
			}
		}
		keys = append(keys, k)
	}
	holdTable(t, table(t, "facts"), keys)
}
