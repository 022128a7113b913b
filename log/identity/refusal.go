package identity

import "fmt"

// Code is the reason for a refusal. Where AWS has a code for it, the text is AWS's.
type Code string

// The codes with which Decide refuses.
const (
	NoSuchEntity           Code = "NoSuchEntity"
	EntityAlreadyExists    Code = "EntityAlreadyExists"
	DeleteConflict         Code = "DeleteConflict"
	LimitExceeded          Code = "LimitExceeded"
	InvalidInput           Code = "InvalidInput"
	UnmodifiableEntity     Code = "UnmodifiableEntity"
	ConcurrentModification Code = "ConcurrentModification"
	DuplicateSSHPublicKey  Code = "DuplicateSSHPublicKey"
	DuplicateCertificate   Code = "DuplicateCertificate"
	// RequestExpired refuses a request that was signed too long ago to be told from a
	// replay ("Common errors").
	RequestExpired Code = "RequestExpired"

	// FeatureEnabled and FeatureDisabled are for a feature of an account that is as the
	// command would have it, or not as the command needs it.
	FeatureEnabled  Code = "FeatureEnabled"
	FeatureDisabled Code = "FeatureDisabled"
	// CallerNotManagement and NotAdministrator are for what the management account of the
	// organization alone may change.
	CallerNotManagement Code = "CallerIsNotManagementAccountException"
	NotAdministrator    Code = "AccountNotManagementOrDelegatedAdministratorException"
	// InvalidAuthenticationCode refuses codes of a device that were used before.
	InvalidAuthenticationCode Code = "InvalidAuthenticationCode"

	// AccessDenied refuses what the state alone shows that the caller may not: a code of a
	// device that was used before.
	AccessDenied Code = "AccessDenied"

	// StaleAuthorization means that the credential or permissions under which
	// the command was authorized have changed since. The edge authorizes anew
	// and proposes again, or denies.
	StaleAuthorization Code = "StaleAuthorization"
	// AlreadyBootstrapped is returned when a cluster that has a state is asked to begin.
	AlreadyBootstrapped Code = "AlreadyBootstrapped"
	// Barred means that a replica was removed by command and not admitted since.
	Barred Code = "Barred"
	// UnknownFeature means that a command needs a higher feature level than the cluster has.
	UnknownFeature Code = "UnknownFeature"
)

// Refusal is the deterministic answer to a command that the state does not
// allow. It changes nothing. Decide returns no other kind of error.
type Refusal struct {
	Code    Code
	Message string
}

// Error gives code and message.
func (r *Refusal) Error() string { return string(r.Code) + ": " + r.Message }

func refuse(code Code, format string, args ...any) *Refusal {
	return &Refusal{Code: code, Message: fmt.Sprintf(format, args...)}
}
