"""What can go wrong around a conversion: signals, rights, full disks, odd targets, two at once. A target is either the
whole new file or exactly what it was."""
import os
import pathlib
import random
import shutil
import signal
import stat
import subprocess
import threading
import time

import numpy as np
import pytest

import builders as b
import support

NOBODY = 65534
DIGITS = support.DIGITS / "digits.onnx"
OLDER = b"older"


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    """A model whose conversion takes long enough to be hit."""
    rng, c = np.random.default_rng(0), 1536
    proto = b.model([b.node("Gemm", f"h{i} w{i}", f"h{i + 1}") for i in range(4)], [b.value("h0", [1, c])], [b.value("h4", [1, c])],
                    {f"w{i}": rng.normal(size=(c, c)).astype(np.float32) for i in range(4)})
    return b.save(proto, tmp_path_factory.mktemp("large") / "large.onnx")


@pytest.fixture(scope="module")
def large_tflite(large, tmp_path_factory):
    out = tmp_path_factory.mktemp("large") / "large.tflite"
    support.tolite("convert", large, "-o", out)
    return out.read_bytes()


def start(*args, **options):
    return subprocess.Popen([str(support.PROGRAM), *map(str, args)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options)


def duration(*args):
    begin = time.monotonic()
    support.tolite(*args)
    return time.monotonic() - begin


# ---- signals ----

@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_signals_at_random_moments(large, large_tflite, tmp_path, number):
    """The target is the older file or the whole new one, never less; what was caught leaves nothing behind."""
    out = tmp_path / "out.tflite"
    whole = duration("convert", large, "-o", out)
    rng, seen = random.Random(0), set()
    for _ in range(15):
        out.write_bytes(OLDER)
        process = start("convert", large, "-o", out)
        time.sleep(rng.uniform(0, 1.2 * whole))
        process.send_signal(number)
        process.communicate()
        content = out.read_bytes()
        assert content in (OLDER, large_tflite), f"{len(content)} bytes after signal {number}"
        seen.add(process.returncode)
        if process.returncode == 0:
            assert content == large_tflite
        if number != signal.SIGKILL:  # nobody can clean up behind that one
            assert process.returncode in (0, 130, -number), process.returncode
            if process.returncode == 130:
                assert content == OLDER
            assert os.listdir(tmp_path) == ["out.tflite"], f"status {process.returncode}"
    assert seen & {-number, 130}, "no signal came in time"


def test_what_a_killed_conversion_left_is_told_apart(large, tmp_path):
    """Temporary files bear a name of their own and stand beside the target."""
    for _ in range(20):
        process = start("convert", large, "-o", tmp_path / "out.tflite")
        time.sleep(0.01)
        process.kill()
        process.communicate()
    assert all(name == "out.tflite" or name.startswith(".tolite-") for name in os.listdir(tmp_path))


# ---- two at once ----

def test_two_conversions_to_one_target(large, large_tflite, tmp_path):
    """Whoever is last wins, and readers see whole files only."""
    out, broken, done = tmp_path / "out.tflite", [], threading.Event()
    out.write_bytes(large_tflite)

    def watch():
        while not done.is_set():
            if out.stat().st_size != len(large_tflite):
                broken.append(out.stat().st_size)

    watcher = threading.Thread(target=watch)
    watcher.start()
    processes = [start("convert", large, "-o", out) for _ in range(4)]
    errors = [p.communicate()[1] for p in processes]
    done.set()
    watcher.join()
    assert [p.returncode for p in processes] == [0] * 4, errors
    assert out.read_bytes() == large_tflite and not broken
    assert os.listdir(tmp_path) == ["out.tflite"]


# ---- rights ----

def as_nobody():
    """Options that run the program without root's rights."""
    if os.geteuid() != 0:
        return {}
    return {"user": NOBODY, "group": NOBODY, "extra_groups": []}


@pytest.fixture
def open_folder(tmp_path, request):
    """A folder and copies of program and model that everybody may reach."""
    folder = pathlib.Path("/tmp") / f"tolite-faults-{os.getpid()}-{abs(hash(request.node.name)) % 10**8}"
    folder.mkdir()
    folder.chmod(0o755)
    shutil.copy(support.PROGRAM, folder / "tolite")
    (folder / "tolite").chmod(0o755)
    shutil.copy(DIGITS, folder / "digits.onnx")
    (folder / "digits.onnx").chmod(0o644)
    yield folder
    for path in [folder, *folder.rglob("*")]:
        if path.is_dir() and not path.is_symlink():
            path.chmod(0o755)
    shutil.rmtree(folder)


def run_as_nobody(folder, *args):
    done = subprocess.run([str(folder / "tolite"), *map(str, args)], capture_output=True, text=True, timeout=60, **as_nobody())
    assert done.returncode == 5, f"{done.returncode}: {done.stderr}"
    assert len(done.stderr.strip().splitlines()) <= 2, done.stderr
    return done.stderr


def test_unreadable_model(open_folder):
    (open_folder / "digits.onnx").chmod(0)
    assert "ermission" in run_as_nobody(open_folder, "convert", open_folder / "digits.onnx", "-o", "/tmp/never.tflite")


def test_read_only_folder(open_folder):
    target = open_folder / "inner"
    target.mkdir(mode=0o555)
    target.chmod(0o555)
    before = os.listdir(open_folder)
    assert "ermission" in run_as_nobody(open_folder, "convert", open_folder / "digits.onnx", "-o", target / "x.tflite")
    assert os.listdir(target) == [] and os.listdir(open_folder) == before


def test_read_only_target_in_a_folder_that_may_be_written(open_folder):
    """Renaming could replace it, but the user said no."""
    inner = open_folder / "inner"
    inner.mkdir()
    inner.chmod(0o777)
    (inner / "x.tflite").write_bytes(OLDER)
    (inner / "x.tflite").chmod(0o444)
    assert "ermission" in run_as_nobody(open_folder, "convert", open_folder / "digits.onnx", "-o", inner / "x.tflite")
    assert os.listdir(inner) == ["x.tflite"] and (inner / "x.tflite").read_bytes() == OLDER


# ---- odd targets ----

def test_full_disk():
    """A device that is always full, as target and as stdout."""
    assert "space" in support.tolite("convert", DIGITS, "-o", "/dev/full", status=5).stderr
    with open("/dev/full", "w") as full:
        for command in (["inspect", DIGITS], ["ops"], ["convert", DIGITS, "--dry-run"]):
            done = subprocess.run([str(support.PROGRAM), *map(str, command)], stdout=full, stderr=subprocess.PIPE, timeout=60)
            assert done.returncode == 5, (command, done.stderr)


def test_more_than_the_disk_holds(tmp_path):
    """A few bytes of source may ask for terabytes: refused before the first of them is written."""
    source, size = tmp_path / "large.txt", "f32[65536,65536,256]"
    source.write_text(f'model ""\nconst %w : {size} = splat 1\nentry "main"(%0: f32[1]) -> ("y") {{\n'
                      f'  %1 = add(%0, %w) : {size}\n  return %1\n}}\n')
    assert "MB are needed" in support.tolite("convert", source, "-o", tmp_path / "x.tflite", status=5).stderr
    assert os.listdir(tmp_path) == ["large.txt"]


def test_disk_that_fills_up_while_writing(large, tmp_path):
    """A limit on the size of files stands for the disk: it comes in the middle of the weights."""
    import resource
    out = tmp_path / "out.tflite"
    out.write_bytes(OLDER)

    def limit():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))

    done = subprocess.run([str(support.PROGRAM), "convert", str(large), "-o", str(out)], preexec_fn=limit, capture_output=True,
                          text=True, timeout=60)
    assert done.returncode == 5 and "out.tflite" in done.stderr, done.stderr
    assert os.listdir(tmp_path) == ["out.tflite"] and out.read_bytes() == OLDER


def test_closed_stdout():
    """A reader that went away, or none from the start: no crash, and no success where something was to be said."""
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run([str(support.PROGRAM), "inspect", str(DIGITS)], stdout=writer, stderr=subprocess.PIPE, timeout=60)
    os.close(writer)
    assert done.returncode in (5, -signal.SIGPIPE), done
    done = subprocess.run(["sh", "-c", f'exec "{support.PROGRAM}" inspect "{DIGITS}" >&-'], capture_output=True, timeout=60)
    assert done.returncode == 5, done


def test_closed_descriptors_do_not_end_up_in_the_file(tmp_path):
    """With all three standard descriptors closed, the file written must not become one of them."""
    out = tmp_path / "x.tflite"
    subprocess.run(["sh", "-c", f'exec "{support.PROGRAM}" convert "{DIGITS}" -o "{out}" <&- >&- 2>&-'], timeout=60)
    good = tmp_path / "good.tflite"
    support.tolite("convert", DIGITS, "-o", good)
    assert not out.exists() or out.read_bytes() == good.read_bytes()


def test_target_is_a_folder(tmp_path):
    (tmp_path / "x.tflite").mkdir()
    support.tolite("convert", DIGITS, "-o", tmp_path / "x.tflite", status=5)
    assert os.listdir(tmp_path) == ["x.tflite"] and os.listdir(tmp_path / "x.tflite") == []


def test_target_is_a_link(tmp_path):
    """The link stays, what it leads to is replaced; one that leads nowhere becomes the file, one in a circle is refused."""
    (tmp_path / "inner").mkdir()
    (tmp_path / "inner" / "real.tflite").write_bytes(OLDER)
    (tmp_path / "x.tflite").symlink_to("inner/real.tflite")
    support.tolite("convert", DIGITS, "-o", tmp_path / "x.tflite")
    assert (tmp_path / "x.tflite").is_symlink()
    assert (tmp_path / "inner" / "real.tflite").read_bytes()[4:8] == b"TFL3"
    assert os.listdir(tmp_path / "inner") == ["real.tflite"]
    (tmp_path / "nowhere.tflite").symlink_to("inner/new.tflite")
    support.tolite("convert", DIGITS, "-o", tmp_path / "nowhere.tflite")
    assert (tmp_path / "nowhere.tflite").read_bytes()[4:8] == b"TFL3"
    (tmp_path / "loop").symlink_to("loop")
    support.tolite("convert", DIGITS, "-o", tmp_path / "loop", status=5)


def test_target_is_a_pipe(tmp_path):
    """Written in order, whole, and only once all is well."""
    good, pipe = tmp_path / "good.tflite", tmp_path / "pipe"
    support.tolite("convert", DIGITS, "-o", good)
    os.mkfifo(pipe)
    process = start("convert", DIGITS, "-o", pipe)
    with open(pipe, "rb") as reader:
        content = reader.read()
    process.communicate()
    assert process.returncode == 0 and content == good.read_bytes()
    assert stat.S_ISFIFO(pipe.stat().st_mode)


def test_reader_of_a_pipe_goes_away(large, tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    process = start("convert", large, "-o", pipe)
    with open(pipe, "rb") as reader:
        reader.read(10)
    process.communicate()
    assert process.returncode in (5, -signal.SIGPIPE)


def test_interrupt_while_waiting_for_a_reader(tmp_path):
    """A pipe without a reader: the program waits, and can be stopped."""
    os.mkfifo(tmp_path / "pipe")
    process = start("convert", DIGITS, "-o", tmp_path / "pipe")
    time.sleep(0.5)
    assert process.poll() is None
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=10)
    assert process.returncode == 130


def test_model_is_a_pipe_or_a_device(tmp_path):
    os.mkfifo(tmp_path / "pipe.onnx")
    assert "pipe" in support.tolite("convert", tmp_path / "pipe.onnx", "-o", tmp_path / "x.tflite", status=5).stderr
    support.tolite("convert", "/dev/zero", "-o", tmp_path / "x.tflite", status=5)
    support.tolite("convert", "/dev/null", "-o", tmp_path / "x.tflite", status=5)


def test_permissions_of_an_older_file_stay(tmp_path):
    out = tmp_path / "x.tflite"
    out.write_bytes(OLDER)
    out.chmod(0o640)
    support.tolite("convert", DIGITS, "-o", out)
    assert stat.S_IMODE(out.stat().st_mode) == 0o640


def test_little_memory(large, tmp_path):
    """Address space too small for what is asked: a line and status 5, or success; never a crash."""
    import resource
    for megabytes in range(20, 120, 10):
        out = tmp_path / "out.tflite"
        out.write_bytes(OLDER)

        def limit():
            resource.setrlimit(resource.RLIMIT_AS, (megabytes << 20, megabytes << 20))

        done = subprocess.run([str(support.PROGRAM), "convert", str(large), "-o", str(out), "--verify", "-t", "1"], preexec_fn=limit,
                              capture_output=True, text=True, timeout=60)
        if done.returncode == 127 or "shared" in done.stderr:
            continue  # the loader itself had too little
        assert done.returncode in (0, 5), (megabytes, done.returncode, done.stderr)
        assert done.returncode == 0 or (out.read_bytes() == OLDER and "memory" in done.stderr), (megabytes, done.stderr)
        assert os.listdir(tmp_path) == ["out.tflite"]
