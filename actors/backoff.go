package actors

import "time"

// TimeoutOptions bound how long a leader waits for a sign of life from the one in
// office before it thinks of running (§3).
type TimeoutOptions struct {
	Initial, Min, Max time.Duration
	Factor            float64       // a duel multiplies it
	Step              time.Duration // a decision shortens it
}

// timeout adapts as TCP's window does, the other way round: multiplicative increase
// after each duel, additive decrease with each decision. While somebody is in office it
// also returns to where it began, so that an idle cluster forgets its duels (L2).
//
// Invariant: Min ≤ now ≤ Max.
type timeout struct {
	TimeoutOptions
	now time.Duration
}

func newTimeout(o TimeoutOptions) timeout { return timeout{TimeoutOptions: o, now: o.Initial} }

// disturbed lengthens the time-out: this leader's own run was disturbed, or was too slow
// for the network. Then it ran too early, and so may others again.
func (t *timeout) disturbed() {
	t.now = min(t.Max, time.Duration(float64(t.now)*t.Factor))
}

// decided shortens the time-out for a number of slots that were executed.
func (t *timeout) decided(slots uint64) {
	most := uint64(t.Max/t.Step) + 1 // enough to get anywhere, and no overflow
	t.now = max(t.Min, t.now-time.Duration(min(slots, most))*t.Step)
}

// restShift makes a time-out that is too long shorter by half in 180 quiet ticks: 9 s, as
// ping is by default. A duel is over long before.
const restShift = 8

// rest brings a time-out that duels made longer nearer to Initial, for a quiet tick.
func (t *timeout) rest() {
	if over := t.now - t.Initial; over > 0 {
		t.now -= min(over, max(t.Step, over>>restShift))
	}
}

// ticks is the time-out in ticks of length d, rounded up, at least one.
func (t *timeout) ticks(d time.Duration) int { return max(1, int((t.now+d-1)/d)) }

// jitter draws from [d, 3d/2), so that equals do not act in step.
func jitter(env Env, d time.Duration) time.Duration {
	if d < 2 {
		return d
	}
	return d + time.Duration(env.Rand()%uint64(d/2))
}

// resendIn is the pause before the n-th repetition of a question, n from 0: it
// doubles up to eight times d, with jitter.
func resendIn(env Env, d time.Duration, n int) time.Duration {
	return jitter(env, d<<min(n, 3))
}
