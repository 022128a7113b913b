// Package proof is what can be checked of a node, and by whom. A node recounts the records
// in its memory; a Prover shows what a writer's history and state are, which a Verifier,
// at the leader, holds against the log; heads and batches are signed by the keys of
// writers' certificates, and Vouchers tell whether they were.
package proof
