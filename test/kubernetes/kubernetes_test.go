package kubernetes

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	aws2 "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go/aws"
	"github.com/aws/aws-sdk-go/aws/credentials"
	"github.com/aws/aws-sdk-go/aws/session"
	"github.com/aws/aws-sdk-go/service/sts"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apimachinery/pkg/util/wait"
	apiapiserver "k8s.io/apiserver/pkg/apis/apiserver"
	"k8s.io/apiserver/pkg/apis/apiserver/load"
	"k8s.io/apiserver/pkg/apis/apiserver/validation"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	authorizationcel "k8s.io/apiserver/pkg/authorization/cel"
	"k8s.io/apiserver/pkg/util/webhook"
	tokenwebhook "k8s.io/apiserver/plugin/pkg/authenticator/token/webhook"
	accesswebhook "k8s.io/apiserver/plugin/pkg/authorizer/webhook"
	"k8s.io/apiserver/plugin/pkg/authorizer/webhook/metrics"
	clientcmdlatest "k8s.io/client-go/tools/clientcmd/api/latest"
	"sigs.k8s.io/aws-iam-authenticator/pkg/token"
	"sigs.k8s.io/yaml"

	clientcmdv1 "k8s.io/client-go/tools/clientcmd/api/v1"

	"github.com/writ-iam/writ/test/doors"
)

const (
	files  = "../../docs/deploy/kube-apiserver"
	mayAsk = `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"writ:Authorize","Resource":"*"}}`
	alices = `{"Version":"2012-10-17","Statement":[
		{"Effect":"Allow","Action":"kubernetes:get","Resource":"arn:aws:kubernetes:::cluster/prod/namespace/dev/core/pods/*"},
		{"Effect":"Deny","Action":"*","Resource":"arn:aws:kubernetes:::cluster/prod/namespace/kube-system/*"}]}`
)

// read is a file of the documentation.
func read(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(files, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// write writes a file, and returns its path.
func write(t *testing.T, path, text string) string {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// certificates makes an authority, and certificates of the door and of kube-apiserver.
func certificates(t *testing.T, dir string) {
	t.Helper()
	var ca *x509.Certificate
	var by *ecdsa.PrivateKey
	for i, name := range []string{"ca", "door", "kube-apiserver"} {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		c := &x509.Certificate{
			SerialNumber: big.NewInt(int64(i + 1)), Subject: pkix.Name{CommonName: name}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
			IsCA: i == 0, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
			ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
		}
		if i == 0 {
			ca, by = c, key
		}
		der, err := x509.CreateCertificate(rand.Reader, c, ca, &key.PublicKey, by)
		if err != nil {
			t.Fatal(err)
		}
		raw, err := x509.MarshalPKCS8PrivateKey(key)
		if err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(dir, name+".crt"), string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})))
		write(t, filepath.Join(dir, name+".key"), string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: raw})))
	}
}

// world is a node with the documentation's door, and alice with an access key.
type world struct {
	*doors.Pair
	dir        string
	key        string
	secret     string
	kubeconfig func(name string) string
}

func start(t *testing.T) *world {
	t.Helper()
	dir := t.TempDir()
	certificates(t, dir)
	write(t, filepath.Join(dir, "mapping.yaml"), read(t, "mapping.yaml"))
	door := strings.NewReplacer("0.0.0.0:8443", "127.0.0.1:0", "door.crt", dir+"/door.crt", "door.key", dir+"/door.key", "clients.pem", dir+"/ca.crt", "mapping.yaml", dir+"/mapping.yaml").Replace(
		strings.SplitN(read(t, "doors.yaml"), "\n", 2)[1])
	w := &world{Pair: doors.Start(t, door), dir: dir}
	w.User("kube-apiserver", mayAsk)
	w.User("alice", alices)
	out, err := w.IAM.CreateAccessKey(t.Context(), &iam.CreateAccessKeyInput{UserName: aws2.String("alice")})
	if err != nil {
		t.Fatal(err)
	}
	w.key, w.secret = *out.AccessKey.AccessKeyId, *out.AccessKey.SecretAccessKey
	w.Caught()
	w.kubeconfig = func(name string) string {
		text := strings.NewReplacer("/etc/kubernetes/writ/door-ca.crt", dir+"/ca.crt", "/etc/kubernetes/writ/", dir+"/", "writ.example.com:8443", w.Door(0)).Replace(read(t, name))
		return write(t, filepath.Join(dir, name), text)
	}
	return w
}

// The files are decoded as kube-apiserver decodes them, and refuse what it does not know.
func TestFiles(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"tokens.kubeconfig", "access.kubeconfig"} {
		if err := yaml.UnmarshalStrict([]byte(read(t, name)), new(clientcmdv1.Config)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if _, _, err := clientcmdlatest.Codec.Decode([]byte(read(t, name)), nil, nil); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	c, err := load.LoadFromData([]byte(read(t, "authorization.yaml")))
	if err != nil {
		t.Fatal(err)
	}
	for i := range c.Authorizers {
		if w := c.Authorizers[i].Webhook; w != nil { // validation looks for the file
			w.ConnectionInfo.KubeConfigFile = aws.String(write(t, filepath.Join(t.TempDir(), "k"), read(t, "access.kubeconfig")))
		}
	}
	if list := validation.ValidateAuthorizationConfiguration(authorizationcel.NewDefaultCompiler(), nil, c, sets.New("Node", "Webhook", "RBAC"), sets.New("Webhook")); len(list) > 0 {
		t.Error(list)
	}
}

// eks is a token of the aws CLI; "" where there is none.
func (w *world) eks(t *testing.T) string {
	t.Helper()
	if _, err := exec.LookPath("aws"); err != nil {
		t.Log("there is no aws CLI here: its token is not tried")
		return ""
	}
	c := exec.CommandContext(t.Context(), "aws", "eks", "get-token", "--cluster-name", "prod")
	c.Env = append(os.Environ(), "AWS_ACCESS_KEY_ID="+w.key, "AWS_SECRET_ACCESS_KEY="+w.secret, "AWS_DEFAULT_REGION=us-east-1", "AWS_ENDPOINT_URL_STS=https://sts.example.com")
	out, err := c.Output()
	if err != nil {
		t.Fatal(err)
	}
	var made struct {
		Status struct {
			Token string `json:"token"`
		} `json:"status"`
	}
	if err := json.Unmarshal(out, &made); err != nil {
		t.Fatal(err)
	}
	return made.Status.Token
}

// authenticator is a token of aws-iam-authenticator.
func (w *world) authenticator(t *testing.T, cluster string) string {
	t.Helper()
	s, err := session.NewSession(&aws.Config{Region: aws.String("us-east-1"), Endpoint: aws.String("https://sts.example.com"), Credentials: credentials.NewStaticCredentials(w.key, w.secret, "")})
	if err != nil {
		t.Fatal(err)
	}
	g, err := token.NewGenerator(false, false)
	if err != nil {
		t.Fatal(err)
	}
	made, err := g.GetWithSTS(cluster, sts.New(s))
	if err != nil {
		t.Fatal(err)
	}
	return made.Token
}

func TestWebhooks(t *testing.T) {
	t.Parallel()
	w := start(t)
	once := wait.Backoff{Steps: 1, Duration: time.Millisecond}
	config, err := webhook.LoadKubeconfig(w.kubeconfig("tokens.kubeconfig"), nil)
	if err != nil {
		t.Fatal(err)
	}
	tokens, err := tokenwebhook.New(config, "v1", nil, once)
	if err != nil {
		t.Fatal(err)
	}
	var alice user.Info
	for name, text := range map[string]string{"aws-iam-authenticator": w.authenticator(t, "prod"), "aws eks get-token": w.eks(t)} {
		if text == "" {
			continue
		}
		who, ok, err := tokens.AuthenticateToken(t.Context(), text)
		if err != nil || !ok || who.User.GetName() != "writ:user:alice" || !slices.Equal(who.User.GetExtra()["arn"], []string{w.ARN("user/alice")}) {
			t.Fatalf("%s: %+v, %v, %v", name, who, ok, err)
		}
		alice = who.User
	}
	for name, text := range map[string]string{"for another cluster": w.authenticator(t, "staging"), "nonsense": "x"} {
		if who, ok, err := tokens.AuthenticateToken(t.Context(), text); ok || err == nil {
			t.Errorf("a token that is %s: %+v, %v", name, who, err)
		}
	}
	access := w.authorizer(t, once)
	for _, c := range []struct {
		name string
		of   authorizer.AttributesRecord
		want authorizer.Decision
	}{
		{"a pod", authorizer.AttributesRecord{User: alice, Verb: "get", Namespace: "dev", APIVersion: "v1", Resource: "pods", Name: "web", ResourceRequest: true}, authorizer.DecisionAllow},
		{"its shell", authorizer.AttributesRecord{User: alice, Verb: "get", Namespace: "dev", APIVersion: "v1", Resource: "pods", Subresource: "exec", Name: "web", ResourceRequest: true}, authorizer.DecisionNoOpinion},
		{"a denied namespace", authorizer.AttributesRecord{User: alice, Verb: "get", Namespace: "kube-system", APIVersion: "v1", Resource: "secrets", Name: "x", ResourceRequest: true}, authorizer.DecisionDeny},
		{"a path", authorizer.AttributesRecord{User: alice, Verb: "get", Path: "/metrics"}, authorizer.DecisionNoOpinion},
		{"one of Kubernetes' own", authorizer.AttributesRecord{User: &user.DefaultInfo{Name: "system:serviceaccount:dev:web"}, Verb: "get", Path: "/metrics"}, authorizer.DecisionNoOpinion},
	} {
		got, reason, err := access.Authorize(t.Context(), c.of)
		if err != nil || got != c.want {
			t.Errorf("%s: %v, %s, %v; want %v", c.name, got, reason, err, c.want)
		}
	}
	// Without its writer the node says no more who somebody is, and by `unsure: deny` denies what it
	// would allow.
	w.Stop(doors.Writer)
	again := authorizer.AttributesRecord{User: alice, Verb: "get", Namespace: "dev", APIVersion: "v1", Resource: "pods", Name: "other", ResourceRequest: true}
	w.Until("nothing is allowed", func(ctx context.Context) error {
		if got, _, _ := w.authorizer(t, once).Authorize(ctx, again); got != authorizer.DecisionDeny {
			return fmt.Errorf("it is %v", got)
		}
		if _, ok, _ := tokens.AuthenticateToken(ctx, w.authenticator(t, "prod")); ok {
			return errors.New("a token is somebody's")
		}
		return nil
	})
}

// authorizer is the webhook authorizer of the documentation, as kube-apiserver makes it.
func (w *world) authorizer(t *testing.T, once wait.Backoff) authorizer.Authorizer {
	t.Helper()
	c, err := load.LoadFromData([]byte(read(t, "authorization.yaml")))
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(c.Authorizers, func(a apiapiserver.AuthorizerConfiguration) bool { return a.Webhook != nil })
	hook := c.Authorizers[i].Webhook
	config, err := webhook.LoadKubeconfig(w.kubeconfig("access.kubeconfig"), nil)
	if err != nil {
		t.Fatal(err)
	}
	onError := authorizer.DecisionNoOpinion
	if hook.FailurePolicy == apiapiserver.FailurePolicyDeny {
		onError = authorizer.DecisionDeny
	}
	a, err := accesswebhook.New(config, hook.SubjectAccessReviewVersion, hook.AuthorizedTTL.Duration, hook.UnauthorizedTTL.Duration, once, onError, hook.MatchConditions, "writ", metrics.NoopAuthorizerMetrics{}, authorizationcel.NewDefaultCompiler())
	if err != nil {
		t.Fatal(err)
	}
	return a
}
