package node

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
)

// Run runs a node until ctx ends or the node cannot go on, and stops it. On SIGHUP it
// reads the certificates, and the keys that seal secrets, again. It is what a process does that is one node.
func Run(ctx context.Context, cfg Config, logger *slog.Logger) error {
	n, err := Start(ctx, cfg, logger)
	if err != nil {
		return err
	}
	reload := make(chan os.Signal, 1)
	signal.Notify(reload, syscall.SIGHUP)
	defer signal.Stop(reload)
	for {
		select {
		case <-reload:
			if err := n.Reload(); err != nil {
				logger.Error("not everything was read again; what was not stays as it was", "error", err)
			}
		case <-ctx.Done():
			return n.Stop()
		case err := <-n.Failed():
			return errors.Join(err, n.Stop())
		}
	}
}
