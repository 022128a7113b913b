package wire

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/writ-iam/writ/log/event"
	"github.com/writ-iam/writ/log/identity"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// The golden files are what this release writes. A line may be added; a line that
// changes means that stored logs can no longer be read. A form that is written no
// more keeps its file, which no test writes; see TestStoredFormsAreRead.
func TestGolden(t *testing.T) {
	var lines []string
	line := func(what string, v any, b []byte, err error) {
		if err != nil {
			t.Fatalf("%s %T: %v", what, v, err)
		}
		lines = append(lines, fmt.Sprintf("%s %s %s", what, reflect.TypeOf(v).Elem().Name(), hex.EncodeToString(b)))
	}
	file := func(name string) {
		golden(t, name, []byte(strings.Join(lines, "\n")+"\n"))
		lines = nil
	}
	for _, v := range everyCommand() {
		b, err := EncodeCommand(counting().command(v))
		line("command", v, b, err)
	}
	file(commandsFile)
	for _, v := range everyEvent() {
		b, err := EncodeBatch(counting().batch(v))
		line("batch", v, b, err)
	}
	for _, v := range everyRecord() {
		counting().fill(reflect.ValueOf(v).Elem())
		c := writer()
		c.record(v)
		line("record", v, c.out.Bytes(), c.done())
	}
	type Mark Fence // as golden files have called it
	mark := Fence{Term: 2, Head: event.Head{Position: 3, Hash: event.Hash{4}}, Floor: 5}
	nameless := mark
	nameless.Nameless = true
	mark.Opened = []event.Life{{Replica: "r1", Nonce: "n1"}, {Replica: "r1", Nonce: "n2"}}
	mark.Dropped, mark.Complete = []event.Life{{Replica: "r2", Nonce: "n3"}}, true
	for _, m := range []*Fence{&nameless, &mark} {
		b, err := EncodeFence(m)
		line("mark", (*Mark)(m), b, err)
		if got, err := DecodeFence(b); err != nil || !reflect.DeepEqual(got, m) {
			t.Errorf("the fence %+v comes back as %+v, %v", m, got, err)
		}
	}
	file(entriesFile)

	// What came by way of another node says so; the rest is written as ever.
	cmd := counting().command(&identity.DeleteUser{})
	cmd.Cause.Via = "replica-1"
	b, err := EncodeCommand(cmd)
	line("command", cmd.Content, b, err)
	batch := counting().batch(&identity.UserDeleted{})
	batch.Cause.Via = "replica-1"
	b, err = EncodeBatch(batch)
	line("batch", batch.Events[0], b, err)
	file(relayedFile)

	// So does what names its rules, whoever it came by.
	for _, via := range []string{"", "replica-1"} {
		cmd := counting().command(&identity.DeleteUser{})
		cmd.Cause.Via, cmd.Cause.Rules = via, identity.BoundedRules
		b, err := EncodeCommand(cmd)
		line("command", cmd.Content, b, err)
		batch := counting().batch(&identity.UserDeleted{})
		batch.Cause.Via, batch.Cause.Rules = via, identity.BoundedRules
		b, err = EncodeBatch(batch)
		line("batch", batch.Events[0], b, err)
	}
	file(ruledFile)

	// So does what is by a session.
	cmd, batch = counting().command(&identity.DeleteUser{}), counting().batch(&identity.UserDeleted{})
	for _, cause := range []*event.Cause{&cmd.Cause, &batch.Cause} {
		cause.Rules = identity.LevelRules
		cause.By.Session = identity.Session{Key: 1, Minted: 2, Issued: 3, Until: 4, Parent: "AKIA1"}
	}
	b, err = EncodeCommand(cmd)
	line("command", cmd.Content, b, err)
	b, err = EncodeBatch(batch)
	line("batch", batch.Events[0], b, err)
	for _, cause := range []*event.Cause{&cmd.Cause, &batch.Cause} {
		cause.By.Session.Origin = identity.Origin{Account: "123456789012", Principal: "AIDA1", Key: "AKIA1", Began: 5}
	}
	b, err = EncodeCommand(cmd)
	line("command", cmd.Content, b, err)
	b, err = EncodeBatch(batch)
	line("batch", batch.Events[0], b, err)
	file(sessionFile)
}

// Commands as this release writes them, as they were before they carried reliances,
// and those of tags before letters outside ASCII had two cases; batches, fences and
// records as they are and as they were before there were signatures; delegation requests
// as they were before they said which principal asked; beginnings as they were before they listed
// writers; accounts as they were before their roots had e-mail addresses.
const (
	commandsFile     = "commands.txt"
	bareCommandsFile = "commands-1.txt"
	tagCommandsFile  = "tags-1.txt"
	entriesFile      = "entries.txt"
	oldEntriesFile   = "entries-1.txt"
	oldClusterFile   = "catalogue-1.txt"
	oldBeginFile     = "bootstrap-2.txt"
	oldAccountFile   = "account-1.txt"
	oldAccountsFile  = "account-2.txt"
	oldRequestsFile  = "delegations-1.txt"
	relayedFile      = "relayed.txt"
	ruledFile        = "ruled.txt"
	sessionFile      = "session.txt"
)

// The compressed bytes may change with the compressor; what is stored must stay readable.
func TestGoldenSnapshot(t *testing.T) {
	want := manyUsers(3)
	path := filepath.Join("testdata", "snapshot")
	if *update {
		if err := os.WriteFile(path, snapshotOf(t, want), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	// The first knew no signatures, and the second named no lives.
	// The first three knew no catalogue, the fourth no quotas but four, and the fifth no e-mail addresses.
	for name, lives := range map[string]event.Lives{"snapshot-1": {}, "snapshot-2": {}, "snapshot-3": someLives, "snapshot-4": someLives, "snapshot-5": someLives, "snapshot": someLives} {
		stored, err := os.ReadFile(filepath.Join("testdata", name))
		if err != nil {
			t.Fatal(err)
		}
		got, h, err := ReadSnapshot(bytes.NewReader(stored))
		if err != nil || got.Digest() != want.Digest() || h.Head.Position != want.Position() || !reflect.DeepEqual(h.Lives, lives) {
			t.Errorf("the stored %s reads as %+v, %v", name, h, err)
		}
	}
}

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, got, 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	wanted := strings.Split(string(want), "\n")
	for i, line := range strings.Split(string(got), "\n") {
		if i >= len(wanted) || line != wanted[i] {
			t.Fatalf("line %d of %s differs; it is now\n%s", i+1, path, line)
		}
	}
}

// releases are what the last release of each earlier feature level wrote: the golden files of its
// sources, in a directory of the level, and the SHA-256 of all of them. A directory is added before
// a level rises, and none ever changes.
var releases = map[uint32]string{1: "2c6f17a21100bd7ab4a74f6927872995b54dcd8bd377c7fdb6a55fbe348d6222"}

// TestReleases holds that what releases of earlier levels wrote is kept as it was, and read.
func TestReleases(t *testing.T) {
	for level := uint32(1); level < identity.FeatureLevel; level++ {
		dir := fmt.Sprintf("level-%d", level)
		files, err := os.ReadDir(filepath.Join("testdata", dir))
		if err != nil {
			t.Fatal(err)
		}
		sum, found := sha256.New(), 0
		for _, file := range files {
			b, err := os.ReadFile(filepath.Join("testdata", dir, file.Name()))
			if err != nil {
				t.Fatal(err)
			}
			fmt.Fprintf(sum, "%s %d\n%s", file.Name(), len(b), b)
			if !strings.HasSuffix(file.Name(), ".txt") {
				got, h, err := ReadSnapshot(bytes.NewReader(b))
				if err != nil || got.Digest() != manyUsers(3).Digest() || h.Head.Position != got.Position() {
					t.Errorf("the %s of level %d reads as %+v, %v", file.Name(), level, h, err)
				}
				continue
			}
			for _, e := range storedLines(t, filepath.Join(dir, file.Name())) {
				found++
				if err := e.decode(); err != nil {
					t.Errorf("level %d, %s: %s %s: %v", level, file.Name(), e.what, e.kind, err)
				}
			}
		}
		if got := hex.EncodeToString(sum.Sum(nil)); got != releases[level] || found == 0 {
			t.Errorf("what level %d wrote, %d lines of it, has the hash %s: it may not change", level, found, got)
		}
	}
}

// decode reads what a line has.
func (e *storedLine) decode() (err error) {
	switch e.what {
	case "command":
		_, err = DecodeCommand(e.bytes)
	case "batch":
		_, err = DecodeBatch(e.bytes)
	case "mark":
		_, err = DecodeFence(e.bytes)
	case "record":
		c := reader(e.bytes)
		c.readRecord()
		err = c.done()
	default:
		err = fmt.Errorf("%q is nothing that is stored", e.what)
	}
	return err
}

// What was stored by this release and by those before is still read.
func TestStoredFormsAreRead(t *testing.T) {
	for _, name := range []string{bareCommandsFile, tagCommandsFile, commandsFile, oldEntriesFile, oldClusterFile, oldBeginFile, oldAccountFile, oldAccountsFile, oldRequestsFile, entriesFile, relayedFile, ruledFile} {
		for _, e := range storedLines(t, name) {
			if err := e.decode(); err != nil {
				t.Errorf("%s: %s %s: %v", name, e.what, e.kind, err)
			}
		}
	}
}

// A command that was stored before there were reliances has none, and is in all
// else what it was.
func TestBareCommands(t *testing.T) {
	bare, whole := storedLines(t, bareCommandsFile), storedLines(t, commandsFile)
	if len(bare) == 0 {
		t.Fatal("no bare commands are kept")
	}
	for i, e := range bare {
		old, err := DecodeCommand(e.bytes)
		if err != nil {
			t.Fatalf("%s: %v", e.kind, err)
		}
		for _, first := range slices.Concat(storedLines(t, tagCommandsFile), storedLines(t, oldClusterFile), storedLines(t, oldAccountsFile), storedLines(t, oldRequestsFile)) {
			if first.kind == e.kind { // the only version that the older form had
				whole[i] = first
			}
		}
		now, err := DecodeCommand(whole[i].bytes)
		if err != nil {
			t.Fatalf("%s: %v", e.kind, err)
		}
		if len(old.Relies) != 0 || len(now.Relies) == 0 {
			t.Errorf("%s relies on %d targets, and stored now on %d", e.kind, len(old.Relies), len(now.Relies))
		}
		signed := e.bytes[0] != whole[i].bytes[0] && whole[i].bytes[0] == formatCommand // or of a form in between
		if old.Cause.Signature != (identity.Signature{}) || signed != (now.Cause.Signature != identity.Signature{}) {
			t.Errorf("%s came under %v, and stored now under %v", e.kind, old.Cause.Signature, now.Cause.Signature)
		}
		now.Relies, now.Cause.Signature = nil, identity.Signature{}
		if diff := cmp.Diff(now, old); diff != "" {
			t.Errorf("%s differs: %s", e.kind, diff)
		}
	}
}

// Commands from before letters outside ASCII had two cases are decided as they were.
func TestTagCommands(t *testing.T) {
	read := 0
	for _, e := range storedLines(t, tagCommandsFile) {
		got, err := DecodeCommand(e.bytes)
		if err != nil {
			t.Fatal(err)
		}
		switch c := got.Content.(type) {
		case *identity.TagEntity:
			read++
			if c.AnyCase || len(c.Tags) != 2 {
				t.Errorf("%+v", c)
			}
		case *identity.UntagEntity:
			read++
			if c.AnyCase || len(c.Keys) != 2 {
				t.Errorf("%+v", c)
			}
		}
	}
	if read != 2 {
		t.Errorf("%d commands", read)
	}
}

// storedLine is a line of a golden file.
type storedLine struct {
	what, kind string
	bytes      []byte
}

func storedLines(t testing.TB, name string) (all []storedLine) {
	t.Helper()
	stored, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(stored)) {
		fields := strings.Fields(line)
		b, err := hex.DecodeString(fields[2])
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, storedLine{fields[0], fields[1], b})
	}
	return all
}

func FuzzDecodeCommand(f *testing.F) {
	for _, v := range everyCommand() {
		b, err := EncodeCommand(counting().command(v))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	for _, e := range storedLines(f, bareCommandsFile) {
		f.Add(e.bytes)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		cmd, err := DecodeCommand(resealed(b))
		if err != nil {
			return
		}
		if _, err := EncodeCommand(cmd); err != nil {
			t.Fatalf("what was read cannot be written: %v", err)
		}
	})
}

// resealed makes a mutated entry pass the hash, so that fuzzing reaches what is behind it.
func resealed(b []byte) []byte {
	c := writer()
	defer c.release()
	c.out.Write(b[:max(0, len(b)-32)])
	sealed, err := c.sealed()
	if err != nil {
		return b
	}
	return sealed
}

func FuzzDecodeBatch(f *testing.F) {
	for _, v := range everyEvent() {
		b := counting().batch(v)
		if _, err := EncodeBatch(b); err != nil {
			f.Fatal(err)
		}
		c := writer()
		c.version = 1
		eventKinds.byType[reflect.TypeOf(v)].visit(c, v)
		f.Add(eventKinds.byType[reflect.TypeOf(v)].number, bytes.Clone(c.out.Bytes()), []byte{})
		c.release()
	}
	f.Fuzz(func(t *testing.T, number uint64, payload, whole []byte) {
		_, _ = DecodeBatch(whole)
		_, _, _ = PeekBatch(whole)
		_, _ = BatchHeader(whole)
		_, _ = DecodeHeader(whole)
		k, err := eventKinds.at(number, 1)
		if err != nil {
			return
		}
		c := reader(payload)
		defer c.release()
		c.version = 1
		e := k.make()
		if k.visit(c, e); c.done() != nil {
			return
		}
		if _, err := EncodeBatch(&event.Batch{Events: []identity.Event{e}}); err != nil {
			t.Fatalf("what was read cannot be written: %v", err)
		}
	})
}

func FuzzReadSnapshot(f *testing.F) {
	f.Add(snapshotOf(f, manyUsers(3)), []byte{})
	for _, v := range everyRecord() {
		counting().fill(reflect.ValueOf(v).Elem())
		c := writer()
		c.record(v)
		f.Add([]byte{}, bytes.Clone(c.out.Bytes()))
		c.release()
	}
	f.Fuzz(func(t *testing.T, whole, records []byte) {
		_, _, _ = ReadSnapshot(bytes.NewReader(whole))
		// Behind the compression: any sequence of records.
		c := reader(records)
		defer c.release()
		loader := identity.NewLoader()
		for c.err == nil && c.in.left() > 0 {
			if r := c.readRecord(); c.err == nil {
				loader.Add(r)
			}
		}
	})
}
