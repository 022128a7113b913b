package pipeline

import (
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/writ-iam/writ/node/federation/issuertest"
	"github.com/writ-iam/writ/test/cluster"
)

// federation is the page on identity providers.
const federation = root + "/docs/federation.md"

// system is one that the page connects: its tokens as it documents them.
type system struct {
	issuer, role string
	claims       map[string]any
	// other is what another token of it says, which the role does not trust.
	other map[string]any
}

// systems are those of the page. Their tokens are those that the documentation of each shows:
// GitHub's "OpenID Connect reference", GitLab's "OpenID Connect (OIDC) Authentication Using ID
// Tokens", Kubernetes's "Managing Service Accounts", Keycloak's access tokens of clients.
var systems = map[string]system{
	"github": {"https://token.actions.githubusercontent.com", "github", map[string]any{
		"jti": "example-id", "sub": "repo:octo-org/octo-repo:ref:refs/heads/main", "aud": "sts.amazonaws.com", "ref": "refs/heads/main", "sha": "example-sha",
		"repository": "octo-org/octo-repo", "repository_owner": "octo-org", "actor_id": "12", "repository_visibility": "private", "repository_id": "74",
		"run_id": "example-run-id", "run_number": "10", "run_attempt": "2", "runner_environment": "github-hosted", "actor": "octocat", "workflow": "example-workflow",
		"head_ref": "", "base_ref": "", "event_name": "workflow_dispatch", "ref_type": "branch", "job_workflow_ref": "octo-org/octo-automation/.github/workflows/oidc.yml@refs/heads/main",
	}, map[string]any{"sub": "repo:octo-org/other:ref:refs/heads/main"}},
	"gitlab": {"https://gitlab.com", "gitlab", map[string]any{
		"namespace_id": "72", "namespace_path": "my-group", "project_id": "20", "project_path": "my-group/my-project", "user_id": "1", "user_login": "sample-user",
		"user_email": "sample-user@example.com", "user_identities": []map[string]any{{"provider": "github", "extern_uid": "2435223452345"}}, "pipeline_id": "574", "pipeline_source": "push",
		"job_id": "302", "ref": "main", "ref_type": "branch", "ref_protected": "true", "groups_direct": []string{"my-group"}, "environment_protected": "false",
		"runner_id": 1, "runner_environment": "self-hosted", "sub": "project_path:my-group/my-project:ref_type:branch:ref:main", "aud": "sts.amazonaws.com",
	}, map[string]any{"aud": "https://other.example.com"}},
	"kubernetes": {"https://kubernetes.default.svc.cluster.local", "pod", map[string]any{
		"aud": []string{"sts.amazonaws.com"}, "sub": "system:serviceaccount:ci:deployer",
		"kubernetes.io": map[string]any{"namespace": "ci", "node": map[string]any{"name": "n"}, "pod": map[string]any{"name": "p"}, "serviceaccount": map[string]any{"name": "deployer"}, "warnafter": 1700000000},
	}, map[string]any{"sub": "system:serviceaccount:other:deployer"}},
	"keycloak": {"https://keycloak.example.com/realms/ci", "keycloak", map[string]any{
		"jti": "trrtcc:1", "aud": "account", "typ": "Bearer", "azp": "writ", "acr": "1", "sub": "0f2c5d62-0c62-4d10-8d1c-7b0a4d8f1b1e", "allowed-origins": []string{"/*"},
		"realm_access": map[string]any{"roles": []string{"offline_access"}}, "resource_access": map[string]any{"account": map[string]any{"roles": []string{"view-profile"}}},
		"scope": "profile email", "email_verified": false, "preferred_username": "service-account-writ", "clientHost": "10.0.0.9", "client_id": "writ",
	}, map[string]any{"preferred_username": "service-account-other"}},
}

// TestFederation connects each system as the page says, in fewer than ten commands, and runs
// `writ wait` on a token of it.
func TestFederation(t *testing.T) {
	installed(t, "aws")
	issuers := map[string]*issuertest.Issuer{}
	for name, s := range systems {
		issuers[name] = issuertest.New(t, s.issuer)
	}
	c := cluster.Beside(t, binary, slices.Collect(maps.Values(issuers)))
	for name, s := range systems {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			fake := filepath.Join(dir, "kubectl") // that of a cluster with the issuer's keys
			if err := os.WriteFile(fake, []byte("#!/bin/sh\n[ \"$*\" = 'get --raw /openid/v1/jwks' ] && cat jwks.json\n"), 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(dir, "jwks.json"), issuers[name].KeySet(), 0o600); err != nil {
				t.Fatal(err)
			}
			script := blockOf(t, federation, name)
			if n := commands(script); n >= 10 {
				t.Errorf("it takes %d commands", n)
			}
			cmd := c.Command(t.Context(), dir, "bash", "-euo", "pipefail", "-c", script)
			cmd.Env = append(cmd.Env, strings.Replace(path(), "PATH=", "PATH="+dir+":", 1))
			must(t, cmd)

			wait := func(claims map[string]any) outcome {
				file := filepath.Join(dir, "token")
				if err := os.WriteFile(file, []byte(issuers[name].Token(claims)), 0o600); err != nil {
					t.Fatal(err)
				}
				cmd := c.Command(t.Context(), dir, binary, "wait", "--head")
				cmd.Env = append(cmd.Env, "AWS_ACCESS_KEY_ID=", "AWS_SECRET_ACCESS_KEY=", "AWS_WEB_IDENTITY_TOKEN_FILE="+file, "AWS_ROLE_ARN=arn:aws:iam::123456789012:role/"+s.role)
				return finish(t, cmd)
			}
			if o := wait(s.claims); o.code != 0 || !strings.Contains(o.out, "is everywhere") {
				t.Errorf("exit %d: %s %s", o.code, o.out, o.errors)
			}
			wrong := maps.Clone(s.claims)
			maps.Copy(wrong, s.other)
			if o := wait(wrong); o.code != 1 || !strings.Contains(o.errors, "AccessDenied: Not authorized to perform") && !strings.Contains(o.errors, "InvalidIdentityToken: Incorrect token audience") {
				t.Errorf("another one's token: exit %d: %s %s", o.code, o.out, o.errors)
			}
		})
	}
}

// commands is how many commands a script has: what is no text for cat, and no second line of one.
func commands(script string) (n int) {
	text, more := false, false
	for line := range strings.Lines(script) {
		line = strings.TrimSuffix(line, "\n")
		if !text && !more && line != "" && !strings.HasPrefix(line, "#") {
			n++
		}
		more = !text && strings.HasSuffix(line, `\`)
		text = strings.HasSuffix(line, "<<'END'") || text && line != "END"
	}
	return n
}

// TestIdentities runs the examples that have no key, on tokens of an issuer.
func TestIdentities(t *testing.T) {
	f := cluster.Federate(t, binary, blockOf(t, page, "policy"), "--replicas", "2")
	example := func(name string) string {
		return strings.ReplaceAll(blockOf(t, page, name), example, f.Env["WRIT_ENDPOINT"])
	}
	t.Run("GitHub", func(t *testing.T) { gitHubIdentity(t, f, example("github-identity")) })
	t.Run("GitLab", func(t *testing.T) { gitLabIdentity(t, f, example("gitlab-identity")) })
	t.Run("Kubernetes", func(t *testing.T) { kubernetesIdentity(t, f, example("kubernetes-identity")) })
}

// gitHubIdentity has a server in the place of GitHub's, which gives the job its token.
func gitHubIdentity(t *testing.T, f *cluster.Federated, text string) {
	installed(t, "curl")
	installed(t, "jq")
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "bearer of-the-job" || r.URL.Query().Get("api-version") != "2.0" {
			http.Error(w, "no", http.StatusUnauthorized)
			return
		}
		fmt.Fprintf(w, `{"count":1,"value":%q}`, f.Issuer.Token(map[string]any{"aud": r.URL.Query().Get("audience")}))
	}))
	defer server.Close()
	var w workflow
	parse(t, text, &w)
	job := w.Jobs["wait"]
	if len(w.Jobs) != 1 || w.Permissions["id-token"] != "write" || job.RunsOn == "" || job.Timeout == 0 {
		t.Fatalf("the workflow is %+v", w)
	}
	_, search, _ := strings.Cut(path(), "=")
	g := newGitHub(t, search)
	g.env["ACTIONS_ID_TOKEN_REQUEST_URL"], g.env["ACTIONS_ID_TOKEN_REQUEST_TOKEN"] = server.URL+"/token?api-version=2.0", "of-the-job"
	if code := g.steps(job.Steps, g.known); code != 0 || g.known["steps.wait.outputs.state"] != "everywhere" || !bothReplicas(g.known["steps.wait.outputs.visible-on"]) {
		t.Errorf("exit %d, %v", code, g.known)
	}
	g.env["ACTIONS_ID_TOKEN_REQUEST_TOKEN"] = "another"
	if code := g.steps(job.Steps, g.known); code == 0 {
		t.Error("it waits without a token")
	}
}

func gitLabIdentity(t *testing.T, f *cluster.Federated, text string) {
	var jobs map[string]struct {
		Stage, Image, Timeout string
		Tokens                map[string]struct{ Aud string } `yaml:"id_tokens"`
		Variables             map[string]string
		Before                []string `yaml:"before_script"`
		Script                []string
		Retry                 struct {
			Max       int
			ExitCodes int `yaml:"exit_codes"`
		}
	}
	parse(t, text, &jobs)
	job := jobs["wait-for-writ"]
	if len(jobs) != 1 || len(job.Tokens) != 1 {
		t.Fatalf("the jobs are %+v", jobs)
	}
	cmd := f.Command(t.Context(), t.TempDir(), "bash", "-eo", "pipefail", "-c", strings.Join(slices.Concat(job.Before, job.Script), "\n"))
	cmd.Env = append(cmd.Env, path(), "AWS_ACCESS_KEY_ID=", "AWS_SECRET_ACCESS_KEY=")
	for name, value := range job.Variables {
		cmd.Env = append(cmd.Env, name+"="+strings.ReplaceAll(value, "$CI_PIPELINE_ID", "574"))
	}
	for name, token := range job.Tokens {
		cmd.Env = append(cmd.Env, name+"="+f.Issuer.Token(map[string]any{"aud": token.Aud}))
	}
	if o := must(t, cmd); !strings.Contains(o.out, "is everywhere; visible on replica-1, replica-2") {
		t.Errorf("it says %s %s", o.out, o.errors)
	}
}

// kubernetesIdentity runs what the container runs, with the token where the volume would have it.
func kubernetesIdentity(t *testing.T, f *cluster.Federated, text string) {
	var j struct {
		APIVersion string `yaml:"apiVersion"`
		Kind       string
		Metadata   meta
		Spec       struct {
			BackoffLimit          int `yaml:"backoffLimit"`
			ActiveDeadlineSeconds int `yaml:"activeDeadlineSeconds"`
			Template              struct {
				Spec struct {
					RestartPolicy                string `yaml:"restartPolicy"`
					ServiceAccountName           string `yaml:"serviceAccountName"`
					AutomountServiceAccountToken bool   `yaml:"automountServiceAccountToken"`
					Containers                   []container
					Volumes                      []struct {
						Name      string
						Projected struct {
							Sources []struct {
								ServiceAccountToken struct {
									Path, Audience    string
									ExpirationSeconds int `yaml:"expirationSeconds"`
								} `yaml:"serviceAccountToken"`
							}
						}
					}
				}
			}
		}
	}
	parse(t, text, &j)
	pod := j.Spec.Template.Spec
	if j.APIVersion != "batch/v1" || j.Kind != "Job" || pod.ServiceAccountName == "" || len(pod.Containers) != 1 || len(pod.Volumes) != 1 || len(pod.Volumes[0].Projected.Sources) != 1 {
		t.Fatalf("the job is %+v", j)
	}
	c, token := pod.Containers[0], pod.Volumes[0].Projected.Sources[0].ServiceAccountToken
	if c.VolumeMounts[0].Name != pod.Volumes[0].Name || token.ExpirationSeconds < 600 {
		t.Errorf("the volume is %+v", pod.Volumes[0])
	}
	file := filepath.Join(t.TempDir(), token.Path)
	if err := os.WriteFile(file, []byte(f.Issuer.Token(map[string]any{"aud": []string{token.Audience}})), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := f.Command(t.Context(), t.TempDir(), binary, c.Args...)
	cmd.Env = append(cmd.Env, "AWS_ACCESS_KEY_ID=", "AWS_SECRET_ACCESS_KEY=")
	for _, e := range c.Env {
		cmd.Env = append(cmd.Env, e.Name+"="+strings.ReplaceAll(e.Value, c.VolumeMounts[0].MountPath+"/"+token.Path, file))
	}
	if o := must(t, cmd); !strings.Contains(o.out, "is everywhere; visible on replica-1, replica-2") {
		t.Errorf("it says %s %s", o.out, o.errors)
	}
}
