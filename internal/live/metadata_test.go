package live

import (
	"context"
	"errors"
	"maps"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/smithy-go"
	"github.com/aws/smithy-go/middleware"

	"keywatch/internal/inventory"
	"keywatch/test/fakeaws"
)

// metadata makes an instance metadata service the last place of the credential
// chain, and the only one. It answers each request with a status, and counts.
func metadata(t *testing.T, status int) *atomic.Int64 {
	t.Helper()
	asked := &atomic.Int64{}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		asked.Add(1)
		w.WriteHeader(status)
	}))
	t.Cleanup(srv.Close)
	files(t, fakeaws.Start(t, fakeaws.State{}), "", "[default]\nregion = eu-west-1\n")
	t.Setenv("AWS_EC2_METADATA_DISABLED", "false")
	t.Setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", srv.URL)
	return asked
}

func callerError(t *testing.T, o Options) error {
	t.Helper()
	s, err := Open(t.Context(), o)
	if err == nil {
		_, err = s.Caller(t.Context())
	}
	if err == nil {
		t.Fatal("there is a caller")
	}
	return err
}

// There are none only if nobody gives any: whoever gives bad ones has a reason to
// hear of it.
func TestNoCredentialsIsAFactOfItsOwn(t *testing.T) {
	const role = "role_arn = arn:aws:iam::111122223333:role/reader\n"
	tests := map[string]struct {
		profile, config string
		none            bool
	}{
		"nothing at all":                          {"", "[default]\nregion = eu-west-1\n", true},
		"a profile that does not exist":           {"nosuch", "[default]\nregion = eu-west-1\n", false},
		"a profile whose instance role is absent": {"p", "[profile p]\nregion = eu-west-1\n" + role + "credential_source = Ec2InstanceMetadata\n", false},
		"an SSO session that was never opened":    {"p", "[profile p]\nregion = eu-west-1\nsso_start_url = https://example.awsapps.com/start\nsso_region = eu-west-1\nsso_account_id = 111122223333\nsso_role_name = reader\n", false},
		"a credential process that fails":         {"p", "[profile p]\nregion = eu-west-1\ncredential_process = false\n", false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			files(t, fakeaws.Start(t, fakeaws.State{}), tt.profile, tt.config)
			o := quick()
			if err := callerError(t, o); errors.Is(err, inventory.ErrNoCredentials) != tt.none {
				t.Errorf("none is %v: %v", !tt.none, err)
			}
			o.Role = lookupRole // is assumed with them
			if err := callerError(t, o); errors.Is(err, inventory.ErrNoCredentials) != tt.none {
				t.Errorf("with a role none is %v: %v", !tt.none, err)
			}
		})
	}
	t.Run("credentials that AWS does not take", func(t *testing.T) {
		srv := fakeaws.Start(t, fakeaws.State{})
		srv.Fail(fakeaws.Fault{Operation: opGetCallerIdentity, Kind: fakeaws.ExpiredToken, Times: fakeaws.Forever})
		if _, err := session(t, srv, quick()).Caller(t.Context()); err == nil || errors.Is(err, inventory.ErrNoCredentials) {
			t.Errorf("got %v", err)
		}
	})
}

// An instance without a role has no credentials; a metadata service with trouble
// of its own may have some.
func TestWhatTheMetadataServiceAnswers(t *testing.T) {
	for status, none := range map[int]bool{http.StatusNotFound: true, http.StatusForbidden: true, http.StatusNotImplemented: false, http.StatusTooManyRequests: false} {
		t.Run(http.StatusText(status), func(t *testing.T) {
			asked := metadata(t, status)
			o := quick()
			o.MaxAttempts = 1
			if err := callerError(t, o); errors.Is(err, inventory.ErrNoCredentials) != none {
				t.Errorf("none is %v: %v", !none, err)
			}
			if asked.Load() == 0 {
				t.Error("nobody asked")
			}
		})
	}
}

func TestAMetadataServiceThatIsSilentMayHaveSome(t *testing.T) {
	t.Parallel()
	err := &credentialsError{err: &smithy.OperationError{ServiceID: "ec2imds", Err: &aws.RequestCanceledError{Err: context.DeadlineExceeded}}}
	if errors.Is(err, inventory.ErrNoCredentials) {
		t.Error("there are none")
	}
}

// Nobody waits for a metadata service that is not there: neither the SDK's client
// for it nor our retryer tries again.
func TestAMetadataServiceThatIsNotThereIsAskedOnce(t *testing.T) {
	metadata(t, http.StatusNotFound)
	closed := httptest.NewServer(nil) // nobody listens where it was
	closed.Close()
	t.Setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", closed.URL)
	tries := map[string]int{}
	count := func(stack *middleware.Stack) error {
		id := stack.ID()
		return stack.Finalize.Insert(middleware.FinalizeMiddlewareFunc("count", func(ctx context.Context, in middleware.FinalizeInput, next middleware.FinalizeHandler) (middleware.FinalizeOutput, middleware.Metadata, error) {
			tries[id]++
			return next.HandleFinalize(ctx, in)
		}), "Retry", middleware.After)
	}
	s, err := open(t.Context(), quick(), config.WithAPIOptions([]func(*middleware.Stack) error{count}))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Caller(t.Context()); !errors.Is(err, inventory.ErrNoCredentials) {
		t.Errorf("got %v", err)
	}
	if want := map[string]int{"GetCallerIdentity": 1, "getToken": 1, "GetMetadata": 1}; !maps.Equal(tries, want) {
		t.Errorf("tried %v; want %v", tries, want)
	}
}
