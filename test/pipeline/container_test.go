package pipeline

import (
	"crypto/rand"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// exampleImage is the image that the manifests name; image is what stands for it.
const (
	exampleImage = "registry.example.com/writ:local"
	image        = "writ:pipeline-test"
)

// The parts of Kubernetes, Argo and Tekton objects that the manifests have.
type (
	meta struct {
		Name        string
		Annotations map[string]string
	}
	container struct {
		Name, Image   string
		Timeout       string // of a Tekton step
		Command, Args []string
		Env           []struct {
			Name, Value string
			ValueFrom   struct {
				SecretKeyRef struct{ Name, Key string } `yaml:"secretKeyRef"`
			} `yaml:"valueFrom"`
		}
		SecurityContext struct {
			RunAsNonRoot             bool `yaml:"runAsNonRoot"`
			ReadOnlyRootFilesystem   bool `yaml:"readOnlyRootFilesystem"`
			AllowPrivilegeEscalation bool `yaml:"allowPrivilegeEscalation"`
			Capabilities             struct{ Drop []string }
		} `yaml:"securityContext"`
		VolumeMounts []struct {
			Name      string
			MountPath string `yaml:"mountPath"`
			ReadOnly  bool   `yaml:"readOnly"`
		} `yaml:"volumeMounts"`
	}
	volume struct {
		Name   string
		Secret struct {
			SecretName string `yaml:"secretName"`
		}
	}
	job struct {
		APIVersion string `yaml:"apiVersion"`
		Kind       string
		Metadata   meta
		Spec       struct {
			BackoffLimit          int `yaml:"backoffLimit"`
			ActiveDeadlineSeconds int `yaml:"activeDeadlineSeconds"`
			Template              struct {
				Spec struct {
					RestartPolicy                string `yaml:"restartPolicy"`
					AutomountServiceAccountToken bool   `yaml:"automountServiceAccountToken"`
					Containers                   []container
					Volumes                      []volume
				}
			}
		}
	}
	workflowTemplate struct {
		APIVersion string `yaml:"apiVersion"`
		Kind       string
		Metadata   meta
		Spec       struct {
			Templates []struct {
				Name                  string
				ActiveDeadlineSeconds int `yaml:"activeDeadlineSeconds"`
				Inputs                struct{ Parameters []struct{ Name string } }
				Container             container
				Volumes               []volume
			}
		}
	}
	task struct {
		APIVersion string `yaml:"apiVersion"`
		Kind       string
		Metadata   meta
		Spec       struct {
			Params  []struct{ Name, Type, Description, Default string }
			Steps   []container
			Volumes []volume
		}
	}
)

// TestContainers runs the container of each manifest.
func TestContainers(t *testing.T) {
	build(t)
	t.Run("Argo CD", argoCD)
	t.Run("Argo Workflows", argoWorkflows)
	t.Run("Tekton", tekton)
}

func argoCD(t *testing.T) {
	var j job
	parse(t, block(t, "argo-cd"), &j)
	pod := j.Spec.Template.Spec
	if j.APIVersion != "batch/v1" || j.Kind != "Job" || pod.RestartPolicy != "Never" || j.Spec.ActiveDeadlineSeconds < 60*(1+j.Spec.BackoffLimit) ||
		j.Metadata.Annotations["argocd.argoproj.io/hook"] != "Sync" || j.Metadata.Annotations["argocd.argoproj.io/hook-delete-policy"] != "BeforeHookCreation" ||
		j.Metadata.Annotations["argocd.argoproj.io/sync-wave"] != "1" || len(pod.Containers) != 1 {
		t.Errorf("the job is %+v", j)
	}
	c := pod.Containers[0]
	if s := c.SecurityContext; !s.RunAsNonRoot || !s.ReadOnlyRootFilesystem || s.AllowPrivilegeEscalation || len(s.Capabilities.Drop) != 1 {
		t.Errorf("the container may too much: %+v", s)
	}
	if o := runContainer(t, c, pod.Volumes, nil); o.code != 0 || !strings.Contains(o.out, "is everywhere; visible on replica-1, replica-2") {
		t.Errorf("exit %d: %s %s", o.code, o.out, o.errors)
	}
}

func argoWorkflows(t *testing.T) {
	var w workflowTemplate
	parse(t, block(t, "argo-workflows"), &w)
	if w.APIVersion != "argoproj.io/v1alpha1" || w.Kind != "WorkflowTemplate" || len(w.Spec.Templates) != 1 || len(w.Spec.Templates[0].Inputs.Parameters) != 1 {
		t.Fatalf("the template is %+v", w)
	}
	tpl := w.Spec.Templates[0]
	name := "{{inputs.parameters." + tpl.Inputs.Parameters[0].Name + "}}"
	if o := runContainer(t, tpl.Container, tpl.Volumes, map[string]string{name: app(t)}); o.code != 0 || !strings.Contains(o.out, `"state": "everywhere"`) {
		t.Errorf("exit %d: %s %s", o.code, o.out, o.errors)
	}
	if o := runContainer(t, tpl.Container, tpl.Volumes, map[string]string{name: "arn:aws:iam::123456789012:user/nobody"}); o.code != 1 {
		t.Errorf("exit %d for nobody: %s %s", o.code, o.out, o.errors)
	}
}

func tekton(t *testing.T) {
	var k task
	parse(t, block(t, "tekton"), &k)
	if k.APIVersion != "tekton.dev/v1" || k.Kind != "Task" || len(k.Spec.Steps) != 1 {
		t.Fatalf("the task is %+v", k)
	}
	given := map[string]string{"as": app(t), "action": "s3:GetObject", "resource": "arn:aws:s3:::bucket/key"}
	params := map[string]string{}
	for _, p := range k.Spec.Params {
		value, ok := given[p.Name]
		if !ok {
			value = p.Default
		}
		params["$(params."+p.Name+")"] = value
	}
	if o := runContainer(t, k.Spec.Steps[0], k.Spec.Volumes, params); o.code != 0 || !strings.Contains(o.out, "allow") {
		t.Errorf("exit %d: %s %s", o.code, o.out, o.errors)
	}
}

// build makes the image from the binary under test, as test/compose/up does.
func build(t *testing.T) {
	t.Helper()
	if out, err := exec.Command("docker", "info", "--format", "{{.ServerVersion}}").CombinedOutput(); err != nil {
		t.Skipf("no Docker engine answers: %v %.100s", err, out)
	}
	dir := t.TempDir()
	must(t, exec.Command("sh", "-c", `mkdir "$1/data" && touch "$1/data/.keep" && cp "$0" "$1/writ"`, binary, dir))
	must(t, exec.CommandContext(t.Context(), "docker", "build", "--quiet", "--file", root+"/Dockerfile", "--tag", image, dir))
	t.Cleanup(func() { must(t, exec.Command("docker", "rmi", "--force", image)) })
	if user := must(t, exec.Command("docker", "inspect", "--format", "{{.Config.User}}", image)); strings.HasPrefix(user.out, "0") || user.out == "\n" {
		t.Errorf("the image runs as %s", user.out)
	}
}

// runContainer runs a container as its manifest says, with the strictest of the
// manifests' security contexts, on this machine's network, with the key of a user
// who may only wait in the place of the Secret. Templates are replaced by values.
func runContainer(t *testing.T, c container, volumes []volume, values map[string]string) outcome {
	t.Helper()
	if c.Image != exampleImage {
		t.Fatalf("the image is %s", c.Image)
	}
	id, secret := waiter(t)
	secrets := map[string]string{"access-key-id": id, "secret-access-key": secret}
	name := "writ-pipeline-" + strings.ToLower(rand.Text())
	args := []string{"run", "--rm", "--name", name, "--network", "host", "--read-only", "--cap-drop", "ALL", "--security-opt", "no-new-privileges",
		"--entrypoint", c.Command[0]}
	for _, e := range c.Env {
		value := e.Value
		if ref := e.ValueFrom.SecretKeyRef; ref.Name != "" {
			value = secrets[ref.Key]
			if value == "" {
				t.Fatalf("the Secret has no %s", ref.Key)
			}
		}
		args = append(args, "--env", e.Name+"="+value)
	}
	for _, m := range c.VolumeMounts {
		dir := t.TempDir() // a Secret's files are everybody's to read, by default
		for _, v := range volumes {
			if v.Name != m.Name || v.Secret.SecretName == "" {
				t.Fatalf("the volume %s is %+v", m.Name, v)
			}
			for key, value := range secrets {
				if err := os.WriteFile(filepath.Join(dir, key), []byte(value), 0o644); err != nil {
					t.Fatal(err)
				}
			}
		}
		args = append(args, "--volume", dir+":"+m.MountPath+":ro")
	}
	args = append(append(args, image), c.Command[1:]...)
	for _, a := range c.Args {
		if value, ok := values[a]; ok {
			a = value
		}
		args = append(args, a)
	}
	t.Cleanup(func() { finish(t, exec.Command("docker", "rm", "--force", name)) })
	return finish(t, exec.CommandContext(t.Context(), "docker", args...))
}
