package node

import (
	"context"
	"time"

	"github.com/writ-iam/writ/log/identity"
	"github.com/writ-iam/writ/log/wake"
	"github.com/writ-iam/writ/node/api/iam"
)

// reportRetry is how long after a failure a report is written again.
const reportRetry = time.Second

// report writes the reports that somebody waits for, while this writer leads: beside the
// log, from a state that it reached, and into the log in parts.
func (w *writer) report(ctx context.Context) {
	for ctx.Err() == nil {
		changed := w.log.Changed()
		s := w.log.Applied().State
		for _, r := range s.PendingReports(identity.Time(w.node.cfg.Machine.Now().UnixMilli())) {
			if err := w.writeReport(ctx, s, r); err != nil && ctx.Err() == nil {
				w.node.logger.Warn("a credential report was not written; it will be tried again", "account", r.Account, "error", err)
				if wake.After(ctx, reportRetry) != nil {
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

// writeReport writes a report of a state.
func (w *writer) writeReport(ctx context.Context, s *identity.State, r *identity.CredentialReport) error {
	content, err := iam.PackCredentialReport(s, r.Account)
	if err != nil {
		return err
	}
	parts := (len(content) + identity.MaxReportPart - 1) / identity.MaxReportPart
	for n := range parts {
		part := content[n*identity.MaxReportPart : min(len(content), (n+1)*identity.MaxReportPart)]
		err := w.propose(ctx, randomKey(), &identity.StoreCredentialReport{Account: r.Account, At: r.At, Number: n + 1, Parts: parts, Content: part})
		if err != nil {
			return err
		}
	}
	return nil
}
