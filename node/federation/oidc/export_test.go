package oidc

// Kept is of how many issuers keys are kept.
func (v *Verifier) Kept() int {
	v.mu.Lock()
	defer v.mu.Unlock()
	return len(v.kept)
}

// Opens tells whether settings name a server, HOST:PORT, for visits of an issuer.
func (r *Reach) Opens(issuer, server string) bool {
	_, named := r.place(issuer, server)
	return named
}
