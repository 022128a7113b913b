package dispatch

import (
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/writ-iam/writ/log/event"
	"github.com/writ-iam/writ/log/identity"
	"github.com/writ-iam/writ/node/admission"
	"github.com/writ-iam/writ/node/api/shape"
	"github.com/writ-iam/writ/node/fault"
	"github.com/writ-iam/writ/node/freshness"
	"github.com/writ-iam/writ/node/sigv4"
	"github.com/writ-iam/writ/node/trace"
)

// Exchange is one request on its way, and its answer. It is one piece of memory, is of one
// goroutine, and is not copied once Dispatcher.Serve has begun.
type Exchange struct {
	admission.Request
	admission.Pass
	// Seen is the view that is answered from; of a read, from Find on.
	Seen freshness.Seen
	// W takes the answer.
	W Response
	// Action is the name of what is asked, for metrics and the node's log: one of our own.
	Action string

	dispatcher *Dispatcher
	span       *trace.Span        // nil: requests are not traced
	key        identity.Key       // of a write; see identify
	signature  identity.Signature // of a write
	head       event.Position     // of the log, as it was read since the request came; 0 before
}

// read reads what the request says before anybody is asked about it.
func (x *Exchange) read(s Surface) error {
	sig, unsigned := sigv4.Parse(x.Request.Request, x.Now)
	if err := x.Desk.ReadBody(&x.W, &x.Request, sig); err != nil {
		return err
	}
	x.Sig = sig
	service, err := s.Read()
	if err != nil {
		return err
	}
	if service == "" {
		x.Sig = &sigv4.Signature{} // whose access key nobody has
		return x.once()
	}
	if unsigned != nil {
		return unsigned
	}
	if err := x.once(); err != nil {
		return err
	}
	return sig.CheckService(service)
}

// single are the request headers of which a node reads one value.
var single = [...]string{shape.HeaderConsistency, shape.HeaderAtLeast, shape.HeaderMaxStaleness, shape.HeaderLastEvent}

// once refuses a request that gives one of those headers, or a parameter of its query,
// more than once: whichever counted, the caller may have meant the other.
func (x *Exchange) once() error {
	for _, name := range single {
		if len(x.Header[name]) > 1 {
			return fault.BadRequest("Give it once.", "The header %s is given %d times.", name, len(x.Header[name]))
		}
	}
	if x.URL.RawQuery == "" {
		return nil
	}
	parameters, err := url.ParseQuery(x.URL.RawQuery)
	if err != nil {
		return fault.BadRequest("Write it as ?name=value&name=value, percent-encoded.", "The query string is malformed.")
	}
	for _, name := range slices.Sorted(maps.Keys(parameters)) {
		if n := len(parameters[name]); n > 1 {
			return fault.BadRequest("Give it once.", "The query parameter %s is given %d times.", fault.Quote(name), n)
		}
	}
	return nil
}

// Find finds the view that the request is to be answered from, for a use.
func (x *Exchange) Find(u freshness.Use) (err error) {
	x.Seen, err = x.dispatcher.cfg.Views.View(&x.Request, x.Sig, u)
	return err
}

// Authenticate finds the view, and out who calls, in that view.
func (x *Exchange) Authenticate(u freshness.Use) error {
	if err := x.Find(u); err != nil {
		return err
	}
	return x.Admit(x.Seen.View)
}

// HandOn hands a request that changes nothing to the leader, which may hold it back for a
// while.
func (x *Exchange) HandOn(hold time.Duration) error {
	if x.Forwarded {
		return fault.New(fault.NotLeader, "", "")
	}
	free, err := x.Desk.Handing(&x.Request, x.Sig, hold > 0)
	if err != nil {
		return err
	}
	defer free()
	f := x.Forward()
	f.Hold = hold
	r, span := x.span.HandOn(x.Request.Request)
	err = x.dispatcher.cfg.Leader.Forward(&x.W, r, f)
	span.Done(err)
	if err != nil {
		return fault.Later("No node that leads was reached.", err)
	}
	return nil
}

// Response remembers the status of an answer.
type Response struct {
	http.ResponseWriter
	status int
	// key is the access key whose write was handed on, views what is to know of it.
	key   string
	views *freshness.Views
}

// Status is that of the answer; 0 before it begins.
func (r *Response) Status() int { return r.status }

// WriteHeader notes the status.
func (r *Response) WriteHeader(status int) {
	if r.status == 0 {
		r.status = status
		if r.views != nil && status == http.StatusOK {
			r.wrote()
		}
	}
	r.ResponseWriter.WriteHeader(status)
}

// wrote notes where a write took effect that was handed on: before the caller can see
// the answer, whose next read may be here before Forward returns.
func (r *Response) wrote() {
	if at, err := strconv.ParseUint(r.Header().Get(shape.HeaderPosition), 10, 64); err == nil {
		r.views.Wrote(r.key, event.Position(at))
	}
}

// Unwrap lets http.ResponseController reach the connection.
func (r *Response) Unwrap() http.ResponseWriter { return r.ResponseWriter }
