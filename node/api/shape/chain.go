package shape

// MaxHeaders is how many headers one stretch of the chain has at most.
const MaxHeaders = 1000

// Chain is a stretch of the cluster's history: of each batch, all that its hash
// covers. The content of events is in it by its SHA-256 alone.
type Chain struct {
	Cluster     string `json:"cluster"`
	Incarnation string `json:"incarnation"`
	// Headers are those of consecutive batches. The SHA-256 of a header is the hash of
	// its batch. A header is msgpack: format, cluster, incarnation, position, raft index,
	// raft term, cause, digest of the state (two numbers), hash of the batch before, and
	// kind, version and SHA-256 of each event.
	Headers [][]byte `json:"headers"`
}
