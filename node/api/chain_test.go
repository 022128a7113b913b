package api_test

import (
	"context"
	"encoding/xml"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/writ-iam/writ/log/identity"
	"github.com/writ-iam/writ/node/admission"
	"github.com/writ-iam/writ/node/federation/issuertest"
	"github.com/writ-iam/writ/node/sigv4"
)

// chainRoles are roles one, two and three, which trust whoever is named and one another, and may
// assume one another.
func (w *world) chainRoles(principal string) {
	w.t.Helper()
	for _, name := range []string{"one", "two", "three"} {
		w.must(&identity.CreateRole{Account: account, ID: identity.ID("AROA" + strings.ToUpper(name)), Name: name, Path: "/", MaxSession: 3600,
			Trust: `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":` + principal + `,"Action":["sts:AssumeRole","sts:AssumeRoleWithWebIdentity"]},
				{"Effect":"Allow","Principal":{"AWS":"*"},"Action":"sts:AssumeRole"}]}`},
			&identity.PutInlinePolicy{Owner: identity.Owner{Kind: identity.KindRole, Account: account, Name: name}, Name: "own", Document: allow("*")})
	}
}

// become has a session, or a key, assume a role.
func (w *world) become(c temporary, role string) temporary {
	w.t.Helper()
	pairs := []string{"RoleArn", "arn:aws:iam::123456789012:role/" + role, "RoleSessionName", "job"}
	if c.token != "" {
		pairs = append(pairs, "@X-Amz-Security-Token", c.token)
	}
	r, body := form(stsVersion, "AssumeRole", pairs...)
	return w.assumedIn(w.serve(w.sign(r, c.credential, "sts", body)))
}

// through are the sessions of a chain through three roles.
func (w *world) through(c temporary) []temporary {
	w.t.Helper()
	var chain []temporary
	for _, name := range []string{"one", "two", "three"} {
		c = w.become(c, name)
		w.accepted(name, w.as(c, "ListUsers"))
		chain = append(chain, c)
	}
	return chain
}

// What ends the beginning of a chain ends every session of it, and no other chain.
func TestChainsEnd(t *testing.T) {
	for name, end := range map[string]func(w *world, alice credential){
		"the key is revoked": func(w *world, alice credential) { w.accepted("revoke", w.revoke(`{"key":"`+alice.id+`"}`)) },
		"the user is revoked": func(w *world, _ credential) {
			w.accepted("revoke", w.revoke(`{"principal":"arn:aws:iam::123456789012:user/alice"}`))
		},
		"what was issued until now is revoked": func(w *world, alice credential) {
			w.accepted("revoke", w.revoke(`{"key":"`+alice.id+`","issued_before":"`+w.node.now().UTC().Format(time.RFC3339)+`"}`))
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			alice, bob := w.user("alice", ""), w.user("bob", "")
			w.chainRoles(`{"AWS":["AIDAUSERALICE","AIDAUSERBOB"]}`)
			chain, others := w.through(temporary{credential: alice}), w.through(temporary{credential: bob})
			w.accepted("a write", w.as(chain[2], "CreateGroup", "GroupName", "g"))
			origin := w.log.batches[w.log.position()-1].Cause.By.Session.Origin
			if origin.Account != account || origin.Principal != "AIDAUSERALICE" || origin.Key != alice.id || origin.Began == 0 {
				t.Errorf("the log says that the chain began with %+v", origin)
			}
			end(w, alice)
			for depth, c := range chain {
				w.refusedEverywhere(fmt.Sprintf("link %d", depth), c, "InvalidClientTokenId", "")
			}
			for depth, c := range others {
				w.accepted(fmt.Sprintf("link %d of another", depth), w.as(c, "ListUsers"))
			}
			now := w.node.now()
			w.node.now = func() time.Time { return now.Add(time.Second) }
			w.accepted("a new chain", w.as(w.become(temporary{credential: alice}, "one"), "ListUsers"))
		})
	}
}

// Roles that a user assumed go on when the user is deleted, as at AWS, and can still be ended by
// its access key.
func TestChainsOutliveTheirUser(t *testing.T) {
	w := newWorld(t)
	alice := w.user("alice", "")
	w.chainRoles(`{"AWS":"AIDAUSERALICE"}`)
	chain := w.through(temporary{credential: alice})
	w.must(&identity.DeleteAccessKey{Account: account, User: "alice", ID: alice.id}, &identity.DeleteUser{Account: account, Name: "alice"})
	for depth, c := range chain {
		w.accepted(fmt.Sprintf("link %d", depth), w.as(c, "ListUsers"))
	}
	w.accepted("revoke", w.revoke(`{"key":"`+alice.id+`"}`))
	for depth, c := range chain {
		w.refusedEverywhere(fmt.Sprintf("link %d", depth), c, "InvalidClientTokenId", "")
	}
}

// A chain that goes on after a moment began before it.
func TestChainsEndByTheirBeginning(t *testing.T) {
	w := newWorld(t)
	alice := w.user("alice", "")
	w.chainRoles(`{"AWS":"AIDAUSERALICE"}`)
	first := w.become(temporary{credential: alice}, "one")
	now := w.node.now()
	w.node.now = func() time.Time { return now.Add(10 * time.Second) }
	second, fresh := w.become(first, "two"), w.become(temporary{credential: alice}, "one")
	w.accepted("revoke", w.revoke(`{"key":"`+alice.id+`","issued_before":"`+now.Add(time.Second).UTC().Format(time.RFC3339)+`"}`))
	w.refusedEverywhere("what was made later of it", second, "InvalidClientTokenId", "")
	w.accepted("another chain", w.as(fresh, "ListUsers"))
}

// A chain into another account ends by the account in which it began.
func TestChainsIntoOtherAccounts(t *testing.T) {
	w := newWorld(t)
	alice := w.user("alice", "")
	w.must(&identity.CreateAccount{ID: other},
		&identity.CreateRole{Account: other, ID: "AROATHERE", Name: "there", Path: "/", MaxSession: 3600,
			Trust: `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::123456789012:root"},"Action":"sts:AssumeRole"}}`},
		&identity.PutInlinePolicy{Owner: identity.Owner{Kind: identity.KindRole, Account: other, Name: "there"}, Name: "own", Document: allow("*")})
	w.chainRoles(`{"AWS":"AIDAUSERALICE"}`)
	one := w.become(temporary{credential: alice}, "one")
	r, body := form(stsVersion, "AssumeRole", "RoleArn", "arn:aws:iam::"+string(other)+":role/there", "RoleSessionName", "job", "@X-Amz-Security-Token", one.token)
	there := w.assumedIn(w.serve(w.sign(r, one.credential, "sts", body)))
	w.accepted("there", w.as(there, "ListUsers"))
	w.accepted("revoke", w.revoke(`{"key":"`+alice.id+`"}`))
	w.refused("there, after", w.as(there, "ListUsers"), http.StatusForbidden, "InvalidClientTokenId", "")
}

// Sessions of web identities, of GetSessionToken and of those who signed in begin chains as well.
func TestChainsOfOtherKinds(t *testing.T) {
	f := newFederated(t)
	f.chainRoles(`{"Federated":"` + providerARN + `"}`)
	r, _ := form(stsVersion, "AssumeRoleWithWebIdentity", "RoleArn", "arn:aws:iam::123456789012:role/one", "RoleSessionName", "job", "WebIdentityToken", f.issuer.Token(map[string]any{"sub": issuertest.Subject}))
	_, first := f.assumed(f.serve(r))
	third := f.become(f.become(first, "two"), "three")
	f.accepted("a web identity's third", f.as(third, "ListUsers"))
	f.accepted("revoke the first role", f.revoke(`{"principal":"arn:aws:iam::123456789012:role/one"}`))
	f.refusedEverywhere("a web identity's third", third, "InvalidClientTokenId", "")

	w := newWorld(t)
	alice := w.user("alice", "")
	w.chainRoles(`{"AWS":"AIDAUSERALICE"}`)
	q, body := form(stsVersion, "GetSessionToken")
	var said struct {
		ID     string `xml:"GetSessionTokenResult>Credentials>AccessKeyId"`
		Secret string `xml:"GetSessionTokenResult>Credentials>SecretAccessKey"`
		Token  string `xml:"GetSessionTokenResult>Credentials>SessionToken"`
	}
	if err := xml.Unmarshal(w.accepted("GetSessionToken", w.serve(w.sign(q, alice, "sts", body))).Body.Bytes(), &said); err != nil {
		t.Fatal(err)
	}
	token := temporary{credential{said.ID, said.Secret}, said.Token}
	second := w.become(w.become(token, "one"), "two")
	w.accepted("revoke the key", w.revoke(`{"key":"`+alice.id+`"}`))
	w.refusedEverywhere("two roles after GetSessionToken", second, "InvalidClientTokenId", "")
}

// A replica, with keys or without, ends a chain at the position of the revocation, and so does the
// leader, by whatever node a write came.
func TestChainsEndAtReplicas(t *testing.T) {
	for _, keyless := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t)
			alice := w.user("alice", "")
			w.chainRoles(`{"AWS":"AIDAUSERALICE"}`)
			chain := w.through(temporary{credential: alice})
			n, l := w.replica(func(cfg *config) {
				if keyless {
					cfg.Seal = nil
					cfg.Node.Confirm = func(_ context.Context, claim sigv4.Claim) (admission.Confirmed, error) {
						return w.server.Confirms(&claim)
					}
				}
			})
			w.log.show(n.projection)
			l.grant(w, n.projection, n.projection.Head())
			w.accepted("the last link", n.as(chain[2], "ListUsers"))
			w.accepted("revoke", w.revoke(`{"key":"`+alice.id+`"}`))
			w.log.show(n.projection)
			l.grant(w, n.projection, n.projection.Head())
			for depth, c := range chain {
				w.refused(fmt.Sprintf("link %d", depth), n.as(c, "ListUsers"), http.StatusForbidden, "InvalidClientTokenId", "")
			}
		})
	}
}
