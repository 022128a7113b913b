package shape

import (
	"encoding/json"

	"github.com/writ-iam/writ/log/event"
	"github.com/writ-iam/writ/log/identity"
)

// PasskeyOwner is for whom a passkey is to be made.
type PasskeyOwner struct {
	User string `json:"user,omitempty"` // Of the caller's account; the caller itself if not given.
}

// PasskeyCreation is what a browser makes a passkey by: publicKey is for
// PublicKeyCredential.parseCreationOptionsFromJSON.
type PasskeyCreation struct {
	PublicKey PasskeyCreationOptions `json:"publicKey"`
}

// PasskeyCreationOptions are a PublicKeyCredentialCreationOptionsJSON of WebAuthn.
type PasskeyCreationOptions struct {
	RP          PasskeyParty        `json:"rp"`
	User        PasskeyUser         `json:"user"`
	Challenge   string              `json:"challenge"` // In base64url; good for five minutes, and once.
	Algorithms  []PasskeyAlgorithm  `json:"pubKeyCredParams"`
	Timeout     int                 `json:"timeout"`            // In milliseconds.
	Exclude     []PasskeyCredential `json:"excludeCredentials"` // Passkeys that the user has.
	Selection   PasskeySelection    `json:"authenticatorSelection"`
	Attestation string              `json:"attestation"`
}

// PasskeyParty is what passkeys are bound to.
type PasskeyParty struct {
	ID   string `json:"id"`
	Name string `json:"name"`
}

// PasskeyUser is how an authenticator knows whose a passkey is.
type PasskeyUser struct {
	ID          string `json:"id"` // In base64url.
	Name        string `json:"name"`
	DisplayName string `json:"displayName"`
}

// PasskeyAlgorithm is an algorithm whose keys are taken.
type PasskeyAlgorithm struct {
	Type      string `json:"type"`
	Algorithm int    `json:"alg"` // As COSE numbers them.
}

// PasskeyCredential names a passkey.
type PasskeyCredential struct {
	Type       string   `json:"type"`
	ID         string   `json:"id"` // In base64url.
	Transports []string `json:"transports,omitempty"`
}

// PasskeySelection says which authenticators may make a passkey.
type PasskeySelection struct {
	ResidentKey      string `json:"residentKey"`
	UserVerification string `json:"userVerification"`
}

// PasskeyToRegister is a passkey that a browser made.
type PasskeyToRegister struct {
	User string `json:"user,omitempty"` // As when the challenge was asked for.
	Name string `json:"name"`           // Of the passkey: a part of its serial number.
	// What PublicKeyCredential.toJSON() says of the new credential.
	Credential json.RawMessage `json:"credential"`
}

// PasskeyRegistration is a passkey that was registered.
type PasskeyRegistration struct {
	SerialNumber identity.ID    `json:"serial_number"`
	Position     event.Position `json:"position"`
	Token        string         `json:"token"` // Of Position.
}

// SignInChallengeFor is who is about to sign in with a passkey.
type SignInChallengeFor struct {
	Account string `json:"account,omitempty"` // Of the user: its number or alias.
	User    string `json:"user,omitempty"`
	Email   string `json:"email,omitempty"` // Of a root, in place of account and user.
}

// SignInChallenge is what a browser uses a passkey by: publicKey is for
// PublicKeyCredential.parseRequestOptionsFromJSON.
type SignInChallenge struct {
	PublicKey PasskeyRequestOptions `json:"publicKey"`
}

// PasskeyRequestOptions are a PublicKeyCredentialRequestOptionsJSON of WebAuthn.
type PasskeyRequestOptions struct {
	Challenge        string              `json:"challenge"` // In base64url; good for five minutes, and once.
	Timeout          int                 `json:"timeout"`   // In milliseconds.
	RPID             string              `json:"rpId"`
	Allow            []PasskeyCredential `json:"allowCredentials"` // Those of the user; of who has none, some that nobody has.
	UserVerification string              `json:"userVerification"`
}
