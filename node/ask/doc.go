// Package ask lets the leader ask replicas. A replica listens on no port that it could
// be asked at: it fetches its tasks by requests that the leader holds open until
// there is one, and brings the answers.
package ask
