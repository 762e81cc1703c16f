package inventory

// Trail is a trail of CloudTrail that covers the region, as far as it matters for
// what EventBridge, and a log group of the trail, get of KMS.
type Trail struct {
	ARN string
	// Selectors say what it logs: an event that one of them takes.
	Selectors []TrailSelector
	// Off says that its logging is switched off: it then brings nothing.
	Off bool
	// Unknown is why AWS does not tell the rest, or nil: an account may not ask of
	// every trail that its organization has.
	Unknown error
}

// TrailSelector takes management events, or none.
type TrailSelector struct {
	Management bool
	// Reads: those of read-only calls, such as Decrypt, too.
	Reads bool
	// Excluded are event sources whose events it leaves out, as CloudTrail spells
	// them ("kms.amazonaws.com").
	Excluded []string
}
