package syntax

import "slices"

// partitions are those that AWS names in ARNs: the same as the log has numbers for.
var partitions = []string{"aws", "aws-cn", "aws-us-gov", "aws-iso", "aws-iso-b", "aws-iso-e", "aws-iso-f", "aws-eusc"}

// IsPartition tells whether AWS has a partition of that name. Documents may name ARNs of any,
// wherever they are stored.
func IsPartition(name string) bool { return slices.Contains(partitions, name) }
