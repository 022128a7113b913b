package rig

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/xml"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"

	"github.com/writ-iam/writ/log/event"
	"github.com/writ-iam/writ/log/identity"
	"github.com/writ-iam/writ/node/setup"
)

// The clients that make sessions and end them.
const (
	enders      = 3 // each has a role of its own
	sessionRest = 400 * time.Millisecond
	broker      = "broker"
	roleARN     = "arn:aws:iam::" + setup.DefaultAccount + ":role/"
	// maxRotations is how many keys a client adds: all of them may have sessions to the end.
	maxRotations = identity.MaxSessionKeys / 2 / enders
	// maxSecrets is how many sessions' secrets are looked for in files.
	maxSecrets = 50
	brokers    = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["sts:AssumeRole"],"Resource":"*"}]}`
	trusted    = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"` + setup.DefaultAccount + `"},"Action":"sts:AssumeRole"}]}`
	bearers    = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["s3:GetObject","iam:CreateGroup","iam:ListUsers","writ:*"],"Resource":"*"}]}`
)

// session is one that was asked for.
type session struct{ id, secret, token string }

// prepareSessions makes who asks for sessions, and their role.
func (w *workload) prepareSessions(ctx context.Context) error {
	if out := w.createUser(ctx, broker); out.outcome != outcomeDone {
		return fmt.Errorf("make the broker: %s", out.code)
	}
	if _, err := w.api.PutUserPolicy(ctx, &iam.PutUserPolicyInput{UserName: aws.String(broker), PolicyName: aws.String("own"), PolicyDocument: aws.String(brokers)}); err != nil {
		return fmt.Errorf("give the broker its permission: %w", err)
	}
	key, err := w.api.CreateAccessKey(ctx, &iam.CreateAccessKeyInput{UserName: aws.String(broker)})
	if err != nil {
		return fmt.Errorf("make the broker's key: %w", err)
	}
	w.broker = session{id: aws.ToString(key.AccessKey.AccessKeyId), secret: aws.ToString(key.AccessKey.SecretAccessKey)}
	w.secret = append(w.secret, w.broker.secret)
	for i := range enders {
		if err := w.makeRole(ctx, roleOf(i)); err != nil {
			return err
		}
	}
	return nil
}

func roleOf(ender int) string { return fmt.Sprintf("session-role-%d", ender) }

// makeRole makes a role for sessions.
func (w *workload) makeRole(ctx context.Context, role string) error {
	if _, err := w.api.CreateRole(ctx, &iam.CreateRoleInput{RoleName: &role, AssumeRolePolicyDocument: aws.String(trusted)}); err != nil {
		return fmt.Errorf("make the role: %w", err)
	}
	return w.permitRole(ctx, role)
}

// permitRole gives a role its permission.
func (w *workload) permitRole(ctx context.Context, role string) error {
	if _, err := w.api.PutRolePolicy(ctx, &iam.PutRolePolicyInput{RoleName: &role, PolicyName: aws.String("own"), PolicyDocument: aws.String(bearers)}); err != nil {
		return fmt.Errorf("give the role its permission: %w", err)
	}
	return nil
}

// assume asks any node for a session, until one makes it in a view that shows the ends that were
// acknowledged: a session that is made in an earlier view may have ended before it began.
func (w *workload) assume(ctx context.Context, role string, rng *rand.Rand) (s session, ok bool) {
	c := callerOf(w.broker.id, w.broker.secret, "sts")
	form := []byte(url.Values{"Action": {"AssumeRole"}, "Version": {"2011-06-15"}, "RoleArn": {roleARN + role}, "RoleSessionName": {"rig"}}.Encode())
	for {
		m := w.lab.members[rng.IntN(len(w.lab.members))]
		limit, cancel := context.WithTimeout(ctx, readLimit)
		headers := map[string]string{"Content-Type": "application/x-www-form-urlencoded"}
		if end := w.lastEnd(); end.text != "" {
			headers["X-Writ-At-Least"] = end.text
		}
		a, err := c.do(limit, http.MethodPost, m.url+"/", form, headers)
		cancel()
		if err == nil && a.status == statusAnswered {
			var said struct {
				ID     string `xml:"AssumeRoleResult>Credentials>AccessKeyId"`
				Secret string `xml:"AssumeRoleResult>Credentials>SecretAccessKey"`
				Token  string `xml:"AssumeRoleResult>Credentials>SessionToken"`
			}
			if err := xml.Unmarshal(a.body, &said); err != nil || said.Token == "" {
				w.judge.violate("an answer that cannot be read", "%s, to AssumeRole: %v: %.200s", m.name, err, a.body)
				return s, false
			}
			s = session{said.ID, said.Secret, said.Token}
			w.mu.Lock()
			defer w.mu.Unlock()
			w.latest = s
			if w.sessions++; w.sessions <= maxSecrets {
				w.secret = append(w.secret, s.secret, s.token)
			}
			return s, true
		}
		if !pause(ctx, waitRest) {
			return s, false
		}
	}
}

// caller signs by the session for a service.
func (s session) caller(service string) *caller {
	c := callerOf(s.id, s.secret, service)
	c.token = s.token
	return c
}

// endSessions makes two sessions at a time, uses both, ends one of them or more, and tries both.
func (w *workload) endSessions(ctx context.Context, who int, rng *rand.Rand) {
	role, rotations := roleOf(who), 0
	var doubt time.Time // until when an attempt that got no answer may yet end what the role has
	for n := 0; rest(ctx, rng, sessionRest); n++ {
		keys, sure := w.keyEnds.Load(), w.keysEnding.Load() == 0 && time.Now().After(doubt)
		one, ok := w.assume(ctx, role, rng)
		other, also := w.assume(ctx, role, rng)
		if !ok || !also {
			return
		}
		w.write(ctx, one, w.called("group-%d-%d", who, n))
		way := ways[rng.IntN(len(ways))]
		if way == wayRotate {
			if rotations++; rotations > maxRotations {
				way = waySession
			}
		}
		end, done := w.end(ctx, way, role, one)
		if !done {
			doubt = time.Now().Add(lostLife)
			continue // it may have ended or not: nothing to say
		}
		if way != wayRotate {
			w.showEnd(end)
			w.ends(one, end.position)
			w.tryWrite(ctx, one, w.called("misgroup-%d-%d", who, n), end)
		}
		if !w.everywhere(ctx, end, rng) {
			continue
		}
		if sure && (way == wayRotate || way == waySession) {
			w.goesOn(ctx, other, keys)
		}
		if way != wayRotate {
			w.tryReads(ctx, one, end)
			w.judge.moment("sessions ended by " + way)
		}
	}
}

// The ways of ending sessions. Rotating the key ends none.
const (
	waySession = "their id"
	wayRole    = "their role"
	wayDelete  = "the deletion of their role"
	wayKey     = "their key"
	wayRotate  = "no rotation"
)

var ways = []string{waySession, waySession, waySession, waySession, wayRole, wayDelete, wayKey, wayRotate}

// end ends a session, in a way, and says where.
func (w *workload) end(ctx context.Context, way, role string, s session) (t token, done bool) {
	switch way {
	case wayRole:
		return w.revoke(ctx, "/v1/revocations", `{"principal":"`+roleARN+role+`"}`)
	case wayKey:
		w.keyEnds.Add(1)
		w.keysEnding.Add(1)
		defer func() {
			if done {
				w.showEnd(t)
				w.keysEnding.Add(-1)
			} else { // an attempt may yet arrive
				time.AfterFunc(lostLife, func() { w.keysEnding.Add(-1) })
			}
		}()
		b, err := base64.RawURLEncoding.DecodeString(s.token[:8])
		if err != nil {
			w.judge.violate("an answer that cannot be read", "the token %.8s...: %v", s.token, err)
			return token{}, false
		}
		return w.revoke(ctx, fmt.Sprintf("/v1/session-keys/%d/revoke", binary.BigEndian.Uint32(b[1:])), "")
	case wayRotate:
		return w.revoke(ctx, "/v1/session-keys", "")
	case wayDelete:
		return w.deleteRole(ctx, role)
	}
	return w.revoke(ctx, "/v1/revocations", `{"session":"`+s.id+`"}`)
}

// deleteRole deletes the role, and makes it anew.
func (w *workload) deleteRole(ctx context.Context, role string) (t token, done bool) {
	limit, cancel := context.WithTimeout(context.WithoutCancel(ctx), writeLimit)
	defer cancel()
	if _, err := w.api.DeleteRolePolicy(limit, &iam.DeleteRolePolicyInput{RoleName: &role, PolicyName: aws.String("own")}); err == nil {
		out, err := w.api.DeleteRole(limit, &iam.DeleteRoleInput{RoleName: &role})
		if err == nil {
			r := write{action: "DeleteRole", subject: role, got: w.judge.now()}
			w.acknowledged(&r, out.ResultMetadata)
			t, done = token{position: r.position, text: w.tokenAt(r.position), acked: r.got}, true
		}
	}
	for w.makeRole(ctx, role) != nil && pause(ctx, sessionRest) { // what is there already is in the way of one attempt alone
		_, _ = w.api.DeleteRolePolicy(ctx, &iam.DeleteRolePolicyInput{RoleName: &role, PolicyName: aws.String("own")})
		_, _ = w.api.DeleteRole(ctx, &iam.DeleteRoleInput{RoleName: &role})
	}
	return t, done
}

// revoke asks any node for a change by the native API, the same until it is done or refused.
func (w *workload) revoke(ctx context.Context, path, body string) (t token, done bool) {
	limit, cancel := context.WithTimeout(context.WithoutCancel(ctx), writeLimit)
	defer cancel()
	c, attempt := w.lab.caller(), fmt.Sprintf("revoke-%d-%x", w.judge.now(), sha256.Sum256([]byte(path+body)))
	for i := 0; ; i++ {
		m := w.lab.members[i%len(w.lab.members)]
		one, cancel := context.WithTimeout(limit, attemptLimit)
		a, err := c.do(one, http.MethodPost, m.url+path, []byte(body), map[string]string{"Amz-Sdk-Invocation-Id": attempt})
		cancel()
		switch {
		case err == nil && a.status == statusAnswered:
			at, err := event.ParseToken(a.header.Get("X-Writ-Token"))
			if err != nil {
				w.judge.violate("a write without a position", "%s of %s: %v", path, m.name, err)
				return t, false
			}
			t = token{a.header.Get("X-Writ-Token"), at.Position, w.judge.now()}
			w.judge.ack(at.Position)
			w.remember(t)
			return t, true
		case err == nil && a.status < 500:
			w.judge.moment("a revocation refused with " + w.judge.refuse(m.name, path, a).Code)
			return t, false
		}
		if !pause(limit, waitRest) {
			return t, false
		}
	}
}

// showEnd has sessions made in views that show an end, from now on.
func (w *workload) showEnd(end token) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if end.position > w.shownEnd.position {
		w.shownEnd = end
	}
}

// lastEnd is the end that the views show in which sessions are made; the zero value before one.
func (w *workload) lastEnd() token {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.shownEnd
}

// ends notes where a session ended, for the end.
func (w *workload) ends(s session, at event.Position) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.ended == nil {
		w.ended = map[string]event.Position{}
	}
	w.ended[s.id] = at
}

// write makes a group by a session, at any node that can.
func (w *workload) write(ctx context.Context, s session, name string) {
	limit, cancel := context.WithTimeout(context.WithoutCancel(ctx), misuseLimit)
	defer cancel()
	if _, err := w.sdkOf(s, 0).CreateGroup(limit, &iam.CreateGroupInput{GroupName: &name}); err == nil {
		w.judge.moment("a write by a session")
	}
}

// tryWrite tries to write by a session after its end was acknowledged.
func (w *workload) tryWrite(ctx context.Context, s session, name string, end token) {
	limit, cancel := context.WithTimeout(context.WithoutCancel(ctx), misuseLimit)
	defer cancel()
	if _, err := w.sdkOf(s, 0).CreateGroup(limit, &iam.CreateGroupInput{GroupName: &name}); err == nil {
		w.judge.violate("I19 a write by a session that had ended", "CreateGroup of %s succeeded by %s, which ended at position %d, acknowledged at %.3fs", name, s.id, end.position, end.acked.Seconds())
	}
}

// tryReads tries to read and to ask by a session after its end was everywhere.
func (w *workload) tryReads(ctx context.Context, s session, end token) {
	for _, m := range w.lab.followers() {
		sent := w.judge.now()
		w.misreadBy(ctx, s.caller("iam"), m, "a session", s.id, end.position)
		q := question{node: m.name, mode: "leased", principal: 0}
		if d, _ := w.ask(ctx, s.caller("writ"), q, token{}); d != nil && d.Freshness == "leased" {
			w.judge.violate("I19 a session that had ended in a leased answer", "%s answers %s at position %d to a question sent at %.3fs by %s, which ended at position %d, everywhere before that",
				m.name, d.Decision, d.Position, sent.Seconds(), s.id, end.position)
		}
	}
}

// goesOn holds that a session that nothing ended is not refused, wherever it asks: unless
// somebody revoked keys since there were so many revocations.
func (w *workload) goesOn(ctx context.Context, s session, keys int64) {
	for _, m := range w.lab.places() {
		if m.running() == nil {
			continue
		}
		limit, cancel := context.WithTimeout(context.WithoutCancel(ctx), readLimit)
		a, err := s.caller("iam").do(limit, http.MethodPost, m.url+"/", []byte("Action=ListUsers&Version=2010-05-08&MaxItems=1"), map[string]string{"Content-Type": "application/x-www-form-urlencoded"})
		cancel()
		switch {
		case err != nil:
		case a.status == statusAnswered:
			w.judge.moment("another session that went on")
		case bytes.Contains(a.body, []byte("InvalidClientTokenId")) && w.keyEnds.Load() == keys:
			w.judge.violate("I19 a session refused that nothing ended", "%s refuses %s: %.300s", m.name, s.id, a.body)
		}
	}
}

// judgeSessions holds the ends of sessions against what they authored.
func (j *judge) judgeSessions(h *history, ended map[string]event.Position) error {
	if len(h.authored) == 0 && len(ended) > 0 {
		return errors.New("no session has written anything")
	}
	for id, at := range ended {
		if last := h.authored[id]; last > at {
			j.violate("I19 a write by a session that had ended", "position %d is by %s, which ended at %d", last, id, at)
		}
	}
	return nil
}
