package event

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"testing"

	"github.com/writ-iam/writ/log/digest"
)

func someSigned() SignedHead {
	return SignedHead{Cluster: "c", Incarnation: "in", Position: 258, Hash: Hash{0xaa, 31: 0xbb}, Digest: digest.Sum{1, 2}, Time: 3, Node: "w-1"}
}

// What is signed is forever: heads that people keep are checked by later releases.
func TestStatementIsForever(t *testing.T) {
	h := someSigned()
	want := hex.EncodeToString([]byte("writ signed head v1\n")) +
		"00000001" + "63" + "00000002" + "696e" + "00000008" + "0000000000000102" +
		"00000020" + "aa000000000000000000000000000000000000000000000000000000000000bb" +
		"00000010" + "00000000000000010000000000000002" + "00000008" + "0000000000000003" + "00000003" + "772d31"
	if got := hex.EncodeToString(h.Statement()); got != want {
		t.Errorf("the statement is\n%s\nnot\n%s", got, want)
	}
}

// No two heads that differ in what they say have one statement.
func TestStatementCoversEveryField(t *testing.T) {
	base := someSigned()
	for name, change := range map[string]func(*SignedHead){
		"cluster":     func(h *SignedHead) { h.Cluster = "d" },
		"incarnation": func(h *SignedHead) { h.Incarnation = "im" },
		"a border":    func(h *SignedHead) { h.Cluster, h.Incarnation = "ci", "n" },
		"position":    func(h *SignedHead) { h.Position++ },
		"hash":        func(h *SignedHead) { h.Hash[31]++ },
		"digest":      func(h *SignedHead) { h.Digest[1]++ },
		"time":        func(h *SignedHead) { h.Time++ },
		"node":        func(h *SignedHead) { h.Node = "w-2" },
	} {
		h := base
		change(&h)
		if bytes.Equal(h.Statement(), base.Statement()) {
			t.Errorf("%s is not covered", name)
		}
	}
	h := base
	h.Signature, h.Certificate = []byte{1}, []byte{2}
	if !bytes.Equal(h.Statement(), base.Statement()) {
		t.Error("the signature is part of what is signed")
	}
}

func TestSignedHeadInJSON(t *testing.T) {
	h := someSigned()
	h.Signature, h.Certificate = []byte{1}, []byte{2}
	text, err := json.Marshal(h)
	if err != nil {
		t.Fatal(err)
	}
	var again SignedHead
	if err := json.Unmarshal(text, &again); err != nil || !bytes.Equal(again.Statement(), h.Statement()) || !bytes.Equal(again.Signature, h.Signature) {
		t.Errorf("%s becomes %+v, %v", text, again, err)
	}
	for _, bad := range []string{`{"digest":"00"}`, `{"digest":"zz000000000000000000000000000000"}`, `{"hash":"00"}`, `{"position":-1}`} {
		if err := json.Unmarshal([]byte(bad), &again); err == nil {
			t.Errorf("%s was read", bad)
		}
	}
}

// Batches in a stream outlive the release that signed them.
func TestBatchStatementIsForever(t *testing.T) {
	b := SignedBatch{Cluster: "c", Incarnation: "in", Head: Head{Position: 258, Hash: Hash{0xaa, 31: 0xbb}}}
	want := hex.EncodeToString([]byte("writ signed batch v1\n")) +
		"00000001" + "63" + "00000002" + "696e" + "00000008" + "0000000000000102" +
		"00000020" + "aa000000000000000000000000000000000000000000000000000000000000bb"
	if got := hex.EncodeToString(b.Statement()); got != want {
		t.Errorf("the statement is\n%s\nnot\n%s", got, want)
	}
	for name, change := range map[string]func(*SignedBatch){
		"cluster":     func(b *SignedBatch) { b.Cluster = "d" },
		"incarnation": func(b *SignedBatch) { b.Incarnation = "im" },
		"a border":    func(b *SignedBatch) { b.Cluster, b.Incarnation = "ci", "n" },
		"position":    func(b *SignedBatch) { b.Position++ },
		"hash":        func(b *SignedBatch) { b.Hash[31]++ },
	} {
		c := b
		change(&c)
		if bytes.Equal(c.Statement(), b.Statement()) {
			t.Errorf("%s is not covered", name)
		}
	}
}
