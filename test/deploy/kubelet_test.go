package deploy

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/spf13/cobra"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/writ-iam/writ/cmd/writ/serve"
	"github.com/writ-iam/writ/node/setup"
)

// TestMain lets tests run this binary as writ, and as what stands in for kubectl.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"writ": writ, "kubectl-noted": kubectl})
}

// writ has the commands of a cluster's nodes.
func writ() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	root := &cobra.Command{Use: "writ", SilenceUsage: true}
	root.AddCommand(serve.NewInit(), serve.New())
	if root.ExecuteContext(ctx) != nil {
		os.Exit(1)
	}
}

// noted names the directory where kubectl puts what it was told to make.
const noted = "KUBECTL_NOTED"

// kubectl notes the Secrets and ConfigMaps that it is told to make, a file a key, and refuses
// what the page does not need.
func kubectl() {
	if err := note(os.Getenv(noted), os.Args[1:]); err != nil {
		fmt.Fprintf(os.Stderr, "kubectl %q: %v\n", os.Args[1:], err)
		os.Exit(1)
	}
}

var errUnknown = errors.New("not known here")

func note(dir string, args []string) error {
	if len(args) > 1 && args[0] == "-n" {
		if args[1] != "writ" {
			return errUnknown
		}
		args = args[2:]
	}
	words := strings.Join(args, " ")
	switch {
	case strings.HasPrefix(words, "create secret generic "):
		return noteFiles(filepath.Join(dir, "secret", args[3]), args[4:])
	case strings.HasPrefix(words, "create configmap "):
		return noteFiles(filepath.Join(dir, "configmap", args[2]), args[3:])
	case strings.HasPrefix(words, "delete secret ") && len(args) == 3:
		if _, err := os.Stat(filepath.Join(dir, "secret", args[2])); err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(dir, "deleted"), []byte(args[2]), 0o600)
	case strings.HasPrefix(words, "apply -k ") && len(args) == 3:
		_, err := os.Stat(filepath.Join(args[2], "kustomization.yaml"))
		return err
	case strings.HasPrefix(words, "apply -f ") && len(args) == 3:
		_, err := os.Stat(args[2])
		return err
	case words == "rollout status statefulset/writer", words == "rollout status statefulset/replica":
		return nil
	}
	return errUnknown
}

func noteFiles(dir string, flags []string) error {
	if err := os.MkdirAll(filepath.Dir(dir), 0o700); err != nil {
		return err
	}
	if err := os.Mkdir(dir, 0o700); err != nil { // it is there already
		return err
	}
	for _, flag := range flags {
		path, ok := strings.CutPrefix(flag, "--from-file=")
		if !ok {
			return errUnknown
		}
		content, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(dir, filepath.Base(path)), content, 0o600); err != nil {
			return err
		}
	}
	return nil
}

// laidOut runs what the page says to do, and returns the directory of what kubectl was told.
func laidOut(t *testing.T) string {
	t.Helper()
	page := read(t, "../../docs/operating/places.md")
	_, code, ok := strings.Cut(page, "<!-- kubernetes -->\n```sh\n")
	code, _, ok2 := strings.Cut(code, "```")
	if !ok || !ok2 {
		t.Fatal("the page does not say how to begin on Kubernetes")
	}
	dir, told := t.TempDir(), t.TempDir()
	docs, err := filepath.Abs("../../docs")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(docs, filepath.Join(dir, "docs")); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "bash", "-euo", "pipefail", "-c", `kubectl() { kubectl-noted "$@"; }`+"\n"+code)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), noted+"="+told)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return told
}

// pod is one of a StatefulSet, as the kubelet of its machine would start it.
type pod struct {
	name string
	set  *appsv1.StatefulSet
	dir  string            // of its volumes
	env  map[string]string // of its container
	told string            // what there is of Secrets and ConfigMaps
	url  string            // of its port for clients

	process *os.Process
	ended   chan struct{} // closed when it has
	err     error         // how; read after that
}

// start starts the container, on an address for clients. It is told to ended when it ends.
func (p *pod) start(t *testing.T, ctx context.Context, api string, ended chan<- *pod) {
	t.Helper()
	cmd, err := p.command(ctx, api)
	if err != nil {
		t.Fatalf("%s: %v", p.name, err)
	}
	cmd.Stdout, cmd.Stderr = t.Output(), t.Output()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	p.url, p.process, p.ended = "http://"+api, cmd.Process, make(chan struct{})
	go func() {
		p.err = cmd.Wait()
		close(p.ended)
		ended <- p
	}()
}

// expand replaces $(NAME) as Kubernetes does.
func (p *pod) expand(text string) string {
	for name, value := range p.env {
		text = strings.ReplaceAll(text, "$("+name+")", value)
	}
	return text
}

// files puts what a volume holds into a directory.
func (p *pod) files(dir, kind, name string, mode int32, optional bool) error {
	from := filepath.Join(p.told, kind, name)
	entries, err := os.ReadDir(from)
	if optional && errors.Is(err, fs.ErrNotExist) {
		return nil
	} else if err != nil {
		return err
	}
	for _, e := range entries {
		content, err := os.ReadFile(filepath.Join(from, e.Name()))
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(dir, e.Name()), content, fs.FileMode(mode)); err != nil {
			return err
		}
	}
	return nil
}

// volume makes a volume and returns its directory.
func (p *pod) volume(name string) (string, error) {
	dir := filepath.Join(p.dir, name)
	if _, err := os.Stat(dir); err == nil {
		return dir, nil
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", err
	}
	if slices.ContainsFunc(p.set.Spec.VolumeClaimTemplates, func(c corev1.PersistentVolumeClaim) bool { return c.Name == name }) {
		return dir, nil
	}
	i := slices.IndexFunc(p.set.Spec.Template.Spec.Volumes, func(v corev1.Volume) bool { return v.Name == name })
	if i < 0 {
		return "", fmt.Errorf("there is no volume %s", name)
	}
	v := p.set.Spec.Template.Spec.Volumes[i]
	if v.Secret != nil {
		return dir, p.files(dir, "secret", v.Secret.SecretName, *v.Secret.DefaultMode, false)
	}
	for _, source := range v.Projected.Sources {
		var err error
		if s := source.Secret; s != nil {
			err = p.files(dir, "secret", s.Name, *v.Projected.DefaultMode, isTrue(s.Optional))
		} else {
			err = p.files(dir, "configmap", source.ConfigMap.Name, *v.Projected.DefaultMode, isTrue(source.ConfigMap.Optional))
		}
		if err != nil {
			return "", err
		}
	}
	return dir, nil
}

// command is the container's process, with paths of this machine in place of its mounts, and
// one address of this machine in place of the port for clients.
func (p *pod) command(ctx context.Context, api string) (*exec.Cmd, error) {
	c := p.set.Spec.Template.Spec.Containers[0]
	var paths []string
	for _, m := range c.VolumeMounts {
		at, err := p.volume(m.Name)
		if err != nil {
			return nil, err
		}
		if at = filepath.Join(at, p.expand(m.SubPathExpr)); m.SubPathExpr != "" {
			if info, err := os.Stat(at); err != nil || !info.Mode().IsRegular() {
				return nil, fmt.Errorf("%s is no file for %s: %w", at, m.MountPath, err)
			}
		}
		paths = append(paths, m.MountPath, at)
	}
	local := func(text string) string { return strings.NewReplacer(paths...).Replace(p.expand(text)) }
	var args []string
	for _, a := range c.Args {
		switch {
		case strings.HasPrefix(a, "--api="):
			a = "--api=" + api
		case strings.HasPrefix(a, "--advertise="):
			a = "--advertise=http://" + api
		}
		args = append(args, local(a))
	}
	cmd := exec.CommandContext(ctx, "writ", args...)
	cmd.Env = []string{"PATH=" + os.Getenv("PATH")}
	for name, value := range p.env {
		cmd.Env = append(cmd.Env, name+"="+local(value))
	}
	return cmd, nil
}

// pods are all that the manifests have Kubernetes make.
func pods(t *testing.T, m *manifests, told string) (all []*pod) {
	t.Helper()
	for _, set := range m.sets {
		for i := range *set.Spec.Replicas {
			p := &pod{name: fmt.Sprintf("%s-%d", set.Name, i), set: set, told: told, dir: t.TempDir(), env: map[string]string{}}
			for _, e := range set.Spec.Template.Spec.Containers[0].Env {
				switch {
				case e.ValueFrom == nil:
					p.env[e.Name] = e.Value
				case e.ValueFrom.FieldRef.FieldPath == "metadata.name":
					p.env[e.Name] = p.name
				case e.ValueFrom.FieldRef.FieldPath == "metadata.namespace":
					p.env[e.Name] = m.kustomization.Namespace
				}
			}
			all = append(all, p)
		}
	}
	return all
}

// here gives the writers addresses on this machine in place of the names of their pods, by which
// the layout has to know them.
func here(t *testing.T, m *manifests, told string) {
	t.Helper()
	file := filepath.Join(told, "configmap", "writ-cluster", "cluster.yaml")
	text := read(t, file)
	for _, set := range m.sets {
		for i := range *set.Spec.Replicas {
			for _, name := range []string{"peers", "broker", "routes"} {
				port, ok := ports(set)[name]
				if !ok {
					continue
				}
				addrs, err := setup.FreeAddrs(1)
				if err != nil {
					t.Fatal(err)
				}
				of := fmt.Sprintf("%s-%d.%s:%d", set.Name, i, set.Spec.ServiceName, port)
				if strings.Count(text, of) != 1 {
					t.Fatalf("cluster.yaml does not have %s once:\n%s", of, text)
				}
				text = strings.Replace(text, of, addrs[0], 1)
			}
		}
	}
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestKubernetesRuns does what the page says, and starts each pod as its manifest says, as a
// process of this machine: each becomes ready by its probe, and the first writer ends in time.
func TestKubernetesRuns(t *testing.T) {
	m, err := decode(manifestFiles(t))
	if err != nil {
		t.Fatal(err)
	}
	told := laidOut(t)
	here(t, m, told)
	ctx, cancel := context.WithCancel(t.Context())
	all := pods(t, m, told)
	addrs, err := setup.FreeAddrs(len(all))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cancel()
		for _, p := range all {
			if p.ended != nil {
				<-p.ended
			}
		}
	})
	ended := make(chan *pod, len(all))
	for i, p := range all {
		p.start(t, ctx, addrs[i], ended)
	}
	for _, p := range all {
		c := p.set.Spec.Template.Spec.Containers[0]
		for _, probe := range []*corev1.Probe{c.StartupProbe, c.ReadinessProbe, c.LivenessProbe} {
			p.passes(t, probe, ended)
		}
	}
	if err := all[0].process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if <-all[0].ended; all[0].err != nil {
		t.Errorf("%s ends with %v", all[0].name, all[0].err)
	}
	gone := read(t, filepath.Join(told, "deleted"))
	for _, p := range all { // what the page says to delete is not missed when a pod starts again
		for _, v := range p.set.Spec.Template.Spec.Volumes {
			if v.Projected == nil {
				continue
			}
			for _, s := range v.Projected.Sources {
				if s.Secret != nil && s.Secret.Name == gone && !isTrue(s.Secret.Optional) {
					t.Errorf("%s does not start again without %s, which the page has deleted", p.name, gone)
				}
			}
		}
	}
}

// passes waits until a probe succeeds, while no pod ends.
func (p *pod) passes(t *testing.T, probe *corev1.Probe, ended <-chan *pod) {
	t.Helper()
	again := time.NewTicker(time.Second / 10)
	defer again.Stop()
	for {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, p.url+probe.HTTPGet.Path, nil)
		if err != nil {
			t.Fatal(err)
		}
		if answer, err := http.DefaultClient.Do(r); err == nil {
			answer.Body.Close()
			if answer.StatusCode == http.StatusOK {
				return
			}
		}
		select {
		case <-again.C:
		case other := <-ended:
			t.Fatalf("%s ended: %v", other.name, other.err)
		case <-t.Context().Done():
			t.Fatalf("%s of %s does not succeed", probe.HTTPGet.Path, p.name)
		}
	}
}

// TestKustomize builds the manifests as `kubectl apply -k` does.
func TestKustomize(t *testing.T) {
	tool, err := exec.LookPath("kubectl")
	if err != nil {
		t.Skip("no kubectl on this machine: kustomization.yaml is decoded, and not built")
	}
	out, err := exec.CommandContext(t.Context(), tool, "kustomize", kubernetes).CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if n := strings.Count(string(out), "image: registry.example.com/writ:"); n != 2 {
		t.Errorf("%d images of 2 are replaced:\n%s", n, out)
	}
	for _, of := range []string{"kind: StatefulSet", "kind: PodDisruptionBudget", "kind: NetworkPolicy"} {
		if !strings.Contains(string(out), of) {
			t.Errorf("there is no %s", of)
		}
	}
}
