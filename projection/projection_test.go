package projection_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/writ-iam/writ/log/event"
	"github.com/writ-iam/writ/log/identity"
	"github.com/writ-iam/writ/projection"
)

func TestApplyPublishesWhole(t *testing.T) {
	h, first := begin(t, "i1")
	p := projection.New()
	if p.Head() != (event.Head{}) || p.View().Head.Position != 0 {
		t.Fatalf("a new projection is at %v", p.Head())
	}
	changed := p.Changed()
	more := h.must(t, h.user("alice"), h.user("bob"))
	if err := p.Apply(append([]*event.Batch{first}, more...)); err != nil {
		t.Fatal(err)
	}
	select {
	case <-changed:
	default:
		t.Error("nobody was told of the publication")
	}
	v := p.View()
	if v.Head != h.head || v.State.Digest() != h.state.Digest() || p.Head() != h.head {
		t.Errorf("the view is at %v with digest %v; the history at %v with %v", v.Head, v.State.Digest(), h.head, h.state.Digest())
	}
	if state, head := p.Snapshot(); state != v.State || head != v.Head {
		t.Error("the snapshot is not the view's")
	}
	if want := (event.Token{Cluster: cluster, Incarnation: "i1", Position: 3, Prefix: [8]byte(h.head.Hash[:8])}); v.Token() != want {
		t.Errorf("the token is %v, not %v", v.Token(), want)
	}
	older := v.State.Digest()
	if err := p.Apply(h.must(t, h.user("carol"))); err != nil {
		t.Fatal(err)
	}
	if v.State.Digest() != older || v.Head.Position != 3 {
		t.Error("a published view changed")
	}
	if err := p.Apply(nil); err != nil || p.Head() != h.head {
		t.Errorf("nothing to apply: %v, at %v", err, p.Head())
	}
}

func TestApplyRefusesOutOfOrder(t *testing.T) {
	h, first := begin(t, "i1")
	list := append([]*event.Batch{first}, h.must(t, h.user("a"), h.user("b"), h.user("c"))...)
	other, _ := begin(t, "i2")
	stranger := other.must(t, other.user("x"))
	for name, batches := range map[string][]*event.Batch{
		"again":             {list[0]},
		"a gap":             {list[2]},
		"a gap inside":      {list[1], list[3]},
		"backwards":         {list[2], list[1]},
		"of another hash":   stranger,
		"of another inside": {list[1], {Position: 3}},
	} {
		p := projection.New()
		if err := p.Apply(list[:1]); err != nil {
			t.Fatal(err)
		}
		if err := p.Apply(batches); !errors.Is(err, projection.ErrOutOfOrder) {
			t.Errorf("%s: %v", name, err)
		}
		if p.Head() != list[0].Head() || p.Err() != nil {
			t.Errorf("%s: at %v, %v", name, p.Head(), p.Err())
		}
		if err := p.Apply(list[1:]); err != nil || p.Head() != h.head {
			t.Errorf("%s: the right batches then: %v, at %v", name, err, p.Head())
		}
	}
}

func TestDivergenceStopsPublishing(t *testing.T) {
	h, first := begin(t, "i1")
	p := projection.New()
	if err := p.Apply([]*event.Batch{first}); err != nil {
		t.Fatal(err)
	}
	list := h.must(t, h.user("a"), h.user("b"), h.user("c"))
	wrong := *list[1]
	wrong.State[0]++
	waited := make(chan error, 1)
	changed := p.Changed()
	go func() { _, err := p.Wait(context.Background(), 3); waited <- err }()
	if err := p.Apply([]*event.Batch{list[0], &wrong}); !errors.Is(err, projection.ErrDiverged) {
		t.Fatalf("a wrong digest: %v", err)
	}
	if err := <-waited; !errors.Is(err, projection.ErrDiverged) {
		t.Errorf("who waited is told %v", err)
	}
	<-changed
	if p.Head() != first.Head() || !errors.Is(p.Err(), projection.ErrDiverged) {
		t.Errorf("at %v, %v", p.Head(), p.Err())
	}
	if err := p.Apply(list); !errors.Is(err, projection.ErrDiverged) {
		t.Errorf("the right batches after a divergence: %v", err)
	}
	if _, err := p.Wait(context.Background(), 2); !errors.Is(err, projection.ErrDiverged) {
		t.Errorf("a wait after the divergence: %v", err)
	}
	if v, err := p.Wait(context.Background(), 1); err != nil || v.Head.Position != 1 {
		t.Errorf("a wait for what was published: %v", err)
	}
	p.Restore(h.state.Snapshot(), h.head)
	if p.Err() != nil || p.Head() != h.head {
		t.Errorf("restored: at %v, %v", p.Head(), p.Err())
	}
	if err := p.Apply(h.must(t, h.user("d"))); err != nil {
		t.Errorf("after the restore: %v", err)
	}
}

func TestWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, first := begin(t, "i1")
		p := projection.New()
		var wg sync.WaitGroup
		wg.Go(func() {
			if v, err := p.Wait(t.Context(), 3); err != nil || v.Head.Position < 3 {
				t.Errorf("the wait for 3 ended with %v", err)
			}
		})
		ctx, cancel := context.WithCancel(t.Context())
		wg.Go(func() {
			if _, err := p.Wait(ctx, 99); !errors.Is(err, context.Canceled) {
				t.Errorf("the wait for 99 ended with %v", err)
			}
		})
		synctest.Wait()
		cancel()
		p.Adopt(h.state.Snapshot(), first.Head())
		synctest.Wait()
		h.must(t, h.user("a"))
		p.Adopt(h.state.Snapshot(), h.head)
		synctest.Wait()
		h.must(t, h.user("b"), h.user("c"))
		p.Adopt(h.state.Snapshot(), h.head) // past 3, never at it
		wg.Wait()
	})
}

func TestWaitToken(t *testing.T) {
	h, first := begin(t, "i1")
	p := projection.New()
	list := append([]*event.Batch{first}, h.must(t, h.user("a"), h.user("b"))...)
	if err := p.Apply(list); err != nil {
		t.Fatal(err)
	}
	token := func(change func(*event.Token)) event.Token {
		k := event.TokenOf(cluster, "i1", list[1].Head())
		change(&k)
		return k
	}
	for name, c := range map[string]struct {
		token event.Token
		want  error
	}{
		"reached":             {token(func(*event.Token) {}), nil},
		"another cluster":     {token(func(k *event.Token) { k.Cluster = "other" }), event.ErrWrongCluster},
		"another incarnation": {token(func(k *event.Token) { k.Incarnation = "i0" }), event.ErrWrongIncarnation},
		"another history":     {token(func(k *event.Token) { k.Prefix[7]++ }), projection.ErrTokenMismatch},
	} {
		if _, err := p.WaitToken(t.Context(), c.token); !errors.Is(err, c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := p.WaitToken(ctx, token(func(k *event.Token) { k.Position = 9 })); !errors.Is(err, context.Canceled) {
		t.Errorf("not reached: %v", err)
	}
}

// A replica that has just started knows no cluster: a token waits until it does.
func TestWaitTokenBeforeTheFirstState(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, _ := begin(t, "i1")
		h.must(t, h.user("a"))
		p := projection.New()
		answers := make(chan error, 2)
		for _, incarnation := range []string{"i1", "i0"} {
			go func() {
				_, err := p.WaitToken(t.Context(), event.TokenOf(cluster, incarnation, h.head))
				answers <- err
			}()
		}
		synctest.Wait()
		select {
		case err := <-answers:
			t.Fatalf("answered with no state: %v", err)
		default:
		}
		p.Restore(h.state.Snapshot(), h.head)
		if a, b := <-answers, <-answers; (a == nil) == (b == nil) || !errors.Is(errors.Join(a, b), event.ErrWrongIncarnation) {
			t.Errorf("answers are %v and %v", a, b)
		}
	})
}

// Restore may lead to another history: neither old views nor new ones see anything
// of the other, though positions and identifiers are the same.
func TestRestoreForgetsTheOldHistory(t *testing.T) {
	p := projection.New()
	views := map[string]*projection.View{}
	for incarnation, document := range map[string]string{"i1": allow("s3:Get"), "i2": deny("s3:Get")} {
		h, _ := begin(t, incarnation)
		h.must(t, h.user("u"), inline(identity.KindUser, "u", "p", document))
		p.Restore(h.state.Snapshot(), h.head)
		views[incarnation] = p.View()
		ask(p.View(), userARN("u"), "s3:Get")
	}
	for range 2 {
		if got := ask(views["i1"], userARN("u"), "s3:Get"); got != "allow" {
			t.Errorf("the first history says %s", got)
		}
		if got := ask(views["i2"], userARN("u"), "s3:Get"); got != "explicitDeny" {
			t.Errorf("the second history says %s", got)
		}
	}
}
