package identity

import (
	"fmt"
	"testing"

	"pgregory.net/rapid"
)

func TestWriters(t *testing.T) { run(t, writerSpecs()) }

func writerAt(name string) Writer {
	return Writer{Name: name, Peer: name + ":1", Broker: name + ":2", Routes: name + ":3", Region: "eu"}
}

func writerSpecs() []spec {
	two := &WritersListed{Writers: []Writer{writerAt("w2"), writerAt("w1")}}
	var seven []Writer
	for i := range MaxWriters {
		seven = append(seven, writerAt(fmt.Sprintf("w%d", i)))
	}
	gone := []Event{two}
	for i := range MaxRemovedWriters {
		name := fmt.Sprintf("gone-%d", i)
		gone = append(gone, &WriterAdded{writerAt(name)}, &WriterRemoved{name})
	}
	outside := Writer{Name: "w3", Peer: "w3:1"}
	clash := writerAt("w3")
	clash.Routes = "w1:1"
	self := writerAt("w3")
	self.Broker = self.Peer
	moved := writerAt("w1")
	moved.Peer = "elsewhere:1"
	names := func(want ...string) func(s *spying) {
		return func(s *spying) {
			var got []string
			for _, w := range s.Writers().List {
				got = append(got, w.Name)
			}
			if fmt.Sprint(got) != fmt.Sprint(want) {
				s.Errorf("the writers are %v, want %v", got, want)
			}
		}
	}
	return []spec{
		{name: "first", when: &ListWriters{two.Writers}, then: []Event{two}, check: names("w1", "w2")},
		{name: "again", given: []Event{two}, when: &ListWriters{two.Writers}, refused: "EntityAlreadyExists: The log lists its writers already."},
		{name: "none", when: &ListWriters{}, refused: "LimitExceeded: Cannot exceed quota for Writers: 7"},
		{name: "too many", when: &ListWriters{append(seven, writerAt("one"))}, refused: "LimitExceeded: Cannot exceed quota for Writers: 7"},
		{name: "one twice", when: &ListWriters{[]Writer{writerAt("w1"), {Name: "w1", Peer: "x:1"}}}, refused: "EntityAlreadyExists: Writer w1 is there already."},
		{name: "an address twice", when: &ListWriters{[]Writer{writerAt("w1"), clash}}, refused: "EntityAlreadyExists: The address w1:1 is that of writer w1."},

		{name: "one more", given: []Event{two}, when: &AddWriter{writerAt("w0")}, then: []Event{&WriterAdded{writerAt("w0")}}, check: names("w0", "w1", "w2")},
		{name: "with NATS outside", given: []Event{two, &WriterAdded{Writer{Name: "w4", Peer: "w4:1"}}}, when: &AddWriter{outside}, then: []Event{&WriterAdded{outside}}},
		{name: "before there is a list", when: &AddWriter{outside},
			refused: "NoSuchEntity: The log lists no writers yet: a leader whose configuration names them puts them in."},
		{name: "there already", given: []Event{two}, when: &AddWriter{moved}, refused: "EntityAlreadyExists: Writer w1 is there already."},
		{name: "at another's address", given: []Event{two}, when: &AddWriter{clash}, refused: "EntityAlreadyExists: The address w1:1 is that of writer w1."},
		{name: "at one address twice", given: []Event{two}, when: &AddWriter{self}, refused: "EntityAlreadyExists: The address w3:1 is that of writer w3."},
		{name: "nameless", given: []Event{two}, when: &AddWriter{Writer{Peer: "x:1"}}, refused: "InvalidInput: A writer has a name and an address."},
		{name: "by a replica's name", given: []Event{two, &ReplicaRegistered{Name: "w3"}}, when: &AddWriter{outside}, refused: "EntityAlreadyExists: The name w3 is that of a replica."},
		{name: "one too many", given: []Event{&WritersListed{seven}}, when: &AddWriter{writerAt("one")}, refused: "LimitExceeded: Cannot exceed quota for Writers: 7"},
		{name: "removed before", given: []Event{two, &WriterRemoved{"w1"}}, when: &AddWriter{moved}, then: []Event{&WriterAdded{moved}},
			check: func(s *spying) {
				if s.Writers().Gone("w1") {
					s.Error("it stays out")
				}
			}},

		{name: "moved", given: []Event{two}, when: &ChangeWriter{moved}, then: []Event{&WriterChanged{moved}},
			check: func(s *spying) {
				if w, _ := s.Writers().Find("w1"); w != moved {
					s.Errorf("it is %+v", w)
				}
			}},
		{name: "as it is", given: []Event{two}, when: &ChangeWriter{writerAt("w1")}, refused: "EntityAlreadyExists: Writer w1 has these addresses."},
		{name: "unknown", given: []Event{two}, when: &ChangeWriter{writerAt("w3")}, refused: "NoSuchEntity: The log lists no writer w3."},
		{name: "to another's address", given: []Event{two}, when: &ChangeWriter{Writer{Name: "w2", Peer: "w1:2"}}, refused: "EntityAlreadyExists: The address w1:2 is that of writer w1."},
		{name: "before there is a list", when: &ChangeWriter{moved},
			refused: "NoSuchEntity: The log lists no writers yet: a leader whose configuration names them puts them in."},

		{name: "removed", given: []Event{two}, when: &RemoveWriter{"w1"}, then: []Event{&WriterRemoved{"w1"}},
			check: func(s *spying) {
				w := s.Writers()
				if !w.Gone("w1") || w.Gone("w2") || w.Removed[0] != (RemovedWriter{"w1", "w1:1", afterBase + 1}) || len(w.List) != 1 {
					s.Errorf("the writers are %+v", w)
				}
			}},
		{name: "removed twice", given: []Event{two, &WriterRemoved{"w1"}}, when: &RemoveWriter{"w1"}, refused: "NoSuchEntity: The log lists no writer w1."},
		{name: "the last", given: []Event{two, &WriterRemoved{"w1"}}, when: &RemoveWriter{"w2"}, refused: "DeleteConflict: Writer w2 is the only one."},
		{name: "more than may be: none is let in for it", given: gone, when: &RemoveWriter{"w1"}, refused: "LimitExceeded: Cannot exceed quota for RemovedWriters: 1000"},
		{name: "before there is a list", when: &RemoveWriter{"w1"},
			refused: "NoSuchEntity: The log lists no writers yet: a leader whose configuration names them puts them in."},
	}
}

// drawnWriters are commands about writers.
func drawnWriters(t *rapid.T) []func() Command {
	one := func() Writer { return Writer{Name: drawName(t), Peer: drawName(t) + ":1", Broker: drawText(t)} }
	return []func() Command{
		func() Command { return &ListWriters{[]Writer{one(), one()}} },
		func() Command { return &AddWriter{one()} },
		func() Command { return &ChangeWriter{one()} },
		func() Command { return &RemoveWriter{drawName(t)} },
	}
}
