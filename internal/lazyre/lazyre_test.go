package lazyre_test

import (
	"testing"

	"onsite/internal/lazyre"
)

func TestNew(t *testing.T) {
	t.Parallel()
	digits := lazyre.New(`^\d+$`)
	first := digits()
	if !first.MatchString("12") || first.MatchString("x") || digits() != first {
		t.Error("it is compiled once, and means what it says")
	}
	wrong := lazyre.New(`(`) // which does no harm yet
	defer func() {
		if recover() == nil {
			t.Error("a wrong expression is used")
		}
	}()
	wrong()
}
