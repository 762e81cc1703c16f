package live

import (
	"fmt"
	"reflect"
	"testing"

	"keywatch/internal/inventory"
	"keywatch/test/fakeaws"
)

func read(t *testing.T, srv *fakeaws.Server) *inventory.Inventory {
	t.Helper()
	inv, err := session(t, srv, quick()).Inventory(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return inv
}

func TestInventoryOfTheWorldIsWholeAtEveryPageSize(t *testing.T) {
	t.Parallel()
	for size := 1; size <= 7; size++ {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			t.Parallel()
			srv := fakeaws.Start(t, world(), fakeaws.PageSize(size))
			if got := read(t, srv); !reflect.DeepEqual(got, worldInventory()) {
				t.Errorf("page size %d:\n got %+v\nwant %+v", size, got, worldInventory())
			}
		})
	}
}
