package live

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"unicode"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials/processcreds"
	"github.com/aws/aws-sdk-go-v2/credentials/stscreds"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"keywatch/internal/inventory"
)

// Class is what kind of trouble an [Error] is, so that callers need not read
// its text.
type Class string

const (
	// NoRegion: neither options, environment nor profile name a region.
	NoRegion Class = "no-region"
	// NoCredentials: there are none, or AWS does not accept them.
	NoCredentials Class = "no-credentials"
	// ExpiredCredentials: they were good once.
	ExpiredCredentials Class = "expired-credentials"
	// AccessDenied: good credentials without the permission.
	AccessDenied Class = "access-denied"
	// Throttled: AWS asked to slow down, to the last attempt.
	Throttled Class = "throttled"
	// TooLong: the deadline of the whole reading has passed.
	TooLong Class = "too-long"
	// Network: there was no answer, or not one of AWS.
	Network Class = "network"
	// Incomplete: answers that contradict each other or lack a part, so that
	// nobody can say whether they are all.
	Incomplete Class = "incomplete"
	// Other: everything else, errors inside AWS and cancellation among them.
	Other Class = "other"
)

// Error is why something could not be read. It reads like
//
//	list keys in eu-west-1 as 111122223333: AccessDeniedException: …
//
// and never holds a secret: what AWS or a credential process says is left out
// where it may repeat one.
type Error struct {
	// Operation as IAM spells it, "kms:ListKeys"; "config" when it is the AWS
	// configuration that could not be read.
	Operation string
	// Resource is the key ID or the stack name, for operations on one of them.
	Resource string
	// Account is empty while it is not known.
	Account string
	Region  string
	Class   Class
	Err     error
	// Hint says how to fix it: a sentence without a final period, or empty.
	Hint string
}

// opLoadConfig is the Error.Operation of what happens before any call.
const opLoadConfig = "config"

func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString(action(e.Operation))
	if e.Resource != "" {
		b.WriteString(" " + e.Resource)
	}
	if e.Region != "" {
		b.WriteString(" in " + e.Region)
	}
	if e.Account != "" {
		b.WriteString(" as " + e.Account)
	}
	return b.String() + ": " + cause(e.Err)
}

func (e *Error) Unwrap() error { return e.Err }

func action(operation string) string {
	switch operation {
	case opLoadConfig:
		return "read AWS configuration"
	case opGetCallerIdentity:
		return "get caller identity"
	case opListKeys:
		return "list keys"
	case opListAliases:
		return "list aliases"
	case opDescribeKey:
		return "describe key"
	case opListResourceTags:
		return "list tags of key"
	case opGetResources:
		return "get tags of keys"
	case opDescribeAlarms:
		return "describe alarms"
	case opListDashboards:
		return "list dashboards"
	case opDescribeTrails:
		return "describe trails"
	case opGetEventSelectors:
		return "get event selectors of trail"
	case opGetTrailStatus:
		return "get status of trail"
	case opDescribeStacks:
		return "describe stacks"
	case opListStackResources:
		return "list resources of stack"
	case opGetMetricData:
		return "get metric data of"
	case opFilterLogEvents:
		return "read log group"
	case opGetCostAndUsage:
		return "read charges"
	case opAddAttachmentsToSet:
		return "upload attachments to AWS Support"
	case opCreateCase:
		return "open a case of AWS Support"
	case opDescribeCases:
		return "list cases of AWS Support"
	case opDescribeServices:
		return "list services of AWS Support"
	}
	return operation
}

// fail makes the one kind of error that leaves this package.
func (s *Session) fail(operation, resource string, err error) error {
	if e := (*Error)(nil); errors.As(err, &e) {
		return e
	}
	class := classify(err)
	return &Error{
		Operation: operation,
		Resource:  resource,
		Account:   s.account(),
		Region:    s.region,
		Class:     class,
		Err:       err,
		Hint:      hint(operation, class, err),
	}
}

// contradiction is an answer that cannot be the whole truth.
type contradiction struct{ error }

func incomplete(format string, args ...any) error {
	return contradiction{fmt.Errorf(format, args...)}
}

// credentials marks the errors of the credential chain. The SDK resolves
// credentials inside each call, and without the mark a denied sts:AssumeRole
// would look like a denied kms:DescribeKey.
type credentials struct {
	aws.CredentialsProvider
	// signIn says that the profile's credentials come of a session that a
	// person opens: SSO or `aws login`. The SDK has no error type for most of
	// the ways in which there may be none.
	signIn bool
	// halfSet says what names credentials although there are none, or "".
	halfSet func() string
}

// Retrieve implements aws.CredentialsProvider.
func (c credentials) Retrieve(ctx context.Context) (aws.Credentials, error) {
	v, err := c.CredentialsProvider.Retrieve(ctx)
	if err != nil {
		e := &credentialsError{err: withoutOutput(err), signIn: c.signIn}
		if e.none() {
			e.halfSet = c.halfSet()
		}
		return aws.Credentials{}, e
	}
	return v, nil
}

// roleSession names the sessions of an assumed role, as CloudTrail shows them.
const roleSession = "keywatch"

// assume gives the credentials of a role, which the configured ones may assume.
// The CDK's lookup role may be assumed by its own account, and by others that
// `cdk bootstrap --trust-for-lookup` names ("Bootstrapping", AWS CDK Developer
// Guide).
func assume(cfg aws.Config, role string) aws.CredentialsProvider {
	provider := stscreds.NewAssumeRoleProvider(sts.NewFromConfig(cfg), role, func(o *stscreds.AssumeRoleOptions) {
		o.RoleSessionName = roleSession
	})
	return aws.NewCredentialsCache(assumed{provider, role})
}

// assumed marks the errors of assuming a role.
type assumed struct {
	aws.CredentialsProvider
	role string
}

// Retrieve implements aws.CredentialsProvider.
func (a assumed) Retrieve(ctx context.Context) (aws.Credentials, error) {
	v, err := a.CredentialsProvider.Retrieve(ctx)
	if c := (*credentialsError)(nil); err != nil && !errors.As(err, &c) {
		return aws.Credentials{}, &credentialsError{err: err, role: a.role}
	}
	return v, err
}

// needsSignIn says whether the profile is one of SSO or `aws login`.
func needsSignIn(sources []any) bool {
	for _, source := range sources {
		if p, ok := source.(config.SharedConfig); ok && (p.SSOStartURL != "" || p.SSOSession != nil || p.LoginSession != "") {
			return true
		}
	}
	return false
}

type credentialsError struct {
	err    error
	signIn bool
	role   string // that could not be assumed, or ""
	// halfSet is what names credentials although the chain found none, or "".
	halfSet string
}

func (e *credentialsError) Error() string {
	if e.role != "" {
		return fmt.Sprintf("no credentials of the role %s: %s", e.role, e.reason())
	}
	return "no usable AWS credentials: " + e.reason()
}
func (e *credentialsError) Unwrap() error { return e.err }

// Is makes "there are none" a fact that callers can ask for without this
// package.
func (e *credentialsError) Is(target error) bool {
	return target == inventory.ErrNoCredentials && e.none() && e.halfSet == ""
}

// none says that the whole chain was asked for credentials, and at its end there is
// no instance role either. A metadata service that is there and has trouble of its
// own may have some. A profile that names that service as its source fails in STS,
// which comes first here.
func (e *credentialsError) none() bool {
	var o *smithy.OperationError
	if !errors.As(e.err, &o) || o.ServiceID != "ec2imds" {
		return false
	}
	trouble := isNetwork(e.err) || isServerError(e.err) || status(e.err) == http.StatusTooManyRequests
	return isDial(e.err) || !trouble
}

// withoutOutput drops the output of a credential_process, which the SDK puts
// into its error when it cannot parse it: there may be a secret in it.
func withoutOutput(err error) error {
	if p := (*processcreds.ProviderError)(nil); !errors.As(err, &p) {
		return err
	}
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		return fmt.Errorf("credential_process ended with %s", exit.ProcessState)
	}
	if syntax := (*json.SyntaxError)(nil); errors.As(err, &syntax) {
		return errors.New("credential_process did not print JSON")
	}
	return errors.New("credential_process gave no credentials")
}

func (e *credentialsError) reason() string {
	if e.halfSet != "" {
		return e.halfSet
	}
	if e.none() {
		// The instance role is the last of the chain; that there is none is
		// not what the user needs to hear.
		return "none in the environment, the AWS profile or an instance role"
	}
	if a := smithy.APIError(nil); errors.As(e.err, &a) {
		return apiText(a)
	}
	if isNetwork(e.err) {
		return networkText(e.err)
	}
	if e.signIn {
		return "the sign-in session of the AWS profile has expired or was never opened"
	}
	return strings.TrimPrefix(oneLine(e.err.Error()), "failed to refresh cached credentials, ")
}

// apiError returns the error that the called service itself answered.
func apiError(err error) smithy.APIError {
	if c := (*credentialsError)(nil); errors.As(err, &c) {
		return nil
	}
	if c := (contradiction{}); errors.As(err, &c) {
		return nil
	}
	if a := smithy.APIError(nil); errors.As(err, &a) {
		return a
	}
	return nil
}

// isExpiredPage says whether the Resource Groups Tagging API no longer knows
// where its next page begins: a token is good for 15 minutes ("GetResources",
// Resource Groups Tagging API Reference).
func isExpiredPage(err error) bool {
	a := apiError(err)
	return a != nil && a.ErrorCode() == "PaginationTokenExpiredException"
}

func isDenied(err error) bool {
	a := apiError(err)
	return a != nil && codeClass(a.ErrorCode()) == AccessDenied
}

func isNotFound(err error) bool {
	a := apiError(err)
	return a != nil && a.ErrorCode() == "NotFoundException"
}

// isRefusal says whether KMS refuses to tell of one key: by its key policy, or
// because of the key's state.
func isRefusal(err error) bool {
	a := apiError(err)
	return a != nil && (codeClass(a.ErrorCode()) == AccessDenied || a.ErrorCode() == "KMSInvalidStateException")
}

// codeClass classifies error codes ("Common Errors", KMS, STS and CloudWatch API
// References; the throttling codes are the SDK's).
func codeClass(code string) Class {
	switch code {
	case "AccessDenied", "AccessDeniedException", "UnauthorizedOperation":
		return AccessDenied
	case "ExpiredToken", "ExpiredTokenException", "RequestExpired", "TokenRefreshRequired",
		"UnauthorizedException", "InvalidGrantException": // the latter two are SSO's
		return ExpiredCredentials
	case "UnrecognizedClientException", "InvalidClientTokenId", "MissingAuthenticationToken", "MissingAuthenticationTokenException",
		"NotAuthorized", "AuthFailure", "InvalidAccessKeyId", "OptInRequired":
		return NoCredentials
	case "InvalidMarkerException", "InvalidNextToken", "InvalidNextTokenException", "PaginationTokenExpiredException":
		return Incomplete
	}
	if isSignature(code) {
		return NoCredentials
	}
	if _, ok := retry.DefaultThrottleErrorCodes[code]; ok {
		return Throttled
	}
	return Other
}

// isSignature names the codes whose messages repeat the signed request, session
// token included.
func isSignature(code string) bool {
	switch code {
	case "SignatureDoesNotMatch", "InvalidSignatureException", "IncompleteSignature", "IncompleteSignatureException":
		return true
	}
	return false
}

// errTooLong is the deadline of a whole reading, which is not that of a request.
var errTooLong = fmt.Errorf("%w: %w", inventory.ErrTooLong, context.DeadlineExceeded)

func classify(err error) Class {
	if errors.Is(err, errTooLong) {
		return TooLong
	}
	if errors.Is(err, context.Canceled) {
		return Other
	}
	if c := (contradiction{}); errors.As(err, &c) {
		return Incomplete
	}
	if c := (*credentialsError)(nil); errors.As(err, &c) {
		return c.class()
	}
	if isConfig(err) {
		return NoCredentials
	}
	if m := (*aws.MissingRegionError)(nil); errors.As(err, &m) {
		return NoRegion
	}
	if a := apiError(err); a != nil {
		return codeClass(a.ErrorCode())
	}
	if isNetwork(err) || isGarbled(err) && !isServerError(err) {
		return Network
	}
	return Other
}

func (e *credentialsError) class() Class {
	if o := (*smithy.OperationError)(nil); errors.As(e.err, &o) && o.ServiceID == "ec2imds" {
		return NoCredentials
	}
	if a := smithy.APIError(nil); errors.As(e.err, &a) {
		if c := codeClass(a.ErrorCode()); c != Other {
			return c
		}
		return NoCredentials
	}
	if isNetwork(e.err) {
		return Network
	}
	if e.signIn {
		return ExpiredCredentials
	}
	return NoCredentials
}

// isConfig says whether the profile cannot give credentials as it is written.
func isConfig(err error) bool {
	return errors.As(err, new(config.SharedConfigProfileNotExistError)) ||
		errors.As(err, new(config.SharedConfigAssumeRoleError)) ||
		errors.As(err, new(config.CredentialRequiresARNError)) ||
		errors.As(err, new(config.AssumeRoleTokenProviderNotSetError))
}

// isNetwork does not ask for a net.Error: each syscall.Errno is one, that of a
// missing file too.
func isNetwork(err error) bool {
	return errors.As(err, new(*smithyhttp.RequestSendError)) || errors.As(err, new(*url.Error)) ||
		errors.As(err, new(*net.OpError)) || errors.As(err, new(*net.DNSError)) ||
		errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, context.DeadlineExceeded)
}

// isDial says whether there is nobody to talk to.
func isDial(err error) bool {
	var o *net.OpError
	return errors.As(err, &o) && o.Op == "dial"
}

// isGarbled says whether there was an answer that no AWS service gives.
func isGarbled(err error) bool {
	return errors.As(err, new(*smithy.DeserializationError))
}

func isServerError(err error) bool { return status(err) >= 500 }

func status(err error) int {
	if r := (*smithyhttp.ResponseError)(nil); errors.As(err, &r) && r.Response != nil {
		return r.HTTPStatusCode()
	}
	return 0
}

// cause says what went wrong in one line, without the SDK's layers.
func cause(err error) string {
	text := causeText(err)
	if m := (*retry.MaxAttemptsError)(nil); errors.As(err, &m) && m.Attempt > 1 {
		return fmt.Sprintf("%s (%d attempts)", text, m.Attempt)
	}
	return text
}

func causeText(err error) string {
	if errors.Is(err, errTooLong) {
		return inventory.ErrTooLong.Error()
	}
	if errors.Is(err, context.Canceled) {
		return "canceled"
	}
	if c := (*credentialsError)(nil); errors.As(err, &c) {
		return c.Error()
	}
	if a := apiError(err); a != nil {
		return apiText(a)
	}
	if m := (*aws.MissingRegionError)(nil); errors.As(err, &m) {
		return "no region is set"
	}
	if isConfig(err) {
		return configText(err)
	}
	if isNetwork(err) {
		return networkText(err)
	}
	if isGarbled(err) {
		return fmt.Sprintf("the answer is not one of AWS (HTTP status %d)", status(err))
	}
	return oneLine(err.Error())
}

func apiText(a smithy.APIError) string {
	message := oneLine(a.ErrorMessage())
	if isSignature(a.ErrorCode()) {
		message = "AWS does not accept the request's signature"
	}
	if message == "" || message == a.ErrorCode() {
		return a.ErrorCode()
	}
	return a.ErrorCode() + ": " + message
}

func configText(err error) string {
	if p := (config.SharedConfigProfileNotExistError{}); errors.As(err, &p) {
		return fmt.Sprintf("there is no profile %q", p.Profile)
	}
	if errors.As(err, new(config.AssumeRoleTokenProviderNotSetError)) {
		return "the profile's role wants an MFA code, which keywatch does not ask for"
	}
	return oneLine(err.Error())
}

func networkText(err error) string {
	var timeout interface{ Timeout() bool }
	if errors.Is(err, context.DeadlineExceeded) || errors.As(err, &timeout) && timeout.Timeout() {
		return "no answer in time"
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, syscall.ECONNRESET) {
		return "the connection was closed before the answer was complete"
	}
	// The last that says something: url.Error would repeat the URL, and the
	// SDK's layers say nothing at all.
	if o := (*net.OpError)(nil); errors.As(err, &o) {
		return oneLine(o.Error())
	}
	if u := (*url.Error)(nil); errors.As(err, &u) {
		return oneLine(u.Err.Error())
	}
	return oneLine(err.Error())
}

// maxCause bounds foreign text in an error, in characters.
const maxCause = 600

// oneLine makes foreign text fit into a line of ours: no control characters, no
// final period, not endless.
func oneLine(s string) string {
	s = strings.Join(strings.FieldsFunc(s, func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) || unicode.Is(unicode.Cf, r) }), " ")
	s = strings.TrimSuffix(s, ".")
	if r := []rune(s); len(r) > maxCause {
		return string(r[:maxCause]) + "…"
	}
	return s
}

// hint says what to do about it.
func hint(operation string, class Class, err error) string {
	inCredentials := errors.As(err, new(*credentialsError))
	switch class {
	case NoRegion:
		return "set AWS_REGION, or `region` in the profile that AWS_PROFILE names"
	case NoCredentials:
		if errors.As(err, new(config.AssumeRoleTokenProviderNotSetError)) {
			return "get temporary credentials for the profile with another tool and put them into AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN"
		}
		if c := (*credentialsError)(nil); errors.As(err, &c) && c.halfSet != "" {
			return mendHint
		}
		if a := apiError(err); a != nil {
			return "check that AWS_PROFILE or AWS_ACCESS_KEY_ID names the right credentials, that the account may use the region, and that the clock is right"
		}
		return "set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY; `cdk --profile` does not reach the app's own AWS calls, so export AWS_PROFILE as well"
	case ExpiredCredentials:
		return "run `aws sso login` or renew the credentials the way you got them, then repeat the command"
	case AccessDenied:
		if c := (*credentialsError)(nil); errors.As(err, &c) && c.role != "" {
			return "the role must exist and trust this identity: `cdk bootstrap` makes the lookup role, and `cdk bootstrap --trust-for-lookup ACCOUNT` lets another account assume it; this identity needs sts:AssumeRole on it"
		}
		if inCredentials {
			return "the role of the AWS profile may not be assumed with the credentials it names: check AWS_PROFILE and the role's trust policy"
		}
		return accessHint(operation)
	case Throttled:
		return "others use up the account's request quota: repeat the command when it is quieter, or set AWS_MAX_ATTEMPTS above 8"
	case TooLong:
		return "repeat the command when less else uses the account's request quotas; keywatch never goes on with a part of the keys"
	case Network:
		return "check the network, the proxy settings, the region's name and AWS_ENDPOINT_URL"
	case Incomplete:
		if slaVerb(operation) != "" {
			return "repeat the command; keywatch never goes on with a part of an answer"
		}
		if operation == opListDashboards || isTrails(operation) { // nothing hangs on it
			return "repeat the command"
		}
		if isStacks(operation) {
			return "repeat the command; keywatch never goes on with a part of the stacks"
		}
		return "repeat the command; keywatch never goes on with a part of the keys"
	}
	if operation == opLoadConfig {
		return mendHint
	}
	if a := apiError(err); operation == opFilterLogEvents && a != nil && a.ErrorCode() == "ResourceNotFoundException" {
		return "check the name of the log group, the account and --region; a group of another account is named by its ARN"
	}
	if isServerError(err) {
		return "repeat the command; https://health.aws.amazon.com shows whether AWS has trouble"
	}
	return ""
}

// mendHint is for credentials that somebody means to give.
const mendHint = "complete the credentials in the environment, or in the AWS profile and its files, or unset what names them"

func isStacks(operation string) bool {
	return operation == opDescribeStacks || operation == opListStackResources
}

// slaVerb is the verb of sla that calls an operation, or "".
func slaVerb(operation string) string {
	for _, verb := range []string{"sla collect", "sla report", "sla file"} {
		if needed, _ := Actions(verb); operation != opGetCallerIdentity && slices.Contains(needed, operation) {
			return verb
		}
	}
	return ""
}

func isTrails(operation string) bool {
	return operation == opDescribeTrails || operation == opGetEventSelectors || operation == opGetTrailStatus
}

func accessHint(operation string) string {
	if isTrails(operation) {
		return fmt.Sprintf("allow %s on * for this identity; it is optional, and lets keywatch say whether a trail brings the evidence", operation)
	}
	if isStacks(operation) {
		return fmt.Sprintf("allow %s on * for this identity; without it keywatch does not know in which stack each alarm lives, and stops, since a deploy could move alarms and lose them", operation)
	}
	if operation == opListDashboards {
		return fmt.Sprintf("allow %s on * for this identity; it is optional, and lets keywatch report the stacks of environments that were taken out of the config", operation)
	}
	if verb := slaVerb(operation); verb != "" {
		return fmt.Sprintf("allow %s for this identity; `keywatch permissions %s` prints the policy", operation, verb)
	}
	verb := "synth"
	if operation == opDescribeAlarms {
		verb = "coverage"
	}
	return fmt.Sprintf("allow %s on * for this identity; `keywatch permissions %s` prints the policy that it needs", operation, verb)
}

// Hint is the hint of the [Error] in err, or "".
func Hint(err error) string {
	if e := (*Error)(nil); errors.As(err, &e) {
		return e.Hint
	}
	return ""
}
