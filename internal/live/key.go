package live

import (
	"context"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/kms/types"

	"keywatch/internal/inventory"
)

// describe fills in what DescribeKey says of the key. Only what makes the whole
// inventory worthless is an error; a refusal for this one key is written down in
// it. If KMS listed the key and then does not know it, it is asked once more
// before the key is called gone, since a key that is a moment old may not be
// known everywhere yet.
func (r *reading) describe(ctx context.Context, i int) (gone bool, err error) {
	id := r.id(i)
	md, err := r.describeKey(ctx, id)
	if isNotFound(err) {
		if err := r.s.pause(ctx); err != nil {
			return false, r.s.fail(opDescribeKey, id, err)
		}
		md, err = r.describeKey(ctx, id)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	key := &r.keys[i]
	switch {
	case isNotFound(err):
		key.Gone = true
		return true, nil
	case isRefusal(err):
		refuse(key, opDescribeKey, err)
		return false, nil
	case err != nil:
		return false, r.s.fail(opDescribeKey, id, err)
	}
	key.Described = true
	key.Manager = r.strings.one(string(md.KeyManager))
	key.State = r.strings.one(string(md.KeyState))
	key.Usage = r.strings.one(string(md.KeyUsage))
	key.Spec = r.strings.one(string(md.KeySpec))
	key.Origin = r.strings.one(string(md.Origin))
	key.MultiRegion = aws.ToBool(md.MultiRegion)
	key.Created = aws.ToTime(md.CreationDate).UTC()
	forgive(key)
	return false, nil
}

func (r *reading) id(i int) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.keys[i].ID
}

func (r *reading) describeKey(ctx context.Context, id string) (*types.KeyMetadata, error) {
	out, err := r.s.kms.DescribeKey(ctx, &kms.DescribeKeyInput{KeyId: &id})
	if err != nil {
		return nil, err
	}
	if out.KeyMetadata == nil {
		return nil, incomplete("the answer holds no key metadata")
	}
	if got := aws.ToString(out.KeyMetadata.Arn); got != r.prefix+id {
		return nil, incomplete("the answer is about %q", got)
	}
	return out.KeyMetadata, nil
}

// listTagsOf reads the tags of one key. If KMS does not know a key that it
// describes, the key is gone, or else KMS contradicts itself.
func (r *reading) listTagsOf(ctx context.Context, i int) error {
	id := r.id(i)
	tags, err := r.listTags(ctx, id)
	if isNotFound(err) {
		gone, err2 := r.recheck(ctx, i)
		if err2 != nil || gone {
			return err2
		}
		if tags, err = r.listTags(ctx, id); isNotFound(err) {
			err = incomplete("KMS describes the key and does not know it: %s", cause(err))
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	key := &r.keys[i]
	switch {
	case isRefusal(err):
		refuse(key, opListResourceTags, err)
		forgive(key)
	case err != nil:
		return r.s.fail(opListResourceTags, id, err)
	}
	key.Tags = tags
	r.marks[i].pass = r.passes
	r.offer(i)
	return nil
}

// recheck describes a key out of turn.
func (r *reading) recheck(ctx context.Context, i int) (gone bool, err error) {
	r.mu.Lock()
	r.marks[i].queued = true
	r.mu.Unlock()
	return r.describe(ctx, i)
}

func (r *reading) listTags(ctx context.Context, id string) ([]inventory.Tag, error) {
	var tags []inventory.Tag
	values := make(map[string]string)
	err := eachPage(func(marker *string) (page, error) {
		out, err := r.s.kms.ListResourceTags(ctx, &kms.ListResourceTagsInput{KeyId: &id, Limit: aws.Int32(50), Marker: marker})
		if err != nil {
			return page{}, err
		}
		if out.Tags == nil {
			return page{}, incomplete("the answer holds no list of tags")
		}
		before := len(tags)
		for _, t := range out.Tags {
			name, value := aws.ToString(t.TagKey), aws.ToString(t.TagValue)
			if known, ok := values[name]; ok && known != value {
				return page{}, incomplete("tag %q is listed with two values", name)
			} else if ok {
				continue
			}
			values[name] = value
			tags = append(tags, inventory.Tag{Key: name, Value: value})
		}
		if len(tags) > r.s.limits.tagsPerKey {
			return page{}, incomplete("there are more than %d tags", r.s.limits.tagsPerKey)
		}
		return page{fresh: len(tags) - before, truncated: out.Truncated, next: out.NextMarker}, nil
	})
	if err != nil {
		return nil, err // half of a key's tags is worse than none
	}
	sortTags(tags)
	return r.intern(tags), nil
}

func (r *reading) intern(tags []inventory.Tag) []inventory.Tag {
	r.mu.Lock()
	defer r.mu.Unlock()
	for i, t := range tags {
		tags[i] = inventory.Tag{Key: r.strings.one(t.Key), Value: r.strings.one(t.Value)}
	}
	return tags
}

// refuse notes that AWS would not let this key be read; that its tags may not be
// comes first, see inventory.ReasonTags.
func refuse(key *inventory.Key, operation string, err error) {
	reason := operation + ": " + cause(err)
	switch {
	case key.Unreadable == "":
		key.Unreadable = reason
	case operation == opListResourceTags:
		key.Unreadable = reason + "; " + key.Unreadable
	default:
		key.Unreadable += "; " + reason
	}
}

// forgive drops the refusal to tell the tags of an AWS managed key, which has
// none.
func forgive(key *inventory.Key) {
	if key.Manager == string(types.KeyManagerTypeAws) && key.TagsUnreadable() {
		key.Unreadable = ""
	}
}

// pause waits a moment for KMS to become consistent.
func (s *Session) pause(ctx context.Context) error {
	t := time.NewTimer(min(time.Second, s.options.MaxBackoff))
	defer t.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-t.C:
		return nil
	}
}
