package node

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/writ-iam/writ/node/client"
	"github.com/writ-iam/writ/node/seal"
	"github.com/writ-iam/writ/node/sealing"
)

// vault is a team in which each node has a key file of its own.
type vault struct {
	*team
	old, both, fresh []byte // key files
	id               string // of the new key
}

func newVault(t *testing.T, writers, replicas int) *vault {
	v := &vault{team: newTeam(t, writers, replicas)}
	text, err := os.ReadFile(filepath.Join(v.dir, "seal.key"))
	if err != nil {
		t.Fatal(err)
	}
	v.old = text
	made := filepath.Join(t.TempDir(), "seal.key")
	if err := os.WriteFile(made, text, 0o600); err != nil {
		t.Fatal(err)
	}
	id, err := seal.AddToFile(made)
	if err != nil {
		t.Fatal(err)
	}
	if v.both, err = os.ReadFile(made); err != nil {
		t.Fatal(err)
	}
	v.id, v.fresh = id.String(), v.both[len(text):]
	v.sealKey = func(name string) string { return filepath.Join(v.dir, name+".key") }
	for _, w := range v.cluster.Writers {
		v.put(w.Name, v.old)
	}
	for _, r := range v.cluster.Replicas {
		v.put(r.Name, v.old)
	}
	return v
}

func (v *vault) put(name string, keys []byte) {
	v.t.Helper()
	if err := os.WriteFile(v.sealKey(name), keys, 0o600); err != nil {
		v.t.Fatal(err)
	}
}

// give puts keys into the file of a node that runs, and has it read them.
func (v *vault) give(keys []byte, names ...string) {
	v.t.Helper()
	for _, name := range names {
		v.put(name, keys)
		if err := v.node(name).Reload(); err != nil {
			v.t.Fatal(err)
		}
	}
}

// settles waits until no secret needs another key than the new one.
func (v *vault) settles(asked string) (s *client.Seal) {
	v.t.Helper()
	v.until("it settles", func(ctx context.Context) (err error) {
		if s, err = v.client(asked).Seal(ctx); err == nil && (s.Phase != "settled" || s.Active != v.id) {
			err = fmt.Errorf("%+v", s)
		}
		return err
	})
	return s
}

// refused is what a rotation is refused with.
func (v *vault) refused(asked, code, says string) {
	v.t.Helper()
	_, err := v.client(asked).RotateSealKey(v.t.Context(), "")
	var p *client.Problem
	if !errors.As(err, &p) || p.Code != code || !strings.Contains(err.Error(), says) {
		v.t.Fatalf("%v, not %s %q", err, code, says)
	}
}

// seen is what clients see of secrets.
func (v *vault) seen(name string) (all []string) {
	v.t.Helper()
	for _, action := range []string{"ListAccessKeys", "GetLoginProfile", "ListServiceSpecificCredentials", "ListVirtualMFADevices"} {
		var pairs []string
		if action != "ListVirtualMFADevices" {
			pairs = []string{"UserName", "alice"}
		}
		status, _, body := v.iam(name, action, pairs...)
		if status != http.StatusOK {
			v.t.Fatalf("%s: %d %s", action, status, body)
		}
		before, _, _ := strings.Cut(body, "<ResponseMetadata>")
		all = append(all, before)
	}
	return all
}

// The key that seals is rotated while clients read and write, the leader ends amid it, and nodes
// come back with and without the keys that they need.
func TestRotatingTheSealKey(t *testing.T) {
	v := newVault(t, 3, 2)
	files := v.sealKey
	v.sealKey = func(name string) string {
		if name == "replica-2" {
			return "none"
		}
		return files(name)
	}
	v.startAll()
	led := v.leader("writer-1")
	var others []string
	for _, w := range v.cluster.Writers {
		if w.Name != led {
			others = append(others, w.Name)
		}
	}
	v.must(led, "CreateUser", "UserName", "alice")
	v.must(led, "CreateLoginProfile", "UserName", "alice", "Password", "Tr1cky-passw0rd")
	v.must(led, "CreateServiceSpecificCredential", "UserName", "alice", "ServiceName", "codecommit.amazonaws.com")
	v.must(led, "CreateVirtualMFADevice", "VirtualMFADeviceName", "phone")
	status, header, made := v.iam(led, "CreateAccessKey", "UserName", "alice")
	if status != http.StatusOK {
		t.Fatal(made)
	}
	alice := func(name string) error {
		c, err := client.New(client.Config{Endpoint: v.url(name), AccessKeyID: between(made, "AccessKeyId"), SecretAccessKey: between(made, "SecretAccessKey")})
		if err != nil {
			return err
		}
		var p *client.Problem
		if _, err = c.Seal(t.Context()); !errors.As(err, &p) || p.Code != "AccessDenied" { // the signature is good
			return fmt.Errorf("alice at %s: %w", name, err)
		}
		return nil
	}
	v.everywhere(led, header.Get("X-Writ-Token"))
	before := v.seen(led)

	v.refused(led, "InvalidInput", "every key that the leader has has sealed already")
	v.give(v.both, led)
	v.refused(led, "DeleteConflict", others[0])
	v.give(v.both, others...)
	v.until("the replica is named", func(context.Context) error {
		_, err := v.client(led).RotateSealKey(t.Context(), "")
		if p := (*client.Problem)(nil); !errors.As(err, &p) || p.Code != "DeleteConflict" || !strings.HasSuffix(p.Detail, v.id+": replica-1.") {
			return fmt.Errorf("%w", err)
		}
		return nil
	})
	v.give(v.both, "replica-1")
	stop := v.load(others, alice)
	v.until("it begins", func(ctx context.Context) error {
		_, err := v.client(others[0]).RotateSealKey(ctx, "")
		return err
	})
	v.stop(led)
	s := v.settles(others[0])
	stop()
	if s.Left != 0 || s.Retired == 0 || s.Resealed < 5 || len(s.Keys) != 2 || s.Keys[0].State != "retired" || s.Keys[1].State != "active" || s.Keys[1].Secrets < 5 {
		t.Errorf("%+v", s)
	}
	if after := v.seen(others[0]); strings.Join(before, "") != strings.Join(after, "") {
		t.Errorf("clients see\n%s\nnot\n%s", after, before)
	}
	v.refused(others[0], "InvalidInput", "every key that the leader has has sealed already")

	v.drops(led, others, alice)
	found, err := v.client(others[0]).Verify(t.Context(), 1, patience)
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range found.Nodes {
		if n.Verdict != "ok" {
			t.Errorf("%+v", n)
		}
	}
}

// drops drops the old key where it is not needed, and the new one nowhere. The writer led has been
// stopped since before the rotation was over.
func (v *vault) drops(led string, others []string, alice func(string) error) {
	t := v.t
	t.Helper()
	v.give(v.fresh, append(others, "replica-1")...)
	v.put("replica-1", v.old)
	if err := v.node("replica-1").Reload(); !errors.Is(err, sealing.ErrLacksKey) || !strings.Contains(err.Error(), v.id) {
		t.Errorf("reload without the key that seals: %v", err)
	}
	for _, name := range append(others, "replica-1", "replica-2") {
		if err := alice(name); err != nil {
			t.Error(err)
		}
	}
	for _, name := range []string{"replica-1", led} {
		if v.node(name) != nil {
			v.stop(name)
		}
		v.put(name, v.old)
		n, err := v.try(v.config(name))
		if err != nil {
			t.Fatal(err)
		}
		v.add(name, n)
		select {
		case err := <-n.Failed():
			if !errors.Is(err, sealing.ErrLacksKey) || !strings.Contains(err.Error(), v.id) {
				t.Errorf("%s with the old key alone ends with %v", name, err)
			}
		case <-time.After(patience / 3):
			t.Fatalf("%s goes on with the old key alone", name)
		}
		v.stop(name)
		v.put(name, v.fresh)
		v.start(name)
		v.ready(name)
		v.everywhere(others[0], v.must(others[0], "TagUser", "UserName", "alice", "Tags.member.1.Key", "back", "Tags.member.1.Value", name))
		if err := alice(name); err != nil {
			t.Error(err)
		}
	}
}

func between(text, tag string) string {
	_, rest, _ := strings.Cut(text, "<"+tag+">")
	found, _, _ := strings.Cut(rest, "</"+tag+">")
	return found
}

// load has clients read and write by way of nodes until it is stopped: whatever is refused as not
// possible now is tried again, as SDKs do, and nothing else may be refused.
func (v *vault) load(names []string, alice func(string) error) (stop func()) {
	var ended atomic.Bool
	var done sync.WaitGroup
	for i, name := range names {
		done.Go(func() {
			for n := 0; !ended.Load(); n++ {
				user := fmt.Sprintf("user-%d-%d", i, n)
				for _, action := range []string{"CreateUser", "CreateAccessKey"} {
					v.until(action, func(context.Context) error {
						status, _, body := v.iam(name, action, "UserName", user)
						switch {
						case status >= http.StatusInternalServerError:
							return fmt.Errorf("%d %s", status, body)
						case status != http.StatusOK && !strings.Contains(body, "EntityAlreadyExists"): // by an attempt whose answer was lost
							v.t.Errorf("%s: %d %s", action, status, body)
						}
						return nil
					})
				}
			}
		})
	}
	for _, r := range v.cluster.Replicas {
		done.Go(func() {
			for !ended.Load() {
				v.until("alice is known", func(context.Context) error {
					err := alice(r.Name)
					if err != nil && !strings.Contains(err.Error(), "503") && !strings.Contains(err.Error(), "Unavailable") {
						v.t.Error(err)
					}
					return err
				})
			}
		})
	}
	return func() { ended.Store(true); done.Wait() }
}
