package api_test

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"github.com/writ-iam/writ/log/identity"
	"github.com/writ-iam/writ/node/admission"
	"github.com/writ-iam/writ/node/api/shape"
	"github.com/writ-iam/writ/node/sigv4"
	"github.com/writ-iam/writ/node/usage"
	"github.com/writ-iam/writ/projection/policy"
)

// mayAuthenticate lets a service authenticate, and get signing keys, for the services of some names.
func mayAuthenticate(services ...string) string {
	list, _ := json.Marshal(services)
	return `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["` + policy.ActionAuthenticate + `","` + policy.ActionGetSigningKey +
		`"],"Resource":"*","Condition":{"StringEquals":{"` + policy.KeySigningService + `":` + string(list) + `}}},{"Effect":"Allow","Action":"` + policy.ActionAuthorize + `","Resource":"*"}]}`
}

// signedBy is a request that somebody sends to a service, signed by the SDK of AWS.
type signedBy struct {
	by               temporary
	method, target   string
	payload, service string
	at               time.Time
	presign          time.Duration // in the query; 0: in headers
	header           http.Header
}

// received is a request as the service hands it on.
func (w *world) received(s signedBy) *shape.Received {
	w.t.Helper()
	r := httptest.NewRequest(s.method, "http://bucket.test"+s.target, nil)
	r.ContentLength = -1
	for name, values := range s.header {
		r.Header[name] = values
	}
	creds := aws.Credentials{AccessKeyID: s.by.id, SecretAccessKey: s.by.secret, SessionToken: s.by.token}
	signer := v4.NewSigner(func(o *v4.SignerOptions) { o.DisableURIPathEscaping = s.service == "s3" })
	if s.at.IsZero() {
		s.at = w.node.now()
	}
	in := &shape.Received{Service: s.service, Method: s.method, Headers: shape.Headers{"host": {"bucket.test"}}}
	if s.presign > 0 {
		q := r.URL.Query()
		q.Set("X-Amz-Expires", strconv.Itoa(int(s.presign/time.Second)))
		r.URL.RawQuery = q.Encode()
		signed, _, err := signer.PresignHTTP(context.Background(), creds, r, s.payload, s.service, "eu-west-1", s.at)
		if err != nil {
			w.t.Fatal(err)
		}
		u, err := url.Parse(signed)
		if err != nil {
			w.t.Fatal(err)
		}
		in.Path, in.Query = u.EscapedPath(), u.RawQuery
	} else {
		if s.service == "s3" {
			r.Header.Set("X-Amz-Content-Sha256", s.payload)
		}
		if err := signer.SignHTTP(context.Background(), creds, r, s.payload, s.service, "eu-west-1", s.at); err != nil {
			w.t.Fatal(err)
		}
		in.Path, in.Query = r.URL.EscapedPath(), r.URL.RawQuery
		for name, values := range r.Header {
			in.Headers[name] = values
		}
	}
	if s.service != "s3" {
		in.PayloadHash = s.payload
	}
	return in
}

// handOn has a service hand a request on.
func (n *node) handOn(service credential, in *shape.Received, headers ...string) *httptest.ResponseRecorder {
	n.world.t.Helper()
	body, err := json.Marshal(in)
	if err != nil {
		n.world.t.Fatal(err)
	}
	return n.native(service, http.MethodPost, "/v1/authenticate", string(body), headers...)
}

// authenticated is the answer to a request that is handed on.
func (n *node) authenticated(name string, service credential, in *shape.Received) (a shape.Authentication) {
	n.world.t.Helper()
	rec := n.world.accepted(name, n.handOn(service, in))
	if err := json.Unmarshal(rec.Body.Bytes(), &a); err != nil {
		n.world.t.Fatal(err)
	}
	if (a.Principal == nil) == (a.Error == nil) || a.Position == 0 {
		n.world.t.Errorf("%s: %s", name, rec.Body)
	}
	return a
}

// notAuthenticated checks the error of a request that is handed on.
func (n *node) notAuthenticated(name string, service credential, in *shape.Received, status int, code string) {
	n.world.t.Helper()
	if a := n.authenticated(name, service, in); a.Error == nil || a.Error.Code != code || a.Error.Status != status {
		n.world.t.Errorf("%s: %+v, %+v; not %d %s", name, a.Error, a.Principal, status, code)
	}
}

// emptyHash is the SHA-256 of nothing.
const emptyHash = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

func TestAuthenticateReceived(t *testing.T) {
	w := newWorld(t)
	alice := temporary{credential: w.user("alice", allow("s3:GetObject"))}
	w.must(&identity.TagEntity{Kind: identity.KindUser, Account: account, Name: "alice", AnyCase: true, Tags: []identity.Tag{{Key: "team", Value: "blue"}}})
	front := w.user("front", mayAuthenticate("s3", "orders"))
	get := signedBy{by: alice, method: "GET", target: "/b/a%20b//c+d/../%C3%A4?list-type=2&prefix=a%2Fb", payload: "UNSIGNED-PAYLOAD", service: "s3"}

	a := w.authenticated("a read", front, w.received(get))
	if p := a.Principal; p == nil || p.ARN != userARN("alice") || p.Account != string(account) || p.Kind != "user" || p.AccessKeyID != alice.id || p.ID != "AIDAUSERALICE" ||
		p.Name != "alice" || !slices.Equal(p.Tags, []shape.Tag{{Key: "team", Value: "blue"}}) || p.Expires != nil {
		t.Errorf("the principal is %+v, %+v", a.Principal, a.Error)
	}
	if s := a.Signature; s == nil || s.Service != "s3" || s.Region != "eu-west-1" || s.Payload != shape.PayloadUnsigned || s.Presigned || !s.Signed.Equal(noon) || !slices.Contains(s.Headers, "host") {
		t.Errorf("the signature is %+v", a.Signature)
	}
	for name, payload := range map[string]string{
		shape.PayloadHashed: emptyHash, shape.PayloadStreaming: "STREAMING-AWS4-HMAC-SHA256-PAYLOAD", shape.PayloadStreamingTrailer: "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER",
		shape.PayloadUnsignedTrailer: "STREAMING-UNSIGNED-PAYLOAD-TRAILER",
	} {
		put := signedBy{by: alice, method: "PUT", target: "/b/k", payload: payload, service: "s3", header: http.Header{"X-Amz-Meta-A": {"1"}}}
		if a := w.authenticated(name, front, w.received(put)); a.Signature == nil || a.Signature.Payload != name {
			t.Errorf("%s: %+v, %+v", name, a.Signature, a.Error)
		}
	}
	presigned := get
	presigned.presign, presigned.at = 24*time.Hour, noon.Add(-23*time.Hour)
	if a := w.authenticated("presigned", front, w.received(presigned)); a.Signature == nil || !a.Signature.Presigned || !a.Signature.Until.Equal(noon.Add(time.Hour)) {
		t.Errorf("presigned: %+v, %+v", a.Signature, a.Error)
	}
	orders := signedBy{by: alice, method: "POST", target: "/a/b%20c", payload: emptyHash, service: "orders"}
	if a := w.authenticated("another service", front, w.received(orders)); a.Principal == nil || a.Signature.PayloadHash != emptyHash {
		t.Errorf("another service: %+v", a.Error)
	}
}

// What is wrong with the request that was received is an answer, in AWS's words; what is wrong with
// the call is a problem.
func TestAuthenticateReceivedRefuses(t *testing.T) {
	w := newWorld(t)
	alice, front := temporary{credential: w.user("alice", "")}, w.user("front", mayAuthenticate("s3", "orders"))
	get := signedBy{by: alice, method: "GET", target: "/b/k", payload: "UNSIGNED-PAYLOAD", service: "s3"}
	with := func(change func(*shape.Received)) *shape.Received {
		in := w.received(get)
		change(in)
		return in
	}
	wrong, unknown, late, early, expired := get, get, get, get, get
	wrong.by.secret, unknown.by.id = "x", "AKIANOBODY"
	late.at, early.at = noon.Add(-16*time.Minute), noon.Add(16*time.Minute)
	expired.presign, expired.at = time.Hour, noon.Add(-2*time.Hour)
	hashed := get
	hashed.payload = emptyHash
	body := w.received(hashed)
	body.PayloadHash = strings.Repeat("0", 64)
	for name, c := range map[string]struct {
		in     *shape.Received
		status int
		code   string
	}{
		"wrong secret":    {w.received(wrong), 403, "SignatureDoesNotMatch"},
		"unknown key":     {w.received(unknown), 403, "InvalidAccessKeyId"},
		"too late":        {w.received(late), 403, "RequestTimeTooSkewed"},
		"too early":       {w.received(early), 403, "RequestTimeTooSkewed"},
		"expired":         {w.received(expired), 403, "AccessDenied"},
		"unsigned":        {with(func(in *shape.Received) { delete(in.Headers, "Authorization") }), 403, "AccessDenied"},
		"no form":         {with(func(in *shape.Received) { in.Headers["Authorization"] = []string{"AWS4-HMAC-SHA256 x"} }), 400, "AuthorizationHeaderMalformed"},
		"another path":    {with(func(in *shape.Received) { in.Path = "/b/l" }), 403, "SignatureDoesNotMatch"},
		"another query":   {with(func(in *shape.Received) { in.Query = "acl=" }), 403, "SignatureDoesNotMatch"},
		"another method":  {with(func(in *shape.Received) { in.Method = "PUT" }), 403, "SignatureDoesNotMatch"},
		"another host":    {with(func(in *shape.Received) { in.Headers["host"] = []string{"c.test"} }), 403, "SignatureDoesNotMatch"},
		"another payload": {with(func(in *shape.Received) { in.Headers["X-Amz-Content-Sha256"] = []string{emptyHash} }), 403, "SignatureDoesNotMatch"},
		"no payload":      {with(func(in *shape.Received) { delete(in.Headers, "X-Amz-Content-Sha256") }), 400, "AuthorizationHeaderMalformed"},
		"another region":  {with(func(in *shape.Received) { in.Region = "us-east-1" }), 400, "AuthorizationHeaderMalformed"},
		"another service": {with(func(in *shape.Received) { in.Service, in.Style = "orders", "s3" }), 400, "AuthorizationHeaderMalformed"},
		"not signed":      {with(func(in *shape.Received) { in.Headers["x-amz-acl"] = []string{"public-read"} }), 403, "AccessDenied"},
		"another body":    {body, 400, "XAmzContentSHA256Mismatch"},
		"no such token":   {with(func(in *shape.Received) { in.Headers["X-Amz-Security-Token"] = []string{"x"} }), 403, "AccessDenied"},
	} {
		w.notAuthenticated(name, front, c.in, c.status, c.code)
	}
	w.notAuthenticated("words of other services", front, w.received(signedBy{by: wrong.by, method: "POST", target: "/", payload: emptyHash, service: "orders"}), 403, "SignatureDoesNotMatch")
	w.must(&identity.UpdateAccessKey{Account: account, User: "alice", ID: alice.id})
	w.notAuthenticated("inactive", front, w.received(get), 403, "InvalidAccessKeyId")
	w.must(&identity.DeleteAccessKey{Account: account, User: "alice", ID: alice.id})
	w.notAuthenticated("deleted", front, w.received(get), 403, "InvalidAccessKeyId")

	for name, body := range map[string]string{
		"nothing": `{}`, "no headers": `{"service":"s3","method":"GET","path":"/"}`, "two hosts": `{"service":"s3","method":"GET","path":"/","headers":{"Host":["a","b"]}}`,
		"a header twice": `{"service":"s3","method":"GET","path":"/","headers":{"Host":"a","host":"b"}}`, "a line": `{"service":"s3","method":"GET","path":"/","headers":{"Host":"a\nb"}}`,
		"a query in the path": `{"service":"s3","method":"GET","path":"/?a","headers":{"Host":"a"}}`, "no style": `{"service":"s3","style":"S3","method":"GET","path":"/","headers":{"Host":"a"}}`,
		"no hash": `{"service":"orders","method":"GET","path":"/","headers":{"Host":"a"}}`, "a principal": `{"service":"s3","principal":"x","method":"GET","path":"/","headers":{"Host":"a"}}`,
		"a resource alone": `{"service":"s3","resource":"x","method":"GET","path":"/","headers":{"Host":"a"}}`, "a member twice": `{"service":"s3","service":"s3","method":"GET","path":"/","headers":{"Host":"a"}}`,
		"too many headers": `{"service":"s3","method":"GET","path":"/","headers":{"Host":"a","x":["` + strings.Repeat(`a","`, 256) + `a"]}}`,
		"iam":              `{"service":"iam","method":"GET","path":"/","headers":{"Host":"a"}}`, "STS": `{"service":"STS","method":"GET","path":"/","headers":{"Host":"a"}}`,
		"writ": `{"service":"writ","method":"GET","path":"/","headers":{"Host":"a"}}`,
	} {
		w.problem(name, w.native(front, http.MethodPost, "/v1/authenticate", body), 400, "InvalidRequest")
	}
	ok := `{"service":"sqs","payload_hash":"` + emptyHash + `","method":"GET","path":"/","headers":{"Host":"a"}}`
	w.problem("a service that it may not", w.native(front, http.MethodPost, "/v1/authenticate", ok), 403, "AccessDenied")
	w.problem("nobody", w.handOn(w.user("bob", allow("s3:*")), w.received(get)), 403, "AccessDenied")
	for _, secret := range []string{alice.secret, front.secret} {
		if strings.Contains(w.logs.String(), secret) {
			t.Error("a secret is in the log")
		}
	}
}

// A decision is about the session that signed, with its policies and tags, and not about its role.
func TestAuthenticateReceivedDecides(t *testing.T) {
	w := newWorld(t)
	alice := w.rolesOf("alice", "s3:*")
	w.must(&identity.PutInlinePolicy{Owner: identity.Owner{Kind: identity.KindRole, Account: account, Name: "deploy"}, Name: "tagged",
		Document: `{"Version":"2012-10-17","Statement":{"Effect":"Deny","Action":"s3:DeleteObject","Resource":"*","Condition":{"StringNotEquals":{"aws:PrincipalTag/may":"delete"}}}}`},
		&identity.UpdateTrust{Account: account, Name: "deploy",
			Trust: `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":{"AWS":"AIDAUSERALICE"},"Action":["sts:AssumeRole","sts:TagSession","sts:SetSourceIdentity"]}}`})
	front := w.user("front", mayAuthenticate("s3"))
	narrow := w.assume(alice, "Policy", allow("s3:Get*"), "SourceIdentity", "ada")
	tagged := w.assume(alice, "Tags.member.1.Key", "may", "Tags.member.1.Value", "delete", "TransitiveTagKeys.member.1", "may")
	for _, c := range []struct {
		by             temporary
		action, expect string
	}{
		{narrow, "s3:GetObject", "allow"}, {narrow, "s3:PutObject", "implicitDeny"}, {tagged, "s3:PutObject", "allow"}, {tagged, "s3:DeleteObject", "allow"},
		{w.assume(alice), "s3:DeleteObject", "explicitDeny"},
	} {
		in := w.received(signedBy{by: c.by, method: "GET", target: "/b/k", payload: "UNSIGNED-PAYLOAD", service: "s3"})
		in.Action, in.Resource, in.Context = c.action, "arn:aws:s3:::b/k", shape.Context{"aws:SourceIp": {"192.0.2.7"}}
		a := w.authenticated(c.action, front, in)
		if a.Decision == nil || a.Decision.Decision != c.expect || a.Decision.Position != a.Position {
			t.Errorf("%s: %+v %+v, not %s", c.action, a.Decision, a.Error, c.expect)
		}
	}
	a := w.authenticated("tagged", front, w.received(signedBy{by: tagged, method: "GET", target: "/", payload: "UNSIGNED-PAYLOAD", service: "s3"}))
	if p := a.Principal; p == nil || p.Kind != "role" || p.ARN != "arn:aws:sts::123456789012:assumed-role/deploy/one" || p.Issuer != "arn:aws:iam::123456789012:role/deploy" || p.SessionName != "one" ||
		!slices.Equal(p.SessionTags, []shape.Tag{{Key: "may", Value: "delete"}}) || !slices.Equal(p.Transitive, []string{"may"}) || p.Expires == nil || p.UserID != "AROADEPLOY:one" {
		t.Errorf("the principal is %+v, %+v", a.Principal, a.Error)
	}
	if a := w.authenticated("narrow", front, w.received(signedBy{by: narrow, method: "GET", target: "/", payload: "UNSIGNED-PAYLOAD", service: "s3"})); a.Principal == nil || a.Principal.SourceIdentity != "ada" {
		t.Errorf("the principal is %+v", a.Principal)
	}
	// The decision takes the permission for it.
	mute := w.user("mute", strings.ReplaceAll(mayAuthenticate("s3"), policy.ActionAuthorize, "s3:Get"))
	in := w.received(signedBy{by: narrow, method: "GET", target: "/", payload: "UNSIGNED-PAYLOAD", service: "s3"})
	in.Action = "s3:GetObject"
	w.problem("no permission to ask", w.handOn(mute, in), 403, "AccessDenied")

	lost := narrow
	lost.token = tagged.token
	w.notAuthenticated("another's token", front, w.received(signedBy{by: lost, method: "GET", target: "/", payload: "UNSIGNED-PAYLOAD", service: "s3"}), 400, "InvalidToken")
	w.node.now = func() time.Time { return noon.Add(2 * time.Hour) }
	w.notAuthenticated("ended", front, w.received(signedBy{by: narrow, method: "GET", target: "/", payload: "UNSIGNED-PAYLOAD", service: "s3"}), 400, "ExpiredToken")
}

// A service of an account is told of no other account's credentials, but for one of the cluster's own.
func TestAuthenticateAcrossAccounts(t *testing.T) {
	w := newWorld(t)
	root := temporary{credential: w.stranger()}
	alice := temporary{credential: w.user("alice", "")}
	theirs, ours := w.ada(mayAuthenticate("s3")), w.user("front", mayAuthenticate("s3"))
	of := func(by temporary) *shape.Received {
		return w.received(signedBy{by: by, method: "GET", target: "/", payload: "UNSIGNED-PAYLOAD", service: "s3"})
	}
	w.notAuthenticated("ours by theirs", theirs, of(alice), 403, "InvalidAccessKeyId")
	if a := w.authenticated("theirs by theirs", theirs, of(root)); a.Principal == nil || a.Principal.Kind != "root" {
		t.Errorf("%+v", a.Error)
	}
	if a := w.authenticated("theirs by ours", ours, of(root)); a.Principal == nil {
		t.Errorf("%+v", a.Error)
	}
	for name, c := range map[string]struct {
		service credential
		id      string
		status  int
	}{
		"ours by theirs": {theirs, alice.id, 404}, "nobody's": {theirs, "AKIANOBODY", 404}, "theirs by theirs": {theirs, root.id, 200}, "theirs by ours": {ours, root.id, 200},
	} {
		if rec := w.signingKey(c.service, "127.0.0.1:1", c.id, "", "20260701", "s3"); rec.Code != c.status {
			t.Errorf("%s: %d %s", name, rec.Code, rec.Body)
		}
	}
}

func (n *node) signingKey(service credential, from, id, token, date, name string) *httptest.ResponseRecorder {
	body, _ := json.Marshal(shape.SigningKeyOf{AccessKeyID: id, SessionToken: token, Date: date, Region: "eu-west-1", Service: name})
	return n.nativeFrom(from, service, http.MethodPost, "/v1/signing-key", string(body))
}

func TestSigningKey(t *testing.T) {
	w := newWorld(t)
	alice := w.roles()
	session := w.assume(alice)
	front := w.user("front", mayAuthenticate("s3"))
	const here = "127.0.0.1:1"
	for name, by := range map[string]temporary{"access key": {credential: alice}, "session": session} {
		rec := w.accepted(name, w.signingKey(front, here, by.id, by.token, "20260701", "s3"))
		var key shape.SigningKey
		if err := json.Unmarshal(rec.Body.Bytes(), &key); err != nil {
			t.Fatal(err)
		}
		want := sigv4.DeriveKey([]byte(by.secret), sigv4.Scope{Date: "20260701", Region: "eu-west-1", Service: "s3"})
		if key.Key != hex.EncodeToString(want[:]) || key.Principal.AccessKeyID != by.id || key.GoodMS != 9900 || key.RefreshMS != 4950 || key.Position != w.log.position() {
			t.Errorf("%s: %s", name, rec.Body)
		}
		if rec.Header().Get("Cache-Control") != "no-store" {
			t.Errorf("%s: %v", name, rec.Header())
		}
		if text := strings.Join([]string{key.String(), key.GoString()}, ""); strings.Contains(text, key.Key) {
			t.Error("a key prints itself")
		}
	}
	w.problem("in the clear", w.signingKey(front, "192.0.2.1:1", alice.id, "", "20260701", "s3"), 403, "AccessDenied")
	w.problem("no token", w.signingKey(front, here, session.id, "", "20260701", "s3"), 404, "NoSuchEntity")
	w.problem("a bad token", w.signingKey(front, here, session.id, "x", "20260701", "s3"), 404, "NoSuchEntity")
	for _, name := range []string{"iam", "IAM", "sts", "writ", "", "a b"} {
		w.problem(name, w.signingKey(front, here, alice.id, "", "20260701", name), 400, "InvalidRequest")
	}
	for _, date := range []string{"20260702", "20260623", "2026071", "", "20260732"} {
		w.problem(date, w.signingKey(front, here, alice.id, "", date, "s3"), 400, "InvalidRequest")
	}
	w.accepted("of a week ago", w.signingKey(front, here, alice.id, "", "20260624", "s3"))
	w.problem("a service that it may not", w.signingKey(front, here, alice.id, "", "20260701", "sqs"), 403, "AccessDenied")
	unknown := w.signingKey(front, here, "AKIANOBODY", "", "20260701", "s3").Body.String()
	w.must(&identity.DeleteAccessKey{Account: account, User: "alice", ID: alice.id})
	deleted := w.signingKey(front, here, alice.id, "", "20260701", "s3")
	w.problem("deleted", deleted, 404, "NoSuchEntity")
	if cut := func(s string) string { s, _, _ = strings.Cut(s, `"request_id"`); return s }; cut(deleted.Body.String()) != cut(unknown) {
		t.Errorf("what was deleted is told from what never was: %s, %s", deleted.Body, unknown)
	}
}

// The use of a key for a service is noted under the service, whoever asked.
func TestAuthenticateIsAUse(t *testing.T) {
	var uses usage.Book
	w := newWorld(t, func(c *config) { c.Uses = &uses })
	alice, front := w.user("alice", ""), w.user("front", mayAuthenticate("s3"))
	wrong := signedBy{by: temporary{credential: credential{alice.id, "x"}}, method: "GET", target: "/", payload: "UNSIGNED-PAYLOAD", service: "s3"}
	w.authenticated("wrong", front, w.received(wrong))
	of := func() (found []identity.Use) {
		for _, u := range uses.Take(10, nil) {
			if u.Credential == alice.id {
				found = append(found, u)
			}
		}
		return found
	}
	if found := of(); len(found) > 0 {
		t.Errorf("a wrong signature is a use: %+v", found)
	}
	wrong.by.secret = alice.secret
	w.authenticated("right", front, w.received(wrong))
	if found := of(); len(found) != 1 || found[0].Service != "s3" || found[0].Region != "eu-west-1" {
		t.Errorf("the uses are %+v", found)
	}
	w.accepted("key", w.signingKey(front, "127.0.0.1:1", alice.id, "", "20260701", "s3"))
	if found := of(); len(found) != 1 || found[0].Service != "s3" {
		t.Errorf("the uses are %+v", found)
	}
}

// A key of a replica is good for no longer than its lease; a session that is newer than what a
// replica shows is waited for; and one that has no keys asks the leader.
func TestAuthenticateAtAReplica(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		alice := w.roles()
		front := w.user("front", mayAuthenticate("s3"))
		n, l := w.replica()
		w.log.show(n.projection)
		l.grant(w, n.projection, n.projection.Head())
		time.Sleep(4 * time.Second)
		var key shape.SigningKey
		rec := w.accepted("leased", n.signingKey(front, "127.0.0.1:1", alice.id, "", "20260701", "s3"))
		if err := json.Unmarshal(rec.Body.Bytes(), &key); err != nil {
			t.Fatal(err)
		}
		if key.Freshness != "leased" || key.GoodMS <= 0 || key.GoodMS > 6000 {
			t.Errorf("the key is %s", rec.Body)
		}
		w.must(&identity.CreateUser{Account: account, ID: "AIDANEW", Name: "new", Path: "/"})
		session := w.assume(alice)
		in := w.received(signedBy{by: session, method: "GET", target: "/", payload: "UNSIGNED-PAYLOAD", service: "s3"})
		done := parked(t, func() *httptest.ResponseRecorder { return n.handOn(front, in) })
		w.log.show(n.projection)
		if rec := <-done; rec.Code != 200 || !strings.Contains(rec.Body.String(), "assumed-role/deploy/one") {
			t.Errorf("a new session: %d %s", rec.Code, rec.Body)
		}
	})
}

func TestAuthenticateWithoutKeys(t *testing.T) {
	w := newWorld(t)
	alice, front := w.user("alice", ""), w.user("front", mayAuthenticate("s3"))
	asked := 0
	n := w.addNode(false, func(c *config) {
		c.Seal = nil
		c.Node.Fresh = w.unleased
		c.Node.Forward = func(http.ResponseWriter, *http.Request, admission.Forwarded) error { return errors.New("nobody leads") }
		c.Node.Votes = true
		c.Node.Confirm = func(_ context.Context, claim sigv4.Claim) (admission.Confirmed, error) {
			asked++
			return w.server.Confirms(&claim)
		}
	})
	w.log.show(n.projection)
	in := w.received(signedBy{by: temporary{credential: alice}, method: "GET", target: "/", payload: "UNSIGNED-PAYLOAD", service: "s3"})
	if a := n.authenticated("good", front, in); a.Principal == nil || a.Principal.ARN != userARN("alice") {
		t.Errorf("%+v", a.Error)
	}
	in.Path = "/x"
	n.notAuthenticated("wrong", front, in, 403, "SignatureDoesNotMatch")
	if asked < 3 {
		t.Errorf("the leader was asked %d times", asked)
	}
	rec := n.signingKey(front, "127.0.0.1:1", alice.id, "", "20260701", "s3")
	w.problem("a key", rec, 503, "Unavailable") // the leader gives it, and is not there
}

// What services hand on takes places on their own account, whoever is said to have signed it: one
// that asks the leader about many takes no place of another.
func TestReceivedTakesPlacesOfItsService(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		alice, front, back := w.user("alice", ""), w.user("front", mayAuthenticate("s3")), w.user("back", mayAuthenticate("s3"))
		in, err := json.Marshal(w.received(signedBy{by: temporary{credential: alice}, method: "GET", target: "/", payload: "UNSIGNED-PAYLOAD", service: "s3"}))
		if err != nil {
			t.Fatal(err)
		}
		n := w.addNode(false, func(c *config) {
			c.Seal, c.Node.Votes, c.Node.Fresh, c.Limits = nil, true, w.unleased, admission.Limits{Signatures: 8, StrangersSignatures: 8}
			c.Node.Confirm = func(ctx context.Context, claim sigv4.Claim) (admission.Confirmed, error) {
				if claim.AccessKeyID != alice.id {
					return w.server.Confirms(&claim)
				}
				<-ctx.Done()
				return admission.Confirmed{}, ctx.Err()
			}
		})
		w.log.show(n.projection)
		ask := func(service credential) *held {
			return n.hold(n.signed(service, http.MethodPost, "/v1/authenticate", string(in)))
		}
		all := []*held{ask(front), ask(front)}
		for _, h := range all {
			if h.answered() {
				t.Fatalf("it is not asked about: %d %s", h.rec.Code, h.rec.Body)
			}
		}
		if h := ask(front); !h.answered() || h.rec.Code != http.StatusServiceUnavailable || !strings.Contains(h.rec.Body.String(), "as many as one caller may have") {
			t.Errorf("a third is taken: %d %s", h.rec.Code, h.rec.Body)
		}
		all = append(all, ask(back))
		if h := all[2]; h.answered() {
			t.Errorf("another service finds no place: %d %s", h.rec.Code, h.rec.Body)
		}
		for _, h := range all {
			h.end()
		}
	})
}
