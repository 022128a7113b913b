package setup

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/google/uuid"
	"go.yaml.in/yaml/v3"

	"github.com/writ-iam/writ/log/durable"
)

// Named is what somebody says of a cluster that may be there already. What is nil, or has no
// name in the lists, is not said and stays as it is.
type Named struct {
	Account             *AccountID
	Partition           *Partition
	NATS, Quotas, Email *string
	Writers             []Writer // without Broker and Routes: at the ports after Peer, if it is new
	Replicas            []NamedReplica
}

// NamedReplica is a replica of which some things are said.
type NamedReplica struct {
	Name          string
	Region, Class *string
}

// Begins says what is wrong with c for a cluster that is to begin, as an ErrConfig.
func (c *Cluster) Begins() error {
	if n := len(c.Writers); n%2 == 0 || n > MaxWriters {
		return fmt.Errorf("%w: %d writers; an odd number up to %d keeps a majority when one fails", ErrConfig, n, MaxWriters)
	}
	return nil
}

// Once refuses, as an ErrConfig, a node that is named twice.
func (n *Named) Once() error {
	seen := map[string]bool{}
	once := func(name string) error {
		if seen[name] {
			return fmt.Errorf("%w: the name %s is given twice", ErrConfig, name)
		}
		seen[name] = true
		return nil
	}
	for _, w := range n.Writers {
		if err := once(w.Name); err != nil {
			return err
		}
	}
	for _, r := range n.Replicas {
		if err := once(r.Name); err != nil {
			return err
		}
	}
	return nil
}

// Begin is With for a cluster that is to begin.
func (c *Cluster) Begin(n Named) (Cluster, []string, error) {
	begun := *c
	begun.ID = uuid.Nil.String() // Init chooses one
	begun, said, err := begun.With(n)
	if err == nil {
		err = begun.Begins()
	}
	begun.ID = ""
	return begun, said, err
}

// With is c with what was said of it, and what that changes, a line each. What cannot change
// by a new file alone is an ErrConfig that says how it does.
func (c *Cluster) With(n Named) (Cluster, []string, error) {
	var said []string
	next := *c
	next.Writers, next.Replicas = slices.Clone(c.Writers), slices.Clone(c.Replicas)
	if n.Account != nil && *n.Account != c.Account {
		return next, nil, fmt.Errorf("%w: the cluster that is there has account %s, which cannot change to %s: leave --account out; `writ account create` makes more accounts", ErrConfig, c.Account, *n.Account)
	}
	if n.Partition != nil && *n.Partition != c.Partition {
		return next, nil, fmt.Errorf("%w: the cluster that is there is of the partition %s, which cannot change to %s: leave --partition out", ErrConfig, c.Partition, *n.Partition)
	}
	for _, f := range []struct {
		name  string
		value *string
		to    *string
		note  string
	}{
		{"nats", &next.NATS, n.NATS, "start every node again with the new file"},
		{"quotas", &next.Quotas, n.Quotas, "it counts as long as nobody has chosen by `writ account quotas`"},
		{"email", &next.Email, n.Email, "it counts as long as nobody has set another by `writ account root`"},
	} {
		if f.to != nil && *f.to != *f.value {
			said = append(said, fmt.Sprintf("changed %s from %q to %q: %s", f.name, *f.value, *f.to, f.note))
			*f.value = *f.to
		}
	}
	for _, w := range n.Writers {
		line, err := next.addWriter(w)
		if err != nil {
			return next, nil, err
		}
		said = append(said, line...)
	}
	for _, r := range n.Replicas {
		said = append(said, next.addReplica(r)...)
	}
	return next, said, next.Validate()
}

// addWriter adds a writer, if it is not there at the addresses that were said.
func (c *Cluster) addWriter(w Writer) ([]string, error) {
	old, ok := c.Writer(w.Name)
	switch {
	case ok && (w.Peer != old.Peer || w.Broker != "" && (w.Broker != old.Broker || w.Routes != old.Routes)):
		return nil, fmt.Errorf("%w: the cluster that is there has writer %s at %s,%s,%s: to move it, `writ writer move`, and then change %s; docs/operating/members.md has the steps",
			ErrConfig, old.Name, old.Peer, old.Broker, old.Routes, clusterFile)
	case ok:
		return nil, nil
	}
	w, err := w.Complete()
	if err != nil {
		return nil, err
	}
	c.Writers = append(c.Writers, w)
	return []string{"added writer " + w.Name + " at " + w.Peer}, nil
}

// addReplica adds a replica, or gives one what was said of it.
func (c *Cluster) addReplica(n NamedReplica) (said []string) {
	i := slices.IndexFunc(c.Replicas, func(r Replica) bool { return r.Name == n.Name })
	if i < 0 {
		r := Replica{Name: n.Name}
		for to, from := range map[*string]*string{&r.Region: n.Region, &r.Class: n.Class} {
			if from != nil {
				*to = *from
			}
		}
		c.Replicas = append(c.Replicas, r)
		return []string{"added replica " + n.Name}
	}
	r := &c.Replicas[i]
	for _, f := range []struct {
		name      string
		value, to *string
	}{{"region", &r.Region, n.Region}, {"class", &r.Class, n.Class}} {
		if f.to != nil && *f.to != *f.value {
			said = append(said, fmt.Sprintf("changed the %s of replica %s from %q to %q: start it again with the new file", f.name, n.Name, *f.value, *f.to))
			*f.value = *f.to
		}
	}
	return said
}

// writeCluster writes cluster.yaml, unless it says all that already. What people wrote into it
// besides, comments and the order of things, stays.
func writeCluster(dir string, c Cluster) error {
	path := filepath.Join(dir, clusterFile)
	text, err := yaml.Marshal(c)
	if err != nil {
		return fmt.Errorf("encode %s: %w", clusterFile, err)
	}
	old, err := os.ReadFile(path)
	if err != nil { // LoadCluster has read it, unless it is not there
		return put(path, publicMode, text)
	}
	var was, is yaml.Node
	if yaml.Unmarshal(old, &was) != nil || yaml.Unmarshal(text, &is) != nil || !mergeYAML(&was, &is) {
		return nil
	}
	if text, err = yaml.Marshal(&was); err != nil {
		return fmt.Errorf("encode %s: %w", clusterFile, err)
	}
	return put(path, publicMode, text)
}

// mergeYAML makes a document say what another does, and tells whether that changed it. Lists
// have the same order in both, but for what is new at their end.
func mergeYAML(old, to *yaml.Node) (changed bool) {
	if old.Kind != to.Kind || old.Kind == yaml.ScalarNode {
		if old.Kind == to.Kind && old.Value == to.Value {
			return false
		}
		old.Kind, old.Tag, old.Value, old.Style, old.Content = to.Kind, to.Tag, to.Value, to.Style, to.Content
		return true
	}
	if old.Kind != yaml.MappingNode {
		for i, one := range to.Content {
			if i < len(old.Content) {
				changed = mergeYAML(old.Content[i], one) || changed
			} else {
				old.Content, changed = append(old.Content, one), true
			}
		}
		if len(old.Content) > len(to.Content) {
			old.Content, changed = old.Content[:len(to.Content)], true
		}
		return changed
	}
	for i := 0; i < len(to.Content); i += 2 {
		if at := keyOf(old, to.Content[i].Value); at >= 0 {
			changed = mergeYAML(old.Content[at+1], to.Content[i+1]) || changed
		} else {
			old.Content, changed = append(old.Content, to.Content[i], to.Content[i+1]), true
		}
	}
	for i := len(old.Content) - 2; i >= 0; i -= 2 {
		if keyOf(to, old.Content[i].Value) < 0 && old.Content[i+1].Value != "" { // what says nothing may stay
			old.Content, changed = slices.Delete(old.Content, i, i+2), true
		}
	}
	return changed
}

// keyOf is where a mapping has a key; negative: nowhere.
func keyOf(mapping *yaml.Node, key string) int {
	for i := 0; i < len(mapping.Content); i += 2 {
		if mapping.Content[i].Value == key {
			return i
		}
	}
	return -1
}

// put writes a file of a layout. It is of whom the directory is: what root adds to a layout
// that nodes without rights run from, they can read.
func put(path string, mode os.FileMode, content []byte) error {
	if old, err := os.ReadFile(path); err == nil && bytes.Equal(old, content) {
		return nil
	}
	if err := durable.Write(path, mode, content); err != nil {
		return err
	}
	return ownAs(filepath.Dir(path), path)
}
