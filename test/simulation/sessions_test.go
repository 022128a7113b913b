package simulation

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/writ-iam/writ/log/event"
	"github.com/writ-iam/writ/log/identity"
	"github.com/writ-iam/writ/test/simulation/judge"
)

// What is done with sessions.
const (
	roles      = 2  // that sessions are of
	inUse      = 12 // sessions that are in use
	broker     = "broker"
	signer     = "signer" // a user who signs in
	password   = "Passw0rd-1"
	stsVersion = "2011-06-15"
	// maxRotations is how many keys a history adds: all of them may have sessions to its end.
	maxRotations = identity.MaxSessionKeys / 2
)

// bearer is a session in use, of a role, or of the signer where that is its name.
type bearer struct {
	key
	role string
}

// assume asks for a session of a role.
func (c *client) assume(node string, as key, timeout time.Duration, role string) (bearer, bool) {
	s := judge.Session{}
	s.Node = node
	form := url.Values{"Action": {"AssumeRole"}, "Version": {stsVersion}, "RoleArn": {c.world.roleARN(role)}, "RoleSessionName": {c.name}}
	head, text := c.send(&s.Request, as, timeout, "sts", http.MethodPost, "/", []byte(form.Encode()), http.Header{"Content-Type": {"application/x-www-form-urlencoded"}})
	var a struct {
		Result struct {
			Credentials struct {
				ID         string    `xml:"AccessKeyId"`
				Secret     string    `xml:"SecretAccessKey"`
				Token      string    `xml:"SessionToken"`
				Expiration time.Time `xml:"Expiration"`
			}
			User struct {
				ID string `xml:"AssumedRoleId"`
			} `xml:"AssumedRoleUser"`
		} `xml:"AssumeRoleResult"`
	}
	if s.Answered() {
		if err := xml.Unmarshal(text, &a); err != nil {
			c.world.note("I22", "%s answers %q: %v", node, text, err)
		}
		principal, _, _ := strings.Cut(a.Result.User.ID, ":")
		s.ID, s.Principal, s.Minted = a.Result.Credentials.ID, identity.ID(principal), position(head)
		s.Key, s.Issued = sealedBy(a.Result.Credentials.Token), identity.Time(a.Result.Credentials.Expiration.Add(-time.Hour).UnixMilli())
	} else if s.Status != 0 {
		s.Code = xmlCode(text)
	}
	c.world.record(func(h *judge.History) { h.Sessions = append(h.Sessions, s) })
	return bearer{key{a.Result.Credentials.ID, a.Result.Credentials.Secret, a.Result.Credentials.Token}, role}, s.Answered()
}

// signIn signs the signer in.
func (c *client) signIn(node string, timeout time.Duration) (bearer, bool) {
	s := judge.Session{}
	s.Node = node
	body := fmt.Appendf(nil, `{"account":%q,"user":%q,"password":%q}`, c.world.layout.cluster.Account, signer, password)
	head, text := c.send(&s.Request, key{}, timeout, "", http.MethodPost, "/signin", body, http.Header{"Content-Type": {"application/json"}})
	var a struct {
		ID         string      `json:"access_key_id"`
		Secret     string      `json:"secret_access_key"`
		Token      string      `json:"session_token"`
		Expiration time.Time   `json:"expiration"`
		User       identity.ID `json:"user_id"`
	}
	switch {
	case s.Answered():
		if err := json.Unmarshal(text, &a); err != nil {
			c.world.note("I22", "%s answers %q: %v", node, text, err)
		}
		s.ID, s.Principal, s.Minted = a.ID, a.User, position(head)
		s.Key, s.Issued = sealedBy(a.Token), identity.Time(a.Expiration.Add(-time.Hour).UnixMilli())
	case s.Status != 0:
		if s.Code = jsonCode(text); s.Code == "SignInFailed" {
			c.world.note("I19", "%s lets nobody in by a password that is right", node)
		}
	}
	c.world.record(func(h *judge.History) { h.Sessions = append(h.Sessions, s) })
	return bearer{key{a.ID, a.Secret, a.Token}, signer}, s.Answered()
}

// sealedBy is the number of the session key in a token.
func sealedBy(token string) uint32 {
	b, err := base64.RawURLEncoding.DecodeString(token[:min(8, len(token))])
	if err != nil || len(b) < 5 {
		return 0
	}
	return binary.BigEndian.Uint32(b[1:])
}

// native makes one attempt at a change by the native API, which is of something.
func (c *client) native(node string, as key, attempt string, action, of, target string, body []byte) judge.Write {
	named := action
	if of != "" {
		named += " " + of
	}
	out := judge.Write{Attempt: attempt, Key: idempotencyKey(as.id, "writ", named, attempt, body), Action: action, Value: of}
	out.Node = node
	header, text := c.send(&out.Request, as, 5*time.Second, "writ", http.MethodPost, target, body, http.Header{
		"Content-Type": {"application/json"}, "Amz-Sdk-Invocation-Id": {attempt},
	})
	out.Signed = c.signed
	if out.Answered() {
		token, err := event.ParseToken(header.Get("X-Writ-Token"))
		if err != nil {
			c.world.note("I22", "%s acknowledges a write without a token: %v", node, err)
		}
		out.Token, out.Position = token, position(header)
	} else if out.Status != 0 {
		out.Code = jsonCode(text)
	}
	c.world.record(func(h *judge.History) { h.Writes = append(h.Writes, out) })
	return out
}

func (w *world) roleARN(role string) string {
	return "arn:aws:iam::" + string(w.layout.cluster.Account) + ":role/" + role
}

// of is the ARN of whose session it is.
func (w *world) of(b bearer) string {
	if b.role == signer {
		return "arn:aws:iam::" + string(w.layout.cluster.Account) + ":user/" + signer
	}
	return w.roleARN(b.role)
}

// pool are the sessions in use, those that have ended among them.
type pool struct {
	mu   sync.Mutex
	list []bearer // the oldest first; guarded by mu
}

func (p *pool) add(b bearer) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.list = append(p.list, b); len(p.list) > inUse {
		p.list = p.list[1:]
	}
}

// some returns one of a role, or of any where that is empty, other than one.
func (p *pool) some(who *client, role string, other bearer) (bearer, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for range p.list {
		if b := pick(who.rng, p.list); b != other && (role == "" || b.role == role) {
			return b, true
		}
	}
	return bearer{}, false
}

func roleName(i int) string { return fmt.Sprintf("role%d", i+1) }

// found makes a role with every permission, which everybody in the account may assume who has
// the permission.
func (c *crowd) found(who *client, role string) {
	trust := `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":{"AWS":"` + string(c.world.layout.cluster.Account) + `"},"Action":"sts:AssumeRole"}}`
	c.persist(who, c.root, "CreateRole", "", role, "RoleName", role, "AssumeRolePolicyDocument", trust)
	c.persist(who, c.root, "AttachRolePolicy", "", role, "RoleName", role, "PolicyArn", adminARN)
}

// gatherSessions sends out everybody who has to do with sessions.
func (c *crowd) gatherSessions(k key) {
	p := new(pool)
	c.send("signer", func(who *client) { c.signsIn(who, p) })
	c.send("assumer", func(who *client) { c.assumer(who, k, p) })
	for i := range 2 {
		c.send(fmt.Sprintf("bearer-%d", i+1), func(who *client) { c.bear(who, p) })
	}
	c.send("revoker", func(who *client) { c.revokeSessions(who, p) })
}

// assumer asks for sessions, by an access key and now and then by a session.
func (c *crowd) assumer(who *client, as key, p *pool) {
	for i := range roles {
		c.found(who, roleName(i))
	}
	for c.rest(within(who.rng, 100*time.Millisecond, 1500*time.Millisecond)) {
		by := as
		if parent, ok := p.some(who, "", bearer{}); ok && who.rng.IntN(4) == 0 {
			by = parent.key
		}
		role := roleName(who.rng.IntN(roles))
		if b, ok := who.assume(pick(who.rng, c.world.names), by, readLimit, role); ok {
			p.add(b)
		} else if who.rng.IntN(8) == 0 { // it may be gone for good
			c.found(who, role)
		}
	}
}

// signsIn signs in at any node.
func (c *crowd) signsIn(who *client, p *pool) {
	for c.rest(within(who.rng, 2*time.Second, 8*time.Second)) { // each is a hash
		if b, ok := who.signIn(pick(who.rng, c.world.names), readLimit); ok {
			p.add(b)
		}
	}
}

// bear uses sessions at all nodes, those that have ended, too.
func (c *crowd) bear(who *client, p *pool) {
	for c.rest(within(who.rng, 30*time.Millisecond, 900*time.Millisecond)) {
		b, ok := p.some(who, "", bearer{})
		switch {
		case !ok:
		case who.rng.IntN(3) == 0:
			c.change(who, b.key)
		default:
			f := freshness{mode: pick(who.rng, []string{"leased", "leased", "", "strict", "any"})}
			who.decide(pick(who.rng, c.world.names), b.key, readLimit, fmt.Sprintf("u%d", who.rng.IntN(subjects)), f)
		}
	}
}

// revokeSessions ends sessions in all ways that there are, one after the other, while they
// write.
func (c *crowd) revokeSessions(who *client, p *pool) {
	var rivals [2]*client
	for i := range rivals {
		rivals[i] = c.world.client(fmt.Sprintf("rival-%d", i+1))
		defer rivals[i].leave()
	}
	rotations := 0
	for c.rest(within(who.rng, 500*time.Millisecond, 4*time.Second)) {
		b, ok := p.some(who, "", bearer{})
		if !ok {
			continue
		}
		var wg sync.WaitGroup
		for _, rival := range rivals {
			wg.Go(func() {
				for range blows {
					if !c.rest(within(rival.rng, 0, duelWithin)) {
						return
					}
					c.change(rival, b.key)
				}
			})
		}
		var out judge.Write
		if c.rest(within(who.rng, 0, duelWithin)) {
			out = c.end(who, b, &rotations)
		}
		wg.Wait()
		if out.Answered() {
			c.noted(&out.Token)
			c.tried(who, b, p, out)
		}
	}
}

// end ends a session, alone or with others.
func (c *crowd) end(who *client, b bearer, rotations *int) judge.Write {
	switch n := who.rng.IntN(20); {
	case n < 12:
		return c.ask(who, "writ:RevokeSessions", "", "/v1/revocations", `{"session":"`+b.id+`"}`)
	case n < 14:
		return c.ask(who, "writ:RevokeSessions", "", "/v1/revocations", `{"principal":"`+c.world.of(b)+`"}`)
	case n < 15:
		before := time.Now().Add(-within(who.rng, time.Second, 10*time.Second)).UTC().Format(time.RFC3339)
		return c.ask(who, "writ:RevokeSessions", "", "/v1/revocations", `{"principal":"`+c.world.of(b)+`","issued_before":"`+before+`"}`)
	case n < 16 && b.role != signer:
		c.persist(who, c.root, "DetachRolePolicy", "", b.role, "RoleName", b.role, "PolicyArn", adminARN)
		out, _ := c.persist(who, c.root, "DeleteRole", "", b.role, "RoleName", b.role)
		c.found(who, b.role)
		return out
	case n < 19 && *rotations < maxRotations:
		*rotations++
		return c.ask(who, "writ:RotateSessionKey", "", "/v1/session-keys", "")
	}
	number := fmt.Sprint(sealedBy(b.token))
	return c.ask(who, "writ:RevokeSessionKey", number, "/v1/session-keys/"+number+"/revoke", "")
}

// ask asks any node for a change by the native API until the outcome is known, at most
// attempts times.
func (c *crowd) ask(who *client, action, of, target, body string) judge.Write {
	who.count++
	attempt := fmt.Sprintf("%s-%d", who.name, who.count)
	for try := 1; ; try++ {
		out := who.native(pick(who.rng, c.world.names), c.root, attempt, action, of, target, []byte(body))
		if out.Answered() || out.Refused() || try == attempts || !c.rest(within(who.rng, 20*time.Millisecond, time.Second)) {
			return out
		}
	}
}

// tried waits until a change is everywhere, and tries a session that it may have ended, and
// another of the role, at all nodes.
func (c *crowd) tried(who *client, b bearer, p *pool, out judge.Write) {
	for range attempts {
		if got := who.wait(pick(who.rng, c.world.names), c.root, out.Token, scope{}, within(who.rng, time.Second, 15*time.Second)); got.State == "everywhere" {
			break
		}
		if !c.rest(time.Second) {
			return
		}
	}
	other, there := p.some(who, b.role, b)
	for _, node := range c.world.names {
		who.decide(node, b.key, readLimit, "u0", freshness{mode: "leased"})
		if there {
			who.decide(node, other.key, readLimit, "u0", freshness{mode: "leased"})
		}
	}
	c.change(who, b.key)
}
