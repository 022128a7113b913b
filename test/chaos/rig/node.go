package rig

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// Limits of a process.
const (
	// stopLimit is how long a node may take to stop after SIGTERM.
	stopLimit = 45 * time.Second
	// tailSize is how much of a log is looked at for the last word of a process.
	tailSize = 16 << 10
)

// member is a node of the cluster, or a place for a second process of one: its place
// in the network, its directory, and the process that runs, if one does.
type member struct {
	name    string // of the place
	as      string // the name that its processes have in the cluster
	writer  bool
	clocked bool // its clocks can be set
	number  int  // the last of its address
	addr    string
	url     string
	dir     string // of its data
	logFile string
	layout  string // of its own; empty: the cluster's
	lab     *lab

	mu      sync.Mutex // guards the fields below
	proc    *process
	life    int           // counts processes
	other   bool          // the next process is of the other build
	prepend []string      // words before the binary, of the next start
	excused string        // why the process may end by itself; empty: it may not
	answers atomic.Uint64 // to questions
}

// process is one life of a node.
type process struct {
	pid   int
	life  int
	asked atomic.Bool // to end
	// excused says that it may end by itself, also after the fault that excused it.
	excused atomic.Bool
	ended   chan struct{} // closed when it has ended, with err set
	err     error
}

// spawner starts processes from one thread that lives as long as the rig: the kernel
// kills them when that thread ends, however the rig ends.
type spawner struct {
	jobs chan func()
	done chan struct{}
}

func newSpawner() *spawner {
	s := &spawner{jobs: make(chan func()), done: make(chan struct{})}
	go func() {
		runtime.LockOSThread()
		defer close(s.done)
		for job := range s.jobs {
			job()
		}
	}()
	return s
}

func (s *spawner) start(cmd *exec.Cmd) (err error) {
	started := make(chan error)
	s.jobs <- func() { started <- cmd.Start() }
	return <-started
}

func (s *spawner) stop() { close(s.jobs); <-s.done }

// command is the command line of the node's next process. The lock is held.
func (m *member) command(out io.Writer) *exec.Cmd {
	l := m.lab
	var words []string
	if l.net.isolated {
		words = append(words, "nsenter", "--net=/var/run/netns/"+l.net.namespace(m.name))
	}
	words = append(words, m.prepend...)
	common := []string{"--cluster", filepath.Join(cmp.Or(m.layout, l.layout), "cluster.yaml"), "--name", m.as, "--data", m.dir, "--api", m.addr + ":8420", "--drain", "5s"}
	if m.clocked {
		words = append(words, l.clockBinary, "--clock", m.clockFile())
	} else if m.other {
		words = append(words, l.other, "serve")
	} else {
		words = append(words, l.binary, "serve")
	}
	words = append(words, common...)
	cmd := exec.Command(words[0], words[1:]...)
	cmd.Stdout, cmd.Stderr = out, out
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
	return cmd
}

func (m *member) clockFile() string { return filepath.Join(m.lab.dir, m.name+".clock.json") }

// clock is the file of a node's clocks; see clocknode.
type clock struct {
	Wall time.Duration `json:"wall"`
	Rate int64         `json:"rate"`
}

// setClock changes the clocks of a node that has its own.
func (m *member) setClock(c clock) error {
	text, err := json.Marshal(c)
	if err != nil {
		return fmt.Errorf("encode the clocks of %s: %w", m.name, err)
	}
	tmp := m.clockFile() + ".new"
	if err := os.WriteFile(tmp, text, 0o600); err != nil {
		return fmt.Errorf("set the clocks of %s: %w", m.name, err)
	}
	return os.Rename(tmp, m.clockFile())
}

// start begins a process, unless one runs.
func (m *member) start() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.proc != nil && !m.proc.over() {
		return nil
	}
	out, err := os.OpenFile(m.logFile, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("open the log of %s: %w", m.name, err)
	}
	defer out.Close() // the process has its own
	fmt.Fprintf(out, "{\"rig\":\"start\",\"at\":%q}\n", time.Now().UTC().Format(time.RFC3339Nano))
	cmd := m.command(out)
	if err := m.lab.spawn.start(cmd); err != nil {
		return fmt.Errorf("start %s: %w", m.name, err)
	}
	m.life++
	m.prepend = nil
	p := &process{pid: cmd.Process.Pid, life: m.life, ended: make(chan struct{})}
	p.excused.Store(m.excused != "")
	m.proc = p
	m.lab.watching.Go(func() {
		p.err = cmd.Wait()
		close(p.ended)
		m.gone(p)
	})
	return nil
}

func (p *process) over() bool {
	select {
	case <-p.ended:
		return true
	default:
		return false
	}
}

// gone judges the end of a process.
func (m *member) gone(p *process) {
	m.mu.Lock()
	over := m.excused == ""
	last := lastWord(m.logFile)
	m.mu.Unlock()
	if trace := crashed(last); trace != "" {
		m.lab.judge.violate("a crash", "%s ended with a trace: %s", m.name, trace)
		return
	}
	switch {
	case p.asked.Load():
	case !p.excused.Load():
		m.lab.judge.violate("a node ended by itself", "%s: %v; its last word: %s", m.name, p.err, last)
	case over && !m.lab.ending.Load(): // later than its fault: it had begun to stop
		m.lab.judge.moment("a node that ended after its fault, and was started again")
		if err := m.start(); err != nil {
			m.lab.judge.violate("the rig itself", "%v", err)
		}
	}
}

// lastWord is the end of a log, from the start of the process on.
func lastWord(path string) string {
	f, err := os.Open(path)
	if err != nil {
		return err.Error()
	}
	defer f.Close()
	if info, err := f.Stat(); err == nil && info.Size() > tailSize {
		_, _ = f.Seek(-tailSize, io.SeekEnd) // else all of it
	}
	text, err := io.ReadAll(f)
	if err != nil {
		return err.Error()
	}
	s := string(text)
	if i := strings.LastIndex(s, `{"rig":"start"`); i >= 0 {
		s = s[i:]
	}
	return s
}

// crashed returns the first line of a Go trace in text.
func crashed(text string) string {
	for line := range strings.Lines(text) {
		for _, sign := range []string{"panic:", "fatal error:", "WARNING: DATA RACE", "unexpected fault address", "SIGSEGV", "SIGBUS"} {
			if strings.HasPrefix(line, sign) || strings.HasPrefix(line, "["+sign) {
				return strings.TrimSpace(line)
			}
		}
	}
	return ""
}

// refusal is the last line of a log that is not of JSON: what the process said as
// it ended.
func refusal(text string) string {
	word := ""
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if line != "" && !strings.HasPrefix(line, "{") {
			word = line
		}
	}
	return word
}

// running is the process that runs, or nil.
func (m *member) running() *process {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.proc == nil || m.proc.over() {
		return nil
	}
	return m.proc
}

// excuse says why the process may end by itself from now on; empty: the next one may
// not.
func (m *member) excuse(why string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.excused = why
	if m.proc != nil && why != "" {
		m.proc.excused.Store(true)
	}
}

// signal sends one to the process, if it runs.
func (m *member) signal(s syscall.Signal) error {
	p := m.running()
	if p == nil {
		return nil
	}
	if err := syscall.Kill(p.pid, s); err != nil && !errors.Is(err, syscall.ESRCH) {
		return fmt.Errorf("signal %s: %w", m.name, err)
	}
	return nil
}

// kill ends the process at once.
func (m *member) kill() error {
	m.mu.Lock()
	p := m.proc
	m.mu.Unlock()
	if p == nil {
		return nil
	}
	p.asked.Store(true)
	if err := m.signal(syscall.SIGKILL); err != nil {
		return err
	}
	<-p.ended
	return nil
}

// stop ends the process as an operator does, and finds fault with an exit code
// that is not zero.
func (m *member) stop(ctx context.Context) error {
	m.mu.Lock()
	p := m.proc
	m.mu.Unlock()
	if p == nil || p.over() {
		return nil
	}
	p.asked.Store(true)
	if err := m.signal(syscall.SIGTERM); err != nil {
		return err
	}
	timeout := time.NewTimer(stopLimit)
	defer timeout.Stop()
	select {
	case <-p.ended:
	case <-timeout.C:
		_ = m.signal(syscall.SIGQUIT) // its goroutines go to the log
		m.lab.judge.violate("a node does not stop", "%s did not stop within %v of SIGTERM", m.name, stopLimit)
		return m.kill()
	case <-ctx.Done():
		return m.kill()
	}
	if p.err != nil && !p.excused.Load() {
		m.lab.judge.violate("a node does not stop", "%s ended with %v after SIGTERM: %s", m.name, p.err, refusal(lastWord(m.logFile)))
	}
	return nil
}
