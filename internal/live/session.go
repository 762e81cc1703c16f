// Package live reads what an AWS account has: its KMS keys, its alarms, the names
// of its dashboards, the stacks of keywatch, and for the verbs of sla what CloudWatch
// counted, a log group holds and the bill says. It is the only room with AWS SDK clients. It writes
// nothing, but that `sla file` opens a case (support.go).
//
// Start reading at [Open], then [Session.Inventory]. What it promises:
//
//   - An inventory is whole or it is an error. A page that failed, a page that
//     contradicts another one, a throttled or expired request never makes a
//     shorter inventory (pages.go).
//   - A key that may not be read is data: it stays, with the reason in
//     Unreadable (key.go).
//   - Whatever order AWS answers in, the result is sorted the same.
//   - Every error is an [*Error]: operation, account, region, class and a hint
//     with the fix (errors.go). No secret ever is in one.
//   - No more requests per second are sent than [Options.Rates] say, retries
//     included, and fewer while AWS throttles (limiter.go).
//
// Tags come from the Resource Groups Tagging API, a hundred keys a call, and
// this is what AWS says of it and of KMS:
//
//   - "GetResources does not return untagged resources"; without a filter it
//     returns those that are "currently tagged or ever had a tag", the latter
//     with an empty tag set ("GetResources", Resource Groups Tagging API
//     Reference). So a key that ListKeys names and GetResources does not was
//     never tagged.
//   - KMS "follows an eventual consistency model": a key may be in one answer
//     and not yet in another ("AWS KMS eventual consistency", KMS Developer
//     Guide; each operation's page in the KMS API Reference repeats it). So a
//     key that GetResources or an alias names is taken in although ListKeys does
//     not name it, and always described: that tells a new key from one that was
//     deleted and whose deletion the tagging API has not heard of.
//   - The tagging API hears of tags from KMS with a delay, of seconds and at
//     times minutes; AWS promises no bound. A key that was tagged or untagged a
//     moment ago may be read with its former tags, and no second answer says
//     so. The next reading has it right. ListResourceTags, which is asked key
//     by key only if tag:GetResources is denied, is nearer but also eventually
//     consistent ("ListResourceTags", KMS API Reference).
//   - Only the token says whether GetResources has more pages: an answer that
//     came without the token that it should have would look like the last. The
//     lists of KMS say it twice, and are held to it.
package live

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/arn"
	"github.com/aws/aws-sdk-go-v2/aws/ratelimit"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/cloudtrail"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/costexplorer"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/resourcegroupstaggingapi"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/aws-sdk-go-v2/service/support"
	"github.com/aws/smithy-go/logging"
	"github.com/aws/smithy-go/middleware"

	"keywatch/internal/inventory"
)

// Options say how to read. Only Now is required.
type Options struct {
	// Region to read; "" takes what the SDK resolves from AWS_REGION and the
	// profile.
	Region string
	// Role is the ARN of a role to read with; "" reads with the caller's own
	// credentials.
	Role string
	// Concurrency is how many keys are read at once; by default as many as
	// reach the rates at a latency of 125 ms, up to 256.
	Concurrency int
	// Rates are how many requests per second are sent at most, retries
	// included, by API action ("kms:DescribeKey"); those left out are of
	// [DefaultRates].
	Rates map[string]float64
	// MaxAttempts is how often one request is sent at most; default 8. The
	// SDK's own AWS_MAX_ATTEMPTS, or max_attempts of the profile, wins.
	MaxAttempts int
	// MaxBackoff is the longest pause between two attempts; default 20s.
	MaxBackoff time.Duration
	// RequestTimeout ends one attempt that gets no whole answer; default 30s.
	// Without it an endpoint that accepts and stays silent hangs the reader.
	RequestTimeout time.Duration
	// Notice is told, in a sentence, what the user should know of how the
	// account was read. Nil: nobody is.
	Notice func(string)
	// Progress is told how far the reading of an inventory is, up to ten times
	// a second and by one goroutine at a time. Nil: nobody is.
	Progress func(Progress)
	// Getenv is the environment that the SDK reads, where what it passes over in
	// silence is found: credentials that are half set. Nil: nobody looks.
	Getenv func(string) string
	// Now is the clock that dates the inventory and measures progress.
	// Required.
	Now func() time.Time
}

func (o *Options) defaults() error {
	if o.Now == nil {
		return errors.New("live: Options.Now is required")
	}
	var err error
	if o.Rates, err = rates(o.Rates); err != nil {
		return err
	}
	if o.MaxAttempts <= 0 {
		o.MaxAttempts = 8
	}
	if o.MaxBackoff <= 0 {
		o.MaxBackoff = 20 * time.Second
	}
	if o.RequestTimeout <= 0 {
		o.RequestTimeout = 30 * time.Second
	}
	return nil
}

// limits bound what is read, so that an endpoint that never ends cannot fill
// the memory. AWS allows 100,000 keys a region and at most 50 aliases and 50
// tags a key ("Resource quotas", KMS Developer Guide).
type limits struct{ keys, aliases, tagsPerKey, alarms, dashboards, stacks, resources, logPages, cases int }

// Session is an account and region to read. It is safe for concurrent use.
type Session struct {
	options Options
	region  string
	limits  limits

	kms        kmsAPI
	sts        stsAPI
	cloudwatch cloudwatchAPI
	dashboards dashboardAPI
	metrics    metricsAPI
	logs       logsAPI
	costs      costsAPI
	support    supportAPI
	tagging    taggingAPI

	cloudformation cloudformationAPI
	cloudtrail     cloudtrailAPI

	caller atomic.Pointer[Caller]
}

// Caller is who AWS says we are.
type Caller = inventory.Caller

// Open resolves region and credentials as every AWS SDK does: environment,
// profiles, SSO, container and instance roles, AWS_ENDPOINT_URL. It calls no
// service; credentials are looked at by the first call that needs them. Its
// error is an [*Error], except when Options are incomplete.
func Open(ctx context.Context, o Options) (*Session, error) {
	return open(ctx, o)
}

// open is Open with settings that a test gives instead of the environment.
func open(ctx context.Context, o Options, load ...func(*config.LoadOptions) error) (*Session, error) {
	if err := o.defaults(); err != nil {
		return nil, err
	}
	// The SDK's own log says nothing that an Error does not say better.
	load = append(load, config.WithHTTPClient(o.httpClient()), config.WithLogger(logging.Nop{}),
		config.WithAPIOptions([]func(*middleware.Stack) error{addNobodyThere}))
	if o.Region != "" {
		load = append(load, config.WithRegion(o.Region))
	}
	s := &Session{options: o, limits: limits{keys: 1_000_000, aliases: 5_000_000, tagsPerKey: 1_000, alarms: 1_000_000, dashboards: 100_000, stacks: 100_000, resources: 10_000, logPages: 1_000_000, cases: 1_000_000}}
	cfg, err := config.LoadDefaultConfig(ctx, load...)
	if err != nil {
		return nil, s.fail(opLoadConfig, "", err)
	}
	if cfg.Region == "" {
		return nil, s.fail(opLoadConfig, "", &aws.MissingRegionError{})
	}
	// Not as a load option: then AWS_MAX_ATTEMPTS would be ignored.
	cfg.Retryer = o.retryer
	// The SDK reports every trouble with credentials as plain text; seen
	// through this wrapper they can be told from the service's own errors.
	cfg.Credentials = credentials{cfg.Credentials, needsSignIn(cfg.ConfigSources), func() string { return halfSet(o.Getenv) }}
	if o.Role != "" {
		cfg.Credentials = assume(cfg, o.Role)
	}
	cfg.APIOptions = append(cfg.APIOptions, newGovernor(o.Rates).addTo)
	s.region = cfg.Region
	s.kms = kms.NewFromConfig(cfg)
	s.sts = sts.NewFromConfig(cfg)
	cw := cloudwatch.NewFromConfig(cfg)
	s.cloudwatch, s.dashboards, s.metrics = cw, cw, cw
	s.logs = cloudwatchlogs.NewFromConfig(cfg)
	s.costs = costexplorer.NewFromConfig(cfg)
	s.support = support.NewFromConfig(cfg, func(o *support.Options) { o.Region = supportRegion(cfg.Region) })
	s.cloudformation = cloudformation.NewFromConfig(cfg)
	s.cloudtrail = cloudtrail.NewFromConfig(cfg)
	s.tagging = resourcegroupstaggingapi.NewFromConfig(cfg)
	return s, nil
}

// httpClient keeps one connection a worker, which the SDK's defaults of ten idle
// ones a host and a hundred in all do not, and gives each attempt an end.
func (o Options) httpClient() *awshttp.BuildableClient {
	const others = 16 // lists, stacks and alarms, which have no workers
	idle := others + o.workers(opDescribeKey) + o.workers(opListResourceTags)
	return awshttp.NewBuildableClient().
		WithTimeout(o.RequestTimeout).
		WithTransportOptions(func(t *http.Transport) {
			t.MaxIdleConnsPerHost = max(idle, t.MaxIdleConnsPerHost)
			t.MaxIdleConns = max(idle, t.MaxIdleConns)
		})
}

// workers is how many requests of an operation on single keys are under way at
// once.
func (o Options) workers(op string) int {
	if o.Concurrency > 0 {
		return o.Concurrency
	}
	return concurrency(o.Rates[op])
}

func (s *Session) notice(text string) {
	if s.options.Notice != nil {
		s.options.Notice(text)
	}
}

// retryer is the SDK's standard one with two changes. It has no retry quota: the
// SDK's bucket holds 100 retries, which a throttled account of thousands of keys
// uses up in a second, and here giving up means giving up everything. And it
// retries an answer that was cut off half-way, which is safe since all calls
// only read; the one that does not has a retryer of its own.
func (o Options) retryer() aws.Retryer {
	return retry.NewStandard(func(so *retry.StandardOptions) {
		so.MaxAttempts = o.MaxAttempts
		so.MaxBackoff = o.MaxBackoff
		so.RateLimiter = ratelimit.None
		so.Backoff = retry.BackoffDelayerFunc(func(attempt int, _ error) (time.Duration, error) {
			return o.backoff(attempt), nil
		})
		so.Retryables = append(so.Retryables, retry.IsErrorRetryableFunc(func(err error) aws.Ternary {
			if errors.Is(err, io.ErrUnexpectedEOF) {
				return aws.TrueTernary
			}
			return aws.UnknownTernary
		}))
	})
}

// backoff doubles from one second up to MaxBackoff. Half of it is random, so
// that workers that were throttled together do not come back together; half is
// not, so that eight attempts always give a throttled account its time.
func (o Options) backoff(attempt int) time.Duration {
	d := o.MaxBackoff
	if attempt < 16 {
		d = min(d, time.Second<<max(attempt-1, 0))
	}
	return d/2 + rand.N(d/2+1)
}

// Region is the region that is read.
func (s *Session) Region() string { return s.region }

// Caller asks STS whose credentials these are. The answer is kept: credentials
// of one session do not change their account.
func (s *Session) Caller(ctx context.Context) (Caller, error) {
	if c := s.caller.Load(); c != nil {
		return *c, nil
	}
	out, err := s.sts.GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{})
	if err != nil {
		return Caller{}, s.fail(opGetCallerIdentity, "", err)
	}
	id, err := arn.Parse(aws.ToString(out.Arn))
	if err != nil || aws.ToString(out.Account) == "" {
		return Caller{}, s.fail(opGetCallerIdentity, "", incomplete("the answer names no account and ARN"))
	}
	c := &Caller{Account: *out.Account, Partition: id.Partition, ARN: *out.Arn}
	s.caller.Store(c)
	return *c, nil
}

// account is the caller's account if it is known by now, for error messages.
func (s *Session) account() string {
	if c := s.caller.Load(); c != nil {
		return c.Account
	}
	return ""
}
