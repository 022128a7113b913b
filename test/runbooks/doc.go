// Package runbooks does what docs/operating/runbooks.md says: it brings each failure about on
// real processes, looks for the lines that the page shows, and runs the commands of the page.
package runbooks
