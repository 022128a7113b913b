package operations

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/writ-iam/writ/node/client"
)

// longestWrite is how long a write may take while one writer after the other is started again:
// an election, on a machine that has other work.
const longestWrite = 15 * time.Second

// TestOperations is a cluster's life by the verbs of the binary, as docs/operating says it, under
// 32 clients: whatever was acknowledged is there in the end.
func TestOperations(t *testing.T) {
	p := newPlant(t)
	p.lay([]string{"w1", "w2", "w3"}, []string{"r1"})
	p.survives(3, 1)
	c := newCrowd(p)
	c.goOn(clients)
	c.part("all is well")

	p.rollingRestart(c)
	p.replicaComesAndGoes(c)
	p.fiveWriters(c)
	p.replaceWiped(c, "w2")
	p.move(c, "w3")
	p.threeWriters(c)

	p.certificates(c)
	p.sealKey(c)

	c.quiet()
	p.do("wait", "--head")
	p.do("verify")
	c.kept(t)
	p.loseTwoOfThree(c)
}

// rollingRestart starts every node again, one after the other, as the page on upgrades has it.
func (p *plant) rollingRestart(c *crowd) {
	p.t.Helper()
	nodes := p.running()
	slices.Reverse(nodes) // the replicas first
	for _, h := range nodes {
		p.end(h, syscall.SIGTERM)
		p.start(h)
		p.inOrder()
	}
	c.goOn(clients)
	if saw := c.part("every node started again"); saw.longest > longestWrite {
		p.t.Errorf("a request took %v", saw.longest)
	}
}

// replicaComesAndGoes adds a replica, and removes it.
func (p *plant) replicaComesAndGoes(c *crowd) {
	p.t.Helper()
	p.do("node", "add", "replica", "r2", "--region", "us", "--dir", p.layout)
	h := p.host("r2", false)
	p.start(h)
	p.until("r2 is in the roster", func() error {
		if !slices.ContainsFunc(p.status().Members, func(m client.Member) bool { return m.Name == "r2" && m.State == "leased" }) {
			return errors.New("it is not")
		}
		return nil
	})
	p.inOrder()
	c.goOn(clients)
	p.do("replica", "remove", "r2")
	p.end(h, syscall.SIGTERM)
	p.do("wait", "--head")
	p.inOrder()
	c.part("a replica added, and removed")
}

// join adds a writer.
func (p *plant) join(name string) {
	p.t.Helper()
	h := p.host(name, true)
	p.do("node", "add", "writer", name, "--peer", h.peer(), "--dir", p.layout)
	p.do("writer", "add", name, "--peer", h.peer())
	p.start(h)
}

// fail kills as many voters as status says may fail, the leader among them, sees writes go on,
// and starts them again.
func (p *plant) fail(c *crowd) {
	p.t.Helper()
	s := p.status()
	victims := []*host{p.at(s.Leader)}
	for _, m := range s.Members {
		if len(victims) < s.Quorum.Survives && m.Role == "writer" && m.Name != s.Leader {
			victims = append(victims, p.at(m.Name))
		}
	}
	for _, h := range victims {
		p.end(h, syscall.SIGKILL)
	}
	c.goOn(2 * clients) // more than may have been under way
	if left := p.status().Quorum; left.Survives != 0 {
		p.t.Errorf("with %d of them killed status says %+v", len(victims), *left)
	}
	for _, h := range victims {
		p.start(h)
	}
	p.survives(s.Quorum.Voters, s.Quorum.Survives)
}

// fiveWriters adds a fourth and a fifth writer.
func (p *plant) fiveWriters(c *crowd) {
	p.t.Helper()
	p.join("w4")
	p.survives(4, 1)
	p.join("w5")
	p.survives(5, 2)
	c.part("a fourth and a fifth writer")
	p.fail(c)
	c.part("two of five writers killed")
}

// replaceWiped replaces a writer that lost its disk.
func (p *plant) replaceWiped(c *crowd, name string) {
	p.t.Helper()
	h := p.at(name)
	p.end(h, syscall.SIGKILL)
	if err := os.RemoveAll(h.data); err != nil {
		p.t.Fatal(err)
	}
	p.lets("writer", "replace", name)
	p.start(h)
	p.survives(5, 2)
	c.goOn(clients)
	c.part("a writer without its disk replaced")
}

// move moves a writer to another address.
func (p *plant) move(c *crowd, name string) {
	p.t.Helper()
	h, to := p.at(name), p.address()
	p.do("writer", "move", name, "--peer", to+":8430")
	p.end(h, syscall.SIGTERM)
	p.edit(h.addr+":", to+":")
	p.mu.Lock()
	h.addr = to
	p.mu.Unlock()
	p.start(h)
	p.survives(5, 2)
	c.part("a writer moved")
}

// edit changes cluster.yaml as a person does.
func (p *plant) edit(from, to string) {
	p.t.Helper()
	file := filepath.Join(p.layout, "cluster.yaml")
	text, err := os.ReadFile(file)
	if err != nil || !strings.Contains(string(text), from) {
		p.t.Fatalf("there is no %s in cluster.yaml, %v: %s", from, err, text)
	}
	if err := os.WriteFile(file, []byte(strings.ReplaceAll(string(text), from, to)), 0o600); err != nil {
		p.t.Fatal(err)
	}
}

// leave removes a writer.
func (p *plant) leave(name string) {
	p.t.Helper()
	if p.leader().name == name {
		p.do("writer", "transfer")
	}
	p.lets("writer", "remove", name)
	h := p.at(name)
	if err := p.gone(h); err == nil {
		p.t.Errorf("%s, removed, ended with exit code 0", name)
	}
	text, err := os.ReadFile(h.log)
	if err != nil || !strings.Contains(string(text[max(0, len(text)-maxLog):]), "writ writer add "+name) {
		p.t.Errorf("%s, removed, does not say how it comes back: %v, %s", name, err, text[max(0, len(text)-maxLog):])
	}
}

// threeWriters removes the fourth and the fifth writer.
func (p *plant) threeWriters(c *crowd) {
	p.t.Helper()
	p.leave("w4")
	p.survives(4, 1)
	p.leave("w5")
	p.survives(3, 1)
	c.part("three of five writers left")
	p.fail(c)
	c.part("one of three writers killed")
}

// loseTwoOfThree loses the disks of two writers of three, and goes on with the one that is left.
func (p *plant) loseTwoOfThree(c *crowd) {
	p.t.Helper()
	writers := []*host{p.at("w1"), p.at("w2"), p.at("w3")}
	for _, h := range p.running() {
		p.end(h, syscall.SIGKILL)
	}
	left := writers[0]
	for _, h := range writers[1:] {
		if err := os.RemoveAll(h.data); err != nil {
			p.t.Fatal(err)
		}
	}
	if said := p.refused("recover", "--data", left.data); !strings.Contains(said, "nothing was changed: say --yes") {
		p.t.Errorf("recover says %s", said)
	}
	p.do("recover", "--data", left.data, "--yes")
	p.start(left)
	p.start(p.at("r1"))
	p.until("the writer that is left leads", func() error {
		if leads := p.status().Leader; leads != left.name {
			return errors.New(leads + " leads")
		}
		return nil
	})
	for _, h := range writers[1:] {
		p.start(h)
	}
	p.survives(3, 1)
	p.do("wait", "--head")
	p.do("verify")
	c.kept(p.t)
	if said := p.refused("wait", "--token", c.token); !strings.Contains(said, "incarnation") {
		p.t.Errorf("a token of before: %s", said)
	}
	p.end(p.leader(), syscall.SIGKILL) // one failure is survived again
	if c.request(1, 0, "", form("CreateUser", "UserName", "after-all")) == nil {
		p.t.Errorf("an access key of before: %v", c.refused)
	}
	if c.request(0, 0, "", form("CreateUser", "UserName", "nobody")) != nil || !strings.Contains(c.refused[len(c.refused)-1], "InvalidClientTokenId") {
		p.t.Errorf("a session of before: %v", c.refused)
	}
}

// steal copies what a node of the layout is known by, as a thief does.
func (p *plant) steal(name string) string {
	p.t.Helper()
	dir := p.t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "nodes"), 0o700); err != nil {
		p.t.Fatal(err)
	}
	for _, file := range []string{"cluster.yaml", "ca.crt", filepath.Join("nodes", name+".crt"), filepath.Join("nodes", name+".key")} {
		text, err := os.ReadFile(filepath.Join(p.layout, file))
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, file), text, 0o600)
		}
		if err != nil {
			p.t.Fatal(err)
		}
	}
	return dir
}
