package node

import (
	"fmt"
	"io"

	"go.yaml.in/yaml/v3"

	"github.com/writ-iam/writ/node/freshness"
)

// WithoutLease is what a node admits while nothing proves that it is current.
type WithoutLease = freshness.WithoutLease

// What a node may admit without a lease.
const (
	AdmitNothing   = freshness.AdmitNothing
	AdmitQuestions = freshness.AdmitQuestions
	AdmitReads     = freshness.AdmitReads
)

// PrintConfig writes a node's configuration as YAML: paths of secrets, never what
// is in them.
func PrintConfig(w io.Writer, c Config) error {
	enc := yaml.NewEncoder(w)
	if err := enc.Encode(c); err != nil {
		return fmt.Errorf("print the configuration: %w", err)
	}
	return enc.Close()
}
