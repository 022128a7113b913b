package usage

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/writ-iam/writ/log/identity"
	"github.com/writ-iam/writ/log/wake"
)

// Limits of what is told of uses. No more of it is under way than log and port carry
// beside what clients wait for.
const (
	// interval is how often a node tells what it saw.
	interval = 2 * time.Minute
	// maxHanded is how many uses one message to the leader has, maxNoted how many one
	// command: the longest are within the bounds of a body and of a command.
	maxHanded = 6
	maxNoted  = 32
	// timeout is how long a node looks for the leader, and tells it, each time.
	timeout = 10 * time.Second
	// maxRounds is how many messages or commands there are each time.
	maxRounds = 64
)

// Told is what one node tells the leader.
type Told struct {
	Uses []identity.Use `json:"uses"`
}

// Log is the log of a writer.
type Log interface {
	// Leading is the state of the log while this writer leads; nil while it does not.
	Leading() *identity.State
	// Note puts uses into the log.
	Note(context.Context, []identity.Use) error
}

// Leader takes what other nodes saw.
type Leader interface {
	Hand(context.Context, Told) error
}

// Teller tells what a node saw of uses: by the log while the node leads, else by the
// leader. What cannot be told stays for the next time.
type Teller struct {
	Book   *Book
	Log    Log // nil: the node never leads
	Leader Leader
	Logger *slog.Logger
}

// Run tells until ctx ends.
func (t *Teller) Run(ctx context.Context) {
	for wake.After(ctx, interval) == nil {
		t.Tell(ctx)
	}
}

// Tell tells what there is.
func (t *Teller) Tell(ctx context.Context) {
	if t.Log != nil && t.Log.Leading() != nil {
		t.note(ctx)
		return
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	for range maxRounds {
		uses := t.Book.Take(maxHanded, nil)
		if len(uses) == 0 {
			return
		}
		if err := t.Leader.Hand(ctx, Told{uses}); err != nil {
			t.Book.Add(uses)
			t.Logger.Debug("what was seen of uses was not handed on", "error", err)
			return
		}
	}
}

// note puts what is due of uses into the log.
func (t *Teller) note(ctx context.Context) {
	for range maxRounds {
		state := t.Log.Leading()
		if state == nil {
			return
		}
		uses := t.Book.Take(maxNoted, state)
		if len(uses) == 0 {
			return
		}
		err := t.Log.Note(ctx, uses)
		var refusal *identity.Refusal
		if err != nil && !(errors.As(err, &refusal) && refusal.Code == identity.InvalidInput) { // which is no news
			t.Book.Add(uses)
			t.Logger.Debug("what was seen of uses was not noted", "error", err)
			return
		}
	}
}
