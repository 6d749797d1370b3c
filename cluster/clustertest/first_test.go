package clustertest

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"
)

func TestFirst(t *testing.T) {
	begin := time.Now()
	c := New(t, 3)
	t.Log("ready", time.Since(begin))
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	begin = time.Now()
	for i := range 100 {
		if _, err := c.Nodes()[i%3].Propose(ctx, fmt.Append(nil, i)); err != nil {
			t.Fatal(i, err)
		}
	}
	t.Log("100 sequential", time.Since(begin))
	begin = time.Now()
	var wg sync.WaitGroup
	for w := range 64 {
		wg.Go(func() {
			for i := range 200 {
				if _, err := c.Nodes()[w%3].Propose(ctx, fmt.Append(nil, w, i)); err != nil {
					t.Error(i, err)
					return
				}
			}
		})
	}
	wg.Wait()
	t.Log("12800 by 64", time.Since(begin))
	l := c.Leader()
	t.Log(l.Name)
	begin = time.Now()
	l.Kill()
	t.Log("killed", time.Since(begin))
	if _, err := c.Running()[0].Propose(ctx, []byte("x")); err != nil {
		t.Fatal(err)
	}
	t.Log("after kill", time.Since(begin))
	l.Start()
	c.WaitReady()
	c.WaitAgreement()
	for _, n := range c.Nodes() {
		t.Logf("%+v", n.Status())
	}
}
