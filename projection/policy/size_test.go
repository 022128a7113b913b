package policy

import (
	"fmt"
	"runtime"
	"strings"
	"testing"

	"github.com/writ-iam/writ/projection/policy/syntax"
)

// What compiled policies are said to take, they take: whoever keeps them bounds their
// memory by it, and policies can be written to take much more than their text.
func TestSize(t *testing.T) {
	const length = 6000
	condition := func(values string) string {
		return `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"a:b","Resource":"*","Condition":{"StringLike":{"a:k%d":` + values + `}}}}`
	}
	var keys strings.Builder
	for i := range length / 12 {
		fmt.Fprintf(&keys, `"a:%d":"",`, i)
	}
	for name, text := range map[string]string{
		"single wildcards": condition(`"` + strings.Repeat("?a", length/2) + `"`),
		"wildcards":        condition(`"` + strings.Repeat("*a", length/2) + `"`),
		"variables":        condition(`"` + strings.Repeat("${a}", length/4) + `"`),
		"values":           condition(`[` + strings.Repeat(`"*",`, length/4) + `"a"]`),
		"keys":             `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"a:b","Resource":"*","Condition":{"StringEquals":{` + keys.String() + `"a:k%d":""}}}}`,
		"actions":          `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":["` + strings.Repeat(`a:*","`, length/6) + `a:b%d"],"Resource":"*"}}`,
		"resources":        `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"a:b","Resource":["` + strings.Repeat(`arn:aws:a:::*?","`, length/20) + `arn:aws:a:::%d"]}}`,
		"statements":       `{"Version":"2012-10-17","Statement":[` + strings.Repeat(`{"Effect":"Deny","Action":"*","Resource":"*"},`, length/45) + `{"Effect":"Allow","Action":"a:b%d","Resource":"*"}]}`,
	} {
		const many = 40
		var before, after runtime.MemStats
		var kept []*Policy
		said := 0
		runtime.GC()
		runtime.ReadMemStats(&before)
		for i := range many {
			text := fmt.Sprintf(text, i)
			doc, err := syntax.Parse(text)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			kept = append(kept, Compile(doc))
			said += len(text) + kept[i].Size()
		}
		runtime.GC()
		runtime.ReadMemStats(&after)
		if took := int(after.HeapAlloc) - int(before.HeapAlloc); took > said+said/4 || took < said/6 {
			t.Errorf("%s: %d bytes each, said to be %d", name, took/many, said/many)
		}
		runtime.KeepAlive(kept)
	}
}
