// Package identity is the domain of Writ: accounts, users, groups, roles,
// policies, access keys, and the cluster's own roster, one file per noun.
//
// A command (imperative, CreateUser) is decided against a State and yields
// events (past, UserCreated) or a *Refusal; an event is folded into the State
// and cannot fail. The package is pure: no I/O, no clock, no randomness, no
// output that depends on map order. Whatever is not determined by the state
// (time, ids, salts, sealed secrets) arrives inside the command.
//
// Grammar (name patterns, document syntax, lengths) is the edge's business and
// stays out of here, so that a fix to it can never make two versions of the
// state machine disagree. Decide checks what only state can show: existence,
// uniqueness, quotas, what is in use, and that the authorization of the command
// still stands.
//
// An authorization stands on two legs. The caller's: its credential is there and
// active, and nothing that can change its permissions has changed since; see
// Authority. And the targets': whoever authorizes asks a Witness of the state for
// what it may see of users, groups, roles and policies (path, name, tags,
// boundary), and each answer becomes a Reliance of the command. In the state that
// decides, each lookup must find the same again, by a fingerprint of exactly what a
// Target shows: not another one made under the name, nor one where there was none.
// So no write takes effect that was forbidden in the state in which it was decided,
// whatever happened since it was authorized. What no authorization sees, such as an
// inline policy of the target, may change meanwhile and makes nothing stale: that is
// why it is a fingerprint and not the position of the latest change. It is also why
// records and snapshots need no field for it.
//
// A State is a handle on persistent maps. One goroutine owns it and folds
// events into it; Snapshot hands out an immutable copy in constant time, which
// any number of goroutines may read.
package identity
