package peer

import (
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/writ-iam/writ/node/gate"
	"github.com/writ-iam/writ/node/setup"
)

// Limits of files, of which connections are most.
const (
	// maxConnections is how many clients are connected at once, if nothing is said.
	maxConnections = 8192
	// reservedFiles is how many are kept back from clients at least: for the log, raft,
	// other nodes, handshakes and the broker. ownFiles of them are for the log, raft and
	// handshakes; other nodes and the broker have parts of all files, see FilesPart.
	reservedFiles = 512
	ownFiles      = 256
	// filesPerClient is how many a client takes: its own connection, and one to the
	// leader for what is handed on.
	filesPerClient = 2
	// BrokerPart is which part of all files the embedded broker's connections may take.
	BrokerPart = 8
)

// RaiseFiles lets the process open as many files as it may, and returns how many.
func RaiseFiles() (int, error) {
	var l unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &l); err != nil {
		return 0, fmt.Errorf("read the limit of open files: %w", err)
	}
	if l.Cur < l.Max {
		raised := unix.Rlimit{Cur: l.Max, Max: l.Max}
		if unix.Setrlimit(unix.RLIMIT_NOFILE, &raised) == nil { // else what there is must do
			l = raised
		}
	}
	return int(min(l.Cur, 1<<30)), nil // infinity, too
}

// ClientBounds are what bounds clients when a process may open so many files, of what is
// asked for; a total of zero is as many as the process may open files for.
func ClientBounds(c gate.Bounds, files int) (gate.Bounds, error) {
	reserved := max(reservedFiles, ownFiles+files/BrokerPart+files/FilesPart)
	most := (files - reserved) / filesPerClient
	switch {
	case most < 1 || c.Total > most:
		return gate.Bounds{}, fmt.Errorf("%w: %d connections of clients take %d open files, of which the process may have %d: raise that limit (ulimit -n), or lower --max-connections",
			setup.ErrConfig, max(c.Total, 1), max(c.Total, 1)*filesPerClient+reserved, files)
	case c.Total < 0 || c.PerAddress < 0:
		return gate.Bounds{}, fmt.Errorf("%w: the number of connections is negative", setup.ErrConfig)
	case c.Total == 0:
		c.Total = min(maxConnections, most)
	}
	return c, nil
}
