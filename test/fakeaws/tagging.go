package fakeaws

import (
	"net/http"
	"slices"
)

// tagFilter is a TagFilter of GetResources.
type tagFilter struct {
	Key    string
	Values []string
}

// tagging answers for the Resource Groups Tagging API ("GetResources", Resource
// Groups Tagging API Reference).
func (s *Server) tagging(req *request, f Fault) answer {
	if req.Operation != "GetResources" {
		return unknownOperation(req)
	}
	if len(req.filters) > 50 || slices.ContainsFunc(req.filters, func(f tagFilter) bool { return len(f.Values) > 20 || f.Key == "" }) || req.Limit > 100 {
		return failure(http.StatusBadRequest, "InvalidParameterException", "The request is more than GetResources takes.")
	}
	items := s.cached("GetResources "+req.filterText, func() []*Key {
		return s.keys(func(k *Key) bool { return k.inTagging() && k.fits(req.filters) })
	})
	b, ok := paginate(s, req, f, 100, items)
	if !ok {
		return failure(http.StatusBadRequest, "InvalidParameterException", "The pagination token is not valid.")
	}
	b.items = without(b.items, func(k *Key) bool { return k.Deleted && !k.Lingers })
	// There is no word but the token on whether there is more.
	out := map[string]any{"PaginationToken": b.marker}
	if !b.noList {
		entries := make([]map[string]any, 0, len(b.items))
		for _, k := range b.items {
			tags := make([]map[string]any, 0, len(k.taggingTags()))
			for _, t := range k.taggingTags() {
				tags = append(tags, map[string]any{"Key": t.Key, "Value": t.Value})
			}
			entries = append(entries, map[string]any{"ResourceARN": s.state.arn(*k), "Tags": tags})
		}
		out["ResourceTagMappingList"] = entries
	}
	return answer{json: out}
}

// inTagging says whether the API knows the key: it has tags or ever had.
func (k *Key) inTagging() bool {
	return !k.Untracked && k.Manager != "AWS" && (k.EverTagged || len(k.taggingTags()) > 0)
}

// taggingTags are the tags that the API has of the key by now.
func (k *Key) taggingTags() []Tag {
	if k.StaleTags != nil {
		return k.StaleTags
	}
	return k.Tags
}

// fits: every filter, and of each any value.
func (k *Key) fits(filters []tagFilter) bool {
	for _, f := range filters {
		if !slices.ContainsFunc(k.taggingTags(), func(t Tag) bool {
			return t.Key == f.Key && (len(f.Values) == 0 || slices.Contains(f.Values, t.Value))
		}) {
			return false
		}
	}
	return true
}
