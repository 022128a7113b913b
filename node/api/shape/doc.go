// Package shape is the form of the native API: its headers, and what its bodies are in
// JSON, for those who serve it and those who call it.
package shape
