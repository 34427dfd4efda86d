package wan

import (
	"context"
	"testing"
)

func TestProbe(t *testing.T) {
	t.Parallel()
	here := at("127.0.0.1")
	if hop := probe(t.Context(), here, at("127.0.0.9"), 1); hop.From.IsValid() && (hop != Hop{From: at("127.0.0.9"), Arrived: true}) {
		t.Errorf("a closed port of this computer: %+v", hop)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if hop := probe(ctx, here, here, 1); hop.From.IsValid() {
		t.Errorf("cancelled: %+v", hop)
	}
	for _, control := range [][]byte{nil, {1, 2, 3}, make([]byte, 64)} {
		if hop, ok := parseReport(control); ok {
			t.Errorf("parseReport(%x) = %+v", control, hop)
		}
	}
}
