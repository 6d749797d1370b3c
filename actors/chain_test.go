package actors

import (
	"fmt"
	"testing"
)

// R1: who executed another decree is found at the next slot at which hashes are compared, by
// who is behind and by who is ahead, and the slots in question are named.
func TestR1_ADecreeThatIsAnotherOneIsFound(t *testing.T) {
	for _, wrong := range []uint64{1, 15, 16, 100, chainEra, chainEra + 5} {
		for _, ahead := range []uint64{0, 5, 40} {
			a, b := newChain(), newChain()
			a.resume(0, 1)
			b.resume(0, 1)
			at := uint64(1)
			for ; at < wrong+ahead+100; at++ {
				decree := fmt.Appendf(nil, "decree %d", at)
				a.extend(at, decree)
				a.hear("b", b.last, b.marks[b.last])
				if late := int64(at) - int64(ahead); late > 0 {
					decree = fmt.Appendf(nil, "decree %d", late)
					if uint64(late) == wrong {
						decree = []byte("another one")
					}
					b.extend(uint64(late), decree)
					b.hear("a", a.last, a.marks[a.last])
				}
				_, found := a.view()
				_, alike := b.view()
				if len(found) > 0 && len(alike) > 0 {
					break
				}
			}
			for _, c := range []*chain{&a, &b} {
				_, found := c.view()
				if len(found) != 1 || found[0].First > wrong || found[0].Below <= wrong {
					t.Errorf("slot %d is another decree, one is %d slots ahead: after slot %d, found %v", wrong, ahead, at, found)
				}
			}
		}
	}
}

// A replica whose state has no hash says nothing and finds nothing, until the next era; one
// that goes on from its state finds what it would have found.
func TestAChainGoesOn(t *testing.T) {
	a, b, old := newChain(), newChain(), newChain()
	a.resume(0, 1)
	b.resume(0, 1)
	old.resume(0, 777)
	for slot := uint64(1); slot < chainEra+100; slot++ {
		decree := fmt.Appendf(nil, "decree %d", slot)
		a.extend(slot, decree)
		b.extend(slot, decree)
		if slot%1000 == 0 {
			value := b.value
			b = newChain()
			b.resume(value, slot+1)
		}
		if slot >= 777 {
			old.extend(slot, decree)
		}
		a.hear("b", b.last, b.marks[b.last])
		a.hear("old", old.last, old.marks[old.last])
		if _, found := a.view(); len(found) > 0 {
			t.Fatalf("at slot %d: %v", slot, found)
		}
		if slot == chainEra-1 && old.value != 0 {
			t.Error("a hash began in the middle")
		}
	}
	if agrees, _ := a.view(); len(agrees) != 2 {
		t.Errorf("it agrees with %v", agrees)
	}
}

func BenchmarkChain(b *testing.B) {
	for _, size := range []int{100, 4096} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			c, decree := newChain(), make([]byte, size)
			c.resume(0, 1)
			for slot := uint64(1); b.Loop(); slot++ {
				c.extend(slot, decree)
			}
		})
	}
}

// Who agreed before there was a difference is on nobody's side yet, and a replica that is
// no member any more on none at all.
func TestAgreementIsUpToTheDifference(t *testing.T) {
	c := newChain()
	c.resume(0, 1)
	for slot := uint64(1); slot < 4*chainEvery; slot++ {
		c.extend(slot, nil)
	}
	early, late := uint64(chainEvery), uint64(3*chainEvery)
	c.hear("b", early, c.marks[early])
	c.hear("c", late, c.marks[late]+1)
	if agrees, diverged := c.view(); len(agrees) != 0 || len(diverged) != 1 {
		t.Errorf("agrees with %v, and not with %v", agrees, diverged)
	}
	c.hear("b", late, c.marks[late])
	if agrees, _ := c.view(); len(agrees) != 1 {
		t.Errorf("agrees with %v", agrees)
	}
	c.retain([]Addr{"b"})
	if agrees, diverged := c.view(); len(agrees) != 1 || len(diverged) != 0 {
		t.Errorf("agrees with %v, and not with %v", agrees, diverged)
	}
}
