// Package rig runs a cluster of real processes, hurts it in every way it knows
// while clients use it, and judges what they were told.
//
// A Run has four parts that do not know each other's secrets. The lab (lab.go,
// network.go, node.go) is three writers and three replicas, each a process in a
// network namespace and on a small disk of its own, and a place of that kind for a
// second process of each replica. The workload (writes.go, reads.go, waits.go,
// duel.go) is clients that write, ask and wait, and write down with the
// times of one clock what they sent and got. The faults (fault.go, faults_*.go) are
// dealt from a shuffled deck by a seed. The judge (judge.go, history.go) knows
// nothing of faults: it holds every answer against every other, at once, and at the
// end against the event stores.
//
// What a fault may make impossible is availability, and the judge asks for that only
// while nothing is broken. Nothing may make an answer wrong.
package rig
