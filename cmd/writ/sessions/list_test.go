package sessions

import (
	"fmt"
	"testing"
	"time"

	"github.com/writ-iam/writ/node/client"
)

// Each session is shown once, as the node has it that saw it last.
func TestMerge(t *testing.T) {
	one := func(id string, seconds int64) client.SeenSession {
		return client.SeenSession{AccessKeyID: id, LastSeen: time.Unix(seconds, 0)}
	}
	list := merge([]client.SeenSessions{
		{Node: "w1", Sessions: []client.SeenSession{one("ASIA1", 5), one("ASIA2", 3)}},
		{Node: "r1", Sessions: []client.SeenSession{one("ASIA3", 4), one("ASIA1", 2), one("ASIA2", 6)}},
		{Node: "r2"},
	})
	said := ""
	for _, s := range list {
		said += fmt.Sprintf("%s %d %s; ", s.AccessKeyID, s.LastSeen.Unix(), s.Node)
	}
	if said != "ASIA2 6 r1; ASIA1 5 w1; ASIA3 4 r1; " {
		t.Error(said)
	}
	if none := merge(nil); none == nil {
		t.Error("no sessions are no list")
	}
}
