package native_test

import (
	"github.com/writ-iam/writ/node/api/native"
	"github.com/writ-iam/writ/node/api/shape"
)

// operation is what people are told of a route.
type operation struct {
	id, summary, about string
	parameters         []object       // beside those of the path
	body               string         // the schema of the request's body; empty: none
	answer             string         // what it means that the status is 200
	headers, content   object         // of that answer
	refusals           []int          // the statuses of other answers
	meaning            map[int]string // of those that mean more than usual
	open               bool           // without a signature
}

const about = "Signed with AWS Signature Version 4, service name writ. Decisions name the position at which they hold; propagation tells when a change is in force everywhere. " +
	"IAM and STS are served on the same port as the AWS Query protocol. " +
	"A node that can not prove that it is current, by a lease or by reading the head of the log, answers 503 with the code NotLeased or Unavailable and Retry-After to all " +
	"but questions for decisions, or as it is configured (--without-lease). Who asks for more than a limit of the node allows is answered 503 with Retry-After; " +
	"a body that comes too slowly, 408 with the code RequestTimeout. A query parameter, or a header that begins with X-Writ-, that is given twice is refused with 400."

// inPath says what the parameters of paths are.
var inPath = map[string]string{
	"account": "Number of the account.", "number": "Number of the session key.", "token": "Token of a write.", "name": "Name of the replica.", "part": "Number of the part, from 0.",
	"digest": "SHA-256 of the whole catalogue, in hexadecimal: of its policies in order of name.",
}

// ofPort are the routes that the port has beside those of the API.
var ofPort = []string{"POST /signin", "POST /signin/challenge", "GET /livez", "GET /readyz", "GET /metrics"}

var noPrincipal = map[int]string{404: "The principal does not exist (NoSuchPrincipal), at the position in X-Writ-Position."}

var noAccount = map[int]string{404: "The cluster has no such account (NoSuchEntity)."}

// The statuses of refusals, by what a request can meet.
var (
	refused     = []int{400, 403, 413, 503}
	refusedAt   = []int{400, 403, 409, 413, 503}      // there is a token that may be wrong
	refusedWhat = []int{400, 403, 404, 409, 413, 503} // what it asks about may not be there
	notChanged  = []int{400, 403, 404, 409, 503}
	notStreamed = []int{400, 403, 409, 503}
	notTaken    = []int{400, 403, 409, 413, 503}
)

var asked = []object{
	in("header", shape.HeaderAtLeast, text, "Token of a write: the answer is from there or later."),
	in("header", shape.HeaderMaxStaleness, text.with(member{"examples", []string{"500ms"}}), "Refuse an answer that could be older."),
	in("header", shape.HeaderConsistency, consistency,
		"Default: strict at a writer; at a replica leased, or else any with a flag, if the node admits that without a lease. None of these makes a node admit more."),
}

var (
	consistency = text.with(oneOf("leased", "strict", "any")...)
	ofAccount   = in("query", "account", text.with(member{"pattern", "^[0-9]{12}$"}), "Number of the account; the cluster's own if not given.")
	invocation  = in("header", "Amz-Sdk-Invocation-Id", text, "The same over all attempts of one call, which then takes effect at most once.")
	scoped      = []object{
		in("query", "token", text, "Token of a write."),
		in("query", "request_id", text, "The x-amzn-RequestId of a write's answer. Remembered for five minutes."),
		in("query", "arn", text, "Latest change to this entity and what its permissions depend on."),
		in("query", "head", boolean, "Everything that is committed by now."),
		in("query", "wait", text, "everywhere: hold the answer until then."),
		in("query", "timeout", text, "How long to hold it at most; 30s if not given."),
		in("query", "replicas", text, "Only these replicas, separated by commas."),
		in("query", "region", text, "Only the replicas of this region."),
		in("query", "count", integer, "Until this many replicas show it."),
	}
)

// operations is the prose of each route.
var operations = map[string]operation{
	"POST /v1/authorize": {
		id: "Authorize", summary: "May this principal do this?", parameters: asked,
		about: "Permission writ:Authorize on the principal's ARN. With at, the question is about that moment of the past, and takes writ:AuthorizeAt on the ARN, too: " +
			"the answer is exact there, says nothing of now, and its freshness is past. A moment of the future, or before the beginning, is 409 NotCommitted; one whose history was dropped, 410 NotKept. " +
			"The headers about freshness do not go with it.",
		body: "Question", answer: "The decision.", headers: seen, content: jsonOf("Decision"), refusals: append([]int{410}, refusedWhat...), meaning: noPrincipal,
	},
	"POST /v1/authorize/batch": {
		id: "AuthorizeBatch", summary: "Many questions, answered from one position.", about: "Permission writ:Authorize on the ARN of each principal.", parameters: asked,
		body: "Questions", answer: "The decisions, in order.", headers: seen, content: jsonOf("Decisions"), refusals: refusedWhat, meaning: noPrincipal,
	},
	"POST /v1/authorize/changes": {
		id: "GetDecisionChanges", summary: "Which changes between two moments turned a decision?",
		about: "Permissions writ:Authorize, writ:AuthorizeAt and writ:GetDecisionChanges on the principal's ARN. All is decided by the clock of the last change in the range, so that time alone turns nothing. " +
			"Where the limits of one answer are met (200000 positions, 50 changes), next says from where to ask on. A moment of the future, or before the beginning, is 409 NotCommitted; " +
			"one whose history was dropped, 410 NotKept.",
		body: "ChangeSearch", answer: "The changes, in order.", headers: seen, content: jsonOf("DecisionChanges"), refusals: append([]int{410}, refusedWhat...),
	},
	"POST /v1/search/principals": {
		id: "SearchPrincipals", summary: "Which principals may do this, and by which statements?",
		about: "Permission writ:SearchPrincipals. Told are the principals alone that the caller may ask about: writ:Authorize on the ARN of each. Each is decided as a question about it is. " +
			"A page may have fewer principals than its limit, or none, and yet a cursor.",
		parameters: asked, body: "PrincipalsWanted", answer: "A page of principals.", headers: seen, content: jsonOf("Principals"), refusals: refusedAt,
	},
	"GET /v1/propagation": {
		id: "GetPropagation", summary: "How far has a position come?",
		about: "Permission writ:GetPropagation. Name the position by token, request_id, arn or head. A request_id that is not known is 404 NoSuchRequest: " +
			"reads and refused requests change nothing, and the ids of writes are remembered for five minutes. " +
			"A token of another history, or of a position that was never committed, is 409 WrongToken, at once.",
		parameters: scoped, answer: "How far it has come.", headers: seen, content: jsonOf("Propagation"), refusals: refusedWhat,
	},
	"GET /v1/propagation/{token}": {
		id: "GetPropagationOfToken", summary: "How far has a write come?",
		about:  "Permission writ:GetPropagation. A token of another history, or of a position that was never committed, is 409 WrongToken, at once.",
		answer: "How far it has come.", headers: seen, content: jsonOf("Propagation"), refusals: refusedWhat,
	},
	"POST /v1/propagation/effect": {
		id: "WaitForEffect", summary: "Is a decision as expected everywhere?",
		about: "Permissions writ:GetPropagation, and writ:Authorize on the principal's ARN. Waits until the leader, at the head of the log, and every replica in the scope " +
			"that may answer as fresh, from there or later, decide as expected, each by its own engine and clock. An answer that comes because the time is up is one of success: " +
			"see effect. Where at_least is a token of another history, or of a position that was never committed, it is 409 WrongToken, at once.",
		body: "Expectation", answer: "Whether it is, and who decides what.", headers: seen, content: jsonOf("Effect"), refusals: refusedWhat, meaning: noPrincipal,
	},
	"GET /v1/cluster": {
		id: "GetCluster", summary: "Who leads, who lags, and where.",
		about:  "Permission writ:GetCluster. Without a leader, a node that holds a lease tells what it knows.",
		answer: "The cluster as the leader knows it.", headers: seen, content: jsonOf("Cluster"), refusals: refusedAt,
	},
	"GET /v1/events": watching,
	"POST /v1/replicas/{name}/drain": {
		id: "DrainReplica", summary: "Stop new leases for a replica that is about to go.", about: "Permission writ:DrainReplica.", parameters: []object{invocation},
		answer: "The change was committed.", headers: changed, content: jsonOf("RosterChange"), refusals: notChanged,
	},
	"POST /v1/replicas/{name}/resume": {
		id: "ResumeReplica", summary: "End a replica's draining.", about: "Permission writ:ResumeReplica.", parameters: []object{invocation},
		answer: "The change was committed.", headers: changed, content: jsonOf("RosterChange"), refusals: notChanged,
	},
	"POST /v1/replicas/{name}/admit": {
		id: "AdmitReplica", summary: "Let the name of a removed replica in again.", about: "Permission writ:AdmitReplica. The replica registers by itself when it runs.",
		parameters: []object{invocation}, answer: "The change was committed.", headers: changed, content: jsonOf("RosterChange"), refusals: notChanged,
	},
	"DELETE /v1/replicas/{name}": {
		id: "RemoveReplica", summary: "Take a replica off the roster.",
		about: `Permission writ:RemoveReplica. Whoever waits for "everywhere" still waits until its last lease has run out. ` +
			"Whoever comes under the name is refused by every writer that has applied this, until the name is admitted again.",
		parameters: []object{in("query", "unregistered", text.with(oneOf("true")...), "Bar the name also where the roster does not have it."), invocation},
		answer:     "The change was committed.", headers: changed, content: jsonOf("RosterChange"), refusals: notChanged,
	},
	"POST /v1/writers": {
		id: "AddWriter", summary: "Add a writer to the cluster.",
		about:      "Permission writ:AddWriter. It may join from then on, with a certificate of that name: it follows the log, and votes when it has caught up.",
		parameters: []object{invocation}, body: "Writer", answer: "The change was committed.", headers: changed, content: jsonOf("VotersChange"), refusals: notChanged,
	},
	"POST /v1/writers/{name}/move": {
		id: "MoveWriter", summary: "Give a writer other addresses.",
		about:      "Permission writ:MoveWriter. It goes on at its old ones until it is started at these.",
		parameters: []object{invocation}, body: "Writer", answer: "The change was committed.", headers: changed, content: jsonOf("VotersChange"), refusals: notChanged,
	},
	"DELETE /v1/writers/{name}": {
		id: "RemoveWriter", summary: "Remove a writer from the cluster, or a member from Raft's log that the cluster does not have.",
		about: "Permission writ:RemoveWriter. A writer of the cluster is called by its name: it is refused by all others from the position of the change on, and votes no more. " +
			"Another member of Raft's log is called by its address, host:port, or its id; then no position changes. Refused with 409 DeleteConflict are the writer that leads, " +
			"and a change after which the rest could not commit.",
		parameters: []object{invocation},
		answer:     "It is a member no more.", headers: changed, content: jsonOf("VotersChange"), refusals: notChanged,
	},
	"POST /v1/leader": {
		id: "TransferLeadership", summary: "Hand leadership to another writer.",
		about:      "Permission writ:TransferLeadership. Writes wait for the new leader, as in an election.",
		parameters: []object{in("query", "to", text, "Name, address or id of the writer; the one furthest ahead if it is left out.")},
		answer:     "Leadership was handed over.", headers: seen, content: jsonOf("VotersChange"), refusals: notChanged,
	},
	"POST /v1/verify": {
		id: "Verify", summary: "Have all nodes the same history and state, and does the chain hold?",
		about: "Permission writ:Verify. Every writer walks its chain of batches, every node recounts its state, and the leader compares what they found with its log. " +
			"One at a time: another is answered 503 Verifying.",
		parameters: []object{
			in("query", "from", integer.with(member{"minimum", 1}, member{"default", 1}), "Position to walk the chain from; what was before is believed."),
			in("query", "timeout", text.with(member{"default", "60s"}), "How long it may take, up to 10m."),
		},
		answer: "What was found about each node. It is 200 whatever that is.", headers: seen, content: jsonOf("Verification"), refusals: refused,
	},
	"GET /v1/head": {
		id: "GetHead", summary: "The head of the history, signed, to keep and check later.",
		about: "Permission writ:GetHead. The head is current after the question. The leader signs it with the key of its node; " +
			"node/client checks it against the certificate of the cluster's authority.",
		answer: "The signed head.", headers: seen, content: jsonOf("SignedHead"), refusals: refused,
	},
	"GET /v1/chain": {
		id: "GetChain", summary: "What the hashes of batches cover, to compute the chain.",
		about: "Permission writ:GetChain. The content of events is in a header by its SHA-256 alone; who caused a change, when, from which address and by which action is in it, " +
			"because the hash of the batch covers that.",
		parameters: []object{
			append(object{{"name", "after"}, {"in", "query"}, {"required", true}}, member{"schema", integer.with(member{"minimum", 0})}, member{"description", "Position before the first header."}),
			in("query", "limit", integer.with(member{"minimum", 1}, member{"maximum", shape.MaxHeaders}, member{"default", native.DefaultHeaders}),
				"At most this many headers; fewer come when they are large or the history ends."),
		},
		answer: "Headers of consecutive batches.", headers: seen, content: jsonOf("Chain"), refusals: refused,
	},
	"GET /v1/backup": {
		id: "Backup", summary: "An archive of the state and the history, in one stream.",
		about: "Permission writ:Backup. Any writer answers, with what it has reached; a replica keeps no history, and answers 503. " +
			"An archive counts when it was read to its end and found whole: an answer that breaks off looks complete to HTTP alone. Secrets in it are sealed; all else is in the clear. " +
			"A writer sends two at once: another is answered 503.",
		parameters: []object{
			in("query", "since", integer.with(member{"minimum", 1}), "The batches behind this position alone, to be added to an earlier archive."),
			in("query", "state_only", boolean, "The state without its history."),
		},
		answer: "The archive.", headers: object{requestID}, content: object{{"application/octet-stream", object{{"schema", object{{"type", "string"}, {"format", "binary"}}}}}}, refusals: refused,
	},
	"GET /v1/catalog": {
		id: "GetCatalog", summary: "Which managed policies of AWS are in force?", about: "Permission writ:GetCatalog.", parameters: asked,
		answer: "The catalogue in force, and how much has come of the next.", headers: seen, content: jsonOf("Catalogue"), refusals: refusedAt,
	},
	"POST /v1/catalog/{digest}/parts/{part}": {
		id: "StageCatalog", summary: "Bring a part of a catalogue of managed policies of AWS.",
		about: "Permission writ:ImportCatalog. Nobody sees what has come until it is put in force. Part 0 begins a catalogue, in place of one that was on its way. " +
			"Names ascend without regard to case, and the versions of a policy by their number, through all parts; a part may begin with more versions of the policy " +
			"that the part before ended with. At most 3,000 policies with 32 MiB of texts, each of at most 176 KiB. " +
			"409 ConcurrentModification: the part is not the next, because another import is under way.",
		parameters: []object{invocation}, body: "CataloguePart",
		answer: "The part was taken.", headers: changed, content: jsonOf("CatalogueChange"), refusals: notTaken,
	},
	"POST /v1/catalog/{digest}/install": {
		id: "InstallCatalog", summary: "Put a catalogue of managed policies of AWS in force.",
		about: "Permission writ:ImportCatalog. All of it is in force at one position. Policies that it does not have are removed, but for those in use, which are kept. " +
			"409 ConcurrentModification: what has come is not this catalogue, because another import is under way.",
		parameters: []object{
			append(object{{"name", "parts"}, {"in", "query"}, {"required", true}}, member{"schema", integer.with(member{"minimum", 1})}, member{"description", "How many parts it has."}),
			invocation,
		},
		answer: "The change was committed.", headers: changed, content: jsonOf("CatalogueChange"), refusals: notTaken,
	},
	"GET /v1/quotas": {
		id: "GetQuotas", summary: "What may an account hold, and what does it hold?", about: "Permission writ:GetQuotas, in the cluster's own account.",
		parameters: append([]object{ofAccount}, asked...), answer: "The quotas.", headers: seen, content: jsonOf("Quotas"), refusals: refusedWhat,
		meaning: noAccount,
	},
	"POST /v1/quotas": {
		id: "SetQuotas", summary: "Change what an account may hold.",
		about: "Permission writ:SetQuotas, in the cluster's own account. A quota below what the account holds takes nothing away: nothing more can be made. " +
			"400 UnknownFeature: a node of the cluster is of a version that cannot read it.",
		parameters: []object{ofAccount, invocation}, body: "QuotasToSet",
		answer: "The change was committed.", headers: changed, content: jsonOf("QuotasChange"), refusals: refusedWhat, meaning: noAccount,
	},
	"POST /v1/revocations": {
		id: "RevokeSessions", summary: "End sessions of the caller's account.",
		about: "Permission writ:RevokeSessions: for the role, user or root that is named, or else for the resource *. New sessions can be made afterwards. " +
			"409 LimitExceeded: the account has 1,000 revocations in force.",
		parameters: []object{invocation}, body: "SessionsToRevoke",
		answer: "The change was committed.", headers: changed, content: jsonOf("Revocation"), refusals: refusedWhat, meaning: map[int]string{404: "No role, user or root of the account has that ARN (NoSuchEntity)."},
	},
	"POST /v1/certificates/revoke": {
		id: "RevokeCertificates", summary: "End certificates by which nodes know each other.",
		about: "Permission writ:RevokeCertificates, in the cluster's own account. Either all certificates of a node's name that were issued by now, or one by its serial number; in both cases also those that came " +
			"of them by renewal. No node that has heard of it takes them on the ports between nodes, and what is connected by them is closed. A node that runs with one needs another, made by hand. " +
			"409 LimitExceeded: 1,000 revocations are in force. 400 UnknownFeature: a node of the cluster is of a version that cannot read it.",
		parameters: []object{invocation}, body: "CertificatesToRevoke",
		answer: "The change was committed.", headers: changed, content: jsonOf("CertificateRevocation"), refusals: refusedWhat,
	},
	"GET /v1/accounts": {
		id: "ListAccounts", summary: "The accounts of the cluster.",
		about:      "Permission writ:ListAccounts. Callers of another account than the first, which manages the others, are told of their own account alone.",
		parameters: asked, answer: "The accounts, in order of their numbers.", headers: seen, content: jsonOf("Accounts"), refusals: refusedAt,
	},
	"POST /v1/accounts": {
		id: "CreateAccount", summary: "Open an account.",
		about: "Permission writ:CreateAccount, in the cluster's own account. The secret of a root's access key is told to the call that makes it, over all its attempts, and nowhere again. " +
			"409 EntityAlreadyExists: another account has the number, the alias or the e-mail address, whatever the letter case. 409 LimitExceeded: there are 1,000 accounts, closed ones among them.",
		parameters: []object{invocation}, body: "AccountToCreate",
		answer: "The change was committed.", headers: changed, content: jsonOf("AccountCreation"), refusals: notTaken,
	},
	"POST /v1/accounts/{account}/alias": {
		id: "SetAccountAlias", summary: "Give an account its alias, or take it away.",
		about:      "Permission writ:SetAccountAlias on the ARN of the account's root, in the cluster's own account or, for one's own, in that.",
		parameters: []object{invocation}, body: "AccountAlias",
		answer: "The change was committed.", headers: changed, content: jsonOf("AccountChange"), refusals: refusedWhat, meaning: noAccount,
	},
	"POST /v1/accounts/{account}/close": {
		id: "CloseAccount", summary: "Close an account for good.",
		about: "Permission writ:CloseAccount on the ARN of the account's root, in the cluster's own account, which cannot be closed. No credential of a closed account is accepted from that position on, " +
			"and nobody is anybody in it. What it has is kept.",
		parameters: []object{invocation},
		answer:     "The change was committed.", headers: changed, content: jsonOf("AccountChange"), refusals: refusedWhat, meaning: noAccount,
	},
	"POST /v1/accounts/{account}/root/email": {
		id: "SetRootEmail", summary: "Give the root of an account another e-mail address.",
		about:      "Permission writ:SetRootEmail on the ARN of the root, in the cluster's own account. The root itself changes its own, and nobody else in its account.",
		parameters: []object{invocation}, body: "RootEmail",
		answer: "The change was committed.", headers: changed, content: jsonOf("AccountChange"), refusals: refusedWhat, meaning: noAccount,
	},
	"POST /v1/accounts/{account}/root/password": {
		id: "SetRootPassword", summary: "Give the root of an account another password.",
		about: "Permission writ:SetRootPassword on the ARN of the root, in the cluster's own account. The root itself changes its own, and nobody else in its account. " +
			"400 PasswordPolicyViolation: it has not 8 to 128 characters of three kinds, or is what the account is called.",
		parameters: []object{invocation}, body: "RootPassword",
		answer: "The change was committed.", headers: changed, content: jsonOf("AccountChange"), refusals: refusedWhat, meaning: noAccount,
	},
	"GET /v1/sessions": {
		id: "ListSessions", summary: "Which sessions of the caller's account did this node see?",
		about: "Permission writ:ListSessions. The sessions that called this node last and have not ended: a node remembers 2,000 of all accounts, and 500 of one role, user or root. " +
			"It does not see those that were made and not used, that called other nodes alone, or before it began; of a write that it hands on, the leader sees the session.",
		parameters: asked, answer: "The sessions, without their secrets.", headers: seen, content: jsonOf("SeenSessions"), refusals: refusedAt,
	},
	"POST /v1/authenticate": {
		id: "Authenticate", summary: "Who signed a request that a service received?",
		about: "Permission writ:Authenticate, with the condition key writ:signingService; for the principals of the caller's account, and of all accounts for callers of the cluster's own. " +
			"A request that nobody signed, or not well, is an answer with an error to pass on. With an action, which needs the permission writ:Authorize, too, there is also the decision, in the same view. " +
			"What is signed for iam, sts or writ is refused. A node answers under a lease or from the head of the log alone, whatever --without-lease says.",
		parameters: asked, body: "Received", answer: "Who signed it, or the error.", headers: seen, content: jsonOf("Authentication"), refusals: refusedAt,
	},
	"POST /v1/signing-key": {
		id: "GetSigningKey", summary: "By which key does a service verify signatures of an access key itself?",
		about: "Permission writ:GetSigningKey, with the condition key writ:signingService; for the principals of the caller's account, and of all accounts for callers of the cluster's own. " +
			"Over TLS or loopback alone: the key is a secret. It is good for one date, region and service, and to be gone by for as long as the answer says, which is no longer than a lease. " +
			"404 NoSuchEntity: there are no such credentials, or they are not in force, or not for the caller to verify. A node answers under a lease or from the head of the log alone.",
		parameters: asked, body: "SigningKeyOf", answer: "The key.", headers: seen, content: jsonOf("SigningKey"), refusals: refusedWhat,
	},
	"GET /v1/retention": {
		id: "GetRetention", summary: "How much of the history does the cluster keep?", about: "Permission writ:GetRetention, in the cluster's own account.",
		parameters: asked, answer: "The rule, and where the history begins.", headers: seen, content: jsonOf("Retention"), refusals: refusedAt,
	},
	"PUT /v1/retention": {
		id: "SetRetention", summary: "Change how much of the history the cluster keeps.",
		about: "Permission writ:SetRetention, in the cluster's own account. The leader drops what the rule does not keep, for good; the last 1,000 positions and the last hour always stay. " +
			"400 InvalidInput: the rule has days and positions, or too few, or the floor lies before the beginning of the history or beyond its end.",
		parameters: []object{invocation}, body: "RetentionToSet", answer: "The change was committed.", headers: changed, content: jsonOf("RetentionChange"), refusals: notTaken,
	},
	"GET /v1/seal": {
		id: "GetSeal", summary: "Which keys seal secrets, which node has which, and how far is a rotation?",
		about:  "Permission writ:GetSeal, in the cluster's own account. The leader asks the other nodes. Keys are told by their ids alone.",
		answer: "The keys, without what they are.", headers: seen, content: jsonOf("Seal"), refusals: refused,
	},
	"POST /v1/seal/rotate": {
		id: "RotateSealKey", summary: "Have another key seal secrets, and all of them sealed anew.",
		about: "Permission writ:RotateSealKey, in the cluster's own account. The key stands in the key files of all nodes already: 409 DeleteConflict names those that lack it. " +
			"400 InvalidInput: there is no new key, or there are several and none was named. What was sealed by others is sealed anew from then on; GET /v1/seal shows how far that is.",
		parameters: []object{invocation}, body: "SealRotation", answer: "The key seals from the position on.", headers: changed, content: jsonOf("SealRotated"), refusals: notTaken,
	},
	"GET /v1/session-keys": {
		id: "ListSessionKeys", summary: "Which keys seal the tokens of sessions?", about: "Permission writ:ListSessionKeys, in the cluster's own account.",
		parameters: asked, answer: "The keys, without what they are.", headers: seen, content: jsonOf("SessionKeys"), refusals: refusedAt,
	},
	"POST /v1/session-keys": {
		id: "RotateSessionKey", summary: "Have another key seal the tokens of sessions.",
		about: "Permission writ:RotateSessionKey, in the cluster's own account. The key before it opens what it sealed. " +
			"409 LimitExceeded: 16 keys have sessions that may last. 409 ConcurrentModification: another key was added meanwhile.",
		parameters: []object{invocation}, answer: "The change was committed.", headers: changed, content: jsonOf("KeyChange"), refusals: notTaken,
	},
	"POST /v1/session-keys/{number}/revoke": {
		id: "RevokeSessionKey", summary: "End every session that a key sealed.",
		about:      "Permission writ:RevokeSessionKey, in the cluster's own account. Sessions of all accounts end. New ones are sealed by another key, which is made where there is none.",
		parameters: []object{invocation}, answer: "The change was committed.", headers: changed, content: jsonOf("KeyChange"), refusals: notChanged,
		meaning: map[int]string{404: "No such key is in force (NoSuchEntity)."},
	},
	"GET /v1/issuer-keys": {
		id: "ListIssuerKeys", summary: "Which keys sign web identity tokens?", about: "Permission writ:ListIssuerKeys, in the cluster's own account.",
		parameters: asked, answer: "The keys, without what they are.", headers: seen, content: jsonOf("IssuerKeys"), refusals: refusedAt,
	},
	"POST /v1/issuer-keys": {
		id: "RotateIssuerKey", summary: "Have another key sign web identity tokens.",
		about: "Permission writ:RotateIssuerKey, in the cluster's own account. Verifiers are told of the key before it until no token can be good that it signed. " +
			"409 LimitExceeded: 8 keys have tokens that may last. 409 ConcurrentModification: another key was added meanwhile.",
		parameters: []object{invocation}, answer: "The change was committed.", headers: changed, content: jsonOf("KeyChange"), refusals: notTaken,
	},
	"POST /v1/issuer-keys/{number}/revoke": {
		id: "RevokeIssuerKey", summary: "Take a key from what verifiers of web identity tokens are told.",
		about: "Permission writ:RevokeIssuerKey, in the cluster's own account. From that position on no node tells of the key, nor takes a token that it signed, of any account. " +
			"New tokens are signed by another key, which is made where there is none.",
		parameters: []object{invocation}, answer: "The change was committed.", headers: changed, content: jsonOf("KeyChange"), refusals: notChanged,
		meaning: map[int]string{404: "No such key is in force (NoSuchEntity)."},
	},
	"POST /v1/providers/keys": {
		id: "SetProviderKeys", summary: "Give the keys of an OpenID Connect provider, in the place of those that it publishes.",
		about: "Permission writ:SetProviderKeys, for the provider. Its tokens are good by these keys alone from then on, and no node asks it for others, until they are set anew, or none. " +
			"400 UnknownFeature: a node of the cluster is of a version that cannot read it.",
		parameters: []object{invocation}, body: "ProviderKeys",
		answer: "The change was committed.", headers: changed, content: jsonOf("ProviderKeysChange"), refusals: refusedWhat, meaning: map[int]string{404: "No OpenID Connect provider of the account has that ARN (NoSuchEntity)."},
	},
	"POST /v1/passkeys": {
		id: "RegisterPasskey", summary: "Give a user, or the root that calls, a passkey that a browser made.",
		about: "Permission iam:EnableMFADevice on the user, or on the root. The passkey is an MFA device of the user: ListMFADevices shows it, DeactivateMFADevice removes it, and it counts as one of eight. " +
			"400 PasskeyRejected: what the authenticator said is not right, or its challenge has expired, or was made for another user or caller. " +
			"403 InvalidAuthenticationCode: the challenge was used, or a later one. 400 PasskeysNotSetUp: the cluster has none.",
		parameters: []object{invocation}, body: "PasskeyToRegister",
		answer: "The change was committed.", headers: changed, content: jsonOf("PasskeyRegistration"), refusals: []int{400, 403, 404, 409, 413, 503}, meaning: noUser,
	},
	"POST /v1/passkeys/challenge": {
		id: "ChallengePasskey", summary: "By what is a browser to make a passkey for a user, or for the root that calls?",
		about: "Permission iam:EnableMFADevice on the user, or on the root. The leader answers; nothing is written. The challenge is good for five minutes, for the same caller and user, and once; " +
			"using one ends those that were made before it. 400 PasskeysNotSetUp: the cluster has none.",
		body: "PasskeyOwner", answer: "The options of navigator.credentials.create.", headers: seen, content: jsonOf("PasskeyCreation"), refusals: []int{400, 403, 404, 409, 413, 503}, meaning: noUser,
	},
	"POST /signin":           signingIn,
	"POST /signin/challenge": challenging,
	"GET /livez":             {id: "Live", open: true, answer: "The process serves."},
	"GET /readyz":            ready,
	"GET /metrics":           {id: "Metrics", open: true, answer: "Prometheus metrics, prefix writ_."},
	"GET /openapi.json":      {id: "OpenAPI", summary: "This document.", open: true, answer: "OpenAPI 3.1.", content: object{{"application/json", object{}}}},
}

var noUser = map[int]string{404: "The account has no such user (NoSuchEntity)."}

var challenging = operation{
	id: "SignInChallenge", summary: "Ask for a challenge that a passkey answers in place of a code.", open: true,
	about: "Nobody signs this request, and any node takes it; the leader answers, and nothing is written. Who is not there, or has no passkeys, is told of one that nobody has, the same each time. " +
		"The challenge is good for five minutes, and once; using one ends those that were made before it. 400 PasskeysNotSetUp: the cluster has no passkeys.",
	body: "SignInChallengeFor", answer: "The options of navigator.credentials.get.", content: jsonOf("SignInChallenge"), refusals: []int{400, 408, 413, 503},
}

var signingIn = operation{
	id: "SignIn", summary: "Sign in with a password.", open: true,
	about: "Nobody signs this request, and any node takes it. It yields temporary credentials of the user or root, which may call what the user may, and of STS GetCallerIdentity and AssumeRole. " +
		"Whatever is wrong with account, user, e-mail address, password, code or passkey is 403 SignInFailed, in one form. Who is right and must change the password gets 403 PasswordChangeRequired without new_password, " +
		"which needs the permission iam:ChangePassword; where that is not to be changed any more, 403 PasswordExpired.",
	body: "SignIn", answer: "The session.", headers: seen, content: jsonOf("SignedIn"), refusals: []int{400, 403, 408, 413, 429, 503},
	meaning: map[int]string{429: "Too many sign-ins have failed of the user, in the account or from the address (TooManySignIns)."},
}

var ready = operation{
	id: "Ready", open: true, parameters: []object{in("query", "verbose", boolean, "")},
	answer: "The node is ready.", refusals: []int{503}, meaning: map[int]string{503: "A check fails; the lines say which."},
}

var watching = operation{
	id: "Watch", summary: "The positions as they come, as server-sent events.",
	about: "Permission writ:Watch, found anew before each event, in a view that has all that is told: a change that ends it ends the stream, and neither its position nor a later one is told. " +
		"Any node answers, as long as it can prove that it is current. Events: position (its id is its token), heartbeat (one at once), " +
		"gap (positions that the node does not have; a replica keeps the latest 4096; without an id), end (a problem, why the stream ends; not sent where the connection breaks). " +
		"No event names a principal or holds content. Go on after a break with the id of the last event, or with a token, at any node. Where the node lags behind it, it waits; " +
		"409 WrongToken, at once or as the end of the stream, says that the id is of another history, 409 NotCommitted that there is no such position yet.",
	parameters: []object{
		in("query", "after", text, "Position or token to begin after. A position names no history: a token does. Default: the node's own position."),
		in("header", "Last-Event-ID", text, "Id of an event, or another token, to begin after; it overrides after."),
		in("query", "heartbeat", text.with(member{"default", "5s"}), "Time between heartbeats, 1s to 1m."),
		in("header", shape.HeaderConsistency, consistency, "leased: end at a replica without a lease, even if it admits reads then."),
	},
	answer: "A stream; the data of each event is one of these, by its name.", headers: begun,
	content: object{{"text/event-stream", object{{"schema", object{{"oneOf", []object{
		ref("PositionEvent"), ref("HeartbeatEvent"), ref("GapEvent"), ref("EndEvent"),
	}}}}}}},
	refusals: notStreamed,
}
