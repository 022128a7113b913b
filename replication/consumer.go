package replication

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/writ-iam/writ/log/identity"
	"github.com/writ-iam/writ/replication/propagation"
)

// Limits of consumers.
const (
	// maxConsumers bounds those of one replica's name: one for each of its processes,
	// and some that were left behind and have not run out.
	maxConsumers = propagation.MaxLives + 8
	// maxAsked bounds a request for a consumer, and maxAsking how many a writer serves
	// at once, of which maxConsumers may be of one replica.
	maxAsked  = 4 << 10
	maxAsking = 1024
)

// ConsumerNames are the names that consumers of a replica may have. No other replica's
// name leads to any of them.
func ConsumerNames(replica string) []string {
	names := make([]string, maxConsumers)
	for n := range names {
		names[n] = consumerName(replica, n)
	}
	return names
}

func consumerName(replica string, n int) string { return fmt.Sprintf("%s-%d", token(replica), n) }

// consumerConfig is how a replica's consumer is: it brings what there is from a position
// on, without acknowledgements, to whoever pulls, and runs out soon after nobody does.
// No two are alike, so that none is taken for another of its name.
func consumerConfig(name string, from uint64) jetstream.ConsumerConfig {
	return jetstream.ConsumerConfig{
		Name: name, DeliverPolicy: jetstream.DeliverByStartSequencePolicy, OptStartSeq: from,
		AckPolicy:     jetstream.AckNonePolicy,
		MemoryStorage: true, Replicas: 1, InactiveThreshold: consumerExpiry, MaxRequestExpires: pullExpiry,
		Metadata: map[string]string{"writ": rand.Text()},
	}
}

// consumerRequest is a request of JetStream's API.
type consumerRequest struct {
	Stream string                   `json:"stream_name"`
	Config jetstream.ConsumerConfig `json:"config"`
	Action string                   `json:"action"`
}

// desk is where replicas of an embedded broker get their consumers.
type desk struct {
	link *Link

	mu    sync.Mutex
	asked map[string]int // guarded by mu; requests under way, by replica
	all   int            // guarded by mu; their sum
}

// ServeConsumers makes the consumers that followers of an embedded broker ask for at
// the given subject, until the link is closed. Of a request it reads where the consumer
// is to begin, and of its subject the names; all else is as every consumer is. Every
// writer serves, and one of them each request.
func (l *Link) ServeConsumers(subject string) error {
	d := &desk{link: l, asked: make(map[string]int)}
	serving, err := l.conn.QueueSubscribe(subject, "writers", d.hear)
	if err == nil {
		err = serving.SetPendingLimits(maxAsking, maxAsking*maxAsked)
	}
	if err != nil {
		return fmt.Errorf("serve consumers: %w", err)
	}
	return nil
}

// hear has a request served that a follower may make. To others there is no answer.
func (d *desk) hear(m *nats.Msg) {
	names := strings.Split(m.Subject, ".")
	stream, consumer := names[len(names)-2], names[len(names)-1]
	var asked consumerRequest
	if len(m.Data) > maxAsked || json.Unmarshal(m.Data, &asked) != nil || asked.Config.OptStartSeq == 0 {
		return
	}
	replica, ok := replicaOf(consumer)
	if !ok || !d.begin(replica) {
		return
	}
	go func() {
		defer d.end(replica)
		d.serve(m, stream, consumerConfig(consumer, asked.Config.OptStartSeq))
	}()
}

// serve passes JetStream's answer on. Without one the follower asks again.
func (d *desk) serve(m *nats.Msg, stream string, cfg jetstream.ConsumerConfig) {
	request, err := json.Marshal(consumerRequest{stream, cfg, "create"})
	if err != nil {
		return
	}
	answer, err := d.link.conn.Request("$JS.API.CONSUMER.CREATE."+stream+"."+cfg.Name, request, requestTimeout)
	if err == nil {
		_ = m.Respond(answer.Data)
	}
}

// begin says whether one more request of a replica may be under way.
func (d *desk) begin(replica string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.all >= maxAsking || d.asked[replica] >= maxConsumers {
		return false
	}
	d.all++
	d.asked[replica]++
	return true
}

func (d *desk) end(replica string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.all--
	if d.asked[replica]--; d.asked[replica] == 0 {
		delete(d.asked, replica)
	}
}

// replicaOf returns whose a consumer of that name is.
func replicaOf(consumer string) (replica string, ok bool) {
	end := strings.LastIndexByte(consumer, '-')
	return consumer[:max(end, 0)], end > 0
}

// DropConsumers removes the consumers of replicas that are barred.
func (l *Link) DropConsumers(ctx context.Context, c identity.Cluster, barred func(replica string) bool) error {
	if !l.Connected() {
		return errDisconnected
	}
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	s, err := l.js.Stream(ctx, streamName(c))
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("look at stream %s: %w", streamName(c), err)
	}
	names := s.ConsumerNames(ctx)
	for name := range names.Name() {
		if replica, ok := replicaOf(name); !ok || !barred(replica) {
			continue
		}
		if gone := s.DeleteConsumer(ctx, name); gone != nil && !errors.Is(gone, jetstream.ErrConsumerNotFound) {
			err = errors.Join(err, fmt.Errorf("remove consumer %s: %w", name, gone))
		}
	}
	return errors.Join(err, names.Err())
}
