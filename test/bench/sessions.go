package main

import (
	"bytes"
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/writ-iam/writ/node/client"
	"github.com/writ-iam/writ/node/setup"
	"github.com/writ-iam/writ/node/sigv4"
	"github.com/writ-iam/writ/test/cluster"
)

// Of the figures of sessions.
const (
	sessionClients = 64
	sessionRole    = "arn:aws:iam::" + setup.DefaultAccount + ":role/deploy"
	mayAsk         = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["writ:*","sts:AssumeRole"],"Resource":"*"}]}`
	mayAssume      = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"` + setup.DefaultAccount + `"},"Action":"sts:AssumeRole"}]}`
	question       = `{"principal":"arn:aws:iam::` + setup.DefaultAccount + `:user/alice","action":"s3:GetObject","resource":"arn:aws:s3:::bucket/key"}`
	assumeRole     = "Action=AssumeRole&Version=2011-06-15&RoleSessionName=bench&RoleArn=arn%3Aaws%3Aiam%3A%3A" + setup.DefaultAccount + "%3Arole%2Fdeploy"
)

// credentials are those of a caller.
type credentials struct{ id, secret, token string }

// measureSessions is AssumeRole at a replica, beside a bare handler that does the same
// cryptography; and decisions at a replica for callers with session tokens, a session for each
// connection, beside those of a user with an access key and the same permission.
func measureSessions(ctx context.Context, o options) (err error) {
	c, stop, err := started(ctx, o)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, stop()) }()
	replica, err := c.Node("replica-1")
	if err != nil {
		return err
	}
	caller, err := callers(ctx, c)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	bare, err := setup.FreeAddrs(1)
	if err != nil {
		return err
	}
	if err := child(ctx, "limit-mint", bare[0]); err != nil {
		return err
	}
	assume, err := caller.signed("sts", replica.URL+"/", "application/x-www-form-urlencoded", assumeRole)
	if err != nil {
		return err
	}
	time.Sleep(500 * time.Millisecond) // for the bare handler to listen
	at := func(addr string, requests source) func(context.Context, time.Duration) (round, error) {
		return func(ctx context.Context, d time.Duration) (round, error) {
			return load(ctx, addr, sessionClients, d, requests)
		}
	}
	same := func(int, int) ([]byte, error) { return assume, nil }
	ours, limit, err := alternate(ctx, o, at(host(replica.URL), same), at(bare[0], same))
	if err != nil {
		return err
	}
	tell(fmt.Sprintf("AssumeRole, %d connections", sessionClients), ours, limit)

	asked, err := caller.questions(ctx, replica.URL)
	if err != nil {
		return err
	}
	byKey, err := caller.signed("writ", replica.URL+"/v1/authorize", "application/json", question)
	if err != nil {
		return err
	}
	ours, limit, err = alternate(ctx, o,
		at(host(replica.URL), func(client, _ int) ([]byte, error) { return asked[client], nil }),
		at(host(replica.URL), func(int, int) ([]byte, error) { return byKey, nil }))
	if err != nil {
		return err
	}
	tell("decisions by session, beside by key", ours, limit)
	return nil
}

// questions are of sessions that the caller asks for, each a question.
func (c credentials) questions(ctx context.Context, at string) (list [][]byte, err error) {
	for range sessionClients {
		s, err := c.assume(ctx, at)
		if err != nil {
			return nil, err
		}
		request, err := s.signed("writ", at+"/v1/authorize", "application/json", question)
		if err != nil {
			return nil, err
		}
		list = append(list, request)
	}
	return list, nil
}

// callers makes a user with an access key, and a role with the same permission that the user
// may assume.
func callers(ctx context.Context, c *cluster.Cluster) (of credentials, err error) {
	if err := aliceOf(ctx, c); err != nil {
		return of, err
	}
	w, err := c.Client(c.Env["WRIT_ENDPOINT"])
	if err != nil {
		return of, err
	}
	var key struct {
		ID     string `xml:"CreateAccessKeyResult>AccessKey>AccessKeyId"`
		Secret string `xml:"CreateAccessKeyResult>AccessKey>SecretAccessKey"`
	}
	for _, form := range []url.Values{
		{"Action": {"CreateUser"}, "UserName": {"caller"}},
		{"Action": {"PutUserPolicy"}, "UserName": {"caller"}, "PolicyName": {"own"}, "PolicyDocument": {mayAsk}},
		{"Action": {"CreateRole"}, "RoleName": {"deploy"}, "AssumeRolePolicyDocument": {mayAssume}},
		{"Action": {"PutRolePolicy"}, "RoleName": {"deploy"}, "PolicyName": {"own"}, "PolicyDocument": {mayAsk}},
		{"Action": {"CreateAccessKey"}, "UserName": {"caller"}},
	} {
		a, err := w.Query(ctx, "iam", form.Get("Action"), form)
		if err != nil {
			return of, err
		}
		if err := xml.Unmarshal(a.Body, &key); err != nil {
			return of, fmt.Errorf("read an answer: %w", err)
		}
	}
	of = credentials{id: key.ID, secret: key.Secret}
	if _, err := w.Propagation(ctx, client.Target{}, client.Scope{}, 30*time.Second); err != nil {
		return of, err
	}
	_, err = of.assume(ctx, c.Env["WRIT_ENDPOINT"]) // which makes the session key
	if err == nil {
		_, err = w.Propagation(ctx, client.Target{}, client.Scope{}, 30*time.Second)
	}
	return of, err
}

// signed returns the bytes of a signed request.
func (c credentials) signed(service, to, contentType, body string) ([]byte, error) {
	r, err := http.NewRequest(http.MethodPost, to, bytes.NewReader([]byte(body)))
	if err != nil {
		return nil, fmt.Errorf("make a request: %w", err)
	}
	r.Header.Set("Content-Type", contentType)
	if c.token != "" {
		r.Header.Set("X-Amz-Security-Token", c.token)
	}
	s := sigv4.Signer{AccessKeyID: c.id, SecretAccessKey: c.secret, Region: "us-east-1", Service: service}
	s.Sign(r, sha256.Sum256([]byte(body)), time.Now())
	var b bytes.Buffer
	if err := r.Write(&b); err != nil {
		return nil, fmt.Errorf("write a request: %w", err)
	}
	return b.Bytes(), nil
}

// assume asks a node for a session.
func (c credentials) assume(ctx context.Context, at string) (s credentials, err error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, at+"/", bytes.NewReader([]byte(assumeRole)))
	if err != nil {
		return s, fmt.Errorf("make a request: %w", err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	signer := sigv4.Signer{AccessKeyID: c.id, SecretAccessKey: c.secret, Region: "us-east-1", Service: "sts"}
	signer.Sign(r, sha256.Sum256([]byte(assumeRole)), time.Now())
	a, err := http.DefaultClient.Do(r)
	if err != nil {
		return s, fmt.Errorf("assume the role: %w", err)
	}
	defer a.Body.Close()
	text, err := io.ReadAll(a.Body)
	var said struct {
		ID     string `xml:"AssumeRoleResult>Credentials>AccessKeyId"`
		Secret string `xml:"AssumeRoleResult>Credentials>SecretAccessKey"`
		Token  string `xml:"AssumeRoleResult>Credentials>SessionToken"`
	}
	if err = errors.Join(err, xml.Unmarshal(text, &said)); err != nil || said.Token == "" {
		return s, fmt.Errorf("assume the role: %s, %.300s, %w", a.Status, text, err)
	}
	return credentials{said.ID, said.Secret, said.Token}, nil
}

// claimed is about how many bytes a session without policies and tags has, and canonical those
// of a canonical request.
const claimed, canonical = 150, 400

// limitMint does the cryptography of AssumeRole, and nothing else: it hashes body and
// canonical request, makes the signature by a derived key, draws and seals a session, and makes its
// secret.
func limitMint(api string) error {
	key := make([]byte, 32)
	rand.Read(key) // never fails
	block, err := aes.NewCipher(key)
	if err != nil {
		return fmt.Errorf("make a cipher: %w", err)
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		return fmt.Errorf("make a cipher: %w", err)
	}
	return http.ListenAndServe(api, http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		body, err := io.ReadAll(q.Body)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		hash := sha256.Sum256(body)
		request := sha256.Sum256(append(hash[:], make([]byte, canonical)...))
		signature := hmac.New(sha256.New, key)
		signature.Write(request[:])
		drawn, plain := make([]byte, 22), make([]byte, claimed)
		rand.Read(drawn) // never fails
		token := aead.Seal(nil, drawn[:12], append(plain, signature.Sum(nil)[0]), drawn)
		secret := hmac.New(sha256.New, key)
		secret.Write(drawn)
		w.Header().Set("Content-Type", "text/xml")
		fmt.Fprintf(w, "<AssumeRoleResponse><Token>%s</Token><Secret>%s</Secret></AssumeRoleResponse>",
			base64.RawURLEncoding.EncodeToString(token), base64.StdEncoding.EncodeToString(secret.Sum(nil)[:30]))
	}))
}
