// Package decision answers questions: may this principal do this? A [Question] becomes an
// [Answer] in one view, by Writ's own engine, at the view's position and with its
// freshness, and with warnings about what could be misread. Who asks is an [Asker], or the
// leader by [Engine.Evaluate].
package decision
