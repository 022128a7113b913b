package native_test

import (
	"encoding/json"
	"reflect"
	"time"

	"github.com/writ-iam/writ/log/digest"
	"github.com/writ-iam/writ/log/event"
	"github.com/writ-iam/writ/log/identity"
	"github.com/writ-iam/writ/node/api/shape"
	"github.com/writ-iam/writ/node/decision"
	"github.com/writ-iam/writ/node/search"
	"github.com/writ-iam/writ/node/signin"
	"github.com/writ-iam/writ/projection/authz"
)

// schemas are the types that have a schema under their name. Other structs are written
// out where they are used.
var schemas = []any{
	shape.Question{}, shape.Questions{}, shape.BatchQuestion{}, shape.ChangeSearch{}, shape.DecisionChanges{}, shape.DecisionChange{}, shape.DecisionAt{}, shape.Decision{}, shape.Decisions{}, shape.Propagation{}, shape.Expectation{}, shape.Effect{}, shape.Cluster{}, shape.Member{},
	shape.Verification{}, shape.Verified{}, event.SignedHead{}, shape.Chain{}, shape.Problem{}, shape.RosterChange{}, shape.VotersChange{}, shape.Writer{}, shape.Quorum{},
	shape.Received{}, shape.Authentication{}, shape.Authenticated{}, shape.SignatureFacts{}, shape.AuthenticationError{}, shape.Tag{}, shape.SigningKeyOf{}, shape.SigningKey{},
	shape.PrincipalsWanted{}, shape.Principals{}, shape.FoundPrincipal{}, shape.FoundStatement{},
	shape.Retention{}, shape.RetentionToSet{}, shape.RetentionChange{}, shape.StoredHistory{},
	shape.Seal{}, shape.SealKey{}, shape.SealNode{}, shape.SealRotation{}, shape.SealRotated{},
	shape.PositionEvent{}, shape.HeartbeatEvent{}, shape.GapEvent{}, shape.EndEvent{},
	shape.Catalogue{}, shape.CatalogueChange{}, shape.CataloguePart{}, shape.CataloguePolicy{}, shape.CatalogueVersion{},
	shape.Quotas{}, shape.Quota{}, shape.QuotasToSet{}, shape.QuotaToSet{}, shape.QuotasChange{},
	shape.SessionsToRevoke{}, shape.Revocation{}, shape.Certificate{}, shape.CertificatesToRevoke{}, shape.CertificateRevocation{},
	shape.Accounts{}, shape.Account{}, shape.AccountToCreate{}, shape.AccountCreation{}, shape.AccountRootKey{},
	shape.AccountAlias{}, shape.RootEmail{}, shape.RootPassword{}, shape.AccountChange{},
	shape.SeenSessions{}, shape.SeenSession{}, shape.SessionKeys{}, shape.SessionKey{}, shape.IssuerKeys{}, shape.IssuerKey{}, shape.KeyChange{},
	shape.ProviderKeys{}, shape.ProviderKeysChange{},
	shape.SignIn{}, shape.SignedIn{}, shape.SignInChallengeFor{}, shape.SignInChallenge{},
	shape.PasskeyOwner{}, shape.PasskeyCreation{}, shape.PasskeyToRegister{}, shape.PasskeyRegistration{}, shape.PasskeyCredential{},
}

// types are the schemas of types that are not in JSON what they are in Go.
var types = map[reflect.Type]object{
	reflect.TypeFor[event.Hash]():      {{"type", "string"}, {"pattern", "^[0-9a-f]{64}$"}},
	reflect.TypeFor[digest.Sum]():      {{"type", "string"}, {"pattern", "^[0-9a-f]{32}$"}},
	reflect.TypeFor[[]byte]():          {{"type", "string"}, {"contentEncoding", "base64"}},
	reflect.TypeFor[json.RawMessage](): {{"type", "object"}},
	reflect.TypeFor[time.Time]():       {{"type", "string"}, {"format", "date-time"}},
	reflect.TypeFor[shape.Verdict](): {{"type", "string"}, {"enum", []shape.Verdict{
		shape.VerdictOK, shape.VerdictDiffers, shape.VerdictBroken, shape.VerdictUnfinished, shape.VerdictUnreachable,
	}}},
	reflect.TypeFor[shape.Headers](): {
		{"type", "object"}, {"additionalProperties", object{{"oneOf", []object{text, {{"type", "array"}, {"items", text}}}}}},
	},
	reflect.TypeFor[shape.Moment](): {{"oneOf", []object{{{"type", "integer"}, {"minimum", 1}}, text}}},
	reflect.TypeFor[shape.Context](): {
		{"type", "object"}, {"maxProperties", 256}, {"description", "Condition keys: a text, or a list for a key that is multivalued."},
		{"additionalProperties", object{{"oneOf", []object{text, {{"type", "array"}, {"items", text}, {"maxItems", 1000}}}}}},
	},
}

// strict is for requests: a member that is not known is refused.
var strict = object{{"additionalProperties", false}}

var (
	principal      = object{{"maxLength", authz.MaxARN}}
	action         = object{{"maxLength", authz.MaxAction}, {"pattern", "^[A-Za-z0-9.-]+:[!-)+-9;->@-~]+$"}}
	resource       = object{{"maxLength", authz.MaxARN}, {"minLength", 1}, {"default", "*"}}
	progress       = oneOf("unknown", "committed", "partial", "everywhere")
	role           = oneOf("writer", "replica")
	expected       = oneOf("allow", "deny")
	ofWhom         = oneOf(shape.DefaultsWrit, shape.DefaultsAWS)
	quota          = oneOf(quotaNames()...)
	email          = object{{"minLength", 6}, {"maxLength", 64}}
	alias          = object{{"pattern", "^([a-z0-9](-?[a-z0-9]){2,62})?$"}, {"maxLength", 63}}
	signingService = object{{"pattern", "^[A-Za-z0-9._-]{1,32}$"}}
	keyState       = oneOf("active", "verify-only", "revoked")
)

// keywords are what the types cannot say: limits, and the words that a text may be.
var keywords = map[string]object{
	"Question":                   strict,
	"Question.principal":         principal,
	"Question.action":            action,
	"Question.resource":          resource,
	"Questions.questions":        {{"minItems", 1}, {"maxItems", decision.MaxBatch}},
	"Questions":                  strict,
	"Questions.semantics":        append(oneOf(shape.SemanticsAll, shape.SemanticsFirstDeny, shape.SemanticsFirstPermit), member{"default", shape.SemanticsAll}),
	"Questions.errors":           append(oneOf(shape.ErrorsWhole, shape.ErrorsEach), member{"default", shape.ErrorsWhole}),
	"BatchQuestion":              strict,
	"BatchQuestion.principal":    principal,
	"BatchQuestion.action":       action,
	"BatchQuestion.resource":     resource,
	"Decision.decision":          oneOf("allow", "explicitDeny", "implicitDeny", "indeterminate"),
	"Decision.freshness":         oneOf("leased", "unleased", "strict", "at_least", "past"),
	"ChangeSearch":               strict,
	"ChangeSearch.principal":     principal,
	"ChangeSearch.action":        action,
	"ChangeSearch.resource":      resource,
	"DecisionAt.decision":        oneOf("allow", "explicitDeny", "implicitDeny", "noSuchPrincipal"),
	"PrincipalsWanted":           strict,
	"PrincipalsWanted.action":    action,
	"PrincipalsWanted.resource":  resource,
	"PrincipalsWanted.limit":     {{"minimum", 1}, {"maximum", search.MaxPage}, {"default", 100}},
	"PrincipalsWanted.cursor":    {{"maxLength", 1024}},
	"FoundPrincipal.decision":    oneOf("allow", "explicitDeny", "implicitDeny"),
	"FoundStatement.effect":      oneOf("Allow", "Deny"),
	"Propagation.state":          progress,
	"Expectation":                strict,
	"Expectation.principal":      principal,
	"Expectation.action":         action,
	"Expectation.resource":       resource,
	"Expectation.expect":         expected,
	"Expectation.count":          {{"minimum", 1}},
	"Expectation.timeout":        {{"default", "30s"}},
	"Effect.position":            {{"description", "The position at which the leader decided last."}},
	"Effect.expect":              expected,
	"Effect.effect":              oneOf(shape.EffectPresent, shape.EffectAbsent, shape.EffectPending),
	"Effect.decision":            oneOf("allow", "explicitDeny", "implicitDeny"),
	"EffectReplica.decision":     oneOf("", "allow", "explicitDeny", "implicitDeny", "indeterminate"),
	"Cluster.without_lease":      oneOf("nothing", "questions", "reads"),
	"Member.role":                role,
	"Verified.role":              role,
	"Seal.phase":                 oneOf("unchosen", "resealing", "settled"),
	"SealKey.state":              oneOf("active", "needed", "former", "retired", "new"),
	"SealNode.role":              role,
	"SealRotation":               strict,
	"RetentionToSet":             strict,
	"Received":                   strict,
	"Received.service":           signingService,
	"Received.style":             oneOf(shape.StyleAWS, shape.StyleS3),
	"Received.action":            action,
	"Received.resource":          resource,
	"Received.payload_hash":      {{"pattern", "^[0-9a-fA-F]{64}$"}},
	"Authentication.freshness":   oneOf("leased", "strict"),
	"Authenticated.kind":         oneOf(shape.KindRoleSession, shape.KindUserSession, shape.KindRootSession, shape.KindFederatedUser, shape.KindTaskRoot, shape.KindDelegated),
	"SignatureFacts.payload":     oneOf(shape.PayloadHashed, shape.PayloadUnsigned, shape.PayloadStreaming, shape.PayloadStreamingTrailer, shape.PayloadUnsignedTrailer),
	"SigningKeyOf":               strict,
	"SigningKeyOf.service":       signingService,
	"SigningKeyOf.date":          {{"pattern", "^[0-9]{8}$"}},
	"SigningKey.signing_key":     {{"pattern", "^[0-9a-f]{64}$"}},
	"SigningKey.freshness":       oneOf("leased", "strict"),
	"Quotas.defaults":            ofWhom,
	"Quota.quota":                quota,
	"Writer":                     strict,
	"QuotasToSet":                strict,
	"QuotasToSet.defaults":       ofWhom,
	"QuotaToSet":                 strict,
	"QuotaToSet.quota":           quota,
	"SessionsToRevoke":           strict,
	"Account.state":              oneOf(shape.AccountOpen, shape.AccountClosed),
	"AccountToCreate":            strict,
	"AccountToCreate.email":      email,
	"AccountToCreate.name":       {{"maxLength", 50}},
	"AccountToCreate.alias":      alias,
	"AccountToCreate.account":    {{"pattern", "^[0-9]{12}$"}},
	"AccountAlias":               strict,
	"AccountAlias.alias":         alias,
	"RootEmail":                  strict,
	"RootEmail.email":            email,
	"RootPassword":               strict,
	"RootPassword.password":      {{"minLength", 8}, {"maxLength", 128}},
	"SeenSession.kind":           oneOf(shape.KindRoleSession, shape.KindUserSession, shape.KindRootSession, shape.KindFederatedUser, shape.KindTaskRoot, shape.KindDelegated),
	"SessionKey.state":           keyState,
	"IssuerKey.state":            keyState,
	"KeyChange.state":            oneOf("active", "revoked"),
	"ProviderKeys":               strict,
	"SignIn":                     strict,
	"SignIn.account":             {{"maxLength", 63}},
	"SignIn.user":                {{"maxLength", 64}},
	"SignIn.email":               email,
	"SignIn.password":            {{"minLength", 1}, {"maxLength", 128}},
	"SignIn.mfa_code":            {{"pattern", "^[0-9]{6}$"}},
	"SignIn.mfa_serial":          {{"maxLength", 256}},
	"SignIn.new_password":        {{"maxLength", 128}},
	"SignIn.duration_seconds":    {{"minimum", signin.MinLife / time.Second}, {"maximum", signin.MaxLife / time.Second}, {"default", signin.DefaultLife / time.Second}},
	"SignInChallengeFor":         strict,
	"SignInChallengeFor.account": {{"maxLength", 63}},
	"SignInChallengeFor.user":    {{"maxLength", 64}},
	"SignInChallengeFor.email":   email,
	"PasskeyOwner":               strict,
	"PasskeyOwner.user":          {{"maxLength", 64}},
	"PasskeyToRegister":          strict,
	"PasskeyToRegister.user":     {{"maxLength", 64}},
	"PasskeyToRegister.name":     {{"pattern", "^[A-Za-z0-9_+=,.@-]{1,64}$"}},
	"PositionEvent.time":         {{"format", "date-time"}},
	"HeartbeatEvent.freshness":   oneOf("leased", "unleased", "leading", "strict"),
}

func quotaNames() (names []string) {
	for q := range identity.NumQuotas {
		names = append(names, q.String())
	}
	return names
}

// oneOf is the keyword of a text that is one of some words.
func oneOf(words ...string) object { return object{{"enum", words}} }
