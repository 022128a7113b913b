// Package upgrade has the previous release beside today's: its build, for tests with real
// processes of both, and the bytes that it wrote.
package upgrade
