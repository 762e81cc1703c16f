package fakeaws

import "time"

// Kind is what goes wrong with a request.
type Kind int

const (
	// Throttle answers HTTP 400 ThrottlingException.
	Throttle Kind = iota + 1
	// Internal answers HTTP 500 with the service's internal error.
	Internal
	// Unavailable answers HTTP 503 with a body that is no AWS error, as a load
	// balancer does.
	Unavailable
	// Reset closes the connection without an answer, and nothing was done.
	Reset
	// Cut closes the connection half-way through the right answer.
	Cut
	// AccessDenied answers AccessDeniedException.
	AccessDenied
	// ExpiredToken answers ExpiredTokenException (STS: ExpiredToken).
	ExpiredToken
	// InvalidToken answers UnrecognizedClientException (STS:
	// InvalidClientTokenId).
	InvalidToken
	// BadSignature answers SignatureDoesNotMatch with a message that repeats
	// the request's headers, session token included, as AWS does.
	BadSignature
	// NotFound answers NotFoundException.
	NotFound
	// NotEnabled answers DataUnavailableException.
	NotEnabled
	// InvalidState answers KMSInvalidStateException.
	InvalidState
	// InvalidMarker answers InvalidMarkerException.
	InvalidMarker
	// ExpiredPage answers PaginationTokenExpiredException.
	ExpiredPage
	// OnlyChange answers as usual, after Fault.Change.
	OnlyChange
	// Dribble sends the right answer in ten pieces, Fault.Delay apart.
	Dribble
	// CutReset ends half-way through the right answer with a TCP reset.
	CutReset
	// Slow waits for Fault.Delay, then answers as usual.
	Slow
	// Empty answers HTTP 200 without a body.
	Empty
	// HTML answers HTTP 200 with a web page, as a captive portal does.
	HTML

	// The faults from here on are of pages; they leave other answers as they
	// are.

	// NoMarker answers the page as truncated, without its marker.
	NoMarker
	// MarkerOnly answers a page that is not the last as not truncated, with
	// its marker.
	MarkerOnly
	// RepeatMarker answers the page with the marker that led to it, so that
	// following it goes round for ever. The first page leads to itself.
	RepeatMarker
	// RepeatItems answers the page before once more in front of this page's
	// items.
	RepeatItems
	// NoItems answers an empty page that leads on to this one.
	NoItems
	// NoList leaves the list out of the page.
	NoList
	// Partial marks each series of metric data as a part, Warned says that not all
	// metrics are in it, WarnedSeries says so of each series, and Doubled answers each
	// under another name too.
	Partial
	Warned
	WarnedSeries
	Doubled
	// Of charges, NoGroups leaves out the groups of the month, NoResults the month,
	// and OtherMonth answers with another one.
	NoGroups
	NoResults
	OtherMonth
)

// Forever as Fault.Times never stops.
const Forever = -1

// Fault makes some requests go wrong. Of the faults that fit a request, the one
// added first counts.
type Fault struct {
	// Operation as IAM spells it, "kms:ListKeys"; empty means every one.
	Operation string
	// Key is a key ID or a stack name; empty means every request.
	Key string
	// Nth is the first request, of those that fit Operation and Key since the
	// server started, that goes wrong. Counting begins at 1, the default.
	Nth int
	// Times is how many requests go wrong from then on: default 1, or Forever.
	Times int
	Kind  Kind
	// Delay is for Slow and Dribble.
	Delay time.Duration
	// Change, if not nil, changes the account just before the answer.
	Change func(*State)
	// Message replaces the message of the error.
	Message string

	seen int
}

// hit counts a request that the fault may be for and says whether it is.
func (f *Fault) hit(c Call) bool {
	if f.Operation != "" && f.Operation != c.Name() || f.Key != "" && f.Key != c.Key {
		return false
	}
	f.seen++
	first := max(f.Nth, 1)
	times := f.Times
	if times == 0 {
		times = 1
	}
	return f.seen >= first && (times < 0 || f.seen < first+times)
}
