"""Files without a program that can be read: weights are listed, and every kind is named with what to do."""
import io
import json
import os
import pathlib
import pickle
import struct
import subprocess
import time
import zipfile

import numpy as np
import pytest

import support

FOLDER = support.ROOT / "tests" / "torch" / "weights"
NET = {"scale": "f16[2,3]", "stem.weight": "f32[4,3]", "stem.bias": "f32[4]", "blocks.0.weight": "f32[4]",
       "blocks.0.bias": "f32[4]", "blocks.0.running_mean": "f32[4]", "blocks.0.running_var": "f32[4]",
       "blocks.0.num_batches_tracked": "i64[]", "blocks.1.weight": "f32[2,4]"}
TRAINING = {**{f"model.{k}": v for k, v in NET.items()}, "optimizer.state.0.exp_avg": "f32[4]", "mixed.0": "i64[]",
            "mixed.1.0": "c64[2]"}
LISTED = {"state_dict.pth": NET, "module.pt": NET, "training.ckpt": TRAINING, "old.pth": TRAINING,
          "old_module.pth": {"0.weight": "f32[2,2]", "0.bias": "f32[2]"},
          "quantised.pth": {"w": "quantised i8[3]", "p": "f32[2]"}}
EXPORT = 'torch.export.save(torch.export.export(model, (example,)), "model.pt2")'
TRACE = 'torch.jit.trace(model, example).save("model.pt")'


def listed(path):
    done = json.loads(support.tolite("inspect", path, "--json").stdout)
    return {t["name"]: t["type"] for t in done["tensors"]}, done


@pytest.mark.parametrize("name", LISTED)
def test_checkpoints_are_listed(name):
    tensors, whole = listed(FOLDER / name)
    assert tensors == LISTED[name]
    if name == "state_dict.pth":
        assert whole["parameters"] == 47 and whole["pytorch"] == "2.1 or later"
        shown = support.tolite("inspect", FOLDER / name).stdout
        assert "weights without a program: 9 tensors\n" in shown and "  stem.weight: f32[4,3]\n" in shown
    assert whole.get("module") == {"module.pt": "__main__.Net",
                                   "old_module.pth": "torch.nn.modules.container.Sequential"}.get(name)


@pytest.mark.parametrize("name, load, export", [
    ("state_dict.pth", 'model.load_state_dict(torch.load("state_dict.pth", weights_only=True)); model.eval()', EXPORT),
    ("training.ckpt", 'model.load_state_dict(torch.load("training.ckpt", weights_only=True)["model"]); model.eval()', EXPORT),
    ("module.pt", 'model = torch.load("module.pt", weights_only=False); model.eval()', EXPORT),
    ("old.pth", 'model.load_state_dict(torch.load("old.pth")["model"]); model.eval()', TRACE)])
@pytest.mark.parametrize("command", ["convert", "run"])
def test_advice_in_three_lines(name, load, export, command, tmp_path):
    done = support.tolite(command, FOLDER / name, status=4, cwd=tmp_path)
    said = done.stderr.splitlines()
    assert "weights without a program" in said[0] and "which is not in the file" in said[0]
    assert said[1].startswith("  in Python, with the module's own code") and said[1].endswith(load)
    assert said[2] == f"  then: {export}, and convert that"
    assert not list(tmp_path.iterdir())


def test_a_sound_checkpoint_passes_check_with_a_note():
    said = support.tolite("check", FOLDER / "old.pth").stdout
    assert "well-formed" in said and "  sound, but not supported: PyTorch checkpoint" in said and TRACE in said


# ---- safetensors ----

def safetensors(header, data=b""):
    text = json.dumps(header).encode() if isinstance(header, dict) else header
    return struct.pack("<Q", len(text)) + text + data


def write(tmp_path, data, name="model.bin"):
    path = tmp_path / name
    path.write_bytes(data)
    return path


GOOD = {"__metadata__": {"format": "pt"}, "a.w": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]},
        "b": {"dtype": "BF16", "shape": [], "data_offsets": [24, 26]},
        "c": {"dtype": "F8_E4M3", "shape": [4], "data_offsets": [26, 30]}}


def test_safetensors(tmp_path):
    path = write(tmp_path, safetensors(GOOD, bytes(30)))
    assert listed(path)[0] == {"a.w": "f32[2,3]", "b": "bf16[]", "c": "F8_E4M3[4]"}
    said = support.tolite("convert", path, status=4, cwd=tmp_path).stderr
    assert 'safetensors.torch.load_model(model, "model.bin")' in said and EXPORT in said


@pytest.mark.parametrize("data, status", [
    (safetensors(GOOD, bytes(29)), 3),
    (safetensors(b"{" + b"[" * 5000), 3),
    (safetensors(b'{"a": 3}'), 3),
    (safetensors({"a": {"dtype": "F32", "shape": [2**40, 2**40], "data_offsets": [0, 4]}}, bytes(4)), 3),
    (safetensors({"a": {"dtype": "F32", "shape": [-1], "data_offsets": [0, 4]}}, bytes(4)), 3),
    (safetensors({"a": {"dtype": "F32", "shape": [1], "data_offsets": [8, 4]}}, bytes(8)), 3),
    (struct.pack("<Q", 2**63) + b"{}", 3)])
def test_bad_safetensors(tmp_path, data, status):
    assert support.tolite("inspect", write(tmp_path, data), status=status).stderr


# ---- what else people bring ----

def archive(*names):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as z:
        for name in names:
            z.writestr(name, b"x")
    return out.getvalue()


def arrays():
    out = io.BytesIO()
    np.savez(out, x=np.zeros(3))
    return out.getvalue()


KINDS = {
    "pte": (b"\x1c\0\0\0ET12" + bytes(64), 4, "ExecuTorch", "torch.export.save"),
    "lite": (b"\x1c\0\0\0PTMF" + bytes(64), 4, "lite interpreter", "torch.jit.save"),
    "ptl": (archive("m/data.pkl", "m/bytecode.pkl"), 4, "lite interpreter", "torch.jit.save"),
    "aoti": (archive("m/archive_format", "m/data/aotinductor/model/c.so"), 4, "AOTInductor", "torch.export.save"),
    "package": (archive("m/.data/extern_modules", "m/net.py"), 4, "torch.package", "PackageImporter"),
    "1.0": (archive("m/model.json", "m/tensors/0"), 4, "PyTorch 1.0 to 1.3", "torch.jit.load"),
    "pytorch1": (b"PYTORCH1" + bytes(64), 4, "before 1.0", "anew"),
    "pickle": (pickle.dumps({"a": 1}), 4, "Python pickle", "not run"),
    "tf": (bytes(40) + b"\x57\xfb\x80\x8b\x24\x75\x47\xdb", 4, "TensorFlow checkpoint", "tf2onnx"),
    "saved_model": (b"\x08\x01\x12\x02\x3a\x00", 4, "SavedModel", "tf2onnx"),
    "h5": (b"\x89HDF\r\n\x1a\n" + bytes(64), 4, "Keras", "format='onnx'"),
    "keras": (archive("metadata.json", "config.json", "model.weights.h5"), 4, "Keras archive", "format='onnx'"),
    "gguf": (b"GGUF" + bytes(64), 4, "GGUF", "llama.cpp"),
    "npz": (arrays(), 4, "NumPy arrays", "--in"),
    "gzip": (b"\x1f\x8b" + bytes(64), 4, "gzip", "unpack"),
    "shards": (b'{"weight_map": {"a": "model-1.safetensors"}}', 4, "several files", "from_pretrained"),
    "lfs": (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", 3, "Git LFS pointer", "git lfs pull"),
    "page": (b"<!DOCTYPE html><html>", 3, "web page", "fetch it again"),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("command", ["inspect", "convert", "check"])
def test_kinds_are_named_with_advice(kind, command, tmp_path):
    data, status, name, advice = KINDS[kind]
    said = support.tolite(command, write(tmp_path, data), status=status, cwd=tmp_path)
    said = said.stderr + said.stdout
    assert name in said and advice in said and len(said) < 1000


# ---- hostile ----

def checkpoint(data_pkl):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as z:
        z.writestr("m/data.pkl", data_pkl)
        z.writestr("m/version", b"3\n")
    return out.getvalue()


class Run:
    def __reduce__(self):
        return os.system, ("touch ran",)


def doubled(n):
    x = []
    for _ in range(n):
        x = [x, x]
    return x


def nested(n):
    x = []
    for _ in range(n):
        x = {"a": x}
    return x


@pytest.mark.parametrize("data, status", [
    (checkpoint(pickle.dumps(Run(), 2)), (0,)),
    (checkpoint(pickle.dumps(doubled(64), 2)), (0,)),
    (checkpoint(pickle.dumps(nested(100), 2)), (0,)),
    (checkpoint(b"\x80\x02" + b"]q\0" * 200_000 + b"."), (0, 3)),
    (checkpoint(b""), (3,)),
    (checkpoint(b"\x80\x02cos\nsystem\n(X\x02\0\0\0lstR"), (3,)),
    ((FOLDER / "state_dict.pth").read_bytes()[:2000], (3,)),
    ((FOLDER / "old.pth").read_bytes()[:700], (3,)),
    ((FOLDER / "old.pth").read_bytes()[:60] + bytes(200), (3,))],
    ids=["runs", "doubled", "nested", "deep", "empty", "cut", "cut_zip", "cut_old", "zeros"])
def test_hostile_checkpoints(data, status, tmp_path):
    path = write(tmp_path, data)
    begin = time.monotonic()
    done = support.tolite("inspect", path, status=None, cwd=tmp_path)
    assert done.returncode in status and time.monotonic() - begin < 2
    assert [p.name for p in tmp_path.iterdir()] == ["model.bin"], "nothing was run"


@pytest.mark.parametrize("name", sorted(p.name for p in FOLDER.iterdir()))
def test_damaged_checkpoints(name, tmp_path):
    """A byte changed anywhere: listed or refused, never worse."""
    data = bytearray((FOLDER / name).read_bytes())
    rng = np.random.default_rng(len(data))
    program = pathlib.Path(os.environ.get("TOLITE_ASAN", support.PROGRAM))
    for _ in range(40):
        at = int(rng.integers(len(data)))
        old, data[at] = data[at], int(rng.integers(256))
        path = write(tmp_path, bytes(data))
        done = subprocess.run([program, "inspect", path], capture_output=True, text=True, timeout=60)
        assert done.returncode in (0, 3, 4), done.stderr[-1000:]
        data[at] = old
