// Package authzen serves the Authorization API 1.0 of the OpenID Foundation's AuthZEN group at
// doors: evaluation, evaluations, the searches, and the metadata of the decision point.
//
// A subject is a principal, a resource an ARN, an action one of policies, and each property a
// condition key, as a mapping says or, without one, as [New] does. What no mapping names is
// allowed to nobody.
package authzen
