"""What the program asks of the system, as strace sees it in an empty environment: no process, no socket, no file but
libraries, inputs and outputs."""
import re
import shutil
import subprocess

import pytest

import support

DIGITS = support.DIGITS / "digits.onnx"
# the loader's own, the processor count, and what sanitizers look at
ALLOWED = re.compile(r"^(/etc/ld\.so\.|/lib|/usr/lib|/usr/local/lib|/proc/|/sys/devices/system/cpu|/sys/fs/cgroup)")

pytestmark = pytest.mark.skipif(not shutil.which("strace"), reason="strace is not there")


def trace(tmp_path, *args):
    log = tmp_path / "strace.log"
    done = subprocess.run(["strace", "-f", "-o", str(log), "-e", "trace=%process,%network,%file", str(support.PROGRAM), *map(str, args)],
                          env={}, capture_output=True, text=True, timeout=120)
    if done.returncode and "ptrace" in done.stderr:
        pytest.skip("tracing is not permitted here")
    assert done.returncode == 0, done.stderr
    text = log.read_text(errors="replace")
    log.unlink()
    return [re.sub(r"^\d+ +", "", line) for line in text.splitlines()]


def opened(lines):
    """Paths of files that were opened, and whether they were created."""
    for line in lines:
        match = re.match(r'(?:open|openat|creat)\((?:AT_FDCWD, )?"([^"]*)", ([^)]*)\) = \d', line)
        if match:
            yield match[1], "O_CREAT" in match[2]


@pytest.mark.parametrize("command", ["convert", "run", "inspect", "diff"])
def test_asks_for_nothing_else(tmp_path, command):
    out, held_out = tmp_path / "out.tflite", support.DIGITS / "held_out.npz"
    args, inputs, outputs = {
        "convert": (["-o", out, "--verify", "--golden", held_out], [held_out], [out]),
        "run": (["--in", held_out, "--out", tmp_path / "y.npz"], [held_out], [tmp_path / "y.npz"]),
        "inspect": ([], [], []),
        "diff": ([DIGITS, "--random"], [], []),
    }[command]
    lines = trace(tmp_path, command, DIGITS, *args)
    assert sum(line.startswith(("execve(", "execveat(")) for line in lines) == 1
    assert not [line for line in lines if re.match(r"v?fork\(", line)]
    clones = [line for line in lines if re.match(r"clone3?\(", line)]
    assert all("CLONE_THREAD" in line for line in clones), clones
    assert not [line for line in lines if re.match(r"(socket|connect|bind|listen|send\w*|recv\w*)\(", line)]
    for path, created in opened(lines):
        if created:
            assert path in map(str, outputs) or re.match(re.escape(str(tmp_path)) + r"/\.tolite-\w+\.tmp$", path), path
        else:
            assert ALLOWED.match(path) or path in map(str, [DIGITS, *inputs]), path
