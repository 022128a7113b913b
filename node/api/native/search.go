package native

import (
	"encoding/json"
	"fmt"

	"github.com/writ-iam/writ/node/freshness"
	"github.com/writ-iam/writ/node/search"
)

// searchPrincipals answers POST /v1/search/principals: who may do this?
type searchPrincipals struct{ *API }

func (s searchPrincipals) serve(c *call) error {
	if err := c.Authenticate(freshness.ForRead); err != nil { // it shows policies
		return err
	}
	who, err := search.ParseWho(c.Payload)
	if err != nil {
		return err
	}
	found, err := who.In(c.Seen.View, &c.Pass)
	if err != nil {
		return err
	}
	body, err := json.Marshal(found)
	if err != nil {
		return fmt.Errorf("encode the principals: %w", err)
	}
	return c.answer(body)
}
