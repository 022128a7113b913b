// Package oidc finds out whether a token is by the OpenID Connect provider that it names,
// and what it says.
//
// # Tokens
//
// [Parse] reads a token without believing anything of it: three parts, signed by one of the
// algorithms of [Algorithms], no longer than [MaxToken], no member of its JSON there twice.
// Names that differ in letter case alone count as the same, since readers of JSON differ
// there. Whatever a token says of its own key (jku, jwk, x5u, x5c) is passed over.
// [Token.Verify] believes it when one of the provider's keys has signed it, it has not expired by
// the node's clock, and it was neither issued nor to be used later than [MaxSkew] from now.
//
// # Keys
//
// A [Verifier] keeps the keys of issuers in memory. They come from the issuer's discovery
// document and its key set, or were given with the provider; then nobody is asked. Keys are
// fetched anew when they are older than [FreshFor]. While the issuer does not answer they are
// good until [MaxStale]. A key that is not known is looked for at once, as often as
// [RefreshEvery] and [RefreshBurst] let strangers have it looked for, so that an issuer can
// change its keys while they are in use. Who fetched in vain fetches again after [RetryAfter].
//
// # Limits
//
// One fetch is under way for an issuer, and [MaxWaitingOne] requests wait for it; of all issuers
// [MaxFetches] and [MaxWaiting], and of those that one account named [MaxFetchesOne]. It takes [FetchTimeout] at
// most, follows [maxRedirects] redirects to https alone, and reads [maxDocument] bytes of a
// document. So an issuer that hangs, never ends, or leads elsewhere costs those alone who use it.
//
// # Addresses
//
// Names of issuers are their account's choice. So a fetch connects to addresses of the public
// internet alone, found out when it connects: what a name has a moment later changes nothing.
// A [Reach] names the issuers and networks that are inside, and the certificates that vouch for
// them beside the system's. A server's certificate that nobody vouches for is good if the
// provider's thumbprints name one of its chain ("Obtain the thumbprint for an OpenID Connect
// identity provider" in the IAM User Guide).
package oidc
