package node

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/writ-iam/writ/log"
	"github.com/writ-iam/writ/log/event"
	"github.com/writ-iam/writ/log/identity"
	"github.com/writ-iam/writ/node/api/shape"
	"github.com/writ-iam/writ/node/archive"
	"github.com/writ-iam/writ/node/client"
	"github.com/writ-iam/writ/node/proof"
	"github.com/writ-iam/writ/node/setup"
)

// credentials are what makes clients for a node with other credentials than the root's.
func (m *team) credentials(name string, action string, pairs ...string) func() *client.Client {
	m.t.Helper()
	status, _, body := m.iam(name, action, pairs...)
	found := regexp.MustCompile(`(?s)<AccessKeyId>(.*?)</.*<SecretAccessKey>(.*?)</`).FindStringSubmatch(body)
	if status != http.StatusOK || found == nil {
		m.t.Fatalf("%s: %d %s", action, status, body)
	}
	cfg := client.Config{AccessKeyID: found[1], SecretAccessKey: found[2]}
	if token := regexp.MustCompile(`<SessionToken>(.*?)</`).FindStringSubmatch(body); token != nil {
		cfg.SessionToken = token[1]
	}
	return func() *client.Client { // the node may have been started again, elsewhere
		cfg.Endpoint = m.url(name)
		c, err := client.New(cfg)
		if err != nil {
			m.t.Fatal(err)
		}
		return c
	}
}

// backup asks a writer for an archive, and has it write on while the archive is half read.
func (m *team) backup(name string, since event.Position) []byte {
	m.t.Helper()
	body, err := m.client(name).Backup(m.t.Context(), since, false)
	if err != nil {
		m.t.Fatal(err)
	}
	defer body.Close()
	var b bytes.Buffer
	if _, err := io.CopyN(&b, body, 100); err != nil {
		m.t.Fatal(err)
	}
	for i := range 20 { // nothing waits for who reads slowly
		m.must(name, "CreateUser", "UserName", fmt.Sprintf("beside-%d-%d", since, i))
	}
	if _, err := io.Copy(&b, body); err != nil {
		m.t.Fatal(err)
	}
	return b.Bytes()
}

type inMemory []byte

func (m inMemory) Open() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(m)), nil }

func archives(all ...[]byte) (each []archive.Opener) {
	for _, b := range all {
		each = append(each, inMemory(b))
	}
	return each
}

// refused checks that a client is refused, and what it is told.
func (m *team) refused(err error, says ...string) {
	m.t.Helper()
	for _, text := range says {
		if err == nil || !strings.Contains(err.Error(), text) {
			m.t.Errorf("%v does not say %q", err, text)
		}
	}
}

// TestBackupRestoreRecover takes archives of a cluster that works on, restores it in place,
// and then goes on with one of its writers alone.
func TestBackupRestoreRecover(t *testing.T) {
	m := newTeam(t, 3, 1)
	m.startAll()
	m.must("writer-1", "CreateUser", "UserName", "kept")
	m.must("writer-1", "CreateUser", "UserName", "stranger")
	stranger := m.credentials("writer-1", "CreateAccessKey", "UserName", "stranger")
	session := func() func() *client.Client {
		return m.credentials("writer-1", "GetSessionToken", "Version", "2011-06-15")
	}
	before := session()
	whole := m.backup("writer-2", 0)
	first, err := archive.Verify(archives(whole))
	if err != nil || first[0].Batches == 0 || first[0].Replayed != uint64(first[0].Position) {
		t.Fatalf("found %+v, %v", first, err)
	}
	if err := m.authority().Check(first[0].Signed); err != nil || first[0].Signed.Node != "writer-2" {
		t.Errorf("signed by %s: %v", first[0].Signed.Node, err)
	}
	more := m.backup("writer-1", first[0].Position)
	found, err := archive.Verify(archives(whole, more))
	if err != nil || found[1].Position <= first[0].Position {
		t.Fatalf("found %+v, %v", found, err)
	}
	lost := m.must("writer-1", "CreateUser", "UserName", "lost")
	m.checkStrangers(stranger())

	for _, w := range m.cluster.Writers { // the replica goes on running
		m.stop(w.Name)
		if err := os.RemoveAll(m.config(w.Name).Data); err != nil {
			t.Fatal(err)
		}
	}
	second, _ := m.cluster.Writer("writer-2")
	restore := archive.Restore{Archives: archives(whole, more), Cluster: m.cluster.ID, Writers: m.cluster.Listed(), Advertise: second.Peer, Data: m.config("writer-2").Data, Time: identity.Time(time.Now().UnixMilli())}
	done, err := restore.Run()
	if err != nil || done.From != found[1].Head() {
		t.Fatalf("restored %+v, %v", done, err)
	}
	for _, w := range m.cluster.Writers {
		m.start(w.Name)
	}
	m.whole(done.Incarnation)
	b, err := m.node("writer-1").part.(*writer).prover.Batch(done.From.Position)
	if err != nil || b.State != found[1].Digest {
		t.Errorf("position %d has the state %v, %v, in the archive %s", done.From.Position, b, err, found[1].Digest)
	}
	m.must("replica-1", "GetUser", "UserName", "kept")
	if status, _, _ := m.iam("replica-1", "GetUser", "UserName", "lost"); status != http.StatusNotFound {
		t.Errorf("a user of after the archive: %d", status)
	}
	_, err = m.client("replica-1").Propagation(t.Context(), client.Target{Token: lost}, client.Scope{}, 0)
	m.refused(err, "WrongToken", "restored or recovered")
	_, err = before().Head(t.Context()) // which the leader answers
	m.refused(err, "InvalidClientTokenId", "the cluster was restored")
	_, err = before().Chain(t.Context(), 0, 1)
	m.refused(err, "InvalidClientTokenId", "the cluster was restored and goes on behind position")
	if _, err := session()().Chain(t.Context(), 0, 1); err != nil {
		t.Errorf("a session of now: %v", err)
	}
	m.recoverWriter("writer-3")
	m.schedule("writer-3")
}

// schedule has a writer make an archive by itself, which is good.
func (m *team) schedule(name string) {
	m.t.Helper()
	m.stop(name)
	cfg := m.config(name)
	cfg.Backups = archive.Schedule{Dir: filepath.Join(m.dir, "backups"), Every: time.Hour, Keep: 1, Unencrypted: true}
	n, err := m.try(cfg)
	if err != nil {
		m.t.Fatal(err)
	}
	m.add(name, n)
	m.until("a backup is made", func(context.Context) error {
		made, err := filepath.Glob(filepath.Join(m.dir, "backups", "writ-*.archive"))
		if err != nil || len(made) != 1 {
			return fmt.Errorf("%v, %w", made, err)
		}
		b, err := os.ReadFile(made[0])
		if err == nil {
			_, err = archive.Verify(archives(b))
		}
		return err
	})
	if at := m.metric(name, "writ_backup_last_success_timestamp_seconds"); at < float64(time.Now().Add(-time.Hour).Unix()) {
		m.t.Errorf("it was made at %v", at)
	}
	cfg = m.config("replica-1")
	cfg.Backups.Dir = m.dir
	m.stop("replica-1")
	if _, err := m.try(cfg); !errors.Is(err, setup.ErrConfig) {
		m.t.Errorf("a replica makes backups: %v", err)
	}
}

// checkStrangers asks for archives as somebody who may have none, of a node that has
// none, and for what there is not.
func (m *team) checkStrangers(stranger *client.Client) {
	m.t.Helper()
	_, err := stranger.Backup(m.t.Context(), 0, false)
	m.refused(err, "AccessDenied", "writ:Backup")
	_, err = m.client("replica-1").Backup(m.t.Context(), 0, false)
	m.refused(err, "ask a writer")
	_, err = m.client("writer-1").Backup(m.t.Context(), 1<<40, false)
	m.refused(err, "InvalidRequest", "nothing came behind position")
}

// whole waits until all nodes are of an incarnation, and proves them equal.
func (m *team) whole(incarnation string) {
	m.t.Helper()
	for _, w := range m.cluster.Writers {
		m.ready(w.Name)
	}
	for name := range m.nodes {
		m.until(name+" is of the incarnation", func(ctx context.Context) error {
			c, err := m.client(name).Local(ctx)
			if err == nil && c.Incarnation != incarnation {
				err = errors.New(c.Incarnation)
			}
			return err
		})
	}
	m.everywhere("writer-1", m.must("writer-1", "CreateUser", "UserName", "new-"+incarnation))
	m.ready("replica-1")
	v, err := m.client("writer-1").Verify(m.t.Context(), 1, patience)
	if err != nil || len(v.Nodes) != 4 {
		m.t.Fatalf("verified %+v, %v", v, err)
	}
	for _, n := range v.Nodes {
		if n.Verdict != shape.VerdictOK {
			m.t.Errorf("verified %+v", n)
		}
	}
}

// recoverWriter recovers one writer while the others go on, as they do, and take nothing from it;
// then it loses them, and has another come back with what it had.
func (m *team) recoverWriter(left string) {
	m.t.Helper()
	m.stop(left)
	data := m.config(left).Data
	head, err := proof.VerifyLog(m.t.Context(), data)
	if err != nil {
		m.t.Fatal(err)
	}
	recovery := archive.Recovery{Data: data, Time: identity.Time(time.Now().UnixMilli())}
	if found, err := recovery.Run(func(archive.Recovered) bool { return false }); err != nil || found.Before != "" || found.Kept != head.Head || len(found.Members) != 3 {
		m.t.Fatalf("found %+v, %v", found, err)
	}
	if again, err := proof.VerifyLog(m.t.Context(), data); err != nil || again != head {
		m.t.Errorf("what was only looked at has become %v, %v", again, err)
	}
	found, err := recovery.Run(func(archive.Recovered) bool { return true })
	if err != nil || filepath.Dir(found.Before) != data {
		m.t.Fatalf("recovered %+v, %v", found, err)
	}
	m.start(left)
	m.ready(left)
	incarnation := ""
	if c, err := m.client(left).Local(m.t.Context()); err == nil {
		incarnation = c.Incarnation
	}
	m.until("a writer that has a leader hears of the recovery", func(context.Context) error {
		if !strings.Contains(m.logs.String(), "this writer goes on, since it has a leader") {
			return errors.New("not yet")
		}
		return nil
	})
	m.must("writer-1", "CreateUser", "UserName", "beside-the-recovery")
	if members := m.node(left).part.(*writer).log.Servers(); len(members) != 1 {
		m.t.Errorf("the recovered writer has the members %+v", members)
	}
	m.stop("writer-1")
	m.stop("writer-2")
	m.start("writer-1")
	select {
	case err := <-m.node("writer-1").Failed():
		if !errors.Is(err, log.ErrWrongIncarnation) {
			m.t.Errorf("with what it had it ends with %v", err)
		}
	case <-time.After(patience):
		m.t.Fatal("a writer of the incarnation before goes on")
	}
	m.stop("writer-1")
	for _, name := range []string{"writer-1", "writer-2"} {
		if err := os.RemoveAll(m.config(name).Data); err != nil {
			m.t.Fatal(err)
		}
		m.start(name)
	}
	m.whole(incarnation)
}

func TestUnfinishedRestoreIsNotStarted(t *testing.T) {
	m := newTeam(t, 1, 0)
	if err := os.MkdirAll(filepath.Join(m.config("writer-1").Data, "log.making"), setup.DirMode); err != nil {
		t.Fatal(err)
	}
	if _, err := m.try(m.config("writer-1")); !errors.Is(err, archive.ErrUnfinished) {
		t.Error(err)
	}
}
