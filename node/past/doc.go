// Package past makes the views of earlier positions, from a writer's event store and from states
// that are kept on disk for that ([Keeper]), and finds the changes that turned a decision
// ([History.Search]). A view of the past is exact: it was folded from batches that are chained by
// hash, and its digest is the one that the batch at its position names. What is kept makes it
// quick, and never another one: a kept state that is damaged, or of another history, is not used.
package past
