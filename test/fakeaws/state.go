package fakeaws

import (
	"cmp"
	"fmt"
	"time"

	"keywatch/internal/inventory"
)

// State is what the account holds. The zero value is an empty account.
type State struct {
	Account   string // default 111122223333
	Region    string // default eu-west-1
	Partition string // default aws
	CallerARN string // default a user named "tester" in the account
	Keys      []Key
	Aliases   []Alias
	Alarms    []inventory.Alarm
	// Dashboards are names. Every region tells them.
	Dashboards []string
	Stacks     []Stack
	// Requests are what AWS/KMS SuccessfulRequest counts, Calls AWS/Usage CallCount.
	Requests []Requests
	Calls    []Calls
	// LogGroups are the events of log groups by name.
	LogGroups map[string][]LogEvent
	// Charges are on the bill of the account, or of the member that they name.
	Charges []Charge
	// NoSupportPlan refuses the API of AWS Support; Services are what it has cases
	// for, and Cases those that there are.
	NoSupportPlan bool
	Services      []SupportService
	Cases         []SupportCase
	Trails        []Trail
}

// Trail is one trail of CloudTrail that covers every region.
type Trail struct {
	Name string
	// Selectors and Advanced are what GetEventSelectors answers, as JSON spells it;
	// without either it is the selector that a new trail has.
	Selectors, Advanced []map[string]any
	Off                 bool // its logging
	// Home is its region, and Owner its account; by default those of the state.
	Home, Owner string
}

// Key is one KMS key. What is left empty is that of an ordinary customer key.
type Key struct {
	ID          string
	ARN         string // default: composed of the account, region and ID
	Tags        []Tag
	Manager     string // default CUSTOMER
	State       string // default Enabled
	Usage       string // default ENCRYPT_DECRYPT
	Spec        string // default SYMMETRIC_DEFAULT
	Origin      string // default AWS_KMS
	MultiRegion bool
	Created     time.Time // default 2024-01-02T03:04:05Z

	// DenyDescribe and DenyTags are what a key policy does to DescribeKey and
	// ListResourceTags.
	DenyDescribe, DenyTags bool
	// Gone makes ListKeys still name the key, and nothing else know it.
	Gone bool
	// Unlisted leaves the key out of ListKeys, as eventual consistency can.
	Unlisted bool
	// Deleted takes the key away from every API, and from the page that it is
	// on: a page that is being read gets shorter, and none that follows moves.
	Deleted bool

	// What the Resource Groups Tagging API knows. It knows keys with tags.
	// EverTagged makes it know the key without, with an empty set. Untracked:
	// it has not heard of the key yet. StaleTags, if not nil, are what it still
	// believes. Lingers: it has not heard of the deletion.
	EverTagged, Untracked, Lingers bool
	StaleTags                      []Tag
}

// Tag is one tag of a key.
type Tag struct{ Key, Value string }

// Alias is one alias. An empty Target is a predefined alias without a key.
type Alias struct {
	Name    string // with "alias/"
	Target  string // key ID
	Created time.Time
	Updated time.Time // default Created
}

func (s *State) defaults() {
	s.Account = cmp.Or(s.Account, "111122223333")
	s.Region = cmp.Or(s.Region, "eu-west-1")
	s.Partition = cmp.Or(s.Partition, "aws")
	s.CallerARN = cmp.Or(s.CallerARN, fmt.Sprintf("arn:%s:iam::%s:user/tester", s.Partition, s.Account))
}

// KeyARN is the ARN of a key of this account.
func (s *State) KeyARN(id string) string {
	return fmt.Sprintf("arn:%s:kms:%s:%s:key/%s", s.Partition, s.Region, s.Account, id)
}

func (s *State) arn(k Key) string { return cmp.Or(k.ARN, s.KeyARN(k.ID)) }
