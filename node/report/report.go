// Package report writes credential reports that somebody waits for: beside the log, from a
// state that it reached, and into the log in parts.
package report

import (
	"context"
	"log/slog"
	"time"

	"github.com/writ-iam/writ/log/identity"
	"github.com/writ-iam/writ/log/wake"
	"github.com/writ-iam/writ/node/api/iam"
)

// retry is how long after a failure a report is written again.
const retry = time.Second

// Log is the log of the writer that leads.
type Log interface {
	// Changed is closed when the log has more than it had.
	Changed() <-chan struct{}
	// State is what the log has come to.
	State() *identity.State
	// Store puts a part of a report into the log.
	Store(context.Context, *identity.StoreCredentialReport) error
}

// Run writes the reports that are waited for, until ctx ends. now tells the time.
func Run(ctx context.Context, l Log, now func() time.Time, logger *slog.Logger) {
	for ctx.Err() == nil {
		changed := l.Changed()
		s := l.State()
		for _, r := range s.PendingReports(identity.Time(now().UnixMilli())) {
			if err := write(ctx, l, s, r); err != nil && ctx.Err() == nil {
				logger.Warn("a credential report was not written; it will be tried again", "account", r.Account, "error", err)
				if wake.After(ctx, retry) != nil {
					return
				}
			}
		}
		select {
		case <-changed:
		case <-ctx.Done():
		}
	}
}

// write writes a report of a state.
func write(ctx context.Context, l Log, s *identity.State, r *identity.CredentialReport) error {
	content, err := iam.PackCredentialReport(s, r.Account)
	if err != nil {
		return err
	}
	parts := (len(content) + identity.MaxReportPart - 1) / identity.MaxReportPart
	for n := range parts {
		part := content[n*identity.MaxReportPart : min(len(content), (n+1)*identity.MaxReportPart)]
		err := l.Store(ctx, &identity.StoreCredentialReport{Account: r.Account, At: r.At, Number: n + 1, Parts: parts, Content: part})
		if err != nil {
			return err
		}
	}
	return nil
}
