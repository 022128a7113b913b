// Package archive is how a cluster outlives its disks: archives of its state and history,
// their verification, a new incarnation made from them, and one made from the directory of
// the one writer that is left.
//
// An archive is one stream: a header, the state at the header's position, batches up to that
// position, and a trailer, which a writer signs. It is read in one pass, in bounded memory
// beside the state, and nothing of it counts before its end was reached. It holds what the
// log holds: secrets are sealed there, and the keys that open them are in no archive.
package archive
