package client

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"

	"github.com/writ-iam/writ/node/api/shape"
)

// CertificatesToRevoke names certificates by which nodes know each other, to end, and
// CertificateRevocation is a revocation of such that was committed.
type (
	CertificatesToRevoke  = shape.CertificatesToRevoke
	CertificateRevocation = shape.CertificateRevocation
)

// RevokeCertificates ends certificates by which nodes know each other. Once the position of the
// revocation is everywhere, no node takes them.
func (c *Client) RevokeCertificates(ctx context.Context, which CertificatesToRevoke) (*CertificateRevocation, error) {
	body, err := json.Marshal(which)
	if err != nil {
		return nil, fmt.Errorf("encode the revocation: %w", err)
	}
	var done CertificateRevocation
	return &done, c.do(ctx, http.MethodPost, "/v1/certificates/revoke", body, Freshness{}, &done)
}
