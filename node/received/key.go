package received

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"net/netip"
	"time"

	"github.com/writ-iam/writ/node/api/shape"
	"github.com/writ-iam/writ/node/dispatch"
	"github.com/writ-iam/writ/node/fault"
	"github.com/writ-iam/writ/node/freshness"
	"github.com/writ-iam/writ/node/sigv4"
	"github.com/writ-iam/writ/projection/policy"
)

const (
	// MaxKeyLife is for how long a signing key is gone by at most, before whether it is still good
	// must be asked anew: no longer than a lease lasts. So a service knows of a deleted access key
	// as soon as a replica does that is cut off.
	MaxKeyLife = 10 * time.Second
	// drift is by how much of its time a key is gone by for less, since the clock of the service may
	// be as slow as that: a hundredth.
	drift = 100
	// maxToken bounds a session token, in bytes.
	maxToken = 4096
)

// dateLayout is that of the date in a credential scope.
const dateLayout = "20060102"

// SigningKey gives the caller of x the signing key of an access key, as JSON of a shape.SigningKey.
// Where this node has no keys that open secrets, body and error are nil: the leader has answered.
// There is one answer for an access key that does not exist, is not active, or is not for the
// caller to verify.
func (d *Desk) SigningKey(x *dispatch.Exchange) ([]byte, error) {
	if !x.Desk.Seals() {
		return nil, x.HandOn(0)
	}
	if err := x.Authenticate(freshness.ForSession); err != nil {
		return nil, err
	}
	var in shape.SigningKeyOf
	if err := fault.DecodeBody(x.Payload, &in, "signing key", hintKey); err != nil {
		return nil, err
	}
	if err := checkKey(&in, x.Now); err != nil {
		return nil, err
	}
	if err := x.May(Access(policy.ActionGetSigningKey, in.Service, x.Caller.Account)); err != nil {
		return nil, err
	}
	if !x.Secure && !loopback(x.Source) {
		return nil, fault.New(fault.Denied, "A signing key is a secret, and this connection is in the clear.", "Use https, or a node on loopback.")
	}
	scope := sigv4.Scope{Date: in.Date, Region: in.Region, Service: in.Service}
	key, by, p, err := x.Desk.SigningKey(&x.Request, x.Seen.View, in.AccessKeyID, in.SessionToken, scope)
	if err == nil && !d.serves(x, &by) {
		err = sigv4.ErrInvalidClientTokenID
	}
	var refused *sigv4.Error
	switch {
	case errors.As(err, &refused):
		return nil, fault.New(fault.NoSuchEntity, "There are no such credentials, or they are not in force, or not for this service to verify.",
			"Refuse the request. POST /v1/authenticate says in which words.")
	case err != nil:
		return nil, err
	}
	x.Used(&by, scope, "")
	good := MaxKeyLife
	if x.Seen.Remaining > 0 {
		good = min(good, x.Seen.Remaining)
	}
	if by.Claims != nil {
		good = min(good, by.Claims.Expires.Sub(x.Now))
	}
	good -= good / drift
	at := d.at(x, shape.Authentication{})
	return json.Marshal(&shape.SigningKey{
		Key: hex.EncodeToString(key[:]), Principal: principalOf(&by, p), Date: in.Date, Region: in.Region, Service: in.Service,
		GoodMS: good.Milliseconds(), RefreshMS: good.Milliseconds() / 2,
		Position: at.Position, KnownHead: at.KnownHead, Freshness: at.Freshness, Cluster: at.Cluster, Incarnation: at.Incarnation, Node: at.Node,
	})
}

// checkKey checks what is asked for. The date is one of requests that are good at the time: a
// key of a day to come would be good on that day whatever became of the access key.
func checkKey(in *shape.SigningKeyOf, now time.Time) error {
	if err := CheckService(in.Service, hintKey); err != nil {
		return err
	}
	day, err := time.Parse(dateLayout, in.Date)
	first, last := now.UTC().Add(-sigv4.MaxExpires-sigv4.MaxClockSkew).Truncate(24*time.Hour), now.UTC().Add(sigv4.MaxClockSkew)
	switch {
	case err != nil || in.Date != day.Format(dateLayout):
		return fault.BadRequest(hintKey, "The date is none: it is that of a credential scope, such as 20260701.")
	case day.Before(first) || day.After(last):
		return fault.BadRequest(hintKey, "No request that was signed on the date is good now.")
	case !sigv4.Plain(in.Region, sigv4.MaxRegion):
		return fault.BadRequest(hintKey, "The region is none.")
	case !sigv4.Plain(in.AccessKeyID, sigv4.MaxAccessKeyID) || in.AccessKeyID == "":
		return fault.BadRequest(hintKey, "The access_key_id is none.")
	case len(in.SessionToken) > maxToken:
		return fault.BadRequest(hintKey, "The session_token is longer than %d bytes.", maxToken)
	}
	return nil
}

// loopback tells whether an address is the machine's own.
func loopback(source string) bool {
	addr, err := netip.ParseAddr(source)
	return err == nil && addr.IsLoopback()
}
