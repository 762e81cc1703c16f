package sla

import "math/big"

// Charges are what an account was charged for KMS in a month, exactly.
type Charges struct {
	// ByRegion is in USD. A region that is not in it had none; what has no region, the
	// bill calls "global" or "NoRegion".
	ByRegion map[string]*big.Rat
	// Estimated says that the month's bill is not final.
	Estimated bool
}
