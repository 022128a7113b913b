package projection

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/writ-iam/writ/projection/policy"
)

// A cache that is full is emptied; it goes on, and stays within its limit.
func TestCacheIsBounded(t *testing.T) {
	var c cache[int, int]
	c.limit = 10
	for i := range 100 {
		cost := int64(1 + i%3)
		c.put(i, i, cost)
		c.put(i, i, cost) // again: counts once
		all := 0
		c.m.Range(func(key, _ any) bool { all += 1 + key.(int)%3; return true })
		if all > 10 {
			t.Fatalf("entries of %d after %d", all, i+1)
		}
	}
	c.put(100, 1, 1)
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
				c.put(i%100, i%100, 1)
				if v, ok := c.get(i % 100); ok && v != i%100 {
					t.Errorf("%d is %d", i%100, v)
				}
			}
		})
	}
	wg.Wait()
}

// Texts of policies that nobody has any more are kept within bytes, not by number: each
// may be long, and take much more compiled.
func TestDocumentsAreBounded(t *testing.T) {
	e := newEngine(Limits{}.complete())
	blank := strings.Repeat(" ", 100_000)
	for i := range 5 * maxDocuments / 4 / len(blank) {
		e.compile(fmt.Sprintf(`{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"a:b%d","Resource":"*"}}`, i) + blank)
		if i%1000 == 0 {
			held := 0
			e.documents.m.Range(func(key, v any) bool { held += len(key.(string)) + v.(*policy.Policy).Size(); return true })
			if held > maxDocuments {
				t.Fatalf("%d bytes are kept after %d texts", held, i+1)
			}
		}
	}
}
