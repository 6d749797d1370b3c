package main

import (
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// timerSlack is by how much the kernel may be late to wake a thread that sleeps: a node
// waits for nothing that is so short. While a process has work, a thread of Go's runtime
// sleeps 20 µs again and again, to see what became of threads in system calls. With the
// kernel's own slack those wake-ups were a sixth of the CPU of nodes that share a machine
// (docs/benchmarks.md, "What binds").
const (
	timerSlack  = 200 * time.Microsecond
	kernelSlack = 50 * time.Microsecond // who has another one has it for a reason
)

// slackTried is set, in the environment, in a process that was begun anew.
const slackTried = "PMMC_TIMER_SLACK_TRIED"

// relaxTimers gives all threads the timer slack. A thread has it from the one that started
// it, and the runtime's is there before any code of ours, so the program begins anew in the
// same process. Where it is not certain that this works, the node goes on without.
func relaxTimers() {
	if os.Getenv(slackTried) != "" {
		_ = os.Unsetenv(slackTried) // it cannot fail: the name is a good one
		return
	}
	path, err := exec.LookPath(os.Args[0])
	if err != nil || !runs(path) {
		return
	}
	runtime.LockOSThread() // the thread that calls exec hands on what it has
	defer runtime.UnlockOSThread()
	if slack() != kernelSlack || unix.Prctl(unix.PR_SET_TIMERSLACK, uintptr(timerSlack), 0, 0, 0) != nil || slack() != timerSlack {
		return
	}
	_ = syscall.Exec(path, os.Args, append(os.Environ(), slackTried+"=1")) // returns only if it failed
}

// runs tells whether a file is the one that this process runs. It is another where a
// loader was told to run it, or where it was replaced since.
func runs(path string) bool {
	running, err := os.Stat("/proc/self/exe")
	if err != nil {
		return false
	}
	named, err := os.Stat(path)
	return err == nil && os.SameFile(named, running)
}

// slack is the timer slack of the thread that runs, 0 if it is not known.
func slack() time.Duration {
	n, err := unix.PrctlRetInt(unix.PR_GET_TIMERSLACK, 0, 0, 0, 0)
	if err != nil {
		return 0
	}
	return time.Duration(n)
}
