package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/writ-iam/writ/log/event"
	"github.com/writ-iam/writ/node/client"
	"github.com/writ-iam/writ/node/sigv4"
	"github.com/writ-iam/writ/projection"
)

const (
	// maxInRound bounds the positions of a round.
	maxInRound = 1 << 17
	// writeConnections is how many writes may be under way.
	writeConnections = 32
	// waitedFor is of how many writes one is waited for: those who wait take the
	// processors from what is measured, as they are in the same process.
	waitedFor = 10
	// settleTimeout bounds the wait for what was written to arrive.
	settleTimeout = 30 * time.Second
)

// measurePropagation is how long after its commit a change is visible at every
// replica, and declared everywhere, with 1, 3 and 9 replicas and three writers; and
// beside it how long a message of the same size takes from a bare publisher to as
// many consumers, on a cluster of NATS servers like the one that Writ embeds.
func measurePropagation(ctx context.Context, o options) error {
	for _, replicas := range []int{1, 3, 9} {
		if err := propagationTo(ctx, o, replicas); err != nil {
			return err
		}
	}
	return nil
}

func propagationTo(ctx context.Context, o options, replicas int) (err error) {
	t, err := startTeam(ctx, 3, replicas)
	defer func() { err = errors.Join(err, t.stop()) }()
	if err != nil {
		return err
	}
	w, err := newWriting(ctx, t)
	if err != nil {
		return err
	}
	bare, err := startBare(ctx, w, replicas)
	defer func() { err = errors.Join(err, bare.stop()) }()
	if err != nil {
		return err
	}
	var visible, everywhere, received []round
	for i := range o.rounds + 1 {
		length := o.length
		if i == 0 {
			length = o.length / 3 // warms up, and is not counted
		}
		v, e, err := w.round(ctx, o.rate, length)
		if err != nil {
			return err
		}
		r, err := bare.round(ctx, o.rate, length)
		if err != nil {
			return fmt.Errorf("the limit: %w", err)
		}
		if i > 0 {
			visible, everywhere, received = append(visible, v), append(everywhere, e), append(received, r)
		}
	}
	for _, f := range []struct {
		what   string
		rounds []round
	}{{"visible", visible}, {"bare NATS, received", received}, {"declared everywhere", everywhere}} {
		fmt.Printf("%d replicas, %-22s p50 %7.2f ms (%s)   p99 %7.2f ms (%s)\n", replicas, f.what,
			median(f.rounds, p50), spread(f.rounds, p50), median(f.rounds, p99), spread(f.rounds, p99))
	}
	fmt.Printf("%d replicas, visible to bare: p50 %.2f times, p99 %.2f times\n", replicas,
		median(visible, p50)/median(received, p50), median(visible, p99)/median(received, p99))
	return nil
}

// spread is the least and the greatest of the rounds.
func spread(rounds []round, of func(round) float64) string {
	var all []float64
	for _, r := range rounds {
		all = append(all, of(r))
	}
	return fmt.Sprintf("%.2f to %.2f", slices.Min(all), slices.Max(all))
}

// latencies makes a round of times.
func latencies(all []time.Duration) (round, error) {
	if len(all) == 0 {
		return round{}, errors.New("nothing was measured")
	}
	slices.Sort(all)
	return round{count: len(all), p50: all[len(all)/2], p99: all[len(all)*99/100]}, nil
}

// sightings are when one projection showed which position.
type sightings struct {
	of    *projection.Projection
	first event.Position // of the round
	at    []time.Time    // by position, from first on
}

// watch notes the positions that come, until ctx ends.
func (s *sightings) watch(ctx context.Context) {
	for {
		changed := s.of.Changed()
		head, now := s.of.Head().Position, time.Now()
		for s.first+event.Position(len(s.at)) <= head && len(s.at) < maxInRound {
			s.at = append(s.at, now)
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return
		}
	}
}

// writing is a team that is written to, at its leader.
type writing struct {
	team     *team
	leader   *sightings
	replicas []*sightings
	url      string
	client   *client.Client
	signer   *sigv4.Signer
	users    int // created so far
}

func newWriting(ctx context.Context, t *team) (*writing, error) {
	name, err := t.leader(ctx)
	if err != nil {
		return nil, err
	}
	w := &writing{team: t, url: t.url(name), leader: &sightings{of: t.nodes[name].Projection()},
		signer: &sigv4.Signer{AccessKeyID: t.root.AccessKeyID, SecretAccessKey: t.root.SecretAccessKey, Region: "us-east-1", Service: "iam"}}
	for _, r := range t.replicas() {
		w.replicas = append(w.replicas, &sightings{of: t.nodes[r].Projection()})
	}
	w.client, err = t.client(name)
	return w, err
}

// round creates users at a rate for a time, and waits until they are everywhere.
func (w *writing) round(ctx context.Context, rate int, length time.Duration) (visible, everywhere round, err error) {
	first := w.leader.of.Head().Position + 1
	watching, stop := context.WithCancel(ctx)
	var watchers sync.WaitGroup
	for _, s := range append([]*sightings{w.leader}, w.replicas...) {
		s.first, s.at = first, make([]time.Time, 0, maxInRound)
		watchers.Go(func() { s.watch(watching) })
	}
	declared, err := w.write(ctx, rate, length)
	if err == nil {
		err = w.settle(ctx)
	}
	stop()
	watchers.Wait()
	if err != nil {
		return round{}, round{}, err
	}
	var seen, told []time.Duration
	for i, committed := range w.leader.at {
		last := time.Duration(0)
		for _, r := range w.replicas {
			last = max(last, r.at[i].Sub(committed))
		}
		seen = append(seen, last)
	}
	for _, d := range declared {
		told = append(told, d.at.Sub(w.leader.at[d.position-first]))
	}
	if visible, err = latencies(seen); err != nil {
		return round{}, round{}, err
	}
	everywhere, err = latencies(told)
	return visible, everywhere, err
}

// settle waits until every replica has what the leader has.
func (w *writing) settle(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, settleTimeout)
	defer cancel()
	for _, r := range w.replicas {
		if _, err := r.of.Wait(ctx, w.leader.of.Head().Position); err != nil {
			return fmt.Errorf("wait for a replica: %w", err)
		}
	}
	return nil
}

// declaration is when a position was said to be everywhere.
type declaration struct {
	position event.Position
	at       time.Time
}

// write sends writes on time, over a few connections, and waits for some of them
// until they are everywhere.
func (w *writing) write(ctx context.Context, rate int, length time.Duration) ([]declaration, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var mu sync.Mutex
	var all []declaration
	due := make(chan int, rate)
	group, ctx := errgroup.WithContext(ctx)
	for range writeConnections {
		group.Go(func() error {
			return w.connection(ctx, due, func(n int, token string) {
				if n%waitedFor > 0 {
					return
				}
				group.Go(func() error {
					p, err := w.client.Propagation(ctx, client.Target{Token: token}, client.Scope{}, settleTimeout)
					now := time.Now()
					if err == nil && !p.Everywhere() {
						err = fmt.Errorf("position %d is %s after %v", p.Position, p.State, settleTimeout)
					}
					if err != nil {
						return err
					}
					mu.Lock()
					defer mu.Unlock()
					all = append(all, declaration{p.Position, now})
					return nil
				})
			})
		})
	}
	group.Go(func() error {
		defer close(due)
		return pace(ctx, rate, length, func() error {
			w.users++
			select {
			case due <- w.users:
				return nil
			default:
				return fmt.Errorf("the cluster does not take %d writes a second", rate)
			}
		})
	})
	return all, group.Wait()
}

// pace calls f so many times a second, for a time.
func pace(ctx context.Context, rate int, length time.Duration, f func() error) error {
	tick := time.NewTicker(time.Second / time.Duration(rate))
	defer tick.Stop()
	for range int(length.Seconds() * float64(rate)) {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
		if err := f(); err != nil {
			return err
		}
	}
	return nil
}

// connection sends the writes that are due, one after the other, and hands on the
// tokens that answer them.
func (w *writing) connection(ctx context.Context, due <-chan int, written func(n int, token string)) error {
	conn, err := net.Dial("tcp", host(w.url))
	if err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	in := bufio.NewReader(conn)
	for n := range due {
		request, err := signed(w.signer, w.url+"/", "application/x-www-form-urlencoded", fmt.Appendf(nil, "Action=CreateUser&Version=2010-05-08&UserName=p%d", n))
		if err != nil {
			return err
		}
		if _, err := conn.Write(request); err != nil {
			return fmt.Errorf("send: %w", err)
		}
		answer, err := http.ReadResponse(in, nil)
		if err != nil {
			return fmt.Errorf("read the answer: %w", err)
		}
		body, err := io.ReadAll(answer.Body)
		answer.Body.Close()
		if err != nil {
			return fmt.Errorf("read the answer: %w", err)
		}
		if answer.StatusCode != http.StatusOK {
			return fmt.Errorf("answered %s: %.300s", answer.Status, body)
		}
		written(n, answer.Header.Get("X-Writ-Token"))
	}
	return nil
}
