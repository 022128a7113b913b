package shape

import (
	"time"

	"github.com/writ-iam/writ/log/event"
)

// The styles of services, by how they make the canonical request of a signature.
const (
	StyleAWS = "aws" // All services but S3.
	StyleS3  = "s3"  // S3, and what speaks its protocol.
)

// Headers are those of an HTTP request: names, in any letter case, and their values in order.
type Headers map[string][]string

// Received is a request that a service received and hands on, to learn who signed it.
type Received struct {
	Service string `json:"service"`          // The service name that the signature must be for; not iam, sts or writ.
	Region  string `json:"region,omitempty"` // The region that it must be for; any if not given.
	// How the canonical request is made; s3 if not given and the service is s3, else aws.
	Style   string  `json:"style,omitempty"`
	Method  string  `json:"method"`
	Path    string  `json:"path"`            // As it was sent, percent-encoded, without the query.
	Query   string  `json:"query,omitempty"` // As it was sent, without the question mark.
	Headers Headers `json:"headers"`         // Host, Authorization and all that SignedHeaders names; of style s3 all that begin with x-amz-.
	// The SHA-256 of the body, hexadecimal. Style aws needs it. In style s3 the signer says what
	// is signed, which this is compared with.
	PayloadHash string  `json:"payload_hash,omitempty"`
	Action      string  `json:"action,omitempty"`   // Also decide whether whoever signed may do this; see Question.
	Resource    string  `json:"resource,omitempty"` // An ARN, or "*" for an action without resources.
	Explain     bool    `json:"explain,omitempty"`  // Tell the statements that decided, too.
	Context     Context `json:"context,omitempty"`
}

// Authentication is who signed a request, or why that is not known: one of principal and error.
type Authentication struct {
	Principal   *Authenticated       `json:"principal,omitempty"`
	Signature   *SignatureFacts      `json:"signature,omitempty"` // With a principal: what was signed.
	Error       *AuthenticationError `json:"error,omitempty"`     // For the service to pass on to whoever sent the request.
	Decision    *Decision            `json:"decision,omitempty"`  // With a principal, where an action was given.
	Position    event.Position       `json:"position"`            // Where the answer holds.
	KnownHead   event.Position       `json:"known_head"`          // The head of the history, as the node knows it.
	Freshness   string               `json:"freshness"`           // What is known of the answer's age.
	LeaseMS     int64                `json:"lease_remaining_ms,omitempty"`
	Cluster     string               `json:"cluster"`
	Incarnation string               `json:"incarnation"`
	Node        string               `json:"node"` // Who answers.
}

// Authenticated is the principal that signed a request, and what its credentials say.
type Authenticated struct {
	ARN         string `json:"arn"`
	Account     string `json:"account"`
	Kind        string `json:"kind"`    // Of the session; user or root for an access key, too, which never expires.
	UserID      string `json:"user_id"` // What AWS calls aws:userid.
	ID          string `json:"id"`      // The unique id of the user or role, also of one that a session is of; the account's number for its root.
	Name        string `json:"name,omitempty"`
	AccessKeyID string `json:"access_key_id"`
	// The ARN of the role that a session is of, or of the user that a federated user is of.
	Issuer         string   `json:"issuer,omitempty"`
	SessionName    string   `json:"session_name,omitempty"`
	SourceIdentity string   `json:"source_identity,omitempty"`
	Provider       string   `json:"federated_provider,omitempty"` // ARN of the identity provider of a web identity.
	Tags           []Tag    `json:"tags,omitempty"`               // aws:PrincipalTag: of the user or role, and of the session.
	SessionTags    []Tag    `json:"session_tags,omitempty"`       // Those of them that are of the session.
	Transitive     []string `json:"transitive_tag_keys,omitempty"`
	// When a second factor was shown for the session; none without one.
	MFA     *time.Time `json:"mfa_at,omitempty"`
	Issued  *time.Time `json:"issued,omitempty"`  // Of a session.
	Expires *time.Time `json:"expires,omitempty"` // Of a session.
}

// Tag is a key and its value.
type Tag struct {
	Key   string `json:"key"`
	Value string `json:"value"`
}

// SignatureFacts are what a signature that was verified covers.
type SignatureFacts struct {
	Service   string    `json:"service"`
	Region    string    `json:"region"`
	Presigned bool      `json:"presigned"` // It was in the query.
	Signed    time.Time `json:"signed"`
	Until     time.Time `json:"until"`          // The request is good until then, as often as it is sent: the service is to see to replays.
	Headers   []string  `json:"signed_headers"` // Names, in lower case. Whatever else the request says in headers nobody signed.
	// What is signed of the body: hashed; and in style s3 also unsigned, streaming,
	// streaming-trailer or unsigned-trailer.
	Payload     string `json:"payload"`
	PayloadHash string `json:"payload_hash,omitempty"` // Where it is hashed: the SHA-256 that the body must have, hexadecimal.
}

// AuthenticationError is a refusal in AWS's words.
type AuthenticationError struct {
	Code    string `json:"code"`
	Message string `json:"message"`
	Status  int    `json:"status"` // Of an HTTP answer.
}

// What is signed of a body.
const (
	PayloadHashed           = "hashed"
	PayloadUnsigned         = "unsigned"
	PayloadStreaming        = "streaming"
	PayloadStreamingTrailer = "streaming-trailer"
	PayloadUnsignedTrailer  = "unsigned-trailer"
)

// SigningKeyOf asks for the key by which a service verifies signatures itself.
type SigningKeyOf struct {
	AccessKeyID  string `json:"access_key_id"`
	SessionToken string `json:"session_token,omitempty"` // Of temporary credentials.
	Date         string `json:"date"`                    // YYYYMMDD, UTC: of a request that is good now.
	Region       string `json:"region"`
	Service      string `json:"service"` // Not iam, sts or writ.
}

// SigningKey is such a key. It is a secret: whoever has it can sign as the principal, for the date,
// region and service.
type SigningKey struct {
	Key       string        `json:"signing_key"` // 32 bytes, hexadecimal.
	Principal Authenticated `json:"principal"`
	Date      string        `json:"date"`
	Region    string        `json:"region"`
	Service   string        `json:"service"`
	// For how long the key may be gone by, counted from before it was asked for. Then whether it
	// is still good must be asked anew.
	GoodMS      int64          `json:"good_for_ms"`
	RefreshMS   int64          `json:"refresh_after_ms"` // When to ask, so that no request waits for it.
	Position    event.Position `json:"position"`         // Where the answer holds: the access key was active there.
	KnownHead   event.Position `json:"known_head"`       // The head of the history, as the node knows it.
	Freshness   string         `json:"freshness"`        // What is known of the answer's age.
	Cluster     string         `json:"cluster"`
	Incarnation string         `json:"incarnation"`
	Node        string         `json:"node"` // Who answers.
}

// String names no key: it is a secret.
func (k SigningKey) String() string { return "shape.SigningKey(" + k.Principal.AccessKeyID + ")" }

// GoString is String, for %#v.
func (k SigningKey) GoString() string { return k.String() }
