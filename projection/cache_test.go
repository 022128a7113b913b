package projection

import (
	"sync"
	"testing"
)

// A cache that is full is emptied; it goes on, and stays within its limit.
func TestCacheIsBounded(t *testing.T) {
	var c cache[int, int]
	c.limit = 10
	for i := range 100 {
		c.put(i, i)
		c.put(i, i) // again: counts once
		n := 0
		c.m.Range(func(any, any) bool { n++; return true })
		if n > 10 {
			t.Fatalf("%d entries after %d", n, i+1)
		}
	}
	c.put(100, 1)
	if v, ok := c.get(100); !ok || v != 1 {
		t.Errorf("the latest entry is %d, %v", v, ok)
	}
	if _, ok := c.get(-1); ok {
		t.Error("found what was never put")
	}
}

func TestCacheRaces(t *testing.T) {
	var c cache[int, int]
	c.limit = 50
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for i := range 2000 {
				c.put(i%100, i%100)
				if v, ok := c.get(i % 100); ok && v != i%100 {
					t.Errorf("%d is %d", i%100, v)
				}
			}
		})
	}
	wg.Wait()
}
