package live

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"keywatch/internal/inventory"
	"keywatch/test/fakeaws"
)

func wantError(t *testing.T, err error, class Class, text string) {
	t.Helper()
	e := (*Error)(nil)
	if !errors.As(err, &e) {
		t.Fatalf("got %v (%T); want an *Error", err, err)
	}
	if e.Class != class || err.Error() != text {
		t.Errorf("\n got %s: %s\nwant %s: %s", e.Class, err, class, text)
	}
}

func wantHint(t *testing.T, err error, hint string) {
	t.Helper()
	if e := (*Error)(nil); !errors.As(err, &e) || e.Hint != hint {
		t.Errorf("\n got hint %q\nwant hint %q", e.Hint, hint)
	}
}

const (
	credentialsHint = "set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY; `cdk --profile` does not reach the app's own AWS calls, so export AWS_PROFILE as well"
	rejectedHint    = "check that AWS_PROFILE or AWS_ACCESS_KEY_ID names the right credentials, that the account may use the region, and that the clock is right"
	expiredHint     = "run `aws sso login` or renew the credentials the way you got them, then repeat the command"
	networkHint     = "check the network, the proxy settings, the region's name and AWS_ENDPOINT_URL"
	serverHint      = "repeat the command; https://health.aws.amazon.com shows whether AWS has trouble"
)

func TestErrorTexts(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		op    string
		kind  fakeaws.Kind
		class Class
		text  string
		hint  string
	}{
		"no permission to list keys": {
			opListKeys, fakeaws.AccessDenied, AccessDenied,
			"list keys" + as + "AccessDeniedException: User is not authorized to perform: kms:ListKeys",
			"allow kms:ListKeys on * for this identity; `keywatch permissions synth` prints the policy that it needs",
		},
		"no permission to list aliases": {
			opListAliases, fakeaws.AccessDenied, AccessDenied,
			"list aliases" + as + "AccessDeniedException: User is not authorized to perform: kms:ListAliases",
			"allow kms:ListAliases on * for this identity; `keywatch permissions synth` prints the policy that it needs",
		},
		"expired before the account is known": {
			opGetCallerIdentity, fakeaws.ExpiredToken, ExpiredCredentials,
			"get caller identity in eu-west-1: ExpiredToken: The security token included in the request is expired", expiredHint,
		},
		"expired half-way": {
			opListAliases, fakeaws.ExpiredToken, ExpiredCredentials,
			"list aliases" + as + "ExpiredTokenException: The security token included in the request is expired", expiredHint,
		},
		"credentials that AWS does not know": {
			opGetCallerIdentity, fakeaws.InvalidToken, NoCredentials,
			"get caller identity in eu-west-1: InvalidClientTokenId: The security token included in the request is invalid", rejectedHint,
		},
		"a wrong signature, whose message repeats the session token": {
			opListKeys, fakeaws.BadSignature, NoCredentials,
			"list keys" + as + "SignatureDoesNotMatch: AWS does not accept the request's signature", rejectedHint,
		},
		"throttled": {
			opListAliases, fakeaws.Throttle, Throttled,
			"list aliases" + as + "ThrottlingException: Rate exceeded (8 attempts)",
			"others use up the account's request quota: repeat the command when it is quieter, or set AWS_MAX_ATTEMPTS above 8",
		},
		"throttled by STS": {
			opGetCallerIdentity, fakeaws.Throttle, Throttled,
			"get caller identity in eu-west-1: Throttling: Rate exceeded (8 attempts)",
			"others use up the account's request quota: repeat the command when it is quieter, or set AWS_MAX_ATTEMPTS above 8",
		},
		"an error inside KMS": {
			opListKeys, fakeaws.Internal, Other,
			"list keys" + as + "KMSInternalException: An internal exception occurred (8 attempts)", serverHint,
		},
		"an error before KMS": {
			opListKeys, fakeaws.Unavailable, Other,
			"list keys" + as + "the answer is not one of AWS (HTTP status 503) (8 attempts)", serverHint,
		},
		"a web page instead of KMS": {
			opListKeys, fakeaws.HTML, Network,
			"list keys" + as + "the answer is not one of AWS (HTTP status 200)", networkHint,
		},
		"a web page instead of STS": {
			opGetCallerIdentity, fakeaws.HTML, Network,
			"get caller identity in eu-west-1: the answer is not one of AWS (HTTP status 200)", networkHint,
		},
		"an answer that is cut off": {
			opListKeys, fakeaws.Cut, Network,
			"list keys" + as + "the connection was closed before the answer was complete (8 attempts)", networkHint,
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			srv := fakeaws.Start(t, manyKeys(2))
			srv.Fail(fakeaws.Fault{Operation: tt.op, Kind: tt.kind, Times: fakeaws.Forever})
			_, err := session(t, srv, quick()).Inventory(t.Context(), inventory.Need{})
			wantError(t, err, tt.class, tt.text)
			wantHint(t, err, tt.hint)
		})
	}
}

func TestNobodyListens(t *testing.T) {
	t.Parallel()
	srv := fakeaws.Start(t, fakeaws.State{})
	_ = srv.Close()
	o := quick()
	o.MaxAttempts = 2
	_, err := session(t, srv, o).Inventory(t.Context(), inventory.Need{})
	wantError(t, err, Network, "get caller identity in eu-west-1: dial tcp "+strings.TrimPrefix(srv.URL, "http://")+": connect: connection refused (2 attempts)")
}

// Credentials are resolved inside each call: a role that may no longer be
// assumed half-way must not look like a key that may not be described.
func TestCredentialsThatFailHalfWayFailTheInventory(t *testing.T) {
	t.Parallel()
	denied := &smithy.OperationError{ServiceID: "STS", OperationName: "AssumeRole", Err: &smithy.GenericAPIError{Code: "AccessDenied", Message: "not authorized to perform: sts:AssumeRole"}}
	srv := fakeaws.Start(t, manyKeys(5))
	before := 1 + 5 + 5 + 2 // identity, keys, aliases, two descriptions
	s, err := open(t.Context(), Options{Now: now, Concurrency: 1},
		config.WithBaseEndpoint(srv.URL), config.WithRegion(region),
		config.WithSharedConfigFiles([]string{os.DevNull}), config.WithSharedCredentialsFiles([]string{os.DevNull}),
		config.WithCredentialsProvider(aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			if len(srv.Calls()) >= before {
				return aws.Credentials{}, fmt.Errorf("assume role: %w", denied)
			}
			// Expired at once, so that each request asks again.
			return aws.Credentials{AccessKeyID: "A", SecretAccessKey: "B", CanExpire: true, Expires: now().Add(-time.Hour)}, nil
		})))
	if err != nil {
		t.Fatal(err)
	}
	inv, err := s.Inventory(t.Context(), inventory.Need{})
	e := (*Error)(nil)
	if inv != nil || !errors.As(err, &e) || e.Class != AccessDenied ||
		!strings.HasSuffix(err.Error(), ": no usable AWS credentials: AccessDenied: not authorized to perform: sts:AssumeRole") {
		t.Fatalf("got %v, %v", inv, err)
	}
	wantHint(t, err, "the role of the AWS profile may not be assumed with the credentials it names: check AWS_PROFILE and the role's trust policy")
}

// files writes an AWS config file and makes the environment use it alone.
func files(t *testing.T, srv *fakeaws.Server, profile, content string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "config")
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("HOME", t.TempDir()) // no cached SSO token
	t.Setenv("AWS_CONFIG_FILE", path)
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", os.DevNull)
	t.Setenv("AWS_EC2_METADATA_DISABLED", "true")
	t.Setenv("AWS_ENDPOINT_URL", srv.URL)
	t.Setenv("AWS_ENDPOINT_URL_STS", srv.URL) // the SDK's credential chain heeds no other
	t.Setenv("AWS_PROFILE", profile)
}

// These go through the environment, as a user's do, so they are not parallel.
func TestCredentialTroubleSeenThroughTheEnvironment(t *testing.T) {
	srv := fakeaws.Start(t, fakeaws.State{})
	srv.Fail(fakeaws.Fault{Operation: "sts:AssumeRole", Kind: fakeaws.AccessDenied, Times: fakeaws.Forever})
	const role = "role_arn = arn:aws:iam::111122223333:role/reader\n"
	tests := map[string]struct {
		profile, config string
		class           Class
		text, hint      string
	}{
		"no region": {
			"", "[default]\n", NoRegion,
			"read AWS configuration: no region is set",
			"set AWS_REGION, or `region` in the profile that AWS_PROFILE names",
		},
		"no credentials": {
			"", "[default]\nregion = eu-west-1\n", NoCredentials,
			"get caller identity in eu-west-1: no usable AWS credentials: none in the environment, the AWS profile or an instance role",
			credentialsHint,
		},
		"a profile that does not exist": {
			"nosuch", "[default]\nregion = eu-west-1\n", NoCredentials,
			`read AWS configuration: there is no profile "nosuch"`, credentialsHint,
		},
		"a profile without an SSO session": {
			"sso", "[profile sso]\nregion = eu-west-1\nsso_start_url = https://example.awsapps.com/start\nsso_region = eu-west-1\nsso_account_id = 111122223333\nsso_role_name = reader\n", ExpiredCredentials,
			"get caller identity in eu-west-1: no usable AWS credentials: the sign-in session of the AWS profile has expired or was never opened", expiredHint,
		},
		"a profile with an SSO session that was never opened": {
			"sso", "[profile sso]\nregion = eu-west-1\nsso_session = s\nsso_account_id = 111122223333\nsso_role_name = reader\n[sso-session s]\nsso_start_url = https://example.awsapps.com/start\nsso_region = eu-west-1\n", ExpiredCredentials,
			"get caller identity in eu-west-1: no usable AWS credentials: the sign-in session of the AWS profile has expired or was never opened", expiredHint,
		},
		"a role that wants an MFA code": {
			"mfa", "[profile mfa]\nregion = eu-west-1\n" + role + "source_profile = keys\nmfa_serial = arn:aws:iam::111122223333:mfa/me\n[profile keys]\naws_access_key_id = A\naws_secret_access_key = B\n", NoCredentials,
			"read AWS configuration: the profile's role wants an MFA code, which keywatch does not ask for",
			"get temporary credentials for the profile with another tool and put them into AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN",
		},
		"a role that may not be assumed": {
			"role", "[profile role]\nregion = eu-west-1\n" + role + "source_profile = keys\n[profile keys]\naws_access_key_id = A\naws_secret_access_key = B\n", AccessDenied,
			"get caller identity in eu-west-1: no usable AWS credentials: AccessDenied: User is not authorized to perform: sts:AssumeRole",
			"the role of the AWS profile may not be assumed with the credentials it names: check AWS_PROFILE and the role's trust policy",
		},
		"a credential process that prints a secret and no JSON": {
			"p", "[profile p]\nregion = eu-west-1\ncredential_process = echo " + fakeaws.SecretKey + "\n", NoCredentials,
			"get caller identity in eu-west-1: no usable AWS credentials: credential_process did not print JSON", credentialsHint,
		},
		"a credential process that fails": {
			"p", "[profile p]\nregion = eu-west-1\ncredential_process = false\n", NoCredentials,
			"get caller identity in eu-west-1: no usable AWS credentials: credential_process ended with exit status 1", credentialsHint,
		},
		"a credential process that prints nothing of use": {
			"p", "[profile p]\nregion = eu-west-1\ncredential_process = echo {}\n", NoCredentials,
			"get caller identity in eu-west-1: no usable AWS credentials: credential_process gave no credentials", credentialsHint,
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			files(t, srv, tt.profile, tt.config)
			s, err := Open(t.Context(), quick())
			if err == nil {
				_, err = s.Inventory(t.Context(), inventory.Need{})
			}
			wantError(t, err, tt.class, tt.text)
			wantHint(t, err, tt.hint)
		})
	}
}

func TestNoErrorTextHoldsControlCharactersOrHasNoEnd(t *testing.T) {
	t.Parallel()
	srv := fakeaws.Start(t, fakeaws.State{})
	srv.Fail(fakeaws.Fault{Operation: opListKeys, Kind: fakeaws.AccessDenied, Message: "red \x1b[31m\u202e\r\nnext " + strings.Repeat("x", 5000)})
	_, err := session(t, srv, quick()).Inventory(t.Context(), inventory.Need{})
	if err == nil || len(err.Error()) > 800 || strings.ContainsAny(err.Error(), "\x1b\u202e\r\n") {
		t.Errorf("got %q", err)
	}
}

// A hint is shown after "hint: ": one line, no final period.
func TestHintsAreOneLine(t *testing.T) {
	t.Parallel()
	for _, class := range []Class{NoRegion, NoCredentials, ExpiredCredentials, AccessDenied, Throttled, Network, Incomplete} {
		h := hint(opListKeys, class, errors.New("x"))
		if h == "" || strings.Contains(h, "\n") || strings.HasSuffix(h, ".") || h[0] < 'a' || h[0] > 'z' {
			t.Errorf("%s: %q", class, h)
		}
	}
}

func TestNetworkTroubleInOneLine(t *testing.T) {
	t.Parallel()
	sent := func(err error) error {
		return &smithyhttp.RequestSendError{Err: &url.Error{Op: "Post", URL: "https://kms.eu-wset-1.amazonaws.com/", Err: err}}
	}
	tests := map[string]struct {
		err  error
		want string
	}{
		"a region that does not exist": {
			sent(&net.OpError{Op: "dial", Net: "tcp", Err: &net.DNSError{Err: "no such host", Name: "kms.eu-wset-1.amazonaws.com", IsNotFound: true}}),
			"dial tcp: lookup kms.eu-wset-1.amazonaws.com: no such host",
		},
		"a certificate that nobody knows": {sent(x509.UnknownAuthorityError{}), "x509: certificate signed by unknown authority"},
		"a connection that was reset":     {sent(&net.OpError{Op: "read", Net: "tcp", Err: syscall.ECONNRESET}), "the connection was closed before the answer was complete"},
		"a connection that was closed":    {sent(io.EOF), "the connection was closed before the answer was complete"},
		"a deadline":                      {sent(context.DeadlineExceeded), "no answer in time"},
	}
	for name, tt := range tests {
		if got := cause(tt.err); got != tt.want || classify(tt.err) != Network {
			t.Errorf("%s: got %s: %q; want %q", name, classify(tt.err), got, tt.want)
		}
	}
}

func TestHintOfAnyError(t *testing.T) {
	t.Parallel()
	if got := Hint(fmt.Errorf("inventory: %w", &Error{Hint: "h"})); got != "h" {
		t.Errorf("got %q", got)
	}
	if got := Hint(errors.New("x")); got != "" {
		t.Errorf("got %q", got)
	}
}

func TestStatusOfNoAnswerIsNone(t *testing.T) {
	t.Parallel()
	if got := status(errors.New("x")); got != 0 || isServerError(errors.New(http.StatusText(500))) {
		t.Errorf("got %d", got)
	}
}
