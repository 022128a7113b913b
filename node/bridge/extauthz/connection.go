package extauthz

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"

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
	state *tls.ConnectionState // nil without TLS
	gated *gate.Conn
	uid   uint32
	local bool // uid is known
}

// AuthType names it.
func (*connection) AuthType() string { return "door" }

// context is one with the connection, for the gate and for callers that are known by it.
func (c *connection) context(ctx context.Context) context.Context {
	if c.gated != nil {
		ctx = c.gated.Context(ctx)
	}
	if c.local {
		ctx = bridge.WithPeer(ctx, c.uid)
	}
	return ctx
}

// ServerHandshake shakes hands.
func (passing) ServerHandshake(conn net.Conn) (net.Conn, credentials.AuthInfo, error) {
	c := &connection{CommonAuthInfo: credentials.CommonAuthInfo{SecurityLevel: credentials.NoSecurity}}
	inner := conn
	if t, ok := conn.(*tls.Conn); ok {
		ctx, cancel := context.WithTimeout(context.Background(), handshake)
		defer cancel()
		if err := t.HandshakeContext(ctx); err != nil {
			return nil, nil, fmt.Errorf("shake hands: %w", err)
		}
		s := t.ConnectionState()
		c.state, inner, c.SecurityLevel = &s, t.NetConn(), credentials.PrivacyAndIntegrity
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
