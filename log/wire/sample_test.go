package wire

import (
	"fmt"
	"reflect"

	"github.com/writ-iam/writ/log/event"
	"github.com/writ-iam/writ/log/identity"
	"pgregory.net/rapid"
)

// everyCommand, everyEvent and everyRecord return one empty value of each kind, in order of number.
func everyCommand() []identity.Command { return every(&commandKinds) }
func everyEvent() []identity.Event     { return every(&eventKinds) }
func everyRecord() []identity.Record   { return every(&recordKinds) }

func every[I any](k *kinds[I]) (all []I) {
	for _, kind := range k.byNumber {
		if kind != nil {
			all = append(all, kind.make())
		}
	}
	return all
}

// filler sets every field that can be reached from a value. An unset field would
// hide a visitor that forgets it.
type filler struct {
	number func(bits int) uint64
	text   func() string
	length func() int
}

func (f filler) fill(v reflect.Value) {
	switch v.Kind() {
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		f.fill(v.Elem())
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).Type == reflect.TypeFor[identity.Rules]() {
				continue // the tests of forms choose them
			}
			if v.Type().Field(i).Type == reflect.TypeFor[identity.Partition]() {
				if v.Type().Field(i).Name == "Partition" {
					v.Field(i).SetUint(uint64(identity.PartitionCN))
				}
				continue // that of a record is not stored
			}
			f.fill(v.Field(i))
		}
		bound(v, reflect.TypeFor[identity.Quota](), uint64(identity.NumQuotas))
		bound(v, reflect.TypeFor[identity.Defaults](), uint64(identity.DefaultsOfAWS)+1)
	case reflect.String:
		v.SetString(f.text())
	case reflect.Bool:
		v.SetBool(f.number(8)%2 == 1)
	case reflect.Int, reflect.Int64:
		v.SetInt(int64(f.number(64)))
	case reflect.Uint8, reflect.Uint32, reflect.Uint64:
		v.SetUint(f.number(v.Type().Bits()))
	case reflect.Array:
		for i := range v.Len() {
			f.fill(v.Index(i))
		}
	case reflect.Slice:
		n := f.length()
		if n == 0 {
			return
		}
		v.Set(reflect.MakeSlice(v.Type(), n, n))
		for i := range n {
			f.fill(v.Index(i))
		}
	default:
		panic(fmt.Sprintf("no way to fill a %s", v.Type()))
	}
}

// bound keeps the fields of a type in a struct below a number: others are of later releases.
func bound(s reflect.Value, of reflect.Type, below uint64) {
	for i := range s.NumField() {
		if f := s.Field(i); f.Type() == of {
			f.SetUint(f.Uint() % below)
		}
	}
}

// counting fills with 1, 2, 3, ... so that no two fields have the same value.
func counting() filler {
	n := uint64(0)
	next := func() uint64 { n++; return n }
	return filler{
		number: func(int) uint64 { return next()*2 - 1 },
		text:   func() string { return fmt.Sprintf("text-%d", next()) },
		length: func() int { return 2 },
	}
}

// drawn fills with values that rapid draws.
func drawn(t *rapid.T) filler {
	return filler{
		number: func(bits int) uint64 {
			return rapid.Uint64Max(1<<bits-1).Draw(t, "number")
		},
		text:   func() string { return rapid.String().Draw(t, "text") },
		length: func() int { return rapid.IntRange(0, 3).Draw(t, "length") },
	}
}

// meta leaves the signature to be filled in the end, as forms that are stored were
// filled before there was one.
func (f filler) meta() (m identity.Meta) {
	f.fill(reflect.ValueOf(&m).Elem().FieldByName("Time"))
	f.fill(reflect.ValueOf(&m).Elem().FieldByName("Key"))
	for i, by := range reflect.ValueOf(&m.By).Elem().Fields() {
		if i.Name != "Session" { // as the signature
			f.fill(by)
		}
	}
	return m
}

// command returns an envelope with every field set around a command.
func (f filler) command(content identity.Command) *event.Command {
	f.fill(reflect.ValueOf(content).Elem())
	cmd := &event.Command{Content: content, Cluster: f.text(), Incarnation: f.text(),
		Cause: event.Cause{Meta: f.meta(), Request: f.text(), Action: f.text(), Source: f.text()}}
	f.fill(reflect.ValueOf(&cmd.Base).Elem())
	f.fill(reflect.ValueOf(&cmd.Relies).Elem())
	for i := range cmd.Relies {
		cmd.Relies[i].Lookup.By = identity.By(1 + i%int(identity.ByProviderARN)) // others are of later releases
	}
	f.fill(reflect.ValueOf(&cmd.Cause.Signature).Elem())
	return cmd
}

// batch returns a batch with every field but the hash set around events.
func (f filler) batch(events ...identity.Event) *event.Batch {
	for _, e := range events {
		f.fill(reflect.ValueOf(e).Elem())
	}
	b := &event.Batch{Cluster: f.text(), Incarnation: f.text(), Position: event.Position(f.number(64)), Index: f.number(64), Term: f.number(64),
		Cause: event.Cause{Meta: f.meta(), Request: f.text(), Action: f.text(), Source: f.text()}, Events: events}
	f.fill(reflect.ValueOf(&b.State).Elem())
	f.fill(reflect.ValueOf(&b.Prev).Elem())
	f.fill(reflect.ValueOf(&b.Cause.Signature).Elem())
	return b
}
