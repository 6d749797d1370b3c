package actors

import "time"

// TimeoutOptions bound how long a leader waits for a sign of life from the one in
// office before it thinks of running (§3).
type TimeoutOptions struct {
	Initial, Min, Max time.Duration
	Factor            float64       // a wrong guess multiplies it
	Step              time.Duration // a decision shortens it
}

// timeout adapts as TCP's window does, the other way round: multiplicative
// increase after each preemption, additive decrease as decisions are made.
type timeout struct {
	TimeoutOptions
	now time.Duration
}

func newTimeout(o TimeoutOptions) timeout { return timeout{TimeoutOptions: o, now: o.Initial} }

func (t *timeout) preempted() {
	t.now = min(t.Max, time.Duration(float64(t.now)*t.Factor))
}

func (t *timeout) decided() { t.now = max(t.Min, t.now-t.Step) }

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
