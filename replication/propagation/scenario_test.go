package propagation

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/writ-iam/writ/log/event"
)

var rewrite = flag.Bool("rewrite", false, "write what the scenarios give into testdata")

// TestScenarios plays the stories in testdata: blocks of commands, a line of
// dashes, and what they gave. With -rewrite the files are brought up to date; the
// diff is then read by a person.
func TestScenarios(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no scenarios: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			got := playScenario(t, string(text))
			if *rewrite {
				if err := os.WriteFile(file, []byte(got), 0o600); err != nil {
					t.Fatal(err)
				}
				return
			}
			if got != string(text) {
				t.Errorf("the scenario gives something else; run with -rewrite and read the diff. It gave:\n%s", got)
			}
		})
	}
}

// playScenario returns the text with the output that its commands give now.
func playScenario(t *testing.T, text string) string {
	st := &stage{t: t, hosts: map[string]*[3]time.Duration{}, leaders: map[string]*stageLeader{}, replicas: map[string]*stageReplica{}}
	st.shown.Roster, st.shown.Lives.Complete = &Roster{}, true
	var out []string
	for block := range strings.SplitSeq(strings.TrimSpace(text), "\n\n") {
		var result []string
		for line := range strings.SplitSeq(block, "\n") {
			if line == "----" {
				break
			}
			out = append(out, line)
			if line != "" && !strings.HasPrefix(line, "#") {
				result = append(result, st.run(strings.Fields(line))...)
			}
		}
		if len(result) > 0 {
			out = append(out, "----")
			out = append(out, result...)
		}
		out = append(out, "")
	}
	return strings.Join(out, "\n")
}

// stage is a small world in which each event happens on command.
type stage struct {
	t        *testing.T
	hosts    map[string]*[3]time.Duration // monotonic, boottime, wall
	shown    Shown
	leaders  map[string]*stageLeader
	replicas map[string]*stageReplica
	nonces   int
}

type stageLeader struct {
	*Tracker
	from  map[Ticket]string
	held  []Reply
	fence Fence // of the tick in flight
}

type stageReplica struct {
	*Lease
	applied   Applied
	published *Snapshot
	freshness Freshness
}

// args are the options of a command, as key=value.
type args map[string]string

func (a args) number(key string, otherwise uint64) uint64 {
	if n, err := strconv.ParseUint(a[key], 10, 64); err == nil {
		return n
	}
	return otherwise
}

func (st *stage) run(words []string) []string {
	verb, name, opts := words[0], "", args{}
	for i, w := range words[1:] {
		if key, value, ok := strings.Cut(w, "="); ok {
			opts[key] = value
		} else if i == 0 {
			name = w
		} else {
			opts[w] = "yes"
		}
	}
	commands := map[string]func(string, args) []string{
		"write": st.write, "register": st.roster, "drain": st.roster, "remove": st.roster,
		"lead": st.lead, "begin": st.begin, "end": st.end, "tick": st.tick, "deliver": st.deliver, "lose": st.deliver,
		"everywhere": st.everywhere, "members": st.members, "observe": st.observe, "close": st.end,
		"start": st.start, "stop": st.stop, "forget": st.forget, "lives": st.lives, "renew": st.renew, "read": st.read, "apply": st.apply, "spoil": st.spoil, "quarantine": st.quarantine, "stepback": st.stepBack,
		"check": st.check, "answer": st.answer, "query": st.query, "next": st.next,
		"advance": st.advance, "jump": st.jump, "sleep": st.advance,
	}
	do := commands[verb]
	if do == nil {
		st.t.Fatalf("no such command: %v", words)
	}
	opts["verb"] = verb
	return do(name, opts)
}

func (st *stage) clocks(host string) Clocks {
	h := st.host(host)
	return Clocks{Monotonic: h[0], Boottime: h[1], Wall: h[2]}
}

func (st *stage) host(name string) *[3]time.Duration {
	if st.hosts[name] == nil {
		st.hosts[name] = new([3]time.Duration)
	}
	return st.hosts[name]
}

func (st *stage) duration(text string) time.Duration {
	d, err := time.ParseDuration(text)
	if err != nil {
		st.t.Fatal(err)
	}
	return d
}

// advance lets time pass everywhere; sleep lets it pass while the monotonic clock
// of one host stands still.
func (st *stage) advance(name string, a args) []string {
	by := a["for"]
	if a["verb"] == "advance" {
		by, name = name, ""
	}
	for host, h := range st.hosts {
		for i := range h {
			if host != name || i > 0 {
				h[i] += st.duration(by)
			}
		}
	}
	return nil
}

func (st *stage) jump(name string, a args) []string {
	for i, clock := range []string{"monotonic", "boottime", "wall"} {
		if by, ok := a[clock]; ok {
			st.host(name)[i] += st.duration(by)
		}
	}
	return nil
}

func (st *stage) write(count string, _ args) []string {
	n, err := strconv.Atoi(count)
	if err != nil {
		st.t.Fatal(err)
	}
	st.shown.Head = headAt(st.shown.Head.Position + event.Position(n))
	return nil
}

func (st *stage) roster(name string, a args) []string {
	st.shown.Head = headAt(st.shown.Head.Position + 1)
	r := *st.shown.Roster
	r.At, r.Registered = st.shown.Head.Position, slices.Clone(r.Registered)
	i := slices.IndexFunc(r.Registered, func(m Registration) bool { return m.Name == name })
	switch a["verb"] {
	case "drain":
		r.Registered[i].Draining = true
	case "remove":
		r.Registered = slices.Delete(r.Registered, i, i+1)
	default:
		m := Registration{Name: name, Region: a["region"], Class: a["class"], Registered: r.At}
		if i < 0 {
			r.Registered = append(r.Registered, m)
		} else {
			r.Registered[i] = m
		}
		slices.SortFunc(r.Registered, func(a, b Registration) int { return strings.Compare(a.Name, b.Name) })
	}
	st.shown.Roster = &r
	return []string{fmt.Sprintf("position %d", r.At)}
}

func (st *stage) lead(name string, a args) []string {
	st.shown.Level = uint32(a.number("level", uint64(st.shown.Level)))
	l := &stageLeader{
		Tracker: NewTracker(DefaultParams(), simCluster, simEpoch, a.number("term", 1), st.clocks(name), st.shown),
		from:    map[Ticket]string{},
	}
	st.leaders[name] = l
	out := fmt.Sprintf("term %d from head %d: floor %d, %d lives in the log", l.term, st.shown.Head.Position, l.floor, st.shown.Lives.Len())
	if grace := l.grace - st.clocks(name).Monotonic; grace > 0 {
		out += fmt.Sprintf(", and for %v perhaps others", grace)
	}
	return []string{out}
}

// forget makes the log one whose fences named no lives.
func (st *stage) forget(string, args) []string {
	st.shown.Lives = event.Lives{}
	return nil
}

// lives are those that the log names.
func (st *stage) lives(string, args) []string {
	var names []string
	for l := range st.shown.Lives.All() {
		names = append(names, l.Replica+"/"+l.Nonce)
	}
	return []string{fmt.Sprintf("%v, complete %v", names, st.shown.Lives.Complete)}
}

func (st *stage) observe(name string, _ args) []string {
	st.leaders[name].Observe(st.clocks(name), st.shown)
	return nil
}

func (st *stage) begin(name string, _ args) []string {
	f, ok := st.leaders[name].BeginTick(st.clocks(name))
	if !ok {
		return []string{"no tick"}
	}
	st.leaders[name].fence = f
	out := fmt.Sprintf("fence of term %d: head %d, floor %d", f.Term, f.Head.Position, f.Floor)
	if len(f.Opened)+len(f.Dropped) > 0 {
		out += fmt.Sprintf(", opened %v, dropped %v", f.Opened, f.Dropped)
	}
	return []string{out}
}

// end ends a tick: committed in its own term, in another, or not at all.
func (st *stage) end(name string, a args) []string {
	l := st.leaders[name]
	var replies []Reply
	switch {
	case a["verb"] == "close":
		replies = l.Close()
	case a["failed"] != "":
		replies = l.FailTick()
	default:
		// A fence's floor and lives count where it was committed in the term that it names.
		term := a.number("term", l.term)
		if term == l.term {
			st.shown.Floor = max(st.shown.Floor, l.fence.Floor)
			st.shown.Lives = st.shown.Lives.Change(l.fence.Opened, l.fence.Dropped)
			st.shown.Lives.Complete = st.shown.Lives.Complete || l.fence.Complete
		}
		replies = l.EndTick(st.clocks(name), term, st.shown, st.history)
	}
	var out []string
	for _, r := range replies {
		out = append(out, fmt.Sprintf("%s <- %s", l.from[r.Ticket], answerText(r.Answer)))
	}
	l.held = append(l.held, replies...)
	if a["hold"] == "" {
		out = append(out, st.deliver(name, args{"verb": "deliver"})...)
	}
	return out
}

func (st *stage) tick(name string, a args) []string {
	// Ticks have their least distance; the stage waits for it.
	if wait, ok := st.leaders[name].NextTick(st.clocks(name)); ok && wait > 0 {
		st.advance(wait.String(), args{"verb": "advance"})
	}
	if out := st.begin(name, a); out[0] == "no tick" {
		return out
	}
	a["verb"] = "end"
	return st.end(name, a)
}

// deliver hands held answers to their replicas; lose forgets them.
func (st *stage) deliver(name string, a args) []string {
	l := st.leaders[name]
	var out []string
	for _, reply := range l.held {
		to := l.from[reply.Ticket]
		if r := st.replicas[to]; r != nil && a["verb"] == "deliver" {
			if !r.Receive(st.clocks(to), reply.Answer) {
				out = append(out, to+" ignores it")
			}
			r.published = r.Snapshot()
		}
	}
	l.held = nil
	return out
}

func answerText(a Answer) string {
	text := string(a.Kind)
	if a.Opening != (Opening{}) {
		text += fmt.Sprintf(" opening %d.%d", a.Opening.Term, a.Opening.Number)
	}
	text += fmt.Sprintf(" seq %d", a.Seq)
	if a.Duration > 0 {
		text += fmt.Sprintf(" for %v", a.Duration)
	}
	if a.Head.Position > 0 {
		text += fmt.Sprintf(" floor %d head %d", a.Floor, a.Head.Position)
	}
	if a.Reason != "" {
		text += ": " + a.Reason
	}
	return text
}

// history forgets what is 1000 positions old.
func (st *stage) history(p event.Position) (Hashes, bool) {
	r, _ := recordAt(p)
	return r, p+1000 > st.shown.Head.Position
}

func (st *stage) everywhere(name string, a args) []string {
	scope := Scope{Region: a["region"], Count: int(a.number("count", 0))}
	if names := a["replicas"]; names != "" {
		scope.Replicas = strings.Split(names, ",")
	}
	s, err := st.leaders[name].Everywhere(st.clocks(name), event.Position(a.number("position", 0)), scope)
	if err != nil {
		return []string{"error: " + err.Error()}
	}
	out := fmt.Sprintf("%s: visible on %v, fenced %v, pending %v", s.State, s.VisibleOn, s.Fenced, s.Pending)
	for _, l := range s.PendingLives {
		out += fmt.Sprintf(", %s/%s at %d for %v", l.Replica, l.Life, l.Acked, l.MayHold)
	}
	if s.Former {
		out += ", others perhaps"
	}
	if s.Bounded && s.WorstCase > 0 {
		out += fmt.Sprintf(", at worst %v", s.WorstCase)
	}
	if s.HasChanges {
		out += fmt.Sprintf(", changes in %v", s.Changes-st.clocks(name).Monotonic)
	}
	if s.Settled && s.State != StateEverywhere {
		out += ", a tick must bear it"
	}
	return []string{out}
}

func (st *stage) members(name string, _ args) []string {
	var out []string
	for _, m := range st.leaders[name].Replicas(st.clocks(name)) {
		name := m.Name
		if m.Life != "" {
			name += "/" + m.Life
		}
		line := fmt.Sprintf("%s: connected %v, acked %d, may hold a lease for %v", name, m.Connected, m.Acked, m.MayHold)
		if m.Draining {
			line += ", draining"
		}
		if m.Removed {
			line += ", removed"
		}
		if m.Fault != "" {
			line += ", " + string(m.Fault)
		}
		out = append(out, line)
	}
	return out
}

// start begins a life of a replica's process, its first or another: of the name in the
// roster that as says, or its own. ended is what it found recorded.
func (st *stage) start(name string, a args) []string {
	st.nonces++
	replica, ended := name, []string(nil)
	if a["as"] != "" {
		replica = a["as"]
	}
	if a["ended"] != "" {
		ended = strings.Split(a["ended"], ",")
	}
	r := &stageReplica{Lease: NewLease(DefaultParams(), Replica{
		Name: replica, Class: a["class"], Cluster: simCluster, Incarnation: simEpoch,
	}, fmt.Sprintf("n%d", st.nonces), ended...)}
	if old := a["incarnation"]; old != "" {
		r.replica.Incarnation = old
	}
	st.replicas[name] = r
	r.published = r.Snapshot()
	st.host(name)
	a["to"] = a["at"]
	return st.apply(name, a)
}

func (st *stage) apply(name string, a args) []string {
	p := event.Position(a.number("to", uint64(st.shown.Head.Position)))
	r := st.replicas[name]
	r.applied = Applied{Head: headAt(p), State: hashAt(p), Level: uint32(a.number("level", uint64(r.applied.Level)))}
	return nil
}

// spoil makes a replica's history or state differ from the log's.
func (st *stage) spoil(name string, a args) []string {
	r := st.replicas[name]
	if a["state"] != "" {
		r.applied.State[0] ^= 1
	} else {
		r.applied.Head.Hash[0] ^= 1
	}
	return nil
}

// quarantine lets a replica find that its own state is not sound.
func (st *stage) quarantine(name string, _ args) []string {
	r := st.replicas[name]
	r.Quarantine(KindDiverged)
	r.published = r.Snapshot()
	return nil
}

func (st *stage) stepBack(name string, a args) []string {
	st.nonces++
	r := st.replicas[name]
	if to := a["incarnation"]; to != "" {
		r.Rejoin(to, fmt.Sprintf("n%d", st.nonces))
	} else {
		r.StepBack(fmt.Sprintf("n%d", st.nonces))
	}
	r.published = r.Snapshot()
	return st.apply(name, a)
}

// stop ends a replica in good order, and tells a leader of it.
func (st *stage) stop(name string, a args) []string {
	r, l := st.replicas[name], st.leaders[a["to"]]
	q, ok := r.Stop()
	r.published = r.Snapshot()
	if !ok {
		return []string{"nothing to tell"}
	}
	ticket, _ := l.Renew(q)
	l.from[ticket] = name
	return nil
}

// renew sends a renewal to a leader; with again, the last one a second time.
func (st *stage) renew(name string, a args) []string {
	r, l := st.replicas[name], st.leaders[a["to"]]
	q := r.Renew(st.clocks(name), r.applied)
	r.published = r.Snapshot()
	copies := 1
	if a["twice"] != "" {
		copies = 2
	}
	for range copies {
		ticket, _ := l.Renew(q)
		l.from[ticket] = name
	}
	return nil
}

func (st *stage) read(name string, a args) []string {
	r, l := st.replicas[name], st.leaders[a["to"]]
	ticket, _ := l.Read(r.Read(st.clocks(name)))
	l.from[ticket] = name
	return nil
}

func (st *stage) next(name string, a args) []string {
	var d time.Duration
	var ok bool
	if r := st.replicas[name]; r != nil {
		jitter, _ := strconv.ParseFloat(a["jitter"], 64)
		d, ok = r.Next(st.clocks(name), jitter), true
	} else {
		d, ok = st.leaders[name].NextTick(st.clocks(name))
	}
	if !ok {
		return []string{"nothing to do"}
	}
	return []string{fmt.Sprintf("in %v", d)}
}

func (st *stage) check(name string, _ args) []string {
	r := st.replicas[name]
	r.freshness = r.published.Check(st.clocks(name))
	return nil
}

// answer answers from the view that is there now, by the check made before.
func (st *stage) answer(name string, a args) []string {
	r := st.replicas[name]
	ask := Ask{
		Mode:    Mode(slices.Index([]string{"", "any", "at_least", "strict"}, a["mode"])),
		AtLeast: event.Position(a.number("at_least", 0)),
	}
	if d := a["max_staleness"]; d != "" {
		ask.MaxStaleness = st.duration(d)
	}
	c, err := r.freshness.Cover(r.applied.Head.Position, ask)
	if err != nil {
		return []string{fmt.Sprintf("refused from %d: %v", r.applied.Head.Position, err)}
	}
	out := fmt.Sprintf("%s from %d of %d", c.Freshness, r.applied.Head.Position, c.Head)
	if c.Remaining > 0 {
		out += fmt.Sprintf(", lease for %v", c.Remaining)
	}
	if c.Bounded {
		out += fmt.Sprintf(", at most %v stale", c.Staleness)
	}
	if c.DenyOnly {
		out += ", may only deny"
	}
	return []string{out}
}

func (st *stage) query(name string, a args) []string {
	st.check(name, a)
	return st.answer(name, a)
}
