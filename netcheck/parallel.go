package netcheck

import "sync"

// parallel runs functions at once and returns when all have ended.
func parallel(functions ...func()) {
	var wg sync.WaitGroup
	for _, f := range functions {
		wg.Go(f)
	}
	wg.Wait()
}
