// Package policy measures Writ's decisions beside those of Cedar, OPA and
// Casbin, on one workload, in one run. It is a module of its own, so that the
// three never become dependencies of Writ. README.md has the command and what
// was measured.
//
// The workload is of the kind that identity stores see: principals in groups,
// groups with policies, policies with wildcards and conditions. It keeps to
// what all four can say without tricks, so that each runs its own best
// documented form of the same rules; the comment at each engine tells which.
// TestSameAnswers shows that the four decide alike.
package policy

import (
	"fmt"
	"math/rand/v2"
)

// The shape of a World.
const (
	groupsPerPrincipal  = 5
	policiesPerGroup    = 2
	statementsPerPolicy = 5
	// groupPool is how many groups many principals share. One principal has a
	// world with its own groups only.
	groupPool = 20
	// teams own the resources, each with a folder in every service.
	teams          = 8
	objectsPerTeam = 4
)

// account owns everything.
const account = "111111111111"

// services have actions that differ in the head of their name.
var services = [...]struct {
	name    string
	actions [4]string
}{
	{"s3", [...]string{"GetObject", "PutObject", "ListBucket", "DeleteObject"}},
	{"ec2", [...]string{"RunInstances", "StartInstances", "ListImages", "DescribeInstances"}},
	{"dynamodb", [...]string{"GetItem", "PutItem", "ListTables", "Scan"}},
	{"sqs", [...]string{"SendMessage", "ReceiveMessage", "ListQueues", "PurgeQueue"}},
	{"lambda", [...]string{"InvokeFunction", "GetFunction", "ListFunctions", "UpdateFunctionCode"}},
	{"kinesis", [...]string{"GetRecords", "PutRecord", "ListStreams", "DescribeStream"}},
}

// Places in the network: Allow statements want the first, Deny statements
// hold in a part of it, requests come from all over.
const (
	allowedNetwork = "10.0.0.0/8"
	deniedNetwork  = "10.128.0.0/9"
)

var addresses = [...]string{"10.1.2.3", "10.1.2.4", "10.1.2.5", "10.200.0.1", "10.201.0.1", "192.0.2.1"}

// duties are the values of the principals' tag "duty".
var duties = [...]string{"build", "run"}

// Statement is a rule of a group: two actions with wildcards, a resource with
// a wildcard, and two conditions.
type Statement struct {
	Deny    bool
	Service string
	// Heads begin the names of the actions: "Get" stands for "Get*".
	Heads [2]string
	Team  int
	// Duty must be the tag of the principal, and the request must come from
	// Network.
	Duty    string
	Network string
}

// resourceHead is the resource of a statement without its final wildcard.
func (s *Statement) resourceHead() string { return folder(s.Service, s.Team) }

func folder(service string, team int) string {
	return fmt.Sprintf("arn:aws:%s:us-east-1:%s:team-%d/", service, account, team)
}

// Group has policies of statements.
type Group struct {
	Name     string
	Policies [policiesPerGroup][statementsPerPolicy]Statement
}

// Principal is in groups, by their index.
type Principal struct {
	Name   string
	Duty   string
	Groups [groupsPerPrincipal]int
}

// Request is a question about a principal, by its index.
type Request struct {
	Principal int
	Service   string
	Name      string // of the action
	Resource  string
	Address   string
}

// World is a workload: principals with their groups, and requests of
// principals chosen at random.
type World struct {
	Groups     []Group
	Principals []Principal
	Requests   []Request
}

// NewWorld makes a workload. The same numbers give the same workload.
func NewWorld(principals, requests int) *World {
	rng := rand.New(rand.NewPCG(1, uint64(principals)))
	w := &World{Groups: make([]Group, groupPool)}
	if principals == 1 {
		w.Groups = w.Groups[:groupsPerPrincipal]
	}
	for i := range w.Groups {
		w.Groups[i] = newGroup(rng, i)
	}
	for i := range principals {
		p := Principal{Name: fmt.Sprintf("user%d", i), Duty: duties[rng.IntN(len(duties))]}
		copy(p.Groups[:], rng.Perm(len(w.Groups)))
		w.Principals = append(w.Principals, p)
	}
	for range requests {
		w.Requests = append(w.Requests, w.newRequest(rng))
	}
	return w
}

func newGroup(rng *rand.Rand, i int) Group {
	g := Group{Name: fmt.Sprintf("group%d", i)}
	for p := range g.Policies {
		for s := range g.Policies[p] {
			service := &services[rng.IntN(len(services))]
			statement := Statement{
				Service: service.name,
				Heads:   [2]string{service.actions[rng.IntN(len(service.actions))][:3], "List"},
				Team:    rng.IntN(teams),
				Duty:    duties[rng.IntN(len(duties))],
				Network: allowedNetwork,
			}
			if s == statementsPerPolicy-1 {
				statement.Deny, statement.Network = true, deniedNetwork
			}
			g.Policies[p][s] = statement
		}
	}
	return g
}

// newRequest makes a request of a principal. Three of four ask for what one of
// its statements is about, as most requests in practice do.
func (w *World) newRequest(rng *rand.Rand) Request {
	who := rng.IntN(len(w.Principals))
	service := &services[rng.IntN(len(services))]
	team := rng.IntN(teams)
	action := service.actions[rng.IntN(len(service.actions))]
	const aimed = 4
	if rng.IntN(aimed) > 0 {
		g := &w.Groups[w.Principals[who].Groups[rng.IntN(groupsPerPrincipal)]]
		s := &g.Policies[rng.IntN(policiesPerGroup)][rng.IntN(statementsPerPolicy)]
		team = s.Team
		for i := range services {
			if services[i].name == s.Service {
				service = &services[i]
			}
		}
		for _, name := range service.actions {
			if name[:len(s.Heads[0])] == s.Heads[0] {
				action = name
			}
		}
	}
	return Request{
		Principal: who,
		Service:   service.name,
		Name:      action,
		Resource:  fmt.Sprintf("%sobject-%d", folder(service.name, team), rng.IntN(objectsPerTeam)),
		Address:   addresses[rng.IntN(len(addresses))],
	}
}

// Engine answers the requests of the World that it was made of, by their index.
// What a server would do once per connection or principal is done beforehand.
type Engine interface {
	Allowed(request int) bool
}
