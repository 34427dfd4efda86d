package main

import (
	"errors"
	"strings"
	"testing"
	"time"
)

func TestQuantile(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name              string
		values            []float64
		low, median, high float64
	}{
		{"one value", []float64{7}, 7, 7, 7},
		{"two values", []float64{3, 1}, 1.5, 2, 2.5},
		{"odd, out of order", []float64{5, 1, 4, 2, 3}, 2, 3, 4},
		{"even", []float64{4, 1, 3, 2}, 1.75, 2.5, 3.25},
		{"one far out", []float64{1, 1, 1, 1, 1000}, 1, 1, 1},
	} {
		for _, q := range []struct{ at, want float64 }{{0.25, tt.low}, {0.5, tt.median}, {0.75, tt.high}} {
			if got := quantile(tt.values, q.at); got != q.want {
				t.Errorf("%s: quantile(%v, %v) = %v, want %v", tt.name, tt.values, q.at, got, q.want)
			}
		}
	}
	values := []float64{2, 1}
	quantile(values, 0.5)
	if values[0] != 2 {
		t.Errorf("quantile sorted its argument to %v", values)
	}
}

func TestSummarize(t *testing.T) {
	t.Parallel()
	// The machine was three times as slow during the last pair: the ratio is of
	// pairs, so it does not show.
	ms := time.Millisecond
	got := summarize([]pair{{10 * ms, 20 * ms}, {11 * ms, 20 * ms}, {30 * ms, 60 * ms}, {12 * ms, 16 * ms}, {8 * ms, 20 * ms}})
	want := summary{Pairs: 5, Ours: 11 * ms, Theirs: 20 * ms, Ratio: 0.5, Low: 0.5, High: 0.55}
	if got != want {
		t.Errorf("summarize = %+v, want %+v", got, want)
	}
}

func TestInTurn(t *testing.T) {
	t.Parallel()
	var order strings.Builder
	side := func(name string, took time.Duration) func() (time.Duration, error) {
		return func() (time.Duration, error) {
			order.WriteString(name)
			return took, nil
		}
	}
	pairs, err := inTurn(3, side("o", 1), side("t", 2))
	if want := "ottoot"; order.String() != want || err != nil {
		t.Errorf("inTurn ran %s (%v), want %s", order.String(), err, want)
	}
	for i, p := range pairs {
		if want := (pair{ours: 1, theirs: 2}); p != want {
			t.Errorf("pair %d = %v, want %v", i, p, want)
		}
	}
}

func TestInTurnStopsAtFirstError(t *testing.T) {
	t.Parallel()
	runs := 0
	wrong := errors.New("exit status 1")
	ok := func() (time.Duration, error) { runs++; return 1, nil }
	fail := func() (time.Duration, error) { runs++; return 0, wrong }
	for _, tt := range []struct {
		name         string
		ours, theirs func() (time.Duration, error)
		runs         int
	}{{"ours", fail, ok, 1}, {"theirs", ok, fail, 2}} {
		runs = 0
		if pairs, err := inTurn(5, tt.ours, tt.theirs); !errors.Is(err, wrong) || pairs != nil || runs != tt.runs {
			t.Errorf("%s fails: inTurn = %v, %v after %d runs, want %v after %d", tt.name, pairs, err, runs, wrong, tt.runs)
		}
	}
}
