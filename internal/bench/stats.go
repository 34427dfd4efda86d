package main

import (
	"slices"
	"time"
)

// pair is two runs made right after each other.
type pair struct{ ours, theirs time.Duration }

// summary is what the page shows of a row's pairs.
type summary struct {
	Pairs        int
	Ours, Theirs time.Duration // medians
	Ratio        float64       // median of ours divided by theirs, pair by pair
	Low, High    float64       // quartiles of the same: half of all pairs lie between
}

// inTurn runs the two sides n times in pairs. Each side goes first in every
// other pair, so that neither always finds the machine as the other left it.
func inTurn(n int, ours, theirs func() (time.Duration, error)) ([]pair, error) {
	pairs := make([]pair, n)
	for i := range pairs {
		var errFirst, errSecond error
		if i%2 == 0 {
			pairs[i].ours, errFirst = ours()
		} else {
			pairs[i].theirs, errFirst = theirs()
		}
		if errFirst != nil {
			return nil, errFirst
		}
		if i%2 == 0 {
			pairs[i].theirs, errSecond = theirs()
		} else {
			pairs[i].ours, errSecond = ours()
		}
		if errSecond != nil {
			return nil, errSecond
		}
	}
	return pairs, nil
}

// summarize needs at least one pair.
func summarize(pairs []pair) summary {
	var ours, theirs, ratios []float64
	for _, p := range pairs {
		ours = append(ours, float64(p.ours))
		theirs = append(theirs, float64(p.theirs))
		ratios = append(ratios, float64(p.ours)/float64(p.theirs))
	}
	return summary{
		Pairs: len(pairs),
		Ours:  time.Duration(quantile(ours, 0.5)), Theirs: time.Duration(quantile(theirs, 0.5)),
		Ratio: quantile(ratios, 0.5), Low: quantile(ratios, 0.25), High: quantile(ratios, 0.75),
	}
}

// quantile is the value below which the share q (0 to 1) of at least one value
// lies, drawn straight between the two that are nearest (type 7 of Hyndman and
// Fan, as R and NumPy have it). The median is quantile 0.5.
func quantile(values []float64, q float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	at := q * float64(len(sorted)-1)
	i := int(at)
	if i+1 == len(sorted) {
		return sorted[i]
	}
	return sorted[i] + (at-float64(i))*(sorted[i+1]-sorted[i])
}
