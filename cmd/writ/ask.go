package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/writ-iam/writ/cmd/writ/certs"
	"github.com/writ-iam/writ/cmd/writ/retention"
	"github.com/writ-iam/writ/cmd/writ/shell"
	"github.com/writ-iam/writ/cmd/writ/target"
	"github.com/writ-iam/writ/cmd/writ/upgrade"
	"github.com/writ-iam/writ/cmd/writ/writers"
	"github.com/writ-iam/writ/node/client"
	"github.com/writ-iam/writ/node/setup"
)

func newHealth() *cobra.Command {
	t := target.Nodes{Limit: lookTimeout}
	cmd := &cobra.Command{
		Use:   "health",
		Short: "Ask a node whether it is ready; exits 5 if it is not",
		Long: `Asks the node of --endpoint, or else every node of $WRIT_ENDPOINT at once, or else the one at
` + localEndpoint + `, and prints its checks. It ends within --timeout, whoever does not answer.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return health(cmd.Context(), cmd.OutOrStdout(), &t)
		},
	}
	t.Flags(cmd.Flags())
	return cmd
}

// How long commands that wait for nothing take at most, whoever does not answer, unless
// --timeout says otherwise.
const (
	// lookTimeout is for those that tell how nodes are, also where none is well: longer
	// than one looks for the leader before it tells what it knows itself.
	lookTimeout = 5 * time.Second
	// askTimeout is for questions: for an answer by the next node, where one is silent.
	askTimeout = 15 * time.Second
	// changeTimeout is for changes, which wait for an election.
	changeTimeout = 30 * time.Second
	// localEndpoint is where a node serves clients unless it is told otherwise.
	localEndpoint = "http://127.0.0.1:8420"
)

func health(ctx context.Context, out io.Writer, t *target.Nodes) error {
	endpoints := []string{t.Endpoint}
	if t.Endpoint == "" {
		if endpoints = target.FromEnv(); len(endpoints) == 0 {
			endpoints = []string{localEndpoint}
		}
	}
	for _, text := range endpoints {
		if !client.IsEndpoint(text) {
			return shell.Usage("the endpoint %q is no http or https URL; set --endpoint or WRIT_ENDPOINT", text)
		}
	}
	hc, err := setup.HTTPClient(t.CAFile)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, t.Limit)
	defer cancel()
	said, failed := make([]bytes.Buffer, len(endpoints)), make([]error, len(endpoints))
	var asking sync.WaitGroup
	for i, endpoint := range endpoints {
		asking.Go(func() { failed[i] = healthOf(ctx, &said[i], hc, endpoint) })
	}
	asking.Wait()
	for i, endpoint := range endpoints {
		if len(endpoints) > 1 {
			fmt.Fprintf(out, "%s\n", endpoint)
		}
		if _, err := said[i].WriteTo(out); err != nil {
			return fmt.Errorf("print the checks: %w", err)
		}
	}
	if err := errors.Join(failed...); err != nil {
		return &shell.Exit{Code: shell.CodeUnhealthy, Err: err}
	}
	return nil
}

// healthOf prints what one node says of itself; an error: it is not ready.
func healthOf(ctx context.Context, out io.Writer, hc *http.Client, endpoint string) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimSuffix(endpoint, "/")+"/readyz?verbose", nil)
	if err != nil {
		return fmt.Errorf("ask %s: %w", endpoint, err)
	}
	own := *hc
	own.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse } // to who is not the node
	answer, err := own.Do(r)
	if err != nil {
		return fmt.Errorf("the node does not answer: %w", client.Unreached(r.URL, err))
	}
	defer answer.Body.Close()
	if _, err := io.Copy(out, io.LimitReader(answer.Body, client.MaxAnswer)); err != nil {
		return fmt.Errorf("read the answer of %s: %w", endpoint, err)
	}
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("%s is not ready", endpoint)
	}
	return nil
}

func newStatus() *cobra.Command {
	t := target.Nodes{Limit: lookTimeout}
	var o shell.Output
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Show who leads, who lags, and where; exits 5 if a member is not in order",
		Long: `Shows every member as the leader knows it. It exits 5 if no leader is known, and if a member
is not in order: a writer that does not answer or has not joined, a voter that cluster.yaml does not
have, a replica that is quarantined or holds no lease; and if the voters survive fewer failures
than the cluster is laid out for. Certificates that end within 30 days are shown; it exits 5 when
one ends within 7 days, has ended or was revoked. (Of a life of less than 120 days: its last quarter
and its last eighth.) Draining and removed replicas are in order. All endpoints are
asked at once; it ends within --timeout, and names those that did not answer if none has.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return status(cmd.Context(), cmd.OutOrStdout(), &t, &o)
		},
	}
	t.Flags(cmd.Flags())
	o.Flag(cmd.Flags())
	return cmd
}

func status(ctx context.Context, out io.Writer, t *target.Nodes, o *shell.Output) error {
	if err := o.Check(); err != nil {
		return err
	}
	s, err := cluster(ctx, t)
	if isNobody(err) {
		return &shell.Exit{Code: shell.CodeUnhealthy, Err: fmt.Errorf("no leader is known, and no node that was asked holds a lease: %w; `writ health` asks without a key", err)}
	}
	if err != nil {
		return err
	}
	if o.JSON() {
		err = shell.PrintJSON(out, s)
	} else {
		err = printStatus(out, s)
	}
	if err != nil {
		return err
	}
	return inOrder(s)
}

// nobodyThere tells whether a node was not reached because none runs there.
func nobodyThere(err error) bool {
	var dial *net.OpError
	var name *net.DNSError
	return errors.As(err, &dial) && dial.Op == "dial" && !(errors.As(err, &name) && name.IsNotFound)
}

// cluster asks every endpoint how the cluster is, at once. What one says that knows the
// leader counts, as soon as it comes; else what any says, when all have had their time.
func cluster(ctx context.Context, t *target.Nodes) (*client.Cluster, error) {
	clients, err := t.Each()
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, t.Limit)
	defer cancel()
	type told struct {
		cluster *client.Cluster
		err     error
	}
	answers := make(chan told, len(clients))
	for _, c := range clients {
		go func() {
			s, err := c.Cluster(ctx)
			answers <- told{s, err}
		}()
	}
	var found *client.Cluster
	for range clients {
		a := <-answers
		var p *client.Problem
		switch {
		case errors.As(a.err, &p) && !p.Temporary():
			return nil, a.err
		case a.err == nil && a.cluster.Leader != "":
			return a.cluster, nil
		case a.err == nil:
			found = a.cluster
		case err == nil:
			err = a.err
		default:
			err = fmt.Errorf("%w; %w", err, a.err)
		}
	}
	if found != nil {
		return found, nil
	}
	return nil, err
}

// inOrder says what is not in order in a cluster.
func inOrder(s *client.Cluster) error {
	var wrong []string
	if s.Leader == "" {
		wrong = append(wrong, "no leader is known; a majority of the writers must be up and reach each other")
	}
	leased := make(map[string]bool)
	for _, m := range s.Members {
		leased[m.Name] = leased[m.Name] || m.State == "leased"
	}
	for _, m := range s.Members {
		if m.Life != "" && leased[m.Name] && m.State != "quarantined" {
			continue // another process of the name serves
		}
		switch m.State {
		case "quarantined", "unreachable", "joining", "learning", "silent", "fenced", "unlisted", "moving":
			text := m.Name + " is " + m.State
			if m.Detail != "" {
				text += ": " + m.Detail
			}
			wrong = append(wrong, text)
		}
	}
	if q := s.Quorum; q != nil && q.Survives < q.Planned {
		wrong = append(wrong, fmt.Sprintf("the voters survive %d more failures, of %d that the cluster is laid out for", max(0, q.Survives), q.Planned))
	}
	_, urgent := certs.Ending(s, time.Now())
	wrong = append(wrong, urgent...)
	if len(wrong) > 0 {
		return &shell.Exit{Code: shell.CodeUnhealthy, Err: errors.New(strings.Join(wrong, "; "))}
	}
	return nil
}

func printStatus(out io.Writer, s *client.Cluster) error {
	fmt.Fprintf(out, "cluster %s in the partition %s, incarnation %s\nhead %d, state %.16s, leader %s in term %d (told by %s)\n\n", s.ID, s.Partition, s.Incarnation, s.Position, s.Digest, s.Leader, s.Term, s.Node)
	if s.Quorum != nil {
		if err := writers.Quorum(out, s.Quorum); err != nil {
			return err
		}
	}
	if err := upgrade.Level(out, s); err != nil {
		return err
	}
	if line := retention.Line(s); line != "" {
		fmt.Fprintf(out, "%s\n\n", line)
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "NAME\tROLE\tSTATE\tPOSITION\tLAG\tBUILD\tDETAIL")
	for _, m := range s.Members {
		if m.Embedded {
			m.Role += " (embedded)"
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%d\t%d\t%s\t%s\n", shell.Cell(m.Name), shell.Cell(m.Role), shell.Cell(m.State), m.Position, m.Lag, shell.Cell(m.Build.String()), shell.Cell(m.Detail))
	}
	lines, _ := certs.Ending(s, time.Now())
	for i, line := range lines {
		if i == 0 {
			fmt.Fprintln(w)
		}
		fmt.Fprintln(w, line)
	}
	return w.Flush()
}
