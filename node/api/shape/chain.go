package shape

// MaxHeaders is how many headers one stretch of the chain has at most.
const MaxHeaders = 1000

// Chain is a stretch of the cluster's history: of each batch, all that its hash
// covers. The content of events is in it by its SHA-256 alone.
type Chain struct {
	Cluster     string `json:"cluster"`
	Incarnation string `json:"incarnation"`
	// Headers are those of consecutive batches. The SHA-256 of one is the hash of
	// its batch; it begins with the fields that wire.DecodeHeader reads.
	Headers [][]byte `json:"headers"`
}
