package harness

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// ticksPerSecond is USER_HZ, which Linux fixes at 100 for /proc on every
// architecture that Go supports.
const ticksPerSecond = 100

// CPU returns the user and system time that process pid has used (proc(5),
// /proc/PID/stat fields 14 and 15; resolution 10 ms).
func CPU(pid int) (time.Duration, error) {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, fmt.Errorf("read process times: %w", err)
	}
	// The command name, field 2, may hold spaces and parentheses: cut after the
	// last one.
	fields := strings.Fields(string(data[bytes.LastIndexByte(data, ')')+1:]))
	if len(fields) < 13 {
		return 0, fmt.Errorf("read process times: %d fields in /proc/%d/stat", len(fields), pid)
	}
	user, err1 := strconv.ParseInt(fields[11], 10, 64)
	system, err2 := strconv.ParseInt(fields[12], 10, 64)
	if err1 != nil || err2 != nil {
		return 0, fmt.Errorf("read process times: %q %q in /proc/%d/stat", fields[11], fields[12], pid)
	}
	return time.Duration(user+system) * time.Second / ticksPerSecond, nil
}

// Memory is what a process holds, in bytes.
type Memory struct {
	// RSS is resident now, Peak the most so far (VmRSS and VmHWM).
	RSS, Peak int64
}

// MemoryOf reads the memory of process pid.
func MemoryOf(pid int) (Memory, error) {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return Memory{}, fmt.Errorf("read process memory: %w", err)
	}
	var m Memory
	for line := range strings.Lines(string(data)) {
		name, rest, _ := strings.Cut(line, ":")
		var into *int64
		switch name {
		case "VmRSS":
			into = &m.RSS
		case "VmHWM":
			into = &m.Peak
		default:
			continue
		}
		kib, err := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(rest), "kB")), 10, 64)
		if err != nil {
			return Memory{}, fmt.Errorf("read process memory: %q: %w", line, err)
		}
		*into = kib << 10
	}
	return m, nil
}
