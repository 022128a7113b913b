package wire

import (
	"fmt"
	"reflect"

	"github.com/writ-iam/writ/log/identity"
)

// kind is how one type is written: its number, its latest version, and its form.
type kind[I any] struct {
	number  uint64
	version uint64
	form[I]
}

// form is what a type looks like in bytes. It is a visitor of the type's fields: one that
// has learned a field asks the coder's version whether it is there.
type form[I any] interface {
	// make returns a value of the type, to be read.
	make() I
	// visit writes or reads the fields of a value.
	visit(*coder, I)
}

type commandForm[T any, P interface {
	*T
	identity.Command
}] func(*coder, P)

func (commandForm[T, P]) make() identity.Command               { return P(new(T)) }
func (f commandForm[T, P]) visit(c *coder, v identity.Command) { f(c, v.(P)) }

func command[T any, P interface {
	*T
	identity.Command
}](number, version uint64, visit func(*coder, P)) kind[identity.Command] {
	return kind[identity.Command]{number, version, commandForm[T, P](visit)}
}

type eventForm[T any, P interface {
	*T
	identity.Event
}] func(*coder, P)

func (eventForm[T, P]) make() identity.Event               { return P(new(T)) }
func (f eventForm[T, P]) visit(c *coder, v identity.Event) { f(c, v.(P)) }

func change[T any, P interface {
	*T
	identity.Event
}](number, version uint64, visit func(*coder, P)) kind[identity.Event] {
	return kind[identity.Event]{number, version, eventForm[T, P](visit)}
}

type recordForm[T any, P interface {
	*T
	identity.Record
}] func(*coder, P)

func (recordForm[T, P]) make() identity.Record               { return P(new(T)) }
func (f recordForm[T, P]) visit(c *coder, v identity.Record) { f(c, v.(P)) }

func record[T any, P interface {
	*T
	identity.Record
}](number, version uint64, visit func(*coder, P)) kind[identity.Record] {
	return kind[identity.Record]{number, version, recordForm[T, P](visit)}
}

// kinds finds a kind by its number and by its type.
type kinds[I any] struct {
	what     string
	byNumber []*kind[I] // nil where a number is not in use
	byType   map[reflect.Type]*kind[I]
}

func newKinds[I any](what string, list ...kind[I]) kinds[I] {
	k := kinds[I]{what: what, byType: make(map[reflect.Type]*kind[I], len(list))}
	for i := range list {
		for uint64(len(k.byNumber)) <= list[i].number {
			k.byNumber = append(k.byNumber, nil)
		}
		if k.byNumber[list[i].number] != nil {
			panic(fmt.Sprintf("wire: %s number %d is given twice", what, list[i].number))
		}
		k.byNumber[list[i].number] = &list[i]
		k.byType[reflect.TypeOf(list[i].make())] = &list[i]
	}
	return k
}

// of returns the kind of a value to be written.
func (k *kinds[I]) of(v I) (*kind[I], error) {
	if found, ok := k.byType[reflect.TypeOf(v)]; ok {
		return found, nil
	}
	return nil, fmt.Errorf("wire: %s %T has no number", k.what, v)
}

// at returns the kind with that number, if this build knows the version.
func (k *kinds[I]) at(number, version uint64) (*kind[I], error) {
	if number < uint64(len(k.byNumber)) {
		if found := k.byNumber[number]; found != nil && 0 < version && version <= found.version {
			return found, nil
		}
	}
	return nil, &UnknownError{What: k.what, Number: number, Version: max(version, 1)}
}
