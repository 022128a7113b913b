package shape

import (
	"encoding/json"
	"time"

	"github.com/writ-iam/writ/log/identity"
)

// SignIn is what a user or root signs in with: account, user and password, or e-mail address
// and password, and a code or a passkey for whoever has MFA devices.
type SignIn struct {
	Account   string `json:"account,omitempty"` // Of the user: its number or alias.
	User      string `json:"user,omitempty"`
	Email     string `json:"email,omitempty"` // Of a root, in place of account and user.
	Password  string `json:"password"`
	MFACode   string `json:"mfa_code,omitempty"`   // For whoever has MFA devices.
	MFASerial string `json:"mfa_serial,omitempty"` // Of the device that shows the code, for whoever has several.
	// In place of a code: what PublicKeyCredential.toJSON() says of a passkey that answers a challenge of POST /signin/challenge.
	Passkey     json.RawMessage `json:"passkey,omitempty"`
	NewPassword string          `json:"new_password,omitempty"`     // Of a user: to be the password from now on.
	Duration    int             `json:"duration_seconds,omitempty"` // How long the session lasts: an hour if not given.
}

// SignedIn is a session of somebody who signed in.
type SignedIn struct {
	AccessKeyID     string             `json:"access_key_id"`
	SecretAccessKey string             `json:"secret_access_key"`
	SessionToken    string             `json:"session_token"`
	Expiration      time.Time          `json:"expiration"`
	Account         identity.AccountID `json:"account"`
	ARN             string             `json:"arn"` // Of the user or root.
	UserID          identity.ID        `json:"user_id"`
	MFA             bool               `json:"mfa"`                        // A code or a passkey was shown.
	PasswordExpires *time.Time         `json:"password_expires,omitempty"` // When the user must change it.
}
