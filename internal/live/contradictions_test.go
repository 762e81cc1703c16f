package live

import (
	"testing"

	"keywatch/internal/inventory"
	"keywatch/test/fakeaws"
)

const as = " in eu-west-1 as 111122223333: "

func TestAnswersThatCannotBeTheWholeTruthAreErrors(t *testing.T) {
	t.Parallel()
	three := manyKeys(3)
	tests := map[string]struct {
		state    fakeaws.State
		keyByKey bool
		fault    fakeaws.Fault
		limits   *limits
		want     string
	}{
		"keys truncated without a marker": {
			state: three, fault: fakeaws.Fault{Operation: opListKeys, Nth: 3, Kind: fakeaws.NoMarker},
			want: "list keys" + as + "the answer is truncated and names no next page",
		},
		"aliases truncated without a marker": {
			state: three, fault: fakeaws.Fault{Operation: opListAliases, Nth: 1, Kind: fakeaws.NoMarker},
			want: "list aliases" + as + "the answer is truncated and names no next page",
		},
		"tags truncated without a marker": {
			state: three, keyByKey: true, fault: fakeaws.Fault{Operation: opListResourceTags, Key: id(1), Nth: 2, Kind: fakeaws.NoMarker},
			want: "list tags of key " + id(1) + as + "the answer is truncated and names no next page",
		},
		"a marker that comes twice": {
			state: three, fault: fakeaws.Fault{Operation: opListKeys, Nth: 2, Kind: fakeaws.RepeatMarker, Times: fakeaws.Forever},
			want: "list keys" + as + "the same page marker came twice",
		},
		"empty pages without end": {
			state: three, fault: fakeaws.Fault{Operation: opListKeys, Nth: 2, Kind: fakeaws.NoItems, Times: fakeaws.Forever},
			want: "list keys" + as + "101 pages in a row brought nothing new",
		},
		"a marker that KMS itself refuses": {
			state: three, fault: fakeaws.Fault{Operation: opListKeys, Nth: 2, Kind: fakeaws.InvalidMarker},
			want: "list keys" + as + "InvalidMarkerException: The marker is not valid",
		},
		"an empty answer instead of keys": {
			state: three, fault: fakeaws.Fault{Operation: opListKeys, Nth: 1, Kind: fakeaws.Empty},
			want: "list keys" + as + "the answer holds no list of keys",
		},
		"an empty answer instead of aliases": {
			state: three, fault: fakeaws.Fault{Operation: opListAliases, Nth: 1, Kind: fakeaws.Empty},
			want: "list aliases" + as + "the answer holds no list of aliases",
		},
		"an empty answer instead of a key": {
			state: three, fault: fakeaws.Fault{Operation: opDescribeKey, Key: id(2), Kind: fakeaws.Empty},
			want: "describe key " + id(2) + as + "the answer holds no key metadata",
		},
		"an empty answer instead of tags": {
			state: three, keyByKey: true, fault: fakeaws.Fault{Operation: opListResourceTags, Key: id(2), Kind: fakeaws.Empty},
			want: "list tags of key " + id(2) + as + "the answer holds no list of tags",
		},
		"a key that is described and has no tags to be found": {
			state: three, keyByKey: true, fault: fakeaws.Fault{Operation: opListResourceTags, Key: id(2), Kind: fakeaws.NotFound, Times: fakeaws.Forever},
			want: "list tags of key " + id(2) + as + "KMS describes the key and does not know it: NotFoundException: Key '" + id(2) + "' does not exist",
		},
		"a key of another account": {
			state: fakeaws.State{Keys: []fakeaws.Key{{ID: id(1), ARN: "arn:aws:kms:eu-west-1:444455556666:key/" + id(1)}}},
			want:  "list keys" + as + "key arn:aws:kms:eu-west-1:444455556666:key/" + id(1) + " is not of account 111122223333 in eu-west-1",
		},
		"a key of another region": {
			state: fakeaws.State{Keys: []fakeaws.Key{{ID: id(1), ARN: "arn:aws:kms:us-east-1:111122223333:key/" + id(1)}}},
			want:  "list keys" + as + "key arn:aws:kms:us-east-1:111122223333:key/" + id(1) + " is not of account 111122223333 in eu-west-1",
		},
		"a key that is described as another one": {
			state: fakeaws.State{
				Keys:    []fakeaws.Key{{ID: id(1), Unlisted: true, ARN: arnOf(id(2))}},
				Aliases: []fakeaws.Alias{{Name: "alias/a", Target: id(1)}},
			},
			want: "describe key " + id(1) + as + `the answer is about "` + arnOf(id(2)) + `"`,
		},
		"a key whose ARN is none": {
			state: fakeaws.State{Keys: []fakeaws.Key{{ID: id(1), ARN: "key/" + id(1)}}},
			want:  "list keys" + as + `"key/` + id(1) + `" is not the ARN of a key`,
		},
		"a key that is listed with the ARN of another": {
			state: fakeaws.State{Keys: []fakeaws.Key{{ID: id(1), ARN: arnOf(id(2))}}},
			want:  "list keys" + as + `"` + arnOf(id(2)) + `" is not the ARN of key "` + id(1) + `"`,
		},
		"tags of a key of another account": {
			state: fakeaws.State{Keys: []fakeaws.Key{{ID: id(1), ARN: "arn:aws:kms:eu-west-1:444455556666:key/" + id(1), Unlisted: true, EverTagged: true}}},
			want:  "get tags of keys" + as + "key arn:aws:kms:eu-west-1:444455556666:key/" + id(1) + " is not of account 111122223333 in eu-west-1",
		},
		"an empty answer instead of the tags of keys": {
			state: three, fault: fakeaws.Fault{Operation: opGetResources, Nth: 2, Kind: fakeaws.Empty},
			want: "get tags of keys" + as + "the answer holds no list of resources",
		},
		"tags of keys whose token comes twice": {
			state: three, fault: fakeaws.Fault{Operation: opGetResources, Nth: 2, Kind: fakeaws.RepeatMarker, Times: fakeaws.Forever},
			want: "get tags of keys" + as + "the same page marker came twice",
		},
		"tags of keys without end": {
			state: three, fault: fakeaws.Fault{Operation: opGetResources, Nth: 2, Kind: fakeaws.NoItems, Times: fakeaws.Forever},
			want: "get tags of keys" + as + "101 pages in a row brought nothing new",
		},
		"a token that expires every time": {
			state: three, fault: fakeaws.Fault{Operation: opGetResources, Nth: 2, Kind: fakeaws.ExpiredPage, Times: fakeaws.Forever},
			want: "get tags of keys" + as + "PaginationTokenExpiredException: The pagination token has expired",
		},
		"an alias of two keys": {
			state: fakeaws.State{
				Keys:    []fakeaws.Key{{ID: id(1)}, {ID: id(2)}},
				Aliases: []fakeaws.Alias{{Name: "alias/a", Target: id(1)}, {Name: "alias/a", Target: id(2)}},
			},
			want: "list aliases" + as + "alias/a is listed with two keys, " + id(1) + " and " + id(2),
		},
		"a tag with two values": {
			state: fakeaws.State{Keys: []fakeaws.Key{{ID: id(1), Tags: []fakeaws.Tag{{Key: "a", Value: "b"}, {Key: "a", Value: "c"}}}}}, keyByKey: true,
			want: "list tags of key " + id(1) + as + `tag "a" is listed with two values`,
		},
		"a tag with two values, in bulk": {
			state: fakeaws.State{Keys: []fakeaws.Key{{ID: id(1), Tags: []fakeaws.Tag{{Key: "a", Value: "b"}, {Key: "a", Value: "c"}}}}},
			want:  "get tags of keys" + as + "key " + id(1) + `: tag "a" is listed with two values`,
		},
		"more keys than can be": {
			state: fakeaws.State{Keys: []fakeaws.Key{{ID: id(1)}, {ID: id(2)}, {ID: id(3)}}}, limits: &limits{keys: 2, aliases: 9, tagsPerKey: 9},
			want: "list keys" + as + "there are more than 2 keys",
		},
		"more aliases than can be": {
			state: three, limits: &limits{keys: 9, aliases: 2, tagsPerKey: 9},
			want: "list aliases" + as + "there are more than 2 aliases",
		},
		"more tags than can be": {
			state: manyKeys(1), keyByKey: true, limits: &limits{keys: 9, aliases: 9, tagsPerKey: 1},
			want: "list tags of key " + id(0) + as + "there are more than 1 tags",
		},
		"more tags than can be, in bulk": {
			state: manyKeys(1), limits: &limits{keys: 9, aliases: 9, tagsPerKey: 1},
			want: "get tags of keys" + as + "key " + id(0) + ": there are more than 1 tags",
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			srv := fakeaws.Start(t, tt.state)
			if tt.keyByKey {
				withoutTagging(srv)
			}
			if tt.fault.Kind != 0 {
				srv.Fail(tt.fault)
			}
			s := session(t, srv, quick())
			if tt.limits != nil {
				s.limits = *tt.limits
			}
			inv, err := s.Inventory(t.Context(), inventory.Need{})
			if inv != nil {
				t.Errorf("an inventory beside the error: %+v", inv)
			}
			wantError(t, err, Incomplete, tt.want)
			wantHint(t, err, "repeat the command; keywatch never goes on with a part of the keys")
		})
	}
}
