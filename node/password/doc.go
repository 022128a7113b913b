// Package password makes hashes of passwords, verifies passwords by them, and says
// which passwords an account's policy takes.
//
// A hash is argon2id over a salt of its own, as text that names its cost, so that the cost
// can rise while older hashes still verify. Hashing is slow and takes much memory by
// intent: a [Hasher] bounds how many hashes a node makes at once and how many wait for it,
// and each waits for a shift, as all work does that callers can make. A [Checker] is the part
// of one request in it: it works nothing out twice, however often the request is
// authorized anew.
package password
