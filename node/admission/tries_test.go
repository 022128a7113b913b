package admission

import (
	"errors"
	"strconv"
	"testing"
	"time"
)

func TestTriesComeBackOneByOne(t *testing.T) {
	tries, start := NewTries(2, time.Minute), time.Unix(1_700_000_000, 0)
	for _, step := range []struct {
		after  time.Duration
		holder string
		want   error
	}{
		{0, "a", nil}, {0, "a", nil}, {0, "a", ErrTries}, {0, "b", nil},
		{59 * time.Second, "a", ErrTries},
		{60 * time.Second, "a", nil},
		{61 * time.Second, "a", ErrTries},
		{30 * time.Second, "a", ErrTries}, // another clock
		{240 * time.Second, "a", nil}, {240 * time.Second, "a", nil}, {240 * time.Second, "a", ErrTries},
	} {
		if err := tries.Take(step.holder, start.Add(step.after)); !errors.Is(err, step.want) {
			t.Fatalf("after %v, %s gets %v, not %v", step.after, step.holder, err, step.want)
		}
	}
}

func TestTriesThatWereRightAreGivenBack(t *testing.T) {
	tries, now := NewTries(1, time.Hour), time.Unix(1_700_000_000, 0)
	for range 10 {
		if err := tries.Take("a", now); err != nil {
			t.Fatal(err)
		}
		tries.Return("a", now)
	}
	if len(tries.by) != 0 {
		t.Errorf("%v lack tries", tries.by)
	}
}

// Whoever lacks tries is not forgotten to make room for others.
func TestTriesAreBounded(t *testing.T) {
	tries, now := NewTries(1, time.Minute), time.Unix(1_700_000_000, 0)
	for i := range maxTriers {
		if err := tries.Take(strconv.Itoa(i), now); err != nil {
			t.Fatal(err)
		}
	}
	if err := tries.Take("one more", now.Add(time.Second)); !errors.Is(err, ErrTries) {
		t.Errorf("one more gets %v", err)
	}
	if err := tries.Take("0", now.Add(time.Second)); !errors.Is(err, ErrTries) {
		t.Errorf("the first is forgotten: %v", err)
	}
	if err := tries.Take("one more", now.Add(time.Hour)); err != nil || len(tries.by) != 1 {
		t.Errorf("one more gets %v, beside %d others", err, len(tries.by))
	}
}

func TestNoTries(t *testing.T) {
	if err := (*Tries)(nil).Take("a", time.Now()); !errors.Is(err, ErrTries) {
		t.Error(err)
	}
}
