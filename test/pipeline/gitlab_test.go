package pipeline

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestGitLab runs the lines of the job as a runner's shell does.
func TestGitLab(t *testing.T) {
	var jobs map[string]struct {
		Stage, Image, Timeout string
		Variables             map[string]string
		Before                []string `yaml:"before_script"`
		Script                []string
		Artifacts             struct{ Paths []string }
		Retry                 struct {
			Max       int
			ExitCodes int `yaml:"exit_codes"`
		}
	}
	parse(t, block(t, "gitlab"), &jobs)
	job := jobs["wait-for-writ"]
	if len(jobs) != 1 || job.Stage == "" || job.Image == "" || job.Retry.ExitCodes != 3 {
		t.Fatalf("the jobs are %+v", jobs)
	}
	app(t)
	id, secret := waiter(t)
	cmd := shared.Command(t.Context(), t.TempDir(), "bash", "-eo", "pipefail", "-c", strings.Join(slices.Concat(job.Before, job.Script), "\n"))
	cmd.Env = append(cmd.Env, path(), "AWS_ACCESS_KEY_ID="+id, "AWS_SECRET_ACCESS_KEY="+secret)
	for name, value := range job.Variables {
		cmd.Env = append(cmd.Env, name+"="+value)
	}
	o := must(t, cmd)
	if !strings.Contains(o.out, "allow") {
		t.Errorf("it says %s", o.out)
	}
	text, err := os.ReadFile(filepath.Join(cmd.Dir, job.Artifacts.Paths[0]))
	if err != nil {
		t.Fatal(err)
	}
	var p struct {
		State     string
		VisibleOn []string `json:"visible_on"`
	}
	if err := json.Unmarshal(text, &p); err != nil || p.State != "everywhere" || len(p.VisibleOn) != 2 {
		t.Errorf("the artifact is %s, %v", text, err)
	}
}
