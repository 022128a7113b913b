package extauthz

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net"
	"net/http"
	"net/url"
	"runtime"
	"time"

	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	auth "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	kind "github.com/envoyproxy/go-control-plane/envoy/type/v3"
	rpc "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/writ-iam/writ/node/bridge"
	"github.com/writ-iam/writ/node/bridge/proxy"
	"github.com/writ-iam/writ/node/fault"
)

// Limits of calls.
const (
	// MaxMessage bounds a request, and MaxHeaders the metadata of one, in bytes.
	MaxMessage = 256 << 10
	MaxHeaders = 32 << 10
	// MaxStreams is how many calls one connection has at once.
	MaxStreams = 1000

	handshake = 5 * time.Second
	idle      = 10 * time.Minute
	pingEvery = 5 * time.Second
	alive     = time.Minute
)

// New reads a mapping, as those of package proxy are, and returns the protocol.
func New(mapping string) (bridge.Protocol, error) {
	m, err := proxy.Load(mapping)
	if err != nil {
		return nil, err
	}
	workers := uint32(min(runtime.GOMAXPROCS(0), math.MaxInt16)) //nolint:gosec // it is small
	return &protocol{mapping: m, server: grpc.NewServer(
		grpc.Creds(passing{}), grpc.MaxRecvMsgSize(MaxMessage), grpc.MaxHeaderListSize(MaxHeaders), grpc.MaxConcurrentStreams(MaxStreams),
		grpc.ConnectionTimeout(handshake), grpc.NumStreamWorkers(workers),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: pingEvery, PermitWithoutStream: true}),
		grpc.KeepaliveParams(keepalive.ServerParameters{MaxConnectionIdle: idle, Time: alive, Timeout: handshake}),
	)}, nil
}

// protocol serves a door by itself.
type protocol struct {
	mapping *proxy.Mapping
	server  *grpc.Server
}

// Routes adds none: gRPC is served on the door's listener.
func (p *protocol) Routes(bridge.Mux, *bridge.Desk) {}

// Serve serves until Stop.
func (p *protocol) Serve(l net.Listener, d *bridge.Desk) error {
	auth.RegisterAuthorizationServer(p.server, &service{handler: d.Handler("ext_authz:Check", operation{p.mapping}, bridge.OfStrangers)})
	if err := p.server.Serve(l); errors.Is(err, grpc.ErrServerStopped) {
		return http.ErrServerClosed
	} else if err != nil {
		return fmt.Errorf("serve gRPC: %w", err)
	}
	return nil
}

// Stop lets calls finish until ctx ends.
func (p *protocol) Stop(ctx context.Context) {
	done := make(chan struct{})
	go func() {
		p.server.GracefulStop()
		close(done)
	}()
	select {
	case <-done:
	case <-ctx.Done():
		p.server.Stop()
		<-done
	}
}

// service is the generated one's.
type service struct {
	auth.UnimplementedAuthorizationServer
	handler http.Handler
}

// path is the method's, as gRPC has it.
var path = url.URL{Path: auth.Authorization_Check_FullMethodName}

// Check answers one request. It goes the way of every request at a door: see bridge.Desk.
func (s *service) Check(ctx context.Context, q *auth.CheckRequest) (*auth.CheckResponse, error) {
	c := unknown
	if from, ok := peer.FromContext(ctx); ok {
		if known, ok := from.AuthInfo.(*connection); ok {
			c = known
		}
	}
	w := &answer{asked: q}
	r := c.base.WithContext(c.context(ctx))
	r.Header = http.Header{}
	if of := metadata.ValueFromIncomingContext(ctx, "authorization"); len(of) == 1 {
		r.Header["Authorization"] = of
	}
	s.handler.ServeHTTP(w, r)
	if w.known {
		c.proved.Store(true)
	}
	return w.response(), nil
}

// unknown is a connection of which nothing is known.
var unknown = newConnection("")

// answer takes the outcome of a call.
type answer struct {
	asked   *auth.CheckRequest
	known   bool // the proxy is a caller of the door
	header  http.Header
	status  int
	outcome proxy.Outcome
}

// Header are the headers of the answer.
func (a *answer) Header() http.Header {
	if a.header == nil {
		a.header = http.Header{}
	}
	return a.header
}

// Write takes nothing: an answer is an outcome.
func (a *answer) Write(b []byte) (int, error) { return len(b), nil }

// WriteHeader notes the status.
func (a *answer) WriteHeader(status int) { a.status = status }

// operation is the one call of the protocol.
type operation struct{ mapping *proxy.Mapping }

// Serve answers a call.
func (o operation) Serve(c *bridge.Call) error {
	w, ok := c.W.Unwrap().(*answer)
	if !ok {
		return errNoAnswer
	}
	asked, err := read(o.mapping, w.asked)
	if err != nil {
		return err
	}
	outcome, err := o.mapping.Decide(c, &asked)
	if err != nil {
		return err
	}
	tell(c, &outcome)
	return nil
}

// errNoAnswer is returned for what is no call of this package.
var errNoAnswer = errors.New("the answer is none of ext_authz")

// Refuse answers with a fault. It is a denial, not an error of gRPC's: with failure_mode_allow,
// Envoy lets a request pass that could not be asked about.
func (o operation) Refuse(c *bridge.Call, f *fault.Fault) {
	outcome := o.mapping.Refused(f)
	tell(c, &outcome)
}

func tell(c *bridge.Call, o *proxy.Outcome) {
	if a, ok := c.W.Unwrap().(*answer); ok {
		a.outcome, a.known = *o, c.Authenticated()
	}
	c.W.WriteHeader(o.Status)
}

// response is the answer in Envoy's words: anything but an allow is a denial.
func (a *answer) response() *auth.CheckResponse {
	o := &a.outcome
	if o.Allowed() && a.status == http.StatusOK {
		return &auth.CheckResponse{Status: &rpc.Status{}, HttpResponse: &auth.CheckResponse_OkResponse{OkResponse: &auth.OkHttpResponse{
			Headers: []*core.HeaderValueOption{header(proxy.HeaderPrincipal, o.Principal)},
		}}}
	}
	status := o.Status
	if status == 0 || status == http.StatusOK {
		status = http.StatusServiceUnavailable
	}
	code := map[int]codes.Code{http.StatusUnauthorized: codes.Unauthenticated, http.StatusForbidden: codes.PermissionDenied, http.StatusServiceUnavailable: codes.Unavailable}[status]
	denied := &auth.DeniedHttpResponse{Status: &kind.HttpStatus{Code: kind.StatusCode(status)}, Body: http.StatusText(status) + "\n"} //nolint:gosec // of three
	if o.Challenge != "" {
		denied.Headers = append(denied.Headers, header("Www-Authenticate", o.Challenge))
	}
	r := &auth.CheckResponse{Status: &rpc.Status{Code: int32(code)}, HttpResponse: &auth.CheckResponse_DeniedResponse{DeniedResponse: denied}} //nolint:gosec // of three
	if o.Reason != "" {                                                                                                                        // for access logs: clients get no metadata
		r.DynamicMetadata = &structpb.Struct{Fields: map[string]*structpb.Value{"reason": structpb.NewStringValue(o.Reason)}}
	}
	return r
}

// header replaces what a client may have sent.
func header(name, value string) *core.HeaderValueOption {
	return &core.HeaderValueOption{Header: &core.HeaderValue{Key: name, Value: value}, AppendAction: core.HeaderValueOption_OVERWRITE_IF_EXISTS_OR_ADD}
}

// maxHeaders is how many headers a request has that is read.
const maxHeaders = 256

// read reads what Envoy tells of a request, as far as a mapping looks at it.
func read(m *proxy.Mapping, q *auth.CheckRequest) (a proxy.Asked, err error) {
	of := q.GetAttributes().GetRequest().GetHttp()
	if of == nil {
		return a, fault.BadRequest("Use Envoy's filter ext_authz for HTTP.", "The check is of no HTTP request.")
	}
	a = proxy.Asked{Method: of.GetMethod(), Scheme: of.GetScheme(), Host: of.GetHost(), Target: of.GetPath(), Header: http.Header{}, Peer: q.GetAttributes().GetSource().GetPrincipal()}
	raw := of.GetHeaderMap().GetHeaders()
	if len(of.GetHeaders())+len(raw) > maxHeaders {
		return a, fault.BadRequest("Hand on fewer.", "The request has more than %d headers.", maxHeaders)
	}
	// Of what is there twice Envoy joins the values by commas, but in the map of raw headers.
	for name, value := range of.GetHeaders() {
		add(m, a.Header, name, value)
	}
	for _, h := range raw {
		value := h.GetValue()
		if value == "" {
			value = string(h.GetRawValue())
		}
		add(m, a.Header, h.GetKey(), value)
	}
	return a, nil
}

func add(m *proxy.Mapping, h http.Header, name, value string) {
	if key := m.Reads(name); key != "" {
		h[key] = append(h[key], value)
	}
}
