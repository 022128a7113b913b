// Package freshness finds the view that an answer may come from: as fresh as the caller
// asked for, never from before the caller's own latest write through this node, and
// current unless the node admits what is asked without that ([Views.View]). What takes
// its time is found anew in a view that is current ([Views.Current]).
package freshness
