// Package extauthz serves Envoy's external authorization (envoy.service.auth.v3.Authorization) over
// gRPC, by the mappings of package proxy.
package extauthz
