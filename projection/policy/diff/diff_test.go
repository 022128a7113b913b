package diff

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/writ-iam/writ/projection/policy"
	"github.com/writ-iam/writ/projection/policy/syntax"
)

func statementText(effect, action, resource, more string) string {
	return fmt.Sprintf(`{"Effect":%q,"Action":%s,"Resource":%s%s}`, effect, action, resource, more)
}

func parseStatements(t *testing.T, version string, statements ...string) *syntax.Document {
	t.Helper()
	doc, err := syntax.Parse(`{"Version":"` + version + `","Statement":[` + strings.Join(statements, ",") + `]}`)
	if err != nil {
		t.Fatal(err)
	}
	return doc
}

// show writes a difference as "action resource +allowed -denied <narrower", with
// the numbers of the statements.
func show(d Difference) string {
	b := d.Action + " " + d.Resource
	for _, p := range []struct {
		mark string
		list []*policy.Statement
	}{{"+", d.Allowed}, {"-", d.Denied}, {"<", d.Narrower}} {
		for _, s := range p.list {
			b += fmt.Sprintf(" %s%d", p.mark, s.Index)
		}
	}
	return b
}

func TestDiff(t *testing.T) {
	mfa := `,"Condition":{"Bool":{"aws:MultiFactorAuthPresent":"true"}}`
	two := `,"Condition":{"StringEquals":{"a:x":["1","2"]},"Bool":{"a:y":"true"}}`
	same := `,"Condition":{"Bool":{"A:Y":"true"},"StringEquals":{"a:X":["2","1"]}}`
	who := func(names string) string { return `,"Principal":` + names }
	not := func(names string) string { return `,"NotPrincipal":` + names }
	allow := func(action, resource, more string) string { return statementText("Allow", action, resource, more) }
	deny := func(action, resource, more string) string { return statementText("Deny", action, resource, more) }
	for _, tt := range []struct {
		name string
		a, b []string
		want []string
	}{
		{"the same", []string{allow(`"s3:Get*"`, `"*"`, "")}, []string{allow(`"S3:get*"`, `"*"`, "")}, nil},
		{"less", []string{allow(`"s3:*"`, `"*"`, "")}, []string{allow(`"s3:Get*"`, `"arn:aws:s3:::b/*"`, "")}, nil},
		{"more actions", []string{allow(`"s3:Get*"`, `"*"`, "")}, []string{allow(`"s3:*"`, `"*"`, "")}, []string{"s3:* * +0"}},
		{"more resources", []string{allow(`"s3:*"`, `"arn:aws:s3:::a/*"`, "")}, []string{allow(`"s3:*"`, `["arn:aws:s3:::a/*","arn:aws:s3:::b/*"]`, "")},
			[]string{"s3:* arn:aws:s3:::b/* +0"}},
		{"everything", []string{allow(`"s3:*"`, `"*"`, "")}, []string{allow(`"*"`, `"*"`, "")}, []string{"* * +0"}},
		{"overlap with a deny", []string{allow(`"s3:*"`, `"*"`, ""), deny(`"s3:Get*"`, `"*"`, "")}, []string{allow(`"s3:*Object"`, `"*"`, "")},
			[]string{"s3:Get*Object * +0 -1"}},
		{"a deny of one action", []string{allow(`"s3:*"`, `"*"`, ""), deny(`"s3:GetObject"`, `"*"`, "")}, []string{allow(`"s3:Get*"`, `"*"`, "")},
			[]string{"s3:GetObject * +0 -1"}},
		{"a deny in both", []string{allow(`"*"`, `"*"`, ""), deny(`"s3:*"`, `"*"`, "")}, []string{allow(`"*"`, `"*"`, ""), deny(`"s3:*"`, `"*"`, "")}, nil},
		{"a wider deny in b", []string{allow(`"*"`, `"*"`, ""), deny(`"s3:Get*"`, `"*"`, "")}, []string{allow(`"*"`, `"*"`, ""), deny(`"s3:*"`, `"*"`, "")}, nil},
		{"condition dropped", []string{allow(`"s3:*"`, `"*"`, mfa)}, []string{allow(`"s3:*"`, `"*"`, "")}, []string{"s3:* * +0 <0"}},
		{"condition added", []string{allow(`"s3:*"`, `"*"`, "")}, []string{allow(`"s3:*"`, `"*"`, mfa)}, nil},
		{"condition changed", []string{allow(`"s3:*"`, `"*"`, mfa)}, []string{allow(`"s3:*"`, `"*"`, two)}, []string{"s3:* * +0 <0"}},
		{"condition in another order", []string{allow(`"s3:*"`, `"*"`, two)}, []string{allow(`"s3:*"`, `"*"`, same)}, nil},
		{"deny with a condition dropped", []string{allow(`"s3:*"`, `"*"`, ""), deny(`"s3:*"`, `"*"`, mfa)}, []string{allow(`"s3:*"`, `"*"`, "")}, []string{"s3:* * +0 -1"}},
		{"principal added", []string{allow(`"s3:*"`, `"*"`, who(`{"AWS":"111111111111"}`))}, []string{allow(`"s3:*"`, `"*"`, who(`{"AWS":["111111111111","222222222222"]}`))},
			[]string{"s3:* * +0 <0"}},
		{"principal removed", []string{allow(`"s3:*"`, `"*"`, who(`{"AWS":["111111111111","222222222222"]}`))}, []string{allow(`"s3:*"`, `"*"`, who(`{"AWS":"111111111111"}`))}, nil},
		{"everybody", []string{allow(`"s3:*"`, `"*"`, who(`{"AWS":"111111111111"}`))}, []string{allow(`"s3:*"`, `"*"`, who(`"*"`))}, []string{"s3:* * +0 <0"}},
		{"less than everybody", []string{allow(`"s3:*"`, `"*"`, who(`"*"`))}, []string{allow(`"s3:*"`, `"*"`, who(`{"AWS":"111111111111"}`))}, nil},
		{"not the same", []string{allow(`"s3:*"`, `"*"`, not(`{"AWS":"111111111111"}`))}, []string{allow(`"s3:*"`, `"*"`, not(`{"AWS":"111111111111"}`))}, nil},
		{"not the others", []string{allow(`"s3:*"`, `"*"`, who(`{"AWS":"111111111111"}`))}, []string{allow(`"s3:*"`, `"*"`, not(`{"AWS":"111111111111"}`))},
			[]string{"s3:* * +0 <0"}},
		{"a variable for another", []string{allow(`"s3:*"`, `"arn:aws:s3:::b/${aws:username}"`, "")}, []string{allow(`"s3:*"`, `"arn:aws:s3:::b/${aws:userid}"`, "")},
			[]string{"s3:* arn:aws:s3:::b/${aws:userid} +0"}},
		{"the same variable", []string{allow(`"s3:*"`, `"arn:aws:s3:::b/${aws:username}/*"`, "")}, []string{allow(`"s3:*"`, `"arn:aws:s3:::b/${AWS:UserName, 'x'}/${*}${$}"`, "")}, nil},
		{"a literal asterisk", []string{allow(`"s3:*"`, `"arn:aws:s3:::b/x"`, "")}, []string{allow(`"s3:*"`, `"arn:aws:s3:::b/${*}${?}"`, "")},
			[]string{"s3:* arn:aws:s3:::b/${*}${?} +0"}},
		{"an incomplete ARN", []string{allow(`"sqs:*"`, `"arn:aws:sqs:us-east-1:*:*"`, "")}, []string{allow(`"sqs:*"`, `"arn:aws:sqs:us-east-1"`, "")}, nil},
		{"one more letter", []string{allow(`"s3:Get?"`, `"*"`, "")}, []string{allow(`"s3:Get*"`, `"*"`, "")}, []string{"s3:Get* * +0"}},
		{"one letter less", []string{allow(`"s3:Get*"`, `"*"`, "")}, []string{allow(`"s3:Ge?a"`, `"*"`, "")}, []string{"s3:Ge?a * +0"}},
		{"no access before", []string{deny(`"*"`, `"*"`, "")}, []string{allow(`"s3:*"`, `"*"`, "")}, []string{"s3:* * +0 -0"}},
		{"a condition on a wider pattern", []string{allow(`"ec2:*"`, `"*"`, "")}, []string{allow(`"s3:*"`, `"*"`, mfa), allow(`"s3:Get*"`, `"*"`, "")},
			[]string{"s3:* * +0", "s3:Get* * +0 +1"}},
	} {
		got, err := Policies(parseStatements(t, syntax.Version2012, tt.a...), parseStatements(t, syntax.Version2012, tt.b...))
		if err != nil {
			t.Fatal(err)
		}
		var lines []string
		for _, d := range got {
			lines = append(lines, show(d))
		}
		if strings.Join(lines, "\n") != strings.Join(tt.want, "\n") {
			t.Errorf("%s: got\n%s\nwant\n%s", tt.name, strings.Join(lines, "\n"), strings.Join(tt.want, "\n"))
		}
	}
}

// NotAction and NotResource allow what no policy names.
func TestDiffOfWhatIsNotNamed(t *testing.T) {
	a := parseStatements(t, syntax.Version2008, `{"Effect":"Allow","Action":"*","Resource":"arn:aws:s3:::${x}"}`)
	b := parseStatements(t, syntax.Version2008, `{"Effect":"Allow","NotAction":"iam:*","NotResource":"arn:aws:s3:::secret"}`)
	got, err := Policies(a, b)
	if err != nil || len(got) != 1 || show(got[0]) != "* * +0" {
		t.Errorf("%v, %v", got, err)
	}
}

func TestDiffTooLarge(t *testing.T) {
	var actions, resources []string
	for i := range MaxPatterns {
		actions = append(actions, fmt.Sprintf(`"s3:Get%d"`, i))
		resources = append(resources, fmt.Sprintf(`"arn:aws:s3:::b%d"`, i))
	}
	small := parseStatements(t, syntax.Version2012, statementText("Allow", `"s3:*"`, `"*"`, ""))
	for _, large := range []string{
		statementText("Allow", "["+strings.Join(actions, ",")+"]", `"*"`, ""),
		statementText("Allow", `"s3:*"`, "["+strings.Join(resources, ",")+"]", ""),
	} {
		if _, err := Policies(small, parseStatements(t, syntax.Version2012, large)); !errors.Is(err, ErrTooLarge) {
			t.Errorf("got %v", err)
		}
	}
}
