package fakeaws

import (
	"cmp"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aws/smithy-go/encoding/cbor"

	"keywatch/internal/inventory"
)

// faultAnswer is the answer of a fault that replaces the service's own.
func faultAnswer(req *request, f Fault) (answer, bool) {
	query := req.protocol == awsQuery
	var status int
	var code, message string
	switch f.Kind {
	case Throttle:
		status, code, message = 400, "ThrottlingException", "Rate exceeded"
		if query {
			code = "Throttling"
		}
		if req.Service == "tag" {
			code = "ThrottledException"
		}
	case Internal:
		status, code, message = 500, "InternalFailure", "The request processing has failed because of an unknown error."
		if req.Service == "kms" {
			code, message = "KMSInternalException", "An internal exception occurred."
		}
		if req.Service == "tag" {
			code = "InternalServiceException"
		}
	case ExpiredPage:
		status, code, message = 400, "PaginationTokenExpiredException", "The pagination token has expired."
	case AccessDenied:
		return denied(req, f.Message), true
	case ExpiredToken:
		status, code, message = 400, "ExpiredTokenException", "The security token included in the request is expired"
		if query {
			status, code = 403, "ExpiredToken"
		}
	case InvalidToken:
		status, code, message = 400, "UnrecognizedClientException", "The security token included in the request is invalid."
		if query {
			status, code = 403, "InvalidClientTokenId"
		}
	case BadSignature:
		status, code = 403, "SignatureDoesNotMatch"
		message = "The request signature we calculated does not match the signature you provided. The Canonical String for this request should have been\n'POST\n/\n\nx-amz-security-token:" +
			req.headers.Get("X-Amz-Security-Token") + "\n" + req.headers.Get("Authorization") + "'"
	case NotFound:
		status, code, message = 400, "NotFoundException", fmt.Sprintf("Key '%s' does not exist", req.Key)
	case NotEnabled:
		status, code, message = 400, "DataUnavailableException", "The requested data is unavailable."
	case InvalidState:
		status, code, message = 400, "KMSInvalidStateException", fmt.Sprintf("%s is pending import.", req.Key)
	case InvalidMarker:
		status, code, message = 400, "InvalidMarkerException", "The marker is not valid."
	default:
		return answer{}, false
	}
	return failure(status, code, cmp.Or(f.Message, message)), true
}

func denied(req *request, message string) answer {
	code, status := "AccessDeniedException", http.StatusBadRequest
	if req.protocol != awsJSON {
		code, status = "AccessDenied", http.StatusForbidden
	}
	if message == "" {
		message = "User is not authorized to perform: " + req.Name()
		if req.Key != "" {
			message += " on resource: " + req.Key
		}
	}
	return failure(status, code, message)
}

// batch is one page of a list.
type batch[T any] struct {
	items     []T
	truncated bool
	marker    string // of the next page
	noList    bool
}

// paginate cuts the page that the request asks for out of the items, and does
// to it what the fault says. byDefault is the page size of the API.
func paginate[T any](s *Server, req *request, f Fault, byDefault int, items []T) (batch[T], bool) {
	from := 0
	if req.Marker != "" {
		n, err := strconv.Atoi(strings.TrimPrefix(req.Marker, "marker-"))
		if err != nil || n < 0 || n > len(items) {
			return batch[T]{}, false
		}
		from = n
	}
	size := min(s.options.pageSize, cmp.Or(req.Limit, byDefault))
	if s.options.shuffle {
		size = 1 + int((s.options.seed+uint64(from))%uint64(size))
	}
	to := min(from+size, len(items))
	b := batch[T]{items: items[from:to], truncated: to < len(items)}
	if b.truncated {
		b.marker = fmt.Sprint("marker-", to)
	}
	switch f.Kind {
	case NoMarker:
		b.truncated, b.marker = true, ""
	case MarkerOnly:
		b.truncated = false
	case RepeatMarker:
		b.truncated, b.marker = true, cmp.Or(req.Marker, "marker-0")
	case RepeatItems:
		b.items = items[max(from-size, 0):to]
	case NoItems:
		// Different markers may stand for the same place: "marker-1", "marker-01".
		b = batch[T]{truncated: true, marker: "marker-0" + strings.TrimPrefix(cmp.Or(req.Marker, "marker-0"), "marker-")}
	case NoList:
		b.noList = true
	}
	return b, true
}

// without drops keys from a page that was cut already. The places of the others
// must not move when a key is deleted between two pages, or the fake itself would
// lose one.
func without(page []*Key, gone func(*Key) bool) []*Key {
	return slices.DeleteFunc(slices.Clone(page), gone)
}

// object is the page as the KMS API spells it.
func object[T any](b batch[T], list string, each func(T) map[string]any) answer {
	out := map[string]any{"Truncated": b.truncated}
	if b.marker != "" {
		out["NextMarker"] = b.marker
	}
	if !b.noList {
		entries := make([]map[string]any, 0, len(b.items))
		for _, item := range b.items {
			entries = append(entries, each(item))
		}
		out[list] = entries
	}
	return answer{json: out}
}

func badMarker() answer {
	return failure(http.StatusBadRequest, "InvalidMarkerException", "The marker is not valid.")
}

func (s *Server) kms(req *request, f Fault) answer {
	switch req.Operation {
	case "ListKeys":
		return s.listKeys(req, f)
	case "ListAliases":
		return s.listAliases(req, f)
	case "DescribeKey", "ListResourceTags":
		k := s.key(req.Key)
		if k == nil || k.Gone || k.Deleted {
			return failure(http.StatusBadRequest, "NotFoundException", fmt.Sprintf("Key '%s' does not exist", s.state.KeyARN(req.Key)))
		}
		if req.Operation == "DescribeKey" {
			return s.describeKey(req, k)
		}
		return s.listResourceTags(req, f, k)
	}
	return unknownOperation(req)
}

func (s *Server) listKeys(req *request, f Fault) answer {
	listed := s.cached("ListKeys", func() []*Key { return s.keys(func(k *Key) bool { return !k.Unlisted }) })
	b, ok := paginate(s, req, f, 100, listed)
	if !ok {
		return badMarker()
	}
	b.items = without(b.items, func(k *Key) bool { return k.Deleted })
	return object(b, "Keys", func(k *Key) map[string]any {
		return map[string]any{"KeyId": k.ID, "KeyArn": s.state.arn(*k)}
	})
}

func (s *Server) listAliases(req *request, f Fault) answer {
	aliases := s.state.Aliases
	if s.options.shuffle { // sorting anew for each page costs more than the rest
		aliases = order(s, aliases)
	}
	b, ok := paginate(s, req, f, 50, aliases)
	if !ok {
		return badMarker()
	}
	return object(b, "Aliases", func(a Alias) map[string]any {
		out := map[string]any{
			"AliasName": a.Name,
			"AliasArn":  strings.TrimSuffix(s.state.KeyARN(""), "key/") + a.Name,
		}
		if a.Target != "" {
			out["TargetKeyId"] = a.Target
		}
		if !a.Created.IsZero() {
			out["CreationDate"] = epoch(a.Created)
			out["LastUpdatedDate"] = epoch(cmp.Or(a.Updated, a.Created))
		}
		return out
	})
}

func (s *Server) describeKey(req *request, k *Key) answer {
	if k.DenyDescribe {
		return denied(req, "")
	}
	created := k.Created
	if created.IsZero() {
		created = time.Date(2024, 1, 2, 3, 4, 5, 0, time.UTC)
	}
	state := cmp.Or(k.State, "Enabled")
	spec := cmp.Or(k.Spec, "SYMMETRIC_DEFAULT")
	return answer{json: map[string]any{"KeyMetadata": map[string]any{
		"AWSAccountId":          s.state.Account,
		"KeyId":                 k.ID,
		"Arn":                   s.state.arn(*k),
		"CreationDate":          epoch(created),
		"Enabled":               state == "Enabled",
		"Description":           "",
		"KeyUsage":              cmp.Or(k.Usage, "ENCRYPT_DECRYPT"),
		"KeyState":              state,
		"Origin":                cmp.Or(k.Origin, "AWS_KMS"),
		"KeyManager":            cmp.Or(k.Manager, "CUSTOMER"),
		"CustomerMasterKeySpec": spec,
		"KeySpec":               spec,
		"MultiRegion":           k.MultiRegion,
	}}}
}

func (s *Server) listResourceTags(req *request, f Fault, k *Key) answer {
	if k.DenyTags || k.Manager == "AWS" {
		return denied(req, "")
	}
	b, ok := paginate(s, req, f, 50, order(s, k.Tags))
	if !ok {
		return badMarker()
	}
	return object(b, "Tags", func(t Tag) map[string]any {
		return map[string]any{"TagKey": t.Key, "TagValue": t.Value}
	})
}

// epoch is a time as the AWS JSON protocol writes it.
func epoch(t time.Time) float64 { return float64(t.UnixMilli()) / 1000 }

func (s *Server) sts(req *request) answer {
	switch req.Operation {
	case "GetCallerIdentity":
		return answer{xml: fmt.Sprintf("<Arn>%s</Arn><UserId>AIDAEXAMPLE</UserId><Account>%s</Account>", s.state.CallerARN, s.state.Account)}
	case "AssumeRole":
		return answer{xml: fmt.Sprintf(
			"<AssumedRoleUser><Arn>%s</Arn><AssumedRoleId>AROAEXAMPLE:session</AssumedRoleId></AssumedRoleUser>"+
				"<Credentials><AccessKeyId>ASIAEXAMPLE</AccessKeyId><SecretAccessKey>%s</SecretAccessKey><SessionToken>%s</SessionToken><Expiration>2099-01-01T00:00:00Z</Expiration></Credentials>",
			escape(req.params.Get("RoleArn")), SecretKey, SessionToken)}
	}
	return unknownOperation(req)
}

func (s *Server) cloudwatch(req *request, f Fault) answer {
	switch req.Operation {
	case "DescribeAlarms":
		return s.describeAlarms(req, f)
	case "ListDashboards":
		return s.listDashboards(req, f)
	case "GetMetricData":
		return s.getMetricData(req, f)
	}
	return unknownOperation(req)
}

func (s *Server) describeAlarms(req *request, f Fault) answer {
	b, ok := paginate(s, req, f, 50, order(s, s.state.Alarms))
	if !ok {
		return badNextToken()
	}
	out := listing(b, "MetricAlarms", metricAlarm)
	if !b.noList {
		out["CompositeAlarms"] = cbor.List{}
	}
	return answer{cbor: out}
}

func (s *Server) listDashboards(req *request, f Fault) answer {
	names := slices.DeleteFunc(order(s, s.state.Dashboards), func(name string) bool { return !strings.HasPrefix(name, req.prefix) })
	b, ok := paginate(s, req, f, 1000, names)
	if !ok {
		return badNextToken()
	}
	return answer{cbor: listing(b, "DashboardEntries", func(name string) cbor.Map {
		return cbor.Map{"DashboardName": cbor.String(name)}
	})}
}

// listing is a page of CloudWatch.
func listing[T any](b batch[T], list string, each func(T) cbor.Map) cbor.Map {
	out := cbor.Map{}
	if b.marker != "" {
		out["NextToken"] = cbor.String(b.marker)
	}
	if !b.noList {
		entries := make(cbor.List, 0, len(b.items))
		for _, item := range b.items {
			entries = append(entries, each(item))
		}
		out[list] = entries
	}
	return out
}

func badNextToken() answer {
	return failure(http.StatusBadRequest, "InvalidNextToken", "The next token is not valid.")
}

func (s *Server) cloudtrail(req *request) answer {
	arn := func(t Trail) string {
		return fmt.Sprintf("arn:%s:cloudtrail:%s:%s:trail/%s", s.state.Partition, cmp.Or(t.Home, s.state.Region), cmp.Or(t.Owner, s.state.Account), t.Name)
	}
	if req.Operation == "DescribeTrails" {
		list := []map[string]any{}
		for _, t := range order(s, s.state.Trails) {
			list = append(list, map[string]any{"Name": t.Name, "TrailARN": arn(t)})
		}
		return answer{json: map[string]any{"trailList": list}}
	}
	// By ARN: this server knows no trail by its name alone, as AWS knows none of
	// another region or account.
	i := slices.IndexFunc(s.state.Trails, func(t Trail) bool { return arn(t) == req.trail })
	if i < 0 {
		return failure(http.StatusBadRequest, "TrailNotFoundException", "Unknown trail: "+req.trail)
	}
	t := s.state.Trails[i]
	switch req.Operation {
	case "GetTrailStatus":
		return answer{json: map[string]any{"IsLogging": !t.Off}}
	case "GetEventSelectors":
		out := map[string]any{"TrailARN": req.trail}
		switch {
		case t.Advanced != nil:
			out["AdvancedEventSelectors"] = t.Advanced
		case t.Selectors != nil:
			out["EventSelectors"] = t.Selectors
		default:
			out["EventSelectors"] = []map[string]any{{"ReadWriteType": "All", "IncludeManagementEvents": true}}
		}
		return answer{json: out}
	}
	return unknownOperation(req)
}

// metricAlarm spells the alarm as CloudWatch does: one query without an ID is an
// alarm on a single metric.
func metricAlarm(a inventory.Alarm) cbor.Map {
	out := cbor.Map{
		"AlarmName":          cbor.String(a.Name),
		"AlarmArn":           cbor.String(a.ARN),
		"ActionsEnabled":     cbor.Bool(a.ActionsEnabled),
		"ComparisonOperator": cbor.String(a.Operator),
		"EvaluationPeriods":  cbor.Uint(a.EvaluationPeriods),
	}
	if a.DatapointsToAlarm != 0 {
		out["DatapointsToAlarm"] = cbor.Uint(a.DatapointsToAlarm)
	}
	if a.TreatMissingData != "" {
		out["TreatMissingData"] = cbor.String(a.TreatMissingData)
	}
	if a.Actions != nil {
		out["AlarmActions"] = texts(a.Actions.Alarm)
		out["OKActions"] = texts(a.Actions.OK)
		out["InsufficientDataActions"] = texts(a.Actions.InsufficientData)
	}
	if a.Threshold != nil {
		out["Threshold"] = cbor.Float64(*a.Threshold)
	}
	if a.ThresholdMetricID != "" {
		out["ThresholdMetricId"] = cbor.String(a.ThresholdMetricID)
	}
	if len(a.Queries) == 1 && a.Queries[0].ID == "" {
		q := a.Queries[0]
		out["Namespace"] = cbor.String(q.Namespace)
		out["MetricName"] = cbor.String(q.MetricName)
		out["Dimensions"] = dimensions(q.Dimensions)
		out["Statistic"] = cbor.String(q.Statistic)
		out["Period"] = cbor.Uint(q.Period / time.Second)
		if q.Unit != "" {
			out["Unit"] = cbor.String(q.Unit)
		}
		return out
	}
	metrics := make(cbor.List, 0, len(a.Queries))
	for _, q := range a.Queries {
		metrics = append(metrics, metricQuery(q))
	}
	out["Metrics"] = metrics
	return out
}

func metricQuery(q inventory.Query) cbor.Map {
	m := cbor.Map{"Id": cbor.String(q.ID), "ReturnData": cbor.Bool(q.ReturnData)}
	if q.Expression != "" {
		m["Expression"] = cbor.String(q.Expression)
		if q.Period != 0 {
			m["Period"] = cbor.Uint(q.Period / time.Second)
		}
		return m
	}
	stat := cbor.Map{
		"Metric": cbor.Map{
			"Namespace":  cbor.String(q.Namespace),
			"MetricName": cbor.String(q.MetricName),
			"Dimensions": dimensions(q.Dimensions),
		},
		"Stat":   cbor.String(q.Statistic),
		"Period": cbor.Uint(q.Period / time.Second),
	}
	if q.Unit != "" {
		stat["Unit"] = cbor.String(q.Unit)
	}
	m["MetricStat"] = stat
	return m
}

func texts(ss []string) cbor.List {
	out := make(cbor.List, 0, len(ss))
	for _, s := range ss {
		out = append(out, cbor.String(s))
	}
	return out
}

func dimensions(ds map[string]string) cbor.List {
	out := make(cbor.List, 0, len(ds))
	for name, value := range ds {
		out = append(out, cbor.Map{"Name": cbor.String(name), "Value": cbor.String(value)})
	}
	return out
}

// bootstrapVersion is newer than any that the CDK asks for.
const bootstrapVersion = "999"

// others answers what the CDK CLI asks before it would deploy. Nothing exists,
// but for the version of a bootstrap stack. Uploads of templates are taken, so
// that the CLI goes on to CloudFormation, where what would write is refused.
func (s *Server) others(req *request) answer {
	switch {
	case req.Service == "s3" && strings.HasPrefix(req.Operation, "PUT "):
		return answer{}
	case req.Write():
		return failure(http.StatusBadRequest, "ValidationError", "fakeaws does not deploy: "+req.Name())
	case req.Service == "cloudformation":
		return failure(http.StatusBadRequest, "ValidationError", fmt.Sprintf("Stack with id %s does not exist", req.params.Get("StackName")))
	case req.Name() == "ssm:GetParameter":
		return answer{json: map[string]any{"Parameter": map[string]any{"Name": "bootstrap-version", "Type": "String", "Value": bootstrapVersion, "Version": 1}}}
	case req.Service == "s3" && strings.HasPrefix(req.Operation, "HEAD "):
		return failure(http.StatusNotFound, "NotFound", "")
	case req.Service == "s3":
		return answer{xml: "<LocationConstraint>" + s.state.Region + "</LocationConstraint>"}
	}
	return unknownOperation(req)
}

func unknownOperation(req *request) answer {
	return failure(http.StatusBadRequest, "UnknownOperationException", "fakeaws knows no "+req.Name())
}
