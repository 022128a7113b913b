package wire

import (
	"testing"

	"github.com/writ-iam/writ/log/event"
	"github.com/writ-iam/writ/log/identity"
)

func smallCause() event.Cause {
	return event.Cause{
		Meta: identity.Meta{Time: 1_790_000_000_000, Key: identity.Key{1}, By: identity.Authority{
			Account: "123456789012", Principal: "123456789012", Credential: "AKIAIOSFODNN7EXAMPLE", AuthorizedAt: 41}},
		Request: "7a62c49f-347e-4fc4-9331-6e8e7a96aa73", Action: "iam:CreateUser", Source: "192.0.2.1",
	}
}

func smallBatch() *event.Batch {
	return &event.Batch{
		Cluster: "0b8f6c2e-3ad3-4c0f-9c88-7d8a3f8b2f10", Incarnation: "00112233445566778899aabbccddeeff", Position: 42, Index: 50, Term: 2,
		Cause: smallCause(), Events: []identity.Event{&identity.UserCreated{
			Account: "123456789012", ID: "AIDA2XKZQJ5VEXAMPLE01", Name: "some-user-12345", Path: "/", Created: 1_790_000_000_000}},
	}
}

func smallCommand() *event.Command {
	return &event.Command{
		Cluster: "0b8f6c2e-3ad3-4c0f-9c88-7d8a3f8b2f10", Incarnation: "00112233445566778899aabbccddeeff", Cause: smallCause(),
		Content: &identity.CreateUser{Account: "123456789012", ID: "AIDA2XKZQJ5VEXAMPLE01", Name: "some-user-12345", Path: "/"},
	}
}

func BenchmarkEncodeBatch(b *testing.B) {
	batch := smallBatch()
	b.ReportAllocs()
	for b.Loop() {
		encoded, err := EncodeBatch(batch)
		if err != nil {
			b.Fatal(err)
		}
		b.SetBytes(int64(len(encoded)))
	}
}

func BenchmarkDecodeBatch(b *testing.B) {
	encoded, err := EncodeBatch(smallBatch())
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := DecodeBatch(encoded); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkPeekBatch(b *testing.B) {
	encoded, err := EncodeBatch(smallBatch())
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := PeekBatch(encoded); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkEncodeCommand(b *testing.B) {
	cmd := smallCommand()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := EncodeCommand(cmd); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkDecodeCommand(b *testing.B) {
	encoded, err := EncodeCommand(smallCommand())
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := DecodeCommand(encoded); err != nil {
			b.Fatal(err)
		}
	}
}
