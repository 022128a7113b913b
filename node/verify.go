package node

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"github.com/writ-iam/writ/log"
	"github.com/writ-iam/writ/log/event"
	"github.com/writ-iam/writ/log/store"
)

// VerifyLog reads the event store in a writer's directory from genesis to head and
// checks every hash and link. The node must not be running. It returns the head.
func VerifyLog(ctx context.Context, data string) (head event.Head, err error) {
	path := filepath.Join(data, "log", log.EventsFile)
	s, err := store.Open(path, store.Options{ReadOnly: true})
	if err != nil {
		return head, fmt.Errorf("open %s: %w", path, err)
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	if head, err = s.Verify(ctx, func(event.Position) {}); err != nil {
		return head, fmt.Errorf("verify %s: %w", path, err)
	}
	return head, nil
}
