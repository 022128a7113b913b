package simulation

import (
	"encoding/xml"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/writ-iam/writ/log/event"
	"github.com/writ-iam/writ/test/simulation/judge"
)

// What the clients of a history do.
const (
	subjects  = 5 // users that are created, changed, asked about and deleted
	victims   = 2 // users whose keys are used, and revoked meanwhile
	attempts  = 5 // of one write, by the same idempotency key
	adminARN  = "arn:aws:iam::aws:policy/AdministratorAccess"
	readLimit = 3 * time.Second // a reader gives up after it
)

// crowd is everybody who uses the cluster.
type crowd struct {
	world *world
	root  key
	stop  chan struct{} // closed when they go home
	wg    sync.WaitGroup

	mu     sync.Mutex // guards the newest token
	newest *event.Token
}

func newCrowd(w *world) *crowd {
	return &crowd{world: w, root: w.root(), stop: make(chan struct{})}
}

// rest waits for d, and says whether to go on.
func (c *crowd) rest(d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-c.stop:
		return false
	}
}

// within draws a duration between two.
func within(rng *rand.Rand, least, most time.Duration) time.Duration {
	return least + time.Duration(rng.Int64N(int64(most-least)))
}

func pick[T any](rng *rand.Rand, list []T) T { return list[rng.IntN(len(list))] }

// persist writes by any node until the outcome is known, at most attempts times.
func (c *crowd) persist(who *client, as key, action, user, value string, pairs ...string) (judge.Write, []byte) {
	who.count++
	attempt := fmt.Sprintf("%s-%d", who.name, who.count)
	for try := 1; ; try++ {
		timeout := within(who.rng, 500*time.Millisecond, 12*time.Second)
		out, text := who.write(pick(who.rng, c.world.names), as, attempt, timeout, action, user, value, pairs...)
		if out.Answered() || out.Refused() || try == attempts || !c.rest(within(who.rng, 20*time.Millisecond, time.Second)) {
			return out, text
		}
	}
}

// insist writes until it is done, which it must be in time.
func (c *crowd) insist(who *client, patience time.Duration, action, user, value string, pairs ...string) (judge.Write, []byte) {
	who.count++
	attempt := fmt.Sprintf("%s-%d", who.name, who.count)
	until := time.Now().Add(patience)
	for {
		out, text := who.write(pick(who.rng, c.world.names), c.root, attempt, 5*time.Second, action, user, value, pairs...)
		switch {
		case out.Answered():
			return out, text
		case out.Refused() || time.Now().After(until):
			c.world.note("I21", "%s of %s is not taken within %v: status %d %s", action, user, patience, out.Status, out.Code)
			return out, text
		}
		pass(200 * time.Millisecond)
	}
}

// mint makes a user with every permission and an access key.
func (c *crowd) mint(who *client, user string) key { return c.mintWith(who, user, adminARN) }

// mintWith makes a user with a policy and an access key.
func (c *crowd) mintWith(who *client, user, policyARN string) key {
	const patience = 30 * time.Second
	c.insist(who, patience, "CreateUser", user, "")
	c.insist(who, patience, "AttachUserPolicy", user, "", "PolicyArn", policyARN)
	out, text := c.insist(who, patience, "CreateAccessKey", user, "")
	var a struct {
		Key struct {
			ID     string `xml:"AccessKeyId"`
			Secret string `xml:"SecretAccessKey"`
		} `xml:"CreateAccessKeyResult>AccessKey"`
	}
	if err := xml.Unmarshal(text, &a); err != nil || !out.Answered() {
		c.world.note("I15", "no access key for %s: %q, %v", user, text, err)
	}
	return key{a.Key.ID, a.Key.Secret, ""}
}

// mintSigner makes a user with every permission and a password.
func (c *crowd) mintSigner(who *client) {
	c.mintWith(who, signer, adminARN)
	c.insist(who, 30*time.Second, "CreateLoginProfile", signer, "", "Password", password)
}

// gather sends everybody out; they go on until they are sent home.
func (c *crowd) gather(keys []key, outsider key) {
	w := c.world
	for i := range w.plan.clients {
		c.send(fmt.Sprintf("writer-%d", i+1), c.write)
	}
	for i, node := range w.history.Replicas {
		c.send(fmt.Sprintf("watcher-%d", i+1), func(who *client) { c.watch(who, node) })
		c.send(fmt.Sprintf("watcher-%db", i+1), func(who *client) { c.watch(who, namesake(node)) })
	}
	c.send("purist", c.readStrictly)
	c.send("follower", c.follow)
	c.send("administrator", c.fight(outsider))
	for i, k := range keys {
		user := victim(i)
		c.send("holder-"+user, func(who *client) { c.use(who, k) })
		c.send("revoker-"+user, func(who *client) { c.revoke(who, user, k) })
	}
}

func victim(i int) string { return fmt.Sprintf("victim%d", i+1) }

func (c *crowd) send(name string, do func(*client)) {
	who := c.world.client(name)
	c.wg.Go(func() {
		defer who.leave()
		do(who)
	})
}

// home ends what everybody does, and waits for them.
func (c *crowd) home() {
	close(c.stop)
	c.wg.Wait()
}

// noted remembers the newest token, and returns it.
func (c *crowd) noted(t *event.Token) *event.Token {
	c.mu.Lock()
	defer c.mu.Unlock()
	if t != nil && (c.newest == nil || t.Position > c.newest.Position) {
		c.newest = t
	}
	return c.newest
}

// change does something to one of the subjects.
func (c *crowd) change(who *client, as key) judge.Write {
	user := fmt.Sprintf("u%d", who.rng.IntN(subjects))
	var out judge.Write
	switch who.rng.IntN(10) {
	case 0, 1, 2:
		out, _ = c.persist(who, as, "CreateUser", user, "")
	case 3:
		out, _ = c.persist(who, as, "DeleteUser", user, "")
	case 4, 5:
		value := fmt.Sprintf("%s.%d", who.name, who.count)
		out, _ = c.persist(who, as, "TagUser", user, value, "Tags.member.1.Key", "mark", "Tags.member.1.Value", value)
	case 6, 7:
		out, _ = c.persist(who, as, "AttachUserPolicy", user, "", "PolicyArn", adminARN)
	default:
		out, _ = c.persist(who, as, "DetachUserPolicy", user, "", "PolicyArn", adminARN)
	}
	if out.Answered() {
		c.noted(&out.Token)
	}
	return out
}

// write changes things, and follows what becomes of them.
func (c *crowd) write(who *client) {
	for c.rest(within(who.rng, 50*time.Millisecond, 1500*time.Millisecond)) {
		out := c.change(who, c.root)
		if !out.Answered() {
			continue
		}
		nodes, user := c.world.names, out.User
		switch who.rng.IntN(7) {
		case 0, 1:
			c.deploy(who, out)
		case 2:
			who.get(out.Node, c.root, readLimit, user, freshness{}) // its own write, by the same node
		case 3:
			if allow, can := decides[out.Action]; can {
				who.effect(pick(who.rng, nodes), c.root, user, allow, out.Token, within(who.rng, time.Second, 20*time.Second))
			}
		case 4:
			who.decide(pick(who.rng, nodes), c.root, readLimit, user, freshness{atLeast: &out.Token})
		}
	}
}

// decides are the actions after which a decision is known.
var decides = map[string]bool{"AttachUserPolicy": true, "DetachUserPolicy": false, "DeleteUser": false, "CreateUser": false}

// deploy waits until a write is everywhere, as a pipeline does, and then looks.
func (c *crowd) deploy(who *client, out judge.Write) {
	w := c.world
	var s scope
	switch who.rng.IntN(6) {
	case 0:
		s.replicas = []string{pick(who.rng, w.history.Replicas)}
	case 1:
		s.region = pick(who.rng, []string{"east", "west"})
	case 2:
		s.count = 1 + who.rng.IntN(len(w.history.Replicas))
	}
	patience := time.Duration(0)
	if who.rng.IntN(4) > 0 {
		patience = within(who.rng, time.Second, 25*time.Second)
	}
	if got := who.wait(pick(who.rng, w.names), c.root, out.Token, s, patience); got.State != "everywhere" {
		return
	}
	for _, i := range who.rng.Perm(len(w.history.Replicas)) {
		who.decide(w.history.Replicas[i], c.root, readLimit, out.User, freshness{mode: "leased"})
	}
}

// watch asks one replica again and again.
func (c *crowd) watch(who *client, node string) {
	for c.rest(within(who.rng, 20*time.Millisecond, 700*time.Millisecond)) {
		if !c.world.machines[node].up() {
			continue
		}
		user := fmt.Sprintf("u%d", who.rng.IntN(subjects))
		f := freshness{mode: "leased"}
		switch who.rng.IntN(8) {
		case 0:
			f.mode = "any"
		case 1:
			f.mode = ""
		case 2:
			f.mode, f.maxStaleness = "any", within(who.rng, 50*time.Millisecond, 8*time.Second)
		case 3:
			f.mode, f.atLeast = pick(who.rng, []string{"", "any", "leased"}), c.noted(nil)
		}
		if who.rng.IntN(3) == 0 {
			who.get(node, c.root, readLimit, user, f)
		} else {
			who.decide(node, c.root, readLimit, user, f)
		}
	}
}

// readStrictly asks any node for the truth of the moment.
func (c *crowd) readStrictly(who *client) {
	for c.rest(within(who.rng, 100*time.Millisecond, 1200*time.Millisecond)) {
		node, user := pick(who.rng, c.world.names), fmt.Sprintf("u%d", who.rng.IntN(subjects))
		timeout := within(who.rng, time.Second, 12*time.Second)
		if who.rng.IntN(4) == 0 {
			who.decide(node, c.root, timeout, user, freshness{mode: "strict"})
		} else {
			who.get(node, c.root, timeout, user, freshness{mode: "strict"})
		}
	}
}

// use signs with a key that will be revoked, and goes on after that.
func (c *crowd) use(who *client, as key) {
	w := c.world
	for c.rest(within(who.rng, 50*time.Millisecond, 1500*time.Millisecond)) {
		if who.rng.IntN(3) == 0 {
			c.change(who, as)
			continue
		}
		who.decide(pick(who.rng, w.names), as, readLimit, fmt.Sprintf("u%d", who.rng.IntN(subjects)), freshness{mode: pick(who.rng, []string{"leased", "", "strict"})})
	}
}

// revoke ends a key at some moment, waits until that is everywhere, and tries it.
func (c *crowd) revoke(who *client, user string, k key) {
	w := c.world
	if !c.rest(within(who.rng, 0, w.plan.calm+w.plan.storm)) {
		return
	}
	var out judge.Write
	if who.rng.IntN(2) == 0 {
		out, _ = c.persist(who, c.root, "UpdateAccessKey", user, k.id, "AccessKeyId", k.id, "Status", "Inactive")
	} else {
		out, _ = c.persist(who, c.root, "DeleteAccessKey", user, k.id, "AccessKeyId", k.id)
	}
	if !out.Answered() {
		return
	}
	c.noted(&out.Token)
	for {
		if got := who.wait(pick(who.rng, w.names), c.root, out.Token, scope{}, 20*time.Second); got.State == "everywhere" {
			break
		}
		if !c.rest(time.Second) {
			return
		}
	}
	for _, node := range w.names {
		who.decide(node, k, readLimit, "u0", freshness{mode: "leased"})
	}
}
