// Package passkey verifies what authenticators say by WebAuthn (Web Authentication, Level 3):
// that they made a credential, and that they have it.
//
// A [Party] is a cluster as browsers and authenticators know it. It makes challenges and reads
// what comes back. It keeps nothing: a challenge is sealed with the cluster's key and says when
// it was made, and it opens for the one ceremony, owner and caller that it was made for. That
// it is good once is the state's business, which remembers of each owner when the latest
// challenge was made that was answered (identity.Passkeys).
//
// Of the library, only what reads CBOR and the keys of COSE, and verifies their signatures, is
// used. The rest of it verifies the chains of attestations, for which it has roots of trust,
// TPM structures and fetches of revocation lists: no attestation is trusted here, so that all
// of that would be code that reads what strangers send, to no end.
package passkey
