package tidy

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/writ-iam/writ/projection/policy"
)

const root = "../.."

func scan(t *testing.T, dir string) []File {
	t.Helper()
	files, err := Scan(dir)
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func rules(t *testing.T) Rules {
	t.Helper()
	r, err := ReadRules(filepath.Join(root, "ARCHITECTURE.md"))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func report(t *testing.T, violations []string) {
	t.Helper()
	for _, v := range violations {
		t.Error(v)
	}
}

func TestImports(t *testing.T) { report(t, CheckImports(scan(t, root), rules(t))) }

func TestIdle(t *testing.T) { report(t, CheckIdle(scan(t, root), rules(t))) }

func TestPurity(t *testing.T) { report(t, purity(t, scan(t, root))) }

// compiled is where what the module imports is, compiled.
var compiled = sync.OnceValues(func() (*Types, error) { return LoadTypes(root) })

func purity(t *testing.T, files []File) []string {
	t.Helper()
	known, err := compiled()
	if err != nil {
		t.Fatal(err)
	}
	violations, err := CheckPurity(files, rules(t), known)
	if err != nil {
		t.Fatal(err)
	}
	return violations
}

func TestPackageSizes(t *testing.T) { report(t, CheckPackageSizes(scan(t, root), rules(t))) }

func TestEdges(t *testing.T) {
	report(t, CheckEdges(rules(t)))
	report(t, CheckCrossings(scan(t, root), rules(t)))
}

func TestHomes(t *testing.T) {
	gomod, err := os.ReadFile(filepath.Join(root, "go.mod"))
	if err != nil {
		t.Fatal(err)
	}
	report(t, CheckHomes(scan(t, root), rules(t), string(gomod)))
}

func TestFunctionFields(t *testing.T) { report(t, functionFieldsOf(t, scan(t, root))) }

func functionFieldsOf(t *testing.T, files []File) []string {
	t.Helper()
	known, err := compiled()
	if err != nil {
		t.Fatal(err)
	}
	violations, err := CheckFunctionFields(files, known)
	if err != nil {
		return []string{err.Error()}
	}
	return violations
}

func TestSizes(t *testing.T) { report(t, CheckSizes(scan(t, root))) }

func TestStyle(t *testing.T) { report(t, CheckStyle(scan(t, root))) }

func TestCodes(t *testing.T) { report(t, CheckCodes(scan(t, root))) }

func TestNames(t *testing.T) { report(t, CheckNames(scan(t, root))) }

func TestFolding(t *testing.T) { report(t, CheckFolding(scan(t, root))) }

func TestPlantedFolding(t *testing.T) {
	for _, body := range []string{"strings.EqualFold(a, b)", "lower(a) == b", "strings.ToLower(a) == b", "slices.ContainsFunc(nil, strings.ToLower)", "s.EqualFold(a, b)"} {
		dir := t.TempDir()
		if err := os.MkdirAll(filepath.Join(dir, "log/identity"), 0o700); err != nil {
			t.Fatal(err)
		}
		text := "package identity\nimport s \"strings\"\nfunc sameKey(a, b string) bool { return " + body + " }\n"
		if err := os.WriteFile(filepath.Join(dir, "log/identity/x.go"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		violations := CheckFolding(scan(t, dir))
		if len(violations) == 0 || !strings.Contains(violations[0], "log/identity.sameKey calls") {
			t.Errorf("%s passes: %q", body, violations)
		}
	}
}

func TestPermissions(t *testing.T) {
	violations, err := CheckPermissions(root, policy.NativeActions())
	if err != nil {
		t.Fatal(err)
	}
	report(t, violations)
}

func TestPlantedPermissions(t *testing.T) {
	for name, text := range map[string]string{
		"README.md":                    "Allow writ:GetEvents.",
		"node/api/x.go":                "package api\nconst x = \"writ:Verify\"\n",
		"node/api/native/openapi.json": "{}",
	} {
		dir := t.TempDir()
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		violations, err := CheckPermissions(dir, []string{"writ:Verify"})
		if err != nil || len(violations) == 0 {
			t.Errorf("%s passes: %q, %v", name, violations, err)
		}
	}
}

func TestText(t *testing.T) {
	violations, err := CheckText(root)
	if err != nil {
		t.Fatal(err)
	}
	report(t, violations)
}

func TestPlantedText(t *testing.T) {
	for _, text := range []string{
		"-----BEGIN " + "PRIVATE KEY-----\nMIGHAgEAMBMGByqGSM49AgEG",
		"see /work" + "/main/x.go",
		"get it from proxy." + "golang.org",
	} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "x"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if violations, err := CheckText(dir); err != nil || len(violations) != 1 {
			t.Errorf("%q: %v %v", text, violations, err)
		}
	}
}

// TestPlanted plants what the rules forbid and expects it to be found.
func TestPlanted(t *testing.T) {
	tests := []struct{ name, path, source, want string }{
		{"import across", "replication/x.go", "package replication\nimport _ \"github.com/writ-iam/writ/projection\"\n", "replication may not import projection"},
		{"import upwards", "log/x.go", "package log\nimport _ \"github.com/writ-iam/writ/node\"\n", "log may not import node"},
		{"import of tests", "node/x.go", "package node\nimport _ \"github.com/writ-iam/writ/test/cluster\"\n", "node may not import test/cluster"},
		{"unknown package", "pkg/util/x.go", "package util\n", "pkg/util is not in the import table"},
		{"dependency away from home", "node/x.go", "package node\nimport _ \"go.etcd.io/bbolt\"\n", "node is no home of go.etcd.io/bbolt"},
		{"unknown dependency", "log/store/x.go", "package store\nimport _ \"example.com/thing\"\n", "log/store is no home of example.com/thing"},
		{"dependency in a pure package", "projection/policy/x.go", "package policy\nimport _ \"golang.org/x/sync/errgroup\"\n", "projection/policy is no home"},
		{"clock in the core", "log/identity/x.go", "package identity\nimport \"time\"\nvar now = time.Now\n", "uses time.Now"},
		{"clock under another name", "log/identity/x.go", "package identity\nimport t \"time\"\nvar now = t.Now\n", "uses time.Now"},
		{"clock under no name", "log/event/x.go", "package event\nimport . \"time\"\nvar now = Now\n", "uses time.Now"},
		{"zone of the machine", "log/event/x.go", "package event\nimport \"time\"\nfunc f(t time.Time) time.Time { return t.Local() }\n", "uses time.Time.Local"},
		{"time in the zone of the machine", "log/event/x.go", "package event\nimport \"time\"\nvar s = time.Unix(1, 0).Format(time.RFC3339)\n", "uses time.Unix without UTC()"},
		{"function that makes times in the zone of the machine", "log/event/x.go", "package event\nimport \"time\"\nvar f = time.UnixMilli\n", "uses time.UnixMilli without UTC()"},
		{"signals in the core", "log/event/x.go", "package event\nimport _ \"os/signal\"\n", "imports os/signal"},
		{"settings of the process in the core", "log/event/x.go", "package event\nimport _ \"runtime/debug\"\n", "imports runtime/debug"},
		{"output in the core", "log/event/x.go", "package event\nfunc f() { println(1) }\n", "uses println"},
		{"something else under the clock's name", "log/event/x.go", "package event\nvar time = struct{ Now func() }{}\nfunc f() { time.Now() }\nfunc init() {}\n", "init function"},
		{"goroutine in the core", "log/event/x.go", "package event\nfunc f() { go f() }\n", "starts a goroutine"},
		{"order of a map in the core", "log/event/x.go", "package event\nfunc f(m map[int]int) (list []int) {\n\tfor k := range m {\n\t\tlist = append(list, k)\n\t}\n\treturn list\n}\n", "log/event.f goes through a map"},
		{"order of a map of any kind in the core", "log/event/x.go", "package event\nfunc f[M ~map[K]V, K comparable, V any](m M) (list []K) {\n\tfor k := range m {\n\t\tlist = append(list, k)\n\t}\n\treturn list\n}\n", "log/event.f goes through a map"},
		{"order of keys in the core", "log/event/x.go", "package event\nimport (\"maps\"; \"slices\")\nfunc f(m map[int]int) []int { return slices.Collect(maps.Keys(m)) }\n", "log/event.f goes through a map"},
		{"crossing", "projection/x.go", "package projection\nimport _ \"github.com/writ-iam/writ/replication\"\n", "does not tell of projection -> replication"},
		{"long package", "log/wake/x.go", "package wake\n" + strings.Repeat("//\n", MaxPackageLines), "lines without tests; the most is"},
		{"larger than listed", "log/identity/x.go", "package identity\n" + strings.Repeat("//\n", 20_000), "lets it have"},
		{"long test", "node/x_test.go", "package node\nfunc f() {\n" + strings.Repeat("\t_ = 1\n", MaxTestLines) + "}\n", "f has 102 lines; the most is"},
		{"long function", "node/x.go", "package node\nfunc f() {\n" + strings.Repeat("\t_ = 1\n", MaxFunctionLines-1) + "}\n", "f has 64 lines; the most is 63"},
		{"randomness in the core", "log/event/x.go", "package event\nimport _ \"crypto/rand\"\n", "imports crypto/rand"},
		{"standard log", "node/x.go", "package node\nimport _ \"log\"\n", "standard log"},
		{"init", "node/x.go", "package node\nfunc init() {}\n", "init function"},
		{"undocumented", "node/x.go", "package node\nfunc Exported() {}\n", "Exported has no comment"},
		{"sleep", "node/x_test.go", "package node\nimport \"time\"\nfunc f() { time.Sleep(1) }\n", "a test sleeps"},
		{"file put in place without a sync", "node/x.go", "package node\nimport \"os\"\nfunc f() { os.Rename(\"a\", \"b\") }\n", "log/durable puts files"},
		{"sleep under another name", "node/x_test.go", "package node\nimport clock \"time\"\nfunc f() { clock.Sleep(1) }\n", "a test sleeps"},
		{"file put in place under another name", "node/x.go", "package node\nimport o \"os\"\nfunc f() { o.Rename(\"a\", \"b\") }\n", "log/durable puts files"},
		{"function in a field", "node/x.go", "package node\ntype x struct { ask func() error }\n", "node.x.ask is a function"},
		{"function of another package's type in a field", "node/x.go", "package node\nimport \"net/http\"\ntype x struct { ask http.HandlerFunc }\n", "node.x.ask is a function"},
		{"function behind a pointer in a field", "node/x.go", "package node\ntype x struct { ask *func() }\n", "node.x.ask is a function"},
		{"functions in a channel in a field", "node/x.go", "package node\ntype x struct { ask chan func() }\n", "node.x.ask is a function"},
		{"functions in a list of a named type in a field", "node/x.go", "package node\ntype asks []map[int]func()\ntype x struct { ask asks }\n", "node.x.ask is a function"},
		{"function in a pointer of package atomic", "node/x.go", "package node\nimport \"sync/atomic\"\ntype x struct { ask atomic.Pointer[func()] }\n", "node.x.ask is a function"},
		{"function type embedded", "node/x.go", "package node\ntype ask func()\ntype x struct { ask }\n", "node.x.ask is a function"},
		{"function in a struct without a name", "node/x.go", "package node\nvar x = struct{ ask func() }{}\n", "node.var.ask is a function"},
		{"function in a field of the command line", "cmd/writ/x.go", "package main\ntype x struct { ask func() }\n", "cmd/writ.x.ask is a function"},
		{"code of a number", "node/x.go", "package node\nimport \"github.com/writ-iam/writ/node/fault\"\nvar x = fault.New(200, \"\", \"\")\n", "takes a number"},
		{"code counted on", "node/x.go", "package node\nimport \"github.com/writ-iam/writ/node/fault\"\nvar x = fault.New(fault.Denied+1, \"\", \"\")\n", "takes a number"},
		{"code made", "node/x.go", "package node\nimport \"github.com/writ-iam/writ/node/fault\"\nvar n uint8\nvar x = fault.New(fault.Code(n), \"\", \"\")\n", "made of something else"},
		{"types of one name", "node/x.go", "package node\ntype Place int\ntype place int\n", "differ in the case of their letters alone"},
		{"long file", "node/x.go", "package node\n" + strings.Repeat("//\n", MaxFileLines) + "var x = 1\n", "lines; the most is"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			dir := t.TempDir()
			file := filepath.Join(dir, test.path)
			if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(file, []byte(test.source), 0o600); err != nil {
				t.Fatal(err)
			}
			files := scan(t, dir)
			var found []string
			found = append(found, CheckImports(files, rules(t))...)
			found = append(found, purity(t, files)...)
			found = append(found, CheckCrossings(files, rules(t))...)
			found = append(found, CheckPackageSizes(files, rules(t))...)
			found = append(found, functionFieldsOf(t, files)...)
			found = append(found, CheckCodes(files)...)
			found = append(found, CheckNames(files)...)
			found = append(found, CheckSizes(files)...)
			found = append(found, CheckStyle(files)...)
			if !strings.Contains(strings.Join(found, "\n"), test.want) {
				t.Errorf("found %q, want %q", found, test.want)
			}
		})
	}
}

// TestOrderThatDoesNotShow holds that sorting, counting and looking up pass.
func TestOrderThatDoesNotShow(t *testing.T) {
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, "log/event"), 0o700); err != nil {
		t.Fatal(err)
	}
	text := "package event\nimport (\"maps\"; \"slices\")\nfunc f(m map[int]int) (n int, keys []int) {\n\tfor range m {\n\t\tn++\n\t}\n\treturn n + m[1], slices.Sorted(maps.Keys(m))\n}\n"
	if err := os.WriteFile(filepath.Join(dir, "log/event/x.go"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, v := range purity(t, scan(t, dir)) {
		if strings.Contains(v, "x.go") {
			t.Error(v)
		}
	}
}

func TestPlantedPages(t *testing.T) {
	const page = "Between the top-level folders: `a -> b`, `c -> b`, and no others.\n\n" +
		"| Package | Purpose | May import (ours) |\n| --- | --- | --- |\n| `b` | x. Pure. | none |\n| `a` | x. | `b`, `b/...` |\n| `c` | x. | `d` |\n| `e` | x. | `*` |\n\n" +
		"| Dependency | Home |\n| --- | --- |\n| `example.com/used` | `a` |\n| `example.com/idle` | `a` |\n| `example.com/gone` | `a` |\n\n" +
		"| Large package | Lines | Why |\n| --- | --- | --- |\n| `b` | 2,600 | It is. |\n| `nowhere` | 2,600 | It was. |\n"
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "page.md"), []byte(page), 0o600); err != nil {
		t.Fatal(err)
	}
	planted, err := ReadRules(filepath.Join(dir, "page.md"))
	if err != nil {
		t.Fatal(err)
	}
	for pkg, text := range map[string]string{"a": "package a\nimport _ \"example.com/used\"\nimport _ \"" + Module + "/b/c\"\n", "b": "package b\n"} {
		if err := os.MkdirAll(filepath.Join(dir, pkg), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, pkg, "x.go"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	files := scan(t, dir)
	found := CheckEdges(planted)
	found = append(found, CheckHomes(files, planted, "require example.com/used v1\nrequire (\n\texample.com/idle v1\n\texample.com/homeless v1\n\texample.com/far v1 // indirect\n)\n")...)
	found = append(found, CheckPackageSizes(files, planted)...)
	found = append(found, CheckIdle(files, planted)...)
	slices.Sort(found)
	want := []string{
		"a is a home of example.com/idle, and does not import it",
		"go.mod does not require example.com/gone, which has a home in the table",
		"go.mod requires example.com/homeless, which has no home in the table of ARCHITECTURE.md",
		"package b has 1 lines without tests; take it off the list of large packages in ARCHITECTURE.md",
		"the sentence tells of c -> b, which no row of the table has",
		"the table lets a import b, which it does not; take it off the row",
		"the table lets c import d, the sentence does not tell of c -> d",
		"the table lets c import d, which it does not; take it off the row",
		"there is no large package nowhere; take it off the list in ARCHITECTURE.md",
	}
	if !slices.Equal(found, want) {
		t.Errorf("found\n%s\nwant\n%s", strings.Join(found, "\n"), strings.Join(want, "\n"))
	}
}
