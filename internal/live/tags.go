package live

import (
	"context"
	"errors"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/resourcegroupstaggingapi"
	"github.com/aws/aws-sdk-go-v2/service/resourcegroupstaggingapi/types"
	"golang.org/x/sync/errgroup"

	kmstypes "github.com/aws/aws-sdk-go-v2/service/kms/types"

	"keywatch/internal/inventory"
)

// perPage is how many keys GetResources answers at most at once.
const perPage = 100

// noticeWithoutTagging is what a user should know of a reading that takes a call
// a key.
const noticeWithoutTagging = "tag:GetResources is denied, so the tags are read key by key with kms:ListResourceTags; allow it to read 100 keys a call"

// tag reads the tags of all keys, in bulk or else key by key.
func (r *reading) tag(ctx context.Context) error {
	filtered, err := r.queryTags(ctx)
	if isDenied(err) {
		r.s.notice(noticeWithoutTagging)
		filtered, err = false, r.listTagsOfAll(ctx)
	}
	if err != nil {
		return r.s.fail(opGetResources, "", err)
	}
	r.meter.finish(stageTags)
	if err := r.close(ctx, filtered); err != nil {
		return r.s.fail(opListAliases, "", err)
	}
	return nil
}

// errOverBudget ends a query that costs more than reading everything.
var errOverBudget = errors.New("the filters cost more than they save")

// queryTags asks for the tags, if there are filters one after the other: with
// one query at a time the answers of all are known before more is spent. What
// all alternatives cost is not known beforehand, but what the unfiltered query
// costs at most is: a page for each hundred keys. When they have cost as much,
// or there are more of them than that, the unfiltered query it is. It reports
// whether some keys' tags may have been left out.
func (r *reading) queryTags(ctx context.Context) (filtered bool, err error) {
	filters := r.need.Filters
	if filters == nil {
		return false, r.queryAll(ctx)
	}
	if len(filters) == 1 { // never more than everything
		return true, r.query(ctx, filters[0], nil)
	}
	if len(filters) == 0 {
		return true, nil
	}
	if err := await(ctx, r.listed); err != nil {
		return false, err
	}
	budget := r.pagesOfAll()
	for i, f := range filters {
		spare := budget - (len(filters) - i - 1) // the others take a page each at least
		spent := spare
		if err := r.query(ctx, f, &spare); errors.Is(err, errOverBudget) {
			return false, r.queryAll(ctx)
		} else if err != nil {
			return false, err
		}
		budget -= spent - spare
	}
	return true, nil
}

func (r *reading) pagesOfAll() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return (len(r.keys) + perPage - 1) / perPage
}

// queryAll asks for every key that has or ever had tags.
func (r *reading) queryAll(ctx context.Context) error {
	g, gctx := errgroup.WithContext(ctx)
	g.Go(func() error {
		// Only to say how far it is: the keys that were never tagged are not
		// answered.
		if await(gctx, r.listed) == nil {
			r.meter.expect(stageTags, r.count())
		}
		return nil
	})
	g.Go(func() error { return r.query(gctx, nil, nil) })
	return g.Wait()
}

func (r *reading) count() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.keys)
}

// maxRestarts bounds how often a query begins anew.
const maxRestarts = 3

// query asks for the keys that fit the filter, page by page. A page token that
// expired half-way begins it anew: nobody knows what came after. The budget, if
// there is one, is how many pages it may take.
func (r *reading) query(ctx context.Context, filter inventory.TagFilter, budget *int) error {
	for restarts := 0; ; restarts++ {
		err := r.pass(ctx, filter, budget)
		if !isExpiredPage(err) || restarts == maxRestarts {
			return err
		}
	}
}

// pass is one attempt of a query. "A query can return fewer than this maximum,
// even if there are more results", none included ("GetResources", Resource
// Groups Tagging API Reference): only the token says that it is over.
func (r *reading) pass(ctx context.Context, filter inventory.TagFilter, budget *int) error {
	r.mu.Lock()
	r.passes++
	pass := r.passes
	r.mu.Unlock()
	return eachPage(func(marker *string) (page, error) {
		if budget != nil {
			if *budget <= 0 {
				return page{}, errOverBudget
			}
			*budget--
		}
		out, err := r.s.tagging.GetResources(ctx, &resourcegroupstaggingapi.GetResourcesInput{
			ResourceTypeFilters: []string{"kms:key"},
			ResourcesPerPage:    aws.Int32(perPage),
			TagFilters:          tagFilters(filter),
			PaginationToken:     marker,
		})
		if err != nil {
			return page{}, err
		}
		if out.ResourceTagMappingList == nil {
			return page{}, incomplete("the answer holds no list of resources")
		}
		fresh, err := r.store(out.ResourceTagMappingList, pass)
		if err != nil {
			return page{}, err
		}
		return page{fresh: fresh, next: out.PaginationToken}, nil
	})
}

// tagFilters spells the filter. Where it is more than a request can hold it lets
// in more keys.
func tagFilters(filter inventory.TagFilter) []types.TagFilter {
	const maxKeys, maxValues = 50, 20
	var out []types.TagFilter
	for _, c := range filter[:min(len(filter), maxKeys)] {
		f := types.TagFilter{Key: aws.String(c.Key), Values: c.Values}
		if len(c.Values) > maxValues {
			f.Values = nil
		}
		out = append(out, f)
	}
	return out
}

// store takes the keys of one page with their tags. A key that comes again has
// the tags of the last answer; one that ListKeys has not named is taken in.
func (r *reading) store(mappings []types.ResourceTagMapping, pass int) (fresh int, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	found := 0
	for i := range mappings {
		id, err := r.keyID(aws.ToString(mappings[i].ResourceARN))
		if err != nil {
			return 0, err
		}
		tags, err := r.tagsOf(mappings[i].Tags)
		if err != nil {
			return 0, incomplete("key %s: %w", id, err)
		}
		at := r.add(id)
		if r.marks[at].pass == 0 {
			found++
		}
		if r.marks[at].pass != pass {
			r.marks[at].pass = pass
			fresh++
		}
		r.keys[at].Tags = tags
		// Aliases tell AWS managed keys, and a key that was ever tagged is none.
		if r.isNamed || r.need.Describe == nil || r.need.ByTags {
			r.offer(at)
		}
	}
	r.meter.add(stageTags, found)
	return fresh, r.checkCount()
}

// tagsOf are the tags of one answer, sorted; half of a key's tags is worse than
// none. Call it with mu held.
func (r *reading) tagsOf(answer []types.Tag) ([]inventory.Tag, error) {
	if len(answer) == 0 {
		return nil, nil // "Resources that were previously tagged … are shown with an empty tag set"
	}
	if len(answer) > r.s.limits.tagsPerKey {
		return nil, incomplete("there are more than %d tags", r.s.limits.tagsPerKey)
	}
	tags := make([]inventory.Tag, 0, len(answer))
	for _, t := range answer {
		tags = append(tags, inventory.Tag{Key: r.strings.one(aws.ToString(t.Key)), Value: r.strings.one(aws.ToString(t.Value))})
	}
	sortTags(tags)
	for i := 1; i < len(tags); i++ {
		if tags[i].Key == tags[i-1].Key && tags[i].Value != tags[i-1].Value {
			return nil, incomplete("tag %q is listed with two values", tags[i].Key)
		}
	}
	return slices.CompactFunc(tags, func(a, b inventory.Tag) bool { return a.Key == b.Key }), nil
}

// listTagsOfAll reads the tags key by key, a bounded number at once. AWS managed
// keys have none ("Tags in AWS KMS", KMS Developer Guide).
func (r *reading) listTagsOfAll(ctx context.Context) error {
	if err := await(ctx, r.named); err != nil {
		return err
	}
	r.mu.Lock()
	var todo []int
	for i := range r.keys {
		if r.keys[i].Manager != string(kmstypes.KeyManagerTypeAws) {
			todo = append(todo, i)
		}
	}
	r.mu.Unlock()
	r.meter.expect(stageTags, len(todo))
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(r.s.options.workers(opListResourceTags))
	for _, i := range todo {
		if gctx.Err() != nil {
			break
		}
		g.Go(func() error {
			err := r.listTagsOf(gctx, i)
			r.meter.add(stageTags, 1)
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	return context.Cause(ctx) // it may have ended the loop
}
