package tidy

import (
	"os"
	"path/filepath"
	"strings"
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

func TestPurity(t *testing.T) { report(t, CheckPurity(scan(t, root))) }

func TestSizes(t *testing.T) { report(t, CheckSizes(scan(t, root))) }

func TestStyle(t *testing.T) { report(t, CheckStyle(scan(t, root))) }

func TestFolding(t *testing.T) { report(t, CheckFolding(scan(t, root))) }

func TestPlantedFolding(t *testing.T) {
	for _, body := range []string{"strings.EqualFold(a, b)", "lower(a) == b", "strings.ToLower(a) == b", "slices.ContainsFunc(nil, strings.ToLower)"} {
		dir := t.TempDir()
		if err := os.MkdirAll(filepath.Join(dir, "log/identity"), 0o700); err != nil {
			t.Fatal(err)
		}
		text := "package identity\nfunc sameKey(a, b string) bool { return " + body + " }\n"
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
		{"clock in the core", "log/identity/x.go", "package identity\nimport \"time\"\nvar now = time.Now\n", "calls time.Now"},
		{"randomness in the core", "log/event/x.go", "package event\nimport _ \"crypto/rand\"\n", "imports crypto/rand"},
		{"standard log", "node/x.go", "package node\nimport _ \"log\"\n", "standard log"},
		{"init", "node/x.go", "package node\nfunc init() {}\n", "init function"},
		{"undocumented", "node/x.go", "package node\nfunc Exported() {}\n", "Exported has no comment"},
		{"sleep", "node/x_test.go", "package node\nimport \"time\"\nfunc f() { time.Sleep(1) }\n", "a test sleeps"},
		{"file put in place without a sync", "node/x.go", "package node\nimport \"os\"\nfunc f() { os.Rename(\"a\", \"b\") }\n", "log/durable puts files"},
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
			found = append(found, CheckPurity(files)...)
			found = append(found, CheckSizes(files)...)
			found = append(found, CheckStyle(files)...)
			if !strings.Contains(strings.Join(found, "\n"), test.want) {
				t.Errorf("found %q, want %q", found, test.want)
			}
		})
	}
}
