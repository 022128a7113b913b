package extauthz_test

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	auth "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/writ-iam/writ/node/bridge/extauthz"
	"github.com/writ-iam/writ/node/bridge/proxy"
	"github.com/writ-iam/writ/test/doors"
)

const (
	token   = "0123456789abcdef0123456789abcdef"
	mayAsk  = `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"writ:Authorize","Resource":"*"}}`
	mayRead = `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"s3:GetObject","Resource":"arn:aws:s3:::b/*"}}`
)

const mapping = `
tell_reason: true
principals:
- certificate:
    trusted: ["arn:aws:iam::123456789012:user/edge"]
    subjects: {"spiffe://example/alice": "arn:aws:iam::123456789012:user/alice"}
- header:
    header: x-user
    trusted: ["arn:aws:iam::123456789012:user/edge"]
    principal: "arn:aws:iam::123456789012:user/${value}"
rules:
- host: files.example.com
  path: /{bucket}/{key...}
  actions: {GET: s3:GetObject}
  resource: arn:aws:s3:::${path.bucket}/${path.key}
`

// dial connects to a door by Envoy's generated client.
func dial(t testing.TB, target string) auth.AuthorizationClient {
	t.Helper()
	conn, err := grpc.NewClient(target, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return auth.NewAuthorizationClient(conn)
}

// check is a request as Envoy tells of it.
func check(method, host, path, peer string, headers map[string]string) *auth.CheckRequest {
	return &auth.CheckRequest{Attributes: &auth.AttributeContext{
		Source:  &auth.AttributeContext_Peer{Principal: peer},
		Request: &auth.AttributeContext_Request{Http: &auth.AttributeContext_HttpRequest{Method: method, Host: host, Path: path, Scheme: "https", Headers: headers}},
	}}
}

func TestCheck(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for name, text := range map[string]string{"map.yaml": mapping, "token": token} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	socket := filepath.Join(dir, "s")
	p := doors.Start(t, fmt.Sprintf(`
doors:
- listen: 127.0.0.1:0
  serve: {ext_authz: %[1]s/map.yaml}
  callers: [{bearer_file: %[1]s/token, asks_as: "arn:aws:iam::123456789012:user/edge"}]
- listen: unix:%[2]s
  serve: {ext_authz: %[1]s/map.yaml}
  callers: [{uid: %[3]d, asks_as: "arn:aws:iam::123456789012:user/edge"}]
`, dir, socket, os.Getuid()))
	p.User("edge", mayAsk)
	p.User("alice", mayRead)
	p.Caught()
	port, local := dial(t, p.Door(0)), dial(t, "unix:"+socket)
	known := metadata.AppendToOutgoingContext(t.Context(), "authorization", "Bearer "+token)
	const host = "files.example.com"
	alice := map[string]string{"x-user": "alice"}
	for _, c := range []struct {
		name string
		ctx  context.Context
		by   auth.AuthorizationClient
		q    *auth.CheckRequest
		want int
		why  string
	}{
		{"a header", known, port, check("GET", host, "/b/k", "", alice), 200, ""},
		{"a certificate", known, port, check("GET", host, "/b/k", "spiffe://example/alice", nil), 200, ""},
		{"at a socket", t.Context(), local, check("GET", host, "/b/k", "", alice), 200, ""},
		{"another object", known, port, check("GET", host, "/c/k", "", alice), 403, "not authorized to perform: s3:GetObject"},
		{"another certificate", known, port, check("GET", host, "/b/k", "spiffe://example/mallory", nil), 403, "name"},
		{"both", known, port, check("GET", host, "/b/k", "spiffe://example/alice", alice), 403, "more than one"},
		{"nobody", known, port, check("GET", host, "/b/k", "", nil), 401, "nothing"},
		{"two users, joined", known, port, check("GET", host, "/b/k", "", map[string]string{"x-user": "alice,alice"}), 403, "name"},
		{"up", known, port, check("GET", host, "/c/../b/k", "", alice), 403, "dots"},
		{"another method", known, port, check("PUT", host, "/b/k", "", alice), 403, "no rule"},
		{"no HTTP", known, port, &auth.CheckRequest{}, 403, "no HTTP"},
		{"a proxy that is not known", t.Context(), port, check("GET", host, "/b/k", "", alice), 403, "does not know"},
		{"a client's token for the proxy's", t.Context(), port, check("GET", host, "/b/k", "", map[string]string{"x-user": "alice", "authorization": "Bearer " + token}), 403, "does not know"},
		{"another token", metadata.AppendToOutgoingContext(t.Context(), "authorization", "Bearer "+token[1:]), port, check("GET", host, "/b/k", "", alice), 403, "does not know"},
	} {
		got, err := c.by.Check(c.ctx, c.q)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		holds(t, c.name, got, c.want, c.why)
	}
	raw := check("GET", host, "/b/k", "", nil)
	raw.GetAttributes().GetRequest().GetHttp().HeaderMap = &core.HeaderMap{Headers: []*core.HeaderValue{{Key: "x-user", RawValue: []byte("alice")}}}
	got, err := port.Check(known, raw)
	if err != nil {
		t.Fatal(err)
	}
	holds(t, "raw headers", got, 200, "")
	raw.GetAttributes().GetRequest().GetHttp().HeaderMap.Headers = append(raw.GetAttributes().GetRequest().GetHttp().HeaderMap.Headers, &core.HeaderValue{Key: "x-user", RawValue: []byte("alice")})
	if got, err = port.Check(known, raw); err != nil {
		t.Fatal(err)
	}
	holds(t, "a raw header twice", got, 403, "twice")

	// Limits.
	many := map[string]string{}
	for i := range 300 {
		many[fmt.Sprintf("x-%d", i)] = "y"
	}
	if got, err = port.Check(known, check("GET", host, "/b/k", "", many)); err != nil {
		t.Fatal(err)
	}
	holds(t, "too many headers", got, 403, "headers")
	_, err = port.Check(known, check("GET", host, "/b/"+strings.Repeat("k", extauthz.MaxMessage), "", alice))
	if status.Code(err) != codes.ResourceExhausted {
		t.Errorf("a message that is too long: %v", err)
	}

	// Cut off, what was allowed is a denial, and no error: Envoy may let what fails pass.
	p.Stop(doors.Writer)
	p.Until("the replica knows its answers no more to be fresh", func(context.Context) error {
		got, err := port.Check(known, check("GET", host, "/b/k", "", alice))
		if err == nil && got.GetDeniedResponse().GetStatus().GetCode() != http.StatusServiceUnavailable {
			err = fmt.Errorf("it is %v", got)
		}
		return err
	})
	p.Stop(doors.Replica)
	if got, err := port.Check(known, check("GET", host, "/b/k", "", alice)); status.Code(err) != codes.Unavailable {
		t.Errorf("without a node: %v, %v", got, err)
	}
}

// holds checks an answer: what is allowed tells who it was, and what is not tells the client nothing.
func holds(t *testing.T, name string, got *auth.CheckResponse, want int, why string) {
	t.Helper()
	reason := got.GetDynamicMetadata().GetFields()["reason"].GetStringValue()
	denied := got.GetDeniedResponse()
	if want == http.StatusOK {
		h := got.GetOkResponse().GetHeaders()
		if denied != nil || got.GetStatus().GetCode() != int32(codes.OK) || len(h) != 1 || h[0].GetHeader().GetKey() != proxy.HeaderPrincipal || h[0].GetHeader().GetValue() != "arn:aws:iam::123456789012:user/alice" ||
			h[0].GetAppendAction() != core.HeaderValueOption_OVERWRITE_IF_EXISTS_OR_ADD {
			t.Errorf("%s: %v", name, got)
		}
		return
	}
	if got.GetStatus().GetCode() == int32(codes.OK) || got.GetOkResponse() != nil || int(denied.GetStatus().GetCode()) != want || denied.GetBody() != http.StatusText(want)+"\n" || len(denied.GetHeaders()) != 0 || !strings.Contains(reason, why) {
		t.Errorf("%s: %v; want %d %s", name, got, want, why)
	}
}
