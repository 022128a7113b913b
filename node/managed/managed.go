// Package managed has the managed policies of AWS, which belong to the account "aws" and
// which every account sees: those that a cluster begins with, as data, and others in the
// form in which the aws CLI prints them.
package managed

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/writ-iam/writ/log/identity"
	"github.com/writ-iam/writ/projection/policy/syntax"
)

// Policy is a policy of a catalogue; see identity.CataloguePolicy.
type Policy = identity.CataloguePolicy

// Partition is the part of AWS that a catalogue is of.
type Partition = identity.Partition

// ParsePartition returns the partition of that name, which a cluster says of itself.
func ParsePartition(name string) (Partition, error) { return identity.ParsePartition(name) }

// MaxFile is the longest output of the aws CLI that Read takes, in bytes. It is printed
// with much white space.
const MaxFile = 8 * identity.MaxCatalogueBytes

// ErrFile is returned for what is not the policies of AWS in the form of Read.
var ErrFile = errors.New("not what `aws iam get-account-authorization-details --filter AWSManagedPolicy` prints")

// ErrOtherPartition is returned for the policies of AWS of another partition than asked for.
var ErrOtherPartition = errors.New("the policies are of another partition")

// listing is as much as is read of the output of GetAccountAuthorizationDetails.
type listing struct {
	Policies    []listed
	IsTruncated bool
	NextToken   string
}

type listed struct {
	PolicyName        string
	PolicyID          identity.ID `json:"PolicyId"`
	Arn               string
	Path              string
	Description       string
	DefaultVersionID  string `json:"DefaultVersionId"`
	CreateDate        time.Time
	UpdateDate        time.Time
	PolicyVersionList []listedVersion
}

type listedVersion struct {
	Document   json.RawMessage
	VersionID  string `json:"VersionId"`
	CreateDate time.Time
}

// Read reads what `aws iam get-account-authorization-details --filter AWSManagedPolicy`
// prints in a partition, in order of name. Descriptions, which that leaves out, are taken from
// the policies that a cluster begins with. The error wraps ErrFile, and ErrOtherPartition too
// where they are of another partition.
func Read(r io.Reader, of Partition) ([]Policy, error) {
	text, err := io.ReadAll(io.LimitReader(r, MaxFile+1))
	if err != nil {
		return nil, fmt.Errorf("read the policies of AWS: %w", err)
	}
	if len(text) > MaxFile {
		return nil, fmt.Errorf("%w: it is longer than %d bytes", ErrFile, MaxFile)
	}
	list, err := parse(text, of)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrFile, err)
	}
	begun, err := Policies()
	if err != nil {
		return nil, err
	}
	for i := range list {
		at, ok := slices.BinarySearchFunc(begun, list[i], byName)
		if ok && list[i].Description == "" {
			list[i].Description = begun[at].Description
		}
	}
	return list, nil
}

func parse(text []byte, of Partition) ([]Policy, error) {
	var from listing
	if err := json.Unmarshal(text, &from); err != nil {
		return nil, err
	}
	switch {
	case from.IsTruncated || from.NextToken != "":
		return nil, errors.New("it is not all of it: leave --max-items and --no-paginate out")
	case len(from.Policies) == 0:
		return nil, errors.New("it has no policies")
	case len(from.Policies) > identity.MaxCataloguePolicies:
		return nil, fmt.Errorf("it has %d policies, of at most %d", len(from.Policies), identity.MaxCataloguePolicies)
	}
	list := make([]Policy, len(from.Policies))
	bytes := 0
	for i := range from.Policies {
		p, err := from.Policies[i].policy(of)
		if err == nil {
			err = Check(&p)
		}
		if err != nil {
			return nil, fmt.Errorf("policy %s: %w", from.Policies[i].PolicyName, err)
		}
		for _, v := range p.Versions {
			bytes += len(v.Document)
		}
		list[i] = p
	}
	if bytes > identity.MaxCatalogueBytes {
		return nil, fmt.Errorf("the policies have %d bytes, of at most %d", bytes, identity.MaxCatalogueBytes)
	}
	slices.SortFunc(list, byName)
	for i := range list[1:] {
		if byName(list[i], list[i+1]) == 0 {
			return nil, fmt.Errorf("policy %s is there twice", list[i].Name)
		}
	}
	return list, nil
}

// byName is the order of a catalogue: by name, without regard to case.
func byName(a, b Policy) int {
	return strings.Compare(strings.ToLower(a.Name), strings.ToLower(b.Name))
}

// policy is the policy as a catalogue of a partition has it.
func (l *listed) policy(of Partition) (p Policy, err error) {
	p = Policy{ID: l.PolicyID, Name: l.PolicyName, Path: l.Path, Description: l.Description,
		Created: identity.Time(l.CreateDate.UnixMilli()), Updated: identity.Time(l.UpdateDate.UnixMilli())}
	if want := of.ARN(identity.KindPolicy, identity.AWSAccount, p.Path, p.Name); l.Arn != want {
		if named, _, _ := strings.Cut(strings.TrimPrefix(l.Arn, "arn:"), ":"); named != of.String() && slices.Contains(identity.PartitionNames(), named) {
			return p, fmt.Errorf("%w: its ARN is %q, and the cluster is of %s; print them with a region and keys of that partition", ErrOtherPartition, l.Arn, of)
		}
		return p, fmt.Errorf("its ARN is %q, and not %s: it is none of AWS", l.Arn, want)
	}
	if p.Default, err = number(l.DefaultVersionID); err != nil {
		return p, err
	}
	for _, v := range l.PolicyVersionList {
		n, err := number(v.VersionID)
		if err != nil {
			return p, err
		}
		var document bytes.Buffer
		if err := json.Compact(&document, v.Document); err != nil {
			return p, fmt.Errorf("version v%d: %w", n, err)
		}
		p.Versions = append(p.Versions, identity.PolicyVersion{Number: n, Document: document.String(), Created: identity.Time(v.CreateDate.UnixMilli())})
	}
	slices.SortFunc(p.Versions, func(a, b identity.PolicyVersion) int { return a.Number - b.Number })
	if !slices.ContainsFunc(p.Versions, func(v identity.PolicyVersion) bool { return v.Number == p.Default }) {
		return p, fmt.Errorf("its default version v%d is not there", p.Default)
	}
	return p, nil
}

// number reads "v3".
func number(id string) (int, error) {
	n, err := strconv.ParseUint(strings.TrimPrefix(id, "v"), 10, 31)
	if err != nil || n == 0 || !strings.HasPrefix(id, "v") {
		return 0, fmt.Errorf("%q is no version", id)
	}
	return int(n), nil
}

// How what a policy has is spelled (the service model's policyNameType, policyPathType,
// idType and policyDescriptionType).
var (
	nameForm = regexp.MustCompile(`^[\w+=,.@-]{1,128}$`)
	pathForm = regexp.MustCompile(`^/([A-Za-z0-9.,+@=_-]+/)*$`)
	idForm   = regexp.MustCompile(`^` + identity.PolicyIDPrefix + `[A-Z0-9]{12,28}$`)
)

// Limits of what a policy has, in characters (the service model), and of the time of
// anything, in milliseconds: the end of the year 9999.
const (
	maxPath        = 512
	maxDescription = 1000
	maxTime        = 253402300799999
)

// Check finds what is wrong with a policy of a catalogue, or with the part of its
// versions that is there, apart from what only the rest of the catalogue shows.
func Check(p *Policy) error {
	switch {
	case !nameForm.MatchString(p.Name):
		return fmt.Errorf("the name %.200q is not valid", p.Name)
	case len(p.Path) > maxPath || !pathForm.MatchString(p.Path):
		return fmt.Errorf("the path %.200q of %s is not valid", p.Path, p.Name)
	case !idForm.MatchString(string(p.ID)):
		return fmt.Errorf("the identifier %.200q of %s is not valid", string(p.ID), p.Name)
	case len(p.Description) > maxDescription:
		return fmt.Errorf("the description of %s is longer than %d bytes", p.Name, maxDescription)
	case !isTime(p.Created) || !isTime(p.Updated):
		return fmt.Errorf("the times of %s are not valid", p.Name)
	case len(p.Versions) == 0 || len(p.Versions) > identity.MaxPolicyVersions:
		return fmt.Errorf("%s has %d versions, of 1 to %d", p.Name, len(p.Versions), identity.MaxPolicyVersions)
	}
	for i := range p.Versions {
		v := &p.Versions[i]
		if len(v.Document) > identity.MaxManagedDocument {
			return fmt.Errorf("version v%d of %s has %d bytes, of at most %d", v.Number, p.Name, len(v.Document), identity.MaxManagedDocument)
		}
		if _, err := syntax.Parse(v.Document); err != nil {
			return fmt.Errorf("version v%d of %s: %w", v.Number, p.Name, err)
		}
		if !isTime(v.Created) {
			return fmt.Errorf("the time of version v%d of %s is not valid", v.Number, p.Name)
		}
	}
	return nil
}

func isTime(t identity.Time) bool { return 0 < t && t <= maxTime }
