package testpostgres

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// tick is the unit of times in /proc, a hundredth of a second on every Linux.
const tick = 10 * time.Millisecond

// Processor is the processor time that the server's living processes have used, and
// those of its ended ones that it has taken note of.
func (c *Cluster) Processor() (time.Duration, error) {
	found, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		return 0, fmt.Errorf("listing processes: %w", err)
	}
	server := strconv.Itoa(c.PID())
	var ticks int64
	for _, name := range found {
		text, err := os.ReadFile(name)
		if err != nil {
			continue // it has ended
		}
		// After the name of the program, in brackets: state, parent, …
		fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
		isServer := filepath.Base(filepath.Dir(name)) == server
		if len(fields) < 15 || !isServer && fields[1] != server {
			continue
		}
		times := fields[11:13] // utime, stime
		if isServer {
			times = fields[11:15] // and those of its children that ended
		}
		for _, t := range times {
			n, err := strconv.ParseInt(t, 10, 64)
			if err != nil {
				return 0, fmt.Errorf("reading %s: %w", name, err)
			}
			ticks += n
		}
	}
	return time.Duration(ticks) * tick, nil
}
