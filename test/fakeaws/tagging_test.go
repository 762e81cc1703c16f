package fakeaws_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	tagging "github.com/aws/aws-sdk-go-v2/service/resourcegroupstaggingapi"
	"github.com/aws/aws-sdk-go-v2/service/resourcegroupstaggingapi/types"

	"keywatch/test/fakeaws"
)

// resources asks for all pages and returns "key tag=value …", sorted.
func resources(t *testing.T, srv *fakeaws.Server, filters ...types.TagFilter) []string {
	t.Helper()
	var out []string
	in := &tagging.GetResourcesInput{ResourceTypeFilters: []string{"kms:key"}, ResourcesPerPage: aws.Int32(100), TagFilters: filters}
	for {
		page, err := tagging.NewFromConfig(config(srv)).GetResources(t.Context(), in)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range page.ResourceTagMappingList {
			s := (*m.ResourceARN)[strings.LastIndex(*m.ResourceARN, "/")+1:]
			for _, tag := range m.Tags {
				s += " " + *tag.Key + "=" + *tag.Value
			}
			out = append(out, s)
		}
		if aws.ToString(page.PaginationToken) == "" {
			slices.Sort(out)
			return out
		}
		in.PaginationToken = page.PaginationToken
	}
}

func tags(list ...string) []fakeaws.Tag {
	var out []fakeaws.Tag
	for _, s := range list {
		k, v, _ := strings.Cut(s, "=")
		out = append(out, fakeaws.Tag{Key: k, Value: v})
	}
	return out
}

func TestTheTaggingAPIKnowsKeysThatHaveOrHadTags(t *testing.T) {
	t.Parallel()
	srv := fakeaws.Start(t, fakeaws.State{Keys: []fakeaws.Key{
		{ID: "tagged", Tags: tags("a=1", "b=2")},
		{ID: "never"},
		{ID: "once", EverTagged: true},
		{ID: "managed", Manager: "AWS", Tags: tags("a=1")},
		{ID: "new", Tags: tags("a=1"), Untracked: true},
		{ID: "retagged", Tags: tags("a=new"), StaleTags: tags("a=old")},
		{ID: "deleted", Tags: tags("a=1"), Deleted: true},
		{ID: "lingers", Tags: tags("a=1"), Deleted: true, Lingers: true},
		{ID: "denied", Tags: tags("a=1"), DenyDescribe: true, DenyTags: true},
	}})
	want := []string{"denied a=1", "lingers a=1", "once", "retagged a=old", "tagged a=1 b=2"}
	if got := resources(t, srv); !slices.Equal(got, want) {
		t.Errorf("got %q\nwant %q", got, want)
	}
}

// Filters as the API reference has them: all keys, any value, no values at all.
func TestTagFilters(t *testing.T) {
	t.Parallel()
	srv := fakeaws.Start(t, fakeaws.State{Keys: []fakeaws.Key{
		{ID: "1", Tags: tags("team=a", "env=prod")}, {ID: "2", Tags: tags("team=b", "env=prod")}, {ID: "3", Tags: tags("team=", "env=dev")}, {ID: "4", EverTagged: true},
	}})
	f := func(key string, values ...string) types.TagFilter {
		return types.TagFilter{Key: &key, Values: values}
	}
	for want, filters := range map[string][]types.TagFilter{
		"1 2 3": {f("team")},
		"1":     {f("team", "a")},
		"1 2":   {f("team", "a", "b")},
		"2":     {f("team", "b", "c"), f("env", "prod")},
		"":      {f("Team")},
		"3":     {f("env", "dev"), f("team")},
	} {
		var ids []string
		for _, s := range resources(t, srv, filters...) {
			ids = append(ids, strings.Fields(s)[0])
		}
		if got := strings.Join(ids, " "); got != want {
			t.Errorf("got %q; want %q", got, want)
		}
	}
}

func TestGetResourcesRefusesWhatAWSDoes(t *testing.T) {
	t.Parallel()
	srv := fakeaws.Start(t, fakeaws.State{})
	many := make([]string, 21)
	for name, in := range map[string]*tagging.GetResourcesInput{
		"21 values":    {TagFilters: []types.TagFilter{{Key: aws.String("a"), Values: many}}},
		"51 keys":      {TagFilters: slices.Repeat([]types.TagFilter{{Key: aws.String("a")}}, 51)},
		"101 per page": {ResourcesPerPage: aws.Int32(101)},
		"a bad token":  {PaginationToken: aws.String("x")},
	} {
		in.ResourceTypeFilters = []string{"kms:key"}
		if _, err := tagging.NewFromConfig(config(srv)).GetResources(t.Context(), in); code(err) != "InvalidParameterException" {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestAKeyDeletedBetweenTwoPagesMovesNoOther(t *testing.T) {
	t.Parallel()
	srv := fakeaws.Start(t, fakeaws.State{Keys: keys(6)}, fakeaws.PageSize(2))
	srv.Fail(fakeaws.Fault{Operation: "kms:ListKeys", Nth: 2, Kind: fakeaws.OnlyChange, Change: func(s *fakeaws.State) { s.Keys[0].Deleted, s.Keys[2].Deleted = true, true }})
	if got := pages(t, srv, nil); !slices.Equal(got, []int{2, 1, 2}) {
		t.Errorf("got %v; want the second page without a key", got)
	}
	_, err := kms.NewFromConfig(config(srv)).DescribeKey(t.Context(), &kms.DescribeKeyInput{KeyId: aws.String("key-0")})
	if code(err) != "NotFoundException" {
		t.Errorf("got %v", err)
	}
}

func TestQuotasThrottleBeyondASecondsWorth(t *testing.T) {
	t.Parallel()
	srv := fakeaws.Start(t, fakeaws.State{Keys: keys(1)}, fakeaws.Quotas(map[string]float64{"kms:ListKeys": 5, "tag:GetResources": 1}))
	codes := map[string]int{}
	for range 20 {
		_, err := kms.NewFromConfig(config(srv)).ListKeys(t.Context(), nil)
		codes[code(err)]++
	}
	if codes["<nil>"] < 5 || codes["<nil>"] > 15 || codes["ThrottlingException"] != 20-codes["<nil>"] {
		t.Errorf("got %v", codes)
	}
	client := tagging.NewFromConfig(config(srv))
	in := &tagging.GetResourcesInput{ResourceTypeFilters: []string{"kms:key"}}
	_, first := client.GetResources(t.Context(), in)
	_, second := client.GetResources(t.Context(), in)
	if first != nil || code(second) != "ThrottledException" {
		t.Errorf("got %v, %v", first, second)
	}
	if _, err := kms.NewFromConfig(config(srv)).ListAliases(t.Context(), nil); err != nil {
		t.Errorf("an operation without a quota: %v", err)
	}
}

func TestLatencyAndDribbling(t *testing.T) {
	t.Parallel()
	srv := fakeaws.Start(t, fakeaws.State{Keys: keys(1)}, fakeaws.Latency(30*time.Millisecond))
	srv.Fail(fakeaws.Fault{Nth: 2, Kind: fakeaws.Dribble, Delay: 5 * time.Millisecond})
	for i, least := range []time.Duration{30 * time.Millisecond, 60 * time.Millisecond} {
		begin := time.Now()
		out, err := kms.NewFromConfig(config(srv)).ListKeys(t.Context(), nil)
		if err != nil || len(out.Keys) != 1 || time.Since(begin) < least {
			t.Errorf("request %d: %v, %v after %s", i, out, err, time.Since(begin))
		}
	}
}

func TestLargeAccountsAreServedFast(t *testing.T) {
	t.Parallel()
	var st fakeaws.State
	for i := range 50_000 {
		st.Keys = append(st.Keys, fakeaws.Key{ID: fmt.Sprint("key-", i), Tags: tags("a=1")})
	}
	srv := fakeaws.Start(t, st, fakeaws.PageSize(1000))
	begin := time.Now()
	if got := pages(t, srv, aws.Int32(1000)); len(got) != 50 {
		t.Errorf("%d pages", len(got))
	}
	for range 200 {
		if _, err := kms.NewFromConfig(config(srv)).DescribeKey(t.Context(), &kms.DescribeKeyInput{KeyId: aws.String("key-49999")}); err != nil {
			t.Fatal(err)
		}
	}
	if took := time.Since(begin); took > 10*time.Second {
		t.Errorf("%s", took)
	}
}
