package propagation

import "github.com/writ-iam/writ/log/event"

// Spread is how far a position has come, of all replicas of the roster that do not drain.
type Spread struct {
	Replicas   int  // how many there are
	Visible    bool // all of them show it
	Everywhere bool // none may answer as fresh from before it, and a fence proves that
}

// Spread looks how far a position has come. Unlike Everywhere it asks for nothing and
// promises nothing: it moves no floor.
func (t *Tracker) Spread(clocks Clocks, r event.Position) Spread {
	now := clocks.Monotonic
	s := Spread{Visible: true, Everywhere: t.proven(r) && (now >= t.grace || r <= t.shown.Floor)}
	for _, m := range t.names {
		shows := t.shows(m, r, now)
		if m.registered && !m.Draining {
			s.Replicas++
			s.Visible = s.Visible && shows
		}
		s.Everywhere = s.Everywhere && (shows || r <= t.shown.Floor || t.settled(m, r, now))
	}
	return s
}
