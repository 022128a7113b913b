// Package restore brings clusters of many entities back, with the commands that an operator has,
// on real processes. `make restore` does it with 100,000 users.
package restore

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"filippo.io/age"

	"github.com/writ-iam/writ/log/event"
	"github.com/writ-iam/writ/log/wire"
	"github.com/writ-iam/writ/node/archive/bucket"
	"github.com/writ-iam/writ/node/archive/bucket/buckettest"
	"github.com/writ-iam/writ/node/client"
	"github.com/writ-iam/writ/node/setup"
	"github.com/writ-iam/writ/test/cluster"
	"github.com/writ-iam/writ/test/population"
)

var users = flag.Int("users", 5000, "how many users there are, each with an access key and in a group")

// Limits of the test.
const (
	clients  = 4 // that write while backups are made
	patience = 5 * time.Minute
	page     = 1000
)

// world is a cluster, and what is kept of it elsewhere.
type world struct {
	*testing.T
	dir, binary string
	c           *cluster.Cluster
	store       *buckettest.Store

	mu    sync.Mutex
	wrote []write // guarded by mu
}

// write is a user that a client has made.
type write struct {
	name        string
	begun, done time.Time
}

// TestRestore makes a backup, and another since it, while clients write, and restores the cluster to
// a position between the two and to the end.
func TestRestore(t *testing.T) {
	if testing.Short() {
		t.Skip("runs a cluster")
	}
	w := &world{T: t, dir: t.TempDir(), store: buckettest.New(t)}
	w.populate()
	w.start()
	stop := w.load()
	w.until(20)
	whole := w.backup("s3://" + buckettest.Bucket + "/whole.age")
	middle := w.head()
	w.until(20)
	last := w.backup(filepath.Join(w.dir, "more.age"), "--since", strconv.FormatUint(uint64(whole.position), 10))
	stop()
	w.stop()
	archives := []string{"s3://" + buckettest.Bucket + "/whole.age", filepath.Join(w.dir, "more.age")}
	opened := []string{"--identity-file", filepath.Join(w.dir, "identity"), "--authority", filepath.Join(w.layout(), "ca.crt")}
	w.writ(append(append([]string{"backup", "verify"}, archives...), opened...)...)
	for _, to := range []struct {
		mark
		flags []string
	}{
		{middle, []string{"--to-position", strconv.FormatUint(uint64(middle.position), 10)}},
		{last, nil},
	} {
		data := filepath.Join(w.layout(), "data")
		if err := os.RemoveAll(data); err != nil {
			t.Fatal(err)
		}
		args := append(append([]string{"restore"}, archives...), opened...)
		args = append(args, "--cluster", filepath.Join(w.layout(), "cluster.yaml"), "--data", filepath.Join(data, "writer-1"))
		begun := time.Now()
		w.writ(append(args, to.flags...)...)
		t.Logf("restored to position %d in %v", to.position, time.Since(begun))
		w.start()
		w.check(to.mark)
		w.stop()
	}
}

func (w *world) layout() string { return filepath.Join(w.dir, "cluster") }

// populate begins a cluster, and gives its writer the users.
func (w *world) populate() {
	w.Helper()
	begun := time.Now()
	ctx, cancel := context.WithTimeout(w.Context(), patience)
	defer cancel()
	id, err := age.GenerateX25519Identity()
	if err == nil {
		err = os.WriteFile(filepath.Join(w.dir, "identity"), []byte(id.String()+"\n"), 0o600)
	}
	if err == nil {
		err = os.WriteFile(filepath.Join(w.dir, "recipients"), []byte(id.Recipient().String()+"\n"), 0o600)
	}
	if err == nil {
		w.binary, err = cluster.Build(ctx, filepath.Join("..", ".."), w.dir)
	}
	if err != nil {
		w.Fatal(err)
	}
	w.start()
	w.stop()
	layout, err := setup.LoadCluster(filepath.Join(w.layout(), "cluster.yaml"))
	if err == nil {
		err = population.Make(w.layout(), layout.Writers[0], *users)
	}
	if err == nil {
		err = os.RemoveAll(filepath.Join(w.layout(), "data", "replica-1"))
	}
	if err != nil {
		w.Fatal(err)
	}
	w.Logf("%d users in %v", *users, time.Since(begun))
}

func (w *world) start() {
	w.Helper()
	c, err := cluster.Start(w.Context(), w.binary, w.layout())
	if err != nil {
		w.Fatal(err)
	}
	w.c = c
	w.Cleanup(func() { c.Stop() }) // a second one does nothing
}

func (w *world) stop() {
	w.Helper()
	if err := w.c.Stop(); err != nil {
		w.Fatal(err)
	}
}

// client asks the writer.
func (w *world) client() *client.Client {
	w.Helper()
	n, err := w.c.Node("writer-1")
	if err != nil {
		w.Fatal(err)
	}
	c, err := w.c.Client(n.URL)
	if err != nil {
		w.Fatal(err)
	}
	return c
}

// load has clients make users until stop is called.
func (w *world) load() (stop func()) {
	ctx, cancel := context.WithCancel(w.Context())
	var wg sync.WaitGroup
	for i := range clients {
		c := w.client()
		wg.Go(func() {
			for n := 0; ctx.Err() == nil; n++ {
				u := write{name: fmt.Sprintf("client-%d-%d", i, n), begun: time.Now()}
				if _, err := c.Query(context.WithoutCancel(ctx), "iam", "CreateUser", url.Values{"UserName": {u.name}}); err != nil {
					w.Errorf("%s was refused: %v", u.name, err)
					return
				}
				u.done = time.Now()
				w.mu.Lock()
				w.wrote = append(w.wrote, u)
				w.mu.Unlock()
			}
		})
	}
	stop = func() { cancel(); wg.Wait() }
	w.Cleanup(stop)
	return stop
}

func (w *world) written() []write {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.wrote
}

// until waits until clients have made so many users more.
func (w *world) until(more int) {
	w.Helper()
	ctx, cancel := context.WithTimeout(w.Context(), patience)
	defer cancel()
	for want := len(w.written()) + more; len(w.written()) < want; {
		if ctx.Err() != nil || w.Failed() {
			w.Fatal("clients write no more")
		}
		if _, err := w.client().Head(ctx); err != nil { // a round of the log, in which others come on
			w.Fatal(err)
		}
	}
}

// mark is a position while clients write, and when it was between begun and done.
type mark struct {
	position    event.Position
	digest      string
	begun, done time.Time
}

var described = regexp.MustCompile(`^position (\d+) of cluster .*, state ([^,]+), at`)

// backup makes one, beside which clients have written.
func (w *world) backup(to string, flags ...string) mark {
	w.Helper()
	m, before := mark{begun: time.Now()}, len(w.written())
	out := w.writ(append([]string{"backup", to, "--recipients-file", filepath.Join(w.dir, "recipients")}, flags...)...)
	m.done = time.Now()
	beside := len(w.written()) - before
	w.Logf("%s in %v, in which clients made %d users\n%s", filepath.Base(to), m.done.Sub(m.begun), beside, out)
	found := described.FindStringSubmatch(out)
	if found == nil || beside == 0 {
		w.Fatalf("%d users were made beside %s", beside, out)
	}
	at, err := strconv.ParseUint(found[1], 10, 64)
	if err != nil {
		w.Fatal(err)
	}
	m.position, m.digest = event.Position(at), found[2]
	return m
}

// head is what the leader signs.
func (w *world) head() mark {
	w.Helper()
	m := mark{begun: time.Now()}
	var h event.SignedHead
	if err := json.Unmarshal([]byte(w.writ("head", "--output", "json", "--authority", filepath.Join(w.layout(), "ca.crt"))), &h); err != nil {
		w.Fatal(err)
	}
	m.done, m.position, m.digest = time.Now(), h.Position, h.Digest.String()
	return m
}

// writ runs the program, which must exit with 0.
func (w *world) writ(args ...string) string {
	w.Helper()
	ctx, cancel := context.WithTimeout(w.Context(), patience)
	defer cancel()
	cmd := w.c.Command(ctx, w.dir, w.binary, args...)
	cmd.Env = append(cmd.Env, "WRIT_S3_ENDPOINT="+w.store.URL, bucket.EnvAccessKeyID+"="+buckettest.AccessKeyID, bucket.EnvSecretAccessKey+"="+buckettest.Secret)
	out, err := cmd.Output()
	if failed := (*exec.ExitError)(nil); errors.As(err, &failed) {
		err = fmt.Errorf("%w: %s", err, bytes.TrimSpace(failed.Stderr))
	}
	if err != nil {
		w.Fatalf("writ %s: %v\n%s", strings.Join(args, " "), err, w.c.Logs())
	}
	return string(out)
}

// check finds out whether the cluster has what it had at a mark, everywhere.
func (w *world) check(at mark) {
	w.Helper()
	chain, err := w.client().Chain(w.Context(), at.position-1, 1)
	if err != nil || len(chain.Headers) != 1 {
		w.Fatalf("position %d: %+v, %v", at.position, chain, err)
	}
	b, err := wire.DecodeHeader(chain.Headers[0])
	if err != nil || b.Position != at.position || b.State.String() != at.digest {
		w.Errorf("position %d has the state %s, not %s: %v", b.Position, b.State, at.digest, err)
	}
	w.writ("wait", "--head", "--timeout", patience.String())
	w.writ("verify") // each node recounts what it has, and compares it with the log
	there := w.list()
	for i := range *users {
		if name := population.UserName(i); !there[name] {
			w.Fatalf("%s is lost", name)
		}
	}
	lost, more := 0, 0
	for _, u := range w.written() {
		switch {
		case u.done.Before(at.begun) && !there[u.name]:
			lost++
		case u.begun.After(at.done) && there[u.name]:
			more++
		}
	}
	if lost > 0 || more > 0 {
		w.Errorf("%d users of before position %d are lost, %d of after are there", lost, at.position, more)
	}
}

// list returns the names of all users.
func (w *world) list() map[string]bool {
	w.Helper()
	all, c := map[string]bool{}, w.client()
	name, next := regexp.MustCompile(`<UserName>(.*?)</UserName>`), regexp.MustCompile(`<Marker>(.*?)</Marker>`)
	form := url.Values{"MaxItems": {strconv.Itoa(page)}}
	for {
		answer, err := c.Query(w.Context(), "iam", "ListUsers", form)
		if err != nil {
			w.Fatal(err)
		}
		for _, m := range name.FindAllSubmatch(answer.Body, -1) {
			all[string(m[1])] = true
		}
		more := next.FindSubmatch(answer.Body)
		if more == nil {
			return all
		}
		form.Set("Marker", string(more[1]))
	}
}
