package live

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/arn"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/kms/types"
	"golang.org/x/sync/errgroup"

	"keywatch/internal/inventory"
)

// Inventory reads every KMS key of the account and region, as far as it is
// needed. The result is whole and sorted, or there is an [*Error].
//
// Calls for N keys, T of them ever tagged, with A aliases: GetCallerIdentity
// unless it was called before, N/1000 ListKeys, A/100 ListAliases, T/100
// GetResources, or fewer with filters, and one DescribeKey for each key whose
// description is needed. They overlap: a key is described as soon as its tags
// are known.
func (s *Session) Inventory(ctx context.Context, need inventory.Need) (*inventory.Inventory, error) {
	readAt := s.options.Now().UTC()
	caller, err := s.Caller(ctx)
	if err != nil {
		return nil, late(ctx, err)
	}
	r := newReading(s, caller, need)
	if err := r.run(ctx); err != nil {
		return nil, late(ctx, err)
	}
	inv := &inventory.Inventory{
		Account:   caller.Account,
		Region:    s.region,
		Partition: caller.Partition,
		ReadAt:    readAt,
		Keys:      r.keys,
	}
	inv.Sort()
	return inv, nil
}

// late says of an error after the deadline of the whole reading that it is this.
func late(ctx context.Context, err error) error {
	if e := (*Error)(nil); errors.As(err, &e) && !errors.Is(err, errTooLong) && errors.Is(context.Cause(ctx), context.DeadlineExceeded) {
		e.Class, e.Err, e.Hint = TooLong, errTooLong, hint(e.Operation, TooLong, errTooLong)
	}
	return err
}

// reading is one reading of an inventory. Three goroutines work on it, each
// with helpers: one lists keys and aliases, one reads tags, and one describes
// the keys that the others offer.
type reading struct {
	s      *Session
	caller Caller
	need   inventory.Need
	meter  *meter
	prefix string // of the ARN of every key

	listed chan struct{} // closed when ListKeys is through
	named  chan struct{} // closed when the aliases have found their keys

	mu      sync.Mutex
	keys    []inventory.Key
	marks   []mark         // of the keys
	index   map[string]int // key ID → place in keys
	isNamed bool
	passes  int // over the tags
	strings interner
	queue   queue
}

// mark is what a reading remembers of a key.
type mark struct {
	listed bool // by ListKeys
	queued bool // to be described, or described
	pass   int  // the last one that had tags of the key; 0 is none
}

func newReading(s *Session, caller Caller, need inventory.Need) *reading {
	return &reading{
		s: s, caller: caller, need: need,
		meter: newMeter(s.options.Now, s.options.Progress),
		prefix: arn.ARN{
			Partition: caller.Partition, Service: "kms", Region: s.region, AccountID: caller.Account, Resource: "key/",
		}.String(),
		listed: make(chan struct{}),
		named:  make(chan struct{}),
		index:  make(map[string]int),
		queue:  newQueue(),
	}
}

func (r *reading) run(ctx context.Context) error {
	defer r.meter.end()
	g, gctx := errgroup.WithContext(ctx)
	g.Go(func() error { return r.list(gctx) })
	g.Go(func() error { return r.tag(gctx) })
	g.Go(func() error { return r.describeAll(gctx) })
	if err := g.Wait(); err != nil {
		return err
	}
	// The caller's own cancellation may have ended a loop before any request
	// noticed: keys that nobody read are not an inventory.
	if err := context.Cause(ctx); err != nil {
		return r.s.fail(opListKeys, "", err)
	}
	return nil
}

// list reads keys and aliases and brings them together.
func (r *reading) list(ctx context.Context) error {
	var aliases []target
	g, gctx := errgroup.WithContext(ctx)
	g.Go(func() error {
		if err := r.listKeys(gctx); err != nil {
			return r.s.fail(opListKeys, "", err)
		}
		r.meter.finish(stageKeys)
		close(r.listed)
		return nil
	})
	g.Go(func() error {
		var err error
		if aliases, err = r.listAliases(gctx); err != nil {
			return r.s.fail(opListAliases, "", err)
		}
		r.meter.finish(stageAliases)
		return nil
	})
	if err := g.Wait(); err != nil {
		return err
	}
	r.name(aliases)
	close(r.named)
	return nil
}

func (r *reading) listKeys(ctx context.Context) error {
	return eachPage(func(marker *string) (page, error) {
		out, err := r.s.kms.ListKeys(ctx, &kms.ListKeysInput{Limit: aws.Int32(1000), Marker: marker})
		if err != nil {
			return page{}, err
		}
		if out.Keys == nil {
			return page{}, incomplete("the answer holds no list of keys")
		}
		fresh, err := r.addListed(out.Keys)
		if err != nil {
			return page{}, err
		}
		r.meter.add(stageKeys, fresh)
		return page{fresh: fresh, truncated: out.Truncated, next: out.NextMarker}, nil
	})
}

// addListed takes the keys of one page, each once.
func (r *reading) addListed(keys []types.KeyListEntry) (fresh int, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, k := range keys {
		id, err := r.keyID(aws.ToString(k.KeyArn))
		if err != nil {
			return 0, err
		}
		if id != aws.ToString(k.KeyId) {
			return 0, incomplete("%q is not the ARN of key %q", aws.ToString(k.KeyArn), aws.ToString(k.KeyId))
		}
		if i := r.add(id); !r.marks[i].listed {
			r.marks[i].listed = true
			fresh++
		}
	}
	return fresh, r.checkCount()
}

// keyID is the key ID in an ARN. A key of another account or region can only
// mean that something other than this account's AWS has answered.
func (r *reading) keyID(keyARN string) (string, error) {
	if id, ok := strings.CutPrefix(keyARN, r.prefix); ok && id != "" {
		return id, nil
	}
	parsed, err := arn.Parse(keyARN)
	if id, ok := strings.CutPrefix(parsed.Resource, "key/"); err != nil || !ok || id == "" {
		return "", incomplete("%q is not the ARN of a key", keyARN)
	}
	return "", incomplete("key %s is not of account %s in %s", keyARN, r.caller.Account, r.s.region)
}

// add finds the key, or takes it in. Call it with mu held.
func (r *reading) add(id string) int {
	if i, ok := r.index[id]; ok {
		return i
	}
	i := len(r.keys)
	keyARN := r.prefix + id
	id = keyARN[len(r.prefix):] // one string for both
	r.index[id] = i
	r.keys = append(r.keys, inventory.Key{ARN: keyARN, ID: id})
	r.marks = append(r.marks, mark{})
	return i
}

func (r *reading) checkCount() error {
	if len(r.keys) > r.s.limits.keys {
		return incomplete("there are more than %d keys", r.s.limits.keys)
	}
	return nil
}

// target is an alias and the ID of its key.
type target struct {
	inventory.Alias
	key string
}

func (r *reading) listAliases(ctx context.Context) ([]target, error) {
	var all []target
	index := make(map[string]int)
	err := eachPage(func(marker *string) (page, error) {
		out, err := r.s.kms.ListAliases(ctx, &kms.ListAliasesInput{Limit: aws.Int32(100), Marker: marker})
		if err != nil {
			return page{}, err
		}
		if out.Aliases == nil {
			return page{}, incomplete("the answer holds no list of aliases")
		}
		before := len(all)
		for _, a := range out.Aliases {
			name, key := aws.ToString(a.AliasName), aws.ToString(a.TargetKeyId)
			if i, ok := index[name]; ok && all[i].key != key {
				return page{}, incomplete("%s is listed with two keys, %s and %s", name, orNone(all[i].key), orNone(key))
			} else if ok {
				continue
			}
			index[name] = len(all)
			all = append(all, target{inventory.Alias{Name: name, Created: aws.ToTime(a.CreationDate).UTC(), Updated: aws.ToTime(a.LastUpdatedDate).UTC()}, key})
		}
		if len(all) > r.s.limits.aliases {
			return page{}, incomplete("there are more than %d aliases", r.s.limits.aliases)
		}
		r.meter.add(stageAliases, len(all)-before)
		return page{fresh: len(all) - before, truncated: out.Truncated, next: out.NextMarker}, nil
	})
	return all, err
}

func orNone(s string) string { return cmp.Or(s, "none") }

// managedPrefix is reserved: only AWS managed keys have such aliases
// ("CreateAlias", KMS API Reference).
const managedPrefix = "alias/aws/"

// name gives the aliases to their keys; from then on keys can be offered.
//
// The predefined alias/aws/… may have no key yet ("ListAliases", KMS API
// Reference). Those that ListKeys named are thereby known as AWS managed keys,
// without a call for each; the others are left out. Any other alias whose key
// ListKeys did not name proves that there is such a key, made a moment ago or not
// yet in the listing (KMS is eventually consistent): it is taken into the
// inventory, so that the key is read like every other one.
func (r *reading) name(aliases []target) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, a := range aliases {
		i, known := r.index[a.key]
		managed := strings.HasPrefix(a.Name, managedPrefix)
		if !known {
			if a.key == "" || managed {
				continue
			}
			i = r.add(a.key)
		}
		if managed {
			r.keys[i].Manager = string(types.KeyManagerTypeAws)
		}
		r.keys[i].Aliases = append(r.keys[i].Aliases, a.Alias)
	}
	for i := range r.keys {
		inventory.SortAliases(r.keys[i].Aliases)
	}
	r.isNamed = true
	for i := range r.keys {
		if r.need.Describe == nil || r.marks[i].pass > 0 || !r.marks[i].listed {
			r.offer(i)
		}
	}
}

// offer puts the key into the queue of those to describe, once, if it needs to
// be: as the Need says, and always if ListKeys does not have it. Such a key is
// new, or it was deleted and the tagging API does not know that yet; only
// DescribeKey can tell. Call it with mu held, once what the Need asks about is known.
func (r *reading) offer(i int) {
	k, m := &r.keys[i], &r.marks[i]
	if m.queued || k.Manager == string(types.KeyManagerTypeAws) {
		return
	}
	if m.listed && r.need.Describe != nil && !r.need.Describe(k) {
		return
	}
	m.queued = true
	r.meter.expect(stageDescriptions, 1)
	r.queue.push(i)
}

// close ends the queue: all tags are known, and with them which keys need to be
// described. It waits for the aliases.
func (r *reading) close(ctx context.Context, filtered bool) error {
	if err := await(ctx, r.named); err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for i := range r.keys {
		managed := r.keys[i].Manager == string(types.KeyManagerTypeAws)
		r.keys[i].TagsOmitted = filtered && r.marks[i].pass == 0 && !managed
		r.offer(i)
	}
	r.queue.close()
	return nil
}

func await(ctx context.Context, done <-chan struct{}) error {
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-done:
		return nil
	}
}

// describeAll describes the keys in the queue, a bounded number at once. The
// first fatal error cancels the rest.
func (r *reading) describeAll(ctx context.Context) error {
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(r.s.options.workers(opDescribeKey))
	for {
		i, ok := r.queue.next(gctx)
		if !ok {
			break
		}
		g.Go(func() error {
			_, err := r.describe(gctx, i)
			r.meter.add(stageDescriptions, 1)
			return err
		})
	}
	return g.Wait()
}

// queue is a queue without an end until it is closed.
type queue struct {
	mu     sync.Mutex
	items  []int
	first  int // of those that were not taken
	closed bool
	wake   chan struct{}
}

func newQueue() queue { return queue{wake: make(chan struct{}, 1)} }

func (q *queue) push(i int) {
	q.mu.Lock()
	q.items = append(q.items, i)
	q.mu.Unlock()
	q.ring()
}

func (q *queue) close() {
	q.mu.Lock()
	q.closed = true
	q.mu.Unlock()
	q.ring()
}

func (q *queue) ring() {
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// next waits for an item. False: there will be none, or the context is over.
func (q *queue) next(ctx context.Context) (int, bool) {
	for ctx.Err() == nil {
		q.mu.Lock()
		if q.first < len(q.items) {
			i := q.items[q.first]
			q.first++
			q.mu.Unlock()
			return i, true
		}
		closed := q.closed
		q.mu.Unlock()
		if closed {
			return 0, false
		}
		select {
		case <-ctx.Done():
		case <-q.wake:
		}
	}
	return 0, false
}

// interner makes one string of those that are equal: values of tags, specs and
// states come in hundreds of thousands and are few.
type interner struct{ known map[string]string }

// maxInterned bounds the memory of what turns out to be different every time.
const maxInterned = 1 << 16

func (in *interner) one(s string) string {
	if known, ok := in.known[s]; ok {
		return known
	}
	s = strings.Clone(s) // not a part of a whole answer
	if in.known == nil {
		in.known = make(map[string]string)
	}
	if len(in.known) < maxInterned {
		in.known[s] = s
	}
	return s
}

func sortTags(tags []inventory.Tag) {
	slices.SortFunc(tags, func(a, b inventory.Tag) int { return cmp.Compare(a.Key, b.Key) })
}
