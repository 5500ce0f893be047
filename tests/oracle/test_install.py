"""The C example, built against the installed library alone."""
import os
import shutil
import subprocess

import pytest

import support


@pytest.fixture(scope="module")
def prefix(tmp_path_factory):
    build = support.PROGRAM.parent
    folder = tmp_path_factory.mktemp("prefix")
    done = subprocess.run(["cmake", "--install", build, "--prefix", folder], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return folder


def libraries(prefix):
    return next(prefix.rglob("libtolite.so")).parent


def run(command, prefix, **environment):
    done = subprocess.run([str(c) for c in command], capture_output=True, text=True,
                          env={**os.environ, "LD_LIBRARY_PATH": str(libraries(prefix)), **environment})
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_example_with_pkg_config(prefix, tmp_path):
    config = {"PKG_CONFIG_PATH": str(libraries(prefix) / "pkgconfig")}
    flags = run(["pkg-config", "--define-prefix", "--cflags", "--libs", "tolite"], prefix, **config).split()
    run(["cc", "-std=c11", "-Wall", "-Werror", support.ROOT / "examples/c/classify.c", *flags, "-o", tmp_path / "classify"], prefix)
    pictures = [support.DIGITS / f"{d}.png" for d in range(10)]
    out = run([tmp_path / "classify", support.DIGITS / "digits.onnx", *pictures], prefix)
    assert out == "".join(f"picture {d}: class {d}\n" for d in range(10))


def test_example_with_cmake(prefix, tmp_path):
    (tmp_path / "CMakeLists.txt").write_text(
        "cmake_minimum_required(VERSION 3.18)\nproject(example C)\nfind_package(tolite REQUIRED)\n"
        "add_executable(classify classify.c)\ntarget_link_libraries(classify tolite::tolite)\n")
    shutil.copy(support.ROOT / "examples/c/classify.c", tmp_path)
    run(["cmake", "-S", tmp_path, "-B", tmp_path / "b", f"-DCMAKE_PREFIX_PATH={prefix}"], prefix)
    run(["cmake", "--build", tmp_path / "b"], prefix)


def test_only_the_public_symbols_are_exported(prefix):
    declared = set()
    for line in (support.ROOT / "src/api/tolite.map").read_text().splitlines():
        if line.strip().startswith("tl_"):
            declared.add(line.strip().rstrip(";"))
    shown = run(["nm", "-D", "--defined-only", libraries(prefix) / "libtolite.so"], prefix)
    exported = {line.split()[-1].split("@")[0] for line in shown.splitlines() if " T " in line}
    assert exported == declared
    import re
    header = set(re.findall(r"\b(tl_[a-z_]+)\(", (support.ROOT / "include/tolite.h").read_text()))
    assert header == declared
