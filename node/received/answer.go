package received

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/writ-iam/writ/log/event"
	"github.com/writ-iam/writ/log/identity"
	"github.com/writ-iam/writ/node/admission"
	"github.com/writ-iam/writ/node/api/shape"
	"github.com/writ-iam/writ/node/decision"
	"github.com/writ-iam/writ/node/dispatch"
	"github.com/writ-iam/writ/node/fault"
	"github.com/writ-iam/writ/node/freshness"
	"github.com/writ-iam/writ/node/sigv4"
	"github.com/writ-iam/writ/projection"
	"github.com/writ-iam/writ/projection/authz"
	"github.com/writ-iam/writ/projection/policy"
)

// Config is what a Desk is made of. All fields are required.
type Config struct {
	Name       string             // of the node
	Account    identity.AccountID // the cluster's own
	Views      *freshness.Views
	Projection *projection.Projection
}

// Desk answers services. Safe for concurrent use.
type Desk struct{ cfg Config }

// New returns a desk.
func New(cfg Config) *Desk { return &Desk{cfg} }

// Authenticate says who signed a request that the caller of x received, as JSON of a
// shape.Authentication, in a view that is known to be current. A request that nobody signed, or
// not well, is an answer too: errors are about the caller's own call. k decides what the caller asks
// about whoever signed; it needs the permission for that, too.
func (d *Desk) Authenticate(x *dispatch.Exchange, k *decision.Asker) ([]byte, error) {
	if err := x.Authenticate(freshness.ForSession); err != nil {
		return nil, err
	}
	in, err := Parse(x.Payload)
	if err != nil {
		return nil, err
	}
	may := Access(policy.ActionAuthenticate, in.Service, x.Caller.Account)
	if err := x.May(may); err != nil {
		return nil, err
	}
	by, p, sig, err := d.signer(x, in, may)
	var refused *sigv4.Error
	switch {
	case errors.As(err, &refused):
		said := refused.In(in.Style, sigv4.Presigned(in.HTTP), in.HTTP.Header.Get("X-Amz-Security-Token") != "" || sig != nil && sig.SessionToken != "")
		return json.Marshal(d.at(x, shape.Authentication{Error: &shape.AuthenticationError{Code: said.Code, Message: said.Message, Status: said.Status}}))
	case err != nil:
		return nil, err
	}
	x.Used(&by, sig.Scope, "")
	said := principalOf(&by, p)
	body, err := json.Marshal(d.at(x, shape.Authentication{Principal: &said, Signature: factsOf(sig, in)}))
	if err != nil || in.Question.Action == "" {
		return body, err
	}
	in.Question.Principal = by.ARN
	return decided(body, k, in, p, sig)
}

// decided adds the decision about whoever signed.
func decided(body []byte, k *decision.Asker, in *Request, p *projection.Principal, sig *sigv4.Signature) ([]byte, error) {
	body = append(body[:len(body)-1], `,"decision":`...)
	body, err := k.AnswerOf(body, &in.Question, p, sig.Scope.Region)
	if err != nil {
		return nil, err
	}
	return append(body, '}'), nil
}

// signer finds out who signed a request. Of a refusal the error is a *sigv4.Error.
func (d *Desk) signer(x *dispatch.Exchange, in *Request, may admission.Access) (by admission.Caller, p *projection.Principal, sig *sigv4.Signature, err error) {
	if sig, err = sigv4.ParseAs(in.HTTP, x.Now, in.Style); err != nil {
		return by, nil, nil, err
	}
	if err = sig.CheckService(in.Service); err == nil {
		err = sig.CheckRegion(in.Region)
	}
	if err != nil {
		return by, nil, sig, err
	}
	if in.Style == sigv4.StyleS3 && in.Hashed && sig.Payload == sigv4.PayloadHashed && sig.PayloadSHA256 != in.BodyHash {
		return by, nil, sig, sigv4.ErrContentMismatch
	}
	q := x.Request.Received(in.HTTP, in.BodyHash)
	if sig.SessionToken != "" {
		if err := d.reach(x, &q, sig, may); err != nil {
			return by, nil, sig, err
		}
	}
	if by, p, err = x.Desk.Authenticate(&q, sig, x.Seen.View); err != nil {
		return by, nil, sig, err
	}
	if !d.serves(x, &by) {
		return by, nil, sig, sigv4.ErrInvalidClientTokenID
	}
	return by, p, sig, nil
}

// serves tells whether the caller of x may be told of credentials: those of its own account, or if
// that is the cluster's own, of all. To others there are no such credentials.
func (d *Desk) serves(x *dispatch.Exchange, by *admission.Caller) bool {
	return by.Account == x.Caller.Account || x.Caller.Account == d.cfg.Account
}

// reach waits until the node shows where a session was made, since its role may be as new; and
// finds the view anew, and the caller's right in it.
func (d *Desk) reach(x *dispatch.Exchange, q *admission.Request, sig *sigv4.Signature, may admission.Access) error {
	known, err := x.Desk.Recognize(q, sig)
	if err != nil {
		return err
	}
	at := q.MintedAt()
	if known && at <= x.Seen.View.Head.Position {
		return nil
	}
	place := admission.Waiting
	if !known { // by a session key that the node may yet have to hear of: anybody can make up such
		place = admission.Strangers
	}
	free, err := x.Desk.Take(place, &x.Request)
	if err != nil {
		return err
	}
	defer free()
	if err := d.wait(x.Context(), at, known); err != nil {
		return err
	}
	if err := x.Authenticate(freshness.ForSession); err != nil {
		return err
	}
	return x.May(may)
}

func (d *Desk) wait(ctx context.Context, at event.Position, known bool) error {
	if !known {
		_, err := d.cfg.Views.ReachHead(ctx)
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, admission.DefaultWait)
	defer cancel()
	if _, err := d.cfg.Projection.Wait(ctx, at); err != nil {
		return fault.Later(fmt.Sprintf("Position %d was not reached in time.", at), err)
	}
	return nil
}

// at says where an answer holds.
func (d *Desk) at(x *dispatch.Exchange, a shape.Authentication) *shape.Authentication {
	cluster := x.Seen.View.Cluster()
	a.Position, a.Freshness, a.Node = x.Seen.View.Head.Position, x.Seen.Mode, d.cfg.Name
	a.KnownHead, a.LeaseMS = max(x.Seen.KnownHead, a.Position), x.Seen.Remaining.Milliseconds()
	a.Cluster, a.Incarnation = cluster.ID, cluster.Incarnation
	return &a
}

// payloads are what the payloads of signatures are called.
var payloads = [...]string{
	sigv4.PayloadHashed: shape.PayloadHashed, sigv4.PayloadUnsigned: shape.PayloadUnsigned, sigv4.PayloadStreaming: shape.PayloadStreaming,
	sigv4.PayloadStreamingTrailer: shape.PayloadStreamingTrailer, sigv4.PayloadUnsignedTrailer: shape.PayloadUnsignedTrailer,
}

// factsOf is what a signature covers.
func factsOf(sig *sigv4.Signature, in *Request) *shape.SignatureFacts {
	f := &shape.SignatureFacts{
		Service: sig.Scope.Service, Region: sig.Scope.Region, Presigned: sig.Presigned, Signed: sig.Time, Until: sig.Until, Headers: sig.Names(), Payload: payloads[sig.Payload],
	}
	switch {
	case in.Style == sigv4.StyleAWS:
		f.PayloadHash = hex.EncodeToString(in.BodyHash[:])
	case sig.Payload == sigv4.PayloadHashed:
		f.PayloadHash = hex.EncodeToString(sig.PayloadSHA256[:])
	}
	return f
}

// principalOf is what is told of whoever signed.
func principalOf(by *admission.Caller, p *projection.Principal) shape.Authenticated {
	a := shape.Authenticated{
		ARN: by.ARN, Account: string(by.Account), Kind: dispatch.KindOf(by), UserID: by.UserID, ID: string(by.ID), Name: by.Name, AccessKeyID: by.AccessKey,
		Issuer: p.Issuer, SourceIdentity: p.SourceIdentity, Provider: p.FederatedProvider, MFA: timeOf(p.MFA), Tags: tagsOf(p.Tags),
	}
	c := by.Claims
	if c == nil {
		a.Kind = shape.KindRootSession
		if by.Kind == admission.KindUser {
			a.Kind = shape.KindUserSession
		}
		return a
	}
	a.SessionName, a.Transitive, a.Issued, a.Expires = c.Name, c.Transitive, timeOf(c.Issued), timeOf(c.Expires)
	for _, t := range c.Tags {
		a.SessionTags = append(a.SessionTags, shape.Tag{Key: t.Key, Value: t.Value})
	}
	return a
}

func timeOf(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &t
}

func tagsOf(list []authz.Tag) (tags []shape.Tag) {
	for _, t := range list {
		tags = append(tags, shape.Tag{Key: t.Key, Value: t.Value})
	}
	return tags
}
