package powercut

import (
	"fmt"
	"io"
	"os/exec"
	"sync"
	"syscall"
)

// guardian is a process that outlives this one and takes away what it left
// mounted, however it ended: a mount whose process is gone stays in the way until
// somebody does.
var guardian = sync.OnceValues(func() (io.Writer, error) {
	c := exec.Command("sh", "-c", `set --; while read -r folder; do set -- "$@" "$folder"; done; for folder; do umount -l "$folder"; done`)
	c.SysProcAttr = &syscall.SysProcAttr{Setsid: true} // an interrupt of the test is none of it
	told, err := c.StdinPipe()
	if err == nil {
		err = c.Start()
	}
	if err != nil {
		return nil, fmt.Errorf("starting the guardian of mounts: %w", err)
	}
	return told, nil
})

// guard names a folder to the guardian, before it is mounted.
func guard(folder string) error {
	told, err := guardian()
	if err == nil {
		_, err = fmt.Fprintln(told, folder)
	}
	return err
}
