package node

import (
	"fmt"
	"io"

	"go.yaml.in/yaml/v3"

	"github.com/writ-iam/writ/node/freshness"
	"github.com/writ-iam/writ/node/thumbprint"
)

// WithoutLease is what a node admits while nothing proves that it is current.
type WithoutLease = freshness.WithoutLease

// What a node may admit without a lease.
const (
	AdmitNothing   = freshness.AdmitNothing
	AdmitQuestions = freshness.AdmitQuestions
	AdmitReads     = freshness.AdmitReads
)

// ThumbprintReach is where a node fetches the thumbprints of OpenID Connect providers from.
type ThumbprintReach = thumbprint.Reach

// PrintConfig writes a node's configuration as YAML: paths of secrets, never what
// is in them.
func PrintConfig(w io.Writer, c Config) error {
	enc := yaml.NewEncoder(w)
	if err := enc.Encode(c); err != nil {
		return fmt.Errorf("print the configuration: %w", err)
	}
	return enc.Close()
}
