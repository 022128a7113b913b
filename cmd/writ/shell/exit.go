// Package shell is what the verbs of writ share towards the shell: exit codes, wrong
// usage, and output as text or JSON.
package shell

import "fmt"

// Exit codes; pipelines rely on them.
const (
	CodeError     = 1 // something went wrong
	CodeUsage     = 2 // the command line is not right
	CodeNotYet    = 3 // not everywhere in time
	CodeDenied    = 4 // denied, or the effect is absent, or findings that are errors
	CodeUnhealthy = 5 // diverged or unhealthy
)

// Exit is an error with an exit code. With a nil error nothing more is printed:
// the command has said what there is to say.
type Exit struct {
	Code int
	Err  error
}

// Error is that of the error within.
func (e *Exit) Error() string {
	if e.Err == nil {
		return fmt.Sprintf("exit code %d", e.Code)
	}
	return e.Err.Error()
}

// Unwrap returns the error within.
func (e *Exit) Unwrap() error { return e.Err }

// Usage is the error of a command line that is not right.
func Usage(format string, args ...any) error {
	return &Exit{CodeUsage, fmt.Errorf(format, args...)}
}

// DevHint is for who has a cluster of `writ dev` and did not say so.
const DevHint = "for a cluster of `writ dev`, `. writ-dev/env.sh` sets all that is needed"
