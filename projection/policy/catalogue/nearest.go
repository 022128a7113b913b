package catalogue

import (
	"iter"

	"github.com/writ-iam/writ/projection/policy"
)

// maxSlips is how many letters a name may differ from what somebody meant.
const maxSlips = 2

// Nearest returns the name that somebody most likely meant who wrote word: one that
// differs from it in one letter or two, without regard to case, or in one of a
// name of up to four; "" if there is none.
func Nearest(word string, names iter.Seq[string]) string {
	best, slips := "", maxSlips+1
	if len(word) <= 2*maxSlips {
		slips = min(maxSlips, len(word))
	}
	for name := range names {
		if n := distance(word, name, slips); n < slips {
			best, slips = name, n
		}
	}
	return best
}

// distance counts the letters that must be put in, left out, exchanged for another
// or with their neighbour to make a of b (the optimal string alignment distance). It
// gives up at limit, and looks only at what can be nearer.
func distance(a, b string, limit int) int {
	if len(a)-len(b) >= limit || len(b)-len(a) >= limit {
		return limit
	}
	before, last, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := range len(a) {
		row[0] = i + 1
		least := row[0]
		for j := range len(b) {
			row[j+1] = limit
			if j-i < limit && i-j < limit {
				row[j+1] = slip(a, b, i, j, before, last, row)
			}
			least = min(least, row[j+1])
		}
		if least >= limit {
			return limit
		}
		before, last, row = last, row, before
	}
	return min(last[len(b)], limit)
}

// slip is one cell of the distance: of a up to i and b up to j.
func slip(a, b string, i, j int, before, last, row []int) int {
	change := 1
	if policy.Lower(a[i]) == policy.Lower(b[j]) {
		change = 0
	}
	n := min(last[j]+change, last[j+1]+1, row[j]+1)
	if i > 0 && j > 0 && policy.Lower(a[i]) == policy.Lower(b[j-1]) && policy.Lower(a[i-1]) == policy.Lower(b[j]) {
		n = min(n, before[j-1]+1)
	}
	return n
}
