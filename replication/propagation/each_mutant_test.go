//go:build mutants

package propagation

import "testing"

// mutantSeeds is within how many histories the simulation must notice that a rule
// is broken.
const mutantSeeds = 5000

// overlapping is weather in which names have several processes, and leaders change.
func overlapping(f *simFaults) { f.overlap, f.elect, f.cut, f.roster = 0.5, 0.15, 0.5, 0.2 }

// stopping is weather in which processes stop in good order and are late to be gone.
func stopping(f *simFaults) { overlapping(f); f.leave, f.slow = 0.5, 0.2 }

// TestEachMutant breaks each rule in turn; TestMutants runs it. A rule without which nothing goes wrong
// would be superfluous, or the simulation blind to it. Where two rules catch the
// same mistake, both are broken. Some mistakes show in rare weather only; then
// the histories have more of it.
func TestEachMutant(t *testing.T) {
	mutants := []struct {
		name     string
		broken   rule
		violates string
		weather  func(*simFaults)
	}{
		{"no drift margin", ruleMargin, "P5", func(f *simFaults) { f.drift, f.cut = 10, 1 }},
		{"lease counted from receipt", ruleAnchor, "P5", func(f *simFaults) { f.slow, f.cut = 0.2, 0.5 }},
		{"no fence", ruleFence, "P5", func(f *simFaults) { f.elect, f.deaf, f.cut = 0.2, 1, 0.5 }},
		{"no grace", ruleGrace, "P5", nil},
		{"floor zero", ruleGainFloor | ruleLag, "P5", nil},
		{"acks of an old opening", ruleForget | ruleForward, "P5", func(f *simFaults) { f.restart, f.cut = 0.4, 0.5 }},
		{"no floor check", ruleFloorCheck, "P5", nil},
		{"removal drops the lease at once", ruleGone, "P5", nil},
		{"lease survives a restart", ruleVolatile, "P5", nil},
		{"stopped replica clock", ruleClocks, "P5", nil},
		{"sent counted as applied", ruleApplied | ruleForward, "P5", nil},
		{"joiner skips the floor", ruleJoiner, "P5", nil},
		{"view pinned before the check", ruleCheckFirst | ruleReported, "P5", func(f *simFaults) { f.rebuild, f.cut = 0, 0.5 }},

		{"fence of another term", ruleTerm, "P5", func(f *simFaults) { f.elect, f.deaf = 0.3, 1 }},
		{"floor not in the log", ruleDurable | ruleProven, "P5", nil},
		{"floor forgotten by the next leader", ruleDurable, "I11", nil},
		{"scope beyond the last fence", ruleProven, "P5", nil},
		{"scope without a floor", ruleScopeFloor, "P5", func(f *simFaults) { f.restart, f.cut = 0.3, 0.5 }},
		{"lag not counted", ruleLag, "P6", nil},
		{"lease survives a step back", ruleStepBack | ruleReported | ruleForward, "P5", nil},
		{"step back after the check", ruleReported, "P5", func(f *simFaults) { f.rebuild, f.cut = 0.5, 0.5 }},
		{"step back without a new life", ruleStepBack, "P7", nil},
		{"requests out of order", ruleSeq, "P7", nil},

		// Several lives under one name: the variants of the model, by its numbers. Its O14 is
		// above (removal), as are O20 to O24 (margin, anchor, fence, floor check, floor).
		{"O0 and O1 a new life replaces the former", ruleBeside, "P5", overlapping},
		{"O2 found lives count only where no other acknowledged", ruleInherit, "P5", overlapping},
		{"O3 a new leader knows of no lives", ruleGrace, "P5", overlapping},
		{"O4 stopped, but goes on answering", ruleStopDrops, "P5", stopping},
		{"O5 stopped, then takes a grant", ruleStopTakes, "P5", stopping},
		{"O6 stopped, then asks under the same nonce", ruleStopAsks, "P5", stopping},
		{"O7 the end of one life ends all of the name", ruleEndedAlone, "P5", stopping},
		{"O8 may hold as the new life may", ruleOwnHold, "P5", overlapping},
		{"O9 a later life acknowledges for an earlier", ruleOwnAck, "P5", overlapping},
		{"O10 an earlier life acknowledges for a later", ruleForget | ruleForward, "P5", overlapping},
		{"O11 a grant ends the other lives", ruleGrantAlone, "P5", overlapping},
		{"O12 a returning life starts empty", ruleReturn, "P5", overlapping},
		{"O13 a shorter grant shortens the longer", ruleLongest, "P5", func(f *simFaults) { overlapping(f); f.roster, f.drop, f.elect = 1, 0.5, 0 }},
		{"O14 removal forgets", ruleGone, "P5", overlapping},
		{"O15 a new registration forgets", ruleAgain, "P5", overlapping},
		{"O16 a grant to a life that the log does not name", ruleNamed, "P5", overlapping},
		{"O17 dropped from the log while it may hold", ruleDropLapsed, "P5", overlapping},
		{"O18 dropped and granted to by one fence", ruleDropAlone, "P5", overlapping},
		{"O19 found lives taken as run out", ruleFound, "P5", overlapping},
		{"O25 a drop of an earlier term", ruleDropTerm, "P5", func(f *simFaults) { overlapping(f); f.elect, f.deaf = 0.3, 1 }},
		{"a history that named no lives is not waited for", ruleNameless, "P5", func(f *simFaults) { overlapping(f); f.nameless = true }},
		{"all lives are named too early", ruleComplete, "P5", func(f *simFaults) { overlapping(f); f.elect, f.nameless = 0.5, true }},
		{"a copied directory tells of a life that goes on", ruleRecorded, "P5", overlapping},
	}
	for _, m := range mutants {
		t.Run(m.name, func(t *testing.T) {
			t.Parallel()
			for seed := uint64(1); seed <= mutantSeeds; seed++ {
				s := newSimulation(seed, m.broken, m.weather)
				s.only = m.violates
				if broke := s.run(); broke != "" {
					t.Logf("seed %d: %s", seed, broke)
					return
				}
			}
			t.Errorf("%d histories do not show that the rule is broken", mutantSeeds)
		})
	}
}
