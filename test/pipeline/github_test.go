package pipeline

import (
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// wait is where the action of this repository is, and actionUses how workflows
// elsewhere name it.
const (
	wait       = root + "/.github/actions/wait"
	actionUses = "writ-iam/writ/.github/actions/wait@main"
)

// workflow is what is read of a workflow file.
type workflow struct {
	Name        string
	On          string
	Permissions map[string]string
	Jobs        map[string]struct {
		RunsOn  string `yaml:"runs-on"`
		Timeout int    `yaml:"timeout-minutes"`
		Env     map[string]string
		Steps   []step
	}
}

// action is what is read of an action's metadata file.
type action struct {
	Name, Description string
	Inputs            map[string]struct {
		Description, Default string
		Required             bool
	}
	Outputs map[string]struct{ Description, Value string }
	Runs    struct {
		Using string
		Steps []step
	}
}

type step struct {
	Name, ID, Shell, Uses, Run string
	Env, With                  map[string]string
}

// github does what a runner does with the steps of a job, as far as the examples
// use it: expressions that name a value, files for outputs, summary and path.
type github struct {
	t    *testing.T
	dir  string
	path string            // $PATH
	env  map[string]string // of the job
	// known are the values that expressions may name.
	known   map[string]string
	summary string // file
	out     string // of the last script
}

func newGitHub(t *testing.T, path string) *github {
	dir := t.TempDir()
	return &github{t: t, dir: dir, path: path, env: map[string]string{}, known: map[string]string{}, summary: filepath.Join(dir, "summary")}
}

var expression = regexp.MustCompile(`\$\{\{\s*([^\s}]+)\s*\}\}`)

// resolve replaces expressions by values.
func (g *github) resolve(text string, known map[string]string) string {
	g.t.Helper()
	text = expression.ReplaceAllStringFunc(text, func(e string) string {
		name := expression.FindStringSubmatch(e)[1]
		value, ok := known[name]
		if !ok && !strings.HasPrefix(name, "steps.") { // what a step does not put out is empty
			g.t.Fatalf("nothing is called %s; there are %v", name, slices.Sorted(maps.Keys(known)))
		}
		return value
	})
	if strings.Contains(text, "${{") {
		g.t.Fatalf("an expression beyond this imitation in %q", text)
	}
	return text
}

// steps runs steps in order until one fails, and puts what they put out into known.
func (g *github) steps(steps []step, known map[string]string) (code int) {
	g.t.Helper()
	for _, s := range steps {
		var outputs map[string]string
		switch {
		case s.Uses == actionUses:
			with := map[string]string{}
			for name, value := range s.With {
				with[name] = g.resolve(value, known)
			}
			code, outputs = g.action(with)
		case s.Uses != "":
			g.t.Fatalf("the step %q uses %s, which cannot be run here", s.Name, s.Uses)
		default:
			code, outputs = g.script(s, known)
		}
		for name, value := range outputs {
			known["steps."+s.ID+".outputs."+name] = value
		}
		if code != 0 {
			return code
		}
	}
	return 0
}

// script runs one step as its shell does.
func (g *github) script(s step, known map[string]string) (code int, outputs map[string]string) {
	g.t.Helper()
	file, output, paths := filepath.Join(g.dir, "script.sh"), filepath.Join(g.dir, "output"), filepath.Join(g.dir, "path")
	for name, text := range map[string]string{file: g.resolve(s.Run, known), output: "", paths: ""} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			g.t.Fatal(err)
		}
	}
	shell := []string{"-e", file} // where a step of a workflow names none
	if s.Shell == "bash" {
		shell = []string{"--noprofile", "--norc", "-eo", "pipefail", file}
	}
	cmd := exec.CommandContext(g.t.Context(), "bash", shell...)
	cmd.Dir = g.dir
	cmd.Env = []string{"PATH=" + g.path, "HOME=" + os.Getenv("HOME"), "AWS_PAGER=", "CI=true", "GITHUB_ACTIONS=true", "GITHUB_OUTPUT=" + output,
		"GITHUB_PATH=" + paths, "GITHUB_STEP_SUMMARY=" + g.summary, "RUNNER_TEMP=" + g.dir, "GITHUB_ACTION_PATH=" + known["github.action_path"]}
	for _, v := range os.Environ() {
		if strings.HasPrefix(v, "GO") { // where this machine keeps modules and builds
			cmd.Env = append(cmd.Env, v)
		}
	}
	for _, env := range []map[string]string{g.env, s.Env} {
		for name, value := range env {
			cmd.Env = append(cmd.Env, name+"="+g.resolve(value, known))
		}
	}
	o := finish(g.t, cmd)
	g.out = o.out + o.errors
	g.t.Logf("%s: exit %d\n%s", s.Name, o.code, g.out)
	for line := range strings.Lines(g.read(paths)) {
		g.path = strings.TrimSpace(line) + ":" + g.path
	}
	return o.code, g.outputs(g.read(output))
}

func (g *github) read(file string) string {
	g.t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		g.t.Fatal(err)
	}
	return string(text)
}

// outputs reads NAME=VALUE lines. Values of several lines have another form, which
// nothing here has a use for.
func (g *github) outputs(text string) map[string]string {
	g.t.Helper()
	found := map[string]string{}
	for line := range strings.Lines(text) {
		name, value, ok := strings.Cut(strings.TrimSuffix(line, "\n"), "=")
		if !ok || strings.Contains(name, "<<") {
			g.t.Fatalf("the output has the line %q", line)
		}
		found[name] = value
	}
	return found
}

// action runs the action of this repository.
func (g *github) action(with map[string]string) (code int, outputs map[string]string) {
	g.t.Helper()
	var a action
	parse(g.t, g.read(filepath.Join(wait, "action.yml")), &a)
	if a.Runs.Using != "composite" || a.Description == "" {
		g.t.Fatalf("the action is %+v", a)
	}
	here, err := filepath.Abs(wait)
	if err != nil {
		g.t.Fatal(err)
	}
	known := map[string]string{"github.action_path": here}
	for name, in := range a.Inputs {
		value, given := with[name]
		if !given {
			value = in.Default
		}
		if in.Required && value == "" {
			g.t.Fatalf("the input %s is not given", name)
		}
		known["inputs."+name] = value
		delete(with, name)
	}
	if len(with) > 0 {
		g.t.Fatalf("the action has no inputs %v", slices.Sorted(maps.Keys(with)))
	}
	for _, s := range a.Runs.Steps {
		if s.Shell == "" && s.Run != "" {
			g.t.Fatalf("the step %q of an action names no shell", s.Name)
		}
	}
	code = g.steps(a.Runs.Steps, known)
	outputs = map[string]string{}
	for name, out := range a.Outputs {
		outputs[name] = g.resolve(out.Value, known)
	}
	return code, outputs
}

// login gives the job a key, as secrets do.
func (g *github) login(id, secret string) {
	g.env["AWS_ACCESS_KEY_ID"], g.env["AWS_SECRET_ACCESS_KEY"], g.env["AWS_REGION"] = id, secret, "us-east-1"
}

func bothReplicas(list string) bool {
	names := strings.Split(list, ",")
	slices.Sort(names)
	return slices.Equal(names, []string{"replica-1", "replica-2"})
}

func TestGitHubWorkflow(t *testing.T) {
	installed(t, "aws")
	var w workflow
	parse(t, block(t, "github"), &w)
	job := w.Jobs["grant"]
	if len(w.Jobs) != 1 || w.On == "" || job.RunsOn == "" || job.Timeout == 0 {
		t.Fatalf("the workflow is %+v", w)
	}
	_, search, _ := strings.Cut(path(), "=")
	g := newGitHub(t, search)
	g.known["secrets.WRIT_ACCESS_KEY_ID"], g.known["secrets.WRIT_SECRET_ACCESS_KEY"] = shared.Env["AWS_ACCESS_KEY_ID"], shared.Env["AWS_SECRET_ACCESS_KEY"]
	for name, value := range job.Env {
		g.env[name] = g.resolve(value, g.known)
	}
	if code := g.steps(job.Steps, g.known); code != 0 {
		t.Fatalf("exit %d", code)
	}
	for name, want := range map[string]func(string) bool{
		"wait.outputs.state":      func(v string) bool { return v == "everywhere" },
		"wait.outputs.position":   isNumber,
		"wait.outputs.visible-on": bothReplicas,
		"wait.outputs.fenced":     func(v string) bool { return v == "" },
		"wait.outputs.pending":    func(v string) bool { return v == "" },
		"wait.outputs.elapsed-ms": isNumber,
		"wait.outputs.token":      func(v string) bool { return len(v) > 20 },
		"effect.outputs.decision": func(v string) bool { return v == "allow" },
		"effect.outputs.effect":   func(v string) bool { return v == "present" },
		"effect.outputs.state":    func(v string) bool { return v == "everywhere" },
	} {
		if value := g.known["steps."+name]; !want(value) {
			t.Errorf("%s is %q", name, value)
		}
	}
	if want := "position " + g.known["steps.wait.outputs.position"] + " is on replica-1,replica-2, the decision is allow\n"; g.out != want {
		t.Errorf("the last step says %q, want %q", g.out, want)
	}
	if text := g.read(g.summary); !strings.Contains(text, "everywhere") {
		t.Errorf("the summary is %q", text)
	}
}

func isNumber(v string) bool {
	n, err := strconv.Atoi(v)
	return err == nil && n >= 0
}

func TestGitHubAction(t *testing.T) {
	arn := app(t)
	id, secret := waiter(t)
	_, search, _ := strings.Cut(path(), "=")
	call := func(t *testing.T, with map[string]string) (*github, int, map[string]string) {
		g := newGitHub(t, search)
		g.login(id, secret)
		with["endpoint"] = shared.Env["WRIT_ENDPOINT"]
		code, outputs := g.action(with)
		return g, code, outputs
	}
	_, _, head := call(t, map[string]string{"head": "true"})
	for name, c := range map[string]struct {
		with map[string]string
		code int
		want map[string]string // outputs
	}{
		"head":            {map[string]string{"head": "true"}, 0, map[string]string{"state": "everywhere"}},
		"no head":         {map[string]string{"head": "false", "arn": arn}, 0, map[string]string{"state": "everywhere"}},
		"token":           {map[string]string{"token": head["token"]}, 0, map[string]string{"state": "everywhere", "position": head["position"]}},
		"one replica":     {map[string]string{"arn": arn, "replica": "replica-2"}, 0, map[string]string{"visible-on": "replica-2"}},
		"one of them":     {map[string]string{"arn": arn, "count": "1"}, 0, map[string]string{"state": "everywhere"}},
		"nothing to wait": {map[string]string{}, 2, nil},
		"two things":      {map[string]string{"arn": arn, "head": "true"}, 2, nil},
		"nobody":          {map[string]string{"arn": arn + "x"}, 1, nil},
		"no such region":  {map[string]string{"arn": arn, "region": "nowhere"}, 1, nil},
		"a script":        {map[string]string{"arn": "$(touch pwned)`touch pwned`\"; touch pwned; \""}, 1, nil},
		"denied": {map[string]string{"as": arn, "action": "s3:PutObject", "resource": "arn:aws:s3:::b/k", "expect": "deny", "for": "all"}, 0,
			map[string]string{"decision": "implicitDeny", "effect": "present"}},
		"denied on one": {map[string]string{"as": arn, "action": "s3:PutObject", "resource": "arn:aws:s3:::b/k", "expect": "deny", "for": "replica-1"}, 0,
			map[string]string{"decision": "implicitDeny", "effect": "present"}},
		"absent": {map[string]string{"as": arn, "action": "s3:PutObject", "resource": "arn:aws:s3:::b/k", "expect": "allow", "for": "all", "timeout": "1s"}, 4,
			map[string]string{"decision": "implicitDeny", "effect": "absent"}},
	} {
		t.Run(name, func(t *testing.T) {
			g, code, outputs := call(t, c.with)
			if code != c.code {
				t.Errorf("exit %d, want %d", code, c.code)
			}
			for name, want := range c.want {
				if outputs[name] != want {
					t.Errorf("%s is %q, want %q", name, outputs[name], want)
				}
			}
			if _, err := os.Stat(filepath.Join(g.dir, "pwned")); err == nil {
				t.Error("an input was run")
			}
		})
	}
}

// A replica that stands still makes the step fail when there is little time, and
// is fenced when there is more.
func TestGitHubActionNotInTime(t *testing.T) {
	id, secret := waiter(t)
	_, search, _ := strings.Cut(path(), "=")
	if err := shared.Signal("replica-2", syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := shared.Signal("replica-2", syscall.SIGCONT); err != nil {
			t.Error(err)
		}
		ready(t, "replica-2")
	})
	arn := user(t, "late", reader)
	g := newGitHub(t, search)
	g.login(id, secret)
	with := func(timeout string) map[string]string {
		return map[string]string{"endpoint": shared.Env["WRIT_ENDPOINT"], "arn": arn, "timeout": timeout}
	}
	if code, out := g.action(with("200ms")); code != 3 || out["pending"] != "replica-2" || out["visible-on"] != "replica-1" || out["state"] == "everywhere" {
		t.Errorf("exit %d with %v", code, out)
	}
	if code, out := g.action(with("1m")); code != 0 || out["fenced"] != "replica-2" || out["visible-on"] != "replica-1" || out["state"] != "everywhere" {
		t.Errorf("exit %d with %v", code, out)
	}
}

// Where there is no writ, the action builds it from the source that it came with.
func TestGitHubActionBuildsWrit(t *testing.T) {
	goTool := installed(t, "go")
	for _, dir := range []string{"/usr/bin", "/bin"} {
		if _, err := os.Stat(filepath.Join(dir, "writ")); err == nil {
			t.Skipf("writ is installed in %s", dir)
		}
	}
	arn := app(t)
	id, secret := waiter(t)
	g := newGitHub(t, filepath.Dir(goTool)+":/usr/bin:/bin")
	g.login(id, secret)
	code, out := g.action(map[string]string{"endpoint": shared.Env["WRIT_ENDPOINT"], "arn": arn})
	if code != 0 || out["state"] != "everywhere" {
		t.Errorf("exit %d with %v", code, out)
	}
	if _, err := os.Stat(filepath.Join(g.dir, "writ", "writ")); err != nil {
		t.Error(fmt.Errorf("it was not built: %w", err))
	}
}
