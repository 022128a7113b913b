package syntax

import (
	"encoding/json"
	"math/rand"
	"os"
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"
)

// policyText makes a document of version 2012-10-17 with the statements, given
// as their members.
func policyText(statements ...string) string {
	return `{"Version":"2012-10-17","Statement":[{` + strings.Join(statements, `},{`) + `}]}`
}

func TestJSON(t *testing.T) {
	sid := func(s string) string {
		return `{"Statement":{"Sid":"` + s + `","Effect":"Allow","Action":"a:b"}}`
	}
	for _, c := range []struct {
		text string
		sid  string // of the only statement, or "!" for an error
	}{
		{sid(`a`), "a"},
		{"\r\n\t " + sid(`a`) + "\n", "a"},
		{sid(`\"\\\/\b\f\n\r\t`), "\"\\/\b\f\n\r\t"},
		{sid(`x\u0041\u00e9\u20ACy`), "xAé€y"},
		{sid(`\ud83d\uDE00`), "😀"},
		{sid(`é\n😀`), "é\n😀"},
		{sid(`\ud83d`), "!"},
		{sid(`\ud83dx`), "!"},
		{sid(`\ud83d\n`), "!"},
		{sid(`\ud83d\u0041`), "!"},
		{sid(`\ude00\ud83d`), "!"},
		{sid(`\u12`), "!"},
		{sid(`\u12g4`), "!"},
		{sid(`\u+123`), "!"},
		{sid(`\x`), "!"},
		{sid("\x01"), "!"},
		{sid("a\nb"), "!"},
		{sid("\xff"), "!"},
		{sid("\xc3"), "!"},
		{sid(`\`), "!"},
		{`{"Statement":{"Sid":"`, "!"},
		{`{"Statement":{"Sid":"\`, "!"},
		{`{"Statement":{"Sid":"\u00`, "!"},
		{"\ufeff" + sid(`a`), "!"},
		{`{"Statement":{"Effect":"Allow","Action":"a:b",}}`, "!"},
		{`{"Statement":{"Effect":"Allow",,"Action":"a:b"}}`, "!"},
		{`{"Statement":{"Effect":"Allow" "Action":"a:b"}}`, "!"},
		{`{"Statement":{"Effect""Allow"}}`, "!"},
		{`{"Statement":{Effect:"Allow"}}`, "!"},
		{`{"Statement":{"Effect":"Allow","Action":["a:b",]}}`, "!"},
		{`{"Statement":{"Effect":"Allow","Action":["a:b" "c:d"]}}`, "!"},
		{`{"Statement":{"Effect":"Allow","Action":["a:b"}}`, "!"},
		{`{"Statement":{"Effect":"Allow"}`, "!"},
		{`{"Statement":{"Effect":"Allow"}} x`, "!"},
		{`{'Statement':{"Effect":"Allow"}}`, "!"},
		{`{"Statement":{"Effect":nul}}`, "!"},
		{`{"Statement":{"Effect":null}}`, "!"},
		{strings.Repeat(`{"Statement":[`, 10000), "!"},
	} {
		doc, err := Parse(c.text)
		switch {
		case err != nil && c.sid != "!":
			t.Errorf("%q: %v", c.text, err)
		case err == nil && (c.sid == "!" || doc.Statements[0].Sid.Value != c.sid):
			t.Errorf("%q: got %q, want %q", c.text, doc.Statements[0].Sid.Value, c.sid)
		}
		if err == nil && !json.Valid([]byte(c.text)) {
			t.Errorf("%q is no JSON", c.text)
		}
	}
}

func TestNumbers(t *testing.T) {
	for number, valid := range map[string]bool{
		"0": true, "-0": true, "10": true, "1.50": true, "1e5": true, "1E+5": true, "-1.5e-05": true,
		"01": false, "1.": false, ".5": false, "-": false, "+1": false, "1e": false, "1e+": false, "0x1": false, "Infinity": false, "tru": false,
	} {
		doc, err := Parse(policyText(`"Effect":"Allow","Condition":{"NumericEquals":{"a:b":` + number + `}}`))
		if (err == nil) != valid || json.Valid([]byte(number)) != valid {
			t.Errorf("%s: %v", number, err)
		}
		if err == nil && doc.Statements[0].Condition.Blocks[0].Keys[0].Values.Items[0].Value != number {
			t.Errorf("%s was respelled", number)
		}
	}
}

func TestPositions(t *testing.T) {
	doc, err := Parse("{\n \"Version\": \"2012-10-17\",\r\n\t\"Id\": \"é\", \"Statement\": {\"Effect\":\"Allow\",\n" +
		"\"Principal\": {\"AWS\": [\"1\",\n \"2\"]}, \"Condition\": {\"Bool\": {\"a:b\": true}}}}")
	if err != nil {
		t.Fatal(err)
	}
	s := &doc.Statements[0]
	for what, c := range map[string]struct{ got, want Position }{
		"document":  {doc.Position, Position{1, 1}},
		"version":   {doc.Version.Position, Position{2, 13}},
		"id":        {doc.ID.Position, Position{3, 8}},
		"statement": {s.Position, Position{3, 26}},
		"effect":    {s.Effect.Position, Position{3, 36}},
		"principal": {s.Principal.Position, Position{4, 14}},
		"type":      {s.Principal.Groups[0].Type.Position, Position{4, 15}},
		"second":    {s.Principal.Groups[0].Values.Items[1].Position, Position{5, 2}},
		"operator":  {s.Condition.Blocks[0].Operator.Position, Position{5, 23}},
		"value":     {s.Condition.Blocks[0].Keys[0].Values.Items[0].Position, Position{5, 39}},
		"end":       {s.End, Position{5, 46}},
	} {
		if c.got != c.want {
			t.Errorf("%s: got %v, want %v", what, c.got, c.want)
		}
	}
}

func TestPrint(t *testing.T) {
	const text = `{"Statement":{"Condition":{"StringLike":{"aws:username":["a"],"s3:prefix":[]},"Bool":{"aws:SecureTransport":true},"X":{}},
		"NotResource":["arn:aws:s3:::<b>","é\t\n\u0001\"\\"],"NotAction":[],"NotPrincipal":{"AWS":["1"],"Service":["a.b","c.d"]},"Effect":"Deny","Sid":"S"},"Id":"x","Version":"2012-10-17"}`
	const want = `{
  "Version": "2012-10-17",
  "Id": "x",
  "Statement": [
    {
      "Sid": "S",
      "Effect": "Deny",
      "NotPrincipal": {
        "AWS": "1",
        "Service": [
          "a.b",
          "c.d"
        ]
      },
      "NotAction": [],
      "NotResource": [
        "arn:aws:s3:::<b>",
        "é\t\n\u0001\"\\"
      ],
      "Condition": {
        "StringLike": {
          "aws:username": "a",
          "s3:prefix": []
        },
        "Bool": {
          "aws:SecureTransport": "true"
        },
        "X": {}
      }
    }
  ]
}
`
	doc, err := Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	if got := Print(doc); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	doc, err = Parse(`{"Statement":{"Effect":"Allow","Principal":"*","Action":"a:b","Resource":"*"}}`)
	if err != nil {
		t.Fatal(err)
	}
	if got := Print(doc); !strings.Contains(got, `"Principal": "*",`) || strings.Contains(got, "Version") {
		t.Errorf("got\n%s", got)
	}
}

// withoutPositions sets every Position in a document to zero, and empty slices
// to nil, so that documents can be compared.
func withoutPositions(doc *Document) *Document {
	doc.Single = false // Print knows lists only
	zero(reflect.ValueOf(doc).Elem())
	return doc
}

func zero(v reflect.Value) {
	switch {
	case v.Type() == reflect.TypeFor[Position]():
		v.SetZero()
	case v.Kind() == reflect.Pointer && !v.IsNil():
		zero(v.Elem())
	case v.Kind() == reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				zero(v.Field(i))
			}
		}
	case v.Kind() == reflect.Slice:
		if v.Len() == 0 {
			v.SetZero()
		}
		for i := range v.Len() {
			zero(v.Index(i))
		}
	}
}

// checkRoundTrip holds Parse(Print(doc)) against doc.
func checkRoundTrip(t *testing.T, doc *Document) {
	t.Helper()
	printed := Print(doc)
	again, err := Parse(printed)
	if err != nil {
		t.Fatalf("parse what was printed: %v\n%s", err, printed)
	}
	if second := Print(again); second != printed {
		t.Fatalf("printed differently:\n%s\n%s", printed, second)
	}
	if !reflect.DeepEqual(withoutPositions(again), withoutPositions(doc)) {
		t.Fatalf("not the same document:\n%s", printed)
	}
}

// randomText makes what values are made of: texts, wildcards, variables and what
// looks like them.
func randomText(r *rand.Rand) string {
	words := []string{
		"a", "b", "ab", "A", "aB", "é", "€", "*", "?", "**", ":", "::", "/", "", "${aws:username}", "${aws:missing, 'ab'}", "${*}", "${", "}", "$",
		"arn:aws:s3:::", "123456789012", "-1", "2024-05-01T10:00:00Z", "10.0.0.0/8", "true",
	}
	var out strings.Builder
	for range 1 + r.Intn(4) {
		out.WriteString(words[r.Intn(len(words))])
	}
	return out.String()
}

// randomDocument makes a document that Parse could return.
func randomDocument(r *rand.Rand) *Document {
	text := func() Text {
		return Text{Value: randomText(r) + string([]rune{0, '"', '\\', '\n', 'é', '😀'}[r.Intn(6)])}
	}
	pointer := func() *Text {
		if r.Intn(2) == 0 {
			return nil
		}
		t := text()
		return &t
	}
	list := func() *List {
		var l List
		for range r.Intn(4) {
			l.Items = append(l.Items, text())
		}
		return &l
	}
	either := func() (a, b *List) {
		return [...]*List{nil, list(), nil}[r.Intn(3)], nil
	}
	doc := &Document{ID: pointer()}
	if v := r.Intn(3); v > 0 {
		doc.Version = &Text{Value: []string{Version2008, Version2012}[v-1]}
	}
	for range 1 + r.Intn(3) {
		s := Statement{Sid: pointer(), Effect: Text{Value: []string{"Allow", "Deny", "aLLow"}[r.Intn(3)]}}
		s.Action, s.NotAction = either()
		s.NotResource, s.Resource = either()
		switch r.Intn(4) {
		case 0:
			s.Principal = &PrincipalElement{Bare: &Text{Value: randomText(r)}}
		case 1:
			s.NotPrincipal = &PrincipalElement{}
			for _, name := range []string{"AWS", "Other"}[:r.Intn(3)] {
				s.NotPrincipal.Groups = append(s.NotPrincipal.Groups, PrincipalGroup{Text{Value: name}, *list()})
			}
		}
		if r.Intn(2) == 0 {
			s.Condition = &ConditionElement{}
			for _, operator := range []string{"StringLike", "ForAnyValue:NumericEqualsIfExists"}[:r.Intn(3)] {
				block := ConditionBlock{Operator: Text{Value: operator}}
				for _, key := range []string{"a", "aws:username", ""}[:r.Intn(4)] {
					block.Keys = append(block.Keys, ConditionKey{Text{Value: key}, *list()})
				}
				s.Condition.Blocks = append(s.Condition.Blocks, block)
			}
		}
		doc.Statements = append(doc.Statements, s)
	}
	return doc
}

func TestRoundTrip(t *testing.T) {
	r := rand.New(rand.NewSource(3))
	for range 5_000 {
		checkRoundTrip(t, randomDocument(r))
	}
}

// addDocuments seeds a fuzz target with documents.
func addDocuments(f *testing.F) {
	for _, text := range []string{
		policyText(`"Effect":"Allow","Action":"s3:*","Resource":"*"`),
		`{"Version":"2012-10-17","Id":"x","Statement":[{"Sid":"a","Effect":"Deny","NotPrincipal":{"AWS":["*"],"Service":"a.b"},"NotAction":["s3:Get*"],` +
			`"NotResource":["arn:aws:s3:::${aws:username, 'x'}/*"],"Condition":{"ForAllValues:StringLikeIfExists":{"aws:TagKeys":["a","b"]},"Bool":{"aws:SecureTransport":true}}}]}`,
		`{"Statement":{"Effect":"Allow","Principal":"*","Action":"sts:AssumeRole","Condition":{"DateLessThan":{"aws:CurrentTime":"2024-05-01T10:00:00.5+02:00"},` +
			`"NumericEquals":{"a:b":[1.5,"2"]},"IpAddress":{"aws:SourceIp":"10.0.0.0/8"},"ArnLike":{"aws:SourceArn":"arn:aws:s3:::*"},"Null":{"x":"true"}}}}`,
		`{"Statement":[{"Sid":"\u00e9\ud83d\ude00\n"}]}`,
	} {
		f.Add(text)
	}
}

// Whatever the text: no panic, an error with a place or a document that prints to
// itself.
func FuzzParse(f *testing.F) {
	addDocuments(f)
	f.Fuzz(func(t *testing.T, text string) {
		for k := range KindRCP + 1 {
			_, err := ParseAs(text, k)
			if bad, ok := err.(*MalformedError); ok && (bad.Message == "" || bad.Line < 1 || bad.Column < 1) {
				t.Errorf("incomplete error %+v", bad)
			}
		}
		doc, err := Parse(text)
		if err != nil {
			return
		}
		if !json.Valid([]byte(text)) || !utf8.ValidString(text) {
			t.Fatalf("%q is no JSON", text)
		}
		checkRoundTrip(t, doc)
	})
}

// The policies of the decision cases, too, print to themselves.
func TestRoundTripOfCases(t *testing.T) {
	data, err := os.ReadFile("../testdata/decisions.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range strings.Split(strings.TrimSpace(string(data)), "\n") {
		var c struct{ Policies []json.RawMessage }
		if err := json.Unmarshal([]byte(line), &c); err != nil {
			t.Fatal(err)
		}
		for _, text := range c.Policies {
			doc, err := Parse(string(text))
			if err != nil {
				t.Fatal(err)
			}
			checkRoundTrip(t, doc)
		}
	}
}
