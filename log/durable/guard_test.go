package durable

import (
	"errors"
	"testing"
)

func TestGuard(t *testing.T) {
	corrupt, other := errors.New("corrupt"), errors.New("other")
	if err := Guard(corrupt, func() error { return other }); !errors.Is(err, other) || errors.Is(err, corrupt) {
		t.Error(err)
	}
	if err := Guard(corrupt, func() error { panic("page 7") }); !errors.Is(err, corrupt) || err.Error() != "corrupt: page 7" {
		t.Error(err)
	}
	if err := Guard(corrupt, func() error { return nil }); err != nil {
		t.Error(err)
	}
}
