package chaos

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/smithy-go"

	"github.com/writ-iam/writ/node/client"
	"github.com/writ-iam/writ/test/cluster"
)

// The load and what happens under it.
const (
	clients      = 32
	kills        = 3
	perKill      = 400 // writes acknowledged between two kills
	settle       = 60 * time.Second
	requestLimit = 60 * time.Second
)

// start runs a cluster of three writers and two replicas for a test.
func start(t *testing.T) *cluster.Cluster {
	t.Helper()
	dir := t.TempDir()
	binary, err := cluster.Build(t.Context(), "../..", dir)
	if err != nil {
		t.Fatal(err)
	}
	c, err := cluster.Start(t.Context(), binary, filepath.Join(dir, "cluster"), "--writers", "3", "--replicas", "2")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Stop(); err != nil {
			t.Error(err)
		}
		if t.Failed() {
			t.Log(c.Logs())
		}
	})
	return c
}

// sdk returns an IAM client of one node, as an application has it: retries on.
func sdk(env map[string]string, url string) *iam.Client {
	return iam.New(iam.Options{
		Region: "us-east-1", BaseEndpoint: aws.String(url),
		Credentials: credentials.NewStaticCredentialsProvider(env["AWS_ACCESS_KEY_ID"], env["AWS_SECRET_ACCESS_KEY"], ""),
		Retryer: retry.NewStandard(func(o *retry.StandardOptions) {
			o.MaxAttempts, o.MaxBackoff = 30, time.Second
			o.RateLimiter = unlimited{}
		}),
	})
}

// unlimited lets a client retry as often as its attempts allow.
type unlimited struct{}

func (unlimited) GetToken(context.Context, uint) (func() error, error) {
	return func() error { return nil }, nil
}
func (unlimited) AddTokens(uint) error { return nil }

// load is what clients did.
type load struct {
	mu     sync.Mutex
	ids    map[string]string // user name -> unique id that was acknowledged
	twice  []string          // names that a client's own retry found taken
	failed []error
	acked  atomic.Int64
}

// write creates users through one node until ctx ends.
func (l *load) write(ctx context.Context, api *iam.Client, who int) {
	for n := 0; ctx.Err() == nil; n++ {
		name := fmt.Sprintf("user-%d-%d", who, n)
		limit, cancel := context.WithTimeout(context.WithoutCancel(ctx), requestLimit)
		out, err := api.CreateUser(limit, &iam.CreateUserInput{UserName: aws.String(name)})
		cancel()
		l.mu.Lock()
		var refused smithy.APIError
		switch {
		case err == nil:
			l.ids[name] = aws.ToString(out.User.UserId)
			l.acked.Add(1)
		case errors.As(err, &refused) && refused.ErrorCode() == "EntityAlreadyExists":
			l.twice = append(l.twice, name)
		default:
			l.failed = append(l.failed, fmt.Errorf("%s: %w", name, err))
		}
		l.mu.Unlock()
	}
}

// reach waits until so many writes are acknowledged.
func (l *load) reach(t *testing.T, n int64) {
	t.Helper()
	eventually(t, fmt.Sprintf("%d writes", n), func() error {
		if got := l.acked.Load(); got < n {
			return fmt.Errorf("%d acknowledged", got)
		}
		return nil
	})
}

// judge compares what was acknowledged with what is there.
func (l *load) judge(t *testing.T, found map[string]string) {
	t.Helper()
	for _, err := range l.failed {
		t.Errorf("a write failed: %v", err)
	}
	if len(l.twice) > 0 {
		t.Errorf("%d retries found their own user taken: %v", len(l.twice), l.twice)
	}
	for name, id := range l.ids {
		if found[name] != id {
			t.Errorf("user %s was acknowledged as %s and is %q now", name, id, found[name])
		}
	}
	if len(found) != len(l.ids) {
		t.Errorf("%d users were acknowledged, %d are there", len(l.ids), len(found))
	}
	t.Logf("%d writes acknowledged, %d users there", len(l.ids), len(found))
}

// eventually asks until there is no error.
func eventually(t *testing.T, what string, ask func() error) {
	t.Helper()
	deadline := time.After(settle)
	for {
		err := ask()
		if err == nil {
			return
		}
		select {
		case <-time.After(50 * time.Millisecond):
		case <-deadline:
			t.Fatalf("%s: not after %v: %v", what, settle, err)
		}
	}
}

// leader asks who leads.
func leader(t *testing.T, c *cluster.Cluster) (s *client.Cluster) {
	t.Helper()
	eventually(t, "a leader", func() (err error) {
		s, err = c.Status(t.Context())
		return err
	})
	return s
}

// users lists all users of the account as a node has them.
func users(t *testing.T, api *iam.Client) map[string]string {
	t.Helper()
	found := map[string]string{}
	pages := iam.NewListUsersPaginator(api, &iam.ListUsersInput{MaxItems: aws.Int32(1000)})
	for pages.HasMorePages() {
		page, err := pages.NextPage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, u := range page.Users {
			if _, again := found[aws.ToString(u.UserName)]; again {
				t.Errorf("user %s is listed twice", aws.ToString(u.UserName))
			}
			found[aws.ToString(u.UserName)] = aws.ToString(u.UserId)
		}
	}
	return found
}

// agree waits until every member is at the head, and compares their states.
func agree(t *testing.T, c *cluster.Cluster) {
	t.Helper()
	eventually(t, "all nodes at the head with one state", func() error {
		s, err := c.Status(t.Context())
		if err != nil {
			return err
		}
		if len(s.Members) != 5 {
			return fmt.Errorf("%d members", len(s.Members))
		}
		for _, n := range c.Nodes() {
			w, err := c.Client(n.URL)
			if err != nil {
				return err
			}
			own, err := w.Local(t.Context())
			if err != nil {
				return err
			}
			if own.Position != s.Position || own.Digest != s.Digest || own.Hash != s.Hash {
				return fmt.Errorf("%s is at %d with state %s, the leader at %d with %s", n.Name, own.Position, own.Digest, s.Position, s.Digest)
			}
		}
		return nil
	})
}

// TestLeaderKilledUnderLoad kills the leader three times while 32 clients write
// through all nodes with an SDK that retries.
func TestLeaderKilledUnderLoad(t *testing.T) {
	c := start(t)
	l := &load{ids: map[string]string{}}
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	nodes := c.Nodes()
	for i := range clients {
		api := sdk(c.Env, nodes[i%len(nodes)].URL)
		wg.Go(func() { l.write(ctx, api, i) })
	}
	for range kills {
		l.reach(t, l.acked.Load()+perKill)
		s := leader(t, c)
		if err := c.Signal(s.Leader, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		t.Logf("killed %s at position %d, %d writes acknowledged", s.Leader, s.Position, l.acked.Load())
		eventually(t, "another leader", func() error {
			now, err := c.Status(t.Context())
			if err == nil && now.Term == s.Term {
				err = errors.New("the old one still leads")
			}
			return err
		})
	}
	l.reach(t, l.acked.Load()+perKill)
	cancel()
	wg.Wait()

	agree(t, c)
	l.judge(t, users(t, sdk(c.Env, nodes[0].URL)))
}

// TestBrokerWipedWhileRunning removes every broker's directory under the cluster's
// feet: propagation goes on, and answers stay right.
func TestBrokerWipedWhileRunning(t *testing.T) {
	c := start(t)
	nodes := c.Nodes()
	api := sdk(c.Env, nodes[0].URL)
	writer, err := c.Client(nodes[0].URL)
	if err != nil {
		t.Fatal(err)
	}
	for round := range 3 {
		for _, n := range nodes[:3] {
			// The broker may be starting anew there, and making files; then once more.
			for err := errors.New("not wiped"); err != nil; {
				if err = os.RemoveAll(filepath.Join(c.Dir, "data", n.Name, "broker")); err != nil && !errors.Is(err, syscall.ENOTEMPTY) {
					t.Fatal(err)
				}
			}
		}
		for i := range 20 {
			if _, err := api.CreateUser(t.Context(), &iam.CreateUserInput{UserName: aws.String(fmt.Sprintf("u-%d-%d", round, i))}); err != nil {
				t.Fatal(err)
			}
		}
		p, err := writer.Propagation(t.Context(), client.Target{}, client.Scope{}, settle)
		if err != nil {
			t.Fatal(err)
		}
		if !p.Everywhere() || len(p.VisibleOn) != 2 {
			t.Fatalf("round %d: %+v", round, p)
		}
		for _, n := range nodes[3:] {
			if got := users(t, sdk(c.Env, n.URL)); len(got) != 20*(round+1) {
				t.Errorf("%s shows %d users, want %d", n.Name, len(got), 20*(round+1))
			}
		}
	}
	agree(t, c)
}
