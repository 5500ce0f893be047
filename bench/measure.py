"""Time and memory of one run of a program, as the kernel counts them (Linux)."""
import os
import time
from collections import namedtuple

# wall, cpu: seconds; anon: most anonymous memory seen, resident: most memory of any kind, bytes
Figures = namedtuple("Figures", "wall cpu anon resident")


def memory_of(pid):
    """Anonymous memory now and the most of any kind so far, bytes; None once the process has ended."""
    try:
        with open(f"/proc/{pid}/status") as f:
            rows = dict(line.split(":", 1) for line in f)
        return int(rows["RssAnon"].split()[0]) << 10, int(rows["VmHWM"].split()[0]) << 10
    except (OSError, KeyError):
        return None


def measure(command):
    """Runs command with its output thrown away. Memory is sampled, densely at first: anonymous pages (heap, stacks)
    apart from those that are a file's. What the kernel keeps as the peak of a finished child is of no use, it begins with
    the size of the parent; VmHWM is the program's own."""
    null = [(os.POSIX_SPAWN_OPEN, fd, os.devnull, os.O_WRONLY, 0) for fd in (1, 2)]
    start = time.perf_counter()
    pid = os.posix_spawnp(str(command[0]), [str(c) for c in command], os.environ, file_actions=null)
    anon = resident = 0
    while True:
        now = memory_of(pid)
        if now:
            anon, resident = max(anon, now[0]), max(resident, now[1])
        ended, status, usage = os.wait4(pid, os.WNOHANG)
        if ended:
            break
        time.sleep(min(0.001, (time.perf_counter() - start) / 20))
    wall = time.perf_counter() - start
    code = os.waitstatus_to_exitcode(status)
    if code:
        raise RuntimeError(f"{' '.join(map(str, command))}: exit status {code}")
    return Figures(wall, usage.ru_utime + usage.ru_stime, anon, resident)
