// Package propagation says who has applied which position of the log, and who may
// still answer as fresh.
package propagation
