package ask

import (
	"fmt"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/writ-iam/writ/replication/propagation"
)

// Two processes of one name are both held, each by its own latest request; one
// process too many takes the place of the oldest.
func TestPollsOfTwoProcesses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := NewTasks(7, "i")
		var mu sync.Mutex
		over := map[string]int{}
		var wg sync.WaitGroup
		poll := func(process string) {
			wg.Go(func() {
				list, err := o.Poll(t.Context(), "r1", process, nil, Hold)
				mu.Lock()
				defer mu.Unlock()
				over[process]++
				if err != nil || len(list) > 0 {
					over[process] += 100
				}
			})
			synctest.Wait()
		}
		ended := func(process string) int {
			mu.Lock()
			defer mu.Unlock()
			return over[process]
		}
		for range 3 {
			poll("a")
			poll("b")
		}
		if ended("a") != 2 || ended("b") != 2 {
			t.Errorf("they end each other's requests: %v", over)
		}
		for i := range propagation.MaxLives {
			poll(fmt.Sprint("p", i))
		}
		if ended("a") != 3 || ended("b") != 3 || ended("p0") != 0 {
			t.Errorf("%v", over)
		}
		// all that are held are asked, and the first answer counts
		asked := make(chan error, 1)
		go func() { _, err := o.Ask(t.Context(), "r1", "echo", 1, nil); asked <- err }()
		synctest.Wait()
		if ended("p0") != 101 || ended("p15") != 101 {
			t.Errorf("not all are asked: %v", over)
		}
		o.Answered("r1", Answer{ID: "7-1"})
		if err := <-asked; err != nil {
			t.Error(err)
		}
		wg.Wait()
	})
}
