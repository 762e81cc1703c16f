package snapshot_test

import (
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"keywatch/internal/inventory"
	"keywatch/internal/plan"
	"keywatch/internal/snapshot"
)

func text(t *testing.T, changes []snapshot.Change) string {
	t.Helper()
	var b strings.Builder
	if err := snapshot.Text(&b, changes); err != nil {
		t.Fatal(err)
	}
	return strings.TrimSuffix(b.String(), "\n")
}

func TestDiff(t *testing.T) {
	t.Parallel()
	const one, two = "00000001-1111-2222-3333-444444444444", "00000002-1111-2222-3333-444444444444"
	day := time.Date(2025, 5, 6, 0, 0, 0, 0, time.UTC)
	denied := refused("kms:DescribeKey: AccessDeniedException: User: arn:aws:sts::111122223333:assumed-role/a/b is not authorized")
	for name, c := range map[string]struct {
		old, new inventory.Key
		want     string
		summary  string
	}{
		"nothing":                 {key(1), key(1), "", "no change"},
		"a tag changed":           {key(1, tag("env", "prod")), key(1, tag("env", "dev")), "~ " + one + ` tag "env": "prod" -> "dev"`, "1 tag changed"},
		"a tag emptied":           {key(1, tag("env", "prod")), key(1, tag("env", "")), "~ " + one + ` tag "env": "prod" -> ""`, "1 tag changed"},
		"a tag added":             {key(1), key(1, tag("env", "prod")), "~ " + one + ` + tag "env": "prod"`, "1 tag changed"},
		"a tag removed":           {key(1, tag("env", "prod")), key(1), "~ " + one + ` - tag "env": "prod"`, "1 tag changed"},
		"a tag that hides":        {key(1, tag("a", "x")), key(1, tag("a", "\u202ex\n")), "~ " + one + ` tag "a": "x" -> "\u202ex\u000a"`, "1 tag changed"},
		"disabled":                {key(1), key(1, state("Disabled")), "~ " + one + " state: Enabled -> Disabled", "1 state changed"},
		"what never changes":      {key(1), key(1, func(k *inventory.Key) { k.MultiRegion, k.Spec = true, "SM2" }), "~ " + one + " spec: SYMMETRIC_DEFAULT -> SM2\n~ " + one + " multiRegion: false -> true", "2 other facts changed"},
		"the first alias":         {key(1), key(1, alias("a", day)), "~ " + one + " name: (none) -> alias/a, renames its alarms\n~ " + one + " + alias/a", "1 key renamed, 1 alias changed"},
		"another alias":           {key(1, alias("a", day)), key(1, alias("a", day), alias("b", day.AddDate(1, 0, 0))), "~ " + one + " + alias/b", "1 alias changed"},
		"an alias made anew":      {key(1, alias("a", day)), key(1, alias("a", day.AddDate(1, 0, 0))), "~ " + one + " alias/a: created 2025-05-06T00:00:00Z -> 2026-05-06T00:00:00Z", "1 alias changed"},
		"an alias moved and back": {key(1, alias("a", day)), key(1, moved("a", day, day.AddDate(1, 0, 0))), "! " + one + " alias/a: repointed at 2026-05-06T00:00:00Z", "1 alias changed"},
		"an alias without a date": {key(1, moved("a", day, time.Time{})), key(1, alias("a", day)), "", "no change"},
		"the naming alias gone":   {key(1, alias("a", day), alias("b", day.AddDate(1, 0, 0))), key(1, alias("b", day.AddDate(1, 0, 0))), "~ " + one + " name: alias/a -> alias/b, renames its alarms\n~ " + one + " - alias/a", "1 key renamed, 1 alias changed"},
		"unreadable":              {key(1, tag("env", "prod")), key(1, denied), "! " + one + " unreadable: kms:DescribeKey: AccessDeniedException", "1 key became unreadable"},
		"readable again":          {key(1, denied), key(1, tag("env", "prod")), "~ " + one + " readable again", "1 key readable again"},
		"refused to another":      {key(1, denied), key(1, refused("kms:DescribeKey: AccessDeniedException: User: somebody else")), "", "no change"},
		"refused something else":  {key(1, denied), key(1, refused("kms:ListResourceTags: AccessDeniedException: x")), "! " + one + " unreadable: kms:ListResourceTags: AccessDeniedException", "1 key became unreadable"},
	} {
		old, new := of(c.old, key(2)), of(c.new, key(2))
		new.Inventory.ReadAt = readAt.Add(time.Hour)
		got := snapshot.Diff(&old, &new)
		if diff := cmp.Diff(c.want, text(t, got)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
		if s := snapshot.Summary(got); s != c.summary {
			t.Errorf("%s: summary %q, want %q", name, s, c.summary)
		}
		for line := range strings.Lines(text(t, got)) {
			if utf8.RuneCountInString(line) > 100 {
				t.Errorf("%s: %d columns: %s", name, utf8.RuneCountInString(line), line)
			}
		}
	}

	old, new := of(key(1, alias("a", day))), of(key(2, denied), key(3))
	old.Places = plan.Places{Units: map[string]int{one + "/Decrypt": 1, two + "/Sign": 1, "x/Sign": 2}, Stacks: []int{1, 2, 10}}
	new.Places = plan.Places{Units: map[string]int{two + "/Sign": 3, "x/Sign": 2, "y/Sign": 2}, Stacks: []int{1, 2, 3}}
	got := snapshot.Diff(&old, &new)
	want := strings.Join([]string{
		"- key " + one + " alias/a",
		"+ key " + two,
		"! " + two + " unreadable: kms:DescribeKey: AccessDeniedException",
		"+ key 00000003-1111-2222-3333-444444444444",
		"- place " + one + "/Decrypt in stack 1",
		"! place " + two + "/Sign: stack 1 -> 3",
		"+ place y/Sign in stack 2",
		"+ stack 3",
		"- stack 10",
	}, "\n")
	if diff := cmp.Diff(want, text(t, got)); diff != "" {
		t.Errorf("keys and places (-want +got):\n%s", diff)
	}
	if s, want := snapshot.Summary(got), "2 keys added, 1 key removed, 1 key became unreadable, 1 place added, 1 place dropped, 1 place moved, 2 stacks changed"; s != want {
		t.Errorf("summary %q, want %q", s, want)
	}
}

// Equal files, no difference; any difference of the facts, a line.
func TestDiffSeesWhatEncodeWrites(t *testing.T) {
	t.Parallel()
	a, b := example(), example()
	if got := snapshot.Diff(&a, &b); len(got) > 0 {
		t.Errorf("equal snapshots differ: %v", got)
	}
	for i := range b.Inventory.Keys {
		for _, spoil := range []func(*inventory.Key){
			state("Other"), tag("zz-new", "x"), alias("zz-new", readAt),
			func(k *inventory.Key) { k.Usage = "OTHER" }, func(k *inventory.Key) { k.Origin = "OTHER" }, func(k *inventory.Key) { k.Manager = "OTHER" },
		} {
			b := example()
			k := &b.Inventory.Keys[i]
			if k.Unreadable != "" || k.Gone {
				continue
			}
			spoil(k)
			b.Inventory.Sort()
			if got := snapshot.Diff(&a, &b); len(got) != 1 && !(len(got) == 2 && got[0].Kind == snapshot.Renamed) {
				t.Errorf("key %d: %d changes: %v", i, len(got), got)
			}
		}
	}
}
