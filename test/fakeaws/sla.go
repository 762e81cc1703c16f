package fakeaws

import (
	"cmp"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"time"

	"github.com/aws/smithy-go/encoding/cbor"
)

// Requests are the successful requests of one key and operation in one interval.
type Requests struct {
	At        time.Time
	Key       string // key ID
	Operation string
	Count     float64
}

// Calls are those of one API in one interval.
type Calls struct {
	At       time.Time
	Resource string
	Count    float64
}

// LogEvent is one of a log group.
type LogEvent struct {
	At      time.Time
	Message string
}

// Charge is what KMS cost in one region and month.
type Charge struct {
	Account string // default that of the state
	Month   string // "2026-10"
	Region  string
	Amount  string
	Unit    string // default USD
	// Estimated: the bill is not final.
	Estimated bool
	Metric    string   // default UnblendedCost
	Keys      []string // default the region
}

// SupportService is one that AWS Support has cases for.
type SupportService struct {
	Code, Name string
	Categories map[string]string // name by code
}

// SupportCase is a case, with what was sent.
type SupportCase struct {
	ID, Subject, Body, Service, Category, IssueType, Attachments string
	// Files are the attachments by name.
	Files map[string][]byte
	// Resolved ones are only listed to those who ask for them too.
	Resolved bool
}

// The only expressions that this CloudWatch knows, to the letter: what else is
// asked is a mistake.
var (
	insights = regexp.MustCompile(`^SELECT SUM\(SuccessfulRequest\) FROM SCHEMA\("AWS/KMS", KeyArn, Operation\) WHERE Operation = '([A-Za-z]+)'$`)
	search   = `SEARCH('{AWS/Usage,Class,Resource,Service,Type} MetricName="CallCount" Service="KMS" Type="API" Class="None"', 'Sum', 300)`
)

// point is one datapoint of a series.
type point struct {
	label string
	at    time.Time
	value float64
}

func (s *Server) getMetricData(req *request, f Fault) answer {
	invalid := func(format string, args ...any) answer {
		return failure(http.StatusBadRequest, "ValidationError", fmt.Sprintf(format, args...))
	}
	queries, _ := req.input["MetricDataQueries"].(cbor.List)
	if len(queries) != 1 {
		return invalid("%d queries; one of Metrics Insights stands alone", len(queries))
	}
	query, _ := queries[0].(cbor.Map)
	if period, _ := query["Period"].(cbor.Uint); period != 300 {
		return invalid("period %d", period)
	}
	from, to := timeOf(req.input["StartTime"]), timeOf(req.input["EndTime"])
	if !from.Before(to) || from.Unix()%300 != 0 || to.Unix()%300 != 0 {
		return invalid("from %s to %s", from, to)
	}
	expression, _ := query["Expression"].(cbor.String)
	sums := map[point]float64{}
	switch m := insights.FindStringSubmatch(string(expression)); {
	case m != nil:
		for _, r := range s.state.Requests {
			if r.Operation == m[1] {
				sums[point{"SuccessfulRequest", r.At.UTC(), 0}] += r.Count
			}
		}
	case string(expression) == search:
		label := "KMS "
		if asked, _ := query["Label"].(cbor.String); asked == "${PROP('Dim.Resource')}" {
			label = ""
		}
		for _, c := range s.state.Calls {
			sums[point{label + c.Resource, c.At.UTC(), 0}] += c.Count
		}
	default:
		return invalid("unknown expression %s", expression)
	}
	var points []point
	for p, v := range sums {
		if !p.at.Before(from) && p.at.Before(to) {
			p.value = v
			points = append(points, p)
		}
	}
	slices.SortFunc(points, func(a, b point) int { return cmp.Or(cmp.Compare(a.label, b.label), a.at.Compare(b.at)) })
	b, ok := paginate(s, req, f, 100_800, points)
	if !ok {
		return badNextToken()
	}
	// The last series of a page may go on in the next one.
	cut := ""
	if n := len(b.items); b.marker != "" && n > 0 {
		last := b.items[n-1]
		if slices.ContainsFunc(points, func(p point) bool { return p.label == last.label && p.at.After(last.at) }) {
			cut = last.label
		}
	}
	return metricData(b, cut, f)
}

func metricData(b batch[point], cut string, f Fault) answer {
	out := cbor.Map{}
	if b.marker != "" {
		out["NextToken"] = cbor.String(b.marker)
	}
	messages := cbor.List{cbor.Map{"Code": cbor.String("MaxMetricsExceeded"), "Value": cbor.String("The maximum number of metrics was exceeded.")}}
	if f.Kind == Warned {
		out["Messages"] = messages
	}
	if b.noList {
		return answer{cbor: out}
	}
	results := cbor.List{}
	for i := 0; i < len(b.items); {
		label, times, values := b.items[i].label, cbor.List{}, cbor.List{}
		for ; i < len(b.items) && b.items[i].label == label; i++ {
			times = append(times, &cbor.Tag{ID: 1, Value: cbor.Float64(b.items[i].at.Unix())})
			values = append(values, cbor.Float64(b.items[i].value))
		}
		status := "Complete"
		if label == cut || f.Kind == Partial {
			status = "PartialData"
		}
		series := cbor.Map{
			"Id": cbor.String("requests"), "Label": cbor.String(label), "StatusCode": cbor.String(status), "Timestamps": times, "Values": values,
		}
		results = append(results, series)
		switch f.Kind {
		case WarnedSeries:
			series["Messages"] = messages
		case Doubled:
			twin := maps.Clone(series)
			twin["Label"] = cbor.String(label + "-2")
			results = append(results, twin)
		}
	}
	out["MetricDataResults"] = results
	return answer{cbor: out}
}

// timeOf reads a time as the protocol writes it.
func timeOf(v cbor.Value) time.Time {
	tag, _ := v.(*cbor.Tag)
	if tag == nil {
		return time.Time{}
	}
	switch n := tag.Value.(type) {
	case cbor.Uint:
		return time.Unix(int64(n), 0).UTC()
	case cbor.Float64:
		return time.UnixMilli(int64(n * 1000)).UTC()
	}
	return time.Time{}
}

func (s *Server) logs(req *request, f Fault) answer {
	var in struct {
		LogGroupName, LogGroupIdentifier string
		StartTime, EndTime               int64
	}
	if err := json.Unmarshal(req.body, &in); err != nil || req.Operation != "FilterLogEvents" {
		return unknownOperation(req)
	}
	events, known := s.state.LogGroups[cmp.Or(in.LogGroupName, in.LogGroupIdentifier)]
	if !known {
		return failure(http.StatusBadRequest, "ResourceNotFoundException", "The specified log group does not exist.")
	}
	var within []LogEvent
	for _, e := range events {
		if at := e.At.UnixMilli(); at >= in.StartTime && at <= in.EndTime {
			within = append(within, e)
		}
	}
	b, ok := paginate(s, req, f, 10_000, within)
	if !ok {
		return failure(http.StatusBadRequest, "InvalidParameterException", "The specified nextToken is invalid.")
	}
	out := map[string]any{}
	if b.marker != "" {
		out["nextToken"] = b.marker
	}
	if !b.noList {
		list := []map[string]any{}
		for i, e := range b.items {
			list = append(list, map[string]any{"eventId": fmt.Sprint(i), "logStreamName": "s", "timestamp": e.At.UnixMilli(), "ingestionTime": e.At.UnixMilli(), "message": e.Message})
		}
		out["events"] = list
	}
	return answer{json: out}
}

// costExplorer knows the one question, to the letter.
func (s *Server) costExplorer(req *request, f Fault) answer {
	type dimension struct {
		Dimensions struct {
			Key    string
			Values []string
		}
	}
	var in struct {
		TimePeriod  struct{ Start, End string }
		Granularity string
		Metrics     []string
		GroupBy     []struct{ Type, Key string }
		Filter      struct{ And []dimension }
	}
	if err := json.Unmarshal(req.body, &in); err != nil || req.Operation != "GetCostAndUsage" {
		return unknownOperation(req)
	}
	start, err := time.Parse(time.DateOnly, in.TimePeriod.Start)
	asked := fmt.Sprint(in.Granularity, in.Metrics, in.GroupBy)
	by := map[string]string{}
	for _, d := range in.Filter.And {
		by[d.Dimensions.Key] = fmt.Sprint(d.Dimensions.Values)
	}
	if err != nil || start.AddDate(0, 1, 0).Format(time.DateOnly) != in.TimePeriod.End || asked != "MONTHLY[UnblendedCost] [{DIMENSION REGION}]" ||
		len(by) != 3 || by["SERVICE"] != "[AWS Key Management Service]" || by["RECORD_TYPE"] != "[Usage]" {
		return failure(http.StatusBadRequest, "ValidationException", string(req.body))
	}
	var charges []Charge
	for _, c := range s.state.Charges {
		if by["LINKED_ACCOUNT"] == "["+cmp.Or(c.Account, s.state.Account)+"]" && start.Format("2006-01") == c.Month {
			charges = append(charges, c)
		}
	}
	b, ok := paginate(s, req, f, 1000, charges)
	if !ok {
		return failure(http.StatusBadRequest, "InvalidNextTokenException", "The pagination token is invalid.")
	}
	out := map[string]any{}
	if b.marker != "" {
		out["NextPageToken"] = b.marker
	}
	groups, estimated := []map[string]any{}, false
	for _, c := range b.items {
		keys := c.Keys
		if keys == nil {
			keys = []string{c.Region}
		}
		groups = append(groups, map[string]any{"Keys": keys, "Metrics": map[string]any{
			cmp.Or(c.Metric, "UnblendedCost"): map[string]any{"Amount": c.Amount, "Unit": cmp.Or(c.Unit, "USD")},
		}})
		estimated = estimated || c.Estimated
	}
	result := map[string]any{"TimePeriod": in.TimePeriod, "Estimated": estimated, "Total": map[string]any{}}
	switch f.Kind {
	case NoList:
	case NoGroups:
		out["ResultsByTime"] = []any{result}
	case NoResults:
		out["ResultsByTime"] = []any{}
	case OtherMonth:
		result["TimePeriod"] = map[string]any{"Start": "2020-01-01", "End": "2020-02-01"}
		fallthrough
	default:
		result["Groups"] = groups
		out["ResultsByTime"] = []any{result}
	}
	return answer{json: out}
}

func (s *Server) support(req *request, f Fault) answer {
	if s.state.NoSupportPlan {
		return failure(http.StatusBadRequest, "SubscriptionRequiredException", "Amazon Web Services Premium Support Subscription is required to use this service.")
	}
	if req.Region != "us-east-1" {
		return failure(http.StatusBadRequest, "UnrecognizedClientException", "AWS Support is in us-east-1, not in "+req.Region)
	}
	switch req.Operation {
	case "DescribeServices":
		return s.describeServices()
	case "DescribeCases":
		return s.describeCases(req, f)
	case "AddAttachmentsToSet":
		return s.addAttachments(req)
	case "CreateCase":
		return s.createCase(req)
	}
	return unknownOperation(req)
}

func (s *Server) describeServices() answer {
	services := s.state.Services
	if services == nil {
		services = []SupportService{
			{"aws-key-management-service", "Key Management Service", map[string]string{"general-guidance": "General Guidance"}},
			{"billing", "Billing", map[string]string{"other": "Other Billing Questions", "service-credits": "Service Credits"}},
		}
	}
	list := []map[string]any{}
	for _, v := range services {
		categories := []map[string]any{}
		for code, name := range v.Categories {
			categories = append(categories, map[string]any{"code": code, "name": name})
		}
		list = append(list, map[string]any{"code": v.Code, "name": v.Name, "categories": categories})
	}
	return answer{json: map[string]any{"services": list}}
}

func (s *Server) describeCases(req *request, f Fault) answer {
	var in struct{ IncludeResolvedCases bool }
	if err := json.Unmarshal(req.body, &in); err != nil {
		return failure(http.StatusBadRequest, "ValidationException", err.Error())
	}
	cases := slices.DeleteFunc(slices.Clone(s.state.Cases), func(c SupportCase) bool { return c.Resolved && !in.IncludeResolvedCases })
	b, ok := paginate(s, req, f, 100, cases)
	if !ok {
		return failure(http.StatusBadRequest, "ValidationException", "The token is not valid.")
	}
	out := map[string]any{}
	if b.marker != "" {
		out["nextToken"] = b.marker
	}
	if !b.noList {
		list := []map[string]any{}
		for _, c := range b.items {
			list = append(list, map[string]any{"caseId": c.ID, "subject": c.Subject, "status": "opened"})
		}
		out["cases"] = list
	}
	return answer{json: out}
}

// Limits of "AddAttachmentsToSet" (AWS Support API Reference).
const (
	mostAttachments   = 3
	largestAttachment = 5 << 20
)

func (s *Server) addAttachments(req *request) answer {
	var in struct {
		Attachments []struct{ FileName, Data string }
	}
	if err := json.Unmarshal(req.body, &in); err != nil {
		return failure(http.StatusBadRequest, "ValidationException", err.Error())
	}
	files := map[string][]byte{}
	for _, a := range in.Attachments {
		data, err := base64.StdEncoding.DecodeString(a.Data)
		if err != nil || len(data) > largestAttachment {
			return failure(http.StatusBadRequest, "AttachmentSetSizeLimitExceeded", "A limit for the size of an attachment set has been exceeded.")
		}
		files[a.FileName] = data
	}
	if len(files) == 0 || len(files) > mostAttachments {
		return failure(http.StatusBadRequest, "AttachmentLimitExceeded", "The limit for the number of attachments has been exceeded.")
	}
	if s.sets == nil {
		s.sets = map[string]map[string][]byte{}
	}
	id := fmt.Sprintf("set-%d", len(s.sets)+1)
	s.sets[id] = files
	return answer{json: map[string]any{"attachmentSetId": id, "expiryTime": "2099-01-01T00:00:00Z"}}
}

func (s *Server) createCase(req *request) answer {
	var in struct {
		Subject, CommunicationBody, ServiceCode, CategoryCode, IssueType, AttachmentSetId string
	}
	if err := json.Unmarshal(req.body, &in); err != nil || in.Subject == "" || in.CommunicationBody == "" {
		return failure(http.StatusBadRequest, "ValidationException", "A subject and a body are needed.")
	}
	files, known := s.sets[in.AttachmentSetId]
	if in.AttachmentSetId != "" && !known {
		return failure(http.StatusBadRequest, "AttachmentSetIdNotFound", "An attachment set with the specified ID could not be found.")
	}
	id := fmt.Sprintf("case-%s-2026-%04d", s.state.Account, len(s.state.Cases)+1)
	s.state.Cases = append(slices.Clone(s.state.Cases), SupportCase{id, in.Subject, in.CommunicationBody, in.ServiceCode, in.CategoryCode, in.IssueType, in.AttachmentSetId, files, false})
	return answer{json: map[string]any{"caseId": id}}
}

// Cases are those that there are by now.
func (s *Server) Cases() []SupportCase {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.state.Cases)
}
