// Command s3style is an example of a service whose callers sign as those of AWS do and are
// principals of a Writ cluster: objects in memory, as much of the S3 API as `aws s3api` and
// `aws s3 cp` need. Package node/client/signed verifies who calls.
//
//	WRIT_ENDPOINT=... AWS_ACCESS_KEY_ID=... AWS_SECRET_ACCESS_KEY=... s3style --listen 127.0.0.1:9000
//
// Its own access key needs the permissions writ:Authenticate and writ:Authorize, and writ:GetSigningKey
// for --keys and for bodies in signed chunks. Callers need s3:GetObject and so on, but with --keys.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/writ-iam/writ/node/client"
	"github.com/writ-iam/writ/node/client/signed"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "s3style:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	listen := flag.String("listen", "127.0.0.1:9000", "address to serve on")
	keys := flag.Bool("keys", false, "verify by signing keys, and decide nothing")
	cert := flag.String("tls-cert", "", "file of the certificate")
	key := flag.String("tls-key", "", "file of its key")
	flag.Parse()
	c, err := client.New(client.Config{Endpoint: os.Getenv("WRIT_ENDPOINT"), AccessKeyID: os.Getenv("AWS_ACCESS_KEY_ID"), SecretAccessKey: os.Getenv("AWS_SECRET_ACCESS_KEY")})
	if err != nil {
		return fmt.Errorf("reach the cluster: %w", err)
	}
	h, err := serve(c, *keys)
	if err != nil {
		return err
	}
	l, err := net.Listen("tcp", *listen)
	if err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	fmt.Println("serving on", l.Addr())
	s := &http.Server{Handler: h, ReadHeaderTimeout: 10 * time.Second}
	go func() {
		<-ctx.Done()
		s.Close() // Serve tells
	}()
	if *cert != "" {
		err = s.ServeTLS(l, *cert, *key)
	} else {
		err = s.Serve(l)
	}
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return fmt.Errorf("serve: %w", err)
}

// serve is the store behind a guard.
func serve(by signed.Authority, keys bool) (http.Handler, error) {
	cfg := signed.Config{Authority: by, Service: "s3", Keys: keys}
	if !keys {
		cfg.Asker = asker{}
	}
	g, err := signed.New(cfg)
	if err != nil {
		return nil, fmt.Errorf("guard the store: %w", err)
	}
	return g.Handler(newStore()), nil
}
