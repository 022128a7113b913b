package native

import (
	"github.com/writ-iam/writ/log/event"
	"github.com/writ-iam/writ/log/identity"
	"github.com/writ-iam/writ/node/admission"
	"github.com/writ-iam/writ/node/api/shape"
	"github.com/writ-iam/writ/node/dispatch"
	"github.com/writ-iam/writ/node/fault"
	"github.com/writ-iam/writ/node/federation/oidc"
	"github.com/writ-iam/writ/projection"
)

// setProviderKeys answers POST /v1/providers/keys: it gives the keys of an OpenID Connect
// provider of the caller's account, for whom nodes do not reach.
type setProviderKeys struct{ *API }

func (s setProviderKeys) serve(c *call) error {
	p := &keysToSet{call: c}
	batch, _, err := c.Write(service, actionSetProviderKeys, p)
	if err != nil || batch == nil {
		return err
	}
	done := shape.ProviderKeysChange{Position: batch.Position, Token: dispatch.TokenOf(batch)}
	for _, e := range batch.Events {
		if set, ok := e.(*identity.ProviderKeysSet); ok {
			done.Provider = string(set.Provider)
			if keys, err := oidc.ParseKeys([]byte(set.Keys)); err == nil {
				done.Keys = len(keys)
			}
		}
	}
	return c.written(batch, done)
}

// keysToSet is a change of a provider's keys that is proposed. The keys are long, and read for
// callers who may set them alone.
type keysToSet struct {
	call  *call
	asked *shape.ProviderKeys       // once the body was read
	set   *identity.SetProviderKeys // once the keys were, too
}

// Authorize finds out whether the caller may change the provider.
func (r *keysToSet) Authorize(v *projection.View) (cmd event.Command, err error) {
	if err := r.call.admitChange(v); err != nil {
		return cmd, err
	}
	if r.asked == nil {
		if r.asked, err = parseProviderKeys(r.call.Payload); err != nil {
			return cmd, err
		}
	}
	arn, account := r.asked.Provider, r.call.Caller.Account
	if err := r.call.May(admission.Access{Action: actionSetProviderKeys, Resource: arn, Account: account}); err != nil {
		return cmd, err
	}
	if p, ok := v.State.OIDCProvider(arn); !ok || p.Account != account {
		return cmd, &dispatch.FromView{Err: fault.New(fault.NoSuchEntity, "No OpenID Connect provider of the account is "+fault.Quote(arn)+".", "Give the ARN of one; `aws iam list-open-id-connect-providers` shows them.")}
	}
	if r.set == nil {
		set := &identity.SetProviderKeys{ARN: arn, Account: account}
		if len(r.asked.Keys) > 0 {
			if set.Keys, err = oidc.GivenKeys(r.asked.Keys); err != nil {
				return cmd, fault.BadRequest(hintKeys, "keys: %.200v.", err)
			}
		}
		r.set = set
	}
	return r.call.Command(v, actionSetProviderKeys, r.set, nil), nil
}

// hintKeys says what to send.
const hintKeys = `Send {"provider":"arn:...","keys":{"keys":[...]}}, as /openapi.json describes.`

// parseProviderKeys reads which provider a change is of, and passes over its keys.
func parseProviderKeys(body []byte) (*shape.ProviderKeys, error) {
	var asked shape.ProviderKeys
	if err := fault.DecodeBody(body, &asked, "change of a provider's keys", hintKeys); err != nil {
		return nil, err
	}
	if asked.Provider == "" {
		return nil, fault.BadRequest(hintKeys, "No provider is named.")
	}
	return &asked, nil
}
