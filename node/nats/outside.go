// Package nats is how a node is known to a NATS server that runs outside the cluster.
package nats

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/url"

	"github.com/writ-iam/writ/node/setup"
	"github.com/writ-iam/writ/replication"
)

// Outside says how a node is known to a NATS server that runs outside, where the
// cluster's file names one: paths, and never a secret. NATS is not believed in what it
// serves, whoever runs it; this is for it to tell the cluster's nodes from others.
type Outside struct {
	CA        string // certificates to trust; empty: the system's
	Cert, Key string // this node's certificate for NATS, and its key; read again at each connection
	// Credentials is a file of NATS's own, with a JWT and a seed.
	Credentials string
	// User and PasswordFile are for servers that know users by passwords.
	User, PasswordFile string
	// Insecure lets a user's connection go over a network in plain text.
	Insecure bool
}

// Dial connects a node of a name to the outside NATS, or to the writers' brokers by what own
// makes. Without NATS there is no link, and no error. What cfg says of a connection within the process stays.
func (o *Outside) Dial(cfg replication.LinkConfig, c *setup.Cluster, own func() *tls.Config) (*replication.Link, error) {
	urls, err := setup.NATSURLs(c.NATS)
	if err != nil || c.NATS == setup.NoNATS {
		return nil, err
	}
	if len(urls) > 0 {
		said := cfg
		if cfg, err = o.Link(urls); err != nil {
			return nil, err
		}
		cfg.Name, cfg.Logger = said.Name, said.Logger
	} else if cfg.InProcess == nil {
		for _, w := range c.Writers {
			cfg.URLs = append(cfg.URLs, "tls://"+w.Broker)
		}
		cfg.TLS = own()
	}
	return replication.Dial(cfg)
}

// Link returns how to connect to the servers at urls, or says what is wrong, as an
// ErrConfig. All files are read.
func (o *Outside) Link(urls []*url.URL) (cfg replication.LinkConfig, err error) {
	if err := o.validate(urls); err != nil {
		return cfg, err
	}
	for _, u := range urls {
		cfg.URLs = append(cfg.URLs, u.String())
	}
	if cfg.TLS, err = o.tls(urls); err != nil {
		return cfg, err
	}
	if o.User != "" {
		password, err := setup.ReadFile(o.PasswordFile)
		if err != nil {
			return cfg, fmt.Errorf("%w: read the password for NATS: %w", setup.ErrConfig, err)
		}
		cfg.User, cfg.Password = o.User, string(bytes.TrimRight(password, "\r\n"))
		if cfg.Password == "" {
			return cfg, fmt.Errorf("%w: the password file for NATS, %s, is empty", setup.ErrConfig, o.PasswordFile)
		}
	}
	if o.Credentials != "" {
		text, err := setup.ReadFile(o.Credentials)
		if err != nil {
			return cfg, fmt.Errorf("%w: read the credentials for NATS: %w", setup.ErrConfig, err)
		}
		if !bytes.Contains(text, []byte("BEGIN NATS USER JWT")) || !bytes.Contains(text, []byte("BEGIN USER NKEY SEED")) {
			return cfg, fmt.Errorf("%w: %s is no credentials file of NATS, with a user's JWT and seed", setup.ErrConfig, o.Credentials)
		}
		cfg.CredentialsFile = o.Credentials
	}
	return cfg, nil
}

// validate says which settings do not go together.
func (o *Outside) validate(urls []*url.URL) error {
	wrong := func(text string, args ...any) error {
		return fmt.Errorf("%w: "+text, append([]any{setup.ErrConfig}, args...)...)
	}
	switch {
	case len(urls) == 0 && *o != Outside{}:
		return wrong("there are settings for an outside NATS, and the cluster's file names none: `nats` in it is the URL of one")
	case (o.Cert == "") != (o.Key == ""):
		return wrong("a certificate for NATS needs its key, and the other way round: --nats-cert-file and --nats-key-file")
	case (o.User == "") != (o.PasswordFile == ""):
		return wrong("a user of NATS needs a password, and the other way round: --nats-user and --nats-password-file")
	case o.User != "" && o.Credentials != "":
		return wrong("NATS is given a user and credentials; use one of --nats-user and --nats-credentials-file")
	case o.secure(urls) || o.Insecure || o.User == "" && o.Credentials == "":
		return nil
	}
	for _, u := range urls {
		if ip := net.ParseIP(u.Hostname()); u.Hostname() != "localhost" && (ip == nil || !ip.IsLoopback()) {
			return wrong("a user's connection to NATS at %s would be in plain text: use tls:// in its URL, or --nats-ca-file, or say --nats-insecure", u.Host)
		}
	}
	return nil
}

// secure says whether all connections are over TLS, as they are when any setting
// asks for that.
func (o *Outside) secure(urls []*url.URL) bool {
	for _, u := range urls {
		if u.Scheme == setup.SchemeTLS {
			return true
		}
	}
	return o.CA != "" || o.Cert != ""
}

// tls is nil for plain text.
func (o *Outside) tls(urls []*url.URL) (*tls.Config, error) {
	if !o.secure(urls) {
		return nil, nil
	}
	cfg := &tls.Config{MinVersion: tls.VersionTLS12}
	if o.CA != "" {
		text, err := setup.ReadFile(o.CA)
		if err != nil {
			return nil, fmt.Errorf("%w: read the certificates to trust for NATS: %w", setup.ErrConfig, err)
		}
		if cfg.RootCAs = x509.NewCertPool(); !cfg.RootCAs.AppendCertsFromPEM(text) {
			return nil, fmt.Errorf("%w: no certificate in %s", setup.ErrConfig, o.CA)
		}
	}
	if o.Cert == "" {
		return cfg, nil
	}
	load := func() (*tls.Certificate, error) {
		pair, err := tls.LoadX509KeyPair(o.Cert, o.Key)
		if err != nil {
			return nil, fmt.Errorf("read the certificate for NATS: %w", err)
		}
		return &pair, nil
	}
	if _, err := load(); err != nil {
		return nil, errors.Join(setup.ErrConfig, err)
	}
	cfg.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return load() }
	return cfg, nil
}
