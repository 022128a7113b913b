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
// them out. Where a user or root has signed in from a network before, only the failures from
// there count for it. From elsewhere those count of the user and the network together, of the
// network, of the user and of the account. So nobody keeps a user out of a network that it signs
// in from, but whoever is in that network; and guesses are bounded from however many networks.
// Names are counted as they are given: what is counted says nothing of who is there.
package signin
