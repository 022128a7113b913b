package node

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/writ-iam/writ/log/event"
)

// A batch is vouched for by a writer of this cluster, by a certificate that is good
// now, over just this batch, and by nothing else.
func TestVouchers(t *testing.T) {
	i, c := newIdentities(t)
	base := event.SignedBatch{Cluster: c.ID, Incarnation: "i", Head: event.Head{Position: 7, Hash: event.Hash{1}}}
	by := func(p *peerTLS) event.SignedBatch {
		b := base
		if err := p.signBatch(&b); err != nil {
			t.Fatal(err)
		}
		return b
	}
	but := func(change func(*event.SignedBatch)) event.SignedBatch {
		b := by(i.writer)
		change(&b)
		return b
	}
	head := event.SignedHead{Cluster: c.ID, Incarnation: "i", Position: 7, Hash: event.Hash{1}}
	if err := i.writer.sign(&head); err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	v := newVouchers(i.writer, func() time.Time { return now })
	for name, x := range map[string]struct {
		b    event.SignedBatch
		want string
	}{
		"a writer":            {by(i.writer), ""},
		"a replica":           {by(i.replica), "replica-1 is no writer"},
		"a former writer":     {by(i.former), "the configuration has no writer writer-9"},
		"another cluster":     {by(i.sameAuthority), "is for cluster [another cluster]"},
		"another authority":   {by(i.otherAuthority), "unknown authority"},
		"an old certificate":  {by(i.expired), "expired"},
		"another position":    {but(func(b *event.SignedBatch) { b.Position++ }), "the signature of writer-1"},
		"another hash":        {but(func(b *event.SignedBatch) { b.Hash[0]++ }), "the signature of writer-1"},
		"another incarnation": {but(func(b *event.SignedBatch) { b.Incarnation = "j" }), "the signature of writer-1"},
		"of another cluster":  {but(func(b *event.SignedBatch) { b.Cluster = "other" }), "the signature of writer-1"},
		"a replica's word under a writer's certificate": {but(func(b *event.SignedBatch) { b.Signature = by(i.replica).Signature }), "the signature of writer-1"},
		"a signed head":  {but(func(b *event.SignedBatch) { b.Signature = head.Signature }), "the signature of writer-1"},
		"no signature":   {but(func(b *event.SignedBatch) { b.Signature = nil }), "the signature of writer-1"},
		"no certificate": {but(func(b *event.SignedBatch) { b.Certificate = nil }), "read the signer's certificate"},
	} {
		for range 2 { // verified anew, and remembered
			err := v.vouched(&x.b)
			if x.want == "" && err != nil || x.want != "" && (!errors.Is(err, ErrNotAPeer) || !strings.Contains(err.Error(), x.want)) {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
	if len(v.known) != 1 {
		t.Errorf("%d certificates are remembered", len(v.known))
	}
	b := by(i.writer)
	now = i.writer.cert.Load().Leaf.NotAfter.Add(time.Second)
	if err := v.vouched(&b); !errors.Is(err, ErrNotAPeer) || !strings.Contains(err.Error(), "expired") {
		t.Errorf("after it expired: %v", err)
	}
}

// Writers renew their certificates; no number of them is remembered without bound.
func TestVouchersAreBounded(t *testing.T) {
	i, c := newIdentities(t)
	v := newVouchers(i.writer, time.Now)
	for n := range 2*maxVouchers + 1 {
		b := event.SignedBatch{Cluster: c.ID, Incarnation: "i", Head: event.Head{Position: event.Position(n)}}
		renewed := i.renewed()
		if err := renewed.signBatch(&b); err != nil {
			t.Fatal(err)
		}
		if err := v.vouched(&b); err != nil {
			t.Fatal(err)
		}
		if len(v.known) > maxVouchers {
			t.Fatalf("%d certificates are remembered", len(v.known))
		}
	}
}

func BenchmarkVouching(b *testing.B) {
	i, c := newIdentities(b)
	s := event.SignedBatch{Cluster: c.ID, Incarnation: "i", Head: event.Head{Position: 7, Hash: event.Hash{1}}}
	b.Run("sign", func(b *testing.B) {
		for b.Loop() {
			if err := i.writer.signBatch(&s); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("verify", func(b *testing.B) {
		v := newVouchers(i.writer, time.Now)
		if err := i.writer.signBatch(&s); err != nil {
			b.Fatal(err)
		}
		for b.Loop() {
			if err := v.vouched(&s); err != nil {
				b.Fatal(err)
			}
		}
	})
}
