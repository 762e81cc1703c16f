// Package inventory says what an inventory of KMS keys is: every key of one
// account and region, those included that could not be read.
//
// It does not read AWS (internal/live does) and knows no rules. An Inventory is
// complete by construction: whoever builds one either has seen every page or
// returns an error. Start reading at [Inventory].
package inventory

import (
	"cmp"
	"errors"
	"slices"
	"strings"
	"time"
)

// Inventory is every KMS key of one account and region at one moment.
type Inventory struct {
	Account   string
	Region    string
	Partition string
	// ReadAt is when reading began; expiry is judged at this time.
	ReadAt time.Time
	// Keys is sorted by ARN.
	Keys []Key
}

// Key is one KMS key as DescribeKey, ListResourceTags and ListAliases tell it.
type Key struct {
	ARN string
	// ID is the key ID: a UUID, or "mrk-" and 32 hex digits.
	ID string
	// Aliases in the order that names the key: see SortAliases.
	Aliases []Alias
	// Tags sorted by key. An empty value is a value.
	Tags []Tag

	Manager     string // AWS or CUSTOMER
	State       string // KeyState: Enabled, Disabled, PendingDeletion, …
	Usage       string // KeyUsage: ENCRYPT_DECRYPT, …
	Spec        string // KeySpec: SYMMETRIC_DEFAULT, …
	Origin      string // AWS_KMS, EXTERNAL, AWS_CLOUDHSM, EXTERNAL_KEY_STORE
	MultiRegion bool
	Created     time.Time // zero when unknown

	// Unreadable says why the key may not be described or its tags not be
	// read, for example "kms:DescribeKey: AccessDeniedException: …". What
	// could not be read is empty above.
	Unreadable string
	// Described says that DescribeKey answered, or would have been asked: without
	// it Manager, State and all below are unknown because nobody needed them.
	Described bool
	// TagsOmitted says that the key has no tags here because it fits no filter of
	// the Need, not because it has none.
	TagsOmitted bool
	// Gone is set when KMS listed the key and then no longer knew it.
	Gone bool
}

// NoID stands for the ID of a key that does not exist yet. No key has it: x is no
// digit of an ID.
const NoID = "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx"

// Tag is one tag of a key.
type Tag struct{ Key, Value string }

// Alias is one alias of a key.
type Alias struct {
	Name    string // with "alias/"
	Created time.Time
	// Updated is when it was last pointed to this key (LastUpdatedDate of
	// "AliasListEntry", KMS API Reference); zero when unknown.
	Updated time.Time
}

// Tag returns the value of the tag and whether the key has it.
func (k *Key) Tag(key string) (string, bool) {
	i, ok := slices.BinarySearchFunc(k.Tags, key, func(t Tag, key string) int { return cmp.Compare(t.Key, key) })
	if !ok {
		return "", false
	}
	return k.Tags[i].Value, true
}

// Alias is the alias that names the key, or "".
func (k *Key) Alias() string {
	if len(k.Aliases) == 0 {
		return ""
	}
	return k.Aliases[0].Name
}

// Sort puts keys, tags and aliases into their one order, so that whatever order
// AWS answered in gives the same inventory.
func (inv *Inventory) Sort() {
	for i := range inv.Keys {
		SortAliases(inv.Keys[i].Aliases)
		slices.SortFunc(inv.Keys[i].Tags, func(a, b Tag) int {
			return cmp.Or(cmp.Compare(a.Key, b.Key), cmp.Compare(a.Value, b.Value))
		})
	}
	slices.SortFunc(inv.Keys, func(a, b Key) int { return cmp.Compare(a.ARN, b.ARN) })
}

// SortAliases orders aliases by creation date, oldest first, then by name;
// aliases without a date come last. The first one names the key.
func SortAliases(as []Alias) {
	slices.SortFunc(as, func(a, b Alias) int {
		if az, bz := a.Created.IsZero(), b.Created.IsZero(); az != bz {
			if az {
				return 1
			}
			return -1
		}
		return cmp.Or(a.Created.Compare(b.Created), strings.Compare(a.Name, b.Name))
	})
}

// Caller is who AWS says the reader is.
type Caller struct {
	Account string
	// Partition is aws, aws-cn, aws-us-gov, …
	Partition string
	// ARN of the user or of the assumed role's session.
	ARN string
}

// ErrNoCredentials is in the error of a reader that found no credentials
// anywhere: nobody has given it any. Credentials that are there and do not work
// are another error.
var ErrNoCredentials = errors.New("no AWS credentials")

// ErrTooLong is in the error of a reading that could not be finished before the
// deadline of the whole run.
var ErrTooLong = errors.New("not finished in the time allowed")
