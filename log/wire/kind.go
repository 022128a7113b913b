package wire

import (
	"fmt"
	"reflect"

	"github.com/writ-iam/writ/log/identity"
)

// kind is how one type is written: its number, its latest version, and the
// visitor of its fields. A visitor that has learned a field asks the coder's
// version whether it is there.
type kind[I any] struct {
	number  uint64
	version uint64
	make    func() I
	visit   func(*coder, I)
}

func command[T any, P interface {
	*T
	identity.Command
}](number, version uint64, visit func(*coder, P)) kind[identity.Command] {
	return kind[identity.Command]{number, version, func() identity.Command { return P(new(T)) },
		func(c *coder, v identity.Command) { visit(c, v.(P)) }}
}

func change[T any, P interface {
	*T
	identity.Event
}](number, version uint64, visit func(*coder, P)) kind[identity.Event] {
	return kind[identity.Event]{number, version, func() identity.Event { return P(new(T)) },
		func(c *coder, v identity.Event) { visit(c, v.(P)) }}
}

func record[T any, P interface {
	*T
	identity.Record
}](number, version uint64, visit func(*coder, P)) kind[identity.Record] {
	return kind[identity.Record]{number, version, func() identity.Record { return P(new(T)) },
		func(c *coder, v identity.Record) { visit(c, v.(P)) }}
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
