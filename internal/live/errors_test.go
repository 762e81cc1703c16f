package live

import (
	"errors"
	"testing"
)

func wantError(t *testing.T, err error, class Class, text string) {
	t.Helper()
	e := (*Error)(nil)
	if !errors.As(err, &e) {
		t.Fatalf("got %v (%T); want an *Error", err, err)
	}
	if e.Class != class || err.Error() != text {
		t.Errorf("got  %s: %s\nwant %s: %s", e.Class, err, class, text)
	}
}
