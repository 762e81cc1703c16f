// Package config is the contract with the user: the file keywatch.yaml.
//
// It finds the file, reads it with the place of every value, fills in the
// defaults and reports all that is wrong at once. It knows the words of KMS and
// CloudWatch but calls nobody: whether a key matches is asked in
// internal/rules, what follows from that in internal/plan. Start reading at
// [Load], then [Config].
package config

import (
	"math"
	"time"

	"keywatch/constructs/spec"
	"keywatch/internal/diag"
)

// Pos is the place of a value in the file.
type Pos = diag.Pos

// Config is a whole, valid configuration with every default filled in.
type Config struct {
	// File is the path as it was found, Source its bytes, for messages.
	File   string
	Source []byte

	Name         string
	Environments []Environment // empty: the account and region of the CDK CLI
	Inventory    Inventory
	Limits       Limits
	// DetectorsManaged: keywatch declares the anomaly detectors itself;
	// otherwise CloudWatch makes them and they outlive the alarms.
	DetectorsManaged bool
	Rules            []Rule
	Dashboard        *Dashboard // nil: off
	// RequireMatch makes an environment without a watched key an error.
	RequireMatch bool

	// Warnings are what Load remarked.
	Warnings diag.List
}

// Environment is one account and region.
type Environment struct {
	Account, Region string
	// Role is whose permissions read it: RoleNone, RoleLookup, or the ARN of a
	// role with placeholders; see RoleARN.
	Role string
	Pos  Pos
}

// The roles that are words.
const (
	RoleNone   = "none"       // the caller's own credentials
	RoleLookup = "cdk-lookup" // the role that cdk bootstrap made
)

// Inventory says where keys come from and what to make of what is wrong with
// them.
type Inventory struct {
	Source Source
	// Path is that of the snapshot, with placeholders; see PathFor. Empty when
	// the source is Live.
	Path    string
	PathPos Pos // or that of the whole
	// Compare says whether a snapshot is held against the deployed stacks.
	Compare Compare
	// MaxAge is the age from which on a snapshot is remarked on; FailOnStale
	// makes that an error.
	MaxAge      time.Duration
	FailOnStale bool
	// FailOnUnreadable stops synth at a key that may not be read.
	FailOnUnreadable bool
	// Rates are requests per second by the operation's name; those of other
	// operations are the reader's own.
	Rates map[string]float64
	// Timeout bounds all reading of one run.
	Timeout time.Duration
}

// Source says where keys come from.
type Source string

const (
	Live   Source = "live"     // from AWS
	Frozen Source = "snapshot" // from a file; see internal/snapshot
)

// Compare says when synth from a snapshot looks at what is deployed.
type Compare string

const (
	CompareAuto   Compare = "auto"   // when there are credentials
	CompareAlways Compare = "always" // without them synth stops
	CompareNever  Compare = "never"  // AWS is not called
)

// Limits are per environment; synth refuses to exceed them.
type Limits struct {
	Alarms     int
	MonthlyUSD USD
	// The places to change, or of the whole when a limit is the default.
	AlarmsPos, MonthlyUSDPos Pos
}

// USD is an amount in millionths of a dollar: prices add up exactly.
type USD int64

// Dollars makes a USD of a number of dollars, rounded to the millionth.
func Dollars(d float64) USD { return USD(math.Round(d * 1e6)) }

// Dashboard is the dashboard of the busiest keys.
type Dashboard struct{ TopKeys int }

// Rule is one rule: which keys, and what to make for them.
type Rule struct {
	Name  string
	Pos   Pos
	Match *Condition
	// Watch false is a decision that nobody watches the key.
	Watch bool
	// Continue: later rules may add alarms.
	Continue   bool
	Operations Operations
	Anomaly    *spec.Anomaly // nil: off
	Thresholds []Threshold
	Actions    Actions
}

// TakesAll says that no rule after this one is ever asked.
func (r *Rule) TakesAll() bool {
	return !r.Continue && r.Match != nil && r.Match.Kind == Every
}

// Scope says how a rule chooses its operations.
type Scope string

const (
	Core       Scope = "core"       // without the data key pair operations
	Applicable Scope = "applicable" // all that the key can do
	Listed     Scope = "list"
)

// Operations is a rule's choice of operations for its anomaly alarms.
type Operations struct {
	Scope Scope
	List  []spec.Operation // sorted; only with Listed
}

// Threshold is a static alarm of a rule, with its place.
type Threshold struct {
	spec.Threshold
	Pos Pos
}

// Actions are ARNs with placeholders, with their places; see Actions.Fill.
type Actions struct {
	Alarm, OK, InsufficientData []Action
}

// Action is one ARN as the user wrote it.
type Action struct {
	ARN string
	Pos Pos
}

// None says that nobody is notified.
func (a Actions) None() bool {
	return len(a.Alarm)+len(a.OK)+len(a.InsufficientData) == 0
}
