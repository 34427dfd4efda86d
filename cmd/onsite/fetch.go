package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"time"
)

// What a certificate that is fetched may take.
const (
	maxFetched   = 1 << 20 // bytes
	fetchTimeout = 15 * time.Second
)

// fetch downloads a certificate from the address that another one names. Plain
// HTTP is usual there: what comes counts only if its key signed the other.
func (a *app) fetch(ctx context.Context, url string) ([]byte, error) {
	a.say("fetching %s", url)
	ctx, cancel := context.WithTimeout(ctx, fetchTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s: the server says %s", url, resp.Status)
	}
	return io.ReadAll(io.LimitReader(resp.Body, maxFetched))
}
