package naming_test

import (
	"fmt"
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"keywatch/constructs/spec"
	"keywatch/internal/naming"
)

const (
	prefix = "arn:aws:kms:eu-west-1:111122223333:key/"
	uuid   = "1234abcd-12ab-34cd-56ef-1234567890ab"
	mrk    = "mrk-1234abcd12ab34cd56ef1234567890ab"
	kw     = naming.Deployment("keywatch")
)

func key(id, alias string) spec.Key { return spec.Key{ARN: prefix + id, Alias: alias} }

func ops(names ...spec.Operation) []spec.Operation { return names }

func TestAlarmNames(t *testing.T) {
	for want, c := range map[string]struct {
		key  spec.Key
		ops  []spec.Operation
		kind spec.Kind
		id   string
	}{
		"keywatch payments/db 1234567890ab Decrypt anomaly":                {key(uuid, "alias/payments/db"), ops("Decrypt"), spec.KindAnomaly, "main"},
		"keywatch - 1234567890ab Decrypt anomaly":                          {key(uuid, ""), ops("Decrypt"), spec.KindAnomaly, "main"},
		"keywatch payments/db 1234567890ab Decrypt anomaly low":            {key(uuid, "alias/payments/db"), ops("Decrypt"), spec.KindAnomaly, "low"},
		"keywatch pay 1234567890ab Decrypt+Encrypt threshold":              {key(uuid, "alias/pay"), ops("Decrypt", "Encrypt"), spec.KindThreshold, "main"},
		"keywatch pay 1234567890ab Decrypt+Encrypt threshold per-hour-max": {key(mrk, "alias/pay"), ops("Decrypt", "Encrypt"), spec.KindThreshold, "per-hour-max"},
		"keywatch alias/odd 1234567890ab Sign anomaly":                     {key(uuid, "alias/alias/odd"), ops("Sign"), spec.KindAnomaly, "main"},
	} {
		if _, got := kw.Alarm(c.key, c.ops, c.kind, c.id); got != want {
			t.Errorf("name %q, want %q", got, want)
		}
	}
}

func TestLongNameIsCutAtAliasThenOperations(t *testing.T) {
	alias := "alias/" + strings.Repeat("a", 250)
	long := kw.AlarmName(key(uuid, alias), ops("Decrypt"), spec.KindAnomaly, "main")
	// 255 = "keywatch " 9 + alias + " 1234567890ab Decrypt anomaly" 29 + "~" and 8.
	if want := "keywatch " + strings.Repeat("a", 208) + " 1234567890ab Decrypt anomaly~"; len(long) != 255 || long[:247] != want {
		t.Errorf("%d characters, %q, want it to begin %q", len(long), long, want)
	}
	if other := kw.AlarmName(key(uuid, alias[:len(alias)-1]+"b"), ops("Decrypt"), spec.KindAnomaly, "main"); other == long {
		t.Error("two names that differ in what was cut are the same")
	}
	exact := "alias/" + strings.Repeat("a", 217)
	if got := kw.AlarmName(key(uuid, exact), ops("Decrypt"), spec.KindAnomaly, "main"); len(got) != 255 || strings.Contains(got, "~") {
		t.Errorf("a name of just 255 is cut: %q", got)
	}
	// The alias is cut to one character before operations give way.
	far := naming.Deployment(strings.Repeat("d", 32)).AlarmName(key(uuid, "alias/abcdefghijkl"), spec.Watchable(), spec.KindThreshold, strings.Repeat("i", 16))
	if n := utf8.RuneCountInString(far); n != 255 || !strings.Contains(far, " a 1234567890ab Decrypt+DeriveSharedSecret+") || !regexp.MustCompile(`~[0-9a-f]{8}$`).MatchString(far) {
		t.Errorf("%d characters: %q", n, far)
	}
}

func TestSwappedAndReusedAliasesNeverShareAName(t *testing.T) {
	a, b := key(uuid, "alias/a"), key("ffffffff-12ab-34cd-56ef-ffffffffffff", "alias/b")
	name := func(k spec.Key) string { return kw.AlarmName(k, ops("Decrypt"), spec.KindAnomaly, "main") }
	before := []string{name(a), name(b)}
	a.Alias, b.Alias = b.Alias, a.Alias
	for _, after := range []string{name(a), name(b)} {
		if slices.Contains(before, after) {
			t.Errorf("after the swap %q is the name of the other key's alarm", after)
		}
	}
	if successor := key("eeeeeeee-12ab-34cd-56ef-eeeeeeeeeeee", "alias/a"); slices.Contains(before, name(successor)) {
		t.Errorf("a new key under the same alias takes the old key's name %q", name(successor))
	}
}

// aliasCharacters are what KMS allows in an alias: ^[a-zA-Z0-9/_-]+$
// (CreateAlias, KMS API Reference), so a name has no control characters.
const aliasCharacters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/_-"

func TestGeneratedNamesAreUniqueAndFit(t *testing.T) {
	r := seeded(t)
	seen := make(map[string]string, 100_000)
	cut := 0
	symmetric, _ := spec.Applicable("ENCRYPT_DECRYPT", "SYMMETRIC_DEFAULT")
	for len(seen) < 100_000 {
		k := key(randomID(r), "")
		switch r.IntN(3) {
		case 0: // few aliases, so that only the key's tail tells names apart
			k.Alias = "alias/" + string(aliasCharacters[r.IntN(4)])
		case 1: // long ones that differ at their end, where they are cut
			k.Alias = "alias/" + strings.Repeat("x", 235) + randomText(r, aliasCharacters, 1+r.IntN(15))
		}
		kind, set := spec.KindAnomaly, symmetric[:1]
		if r.IntN(2) == 0 {
			kind, set = spec.KindThreshold, symmetric[:1+r.IntN(6)]
		}
		logicalID, name := kw.Alarm(k, set, kind, randomAlarmID(r))
		if n := utf8.RuneCountInString(name); n > 255 || !utf8.ValidString(name) || strings.ContainsFunc(name, unicode.IsControl) {
			t.Fatalf("the name %q has %d characters, or such as are not allowed", name, n)
		}
		if strings.Contains(name, "~") {
			cut++
		}
		if other, taken := seen[name]; taken && other != logicalID {
			t.Fatalf("%s and %s are both named %q", other, logicalID, name)
		}
		seen[name] = logicalID
	}
	if cut < 10_000 {
		t.Errorf("only %d names were cut", cut)
	}
}

func TestCutKeepsWholeCharacters(t *testing.T) {
	name := kw.AlarmName(key(uuid, "alias/"+strings.Repeat("鍵", 400)), ops("Decrypt"), spec.KindAnomaly, "main")
	if n := utf8.RuneCountInString(name); n != 255 || !utf8.ValidString(name) {
		t.Errorf("%d characters, valid %v: %q", n, utf8.ValidString(name), name)
	}
}

func TestLogicalIDsWhole(t *testing.T) {
	for _, c := range []struct{ want, got string }{
		{"AlarmK1234abcd12ab34cd56ef1234567890abDecryptAnomalyImain", first(kw.Alarm(key(uuid, "alias/x"), ops("Decrypt"), spec.KindAnomaly, "main"))},
		{"AlarmM1234abcd12ab34cd56ef1234567890abDecryptAndEncryptThresholdIperZhour", first(kw.Alarm(key(mrk, ""), ops("Decrypt", "Encrypt"), spec.KindThreshold, "per-hour"))},
		{"AlarmX6f6464Y" + "SignAnomalyImain", first(kw.Alarm(key("odd", ""), ops("Sign"), spec.KindAnomaly, "main"))},
		{"DetectorK1234abcd12ab34cd56ef1234567890abDecryptOfSampleCount", kw.Detector(key(uuid, ""), "Decrypt", "SampleCount")},
		{uuid + "/Decrypt+Encrypt", kw.Unit(key(uuid, ""), ops("Decrypt", "Encrypt"))},
	} {
		if c.got != c.want {
			t.Errorf("%q, want %q", c.got, c.want)
		}
	}
}

// The property: for every key, operation set, kind and id that can be, the
// logical ID is alphanumeric and fits, differs from every other identity's, and
// reads back as just that identity.
func TestLogicalIDsAreInjectiveAndReadBack(t *testing.T) {
	r := seeded(t)
	alphanumeric := regexp.MustCompile(`^[A-Za-z0-9]{1,255}$`)
	owner := map[string]string{}
	check := func(logicalID string, want naming.Identity) {
		t.Helper()
		whole := fmt.Sprintf("%+v", want)
		if other, taken := owner[logicalID]; taken && other != whole {
			t.Fatalf("%s and %s share the logical ID %s", other, whole, logicalID)
		}
		owner[logicalID] = whole
		if !alphanumeric.MatchString(logicalID) {
			t.Fatalf("%q (%d characters) is no logical ID", logicalID, len(logicalID))
		}
		got, ok := naming.ParseLogicalID(logicalID)
		if back := fmt.Sprintf("%+v", got); !ok || back != whole {
			t.Fatalf("%q reads back as %s, %v; want %s", logicalID, back, ok, whole)
		}
		if got.Unit() != want.KeyID+"/"+spec.JoinOperations(want.Operations, "+") {
			t.Fatalf("%q: unit %q", logicalID, got.Unit())
		}
	}
	pairs := [][2]string{{"ENCRYPT_DECRYPT", "SYMMETRIC_DEFAULT"}, {"ENCRYPT_DECRYPT", "RSA_2048"}, {"SIGN_VERIFY", "ECC_NIST_P256"}, {"GENERATE_VERIFY_MAC", "HMAC_256"}, {"KEY_AGREEMENT", "SM2"}}
	for range 10_000 {
		pair := pairs[r.IntN(len(pairs))]
		can, _ := spec.Applicable(pair[0], pair[1])
		set := slices.DeleteFunc(slices.Clone(can), func(spec.Operation) bool { return r.IntN(2) == 0 })
		if len(set) == 0 {
			set = can
		}
		id := randomID(r)
		alarm := naming.Identity{KeyID: id, Operations: set, Kind: []spec.Kind{spec.KindAnomaly, spec.KindThreshold}[r.IntN(2)], AlarmID: randomAlarmID(r)}
		check(first(kw.Alarm(key(id, ""), set, alarm.Kind, alarm.AlarmID)), alarm)
		detector := naming.Identity{KeyID: id, Operations: set[:1], Statistic: []string{"Sum", "SampleCount", "Average", "Minimum", "Maximum"}[r.IntN(5)]}
		check(kw.Detector(key(id, ""), set[0], detector.Statistic), detector)
	}
}

func TestOtherLogicalIDsAreRejected(t *testing.T) {
	const hex = "1234abcd12ab34cd56ef1234567890ab"
	for name, id := range map[string]string{
		"empty":                      "",
		"CDK metadata":               "CDKMetadata",
		"placeholder":                "Placeholder",
		"an alarm of someone else":   "AlarmTopic4A5B6C7D",
		"upper-case hex":             "AlarmK" + strings.ToUpper(hex) + "DecryptAnomalyImain",
		"too short a key":            "AlarmK" + hex[1:] + "DecryptAnomalyImain",
		"no operation":               "AlarmK" + hex + "AnomalyImain",
		"unknown operation":          "AlarmK" + hex + "DestroyAnomalyImain",
		"ReEncrypt":                  "AlarmK" + hex + "ReEncryptAnomalyImain",
		"operations out of order":    "AlarmK" + hex + "EncryptAndDecryptThresholdImain",
		"an operation twice":         "AlarmK" + hex + "DecryptAndDecryptThresholdImain",
		"unknown kind":               "AlarmK" + hex + "DecryptForecastImain",
		"no id":                      "AlarmK" + hex + "DecryptAnomalyI",
		"an id with capitals":        "AlarmK" + hex + "DecryptAnomalyIMain",
		"an id of 17":                "AlarmK" + hex + "DecryptAnomalyI" + strings.Repeat("a", 17),
		"a tail":                     "AlarmK" + hex + "DecryptAnomalyImain1A2B3C4D",
		"a UUID spelt in hex":        "AlarmX" + fmt.Sprintf("%x", uuid) + "YDecryptAnomalyImain",
		"an ID that holds a slash":   "AlarmX" + fmt.Sprintf("%x", "a/b") + "YDecryptAnomalyImain",
		"half a hex digit":           "AlarmX6f646YSignAnomalyImain",
		"a detector of two":          "DetectorK" + hex + "DecryptAndEncryptOfSum",
		"unknown statistic":          "DetectorK" + hex + "DecryptOfp99",
		"another statistic":          "DetectorK" + hex + "DecryptOfMedian",
		"a detector without any":     "DetectorK" + hex + "DecryptOf",
		"lower case":                 "alarmK" + hex + "DecryptAnomalyImain",
		"a newline at the end":       "AlarmK" + hex + "DecryptAnomalyImain\n",
		"an alarm without its parts": "Alarm",
	} {
		if got, ok := naming.ParseLogicalID(id); ok {
			t.Errorf("%s: %q reads as %+v", name, id, got)
		}
	}
}

func TestStackAndDashboardNames(t *testing.T) {
	for want, got := range map[string]string{
		"keywatch-alarms-001": kw.AlarmStack(1), "keywatch-alarms-042": kw.AlarmStack(42), "keywatch-alarms-1234": kw.AlarmStack(1234),
		"keywatch-dashboard": kw.DashboardStack(), "keywatch-eu-west-1": kw.Dashboard("eu-west-1"), "pay-us-gov-west-1": naming.Deployment("pay").Dashboard("us-gov-west-1"),
	} {
		if got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

func TestDashboardNamesAreReadBack(t *testing.T) {
	for _, region := range []string{"eu-west-1", "ap-southeast-12", "us-gov-west-1", "cn-north-1", "us-iso-east-1", "us-isob-east-1", "eu-isoe-west-1", "eusc-de-east-1"} {
		if got, ours := kw.DashboardRegion(kw.Dashboard(region)); !ours || got != region {
			t.Errorf("%q, %v, want %s", got, ours, region)
		}
	}
	for _, other := range []string{
		naming.Deployment("keywatch-team").Dashboard("eu-west-1"), naming.Deployment("keywatch-b").Dashboard("us-gov-west-1"), naming.Deployment("keywatch-eu").Dashboard("us-east-1"),
		"keywatch", "keywatch-", "keywatch-orders", "keywatch-orders-1", "keywatch-orders-blue-1", "keywatch-eu-west-1-copy", "orders-eu-west-1",
	} {
		if region, ours := kw.DashboardRegion(other); ours {
			t.Errorf("%s is taken for the dashboard of %s", other, region)
		}
	}
}

// A construct outside of a deployment leaves the name to CloudFormation, and
// its IDs do not hold the key, whose ARN may be a token.
func TestLocalNames(t *testing.T) {
	k := spec.Key{ARN: "${Token[TOKEN.1]}"}
	id, name := naming.Local{}.Alarm(k, ops("Decrypt", "Encrypt"), spec.KindThreshold, "per-hour")
	got := []string{id, name, naming.Local{}.Detector(k, "Decrypt", "Sum"), naming.Local{}.Unit(k, ops("Decrypt", "Encrypt"))}
	if diff := cmp.Diff([]string{"AlarmDecryptAndEncryptThresholdIperZhour", "", "DetectorDecryptOfSum", "Decrypt+Encrypt"}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func first(a, _ string) string { return a }

func seeded(t *testing.T) *rand.Rand {
	const seed = 20261122
	t.Logf("seed %d", seed)
	return rand.New(rand.NewPCG(seed, 1))
}

func randomText(r *rand.Rand, of string, n int) string {
	b := make([]byte, n)
	for i := range b {
		b[i] = of[r.IntN(len(of))]
	}
	return string(b)
}

func randomID(r *rand.Rand) string {
	h := randomText(r, "0123456789abcdef", 32)
	switch r.IntN(8) {
	case 0, 1:
		return "mrk-" + h
	case 2: // what KMS may come to use
		return "key-" + randomText(r, "abcXYZ0189-_", 1+r.IntN(32))
	}
	return h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:]
}

func randomAlarmID(r *rand.Rand) string {
	if r.IntN(2) == 0 {
		return spec.DefaultID
	}
	return randomText(r, "abcxyz019-", 1+r.IntN(16))
}

func TestAlarmStackNamesAreReadBack(t *testing.T) {
	for _, d := range []naming.Deployment{"a", "keywatch", "a-alarms", "a-alarms-001", "x-dashboard"} {
		for _, n := range []int{1, 42, 999, 1000, 12345} {
			if got, m, ok := naming.ParseAlarmStack(d.AlarmStack(n)); !ok || got != d || m != n {
				t.Errorf("%s: %q, %d, %v", d.AlarmStack(n), got, m, ok)
			}
		}
	}
	for _, s := range []string{
		"", "-alarms-001", "keywatch-alarms-", "keywatch-alarms-1", "keywatch-alarms-0001", "keywatch-alarms-000", "keywatch-alarms--01", "keywatch-alarms-001x",
		"keywatch-dashboard", "Keywatch-alarms-001", "keywatch-alarms-99999999999999999999", "keywatch-alarms-001\n",
	} {
		if d, n, ok := naming.ParseAlarmStack(s); ok {
			t.Errorf("%q is read as stack %d of %q", s, n, d)
		}
	}
}
