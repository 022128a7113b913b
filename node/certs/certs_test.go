package certs

import (
	"bytes"
	"crypto/x509"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/writ-iam/writ/node/api/shape"
	"github.com/writ-iam/writ/node/peer"
	"github.com/writ-iam/writ/node/setup"
	"github.com/writ-iam/writ/test/layout"
)

func TestStages(t *testing.T) {
	begin := time.Date(2026, 11, 30, 0, 0, 0, 0, time.UTC)
	for life, left := range map[time.Duration]map[time.Duration]stage{
		730 * day: {31 * day: good, 30 * day: expiring, 8 * day: expiring, 7 * day: urgent, 25 * time.Hour: urgent, 24 * time.Hour: last, 1: last, 0: ended, -day: ended},
		30 * day:  {10 * day: good, 8 * day: good, 7 * day: expiring, 4 * day: expiring, 3 * day: urgent, day: last, 0: ended},
		time.Hour: {20 * time.Minute: good, 15 * time.Minute: expiring, 7 * time.Minute: urgent, 3 * time.Minute: last},
	} {
		for l, want := range left {
			if got := stageBetween(begin, begin.Add(life), begin.Add(life-l)); got != want {
				t.Errorf("%v left of %v: stage %d, want %d", l, life, got, want)
			}
		}
	}
	c := &x509.Certificate{NotBefore: begin, NotAfter: begin.Add(30 * day)}
	if Due(c, begin.Add(20*day)) || !Due(c, begin.Add(20*day+1)) {
		t.Error("it is not renewed at two thirds of its life")
	}
}

// A keeper warns once at each stage, and tells the same everywhere.
func TestKeeperWarns(t *testing.T) {
	dir, c, _ := layout.Init(t, layout.Cluster(t, 1, 1))
	identity, err := peer.LoadIdentity(c, setup.DefaultFiles(dir, "replica-1"))
	if err != nil {
		t.Fatal(err)
	}
	now, said := time.Now(), bytes.Buffer{}
	k := &Keeper{Identity: identity, Now: func() time.Time { return now }, Logger: slog.New(slog.NewTextHandler(&said, nil))}
	registry := prometheus.NewRegistry()
	k.Observe(registry)
	end := identity.Leaf().NotAfter
	for _, x := range []struct {
		left    time.Duration
		said    int
		state   string
		problem string
	}{
		{60 * day, 0, shape.CertificateGood, ""}, {29 * day, 1, shape.CertificateExpiring, ""}, {28 * day, 0, shape.CertificateExpiring, ""},
		{6*day + time.Hour, 1, shape.CertificateUrgent, ""}, {6*day + time.Hour, 0, shape.CertificateUrgent, ""}, {5 * day, 1, shape.CertificateUrgent, ""},
		{time.Hour, 1, shape.CertificateUrgent, ""}, {-time.Hour, 1, shape.CertificateExpired, "`writ cert renew` makes another"},
	} {
		now = end.Add(-x.left)
		said.Reset()
		k.warn()
		k.warn()
		if got := strings.Count(said.String(), "which=node"); got != x.said {
			t.Errorf("%v before the end: %d lines: %s", x.left, got, said.String())
		}
		shown := k.Shown()
		if shown[0].Which != shape.CertificateNode || shown[0].State != x.state || shown[0].Issuer != shown[1].Serial || shown[1].Which != shape.CertificateAuthority {
			t.Errorf("%v before the end: %+v", x.left, shown)
		}
		detail, err := k.Condition()
		if (err == nil) != (x.problem == "") || err != nil && !strings.Contains(err.Error(), x.problem) || !strings.Contains(detail, "authority until") {
			t.Errorf("%v before the end: %s, %v", x.left, detail, err)
		}
	}
	families, err := registry.Gather()
	if err != nil || len(families) != 1 || len(families[0].Metric) != 2 {
		t.Fatalf("%v, %v", families, err)
	}
	for _, m := range families[0].Metric {
		if m.Label[0].GetValue() == shape.CertificateNode && m.Gauge.GetValue() != float64(end.Unix()) {
			t.Errorf("the metric says %v", m)
		}
	}
}

// What another node says of itself is taken within limits.
func TestTaken(t *testing.T) {
	list := make([]shape.Certificate, MaxShown+1)
	if got := Taken(list); len(got) != MaxShown {
		t.Errorf("%d were taken", len(got))
	}
	list[0].Serial = strings.Repeat("a", maxText+1)
	if got := Taken(list); got != nil {
		t.Errorf("taken: %v", got)
	}
}

// A certificate that a layout's authority makes anew is used as soon as it is looked for.
func TestRenewedByHand(t *testing.T) {
	dir, c, _ := layout.Init(t, layout.Cluster(t, 1, 1))
	identity, err := peer.LoadIdentity(c, setup.DefaultFiles(dir, "writer-1"))
	if err != nil {
		t.Fatal(err)
	}
	a, err := setup.LayoutAuthority(dir)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := a.Renew(dir, c.ID, c.Nodes()[0], setup.RenewedLife, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	if changed, err := identity.Look(); !changed || err != nil || !identity.Leaf().Equal(cert) {
		t.Errorf("changed %t, %v", changed, err)
	}
	if _, err := a.Renew(dir, c.ID, c.Nodes()[0], time.Minute, time.Now()); err == nil {
		t.Error("a life of a minute was given")
	}
	if _, err := setup.LayoutAuthority(filepath.Join(dir, "nodes")); err == nil {
		t.Error("an authority without files")
	}
}
