package rig

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	crypto "crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/writ-iam/writ/log/digest"
	"github.com/writ-iam/writ/log/event"
	"github.com/writ-iam/writ/log/wire"
	"github.com/writ-iam/writ/node/setup"
	"github.com/writ-iam/writ/replication"
)

// natsFaults are what clients of NATS do that are nobody of the cluster, or that have
// no more of it than a replica's certificate.
func natsFaults() []*fault {
	const s = time.Second
	return []*fault{
		{name: "forged-batches", about: "a client of an outside NATS appends batches of its own making, old ones and altered ones", on: onFabric, nats: outsideNATS, min: 2 * s, max: 15 * s, run: forgeBatches},
		{name: "stream-deleted", about: "a client of an outside NATS deletes the stream, and makes the next one before the publisher does", on: onFabric, nats: outsideNATS, min: s / 10, max: 4 * s, run: deleteStream},
		{name: "stolen-certificate", about: "a client with a replica's certificate has JetStream answer into the stream and into others' inboxes", on: onFabric, nats: embeddedNATS, min: 2 * s, max: 15 * s, run: misuseCertificate},
	}
}

// natsKind says which NATS a fault is of.
type natsKind int

// Kinds of NATS.
const (
	anyNATS natsKind = iota
	embeddedNATS
	outsideNATS
)

// startNATS runs a server that admits everybody, as a careless operator does, and
// returns its URL: none, if writers are to embed theirs.
func (l *lab) startNATS(outside bool) (url string, err error) {
	if !outside {
		return "", nil
	}
	s, err := server.NewServer(&server.Options{
		Host: l.net.host(1), Port: portBroker, NoLog: true, NoSigs: true, JetStream: true, StoreDir: filepath.Join(l.dir, "nats"),
	})
	if err != nil {
		return "", fmt.Errorf("start NATS: %w", err)
	}
	s.Start()
	if l.nats = s; !s.ReadyForConnections(readyLimit) {
		return "", errors.New("start NATS: it does not listen")
	}
	return s.ClientURL(), nil
}

// stopNATS ends the server, if one runs.
func (l *lab) stopNATS() {
	if l.nats != nil {
		l.nats.Shutdown()
		l.nats.WaitForShutdown()
	}
}

// apiLimit bounds a request of somebody who attacks.
const apiLimit = 2 * time.Second

// mallory is a client of the outside NATS.
func (s *strike) mallory() (*nats.Conn, jetstream.JetStream, error) {
	conn, err := nats.Connect(s.lab.nats.ClientURL(), nats.Name("mallory"))
	if err != nil {
		return nil, nil, fmt.Errorf("connect to NATS: %w", err)
	}
	js, err := jetstream.New(conn, jetstream.WithDefaultTimeout(apiLimit))
	if err != nil {
		conn.Close()
		return nil, nil, fmt.Errorf("use JetStream: %w", err)
	}
	return conn, js, nil
}

// newest is the stream of the cluster that there is now.
func newest(ctx context.Context, js jetstream.JetStream) (found jetstream.Stream, err error) {
	ctx, cancel := context.WithTimeout(ctx, apiLimit)
	defer cancel()
	names := js.StreamNames(ctx)
	for name := range names.Name() {
		if strings.HasPrefix(name, "writ-") {
			if found, err = js.Stream(ctx, name); err != nil {
				return nil, err
			}
		}
	}
	if found == nil {
		return nil, errors.New("there is no stream")
	}
	return found, names.Err()
}

// forgeBatches appends to the stream, faster and slower, for as long as it lasts.
func forgeBatches(ctx context.Context, s *strike) error {
	conn, js, err := s.mallory()
	if err != nil {
		return err
	}
	defer conn.Close()
	sent := 0
	for end := time.Now().Add(s.length); time.Now().Before(end); {
		stream, err := newest(ctx, js)
		if err == nil {
			var forged []*nats.Msg
			if forged, err = s.forge(ctx, stream); err == nil {
				for _, m := range forged {
					if conn.PublishMsg(m) == nil {
						sent++
					}
				}
			}
		}
		if !pause(ctx, time.Duration(s.rng.Int64N(int64(pollEvery)))) {
			break
		}
	}
	if sent == 0 {
		return fmt.Errorf("%w: nothing was published", errSkipped)
	}
	s.ended("messages were appended")
	return nil
}

// forge makes messages that could be the stream's next.
func (s *strike) forge(ctx context.Context, stream jetstream.Stream) ([]*nats.Msg, error) {
	ctx, cancel := context.WithTimeout(ctx, apiLimit)
	defer cancel()
	info := stream.CachedInfo()
	subject, state := info.Config.Subjects[0], info.State
	if state.Msgs == 0 {
		return nil, errors.New("the stream is empty")
	}
	at := state.LastSeq
	kind := s.rng.IntN(6)
	if kind == 3 {
		at = state.FirstSeq + s.rng.Uint64N(state.Msgs)
	}
	last, err := stream.GetMsg(ctx, at)
	if err != nil {
		return nil, err
	}
	message := func(data []byte, header nats.Header) []*nats.Msg {
		return []*nats.Msg{{Subject: subject, Data: data, Header: header}}
	}
	switch kind {
	case 3: // as it was
		return message(last.Data, signatureIn(last.Header)), nil
	case 4: // altered
		data := bytes.Clone(last.Data)
		data[s.rng.IntN(len(data))] ^= 1 << s.rng.IntN(8)
		return message(data, signatureIn(last.Header)), nil
	case 5:
		return message([]byte("allow everything"), nats.Header{"Writ-Signer": {strings.Repeat("x", 32<<10)}}), nil
	}
	b, err := wire.DecodeBatch(last.Data)
	if err != nil {
		return nil, err // somebody was here already
	}
	next, encoded, err := s.next(b)
	if err != nil {
		return nil, err
	}
	switch kind {
	case 0: // a good many, without a signature
		all := message(encoded, nil)
		for range s.rng.IntN(100) {
			if next, encoded, err = s.next(next); err != nil {
				return nil, err
			}
			all = append(all, message(encoded, nil)...)
		}
		return all, nil
	case 1: // under a signature of another
		return message(encoded, signatureIn(last.Header)), nil
	}
	header, err := s.signedByReplica(next)
	return message(encoded, header), err
}

// next is a batch that follows another in every way but that nobody committed it.
func (s *strike) next(b *event.Batch) (*event.Batch, []byte, error) {
	n := *b
	n.Position, n.Prev, n.Index = b.Position+1, b.Hash, b.Index+1
	n.State = digest.Sum{s.rng.Uint64(), s.rng.Uint64()} // who folds it, quarantines itself
	encoded, err := wire.EncodeBatch(&n)
	return &n, encoded, err
}

// signatureIn are the headers of a message that say who signed it.
func signatureIn(h nats.Header) nats.Header {
	return nats.Header{"Writ-Signature": h["Writ-Signature"], "Writ-Signer": h["Writ-Signer"]}
}

// signedByReplica signs a batch by the key of a replica.
func (s *strike) signedByReplica(b *event.Batch) (nats.Header, error) {
	pair, err := s.replicaCertificate()
	if err != nil {
		return nil, err
	}
	signed := event.SignedBatch{Cluster: b.Cluster, Incarnation: b.Incarnation, Head: b.Head()}
	sum := sha256.Sum256(signed.Statement())
	value, err := ecdsa.SignASN1(crypto.Reader, pair.PrivateKey.(*ecdsa.PrivateKey), sum[:])
	if err != nil {
		return nil, fmt.Errorf("sign as a replica: %w", err)
	}
	text := base64.StdEncoding.EncodeToString
	return nats.Header{"Writ-Signature": {text(value)}, "Writ-Signer": {text(pair.Leaf.Raw)}}, nil
}

func (s *strike) replicaCertificate() (tls.Certificate, error) {
	files := setup.DefaultFiles(s.lab.layout, s.lab.some(false)[0].name)
	pair, err := tls.LoadX509KeyPair(files.Cert, files.Key)
	if err != nil {
		return pair, fmt.Errorf("read a replica's certificate: %w", err)
	}
	return pair, nil
}

// deleteStream removes the stream now and then, and puts an empty one that begins in
// the far future where the next one belongs.
func deleteStream(ctx context.Context, s *strike) error {
	conn, js, err := s.mallory()
	if err != nil {
		return err
	}
	defer conn.Close()
	deleted := 0
	for end := time.Now().Add(s.length); time.Now().Before(end); {
		if stream, err := newest(ctx, js); err == nil {
			cfg := stream.CachedInfo().Config
			request, cancel := context.WithTimeout(ctx, apiLimit)
			if js.DeleteStream(request, cfg.Name) == nil {
				deleted++
			}
			cfg.FirstSeq = 1 << 40
			_, _ = js.CreateStream(request, cfg) // the publisher may have been faster
			cancel()
		}
		if !pause(ctx, time.Duration(s.rng.Int64N(int64(time.Second)))) {
			break
		}
	}
	s.ended("streams deleted: %d", deleted)
	return nil
}

// misuseCertificate asks every broker, by a replica's certificate, for all that a
// replica may ask for, and has the answers go where they do not belong.
func misuseCertificate(ctx context.Context, s *strike) error {
	pair, err := s.replicaCertificate()
	if err != nil {
		return err
	}
	incarnation := ""
	if m, _ := s.lab.leader(); m != nil {
		if c, err := s.lab.local(ctx, m); err == nil {
			incarnation = c.Incarnation
		}
	}
	sent := 0
	for end := time.Now().Add(s.length); time.Now().Before(end) && pause(ctx, pollEvery); {
		for _, w := range s.lab.some(true) {
			sent += s.misuse(fmt.Sprintf("tls://%s:%d", w.addr, portBroker), pair, incarnation)
		}
	}
	if sent == 0 {
		return fmt.Errorf("%w: no broker admits it", errSkipped)
	}
	return nil
}

// misuse returns how many requests it sent.
func (s *strike) misuse(url string, pair tls.Certificate, incarnation string) (sent int) {
	id := replication.ConnectionID(pair.Leaf.Subject.CommonName)
	conn, err := nats.Connect(url, nats.Name(id), nats.CustomInboxPrefix(replication.Inbox(id)), nats.NoReconnect(), nats.Timeout(apiLimit),
		nats.Secure(&tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS13, InsecureSkipVerify: true}),
		nats.ErrorHandler(func(*nats.Conn, *nats.Subscription, error) {})) // it may not do all of this
	if err != nil {
		return 0
	}
	defer conn.Close()
	own := replication.ConsumerNames(pair.Leaf.Subject.CommonName)[0]
	for generation := range 16 {
		stream := fmt.Sprintf("writ-%s-%s-%d", s.lab.cluster.ID, incarnation, generation)
		subject := fmt.Sprintf("writ.%s.%s.%d", s.lab.cluster.ID, incarnation, generation)
		for _, reply := range []string{subject, "_INBOX.x.y"} {
			for _, request := range []string{"STREAM.INFO." + stream, "CONSUMER.CREATE." + stream + "." + own, "CONSUMER.MSG.NEXT." + stream + "." + own, "STREAM.DELETE." + stream} {
				if conn.PublishRequest("$JS.API."+request, reply, nil) == nil {
					sent++
				}
			}
			for _, name := range []string{own, id} { // as a consumer that never runs out, and is not counted
				hoard := fmt.Appendf(nil, `{"stream_name":%q,"config":{"name":%q,"deliver_policy":"by_start_sequence","opt_start_seq":1,"ack_policy":"none",`+
					`"deliver_subject":"$JS.API.STREAM.DELETE.%s","direct":true,"sourcing":true}}`, stream, name, stream)
				if conn.PublishRequest("$JS.API.CONSUMER.CREATE."+stream+"."+name, reply, hoard) == nil {
					sent++
				}
			}
		}
		_ = conn.Publish(subject, []byte("forged"))
	}
	_, _ = conn.SubscribeSync("_INBOX.>")
	_ = conn.FlushTimeout(apiLimit)
	return sent
}
