package bridge_test

import (
	"strings"
	"testing"

	"github.com/writ-iam/writ/node/bridge"
)

func TestDocument(t *testing.T) {
	t.Parallel()
	d, err := bridge.ParseDocument([]byte(`{"a":{"b":"x","B":"y","l":["1","2"],"m":{"k":["v"]},"t":true,"n":null}}`))
	if err != nil {
		t.Fatal(err)
	}
	a := d.Object("a")
	if a.Text("b") != "x" || a.Text("B") != "y" || len(a.Texts("l")) != 2 || a.Lists("m")["k"][0] != "v" || !a.Flag("t") || a.Has("n") || a.Text("n") != "" || d.Has("A") || d.Err() != nil {
		t.Errorf("read wrongly: %v, %v", a, d.Err())
	}
	if d.Object("none").Object("at all").Text("x") != "" || d.Err() != nil {
		t.Errorf("what is not there: %v", d.Err())
	}
	if a.Text("l") != "" || d.Err() == nil || !strings.Contains(d.Err().Error(), `"a.l" is no text`) {
		t.Errorf("a list as a text: %v", d.Err())
	}
	for _, wrong := range []string{``, ` `, `null`, `[]`, `"x"`, `1`, `{`, `{"a":1}x`, `{"a":1}{}`, `{"a":1,"a":2}`, `{"a":[{"b":1,"c":2,"b":3}]}`, `{"a":{"x":1},"b":{"x":1},"a":0}`, `{"a":1,"\u0061":2}`, "{\"a\":\"\xff\"}", `{"a":}`, `{"a":` + strings.Repeat("[", 64) + strings.Repeat("]", 64) + `}`} {
		if d, err := bridge.ParseDocument([]byte(wrong)); err == nil {
			t.Errorf("%s: %v", wrong, d.Names())
		}
	}
	for _, right := range []string{`{}`, `{"a":[{"b":1},{"b":1}],"b":"a"}`, `{"a":"a","b":["a","a"]}`} {
		if _, err := bridge.ParseDocument([]byte(right)); err != nil {
			t.Errorf("%s: %v", right, err)
		}
	}
}

func FuzzDocument(f *testing.F) {
	f.Add([]byte(`{"a":{"b":["c"]},"d":true}`))
	f.Add([]byte(`{"a":1,"a":2}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		d, err := bridge.ParseDocument(body)
		if err != nil {
			return
		}
		for _, name := range d.Names() {
			d.Text(name)
			d.Texts(name)
			d.Lists(name)
			d.Object(name).Flag("x")
		}
		_ = d.Err()
	})
}
