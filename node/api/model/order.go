package model

import (
	"cmp"
	"slices"
)

// Checked is the order in which AWS checks the fields of a structure, and so the order
// of what a ValidationError says of them: their indexes. Recorded messages of many services agree that
// it is the order in which Java goes through a HashMap of the fields' paths: by bucket,
// of 16 or more. Two fields of one bucket are left in the order of their names.
func Checked(fields []Field) []int {
	buckets := uint32(16)
	for len(fields)*4 > int(buckets)*3 { // its load factor
		buckets *= 2
	}
	order := make([]int, len(fields))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(x, y int) int {
		return cmp.Compare(bucket(fields[x].Path, buckets), bucket(fields[y].Path, buckets))
	})
	return order
}

// bucket is where a HashMap of so many buckets has a key of ASCII characters.
func bucket(key string, buckets uint32) uint32 {
	var hash uint32
	for i := range len(key) {
		hash = hash*31 + uint32(key[i])
	}
	return (hash ^ hash>>16) & (buckets - 1)
}
