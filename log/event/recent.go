package event

// Recent remembers the heads of the newest positions of a history, as many as it was
// made for. It is not safe for use by several goroutines at once.
type Recent struct{ heads []Head }

// NewRecent returns one with room for the heads of size positions.
func NewRecent(size int) *Recent { return &Recent{make([]Head, size)} }

// Add remembers a head, in place of one so many positions before.
func (r *Recent) Add(h Head) { *r.slot(h.Position) = h }

// At returns the head of a position, and whether it is remembered. That of position
// zero, where every history begins, is the zero Head.
func (r *Recent) At(p Position) (Head, bool) {
	h := *r.slot(p)
	return h, h.Position == p
}

// Forget forgets all heads.
func (r *Recent) Forget() { clear(r.heads) }

func (r *Recent) slot(p Position) *Head { return &r.heads[p%Position(len(r.heads))] }
