// Package signin lets people in who show a password, and a code where they have MFA devices:
// it says who somebody is who signs in, or that the sign-in failed, in one way whatever was
// wrong.
//
// A [Door] keeps the limits of failed sign-ins. An [Attempt] is one request at it: it takes a
// try of each limit that it counts against before anything is looked at, and whoever was right
// gives them back. What an attempt finds out in a view is a [Proof]. It does the same work for
// who is there and for who is not: a hash is compared and a code is looked for, by decoys
// where there is nothing to compare with.
//
// # Limits
//
// Failed sign-ins are counted in the memory of the node that leads, since it carries all of
// them out. Failures count of the user and the network together, of the network and those that
// hold it, of the user and of the account, and whoever has none of these tries left is not looked
// at. Who has signed in from a network before is looked at there all the same, while failures of
// that user from there have left it tries. So nobody keeps a user out of a network that it signs
// in from, but whoever is in that network; and guesses are bounded from however many networks.
// Users are counted by the names that are given, and accounts by their numbers where they are
// there: what is counted says nothing of who is there.
//
// # What failures tell
//
// Who signs in from a network is nobody's to learn. So a failure there is what it would be of a
// stranger: told that there were too many, or no place, where a stranger would be told so, and
// told when a stranger would be. Refusals are held back until a multiple of [Pace].
package signin
