// Package admission is where requests are let in: who calls and may they, and what callers
// take of a node.
//
// A [Desk] reads a [Request], verifies its signature, and finds out what the caller may
// do ([Pass]), in a view that others choose. Everything that a caller can make a node
// hold, wait for or work at has a limit, and no caller may take all of it: who
// asks for more than a share is refused while there is room for others. There are places
// for what is under way at once, in shares ([Slots], of which a Desk has [Limits]),
// and shifts for what takes much work ([Job]). Connections are of package gate.
package admission
