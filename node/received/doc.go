// Package received tells services who signed a request that they received: from the request as they
// hand it on, or by giving them a signing key with which they verify requests themselves for a while.
//
// A service is a caller with a permission of its own, for named signing services. It never learns a
// secret access key. Signatures for IAM, STS and Writ are never verified for others, nor keys given
// that make such: else a service could be somebody else there. Whether a request was seen before is
// for the service to look to.
package received
