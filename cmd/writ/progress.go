package main

import (
	"fmt"
	"io"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"github.com/writ-iam/writ/node/client"
)

// How long one request of a wait is held back by the server: short where somebody
// watches, and never longer than the server allows.
const (
	watchedStep = time.Second
	longestStep = 5 * time.Minute
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
func newProgress(stderr io.Writer, o *output) *progress {
	f, ok := stderr.(*os.File)
	if !ok || o.json() || os.Getenv("TERM") == "dumb" {
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

// wait asks until it is done or the time is up, and shows the line that each answer
// gives.
func (p *progress) wait(timeout time.Duration, ask func(wait time.Duration) (done bool, line string, err error)) error {
	defer p.clear()
	step := longestStep
	if p.out != nil {
		step = watchedStep
	}
	for deadline := time.Now().Add(timeout); ; {
		left := max(0, time.Until(deadline))
		done, line, err := ask(min(left, step))
		if err != nil || done || left <= step {
			return err
		}
		p.show(line)
	}
}

// show writes a line over the one before.
func (p *progress) show(line string) {
	if p.out == nil {
		return
	}
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
