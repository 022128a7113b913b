package setup

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/writ-iam/writ/log/durable"
	"github.com/writ-iam/writ/log/identity"
)

// DefaultAccount is the first account of a cluster that does not name one.
const DefaultAccount = "123456789012"

// AccountID is an account's number.
type AccountID = identity.AccountID

// Partition is the part of AWS that a cluster stands for.
type Partition = identity.Partition

// PartitionNames are the names of all partitions.
func PartitionNames() []string { return identity.PartitionNames() }

// LoadSettings reads a YAML file of flag names and their values.
func LoadSettings(path string) (map[string]string, error) {
	text, err := ReadFile(path)
	if err != nil {
		return nil, err
	}
	settings := make(map[string]string)
	if err := yaml.NewDecoder(bytes.NewReader(text)).Decode(&settings); err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("%w: %s: %w", ErrConfig, path, err)
	}
	return settings, nil
}

// nodeTimeout bounds a connection attempt of such a client.
const nodeTimeout = 2 * time.Second

// HTTPClient returns a client for nodes' APIs that trusts the certificates in
// caFile, or the system's where it is empty. It gives up soon on a node that cannot
// be reached: there may be others.
func HTTPClient(caFile string) (*http.Client, error) {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.DialContext = (&net.Dialer{Timeout: nodeTimeout}).DialContext
	if caFile == "" {
		return &http.Client{Transport: transport}, nil
	}
	text, err := os.ReadFile(caFile)
	if err != nil {
		return nil, fmt.Errorf("read the certificates to trust: %w", err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("%w: no certificate in %s", ErrConfig, caFile)
	}
	transport.TLSClientConfig = &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: roots}
	return &http.Client{Transport: transport}, nil
}

// WriteSecret writes a file that its owner alone can read.
func WriteSecret(path string, content []byte) error { return durable.Write(path, SecretMode, content) }

// ParseProxies reads addresses and networks, such as 10.0.0.7 and 10.0.0.0/8.
func ParseProxies(list []string) (proxies []netip.Prefix, err error) {
	for _, text := range list {
		p, err := netip.ParsePrefix(text)
		if addr, bad := netip.ParseAddr(text); bad == nil {
			p, err = netip.PrefixFrom(addr.Unmap(), addr.Unmap().BitLen()), nil
		}
		if err != nil {
			return nil, fmt.Errorf("%w: the proxy %q is no address and no network: use 10.0.0.7 or 10.0.0.0/8", ErrConfig, text)
		}
		proxies = append(proxies, p.Masked())
	}
	return proxies, nil
}

// PrintYAML writes what a configuration says as YAML: paths of secrets, never what is in
// them.
func PrintYAML(w io.Writer, config any) error {
	enc := yaml.NewEncoder(w)
	if err := enc.Encode(config); err != nil {
		return fmt.Errorf("print the configuration: %w", err)
	}
	return enc.Close()
}
