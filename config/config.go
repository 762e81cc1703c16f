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
	"strings"
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
	// Exceptions win over rules, in the order of the file.
	Exceptions []Exception
	Dashboard  *Dashboard // nil: off
	// RequireMatch makes an environment without a watched key an error.
	RequireMatch bool
	// SLA is what is kept for a claim.
	SLA SLA
	// Findings are the levels of what is remarked on the rule set.
	Findings Findings
	// Given are the places of the values that the file or the context gives, by
	// their path as messages write it ("rules[0].anomaly.band"). What is not here
	// is a default.
	Given map[string]Pos

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
	// PerOperation replaces Anomaly for single operations, each whole, what it
	// does not say filled in from Anomaly; nil: no anomaly alarm on it.
	PerOperation map[spec.Operation]*spec.Anomaly
	// BandTag lets a key set its own band; nil: it cannot.
	BandTag    *BandTag
	Thresholds []Threshold
	Actions    Actions
}

// BandTag is the tag by which a key sets the band of its anomaly alarms. A
// narrower band than the rule's is taken from Min on; a wider one, which makes an
// alarm see less, only if AllowLooser, and up to Max.
type BandTag struct {
	Tag         string
	Min, Max    Band
	AllowLooser bool
	Pos         Pos
}

// Band is a number of standard deviations with the text it was written as.
type Band struct {
	Value float64
	Text  string
}

// Exception takes one key out of what the rules say, for a time and a reason.
type Exception struct {
	// Key is a key ID, a key ARN, or an alias with "alias/".
	Key string
	// Account and Region are the only environment it is for; empty: all.
	Account, Region string
	Reason, Owner   string
	// Expires is the moment from which on it excepts nothing: the end of the
	// day, in UTC, that the file names.
	Expires time.Time
	// Written is when an exception by alias was written: an alias that was made
	// or pointed to another key since then is not excepted. Zero without alias.
	Written time.Time
	Pos     Pos
}

// ByAlias says that the exception names an alias and not a key.
func (e *Exception) ByAlias() bool { return strings.HasPrefix(e.Key, "alias/") }

// Until is the last day on which it excepts, in UTC.
func (e *Exception) Until() string { return e.Expires.UTC().Add(-1).Format(time.DateOnly) }

// In says whether the exception is for an account and region. An ARN names its
// own.
func (e *Exception) In(account, region string) bool {
	if parts := strings.Split(e.Key, ":"); len(parts) > 4 && (parts[3] != region || parts[4] != account) {
		return false
	}
	return e.Account == "" && e.Region == "" || e.Account == account && e.Region == region
}

// Level is what becomes of a finding.
type Level string

const (
	LevelOff  Level = "off"
	LevelWarn Level = "warn"
	LevelFail Level = "fail" // an error, as any mistake
)

// Findings are the levels by code; All is that of the codes not named.
type Findings struct {
	All   Level
	Codes map[string]Level
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
	ARN  string
	Path string // as in messages: "rules[0].actions.alarm[1]"
	Pos  Pos
}

// None says that nobody is notified.
func (a Actions) None() bool {
	return len(a.Alarm)+len(a.OK)+len(a.InsufficientData) == 0
}
