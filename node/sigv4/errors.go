package sigv4

import (
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"strings"
	"time"
)

// Error is a refusal of a request's signature, in AWS's words.
type Error struct {
	Code    string // as in AWS's "Common errors"
	Status  int    // of the HTTP answer
	Message string
	// Untimely tells that the request comes too late, or too early by this clock.
	Untimely bool

	worded bool // in the words of a style already
}

// Error returns code and message.
func (e *Error) Error() string { return e.Code + ": " + e.Message }

// Words are code and message, for answers.
func (e *Error) Words() (code, message string) { return e.Code, e.Message }

// Codes of this package's errors, as in IAM's "Common errors" page.
const (
	CodeMissingAuthenticationToken = "MissingAuthenticationToken"
	CodeIncompleteSignature        = "IncompleteSignature"
	CodeInvalidClientTokenID       = "InvalidClientTokenId"
	CodeExpiredToken               = "ExpiredToken"
	CodeSignatureDoesNotMatch      = "SignatureDoesNotMatch"
)

// How messages begin by which a refusal is known.
const (
	expired   = "Signature expired: "
	notSigned = "There were headers present in the request which were not signed: "
)

var (
	// ErrMissingAuthenticationToken is returned when a request carries no
	// signature at all.
	ErrMissingAuthenticationToken = &Error{
		Code: CodeMissingAuthenticationToken, Status: http.StatusForbidden,
		Message: "Request is missing Authentication Token",
	}
	// ErrInvalidClientTokenID is for callers that do not know the access key,
	// find it inactive, or find that it does not go with the session token.
	ErrInvalidClientTokenID = &Error{
		Code: CodeInvalidClientTokenID, Status: http.StatusForbidden,
		Message: "The security token included in the request is invalid.",
	}
	// ErrExpiredToken is for session tokens whose session has ended.
	ErrExpiredToken = &Error{
		Code: CodeExpiredToken, Status: http.StatusForbidden,
		Message: "The security token included in the request is expired",
	}
	// ErrSignatureDoesNotMatch is returned when the signature is another one
	// than the key and the request make.
	ErrSignatureDoesNotMatch = &Error{
		Code: CodeSignatureDoesNotMatch, Status: http.StatusForbidden,
		Message: "The request signature we calculated does not match the signature you provided. " +
			"Check your AWS Secret Access Key and signing method. " +
			"Consult the service documentation for details.",
	}
)

// InvalidToken is ErrInvalidClientTokenID for a session token, and says why it may be that
// tokens of before are worth nothing; it is that error itself where why is empty.
func InvalidToken(why string) *Error {
	if why == "" {
		return ErrInvalidClientTokenID
	}
	e := *ErrInvalidClientTokenID
	e.Message += " If it was made before: " + why + ". Sign in, or assume the role, again."
	return &e
}

// Is tells whether a refusal is of the same kind as another.
func (e *Error) Is(target error) bool {
	return e == target || e.Code == CodeInvalidClientTokenID && target == ErrInvalidClientTokenID
}

func incomplete(message string) *Error {
	return &Error{Code: CodeIncompleteSignature, Status: http.StatusBadRequest, Message: message}
}

func untimely(message string) *Error {
	e := mismatch(message)
	e.Untimely = true
	return e
}

func mismatch(message string) *Error {
	return &Error{Code: CodeSignatureDoesNotMatch, Status: http.StatusForbidden, Message: message}
}

// hashed stands for a header in a message. The header itself may hold a secret
// (a bearer token sent to the wrong place), and messages are logged.
func hashed(header string) string {
	sum := sha256.Sum256([]byte(header))
	return base64.StdEncoding.EncodeToString(sum[:])
}

// CheckService refuses a scope whose service is none of those given. AWS
// answers SignatureDoesNotMatch.
func (s *Signature) CheckService(services ...string) error {
	for _, name := range services {
		if s.Scope.Service == name {
			return nil
		}
	}
	return mismatch("Credential should be scoped to correct service: '" +
		strings.Join(services, "', '") + "'.")
}

// CheckLife refuses requests from too far in the past or the future. life is how long
// after its time the request is good. Parse has done it with the life that the signer
// chose; a caller may grant a shorter one.
func (s *Signature) CheckLife(now time.Time, life time.Duration) error {
	now = now.UTC()
	at := now.Format(timeLayout)
	if oldest := now.Add(-life); s.Time.Before(oldest) {
		return untimely(expired + s.timestamp + " is now earlier than " +
			oldest.Format(timeLayout) + " (" + at + " - " + inWords(life) + ")")
	}
	if newest := now.Add(MaxClockSkew); s.Time.After(newest) {
		return untimely("Signature not yet current: " + s.timestamp + " is still later than " +
			newest.Format(timeLayout) + " (" + at + " + " + inWords(MaxClockSkew) + ")")
	}
	return nil
}
