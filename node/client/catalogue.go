package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"github.com/writ-iam/writ/log/identity"
	"github.com/writ-iam/writ/node/api/shape"
)

// Catalogue is which policies of AWS are in force, and CatalogueChange one that was put
// in force.
type (
	Catalogue       = shape.Catalogue
	CatalogueChange = shape.CatalogueChange
)

// partBytes is how much one part of a catalogue has at most, in bytes, unless one text
// alone has more: little enough that other writes need not wait for it.
const partBytes = 64 << 10

// policyBytes is what a policy takes of a part beside its texts.
const policyBytes = 512

// Catalogue asks which policies of AWS are in force.
func (c *Client) Catalogue(ctx context.Context) (*Catalogue, error) {
	var found Catalogue
	return &found, c.do(ctx, http.MethodGet, "/v1/catalog", nil, Freshness{}, &found)
}

// ErrInstalling is in the error of an import that was ended while all its policies were being
// put in force: they are, or none is. One that was ended before changed nothing.
var ErrInstalling = errors.New("it is not known whether the catalogue is in force")

// ImportCatalogue puts policies of AWS in force, in place of all that there are, at one
// position. It returns nil if they, and no others, are in force already. The policies are in order of
// name, and their versions in order of number. Of two imports at once, one fails.
// Errors after the end of ctx may wrap ErrInstalling.
func (c *Client) ImportCatalogue(ctx context.Context, policies []identity.CataloguePolicy) (*CatalogueChange, error) {
	digest := identity.CatalogueDigest(policies)
	found, err := c.Catalogue(ctx)
	if err != nil {
		return nil, err
	}
	if found.Digest == digest && found.Kept == 0 {
		return nil, nil
	}
	parts := divide(policies)
	target := "/v1/catalog/" + digest
	var change CatalogueChange
	for i := range parts {
		body, err := json.Marshal(parts[i])
		if err != nil {
			return nil, fmt.Errorf("encode part %d of the catalogue: %w", i, err)
		}
		if err := c.do(ctx, http.MethodPost, fmt.Sprintf("%s/parts/%d", target, i), body, Freshness{}, &change); err != nil {
			return nil, fmt.Errorf("send part %d of %d of the catalogue: %w", i+1, len(parts), err)
		}
	}
	if err := c.do(ctx, http.MethodPost, fmt.Sprintf("%s/install?parts=%d", target, len(parts)), nil, Freshness{}, &change); err != nil {
		if ctx.Err() != nil {
			err = fmt.Errorf("%w: %w", ErrInstalling, err)
		}
		return nil, fmt.Errorf("put the catalogue in force: %w", err)
	}
	return &change, nil
}

// divide makes parts of a catalogue. The versions of one policy may come in several.
func divide(policies []identity.CataloguePolicy) (parts []shape.CataloguePart) {
	room := 0
	for i := range policies {
		p := shape.CataloguePolicyOf(&policies[i])
		versions := p.Versions
		for n := range versions {
			size := len(versions[n].Document)
			if n == 0 {
				size += policyBytes
			}
			fresh := size > room
			if fresh {
				parts = append(parts, shape.CataloguePart{})
				room = partBytes
			}
			room -= size
			last := &parts[len(parts)-1]
			if n == 0 || fresh {
				p.Versions = nil
				last.Policies = append(last.Policies, p)
			}
			of := &last.Policies[len(last.Policies)-1]
			of.Versions = append(of.Versions, versions[n])
		}
	}
	return parts
}
