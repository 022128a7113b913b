package shape

// Headers of the native API, on requests and answers of both dialects.
const (
	HeaderPosition     = "X-Writ-Position"
	HeaderToken        = "X-Writ-Token"
	HeaderFreshness    = "X-Writ-Freshness"
	HeaderAtLeast      = "X-Writ-At-Least"
	HeaderMaxStaleness = "X-Writ-Max-Staleness"
	HeaderConsistency  = "X-Writ-Consistency"
	// HeaderMessage has the authorization message of a denial, which
	// sts:DecodeAuthorizationMessage decodes.
	HeaderMessage = "X-Writ-Authorization-Message"
	// HeaderTradeIn has the token that sts:GetDelegatedAccessToken takes.
	HeaderTradeIn   = "X-Writ-Trade-In-Token"
	HeaderRequestID = "X-Amzn-Requestid"
	HeaderLastEvent = "Last-Event-Id" // in the canonical form of net/http
)
