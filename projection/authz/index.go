package authz

import (
	"cmp"
	"slices"

	"github.com/writ-iam/writ/projection/policy"
	"github.com/writ-iam/writ/projection/policy/syntax"
)

// index finds the statements that can apply to an action. It may find some that
// do not: the statement has the last word.
//
// A pattern of an Action element has a literal head: of "s3:Get*" the service
// s3 and the prefix "get". The action of a request is hashed once, at every
// length of its name; then statements are found by the hash of their head. The
// entries of one service stand together, so that a search touches little
// memory and skips other services at once.
type index struct {
	// entries begin with one for each service, sorted by hash, whose run is of
	// entries. Those follow, grouped by service, in a group sorted by head.
	// (One slice, because every slice costs a decision a cache miss.)
	entries  []entry
	services uint32
	always   run
	// statements stand in runs, each with its Deny statements first: those
	// that can apply to any service ("*", NotAction), then a run an entry.
	statements []*policy.Statement
	// names belong to statements; nil in sets without principals.
	names []*names
}

// run is a stretch of statements: Deny from first, Allow from allow, up to end.
type run struct{ first, allow, end uint32 }

// entry is the run of the statements that share the head of a pattern, or of
// the entries that share a service.
type entry struct {
	head head
	run  run
}

// head is the literal head of a pattern: its length (of the name; exactLength
// for a pattern without wildcards) above the hash of service and name.
type head uint64

func makeHead(length, hash uint32) head { return head(length)<<32 | head(hash) }

func (h head) length() uint32 { return uint32(h >> 32) }

const (
	// maxPrefix is how much of a prefix is indexed, in bytes; what follows is
	// left to the statement.
	maxPrefix = 31
	// exactLength marks a pattern without wildcards.
	exactLength = maxPrefix + 1
	// fewEntries is up to how many entries a search looks at one by one.
	fewEntries = 16
)

// actionHash is the action of a request, hashed for every index.
type actionHash struct {
	service head   // of "s3:", with length 0
	length  uint32 // of the name, at most maxPrefix
	// name[n] is of the service and the first n bytes of the name, and
	// name[exactLength] of all of it.
	name [exactLength + 1]uint32
}

// FNV-1a, over lower-case bytes.
const (
	hashStart = 2166136261
	hashPrime = 16777619
)

func hashByte(h uint32, c byte) uint32 {
	if 'A' <= c && c <= 'Z' {
		c += 'a' - 'A'
	}
	return (h ^ uint32(c)) * hashPrime
}

// hash reads an action. One without a colon has no service and finds only the
// statements for any service.
func (a *actionHash) hash(action string) {
	h, i := uint32(hashStart), 0
	for i < len(action) {
		c := action[i]
		h = hashByte(h, c)
		i++
		if c == ':' {
			break
		}
	}
	a.service, a.name[0] = head(h), h
	for ; i < len(action); i++ {
		h = hashByte(h, action[i])
		if a.length < maxPrefix {
			a.length++
			a.name[a.length] = h
		}
	}
	a.name[exactLength] = h
}

// head returns the head of the action at a length.
func (a *actionHash) head(length uint32) head { return makeHead(length, a.name[length]) }

// has tells whether a head is one of the action.
func (a *actionHash) has(h head) bool {
	length := h.length()
	return h == a.head(length) && (length <= a.length || length == exactLength)
}

// group returns the entries of the action's service.
func (x *index) group(a *actionHash) []entry {
	services := x.entries[:x.services]
	i := search(services, a.service)
	if i == len(services) || services[i].head != a.service {
		return nil
	}
	return x.entries[services[i].run.first:services[i].run.end]
}

// search returns the first of sorted entries that is not before a head.
func search(entries []entry, h head) int {
	low, high := 0, len(entries)
	for low < high {
		middle := int(uint(low+high) >> 1)
		if entries[middle].head < h {
			low = middle + 1
		} else {
			high = middle
		}
	}
	return low
}

// next returns the first entry of a group that can match, and those behind it;
// nil when there is none.
func (a *actionHash) next(group []entry) (found *entry, rest []entry) {
	for len(group) > 0 {
		if len(group) > fewEntries {
			if group = a.skip(group); len(group) == 0 {
				break
			}
		}
		e := &group[0]
		group = group[1:]
		if a.has(e.head) {
			return e, group
		}
	}
	return nil, nil
}

// skip drops entries at the front of a group that cannot match. It keeps those
// at and behind the action's head of the first entry's length, or, when that is
// passed, of the next length.
func (a *actionHash) skip(group []entry) []entry {
	length := group[0].head.length()
	want := a.head(length)
	switch {
	case length > a.length && length != exactLength:
		want = a.head(exactLength)
	case want < group[0].head:
		want = makeHead(length+1, 0)
	}
	return group[search(group, want):]
}

// indexBuilder collects statements for an index.
type indexBuilder struct{ keyed []keyed }

// keyed is a statement under the head of one of its patterns.
type keyed struct {
	any       bool // of any service
	service   head
	head      head
	statement *policy.Statement
}

// add puts a statement under each of its patterns. A statement that is neither
// Allow nor Deny, or has no action, never applies and is left out.
func (b *indexBuilder) add(s *policy.Statement) {
	if s.Effect != syntax.Allow && s.Effect != syntax.Deny {
		return
	}
	if s.NotAction || slices.ContainsFunc(s.Actions, func(p policy.ActionPattern) bool { return p.Service == "" }) {
		b.keyed = append(b.keyed, keyed{any: true, statement: s})
		return
	}
	seen := make(map[keyed]bool, len(s.Actions))
	for i := range s.Actions {
		k := keyOf(&s.Actions[i])
		k.statement = s
		if !seen[k] {
			seen[k] = true
			b.keyed = append(b.keyed, k)
		}
	}
}

func keyOf(p *policy.ActionPattern) keyed {
	var a actionHash
	a.hash(p.Service + ":" + p.Prefix)
	length := a.length
	if p.Exact {
		length = exactLength
	}
	return keyed{service: a.service, head: a.head(length)}
}

func compareKeyed(a, b keyed) int {
	switch {
	case a.any != b.any:
		if a.any {
			return -1
		}
		return 1
	case a.service != b.service:
		return cmp.Compare(a.service, b.service)
	case a.head != b.head:
		return cmp.Compare(a.head, b.head)
	}
	return cmp.Compare(b.statement.Effect, a.statement.Effect) // Deny first
}

// index lays the statements out. Names are compiled when principals is set.
func (b *indexBuilder) index(principals bool) index {
	slices.SortStableFunc(b.keyed, compareKeyed)
	var x index
	var services, entries []entry
	compiled := map[*policy.Statement]*names{}
	for i := range b.keyed {
		k := &b.keyed[i]
		r := &x.always
		if !k.any { // those come first
			services, entries = k.open(services, entries, uint32(i))
			r = &entries[len(entries)-1].run
		}
		r.end++
		if k.statement.Effect == syntax.Deny {
			r.allow++
		}
		x.statements = append(x.statements, k.statement)
		if principals {
			if compiled[k.statement] == nil {
				compiled[k.statement] = compileNames(k.statement)
			}
			x.names = append(x.names, compiled[k.statement])
		}
	}
	x.services = uint32(len(services))
	for i := range services {
		services[i].run.first += x.services
		services[i].run.end += x.services
	}
	x.entries = slices.Concat(services, entries)
	x.statements, x.names = slices.Clip(x.statements), slices.Clip(x.names)
	return x
}

// open adds the service and the entry of k, whose run begins at a statement,
// unless they are the last ones already.
func (k *keyed) open(services, entries []entry, at uint32) (s, e []entry) {
	n := uint32(len(entries))
	newService := n == 0 || services[len(services)-1].head != k.service
	if newService {
		services = append(services, entry{head: k.service, run: run{first: n, end: n}})
	}
	if newService || entries[n-1].head != k.head {
		entries = append(entries, entry{head: k.head, run: run{at, at, at}})
		services[len(services)-1].run.end++
	}
	return services, entries
}
