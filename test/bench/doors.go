package main

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"github.com/writ-iam/writ/node/client"
	"github.com/writ-iam/writ/projection/policy"
)

// patience is how long a change may take to be everywhere.
const patience = 30 * time.Second

// measureDoors asks for decisions at a Unix socket, without a signature, beside a bare handler of
// net/http at another socket.
func measureDoors(ctx context.Context, o options) (err error) {
	dir, err := os.MkdirTemp("", "writ-bench-")
	if err != nil {
		return fmt.Errorf("make a directory: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	file, socket, bare := filepath.Join(dir, "doors.yaml"), filepath.Join(dir, "ask.sock"), filepath.Join(dir, "bare.sock")
	text := fmt.Sprintf("doors:\n- listen: unix:%s\n  serve: {writ: \"\"}\n  callers: [{uid: %d, asks_as: \"arn:aws:iam::123456789012:user/service\"}]\n", socket, os.Getuid())
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		return fmt.Errorf("write the file of doors: %w", err)
	}
	c, stop, err := started(ctx, o, "--doors", file)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, stop()) }()
	if err := aliceOf(ctx, c); err != nil {
		return err
	}
	w, err := c.Client(c.Env["WRIT_ENDPOINT"])
	if err != nil {
		return err
	}
	who := url.Values{"UserName": {"service"}}
	if _, err := w.Query(ctx, "iam", "CreateUser", who); err != nil {
		return err
	}
	who.Set("PolicyName", "own")
	who.Set("PolicyDocument", `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"`+policy.ActionAuthorize+`","Resource":"*"}}`)
	if _, err := w.Query(ctx, "iam", "PutUserPolicy", who); err != nil {
		return err
	}
	if _, err := w.Propagation(ctx, client.Target{}, client.Scope{}, patience); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if err := child(ctx, "limit-json", bare); err != nil {
		return err
	}
	body := `{"principal":"arn:aws:iam::123456789012:user/alice","action":"s3:GetObject","resource":"arn:aws:s3:::bucket/key"}`
	request := []byte(fmt.Sprintf("POST /v1/authorize HTTP/1.1\r\nHost: door\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", len(body), body))
	same := func(int, int) ([]byte, error) { return request, nil }
	for _, err := os.Stat(bare); err != nil && ctx.Err() == nil; _, err = os.Stat(bare) { // until it listens
		time.Sleep(10 * time.Millisecond)
	}
	ours, limit, err := alternate(ctx, o,
		func(ctx context.Context, d time.Duration) (round, error) { return load(ctx, socket, 64, d, same) },
		func(ctx context.Context, d time.Duration) (round, error) { return load(ctx, bare, 64, d, same) })
	if err != nil {
		return err
	}
	tell("decisions at a socket, 64 connections", ours, limit)
	return nil
}
