package replication

import (
	"bytes"
	"log/slog"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/writ-iam/writ/replication/broker"
)

// lines is a log that several goroutines write.
type lines struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(b)
}

func (l *lines) count(text string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Count(l.buf.String(), text)
}

// A link that NATS does not let in any more says so once, and tries again ever more
// seldom.
func TestRefusedLinkIsPatient(t *testing.T) {
	b := startBroker(t)
	user, password := b.Credentials()
	var log lines
	l, err := Dial(LinkConfig{Name: "r", URLs: []string{"nats://" + b.ClientAddr()}, User: user, Password: password,
		Logger: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.Close)
	await(t, "connected", l.Connected)
	addr := b.ClientAddr()
	b.Stop()
	other, err := broker.Start(t.Context(), broker.Config{Name: "a", Dir: filepath.Join(t.TempDir(), "b"), ClientAddr: addr, Logger: quiet}) // with another password
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(other.Stop)
	const text = "uthorization violation"
	await(t, "refused three times", func() bool { return log.count(text) >= 3 })
	if n := log.count("level=WARN msg=\"NATS reports an error\""); l.Connected() || n != 1 {
		t.Errorf("connected: %v; it warns %d times", l.Connected(), n)
	}
	for attempts, least := range map[int]time.Duration{0: reconnectWait, 1: reconnectWait, 2: 2 * reconnectWait, 9: maxReconnectWait, 1 << 30: maxReconnectWait} {
		if wait := waitAfter(attempts); wait < least || wait > 2*maxReconnectWait {
			t.Errorf("after %d attempts it waits %v", attempts, wait)
		}
	}
}
