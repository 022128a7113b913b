// Package sealing is how the keys that seal secrets come to a node and go again. They come from a
// file, from a credential of systemd, or from a program ([Source]). A node goes by what the log
// says of them, and ends where it lacks one that is needed ([Keys]). When the log has chosen
// another key, the leader seals all secrets anew ([Resealer]) and says how far that is
// ([Status]).
package sealing
