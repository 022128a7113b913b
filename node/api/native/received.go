package native

// authenticateOther answers POST /v1/authenticate: who signed a request that the caller received?
type authenticateOther struct{ *API }

func (s authenticateOther) serve(c *call) error {
	body, err := s.received.Authenticate(&c.Exchange, s.asking(c))
	if err != nil {
		return err
	}
	return c.answer(body)
}

// getSigningKey answers POST /v1/signing-key: by which key does a service verify signatures itself?
type getSigningKey struct{ *API }

func (s getSigningKey) serve(c *call) error {
	body, err := s.received.SigningKey(&c.Exchange)
	if err != nil || body == nil {
		return err
	}
	c.W.Header().Set("Cache-Control", "no-store")
	return c.answer(body)
}
