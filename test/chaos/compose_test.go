package chaos

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"

	"github.com/writ-iam/writ/node/client"
	"github.com/writ-iam/writ/node/setup"
	"github.com/writ-iam/writ/test/cluster"
)

// composed is the cluster of docker-compose.yml, as a project of its own.
type composed struct {
	t      *testing.T
	layout string
	env    []string          // for the scripts
	vars   map[string]string // of env.sh
	urls   map[string]string // by service
}

// services in the order of the ports in docker-compose.yml.
var services = []string{"writer-1", "writer-2", "writer-3", "replica-1", "replica-2"}

// compose brings the cluster up with the script that users run.
func compose(t *testing.T) *composed { return composeWith(t, func(string) {}) }

// composeWith is compose with a layout in which something is prepared.
func composeWith(t *testing.T, prepare func(layout string)) *composed {
	t.Helper()
	if out, err := exec.Command("docker", "info", "--format", "{{.ServerVersion}}").CombinedOutput(); err != nil {
		t.Skipf("no Docker engine answers: %v %.100s", err, out)
	}
	c := &composed{t: t, layout: filepath.Join(t.TempDir(), "layout"), urls: map[string]string{}}
	c.env = append(os.Environ(), "COMPOSE_PROJECT_NAME=writ-test", "WRIT_IMAGE=writ:test", "WRIT_LAYOUT="+c.layout)
	for i, name := range services {
		port := freePort(t)
		c.env = append(c.env, fmt.Sprintf("WRIT_PORT_%d=%d", i+1, port))
		c.urls[name] = "http://127.0.0.1:" + strconv.Itoa(port)
	}
	t.Cleanup(func() {
		if t.Failed() {
			out, err := c.run("bash", "-c", ". ../compose/lib && cd ../.. && compose logs --tail 40")
			t.Logf("%s %v", out, err)
		}
		if out, err := c.run("env", "CONFIRM=yes", "../compose/down"); err != nil {
			t.Errorf("%v\n%s", err, out)
		}
	})
	prepare(c.layout)
	if out, err := c.run("../compose/up"); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	var err error
	if c.vars, err = cluster.ReadEnv(filepath.Join(c.layout, "env.sh")); err != nil {
		t.Fatal(err)
	}
	return c
}

func freePort(t *testing.T) int {
	t.Helper()
	addrs, err := setup.FreeAddrs(1)
	if err != nil {
		t.Fatal(err)
	}
	addr, err := net.ResolveTCPAddr("tcp", addrs[0])
	if err != nil {
		t.Fatal(err)
	}
	return addr.Port
}

// run runs a command in the environment of the cluster.
func (c *composed) run(name string, args ...string) (string, error) {
	cmd := exec.Command(name, args...)
	cmd.Env = c.env
	for name, value := range c.vars {
		cmd.Env = append(cmd.Env, name+"="+value)
	}
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func (c *composed) must(name string, args ...string) string {
	c.t.Helper()
	out, err := c.run(name, args...)
	if err != nil {
		c.t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return out
}

// TestComposeDownAsks holds that nothing is deleted unless somebody says so. It needs no
// engine: the question comes first.
func TestComposeDownAsks(t *testing.T) {
	layout := t.TempDir()
	key := filepath.Join(layout, "seal.key")
	if err := os.WriteFile(key, []byte("k"), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("../compose/down")
	cmd.Env = append(os.Environ(), "CONFIRM=", "WRIT_LAYOUT="+layout, "COMPOSE_PROJECT_NAME=writ-asks")
	out, err := cmd.CombinedOutput()
	if _, kept := os.Stat(key); err == nil || kept != nil || !strings.Contains(string(out), "CONFIRM=yes") || !strings.Contains(string(out), "cluster-stop") {
		t.Errorf("%v, %v: %s", err, kept, out)
	}
}

// container is the name of a service's container.
func (c *composed) container(service string) string {
	return strings.TrimSpace(c.must("docker", "ps", "--all", "--quiet", "--filter", "label=com.docker.compose.project=writ-test", "--filter", "label=com.docker.compose.service="+service))
}

func (c *composed) network(verb, service string) {
	args := []string{"network", verb}
	if verb == "connect" {
		args = append(args, "--alias", service)
	}
	c.must("docker", append(args, "writ-test_default", c.container(service))...)
}

// status is what the leader knows, asked of any service that answers.
func (c *composed) status(ctx context.Context, ask ...string) (*client.Cluster, error) {
	var all error
	for _, name := range ask {
		w, err := c.client(name)
		if err != nil {
			return nil, err
		}
		limit, cancel := context.WithTimeout(ctx, 5*time.Second)
		s, err := w.Cluster(limit)
		cancel()
		if err == nil && s.Leader != "" {
			return s, nil
		}
		all = errors.Join(all, err)
	}
	return nil, fmt.Errorf("no leader: %w", all)
}

func (c *composed) client(service string) (*client.Client, error) {
	return client.New(client.Config{Endpoint: c.urls[service], AccessKeyID: c.vars["AWS_ACCESS_KEY_ID"], SecretAccessKey: c.vars["AWS_SECRET_ACCESS_KEY"]})
}

// cutOffAsks asks a replica, from within its own container, for a decision.
func (c *composed) cutOffAsks(service, arn string) (d client.Decision) {
	c.t.Helper()
	out, err := c.run("docker", "exec", "--env", "AWS_ACCESS_KEY_ID", "--env", "AWS_SECRET_ACCESS_KEY", c.container(service),
		"/writ", "can", "--endpoint", "http://127.0.0.1:8420", "--as", arn, "--action", "s3:GetObject", "--output", "json")
	if json.Unmarshal([]byte(out), &d) != nil {
		c.t.Fatalf("ask %s: %v\n%s", service, err, out)
	}
	return d
}

// TestCompose takes the tour of the README against the composed cluster, cuts a
// writer and a replica off the network, kills the leader, and finds every
// acknowledged write afterwards.
func TestCompose(t *testing.T) {
	c := compose(t)
	tour(c)
	l := &load{ids: map[string]string{}}
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	stop := func() { cancel(); wg.Wait() }
	defer stop()

	s := composedLeader(c, services...)
	cutWriter := "writer-1"
	if s.Leader == cutWriter {
		cutWriter = "writer-2"
	}
	for i := range 8 {
		wg.Go(func() { l.write(ctx, sdk(c.vars, c.urls["replica-1"]), i) })
	}
	l.reach(t, 50)
	c.network("disconnect", cutWriter)
	c.network("disconnect", "replica-2")
	l.reach(t, l.acked.Load()+50)
	fenced(c)
	d := c.cutOffAsks("replica-2", "arn:aws:iam::123456789012:user/alice")
	if d.Freshness != "unleased" || d.Decision != "indeterminate" {
		t.Errorf("the cut-off replica answers %s (%s) at position %d", d.Decision, d.Freshness, d.Position)
	}
	c.network("connect", cutWriter)
	c.network("connect", "replica-2")

	s = composedLeader(c, "replica-1")
	eventually(t, cutWriter+" has caught up", func() error { return c.caughtUp(cutWriter) })
	c.must("docker", "kill", "--signal", "KILL", c.container(s.Leader))
	l.reach(t, l.acked.Load()+50)
	c.must("docker", "start", c.container(s.Leader))
	l.reach(t, l.acked.Load()+50)
	stop()
	delete(l.ids, "alice")
	eventually(t, "all nodes at the head with one state", c.agree)
	found := users(t, sdk(c.vars, c.urls["replica-2"]))
	delete(found, "alice")
	l.judge(t, found)
}

// tour is the README's, with the aws CLI.
func tour(c *composed) {
	c.t.Helper()
	if _, err := exec.LookPath("aws"); err != nil {
		api := sdk(c.vars, c.urls["writer-1"])
		if _, err := api.CreateUser(c.t.Context(), &iam.CreateUserInput{UserName: aws.String("alice")}); err != nil {
			c.t.Fatal(err)
		}
		c.t.Log("no aws CLI on this machine: the tour is taken by the SDK alone")
	} else {
		c.must("aws", "iam", "create-user", "--user-name", "alice")
	}
	document := `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:GetObject","Resource":"*"}]}`
	api := sdk(c.vars, c.urls["writer-1"])
	if _, err := api.PutUserPolicy(c.t.Context(), &iam.PutUserPolicyInput{UserName: aws.String("alice"), PolicyName: aws.String("read"), PolicyDocument: aws.String(document)}); err != nil {
		c.t.Fatal(err)
	}
	w, err := c.client("writer-1")
	if err != nil {
		c.t.Fatal(err)
	}
	p, err := w.Propagation(c.t.Context(), client.Target{}, client.Scope{}, settle)
	if err != nil || !p.Everywhere() {
		c.t.Fatalf("%+v %v", p, err)
	}
	for _, name := range services[3:] {
		r, err := c.client(name)
		if err != nil {
			c.t.Fatal(err)
		}
		d, err := r.Authorize(c.t.Context(), client.Question{Principal: "arn:aws:iam::123456789012:user/alice", Action: "s3:GetObject", Resource: "*"}, client.Freshness{})
		if err != nil || !d.Allowed() || d.Freshness != "leased" || d.Position < p.Position {
			c.t.Errorf("%s answers %+v %v", name, d, err)
		}
	}
}

// fenced waits until a change is everywhere although a replica is cut off.
func fenced(c *composed) {
	c.t.Helper()
	w, err := c.client("replica-1")
	if err != nil {
		c.t.Fatal(err)
	}
	p, err := w.Propagation(c.t.Context(), client.Target{}, client.Scope{}, settle)
	if err != nil || !p.Everywhere() || len(p.Fenced) != 1 || p.Fenced[0] != "replica-2" {
		c.t.Errorf("with replica-2 cut off: %+v %v", p, err)
	}
}

func composedLeader(c *composed, ask ...string) (s *client.Cluster) {
	c.t.Helper()
	eventually(c.t, "a leader", func() (err error) {
		s, err = c.status(c.t.Context(), ask...)
		return err
	})
	return s
}

// caughtUp tells whether a service is near the head again.
func (c *composed) caughtUp(service string) error {
	s, err := c.status(c.t.Context(), "replica-1")
	if err != nil {
		return err
	}
	for _, m := range s.Members {
		if m.Name == service && m.Position > 0 && m.Lag < 20 {
			return nil
		}
	}
	return fmt.Errorf("%+v", s.Members)
}

// agree tells whether every node is at the head with the same state.
func (c *composed) agree() error {
	s, err := c.status(c.t.Context(), services...)
	if err != nil {
		return err
	}
	for _, name := range services {
		w, err := c.client(name)
		if err != nil {
			return err
		}
		own, err := w.Local(c.t.Context())
		if err != nil {
			return err
		}
		if own.Position != s.Position || own.Digest != s.Digest || own.Hash != s.Hash {
			return fmt.Errorf("%s is at %d with state %s, the leader at %d with %s", name, own.Position, own.Digest, s.Position, s.Digest)
		}
	}
	return nil
}
