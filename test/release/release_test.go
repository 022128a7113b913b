package main

import (
	"bytes"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"

	cdx "github.com/CycloneDX/cyclonedx-go"
	"github.com/rhysd/actionlint"
)

const (
	root    = "../.."
	version = "v1.2.3-test"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// sources are what an archive of the repository has that a binary is built of. There is no git.
func sources(t *testing.T, dir string) {
	t.Helper()
	for _, part := range []string{"go.mod", "go.sum", "cmd", "log", "node", "projection", "replication"} {
		must(t, filepath.WalkDir(filepath.Join(root, part), func(path string, d fs.DirEntry, err error) error {
			if err != nil || !d.Type().IsRegular() {
				return err
			}
			rel, err := filepath.Rel(root, path)
			if err != nil {
				return err
			}
			to := filepath.Join(dir, rel)
			if err := os.MkdirAll(filepath.Dir(to), 0o700); err != nil {
				return err
			}
			content, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			return os.WriteFile(to, content, 0o600)
		}))
	}
}

// places are directories that no binary may tell of.
func places(t *testing.T, more ...string) []string {
	t.Helper()
	out, err := exec.Command("go", "env", "GOMODCACHE", "GOCACHE").Output()
	must(t, err)
	here, err := filepath.Abs(root)
	must(t, err)
	return append(more, append(strings.Fields(string(out)), here, os.TempDir()+"/")...)
}

// TestRelease builds this platform's binary where the sources are, and of a copy without git
// elsewhere. Compiled packages may come from the cache, also those that were compiled of the other
// sources: that a binary names none of the directories shows that they are good for any.
func TestRelease(t *testing.T) {
	here, there := t.TempDir(), filepath.Join(t.TempDir(), "of", "an-archive")
	sources(t, there)
	own := target{runtime.GOOS, runtime.GOARCH}
	var built [2][]byte
	var name string
	for i, source := range []string{root, there} {
		r := &release{source: source, out: filepath.Join(here, string(rune('a'+i))), version: version, revision: strings.Repeat("ab", 20)}
		must(t, r.check())
		must(t, os.Mkdir(r.out, 0o700))
		var err error
		name, err = r.build(t.Context(), own)
		must(t, err)
		built[i], err = os.ReadFile(filepath.Join(r.out, name))
		must(t, err)
	}
	if !bytes.Equal(built[0], built[1]) {
		t.Errorf("another directory makes another binary, of %d and %d bytes", len(built[0]), len(built[1]))
	}
	if !bytes.Contains(built[0], []byte("github.com/writ-iam/writ/node/node.go")) {
		t.Error("the binary names no source, so that it shows nothing that it names none of these directories")
	}
	for _, place := range places(t, here, there) {
		if bytes.Contains(built[0], []byte(place)) {
			t.Errorf("the binary names %s", place)
		}
	}
	r := &release{out: filepath.Join(here, "a"), version: version}
	said, err := exec.Command(filepath.Join(r.out, name), "--version").Output()
	if err != nil || !strings.Contains(string(said), version) {
		t.Errorf("the binary says that it is %q, %v", said, err)
	}
	t.Run("list", func(t *testing.T) { testList(t, r, name) })
	t.Run("sums", func(t *testing.T) { testSums(t, r, name) })
}

func testList(t *testing.T, r *release, name string) {
	listed, err := r.list(name)
	must(t, err)
	first, err := os.ReadFile(filepath.Join(r.out, listed))
	must(t, err)
	_, err = r.list(name)
	must(t, err)
	again, err := os.ReadFile(filepath.Join(r.out, listed))
	if err != nil || !bytes.Equal(first, again) {
		t.Errorf("the same binary has two lists: %v", err)
	}
	var bom cdx.BOM
	must(t, cdx.NewBOMDecoder(bytes.NewReader(first), cdx.BOMFileFormatJSON).Decode(&bom))
	versions := map[string]string{}
	for _, c := range *bom.Components {
		versions[c.Name] = c.Version
	}
	if versions["std"] != strings.TrimPrefix(runtime.Version(), "go") || versions["github.com/hashicorp/raft"] == "" || versions["github.com/nats-io/nats-server/v2"] == "" {
		t.Errorf("the list has %v", versions)
	}
	if versions["k8s.io/api"] != "" || versions["github.com/CycloneDX/cyclonedx-go"] != "" {
		t.Error("the list has what only tests need")
	}
}

func testSums(t *testing.T, r *release, name string) {
	must(t, r.write("other", []byte("x")))
	must(t, r.sum([]string{"other", name}))
	sha256sum := exec.Command("sha256sum", "--check", "--strict", sums)
	sha256sum.Dir = r.out
	if out, err := sha256sum.CombinedOutput(); err != nil && sha256sum.ProcessState != nil {
		t.Errorf("%v\n%s", err, out)
	}
	must(t, r.write("other", []byte("y")))
	again := exec.Command("sha256sum", "--check", "--strict", sums)
	if again.Dir = r.out; again.Run() == nil {
		t.Error("a file that was changed passes")
	}
}

// What is signed by a key verifies as the page says, and nothing else does.
func TestSign(t *testing.T) {
	if _, err := exec.LookPath("ssh-keygen"); err != nil {
		t.Skip("no ssh-keygen on this machine")
	}
	page, err := os.ReadFile(filepath.Join(root, "docs/operating/places.md"))
	must(t, err)
	_, code, ok := strings.Cut(string(page), "<!-- signed -->\n```sh\nmake release ")
	_, verify, ok2 := strings.Cut(code, "\n")
	verify, _, _ = strings.Cut(verify, "\n```")
	if !ok || !ok2 {
		t.Fatal("the page does not say how to verify")
	}
	dir := t.TempDir()
	key := filepath.Join(dir, "key")
	if out, err := exec.Command("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	public, err := os.ReadFile(key + ".pub")
	must(t, err)
	must(t, os.WriteFile(filepath.Join(dir, "allowed_signers"), append([]byte("ops@example.com "), public...), 0o600))
	r := &release{out: filepath.Join(dir, "dist"), version: version}
	must(t, os.Mkdir(r.out, 0o700))
	must(t, r.write("writ", []byte("a binary")))
	must(t, r.sum([]string{"writ"}))
	must(t, r.sign(t.Context(), key))
	must(t, r.sign(t.Context(), key)) // in place of the old one
	check := func() error {
		cmd := exec.Command("sh", "-ec", verify)
		cmd.Dir = dir
		return cmd.Run()
	}
	if err := check(); err != nil {
		t.Errorf("what was signed does not verify: %v", err)
	}
	must(t, r.write("writ", []byte("another binary")))
	must(t, r.sum([]string{"writ"}))
	if check() == nil {
		t.Error("what was not signed verifies")
	}
}

func TestNames(t *testing.T) {
	for _, r := range []release{
		{version: ""}, {version: "../v1"}, {version: "v1 -X a=b"}, {version: "v1'"}, {version: "-v1"},
		{version: "v1", revision: "HEAD"}, {version: "v1", revision: "abc"},
	} {
		if r.check() == nil {
			t.Errorf("%+v is taken", r)
		}
	}
}

// workflows are the files that GitHub runs.
const workflows = root + "/.github/workflows"

// permitted is what each job may do. A job that is not here may do nothing.
var permitted = map[string][]string{
	"release.yml check":   {"contents: read"},
	"release.yml publish": {"attestations: write", "contents: write", "id-token: write"},
}

// TestWorkflows reads the workflows as GitHub does, refusing what it does not know, and holds
// that they run nothing that others can change, and may no more than they need.
func TestWorkflows(t *testing.T) {
	entries, err := os.ReadDir(workflows)
	must(t, err)
	for _, e := range entries {
		text, err := os.ReadFile(filepath.Join(workflows, e.Name()))
		must(t, err)
		for _, w := range checkWorkflow(t, e.Name(), text) {
			t.Errorf("%s: %s", e.Name(), w)
		}
	}
	text, err := os.ReadFile(workflows + "/release.yml")
	must(t, err)
	for is, becomes := range map[string]string{
		"permissions: {}":                   "permissions: {contents: read}",
		"contents: read":                    "contents: write",
		"runs-on:":                          "run-on:",
		"timeout-minutes: 60\n":             "timeout-minutes: 60\n    timeout-minutes: 60\n",
		"persist-credentials: false":        "persist-credential: false",
		"@d35c59abb061a4a6fb18e82ac0862c26": "@v5 # ",
		`VERSION="$GITHUB_REF_NAME"`:        `VERSION="${{ github.ref_name }}"`,
		"${{ github.token }}":               "${{ github.tokn }}",
	} {
		changed := strings.Replace(string(text), is, becomes, 1)
		if changed == string(text) {
			t.Errorf("release.yml does not say %q", is)
		} else if len(checkWorkflow(t, "release.yml", []byte(changed))) == 0 {
			t.Errorf("release.yml passes with %q in place of %q", becomes, is)
		}
	}
}

var (
	pinned = regexp.MustCompile(`^[\w-]+/[\w./-]+@[0-9a-f]{40}$`)
	within = regexp.MustCompile(`\$\{\{`)
)

func checkWorkflow(t *testing.T, name string, text []byte) (wrong []string) {
	t.Helper()
	linter, err := actionlint.NewLinter(&bytes.Buffer{}, &actionlint.LinterOptions{})
	must(t, err)
	found, err := linter.Lint("<stdin>", text, nil)
	must(t, err)
	for _, e := range found {
		wrong = append(wrong, e.Error())
	}
	w, _ := actionlint.Parse(text)
	if w == nil || w.Permissions == nil || w.Permissions.All != nil || len(w.Permissions.Scopes) > 0 {
		return append(wrong, "jobs may do what they do not say")
	}
	for id, job := range w.Jobs {
		var may []string
		if job.Permissions != nil {
			for scope, p := range job.Permissions.Scopes {
				may = append(may, scope+": "+p.Value.Value)
			}
		}
		if slices.Sort(may); !slices.Equal(may, permitted[name+" "+id]) {
			wrong = append(wrong, id+" may "+strings.Join(may, ", "))
		}
		for _, step := range job.Steps {
			switch exec := step.Exec.(type) {
			case *actionlint.ExecAction:
				if !pinned.MatchString(exec.Uses.Value) && !strings.HasPrefix(exec.Uses.Value, "./") {
					wrong = append(wrong, exec.Uses.Value+" can change: name it by the hash of a commit")
				}
				if keep := exec.Inputs["persist-credentials"]; strings.HasPrefix(exec.Uses.Value, "actions/checkout@") && (keep == nil || keep.Value.Value != "false") {
					wrong = append(wrong, id+" leaves its credentials to the steps that follow")
				}
			case *actionlint.ExecRun:
				if within.MatchString(exec.Run.Value) {
					wrong = append(wrong, "a name of a branch becomes code: "+exec.Run.Value)
				}
			}
		}
	}
	return wrong
}
