package wire

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"hash/maphash"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/writ-iam/writ/log/event"
	"github.com/writ-iam/writ/log/identity"
	"pgregory.net/rapid"
)

func TestEveryCommandComesBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		for _, content := range everyCommand() {
			want := drawn(t).command(content)
			b, err := EncodeCommand(want)
			if err != nil {
				t.Fatal(err)
			}
			got, err := DecodeCommand(b)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Fatalf("%T differs: %s", content, diff)
			}
			again, err := EncodeCommand(got)
			if err != nil || !bytes.Equal(b, again) {
				t.Fatalf("%T: other bytes for an equal value: %v", content, err)
			}
		}
	})
}

func TestEveryEventComesBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := drawn(t).batch(everyEvent()...)
		b, err := EncodeBatch(want)
		if err != nil {
			t.Fatal(err)
		}
		got, err := DecodeBatch(b)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("batch differs: %s", diff)
		}
		head, prev, err := PeekBatch(b)
		if err != nil || head != want.Head() || prev != want.Prev {
			t.Fatalf("peek: %v %v %v", head, prev, err)
		}
		header, err := BatchHeader(b)
		if err != nil || sha256.Sum256(header) != want.Hash {
			t.Fatalf("header of %d bytes: %v", len(header), err)
		}
		bare := *want
		bare.Events = nil
		if got, err := DecodeHeader(header); err != nil || !reflect.DeepEqual(got, &bare) {
			t.Fatalf("header: %+v, %v", got, err)
		}
		again, err := EncodeBatch(got)
		if err != nil || !bytes.Equal(b, again) {
			t.Fatalf("other bytes for an equal batch: %v", err)
		}
	})
}

func TestEveryRecordComesBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		for _, want := range everyRecord() {
			drawn(t).fill(reflect.ValueOf(want).Elem())
			w := writer()
			w.record(want)
			if err := w.done(); err != nil {
				t.Fatal(err)
			}
			r := reader(w.out.Bytes())
			got := r.readRecord()
			if err := r.done(); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Fatalf("%T differs: %s", want, diff)
			}
		}
	})
}

// Whatever has a decide or an evolve method in log/identity must have a number here.
func TestNoKindIsMissing(t *testing.T) {
	have := map[string]bool{}
	for _, v := range everyCommand() {
		have["decide "+reflect.TypeOf(v).Elem().Name()] = true
	}
	for _, v := range everyEvent() {
		have["evolve "+reflect.TypeOf(v).Elem().Name()] = true
	}
	for _, v := range everyRecord() {
		have["appendDigest "+reflect.TypeOf(v).Elem().Name()] = true
	}
	have["appendDigest Cluster"], have["appendDigest Catalogue"] = true, true // parts of the header
	files, err := filepath.Glob("../identity/*.go")
	if err != nil || len(files) == 0 {
		t.Fatalf("no sources: %v", err)
	}
	for _, file := range files {
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range parsed.Decls {
			f, ok := d.(*ast.FuncDecl)
			if !ok || f.Recv == nil || strings.HasSuffix(file, "_test.go") {
				continue
			}
			star, ok := f.Recv.List[0].Type.(*ast.StarExpr)
			if !ok {
				continue
			}
			receiver, ok := star.X.(*ast.Ident)
			switch name := f.Name.Name; {
			case !ok:
			case (name == "decide" || name == "evolve" || name == "appendDigest") && !have[name+" "+receiver.Name]:
				t.Errorf("%s has no number in the tables of log/wire", receiver.Name)
			}
		}
	}
}

func TestAnyChangedByteIsNoticed(t *testing.T) {
	user := identity.UserCreated{}
	batch, err := EncodeBatch(counting().batch(&user, &identity.UserAddedToGroup{}))
	if err != nil {
		t.Fatal(err)
	}
	command, err := EncodeCommand(counting().command(&identity.CreateUser{}))
	if err != nil {
		t.Fatal(err)
	}
	mark, err := EncodeFence(&Fence{Term: 3, Head: event.Head{Position: 7}, Floor: 5})
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		bytes  []byte
		decode func([]byte) error
	}{
		"batch":   {batch, func(b []byte) error { _, err := DecodeBatch(b); return err }},
		"peek":    {batch, func(b []byte) error { _, _, err := PeekBatch(b); return err }},
		"command": {command, func(b []byte) error { _, err := DecodeCommand(b); return err }},
		"mark":    {mark, func(b []byte) error { _, err := DecodeFence(b); return err }},
	} {
		t.Run(name, func(t *testing.T) {
			if err := c.decode(c.bytes); err != nil {
				t.Fatal(err)
			}
			for i := range c.bytes {
				changed := bytes.Clone(c.bytes)
				changed[i] ^= 0x10
				if err := c.decode(changed); !errors.Is(err, ErrCorrupt) {
					t.Fatalf("byte %d changed: %v", i, err)
				}
				if err := c.decode(c.bytes[:i]); !errors.Is(err, ErrCorrupt) {
					t.Fatalf("cut at byte %d: %v", i, err)
				}
			}
		})
	}
}

func TestUnknownKindStops(t *testing.T) {
	seal := func(c *coder) []byte {
		b, err := c.sealed()
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	later := writer()
	format, number, version := formatCommand, uint64(11), uint64(99)
	num(later, &format)
	later.envelope(format, &event.Command{})
	num(later, &number)
	num(later, &version)
	var unknown *UnknownError
	if _, err := DecodeCommand(seal(later)); !errors.As(err, &unknown) || *unknown != (UnknownError{"command", 11, 99}) {
		t.Errorf("later version of a command: %v", err)
	}
	format = 77
	other := writer()
	num(other, &format)
	if _, err := DecodeCommand(seal(other)); !errors.As(err, &unknown) || unknown.What != "command format" {
		t.Errorf("later format of a command: %v", err)
	}
	way := writer()
	format = formatCommand
	num(way, &format)
	way.envelope(format, &event.Command{Relies: []identity.Reliance{{Lookup: identity.Lookup{By: identity.ByContent + 1}}}})
	if way.err == nil {
		t.Error("a reliance of a later release is written")
	}
	way.err = nil
	if _, err := DecodeCommand(seal(way)); !errors.As(err, &unknown) || unknown.What != "reliance" {
		t.Errorf("later way to look a target up: %v", err)
	}
	if _, err := DecodeBatch(batchOf(t, entry{number: 4000, version: 1}, nil)); !errors.As(err, &unknown) || *unknown != (UnknownError{"event", 4000, 1}) {
		t.Errorf("unknown event: %v", err)
	}
}

// batchOf returns a sound batch of one event that no build writes.
func batchOf(t *testing.T, e entry, payload []byte) []byte {
	t.Helper()
	h := writer()
	h.fields(&event.Batch{Position: 9})
	list(h, &[]entry{e}, (*coder).entry)
	hash := sha256.Sum256(h.out.Bytes())
	w, n := writer(), 1
	w.bin(h.out.Bytes())
	w.bin(hash[:])
	w.length(&n)
	if payload == nil {
		w.check(w.enc.EncodeNil())
	} else {
		w.bin(payload)
	}
	if err := w.done(); err != nil {
		t.Fatal(err)
	}
	return w.out.Bytes()
}

func TestErasedPayloadKeepsTheChain(t *testing.T) {
	b := batchOf(t, entry{number: 11, version: 1, sum: sha256.Sum256([]byte("gone"))}, nil)
	if head, _, err := PeekBatch(b); err != nil || head.Position != 9 {
		t.Errorf("peek: %v, %v", head, err)
	}
	if _, err := DecodeBatch(b); !errors.Is(err, ErrShredded) {
		t.Errorf("decode: %v", err)
	}
	header, err := BatchHeader(b)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := DecodeHeader(header); err != nil || got.Position != 9 || got.Hash != sha256.Sum256(header) {
		t.Errorf("header: %+v, %v", got, err)
	}
	b[len(b)/2]++
	if _, err := BatchHeader(b); !errors.Is(err, ErrCorrupt) {
		t.Errorf("header of a damaged batch: %v", err)
	}
}

// By whom a command was handed on is in its batch, and in the batch's hash.
func TestRelayed(t *testing.T) {
	cmd := counting().command(&identity.DeleteUser{})
	batch := counting().batch(&identity.UserDeleted{})
	if _, err := EncodeBatch(batch); err != nil {
		t.Fatal(err)
	}
	direct := batch.Hash
	cmd.Cause.Via, batch.Cause.Via = "replica-1", "replica-1"
	b, err := EncodeCommand(cmd)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := DecodeCommand(b); err != nil || !cmp.Equal(got, cmd) {
		t.Errorf("the command comes back as %+v, %v", got, err)
	}
	if b, err = EncodeBatch(batch); err != nil {
		t.Fatal(err)
	}
	if got, err := DecodeBatch(b); err != nil || !cmp.Equal(got, batch) || got.Hash == direct {
		t.Errorf("the batch comes back as %+v, %v", got, err)
	}
	c := writer()
	defer c.release()
	if c.envelope(formatRelayed, &event.Command{}); c.err == nil {
		t.Error("a relayed command without a relay is written")
	}
}

// The rules that a command is decided by are in it, in its batch, and in the batch's
// hash. What this build has no rules for is not decided.
func TestRuled(t *testing.T) {
	for _, via := range []string{"", "replica-1"} {
		cmd := counting().command(&identity.DeleteUser{})
		batch := counting().batch(&identity.UserDeleted{})
		cmd.Cause.Via, batch.Cause.Via = via, via
		if _, err := EncodeBatch(batch); err != nil {
			t.Fatal(err)
		}
		without := batch.Hash
		cmd.Cause.Rules, batch.Cause.Rules = identity.BoundedRules, identity.BoundedRules
		b, err := EncodeCommand(cmd)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := DecodeCommand(b); err != nil || !cmp.Equal(got, cmd) {
			t.Errorf("the command comes back as %+v, %v", got, err)
		}
		if b, err = EncodeBatch(batch); err != nil {
			t.Fatal(err)
		}
		if got, err := DecodeBatch(b); err != nil || !cmp.Equal(got, batch) || got.Hash == without {
			t.Errorf("the batch comes back as %+v, %v", got, err)
		}
	}
	cmd := counting().command(&identity.DeleteUser{})
	cmd.Cause.Rules = identity.CurrentRules + 1
	var unknown *UnknownError
	if _, err := EncodeCommand(cmd); !errors.As(err, &unknown) {
		t.Errorf("a command by rules of the future: %v", err)
	}
	c := writer()
	defer c.release()
	if c.envelope(formatRuled, &event.Command{}); c.err == nil {
		t.Error("a command that names no rules is written as one that does")
	}
}

// The session that a command is by is in it, in its batch, and in the batch's hash.
func TestBySession(t *testing.T) {
	cmd := counting().command(&identity.DeleteUser{})
	batch := counting().batch(&identity.UserDeleted{})
	cmd.Cause.Rules, batch.Cause.Rules = identity.LevelRules, identity.LevelRules
	if _, err := EncodeBatch(batch); err != nil {
		t.Fatal(err)
	}
	without := batch.Hash
	by := identity.Session{Key: 7, Minted: 5, Issued: 3, Until: 9}
	for _, origin := range []identity.Origin{{}, {Account: "1", Principal: "AIDA1", Key: "AKIA1", Began: 2}, {Account: "1", Principal: "AROA1"}} {
		by.Origin = origin
		bySession(t, cmd, batch, by, without)
	}
	c := writer()
	defer c.release()
	if c.session(&identity.Session{}); c.err == nil {
		t.Error("a session that is none is written")
	}
	c.err = nil
	if c.origin(&identity.Origin{}); c.err == nil {
		t.Error("a chain that began nowhere is written")
	}
}

func bySession(t *testing.T, cmd *event.Command, batch *event.Batch, by identity.Session, without event.Hash) {
	t.Helper()
	cmd.Cause.By.Session, batch.Cause.By.Session = by, by
	b, err := EncodeCommand(cmd)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := DecodeCommand(b); err != nil || !cmp.Equal(got, cmd) {
		t.Errorf("the command comes back as %+v, %v", got, err)
	}
	if b, err = EncodeBatch(batch); err != nil {
		t.Fatal(err)
	}
	if got, err := DecodeBatch(b); err != nil || !cmp.Equal(got, batch) || got.Hash == without {
		t.Errorf("the batch comes back as %+v, %v", got, err)
	}
}

func TestTooLarge(t *testing.T) {
	big := strings.Repeat("x", MaxBatchSize)
	relies := make([]identity.Reliance, identity.MaxReliances+1)
	for i := range relies {
		relies[i].Lookup.By = identity.ByName
	}
	if _, err := EncodeCommand(&event.Command{Content: &identity.DeleteUser{}, Relies: relies}); !errors.Is(err, ErrTooLarge) {
		t.Errorf("command of many reliances: %v", err)
	}
	if b, err := EncodeCommand(&event.Command{Content: &identity.DeleteUser{}, Relies: relies[1:]}); err != nil {
		t.Errorf("command of as many reliances as may be: %v", err)
	} else if _, err := DecodeCommand(b); err != nil {
		t.Errorf("decode a command of as many reliances as may be: %v", err)
	}
	if _, err := EncodeCommand(&event.Command{Content: &identity.CreateUser{Name: big}}); !errors.Is(err, ErrTooLarge) {
		t.Errorf("command: %v", err)
	}
	if _, err := EncodeBatch(&event.Batch{Events: []identity.Event{&identity.UserCreated{Name: big}}}); !errors.Is(err, ErrTooLarge) {
		t.Errorf("batch: %v", err)
	}
	many := slices.Repeat([]identity.Event{&identity.UserDeleted{}}, MaxEvents+1)
	if _, err := EncodeBatch(&event.Batch{Events: many}); !errors.Is(err, ErrTooLarge) {
		t.Errorf("batch of many events: %v", err)
	}
	if _, err := DecodeCommand([]byte(big)); !errors.Is(err, ErrTooLarge) {
		t.Errorf("decode command: %v", err)
	}
	if _, err := DecodeBatch([]byte(big + "x")); !errors.Is(err, ErrTooLarge) {
		t.Errorf("decode batch: %v", err)
	}
	if _, err := BatchHeader([]byte(big + "x")); !errors.Is(err, ErrTooLarge) {
		t.Errorf("header of a batch: %v", err)
	}
	if _, err := DecodeHeader([]byte(big + "x")); !errors.Is(err, ErrTooLarge) {
		t.Errorf("decode header: %v", err)
	}
}

func TestSharedStringsShareMemory(t *testing.T) {
	a := atoms{seed: maphash.MakeSeed()}
	if allocs := testing.AllocsPerRun(100, func() { a.of([]byte("123456789012")) }); allocs > 0 {
		t.Errorf("%v allocations for a string seen before", allocs)
	}
}

// Texts in shared memory are what was read, whatever is read after them.
func TestTexts(t *testing.T) {
	for _, room := range []int{0, 64, recordTexts} {
		texts := texts{room: room}
		var got, want []string
		buffer := make([]byte, 0, 2*recordTexts)
		for n := range 2 * recordTexts { // some too long to share memory
			buffer = buffer[:n]
			for i := range buffer {
				buffer[i] = byte(n + i)
			}
			got, want = append(got, texts.of(buffer)), append(want, string(buffer))
		}
		if !slices.Equal(got, want) {
			t.Errorf("room of %d: texts changed", room)
		}
	}
	texts := texts{room: recordTexts}
	b := []byte("alice")
	if n := testing.AllocsPerRun(1000, func() { texts.of(b) }); n > 0.1 {
		t.Errorf("%v allocations a text", n)
	}
}
