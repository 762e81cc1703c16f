package live

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"

	"keywatch/constructs/spec"
	"keywatch/internal/inventory"
	"keywatch/test/fakeaws"
)

const (
	account = "111122223333"
	region  = "eu-west-1"
)

// TestMain makes the tests deaf to the AWS settings of whoever runs them.
func TestMain(m *testing.M) {
	for _, kv := range os.Environ() {
		if name, _, _ := strings.Cut(kv, "="); strings.HasPrefix(name, "AWS_") {
			_ = os.Unsetenv(name)
		}
	}
	os.Exit(m.Run())
}

// The clock of the tests.
func now() time.Time { return time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC) }

// quick retries as often as the product does, without its pauses.
func quick() Options {
	return Options{Now: now, Concurrency: 8, MaxBackoff: 2 * time.Millisecond, RequestTimeout: 10 * time.Second, Rates: unlimited()}
}

// unlimited are rates that no test reaches, slowed down by throttling or not.
func unlimited() map[string]float64 {
	all := DefaultRates()
	for op := range all {
		all[op] = 1e6
	}
	return all
}

// withoutTagging makes the server deny tag:GetResources, so that tags are read
// key by key.
func withoutTagging(srv *fakeaws.Server) {
	srv.Fail(fakeaws.Fault{Operation: opGetResources, Kind: fakeaws.AccessDenied, Times: fakeaws.Forever})
}

// session opens a real session, with real SDK clients, on the fake; neither the
// environment nor the files of the machine matter.
func session(t *testing.T, srv *fakeaws.Server, o Options) *Session {
	t.Helper()
	s, err := open(t.Context(), o,
		config.WithBaseEndpoint(srv.URL),
		config.WithRegion(region),
		config.WithSharedConfigFiles([]string{os.DevNull}),
		config.WithSharedCredentialsFiles([]string{os.DevNull}),
		config.WithCredentialsProvider(aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: "AKIDEXAMPLE", SecretAccessKey: fakeaws.SecretKey, SessionToken: fakeaws.SessionToken}, nil
		})))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// id is the n-th key ID.
func id(n int) string { return fmt.Sprintf("00000000-0000-4000-8000-%012d", n) }

func arnOf(keyID string) string {
	return "arn:aws:kms:" + region + ":" + account + ":key/" + keyID
}

func day(n int) time.Time { return time.Date(2025, 1, n, 0, 0, 0, 0, time.UTC) }

// world is an account with one of everything that the reader treats apart.
func world() fakeaws.State {
	return fakeaws.State{
		Account: account,
		Region:  region,
		Keys: []fakeaws.Key{
			{ID: id(5), Tags: []fakeaws.Tag{{Key: "team", Value: "payments"}, {Key: "env", Value: ""}, {Key: "größe/μ", Value: "a b"}}},
			{ID: id(2), State: "PendingDeletion", Tags: []fakeaws.Tag{{Key: "team", Value: "payments"}}},
			{ID: id(3), Manager: "AWS"},
			{ID: "mrk-00000000000000000000000000000004", MultiRegion: true, Usage: "SIGN_VERIFY", Spec: "ECC_NIST_P256", State: "Disabled", Created: day(9)},
			{ID: id(1), Spec: "RSA_4096", Origin: "EXTERNAL", Tags: []fakeaws.Tag{{Key: "env", Value: "prod"}}},
		},
		Aliases: []fakeaws.Alias{
			{Name: "alias/b", Target: id(5), Created: day(2), Updated: day(8)},
			{Name: "alias/a", Target: id(5), Created: day(3)},
			{Name: "alias/undated", Target: id(5)},
			{Name: "alias/aws/s3", Target: id(3), Created: day(1)},
			{Name: "alias/aws/ebs"},
			{Name: "alias/aws/rds", Target: id(99)}, // a managed key that ListKeys does not name
		},
		Alarms: []inventory.Alarm{anomalyAlarm("z"), staticAlarm("m"), anomalyAlarm("a")},
	}
}

// worldKeys is what the reader must make of the world's keys, sorted.
func worldKeys() []inventory.Key {
	usual := time.Date(2024, 1, 2, 3, 4, 5, 0, time.UTC)
	key := func(id string, change func(*inventory.Key)) inventory.Key {
		k := inventory.Key{
			ARN: arnOf(id), ID: id, Manager: "CUSTOMER", State: "Enabled", Usage: "ENCRYPT_DECRYPT",
			Spec: "SYMMETRIC_DEFAULT", Origin: "AWS_KMS", Created: usual, Described: true,
		}
		change(&k)
		return k
	}
	return []inventory.Key{
		key(id(1), func(k *inventory.Key) {
			k.Spec, k.Origin = "RSA_4096", "EXTERNAL"
			k.Tags = []inventory.Tag{{Key: "env", Value: "prod"}}
		}),
		key(id(2), func(k *inventory.Key) {
			k.State = "PendingDeletion"
			k.Tags = []inventory.Tag{{Key: "team", Value: "payments"}}
		}),
		// Known by its alias, so that nobody asks for more.
		{ARN: arnOf(id(3)), ID: id(3), Manager: "AWS", Aliases: []inventory.Alias{{Name: "alias/aws/s3", Created: day(1), Updated: day(1)}}},
		key(id(5), func(k *inventory.Key) {
			k.Aliases = []inventory.Alias{{Name: "alias/b", Created: day(2), Updated: day(8)}, {Name: "alias/a", Created: day(3), Updated: day(3)}, {Name: "alias/undated"}}
			k.Tags = []inventory.Tag{{Key: "env", Value: ""}, {Key: "größe/μ", Value: "a b"}, {Key: "team", Value: "payments"}}
		}),
		key("mrk-00000000000000000000000000000004", func(k *inventory.Key) {
			k.MultiRegion, k.Usage, k.Spec, k.State, k.Created = true, "SIGN_VERIFY", "ECC_NIST_P256", "Disabled", day(9)
		}),
	}
}

func worldInventory() *inventory.Inventory {
	return &inventory.Inventory{Account: account, Region: region, Partition: "aws", ReadAt: now(), Keys: worldKeys()}
}

func anomalyAlarm(name string) inventory.Alarm {
	return inventory.Alarm{
		Name: name, ARN: "arn:aws:cloudwatch:" + region + ":" + account + ":alarm:" + name, ActionsEnabled: true,
		Actions: &spec.Actions{Alarm: []string{"topic-a", "topic-b"}, OK: []string{"topic-c"}, InsufficientData: []string{"topic-d"}},
		Queries: []inventory.Query{
			{ID: "m1", Namespace: "AWS/KMS", MetricName: "SuccessfulRequest", Dimensions: map[string]string{"KeyArn": arnOf(id(5)), "Operation": "Decrypt"}, Statistic: "Sum", Period: 5 * time.Minute, ReturnData: true},
			{ID: "band", Expression: "ANOMALY_DETECTION_BAND(m1, 2.5)", ReturnData: true},
		},
		ThresholdMetricID: "band", Operator: "GreaterThanUpperThreshold", EvaluationPeriods: 3, DatapointsToAlarm: 2, TreatMissingData: "notBreaching",
	}
}

func staticAlarm(name string) inventory.Alarm {
	return inventory.Alarm{
		Name: name, ARN: "arn:aws:cloudwatch:" + region + ":" + account + ":alarm:" + name,
		Actions: &spec.Actions{Alarm: []string{}, OK: []string{}, InsufficientData: []string{"topic-d"}},
		Queries: []inventory.Query{
			{Namespace: "AWS/KMS", MetricName: "SuccessfulRequest", Dimensions: map[string]string{"KeyArn": arnOf(id(1))}, Statistic: "Sum", Unit: "Count", Period: time.Minute, ReturnData: true},
		},
		Threshold: aws.Float64(1.5), Operator: "GreaterThanThreshold", EvaluationPeriods: 1, DatapointsToAlarm: 1, TreatMissingData: "missing",
	}
}

// manyKeys is an account of n tagged keys with an alias each.
func manyKeys(n int) fakeaws.State {
	st := fakeaws.State{Account: account, Region: region}
	for i := range n {
		st.Keys = append(st.Keys, fakeaws.Key{ID: id(i), Tags: []fakeaws.Tag{{Key: "n", Value: fmt.Sprint(i)}, {Key: "team", Value: "a"}}})
		st.Aliases = append(st.Aliases, fakeaws.Alias{Name: fmt.Sprintf("alias/key-%d", i), Target: id(i), Created: day(1)})
	}
	slices.SortFunc(st.Aliases, func(a, b fakeaws.Alias) int { return cmp.Compare(a.Name, b.Name) })
	return st
}
