package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/writ-iam/writ/log/identity"
	"github.com/writ-iam/writ/node/client"
	"github.com/writ-iam/writ/node/setup"
	"github.com/writ-iam/writ/test/cluster"
)

// Of the figure of writes beside heavy work.
const (
	besideClients  = 16
	besideWork     = 2    // clients of the other work: as many hash for one caller at once
	besideUsers    = 4000 // of whom the report tells: it has a limit
	besidePolicies = 1500 // of a catalogue, as many as AWS's has
	besidePolicy   = 2500 // bytes of each
)

// measureBeside is CreateUser at the leader of three writers while the same cluster
// hashes passwords, imports a catalogue as large as AWS's, gathers what services were
// accessed, or writes the credential report of all users, beside CreateUser alone. Its
// limit is CreateUser alone: what counts is p99.
func measureBeside(ctx context.Context, o options) (err error) {
	c, leader, stop, err := startedWriters(ctx, o)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, stop()) }()
	if err := fillUsers(ctx, c, leader.URL, besideUsers); err != nil {
		return err
	}
	if err := call(ctx, c, leader.URL, "Action=CreateLoginProfile&UserName=m-0-1&Password=Correct-horse-1"); err != nil {
		return err
	}
	var turn atomic.Int64
	creating := func(ctx context.Context, d time.Duration) (round, error) {
		return load(ctx, host(leader.URL), besideClients, d, createUser(c, leader.URL, fmt.Sprintf("t%d", turn.Add(1))))
	}
	repeated := func(body string) func(context.Context) error {
		requests := same(c, leader.URL, body)
		return func(ctx context.Context) error {
			_, err := load(ctx, host(leader.URL), besideWork, time.Hour, requests)
			return err
		}
	}
	// A cluster writes the report of an account once in four hours: one round has it.
	report, err := beside(ctx, o.length, creating, func(ctx context.Context) error { return reporting(ctx, c, leader.URL) })
	if err != nil {
		return fmt.Errorf("beside the credential report: %w", err)
	}
	alone, err := creating(ctx, o.length)
	if err != nil {
		return err
	}
	tell("CreateUser beside the credential report", []round{report}, []round{alone})
	for _, figure := range []struct {
		name string
		work func(context.Context) error
	}{
		{"password hashing", repeated("Action=UpdateLoginProfile&Version=2010-05-08&UserName=m-0-1&Password=Correct-horse-2")},
		{"gathering what was accessed", repeated("Action=GenerateServiceLastAccessedDetails&Version=2010-05-08&Arn=arn%3Aaws%3Aiam%3A%3A" + setup.DefaultAccount + "%3Auser%2Fp1%2Fm-0-1")},
		{"imports of a catalogue", func(ctx context.Context) error { return importing(ctx, c, leader.URL) }},
	} {
		ours, alone, err := alternate(ctx, o, func(ctx context.Context, d time.Duration) (round, error) {
			return beside(ctx, d, creating, figure.work)
		}, creating)
		if err != nil {
			return fmt.Errorf("beside %s: %w", figure.name, err)
		}
		tell("CreateUser beside "+figure.name, ours, alone)
	}
	return nil
}

// beside is a round of load while other work is done.
func beside(ctx context.Context, d time.Duration, of func(context.Context, time.Duration) (round, error), work func(context.Context) error) (r round, err error) {
	working, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	var failed error
	wg.Go(func() { failed = work(working) })
	r, err = of(ctx, d)
	cancel()
	wg.Wait()
	if working.Err() != nil && errors.Is(failed, context.Canceled) {
		failed = nil
	}
	return r, errors.Join(err, failed)
}

// importing imports two catalogues in turn until ctx ends.
func importing(ctx context.Context, c *cluster.Cluster, url string) error {
	w, err := client.New(client.Config{Endpoint: url, AccessKeyID: c.Env["AWS_ACCESS_KEY_ID"], SecretAccessKey: c.Env["AWS_SECRET_ACCESS_KEY"]})
	if err != nil {
		return fmt.Errorf("make a client: %w", err)
	}
	for n := 0; ctx.Err() == nil; n++ {
		if _, err := w.ImportCatalogue(ctx, catalogue(n)); err != nil {
			return fmt.Errorf("import a catalogue: %w", err)
		}
	}
	return ctx.Err()
}

// catalogue makes the n-th of many catalogues, which differ in each policy.
func catalogue(n int) []identity.CataloguePolicy {
	list := make([]identity.CataloguePolicy, besidePolicies)
	for i := range list {
		document := fmt.Sprintf(`{"Version":"2012-10-17","Statement":[{"Sid":"N%d","Effect":"Allow","Action":["s3:GetObject"%s],"Resource":"*"}]}`,
			n, strings.Repeat(`,"s3:GetObjectVersion"`, besidePolicy/len(`,"s3:GetObjectVersion"`)))
		list[i] = identity.CataloguePolicy{ID: identity.ID(fmt.Sprintf("ANPA%017d", i)), Name: fmt.Sprintf("Policy%05d", i), Path: "/", Created: 1, Updated: 2, Default: 1,
			Versions: []identity.PolicyVersion{{Number: 1, Document: document, Created: 1}}}
	}
	return list
}

// reporting asks for the report and reads it until ctx ends.
func reporting(ctx context.Context, c *cluster.Cluster, url string) error {
	for ctx.Err() == nil {
		if err := call(ctx, c, url, "Action=GenerateCredentialReport"); err != nil {
			return err
		}
		if err := call(ctx, c, url, "Action=GetCredentialReport"); err != nil && !strings.Contains(err.Error(), "ReportInProgress") {
			return err
		}
	}
	return ctx.Err()
}

// call makes one request of IAM.
func call(ctx context.Context, c *cluster.Cluster, url, body string) error {
	requests := same(c, url, body+"&Version=2010-05-08")
	outer := ctx
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	_, err := load(ctx, host(url), 1, time.Hour, func(client, n int) ([]byte, error) {
		defer cancel() // there is no second
		return requests(client, n)
	})
	if outer.Err() != nil {
		return outer.Err()
	}
	return err
}
