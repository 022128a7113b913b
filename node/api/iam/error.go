package iam

import "fmt"

// Error is the answer to a call that the request alone shows to be wrong, or
// that asks for what is not there. The model's table has the HTTP status of Code.
type Error struct {
	Code    string // AWS's error code, such as "MalformedPolicyDocument"
	Message string
}

// Error gives code and message.
func (e *Error) Error() string { return e.Code + ": " + e.Message }

// Words are code and message, for answers.
func (e *Error) Words() (code, message string) { return e.Code, e.Message }

// Codes of Error; the refusals of the domain have their own type.
const (
	codeAccessDenied            = "AccessDenied"
	codeNoSuchEntity            = "NoSuchEntity"
	codeInvalidInput            = "InvalidInput"
	codeValidationError         = "ValidationError"
	codeLimitExceeded           = "LimitExceeded"
	codeReportNotPresent        = "ReportNotPresent"
	codeReportExpired           = "ReportExpired"
	codeReportInProgress        = "ReportInProgress"
	codeMalformedPolicyDocument = "MalformedPolicyDocument"
	codeFeatureDisabled         = "FeatureDisabled"
	codePolicyNotAttachable     = "PolicyNotAttachable"
	codeNotAdministrator        = "AccountNotManagementOrDelegatedAdministratorException"

	codeOpenIDIdpCommunicationError = "OpenIdIdpCommunicationError"
	codePasswordPolicyViolation     = "PasswordPolicyViolation"
	codeInvalidUserType             = "InvalidUserType"
	codeTemporarilyUnmodifiable     = "EntityTemporarilyUnmodifiable"
	codeMalformedCertificate        = "MalformedCertificate"
	codeInvalidCertificate          = "InvalidCertificate"
	codeKeyPairMismatch             = "KeyPairMismatch"
	codeInvalidPublicKey            = "InvalidPublicKey"
	codeUnrecognizedEncoding        = "UnrecognizedPublicKeyEncoding"
	codeInvalidAuthenticationCode   = "InvalidAuthenticationCode"
)

func fail(code, format string, args ...any) *Error {
	return &Error{Code: code, Message: fmt.Sprintf(format, args...)}
}
