package query

import (
	"bufio"
	"bytes"
	"encoding/json"
	"math/rand/v2"
	"os/exec"
	"reflect"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/writ-iam/writ/node/api/model"
)

// TestEveryOperationWithBotocore is TestEveryOperationWithTheSDK with the
// serializer and the parser of the aws CLI and boto3. It is skipped where botocore
// is not installed.
func TestEveryOperationWithBotocore(t *testing.T) {
	if err := exec.Command("python3", "-c", "import botocore").Run(); err != nil {
		t.Skip("python3 has no botocore here")
	}
	type question struct {
		Service   string `json:"service"`
		Operation string `json:"operation"`
		Input     any    `json:"input"`
		XML       string `json:"xml"`
	}
	client := newSDK("http://localhost")
	var asked bytes.Buffer
	var inputs, outputs []any
	var ops []*model.Operation
	for _, op := range operations() {
		inType, outType := client.types(t, op)
		for seed := range uint64(3) {
			rng := rand.New(rand.NewPCG(seed, 2))
			in, out := reflect.New(inType), reflect.New(outType)
			var wantIn, wantOut any = map[string]any{}, map[string]any{}
			if op.Input != nil {
				c := inputCodec(op, inType)
				(&generator{t, rng, true}).fill(c, in.Elem())
				for _, name := range []string{"OrderedOrganizationPolicyInputList", "PolicyExclusionList"} { // older ones do not know them
					if v := in.Elem().FieldByName(name); v.IsValid() {
						v.SetZero()
					}
				}
				wantIn = plain(c, in.Elem())
			}
			if op.Output != nil {
				c := outputCodec(op, outType)
				(&generator{t, rng, false}).fill(c, out.Elem())
				wantOut = plain(c, out.Elem())
			}
			xml := string(AppendResponse(nil, op, out.Interface(), requestID))
			line, err := json.Marshal(question{op.Service.Name, op.Name, wantIn, xml})
			if err != nil {
				t.Fatal(err)
			}
			asked.Write(append(line, '\n'))
			ops, inputs, outputs = append(ops, op), append(inputs, wantIn), append(outputs, wantOut)
		}
	}
	python := exec.Command("python3", "testdata/oracle.py")
	python.Stdin = &asked
	var complaint bytes.Buffer
	python.Stderr = &complaint
	told, err := python.Output()
	if err != nil {
		t.Fatalf("%v: %s", err, complaint.String())
	}
	lines := bufio.NewScanner(bytes.NewReader(told))
	lines.Buffer(nil, 1<<24)
	compared := 0
	for ; lines.Scan(); compared++ {
		var answer struct {
			Body   string         `json:"body"`
			Output map[string]any `json:"output"`
		}
		if err := json.Unmarshal(lines.Bytes(), &answer); err != nil {
			t.Fatal(err)
		}
		compareWithBotocore(t, client, ops[compared], answer.Body, inputs[compared], answer.Output, outputs[compared])
	}
	if err := lines.Err(); err != nil || compared != len(ops) {
		t.Errorf("%d of %d cases compared, %v", compared, len(ops), err)
	}
}

func compareWithBotocore(t *testing.T, client *sdk, op *model.Operation, body string, wantIn any, output map[string]any, wantOut any) {
	t.Helper()
	inType, _ := client.types(t, op)
	in := reflect.New(inType)
	if err := decode(body, in.Interface()); err != nil {
		t.Fatalf("%s: %v\n%s", op.Name, err, body)
	}
	var got any = map[string]any{}
	if op.Input != nil {
		got = plain(inputCodec(op, inType), in.Elem())
	}
	if diff := cmp.Diff(throughJSON(t, wantIn), throughJSON(t, got)); diff != "" {
		t.Errorf("%s: sent and decoded differ:\n%s\n%s", op.Name, diff, body)
	}
	want := throughJSON(t, wantOut).(map[string]any)
	for name, value := range output {
		// Collections that are not set are answered as empty ones.
		if list, ok := value.([]any); ok && len(list) == 0 && want[name] == nil {
			want[name] = value
		}
		if fields, ok := value.(map[string]any); ok && len(fields) == 0 && want[name] == nil {
			want[name] = value
		}
	}
	if diff := cmp.Diff(any(want), any(output)); diff != "" {
		t.Errorf("%s: answered and parsed differ:\n%s", op.Name, diff)
	}
}

// throughJSON gives a value the types that JSON gives it.
func throughJSON(t *testing.T, v any) any {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	var out any
	if err := json.Unmarshal(text, &out); err != nil {
		t.Fatal(err)
	}
	return out
}
