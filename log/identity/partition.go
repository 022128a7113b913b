package identity

import (
	"errors"
	"fmt"
	"strings"

	"github.com/writ-iam/writ/log/digest"
)

// Partition is the part of AWS that a cluster stands for: the second field of every ARN that
// it makes. A cluster has one, from its beginning and forever. The zero value is aws.
// Numbers are stored: append, never reorder or reuse.
type Partition uint8

// The partitions that AWS names.
const (
	PartitionAWS   Partition = 0 // where a cluster names no other
	PartitionCN    Partition = 1
	PartitionUSGov Partition = 2
	PartitionISO   Partition = 3
	PartitionISOB  Partition = 4
	PartitionISOE  Partition = 5
	PartitionISOF  Partition = 6
	PartitionEUSC  Partition = 7
)

// partitions names them, and has what ARNs of them begin with, by number. Concatenating
// an ARN costs no more for it.
var partitions = [...]struct{ name, iam, sts string }{
	PartitionAWS:   {"aws", "arn:aws:iam::", "arn:aws:sts::"},
	PartitionCN:    {"aws-cn", "arn:aws-cn:iam::", "arn:aws-cn:sts::"},
	PartitionUSGov: {"aws-us-gov", "arn:aws-us-gov:iam::", "arn:aws-us-gov:sts::"},
	PartitionISO:   {"aws-iso", "arn:aws-iso:iam::", "arn:aws-iso:sts::"},
	PartitionISOB:  {"aws-iso-b", "arn:aws-iso-b:iam::", "arn:aws-iso-b:sts::"},
	PartitionISOE:  {"aws-iso-e", "arn:aws-iso-e:iam::", "arn:aws-iso-e:sts::"},
	PartitionISOF:  {"aws-iso-f", "arn:aws-iso-f:iam::", "arn:aws-iso-f:sts::"},
	PartitionEUSC:  {"aws-eusc", "arn:aws-eusc:iam::", "arn:aws-eusc:sts::"},
}

// ErrPartition is returned for a name that no partition has.
var ErrPartition = errors.New("no such partition")

// ParsePartition returns the partition of that name; the empty name is that of aws. The
// error wraps ErrPartition and lists the names.
func ParsePartition(name string) (Partition, error) {
	if name == "" {
		return PartitionAWS, nil
	}
	for p := range partitions {
		if partitions[p].name == name {
			return Partition(p), nil
		}
	}
	return PartitionAWS, fmt.Errorf("%w: %.80q; use %s", ErrPartition, name, strings.Join(PartitionNames(), ", "))
}

// PartitionNames are the names of all partitions.
func PartitionNames() []string {
	names := make([]string, len(partitions))
	for p := range partitions {
		names[p] = partitions[p].name
	}
	return names
}

// Known says whether this build knows the partition.
func (p Partition) Known() bool { return int(p) < len(partitions) }

// String is the name of the partition, such as "aws-cn".
func (p Partition) String() string {
	if !p.Known() {
		return fmt.Sprintf("partition %d", uint8(p))
	}
	return partitions[p].name
}

// MarshalText writes the name of the partition.
func (p Partition) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

// UnmarshalText reads what ParsePartition does.
func (p *Partition) UnmarshalText(text []byte) (err error) {
	*p, err = ParsePartition(string(text))
	return err
}

// IAM is what the ARNs of IAM begin with in the partition: "arn:aws:iam::". The number of
// an account follows.
func (p Partition) IAM() string { return partitions[p].iam }

// STS is what the ARNs of sessions begin with in the partition: "arn:aws:sts::". The number
// of an account follows.
func (p Partition) STS() string { return partitions[p].sts }

// SessionARN is that of a session of a role, which does not show the role's path.
func (p Partition) SessionARN(account AccountID, role, session string) string {
	return p.STS() + string(account) + ":assumed-role/" + role + "/" + session
}

// FederatedARN is that of a federated user.
func (p Partition) FederatedARN(account AccountID, name string) string {
	return p.STS() + string(account) + ":federated-user/" + name
}

// ARN renders the Amazon Resource Name of an entity:
// arn:PARTITION:iam::ACCOUNT:noun/path/name.
func (p Partition) ARN(kind Kind, account AccountID, path, name string) string {
	return p.IAM() + string(account) + ":" + kind.Noun() + path + name
}

// RootARN is the principal ARN of an account's root: arn:PARTITION:iam::ACCOUNT:root.
func (p Partition) RootARN(account AccountID) string { return p.IAM() + string(account) + ":root" }

// Localize is a text of AWS about its partition aws, such as a policy document, as AWS has it
// in p: the ARNs in it name p. ARNs of other partitions stay.
func (p Partition) Localize(text string) string {
	if p == PartitionAWS {
		return text
	}
	return strings.ReplaceAll(text, "arn:aws:", "arn:"+p.String()+":")
}

// appendDigest appends what tells a record's partition from aws; nothing for aws, as before
// there were others.
func (p Partition) appendDigest(b []byte) []byte {
	if p == PartitionAWS {
		return b
	}
	return digest.AppendInt(append(b, "partition"...), uint8(p))
}

// Partition is that of the cluster.
func (s *State) Partition() Partition { return s.partition }

// Home is the record of a state in another partition than aws.
type Home struct {
	Partition Partition
}

// AppendDigest appends all that the Home has.
func (h *Home) AppendDigest(b []byte) []byte {
	return digest.AppendInt(digest.AppendString(b, "home"), uint8(h.Partition))
}

// BootstrapIn begins a cluster in another partition than aws. One in aws is begun by Bootstrap,
// so that its log has the bytes it always had.
type BootstrapIn struct {
	Partition Partition
	Bootstrap Bootstrap
}

// BeginIn is the command that begins a cluster in a partition.
func BeginIn(p Partition, b Bootstrap) Command {
	if p == PartitionAWS {
		return &b
	}
	return &BootstrapIn{Partition: p, Bootstrap: b}
}

// PartitionChosen is the second event of a history that is of another partition than aws. No
// event changes the partition afterwards.
type PartitionChosen struct {
	Partition Partition
}

// Begins is the beginning of a cluster that a command is, in whichever partition; nil for
// any other command.
func Begins(c Command) *Bootstrap {
	switch c := c.(type) {
	case *Bootstrap:
		return c
	case *BootstrapIn:
		return &c.Bootstrap
	}
	return nil
}

func (c *BootstrapIn) decide(s *State, m Meta) ([]Event, error) {
	return c.Bootstrap.in(c.Partition, s, m)
}

func (e *PartitionChosen) evolve(s *State) { s.partition = e.Partition }
