// Package tour runs the tour of the README as its readers do.
package tour
