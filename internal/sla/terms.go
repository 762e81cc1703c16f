package sla

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Mark says how sure a term is.
type Mark string

const (
	// Read: in the words of the source.
	Read Mark = "read"
	// Assumed: from a sister agreement, a third party, or inference. A person
	// reads the live page before a claim rests on it.
	Assumed Mark = "assumed"
)

// Fact is one term, with where it comes from.
type Fact[T any] struct {
	Value T    `json:"value"`
	Mark  Mark `json:"mark"`
	// Source is the title of the page.
	Source string `json:"source"`
	// ReadOn is when the source was read.
	ReadOn string `json:"readOn"`
}

// Tier is a credit: Percent of the charges if uptime is below Below and no
// other tier is lower. Both are percentages, as the page writes them.
type Tier struct {
	Below   string `json:"below"`
	Percent int    `json:"percent"`
}

// Class is what a request counts as. If two records of one request differ, the
// greater wins.
type Class uint8

const (
	Served      Class = iota // answered
	Rejected                 // an error of the caller's side: a request, no fault
	Unjudged                 // an error that the terms do not know: counted like Rejected, and said
	Faulted                  // a server-side error
	Contestable              // one that may come from the customer's own key store
)

// Name is how a report calls it.
func (c Class) Name() string {
	return [...]string{"served", "rejected", "unknown", "fault", "contestable"}[c]
}

// Failed says whether the request counts as failed by either reading.
func (c Class) Failed() bool { return c >= Faulted }

// Code says what an error code counts as.
type Code struct {
	Code  string `json:"code"`
	Class string `json:"class"` // fault, contestable, excluded
	Why   string `json:"why"`
}

// named says that it is a code, and no description of several.
func (c Code) named() bool { return !strings.Contains(c.Code, " ") }

// Terms are one version of the agreement.
type Terms struct {
	// Version is the date that the page calls its last update.
	Version    string       `json:"version"`
	Effective  Fact[string] `json:"effective"`
	Commitment Fact[string] `json:"commitmentPercent"`
	Scope      Fact[string] `json:"scope"`
	Tiers      Fact[[]Tier] `json:"tiers"`
	Floor      Fact[string] `json:"creditAboveUSD"`
	Interval   Fact[int]    `json:"intervalSeconds"`
	Uptime     Fact[string] `json:"monthlyUptimePercentage"`
	Idle       Fact[string] `json:"intervalWithoutRequests"`
	Error      Fact[string] `json:"error"`
	Faults     Fact[[]Code] `json:"faultCodes"`
	Unmodelled Fact[[]Code] `json:"faultCodesOutsideTheModel"`
	Contested  Fact[[]Code] `json:"contestableCodes"`
	Excluded   Fact[[]Code] `json:"excludedCodes"`
	// Client and Common are further errors of the caller's side, by their names alone.
	Client     Fact[[]string] `json:"clientCodes"`
	Common     Fact[[]string] `json:"commonClientCodes"`
	Exclusions Fact[[]string] `json:"exclusions"`
	// ClaimCycles and ClaimDays are the two readings of the claim window; the
	// earlier deadline is used.
	ClaimCycles Fact[int]      `json:"claimBillingCycles"`
	ClaimDays   Fact[int]      `json:"claimDays"`
	Subject     Fact[string]   `json:"claimSubject"`
	Contents    Fact[[]string] `json:"claimContents"`
}

// Sources of the terms, by title, and when they were read.
const (
	page2022   = "Key Management Service (KMS) Service Level Agreement (aws.amazon.com/kms/sla), last updated November 29, 2022"
	page2019   = "Prior Version(s) of Service Level Agreement for AWS Key Management Service (aws.amazon.com/kms/sla/historical), last updated January 16, 2019"
	sister     = "Amazon API Gateway Service Level Agreement, a sister agreement of the same template"
	relative   = "AWS Payment Cryptography Service Level Agreement, the nearest relative"
	model      = "service model of the KMS API (fault: true), botocore 1.43.11"
	clientSide = "service model of the KMS API (errors that are no faults), botocore 1.43.11"
	remembered = "recollection of the KMS API's HTTP status codes; the service model has none"
	commonPage = "Common Errors (the API references of AWS services), with the spellings that CloudTrail is known to use"
	thirdHand  = "a third party's guide, \"AWS KMS SLA Credits & Refunds Guide\""
	readOn     = "2026-11-23"
	noRegion   = "each account; the page names no region"
)

func read[T any](v T, source string) Fact[T]    { return Fact[T]{v, Read, source, readOn} }
func assumed[T any](v T, source string) Fact[T] { return Fact[T]{v, Assumed, source, readOn} }

// Catalogue is every version that is known, oldest first.
func Catalogue() []Terms {
	old, now := common(), common()

	old.Version = "2019-01-16"
	old.Effective = assumed("2019-01-16", page2019+"; that it took effect on the day of its last update is assumed")
	old.Commitment = read("99.9", page2019)
	old.Scope = read(noRegion, page2019)
	old.Tiers = read([]Tier{{"99.9", 10}, {"99.0", 25}}, page2019)
	old.Floor = read("1", page2019)

	now.Version = "2022-11-29"
	now.Effective = assumed("2022-11-29", page2022+"; that it took effect on the day of its last update is assumed")
	now.Commitment = read("99.999", page2022)
	now.Scope = read("each account and each AWS region", page2022)
	now.Tiers = read([]Tier{{"99.999", 10}, {"99.0", 25}, {"95.0", 100}}, page2022)
	now.Floor = read("1", page2022)

	return []Terms{old, now}
}

// common are the terms that both versions are taken to share. That part of the
// pages was not read, so they rest on sister agreements.
func common() Terms {
	return Terms{
		Interval: assumed(IntervalSeconds, sister),
		Uptime:   assumed("the average of the availability of all intervals of the billing cycle", sister),
		Idle:     assumed("100 % available", sister),
		Error:    assumed("a request that returns a 500 or 503 error code", relative),
		Faults: read([]Code{
			{"KMSInternalException", "fault", "KMS could not answer"},
			{"KeyUnavailableException", "fault", "the key was not available"},
		}, model),
		Unmodelled: assumed([]Code{
			{"InternalFailure", "fault", "an error of every AWS service"},
			{"ServiceUnavailable", "fault", "an error of every AWS service"},
		}, remembered),
		Contested: assumed([]Code{
			{"DependencyTimeoutException", "contestable", "it can come from your own CloudHSM cluster or external key store"},
			{"any fault on a key of a custom key store", "contestable", "your own key store may be the cause"},
		}, "inference from "+model),
		Excluded: assumed([]Code{
			{"ThrottlingException", "excluded", "a 400: your request rate"},
			{"KMSInvalidStateException", "excluded", "a 400: the state of the key or of your custom key store"},
			{"every client error of the model", "excluded", "an error of the caller's side"},
		}, remembered),
		Client: read([]string{
			"AlreadyExistsException", "CloudHsmClusterInUseException", "CloudHsmClusterInvalidConfigurationException",
			"CloudHsmClusterNotActiveException", "CloudHsmClusterNotFoundException", "CloudHsmClusterNotRelatedException",
			"ConflictException", "CustomKeyStoreHasCMKsException", "CustomKeyStoreInvalidStateException",
			"CustomKeyStoreNameInUseException", "CustomKeyStoreNotFoundException", "DisabledException",
			"DryRunOperationException", "ExpiredImportTokenException", "IncorrectKeyException",
			"IncorrectKeyMaterialException", "IncorrectTrustAnchorException", "InvalidAliasNameException",
			"InvalidArnException", "InvalidCiphertextException", "InvalidGrantIdException", "InvalidGrantTokenException",
			"InvalidImportTokenException", "InvalidKeyUsageException", "InvalidMarkerException", "KMSInvalidMacException",
			"KMSInvalidSignatureException", "LimitExceededException", "MalformedPolicyDocumentException",
			"NotFoundException", "TagException", "UnsupportedOperationException", "XksKeyAlreadyInUseException",
			"XksKeyInvalidConfigurationException", "XksKeyNotFoundException",
			"XksProxyIncorrectAuthenticationCredentialException", "XksProxyInvalidConfigurationException",
			"XksProxyInvalidResponseException", "XksProxyUriEndpointInUseException", "XksProxyUriInUseException",
			"XksProxyUriUnreachableException", "XksProxyVpcEndpointServiceInUseException",
			"XksProxyVpcEndpointServiceInvalidConfigurationException", "XksProxyVpcEndpointServiceNotFoundException",
		}, clientSide),
		Common: assumed([]string{
			"AccessDenied", "ExpiredToken", "IncompleteSignature", "InvalidAction", "InvalidClientTokenId",
			"InvalidParameterCombination", "InvalidParameterValue", "InvalidQueryParameter", "InvalidSignature",
			"MalformedQueryString", "MissingAction", "MissingAuthenticationToken", "MissingParameter", "NotAuthorized",
			"OptInRequired", "RequestExpired", "Serialization", "SignatureDoesNotMatch", "Throttling",
			"UnauthorizedOperation", "UnknownOperation", "UnrecognizedClient", "Validation", "ValidationError",
			"VpceAccessDenied",
		}, commonPage),
		Exclusions: assumed([]string{
			"what lies outside AWS's reasonable control, or internet access beyond its demarcation point",
			"your own actions or inactions, for example disabling a key or making it inaccessible",
			"your equipment, software or other technology",
			"not following the best practices of the developer guide",
			"suspension or termination of your right to use the service",
		}, sister),
		ClaimCycles: assumed(2, sister+": received by the end of the second billing cycle after which the incident occurred"),
		ClaimDays:   assumed(60, thirdHand+": within 60 days of the affected billing period"),
		Subject:     assumed("SLA Credit Request", sister),
		Contents: assumed([]string{
			`the words "SLA Credit Request" in the subject`,
			"the dates, times and regions of each incident",
			"the affected key ARNs",
			"the billing cycle",
			"request logs that document the errors, with confidential information removed or replaced by asterisks",
		}, sister),
	}
}

// TermsOf are the terms in force on the first day of the month.
func TermsOf(m Month) (Terms, error) {
	all := Catalogue()
	for i := len(all) - 1; i >= 0; i-- {
		t, err := time.Parse(time.DateOnly, all[i].Effective.Value)
		if err == nil && !m.Start().Before(t) {
			return all[i], nil
		}
	}
	return Terms{}, fmt.Errorf("no terms of the KMS SLA are known for %s; the first known are in force from %s, so the first month is 2019-02", m, all[0].Effective.Value)
}

// Current are the newest terms.
func Current() Terms {
	all := Catalogue()
	return all[len(all)-1]
}

// FaultCodes are the error codes that count as faults, or that AWS may contest, in
// both spellings, sorted: what has to be kept to judge a month.
func (t Terms) FaultCodes() []string {
	var out []string
	for _, c := range slices.Concat(t.Faults.Value, t.Unmodelled.Value, t.Contested.Value) {
		if c.named() {
			out = append(out, c.Code, strings.TrimSuffix(c.Code, "Exception"))
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// MonthlyBudget is the sum of error rates, in intervals, that keeps the commitment
// in a month of 30 days.
func (t Terms) MonthlyBudget() string {
	return strings.TrimRight(down(t.Allowed(30*24*3600/t.Interval.Value), 5), "0")
}

// Classes says by code and HTTP status what a request counts as.
type Classes struct {
	// codes of the terms by their name without "Exception", which some logs leave
	// out.
	codes map[string]Class
	// said are codes of which a person said what they count as.
	said map[string]Class
}

// Classes reads the codes out of the terms, once for many requests.
func (t Terms) Classes() *Classes {
	c := &Classes{codes: map[string]Class{}}
	for _, f := range []struct {
		codes []Code
		class Class
	}{{t.Faults.Value, Faulted}, {t.Unmodelled.Value, Faulted}, {t.Contested.Value, Contestable}, {t.Excluded.Value, Rejected}} {
		for _, code := range f.codes {
			if code.named() {
				c.codes[short(code.Code)] = f.class
			}
		}
	}
	for _, name := range slices.Concat(t.Client.Value, t.Common.Value) {
		c.codes[short(name)] = Rejected
	}
	return c
}

// short is a code without the ending, if there is more to it.
func short(code string) string {
	if name := strings.TrimSuffix(code, "Exception"); name != "" {
		return name
	}
	return code
}

// Codes are the codes of the terms, in both spellings.
func (c *Classes) Codes() []string {
	var out []string
	for name := range c.codes {
		out = append(out, name, name+"Exception")
	}
	slices.Sort(out)
	return out
}

// CountAs takes the word of a person for a code, or the status of requests without
// one ([StatusCode]), that the terms do not judge: as fault, contestable or rejected.
func (c *Classes) CountAs(code, class string) error {
	if number, ok := strings.CutPrefix(code, "HTTP-"); ok {
		status, err := strconv.Atoi(number)
		if err != nil || StatusCode(status) != code || status < 100 || status > 599 {
			return fmt.Errorf("%s is no HTTP status; allowed: HTTP-300 to HTTP-599, as far as the terms do not judge them", code)
		}
		if is := c.judge("", status); is != Unjudged {
			return fmt.Errorf("%s is judged by the terms, and counts as %s", code, is.Name())
		}
	} else if is, known := c.codes[short(code)]; known {
		return fmt.Errorf("%s is a code of the terms, and counts as %s", code, is.Name())
	}
	if _, twice := c.said[short(code)]; twice {
		return fmt.Errorf("what %s counts as is said twice", code)
	}
	for _, as := range []Class{Faulted, Contestable, Rejected} {
		if as.Name() == class {
			if c.said == nil {
				c.said = map[string]Class{}
			}
			c.said[short(code)] = as
			return nil
		}
	}
	return fmt.Errorf("%q is nothing that a code counts as; allowed: fault, contestable, rejected", class)
}

// Of classes one request: by its error code, and where that says nothing by its
// HTTP status, which is 0 if the log has none. customKeyStore says that the key
// lives in one.
func (c *Classes) Of(code string, status int, customKeyStore bool) Class {
	class := c.judge(code, status)
	if class == Unjudged {
		name := short(code)
		if code == "" {
			name = StatusCode(status)
		}
		if said, ok := c.said[name]; ok {
			class = said
		}
	}
	if class == Faulted && customKeyStore {
		return Contestable
	}
	return class
}

// judge asks the terms alone.
func (c *Classes) judge(code string, status int) Class {
	class, known := c.codes[short(code)]
	switch {
	case c.Contradictory(code, status):
		return Contestable
	case known:
		return class
	case status == 500 || status == 503:
		return Faulted
	case status >= 400 && status < 500:
		return Rejected
	case code != "" || status >= 300:
		return Unjudged
	}
	return Served
}

// StatusCode stands for the code of a request that has but a status.
func StatusCode(status int) string { return fmt.Sprintf("HTTP-%d", status) }

// Said are those of CODE=CLASS that had a part in what was counted.
func Said(all []string, codes []CodeCount) []string {
	var out []string
	for _, said := range all {
		code, class, _ := strings.Cut(said, "=")
		if slices.ContainsFunc(codes, func(c CodeCount) bool {
			return c.Code == OtherCodes || short(c.Code) == short(code) && (c.CountsAs == class || class == Faulted.Name() && c.CountsAs == Contestable.Name())
		}) {
			out = append(out, said)
		}
	}
	slices.Sort(out)
	return out
}

// Contradictory says that the status is not one of the code: below 500 of a fault, or
// from 500 on of a client error. A code that the terms do not know, such as the
// Unknown of a client that could not read the answer, says nothing.
func (c *Classes) Contradictory(code string, status int) bool {
	class, known := c.codes[short(code)]
	switch {
	case !known:
		return false
	case class == Rejected:
		return status >= 500
	}
	return status > 0 && status < 500
}

// adder adds to a list what is marked as assumed.
func adder(out *[]string) func(mark Mark, format string, args ...any) {
	return func(mark Mark, format string, args ...any) {
		if mark == Assumed {
			*out = append(*out, fmt.Sprintf(format, args...))
		}
	}
}

// assumptions are the terms of the computation that nobody read at the source, in words.
func (t Terms) assumptions() []string {
	var out []string
	add := adder(&out)
	codes := func(of []Code) string {
		var names []string
		for _, c := range of {
			names = append(names, c.Code)
		}
		return strings.Join(names, ", ")
	}
	add(t.Effective.Mark, "The terms are in force from %s, the day of their last update. Those of the first day of a month hold for all of it.", t.Effective.Value)
	if t.Scope.Value == noRegion {
		add(Assumed, "The page names no region; this is the sum of one region alone.")
	}
	add(t.Interval.Mark, "Availability is measured in intervals of %d seconds.", t.Interval.Value)
	add(t.Uptime.Mark, "The Monthly Uptime Percentage is %s.", t.Uptime.Value)
	add(t.Idle.Mark, "An interval without requests is %s.", t.Idle.Value)
	add(t.Error.Mark, "An error is %s.", t.Error.Value)
	add(t.Faults.Mark, "Errors are %s.", codes(t.Faults.Value))
	add(t.Unmodelled.Mark, "Errors are also %s, which the model of KMS does not list.", codes(t.Unmodelled.Value))
	add(t.Contested.Mark, "AWS may contest: %s.", codes(t.Contested.Value))
	add(t.Excluded.Mark, "No errors are: %s.", codes(t.Excluded.Value))
	add(t.Common.Mark, "Errors that are common to AWS services, such as %s, are of the caller's side.", t.Common.Value[0])
	return out
}

// reminders are such terms that have no part in the computation: whoever sends a claim
// must know them, and AWS need not be told.
func (t Terms) reminders() []string {
	var out []string
	add := adder(&out)
	add(t.Exclusions.Mark, "The exclusions are those of sister agreements; nothing here looks for them.")
	add(t.ClaimCycles.Mark, "A claim is due by the end of billing cycle %d after the incident, or %d days after the billing period; the earlier is used.", t.ClaimCycles.Value, t.ClaimDays.Value)
	add(t.Contents.Mark, "A claim needs what those of sister agreements need.")
	return out
}
