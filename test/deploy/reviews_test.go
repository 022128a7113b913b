package deploy

import (
	"path/filepath"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"

	"github.com/writ-iam/writ/node/bridge"
	reviews "github.com/writ-iam/writ/node/bridge/kubernetes"
	"github.com/writ-iam/writ/node/bridge/objectstore"
)

const (
	apiserver    = "../../docs/deploy/kube-apiserver"
	objectstores = "../../docs/deploy/objectstores"
)

// kubeconfig is what a kubeconfig of ours may say. test/kubernetes decodes it as Kubernetes does.
type kubeconfig struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	Current    string `json:"current-context"`
	Clusters   []struct {
		Name    string `json:"name"`
		Cluster struct {
			Authority string `json:"certificate-authority"`
			Server    string `json:"server"`
		} `json:"cluster"`
	} `json:"clusters"`
	Users []struct {
		Name string `json:"name"`
		User struct {
			Certificate string `json:"client-certificate"`
			Key         string `json:"client-key"`
		} `json:"user"`
	} `json:"users"`
	Contexts []struct {
		Name    string            `json:"name"`
		Context map[string]string `json:"context"`
	} `json:"contexts"`
}

// The kubeconfigs of webhooks lead to what a door serves, over TLS, with a certificate.
func TestKubeconfigs(t *testing.T) {
	t.Parallel()
	for name, path := range map[string]string{"tokens": reviews.PathTokenReview, "access": reviews.PathAccessReview} {
		var c kubeconfig
		if err := yaml.UnmarshalStrict([]byte(read(t, filepath.Join(apiserver, name+".kubeconfig"))), &c); err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if len(c.Clusters) != 1 || len(c.Users) != 1 || len(c.Contexts) != 1 || c.Current != c.Contexts[0].Name || c.Kind != "Config" || c.APIVersion != "v1" ||
			c.Contexts[0].Context["cluster"] != c.Clusters[0].Name || c.Contexts[0].Context["user"] != c.Users[0].Name {
			t.Errorf("%s: %+v", name, c)
			continue
		}
		if s := c.Clusters[0].Cluster; !strings.HasPrefix(s.Server, "https://") || !strings.HasSuffix(s.Server, path) || s.Authority == "" || c.Users[0].User.Certificate == "" || c.Users[0].User.Key == "" {
			t.Errorf("%s leads to %s, %+v", name, s.Server, c)
		}
	}
}

// The mappings and doors of the examples are taken.
func TestBridgeExamples(t *testing.T) {
	t.Parallel()
	for path, make := range map[string]func(string) (bridge.Protocol, error){
		apiserver + "/mapping.yaml": reviews.New, objectstores + "/minio.yaml": objectstore.NewMinIO, objectstores + "/ceph.yaml": objectstore.NewCeph,
	} {
		if _, err := make(path); err != nil {
			t.Errorf("%s: %v", path, err)
		}
	}
	doors, err := bridge.Load(apiserver + "/doors.yaml")
	if err != nil || len(doors) != 1 || doors[0].TLS == nil || len(doors[0].Callers) != 1 || doors[0].Callers[0].Certificate == "" {
		t.Errorf("the doors are %+v, %v", doors, err)
	}
	minio, ceph := read(t, objectstores+"/minio.env"), read(t, objectstores+"/ceph.conf")
	for _, want := range []string{"8444" + objectstore.PathMinIOAccess + "\n", "8444" + objectstore.PathMinIOIdentity + "\n", "8445" + objectstore.PathCeph + "\n"} {
		if !strings.Contains(minio+ceph, want) {
			t.Errorf("no store asks at %s", want)
		}
	}
}
