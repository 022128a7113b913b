// Package session makes and opens the tokens of temporary credentials.
//
// A token holds the [Claims] of its session, and nothing about the session is kept anywhere
// else: a node that has the [Key] opens every token by itself. Whether the principal is still
// there, whether the session has ended or was revoked, and whether its key is still in force
// is for the caller to say. The package has no clock, does no I/O, and is handed what is
// random.
//
// # Tokens
//
// A token is unpadded base64 in the alphabet for URLs, whose characters headers and queries
// carry as they are. Its bytes are
//
//	format (1)  number of the key (4)  nonce (12)  sealed claims, with their tag (16)
//
// AES-256-GCM seals the claims. Format, number, cluster and incarnation are authenticated with
// them: a token opens for the one incarnation of the one cluster that it was made for. Its
// first letter is always "A". A key seals under random nonces, which is safe for 2^32 tokens.
//
// # Claims
//
// The claims are sealed as version, kind, depth, access key id, texts, times and position; then
// one byte says whether policies and tags follow, and whether they are compressed. Numbers are
// varints, texts stand behind their lengths. Versions and formats are forever: tokens of the
// one before are in use while a cluster is upgraded. What the provider of a web identity says is
// packed with policies and tags, in a version of its own. Open takes what Mint makes and nothing
// else: the shortest form of every number, no bytes that are left over, nothing beyond a limit,
// no element twice.
//
// # Limits
//
// A token has at most [MaxToken] characters. Policies and tags share [MaxPacked] bytes of it,
// packed; [Claims.PackedSize] tells how much of them is taken. This room is theirs however long
// the other claims are: those at their longest fit beside it. Each claim has a limit of its own
// besides.
//
// # Secrets
//
// The secret of a session is derived from the key and the access key id, by HMAC-SHA256, so
// that nobody stores it. Who opens a token compares its access key id with the one that signed,
// and verifies the signature by [Key.Secret]. Keys and credentials do not print themselves, and
// no error quotes a token or a claim.
//
// # Errors
//
// Mint fails with [ErrTooLarge] for what exceeds a limit, with [ErrInvalid] for claims that no
// session has, and with the error of its source of random bytes. Open fails with [ErrMalformed]
// for what is no token, and with [ErrForged] for a token that does not open.
package session
