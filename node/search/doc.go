// Package search answers who can: which principals may do something, by which statements. Every
// principal that it tells was decided by the engine in the one view, as a question about it is.
package search
