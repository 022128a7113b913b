package policies

import (
	"reflect"
	"strings"
	"testing"

	"github.com/writ-iam/writ/projection/authz/cases"
)

// The page about cases names every member that a case can have.
func TestCaseFormat(t *testing.T) {
	for _, part := range []reflect.Type{
		reflect.TypeFor[cases.Case](), reflect.TypeFor[cases.Request](), reflect.TypeFor[cases.Expected](), reflect.TypeFor[caseResult](),
	} {
		for i := range part.NumField() {
			name, _, _ := strings.Cut(part.Field(i).Tag.Get("json"), ",")
			if !strings.Contains(caseFormat, "`"+name+"`") && !strings.Contains(caseFormat, "`expected."+name) && !strings.Contains(caseFormat, `"`+name+`":`) {
				t.Errorf("policy-cases.md does not name %s of %v", name, part)
			}
		}
	}
}
