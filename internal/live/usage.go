package live

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"

	"keywatch/constructs/spec"
	"keywatch/internal/evidence"
	"keywatch/internal/sla"
)

// usagePeriod is the length of an interval. CloudWatch keeps it for 63 days
// ("GetMetricData", CloudWatch API Reference); this package never asks for a
// longer one.
const usagePeriod = sla.IntervalSeconds

// Usage reads how many requests to KMS there were in each interval from begin up
// to end, both at the border of one and within [evidence.Reach]; or there is an
// [*Error]. Each interval has a count of each source, with an empty one where
// CloudWatch has no datapoint.
//
// Successes come from a Metrics Insights query for each operation, which sums over
// up to 10,000 keys; a search returns at most 500 series. Calls come from one search
// over the APIs of KMS, of which there are some 60.
func (s *Session) Usage(ctx context.Context, begin, end time.Time) ([]evidence.Count, error) {
	// Only so that an error can say whose numbers these were.
	if _, err := s.Caller(ctx); err != nil {
		return nil, err
	}
	sums := map[evidence.Source]map[int64]map[string]int64{}
	for _, source := range evidence.Sources {
		sums[source] = map[int64]map[string]int64{}
		for at := begin.Unix(); at < end.Unix(); at += usagePeriod {
			sums[source][at] = map[string]int64{}
		}
	}
	for _, op := range keyOperations() {
		insights := metricQuery{
			expression: fmt.Sprintf(`SELECT SUM(%s) FROM SCHEMA("%s", KeyArn, Operation) WHERE Operation = '%s'`, evidence.Successes, spec.Namespace, op),
			name:       func(string) (string, error) { return op, nil }, window: end.Sub(begin), series: 1, of: op,
		}
		if err := s.metric(ctx, insights, begin, end, sums[evidence.Successes]); err != nil {
			return nil, err
		}
	}
	search := metricQuery{
		expression: `SEARCH('{AWS/Usage,Class,Resource,Service,Type} MetricName="CallCount" Service="KMS" Type="API" Class="None"', 'Sum', 300)`,
		label:      aws.String("${PROP('Dim.Resource')}"), name: callName, window: searchWindow, series: mostSeries, of: string(evidence.Calls),
	}
	if err := s.metric(ctx, search, begin, end, sums[evidence.Calls]); err != nil {
		return nil, err
	}
	var out []evidence.Count
	for _, source := range evidence.Sources {
		for at, requests := range sums[source] {
			out = append(out, evidence.Count{Start: time.Unix(at, 0).UTC(), Source: source, Requests: requests})
		}
	}
	slices.SortFunc(out, func(a, b evidence.Count) int { return a.Start.Compare(b.Start) })
	return out, nil
}

// keyOperations are the operations that CloudWatch counts per key. ReEncrypt is
// none of them: it is counted per pair of keys.
func keyOperations() []string {
	var out []string
	for _, op := range spec.Watchable() {
		out = append(out, string(op))
	}
	return out
}

// callName is the name of an API or a group of APIs, which the search asks to have
// as the label.
func callName(label string) (string, error) {
	if label == "" || len(label) > 128 {
		return "", incomplete("a series of %s has no name", evidence.Calls)
	}
	for _, c := range label {
		if !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '_') {
			return "", incomplete("a series of %s has a name that is no API's", evidence.Calls)
		}
	}
	return label, nil
}

// searchWindow keeps an answer of many series below the 100,800 datapoints that one
// may have ("GetMetricData", CloudWatch API Reference).
const searchWindow = 24 * time.Hour

// metricQuery is what is asked of CloudWatch.
type metricQuery struct {
	expression string
	// label is how CloudWatch shall call each series, and name what it then stands for.
	label *string
	name  func(label string) (string, error)
	// window is how much is asked for at a time.
	window time.Duration
	// series is how many may come, and of what they are, for messages.
	series int
	of     string
}

// metric adds up the datapoints of a query, by time and name.
func (s *Session) metric(ctx context.Context, q metricQuery, begin, end time.Time, sums map[int64]map[string]int64) error {
	for from := begin; from.Before(end); from = from.Add(q.window) {
		to := from.Add(q.window)
		if to.After(end) {
			to = end
		}
		if err := s.metricWindow(ctx, q, from, to, sums); err != nil {
			return s.fail(opGetMetricData, q.of, err)
		}
	}
	return nil
}

func (s *Session) metricWindow(ctx context.Context, q metricQuery, from, to time.Time, sums map[int64]map[string]int64) error {
	points := map[string]map[int64]bool{}
	parts := map[string]bool{} // series of which more must come
	err := eachPage(func(token *string) (page, error) {
		out, err := s.metrics.GetMetricData(ctx, &cloudwatch.GetMetricDataInput{
			StartTime: &from, EndTime: &to, NextToken: token, ScanBy: types.ScanByTimestampAscending,
			MetricDataQueries: []types.MetricDataQuery{{
				Id: aws.String("requests"), Expression: &q.expression, Period: aws.Int32(usagePeriod), Label: q.label,
			}},
		})
		if err != nil {
			return page{}, err
		}
		// An answer of nothing holds an empty list; one without a list must not look
		// like an account that is idle.
		if out.MetricDataResults == nil {
			return page{}, incomplete("the answer holds no list of results")
		}
		if err := said(out.Messages); err != nil {
			return page{}, err
		}
		fresh := 0
		for _, r := range out.MetricDataResults {
			n, err := addSeries(r, from, to, q.name, points, sums)
			if err != nil {
				return page{}, err
			}
			// A series may be a part, if a page comes that has its rest.
			part := r.StatusCode == types.StatusCodePartialData
			if r.StatusCode != types.StatusCodeComplete && !(part && aws.ToString(out.NextToken) != "") {
				return page{}, incomplete("a series is marked as %s", cmp.Or(string(r.StatusCode), "nothing"))
			}
			if delete(parts, aws.ToString(r.Label)); part {
				parts[aws.ToString(r.Label)] = true
			}
			fresh += n
		}
		if len(points) > q.series {
			return page{}, incomplete("there are more than %d series", q.series)
		}
		return page{fresh: fresh, next: out.NextToken}, nil
	})
	if err == nil && len(parts) > 0 {
		err = incomplete("the rest of %d series marked as %s never came", len(parts), types.StatusCodePartialData)
	}
	return err
}

// mostSeries is one less than a search returns, without a word of the others
// ("SearchExpressionProps", AWS CDK API Reference).
const mostSeries = 499

// said is what CloudWatch remarks on an answer: that it is not whole. Of keys beyond
// the 10,000 that a Metrics Insights query takes it says nothing ("Metrics Insights
// quotas", CloudWatch User Guide).
func said(messages []types.MessageData) error {
	if len(messages) == 0 {
		return nil
	}
	return incomplete("CloudWatch says that the answer is not whole (%s: %s)", aws.ToString(messages[0].Code), aws.ToString(messages[0].Value))
}

// addSeries adds one part of a series, and says how many points were new.
func addSeries(r types.MetricDataResult, from, to time.Time, name func(string) (string, error), points map[string]map[int64]bool, sums map[int64]map[string]int64) (int, error) {
	if err := said(r.Messages); err != nil {
		return 0, err
	}
	if len(r.Timestamps) != len(r.Values) {
		return 0, incomplete("a series has %d times and %d values", len(r.Timestamps), len(r.Values))
	}
	label := aws.ToString(r.Label)
	as, err := name(label)
	if err != nil {
		return 0, err
	}
	if points[label] == nil {
		points[label] = map[int64]bool{}
	}
	for i, at := range r.Timestamps {
		unix, v := at.Unix(), r.Values[i]
		switch {
		case sums[unix] == nil || at.Before(from) || !at.Before(to):
			return 0, incomplete("a datapoint is at %s, which was not asked for", at.UTC().Format(time.RFC3339))
		case points[label][unix]:
			return 0, incomplete("two datapoints are at %s", at.UTC().Format(time.RFC3339))
		case v < 0 || v != math.Trunc(v) || v > 1<<52:
			return 0, incomplete("a datapoint is no number of requests")
		}
		points[label][unix] = true
		if v > 0 {
			sums[unix][as] += int64(v)
		}
	}
	return len(r.Timestamps), nil
}
