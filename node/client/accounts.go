package client

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"

	"github.com/writ-iam/writ/node/api/shape"
)

// Account is one account of the cluster, AccountToCreate one that is to be made, and
// AccountCreation and AccountChange are changes that were committed.
type (
	Account         = shape.Account
	AccountToCreate = shape.AccountToCreate
	AccountCreation = shape.AccountCreation
	AccountChange   = shape.AccountChange
)

// AccountOpen and AccountClosed are the states of an account.
const (
	AccountOpen   = shape.AccountOpen
	AccountClosed = shape.AccountClosed
)

// Accounts asks for the accounts of the cluster, in order of their numbers. Callers of other
// accounts than the first are told of their own alone.
func (c *Client) Accounts(ctx context.Context, f Freshness) ([]Account, error) {
	var found shape.Accounts
	return found.Accounts, c.do(ctx, http.MethodGet, "/v1/accounts", nil, f, &found)
}

// CreateAccount opens an account. The secret of its root's access key, if one is made, is
// told to the call that made it, and nowhere again.
func (c *Client) CreateAccount(ctx context.Context, account AccountToCreate) (*AccountCreation, error) {
	body, err := json.Marshal(account)
	if err != nil {
		return nil, fmt.Errorf("encode the account: %w", err)
	}
	var made AccountCreation
	return &made, c.do(ctx, http.MethodPost, "/v1/accounts", body, Freshness{}, &made)
}

// SetAccountAlias gives an account an alias instead of the one it had; an empty one takes
// that away.
func (c *Client) SetAccountAlias(ctx context.Context, account, alias string) (*AccountChange, error) {
	return c.changeAccount(ctx, account, "alias", shape.AccountAlias{Alias: alias})
}

// CloseAccount ends an account for good. Once the position of the change is everywhere, no
// node accepts any credential of it.
func (c *Client) CloseAccount(ctx context.Context, account string) (*AccountChange, error) {
	return c.changeAccount(ctx, account, "close", struct{}{})
}

// SetRootEmail gives the root of an account another e-mail address.
func (c *Client) SetRootEmail(ctx context.Context, account, email string) (*AccountChange, error) {
	return c.changeAccount(ctx, account, "root/email", shape.RootEmail{Email: email})
}

// SetRootPassword gives the root of an account another password.
func (c *Client) SetRootPassword(ctx context.Context, account, password string) (*AccountChange, error) {
	return c.changeAccount(ctx, account, "root/password", shape.RootPassword{Password: password})
}

func (c *Client) changeAccount(ctx context.Context, account, what string, to any) (*AccountChange, error) {
	body, err := json.Marshal(to)
	if err != nil {
		return nil, fmt.Errorf("encode the change of the account: %w", err)
	}
	var change AccountChange
	return &change, c.do(ctx, http.MethodPost, "/v1/accounts/"+url.PathEscape(account)+"/"+what, body, Freshness{}, &change)
}
