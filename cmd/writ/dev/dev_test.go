package dev

import (
	"errors"
	"reflect"
	"testing"
	"time"

	"github.com/spf13/pflag"

	"github.com/writ-iam/writ/cmd/writ/shell"
	"github.com/writ-iam/writ/log/identity"
	"github.com/writ-iam/writ/node/setup"
)

// planned is the cluster that `writ dev` runs with some flags.
func planned(t *testing.T, dir string, flags ...string) (setup.Cluster, error) {
	t.Helper()
	var d options
	f := pflag.NewFlagSet("dev", pflag.ContinueOnError)
	d.flags(f)
	if err := f.Parse(flags); err != nil {
		t.Fatal(err)
	}
	return plan(dir, f, &d)
}

// What no flag names is as the directory's cluster has it; a flag that says otherwise is
// refused, but for more replicas.
func TestDevGoesOnWithTheLayoutThatIsThere(t *testing.T) {
	dir := t.TempDir()
	first, err := planned(t, dir, "--writers", "3", "--replicas", "2", "--account", "210987654321", "--partition", "aws-cn", "--nats", "none", "--quotas", "aws", "--email", "root@example.com")
	if err != nil {
		t.Fatal(err)
	}
	if len(first.Writers) != 3 || len(first.Replicas) != 2 || first.Account != "210987654321" || first.Partition != identity.PartitionCN || first.NATS != "none" || first.Quotas != "aws" || first.Email != "root@example.com" {
		t.Fatalf("the first start plans %+v", first)
	}
	if first, _, err = setup.Init(dir, first, setup.RootKey{}, time.Now()); err != nil {
		t.Fatal(err)
	}
	again, err := planned(t, dir)
	if err != nil || !reflect.DeepEqual(again, first) {
		t.Errorf("without flags: %v\n%+v, not\n%+v", err, again, first)
	}
	more, err := planned(t, dir, "--replicas", "3")
	if err != nil || len(more.Writers) != 3 || len(more.Replicas) != 3 || more.Account != first.Account || more.Partition != first.Partition {
		t.Errorf("with another replica: %v, %+v", err, more)
	}
	for _, flags := range [][]string{{"--writers", "1"}, {"--replicas", "1"}, {"--account", "123456789012"}, {"--partition", "aws"}} {
		_, err := planned(t, dir, flags...)
		if e, ok := errors.AsType[*shell.Exit](err); !ok || e.Code != shell.CodeUsage {
			t.Errorf("%v: %v", flags, err)
		}
	}
}
