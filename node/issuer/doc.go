// Package issuer signs web identity tokens (JSON Web Tokens, RFC 7519) and tells their
// verifiers of the keys, as OpenID Connect Discovery 1.0 and RFC 7517 have it. One key of the
// cluster signs for all accounts: a verifier knows an account by its issuer.
package issuer
