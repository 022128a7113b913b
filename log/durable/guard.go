package durable

import (
	"fmt"
	"runtime/debug"
)

// Guard runs f, in which reading what a file holds may panic, or touch memory that a
// file mapped to it does not have when it is damaged, and turns either into an error
// that wraps corrupt.
func Guard(corrupt error, f func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("%w: %v", corrupt, r)
		}
	}()
	return f()
}
