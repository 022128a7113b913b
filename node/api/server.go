// Package api is the port at which a node serves clients in two dialects, with health and
// metrics. What every request goes through is package dispatch's.
//
// The AWS Query protocol of IAM and STS is served at /, /iam and /sts (aws.go); the native
// API, JSON over HTTP, under /v1 (package native). Both are signed with SigV4. People sign in
// by password at /signin, where passkeys get their challenges. Only that, /livez, /readyz, /metrics and /openapi.json are open.
package api

import (
	"context"
	"log/slog"
	"net/http"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/writ-iam/writ/log/event"
	"github.com/writ-iam/writ/log/identity"
	"github.com/writ-iam/writ/node/admission"
	"github.com/writ-iam/writ/node/api/iam"
	"github.com/writ-iam/writ/node/api/native"
	"github.com/writ-iam/writ/node/api/shape"
	"github.com/writ-iam/writ/node/api/sts"
	"github.com/writ-iam/writ/node/bridge"
	"github.com/writ-iam/writ/node/decision"
	"github.com/writ-iam/writ/node/dispatch"
	"github.com/writ-iam/writ/node/fault"
	"github.com/writ-iam/writ/node/federation/oidc"
	"github.com/writ-iam/writ/node/freshness"
	"github.com/writ-iam/writ/node/issuer"
	"github.com/writ-iam/writ/node/mfa"
	"github.com/writ-iam/writ/node/mfa/passkey"
	"github.com/writ-iam/writ/node/password"
	"github.com/writ-iam/writ/node/seal"
	"github.com/writ-iam/writ/node/signin"
	"github.com/writ-iam/writ/node/sigv4"
	"github.com/writ-iam/writ/node/thumbprint"
	"github.com/writ-iam/writ/node/trace"
	"github.com/writ-iam/writ/node/usage"
	"github.com/writ-iam/writ/projection"
)

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
	WithoutLease freshness.WithoutLease
	// Limits bound what callers take; the zero value is the defaults.
	Limits admission.Limits
	// PresignedWrites is how long after it was signed a presigned write is taken;
	// 0 means dispatch.DefaultPresignedWrites.
	PresignedWrites time.Duration
	// SignInPace is at what multiples of a time after they came sign-ins are refused; 0 means
	// signin.Pace.
	SignInPace time.Duration
	// Uses notes which credentials are used; nil notes nothing.
	Uses *usage.Book
	// Thumbprints finds those of OpenID Connect providers; nil finds none.
	Thumbprints *thumbprint.Fetcher
	// Identities finds the keys of OpenID Connect providers; nil finds those on the public
	// internet.
	Identities *oidc.Verifier
	// Passkeys say what passkeys are bound to; the zero value has none.
	Passkeys passkey.Settings
	// Issuer is the URL below which the issuers of web identity tokens are; empty for the
	// node's own.
	Issuer string
	// Tracer tells where the time of requests goes; nil tells nobody.
	Tracer *trace.Tracer
}

// maxDocuments is how many requests may read certificates, keys, metadata or reports, or
// wait for a shift to do so, and maxDocumentsOne those of one caller: an eighth, as of those
// that wait for shifts. A place is held for admission.DefaultWait and one piece of work at
// most. Shares are of callers, not of accounts: most clusters have one account.
const (
	maxDocuments    = 32
	maxDocumentsOne = maxDocuments / 8
)

// Server is the edge of one node.
type Server struct {
	cfg        Config
	desk       *admission.Desk
	engine     *decision.Engine
	views      *freshness.Views
	dispatcher *dispatch.Dispatcher
	native     *native.API
	passwords  *password.Hasher
	documents  *admission.Workshop // where certificates, keys, metadata and reports are read
	identities *admission.Workshop // where web identity tokens are verified
	codes      *mfa.Tries
	signer     *issuer.Signer
	door       *signin.Door
	actions    map[string]*iam.Action // by version and name
	mux        router
}

// New returns the edge for a node.
func New(cfg Config) *Server {
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	s := &Server{cfg: cfg, passwords: password.NewHasher(password.Cost{}), codes: mfa.NewTries(), signer: issuer.NewSigner(cfg.Seal), actions: make(map[string]*iam.Action)}
	s.documents = admission.NewWorkshop("documents", maxDocuments, maxDocumentsOne, maxDocuments)
	s.identities = admission.NewWorkshop("identities", maxIdentities, maxIdentitiesOne, identitiesAtOnce)
	if cfg.Identities == nil {
		s.cfg.Identities = oidc.New(oidc.Reach{}, cfg.Now, cfg.Logger)
	}
	node := &cfg.Node
	s.desk = admission.New(admission.Config{
		Projection: cfg.Projection, Seal: cfg.Seal, Keyholder: node.Keyholder, Now: cfg.Now, Limits: cfg.Limits, Meter: cfg.Metrics,
	})
	s.views = freshness.New(freshness.Config{
		Desk: s.desk, Projection: cfg.Projection, Heads: node.Heads, Lease: node.Lease, Log: node.Log, Now: cfg.Now, WithoutLease: cfg.WithoutLease,
	})
	s.engine = decision.New(decision.Config{
		Name: node.Name, Desk: s.desk, Views: s.views, Projection: cfg.Projection, Lease: node.Lease, Now: cfg.Now, Meter: cfg.Metrics,
	})
	sessions := new(usage.Sessions)
	party, err := passkey.New(cfg.Passkeys, cfg.Seal)
	if err != nil { // who made the settings has not looked at them
		cfg.Logger.Error("there are no passkeys", "error", err)
	}
	s.dispatcher = dispatch.New(dispatch.Config{
		Desk: s.desk, Views: s.views, Projection: cfg.Projection, Log: node.Log, Leader: node.Leader, Now: cfg.Now, Logger: cfg.Logger,
		Meter: cfg.Metrics, PresignedWrites: cfg.PresignedWrites, Uses: cfg.Uses, Sessions: sessions, Tracer: cfg.Tracer,
	})
	s.native = native.New(native.Config{
		Name: node.Name, Account: cfg.Account, Votes: node.Log != nil, Dispatcher: s.dispatcher, Desk: s.desk, Views: s.views, Engine: s.engine,
		Projection: cfg.Projection, Tracker: node.Tracker, Notary: node.Notary, Voters: node.Voters, Sealing: node.Sealing, Chain: node.Chain, Backups: node.Backups, History: node.History, Past: node.Past, Cluster: node.Condition,
		Sessions:     sessions,
		WithoutLease: cfg.WithoutLease, Now: cfg.Now, Meter: cfg.Metrics, Seal: cfg.Seal, Passwords: s.passwords, Passkeys: party, Issuer: issuerKeys{s.signer},
	})
	for _, list := range [][]iam.Action{iam.Actions(), sts.Actions()} {
		for i := range list {
			s.actions[list[i].Service+":"+list[i].Name] = &list[i]
		}
	}
	cfg.Metrics.remembered(s.desk)
	cfg.Metrics.places(s.desk)
	strangers := password.NewStrangersHasher(password.Cost{})
	s.door = signin.New(signin.Config{Seal: cfg.Seal, Known: s.passwords, Strangers: strangers, Codes: s.codes, Passkeys: party})
	cfg.Metrics.hashed(s.passwords, strangers)
	s.routes()
	return s
}

// queryPaths are the paths of the Query protocol.
var queryPaths = [...]string{"/", "/iam", "/iam/", "/sts", "/sts/"}

func (s *Server) routes() {
	for _, path := range queryPaths {
		if strings.HasSuffix(path, "/") {
			path += "{$}" // and nothing below it
		}
		s.mux.HandleFunc(path, s.query)
	}
	s.native.Routes(&s.mux)
	s.mux.HandleFunc("GET "+issuer.Below+"{issuer}"+issuer.PathConfiguration, s.issuerConfiguration)
	s.mux.HandleFunc("GET "+issuer.Below+"{issuer}"+issuer.PathKeys, s.issuerKeys)
	s.mux.HandleFunc("POST /signin", s.signIn)
	s.mux.HandleFunc("POST /signin/challenge", s.signInChallenge)
	s.mux.HandleFunc("GET /livez", s.livez)
	s.mux.HandleFunc("GET /readyz", s.readyz)
	s.mux.Handle("GET /metrics", s.cfg.Metrics.handler())
	s.mux.HandleFunc("/", s.nowhere)
}

// nowhere answers what is for no dialect.
func (s *Server) nowhere(w http.ResponseWriter, r *http.Request) {
	fault.WriteProblem(w, admission.NewRequest(r, s.cfg.Now()).ID, fault.New(fault.NotFound, "There is no "+r.Method+" "+r.URL.Path+".", ""))
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
	admission.StripForwarded(r)
	trace.Strip(r)
	s.serve(w, r)
}

// serve gives a request to its dialect. A mux would redirect a path like "//" or "/./",
// with which no signed request can do anything; AWS takes it as what it is without the
// needless parts.
func (s *Server) serve(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodConnect { // names no path, but where to; a mux answers it in plain text
		s.nowhere(w, r)
		return
	}
	if clean := cleanPath(r.URL.Path); clean != r.URL.Path {
		if slices.Contains(queryPaths[:], clean) {
			s.query(w, r)
		} else {
			s.nowhere(w, r)
		}
		return
	}
	s.mux.ServeHTTP(w, r)
}

// cleanPath is a path without empty parts, "." and "..", as a mux cleans it.
func cleanPath(p string) string {
	clean := path.Clean("/" + p)
	if clean != "/" && strings.HasSuffix(p, "/") {
		clean += "/"
	}
	return clean
}

// ServeForwarded answers a request that another node handed on, over a
// connection on which that node, via, has proved who it is and that it belongs to
// the cluster. What it says of the caller is taken on its word, and recorded as such.
func (s *Server) ServeForwarded(w http.ResponseWriter, r *http.Request, via string) {
	if id, err := admission.AcceptForwarded(r, via); err != nil {
		fault.WriteProblem(w, id, fault.Of(err))
		return
	}
	s.serve(w, r)
}

// EndStreams ends all streams of events, and lets none begin that would go on.
func (s *Server) EndStreams() { s.native.EndStreams() }

// Evaluate answers a question of the leader; see decision.Engine.Evaluate.
func (s *Server) Evaluate(ctx context.Context, at event.Position, body []byte) (shape.Evaluated, error) {
	return s.engine.Evaluate(ctx, at, body)
}

// Bridge is what the node's doors ask.
func (s *Server) Bridge() *bridge.Node {
	return &bridge.Node{Name: s.cfg.Node.Name, Dispatcher: s.dispatcher, Engine: s.engine, Identities: s.cfg.Identities}
}

// Confirms answers another node about a signature; see admission.Desk.Confirms.
func (s *Server) Confirms(c *sigv4.Claim) (admission.Confirmed, error) { return s.desk.Confirms(c) }
