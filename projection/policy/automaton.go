package policy

import (
	"math/bits"
	"unicode/utf8"
)

// effort is how many steps the plain way of matching may take for every byte of
// value and part of the pattern. What people write takes a few. What takes more was
// made to: "*?a?a?a..." compares half of itself at every place of a value "aaaa...",
// and goes on with an automaton.
const effort = 8

// allowance is what the plain way may take for a pattern and a value of these lengths.
func allowance(parts, value int) int { return effort * (parts + value + 16) }

// textStep is how many bytes of a text are compared in about one step.
const textStep = 32

// automaton follows all ways to match a pattern at once. Its states are how many of
// the pattern's symbols, which are its characters and each ?, have been matched;
// those that a value can be in after some of its characters are the bits of a set.
// So a character of the value costs a step for every 64 symbols, whatever the pattern
// and the value are, and with a * in it only for those since the last * that was
// reached. (Baeza-Yates and Gonnet: "A new approach to text searching".)
type automaton struct {
	size int // symbols
	// States that go on to the next with any character.
	one []uint64
	// States before which stands a *, and of these those whose * takes every
	// character. See part.
	many, field stars
	// The states that go on with a character: the first of its entries.
	ascii  [utf8.RuneSelf]int32
	others map[rune]int32
	// entries[0] is none.
	entries []transitions
	// rows are the states that go on with the characters met last.
	rows [16]row
	// steps is how many words and symbols were gone through, from the making on.
	steps int
}

// transitions are 64 states of those that go on with a character, and where more are.
type transitions struct {
	word, next int32
	set        uint64
}

// stars is a set of states, and for each of its words the last up to it that has some,
// or -1.
type stars struct {
	set  []uint64
	last []int32
}

func (s *stars) find() {
	s.last = make([]int32, len(s.set))
	last := int32(-1)
	for w, set := range s.set {
		if set != 0 {
			last = int32(w)
		}
		s.last[w] = last
	}
}

// row is the states that go on with a character, confined where a ? takes no colon.
type row struct {
	set      []uint64 // nil: none yet
	r        rune
	confined bool
}

// matchAtOnce is matchParts by an automaton.
func matchAtOnce(parts []part, values []string, value string, free int) (matched bool, steps int) {
	most := utf8.RuneCountInString(value)
	size, steps := countSymbols(parts, values, most)
	if size > most {
		return false, steps
	}
	a := newAutomaton(parts, values, size)
	matched = a.match(value, free)
	return matched, steps + a.steps
}

// countSymbols counts the symbols of a pattern, or more than most of them: where there
// are more than characters of the value, it looks no further. So texts that are longer
// than the value, such as those of variables which are many times in a pattern, are
// not counted at all.
func countSymbols(parts []part, values []string, most int) (n, steps int) {
	v := 0
	for i := range parts {
		text := parts[i].text
		switch parts[i].kind {
		case partValue:
			text = values[v]
			v++
		case partOne:
			n++
			continue
		case partMany, partField:
			continue
		}
		if len(text) > utf8.UTFMax*most {
			return most + 1, steps + i
		}
		steps += len(text) / textStep
		if n += utf8.RuneCountInString(text); n > most {
			return n, steps + i
		}
	}
	return n, steps + len(parts)
}

func newAutomaton(parts []part, values []string, size int) *automaton {
	words := size/64 + 1
	sets := make([]uint64, 3*words)
	a := &automaton{size: size, one: sets[:words], entries: make([]transitions, 1), steps: len(sets) + size}
	a.many.set, a.field.set = sets[words:2*words], sets[2*words:]
	// From the end, so that the entries of a character come in order.
	state, v := size, len(values)
	for i := len(parts) - 1; i >= 0; i-- {
		switch text := parts[i].text; parts[i].kind {
		case partField:
			add(a.field.set, state)
			add(a.many.set, state)
		case partMany:
			add(a.many.set, state)
		case partOne:
			state--
			add(a.one, state)
		case partValue:
			v--
			state = a.text(values[v], state)
		default:
			state = a.text(text, state)
		}
	}
	a.many.find()
	a.field.find()
	return a
}

func add(set []uint64, state int) { set[state/64] |= 1 << (state % 64) }

// text lets a text lead to a state, and returns the one from which it does.
func (a *automaton) text(text string, state int) int {
	for text != "" {
		r, n := utf8.DecodeLastRuneInString(text)
		text = text[:len(text)-n]
		state--
		word := int32(state / 64)
		first := a.first(r)
		if first == 0 || a.entries[first].word != word {
			a.entries = append(a.entries, transitions{word: word, next: first})
			first = int32(len(a.entries) - 1)
			if r < utf8.RuneSelf {
				a.ascii[r] = first
			} else {
				if a.others == nil {
					a.others = map[rune]int32{}
				}
				a.others[r] = first
			}
		}
		a.entries[first].set |= 1 << (state % 64)
	}
	return state
}

// first is the first entry of a character, 0 without one.
func (a *automaton) first(r rune) int32 {
	if r < utf8.RuneSelf {
		return a.ascii[r]
	}
	return a.others[r]
}

// row returns the states that go on with a character.
func (a *automaton) row(r rune, confined bool) []uint64 {
	w := &a.rows[uint32(r)%uint32(len(a.rows))]
	if w.set != nil && w.r == r && w.confined == confined {
		return w.set
	}
	if w.set == nil {
		w.set = make([]uint64, len(a.one))
	}
	a.steps += len(w.set)
	w.r, w.confined = r, confined
	if confined {
		clear(w.set)
	} else {
		copy(w.set, a.one)
	}
	for i := a.first(r); i != 0; i = a.entries[i].next {
		w.set[a.entries[i].word] |= a.entries[i].set
	}
	return w.set
}

// match reports whether the whole of value matches. Wildcards other than partField
// take a colon only at or after offset free.
func (a *automaton) match(value string, free int) bool {
	states := make([]uint64, len(a.one))
	states[0] = 1
	low, high := 0, 0 // words with states in them
	for off, r := range value {
		confined := r == ':' && off < free
		stay := a.many.set
		if confined {
			stay = a.field.set
		}
		end := min(high+2, len(states))
		a.steps += 1 + end - low
		step(states[low:end], a.row(r, confined)[low:end], stay[low:end])
		high = end - 1
		for high >= low && states[high] == 0 {
			high--
		}
		// Whoever is at a * that takes whatever comes need not have been elsewhere
		// before: states below it lead to nothing that it does not lead to.
		always := &a.field
		if off+1 >= free {
			always = &a.many
		}
		if low = drop(states, always, low, high); low > high {
			return false
		}
	}
	return states[a.size/64]>>(a.size%64)&1 == 1
}

// step lets states go on with a character, or stay. The three sets are of one length.
func step(states, on, stay []uint64) {
	on, stay = on[:len(states)], stay[:len(states)]
	carry := uint64(0)
	for w, set := range states {
		going := set & on[w]
		states[w] = going<<1 | carry | set&stay[w]
		carry = going >> 63
	}
}

// drop takes away the states below the highest that is in always, and returns the
// lowest word where there are some, or high+1.
func drop(states []uint64, always *stars, low, high int) int {
	for w := high; w >= low; w-- {
		if w = int(always.last[w]); w < low {
			break
		}
		if at := states[w] & always.set[w]; at != 0 {
			states[w] &^= 1<<(bits.Len64(at)-1) - 1
			clear(states[low:w])
			return w
		}
	}
	for low <= high && states[low] == 0 {
		low++
	}
	return low
}
