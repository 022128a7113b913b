package propagation

import "testing"

// mutantSeeds is within how many histories the simulation must notice that a rule
// is broken.
const mutantSeeds = 5000

// TestMutants breaks each rule in turn. A rule without which nothing goes wrong
// would be superfluous, or the simulation blind to it. Where two rules catch the
// same mistake, both are broken. Some mistakes show in rare weather only; then
// the histories have more of it.
func TestMutants(t *testing.T) {
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
		{"acks of an old session", ruleForget | ruleForward, "P5", func(f *simFaults) { f.restart, f.cut = 0.4, 0.5 }},
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
		{"removed before the term", ruleFormer, "P5", func(f *simFaults) { f.roster, f.elect, f.cut = 0.3, 0.2, 0.5 }},
		{"lease survives a step back", ruleStepBack | ruleReported | ruleForward, "P5", nil},
		{"step back after the check", ruleReported, "P5", func(f *simFaults) { f.rebuild, f.cut = 0.5, 0.5 }},
		{"step back without a new life", ruleStepBack, "P7", nil},
		{"requests out of order", ruleSeq, "P7", nil},
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
