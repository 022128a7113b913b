package rig

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"
)

// networkFaults cut, lose, slow and reset what is between the nodes. The rig's own
// requests are never cut, only slowed.
func networkFaults() []*fault {
	const s = time.Second
	return []*fault{
		{name: "cut-leader-follower", about: "one way: nothing from the leader reaches a follower", on: onFollower, min: s, max: 12 * s, run: withRules(fromLeader)},
		{name: "cut-follower-leader", about: "one way: nothing from a follower reaches the leader", on: onFollower, min: s, max: 12 * s, run: withRules(toLeader)},
		{name: "cut-replica-leader", about: "one way: renewals are lost", on: onReplica, min: 4 * s, max: 20 * s, run: withRules(toLeader)},
		{name: "cut-leader-replica", about: "one way: grants are lost", on: onReplica, min: 4 * s, max: 20 * s, run: withRules(fromLeader)},
		{name: "cut-replica-writers", about: "one way: nothing from a replica reaches a writer", on: onReplica, min: 4 * s, max: 20 * s, run: withRules(toWriters)},
		{name: "isolate-leader", about: "the leader alone", on: onLeader, min: 2 * s, max: 14 * s, run: withRules(isolated)},
		{name: "isolate-follower", about: "a follower alone", on: onFollower, min: 2 * s, max: 14 * s, run: withRules(isolated)},
		{name: "isolate-replica", about: "a replica alone", on: onReplica, min: 5 * s, max: 25 * s, run: withRules(isolated)},
		{name: "isolate-leader-and-replica", about: "the leader with one replica on its side", on: onLeader, min: 3 * s, max: 16 * s, run: withRules(leaderAndReplica)},
		{name: "split", about: "one writer and some replicas here, two writers and the others there", on: onWriter, min: 3 * s, max: 16 * s, run: withRules(split)},
		{name: "split-quorum", about: "all writers apart: no quorum", on: onQuorum, min: 2 * s, max: 14 * s, run: withRules(apart)},
		{name: "loss", about: "20 % of what reaches a node is lost", on: onNode, min: 4 * s, max: 15 * s, run: withRules(loss)},
		{name: "loss-everywhere", about: "5 % of all packets between nodes are lost", on: onFabric, min: 4 * s, max: 15 * s, run: withRules(lossEverywhere)},
		{name: "narrow", about: "256 kbit/s out of a node", on: onNode, min: 4 * s, max: 12 * s, run: narrow},
		{name: "resets", about: "connections of a node to others are reset", on: onNode, min: s, max: 6 * s, run: withRules(resets)},
		{name: "broker-unreachable", about: "no replica reaches NATS; the peer ports work", on: onFabric, min: 4 * s, max: 15 * s, run: withRules(noBroker)},
		{name: "peers-unreachable", about: "a replica reaches NATS and no peer port", on: onReplica, min: 4 * s, max: 20 * s, run: withRules(noPeers)},
		{name: "routes-cut", about: "brokers do not reach each other", on: onFabric, nats: embeddedNATS, min: 4 * s, max: 15 * s, run: withRules(noRoutes)},
	}
}

// withRules makes a fault of rules that are in force for a while.
func withRules(make func(s *strike) ([]rule, error)) func(context.Context, *strike) error {
	return func(ctx context.Context, s *strike) error {
		rules, err := make(s)
		if err != nil {
			return err
		}
		return s.under(ctx, rules, func() error { s.hold(ctx); return nil })
	}
}

// under does something while rules are in force.
func (s *strike) under(ctx context.Context, rules []rule, do func() error) error {
	tag := " -m comment --comment f" + strconv.Itoa(s.id)
	for i := range rules {
		rules[i].text += tag
	}
	err := s.lab.net.block(ctx, rules)
	if err == nil {
		err = do()
	}
	return errors.Join(err, s.lab.net.unblock(ctx, rules))
}

// drops is a rule at b that drops what comes from a.
func drops(a, b *member) rule { return rule{b.name, "INPUT -s " + a.addr + " -j DROP"} }

// parts cuts two nodes off from each other, both ways.
func parts(a, b *member) []rule { return []rule{drops(a, b), drops(b, a)} }

// nowLeading is the leader at the moment.
func (s *strike) nowLeading() (*member, error) {
	m, _ := s.lab.leader()
	if m == nil {
		return nil, fmt.Errorf("%w: nobody leads", errSkipped)
	}
	return m, nil
}

func fromLeader(s *strike) ([]rule, error) {
	l, err := s.nowLeading()
	if err != nil {
		return nil, err
	}
	return []rule{drops(l, s.victim())}, nil
}

func toLeader(s *strike) ([]rule, error) {
	l, err := s.nowLeading()
	if err != nil {
		return nil, err
	}
	return []rule{drops(s.victim(), l)}, nil
}

func toWriters(s *strike) (rules []rule, _ error) {
	for _, w := range s.lab.some(true) {
		rules = append(rules, drops(s.victim(), w))
	}
	return rules, nil
}

func isolated(s *strike) ([]rule, error) {
	return s.apartFromAll(s.victim()), nil
}

// apartFromAll cuts a node off from all others.
func (s *strike) apartFromAll(m *member) (rules []rule) {
	for _, other := range s.lab.places() {
		if other != m {
			rules = append(rules, parts(m, other)...)
		}
	}
	return rules
}

// between cuts every pair of nodes that are on different sides.
func (s *strike) between(side func(*member) int) (rules []rule) {
	all := s.lab.places()
	for i, a := range all {
		for _, b := range all[i+1:] {
			if side(a) != side(b) {
				rules = append(rules, parts(a, b)...)
			}
		}
	}
	return rules
}

func leaderAndReplica(s *strike) ([]rule, error) {
	reps := s.lab.some(false)
	with := reps[s.rng.IntN(len(reps))]
	return s.between(func(m *member) int {
		if m == s.victim() || m == with {
			return 1
		}
		return 0
	}), nil
}

func split(s *strike) ([]rule, error) {
	sides := map[*member]int{s.victim(): 1}
	for _, m := range s.lab.followers() {
		sides[m] = s.rng.IntN(2)
	}
	return s.between(func(m *member) int { return sides[m] }), nil
}

func apart(s *strike) ([]rule, error) {
	sides := map[*member]int{}
	for i, m := range s.lab.some(true) {
		sides[m] = i
	}
	for _, m := range s.lab.followers() {
		sides[m] = s.rng.IntN(writers)
	}
	return s.between(func(m *member) int { return sides[m] }), nil
}

// lost is a rule that loses a share of what other nodes send to m.
func lost(s *strike, m *member, share string) rule {
	return rule{m.name, "INPUT -s " + s.lab.net.host(firstNumber) + "/28 -m statistic --mode random --probability " + share + " -j DROP"}
}

func loss(s *strike) ([]rule, error) { return []rule{lost(s, s.victim(), "0.2")}, nil }

func lossEverywhere(s *strike) (rules []rule, _ error) {
	for _, m := range s.lab.places() {
		rules = append(rules, lost(s, m, "0.05"))
	}
	return rules, nil
}

func resets(s *strike) (rules []rule, _ error) {
	for _, m := range s.lab.members {
		if m != s.victim() && s.rng.IntN(2) == 0 {
			rules = append(rules, rule{s.victim().name, "OUTPUT -p tcp -d " + m.addr + " -j REJECT --reject-with tcp-reset"})
		}
	}
	return rules, nil
}

// noPort keeps a node from one port of the others, over connections old and new.
func noPort(m *member, port int) []rule {
	p := strconv.Itoa(port)
	return []rule{{m.name, "OUTPUT -p tcp --dport " + p + " -j DROP"}, {m.name, "INPUT -p tcp --sport " + p + " -j DROP"}}
}

func noBroker(s *strike) (rules []rule, _ error) {
	for _, m := range s.lab.followers() {
		rules = append(rules, noPort(m, portBroker)...)
	}
	return rules, nil
}

func noPeers(s *strike) ([]rule, error) { return noPort(s.victim(), portPeer), nil }

func noRoutes(s *strike) (rules []rule, _ error) {
	for _, m := range s.lab.some(true) {
		rules = append(rules, noPort(m, portRoutes)...)
	}
	return rules, nil
}

// narrow limits what a node can send.
func narrow(ctx context.Context, s *strike) error {
	ns := s.lab.net.namespace(s.victim().name)
	if err := commands(ctx, "ip netns exec "+ns+" tc qdisc add dev eth0 root tbf rate 256kbit burst 16kb latency 400ms"); err != nil {
		return err
	}
	s.hold(ctx)
	return commands(ctx, "ip netns exec "+ns+" tc qdisc del dev eth0 root")
}
