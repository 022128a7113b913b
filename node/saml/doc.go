// Package saml reads what SAML 2.0 identity providers bring: the metadata document that
// says who a provider is and by which certificates it signs, and the private keys that
// open encrypted assertions. It also packs documents for the log.
//
// Both come from callers, so everything is bounded, and nothing is fetched: document
// types, and so entities, are refused.
package saml
