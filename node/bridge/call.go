package bridge

import (
	"fmt"
	"net/http"

	"github.com/writ-iam/writ/node/admission"
	"github.com/writ-iam/writ/node/api/shape"
	"github.com/writ-iam/writ/node/decision"
	"github.com/writ-iam/writ/node/dispatch"
	"github.com/writ-iam/writ/node/fault"
	"github.com/writ-iam/writ/node/federation/oidc"
	"github.com/writ-iam/writ/node/freshness"
)

// Node is what doors need of the node that they are of. All fields are required.
type Node struct {
	Name       string
	Dispatcher *dispatch.Dispatcher
	Engine     *decision.Engine
	// Identities finds the keys of those who issue web identity tokens.
	Identities *oidc.Verifier
}

// Mux takes routes, as http.ServeMux does.
type Mux interface {
	Handle(pattern string, h http.Handler)
}

// Protocol is what a door serves.
type Protocol interface {
	// Routes adds the protocol's routes; each is a Desk.Handler.
	Routes(Mux, *Desk)
}

// Operation is one kind of request of a protocol. It is called by many at once.
type Operation interface {
	// Serve answers a call or says, having written nothing, why it cannot. It asks nothing
	// before Call.Begin.
	Serve(*Call) error
	// Refuse answers with a fault, in the protocol's own shape.
	Refuse(*Call, *fault.Fault)
}

// Desk is where the calls of a door are taken.
type Desk struct {
	Node *Node
	Door *Door
}

// Headers is whose a request's headers are.
type Headers bool

// Whose headers are.
const (
	// OfCaller are the headers of whoever asks: they may say how fresh the answer must be.
	OfCaller Headers = false
	// OfStrangers are handed on by a proxy, from its own clients: what they say of freshness
	// is dropped.
	OfStrangers Headers = true
)

// single are the headers that say how fresh an answer must be.
var single = [...]string{shape.HeaderConsistency, shape.HeaderAtLeast, shape.HeaderMaxStaleness}

// Handler takes requests of a kind. action is its name for metrics and the node's log: one of
// the protocol's own.
func (d *Desk) Handler(action string, op Operation, of Headers) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		admission.StripForwarded(r) // only a peer may say that
		if of == OfStrangers {
			for _, name := range single {
				r.Header.Del(name)
			}
		}
		c := &Call{desk: d, op: op}
		c.Action = action
		d.Node.Dispatcher.Serve(w, r, &c.Exchange, c)
	})
}

// Call is a request at a door. It is of one goroutine.
type Call struct {
	dispatch.Exchange
	// Asker asks for decisions, from Begin on.
	Asker decision.Asker

	desk   *Desk
	op     Operation
	values [len(headers)]string
	caller *Caller // nil: who asks is not known
	why    error   // that it is not
}

// service is the service name in signatures at doors.
const service = "writ"

// Read finds out which caller of the door it is; see dispatch.Surface.
func (c *Call) Read() (string, error) {
	if c.caller, c.why = c.desk.Door.asking(c.Request.Request); c.why != nil {
		return "", nil // what needs no caller is served
	}
	if c.caller.Signed {
		return service, nil
	}
	c.Pass.Desk.Door(&c.Request, c.caller.AsksAs)
	return "", nil
}

// Serve answers the call; see dispatch.Surface.
func (c *Call) Serve() error { return c.op.Serve(c) }

// Refuse answers with a fault; see dispatch.Surface.
func (c *Call) Refuse(f *fault.Fault) { c.op.Refuse(c, f) }

// Known tells whether the door knows who calls.
func (c *Call) Known() bool { return c.caller != nil }

// Begin finds the view that the call is answered from, and admits its caller in it. What cannot
// be answered from a view that is fresh enough is refused.
func (c *Call) Begin(u freshness.Use) error {
	if c.caller == nil {
		return c.why
	}
	if c.caller.Signed {
		if err := c.Authenticate(u); err != nil {
			return err
		}
	} else {
		if err := c.Find(u); err != nil {
			return err
		}
		if err := c.As(c.Seen.View, c.caller.AsksAs); err != nil {
			return err
		}
	}
	c.Asker = decision.Asker{Engine: c.desk.Node.Engine, Pass: &c.Pass, Seen: &c.Seen, Header: c.W.Header()}
	return nil
}

// Allowed decides a question: allow alone is an allow, from a view that is known to be fresh.
func (c *Call) Allowed(q *decision.Question) (allowed bool, a decision.Answer, err error) {
	if a, err = c.Asker.Decide(q); err != nil {
		return false, a, err
	}
	return a.Told(c.Seen.Flagged) == decision.Allow, a, nil
}

// Tell puts the headers on the answer that say where and how fresh it holds: position,
// freshness, and the request's id.
func (c *Call) Tell() {
	c.values[0] = c.ID
	names := headers[:1]
	if c.Seen.View != nil {
		c.values[1], c.values[2] = c.Seen.Position(), c.Seen.Mode
		names = headers[:]
	}
	h := c.W.Header()
	for i, name := range names {
		h[name] = c.values[i : i+1 : i+1]
	}
}

// headers are those that Tell sets, as http.CanonicalHeaderKey has them.
var headers = [...]string{http.CanonicalHeaderKey(shape.HeaderRequestID), http.CanonicalHeaderKey(shape.HeaderPosition), http.CanonicalHeaderKey(shape.HeaderFreshness)}

// Node is the node that answers.
func (c *Call) Node() *Node { return c.desk.Node }

// NoMapping is what is wrong with a door that gives a protocol a mapping which has none.
func NoMapping(protocol string) error {
	return fmt.Errorf("%w: %s has no mapping: write `%s: \"\"`", ErrConfig, protocol, protocol)
}
