package identity

import (
	"math"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

func TestRetention(t *testing.T) { run(t, retentionSpecs()) }

func retentionSpecs() []spec {
	rule := func(days uint32, positions uint64) *RetentionSet {
		return &RetentionSet{Rule: RetentionRule{Days: days, Positions: positions}}
	}
	floor := func(at Position) *Position { return &at }
	long := func(last ...Event) []Event { // 2,000 positions, at least
		return append(slices.Repeat([]Event{&RetentionSet{}}, 2000), last...)
	}
	drop := func(through Position, age Time) *DropHistory {
		return &DropHistory{Through: through, Hash: [32]byte{7}, Newest: now - age}
	}
	dropped := func(through Position, age Time) *HistoryDropped {
		return &HistoryDropped{Through: through, Hash: [32]byte{7}, Newest: now - age, At: now}
	}
	is := func(want Retention) func(*spying) {
		return func(s *spying) {
			if got := s.Retention(); got != want {
				s.T.Errorf("retention is %+v, not %+v", got, want)
			}
		}
	}
	head := given(long(rule(0, 1500))...).Position()
	return []spec{
		{name: "days", when: &SetRetention{Rule: &RetentionRule{Days: 30}}, then: []Event{rule(30, 0)}, check: is(Retention{Rule: RetentionRule{Days: 30}})},
		{name: "the fewest positions", when: &SetRetention{Rule: &RetentionRule{Positions: MinKeptPositions}}, then: []Event{rule(0, MinKeptPositions)}},
		{name: "everything again", given: []Event{rule(30, 0)}, when: &SetRetention{Rule: &RetentionRule{}}, then: []Event{rule(0, 0)}, check: is(Retention{})},
		{name: "a floor leaves the rule", given: []Event{rule(30, 0)}, when: &SetRetention{Floor: floor(7)}, then: []Event{&RetentionSet{Rule: RetentionRule{Days: 30}, Floor: 7}}},
		{name: "a rule leaves the floor", given: []Event{&RetentionSet{Floor: 7}}, when: &SetRetention{Rule: &RetentionRule{Days: 1}}, then: []Event{&RetentionSet{Rule: RetentionRule{Days: 1}, Floor: 7}}},
		{name: "what was dropped stays dropped", given: []Event{rule(30, 0), dropped(9, day)}, when: &SetRetention{Rule: &RetentionRule{}}, then: []Event{rule(0, 0)},
			check: is(Retention{Dropped: Dropped(*dropped(9, day))})},
		{name: "nothing", when: &SetRetention{}, refused: "InvalidInput: Nothing is to change."},
		{name: "both", when: &SetRetention{Rule: &RetentionRule{Days: 1, Positions: 5000}}, refused: "InvalidInput: A rule keeps days or positions, not both."},
		{name: "too many days", when: &SetRetention{Rule: &RetentionRule{Days: MaxKeptDays + 1}}, refused: "InvalidInput: A rule keeps at most 36500 days; without days and positions it keeps everything."},
		{name: "too few positions", when: &SetRetention{Rule: &RetentionRule{Positions: MinKeptPositions - 1}}, refused: "InvalidInput: A rule keeps at least 1000 positions."},
		{name: "a floor at what was dropped", given: []Event{dropped(9, day)}, when: &SetRetention{Floor: floor(9)},
			refused: "InvalidInput: The history begins at position 10: what was before is dropped, and a floor cannot hold it."},
		{name: "a floor behind what was dropped", given: []Event{dropped(9, day)}, when: &SetRetention{Floor: floor(10)}, then: []Event{&RetentionSet{Floor: 10}}},

		{name: "drop what positions leave", given: long(rule(0, 1500)), when: drop(head-1500, MinKeptTime), then: []Event{dropped(head-1500, MinKeptTime)},
			check: is(Retention{Rule: RetentionRule{Positions: 1500}, Dropped: Dropped(*dropped(head-1500, MinKeptTime))})},
		{name: "drop what days leave", given: long(rule(2, 0)), when: drop(head-MinKeptPositions, 2*day), then: []Event{dropped(head-MinKeptPositions, 2*day)}},
		{name: "drop more", given: long(rule(0, 1500), dropped(3, day)), when: drop(4, day), then: []Event{dropped(4, day)}},
		{name: "below a floor", given: long(&RetentionSet{Rule: RetentionRule{Days: 1}, Floor: 8}), when: drop(7, day), then: []Event{dropped(7, day)}},
		{name: "no rule", given: long(), when: drop(4, day), refused: "InvalidInput: The rule keeps everything."},
		{name: "dropped already", given: long(rule(0, 1500), dropped(4, day)), when: drop(4, day), refused: "ConcurrentModification: The history begins at position 5 already."},
		{name: "at the floor", given: long(&RetentionSet{Rule: RetentionRule{Days: 1}, Floor: 8}), when: drop(8, day), refused: "InvalidInput: The floor is at position 8: it and all behind it stay."},
		{name: "more than positions leave", given: long(rule(0, 1500)), when: drop(head-1499, day), refused: "InvalidInput: The last 1500 positions stay."},
		{name: "the latest, by days", given: long(rule(1, 0)), when: drop(head-MinKeptPositions+1, day), refused: "InvalidInput: The last 1000 positions stay."},
		{name: "as many positions as there can be", given: long(rule(0, math.MaxUint64)), when: drop(4, day), refused: "InvalidInput: The last 18446744073709551615 positions stay."},
		{name: "too young for the rule", given: long(rule(2, 0)), when: drop(4, 2*day-1), refused: "InvalidInput: The batch at position 4 is too young to be dropped."},
		{name: "too young for any rule", given: long(rule(0, 1500)), when: drop(4, MinKeptTime-1), refused: "InvalidInput: The batch at position 4 is too young to be dropped."},
	}
}

// drawnRetention are the commands about retention.
func drawnRetention(t *rapid.T) []func() Command {
	return []func() Command{func() Command {
		floor := Position(drawNumber(t))
		return oneOf[Command](t, "retention",
			&SetRetention{Rule: &RetentionRule{Days: uint32(drawNumber(t)), Positions: oneOf[uint64](t, "positions", 0, 5000)}},
			&SetRetention{Floor: &floor},
			&DropHistory{Through: floor, Newest: oneOf(t, "newest", past, now)})
	}}
}
