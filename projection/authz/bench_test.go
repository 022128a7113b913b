package authz

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/writ-iam/writ/projection/policy"
	"github.com/writ-iam/writ/projection/policy/syntax"
)

func compileText(t testing.TB, text string) *policy.Policy {
	t.Helper()
	doc, err := syntax.Parse(text)
	if err != nil {
		t.Fatalf("%v in %.500s", err, text)
	}
	return policy.Compile(doc)
}

var benchServices = []struct {
	name    string
	actions []string
}{
	{"s3", []string{"GetObject", "PutObject", "ListBucket", "DeleteObject"}},
	{"ec2", []string{"RunInstances", "StartInstances", "StopInstances", "DescribeInstances"}},
	{"dynamodb", []string{"GetItem", "PutItem", "Query", "Scan"}},
	{"sqs", []string{"SendMessage", "ReceiveMessage", "DeleteMessage", "PurgeQueue"}},
	{"lambda", []string{"InvokeFunction", "GetFunction", "ListFunctions", "UpdateFunctionCode"}},
	{"kms", []string{"Decrypt", "Encrypt", "GenerateDataKey", "DescribeKey"}},
}

// benchPolicy has 5 statements with wildcards in action and resource and two
// conditions each, one of them a Deny.
func benchPolicy(rng *rand.Rand, n int) string {
	var statements []string
	for i := range 5 {
		service := benchServices[rng.IntN(len(benchServices))]
		action := service.actions[rng.IntN(len(service.actions))]
		effect, tag := "Allow", "eng"
		if i == 4 {
			effect, tag = "Deny", "contractor"
		}
		statements = append(statements, fmt.Sprintf(
			`{"Sid":"S%d","Effect":%q,"Action":["%s:%s*","%s:List*"],"Resource":"arn:aws:%s:*:111111111111:team-%d/*",
			  "Condition":{"StringEquals":{"aws:PrincipalTag/team":%q},"IpAddress":{"aws:SourceIp":"10.0.0.0/8"}}}`,
			i, effect, service.name, action[:3], service.name, service.name, n%20, tag))
	}
	return `{"Version":"2012-10-17","Statement":[` + strings.Join(statements, ",") + `]}`
}

type benchPrincipal struct {
	principal *Principal
	prepared  *Prepared
}

// benchWorld makes principals with 5 groups of 2 policies each out of a pool of
// groups.
func benchWorld(b *testing.B, principals, groups int) []benchPrincipal {
	rng := rand.New(rand.NewPCG(1, 2))
	var sets []*Set
	for i := range groups {
		sets = append(sets, NewSet(
			Policy{Name: "a", Document: compileText(b, benchPolicy(rng, 2*i))},
			Policy{Name: "b", Document: compileText(b, benchPolicy(rng, 2*i+1))}))
	}
	all := make([]benchPrincipal, principals)
	for i := range all {
		l := Layers{}
		for range 5 {
			l.Identity = append(l.Identity, sets[rng.IntN(len(sets))])
		}
		name := fmt.Sprintf("user%d", i)
		all[i] = benchPrincipal{
			principal: &Principal{
				ARN: "arn:aws:iam::111111111111:user/" + name, Account: "111111111111", Name: name,
				Tags: []Tag{{"team", "eng"}, {"cost-center", "1234"}},
			},
			prepared: Prepare(l),
		}
	}
	return all
}

func benchRequests() []Request {
	var all []Request
	for i, s := range benchServices {
		for j, a := range s.actions {
			r := Request{
				Action:   s.name + ":" + a,
				Resource: fmt.Sprintf("arn:aws:%s:us-east-1:111111111111:team-%d/object-%d", s.name, (i*7+j)%20, j),
			}
			all = append(all, r)
		}
	}
	return all
}

func benchDecide(b *testing.B, principals, groups int) {
	world := benchWorld(b, principals, groups)
	requests := benchRequests()
	globals := &Globals{SourceIP: "10.1.2.3", Transport: TLSTransport}
	for i := range requests {
		requests[i].FillGlobals(globals)
	}
	rng := rand.New(rand.NewPCG(3, 4))
	b.ReportAllocs()
	allowed := 0
	for b.Loop() {
		p := &world[rng.IntN(len(world))]
		r := &requests[rng.IntN(len(requests))]
		r.Principal = p.principal
		if p.prepared.Evaluate(r).Allowed() {
			allowed++
		}
	}
	b.ReportMetric(float64(allowed)/float64(b.N), "allowed/op")
}

func BenchmarkDecide(b *testing.B) {
	for _, size := range []struct{ principals, groups int }{{1, 5}, {1_000, 500}, {100_000, 10}, {100_000, 1_000}, {100_000, 100_000}} {
		b.Run(fmt.Sprintf("principals=%d/groups=%d", size.principals, size.groups), func(b *testing.B) {
			benchDecide(b, size.principals, size.groups)
		})
	}
}

// BenchmarkOtherStatements measures what statements cost that cannot match: of
// other services, and of the same service with other actions.
func BenchmarkOtherStatements(b *testing.B) {
	for _, n := range []int{10, 100, 1_000, 10_000} {
		var texts []Policy
		for i := 0; i < n; i += 5 {
			var statements []string
			for j := i; j < i+5; j++ {
				action := fmt.Sprintf("service%d:Get*", j)
				switch j % 3 {
				case 1:
					action = fmt.Sprintf("s3:Put%dObject", j)
				case 2:
					action = fmt.Sprintf("s3:Del%d*", j)
				}
				statements = append(statements, fmt.Sprintf(`{"Effect":"Allow","Action":%q,"Resource":"*"}`, action))
			}
			texts = append(texts, Policy{Document: compileText(b, `{"Version":"2012-10-17","Statement":[`+strings.Join(statements, ",")+`]}`)})
		}
		texts = append(texts, Policy{Document: compileText(b, `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"s3:Get*","Resource":"*"}}`)})
		prepared := Prepare(Layers{Identity: []*Set{NewSet(texts...)}})
		r := &Request{Principal: &Principal{Account: "111111111111"}, Action: "s3:GetObject", Resource: "arn:aws:s3:::b/k"}
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if !prepared.Evaluate(r).Allowed() {
					b.Fatal("denied")
				}
			}
		})
	}
}
