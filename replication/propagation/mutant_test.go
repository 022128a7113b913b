package propagation

import "testing"

// mutantSeeds is within how many histories the simulation must notice that a rule
// is broken.
const mutantSeeds = 2000

// TestMutants breaks each rule in turn. A rule without which nothing goes wrong
// would be superfluous, or the simulation blind to it. Where two rules catch the
// same mistake, both are broken.
func TestMutants(t *testing.T) {
	noRebuild := func(f *simFaults) { f.rebuild = 0 }
	mutants := []struct {
		name      string
		broken    rule
		violates  string
		condition func(*simFaults)
	}{
		{"no drift margin", ruleMargin, "P5", nil},
		{"lease counted from receipt", ruleAnchor, "P5", nil},
		{"no fence", ruleFence, "P5", nil},
		{"no grace", ruleGrace, "P5", nil},
		{"floor zero", ruleGainFloor | ruleLag, "P5", nil},
		{"acks of an old session", ruleForget | ruleForward, "P5", nil},
		{"no floor check", ruleFloorCheck, "P5", nil},
		{"removal drops the lease at once", ruleGone, "P5", nil},
		{"lease survives a restart", ruleVolatile, "P5", nil},
		{"stopped replica clock", ruleClocks, "P5", nil},
		{"sent counted as applied", ruleApplied | ruleForward, "P5", nil},
		{"joiner skips the floor", ruleJoiner, "P5", nil},
		{"view pinned before the check", ruleCheckFirst | ruleReported, "P5", noRebuild},

		{"requests out of order", ruleSeq, "P7", nil},
		{"fence of another term", ruleTerm, "P5", nil},
		{"floor not in the log", ruleDurable, "P5", nil},
		{"floor forgotten by the next leader", ruleDurable, "I11", nil},
		{"scope without a fence", ruleScopeFence, "P5", nil},
		{"scope without a floor", ruleScopeFloor, "P5", nil},
		{"lag not counted", ruleLag, "P6", nil},
		{"removed before the term", ruleFormer, "P5", nil},
		{"lease survives a step back", ruleStepBack | ruleReported | ruleForward, "P5", nil},
		{"step back after the check", ruleReported, "P5", nil},
		{"going back is not noticed", ruleStepBack, "P7", nil},
	}
	for _, m := range mutants {
		t.Run(m.name, func(t *testing.T) {
			t.Parallel()
			for seed := uint64(1); seed <= mutantSeeds; seed++ {
				s := newSimulation(seed, m.broken)
				s.only = m.violates
				if m.condition != nil {
					m.condition(&s.faults)
				}
				if broke := s.run(); broke != "" {
					t.Logf("seed %d: %s", seed, broke)
					return
				}
			}
			t.Errorf("%d histories do not show that the rule is broken", mutantSeeds)
		})
	}
}
