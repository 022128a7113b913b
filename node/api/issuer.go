package api

import (
	"net/http"
	"strings"

	"github.com/writ-iam/writ/log/identity"
	"github.com/writ-iam/writ/node/admission"
	"github.com/writ-iam/writ/node/fault"
	"github.com/writ-iam/writ/node/issuer"
	"github.com/writ-iam/writ/projection"
)

// issuerAge is for how long verifiers may keep what they are told of an issuer, in seconds.
const issuerAge = "60"

// issuerConfiguration answers with the configuration of an account's issuer.
func (s *Server) issuerConfiguration(w http.ResponseWriter, r *http.Request) {
	url, _, err := s.issuer(r)
	var body []byte
	if err == nil {
		body, err = issuer.Configuration(url)
	}
	s.tellIssuer(w, r, body, err)
}

// issuerKeys answers with the keys that verify the tokens of an account's issuer.
func (s *Server) issuerKeys(w http.ResponseWriter, r *http.Request) {
	_, v, err := s.issuer(r)
	var body []byte
	if err == nil {
		body = issuer.KeySet(v.State, identity.Time(s.cfg.Now().UnixMilli()))
	}
	s.tellIssuer(w, r, body, err)
}

// issuer finds the issuer that a request names, in a view that is known to be current:
// verifiers are to learn that a key was revoked within the bound of all answers.
func (s *Server) issuer(r *http.Request) (url string, v *projection.View, err error) {
	id := r.PathValue("issuer")
	account, ok := issuer.AccountOf(id)
	if !ok {
		return "", nil, fault.New(fault.NotFound, "There is no such issuer.", "")
	}
	c, err := s.views.Current(r.Context(), true)
	if err != nil {
		return "", nil, err
	}
	settings := c.View.State.AccountSettings(account)
	if !settings.Vends || c.View.State.Closed(account) || !strings.HasSuffix(settings.Issuer, issuer.Below+id) {
		return "", nil, fault.New(fault.NotFound, "There is no such issuer.", "")
	}
	return settings.Issuer, c.View, nil
}

// tellIssuer writes the answer to a verifier, who proves nothing and is told nothing but what
// is public.
func (s *Server) tellIssuer(w http.ResponseWriter, r *http.Request, body []byte, err error) {
	if err != nil {
		fault.WriteProblem(w, admission.NewRequest(r, s.cfg.Now()).ID, fault.Of(err))
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "public, max-age="+issuerAge)
	_, _ = w.Write(body) // an error means that the caller has gone
}
