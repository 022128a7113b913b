package extauthz

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync/atomic"

	"google.golang.org/grpc/credentials"

	"github.com/writ-iam/writ/node/bridge"
	"github.com/writ-iam/writ/node/gate"
)

// passing takes connections as the door's listener gives them: those of TLS have been set up
// there, and shake hands here, where a time is given to it.
type passing struct{}

// connection is what is known of one.
type connection struct {
	credentials.CommonAuthInfo
	base   http.Request // of each call, but for its context and headers
	gated  *gate.Conn
	proved atomic.Bool // it has had a call of a caller who is known: the gate has been told
	uid    uint32
	local  bool // uid is known
}

func newConnection(remote string) *connection {
	return &connection{
		CommonAuthInfo: credentials.CommonAuthInfo{SecurityLevel: credentials.NoSecurity},
		base:           http.Request{Method: http.MethodPost, URL: &path, Proto: "HTTP/2.0", ProtoMajor: 2, Body: http.NoBody, RemoteAddr: remote},
	}
}

// AuthType names it.
func (*connection) AuthType() string { return "door" }

// context is one with the connection, for the gate and for callers that are known by it.
func (c *connection) context(ctx context.Context) context.Context {
	if c.gated != nil && !c.proved.Load() {
		ctx = c.gated.Context(ctx)
	}
	if c.local {
		ctx = bridge.WithPeer(ctx, c.uid)
	}
	return ctx
}

// ServerHandshake shakes hands.
func (passing) ServerHandshake(conn net.Conn) (net.Conn, credentials.AuthInfo, error) {
	c := newConnection(conn.RemoteAddr().String())
	inner := conn
	if t, ok := conn.(*tls.Conn); ok {
		ctx, cancel := context.WithTimeout(context.Background(), handshake)
		defer cancel()
		if err := t.HandshakeContext(ctx); err != nil {
			return nil, nil, fmt.Errorf("shake hands: %w", err)
		}
		s := t.ConnectionState()
		c.base.TLS, inner, c.SecurityLevel = &s, t.NetConn(), credentials.PrivacyAndIntegrity
	}
	c.gated, _ = inner.(*gate.Conn)
	c.uid, c.local = bridge.PeerOf(conn)
	return conn, c, nil
}

// ClientHandshake is of no server.
func (passing) ClientHandshake(context.Context, string, net.Conn) (net.Conn, credentials.AuthInfo, error) {
	return nil, nil, errors.ErrUnsupported
}

// Info names the protocol.
func (passing) Info() credentials.ProtocolInfo {
	return credentials.ProtocolInfo{SecurityProtocol: "door"}
}

// Clone is the same.
func (p passing) Clone() credentials.TransportCredentials { return p }

// OverrideServerName is of no server.
func (passing) OverrideServerName(string) error { return nil }
