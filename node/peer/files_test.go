package peer

import (
	"errors"
	"strings"
	"testing"

	"github.com/writ-iam/writ/node/gate"
	"github.com/writ-iam/writ/node/setup"
)

func TestClientBounds(t *testing.T) {
	for _, c := range []struct {
		given gate.Bounds
		files int
		total int // 0: refused
		text  string
	}{
		{gate.Bounds{}, 1 << 20, maxConnections, ""},
		{gate.Bounds{}, 1024, 192, ""},
		{gate.Bounds{}, reservedFiles, 0, "the process may have 512: raise that limit (ulimit -n)"},
		{gate.Bounds{Total: 10000}, 1 << 20, 10000, ""},
		{gate.Bounds{Total: 10000}, 4096, 0, "10000 connections of clients take 21792 open files, of which the process may have 4096"},
		{gate.Bounds{Total: -1}, 4096, 0, "negative"},
		{gate.Bounds{PerAddress: -1}, 4096, 0, "negative"},
	} {
		b, err := ClientBounds(c.given, c.files)
		if b.Total != c.total || (err == nil) != (c.text == "") || err != nil && (!errors.Is(err, setup.ErrConfig) || !strings.Contains(err.Error(), c.text)) {
			t.Errorf("%+v of %d files: %+v, %v", c.given, c.files, b, err)
		}
	}
	if files, err := RaiseFiles(); err != nil || files < 256 {
		t.Errorf("%d files, %v", files, err)
	}
}
