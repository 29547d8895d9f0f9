package bench

import (
	"fmt"
	"os"
	"runtime"
	"strings"
	"syscall"
)

// Machine is what a run ran on.
type Machine struct {
	Processor string `json:"processor"`
	Cores     int    `json:"cores"`
	Memory    int64  `json:"memory_octets"`
	System    string `json:"system"`
	Disk      string `json:"file_system"`
	Go        string `json:"go"`
}

// describe tells what the system says of itself, and of the file system that a
// folder is on.
func describe(folder string) Machine {
	m := Machine{Processor: field("/proc/cpuinfo", "model name"), Cores: runtime.GOMAXPROCS(0), System: runtime.GOOS + "/" + runtime.GOARCH, Go: runtime.Version()}
	var memory syscall.Sysinfo_t
	if syscall.Sysinfo(&memory) == nil {
		m.Memory = int64(memory.Totalram) * int64(memory.Unit)
	}
	release, err := os.ReadFile("/proc/sys/kernel/osrelease")
	if err == nil {
		m.System += " " + strings.TrimSpace(string(release))
	}
	var disk syscall.Statfs_t
	if syscall.Statfs(folder, &disk) == nil {
		m.Disk = fileSystems[int64(disk.Type)]
	}
	return m
}

// fileSystems are the usual ones by their number (statfs(2)).
var fileSystems = map[int64]string{
	0xef53: "ext4", 0x58465342: "xfs", 0x9123683e: "btrfs", 0x2fc12fc1: "zfs", 0x794c7630: "overlay", inMemory: "tmpfs",
}

const inMemory = 0x01021994

func (m Machine) memoryDisk() bool { return m.Disk == fileSystems[inMemory] }

// free is how many octets a folder's disk has left.
func free(folder string) (int64, error) {
	var disk syscall.Statfs_t
	err := syscall.Statfs(folder, &disk)
	if err != nil {
		return 0, fmt.Errorf("asking for the free space: %w", err)
	}
	return int64(disk.Bavail) * disk.Bsize, nil
}

// field is the first value of a name in a file of lines "name : value".
func field(path, name string) string {
	text, err := os.ReadFile(path)
	if err != nil {
		return ""
	}
	for line := range strings.Lines(string(text)) {
		key, value, ok := strings.Cut(line, ":")
		if ok && strings.TrimSpace(key) == name {
			return strings.TrimSpace(value)
		}
	}
	return ""
}
