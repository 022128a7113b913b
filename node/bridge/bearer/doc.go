// Package bearer finds out whose a bearer token is that somebody shows to a service which hands it
// on: a presigned GetCallerIdentity, in the form in which aws-iam-authenticator and `aws eks
// get-token` make it, or a web identity token of an OpenID Connect provider of the cluster.
//
// A presigned token is good for one service alone: it signs the service's identifier. It is verified
// here as a request would be that the node received, and is sent nowhere.
//
// Services remember what they are told, and ask later about the principal alone. So nobody is told
// whom a later question could not be about: roots, federated users, and sessions that session
// policies, tags or a source identity make another principal than their role's sessions are.
package bearer
