package network

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// pair makes a network of two machines and a connection between them.
func connected(t *testing.T, n *Network) (near, far net.Conn) {
	t.Helper()
	a, b := n.Attach("a"), n.Attach("b")
	l, err := b.Listen(":80")
	if err != nil {
		t.Fatal(err)
	}
	if near, err = a.Dial(t.Context(), "b:80"); err != nil {
		t.Fatal(err)
	}
	if far, err = l.Accept(); err != nil {
		t.Fatal(err)
	}
	return near, far
}

// in runs a test with a fresh network in a bubble.
func in(t *testing.T, test func(t *testing.T, n *Network)) {
	synctest.Test(t, func(t *testing.T) { test(t, New(1)) })
}

// took says how long f takes.
func took(f func()) time.Duration {
	begun := time.Now()
	f()
	return time.Since(begun)
}

func mustRead(t *testing.T, c net.Conn, want string) {
	t.Helper()
	got := make([]byte, len(want))
	if _, err := io.ReadFull(c, got); err != nil || string(got) != want {
		t.Fatalf("read %q, %v; want %q", got, err, want)
	}
}

func mustWrite(t *testing.T, c net.Conn, text string) {
	t.Helper()
	if _, err := c.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
}

func TestCarriesBytesInOrderAndTime(t *testing.T) {
	in(t, func(t *testing.T, n *Network) {
		near, far := connected(t, n)
		n.Shape("a", "b", Shape{Delay: time.Second})
		if d := took(func() { mustWrite(t, near, "one"); mustWrite(t, near, "two"); mustRead(t, far, "onetwo") }); d != time.Second {
			t.Errorf("it took %v", d)
		}
		n.Shape("a", "b", Shape{Rate: 10})
		if d := took(func() {
			mustWrite(t, near, "0123456789")
			mustWrite(t, near, "0123456789")
			mustRead(t, far, "01234567890123456789")
		}); d != 2*time.Second {
			t.Errorf("20 bytes took %v at 10 a second", d)
		}
		mustWrite(t, far, "back")
		mustRead(t, near, "back")
		if err := near.Close(); err != nil {
			t.Error(err)
		}
		if k, err := far.Read(make([]byte, 1)); k != 0 || !errors.Is(err, io.EOF) {
			t.Errorf("read %d, %v after the end", k, err)
		}
		mustWrite(t, far, "nobody reads this")
		time.Sleep(time.Second)
		if _, err := far.Write([]byte("x")); !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("write to nobody: %v", err)
		}
		if _, err := near.Read(nil); !errors.Is(err, net.ErrClosed) {
			t.Errorf("read a closed end: %v", err)
		}
	})
}

func TestDeadlines(t *testing.T) {
	in(t, func(t *testing.T, n *Network) {
		near, far := connected(t, n)
		near.SetDeadline(time.Now().Add(time.Minute))
		var err error
		if d := took(func() { _, err = near.Read(make([]byte, 1)) }); d != time.Minute || !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("read %v after %v", err, d)
		}
		if _, err := near.Write([]byte("x")); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("write: %v", err)
		}
		near.SetDeadline(time.Time{})
		go func() {
			time.Sleep(time.Second)
			far.SetReadDeadline(time.Unix(1, 0)) // as net/http wakes a reader
		}()
		if d := took(func() { _, err = far.Read(make([]byte, 1)) }); d != time.Second || !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("read %v after %v", err, d)
		}
		var timeout net.Error
		if !errors.As(err, &timeout) || !timeout.Timeout() {
			t.Errorf("%v is no timeout", err)
		}
	})
}

// A writer waits while too much is under way, and goes on as the other end reads.
func TestBuffersAreBounded(t *testing.T) {
	in(t, func(t *testing.T, n *Network) {
		near, far := connected(t, n)
		sent := bytes.Repeat([]byte("x"), 4*bufferSize)
		wrote := make(chan struct{})
		go func() {
			defer close(wrote)
			for piece := range 8 {
				near.Write(sent[piece*len(sent)/8 : (piece+1)*len(sent)/8])
			}
			near.Close()
		}()
		time.Sleep(time.Hour)
		select {
		case <-wrote:
			t.Error("the writer did not wait")
		default:
		}
		got, err := io.ReadAll(far)
		if err != nil || len(got) != len(sent) {
			t.Errorf("read %d of %d bytes, %v", len(got), len(sent), err)
		}
	})
}

// A cut stops one direction and loses nothing.
func TestCut(t *testing.T) {
	in(t, func(t *testing.T, n *Network) {
		near, far := connected(t, n)
		n.Cut("a", "b")
		mustWrite(t, near, "late")
		mustWrite(t, far, "in time")
		if d := took(func() { mustRead(t, near, "in time") }); d > time.Millisecond {
			t.Errorf("the way back took %v", d)
		}
		go func() {
			time.Sleep(time.Hour)
			n.Mend("a", "b")
		}()
		if d := took(func() { mustRead(t, far, "late") }); d != time.Hour {
			t.Errorf("the way there took %v", d)
		}
		n.Freeze("b")
		mustWrite(t, far, "frozen")
		go func() {
			time.Sleep(time.Minute)
			n.Thaw("b")
		}()
		if d := took(func() { mustRead(t, near, "frozen") }); d != time.Minute {
			t.Errorf("a frozen machine's words took %v", d)
		}
	})
}

func TestDial(t *testing.T) {
	in(t, func(t *testing.T, n *Network) {
		a, b := n.Attach("a"), n.Attach("b")
		l, err := b.Listen(":80")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := b.Listen("b:80"); !errors.Is(err, syscall.EADDRINUSE) {
			t.Errorf("listen twice: %v", err)
		}
		if _, err := a.Dial(t.Context(), "b:81"); !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("dial where nobody listens: %v", err)
		}
		n.Cut("b", "a")
		if d := took(func() { _, err = a.Dial(t.Context(), "b:80") }); d != dialTimeout || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("dial over a cut: %v after %v", err, d)
		}
		n.Mend("b", "a")
		b.Detach(true)
		if d := took(func() { _, err = a.Dial(t.Context(), "b:80") }); d != dialTimeout || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("dial a machine that is gone: %v after %v", err, d)
		}
		if _, err := l.Accept(); !errors.Is(err, net.ErrClosed) {
			t.Errorf("accept after the end: %v", err)
		}
		if _, err := b.Dial(t.Context(), "a:1"); !errors.Is(err, syscall.ENETDOWN) {
			t.Errorf("dial from a machine that is gone: %v", err)
		}
		n.Attach("b").Detach(false)
		if _, err := a.Dial(t.Context(), "b:80"); !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("dial a machine whose process has ended: %v", err)
		}
	})
}

// The other end of a connection learns of a process' end, but of a machine's only
// when it writes to the machine's next life.
func TestDetach(t *testing.T) {
	in(t, func(t *testing.T, n *Network) {
		near, far := connected(t, n)
		n.hosts["b"].Detach(false)
		if _, err := near.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("read from a process that has ended: %v", err)
		}
		if _, err := far.Write([]byte("x")); !errors.Is(err, net.ErrClosed) {
			t.Errorf("write by a process that has ended: %v", err)
		}
	})
	in(t, func(t *testing.T, n *Network) {
		near, _ := connected(t, n)
		n.hosts["b"].Detach(true)
		mustWrite(t, near, "into the dark")
		near.SetReadDeadline(time.Now().Add(time.Hour))
		if _, err := near.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("read from a machine that is gone: %v", err)
		}
		n.Attach("b")
		near.SetReadDeadline(time.Time{})
		mustWrite(t, near, "who are you?")
		if _, err := near.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("read from a machine's next life: %v", err)
		}
	})
}

func TestReset(t *testing.T) {
	in(t, func(t *testing.T, n *Network) {
		near, far := connected(t, n)
		broken := make(chan error, 1)
		go func() {
			_, err := far.Read(make([]byte, 1))
			broken <- err
		}()
		synctest.Wait()
		if k := n.Reset("b", "a"); k != 1 {
			t.Errorf("%d connections were reset", k)
		}
		if _, err := near.Write([]byte("x")); !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("write: %v", err)
		}
		if err := <-broken; !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("read: %v", err)
		}
	})
}
