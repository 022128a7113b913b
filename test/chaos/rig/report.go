package rig

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

// Report is what a run saw.
type Report struct {
	Seed       uint64
	Length     time.Duration
	Skipped    []string // faults that the machine does not allow
	Faults     []FaultReport
	Writes     map[string]int // by outcome
	Answers    map[string]int // decisions by freshness
	Refusals   map[string]int // by code
	Moments    map[string]int // rare things seen
	Unanswered int
	Waits      int
	// P50, P99 and Max are times from the acknowledgement of a write to the word that it
	// is everywhere, faults included.
	P50, P99, Max time.Duration
	Positions     uint64
	Elections     int
	Violations    []violation
}

// FaultReport is what a run did with one kind of fault.
type FaultReport struct {
	Name           string
	Times, Skipped int
	Longest        time.Duration
	Outcomes       map[string]int
}

// fill makes the report from what was written down.
func (r *rig) fill(p *Report) {
	for _, f := range allFaults() {
		if t := r.tallies[f.name]; t != nil {
			p.Faults = append(p.Faults, FaultReport{f.name, t.times, t.skipped, t.longest, t.outcomes})
		}
	}
	p.Writes = map[string]int{}
	if r.work != nil {
		r.work.mu.Lock()
		for _, w := range r.work.writes {
			p.Writes[w.outcome]++
		}
		r.work.mu.Unlock()
	}
	j := r.judge
	j.mu.Lock()
	defer j.mu.Unlock()
	p.Length, p.Answers, p.Refusals, p.Moments, p.Unanswered = j.now(), j.served, j.refused, j.moments, j.silent
	p.Waits, p.Elections = len(j.waits), j.elections+len(j.terms)
	if n := len(j.acked); n > 0 {
		p.Positions = uint64(j.acked[n-1].position)
	}
	if p.Waits > 0 {
		var took []time.Duration
		for _, w := range j.waits {
			took = append(took, max(0, w.arrived-w.acked))
		}
		slices.Sort(took)
		p.P50, p.P99, p.Max = took[len(took)/2], took[len(took)*99/100], took[len(took)-1]
	}
}

// Print writes the report as a table for people.
func (p *Report) Print(out io.Writer) {
	fmt.Fprintf(out, "\n%-28s %5s %8s %9s  %s\n", "fault", "times", "skipped", "longest", "outcomes")
	times := 0
	for _, f := range p.Faults {
		times += f.Times
		fmt.Fprintf(out, "%-28s %5d %8d %8.1fs  %s\n", f.Name, f.Times, f.Skipped, f.Longest.Seconds(), counts(f.Outcomes))
	}
	if len(p.Skipped) > 0 {
		fmt.Fprintf(out, "skipped on this machine: %s\n", strings.Join(p.Skipped, " "))
	}
	fmt.Fprintf(out, "\nseed %d, %v, %d kinds of fault, %d faults, %d terms, %d positions\n",
		p.Seed, p.Length.Round(time.Second), len(p.Faults), times, p.Elections, p.Positions)
	fmt.Fprintf(out, "writes: %s\n", counts(p.Writes))
	fmt.Fprintf(out, "answers: %s; %d questions got none\n", counts(p.Answers), p.Unanswered)
	fmt.Fprintf(out, "refusals: %s\n", counts(p.Refusals))
	fmt.Fprintf(out, "waits until everywhere: %d, p50 %v, p99 %v, max %v\n", p.Waits,
		p.P50.Round(time.Millisecond), p.P99.Round(time.Millisecond), p.Max.Round(time.Millisecond))
	fmt.Fprintf(out, "also seen: %s\n", counts(p.Moments))
	fmt.Fprintf(out, "violations: %d\n", len(p.Violations))
	for _, v := range p.Violations {
		fmt.Fprintln(out, " ", v)
	}
}
