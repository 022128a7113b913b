package dispatch

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/writ-iam/writ/log/event"
	"github.com/writ-iam/writ/log/identity"
	"github.com/writ-iam/writ/node/admission"
	"github.com/writ-iam/writ/node/api/shape"
	"github.com/writ-iam/writ/node/fault"
	"github.com/writ-iam/writ/node/freshness"
	"github.com/writ-iam/writ/node/session"
	"github.com/writ-iam/writ/node/sigv4"
	"github.com/writ-iam/writ/node/trace"
	"github.com/writ-iam/writ/node/usage"
	"github.com/writ-iam/writ/projection"
)

// Errors with which the node around the dispatcher answers.
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

// Limits of presigned writes.
const (
	// DefaultPresignedWrites is how long a presigned write is taken, unless a setting
	// says otherwise, and MaxPresignedWrites the longest that one may say. Its signature
	// is remembered for as long.
	DefaultPresignedWrites = 15 * time.Minute
	MaxPresignedWrites     = sigv4.MaxExpires
)

// Log takes commands.
type Log interface {
	// Leads tells whether Propose is likely to be accepted here.
	Leads() bool
	// Propose commits a command and returns its batch: that of the first time,
	// when the command's key took effect before. Errors are *identity.Refusal,
	// ErrNotLeader, ErrOutcomeUnknown, ErrOverloaded, ErrTooLarge or the context's.
	Propose(context.Context, event.Command) (*event.Batch, error)
}

// Leader is the way to the node that leads.
type Leader interface {
	// Forward hands a request to the leader and copies the answer. It retries
	// while no leader is known, within a bound, and returns an error only if it
	// has not written anything.
	Forward(http.ResponseWriter, *http.Request, admission.Forwarded) error
}

// Meter counts what was answered.
type Meter interface {
	// Observe records one answered request. action is one of our own names.
	Observe(action string, status int, verified bool, took time.Duration)
	// Faulted counts a request that was not carried out, by why.
	Faulted(fault.Code)
}

// Config is what a Dispatcher is made of. All fields are required but Log, Logger,
// PresignedWrites, Uses, Sessions and Tracer.
type Config struct {
	Desk       *admission.Desk
	Views      *freshness.Views
	Projection *projection.Projection
	// Log is the one in which the node votes. A replica votes in none: it is nil.
	Log Log
	// Leader takes what this node cannot do itself.
	Leader Leader
	Now    func() time.Time
	Logger *slog.Logger
	Meter  Meter
	// PresignedWrites is how long after it was signed a presigned write is taken;
	// 0 means DefaultPresignedWrites.
	PresignedWrites time.Duration
	// Uses notes which credentials are used, and for what; nil notes nothing.
	Uses *usage.Book
	// Sessions notes which sessions call; nil notes nothing.
	Sessions *usage.Sessions
	// Tracer tells where the time of requests goes; nil tells nobody.
	Tracer *trace.Tracer
}

// Dispatcher carries requests through a node. Safe for concurrent use.
type Dispatcher struct {
	cfg   Config
	turns *turns
}

// New returns a dispatcher.
func New(cfg Config) *Dispatcher {
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	return &Dispatcher{cfg: cfg, turns: newTurns()}
}

// Leads tells whether a command is likely to be taken here.
func (d *Dispatcher) Leads() bool { return d.cfg.Log != nil && d.cfg.Log.Leads() }

// Surface is one request in its own dialect.
type Surface interface {
	// Read reads what the request says, beyond its signature, before anybody is asked about
	// it. It returns the service that the signature must be for; empty for what nobody signs,
	// whoever sends it: the caller is a stranger.
	Read() (service string, err error)
	// Serve answers the request, or says, having written nothing, why it cannot.
	Serve() error
	// Refuse answers with a fault.
	Refuse(*fault.Fault)
}

// Serve carries a request through: x is what is known of it, and s what it is in its
// dialect, which has x.
func (d *Dispatcher) Serve(w http.ResponseWriter, r *http.Request, x *Exchange, s Surface) {
	x.dispatcher = d
	r, x.span = d.cfg.Tracer.Begin(r, admission.IsForwarded(r))
	x.Request = admission.NewRequest(r, d.cfg.Now())
	x.Pass.Desk, x.Pass.Request = d.cfg.Desk, &x.Request
	x.W.ResponseWriter = w
	defer d.cfg.Desk.Release(&x.Request)
	defer x.Job.End()
	err := x.read(s)
	if err == nil {
		err = s.Serve()
	}
	if err != nil && x.W.status == 0 {
		why := fault.Of(err)
		d.cfg.Meter.Faulted(why.Code())
		s.Refuse(why)
	}
	took := d.cfg.Now().Sub(x.Began)
	d.cfg.Meter.Observe(x.Action, x.W.status, x.Authenticated(), took)
	d.note(x)
	d.log(x, took, err)
	d.traced(x, err)
}

// traced ends the span of a request.
func (d *Dispatcher) traced(x *Exchange, err error) {
	if x.span == nil {
		return
	}
	h := x.W.Header()
	at, _ := strconv.ParseUint(h.Get(shape.HeaderPosition), 10, 64) // or there is none
	a := trace.Answer{Request: x.ID, Action: x.Action, Status: x.W.status, Position: at, Freshness: h.Get(shape.HeaderFreshness), Via: x.Via}
	if err != nil {
		a.Code = fault.Of(err).Native().Code
	}
	x.span.Answered(a)
}

// kinds are what the kinds of sessions are called.
var kinds = map[session.Kind]string{
	session.Role: shape.KindRoleSession, session.User: shape.KindUserSession, session.Root: shape.KindRootSession, session.FederatedUser: shape.KindFederatedUser,
	session.TaskRoot: shape.KindTaskRoot, session.Delegated: shape.KindDelegated,
	session.SignedInUser: shape.KindUserSession, session.SignedInRoot: shape.KindRootSession,
}

// note notes the use of a credential that was verified here, whatever came of the request:
// what is handed on the leader notes.
func (d *Dispatcher) note(x *Exchange) {
	if x.Caller.AccessKey == "" || !x.Authenticated() {
		return
	}
	action := x.Action
	if action == "unknown" {
		action = ""
	}
	x.Used(&x.Caller, x.Sig.Scope, action)
}

// Used notes that a credential was used for an action of a service, which may be empty: the
// caller's own, or one that signed what a service received and handed on.
func (x *Exchange) Used(by *admission.Caller, scope sigv4.Scope, action string) {
	cfg := &x.dispatcher.cfg
	used := by.AccessKey
	if by.Claims != nil { // of a role; a session has no record of its own
		used = string(by.ID)
		cfg.Sessions.Note(&usage.Session{Account: by.Account, Principal: by.ID, AccessKey: by.AccessKey, Kind: KindOf(by),
			ARN: by.ARN, Name: by.Claims.Name, On: by.Session, Last: x.Now})
	}
	cfg.Uses.Note(used, scope.Service, action, scope.Region, identity.Time(x.Now.UnixMilli()))
}

// KindOf is what the kind of a caller's session is called; empty for an access key.
func KindOf(by *admission.Caller) string {
	if by.Claims == nil {
		return ""
	}
	return kinds[by.Claims.Kind]
}

// log writes one line for a request: failures of ours as errors, the rest for
// whoever wants to see it. No ARN, key or body is in it.
func (d *Dispatcher) log(x *Exchange, took time.Duration, failure error) {
	level, text := slog.LevelDebug, "request"
	if x.W.status >= http.StatusInternalServerError && x.failed(failure) {
		level, text = slog.LevelError, "request failed"
	}
	if !d.cfg.Logger.Enabled(x.Context(), level) {
		return
	}
	attrs := []slog.Attr{
		slog.String("request", x.ID), slog.String("action", x.Action), slog.Int("status", x.W.status),
		slog.Duration("took", took), slog.String("position", x.W.Header().Get(shape.HeaderPosition)),
	}
	if x.Via != "" {
		attrs = append(attrs, slog.String("via", x.Via))
	}
	if id := x.span.ID(); id != "" {
		attrs = append(attrs, slog.String("trace_id", id))
	}
	if level == slog.LevelError {
		attrs = append(attrs, slog.String("error", short(failure)))
	}
	d.cfg.Logger.LogAttrs(x.Context(), level, text, attrs...)
}

// maxLogged is how many bytes of an error are logged. Some quote what a caller sent.
const maxLogged = 2048

// short is the text of an error for the log.
func short(err error) string {
	text := err.Error()
	if len(text) > maxLogged {
		text = strings.ToValidUTF8(text[:maxLogged], "") + "..."
	}
	return text
}

// failed tells whether a request failed for a reason that is the node's. What a caller
// asks for beyond a limit, or fresher than the node is, goes away from, or asks without
// being known, is none.
func (x *Exchange) failed(failure error) bool {
	if failure == nil || errors.Is(failure, admission.ErrBusy) || x.Context().Err() != nil {
		return false
	}
	switch fault.Of(failure).Code() {
	case fault.InternalFailure, fault.OutcomeUnknown:
		return true
	case fault.Unavailable:
		return x.Authenticated()
	}
	return false
}
