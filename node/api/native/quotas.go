package native

import (
	"encoding/json"
	"fmt"
	"regexp"

	"github.com/writ-iam/writ/log/event"
	"github.com/writ-iam/writ/log/identity"
	"github.com/writ-iam/writ/node/api/shape"
	"github.com/writ-iam/writ/node/dispatch"
	"github.com/writ-iam/writ/node/fault"
	"github.com/writ-iam/writ/node/freshness"
	"github.com/writ-iam/writ/projection"
)

// accountNumber is how numbers of accounts are spelled.
var accountNumber = regexp.MustCompile(`^[0-9]{12}$`)

// quotasAccount is the account that a request is about: that of ?account, or else the
// cluster's own.
func (s *API) quotasAccount(c *call) (identity.AccountID, error) {
	account := c.URL.Query().Get("account")
	if account == "" {
		return s.cfg.Account, nil
	}
	if !accountNumber.MatchString(account) {
		return "", fault.BadRequest("Give the twelve digits of its number, or leave it out for the cluster's own.", "%.80q is no account.", account)
	}
	return identity.AccountID(account), nil
}

// heldAccount is the record of an account that the cluster has.
func heldAccount(v *projection.View, id identity.AccountID) (*identity.Account, error) {
	a, ok := v.State.Account(id)
	if !ok {
		return nil, fault.New(fault.NoSuchEntity, fmt.Sprintf("The account with id %s cannot be found.", id), "Leave the account out for the cluster's own.")
	}
	return a, nil
}

// getQuotas answers GET /v1/quotas: what an account may hold, and what it holds. Quotas
// protect the cluster, to whose own account they belong.
type getQuotas struct{ *API }

func (s getQuotas) serve(c *call) error {
	id, err := s.quotasAccount(c)
	if err != nil {
		return err
	}
	if err := c.Authenticate(freshness.ForRead); err != nil {
		return err
	}
	if err := c.May(s.ofCluster(actionGetQuotas)); err != nil {
		return err
	}
	a, err := heldAccount(c.Seen.View, id)
	if err != nil {
		return err
	}
	body, err := json.Marshal(shape.QuotasOf(c.Seen.View.State, a))
	if err != nil {
		return fmt.Errorf("encode the quotas of account %s: %w", id, err)
	}
	return c.answer(body)
}

// setQuotas answers POST /v1/quotas: it changes quotas of an account.
type setQuotas struct{ *API }

func (s setQuotas) serve(c *call) error {
	id, err := s.quotasAccount(c)
	if err != nil {
		return err
	}
	batch, _, err := c.Write(service, actionSetQuotas+" "+string(id), &quotasToSet{clusterChange{c, s.ofCluster(actionSetQuotas), nil}, id})
	if err != nil || batch == nil {
		return err
	}
	return c.written(batch, shape.QuotasChange{Account: id, Position: batch.Position, Token: dispatch.TokenOf(batch)})
}

// quotasToSet is a change of quotas that is proposed. Its body is read for callers who may
// make it alone.
type quotasToSet struct {
	clusterChange
	account identity.AccountID
}

// Authorize is that of a clusterChange, which it completes.
func (r *quotasToSet) Authorize(v *projection.View) (event.Command, error) {
	if err := r.may(v); err != nil {
		return event.Command{}, err
	}
	if _, err := heldAccount(v, r.account); err != nil {
		return event.Command{}, &dispatch.FromView{Err: err}
	}
	if r.change == nil {
		set, err := parseQuotas(r.call.Payload)
		if err != nil {
			return event.Command{}, err
		}
		set.Account = r.account
		r.change = set
	}
	return r.command(v), nil
}

// parseQuotas reads a change of quotas and checks what it alone can show.
func parseQuotas(body []byte) (*identity.SetQuotas, error) {
	const hint = "Send {\"defaults\":\"aws\"}, or {\"quotas\":[{\"quota\":\"users\",\"value\":5000}]}, as /openapi.json describes."
	var asked shape.QuotasToSet
	if err := fault.DecodeBody(body, &asked, "change of quotas", hint); err != nil {
		return nil, err
	}
	set := &identity.SetQuotas{}
	switch asked.Defaults {
	case "":
		if len(asked.Quotas) == 0 {
			return nil, fault.BadRequest(hint, "Nothing is to change.")
		}
	case shape.DefaultsWrit:
		set.Defaults = identity.DefaultsOfWrit
	case shape.DefaultsAWS:
		set.Defaults = identity.DefaultsOfAWS
	default:
		return nil, fault.BadRequest(hint, "defaults is %.80q: it is %s or %s.", asked.Defaults, shape.DefaultsWrit, shape.DefaultsAWS)
	}
	var seen [identity.NumQuotas]bool
	for _, one := range asked.Quotas {
		q, ok := identity.QuotaByName(one.Quota)
		switch {
		case !ok:
			return nil, fault.BadRequest("`writ account quotas` shows the names.", "%.80q is no quota.", one.Quota)
		case seen[q]:
			return nil, fault.BadRequest("Give it once.", "The quota %s is given twice.", q)
		case one.Value > q.Max():
			return nil, fault.BadRequest(fmt.Sprintf("Give at most %d, or 0 for the default.", q.Max()), "The quota %s cannot be %d.", q, one.Value)
		}
		seen[q] = true
		set.Own = append(set.Own, identity.OwnQuota{Quota: q, Value: one.Value})
	}
	return set, nil
}
