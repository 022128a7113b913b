package serve

import (
	"io"
	"log/slog"
)

// newLogger writes JSON, a line a record. Durations have their unit ("1.5s"), which the
// numbers that slog's handler makes of them lack.
func newLogger(out io.Writer, level slog.Leveler) *slog.Logger {
	return slog.New(slog.NewJSONHandler(out, &slog.HandlerOptions{Level: level, ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Value.Kind() == slog.KindDuration {
			a.Value = slog.StringValue(a.Value.Duration().String())
		}
		return a
	}}))
}
