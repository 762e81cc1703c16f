// Package fakeaws is an AWS that tests can talk to: a server on the loopback
// interface that speaks the wire protocols of the services keywatch reads, with
// as little in each page as a test wants, and with faults where it wants them.
//
// It holds data and behaves: it pages, denies, throttles, loses connections.
// It opens cases of AWS Support. What it does not do is deploy: every call that would change something is
// recorded ([Server.WriteCalls]); uploads go nowhere and CloudFormation refuses.
// The CDK CLI gets as far as running its app and creating a change set. Give it
// a HOME of its own: it remembers there which account an access key belongs to.
//
// Start reading at [Start].
package fakeaws

import (
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"time"
)

// Server is a running fake. It is safe for concurrent use.
type Server struct {
	// URL is the endpoint for AWS_ENDPOINT_URL.
	URL string

	http    *http.Server
	options options

	mu      sync.Mutex
	state   State
	calls   []Call
	counts  map[string]int
	faults  []*Fault
	buckets map[string]*bucket
	// Made of the state when they are needed, and anew when it changes.
	byID  map[string]*Key
	lists map[string][]*Key
	sets  map[string]map[string][]byte // of attachments
}

type options struct {
	pageSize int
	shuffle  bool
	seed     uint64
	latency  time.Duration
	quotas   map[string]float64
}

// Option changes how a [Server] answers.
type Option func(*options)

// PageSize is the largest number of items in a page; default 1, so that every
// list has pages. A smaller limit in the request wins.
func PageSize(n int) Option { return func(o *options) { o.pageSize = n } }

// Shuffle answers keys, tags, aliases and alarms in an order, and in pages of 1
// to PageSize items, that the seed decides.
func Shuffle(seed uint64) Option { return func(o *options) { o.shuffle, o.seed = true, seed } }

// TB is what [Start] needs of a testing.TB.
type TB interface {
	Helper()
	Fatalf(format string, args ...any)
	Cleanup(func())
}

// Start is [New] for a test: the server is closed when the test ends.
func Start(t TB, state State, opts ...Option) *Server {
	t.Helper()
	s, err := New(state, opts...)
	if err != nil {
		t.Fatalf("fakeaws: %v", err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// New starts a server on a free loopback port.
func New(state State, opts ...Option) (*Server, error) {
	o := options{pageSize: 1}
	for _, opt := range opts {
		opt(&o)
	}
	if o.pageSize < 1 {
		return nil, fmt.Errorf("page size %d; at least 1 is needed", o.pageSize)
	}
	state.defaults()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	s := &Server{URL: "http://" + l.Addr().String(), options: o, state: state, counts: map[string]int{}, buckets: map[string]*bucket{}}
	s.http = &http.Server{Handler: s, ReadHeaderTimeout: 30 * time.Second}
	go func() { _ = s.http.Serve(l) }()
	return s, nil
}

// Close stops the server, open requests included.
func (s *Server) Close() error { return s.http.Close() }

// Update changes what the account holds, between two requests.
func (s *Server) Update(change func(*State)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.change(change)
}

// change is Update with mu held.
func (s *Server) change(change func(*State)) {
	// What pages that are being read point at must stay as it is.
	s.state.Keys = slices.Clone(s.state.Keys)
	change(&s.state)
	s.byID, s.lists = nil, nil
}

// key finds a key. Call it with mu held, as the next two.
func (s *Server) key(id string) *Key {
	if s.byID == nil {
		s.byID = make(map[string]*Key, len(s.state.Keys))
		for i := range s.state.Keys {
			s.byID[s.state.Keys[i].ID] = &s.state.Keys[i]
		}
	}
	return s.byID[id]
}

// keys are the keys that are kept, in the order in which the server answers.
func (s *Server) keys(keep func(*Key) bool) []*Key {
	var out []*Key
	for i := range s.state.Keys {
		if keep(&s.state.Keys[i]) {
			out = append(out, &s.state.Keys[i])
		}
	}
	return order(s, out)
}

// cached makes a list once for all its pages.
func (s *Server) cached(name string, list func() []*Key) []*Key {
	if found, ok := s.lists[name]; ok {
		return found
	}
	if s.lists == nil {
		s.lists = map[string][]*Key{}
	}
	s.lists[name] = list()
	return s.lists[name]
}

// Fail adds a fault. It counts requests from now on.
func (s *Server) Fail(f Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = append(s.faults, &f)
}

// Heal removes all faults.
func (s *Server) Heal() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = nil
}

// Calls returns every request so far, in the order of arrival.
func (s *Server) Calls() []Call {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.calls)
}

// Count returns how many requests there were for the operation,
// "kms:ListKeys".
func (s *Server) Count(name string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.counts[name]
}

// WriteCalls returns every request that is not known to only read, to whatever
// service: a run that must not deploy leaves none.
func (s *Server) WriteCalls() []Call {
	return slices.DeleteFunc(s.Calls(), func(c Call) bool { return !c.Write() })
}

// Env is the environment, as os/exec takes it, that makes any AWS SDK and the
// CDK CLI use this server and nothing else: set it over the one that is there.
func (s *Server) Env() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return []string{
		"AWS_ENDPOINT_URL=" + s.URL,
		"AWS_ACCESS_KEY_ID=AKIDEXAMPLE",
		"AWS_SECRET_ACCESS_KEY=" + SecretKey,
		"AWS_SESSION_TOKEN=" + SessionToken,
		"AWS_REGION=" + s.state.Region,
		"AWS_DEFAULT_REGION=" + s.state.Region,
		"AWS_EC2_METADATA_DISABLED=true",
		"AWS_CONFIG_FILE=" + os.DevNull,
		"AWS_SHARED_CREDENTIALS_FILE=" + os.DevNull,
		"AWS_PROFILE=",
		"CDK_DISABLE_CLI_TELEMETRY=true",
		"NO_PROXY=127.0.0.1,localhost",
		"no_proxy=127.0.0.1,localhost",
	}
}

// The fake secrets of [Server.Env], to look for where none may be.
const (
	SecretKey    = "fakeaws-secret-key-that-nobody-may-print"
	SessionToken = "fakeaws-session-token-that-nobody-may-print"
)

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	req, err := parse(r)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	fault := s.record(req.Call)
	if s.options.latency > 0 {
		select {
		case <-r.Context().Done():
			return
		case <-time.After(s.options.latency):
		}
	}
	switch fault.Kind {
	case Reset:
		hangUp(w, true)
		return
	case Slow:
		select {
		case <-r.Context().Done():
			return
		case <-time.After(fault.Delay):
		}
	case Empty:
		return
	case HTML:
		w.Header().Set("Content-Type", "text/html")
		fmt.Fprintln(w, "<html><body>Please sign in to the network.</body></html>")
		return
	case Unavailable:
		w.WriteHeader(http.StatusServiceUnavailable)
		fmt.Fprintln(w, "<html><body>503 Service Unavailable</body></html>")
		return
	}
	a := s.answer(req, fault)
	body := a.encode(req)
	h := w.Header()
	h.Set("Content-Type", a.contentType(req))
	h.Set("X-Amzn-Requestid", fmt.Sprintf("00000000-0000-4000-8000-%012d", req.Call.N))
	if req.protocol == rpcCBOR {
		h.Set("Smithy-Protocol", "rpc-v2-cbor")
	}
	h.Set("Content-Length", fmt.Sprint(len(body)))
	w.WriteHeader(a.statusCode())
	switch fault.Kind {
	case Cut, CutReset:
		_, _ = w.Write(body[:len(body)/2])
		_ = http.NewResponseController(w).Flush()
		hangUp(w, fault.Kind == CutReset)
	case Dribble:
		dribble(w, r, body, fault.Delay)
	default:
		_, _ = w.Write(body)
	}
}

// dribble writes the body piece by piece.
func dribble(w http.ResponseWriter, r *http.Request, body []byte, pause time.Duration) {
	piece := len(body)/10 + 1
	for len(body) > 0 {
		n := min(piece, len(body))
		_, _ = w.Write(body[:n])
		_ = http.NewResponseController(w).Flush()
		body = body[n:]
		select {
		case <-r.Context().Done():
			return
		case <-time.After(pause):
		}
	}
}

// hangUp closes the connection, with a TCP reset or as if all were said.
func hangUp(w http.ResponseWriter, reset bool) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	if tcp, ok := conn.(*net.TCPConn); ok && reset {
		_ = tcp.SetLinger(0)
	}
	_ = conn.Close()
}

// record notes the call and finds the fault for it, the zero Fault if none.
func (s *Server) record(c *Call) Fault {
	s.mu.Lock()
	defer s.mu.Unlock()
	c.N = len(s.calls) + 1
	s.calls = append(s.calls, *c)
	s.counts[c.Name()]++
	var found Fault
	for _, f := range s.faults {
		if f.hit(*c) && found.Kind == 0 {
			found = *f
		}
	}
	if found.Change != nil {
		s.change(found.Change)
	}
	if found.Kind == 0 && s.overQuota(c.Name()) {
		found.Kind = Throttle
	}
	return found
}

// answer finds the service's answer, or that of the fault in its place.
func (s *Server) answer(req *request, fault Fault) answer {
	if a, ok := faultAnswer(req, fault); ok {
		return a
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch req.Service {
	case "kms":
		return s.kms(req, fault)
	case "cloudwatch":
		return s.cloudwatch(req, fault)
	case "cloudformation":
		return s.cloudformation(req, fault)
	case "sts":
		return s.sts(req)
	case "tag":
		return s.tagging(req, fault)
	case "logs":
		return s.logs(req, fault)
	case "ce":
		return s.costExplorer(req, fault)
	case "support":
		return s.support(req, fault)
	case "cloudtrail":
		return s.cloudtrail(req)
	}
	return s.others(req)
}

// order puts items into the order that this server answers in, which is the same
// for each page of a list.
func order[T any](s *Server, items []T) []T {
	items = slices.Clone(items)
	if s.options.shuffle {
		r := rand.New(rand.NewPCG(s.options.seed, uint64(len(items))))
		r.Shuffle(len(items), func(i, j int) { items[i], items[j] = items[j], items[i] })
	}
	return items
}

// Call is one request.
type Call struct {
	// N is its place in the order of arrival, from 1.
	N int
	// Service as IAM spells it: kms, sts, cloudwatch, cloudformation, logs, ce, support, s3, ssm.
	Service string
	// Operation is the API's name; for S3, the method and the path.
	Operation string
	// Key is the KeyId of a KMS request, the StackName of one to CloudFormation.
	Key string
	// Marker is the Marker or NextToken of the request.
	Marker string
	// Limit is the Limit or MaxRecords of the request.
	Limit int
	// Client is where it came from: those of one connection come from the same.
	Client string
	// Region and AccessKey are what the request is signed for and with.
	Region, AccessKey string
}

// Name is service and operation as IAM spells them, "kms:ListKeys".
func (c Call) Name() string {
	return c.Service + ":" + c.Operation
}

// Write says whether the call is not one that is known to only read.
func (c Call) Write() bool {
	for _, prefix := range []string{"Describe", "Get", "List", "Validate", "Detect", "AssumeRole", "Filter", "GET ", "HEAD "} {
		if strings.HasPrefix(c.Operation, prefix) {
			return false
		}
	}
	return true
}
