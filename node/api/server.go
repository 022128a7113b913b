// Package api is the edge: it verifies who calls, decodes what is asked,
// authorizes it with Writ's own engine, and answers from one view, naming the
// position. Writes become commands; a node that does not lead hands requests
// that need the leader on unchanged.
//
// Two dialects share the port. The AWS Query protocol of IAM and STS is served
// at /, /iam and /sts; the native API, JSON over HTTP, under /v1. Both are signed
// with SigV4. Only /livez, /readyz, /metrics and /openapi.json are open.
package api

import (
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"log/slog"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/writ-iam/writ/log/identity"
	"github.com/writ-iam/writ/node/api/iam"
	"github.com/writ-iam/writ/node/api/query"
	"github.com/writ-iam/writ/node/api/sts"
	"github.com/writ-iam/writ/node/fault"
	"github.com/writ-iam/writ/node/seal"
	"github.com/writ-iam/writ/node/sigv4"
	"github.com/writ-iam/writ/projection"
	"github.com/writ-iam/writ/projection/policy/catalogue"
)

// Limits of one request.
const (
	// MaxBody is the largest body that is read, in bytes.
	MaxBody = query.MaxBody
	// MaxWait is the longest that a caller may make a request wait for a position.
	MaxWait = 10 * time.Minute
	// DefaultWait is how long a request waits for a position when the caller does
	// not say.
	DefaultWait = 5 * time.Second
	// DefaultPresignedWrites is how long a presigned write is taken, unless a setting
	// says otherwise, and MaxPresignedWrites the longest that one may say. Its signature
	// is remembered for as long.
	DefaultPresignedWrites = 15 * time.Minute
	MaxPresignedWrites     = sigv4.MaxExpires
	// signingKeys is how many derived signing keys are remembered.
	signingKeys = 1 << 16
	// maxAuthorizations is how often a write is authorized, when permissions or what it
	// is about change each time before its decision.
	maxAuthorizations = 5
	// maxAuthorizationAge is how long after it came a write is put into the log at most:
	// it is authorized by its own time (aws:CurrentTime), however often that is tried.
	maxAuthorizationAge = 15 * time.Second
)

// Headers of the native API, on requests and answers of both dialects.
const (
	HeaderPosition     = "X-Writ-Position"
	HeaderToken        = "X-Writ-Token"
	HeaderFreshness    = "X-Writ-Freshness"
	HeaderAtLeast      = "X-Writ-At-Least"
	HeaderMaxStaleness = "X-Writ-Max-Staleness"
	HeaderConsistency  = "X-Writ-Consistency"
	headerRequestID    = "X-Amzn-Requestid"
	headerInvocation   = "Amz-Sdk-Invocation-Id"
	headerLastEvent    = "Last-Event-Id" // in the canonical form of net/http
)

// Errors with which the node around the edge answers Propose.
var (
	// ErrNotLeader is returned when another node leads, or none.
	ErrNotLeader = errors.New("this node does not lead")
	// ErrOutcomeUnknown is returned when a command may or may not take effect:
	// asking again with the same idempotency key finds out.
	ErrOutcomeUnknown = errors.New("the outcome is unknown")
	// ErrOverloaded is returned when the node takes no writes for now, say for
	// want of disk space.
	ErrOverloaded = errors.New("the node takes no writes now")
	// ErrTooLarge is returned when a command is larger than the log takes.
	ErrTooLarge = errors.New("the change is too large")
)

// Forwarded is a request on its way to the leader.
type Forwarded struct {
	Body      []byte
	RequestID string
	Attempt   string // idempotency key material; kept over retries
	Source    string // address of the caller
	Secure    bool   // the caller came over TLS
	// Hold is how long the leader may hold its answer back, as the caller asked.
	Hold time.Duration
	// came is when this node had all of it: it may look for the leader since.
	came time.Time
}

// Config is what a Server is made of. All fields are required but Logger and Seal.
type Config struct {
	Node Node
	// Account is the cluster's own: the first one.
	Account    identity.AccountID
	Projection *projection.Projection
	// Seal opens secrets. A node that does not lead may have none: it then has the
	// leader verify signatures, see Node.Keyholder.
	Seal    *seal.Key
	Now     func() time.Time
	Logger  *slog.Logger
	Metrics *Metrics
	// WithoutLease is what the node admits while nothing proves that it is current.
	WithoutLease WithoutLease
	// Limits bound what callers take; the zero value is the defaults.
	Limits Limits
	// PresignedWrites is how long after it was signed a presigned write is taken;
	// 0 means DefaultPresignedWrites.
	PresignedWrites time.Duration
}

// Server is the edge of one node.
type Server struct {
	cfg     Config
	keys    *sigv4.KeyCache
	actions map[string]*iam.Action // by version and name
	known   *catalogue.Names
	writes  *lastWrites
	turns   *turns
	shifts  *shifts
	places  *places
	proofs  proofs
	ending  chan struct{} // closed when streams of events are to end
	endOnce sync.Once
	shared  sharedHead
	mux     router
}

// New returns the edge for a node.
func New(cfg Config) *Server {
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	s := &Server{
		cfg:     cfg,
		keys:    sigv4.NewKeyCache(signingKeys),
		actions: make(map[string]*iam.Action),
		known:   catalogue.BuiltinNames(),
		writes:  newLastWrites(),
		turns:   newTurns(),
		shifts:  newShifts(),
		places:  newPlaces(cfg.Limits, cfg.Node.Heads),
		ending:  make(chan struct{}),
		shared:  sharedHead{turn: make(chan struct{}, 1)},
	}
	for _, list := range [][]iam.Action{iam.Actions(), sts.Actions()} {
		for i := range list {
			s.actions[list[i].Service+":"+list[i].Name] = &list[i]
		}
	}
	cfg.Metrics.remembered(s.keys)
	s.routes()
	return s
}

func (s *Server) routes() {
	for _, path := range []string{"/{$}", "/iam", "/iam/{$}", "/sts", "/sts/{$}"} {
		s.mux.HandleFunc(path, s.query)
	}
	s.mux.HandleFunc("POST /v1/authorize", s.native(actionAuthorize, s.authorize))
	s.mux.HandleFunc("POST /v1/authorize/batch", s.native(actionAuthorize, s.authorizeBatch))
	s.mux.HandleFunc("GET /v1/propagation", s.native(actionGetPropagation, s.propagation))
	s.mux.HandleFunc("GET /v1/propagation/{token}", s.native(actionGetPropagation, s.propagation))
	s.mux.HandleFunc("POST /v1/propagation/effect", s.native(actionGetPropagation, s.effect))
	s.mux.HandleFunc("GET /v1/cluster", s.native(actionGetCluster, s.cluster))
	s.mux.HandleFunc("GET /v1/events", s.native(actionWatch, s.events))
	s.mux.HandleFunc("POST /v1/replicas/{name}/drain", s.native(actionDrainReplica, s.roster(actionDrainReplica,
		func(name string) identity.Command { return &identity.DrainReplica{Name: name} })))
	s.mux.HandleFunc("POST /v1/replicas/{name}/resume", s.native(actionResumeReplica, s.roster(actionResumeReplica,
		func(name string) identity.Command { return &identity.ResumeReplica{Name: name} })))
	s.mux.HandleFunc("POST /v1/replicas/{name}/admit", s.native(actionAdmitReplica, s.roster(actionAdmitReplica,
		func(name string) identity.Command { return &identity.AdmitReplica{Name: name} })))
	s.mux.HandleFunc("DELETE /v1/replicas/{name}", s.native(actionRemoveReplica, s.removeReplica))
	s.mux.HandleFunc("POST /v1/verify", s.native(actionVerify, s.verification))
	s.mux.HandleFunc("GET /v1/head", s.native(actionGetHead, s.head))
	s.mux.HandleFunc("GET /v1/chain", s.native(actionGetChain, s.chain))
	s.mux.HandleFunc("GET /livez", s.livez)
	s.mux.HandleFunc("GET /readyz", s.readyz)
	s.mux.Handle("GET /metrics", s.cfg.Metrics.handler())
	s.mux.HandleFunc("GET /openapi.json", OpenAPI)
	s.mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		fault.WriteProblem(w, newRequest(r, s.cfg.Now()).id, fault.New(fault.NotFound, "There is no "+r.Method+" "+r.URL.Path+".", ""))
	})
}

// router is a mux that knows its routes.
type router struct {
	http.ServeMux
	patterns []string // in order
}

// Handle adds a route.
func (r *router) Handle(pattern string, h http.Handler) {
	r.patterns = append(r.patterns, pattern)
	r.ServeMux.Handle(pattern, h)
}

// HandleFunc adds a route.
func (r *router) HandleFunc(pattern string, h func(http.ResponseWriter, *http.Request)) {
	r.Handle(pattern, http.HandlerFunc(h))
}

// Patterns are those of all routes, as of http.ServeMux: what must hold for each of
// them is looked at for each.
func (s *Server) Patterns() []string { return slices.Clone(s.mux.patterns) }

// ServeHTTP answers a client. What only a peer may say about a request is
// dropped from it.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	for _, name := range [...]string{headerForwardedID, headerForwardedAttempt, headerForwardedSource, headerForwardedSecure, headerForwardedHeld, headerForwardedVia} {
		delete(r.Header, name)
	}
	s.mux.ServeHTTP(w, r)
}

// Headers by which a node tells the leader about a request that it forwards.
const (
	headerForwardedID      = "X-Writ-Forwarded-Id"
	headerForwardedAttempt = "X-Writ-Forwarded-Attempt"
	headerForwardedSource  = "X-Writ-Forwarded-Source"
	headerForwardedSecure  = "X-Writ-Forwarded-Secure"
	headerForwardedHeld    = "X-Writ-Forwarded-Held" // milliseconds, until it was sent to the leader
	headerForwardedVia     = "X-Writ-Forwarded-Via"  // set by the leader, never by a peer
)

// SetHeaders puts on r what the leader is to know about a forwarded request.
func (f *Forwarded) SetHeaders(r *http.Request) {
	r.Header.Set(headerForwardedID, f.RequestID)
	r.Header.Set(headerForwardedAttempt, f.Attempt)
	r.Header.Set(headerForwardedSource, f.Source)
	r.Header.Set(headerForwardedSecure, strconv.FormatBool(f.Secure))
	if !f.came.IsZero() {
		r.Header.Set(headerForwardedHeld, strconv.FormatInt(time.Since(f.came).Milliseconds(), 10))
	}
}

// maxForwardedHeld is how long before it reached the leader a request may have come to
// the node that handed it on, at most: as long as that looks for the leader.
const maxForwardedHeld = 15 * time.Second

// IsForwarded tells whether a peer has marked r as a client's request. Only
// connections between nodes may be asked.
func IsForwarded(r *http.Request) bool { return r.Header.Get(headerForwardedID) != "" }

// ServeForwarded answers a request that another node handed on, over a
// connection on which that node, via, has proved who it is and that it belongs to
// the cluster. What it says of the caller is taken on its word, and recorded as such.
func (s *Server) ServeForwarded(w http.ResponseWriter, r *http.Request, via string) {
	r.Header.Set(headerForwardedVia, via)
	if source := r.Header.Get(headerForwardedSource); source != "" {
		if addr, err := netip.ParseAddr(source); err != nil || addr != addr.Unmap().WithZone("") {
			fault.WriteProblem(w, r.Header.Get(headerForwardedID), fault.BadRequest("Upgrade the node "+via+".", "The address of the caller is none."))
			return
		}
	}
	s.mux.ServeHTTP(w, r)
}

// request is what is known about a request before it is verified.
type request struct {
	*http.Request
	id        string
	attempt   string
	key       identity.Key       // of a write; see identify
	signature identity.Signature // of a write
	source    string             // address of the caller
	secure    bool               // the caller came over TLS
	forwarded bool
	via       string        // the node that handed it on
	began     time.Time     // to come
	now       time.Time     // when all of it was here
	sought    time.Duration // before, at the node that handed it on: it came to the cluster so much earlier
	body      []byte
	bodyHash  [sha256.Size]byte
	verified  []byte      // the sealed secret that its signature was found to be by
	owner     identity.ID // whose that secret is
	held      heldBody
}

func newRequest(r *http.Request, now time.Time) request {
	q := request{Request: r, began: now, now: now}
	q.id = r.Header.Get(headerForwardedID)
	if q.id != "" {
		q.forwarded = true
		q.attempt = r.Header.Get(headerForwardedAttempt)
		q.source = r.Header.Get(headerForwardedSource)
		q.secure = r.Header.Get(headerForwardedSecure) == "true"
		q.via = r.Header.Get(headerForwardedVia)
		if ms, err := strconv.Atoi(r.Header.Get(headerForwardedHeld)); err == nil && ms > 0 {
			q.sought = min(time.Duration(ms)*time.Millisecond, maxForwardedHeld)
		}
		return q
	}
	q.id = newRequestID()
	if q.attempt = r.Header.Get(headerInvocation); q.attempt == "" {
		q.attempt = q.id
	}
	q.secure = r.TLS != nil
	if addr, err := netip.ParseAddrPort(r.RemoteAddr); err == nil {
		q.source = addr.Addr().Unmap().WithZone("").String()
	}
	return q
}

// newRequestID returns a random uuid (version 4).
func newRequestID() string {
	var b identity.Key // for its form
	rand.Read(b[:])    // never fails
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return b.String()
}

func (q *request) forward() Forwarded {
	return Forwarded{Body: q.body, RequestID: q.id, Attempt: q.attempt, Source: q.source, Secure: q.secure, came: time.Now()}
}
