package live

import (
	"context"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/kms/types"

	"keywatch/internal/inventory"
)

// readKey fills in what DescribeKey and ListResourceTags say of the key. Only
// what makes the whole inventory worthless is an error; a refusal for this one
// key is written down in it.
func (s *Session) readKey(ctx context.Context, key *inventory.Key) error {
	described, err := s.describe(ctx, key)
	if err != nil || key.Gone {
		return err
	}
	if described && !taggable(key) {
		return nil
	}
	return s.readTags(ctx, key)
}

// taggable says whether the key's tags can decide anything: AWS managed keys
// have none ("Tags in AWS KMS", KMS Developer Guide), and a key on its way to
// deletion is not watched whatever its tags are.
func taggable(key *inventory.Key) bool {
	return key.Manager != string(types.KeyManagerTypeAws) &&
		key.State != string(types.KeyStatePendingDeletion) &&
		key.State != string(types.KeyStatePendingReplicaDeletion)
}

// describe reports whether the key could be described. If KMS listed the key and
// then does not know it, it asks once more before it calls the key gone, since
// a key that is a moment old may not be known everywhere yet.
func (s *Session) describe(ctx context.Context, key *inventory.Key) (bool, error) {
	md, err := s.describeKey(ctx, key)
	if isNotFound(err) {
		if err := s.pause(ctx); err != nil {
			return false, s.fail(opDescribeKey, key.ID, err)
		}
		md, err = s.describeKey(ctx, key)
		if isNotFound(err) {
			key.Gone = true
			return false, nil
		}
	}
	if isRefusal(err) {
		refuse(key, opDescribeKey, err)
		return false, nil
	}
	if err != nil {
		return false, s.fail(opDescribeKey, key.ID, err)
	}
	key.Manager = string(md.KeyManager)
	key.State = string(md.KeyState)
	key.Usage = string(md.KeyUsage)
	key.Spec = string(md.KeySpec)
	key.Origin = string(md.Origin)
	key.MultiRegion = aws.ToBool(md.MultiRegion)
	key.Created = aws.ToTime(md.CreationDate).UTC()
	return true, nil
}

func (s *Session) describeKey(ctx context.Context, key *inventory.Key) (*types.KeyMetadata, error) {
	out, err := s.kms.DescribeKey(ctx, &kms.DescribeKeyInput{KeyId: &key.ID})
	if err != nil {
		return nil, err
	}
	if out.KeyMetadata == nil {
		return nil, incomplete("the answer holds no key metadata")
	}
	if got := aws.ToString(out.KeyMetadata.Arn); got != key.ARN {
		return nil, incomplete("the answer is about %q", got)
	}
	return out.KeyMetadata, nil
}

// readTags reads the tags of a key, also of one that may not be described: they
// can still tell whether a rule wanted it. If KMS does not know a key that it
// has just described, the key is gone, or else KMS contradicts itself.
func (s *Session) readTags(ctx context.Context, key *inventory.Key) error {
	tags, err := s.listTags(ctx, key)
	if isNotFound(err) {
		if _, err := s.describe(ctx, key); err != nil || key.Gone {
			return err
		}
		if tags, err = s.listTags(ctx, key); isNotFound(err) {
			err = incomplete("KMS describes the key and does not know it: %s", cause(err))
		}
	}
	if isRefusal(err) {
		refuse(key, opListResourceTags, err)
		return nil
	}
	if err != nil {
		return s.fail(opListResourceTags, key.ID, err)
	}
	key.Tags = tags
	return nil
}

func (s *Session) listTags(ctx context.Context, key *inventory.Key) ([]inventory.Tag, error) {
	var tags []inventory.Tag
	values := make(map[string]string)
	err := eachPage(func(marker *string) (page, error) {
		out, err := s.kms.ListResourceTags(ctx, &kms.ListResourceTagsInput{KeyId: &key.ID, Limit: aws.Int32(50), Marker: marker})
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
		if len(tags) > s.limits.tagsPerKey {
			return page{}, incomplete("there are more than %d tags", s.limits.tagsPerKey)
		}
		return page{fresh: len(tags) - before, truncated: out.Truncated, next: out.NextMarker}, nil
	})
	if err != nil {
		return nil, err // half of a key's tags is worse than none
	}
	return tags, nil
}

// refuse notes that AWS would not let this key be read.
func refuse(key *inventory.Key, operation string, err error) {
	reason := operation + ": " + cause(err)
	if key.Unreadable != "" {
		reason = key.Unreadable + "; " + reason
	}
	key.Unreadable = reason
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
