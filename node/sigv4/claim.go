package sigv4

import "crypto/sha256"

// Claim is what a signature claims, without the request: enough for whoever has the
// secret to tell whether it holds, and nothing that the request said. Who makes it
// has parsed the request, and so checked its clock and its scope.
type Claim struct {
	AccessKeyID string `json:"access_key_id"`
	Scope       Scope  `json:"scope"`
	Timestamp   string `json:"timestamp"`
	// Canonical are the SHA-256 of the forms in which the request may have been signed.
	Canonical [][]byte `json:"canonical"`
	Signature string   `json:"signature"` // hexadecimal
	// SessionToken is that of temporary credentials; else empty.
	SessionToken string `json:"session_token,omitempty"`
}

// maxForms is how many forms there are of a request; see [Signature.Verify].
const maxForms = 2

// Claim returns what the signature claims of a request whose body has the SHA-256.
func (s *Signature) Claim(bodyHash [sha256.Size]byte) Claim {
	c := Claim{AccessKeyID: s.AccessKeyID, Scope: s.Scope, Timestamp: s.timestamp, Signature: s.signature, SessionToken: s.SessionToken}
	in := s.input(bodyHash)
	add := func() {
		sum := sha256.Sum256(appendCanonicalRequest(make([]byte, 0, 1024), in))
		c.Canonical = append(c.Canonical, sum[:])
	}
	add()
	if in.asSent() {
		add()
	}
	return c
}

// Verify reports whether the claim holds for key, as [Signature.Verify] does.
func (c *Claim) Verify(key SigningKey) error {
	if len(c.Canonical) > maxForms {
		return ErrSignatureDoesNotMatch
	}
	for _, form := range c.Canonical {
		if len(form) == sha256.Size && key.signed(c.Timestamp, c.Scope, [sha256.Size]byte(form), c.Signature) {
			return nil
		}
	}
	return ErrSignatureDoesNotMatch
}
