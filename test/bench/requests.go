package main

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/writ-iam/writ/node/sigv4"
	"github.com/writ-iam/writ/test/cluster"
)

// signed returns the bytes of a signed request.
func signed(s *sigv4.Signer, url, contentType string, body []byte) ([]byte, error) {
	r, err := http.NewRequest(http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("make a request: %w", err)
	}
	r.Header.Set("Content-Type", contentType)
	s.Sign(r, sha256.Sum256(body), time.Now())
	var b bytes.Buffer
	if err := r.Write(&b); err != nil {
		return nil, fmt.Errorf("write a request: %w", err)
	}
	return b.Bytes(), nil
}

func signer(c *cluster.Cluster, service string) *sigv4.Signer {
	return &sigv4.Signer{AccessKeyID: c.Env["AWS_ACCESS_KEY_ID"], SecretAccessKey: c.Env["AWS_SECRET_ACCESS_KEY"], Region: "us-east-1", Service: service}
}

// createUser makes requests that create users, each another.
func createUser(c *cluster.Cluster, url, prefix string) source {
	s := signer(c, "iam")
	return func(client, n int) ([]byte, error) {
		body := fmt.Sprintf("Action=CreateUser&Version=2010-05-08&UserName=%s-%d-%d", prefix, client, n)
		return signed(s, url+"/", "application/x-www-form-urlencoded", []byte(body))
	}
}

// host is the address in a URL.
func host(url string) string { return strings.TrimPrefix(url, "http://") }
