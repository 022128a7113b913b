package cluster

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// Command prepares a program that talks to the cluster: it works in dir, which is
// its home directory too, and its environment has what env.sh sets and nothing
// else about AWS, terraform or Writ.
func (c *Cluster) Command(ctx context.Context, dir, program string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Dir = dir
	for _, v := range os.Environ() {
		name, _, _ := strings.Cut(v, "=")
		if name != "HOME" && !strings.HasPrefix(name, "AWS_") && !strings.HasPrefix(name, "TF_") && !strings.HasPrefix(name, "WRIT_") {
			cmd.Env = append(cmd.Env, v)
		}
	}
	cmd.Env = append(cmd.Env, "HOME="+dir, "AWS_PAGER=", "AWS_EC2_METADATA_DISABLED=true", "PYTHONWARNINGS=ignore")
	for name, value := range c.Env {
		cmd.Env = append(cmd.Env, name+"="+value)
	}
	return cmd
}

// ErrNoProviders is returned when this machine has no mirror of terraform's
// provider for AWS.
var ErrNoProviders = errors.New("terraform's AWS provider is not installed (WRIT_TERRAFORM_PLUGINS names a filesystem mirror)")

// TerraformProviders is where the terraform provider for AWS was put, as a
// filesystem mirror: WRIT_TERRAFORM_PLUGINS, or one of the places where people
// keep such mirrors. Tests do not download it.
func TerraformProviders() (string, error) {
	home, err := os.UserHomeDir()
	if err != nil {
		return "", fmt.Errorf("look for terraform's providers: %w", err)
	}
	for _, pattern := range []string{
		os.Getenv("WRIT_TERRAFORM_PLUGINS"), filepath.Join(home, ".terraform.d", "plugins"),
		"/usr/share/terraform/plugins", "/usr/local/share/terraform/plugins", "/opt/*", "/opt/terraform/*",
	} {
		if pattern == "" {
			continue
		}
		found, err := filepath.Glob(filepath.Join(pattern, "registry.terraform.io", "hashicorp", "aws"))
		if err != nil {
			return "", fmt.Errorf("look for terraform's providers in %s: %w", pattern, err)
		}
		if len(found) > 0 {
			return filepath.Dir(filepath.Dir(filepath.Dir(found[0]))), nil
		}
	}
	return "", ErrNoProviders
}
