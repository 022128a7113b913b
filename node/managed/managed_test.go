package managed_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/writ-iam/writ/log/identity"
	"github.com/writ-iam/writ/node/managed"
	"github.com/writ-iam/writ/projection/policy/diff"
	"github.com/writ-iam/writ/projection/policy/syntax"
)

// What a cluster begins with must be in order, and fit into the command that begins it.
func TestPolicies(t *testing.T) {
	policies, err := managed.Policies()
	if err != nil {
		t.Fatal(err)
	}
	if len(policies) < 107 {
		t.Errorf("there are %d policies", len(policies))
	}
	size, ids := 0, map[identity.ID]string{}
	for i := range policies {
		p := &policies[i]
		if other, taken := ids[p.ID]; taken {
			t.Errorf("%s and %s have the identifier %s", p.Name, other, p.ID)
		}
		ids[p.ID] = p.Name
		if p.Description == "" || p.Created > p.Updated || p.Updated != p.Versions[0].Created {
			t.Errorf("%s: %q, created %d, updated %d", p.Name, p.Description, p.Created, p.Updated)
		}
		size += len(p.Name) + len(p.Path) + len(p.Description)
		for _, v := range p.Versions {
			size += len(v.Document)
		}
	}
	if size > managed.MaxBegin {
		t.Errorf("the policies have %d bytes, of at most %d", size, managed.MaxBegin)
	}
	s := identity.NewState()
	begin := &identity.Bootstrap{Cluster: "c", Account: "123456789012", RootKey: identity.NewAccessKey{ID: "AKIA"}, Catalogue: policies}
	events, err := identity.Decide(s, identity.Meta{Time: 1}, begin)
	if err != nil {
		t.Fatal(err)
	}
	identity.Evolve(s, 1, identity.Meta{Time: 1}, events)
	for _, arn := range []string{"AdministratorAccess", "service-role/AWSLambdaBasicExecutionRole", "job-function/DatabaseAdministrator", "AmazonEKS_CNI_Policy",
		"ReadOnlyAccess", "SecurityAudit", "job-function/NetworkAdministrator", "job-function/SupportUser"} {
		if _, ok := s.Policy("arn:aws:iam::aws:policy/" + arn); !ok {
			t.Errorf("there is no %s", arn)
		}
	}
}

// In another partition the same policies name its ARNs, and fit as well.
func TestPoliciesInPartitions(t *testing.T) {
	for _, name := range identity.PartitionNames() {
		partition, err := identity.ParsePartition(name)
		if err != nil {
			t.Fatal(err)
		}
		policies, err := managed.PoliciesIn(partition)
		if err != nil {
			t.Fatal(err)
		}
		size, named := 0, 0
		for i := range policies {
			if err := managed.Check(&policies[i]); err != nil {
				t.Errorf("%s: %v", name, err)
			}
			for _, v := range policies[i].Versions {
				size += len(v.Document)
				named += strings.Count(v.Document, "arn:"+name+":")
				if name != "aws" && strings.Contains(v.Document, "arn:aws:") {
					t.Errorf("%s: %s names aws", name, policies[i].Name)
				}
			}
		}
		if size > managed.MaxBegin || named < 100 {
			t.Errorf("%s: %d bytes with %d ARNs", name, size, named)
		}
	}
}

// A file of another partition is told apart from what is no such file.
func TestReadOtherPartition(t *testing.T) {
	text := printed(t, entry("AWSDenyAll", `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"*","Resource":"*"}}`))
	if _, err := managed.Read(strings.NewReader(text), identity.PartitionCN); !errors.Is(err, managed.ErrOtherPartition) || !errors.Is(err, managed.ErrFile) {
		t.Errorf("of aws in aws-cn: %v", err)
	}
	abroad := strings.ReplaceAll(text, "arn:aws:", "arn:aws-cn:")
	if got, err := managed.Read(strings.NewReader(abroad), identity.PartitionCN); err != nil || len(got) != 1 {
		t.Errorf("of aws-cn in aws-cn: %+v, %v", got, err)
	}
	unknown := strings.ReplaceAll(text, "arn:aws:", "arn:mars:")
	if _, err := managed.Read(strings.NewReader(unknown), identity.PartitionCN); errors.Is(err, managed.ErrOtherPartition) || !errors.Is(err, managed.ErrFile) {
		t.Errorf("of nowhere: %v", err)
	}
}

// A document that the log takes must be one that answers are computed from.
func TestDocumentLimits(t *testing.T) {
	if identity.MaxManagedDocument != syntax.MaxDocument {
		t.Errorf("the log takes %d bytes, and %d are parsed", identity.MaxManagedDocument, syntax.MaxDocument)
	}
}

// entry is a policy as the aws CLI prints it.
func entry(name string, versions ...string) map[string]any {
	var list []any
	for i, text := range versions {
		list = append(list, map[string]any{"VersionId": fmt.Sprintf("v%d", len(versions)-i), "IsDefaultVersion": i == 0, "CreateDate": "2024-01-02T03:04:05+00:00", "Document": json.RawMessage(text)})
	}
	return map[string]any{"PolicyName": name, "PolicyId": "ANPA" + strings.Repeat("A", 17), "Arn": "arn:aws:iam::aws:policy/" + name, "Path": "/",
		"DefaultVersionId": fmt.Sprintf("v%d", len(versions)), "AttachmentCount": 0, "IsAttachable": true,
		"CreateDate": "2015-02-06T18:39:46Z", "UpdateDate": "2024-01-02T03:04:05+00:00", "PolicyVersionList": list}
}

func printed(t testing.TB, entries ...map[string]any) string {
	t.Helper()
	text, err := json.MarshalIndent(map[string]any{"UserDetailList": []any{}, "Policies": entries, "IsTruncated": false}, "", "    ")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

const allowAll = `{ "Version": "2012-10-17", "Statement": [ {"Effect": "Allow", "Action": "*", "Resource": "*"} ] }`

func TestRead(t *testing.T) {
	b := entry("b", allowAll)
	b["PolicyId"] = "ANPA" + strings.Repeat("B", 17)
	got, err := managed.Read(strings.NewReader(printed(t, b, entry("AWSDenyAll", allowAll, allowAll))), identity.PartitionAWS)
	if err != nil {
		t.Fatal(err)
	}
	a := got[0]
	if len(got) != 2 || a.Name != "AWSDenyAll" || a.Default != 2 || len(a.Versions) != 2 || a.Versions[0].Number != 1 || got[1].Name != "b" {
		t.Fatalf("read %+v", got)
	}
	if want := `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}`; a.Versions[1].Document != want || a.Created != 1423247986000 {
		t.Errorf("read %+v", a)
	}
	if a.Description == "" || got[1].Description != "" {
		t.Errorf("the descriptions are %q and %q", a.Description, got[1].Description)
	}
}

func TestReadRefuses(t *testing.T) {
	change := func(key string, value any) map[string]any {
		e := entry("A", allowAll)
		e[key] = value
		return e
	}
	six := slices.Repeat([]string{allowAll}, identity.MaxPolicyVersions+1)
	for name, text := range map[string]string{
		"no JSON":                 "x",
		"nothing":                 `{"Policies":[]}`,
		"not all":                 `{"NextToken":"x","Policies":[]}`,
		"somebody's own":          printed(t, change("Arn", "arn:aws:iam::123456789012:policy/A")),
		"of another partition":    printed(t, change("Arn", "arn:aws-cn:iam::aws:policy/A")),
		"another path":            printed(t, change("Path", "/x/")),
		"a bad name":              printed(t, change("PolicyName", "a b"), entry("A", allowAll)),
		"a bad identifier":        printed(t, change("PolicyId", "AIDA")),
		"a bad time":              printed(t, change("CreateDate", "yesterday")),
		"the default is missing":  printed(t, change("DefaultVersionId", "v9")),
		"no version":              printed(t, change("DefaultVersionId", "1")),
		"no versions":             printed(t, entry("A")),
		"six versions":            printed(t, entry("A", six...)),
		"twice":                   printed(t, entry("A", allowAll), entry("a", allowAll)),
		"no policy":               printed(t, entry("A", `{"Version":"2012-10-17"}`)),
		"a text that is too long": printed(t, entry("A", `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"`+strings.Repeat("a", identity.MaxManagedDocument)+`","Resource":"*"}]}`)),
	} {
		if got, err := managed.Read(strings.NewReader(text), identity.PartitionAWS); !errors.Is(err, managed.ErrFile) {
			t.Errorf("%s: %d policies, %v", name, len(got), err)
		}
	}
}

// Elsewhere there may be what AWS itself prints: every policy of it must be read, and
// those that a cluster begins with must allow what AWS's do, no more and no less. One
// that is newer than AWS's there has nothing to be compared with.
func TestAgainstAWS(t *testing.T) {
	const variable = "WRIT_AWS_POLICIES"
	if os.Getenv(variable) == "" {
		t.Skip("$" + variable + " names no output of the aws CLI to compare with")
	}
	f, err := os.Open(os.Getenv(variable))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	theirs, err := managed.Read(f, identity.PartitionAWS)
	if err != nil {
		t.Fatal(err)
	}
	ours, err := managed.Policies()
	if err != nil {
		t.Fatal(err)
	}
	compared := 0
	for _, p := range ours {
		i := slices.IndexFunc(theirs, func(q identity.CataloguePolicy) bool { return q.Name == p.Name })
		if i < 0 {
			continue
		}
		q := theirs[i]
		if p.Default > q.Default {
			t.Logf("%s is v%d, and there v%d: not compared", p.Name, p.Default, q.Default)
			continue
		}
		compared++
		if p.ID != q.ID || p.Path != q.Path || p.Default != q.Default || p.Created/60_000 != q.Created/60_000 {
			t.Errorf("%s differs: %s %s v%d %d, and AWS has %s %s v%d %d", p.Name, p.ID, p.Path, p.Default, p.Created, q.ID, q.Path, q.Default, q.Created)
		}
		same(t, p.Name, inForce(t, &p), inForce(t, &q))
	}
	t.Logf("%d policies read, %d compared", len(theirs), compared)
}

// same compares what two documents allow, both ways.
func same(t *testing.T, name, a, b string) {
	t.Helper()
	var docs [2]*syntax.Document
	for i, text := range []string{a, b} {
		var err error
		if docs[i], err = syntax.Parse(text); err != nil {
			t.Fatal(err)
		}
	}
	for _, pair := range [][2]*syntax.Document{{docs[0], docs[1]}, {docs[1], docs[0]}} {
		found, err := diff.Policies(pair[0], pair[1])
		if err != nil || len(found) > 0 {
			t.Errorf("%s: %v, %+v", name, err, found)
		}
	}
}

// inForce is the text of the default version.
func inForce(t *testing.T, p *identity.CataloguePolicy) string {
	t.Helper()
	i := slices.IndexFunc(p.Versions, func(v identity.PolicyVersion) bool { return v.Number == p.Default })
	if i < 0 {
		t.Fatalf("%s has no default version", p.Name)
	}
	return p.Versions[i].Document
}

func FuzzRead(f *testing.F) {
	f.Add([]byte(printed(f, entry("A", allowAll))))
	f.Add([]byte(printed(f, entry("A", allowAll, allowAll), entry("b", `{}`))))
	f.Add([]byte(`{"Policies":[{"PolicyVersionList":[{"Document":null}]}]}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		policies, err := managed.Read(bytes.NewReader(text), identity.PartitionAWS)
		if err != nil {
			return
		}
		for i := range policies {
			if err := managed.Check(&policies[i]); err != nil {
				t.Errorf("%s was read and is not valid: %v", policies[i].Name, err)
			}
		}
	})
}
