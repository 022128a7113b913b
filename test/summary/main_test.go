package main

import (
	"strings"
	"testing"
)

func TestSummary(t *testing.T) {
	tests := []struct {
		name, in string
		ok       bool
		want     []string
	}{
		{
			name: "pass and skip",
			in: `{"Action":"pass","Package":"p","Test":"TestA"}
{"Action":"output","Package":"p","Test":"TestB","Output":"    b_test.go:3: no Docker engine answers\n"}
{"Action":"output","Package":"p","Test":"TestB","Output":"--- SKIP: TestB (0.00s)\n"}
{"Action":"skip","Package":"p","Test":"TestB"}
{"Action":"pass","Package":"p","Elapsed":1.5}
`,
			ok:   true,
			want: []string{"ok    p  1.5s", "p TestB: b_test.go:3: no Docker engine answers", "1 passed, 0 failed, 1 skipped"},
		},
		{
			name: "failure",
			in: `{"Action":"output","Package":"p","Test":"TestA","Output":"want 1\n"}
{"Action":"fail","Package":"p","Test":"TestA"}
{"Action":"fail","Package":"p"}
`,
			want: []string{"want 1", "FAIL  p", "0 passed, 1 failed, 0 skipped"},
		},
		{
			name: "what is left running after the last test",
			in: `{"Action":"output","Package":"p","Test":"TestA","Output":"--- PASS: TestA\n"}
{"Action":"pass","Package":"p","Test":"TestA"}
{"Action":"output","Package":"p","Test":"TestA","Output":"found unexpected goroutines\n"}
{"Action":"fail","Package":"p"}
`,
			want: []string{"found unexpected goroutines", "FAIL  p", "1 passed, 1 failed, 0 skipped"},
		},
		{
			name: "build failure",
			in: `{"ImportPath":"p","Action":"build-output","Output":"x.go:1: undefined: y\n"}
{"Action":"pass","Package":"q","Test":"TestA"}
{"Action":"fail","Package":"p"}
`,
			want: []string{"undefined: y", "1 passed, 1 failed, 0 skipped"},
		},
		{name: "nothing ran", in: "", want: []string{"0 passed, 0 failed, 0 skipped"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var out strings.Builder
			ok, err := run(strings.NewReader(test.in), &out)
			if err != nil {
				t.Fatal(err)
			}
			if ok != test.ok {
				t.Errorf("ok = %v, want %v", ok, test.ok)
			}
			for _, want := range test.want {
				if !strings.Contains(out.String(), want) {
					t.Errorf("%q lacks %q", out.String(), want)
				}
			}
		})
	}
}
