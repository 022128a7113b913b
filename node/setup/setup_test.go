package setup_test

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/writ-iam/writ/log/identity"
	"github.com/writ-iam/writ/node/peer"
	"github.com/writ-iam/writ/node/setup"
	"github.com/writ-iam/writ/test/layout"
)

func TestInit(t *testing.T) {
	dir, c, root := layout.Init(t, layout.Cluster(t, 1, 1))
	modes := map[string]fs.FileMode{
		".": 0o700, "nodes": 0o700, "cluster.yaml": 0o644, "ca.crt": 0o644, "ca.key": 0o600, "seal.key": 0o600, "root.json": 0o600,
		"nodes/writer-1.crt": 0o644, "nodes/writer-1.key": 0o600, "nodes/replica-1.crt": 0o644, "nodes/replica-1.key": 0o600,
	}
	content := map[string]string{}
	if err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, _ := filepath.Rel(dir, path)
		info, err := d.Info()
		if err != nil {
			return err
		}
		if want, ok := modes[name]; !ok || info.Mode().Perm() != want {
			t.Errorf("%s has mode %v, not %v", name, info.Mode().Perm(), want)
		}
		if !d.IsDir() {
			text, err := os.ReadFile(path)
			content[name] = string(text)
			return err
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if len(content) != 9 || setup.ValidateRoot(root) != nil {
		t.Errorf("%d files, root %+v", len(content), setup.ValidateRoot(root))
	}
	if loaded, err := setup.LoadCluster(filepath.Join(dir, "cluster.yaml")); err != nil || loaded.ID != c.ID || loaded.Writers[0] != c.Writers[0] {
		t.Errorf("loaded %+v, %v", loaded, err)
	}

	// again, with another replica: what is there stays
	more := c
	more.Replicas = append(more.Replicas, setup.Replica{Name: "replica-2"})
	again, sameRoot, err := setup.Init(dir, more, setup.RootKey{AccessKeyID: "AKIAANOTHERANOTHER00", SecretAccessKey: "another secret-of-the-root"[:16]}, time.Now())
	if err != nil || again.ID != c.ID || sameRoot != root {
		t.Fatalf("again: %v, %v", again.ID, err)
	}
	for name, text := range content {
		now, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil || (string(now) != text) != (name == "cluster.yaml") {
			t.Errorf("%s changed, or did not: %v", name, err)
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "nodes", "replica-2.key")); err != nil {
		t.Error(err)
	}
	more.ID = "11111111-1111-4111-8111-111111111111"
	if _, _, err := setup.Init(dir, more, setup.RootKey{}, time.Now()); !errors.Is(err, setup.ErrConfig) {
		t.Errorf("another id in the same place: %v", err)
	}
}

func TestInitRefuses(t *testing.T) {
	good := layout.Cluster(t, 1, 0)
	bad := good
	bad.Writers = []setup.Writer{{Name: "../escape", Peer: "h:1", Broker: "h:2", Routes: "h:3"}}
	dir := filepath.Join(t.TempDir(), "c")
	if _, _, err := setup.Init(dir, bad, setup.RootKey{}, time.Now()); !errors.Is(err, setup.ErrConfig) {
		t.Errorf("a bad name: %v", err)
	}
	if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
		t.Error("something was written")
	}
	begun, c, _ := layout.Init(t, good)
	c.Partition = identity.PartitionCN
	if _, _, err := setup.Init(begun, c, setup.RootKey{}, time.Now()); !errors.Is(err, setup.ErrConfig) || !strings.Contains(err.Error(), "of the partition aws") {
		t.Errorf("another partition: %v", err)
	}
	for _, k := range []setup.RootKey{
		{AccessKeyID: "short", SecretAccessKey: "long enough secret"[:17]},
		{AccessKeyID: "AKIAANOTHERANOTHER00", SecretAccessKey: "short"},
		{AccessKeyID: "AKIAANOTHERANOTHER00", SecretAccessKey: "with spaces in the secret"},
	} {
		if _, _, err := setup.Init(t.TempDir(), good, k, time.Now()); !errors.Is(err, setup.ErrConfig) || strings.Contains(err.Error(), k.SecretAccessKey) {
			t.Errorf("root %s: %v", k.AccessKeyID, err)
		}
	}
	for name, text := range map[string]string{"root.json": "nonsense", "ca.key": "nonsense", "cluster.yaml": "nonsense: 1", "seal.key": ""} {
		dir, c, _ := layout.Init(t, good)
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		_, _, err := setup.Init(dir, c, setup.RootKey{}, time.Now())
		if (err == nil) != (name == "seal.key") { // that one is read by whoever uses it
			t.Errorf("%s: %v", name, err)
		}
	}
}

// What a layout has had is not made anew, for nothing would fit it, and nothing is
// changed before that is found.
func TestInitMakesNothingAnew(t *testing.T) {
	for lost, adds := range map[string]bool{"ca.key": true, "seal.key": false, "cluster.yaml": false} {
		dir, c, _ := layout.Init(t, layout.Cluster(t, 1, 1))
		if err := os.Remove(filepath.Join(dir, lost)); err != nil {
			t.Fatal(err)
		}
		if lost == "ca.key" { // it is needed for nothing
			if _, _, err := setup.Init(dir, c, setup.RootKey{}, time.Now()); err != nil {
				t.Errorf("without %s, nothing new: %v", lost, err)
			}
		}
		before, more := sums(t, dir), c
		if lost == "cluster.yaml" {
			more.ID = ""
		}
		if adds {
			more.Replicas = append(slices.Clone(c.Replicas), setup.Replica{Name: "replica-2"})
		}
		if _, _, err := setup.Init(dir, more, setup.RootKey{}, time.Now()); !errors.Is(err, setup.ErrConfig) || !strings.Contains(err.Error(), lost) {
			t.Errorf("without %s: %v", lost, err)
		}
		if after := sums(t, dir); !maps.Equal(before, after) {
			t.Errorf("without %s files were changed", lost)
		}
	}
}

// sums are the contents of a directory's files.
func sums(t *testing.T, dir string) map[string]string {
	t.Helper()
	all := map[string]string{}
	if err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := os.ReadFile(path)
		all[path] = string(text)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	return all
}

func TestValidate(t *testing.T) {
	const id = "6f1d7c38-3d58-4f67-8d5a-7f2f4f6d3a10"
	w := func(name, base string) setup.Writer {
		return setup.Writer{Name: name, Peer: "h:" + base + "1", Broker: "h:" + base + "2", Routes: "h:" + base + "3"}
	}
	good := func() setup.Cluster {
		return setup.Cluster{ID: id, Account: setup.DefaultAccount, Writers: []setup.Writer{w("a", "1"), w("b", "2"), w("c", "3")}, Replicas: []setup.Replica{{Name: "r"}}}
	}
	for text, change := range map[string]func(*setup.Cluster){
		"":                             func(*setup.Cluster) {},
		`cluster "x" is not a uuid`:    func(c *setup.Cluster) { c.ID = "x" },
		`account "1" is not twelve`:    func(c *setup.Cluster) { c.Account = "1" },
		"0 writers":                    func(c *setup.Cluster) { c.Writers = nil },
		"9 writers":                    func(c *setup.Cluster) { c.Writers = make([]setup.Writer, 9) },
		`the name "A" is not`:          func(c *setup.Cluster) { c.Writers[0].Name = "A" },
		`the name "a/b" is not`:        func(c *setup.Cluster) { c.Replicas[0].Name = "a/b" },
		"the name a is given twice":    func(c *setup.Cluster) { c.Writers[1].Name = "a" },
		"the name b is given twice":    func(c *setup.Cluster) { c.Replicas[0].Name = "b" },
		`address "h" of writer a`:      func(c *setup.Cluster) { c.Writers[0].Peer = "h" },
		`address "" of writer a`:       func(c *setup.Cluster) { c.Writers[0].Broker = "" },
		"is given to writer a already": func(c *setup.Cluster) { c.Writers[1].Peer = c.Writers[0].Peer },
		`quotas is "many"; use aws`:    func(c *setup.Cluster) { c.Quotas = "many" },
		`email "root" is no address`:   func(c *setup.Cluster) { c.Email = "root" },
		`has the class "loose"`:        func(c *setup.Cluster) { c.Replicas[0].Class = "loose" },
	} {
		c := good()
		change(&c)
		err := c.Validate()
		if text == "" && err != nil || text != "" && (!errors.Is(err, setup.ErrConfig) || !strings.Contains(err.Error(), text)) {
			t.Errorf("%q: %v", text, err)
		}
	}
	c := good()
	c.NATS = "nats://h:4222"
	for i := range c.Writers {
		c.Writers[i].Broker, c.Writers[i].Routes = "", ""
	}
	if err := c.Validate(); err != nil {
		t.Errorf("an outside NATS: %v", err)
	}
	if _, ok := c.Writer("r"); ok {
		t.Error("r is no writer")
	}
	if _, ok := c.Replica("r"); !ok {
		t.Error("no replica r")
	}
}

func TestLoadRefuses(t *testing.T) {
	for text, want := range map[string]string{
		"surprise: 1\n": "field surprise not found", "": "EOF", "cluster: [": "did not find", "# " + strings.Repeat("x", setup.MaxFile): "larger than",
	} {
		path := filepath.Join(t.TempDir(), "cluster.yaml")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := setup.LoadCluster(path); !errors.Is(err, setup.ErrConfig) || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), path) {
			t.Errorf("%.20q: %v", text, err)
		}
	}
	if _, err := setup.LoadCluster(filepath.Join(t.TempDir(), "none")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
}

func TestParseWriter(t *testing.T) {
	for text, want := range map[string]setup.Writer{
		"a=h:10":        {Name: "a", Peer: "h:10", Broker: "h:11", Routes: "h:12"},
		"a=[::1]:10":    {Name: "a", Peer: "[::1]:10", Broker: "[::1]:11", Routes: "[::1]:12"},
		"a=h:1,i:2,j:3": {Name: "a", Peer: "h:1", Broker: "i:2", Routes: "j:3"},
	} {
		got, err := setup.ParseWriter(text)
		if err == nil {
			got, err = got.Complete()
		}
		if err != nil || got != want {
			t.Errorf("%s: %+v, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "a", "a=h", "a=h:x", "a=h:70000", "a=h:65534"} {
		if _, err := setup.ParseWriter(text); !errors.Is(err, setup.ErrConfig) {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestSettings(t *testing.T) {
	path := filepath.Join(t.TempDir(), "settings.yaml")
	if err := setup.WriteSecret(path, []byte("api: h:1\ndrain: 5s\n")); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	if s, err := setup.LoadSettings(path); err != nil || s["api"] != "h:1" || s["drain"] != "5s" {
		t.Errorf("%v, %v", s, err)
	}
	for text, ok := range map[string]bool{"": true, "a: [1]": false, "x": false} {
		if err := setup.WriteSecret(path, []byte(text)); err != nil {
			t.Fatal(err)
		}
		if _, err := setup.LoadSettings(path); (err == nil) != ok {
			t.Errorf("%q: %v", text, err)
		}
	}
	if _, err := setup.LoadSettings("/nowhere"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
	dir, _, _ := layout.Init(t, layout.Cluster(t, 1, 0))
	if client, err := setup.HTTPClient(""); err != nil || client == nil {
		t.Error(err)
	}
	if client, err := setup.HTTPClient(filepath.Join(dir, "ca.crt")); err != nil || client.Transport == nil {
		t.Error(err)
	}
	for _, file := range []string{"/nowhere", filepath.Join(dir, "cluster.yaml")} {
		if _, err := setup.HTTPClient(file); err == nil {
			t.Errorf("%s was trusted", file)
		}
	}
}

// An init that was interrupted before the certificates goes on with the same id.
func TestInitGoesOn(t *testing.T) {
	dir, c, _ := layout.Init(t, layout.Cluster(t, 1, 0))
	if err := os.WriteFile(filepath.Join(dir, "init.unfinished"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"ca.crt", "ca.key", "seal.key", "root.json", "nodes/writer-1.crt", "nodes/writer-1.key"} {
		if err := os.Remove(filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	fresh := c
	fresh.ID = ""
	again, _, err := setup.Init(dir, fresh, setup.RootKey{}, time.Now())
	if err != nil || again.ID != c.ID {
		t.Fatalf("%s, %v", again.ID, err)
	}
	if _, err := peer.LoadIdentity(c, setup.DefaultFiles(dir, "writer-1")); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(filepath.Join(dir, "init.unfinished")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("it is still unfinished: %v", err)
	}
}

// What was written into cluster.yaml by hand stays, beside what is added.
func TestInitKeepsComments(t *testing.T) {
	dir, c, _ := layout.Init(t, layout.Cluster(t, 1, 1))
	path := filepath.Join(dir, "cluster.yaml")
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	text = append([]byte("# of the team in Oslo\n"), text...)
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, _, err := setup.Init(dir, c, setup.RootKey{}, time.Now()); err != nil {
		t.Fatal(err)
	}
	if same, err := os.ReadFile(path); err != nil || string(same) != string(text) {
		t.Errorf("nothing was to change: %v\n%s", err, same)
	}
	more, said, err := c.With(setup.Named{Replicas: []setup.NamedReplica{{Name: "replica-2"}}})
	if err != nil || fmt.Sprint(said) != "[added replica replica-2]" {
		t.Fatalf("%v, %v", said, err)
	}
	if _, _, err := setup.Init(dir, more, setup.RootKey{}, time.Now()); err != nil {
		t.Fatal(err)
	}
	loaded, err := setup.LoadCluster(path)
	if now, _ := os.ReadFile(path); err != nil || !strings.HasPrefix(string(now), "# of the team in Oslo\n") || len(loaded.Replicas) != 2 || loaded.Replicas[0] != c.Replicas[0] {
		t.Errorf("%v: %+v\n%s", err, loaded, now)
	}
}

// What root adds has the owner of the directory, so that nodes without rights can read it.
func TestInitKeepsOwner(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can give files away")
	}
	dir, c, _ := layout.Init(t, layout.Cluster(t, 1, 0))
	const owner = 65532
	if err := filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		return errors.Join(err, os.Lchown(path, owner, owner))
	}); err != nil {
		t.Fatal(err)
	}
	c.Replicas = append(c.Replicas, setup.Replica{Name: "replica-9"})
	if _, _, err := setup.Init(dir, c, setup.RootKey{}, time.Now()); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"cluster.yaml", "nodes/replica-9.crt", "nodes/replica-9.key"} {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if s := info.Sys().(*syscall.Stat_t); s.Uid != owner || s.Gid != owner {
			t.Errorf("%s is of %d:%d", name, s.Uid, s.Gid)
		}
	}
}

func TestParseProxies(t *testing.T) {
	got, err := setup.ParseProxies([]string{"10.0.0.7", "10.1.2.3/8", "2001:db8::1", "::ffff:10.0.0.8"})
	if err != nil || fmt.Sprint(got) != "[10.0.0.7/32 10.0.0.0/8 2001:db8::1/128 10.0.0.8/32]" {
		t.Errorf("%v, %v", got, err)
	}
	for _, text := range []string{"", "proxy.example.com", "10.0.0.0/33"} {
		if _, err := setup.ParseProxies([]string{text}); !errors.Is(err, setup.ErrConfig) {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// A configuration that names another account or partition than the cluster began with is
// of no use to it; before the beginning any is.
func TestClusterHolds(t *testing.T) {
	s := identity.NewState()
	c := setup.Cluster{Account: setup.DefaultAccount}
	if err := c.Holds(s); err != nil {
		t.Errorf("before the beginning: %v", err)
	}
	begin := &identity.Bootstrap{Cluster: "c", Incarnation: "i", Account: setup.DefaultAccount, RootKey: identity.NewAccessKey{ID: "AKIA1"}}
	events, err := identity.Decide(s, identity.Meta{}, begin)
	if err != nil {
		t.Fatal(err)
	}
	identity.Evolve(s, 1, identity.Meta{}, events)
	if err := c.Holds(s); err != nil {
		t.Errorf("its own: %v", err)
	}
	for _, other := range []setup.Cluster{{Account: "210987654321"}, {Account: setup.DefaultAccount, Partition: identity.PartitionCN}} {
		if err := other.Holds(s); !errors.Is(err, setup.ErrConfig) || !strings.Contains(err.Error(), "cannot change") {
			t.Errorf("%+v: %v", other, err)
		}
	}
}

// What cluster.yaml says of the first account is asked for until somebody has set it.
func TestFirst(t *testing.T) {
	c := setup.Cluster{Account: "123456789012", Quotas: setup.AWSQuotas, Email: "root@example.com", Writers: []setup.Writer{{Name: "w", Peer: "w:1"}}}
	s := identity.NewState()
	if commands := c.First(s); len(commands) != 0 {
		t.Errorf("before there is an account: %v", commands)
	}
	fold := func(events ...identity.Event) {
		identity.Evolve(s, s.Position()+1, identity.Meta{}, events)
	}
	fold(&identity.AccountCreated{ID: c.Account})
	commands := c.First(s)
	if len(commands) != 3 {
		t.Fatalf("it asks for %v", commands)
	}
	for _, cmd := range commands {
		events, err := identity.Decide(s, identity.Meta{}, cmd)
		if err != nil {
			t.Fatal(err)
		}
		fold(events...)
	}
	if a, _ := s.Account(c.Account); a.Email != c.Email || a.Quotas.Defaults != identity.DefaultsOfAWS {
		t.Errorf("the account is %+v", a)
	}
	if w, ok := s.Writers().Find("w"); !ok || w.Peer != "w:1" {
		t.Errorf("the writer is %+v", w)
	}
	if commands := c.First(s); len(commands) != 0 {
		t.Errorf("afterwards: %v", commands)
	}
}
