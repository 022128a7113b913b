// Package certs looks after the certificates of a node: that what the files hold is used, that
// whoever should know hears of their end in time, and that they are renewed before it.
package certs

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/writ-iam/writ/log/wake"
	"github.com/writ-iam/writ/node/api/shape"
	"github.com/writ-iam/writ/node/peer"
	"github.com/writ-iam/writ/node/setup"
)

// LookEvery is how often the files are looked at.
const LookEvery = 10 * time.Second

// Client is the certificate that clients are shown.
type Client interface {
	// Look reads the files again if they hold something else, and tells whether another
	// certificate is shown since. An error is told once.
	Look() (changed bool, err error)
	Reload() error
	Leaf() *x509.Certificate
}

// Keeper looks after the certificates of one node. Its methods may be called by any number of
// goroutines.
type Keeper struct {
	Identity *peer.Identity
	Client   Client // nil where clients are served without TLS
	Now      func() time.Time
	Logger   *slog.Logger
	// Leader renews the node's certificate, and Renewed is the file where the node keeps what it
	// was given. Without them it is not renewed.
	Leader  Leader
	Renewed string

	mu    sync.Mutex
	told  map[string]int // the stage of each certificate that was logged last, by its serial number; guarded by mu
	wait  time.Duration  // between the last two tries; of Run's goroutine
	retry time.Time      // no renewal is asked for before; of Run's goroutine
	said  string         // why the last one failed; of Run's goroutine
}

// Run looks at the files again and again, warns, and renews, until ctx ends.
func (k *Keeper) Run(ctx context.Context) {
	for {
		k.look()
		k.renew(ctx)
		k.warn()
		if wake.After(ctx, LookEvery) != nil {
			return
		}
	}
}

func (k *Keeper) look() {
	changed, err := k.Identity.Look()
	if changed {
		k.used("node", k.Identity.Leaf())
	}
	if err != nil {
		k.Logger.Warn("the node's certificates were not read again; the old ones stay", "error", err)
	}
	if err := k.Identity.Expel(); err != nil { // said when it was revoked
		k.Logger.Debug("the node's own certificate is revoked", "error", err)
	}
	if k.Client == nil {
		return
	}
	if changed, err = k.Client.Look(); changed {
		k.used("client", k.Client.Leaf())
	}
	if err != nil {
		k.Logger.Warn("the certificate for clients was not read again; the old one stays", "error", err)
	}
}

func (k *Keeper) used(which string, cert *x509.Certificate) {
	k.Logger.Info("another certificate is used", "which", which, "serial", setup.Serial(cert), "until", cert.NotAfter)
}

// Reload reads all files again. What cannot be used is an error, and the old stays.
func (k *Keeper) Reload() error {
	err := k.Identity.Reload()
	if k.Client != nil {
		err = errors.Join(err, k.Client.Reload())
	}
	return err
}

// issuer is which of the authorities that a node trusts issued its certificate.
func (k *Keeper) issuer() *x509.Certificate {
	leaf, list := k.Identity.Leaf(), k.Identity.Authorities()
	for _, a := range list {
		if leaf.CheckSignatureFrom(a) == nil {
			return a
		}
	}
	return list[0] // it came from one of them, or it would not be used
}

// Shown is what the node says of its certificates.
func (k *Keeper) Shown() []shape.Certificate {
	now := k.Now()
	leaf, issuer := k.Identity.Leaf(), k.issuer()
	node := show(shape.CertificateNode, leaf, now)
	node.Origin, node.Issuer = setup.OriginOf(leaf).Serial, setup.Serial(issuer)
	if k.Identity.Revoked(leaf) {
		node.State = shape.CertificateRevoked
	}
	list := []shape.Certificate{node, show(shape.CertificateAuthority, issuer, now)}
	for _, a := range k.Identity.Authorities() {
		if !a.Equal(issuer) {
			list = append(list, show(shape.CertificateAuthority, a, now))
		}
	}
	if k.Client != nil {
		list = append(list, show(shape.CertificateClient, k.Client.Leaf(), now))
	}
	return list
}

func show(which string, c *x509.Certificate, now time.Time) shape.Certificate {
	return shape.Certificate{Which: which, State: stageOf(c, now).state(), Serial: setup.Serial(c), NotBefore: c.NotBefore.UTC(), NotAfter: c.NotAfter.UTC()}
}

// Condition tells how long the certificates last; an error: one has ended or was revoked, so
// that the node cannot serve. An authority that issued none of them does not count.
func (k *Keeper) Condition() (detail string, err error) {
	var parts []string
	now, authorities := k.Now(), 0
	for _, c := range k.Shown() {
		if c.Which == shape.CertificateAuthority {
			if authorities++; authorities > 1 {
				continue
			}
		}
		parts = append(parts, c.Which+" "+until(c.NotAfter, now))
		if c.State == shape.CertificateExpired || c.State == shape.CertificateRevoked {
			err = errors.Join(err, fmt.Errorf("the %s certificate %s: %s", c.Which, c.State, advice(c.Which)))
		}
	}
	return strings.Join(parts, ", "), err
}

func until(end, now time.Time) string {
	left := end.Sub(now)
	if left <= 0 {
		return "ended " + end.UTC().Format(time.RFC3339)
	}
	return fmt.Sprintf("until %s (%d days)", end.UTC().Format(time.DateOnly), int(left/day))
}

func advice(which string) string {
	switch which {
	case shape.CertificateAuthority:
		return "`writ cert authority rotate` makes another"
	case shape.CertificateClient:
		return "put another into the files of --api-cert-file and --api-key-file; they are read again by themselves"
	}
	return "`writ cert renew` makes another"
}

// warn logs each certificate once at each stage that it comes to, and once a day when little
// is left.
func (k *Keeper) warn() {
	now := k.Now()
	k.mu.Lock()
	defer k.mu.Unlock()
	last := k.told
	k.told = make(map[string]int)
	for _, c := range k.Shown() {
		at := stage(0)
		switch c.State {
		case shape.CertificateRevoked:
			at = ended
		default:
			at = stageBetween(c.NotBefore, c.NotAfter, now)
		}
		mark := int(at)
		if at >= urgent {
			mark += int(now.Unix() / int64(day/time.Second))
		}
		k.told[c.Serial] = mark
		if at == good || mark <= last[c.Serial] {
			continue
		}
		level := slog.LevelWarn
		if at >= urgent {
			level = slog.LevelError
		}
		k.Logger.Log(context.Background(), level, "a certificate ends soon, or has ended", "which", c.Which, "state", c.State, "serial", c.Serial, "until", c.NotAfter, "advice", advice(c.Which))
	}
}

// Observe shows when the certificates end.
func (k *Keeper) Observe(registry *prometheus.Registry) {
	for which, cert := range map[string]func() *x509.Certificate{
		shape.CertificateNode: k.Identity.Leaf, shape.CertificateAuthority: k.issuer, shape.CertificateClient: func() *x509.Certificate { return k.Client.Leaf() },
	} {
		if which == shape.CertificateClient && k.Client == nil {
			continue
		}
		registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "writ_certificate_expires_timestamp_seconds", Help: "When a certificate of the node ends, in seconds since 1970.", ConstLabels: prometheus.Labels{"which": which},
		}, func() float64 { return float64(cert().NotAfter.Unix()) }))
	}
}

// MaxShown and maxText bound what is taken of what another node says of its certificates.
const (
	MaxShown = 8
	maxText  = 64
)

// taken is what a text of another node may be: a word or a number, nothing for a terminal.
var taken = regexp.MustCompile(`^[0-9a-z]*$`)

// Taken is what is taken of what another node says of its certificates.
func Taken(said []shape.Certificate) []shape.Certificate {
	said = said[:min(len(said), MaxShown)]
	for _, c := range said {
		for _, text := range []string{c.Which, c.State, c.Serial, c.Origin, c.Issuer} {
			if len(text) > maxText || !taken.MatchString(text) {
				return nil
			}
		}
	}
	return said
}
