package fakeaws_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go"

	"keywatch/internal/inventory"
	"keywatch/test/fakeaws"
)

func config(srv *fakeaws.Server) aws.Config {
	return aws.Config{
		Region:       "eu-west-1",
		BaseEndpoint: &srv.URL,
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: "AKIDEXAMPLE", SecretAccessKey: fakeaws.SecretKey, SessionToken: fakeaws.SessionToken}, nil
		}),
		Retryer: func() aws.Retryer { return aws.NopRetryer{} },
	}
}

func code(err error) string {
	if e := smithy.APIError(nil); errors.As(err, &e) {
		return e.ErrorCode()
	}
	return fmt.Sprint(err)
}

func keys(n int) []fakeaws.Key {
	var ks []fakeaws.Key
	for i := range n {
		ks = append(ks, fakeaws.Key{ID: fmt.Sprintf("key-%d", i)})
	}
	return ks
}

// pages lists all keys and returns the size of each page.
func pages(t *testing.T, srv *fakeaws.Server, limit *int32) []int {
	t.Helper()
	var sizes []int
	p := kms.NewListKeysPaginator(kms.NewFromConfig(config(srv)), &kms.ListKeysInput{Limit: limit})
	for p.HasMorePages() {
		out, err := p.NextPage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		sizes = append(sizes, len(out.Keys))
	}
	return sizes
}

func TestPagesHaveTheSizeAskedForAndTheSizeOfTheServer(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		options []fakeaws.Option
		limit   *int32
		want    []int
	}{
		"one by default":          {nil, nil, []int{1, 1, 1, 1, 1}},
		"the server's":            {[]fakeaws.Option{fakeaws.PageSize(2)}, nil, []int{2, 2, 1}},
		"the request's if less":   {[]fakeaws.Option{fakeaws.PageSize(4)}, aws.Int32(3), []int{3, 2}},
		"the server's if less":    {[]fakeaws.Option{fakeaws.PageSize(2)}, aws.Int32(1000), []int{2, 2, 1}},
		"as many as there are":    {[]fakeaws.Option{fakeaws.PageSize(5)}, aws.Int32(5), []int{5}},
		"of any size if shuffled": {[]fakeaws.Option{fakeaws.PageSize(3), fakeaws.Shuffle(1)}, nil, []int{2, 1, 2}},
	}
	for name, tt := range tests {
		srv := fakeaws.Start(t, fakeaws.State{Keys: keys(5)}, tt.options...)
		if got := pages(t, srv, tt.limit); !slices.Equal(got, tt.want) {
			t.Errorf("%s: %v; want %v", name, got, tt.want)
		}
	}
}

func TestAMarkerThatWasNeverGivenIsRefused(t *testing.T) {
	t.Parallel()
	srv := fakeaws.Start(t, fakeaws.State{Keys: keys(2)})
	_, err := kms.NewFromConfig(config(srv)).ListKeys(t.Context(), &kms.ListKeysInput{Marker: aws.String("marker-77")})
	if code(err) != "InvalidMarkerException" {
		t.Errorf("got %v", err)
	}
	_, err = cloudwatch.NewFromConfig(config(srv)).DescribeAlarms(t.Context(), &cloudwatch.DescribeAlarmsInput{NextToken: aws.String("x")})
	if code(err) != "InvalidNextToken" {
		t.Errorf("got %v", err)
	}
}

func TestFaultsHitTheRequestsTheyNameAndNoOthers(t *testing.T) {
	t.Parallel()
	srv := fakeaws.Start(t, fakeaws.State{Keys: keys(2)})
	srv.Fail(fakeaws.Fault{Operation: "kms:DescribeKey", Key: "key-1", Nth: 2, Times: 2, Kind: fakeaws.Throttle})
	client := kms.NewFromConfig(config(srv))
	var got []string
	for range 4 {
		for _, id := range []string{"key-0", "arn:aws:kms:eu-west-1:111122223333:key/key-1"} {
			_, err := client.DescribeKey(t.Context(), &kms.DescribeKeyInput{KeyId: &id})
			got = append(got, code(err))
		}
	}
	const ok, no = "<nil>", "ThrottlingException"
	if want := []string{ok, ok, ok, no, ok, no, ok, ok}; !slices.Equal(got, want) {
		t.Errorf("got %v; want %v", got, want)
	}
	srv.Fail(fakeaws.Fault{Kind: fakeaws.AccessDenied, Times: fakeaws.Forever})
	if _, err := client.ListKeys(t.Context(), nil); code(err) != "AccessDeniedException" {
		t.Errorf("got %v", err)
	}
	srv.Heal()
	if _, err := client.ListKeys(t.Context(), nil); err != nil {
		t.Errorf("after Heal: %v", err)
	}
}

func TestUpdateChangesWhatIsThere(t *testing.T) {
	t.Parallel()
	srv := fakeaws.Start(t, fakeaws.State{}, fakeaws.PageSize(9))
	if got := pages(t, srv, nil); !slices.Equal(got, []int{0}) {
		t.Errorf("got %v", got)
	}
	srv.Update(func(s *fakeaws.State) { s.Keys = keys(3) })
	if got := pages(t, srv, nil); !slices.Equal(got, []int{3}) {
		t.Errorf("got %v", got)
	}
}

func TestRolesCanBeAssumed(t *testing.T) {
	t.Parallel()
	srv := fakeaws.Start(t, fakeaws.State{})
	role := "arn:aws:iam::111122223333:role/cdk"
	out, err := sts.NewFromConfig(config(srv)).AssumeRole(t.Context(), &sts.AssumeRoleInput{RoleArn: &role, RoleSessionName: aws.String("s")})
	if err != nil || *out.Credentials.AccessKeyId != "ASIAEXAMPLE" || *out.AssumedRoleUser.Arn != role {
		t.Errorf("got %+v, %v", out, err)
	}
	if w := srv.WriteCalls(); len(w) != 0 {
		t.Errorf("write calls: %v", w)
	}
}

func TestEveryWriteIsRecordedAndCloudFormationRefuses(t *testing.T) {
	t.Parallel()
	srv := fakeaws.Start(t, fakeaws.State{})
	cfn := cloudformation.NewFromConfig(config(srv))
	name := aws.String("keywatch-alarms-001")

	_, err := cfn.DescribeStacks(t.Context(), &cloudformation.DescribeStacksInput{StackName: name})
	if code(err) != "ValidationError" || !strings.Contains(err.Error(), "Stack with id keywatch-alarms-001 does not exist") {
		t.Errorf("DescribeStacks: %v", err)
	}
	if _, err := cfn.GetTemplate(t.Context(), &cloudformation.GetTemplateInput{StackName: name}); code(err) != "ValidationError" {
		t.Errorf("GetTemplate: %v", err)
	}
	if w := srv.WriteCalls(); len(w) != 0 {
		t.Errorf("these only read: %v", w)
	}

	body := aws.String("{}")
	writes := map[string]func() error{
		"CreateStack": func() error {
			_, err := cfn.CreateStack(t.Context(), &cloudformation.CreateStackInput{StackName: name, TemplateBody: body})
			return err
		},
		"UpdateStack": func() error {
			_, err := cfn.UpdateStack(t.Context(), &cloudformation.UpdateStackInput{StackName: name, TemplateBody: body})
			return err
		},
		"DeleteStack": func() error {
			_, err := cfn.DeleteStack(t.Context(), &cloudformation.DeleteStackInput{StackName: name})
			return err
		},
		"CreateChangeSet": func() error {
			_, err := cfn.CreateChangeSet(t.Context(), &cloudformation.CreateChangeSetInput{StackName: name, ChangeSetName: name, TemplateBody: body})
			return err
		},
		"ExecuteChangeSet": func() error {
			_, err := cfn.ExecuteChangeSet(t.Context(), &cloudformation.ExecuteChangeSetInput{ChangeSetName: name, StackName: name})
			return err
		},
	}
	for operation, call := range writes {
		before := len(srv.WriteCalls())
		if err := call(); code(err) != "ValidationError" {
			t.Errorf("%s: %v", operation, err)
		}
		w := srv.WriteCalls()
		if len(w) != before+1 || w[before].Name() != "cloudformation:"+operation {
			t.Errorf("%s: recorded %v", operation, w[before:])
		}
	}
}

// do sends a request as the CDK CLI does, without its SDK.
func do(t *testing.T, srv *fakeaws.Server, method, path, service, target, body string) (int, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, srv.URL+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20261120/eu-west-1/"+service+"/aws4_request, SignedHeaders=host, Signature=0")
	if target != "" {
		r.Header.Set("X-Amz-Target", target)
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	out, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(out)
}

func TestWhatTheCDKAsksBeforeItDeploys(t *testing.T) {
	t.Parallel()
	srv := fakeaws.Start(t, fakeaws.State{})
	tests := []struct {
		method, path, service, target, body string
		status                              int
		contains                            string
		call                                string
		write                               bool
	}{
		{"POST", "/", "ssm", "AmazonSSM.GetParameter", `{"Name":"/cdk-bootstrap/hnb659fds/version"}`, 200, `"Value":"999"`, "ssm:GetParameter", false},
		{"GET", "/bucket/?location=", "s3", "", "", 200, "<LocationConstraint>eu-west-1<", "s3:GET /bucket/?location=", false},
		{"HEAD", "/bucket/key", "s3", "", "", 404, "", "s3:HEAD /bucket/key", false},
		{"PUT", "/bucket/key", "s3", "", "{}", 200, "", "s3:PUT /bucket/key", true},
		{"DELETE", "/bucket/key", "s3", "", "", 400, "fakeaws does not deploy", "s3:DELETE /bucket/key", true},
		{"POST", "/", "kms", "TrentService.ScheduleKeyDeletion", `{"KeyId":"k"}`, 400, "UnknownOperationException", "kms:ScheduleKeyDeletion", true},
		{"POST", "/", "kms", "TrentService.ListKeys", "no json", 400, "invalid character", "", false},
	}
	for _, tt := range tests {
		before := len(srv.Calls())
		status, body := do(t, srv, tt.method, tt.path, tt.service, tt.target, tt.body)
		if status != tt.status || !strings.Contains(body, tt.contains) {
			t.Errorf("%s %s: %d %s", tt.method, tt.path, status, body)
		}
		calls := srv.Calls()[before:]
		if tt.call == "" {
			continue
		}
		if len(calls) != 1 || calls[0].Name() != tt.call || calls[0].Write() != tt.write {
			t.Errorf("%s %s: recorded %+v", tt.method, tt.path, calls)
		}
	}
}

func TestAlarmsGoOverTheWire(t *testing.T) {
	t.Parallel()
	srv := fakeaws.Start(t, fakeaws.State{Alarms: []inventory.Alarm{{
		Name:    "a",
		Queries: []inventory.Query{{ID: "e", Expression: "SUM([a])", Period: 60e9}},
	}}})
	out, err := cloudwatch.NewFromConfig(config(srv)).DescribeAlarms(t.Context(), nil)
	if err != nil || len(out.MetricAlarms) != 1 || *out.MetricAlarms[0].Metrics[0].Expression != "SUM([a])" || *out.MetricAlarms[0].Metrics[0].Period != 60 {
		t.Errorf("got %+v, %v", out, err)
	}
}

func TestTheServerIsOnTheLoopbackInterfaceAlone(t *testing.T) {
	t.Parallel()
	srv, err := fakeaws.New(fakeaws.State{})
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(srv.URL, "http://127.0.0.1:") {
		t.Errorf("URL %s", srv.URL)
	}
	if err := srv.Close(); err != nil {
		t.Error(err)
	}
	if _, err := fakeaws.New(fakeaws.State{}, fakeaws.PageSize(0)); err == nil {
		t.Error("a page size of nothing was taken")
	}
}

func TestTheEnvironmentLeavesNoWayToARealAccount(t *testing.T) {
	t.Parallel()
	srv := fakeaws.Start(t, fakeaws.State{Region: "eu-central-1"})
	env := srv.Env()
	for _, want := range []string{
		"AWS_ENDPOINT_URL=" + srv.URL, "AWS_REGION=eu-central-1", "AWS_PROFILE=", "AWS_EC2_METADATA_DISABLED=true",
		"AWS_CONFIG_FILE=" + os.DevNull, "AWS_SHARED_CREDENTIALS_FILE=" + os.DevNull, "CDK_DISABLE_CLI_TELEMETRY=true",
	} {
		if !slices.Contains(env, want) {
			t.Errorf("no %s in %v", want, env)
		}
	}
}
