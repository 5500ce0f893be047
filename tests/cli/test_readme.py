"""The transcript in the README is real: its commands are run and print what it shows, to the digits of errors."""
import re
import shlex
import shutil
import subprocess

import support


def transcript():
    """[(command, output)] of the first block of the README."""
    block = (support.ROOT / "README.md").read_text().split("```")[1].strip()
    parts = re.split(r"^\$ ", block, flags=re.M)[1:]
    return [tuple(part.split("\n", 1)) for part in parts]


def plain(text):
    return re.sub(r"\d\.\d+(e-\d+)?|e-\d+", "N", text).strip()


def test_transcript(tmp_path):
    for path in support.DIGITS.iterdir():
        shutil.copy(path, tmp_path)
    for command, expected in transcript():
        words = shlex.split(command)
        assert words[0] == "tolite"
        done = subprocess.run([support.PROGRAM, *words[1:]], cwd=tmp_path, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        assert plain(done.stdout) == plain(expected), command
