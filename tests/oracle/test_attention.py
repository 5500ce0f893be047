"""Attention is recognised in whatever pieces an exporter wrote it: one op for each of a network's layers; and random
spellings compute what onnxruntime does, rows without keys and NaN included."""
import pathlib
import random
import sys

import numpy as np
import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent))
import builders as b  # noqa: E402
import support  # noqa: E402

FORMATS = ("model.onnx", "model.dynamo.onnx", "model.dynamic.onnx", "model.pt2", "model.core.pt2", "model.dynamic.pt2",
           "model.ts.pt")
# as the networks' table says; an encoder and a decoder have one, and two
LAYERS = {"albert": 2, "bert_sdpa": 1, "bert_tiny": 2, "clip": 2, "distilbert": 2, "gpt2_tiny": 2, "llama_tiny": 2,
          "mobilebert": 2, "swin_tiny": 3, "swin_v2": 3, "t5_encoder": 2, "transformer_encoder": 2,
          "transformer_seq2seq": 3, "vit_tiny": 1, "wav2vec2": 1, "whisper_decoder_step": 2, "whisper_encoder": 2}
# the trace does not know that the mask's open length is that of the sequence
OPEN = {("bert_tiny", "model.dynamic.onnx")}


@support.needs_networks
@pytest.mark.parametrize("name", LAYERS)
def test_every_layer_is_one_op(name):
    sources = [support.MODELS / name / f for f in FORMATS if (name, f) not in OPEN]
    sources = [source for source in sources if source.exists()]
    assert sources
    for source in sources:
        graph = support.tolite("inspect", source, "--ir", "--after", "rewrite").stdout
        assert graph.count(" = attention(") == LAYERS[name], source
        assert " = attention(" not in support.tolite("inspect", source, "--ir", "--after", "expand").stdout


class Spelling:
    """One attention out of pieces that are drawn at random."""

    def __init__(self, seed):
        self.draw, self.rng = random.Random(seed), np.random.default_rng(seed)
        self.nodes, self.init, self.inputs, self.n = [], {}, {}, 0

    def node(self, op, inputs, **attributes):
        self.n += 1
        self.nodes.append(b.node(op, inputs, f"v{self.n}", **attributes))
        return f"v{self.n}"

    def const(self, array):
        self.n += 1
        self.init[f"k{self.n}"] = np.asarray(array)
        return f"k{self.n}"

    def number(self, x):
        return self.const(np.float32(x))

    def input(self, name, array):
        self.inputs[name] = array
        return name

    def reshape(self, x, *shape):
        return self.node("Reshape", f"{x} {self.const(np.array(shape, np.int64))}")

    def scaled(self, x, k):
        how = self.draw.choice(["none", "mul", "div", "left"])
        if how == "none":
            return x
        if how == "div":
            return self.node("Div", f"{x} {self.number(1 / k)}")
        return self.node("Mul", f"{self.number(k)} {x}" if how == "left" else f"{x} {self.number(k)}")

    def heads(self, name, heads, rows, width):
        """[2, heads, rows, width] of an input that has it so, or of a linear layer."""
        if self.draw.random() < 0.5:
            return self.input(name, self.rng.normal(0, 1, (2, heads, rows, width)).astype(np.float32))
        x = self.input(name, self.rng.normal(0, 1, (2, rows, 6)).astype(np.float32))
        y = self.node("MatMul", f"{x} {self.const(self.rng.normal(0, 0.5, (6, heads * width)).astype(np.float32))}")
        return self.node("Transpose", self.reshape(y, 2, rows, heads, width), perm=[0, 2, 1, 3])

    def repeated(self, x, groups, times, rows, width):
        if times == 1:
            return x
        x = self.reshape(x, 2, groups, 1, rows, width)
        x = self.node("Expand", f"{x} {self.const(np.array([2, groups, times, rows, width], np.int64))}")
        return self.reshape(x, 2, groups * times, rows, width)

    def shape_of_mask(self, heads, s, t):
        shape = [self.draw.choice([1, n]) for n in (2, heads, s, t)]
        return tuple(shape[self.draw.choice([0, 0, 1, 2]):])

    def masked(self, x, heads, s, t):
        """Scores, and the bool mask that lets no key in somewhere, if there is one."""
        how = self.draw.choice(["none", "number", "number", "chosen", "taken"])
        shape = self.shape_of_mask(heads, s, t)
        if how == "none":
            return x
        keep = self.rng.random(shape) < self.draw.choice([0.5, 0.8, 0.05])
        fill = self.draw.choice([-np.inf, -1e9, np.finfo(np.float32).min])
        if how == "number":
            mask = np.where(keep, self.rng.normal(0, 1, shape), fill).astype(np.float32)
            mask = self.const(mask) if self.draw.random() < 0.5 else self.input(f"m{self.n}", mask)
            return self.node("Add", f"{x} {mask}" if self.draw.random() < 0.5 else f"{mask} {x}")
        mask = self.const(keep) if self.draw.random() < 0.5 else self.input(f"m{self.n}", keep)
        order = f"{mask} {x} {self.number(fill)}" if how == "chosen" else f"{mask} {self.number(fill)} {x}"
        return self.node("Where", order)

    def model(self):
        groups, times = self.draw.choice([(1, 1), (2, 1), (2, 2), (1, 3)])
        heads, s, t, d, e = groups * times, self.draw.choice([1, 3]), self.draw.choice([1, 4, 5]), 4, 3
        q, k, v = self.heads("q", heads, s, d), self.heads("k", groups, t, d), self.heads("v", groups, t, e)
        k, v = self.repeated(k, groups, times, t, d), self.repeated(v, groups, times, t, e)
        q, k = self.scaled(q, 0.7), self.scaled(k, 0.6)
        k = self.scaled(self.node("Transpose", k, perm=[0, 1, 3, 2]), 0.9)
        flat = self.draw.random() < 0.3
        if flat:
            q, k, v = self.reshape(q, -1, s, d), self.reshape(k, -1, d, t), self.reshape(v, -1, t, e)
        x = self.node("MatMul", f"{q} {k}")
        if flat:
            x = self.reshape(x, 2, heads, s, t)
        for _ in range(self.draw.choice([0, 1, 1, 2])):
            x = self.masked(self.scaled(x, 0.8), heads, s, t)
        x = self.node("Softmax", x, axis=self.draw.choice([-1, 3]))
        if self.draw.random() < 0.4:
            x = self.node("Where", f"{self.node('IsNaN', x)} {self.number(0)} {x}")
        if flat:
            x = self.reshape(x, -1, s, t)
        y = self.node("MatMul", f"{x} {v}")
        kinds = {np.dtype(bool): b.BOOL, np.dtype(np.float32): b.FLOAT}
        inputs = [b.value(name, x.shape, kinds[x.dtype]) for name, x in self.inputs.items()]
        return b.model(self.nodes, inputs, [b.value(y, None)], self.init, opset=20)


@pytest.mark.parametrize("first", range(0, 60, 20))
def test_random_spellings(first, tmp_path):
    found = 0
    for seed in range(first, first + 20):
        made = Spelling(seed)
        proto = made.model()
        source, out = b.save(proto, tmp_path / f"{seed}.onnx"), tmp_path / f"{seed}.tflite"
        expected = b.reference(proto, made.inputs)
        support.tolite("convert", source, "-o", out)
        found += " = attention(" in support.tolite("inspect", source, "--ir", "--after", "rewrite").stdout
        for delegate in (True, False):
            runner = support.LiteRT(out, delegate)
            result = runner(support.ordered(made.inputs, support.litert_names(out)[0]))
            # the plain softmax makes anything of a row of -inf alone, where the others have NaN, which a guard makes 0
            told = (np.isfinite(expected[0]) & (expected[0] != 0)) | delegate
            np.testing.assert_allclose(result[0][told], expected[0][told], rtol=1e-4, atol=1e-5,
                                       err_msg=f"seed {seed} {delegate}")
    assert found >= 14, f"{found} of 20 recognised"
