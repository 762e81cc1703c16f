package fakeaws

import (
	"encoding/json"
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"

	"github.com/aws/smithy-go/encoding/cbor"
)

// protocol is one of the wire protocols of the Smithy specification ("AWS JSON
// 1.1 protocol", "AWS query protocol", "Smithy RPC v2 CBOR protocol").
type protocol int

const (
	awsJSON protocol = iota + 1
	awsQuery
	rpcCBOR
	restXML
)

type request struct {
	*Call
	protocol protocol
	headers  http.Header
	params   url.Values // of awsQuery
	// Of GetResources: the filters, and as they came.
	filters    []tagFilter
	filterText string
	prefix     string // of ListDashboards
	body       []byte // of awsJSON
	input      cbor.Map
	trail      string // of GetEventSelectors and GetTrailStatus
}

// maxRequest is more than any request of the readers under test.
const maxRequest = 64 << 20

// credentialScope finds access key, region and service in the Authorization
// header ("Create a signed AWS API request", IAM User Guide).
var credentialScope = regexp.MustCompile(`Credential=([^/]+)/\d+/([^/]+)/([^/]+)/aws4_request`)

func parse(r *http.Request) (*request, error) {
	body, err := io.ReadAll(io.LimitReader(r.Body, maxRequest))
	if err != nil {
		return nil, err
	}
	req := &request{Call: &Call{Client: r.RemoteAddr}, headers: r.Header}
	if m := credentialScope.FindStringSubmatch(r.Header.Get("Authorization")); m != nil {
		req.AccessKey, req.Region, req.Service = m[1], m[2], m[3]
		switch req.Service { // signed so, named otherwise by IAM
		case "monitoring":
			req.Service = "cloudwatch"
		case "tagging":
			req.Service = "tag"
		}
	}
	target := r.Header.Get("X-Amz-Target")
	path := strings.Split(strings.Trim(r.URL.Path, "/"), "/")
	switch {
	case target != "":
		return req, req.parseJSON(target, body)
	case len(path) == 4 && path[0] == "service" && path[2] == "operation":
		return req, req.parseCBOR(path[3], body)
	case strings.HasPrefix(r.Header.Get("Content-Type"), "application/x-www-form-urlencoded"):
		return req, req.parseQuery(body)
	}
	req.protocol = restXML
	req.Operation = r.Method + " " + r.URL.RequestURI()
	return req, nil
}

func (req *request) parseJSON(target string, body []byte) error {
	req.protocol, req.body = awsJSON, body
	_, req.Operation, _ = strings.Cut(target, ".")
	var in struct {
		KeyId, Marker, NextToken, PaginationToken, NextPageToken string
		TrailName, Name                                          string
		Limit, ResourcesPerPage                                  int
		ResourceTypeFilters                                      []string
		TagFilters                                               []tagFilter
	}
	if err := json.Unmarshal(body, &in); err != nil {
		return fmt.Errorf("%s: %w", target, err)
	}
	req.Key, req.trail = in.KeyId, in.TrailName+in.Name
	if _, id, ok := strings.Cut(in.KeyId, ":key/"); ok {
		req.Key = id
	}
	req.Marker, req.Limit = in.Marker+in.NextToken+in.PaginationToken+in.NextPageToken, in.Limit+in.ResourcesPerPage
	if req.filters = in.TagFilters; len(in.TagFilters) > 0 {
		req.filterText = fmt.Sprint(in.TagFilters)
	}
	if req.Operation == "GetResources" && (len(in.ResourceTypeFilters) != 1 || in.ResourceTypeFilters[0] != "kms:key") {
		return fmt.Errorf("%s of %v: only kms:key is known here", target, in.ResourceTypeFilters)
	}
	return nil
}

func (req *request) parseCBOR(operation string, body []byte) error {
	req.protocol, req.Operation = rpcCBOR, operation
	if len(body) == 0 {
		return nil
	}
	v, err := cbor.Decode(body)
	if err != nil {
		return err
	}
	in, ok := v.(cbor.Map)
	if !ok {
		return fmt.Errorf("%s: the request is no map", operation)
	}
	req.input = in
	if token, ok := in["NextToken"].(cbor.String); ok {
		req.Marker = string(token)
	}
	if limit, ok := in["MaxRecords"].(cbor.Uint); ok {
		req.Limit = int(limit)
	}
	if prefix, ok := in["DashboardNamePrefix"].(cbor.String); ok {
		req.prefix = string(prefix)
	}
	return nil
}

func (req *request) parseQuery(body []byte) error {
	req.protocol = awsQuery
	params, err := url.ParseQuery(string(body))
	if err != nil {
		return err
	}
	req.params = params
	req.Operation = params.Get("Action")
	req.Marker, req.Key = params.Get("NextToken"), params.Get("StackName")
	req.Limit, _ = strconv.Atoi(params.Get("MaxRecords"))
	return nil
}

// answer is an answer before it has a wire format: an error if code is set,
// else a result.
type answer struct {
	status        int
	code, message string
	json          map[string]any
	cbor          cbor.Map
	xml           string // inside of <…Result>
}

func failure(status int, code, message string) answer {
	return answer{status: status, code: code, message: message}
}

func (a answer) statusCode() int {
	if a.status == 0 {
		return http.StatusOK
	}
	return a.status
}

func (a answer) contentType(req *request) string {
	switch req.protocol {
	case awsJSON:
		return "application/x-amz-json-1.1"
	case rpcCBOR:
		return "application/cbor"
	}
	return "text/xml"
}

func (a answer) encode(req *request) []byte {
	switch req.protocol {
	case awsJSON:
		out := a.json
		if a.code != "" {
			out = map[string]any{"__type": a.code, "message": a.message}
		}
		body, err := json.Marshal(out)
		if err != nil {
			panic(err) // maps, strings, numbers and times only
		}
		return body
	case rpcCBOR:
		if a.code != "" {
			return cbor.Encode(cbor.Map{"__type": cbor.String(a.code), "message": cbor.String(a.message)})
		}
		return cbor.Encode(a.cbor)
	case restXML:
		if a.code != "" {
			return fmt.Appendf(nil, "<Error><Code>%s</Code><Message>%s</Message></Error>", a.code, escape(a.message))
		}
		return []byte(a.xml)
	}
	if a.code != "" {
		return fmt.Appendf(nil, "<ErrorResponse><Error><Type>Sender</Type><Code>%s</Code><Message>%s</Message></Error></ErrorResponse>", a.code, escape(a.message))
	}
	return fmt.Appendf(nil, "<%[1]sResponse><%[1]sResult>%[2]s</%[1]sResult></%[1]sResponse>", req.Operation, a.xml)
}

func escape(s string) string {
	var b strings.Builder
	_ = xml.EscapeText(&b, []byte(s)) // a Builder never fails
	return b.String()
}
