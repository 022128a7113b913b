// Package admission bounds what callers take of a node: places for what is under way
// at once, in shares ([Slots]), and connections ([Gate]).
//
// Everything that a caller can make a node hold, wait for or keep open has a limit,
// and no caller may take all of it: who asks for more than a share is refused while
// there is room for others. The package knows neither requests nor principals: whose
// a place is, its user says by a name.
package admission
