package client

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"

	"github.com/writ-iam/writ/node/api/shape"
)

// Quotas are what an account may hold and what it does hold, QuotasToSet a change of that,
// and QuotasChange one that was committed.
type (
	Quotas       = shape.Quotas
	QuotasToSet  = shape.QuotasToSet
	QuotaToSet   = shape.QuotaToSet
	QuotasChange = shape.QuotasChange
)

// The defaults that QuotasToSet can choose.
const (
	DefaultsWrit = shape.DefaultsWrit
	DefaultsAWS  = shape.DefaultsAWS
)

// Quotas asks for the quotas of an account; of the cluster's own where account is empty.
// An account that the cluster does not have is a *Problem with the code NoSuchEntity.
func (c *Client) Quotas(ctx context.Context, account string, f Freshness) (*Quotas, error) {
	var found Quotas
	return &found, c.do(ctx, http.MethodGet, quotasOf(account), nil, f, &found)
}

// SetQuotas changes quotas of an account; of the cluster's own where account is empty. A
// quota below what the account holds takes nothing away.
func (c *Client) SetQuotas(ctx context.Context, account string, set QuotasToSet) (*QuotasChange, error) {
	body, err := json.Marshal(set)
	if err != nil {
		return nil, fmt.Errorf("encode the quotas: %w", err)
	}
	var change QuotasChange
	return &change, c.do(ctx, http.MethodPost, quotasOf(account), body, Freshness{}, &change)
}

func quotasOf(account string) string {
	if account == "" {
		return "/v1/quotas"
	}
	return "/v1/quotas?account=" + url.QueryEscape(account)
}
