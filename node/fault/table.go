package fault

import "net/http"

// Code is why a request is not carried out. It is a reason, which a dialect may give
// another name. The zero value is InternalFailure.
type Code uint8

// The codes. What goes over the wire are their names in the table, not their numbers.
const (
	// InternalFailure is for what is not the caller's business; the node's log says it.
	InternalFailure Code = iota
	// OutcomeUnknown is for a write that may or may not take effect.
	OutcomeUnknown
	// TookEffect is for a write that took effect and whose caller may not be told more.
	TookEffect
	// Unavailable is for what may be over a little later.
	Unavailable
	// NotLeader answers a node that took this one for the leader.
	NotLeader
	// NotLeased, Quarantined, NotReached and TooStale are for a view that is not as
	// fresh as it would have to be.
	NotLeased
	Quarantined
	NotReached
	TooStale
	// Verifying is for a verification beside another one.
	Verifying
	// Stopping ends what would go on while the node stops.
	Stopping

	// InvalidRequest is for what the request alone shows to be wrong.
	InvalidRequest
	// NotFound is for a path that is none of the API's.
	NotFound
	// BodyTooLarge, QuestionTooLarge, ChangeTooLarge and AnswerTooLarge are for what is
	// longer than its limit: the body, the question for an effect, a command, an answer.
	BodyTooLarge
	QuestionTooLarge
	ChangeTooLarge
	AnswerTooLarge
	// BodyCutShort and BodyTooSlow are for a body that did not come whole, or not in time.
	BodyCutShort
	BodyTooSlow
	// TooMuchWork is for a question, or a simulation, that takes more work than it may.
	TooMuchWork
	// NoSuchPrincipal, NoSuchRequest and WrongToken are for what a request names and is
	// not there, or of another history; NotCommitted is for a position that never was.
	NoSuchPrincipal
	NoSuchRequest
	WrongToken
	NotCommitted
	// WrongIncarnation ends a stream of the history before.
	WrongIncarnation
	// NotKept is for a moment of the past whose history was dropped.
	NotKept

	// Denied is for a caller whose policies do not allow what it asks for.
	Denied

	// The rest are reasons of AWS's that other packages name: of the signature, of the
	// form, of an action, of the state.
	MissingAuthenticationToken
	IncompleteSignature
	InvalidClientTokenID
	SignatureDoesNotMatch
	ExpiredToken
	MalformedInput
	MalformedQueryString
	MissingAction
	InvalidAction
	UnknownOperation
	ValidationError
	InvalidInput
	MalformedPolicyDocument
	NoSuchEntity
	EntityAlreadyExists
	DeleteConflict
	LimitExceeded
	UnmodifiableEntity
	PolicyNotAttachable
	ConcurrentModification
	RequestExpired
	ReportNotPresent
	ReportExpired
	ReportInProgress
	StaleAuthorization
	AlreadyBootstrapped
	Barred
	UnknownFeature
	FeatureEnabled
	FeatureDisabled
	CallerNotManagement
	NotAdministrator
	OpenIDIdpCommunicationError

	// Of passwords.
	PasswordPolicyViolation
	InvalidUserType
	EntityTemporarilyUnmodifiable
	MalformedCertificate
	InvalidCertificate
	DuplicateCertificate
	KeyPairMismatch
	InvalidPublicKey
	UnrecognizedPublicKeyEncoding
	DuplicateSSHPublicKey
	InvalidAuthenticationCode // of MFA devices
	// PasskeysOff is for clusters that nobody set passkeys up in, PasskeyRejected for what an
	// authenticator said and is not right.
	PasskeysOff
	PasskeyRejected

	// Of sessions.
	InvalidParameterValue
	PackedPolicyTooLarge
	OutboundWebIdentityFederationDisabledException
	SessionDurationEscalationException
	JWTPayloadSizeExceededException
	InvalidAuthorizationMessageException
	ExpiredTradeInTokenException

	// Of web identities.
	InvalidIdentityToken
	ExpiredIdentityToken
	IDPCommunicationError
	IDPRejectedClaim

	// Of signing in. SignInFailed is for whatever was wrong; the last two are told to those
	// alone who are right.
	SignInFailed
	TooManySignIns
	PasswordChangeRequired
	PasswordExpired

	codes // how many there are
)

// RetryAfter is the Retry-After, in seconds, of answers that ask for another try.
const RetryAfter = "1"

// row is what a code is to a caller.
type row struct {
	native face
	aws    face // without a code: that of native, without its hint
	retry  bool // the same request may succeed a little later: the answer has a Retry-After
}

// face is what a code is in one dialect.
type face struct {
	code   string
	status int
	// text is what is wrong: in the native dialect unless a Fault has a detail of its own,
	// in AWS's whatever its detail is.
	text string
	// hint is what to do: in the native dialect beside the text, unless a Fault has a hint
	// of its own; in AWS's behind the text.
	hint string
}

// Hints that several codes have.
const (
	hintSign   = "Sign with SigV4 for the service name writ, with an active access key of this cluster."
	hintRoster = "`writ replica list` shows the replicas, `writ writer list` the writers, `writ account list` the accounts."
	hintAgain  = "Try again."
)

// table is what each code is. Where two codes have one name in the native dialect, an
// error of another package that names it is of the first.
var table = [codes]row{
	InternalFailure: {
		native: face{"InternalFailure", http.StatusInternalServerError, "The request failed inside Writ.", "The node's log says why under this request's id."},
		aws:    face{"InternalFailure", http.StatusInternalServerError, "The request failed inside Writ; its log says why under this request's id.", ""},
	},
	OutcomeUnknown: {
		native: face{"OutcomeUnknown", http.StatusServiceUnavailable, "The leader was lost while the request was under way: it may or may not take effect.",
			"Send it again with the same amz-sdk-invocation-id: it takes effect at most once."},
		aws: face{"OutcomeUnknown", http.StatusServiceUnavailable, "The leader was lost while the request was under way: it may or may not take effect.",
			"Sent again with the same amz-sdk-invocation-id, it takes effect at most once."},
		retry: true,
	},
	TookEffect: {native: face{"OutcomeUnknown", http.StatusServiceUnavailable, "", "Nothing is left to do for this request."}, retry: true},
	Unavailable: {
		native: face{"Unavailable", http.StatusServiceUnavailable, "", hintAgain},
		aws:    face{"ServiceUnavailable", http.StatusServiceUnavailable, "", hintAgain}, // AWS's name of it
		retry:  true,
	},
	NotLeader: {
		native: face{"NotLeader", http.StatusMisdirectedRequest, "this node does not lead", ""},
		aws:    face{"NotLeader", http.StatusMisdirectedRequest, "This node does not lead.", ""},
	},
	NotLeased:   {native: face{"NotLeased", http.StatusServiceUnavailable, "", "Try again, or ask another node."}, retry: true},
	Quarantined: {native: face{"Quarantined", http.StatusServiceUnavailable, "", "Try again, or ask another node."}, retry: true},
	NotReached:  {native: face{"NotReached", http.StatusServiceUnavailable, "", "Try again, or ask another node."}, retry: true},
	TooStale:    {native: face{"TooStale", http.StatusServiceUnavailable, "", "Try again, or ask another node."}, retry: true},
	Verifying: {
		native: face{"Verifying", http.StatusServiceUnavailable, "Another verification is under way; there is one at a time.", "Try again when it has ended."},
		retry:  true,
	},
	Stopping: {native: face{"Stopping", http.StatusServiceUnavailable, "The node is stopping.", "Go on at another node, after the last position."}, retry: true},

	InvalidRequest: {native: face{"InvalidRequest", http.StatusBadRequest, "", ""}},
	NotFound:       {native: face{"NotFound", http.StatusNotFound, "", "The API is described at /openapi.json."}},
	BodyTooLarge: {
		native: face{"RequestEntityTooLarge", http.StatusRequestEntityTooLarge, "the body is longer than 1048576 bytes", "Split the request."},
		aws:    face{"RequestEntityTooLarge", http.StatusRequestEntityTooLarge, "Request size exceeded the limit of 1048576 bytes", ""},
	},
	QuestionTooLarge: {native: face{"RequestEntityTooLarge", http.StatusRequestEntityTooLarge, "", "Give less context."}},
	ChangeTooLarge: {
		native: face{"RequestEntityTooLarge", http.StatusRequestEntityTooLarge, "", "Split the request."},
		aws:    face{"LimitExceeded", http.StatusConflict, "The request makes a change that is larger than the log takes.", ""}, // as the models know it
	},
	AnswerTooLarge: {native: face{"AnswerTooLarge", http.StatusBadRequest, "", "Ask fewer questions at once, or without explain."}},
	BodyCutShort:   {native: face{"IncompleteBody", http.StatusBadRequest, "The body ends before its declared end.", ""}},
	BodyTooSlow: {
		native: face{"RequestTimeout", http.StatusRequestTimeout, "the body did not come in time.", "Send it again."},
		aws:    face{"RequestTimeout", http.StatusRequestTimeout, "The body did not come in time.", ""},
	},
	TooMuchWork: {
		native: face{"TooMuchWork", http.StatusBadRequest, "The question takes more work than one request may.",
			"Ask fewer questions at once, with shorter values and fewer wildcards."},
		aws: face{"InvalidInput", http.StatusBadRequest, "The simulation takes more work than one request may: " + // as AWS's simulators say it
			"name fewer actions and resources, or give shorter policies and context values with fewer wildcards.", ""},
	},
	NoSuchPrincipal:  {native: face{"NoSuchPrincipal", http.StatusNotFound, "", ""}},
	NoSuchRequest:    {native: face{"NoSuchRequest", http.StatusNotFound, "", ""}},
	WrongToken:       {native: face{"WrongToken", http.StatusConflict, "", "The token cannot be compared with this cluster's positions: make the change again here, and use its token."}},
	NotCommitted:     {native: face{"NotCommitted", http.StatusConflict, "", "Read the state anew, and watch from there; a token tells of which history it is."}},
	NotKept:          {native: face{"NotKept", http.StatusGone, "", ""}},
	WrongIncarnation: {native: face{"WrongIncarnation", http.StatusConflict, "The cluster has a new incarnation, whose positions are others.", "Read the state anew, and watch from there."}},

	Denied: {native: face{"AccessDenied", http.StatusForbidden, "", "Attach a policy that allows the action to the caller."}},

	MissingAuthenticationToken: {native: face{"MissingAuthenticationToken", http.StatusForbidden, "", hintSign}},
	IncompleteSignature:        {native: face{"IncompleteSignature", http.StatusBadRequest, "", hintSign}},
	InvalidClientTokenID:       {native: face{"InvalidClientTokenId", http.StatusForbidden, "", hintSign}},
	SignatureDoesNotMatch:      {native: face{"SignatureDoesNotMatch", http.StatusForbidden, "", hintSign}},
	ExpiredToken:               {native: face{"ExpiredToken", http.StatusForbidden, "", hintSign}},
	MalformedInput:             {native: face{"MalformedInput", http.StatusBadRequest, "", ""}},
	MalformedQueryString:       {native: face{"MalformedQueryString", http.StatusNotFound, "", ""}}, // the status that AWS documents
	MissingAction:              {native: face{"MissingAction", http.StatusBadRequest, "", ""}},
	InvalidAction:              {native: face{"InvalidAction", http.StatusBadRequest, "", ""}},
	UnknownOperation:           {native: face{"UnknownOperationException", http.StatusNotFound, "", ""}},
	ValidationError:            {native: face{"ValidationError", http.StatusBadRequest, "", ""}},
	InvalidInput:               {native: face{"InvalidInput", http.StatusBadRequest, "", hintRoster}},
	MalformedPolicyDocument:    {native: face{"MalformedPolicyDocument", http.StatusBadRequest, "", ""}},
	NoSuchEntity:               {native: face{"NoSuchEntity", http.StatusNotFound, "", hintRoster}},
	EntityAlreadyExists:        {native: face{"EntityAlreadyExists", http.StatusConflict, "", hintRoster}},
	DeleteConflict:             {native: face{"DeleteConflict", http.StatusConflict, "", hintRoster}},
	LimitExceeded:              {native: face{"LimitExceeded", http.StatusConflict, "", hintRoster}},
	UnmodifiableEntity:         {native: face{"UnmodifiableEntity", http.StatusBadRequest, "", hintRoster}},
	PolicyNotAttachable:        {native: face{"PolicyNotAttachable", http.StatusBadRequest, "", "It comes with the role that CreateServiceLinkedRole makes."}},
	ConcurrentModification:     {native: face{"ConcurrentModification", http.StatusConflict, "", hintRoster}},
	RequestExpired:             {native: face{"RequestExpired", http.StatusBadRequest, "", "Sign it again, by a clock that is right."}},
	ReportNotPresent:           {native: face{"ReportNotPresent", http.StatusGone, "", ""}},
	ReportExpired:              {native: face{"ReportExpired", http.StatusGone, "", ""}},
	ReportInProgress:           {native: face{"ReportInProgress", http.StatusNotFound, "", ""}},
	StaleAuthorization:         {native: face{"StaleAuthorization", http.StatusBadRequest, "", "Send it again."}},
	AlreadyBootstrapped:        {native: face{"AlreadyBootstrapped", http.StatusBadRequest, "", hintRoster}},
	Barred:                     {native: face{"Barred", http.StatusBadRequest, "", hintRoster}},
	UnknownFeature:             {native: face{"UnknownFeature", http.StatusBadRequest, "", "`writ status` shows the nodes."}},
	FeatureEnabled:             {native: face{"FeatureEnabled", http.StatusConflict, "", ""}},
	FeatureDisabled:            {native: face{"FeatureDisabled", http.StatusNotFound, "", ""}},
	CallerNotManagement:        {native: face{"CallerIsNotManagementAccountException", http.StatusBadRequest, "", ""}},
	NotAdministrator:           {native: face{"AccountNotManagementOrDelegatedAdministratorException", http.StatusBadRequest, "", ""}},
	// The provider may answer a little later, but SDKs do not try such a request again.
	OpenIDIdpCommunicationError: {native: face{"OpenIdIdpCommunicationError", http.StatusBadRequest, "", ""}},

	PasswordPolicyViolation:       {native: face{"PasswordPolicyViolation", http.StatusBadRequest, "", ""}},
	InvalidUserType:               {native: face{"InvalidUserType", http.StatusBadRequest, "", ""}},
	EntityTemporarilyUnmodifiable: {native: face{"EntityTemporarilyUnmodifiable", http.StatusConflict, "", "Try again in several minutes."}},

	MalformedCertificate:          {native: face{"MalformedCertificate", http.StatusBadRequest, "", ""}},
	InvalidCertificate:            {native: face{"InvalidCertificate", http.StatusBadRequest, "", ""}},
	DuplicateCertificate:          {native: face{"DuplicateCertificate", http.StatusConflict, "", ""}},
	KeyPairMismatch:               {native: face{"KeyPairMismatch", http.StatusBadRequest, "", ""}},
	InvalidPublicKey:              {native: face{"InvalidPublicKey", http.StatusBadRequest, "", ""}},
	UnrecognizedPublicKeyEncoding: {native: face{"UnrecognizedPublicKeyEncoding", http.StatusBadRequest, "", ""}},
	DuplicateSSHPublicKey:         {native: face{"DuplicateSSHPublicKey", http.StatusBadRequest, "", ""}},
	InvalidAuthenticationCode:     {native: face{"InvalidAuthenticationCode", http.StatusForbidden, "", ""}},
	PasskeysOff: {native: face{"PasskeysNotSetUp", http.StatusBadRequest, "The cluster has no passkeys: no domain is set that they would be bound to.",
		"Start all writers with --passkey-rp-id and --passkey-origins."}},
	PasskeyRejected: {native: face{"PasskeyRejected", http.StatusBadRequest, "", "Ask for another challenge, and have a passkey answer it within five minutes."}},

	InvalidParameterValue: {native: face{"InvalidParameterValue", http.StatusBadRequest, "", ""}},
	PackedPolicyTooLarge:  {native: face{"PackedPolicyTooLarge", http.StatusBadRequest, "", ""}},

	OutboundWebIdentityFederationDisabledException: {native: face{"OutboundWebIdentityFederationDisabledException", http.StatusForbidden, "", ""}},
	SessionDurationEscalationException:             {native: face{"SessionDurationEscalationException", http.StatusForbidden, "", ""}},
	JWTPayloadSizeExceededException:                {native: face{"JWTPayloadSizeExceededException", http.StatusBadRequest, "", ""}},
	ExpiredTradeInTokenException:                   {native: face{"ExpiredTradeInTokenException", http.StatusBadRequest, "", ""}},
	InvalidAuthorizationMessageException:           {native: face{"InvalidAuthorizationMessageException", http.StatusBadRequest, "", ""}},
	InvalidIdentityToken:                           {native: face{"InvalidIdentityToken", http.StatusBadRequest, "", ""}},
	ExpiredIdentityToken:                           {native: face{"ExpiredTokenException", http.StatusBadRequest, "", ""}},
	IDPCommunicationError:                          {native: face{"IDPCommunicationError", http.StatusBadRequest, "", ""}}, // SDKs try it again by its name
	IDPRejectedClaim:                               {native: face{"IDPRejectedClaim", http.StatusForbidden, "", ""}},

	SignInFailed: {native: face{"SignInFailed", http.StatusForbidden, "The account, the user, the e-mail address, the password, the MFA code or the passkey is not right, or a code is missing.",
		"Who has an MFA device gives mfa_code, and who has several mfa_serial, too; who has a passkey may give passkey instead. No code or challenge is good twice."}},
	TooManySignIns: {native: face{"TooManySignIns", http.StatusTooManyRequests, "Too many sign-ins have failed of this user, in this account or from this address.",
		"Try again in several minutes, or from where you signed in before."}},
	PasswordChangeRequired: {native: face{"PasswordChangeRequired", http.StatusForbidden, "The password was right, and must be changed before the user can sign in: it has expired, or was set to be changed.",
		"Send the request again with new_password, and with the next code of the MFA device, if there is one."}},
	PasswordExpired: {native: face{"PasswordExpired", http.StatusForbidden, "The password was right, but has expired, and the account's policy does not let the user change it.",
		"An administrator sets another (UpdateLoginProfile)."}},
}
