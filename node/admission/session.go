package admission

import (
	"crypto/rand"
	"errors"
	"fmt"
	"strconv"
	"sync"

	"github.com/writ-iam/writ/log/event"
	"github.com/writ-iam/writ/log/identity"
	"github.com/writ-iam/writ/node/opened"
	"github.com/writ-iam/writ/node/seal"
	"github.com/writ-iam/writ/node/session"
	"github.com/writ-iam/writ/node/sigv4"
	"github.com/writ-iam/writ/projection"
)

// errNewer is returned for a token whose session key the node does not show: it may be
// newer than what the node shows.
var errNewer = errors.New("the session key is not known here")

// sessionKeys are session keys as they seal and open. Safe for concurrent use.
type sessionKeys struct {
	mu   sync.Mutex
	keys map[session.Numbered]*session.Key // guarded by mu
}

// sessionKey opens a session key. The node must have the keys that open secrets.
func (d *Desk) sessionKey(cluster identity.Cluster, k *identity.SessionKey) (*session.Key, error) {
	d.sessions.mu.Lock()
	defer d.sessions.mu.Unlock()
	if key, ok := d.sessions.keys[session.Numbered{Incarnation: cluster.Incarnation, Number: k.Number}]; ok {
		return key, nil
	}
	raw, err := d.cfg.Seal.Open(seal.SessionKey, sessionKeyContext(cluster, k.Number), k.Sealed)
	if err != nil {
		return nil, fmt.Errorf("open session key %d: %w", k.Number, err)
	}
	key, err := session.NewKey(k.Number, raw)
	if err != nil {
		return nil, fmt.Errorf("session key %d: %w", k.Number, err)
	}
	if len(d.sessions.keys) >= 2*identity.MaxSessionKeys {
		clear(d.sessions.keys)
	}
	if d.sessions.keys == nil {
		d.sessions.keys = make(map[session.Numbered]*session.Key)
	}
	d.sessions.keys[session.Numbered{Incarnation: cluster.Incarnation, Number: k.Number}] = key
	return key, nil
}

// sessionKeyContext is the associated data under which a session key is sealed.
func sessionKeyContext(cluster identity.Cluster, number uint32) string {
	return seal.ClusterKeyContext(cluster.ID, cluster.Incarnation, strconv.FormatUint(uint64(number), 10))
}

// temporary tells whether a request claims to be by temporary credentials.
func temporary(sig *sigv4.Signature) bool { return sig.SessionToken != "" }

// openSession opens the token of a request and verifies its signature, once for each
// request. Refusals are of type *sigv4.Error; errNewer says that the node cannot tell.
func (d *Desk) openSession(q *Request, sig *sigv4.Signature, s *identity.State) error {
	if q.session != nil {
		return nil
	}
	incarnation := s.Cluster().Incarnation
	o := d.opened.Find(incarnation, sig.AccessKeyID, sig.SessionToken)
	var key *session.Key
	var err error
	known := o != nil
	if known {
		key, err = d.keyOf(s, o.SealedBy)
	} else {
		var c *session.Claims
		if c, key, err = d.open(s, sig.AccessKeyID, sig.SessionToken); err == nil {
			o = opened.New(c, key.ID())
		}
	}
	if err != nil {
		return err
	}
	err = d.keys.Verify(sig, q.PayloadHash, string(o.Secret), func() ([]byte, error) { return []byte(key.Secret(sig.AccessKeyID)), nil })
	if err != nil {
		return err
	}
	if !known {
		d.opened.Remember(incarnation, sig.SessionToken, o)
	}
	d.recognizedSession(q, o)
	return nil
}

// recognizedSession notes that a request is by a session.
func (d *Desk) recognizedSession(q *Request, o *opened.Session) {
	cred := credentialOf(o)
	d.recognized(q, &cred)
	q.session = o
}

// credentialOf is a session as a credential. What stands for its secret says which key made
// that: with the access key id it is never another's.
func credentialOf(o *opened.Session) identity.Credential {
	return identity.Credential{
		AccessKey: identity.AccessKey{ID: o.Claims.AccessKey, Sealed: o.Secret, Active: true},
		Account:   identity.AccountID(o.Claims.Account), Owner: identity.ID(o.Claims.Principal),
	}
}

// keyOf is the session key of a number, if the state shows it in force.
func (d *Desk) keyOf(s *identity.State, number uint32) (*session.Key, error) {
	k, ok := s.SessionKey(number)
	switch {
	case !ok && number > s.SessionKeys().Last:
		return nil, errNewer
	case !ok, k.State == identity.KeyRevoked:
		return nil, sigv4.InvalidToken(s.Renewed())
	}
	return d.sessionKey(s.Cluster(), &k)
}

// open opens a token, which is to be of an access key, and tells the key that sealed it.
func (d *Desk) open(s *identity.State, accessKey, token string) (*session.Claims, *session.Key, error) {
	number, err := session.KeyOf(token)
	if err != nil {
		return nil, nil, sigv4.ErrInvalidClientTokenID
	}
	key, err := d.keyOf(s, number)
	if err != nil {
		return nil, nil, err
	}
	cluster := s.Cluster()
	c, err := key.Open(cluster.ID, cluster.Incarnation, token)
	if err != nil || c.AccessKey != accessKey {
		return nil, nil, sigv4.InvalidToken(s.Renewed())
	}
	return c, key, nil
}

// ofSession is who a request by temporary credentials is of, in a view.
func (d *Desk) ofSession(q *Request, sig *sigv4.Signature, v *projection.View) (Caller, *projection.Principal, error) {
	err := d.recognizeSession(q, sig, v.State)
	if errors.Is(err, errNewer) {
		err = sigv4.InvalidToken(v.State.Renewed())
	}
	if err != nil {
		return Caller{}, nil, err
	}
	if !q.Now.Before(q.session.Claims.Expires) {
		return Caller{}, nil, sigv4.ErrExpiredToken
	}
	return inSession(q.session, v)
}

// inSession is whom a session is of in a view.
func inSession(s *opened.Session, v *projection.View) (Caller, *projection.Principal, error) {
	c := s.Claims
	on := s.Logged()
	if v.State.Revoked(identity.AccountID(c.Account), identity.ID(c.Principal), c.AccessKey, on) {
		return Caller{}, nil, sigv4.ErrInvalidClientTokenID
	}
	p, err := v.Session(s.As)
	if err != nil { // the role or user is gone
		return Caller{}, nil, sigv4.ErrInvalidClientTokenID
	}
	caller := Caller{Account: identity.AccountID(c.Account), ID: identity.ID(c.Principal), ARN: p.ARN, AccessKey: c.AccessKey,
		UserID: c.Principal, Session: on, Claims: c}
	switch c.Kind {
	case session.Role:
		caller.Kind, caller.UserID = KindRole, c.Principal+":"+c.Name
	case session.FederatedUser, session.Delegated:
		caller.Kind, caller.UserID = KindFederatedUser, c.Account+":"+c.Name
	case session.User, session.SignedInUser:
		caller.Kind, caller.Name = KindUser, p.Name
	case session.Root, session.TaskRoot, session.SignedInRoot:
		caller.Kind = KindRoot
	}
	return caller, p, nil
}

// Barred tells whether the caller's credentials may change no identity, whatever its policies
// say: sessions by GetFederationToken, and by GetSessionToken without a second factor
// ("GetSessionToken" and "GetFederationToken" in the STS API Reference).
func (c *Caller) Barred() bool {
	if c.Claims == nil {
		return false
	}
	switch c.Claims.Kind {
	case session.FederatedUser:
		return true
	case session.User, session.Root:
		return c.Claims.MFA.IsZero()
	}
	return false
}

// RootItself tells whether a root calls, and nobody whom it has delegated permissions to or who
// acts as it for a task.
func (c *Caller) RootItself() bool {
	return c.Kind == KindRoot && (c.Claims == nil || c.Claims.Kind == session.Root || c.Claims.Kind == session.SignedInRoot)
}

// recognizeSession opens the token of a request, or has the leader do it.
func (d *Desk) recognizeSession(q *Request, sig *sigv4.Signature, s *identity.State) error {
	if d.cfg.Seal != nil || q.session != nil {
		return d.openSession(q, sig, s)
	}
	told, err := d.confirm(q, sig)
	if err != nil {
		return err
	}
	if told.Session == nil {
		return sigv4.ErrInvalidClientTokenID
	}
	d.recognizedSession(q, opened.New(told.Session, told.SealedBy))
	return nil
}

// AdmitSession admits the caller whose session was made in a view, by the key that seals
// sessions there: what the caller asks for in the very request is by that session.
func (p *Pass) AdmitSession(v *projection.View, c *session.Claims) (err error) {
	active, ok := v.State.ActiveSessionKey()
	if !ok {
		return ErrNoSessionKey
	}
	if p.Caller, p.Principal, err = inSession(opened.New(c, active.Number), v); err != nil {
		return err
	}
	p.view = v
	p.Desk.Begin(&p.Job, p.Request.Context(), p.Principal.ID)
	return nil
}

// MintedAt is the position of the view in which the session of a request was made, once it
// was recognized; 0 for none. Before it, a node may not know the role or the trust in it.
func (q *Request) MintedAt() event.Position {
	if q.session == nil {
		return 0
	}
	return event.Position(q.session.Claims.Position)
}

// Reliances are what a caller's right relies on besides its principal: what the managed
// policies of its session say.
func (c *Caller) Reliances(s *identity.State) []identity.Reliance {
	if c.Claims == nil {
		return nil
	}
	w := identity.NewWitness(s)
	for _, arn := range c.Claims.Managed {
		w.Find(identity.Lookup{By: identity.ByContent, Text: arn})
	}
	return w.Reliances()
}

// ErrNoSessionKey is returned where no key seals sessions yet.
var ErrNoSessionKey = errors.New("no key seals sessions yet")

// Mint makes the credentials of a session by the key that seals sessions in a state. The
// error wraps ErrNoSessionKey, or session.ErrTooLarge. The node must have the keys that open
// secrets; see Seals.
func (d *Desk) Mint(s *identity.State, c *session.Claims) (session.Credentials, error) {
	active, ok := s.ActiveSessionKey()
	if !ok {
		return session.Credentials{}, ErrNoSessionKey
	}
	cluster := s.Cluster()
	key, err := d.sessionKey(cluster, &active)
	if err != nil {
		return session.Credentials{}, err
	}
	made, err := key.Mint(cluster.ID, cluster.Incarnation, c, rand.Reader)
	if err != nil {
		return session.Credentials{}, fmt.Errorf("make a session: %w", err)
	}
	return made, nil
}

// Seals tells whether the node can make sessions.
func (d *Desk) Seals() bool { return d.cfg.Seal != nil }

// NewSessionKey is the command that gives a state its next session key.
func (d *Desk) NewSessionKey(s *identity.State) (*identity.AddSessionKey, error) {
	raw := make([]byte, session.KeySize)
	rand.Read(raw) // never fails
	number := s.SessionKeys().Last + 1
	sealed, err := d.cfg.Seal.Seal(seal.SessionKey, sessionKeyContext(s.Cluster(), number), raw)
	if err != nil {
		return nil, fmt.Errorf("seal session key %d: %w", number, err)
	}
	return &identity.AddSessionKey{Number: number, Sealed: sealed}, nil
}
