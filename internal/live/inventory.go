package live

import (
	"cmp"
	"context"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/arn"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"golang.org/x/sync/errgroup"

	"keywatch/internal/inventory"
)

// Inventory reads every KMS key of the account and region. The result is whole
// and sorted, or there is an [*Error].
//
// Calls for N keys with A aliases: GetCallerIdentity unless it was called
// before, N/1000 ListKeys, A/100 ListAliases, N DescribeKey, and a
// ListResourceTags for each key that a rule could match: AWS managed keys
// cannot be tagged and keys pending deletion are not watched.
func (s *Session) Inventory(ctx context.Context) (*inventory.Inventory, error) {
	readAt := s.options.Now().UTC()
	caller, err := s.Caller(ctx)
	if err != nil {
		return nil, err
	}
	listed := &listing{caller: caller, region: s.region, index: make(map[string]int)}
	if err := s.listKeys(ctx, listed); err != nil {
		return nil, s.fail(opListKeys, "", err)
	}
	if err := s.listAliases(ctx, listed); err != nil {
		return nil, s.fail(opListAliases, "", err)
	}
	if err := s.readKeys(ctx, listed.keys); err != nil {
		return nil, err
	}
	inv := &inventory.Inventory{
		Account:   caller.Account,
		Region:    s.region,
		Partition: caller.Partition,
		ReadAt:    readAt,
		Keys:      listed.keys,
	}
	inv.Sort()
	return inv, nil
}

// listing collects the keys that ListKeys and ListAliases name.
type listing struct {
	caller Caller
	region string
	keys   []inventory.Key
	index  map[string]int // key ID → place in keys
}

func (s *Session) listKeys(ctx context.Context, l *listing) error {
	return eachPage(func(marker *string) (page, error) {
		out, err := s.kms.ListKeys(ctx, &kms.ListKeysInput{Limit: aws.Int32(1000), Marker: marker})
		if err != nil {
			return page{}, err
		}
		if out.Keys == nil {
			return page{}, incomplete("the answer holds no list of keys")
		}
		before := len(l.keys)
		for _, k := range out.Keys {
			if err := l.addKey(aws.ToString(k.KeyId), aws.ToString(k.KeyArn)); err != nil {
				return page{}, err
			}
		}
		if len(l.keys) > s.limits.keys {
			return page{}, incomplete("there are more than %d keys", s.limits.keys)
		}
		return page{fresh: len(l.keys) - before, truncated: out.Truncated, next: out.NextMarker}, nil
	})
}

// addKey takes a key that KMS listed, once. A key of another account or region
// can only mean that something other than this account's KMS has answered.
func (l *listing) addKey(id, keyARN string) error {
	parsed, err := arn.Parse(keyARN)
	if err != nil || id == "" || parsed.Resource != "key/"+id {
		return incomplete("%q is not the ARN of key %q", keyARN, id)
	}
	if parsed.AccountID != l.caller.Account || parsed.Region != l.region {
		return incomplete("key %s is not of account %s in %s", keyARN, l.caller.Account, l.region)
	}
	if _, ok := l.index[id]; !ok {
		l.index[id] = len(l.keys)
		l.keys = append(l.keys, inventory.Key{ARN: keyARN, ID: id})
	}
	return nil
}

func (s *Session) listAliases(ctx context.Context, l *listing) error {
	targets := make(map[string]string) // alias name → key ID
	return eachPage(func(marker *string) (page, error) {
		out, err := s.kms.ListAliases(ctx, &kms.ListAliasesInput{Limit: aws.Int32(100), Marker: marker})
		if err != nil {
			return page{}, err
		}
		if out.Aliases == nil {
			return page{}, incomplete("the answer holds no list of aliases")
		}
		before := len(targets)
		for _, a := range out.Aliases {
			name, target := aws.ToString(a.AliasName), aws.ToString(a.TargetKeyId)
			if known, ok := targets[name]; ok && known != target {
				return page{}, incomplete("%s is listed with two keys, %s and %s", name, orNone(known), orNone(target))
			} else if ok {
				continue
			}
			targets[name] = target
			l.addAlias(inventory.Alias{Name: name, Created: aws.ToTime(a.CreationDate).UTC()}, target)
		}
		if len(targets) > s.limits.aliases {
			return page{}, incomplete("there are more than %d aliases", s.limits.aliases)
		}
		return page{fresh: len(targets) - before, truncated: out.Truncated, next: out.NextMarker}, nil
	})
}

// addAlias gives the alias to its key. The predefined alias/aws/… may have no
// key yet ("ListAliases", KMS API Reference), and theirs are AWS managed keys:
// they are left out unless ListKeys named the key. Any other alias whose key
// ListKeys did not name proves that there is such a key, made a moment ago or
// not yet in the listing (KMS is eventually consistent): it is taken into the
// inventory, so that the key is described like every other one.
func (l *listing) addAlias(a inventory.Alias, target string) {
	i, ok := l.index[target]
	if !ok {
		if target == "" || strings.HasPrefix(a.Name, "alias/aws/") {
			return
		}
		i = len(l.keys)
		l.index[target] = i
		l.keys = append(l.keys, inventory.Key{ID: target, ARN: arn.ARN{
			Partition: l.caller.Partition,
			Service:   "kms",
			Region:    l.region,
			AccountID: l.caller.Account,
			Resource:  "key/" + target,
		}.String()})
	}
	l.keys[i].Aliases = append(l.keys[i].Aliases, a)
}

func orNone(s string) string { return cmp.Or(s, "none") }

// readKeys reads all keys, a bounded number at once. The first fatal error
// cancels the rest.
func (s *Session) readKeys(ctx context.Context, keys []inventory.Key) error {
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(s.options.Concurrency)
	for i := range keys {
		if gctx.Err() != nil {
			break
		}
		g.Go(func() error { return s.readKey(gctx, &keys[i]) })
	}
	if err := g.Wait(); err != nil {
		return err
	}
	// The caller's own cancellation may have ended the loop before any worker
	// noticed: keys that nobody read are not an inventory.
	if err := context.Cause(ctx); err != nil {
		return s.fail(opDescribeKey, "", err)
	}
	return nil
}
