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

// keysToSet is a change of a provider's keys that is proposed.
type keysToSet struct {
	call *call
	set  *identity.SetProviderKeys // once the body was read
}

// Authorize finds out whether the caller may change the provider.
func (r *keysToSet) Authorize(v *projection.View) (cmd event.Command, err error) {
	if err := r.call.admitChange(v); err != nil {
		return cmd, err
	}
	if r.set == nil {
		if r.set, err = parseProviderKeys(r.call.Payload); err != nil {
			return cmd, err
		}
		r.set.Account = r.call.Caller.Account
	}
	if err := r.call.May(admission.Access{Action: actionSetProviderKeys, Resource: r.set.ARN, Account: r.set.Account}); err != nil {
		return cmd, err
	}
	if p, ok := v.State.OIDCProvider(r.set.ARN); !ok || p.Account != r.set.Account {
		return cmd, &dispatch.FromView{Err: fault.New(fault.NoSuchEntity, "No OpenID Connect provider of the account is "+fault.Quote(r.set.ARN)+".", "Give the ARN of one; `aws iam list-open-id-connect-providers` shows them.")}
	}
	return r.call.Command(v, actionSetProviderKeys, r.set, nil), nil
}

// parseProviderKeys reads a change of a provider's keys and checks what it alone can show.
func parseProviderKeys(body []byte) (*identity.SetProviderKeys, error) {
	const hint = `Send {"provider":"arn:...","keys":{"keys":[...]}}, as /openapi.json describes.`
	var asked shape.ProviderKeys
	if err := decodeBody(body, &asked, "change of a provider's keys", hint); err != nil {
		return nil, err
	}
	set := &identity.SetProviderKeys{ARN: asked.Provider}
	if asked.Provider == "" {
		return nil, fault.BadRequest(hint, "No provider is named.")
	}
	if len(asked.Keys) == 0 {
		return set, nil
	}
	var err error
	if set.Keys, err = oidc.GivenKeys(asked.Keys); err != nil {
		return nil, fault.BadRequest(hint, "keys: %.200v.", err)
	}
	return set, nil
}
