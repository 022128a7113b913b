package sts

import (
	"fmt"

	"github.com/writ-iam/writ/node/api/iam"
)

// Codes of errors.
const (
	codeAccessDenied          = "AccessDenied"
	codeValidationError       = "ValidationError"
	codeInvalidParameterValue = "InvalidParameterValue"
	codePackedPolicyTooLarge  = "PackedPolicyTooLarge"
	codeWebIdentityDisabled   = "OutboundWebIdentityFederationDisabledException"
	codeSessionEscalation     = "SessionDurationEscalationException"
	codeExpiredTradeIn        = "ExpiredTradeInTokenException"
	codeInvalidMessage        = "InvalidAuthorizationMessageException"
	codePayloadTooLarge       = "JWTPayloadSizeExceededException"
	codeInvalidIdentityToken  = "InvalidIdentityToken"
	codeExpiredToken          = "ExpiredTokenException"
	codeIDPCommunicationError = "IDPCommunicationError"
	codeIDPRejectedClaim      = "IDPRejectedClaim"
)

func fail(code, format string, args ...any) *iam.Error {
	return &iam.Error{Code: code, Message: fmt.Sprintf(format, args...)}
}

// CannotCall is the refusal of an operation that no temporary credentials may call.
func CannotCall(operation string) error {
	return fail(codeAccessDenied, "Cannot call %s with session credentials", operation)
}
