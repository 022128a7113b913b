package policy

import (
	"math/rand"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/writ-iam/writ/projection/policy/syntax"
)

// operatorNames are all operators in their plain form, sorted.
func operatorNames() []string {
	var names []string
	for name := range syntax.Operators {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

var (
	refPrefixes = []string{"", "ForAllValues:", "ForAnyValue:"}
	refSuffixes = []string{"", "IfExists"}
)

// refInput tells that the reference can work with the texts: characters that
// it does not use itself, and few wildcards, for it is slow.
func refInput(texts ...string) bool {
	for _, text := range texts {
		if !utf8.ValidString(text) || strings.ContainsRune(text, refStar) || strings.ContainsRune(text, refQuestion) ||
			len(text) > 60 || strings.Count(text, "*") > 5 {
			return false
		}
	}
	return true
}

// checkCondition compares one condition with the reference.
func checkCondition(t *testing.T, operator string, listed []string, req *refRequest, variables bool) {
	t.Helper()
	const key = "aws:PrincipalTag/Val"
	var values syntax.List
	for _, v := range listed {
		values.Items = append(values.Items, syntax.Text{Value: v})
	}
	c := compileCondition(&syntax.ConditionBlock{Operator: syntax.Text{Value: operator}},
		&syntax.ConditionKey{Key: syntax.Text{Value: key}, Values: values}, syntax.Allow, variables)
	got, want := c.Match(req.context()), refCondition(operator, key, listed, req, variables)
	if got != want {
		t.Errorf("%s %q, keys %q, multivalued %v, variables %v: got %v, want %v",
			operator, listed, req.keys, req.multivalued, variables, got, want)
	}
}

// checkResource compares one entry of Resource with the reference.
func checkResource(t *testing.T, entry, resource string, req *refRequest, variables bool) {
	t.Helper()
	s := Statement{hasResource: true, resources: appendResource(nil, entry, variables)}
	got, want := s.MatchResource(resource, req.context()), refResource(entry, resource, req, variables)
	if got != want {
		t.Errorf("%q against %q, keys %q, variables %v: got %v, want %v", entry, resource, req.keys, variables, got, want)
	}
}

// vocabulary is what random values are made of.
var vocabulary = []string{
	"a", "b", "ab", "A", "aB", "é", "€", "*", "?", "**", ":", "::", "/", "",
	"${aws:username}", "${AWS:UserName}", "${aws:missing}", "${aws:missing, 'ab'}", "${aws:tags, 'x'}", "${aws:username,'q'}",
	"${*}", "${?}", "${$}", "${", "}", "$", "${aws:missing,x}", "${ aws:username}",
	"arn:aws:s3:::", "arn:aws:sns:us-east-1:123456789012:t", "arn:", "aws:", "s3:", "us-east-1", "123456789012",
	"1", "2", "10", "1.0", "-1", "01", "1.50", "0", ".5", "9999999999999999999999", "-0",
	"2024-05-01T10:00:00Z", "2024-05-01T12:00:00+02:00", "1714557600", "2024-05", "2024-05-01T10:00:00.5Z", "2024",
	"true", "false", "TRUE", "YWI=", "YQ==",
	"10.0.0.1", "10.0.0.0/8", "2001:db8::1", "2001:DB8::/32", "::ffff:10.0.0.1", "::/0", "0.0.0.0/0", "::ffff:10.0.0.0/104",
}

func randomText(r *rand.Rand) string {
	var out strings.Builder
	for range 1 + r.Intn(4) {
		out.WriteString(vocabulary[r.Intn(len(vocabulary))])
	}
	return out.String()
}

func randomWord(r *rand.Rand) string {
	if r.Intn(3) == 0 {
		return randomText(r)
	}
	return vocabulary[r.Intn(len(vocabulary))]
}

func randomRequest(r *rand.Rand) *refRequest {
	req := &refRequest{keys: refContext{}, multivalued: map[string]bool{"aws:tags": true}}
	if r.Intn(4) > 0 {
		req.keys["aws:username"] = []string{randomWord(r)}
	}
	if r.Intn(2) > 0 {
		req.keys["aws:tags"] = []string{"a", "b"}[:r.Intn(3)]
	}
	const key = "aws:principaltag/val"
	switch r.Intn(4) {
	case 0:
	case 1:
		req.multivalued[key] = true
		req.keys[key] = []string{}
		for range r.Intn(4) {
			req.keys[key] = append(req.keys[key], randomWord(r))
		}
	default:
		req.keys[key] = []string{randomWord(r)}
	}
	return req
}

// Random cases against the reference. The seed is fixed; fuzzing goes further.
func TestConditionsAgainstReference(t *testing.T) {
	r := rand.New(rand.NewSource(1))
	names := operatorNames()
	for range 200_000 {
		operator := refPrefixes[r.Intn(3)] + names[r.Intn(len(names))] + refSuffixes[r.Intn(2)]
		var listed []string
		for range r.Intn(4) {
			listed = append(listed, randomWord(r))
		}
		req := randomRequest(r)
		if len(listed) > 0 && r.Intn(2) == 0 {
			// A value of the policy in the request gives more matches.
			req.keys["aws:principaltag/val"] = []string{listed[r.Intn(len(listed))]}
		}
		checkCondition(t, operator, listed, req, r.Intn(4) > 0)
		if t.Failed() {
			return
		}
	}
}

func TestResourcesAgainstReference(t *testing.T) {
	r := rand.New(rand.NewSource(2))
	arns := []string{"arn:aws:s3:::ab/a", "arn:aws:sns:us-east-1:123456789012:t:ab", "arn:aws:s3:a:b:ab:ab", "*", "ab", "arn:aws:s3::ab"}
	for range 200_000 {
		resource := arns[r.Intn(len(arns))]
		// Cut a piece out of the resource, or put something in its place.
		entry := resource
		for range 1 + r.Intn(3) {
			i := r.Intn(len(entry) + 1)
			j := min(i+r.Intn(5), len(entry))
			entry = entry[:i] + vocabulary[r.Intn(31)] + entry[j:]
		}
		if !refInput(entry) {
			continue
		}
		checkResource(t, entry, resource, randomRequest(r), r.Intn(4) > 0)
		if t.Failed() {
			return
		}
	}
}

func FuzzCondition(f *testing.F) {
	f.Add(uint8(3), uint8(0), "a*\n${aws:username}", "ab\nb", "alice", true, true)
	f.Add(uint8(0), uint8(1), "arn:aws:s3:::a*", "arn:aws:s3:::ab", "", false, true)
	f.Add(uint8(9), uint8(2), "2024-05-01T10:00:00Z", "1714557600", "", false, false)
	f.Add(uint8(14), uint8(3), "10.0.0.0/8\n::1", "10.1.2.3", "", true, false)
	f.Add(uint8(17), uint8(4), "1.50\n-2", "1.5", "", false, true)
	names := operatorNames()
	f.Fuzz(func(t *testing.T, name, form uint8, listed, values, user string, multivalued, variables bool) {
		if !refInput(listed, values, user) {
			t.Skip()
		}
		operator := refPrefixes[form%3] + names[int(name)%len(names)] + refSuffixes[form/3%2]
		req := &refRequest{keys: refContext{"aws:username": {user}}, multivalued: map[string]bool{}}
		const key = "aws:principaltag/val"
		switch {
		case multivalued:
			req.multivalued[key] = true
			req.keys[key] = strings.Split(values, "\n")
		case form < 128:
			req.keys[key] = []string{values}
		}
		checkCondition(t, operator, strings.Split(listed, "\n"), req, variables)
	})
}

func FuzzResource(f *testing.F) {
	f.Add("arn:aws:s3:::b/${aws:username}/*", "arn:aws:s3:::b/alice/x:y", "alice", true)
	f.Add("arn:aws:sqs:*:jobs", "arn:aws:sqs:us-east-1:123456789012:jobs", "", true)
	f.Add("arn:aws:sqs:us-?ast*1", "arn:aws:sqs:us-east-1:123456789012:jobs", "", false)
	f.Add("arn:*:a*b:c", "arn:x:ac:ab:c:b:c", "", false)
	f.Fuzz(func(t *testing.T, entry, resource, user string, variables bool) {
		if !refInput(entry, resource, user) {
			t.Skip()
		}
		checkResource(t, entry, resource, &refRequest{keys: refContext{"aws:username": {user}}}, variables)
	})
}
