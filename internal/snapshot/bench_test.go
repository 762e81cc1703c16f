package snapshot_test

import (
	"fmt"
	"testing"

	"keywatch/internal/plan"
	"keywatch/internal/snapshot"
)

// large is an account with as many keys as AWS allows, ten tags each.
func large() snapshot.Snapshot {
	s := of()
	s.Places = plan.Places{Units: map[string]int{}, Stacks: []int{1}}
	for n := range 100_000 {
		k := key(n, alias(fmt.Sprintf("service-%d", n), readAt))
		for i := range 10 {
			tag(fmt.Sprintf("tag-%d", i), fmt.Sprintf("a value of usual length %d", n))(&k)
		}
		s.Inventory.Keys = append(s.Inventory.Keys, k)
		for _, op := range []string{"Decrypt", "Encrypt", "GenerateDataKey", "GenerateDataKeyWithoutPlaintext"} {
			s.Places.Units[k.ID+"/"+op] = 1
		}
	}
	return s
}

func BenchmarkEncode(b *testing.B) {
	s := large()
	b.ReportAllocs()
	for b.Loop() {
		data, err := snapshot.Encode(s)
		if err != nil {
			b.Fatal(err)
		}
		b.SetBytes(int64(len(data)))
	}
}

func BenchmarkDecode(b *testing.B) {
	data, err := snapshot.Encode(large())
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	b.SetBytes(int64(len(data)))
	for b.Loop() {
		if _, err := snapshot.Decode("s.json", data); err != nil {
			b.Fatal(err)
		}
	}
}
