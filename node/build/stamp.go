// Package build is which build a node runs.
package build

// Version and Revision are the release that `make release` built, and the commit that it is of:
// the linker sets them (-X). They are empty in other builds, where Go notes by itself what it
// knows of the source.
var Version, Revision string
