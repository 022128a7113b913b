package issuer

import (
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/writ-iam/writ/log/identity"
)

// Namespace is the claim that holds all that no standard has a name for.
const Namespace = "https://sts.amazonaws.com/"

// MaxPayload is how many bytes the claims of a token take at most. AWS says that there is
// such a limit, and does not say which.
const MaxPayload = 16 << 10

// ErrTooLarge is returned for claims that take more than MaxPayload.
var ErrTooLarge = errors.New("the claims of the web identity token are too large")

// Claims are what a token says ("Understanding token claims" in the IAM User Guide).
type Claims struct {
	Issuer   string
	Subject  string // ARN of the user, role or root
	Audience []string
	Issued   time.Time // a whole second
	Expires  time.Time
	ID       string // of the token
	About    About
}

// About is the claim Namespace.
type About struct {
	Account       string            `json:"aws_account"`
	Principal     string            `json:"principal_id"`
	Region        string            `json:"source_region,omitempty"`
	Organization  string            `json:"org_id,omitempty"`
	PrincipalTags map[string]string `json:"principal_tags,omitempty"`
	RequestTags   map[string]string `json:"request_tags,omitempty"`
	// SessionEnds is when the session ends by which the token was asked for.
	SessionEnds *time.Time `json:"original_session_exp,omitempty"`
}

// Encode returns the claims as a token has them. The error wraps ErrTooLarge.
func (c *Claims) Encode() ([]byte, error) {
	var audience any = c.Audience
	if len(c.Audience) == 1 {
		audience = c.Audience[0]
	}
	b, err := json.Marshal(struct {
		Issuer   string `json:"iss"`
		Audience any    `json:"aud"`
		Subject  string `json:"sub"`
		Issued   int64  `json:"iat"`
		Expires  int64  `json:"exp"`
		ID       string `json:"jti"`
		About    *About `json:"https://sts.amazonaws.com/"`
	}{c.Issuer, audience, c.Subject, c.Issued.Unix(), c.Expires.Unix(), c.ID, &c.About})
	if err != nil {
		return nil, fmt.Errorf("encode the claims of a web identity token: %w", err)
	}
	if len(b) > MaxPayload {
		return nil, fmt.Errorf("%w: %d bytes, at most %d", ErrTooLarge, len(b), MaxPayload)
	}
	return b, nil
}

// Below is the path below which issuers are.
const Below = "/issuers/"

// NewID makes the identifier of an account's issuer: a UUID of version 8 (RFC 9562), of the
// account's number and 82 random bits. Nodes find the account by it.
func NewID(account identity.AccountID, random io.Reader) (string, error) {
	var b [16]byte
	if _, err := io.ReadFull(random, b[:]); err != nil {
		return "", fmt.Errorf("draw the identifier of an issuer: %w", err)
	}
	number, err := digits(account)
	if err != nil {
		return "", err
	}
	var eight [8]byte
	binary.BigEndian.PutUint64(eight[:], number<<(64-accountBits))
	copy(b[:accountBits/8], eight[:])
	b[6], b[8] = b[6]&0x0f|0x80, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:]), nil
}

// accountBits are enough for 12 digits.
const accountBits = 40

func digits(account identity.AccountID) (n uint64, err error) {
	if _, err := fmt.Sscanf(string(account), "%d", &n); err != nil || n >= 1<<accountBits {
		return 0, fmt.Errorf("%q is no number of an account", account)
	}
	return n, nil
}

// AccountOf is the account whose issuer has an identifier, if any may.
func AccountOf(id string) (identity.AccountID, bool) {
	const length = 36
	b, err := hex.DecodeString(strings.ReplaceAll(id, "-", ""))
	if err != nil || len(b) != 16 || len(id) != length {
		return "", false
	}
	var n uint64
	for _, one := range b[:accountBits/8] {
		n = n<<8 | uint64(one)
	}
	return identity.AccountID(fmt.Sprintf("%012d", n)), true
}
