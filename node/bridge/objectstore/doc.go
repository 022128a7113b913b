// Package objectstore answers object stores that ask somebody else whether a request may be served:
// MinIO's access management plugin and identity management plugin, and the Open Policy Agent
// integration of Ceph's object gateway.
//
// What a store says of its request is its word. Where that leaves open what the request does, or to
// whom, or could have been written by the store's client in place of the store, the answer is no:
// the result is true for the decision allow, from a view that is known to be fresh, and for nothing
// else.
package objectstore
