// Package bridge lets services ask a node in protocols of others, at doors of their own.
//
// A [Door] is an address, or a Unix socket, with the protocols that it serves and the callers
// that it knows, as a file says ([Load]). A caller is known by what the file names: a bearer
// token, a client certificate, the user id of a process on the same host, or a signature. It
// asks as a principal of the cluster, whose permission writ:Authorize says about whom it may
// ask. A protocol is a [Protocol] of packages below this one; each of its requests is a [Call],
// which goes the way of every request ([dispatch.Dispatcher]) and is decided as
// POST /v1/authorize is.
package bridge
