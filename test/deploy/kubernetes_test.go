package deploy

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apimachinery/pkg/util/intstr"
	yamldocs "k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/yaml"

	"github.com/writ-iam/writ/cmd/writ/serve"
)

const kubernetes = "../../docs/deploy/kubernetes"

// kustomization is what a kustomization.yaml of ours may say.
type kustomization struct {
	metav1.TypeMeta `json:",inline"`
	Namespace       string   `json:"namespace"`
	Resources       []string `json:"resources"`
	Images          []struct {
		Name    string `json:"name"`
		NewName string `json:"newName"`
		NewTag  string `json:"newTag"`
	} `json:"images"`
}

// manifests are the decoded files.
type manifests struct {
	kustomization kustomization
	namespaces    []*corev1.Namespace
	services      []*corev1.Service
	sets          []*appsv1.StatefulSet
	budgets       []*policyv1.PodDisruptionBudget
	policies      []*networkingv1.NetworkPolicy
}

// manifestFiles are the texts of the files by name.
func manifestFiles(t *testing.T) map[string]string {
	t.Helper()
	entries, err := os.ReadDir(kubernetes)
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{}
	for _, e := range entries {
		files[e.Name()] = read(t, filepath.Join(kubernetes, e.Name()))
	}
	return files
}

// decode decodes all files as a server of Kubernetes does that refuses unknown fields and fields
// that are given twice.
func decode(files map[string]string) (*manifests, error) {
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{corev1.AddToScheme, appsv1.AddToScheme, policyv1.AddToScheme, networkingv1.AddToScheme} {
		if err := add(scheme); err != nil {
			return nil, err
		}
	}
	decoder := serializer.NewCodecFactory(scheme, serializer.EnableStrict).UniversalDeserializer()
	m := new(manifests)
	if err := yaml.UnmarshalStrict([]byte(files["kustomization.yaml"]), &m.kustomization); err != nil {
		return nil, fmt.Errorf("kustomization.yaml: %w", err)
	}
	if named, there := slices.Sorted(slices.Values(append([]string{"kustomization.yaml"}, m.kustomization.Resources...))), slices.Sorted(maps.Keys(files)); !slices.Equal(named, there) {
		return nil, fmt.Errorf("kustomization.yaml names %v, and the files are %v", named, there)
	}
	for _, name := range m.kustomization.Resources {
		docs := yamldocs.NewYAMLReader(bufio.NewReader(strings.NewReader(files[name])))
		for {
			doc, err := docs.Read()
			if errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				return nil, fmt.Errorf("%s: %w", name, err)
			}
			object, _, err := decoder.Decode(doc, nil, nil)
			if err == nil {
				err = m.add(object)
			}
			if err != nil {
				return nil, fmt.Errorf("%s: %w", name, err)
			}
		}
	}
	return m, nil
}

func (m *manifests) add(object runtime.Object) error {
	switch o := object.(type) {
	case *corev1.Namespace:
		m.namespaces = append(m.namespaces, o)
	case *corev1.Service:
		m.services = append(m.services, o)
	case *appsv1.StatefulSet:
		m.sets = append(m.sets, o)
	case *policyv1.PodDisruptionBudget:
		m.budgets = append(m.budgets, o)
	case *networkingv1.NetworkPolicy:
		m.policies = append(m.policies, o)
	default:
		return fmt.Errorf("a %T is not checked", o)
	}
	return nil
}

// selected are the StatefulSets whose pods a selector chooses.
func (m *manifests) selected(selector *metav1.LabelSelector) (sets []*appsv1.StatefulSet) {
	s, err := metav1.LabelSelectorAsSelector(selector)
	if err != nil {
		return nil
	}
	for _, set := range m.sets {
		if s.Matches(labels.Set(set.Spec.Template.Labels)) {
			sets = append(sets, set)
		}
	}
	return sets
}

// ports are those of the containers of some StatefulSets, by name.
func ports(sets ...*appsv1.StatefulSet) map[string]int32 {
	all := map[string]int32{}
	for _, set := range sets {
		for _, c := range set.Spec.Template.Spec.Containers {
			for _, p := range c.Ports {
				all[p.Name] = p.ContainerPort
			}
		}
	}
	return all
}

// checkManifests says what is wrong with the files.
func checkManifests(files map[string]string) (wrong []string) {
	m, err := decode(files)
	if err != nil {
		return []string{err.Error()}
	}
	say := func(format string, args ...any) { wrong = append(wrong, fmt.Sprintf(format, args...)) }
	if len(m.sets) != 2 || len(m.budgets) != 2 || len(m.services) != 3 || len(m.namespaces) != 1 {
		say("there are %d StatefulSets, %d budgets, %d Services and %d namespaces", len(m.sets), len(m.budgets), len(m.services), len(m.namespaces))
		return wrong
	}
	if images := m.kustomization.Images; len(images) != 1 || images[0].Name != "writ" {
		say("the image is not in one place: %v", images)
	}
	if ns := m.namespaces[0]; ns.Name != m.kustomization.Namespace || ns.Labels["pod-security.kubernetes.io/enforce"] != "restricted" {
		say("the namespace %s, %v is not that of kustomization.yaml, or takes any pod", ns.Name, ns.Labels)
	}
	m.checkServices(say)
	m.checkBudgets(say)
	m.checkPolicies(say)
	for _, set := range m.sets {
		m.checkSet(set, say)
		checkPod(set, say)
		checkProbes(set, say)
		checkArgs(set, say)
	}
	return wrong
}

func (m *manifests) checkServices(say func(string, ...any)) {
	for _, s := range m.services {
		sets := m.selected(&metav1.LabelSelector{MatchLabels: s.Spec.Selector})
		if headless := s.Spec.ClusterIP == corev1.ClusterIPNone; headless != s.Spec.PublishNotReadyAddresses || headless == (len(sets) == len(m.sets)) || len(sets) == 0 {
			say("Service %s chooses %d sets of pods, and publishes those that are not ready: %v", s.Name, len(sets), s.Spec.PublishNotReadyAddresses)
		}
		for _, p := range s.Spec.Ports {
			for _, set := range sets { // a port that one of them lacks leads nowhere
				if number, ok := ports(set)[p.TargetPort.StrVal]; !ok || number != p.Port {
					say("Service %s has the port %d for %q, and %s has %d", s.Name, p.Port, p.TargetPort.StrVal, set.Name, number)
				}
			}
		}
	}
}

func (m *manifests) checkBudgets(say func(string, ...any)) {
	budgets := map[string]int{}
	for _, b := range m.budgets {
		if b.Spec.MaxUnavailable == nil || *b.Spec.MaxUnavailable != intstr.FromInt32(1) || b.Spec.MinAvailable != nil {
			say("budget %s lets more than one pod go: %v", b.Name, b.Spec.MaxUnavailable)
		}
		for _, set := range m.selected(b.Spec.Selector) {
			budgets[set.Name]++
		}
	}
	for _, set := range m.sets {
		if budgets[set.Name] != 1 {
			say("%s has %d budgets", set.Name, budgets[set.Name])
		}
	}
}

// checkPolicies holds that each way between nodes is open, in both of its ends, and no other one.
func (m *manifests) checkPolicies(say func(string, ...any)) {
	open := map[string]bool{} // "from writer to writer 8430"
	denied := false
	for _, p := range m.policies {
		denied = denied || len(p.Spec.Ingress)+len(p.Spec.Egress) == 0 && len(p.Spec.PolicyTypes) == 2 && len(m.selected(&p.Spec.PodSelector)) == len(m.sets)
		for _, of := range m.selected(&p.Spec.PodSelector) {
			for _, rule := range p.Spec.Ingress {
				if len(rule.From) == 0 {
					say("policy %s lets everybody in", p.Name)
				}
				for _, from := range m.peers(rule.From) {
					for _, port := range rule.Ports {
						open[fmt.Sprintf("in %s to %s %s", from, of.Name, port.Port)] = true
					}
				}
			}
			for _, rule := range p.Spec.Egress {
				for _, to := range m.peers(rule.To) {
					for _, port := range rule.Ports {
						open[fmt.Sprintf("out %s to %s %s", of.Name, to, port.Port)] = true
					}
				}
			}
		}
	}
	if !denied {
		say("no policy refuses what the others do not allow")
	}
	got, want := slices.Sorted(maps.Keys(open)), m.ways()
	if !slices.Equal(got, want) {
		say("the ways are\n  %s\nand should be\n  %s", strings.Join(got, "\n  "), strings.Join(want, "\n  "))
	}
}

// peers are the other ends of a rule: sets, or "others" where they are not ours.
func (m *manifests) peers(list []networkingv1.NetworkPolicyPeer) (names []string) {
	for _, p := range list {
		switch {
		case p.NamespaceSelector != nil:
			names = append(names, "others")
		case p.PodSelector != nil:
			for _, set := range m.selected(p.PodSelector) {
				names = append(names, set.Name)
			}
		default:
			names = append(names, "internet")
		}
	}
	if len(list) == 0 {
		names = []string{"anywhere"}
	}
	return names
}

// ways are those that nodes and their clients need, by the ports that the containers name.
func (m *manifests) ways() (ways []string) {
	p := ports(m.sets...)
	for _, way := range []struct {
		from, to string
		port     int32
	}{
		{"writer", "writer", p["peers"]}, {"writer", "writer", p["routes"]},
		{"replica", "writer", p["peers"]}, {"replica", "writer", p["broker"]},
	} {
		ways = append(ways, fmt.Sprintf("in %s to %s %d", way.from, way.to, way.port))
	}
	for _, set := range m.sets {
		ways = append(ways, fmt.Sprintf("in others to %s %d", set.Name, p["clients"]), fmt.Sprintf("out %s to anywhere 53", set.Name), fmt.Sprintf("out %s to internet 443", set.Name))
		for _, name := range []string{"peers", "broker", "routes"} {
			ways = append(ways, fmt.Sprintf("out %s to writer %d", set.Name, p[name]))
		}
	}
	slices.Sort(ways)
	return slices.Compact(ways)
}

func (m *manifests) checkSet(set *appsv1.StatefulSet, say func(string, ...any)) {
	s := set.Spec
	if own := m.selected(s.Selector); len(own) != 1 || own[0] != set {
		say("%s does not choose its own pods alone", set.Name)
	}
	headless := slices.IndexFunc(m.services, func(svc *corev1.Service) bool { return svc.Name == s.ServiceName })
	if headless < 0 || m.services[headless].Spec.ClusterIP != corev1.ClusterIPNone || !slices.Contains(m.selected(&metav1.LabelSelector{MatchLabels: m.services[headless].Spec.Selector}), set) {
		say("%s has no headless Service %s", set.Name, s.ServiceName)
	}
	// In order, the first writer would wait to be ready for a leader that needs the second.
	if s.PodManagementPolicy != appsv1.ParallelPodManagement || s.UpdateStrategy.Type != appsv1.RollingUpdateStatefulSetStrategyType || s.UpdateStrategy.RollingUpdate != nil {
		say("%s starts its pods in order, or changes more than one at once", set.Name)
	}
	if k := s.PersistentVolumeClaimRetentionPolicy; k == nil || k.WhenDeleted != appsv1.RetainPersistentVolumeClaimRetentionPolicyType || k.WhenScaled != appsv1.RetainPersistentVolumeClaimRetentionPolicyType {
		say("%s does not keep its disks", set.Name)
	}
	spread := s.Template.Spec.Affinity.PodAntiAffinity.RequiredDuringSchedulingIgnoredDuringExecution
	if set.Name == "writer" && (len(spread) != 1 || spread[0].TopologyKey != corev1.LabelHostname || !slices.Equal(m.selected(spread[0].LabelSelector), []*appsv1.StatefulSet{set})) {
		say("writers may share a machine")
	}
	if n := *s.Replicas; set.Name == "writer" && n%2 == 0 {
		say("there are %d writers, an even number", n)
	}
}

func checkPod(set *appsv1.StatefulSet, say func(string, ...any)) {
	pod := set.Spec.Template.Spec
	if len(pod.Containers) != 1 || len(pod.InitContainers) != 0 {
		say("%s has more than one container", set.Name)
		return
	}
	c, ps := pod.Containers[0], pod.SecurityContext
	cs := c.SecurityContext
	safe := ps != nil && cs != nil && isTrue(ps.RunAsNonRoot) && *ps.RunAsUser > 0 && ps.SeccompProfile.Type == corev1.SeccompProfileTypeRuntimeDefault &&
		cs.AllowPrivilegeEscalation != nil && !*cs.AllowPrivilegeEscalation && isTrue(cs.ReadOnlyRootFilesystem) &&
		slices.Equal(cs.Capabilities.Drop, []corev1.Capability{"ALL"}) && cs.Capabilities.Add == nil && cs.Privileged == nil
	if !safe || pod.HostNetwork || pod.HostPID || pod.AutomountServiceAccountToken == nil || *pod.AutomountServiceAccountToken {
		say("%s may do more than it needs", set.Name)
	}
	if ps.FSGroup == nil || *ps.FSGroup != *ps.RunAsGroup {
		say("%s cannot read its Secrets by its group", set.Name)
	}
	if pod.EnableServiceLinks == nil || *pod.EnableServiceLinks {
		say("%s gets variables of Services, which can be taken for settings of a node", set.Name)
	}
	if c.Image != "writ" {
		say("%s has the image %s, which kustomization.yaml does not replace", set.Name, c.Image)
	}
	memory := c.Resources.Limits.Memory().Value()
	limit := slices.IndexFunc(c.Env, func(e corev1.EnvVar) bool { return e.Name == "GOMEMLIMIT" })
	if mib, err := strconv.ParseInt(strings.TrimSuffix(c.Env[limit].Value, "MiB"), 10, 64); err != nil || memory == 0 || mib<<20 > memory*9/10 || c.Resources.Requests.Cpu().IsZero() || c.Resources.Requests.Memory().IsZero() {
		say("%s has no bound of its memory, of which Go leaves a tenth", set.Name)
	}
	for _, v := range c.VolumeMounts {
		if !v.ReadOnly && v.Name != "data" {
			say("%s can write %s", set.Name, v.MountPath)
		}
	}
}

func isTrue(b *bool) bool { return b != nil && *b }

// checkProbes holds that no probe kills a node that restores or joins.
func checkProbes(set *appsv1.StatefulSet, say func(string, ...any)) {
	c := set.Spec.Template.Spec.Containers[0]
	span := func(p *corev1.Probe) time.Duration {
		if p == nil || p.HTTPGet == nil || p.HTTPGet.Port.StrVal != "clients" {
			say("%s lacks a probe of the port for clients", set.Name)
			return 0
		}
		return time.Duration(p.PeriodSeconds*p.FailureThreshold) * time.Second
	}
	if span(c.StartupProbe) < time.Hour || c.StartupProbe.HTTPGet.Path != "/livez" {
		say("%s has less than an hour to restore its state", set.Name)
	}
	if span(c.LivenessProbe) < 5*time.Minute || c.LivenessProbe.HTTPGet.Path != "/livez" {
		say("%s is killed where it is only not ready, or busy", set.Name)
	}
	if s := span(c.ReadinessProbe); s == 0 || s > 10*time.Second || c.ReadinessProbe.HTTPGet.Path != "/readyz" {
		say("%s is asked for longer than 10 s where it is not ready", set.Name)
	}
}

// checkArgs holds that `writ serve` takes the arguments, and that the time for the end is enough
// for what they say.
func checkArgs(set *appsv1.StatefulSet, say func(string, ...any)) {
	pod := set.Spec.Template.Spec
	args := pod.Containers[0].Args
	command := serve.New()
	if len(args) == 0 || args[0] != "serve" {
		say("%s does not serve: %q", set.Name, args)
	} else if err := command.ParseFlags(args[1:]); err != nil || command.Flags().NArg() > 0 {
		say("%s: %v, %q", set.Name, err, command.Flags().Args())
	}
	drain, err := command.Flags().GetDuration("drain")
	if err != nil {
		say("%v", err)
	}
	ends := 1
	if set.Name == "writer" {
		ends = 2 // its log is closed within as long again
	}
	pre := time.Duration(pod.Containers[0].Lifecycle.PreStop.Sleep.Seconds) * time.Second
	if grace := time.Duration(*pod.TerminationGracePeriodSeconds) * time.Second; pre < 2*time.Second || grace < pre+time.Duration(ends)*drain+5*time.Second {
		say("%s is killed after %v, and may take %v and %d times %v", set.Name, grace, pre, ends, drain)
	}
	api, err := command.Flags().GetString("api")
	if err != nil || api != fmt.Sprintf(":%d", ports(set)["clients"]) {
		say("%s serves clients on %s, which is not the container's port", set.Name, api)
	}
	if advertised, err := command.Flags().GetString("advertise"); err != nil || advertised != fmt.Sprintf("http://$(POD_NAME).%s.$(POD_NAMESPACE).svc%s", set.Spec.ServiceName, api) {
		say("%s tells clients %s, which is not its name", set.Name, advertised)
	}
}

func TestKubernetesManifests(t *testing.T) {
	for _, w := range checkManifests(manifestFiles(t)) {
		t.Error(w)
	}
}

// Each mistake in the manifests is found.
func TestKubernetesManifestsWithMistakes(t *testing.T) {
	files := manifestFiles(t)
	for _, m := range []struct{ file, is, becomes string }{
		{"writers.yaml", "serviceName: writers", "servicename: writers"},
		{"writers.yaml", "  replicas: 3\n", "  replicas: 3\n  replicas: 3\n"},
		{"writers.yaml", "  replicas: 3\n", "  replicas: 4\n"},
		{"writers.yaml", "serviceName: writers", "serviceName: writer"},
		{"writers.yaml", "publishNotReadyAddresses: true", "publishNotReadyAddresses: false"},
		{"writers.yaml", "podManagementPolicy: Parallel", "podManagementPolicy: OrderedReady"},
		{"writers.yaml", "whenScaled: Retain", "whenScaled: Delete"},
		{"writers.yaml", "--seal-key-file", "--seal-keyfile"},
		{"writers.yaml", "- --api=:8420", "- --api=:8421"},
		{"writers.yaml", "--advertise=http://$(POD_NAME).writers", "--advertise=http://$(POD_NAME).replicas"},
		{"writers.yaml", "terminationGracePeriodSeconds: 45", "terminationGracePeriodSeconds: 25"},
		{"writers.yaml", "failureThreshold: 720", "failureThreshold: 30"},
		{"writers.yaml", "containerPort: 8432", "containerPort: 8433"},
		{"writers.yaml", "targetPort: broker", "targetPort: brokers"},
		{"writers.yaml", "readOnlyRootFilesystem: true", "readOnlyRootFilesystem: false"},
		{"writers.yaml", "image: writ", "image: writ:2"},
		{"writers.yaml", "maxUnavailable: 1", "maxUnavailable: 2"},
		{"writers.yaml", "enableServiceLinks: false", "enableServiceLinks: true"},
		{"writers.yaml", "memory: 2Gi", "memory: 1Gi"},
		{"writers.yaml", "mountPath: /run/secrets/writ, readOnly: true", "mountPath: /run/secrets/writ, readOnly: false"},
		{"replicas.yaml", "path: /livez", "path: /readyz"},
		{"replicas.yaml", "    matchLabels: {app.kubernetes.io/name: writ, app.kubernetes.io/component: replica}", "    matchLabels: {app.kubernetes.io/name: writ}"},
		{"clients.yaml", "targetPort: clients", "targetPort: peers"},
		{"network.yaml", "- {port: 8432}", "- {port: 8433}"},
		{"network.yaml", "app.kubernetes.io/component: replica", "app.kubernetes.io/component: replicas"},
		{"network.yaml", "policyTypes: [Ingress, Egress]", "policyTypes: [Ingress]"},
		{"kustomization.yaml", "- name: writ", "- name: writs"},
		{"kustomization.yaml", "  - network.yaml\n", ""},
		{"namespace.yaml", "enforce: restricted", "enforce: baseline"},
	} {
		changed := maps.Clone(files)
		changed[m.file] = strings.Replace(files[m.file], m.is, m.becomes, 1)
		if changed[m.file] == files[m.file] {
			t.Errorf("%s does not say %q", m.file, m.is)
		} else if len(checkManifests(changed)) == 0 {
			t.Errorf("%s passes with %q in place of %q", m.file, m.becomes, m.is)
		}
	}
}
