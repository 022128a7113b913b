package upgrade

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/iam/types"
)

const (
	// clients write and read at once.
	clients = 4
	// longest is how long a write may be refused: that of an election, on a busy machine.
	longest = 30 * time.Second
	// pace is how long a client rests between writes.
	pace = 20 * time.Millisecond
)

// load is clients that write and read at nodes, whichever answer.
type load struct {
	apis []*iam.Client // of the nodes
	stop context.CancelFunc
	done sync.WaitGroup

	mu      sync.Mutex
	made    []string      // users whose creation was acknowledged; guarded by mu
	slowest time.Duration // of the writes, with all that refused them; guarded by mu
	wrong   error         // the first thing that was; guarded by mu
}

// apiOf is a client of one node that sends each request once.
func (f *fleet) apiOf(m *member) *iam.Client {
	return iam.New(iam.Options{Region: "us-east-1", BaseEndpoint: aws.String(m.url), Retryer: aws.NopRetryer{},
		Credentials: credentials.NewStaticCredentialsProvider(f.root.AccessKeyID, f.root.SecretAccessKey, "")})
}

// begin starts the clients.
func (f *fleet) begin() *load {
	ctx, cancel := context.WithCancel(f.t.Context())
	l := &load{stop: cancel}
	for _, m := range f.nodes {
		l.apis = append(l.apis, f.apiOf(m))
	}
	for i := range clients {
		l.done.Go(func() {
			for n := 0; ctx.Err() == nil; n++ {
				l.one(ctx, i+n, fmt.Sprintf("user-%d-%d", i, n))
				rest(ctx)
			}
		})
	}
	f.t.Cleanup(func() { cancel(); l.done.Wait() })
	return l
}

// rest waits for a moment.
func rest(ctx context.Context) {
	select {
	case <-time.After(pace):
	case <-ctx.Done():
	}
}

// one creates a user at one node after the other, from the at-th on, until one says that it is
// there, and reads it where it was made.
func (l *load) one(ctx context.Context, at int, name string) {
	began := time.Now()
	for ; ctx.Err() == nil; at++ {
		api := l.apis[at%len(l.apis)]
		_, err := api.CreateUser(ctx, &iam.CreateUserInput{UserName: &name})
		there := (*types.EntityAlreadyExistsException)(nil) // an earlier attempt took effect
		if err != nil && !errors.As(err, &there) {
			if time.Since(began) > longest {
				l.fail(fmt.Errorf("%s is refused for %v: %w", name, time.Since(began), err))
				return
			}
			rest(ctx)
			continue
		}
		l.mu.Lock()
		l.made, l.slowest = append(l.made, name), max(l.slowest, time.Since(began))
		l.mu.Unlock()
		_, err2 := api.GetUser(ctx, &iam.GetUserInput{UserName: &name})
		if gone := (*types.NoSuchEntityException)(nil); err == nil && errors.As(err2, &gone) {
			l.fail(fmt.Errorf("%s was acknowledged, and is not there at the same node: %w", name, err2))
		}
		return
	}
}

func (l *load) fail(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.wrong == nil {
		l.wrong = err
	}
}

// count is how many users were acknowledged.
func (l *load) count() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.made)
}

// more waits until that many more writes were acknowledged.
func (f *fleet) more(l *load, n int) {
	f.t.Helper()
	want := l.count() + n
	f.until(fmt.Sprintf("%d writes are acknowledged", want), func(context.Context) error {
		if got := l.count(); got < want {
			return fmt.Errorf("%d are", got)
		}
		return nil
	})
}

// end stops the clients, and checks at a node that all is there that was acknowledged.
func (l *load) end(t *testing.T, at *iam.Client) {
	t.Helper()
	l.stop()
	l.done.Wait()
	if l.wrong != nil {
		t.Error(l.wrong)
	}
	there := make(map[string]bool)
	pages := iam.NewListUsersPaginator(at, &iam.ListUsersInput{MaxItems: aws.Int32(1000)})
	for pages.HasMorePages() {
		page, err := pages.NextPage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for i := range page.Users {
			there[*page.Users[i].UserName] = true
		}
	}
	for _, name := range l.made {
		if !there[name] {
			t.Errorf("%s was acknowledged and is lost", name)
		}
	}
	t.Logf("%d writes were acknowledged, the slowest after %v", len(l.made), l.slowest)
}
