//go:build unix

package stacks

import (
	"syscall"
	"time"
)

// ownGroup keeps what the terminal signals from a process and its children.
func ownGroup() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }

// killGroup ends a process that has a group of its own, and all in it. Nothing
// milder will do: jsii's Node catches every signal that can be caught, and does
// not look at it before its work is done.
func killGroup(leader int) error { return syscall.Kill(-leader, syscall.SIGKILL) }

// killOwnGroup ends this process and all in its group.
func killOwnGroup() { syscall.Kill(0, syscall.SIGKILL) }

// awaitGroup waits until the system has buried those of the group who were not
// children of ours. There are systems on which nobody does: the first process of
// a container may not know that it should.
func awaitGroup(leader int) {
	for end := time.Now().Add(2 * time.Second); syscall.Kill(-leader, 0) == nil && time.Now().Before(end); {
		time.Sleep(time.Millisecond)
	}
}
