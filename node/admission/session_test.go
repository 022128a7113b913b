package admission

import (
	"crypto/sha256"
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/writ-iam/writ/log/event"
	"github.com/writ-iam/writ/log/identity"
	"github.com/writ-iam/writ/node/opened"
	"github.com/writ-iam/writ/node/seal"
	"github.com/writ-iam/writ/node/session"
	"github.com/writ-iam/writ/node/sigv4"
	"github.com/writ-iam/writ/projection"
)

// silent counts nothing.
type silent struct{}

func (silent) Refused(string, bool) {}
func (silent) Worked(int64)         {}

const sessionsAccount = identity.AccountID("123456789012")

// sessionDesk is a desk over a state that has a role and a session key.
type sessionDesk struct {
	*Desk
	t     *testing.T
	state *identity.State
	view  *projection.Projection
	now   time.Time
}

func newSessionDesk(t *testing.T) *sessionDesk {
	d := &sessionDesk{t: t, state: identity.NewState(), view: projection.New(), now: time.Unix(1_800_000_000, 0)}
	d.Desk = New(Config{Projection: d.view, Seal: seal.Generate(), Now: func() time.Time { return d.now }, Meter: silent{}})
	d.do(&identity.Bootstrap{Cluster: "cluster", Incarnation: "incarnation", Account: sessionsAccount, RootKey: identity.NewAccessKey{ID: "AKIAROOTROOTROOT0000", Sealed: []byte("sealed")}})
	d.do(&identity.CreateRole{Account: sessionsAccount, ID: "AROADEPLOY", Name: "deploy", Path: "/", Trust: "{}"})
	d.rotate()
	return d
}

// do decides and shows a command.
func (d *sessionDesk) do(c identity.Command) {
	d.t.Helper()
	m := identity.Meta{Time: identity.Time(d.now.UnixMilli())}
	events, err := identity.Decide(d.state, m, c)
	if err != nil {
		d.t.Fatal(err)
	}
	at := d.state.Position() + 1
	identity.Evolve(d.state, at, m, events)
	d.view.Adopt(d.state.Snapshot(), event.Head{Position: at})
}

func (d *sessionDesk) rotate() {
	d.t.Helper()
	c, err := d.NewSessionKey(d.state)
	if err != nil {
		d.t.Fatal(err)
	}
	d.do(c)
}

// mint makes a session of the role.
func (d *sessionDesk) mint(name string) session.Credentials {
	d.t.Helper()
	v := d.view.View()
	made, err := d.Mint(v.State, &session.Claims{Kind: session.Role, Account: string(sessionsAccount), Principal: "AROADEPLOY", Name: name,
		Issued: d.now, Expires: d.now.Add(time.Hour), Position: uint64(v.Head.Position)})
	if err != nil {
		d.t.Fatal(err)
	}
	return made
}

// use sends a request by a session through the desk.
func (d *sessionDesk) use(c session.Credentials, region string) error {
	r := httptest.NewRequest("GET", "http://writ.test/v1/cluster", nil)
	r.Header.Set("X-Amz-Security-Token", c.Token)
	signer := sigv4.Signer{AccessKeyID: c.AccessKey, SecretAccessKey: c.Secret, Region: region, Service: "writ"}
	signer.Sign(r, sha256.Sum256(nil), d.now)
	sig, err := sigv4.Parse(r, d.now)
	if err != nil {
		d.t.Fatal(err)
	}
	q := NewRequest(r, d.now)
	q.PayloadHash = sha256.Sum256(nil)
	defer d.Release(&q)
	if known, err := d.Recognize(&q, sig); err != nil || !known {
		return fmt.Errorf("recognized %v: %w", known, err)
	}
	_, _, err = d.Authenticate(&q, sig, d.view.View())
	return err
}

// TestManySessions has far more sessions call than anything that is remembered of them has
// room for.
func TestManySessions(t *testing.T) {
	d := newSessionDesk(t)
	sessions := 200_000
	if testing.Short() {
		sessions = 2 * signingKeys
	}
	for i := range sessions {
		if i%(sessions/8) == 0 {
			d.rotate()
		}
		if err := d.use(d.mint(fmt.Sprint("s", i)), "us-east-1"); err != nil {
			t.Fatal(err)
		}
	}
	keys, bytes := d.SigningKeys()
	if keys < signingKeys || keys > 2*signingKeys || bytes > 2*signingKeys*512 {
		t.Errorf("%d derived keys of %d bytes are remembered; the bound is %d", keys, bytes, 2*signingKeys)
	}
	if n := d.proofs.size(); n > maxProofs {
		t.Errorf("%d proofs are remembered; the bound is %d", n, maxProofs)
	}
	if n := d.opened.Size(); n > opened.MaxSessions || n < opened.MaxSessions/2 {
		t.Errorf("%d sessions are remembered; the bound is %d", n, opened.MaxSessions)
	}
	if n := len(d.sessions.keys); n > 2*identity.MaxSessionKeys {
		t.Errorf("%d session keys are open; the bound is %d", n, 2*identity.MaxSessionKeys)
	}
}

// TestOpenedSessionKeys opens far more session keys than are kept open: those of sessions
// that may last still open.
func TestOpenedSessionKeys(t *testing.T) {
	d := newSessionDesk(t)
	most := 0
	for range 10 * identity.MaxSessionKeys {
		c := d.mint("s")
		d.now = d.now.Add(30 * time.Minute)
		d.do(&identity.RevokeSessionKey{Number: d.state.SessionKeys().Last})
		d.rotate()
		if err := d.use(c, "us-east-1"); err == nil {
			t.Fatal("a session of a revoked key is taken")
		}
		if err := d.use(d.mint("s"), "us-east-1"); err != nil {
			t.Fatal(err)
		}
		most = max(most, len(d.sessions.keys))
	}
	if most > 2*identity.MaxSessionKeys || most < identity.MaxSessionKeys {
		t.Errorf("up to %d keys were open; the bound is %d", most, 2*identity.MaxSessionKeys)
	}
}

// Tokens that are not good make nothing be remembered: neither they nor who sent them.
func TestForgedSessionsAreForgotten(t *testing.T) {
	d := newSessionDesk(t)
	c := d.mint("s")
	for i := range 100 {
		forged := c
		switch i % 3 {
		case 0:
			forged.Token = c.Token[:len(c.Token)-4] + fmt.Sprintf("%04d", i)
		case 1:
			forged.AccessKey = fmt.Sprintf("ASIA%016d", i)
		default:
			forged.Secret = fmt.Sprint(i)
		}
		if err := d.use(forged, fmt.Sprint("region-", i)); err == nil {
			t.Fatalf("%d is taken", i)
		}
	}
	if keys, _ := d.SigningKeys(); keys != 0 || d.proofs.size() != 0 || d.opened.Size() != 0 {
		t.Errorf("%d derived keys, %d proofs and %d sessions are remembered", keys, d.proofs.size(), d.opened.Size())
	}
}

// What is remembered of a session is good for the same token, access key and secret alone, and
// while nothing ended it; one with a long token is opened each time.
func TestOpenedSessions(t *testing.T) {
	d := newSessionDesk(t)
	one, other := d.mint("one"), d.mint("other")
	for _, c := range []session.Credentials{one, other, one} {
		if err := d.use(c, "us-east-1"); err != nil {
			t.Fatal(err)
		}
	}
	for name, c := range map[string]session.Credentials{
		"another's token":  {AccessKey: one.AccessKey, Secret: one.Secret, Token: other.Token},
		"another's secret": {AccessKey: one.AccessKey, Secret: other.Secret, Token: one.Token},
		"another's id":     {AccessKey: other.AccessKey, Secret: one.Secret, Token: one.Token},
		"a longer token":   {AccessKey: one.AccessKey, Secret: one.Secret, Token: one.Token + "A"},
	} {
		if err := d.use(c, "us-east-1"); err == nil {
			t.Errorf("%s is taken", name)
		}
	}
	if d.opened.Find("another incarnation", one.AccessKey, one.Token) != nil || d.opened.Find("incarnation", one.AccessKey, one.Token) == nil {
		t.Error("it is remembered for another incarnation, or not for its own")
	}
	d.do(&identity.RevokeSessions{Account: sessionsAccount, Subject: one.AccessKey})
	if err := d.use(one, "us-east-1"); err == nil {
		t.Error("a revoked session is taken")
	}
	d.do(&identity.RevokeSessionKey{Number: 1})
	if err := d.use(other, "us-east-1"); err == nil {
		t.Error("a session of a revoked key is taken")
	}
	d.rotate()
	long := d.mint(strings.Repeat("n", session.MaxName))
	if err := d.use(long, "us-east-1"); err != nil || d.opened.Find("incarnation", long.AccessKey, long.Token) == nil {
		t.Errorf("the longest name: %v", err)
	}
	n := d.opened.Size()
	d.opened.Remember("incarnation", strings.Repeat("x", opened.MaxToken+1), opened.New(&session.Claims{AccessKey: "ASIA"}, 1))
	if d.opened.Size() != n {
		t.Error("a long token is remembered")
	}
}
