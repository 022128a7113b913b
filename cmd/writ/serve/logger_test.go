package serve

import (
	"log/slog"
	"strings"
	"testing"
	"time"
)

func TestDurationsAreLoggedWithTheirUnits(t *testing.T) {
	var out strings.Builder
	newLogger(&out, slog.LevelInfo).Info("x", "took", 1500*time.Millisecond, slog.Group("raft", slog.Any("time", time.Minute)))
	if text := out.String(); !strings.Contains(text, `"took":"1.5s"`) || !strings.Contains(text, `"time":"1m0s"`) {
		t.Error(text)
	}
}
