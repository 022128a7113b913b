package oidc

// Kept is of how many issuers keys are kept.
func (v *Verifier) Kept() int {
	v.mu.Lock()
	defer v.mu.Unlock()
	return len(v.kept)
}
