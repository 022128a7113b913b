package chaos

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"

	"github.com/writ-iam/writ/node/client"
	"github.com/writ-iam/writ/test/cluster"
)

// TestNoSecretOnDisk looks for secret access keys in everything that a cluster
// writes: logs, event stores, raft's entries, snapshots, checkpoints, the broker's
// files. Only env.sh and root.json, the operator's own files, hold the root's.
func TestNoSecretOnDisk(t *testing.T) {
	dir := t.TempDir()
	binary, err := cluster.Build(t.Context(), "../..", dir)
	if err != nil {
		t.Fatal(err)
	}
	c, err := cluster.Start(t.Context(), binary, filepath.Join(dir, "cluster"))
	if err != nil {
		t.Fatal(err)
	}
	api := sdk(c.Env, c.Env["WRIT_ENDPOINT"])
	secrets := []string{c.Env["AWS_SECRET_ACCESS_KEY"]}
	if _, err := api.CreateUser(t.Context(), &iam.CreateUserInput{UserName: aws.String("alice")}); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		out, err := api.CreateAccessKey(t.Context(), &iam.CreateAccessKeyInput{UserName: aws.String("alice")})
		if err != nil {
			t.Fatal(err)
		}
		secrets = append(secrets, aws.ToString(out.AccessKey.SecretAccessKey))
	}
	w, err := c.Client(c.Env["WRIT_ENDPOINT"])
	if err != nil {
		t.Fatal(err)
	}
	if p, err := w.Propagation(t.Context(), client.Target{}, client.Scope{}, settle); err != nil || !p.Everywhere() {
		t.Fatalf("%+v %v", p, err)
	}
	for _, n := range c.Nodes() {
		if cmdline, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(n.PID), "cmdline")); err == nil {
			for _, s := range secrets {
				if bytes.Contains(cmdline, []byte(s)) {
					t.Errorf("the arguments of %s hold a secret", n.Name)
				}
			}
		}
	}
	if err := c.Stop(); err != nil { // checkpoints are written, files are closed
		t.Fatal(err)
	}
	looked := 0
	err = filepath.WalkDir(c.Dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		own := slices.Contains([]string{"env.sh", "root.json", "seal.key", "ca.key"}, d.Name()) || strings.HasSuffix(path, ".key")
		if own && info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %v", path, info.Mode())
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		looked++
		for i, s := range secrets {
			if bytes.Contains(text, []byte(s)) && !own {
				t.Errorf("secret %d stands in %s", i, path)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if looked < 10 {
		t.Errorf("only %d files were there", looked)
	}
	for _, n := range c.Nodes() {
		if syscall.Kill(n.PID, 0) == nil {
			t.Errorf("%s still runs", n.Name)
		}
	}
}
