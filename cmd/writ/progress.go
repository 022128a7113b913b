package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"github.com/writ-iam/writ/cmd/writ/shell"
	"github.com/writ-iam/writ/node/client"
)

// How long one request of a wait is held back by the server: short where somebody
// watches, and never longer than the server allows.
const (
	watchedStep = time.Second
	longestStep = 5 * time.Minute
	// answerGrace is how long after the end of a wait an answer may still come.
	answerGrace = 750 * time.Millisecond
	// temporaryPause is how long a wait rests after temporary trouble.
	temporaryPause = 250 * time.Millisecond
	// usualWidth is taken for the width of a terminal that does not tell it.
	usualWidth = 80
)

// progress is a line on a terminal that tells how a wait goes. Without a terminal
// it shows nothing.
type progress struct {
	out   io.Writer // nil: nobody watches
	width int
	shown bool
}

// newProgress shows progress on stderr if that is a terminal and the command
// prints text.
func newProgress(stderr io.Writer, o *shell.Output) *progress {
	f, ok := shell.Raw(stderr).(*os.File)
	if !ok || o.JSON() || os.Getenv("TERM") == "dumb" {
		return &progress{}
	}
	size, err := unix.IoctlGetWinsize(int(f.Fd()), unix.TIOCGWINSZ)
	if err != nil {
		return &progress{} // no terminal
	}
	p := &progress{out: f, width: int(size.Col)}
	if p.width == 0 {
		p.width = usualWidth
	}
	return p
}

// errNotInTime is returned when the time of a wait is up and nobody has said how far
// it has come: no leader was found, or it did not answer.
var errNotInTime = errors.New("no answer came in time")

// wait asks until it is done or the time is up, and shows the line that each answer
// gives. It ends at most answerGrace after the timeout, whoever is asked. Trouble
// that a node calls temporary, such as the want of a leader, is waited out; at the
// end of the time it gives errNotInTime.
func (p *progress) wait(ctx context.Context, timeout time.Duration, ask func(ctx context.Context, wait time.Duration) (done bool, line string, err error)) error {
	defer p.clear()
	step := longestStep
	if p.out != nil {
		step = watchedStep
	}
	deadline := time.Now().Add(timeout)
	inTime, cancel := context.WithDeadline(ctx, deadline.Add(answerGrace))
	defer cancel()
	for {
		left := max(0, time.Until(deadline))
		done, line, err := ask(inTime, min(left, step))
		var later interface{ Temporary() bool }
		again := errors.As(err, &later) && later.Temporary() || nobodyThere(err) // a node that is being started anew, say
		switch {
		case err == nil && (done || left <= step):
			return nil
		case err == nil:
			p.show(line)
		case ctx.Err() != nil:
			return err
		case inTime.Err() != nil, again && left == 0:
			return fmt.Errorf("%w: %w", errNotInTime, err)
		case !again:
			return err
		default:
			p.show(err.Error())
			rest(inTime, min(temporaryPause, left))
		}
	}
}

// rest waits for a while, or until ctx ends.
func rest(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// show writes a line over the one before.
func (p *progress) show(line string) {
	if p.out == nil {
		return
	}
	line = shell.OneLine(shell.Text(line))
	if len(line) >= p.width {
		line = line[:p.width-1]
	}
	fmt.Fprintf(p.out, "\r%s\x1b[K", line)
	p.shown = true
}

// clear takes the line away.
func (p *progress) clear() {
	if p.shown {
		fmt.Fprint(p.out, "\r\x1b[K")
	}
}

// progressLine is how far a position has come, in short.
func progressLine(p *client.Propagation) string {
	line := fmt.Sprintf("position %d: %d visible, %d fenced, %d pending", p.Position, len(p.VisibleOn), len(p.Fenced), len(p.Pending))
	if p.WorstCaseMS != nil {
		line += fmt.Sprintf("; at most %.1f s more", (time.Duration(*p.WorstCaseMS) * time.Millisecond).Seconds())
	}
	return line
}
