package stacks

import (
	"os"
	"syscall"
)

// ownGroup keeps what the console signals from a process and its children.
func ownGroup() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{CreationFlags: syscall.CREATE_NEW_PROCESS_GROUP}
}

// killGroup ends the process alone: Windows has no signal for a group. Node
// ends when the pipe to it does.
func killGroup(leader int) error {
	p, err := os.FindProcess(leader)
	if err != nil {
		return err
	}
	return p.Kill()
}

func killOwnGroup() { os.Exit(1) }

func awaitGroup(int) {}
