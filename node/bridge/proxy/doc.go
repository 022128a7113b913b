// Package proxy answers proxies that ask, before they hand a request on to a service, whether
// whoever sent it may: nginx, Caddy, Traefik, HAProxy and Envoy, over HTTP. Package extauthz asks
// the same [Mapping] for Envoy over gRPC.
//
// # Mapping
//
// A [Mapping] is a file: who the end user is ([Principals]), and which question a request becomes
// ([Rule]). It is refused when it is loaded, with the line, where it leaves a field open, where two
// rules match one request and neither is the narrower, where a rule can never match, or where a
// template names what the request may not have. So at most one rule's question is asked.
//
// # Paths
//
// The decision is about the path as the proxy hands it on, decoded once. What a proxy and a service
// could read differently is refused, not guessed at: see [ParseTarget].
//
// # Fail closed
//
// A request is allowed by one thing alone: the decision allow, from a view that is known to be
// fresh. Without a principal it is 401, whatever else is wrong or denied 403, and 503 where the
// node cannot know now.
package proxy
