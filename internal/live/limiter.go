package live

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"math"
	"slices"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/smithy-go/middleware"
	"golang.org/x/time/rate"
)

// DefaultRates returns how many requests per second are sent at most, by API
// action. For KMS it is half of what AWS allows an account and region ("Request
// quotas", KMS Developer Guide: ListKeys and ListAliases 500, DescribeKey and
// ListResourceTags 2,000), because the workloads that use the keys share the
// quota. DescribeAlarms is half of its 9 ("CloudWatch endpoints and quotas", AWS
// General Reference), GetMetricData half of the 10 that one with a Metrics Insights
// query has (same page). AWS does not publish the quotas of GetResources,
// ListDashboards, of CloudTrail and of CloudFormation; their rates, and those of the
// others, are cautious guesses.
func DefaultRates() map[string]float64 {
	return map[string]float64{
		opListKeys:           250,
		opListAliases:        250,
		opDescribeKey:        1000,
		opListResourceTags:   1000,
		opGetResources:       7,
		opGetCallerIdentity:  10,
		opDescribeAlarms:     4,
		opListDashboards:     4,
		opDescribeTrails:     2,
		opGetEventSelectors:  2,
		opGetTrailStatus:     2,
		opDescribeStacks:     5,
		opListStackResources: 5,

		opGetMetricData:       5,
		opFilterLogEvents:     4,
		opGetCostAndUsage:     1,
		opAddAttachmentsToSet: 1,
		opCreateCase:          1,
		opDescribeCases:       1,
		opDescribeServices:    1,
	}
}

// rates are the defaults with what the options say instead.
func rates(options map[string]float64) (map[string]float64, error) {
	all := DefaultRates()
	for _, op := range slices.Sorted(maps.Keys(options)) {
		r := options[op]
		if _, known := all[op]; !known {
			return nil, fmt.Errorf("live: Options.Rates names %q; allowed: %v", op, slices.Sorted(maps.Keys(all)))
		}
		if !(r > 0) || math.IsInf(r, 0) {
			return nil, fmt.Errorf("live: Options.Rates has %v for %s; it must be more than 0", r, op)
		}
		all[op] = r
	}
	return all, nil
}

// governor makes every attempt of every request wait for its turn: it sits
// inside of the retry loop, so that retries count like any other request.
type governor struct{ paces map[string]*pace }

func newGovernor(rates map[string]float64) *governor {
	g := &governor{paces: make(map[string]*pace, len(rates))}
	for op, r := range rates {
		g.paces[op] = newPace(r)
	}
	return g
}

// addTo is one of aws.Config.APIOptions.
func (g *governor) addTo(stack *middleware.Stack) error {
	return stack.Finalize.Insert(g, "Retry", middleware.After)
}

// ID implements middleware.FinalizeMiddleware.
func (g *governor) ID() string { return "keywatch rate limit" }

// HandleFinalize implements middleware.FinalizeMiddleware.
func (g *governor) HandleFinalize(ctx context.Context, in middleware.FinalizeInput, next middleware.FinalizeHandler) (middleware.FinalizeOutput, middleware.Metadata, error) {
	p := g.paces[actionOf(ctx)]
	if p == nil {
		return next.HandleFinalize(ctx, in)
	}
	round, err := p.wait(ctx)
	if err != nil {
		return middleware.FinalizeOutput{}, middleware.Metadata{}, err
	}
	out, metadata, err := next.HandleFinalize(ctx, in)
	p.heard(round, err)
	return out, metadata, err
}

// actionOf is the request as IAM spells it.
func actionOf(ctx context.Context) string {
	service := map[string]string{
		"KMS": "kms", "STS": "sts", "CloudWatch": "cloudwatch", "CloudFormation": "cloudformation", "Resource Groups Tagging API": "tag",
		"CloudWatch Logs": "logs", "Cost Explorer": "ce", "Support": "support",
	}[awsmiddleware.GetServiceID(ctx)]
	return service + ":" + awsmiddleware.GetOperationName(ctx)
}

// pace is the rate of one API. AWS throttles when others use up the quota too;
// then the pace halves, and each answer after that raises it again, by a
// twentieth of the full rate in a second's worth of requests. It has no clock:
// it counts answers.
type pace struct {
	limiter *rate.Limiter
	full    float64

	mu    sync.Mutex
	now   float64
	round int // how often it was slowed down
}

// slowest is the part of the full rate below which no throttling drives it.
const slowest = 1.0 / 32

func newPace(full float64) *pace {
	// A burst evens out when the operating system wakes waiters late; at a
	// twentieth of a second it is no burst to AWS.
	burst := max(1, int(full/20))
	return &pace{limiter: rate.NewLimiter(rate.Limit(full), burst), full: full, now: full}
}

// wait waits for a turn and returns the round it was given in.
func (p *pace) wait(ctx context.Context) (int, error) {
	if err := p.limiter.Wait(ctx); err != nil {
		// Without a cause, the turn would come after the deadline.
		return 0, &aws.RequestCanceledError{Err: cmp.Or(context.Cause(ctx), errTooLong)}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.round, nil
}

// heard takes note of how a request of a round ended. Many requests are under
// way at once and are throttled together: only the first of a round slows down.
func (p *pace) heard(round int, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case isThrottle(err) && round == p.round:
		p.round++
		p.now = max(p.now/2, p.full*slowest)
	case err == nil && p.now < p.full:
		p.now = min(p.now+p.full/20/p.now, p.full)
	default:
		return
	}
	p.limiter.SetLimit(rate.Limit(p.now))
}

func isThrottle(err error) bool {
	a := apiError(err)
	if a == nil {
		return false
	}
	_, ok := retry.DefaultThrottleErrorCodes[a.ErrorCode()]
	return ok
}

// A worker that waits for an answer sends nothing: the number of workers is what
// fills the rate at a latency of latencyBudget.
const (
	latencyBudget  = 125 * time.Millisecond
	maxConcurrency = 256
)

func concurrency(rate float64) int {
	return max(4, min(int(math.Ceil(rate*latencyBudget.Seconds())), maxConcurrency))
}
