package snapshot_test

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"keywatch/internal/diag"
	"keywatch/internal/inventory"
	"keywatch/internal/plan"
	"keywatch/internal/snapshot"
)

var update = flag.Bool("update", false, "rewrite testdata/*.json; read the difference before you commit it")

const prefix = "arn:aws:kms:eu-west-1:111122223333:key/"

var readAt = time.Date(2026, 11, 22, 10, 30, 0, 0, time.UTC)

func key(n int, more ...func(*inventory.Key)) inventory.Key {
	id := fmt.Sprintf("%08d-1111-2222-3333-444444444444", n)
	k := inventory.Key{
		ARN: prefix + id, ID: id, Described: true,
		State: "Enabled", Manager: "CUSTOMER", Usage: "ENCRYPT_DECRYPT", Spec: "SYMMETRIC_DEFAULT", Origin: "AWS_KMS",
		Created: time.Date(2024, 1, 2, 3, 4, 5, 678_000_000, time.UTC),
	}
	for _, m := range more {
		m(&k)
	}
	return k
}

func tag(name, value string) func(*inventory.Key) {
	return func(k *inventory.Key) { k.Tags = append(k.Tags, inventory.Tag{Key: name, Value: value}) }
}

func alias(name string, created time.Time) func(*inventory.Key) {
	return func(k *inventory.Key) {
		k.Aliases = append(k.Aliases, inventory.Alias{Name: "alias/" + name, Created: created, Updated: created})
	}
}

// moved is an alias that was pointed to another key after it was made.
func moved(name string, created, updated time.Time) func(*inventory.Key) {
	return func(k *inventory.Key) {
		k.Aliases = append(k.Aliases, inventory.Alias{Name: "alias/" + name, Created: created, Updated: updated})
	}
}

func state(s string) func(*inventory.Key) { return func(k *inventory.Key) { k.State = s } }

func refused(reason string) func(*inventory.Key) {
	return func(k *inventory.Key) {
		*k = inventory.Key{ARN: k.ARN, ID: k.ID, Described: true, Unreadable: reason, Aliases: k.Aliases}
	}
}

func of(keys ...inventory.Key) snapshot.Snapshot {
	inv := &inventory.Inventory{Account: "111122223333", Region: "eu-west-1", Partition: "aws", ReadAt: readAt, Keys: keys}
	inv.Sort()
	return snapshot.Snapshot{Inventory: inv}
}

// example has one of everything that a snapshot can hold.
func example() snapshot.Snapshot {
	day := time.Date(2025, 5, 6, 0, 0, 0, 0, time.UTC)
	s := of(
		key(1, tag("team", "payments"), tag("env", "prod"), tag("empty", ""), tag("Cost Centre/Kostenstelle", "Größe 12/A"),
			alias("payments-db", day), moved("a-later-one", day.AddDate(0, 1, 0), day.AddDate(0, 2, 0)), alias("no-date", time.Time{})),
		key(2, state("Disabled"), func(k *inventory.Key) { k.Usage, k.Spec, k.MultiRegion = "SIGN_VERIFY", "ECC_NIST_P256", true }),
		key(3, state("PendingDeletion"), tag("quote\"back\\slash", "tab\tnew\nline \u202eturned\u202c <&> \u200b")),
		key(4, func(k *inventory.Key) { k.Manager = "AWS" }, alias("aws/s3", day)),
		key(5, alias("secret", day), refused("kms:DescribeKey: AccessDeniedException: User: arn:aws:sts::111122223333:assumed-role/ci/x is not authorized")),
		key(6, func(k *inventory.Key) { *k = inventory.Key{ARN: k.ARN, ID: k.ID, Described: true, Gone: true} }),
	)
	s.Places = plan.Places{
		Units: map[string]int{
			"00000001-1111-2222-3333-444444444444/Decrypt": 1, "00000001-1111-2222-3333-444444444444/Decrypt+Encrypt": 3,
			"99999999-1111-2222-3333-444444444444/Sign": 1, // of a key that is gone: a removal
		},
		Stacks:    []int{3, 1, 2},
		Elsewhere: map[string]plan.Holder{"00000002-1111-2222-3333-444444444444/Sign": {Stack: "audit-alarms-001", Deployment: "audit"}},
	}
	return s
}

func encode(t *testing.T, s snapshot.Snapshot) []byte {
	t.Helper()
	data, err := snapshot.Encode(s)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func decode(t *testing.T, data []byte) *snapshot.Snapshot {
	t.Helper()
	s, err := snapshot.Decode("s.json", data)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// same compares snapshots by their facts.
var same = cmp.Options{cmpopts.EquateEmpty(), cmpopts.IgnoreFields(snapshot.Snapshot{}, "File"), cmpopts.SortSlices(func(a, b int) bool { return a < b })}

// The golden file is the format: a change of it makes older files unreadable,
// which needs a new number in "format".
func TestGolden(t *testing.T) {
	t.Parallel()
	const path = "testdata/example.json"
	got := encode(t, example())
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(example(), *decode(t, want), same); diff != "" {
		t.Errorf("read back (-want +got):\n%s", diff)
	}
}

// docs/snapshot.md says how to check the sum without keywatch.
func TestChecksumIsThatOfTheFileWithoutItsLine(t *testing.T) {
	t.Parallel()
	data := encode(t, example())
	var rest []byte
	found := ""
	for line := range bytes.Lines(data) {
		if bytes.HasPrefix(line, []byte(`  "checksum": `)) {
			found += string(line)
			continue
		}
		rest = append(rest, line...)
	}
	if want := fmt.Sprintf("  \"checksum\": \"sha256:%x\",\n", sha256.Sum256(rest)); found != want {
		t.Errorf("the file says %q, its bytes %q", found, want)
	}
}

// A reviewer sees a line for each fact: none is longer than its longest value,
// and what has no width or turns the text around is spelt out.
func TestAFactALine(t *testing.T) {
	t.Parallel()
	for line := range strings.Lines(string(encode(t, example()))) {
		if n := strings.Count(line, `": `); n > 1 {
			t.Errorf("%d facts in a line: %s", n, line)
		}
		if strings.ContainsAny(line, "\u202e\u202c\u200b\t\r") {
			t.Errorf("a character that nobody sees: %q", line)
		}
	}
	one := example()
	other := example()
	other.Inventory.Keys[0].Tags[1].Value = "elsewhere"
	a, b := strings.Split(string(encode(t, one)), "\n"), strings.Split(string(encode(t, other)), "\n")
	differing := 0
	for i := range a {
		if a[i] != b[i] {
			differing++
		}
	}
	if len(a) != len(b) || differing != 2 { // the fact and the checksum
		t.Errorf("one changed tag changes %d lines", differing)
	}
}

func TestEncodeDoesNotDependOnOrderOrTimeZone(t *testing.T) {
	t.Parallel()
	want := encode(t, example())
	r := rand.New(rand.NewPCG(1, 1))
	for range 50 {
		s := example()
		inv := s.Inventory
		inv.ReadAt = inv.ReadAt.In(time.FixedZone("far", r.IntN(20)*3600))
		r.Shuffle(len(inv.Keys), func(i, j int) { inv.Keys[i], inv.Keys[j] = inv.Keys[j], inv.Keys[i] })
		for i := range inv.Keys {
			k := &inv.Keys[i]
			r.Shuffle(len(k.Tags), func(i, j int) { k.Tags[i], k.Tags[j] = k.Tags[j], k.Tags[i] })
			r.Shuffle(len(k.Aliases), func(i, j int) { k.Aliases[i], k.Aliases[j] = k.Aliases[j], k.Aliases[i] })
		}
		r.Shuffle(len(s.Places.Stacks), func(i, j int) {
			s.Places.Stacks[i], s.Places.Stacks[j] = s.Places.Stacks[j], s.Places.Stacks[i]
		})
		before := slices.Clone(inv.Keys)
		if got := encode(t, s); !bytes.Equal(got, want) {
			t.Fatalf("another order gives other bytes:\n%s", got)
		}
		if !slices.EqualFunc(before, inv.Keys, func(a, b inventory.Key) bool { return a.ARN == b.ARN }) {
			t.Fatal("Encode sorts the caller's keys")
		}
	}
}

// random snapshots have all that AWS allows in tags, and more.
func random(r *rand.Rand) snapshot.Snapshot {
	text := func(most int) string {
		runes := []rune("aZ09 _.:/=+-@\"\\<&>\u00e9\u00fc\u4e2d\U0001f511\u2028\u202e\u200b\u00a0\ufeff\t\n\x00\x7f")
		var b strings.Builder
		for range r.IntN(most + 1) {
			b.WriteRune(runes[r.IntN(len(runes))])
		}
		return b.String()
	}
	pick := func(words ...string) string { return words[r.IntN(len(words))] }
	moment := func() time.Time {
		switch r.IntN(3) {
		case 0:
			return time.Time{}
		case 1:
			return time.Unix(r.Int64N(2_000_000_000), 0)
		}
		return time.Unix(r.Int64N(2_000_000_000), r.Int64N(1_000_000_000))
	}
	var keys []inventory.Key
	for n := range r.IntN(12) {
		k := key(n*1000 + r.IntN(1000))
		k.State, k.Manager = pick("Enabled", "Disabled", "PendingDeletion", "Creating", ""), pick("AWS", "CUSTOMER")
		k.Usage, k.Spec, k.Origin = pick("SIGN_VERIFY", "ENCRYPT_DECRYPT"), pick("RSA_2048", "SM2", "NEW_SPEC"), pick("AWS_KMS", "EXTERNAL", "")
		k.MultiRegion, k.Gone, k.Created = r.IntN(2) == 0, r.IntN(9) == 0, moment()
		seen := map[string]bool{}
		for range r.IntN(6) {
			if name := text(20); name != "" && !seen[name] {
				seen[name] = true
				k.Tags = append(k.Tags, inventory.Tag{Key: name, Value: text(40)})
			}
			if name := "alias/" + text(20); !seen[name] {
				seen[name] = true
				k.Aliases = append(k.Aliases, inventory.Alias{Name: name, Created: moment(), Updated: moment()})
			}
		}
		if r.IntN(5) == 0 {
			k.Unreadable = text(60)
		}
		keys = append(keys, k)
	}
	s := of(keys...)
	s.Places.Units = map[string]int{}
	for n := range r.IntN(20) {
		stack := 1 + r.IntN(5)
		s.Places.Units[fmt.Sprintf("key-%d/%s", n, pick("Decrypt", "Sign+Verify"))] = stack
		if !slices.Contains(s.Places.Stacks, stack) {
			s.Places.Stacks = append(s.Places.Stacks, stack)
		}
	}
	if r.IntN(4) == 0 {
		s.Places.Elsewhere = map[string]plan.Holder{text(9) + "x": {Stack: "s", Deployment: text(9)}}
	}
	return s
}

func TestRandomSnapshotsRoundTrip(t *testing.T) {
	t.Parallel()
	const seed, cases = 20261122, 600
	r := rand.New(rand.NewPCG(seed, 1))
	for n := range cases {
		s := random(r)
		data := encode(t, s)
		got, err := snapshot.Decode("s.json", data)
		if err != nil {
			t.Fatalf("seed %d, case %d: %v\n%s", seed, n, err, data)
		}
		if again := encode(t, *got); !bytes.Equal(again, data) {
			t.Fatalf("seed %d, case %d (-want +got):\n%s", seed, n, cmp.Diff(string(data), string(again)))
		}
		if n%10 == 0 {
			utc := cmp.Transformer("utc", func(t time.Time) string { return t.UTC().Format(time.RFC3339Nano) })
			if diff := cmp.Diff(s, *got, same, utc); diff != "" {
				t.Fatalf("seed %d, case %d (-want +got):\n%s", seed, n, diff)
			}
		}
	}
}

// codes of an error that is a list of problems; each names the file.
func codes(t *testing.T, err error) []string {
	t.Helper()
	var l diag.List
	if !errors.As(err, &l) {
		t.Fatalf("%v (%T) is no list of problems", err, err)
	}
	var out []string
	for _, p := range l {
		if p.Pos.File != "s.json" {
			t.Errorf("a problem of the file %q: %s", p.Pos.File, p)
		}
		out = append(out, p.Code)
	}
	return out
}

// Whatever byte is changed, added or left out: the file is refused.
func TestEveryEditIsRefused(t *testing.T) {
	t.Parallel()
	data := encode(t, example())
	r := rand.New(rand.NewPCG(2, 2))
	refuse := func(what string, i int, edited []byte) {
		if _, err := snapshot.Decode("s.json", edited); err == nil {
			t.Errorf("byte %d %s: the snapshot is believed:\n%s", i, what, edited)
		}
	}
	for i := range data {
		for range 4 {
			edited := bytes.Clone(data)
			edited[i] ^= byte(1 + r.IntN(255))
			refuse("changed", i, edited)
		}
		refuse("left out", i, slices.Delete(bytes.Clone(data), i, i+1))
		refuse("doubled", i, slices.Insert(bytes.Clone(data), i, data[i]))
		refuse("the end", i, data[:i])
	}
	refuse("and more", len(data), append(bytes.Clone(data), '\n'))
}

// signed gives text the right checksum: what a broken program would write.
func signed(text string) []byte {
	line := regexp.MustCompile(`(?m)^  "checksum": .*\n`)
	rest := line.ReplaceAllString(text, "")
	head, tail, _ := strings.Cut(rest, ",\n")
	return fmt.Appendf(nil, "%s,\n  \"checksum\": \"sha256:%x\",\n%s", head, sha256.Sum256([]byte(rest)), tail)
}

func TestSignedIsWhatEncodeWrites(t *testing.T) {
	t.Parallel()
	data := encode(t, example())
	if !bytes.Equal(signed(string(data)), data) {
		t.Error("the helper makes another file")
	}
}

func TestDecodeSaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	whole := string(encode(t, example()))
	replace := func(old, new string) string {
		if !strings.Contains(whole, old) {
			t.Fatalf("the example lacks %q", old)
		}
		return strings.Replace(whole, old, new, 1)
	}
	for name, c := range map[string]struct {
		data string
		code string
		want string // part of the message
	}{
		"an edited tag":               {replace(`"prod"`, `"dev"`), "snapshot-changed", "take the whole file from version control, or remove the file"},
		"an edited place":             {replace(`/Decrypt": 1`, `/Decrypt": 2`), "snapshot-changed", "keywatch snapshot --place"},
		"an edited checksum":          {replace(`sha256:`, `sha256:0`), "snapshot-changed", "no checksum in line 3"},
		"without its checksum":        {regexp.MustCompile(`  "checksum.*\n`).ReplaceAllString(whole, ""), "snapshot-changed", "no checksum in line 3"},
		"line ends of Windows":        {strings.ReplaceAll(whole, "\n", "\r\n"), "snapshot-changed", ".gitattributes"},
		"a merge conflict":            {replace("  \"account\"", "<<<<<<< ours\n  \"account\""), "snapshot-changed", "was changed"},
		"a newer format":              {replace(`"format": 1`, `"format": 2`), "snapshot-version", "format 2, and this keywatch reads format 1; use a newer keywatch"},
		"nothing":                     {"", "snapshot-form", "no snapshot"},
		"a config":                    {"version: 1\nrules: []\n", "snapshot-form", "no snapshot"},
		"other JSON":                  {"{}\n", "snapshot-form", "name another file"},
		"reformatted":                 {strings.ReplaceAll(whole, "  ", "    "), "snapshot-form", "no snapshot, or its first lines were changed"},
		"cut off in a line":           {whole[:len(whole)/2], "snapshot-form", "ends in the middle"},
		"cut off after a key":         {whole[:strings.Index(whole, "    },\n")+6], "snapshot-form", "ends in the middle"},
		"no end of line at the end":   {strings.TrimSuffix(whole, "\n"), "snapshot-changed", "was changed"},
		"no JSON, signed":             {string(signed(replace(`"prod"`, `prod`))), "snapshot-form", "cannot be read"},
		"another type, signed":        {string(signed(replace(`"multiRegion": true`, `"multiRegion": 1`))), "snapshot-form", "cannot be read"},
		"no time, signed":             {string(signed(replace(`2024-01-02T`, `2024-13-02T`))), "snapshot-form", "cannot be read"},
		"an unknown field, signed":    {string(signed(replace(`      "state"`, "      \"rotation\": true,\n      \"state\""))), "snapshot-form", `"\"rotation\": true,"`},
		"another spelling, signed":    {string(signed(replace(`"prod"`, `"pro\u0064"`))), "snapshot-form", "spelt otherwise"},
		"other capitals, signed":      {string(signed(replace(`      "state"`, `      "State"`))), "snapshot-form", "State"},
		"a double tag, signed":        {string(signed(replace("        \"env\": \"prod\",\n", "        \"env\": \"prod\",\n        \"env\": \"dev\",\n"))), "snapshot-form", "double"},
		"out of order, signed":        {string(signed(replace("        \"empty\": \"\",\n        \"env\": \"prod\",\n", "        \"env\": \"prod\",\n        \"empty\": \"\",\n"))), "snapshot-form", "out of order"},
		"something after it, signed":  {string(signed(whole + "{}\n}\n")), "snapshot-form", "cannot be read"},
		"another account's key":       {string(signed(replace(prefix+"00000002", "arn:aws:kms:eu-west-1:999988887777:key/00000002"))), "snapshot-content", `no key of 111122223333 in eu-west-1`},
		"another region's key":        {string(signed(replace(prefix+"00000002", "arn:aws:kms:us-east-1:111122223333:key/00000002"))), "snapshot-content", `no key of 111122223333 in eu-west-1`},
		"another partition's key":     {string(signed(replace(prefix+"00000002", "arn:aws-cn:kms:eu-west-1:111122223333:key/00000002"))), "snapshot-content", `(aws)`},
		"no ARN":                      {string(signed(replace(`"`+prefix+`00000002-1111-2222-3333-444444444444"`, `"key"`))), "snapshot-content", `"key" is no key`},
		"a key twice":                 {string(signed(replace(prefix+"00000002", prefix+"00000001"))), "snapshot-content", "twice"},
		"no account":                  {string(signed(replace(`"account": "111122223333"`, `"account": "1"`))), "snapshot-content", `the account is "1"`},
		"no stack for a unit":         {string(signed(replace(`[1, 2, 3]`, `[1, 2]`))), "snapshot-content", "placed in stack 3, which is not among the stacks"},
		"a stack twice":               {string(signed(replace(`[1, 2, 3]`, `[1, 2, 2, 3]`))), "snapshot-content", "twice"},
		"stack 0":                     {string(signed(replace(`[1, 2, 3]`, `[0, 1, 2, 3]`))), "snapshot-content", "below 1"},
		"without places, signed":      {string(signed(whole[:strings.Index(whole, ",\n  \"places\"")] + "\n}\n")), "snapshot-form", "does not write"},
		"without a time, signed":      {string(signed(regexp.MustCompile(`  "readAt.*\n`).ReplaceAllString(whole, ""))), "snapshot-content", "which cannot be"},
		"keys that are none, signed":  {string(signed(regexp.MustCompile(`(?s)"keys": \[.*\n  \],`).ReplaceAllString(whole, `"keys": {},`))), "snapshot-form", "keys is no list"},
		"a key that is none, signed":  {string(signed(regexp.MustCompile(`(?s)"keys": \[.*\n  \],`).ReplaceAllString(whole, `"keys": [1],`))), "snapshot-form", "cannot be read"},
		"nothing readable of one key": {string(signed(replace("      \"manager\": \"CUSTOMER\",\n", ""))), "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := snapshot.Decode("s.json", []byte(c.data))
			if c.code == "" {
				if err != nil {
					t.Errorf("refused: %v", err)
				}
				return
			}
			if err == nil {
				t.Fatal("it is believed")
			}
			for _, code := range codes(t, err) {
				if code != c.code {
					t.Errorf("[%s], want [%s]: %v", code, c.code, err)
				}
			}
			if !strings.Contains(err.Error(), c.want) {
				t.Errorf("the message lacks %q: %v", c.want, err)
			}
			// A refresh would refuse the file for the same reason.
			if c.code != "snapshot-version" && !strings.Contains(err.Error(), "remove the file and take a new snapshot with `keywatch snapshot`") {
				t.Errorf("the message leads to a refresh that refuses the file: %v", err)
			}
		})
	}
}

// What is wrong within the file is said at its line.
func TestProblemsHaveTheirPlace(t *testing.T) {
	t.Parallel()
	whole := string(encode(t, example()))
	_, err := snapshot.Decode("s.json", signed(strings.Replace(whole, prefix+"00000002", "arn:aws:kms:us-east-1:111122223333:key/00000002", 1)))
	line := 1 + strings.Count(whole[:strings.Index(whole, prefix+"00000002")], "\n")
	if want := fmt.Sprintf("s.json:%d:14: ", line); err == nil || !strings.HasPrefix(err.Error(), want) {
		t.Errorf("got %v, want it at %s", err, want)
	}
}

func TestTooLarge(t *testing.T) {
	t.Parallel()
	_, err := snapshot.Decode("s.json", make([]byte, snapshot.MaxFile+1))
	if err == nil || !strings.Contains(err.Error(), "at most 268435456 are read; name another file, ") {
		t.Errorf("got %v", err)
	}
}

// A snapshot is used with rules that nobody has written yet, so it must not
// lack what a rule could ask for; and what would not come back is not written.
func TestEncodeRefuses(t *testing.T) {
	t.Parallel()
	for want, spoil := range map[string]func(*inventory.Key){
		"has its tags left out":                    func(k *inventory.Key) { k.TagsOmitted = true },
		"was not described":                        func(k *inventory.Key) { *k = inventory.Key{ARN: k.ARN, ID: k.ID} },
		"has the tag a twice":                      func(k *inventory.Key) { k.Tags = []inventory.Tag{{Key: "a", Value: "1"}, {Key: "a", Value: "2"}} },
		"has a tag without a key":                  func(k *inventory.Key) { k.Tags = []inventory.Tag{{Value: "1"}} },
		"that is not UTF-8":                        func(k *inventory.Key) { k.Tags = []inventory.Tag{{Key: "a", Value: "\xff"}} },
		"has a text that is not UTF-8":             func(k *inventory.Key) { k.Unreadable = "\xff" },
		"has the alias alias/a twice":              func(k *inventory.Key) { k.Aliases = []inventory.Alias{{Name: "alias/a"}, {Name: "alias/a"}} },
		"is no key of 111122223333 in eu-west-1":   func(k *inventory.Key) { k.ARN = "arn:aws:kms:eu-west-1:1:key/" + k.ID },
		"444444444444\" is no key of 111122223333": func(k *inventory.Key) { k.ID = "other" },
	} {
		s := of(key(1, spoil))
		if _, err := snapshot.Encode(s); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
}

func TestCheck(t *testing.T) {
	t.Parallel()
	s := decode(t, encode(t, example()))
	for _, c := range [][2]string{{"", ""}, {"111122223333", ""}, {"", "eu-west-1"}, {"111122223333", "eu-west-1"}} {
		if err := s.Check(c[0], c[1]); err != nil {
			t.Errorf("Check(%q, %q): %v", c[0], c[1], err)
		}
	}
	for _, c := range [][3]string{
		{"999988887777", "eu-west-1", "this is a snapshot of 111122223333 in eu-west-1, but 999988887777 in eu-west-1 is meant"},
		{"111122223333", "us-east-1", "this is a snapshot of 111122223333 in eu-west-1, but 111122223333 in us-east-1 is meant"},
		{"", "us-east-1", "but any account in us-east-1 is meant"},
	} {
		err := s.Check(c[0], c[1])
		if err == nil || !strings.Contains(err.Error(), c[2]) {
			t.Errorf("Check(%q, %q) = %v, want %q", c[0], c[1], err, c[2])
		} else if got := codes(t, err); got[0] != "snapshot-account" {
			t.Errorf("code %q", got)
		}
	}
}

func TestAge(t *testing.T) {
	t.Parallel()
	s := decode(t, encode(t, example()))
	week := 7 * 24 * time.Hour
	for _, c := range []struct {
		age  time.Duration
		fail bool
		want string
	}{
		{0, false, ""}, {week, true, ""}, {-5 * time.Minute, true, ""},
		{week + time.Second, false, "s.json: warning: the snapshot was read at 2026-11-22T10:30:00Z, 7 days ago, more than inventory.maxAge: 168h; keys made"},
		{40 * 24 * time.Hour, true, "s.json: the snapshot was read at 2026-11-22T10:30:00Z, 40 days ago, more than inventory.maxAge: 168h allows; refresh"},
		{-3 * time.Hour, true, "s.json: warning: the snapshot was read at 2026-11-22T10:30:00Z, which is 3 hours in the future"},
	} {
		now := readAt.Add(c.age).In(time.FixedZone("far", 5*3600))
		if s.Age(now) != c.age {
			t.Errorf("Age = %s, want %s", s.Age(now), c.age)
		}
		l := s.CheckAge(now, week, c.fail)
		if c.want == "" {
			if len(l) > 0 {
				t.Errorf("%s: %v", c.age, l)
			}
			continue
		}
		severity := diag.Warning
		if c.fail && c.age > 0 {
			severity = diag.Error
		}
		if len(l) != 1 || l[0].Code != "snapshot-old" || l[0].Severity != severity || !strings.Contains(l[0].String(), c.want) {
			t.Errorf("%s: %v, want %q", c.age, l, c.want)
		}
	}
}

func FuzzDecode(f *testing.F) {
	whole, err := snapshot.Encode(example())
	if err != nil {
		f.Fatal(err)
	}
	empty, err := snapshot.Encode(of())
	if err != nil {
		f.Fatal(err)
	}
	for _, seed := range [][]byte{whole, empty, whole[:200], []byte("{\n  \"format\": 1,\n"), signed("{\n  \"format\": 1,\n  \"keys\": [[[[\n}\n"), signed("{\n  \"format\": 1,\n}\n")} {
		f.Add(seed, false)
		f.Add(seed, true)
	}
	f.Fuzz(func(t *testing.T, data []byte, sign bool) {
		if sign { // or nothing but the checksum would be tried
			data = signed(string(data))
		}
		s, err := snapshot.Decode("s.json", data)
		if err != nil {
			if len(codes(t, err)) == 0 {
				t.Error("an error without a problem")
			}
			return
		}
		again, err := snapshot.Encode(*s)
		if err != nil || !bytes.Equal(again, data) {
			t.Errorf("believed, and written otherwise (%v):\n%q\n%q", err, data, again)
		}
	})
}
