package identity

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParsePartition(t *testing.T) {
	for _, name := range PartitionNames() {
		if p, err := ParsePartition(name); err != nil || p.String() != name || p.IAM() != "arn:"+name+":iam::" || p.STS() != "arn:"+name+":sts::" {
			t.Errorf("%s is %s with %s and %s: %v", name, p, p.IAM(), p.STS(), err)
		}
	}
	if p, err := ParsePartition(""); err != nil || p != PartitionAWS {
		t.Errorf("no name is %s, %v", p, err)
	}
	for _, name := range []string{"AWS", "aws-", "china", "*"} {
		if _, err := ParsePartition(name); !errors.Is(err, ErrPartition) || !strings.Contains(err.Error(), "aws, aws-cn, aws-us-gov, aws-iso, aws-iso-b, aws-iso-e, aws-iso-f, aws-eusc") {
			t.Errorf("%q: %v", name, err)
		}
	}
}

func TestLocalize(t *testing.T) {
	const text = `{"Resource":["arn:aws:s3:::b","arn:aws-us-gov:s3:::b","arn:*:s3:::b"]}`
	if got := PartitionAWS.Localize(text); got != text {
		t.Errorf("in aws: %s", got)
	}
	if got := PartitionCN.Localize(text); got != `{"Resource":["arn:aws-cn:s3:::b","arn:aws-us-gov:s3:::b","arn:*:s3:::b"]}` {
		t.Errorf("in aws-cn: %s", got)
	}
}

// begun is a state that began in a partition, with one entity of each kind that has an ARN.
func begun(t *testing.T, p Partition) *State {
	t.Helper()
	begin := Bootstrap{Cluster: "cluster", Incarnation: "1", Account: acct, RootKey: NewAccessKey{ID: "AKIAROOT1"},
		Catalogue: []CataloguePolicy{{ID: "ANPAAWS", Name: "ReadOnly", Path: "/", Default: 1, Versions: []PolicyVersion{{Number: 1, Document: "{}"}}}}}
	s := NewState()
	commands := []Command{
		BeginIn(p, begin),
		&CreateUser{Account: acct, ID: "AIDA1", Name: "u", Path: "/"},
		&CreateGroup{Account: acct, ID: "AGPA1", Name: "g", Path: "/"},
		&CreateRole{Account: acct, ID: "AROA1", Name: "r", Path: "/x/"},
		&CreatePolicy{Account: acct, ID: "ANPA1", Name: "p", Path: "/x/", Document: "{}"},
		&CreateInstanceProfile{Account: acct, ID: "AIPA1", Name: "i", Path: "/"},
		&UploadServerCertificate{Account: acct, ID: "ASCA1", Name: "c", Path: "/"},
		&CreateMFADevice{Account: acct, Name: "m"},
		&CreateOIDCProvider{Account: acct, URL: "example.com/x"},
		&CreateSAMLProvider{Account: acct, Name: "s"},
		&AttachPolicy{Owner: Owner{KindUser, acct, "u"}, Policy: p.IAM() + "aws:policy/ReadOnly"},
		&StartAccessJob{Account: acct, ID: "job", ARN: p.IAM() + string(acct) + ":role/x/r"},
		&UpdateUser{Account: acct, Name: "u", NewName: "v", NewPath: "/"},
		&TagEntity{Kind: KindOIDCProvider, Account: acct, Name: p.IAM() + string(acct) + ":oidc-provider/example.com/x", Tags: []Tag{{"k", "v"}}},
	}
	for _, c := range commands {
		events, err := Decide(s, Meta{Time: now, Rules: CurrentRules}, c)
		if err != nil {
			t.Fatalf("%s: %T: %v", p, c, err)
		}
		Evolve(s, s.Position()+1, Meta{Time: now, Rules: CurrentRules}, events)
	}
	verify(t, s)
	return s
}

// arnsOf are the ARNs of all records of a state.
func arnsOf(s *State) (arns []string) {
	s.Records(func(r Record) bool {
		switch r := r.(type) {
		case interface{ ARN() string }:
			arns = append(arns, r.ARN())
		case *MFADevice:
			arns = append(arns, string(r.ID))
		}
		return true
	})
	return arns
}

func TestPartition(t *testing.T) {
	first := arnsOf(begun(t, PartitionAWS))
	if len(first) != 10 {
		t.Fatalf("there are %d ARNs: %q", len(first), first)
	}
	for _, name := range PartitionNames() {
		p, _ := ParsePartition(name)
		s := begun(t, p)
		var want []string
		for _, arn := range first {
			want = append(want, strings.Replace(arn, "arn:aws:", "arn:"+name+":", 1))
		}
		loaded := reload(t, s)
		for what, state := range map[string]*State{"state": s, "snapshot": s.Snapshot(), "state of its records": loaded} {
			if diff := cmp.Diff(want, arnsOf(state)); diff != "" || state.Partition() != p {
				t.Errorf("%s: the %s is of %s: %s", name, what, state.Partition(), diff)
			}
		}
		if loaded.Digest() != s.Digest() || p != PartitionAWS && s.Digest() == begun(t, PartitionAWS).Digest() {
			t.Errorf("%s: the digest does not tell the partition", name)
		}
		for _, arn := range first { // of aws
			_, policy := s.Policy(arn)
			_, oidc := s.OIDCProvider(arn)
			_, saml := s.SAMLProvider(arn)
			_, device := s.MFADevice(ID(arn))
			_, _, entity := s.EntityByARN(acct, arn)
			if found := policy || oidc || saml || device || entity; p != PartitionAWS && found {
				t.Errorf("%s: %s is found", name, arn)
			}
		}
	}
}

// What began in aws has the events that it always had.
func TestPartitionIsToldWhereItIsAnother(t *testing.T) {
	begin := Bootstrap{Cluster: "cluster", Account: acct, RootKey: NewAccessKey{ID: "AKIAROOT1"}}
	events, err := Decide(NewState(), Meta{}, &begin)
	if err != nil {
		t.Fatal(err)
	}
	told, err := Decide(NewState(), Meta{}, &BootstrapIn{Partition: PartitionUSGov, Bootstrap: begin})
	if err != nil {
		t.Fatal(err)
	}
	want := append([]Event{events[0], &PartitionChosen{Partition: PartitionUSGov}}, events[1:]...)
	if diff := cmp.Diff(want, told); diff != "" {
		t.Error(diff)
	}
	var refusal *Refusal
	s := begun(t, PartitionUSGov)
	for _, again := range []Command{&begin, &BootstrapIn{Partition: PartitionCN, Bootstrap: begin}} {
		if _, err := Decide(s, Meta{}, again); !errors.As(err, &refusal) || refusal.Code != AlreadyBootstrapped {
			t.Errorf("%T again: %v", again, err)
		}
	}
}
