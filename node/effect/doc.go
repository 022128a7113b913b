// Package effect waits until a change is in force: until a question is decided as expected
// by the leader at the head of the log, and by every replica in a scope that may answer
// as fresh, from there or later.
package effect
