package broker

import (
	"crypto/subtle"
	"crypto/x509"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

// publisherUser is the user of the publisher. A follower is who its certificate says.
const publisherUser = "publisher"

// followers is the name of the account that followers are in. Streams are in the
// server's global account, with the publishers.
const followers = "followers"

// inboxPrefix begins the inboxes of every client.
const inboxPrefix = "_INBOX."

// publisherSubjects are what a publisher may publish to: the API that it needs, and
// nothing else. Answers and messages arrive in inboxes.
var publisherSubjects = []string{
	"writ.>", // the streams' own subjects
	"$JS.API.STREAM.CREATE.*",
	"$JS.API.STREAM.INFO.*",
	"$JS.API.STREAM.DELETE.*",
	"$JS.API.STREAM.NAMES",
	"$JS.API.STREAM.MSG.GET.*",
	"$JS.API.CONSUMER.NAMES.*",
	requestCreate,
	requestDelete,
}

// ConsumerRequests is where publishers hear that a follower asks for a consumer, with
// the names of the stream and of the consumer in the last two places. No request of
// a follower to make one reaches JetStream: what a consumer is like would then be the
// follower's to say, and there are consumers that never run out, are not counted, or
// get another name than was asked for.
const ConsumerRequests = "writ-consumers.*.*"

// What followers may ask, and how often there is an answer. In requestNext there is
// one for as long as the request is open.
const (
	requestStream = "$JS.API.STREAM.INFO.*"
	requestCreate = "$JS.API.CONSUMER.CREATE.*.*"
	requestDelete = "$JS.API.CONSUMER.DELETE.*.*"
	requestNext   = "$JS.API.CONSUMER.MSG.NEXT.*.*"
	// nextThreshold is how long a request may go without an answer. Heartbeats come
	// more often than that.
	nextThreshold = time.Minute
)

// answerTimeout is how long a publisher may take to answer a follower, once.
const answerTimeout = 5 * time.Second

// idLength is how long the random part of a connection's name is.
const idLength = 26

// admission decides who a client is. Certificates were checked before.
type admission struct {
	password string
	admits   func(*x509.Certificate) bool // nil: every certificate
	consume  func(name string) []string   // the consumers that a follower may have
	running  atomic.Pointer[opened]

	mu      sync.Mutex
	clients map[uint64]*x509.Certificate // guarded by mu; those who came, by the server's number, some of them gone
}

// opened is what there is once the server runs.
type opened struct {
	server    *server.Server
	followers *server.Account
}

// open makes the followers' account; before that no follower is admitted.
func (a *admission) open(s *server.Server) error {
	streams := s.GlobalAccount()
	account, _ := s.LookupOrRegisterAccount(followers)
	for _, offer := range []struct {
		asked, heard string
		answers      server.ServiceRespType
	}{
		{requestStream, requestStream, server.Singleton},
		{requestCreate, ConsumerRequests, server.Singleton},
		{requestDelete, requestDelete, server.Singleton},
		{requestNext, requestNext, server.Streamed},
	} {
		if err := streams.AddServiceExportWithResponse(offer.heard, offer.answers, []*server.Account{account}); err != nil {
			return fmt.Errorf("offer %s to followers: %w", offer.heard, err)
		}
		if err := account.AddServiceImport(streams, offer.asked, offer.heard); err != nil {
			return fmt.Errorf("give followers %s: %w", offer.asked, err)
		}
	}
	if err := streams.SetServiceExportResponseThreshold(requestNext, nextThreshold); err != nil {
		return fmt.Errorf("offer %s to followers: %w", requestNext, err)
	}
	a.running.Store(&opened{s, account})
	return nil
}

// Check admits the publisher by its password and a follower by its certificate.
func (a *admission) Check(c server.ClientAuthentication) bool {
	given := c.GetOpts()
	if given.Username == publisherUser {
		if subtle.ConstantTimeCompare([]byte(given.Password), []byte(a.password)) != 1 {
			return false
		}
		publisher := user(publisherUser, given.Name, nil, publisherSubjects, ConsumerRequests)
		publisher.Permissions.Response = &server.ResponsePermission{MaxMsgs: 1, Expires: answerTimeout}
		c.RegisterUser(publisher)
		return true
	}
	if given.Nkey != "" || given.JWT != "" || given.Token != "" {
		return false // the server would know the client by these
	}
	now := a.running.Load()
	name, ok := a.follower(c, given.Name)
	if !ok || now == nil || now.connections(name) >= maxPerName {
		return false
	}
	c.RegisterUser(user(name, given.Name, now.followers, a.requests(name)))
	return true
}

// requests are the subjects that a follower may publish to. The consumers that it may
// have are named one by one, so that it has no more of them, however often it connects.
func (a *admission) requests(name string) []string {
	subjects := []string{requestStream}
	if a.consume == nil {
		return subjects
	}
	for _, consumer := range a.consume(name) {
		for _, request := range []string{requestCreate, requestDelete, requestNext} {
			subjects = append(subjects, strings.TrimSuffix(request, "*")+consumer)
		}
	}
	return subjects
}

// user may publish to subjects, and subscribe to the inboxes of its connection and to
// what else it hears.
func user(name, connection string, account *server.Account, subjects []string, hears ...string) *server.User {
	return &server.User{Username: name, Account: account, Permissions: &server.Permissions{
		Publish:   &server.SubjectPermission{Allow: subjects},
		Subscribe: &server.SubjectPermission{Allow: append(hears, inboxPrefix+connection+".>")},
	}}
}

// follower returns the name of the follower that a client is, and whether it may
// come in and named its connection as it must: by that name, a hyphen and random
// letters and digits. Without TLS, on a loopback address, the name is what it says.
func (a *admission) follower(c server.ClientAuthentication, connection string) (string, bool) {
	if len(connection) <= idLength+1 {
		return "", false
	}
	name, random := connection[:len(connection)-idLength-1], connection[len(connection)-idLength-1:]
	if random[0] != '-' || strings.ContainsFunc(random[1:], func(r rune) bool { return (r < 'A' || r > 'Z') && (r < '0' || r > '9') }) ||
		strings.ContainsAny(name, ".*> \t\r\n") {
		return "", false
	}
	state := c.GetTLSConnectionState()
	if state == nil {
		return name, a.admits == nil
	}
	if len(state.PeerCertificates) == 0 || state.PeerCertificates[0].Subject.CommonName != name {
		return "", false
	}
	return name, a.admits == nil || a.admit(c.GetID(), state.PeerCertificates[0])
}

// admit says whether a follower may come in, and remembers it before it asks: who is
// turned away in between is found by expel.
func (a *admission) admit(client uint64, cert *x509.Certificate) bool {
	a.mu.Lock()
	a.clients[client] = cert
	a.mu.Unlock()
	return a.admits(cert)
}

// expel closes the connections of followers that are admitted no more.
func (a *admission) expel(s *server.Server) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for id, cert := range a.clients {
		if !a.admits(cert) {
			_ = s.DisconnectClientByID(id) // fails for one that has gone
			delete(a.clients, id)
		}
	}
}

// forget drops those that are connected no more, when there are many.
func (a *admission) forget(s *server.Server) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.clients) < MaxConnections {
		return
	}
	for id := range a.clients {
		if s.GetClient(id) == nil {
			delete(a.clients, id)
		}
	}
}

// connections is how many a follower has.
func (o *opened) connections(name string) int {
	list, err := o.server.Connz(&server.ConnzOptions{Account: followers, User: name, Username: true, Limit: maxPerName})
	if err != nil {
		return maxPerName // nobody can tell
	}
	return list.NumConns
}
