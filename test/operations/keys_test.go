package operations

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/writ-iam/writ/node/client"
	"github.com/writ-iam/writ/node/peer"
	"github.com/writ-iam/writ/node/setup"
	"github.com/writ-iam/writ/replication/tail"
)

// closedWithin is how long a connection may last whose certificate is good no more, as
// SECURITY.md says, and busy what a machine with other work may add.
const (
	closedWithin = 10 * time.Second
	busy         = 20 * time.Second
)

// certificate is a row of `writ cert list --output json`.
type certificate struct {
	Name string `json:"name"`
	client.Certificate
}

// listed are the certificates that nodes use, or those in the layout's files.
func (p *plant) listed(args ...string) (list []certificate) {
	p.t.Helper()
	out := p.lets(append([]string{"cert", "list", "--output", "json"}, args...)...)
	if err := json.Unmarshal([]byte(out), &list); err != nil {
		p.t.Fatalf("%v: %s", err, out)
	}
	return list
}

// serial is that of a node's certificate in the layout's files.
func (p *plant) serial(name string) string {
	p.t.Helper()
	for _, c := range p.listed("--dir", p.layout) {
		if c.Name == name && c.Which == client.CertificateOfNode {
			return c.Serial
		}
	}
	p.t.Fatalf("no certificate of %s", name)
	return ""
}

// useFiles waits until every node that runs uses the certificate in the layout's files.
func (p *plant) useFiles() {
	p.t.Helper()
	p.hup()
	filed := map[string]string{}
	for _, c := range p.listed("--dir", p.layout) {
		if c.Which == client.CertificateOfNode {
			filed[c.Name] = c.Serial
		}
	}
	p.until("nodes use the new certificates", func() error {
		used := p.listed()
		for _, h := range p.running() {
			if !slices.ContainsFunc(used, func(c certificate) bool {
				return c.Name == h.name && c.Which == client.CertificateOfNode && c.Serial == filed[h.name]
			}) {
				return fmt.Errorf("%s does not: %+v", h.name, used)
			}
		}
		return nil
	})
}

// tails opens the tail of every writer's history with the certificate in a layout, and returns
// a channel for each that is closed when its connection is.
func (p *plant) tails(layout, name string) (closed []chan struct{}) {
	p.t.Helper()
	c, err := setup.LoadCluster(filepath.Join(layout, "cluster.yaml"))
	if err != nil {
		p.t.Fatal(err)
	}
	who, err := peer.LoadIdentity(c, setup.DefaultFiles(layout, name))
	if err != nil {
		p.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(p.t.Context())
	p.t.Cleanup(cancel)
	web := peer.NewClient(peer.TCP{}, who)
	for _, h := range p.running() {
		if !h.writer {
			continue
		}
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+h.peer()+tail.EventsPath+"?from=99999999&wait=10m", nil)
		if err != nil {
			p.t.Fatal(err)
		}
		answer, err := web.Do(r)
		if err != nil || answer.StatusCode != http.StatusOK {
			p.t.Fatalf("%s's certificate at %s: %v, %v", name, h.name, answer, err)
		}
		over := make(chan struct{})
		closed = append(closed, over)
		go func() { // ends with the test, at the latest
			defer close(over)
			defer answer.Body.Close()
			_, _ = io.Copy(io.Discard, answer.Body) // until it is closed, in whatever way
		}()
	}
	return closed
}

// closes wants all connections closed in time.
func (p *plant) closes(what string, list []chan struct{}) {
	p.t.Helper()
	begun := time.Now()
	limit := time.After(closedWithin + busy)
	for _, over := range list {
		select {
		case <-over:
		case <-limit:
			p.t.Fatalf("%s: a connection is open after %v", what, closedWithin+busy)
		}
	}
	p.t.Logf("%s: %d connections closed after %v", what, len(list), time.Since(begun).Round(time.Millisecond))
}

// stay wants all connections open.
func (p *plant) stay(what string, list []chan struct{}) {
	p.t.Helper()
	for _, over := range list {
		select {
		case <-over:
			p.t.Errorf("%s: a connection is closed", what)
		default:
		}
	}
}

// calm ends a part in which no attempt of a client may fail.
func (c *crowd) calm(name string) {
	c.p.t.Helper()
	c.goOn(clients)
	if saw := c.part(name); len(saw.failed) > 0 {
		c.p.t.Errorf("%s: %s", name, strings.Join(saw.failed[:min(5, len(saw.failed))], "\n"))
	}
}

// certificates renews those of all nodes, revokes one that was replaced, and replaces the
// authority, while no request fails.
func (p *plant) certificates(c *crowd) {
	p.t.Helper()
	stolen, old := p.steal("r1"), p.serial("r1")
	p.do("cert", "renew", "--all", "--dir", p.layout)
	p.useFiles()
	c.calm("certificates renewed")

	thief, own := p.tails(stolen, "r1"), p.tails(p.layout, "r1")
	if said := p.refused("cert", "revoke", "r1"); !strings.Contains(said, "would be cut off") {
		p.t.Errorf("revoke says %s", said)
	}
	p.do("cert", "revoke", old)
	p.closes("a certificate revoked", thief)
	p.stay("the certificate that replaced it", own)
	c.calm("a certificate revoked")

	p.do("cert", "authority", "rotate", "--dir", p.layout)
	if said := p.refused("cert", "authority", "use", "--dir", p.layout); !strings.Contains(said, "take ca.crt there") {
		p.t.Errorf("use says %s", said)
	}
	p.hup()
	formerly := p.tails(p.steal("r1"), "r1")
	p.lets("cert", "authority", "use", "--dir", p.layout)
	p.useFiles()
	p.stay("the authority that signs no more", formerly)
	p.lets("cert", "authority", "drop", "--dir", p.layout)
	p.hup()
	p.closes("an authority dropped", formerly)
	p.until("nodes believe one authority", func() error {
		for _, h := range p.running() {
			n := 0
			for _, used := range p.listed() {
				if used.Name == h.name && used.Which == client.CertificateOfAuthority {
					n++
				}
			}
			if n != 1 {
				return fmt.Errorf("%s believes %d", h.name, n)
			}
		}
		return nil
	})
	p.inOrder()
	c.calm("the authority replaced")
}

// seals is `writ seal status --output json`.
func (p *plant) seals() (s client.Seal) {
	p.t.Helper()
	out := p.lets("seal", "status", "--output", "json")
	if err := json.Unmarshal([]byte(out), &s); err != nil {
		p.t.Fatalf("%v: %s", err, out)
	}
	return s
}

// sealKey rotates the seal key, and takes the old one away, while no request fails.
func (p *plant) sealKey(c *crowd) {
	p.t.Helper()
	file := filepath.Join(p.layout, "seal.key")
	old := p.seals().Active
	p.do("seal", "add", "--file", file)
	if said := p.refused("seal", "rotate"); !strings.Contains(said, "no new key") {
		p.t.Errorf("rotate, before any node has the key, says %s", said)
	}
	if err := p.leader().cmd.Process.Signal(syscall.SIGHUP); err != nil {
		p.t.Fatal(err)
	}
	p.until("rotate names who lacks the key", func() error {
		if said := p.refused("seal", "rotate"); !strings.Contains(said, "r1") {
			return errors.New(said)
		}
		return nil
	})
	p.hup()
	p.lets("seal", "rotate")
	p.do("seal", "status", "--wait", "--timeout", "2m")
	if s := p.seals(); s.Active == old || s.Retired == 0 {
		p.t.Fatalf("after the rotation: %+v", s)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		p.t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	if err := os.WriteFile(file, []byte(lines[len(lines)-1]+"\n"), 0o600); err != nil {
		p.t.Fatal(err)
	}
	p.hup()
	p.until("no node has the old key", func() error {
		for _, n := range p.seals().Nodes {
			if len(n.Keys) != 1 || slices.Contains(n.Keys, old) {
				return fmt.Errorf("%s has %v", n.Name, n.Keys)
			}
		}
		return nil
	})
	c.calm("the seal key rotated")
}
