package managed

import (
	"embed"
	"fmt"
	"slices"

	"github.com/writ-iam/writ/log/identity"
)

// The policies that a cluster begins with, as AWS's Managed Policy Reference gives them,
// in the form of Read, in one file for those that belong together. Where a page of the
// reference and the others differ, the page holds. They are as of March 2026, but for
// SecurityAudit, which AWS changes often: it is v91, of July 2026, the newest that is
// public as a whole; AWS has had newer ones since. Where AWS publishes the minute of a
// creation alone, its seconds are zero.
//
//go:embed policies/*.json
var files embed.FS

// MaxBegin bounds the policies that a cluster begins with, in bytes of texts, names and
// descriptions: they are one command of at most 256 KiB, beside other things. More are
// brought by an import.
const MaxBegin = 240 << 10

// Policies returns the policies of AWS that a cluster begins with, in order of name. An
// error means that the data of this build are damaged, which a test excludes.
func Policies() ([]Policy, error) {
	entries, err := files.ReadDir("policies")
	if err != nil {
		return nil, fmt.Errorf("list the policies of AWS: %w", err)
	}
	var list []Policy
	for _, e := range entries {
		text, err := files.ReadFile("policies/" + e.Name())
		if err != nil {
			return nil, fmt.Errorf("read the policies of AWS: %w", err)
		}
		more, err := parse(text, identity.PartitionAWS)
		if err != nil {
			return nil, fmt.Errorf("the policies of AWS in %s: %w", e.Name(), err)
		}
		list = append(list, more...)
	}
	slices.SortFunc(list, byName)
	return list, nil
}

// PoliciesIn returns Policies as AWS has them in a partition: their documents name the ARNs of
// that partition. AWS's reference shows those of aws alone.
func PoliciesIn(partition Partition) ([]Policy, error) {
	list, err := Policies()
	for i := range list {
		for n := range list[i].Versions {
			v := &list[i].Versions[n]
			v.Document = partition.Localize(v.Document)
		}
	}
	return list, err
}
