"""Builds one network of the list, exports it and records what PyTorch computes.

    python export.py NAME FOLDER

writes FOLDER/model.pt2, or model.ts.pt (traced) or model.script.pt where torch.export cannot, and io.npz. Stands alone
in its process: the libraries are large, and what one network does to them is not the next one's matter."""
import inspect
import pathlib
import sys
import warnings

import numpy as np
import torch
import torch.utils._pytree as pytree

import listed

SCRIPTED = {"greedy_decoder"}       # "scripted", says the list
CALLS = {"gru_stream": 3}           # a network that remembers is called more than once
SMALL = dict(num_hidden_layers=2, hidden_size=64, num_attention_heads=4, intermediate_size=128)


# ---- networks ----

def torchvision_model(name):
    from torchvision import models
    options = {"vit_b_16": {"image_size": 64}, "inception_v3": {"init_weights": True}}.get(name, {})
    group = models
    for inner in (models.segmentation, models.video, models.optical_flow):
        group = inner if hasattr(inner, name) else group
    extra = {"weights_backbone": None} if group is models.segmentation else {}
    return getattr(group, name)(weights=None, **extra, **options)


def timm_model(name):
    import timm
    if name == "convmixer_768_32":  # the registered constructor does not let its depth be cut
        from timm.models.convmixer import ConvMixer
        return ConvMixer(dim=768, depth=4, kernel_size=7, patch_size=7, act_layer=torch.nn.ReLU)
    options = {"nfnet_f0": {"depths": (1, 1, 1, 1)}}.get(name, {})
    return timm.create_model(name, pretrained=False, **options)


def transformers_model(name):
    import transformers as t
    decoder = dict(SMALL, vocab_size=200, use_cache=False, max_position_embeddings=64)
    bert = dict(SMALL, vocab_size=200, max_position_embeddings=64)
    resnet = dict(embedding_size=16, hidden_sizes=[16, 32, 48, 64], depths=[1, 1, 1, 1], layer_type="basic",
                  out_features=["stage4"])
    configs = {
        "BertModel": lambda: t.BertConfig(**bert),
        "MobileBertModel": lambda: t.MobileBertConfig(num_hidden_layers=2, vocab_size=200),
        "DistilBertForSequenceClassification":
            lambda: t.DistilBertConfig(n_layers=2, dim=64, n_heads=4, hidden_dim=128, vocab_size=200),
        "AlbertModel": lambda: t.AlbertConfig(hidden_size=64, num_attention_heads=4, intermediate_size=128,
                                              embedding_size=32, vocab_size=200),
        "ElectraModel": lambda: t.ElectraConfig(embedding_size=32, **bert),
        "GPT2LMHeadModel": lambda: t.GPT2Config(n_layer=2, n_embd=64, n_head=4, vocab_size=200, use_cache=False),
        "LlamaForCausalLM": lambda: t.LlamaConfig(num_key_value_heads=2, **decoder),
        "Qwen2ForCausalLM": lambda: t.Qwen2Config(num_key_value_heads=2, **decoder),
        "GemmaForCausalLM": lambda: t.GemmaConfig(num_key_value_heads=1, head_dim=16, **decoder),
        "T5EncoderModel": lambda: t.T5Config(num_layers=2, d_model=64, d_kv=16, d_ff=128, num_heads=4, vocab_size=200),
        "WhisperForConditionalGeneration": lambda: t.WhisperConfig(
            encoder_layers=2, decoder_layers=2, d_model=64, encoder_attention_heads=4, decoder_attention_heads=4,
            encoder_ffn_dim=128, decoder_ffn_dim=128, vocab_size=200, use_cache=False, pad_token_id=0,
            bos_token_id=1, eos_token_id=2, decoder_start_token_id=1),
        "Wav2Vec2Model": lambda: t.Wav2Vec2Config(
            conv_dim=[64] * 7, num_conv_pos_embedding_groups=4, num_conv_pos_embeddings=16, **SMALL),
        "ViTModel": lambda: t.ViTConfig(image_size=64, **SMALL),
        "Dinov2Model": lambda: t.Dinov2Config(image_size=56, patch_size=14, hidden_size=64, num_hidden_layers=2,
                                              num_attention_heads=4),
        "CLIPModel": lambda: t.CLIPConfig(
            text_config=dict(SMALL, vocab_size=200, max_position_embeddings=32, bos_token_id=1, eos_token_id=2),
            vision_config=dict(SMALL, image_size=64, patch_size=16), projection_dim=32),
        "SegformerForSemanticSegmentation": lambda: t.SegformerConfig(depths=[1, 1, 1, 1]),
        "DetrForObjectDetection": lambda: t.DetrConfig(
            use_timm_backbone=False, backbone=None, use_pretrained_backbone=False,
            backbone_config=t.ResNetConfig(**resnet), encoder_layers=2, decoder_layers=2, d_model=64,
            encoder_attention_heads=4, decoder_attention_heads=4, encoder_ffn_dim=128, decoder_ffn_dim=128,
            num_queries=20),
        "MambaForCausalLM": lambda: t.MambaConfig(num_hidden_layers=2, hidden_size=64, vocab_size=200, use_cache=False),
    }
    return getattr(t, name)(configs[name]())


# names of the list -> arguments of forward
ARGUMENTS = {"WhisperForConditionalGeneration": {"mel": "input_features", "ids": "decoder_input_ids"},
             "Wav2Vec2Model": {"x": "input_values"}, "CLIPModel": {"ids": "input_ids", "x": "pixel_values"},
             "raft_small": {"a": "image1", "b": "image2"}}
FLAGS = {"raft_small": {"num_flow_updates": 3}}


def build(entry):
    if entry.source == "hand":
        import hand
        return hand.NETWORKS[entry.name]()
    maker = {"torchvision": torchvision_model, "timm": timm_model, "transformers": transformers_model}
    return maker[entry.source](entry.constructor)


def draw(entry, batch, generator):
    """{argument of forward: tensor}; batch times the batch of the list."""
    drawn = {}
    for name, (dtype, shape) in entry.inputs.items():
        shape = (shape[0] * batch, *shape[1:])
        if dtype == "f32":
            array = torch.randn(shape, generator=generator)
        else:
            array = torch.randint(3, 40, shape, generator=generator)
        if name == "attention_mask":
            array = (torch.arange(shape[1]) < shape[1] * 3 // 4).long().expand(shape).contiguous()
        if entry.source == "transformers" and name == "x" and len(shape) == 4:
            name = "pixel_values"
        drawn[ARGUMENTS.get(entry.name, {}).get(name, name)] = array
    return drawn


def settle(model, entry, generator):
    """No parameter stays constant (a head of zeros would answer with zeros); statistics of batch norms are those of
    a few batches."""
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.is_floating_point() and parameter.numel() and (parameter == parameter.flatten()[0]).all():
                parameter += 0.05 * torch.randn(parameter.shape, generator=generator)
        norms = [m for m in model.modules() if isinstance(m, torch.nn.modules.batchnorm._BatchNorm)]
        for norm in norms:
            norm.reset_running_stats()
            norm.momentum = None
            norm.train()
        for _ in range(3 if norms else 0):
            call(model, entry, draw(entry, 4, generator))
    return model.eval()


def call(model, entry, arguments):
    return model(**bound(model, entry, arguments), **FLAGS.get(entry.name, {}))


def bound(model, entry, arguments):
    """By position where the network's own names of its arguments are not those of the list."""
    names = list(inspect.signature(model.forward).parameters)
    return arguments if all(name in names for name in arguments) else dict(zip(names, arguments.values()))


class Flat(torch.nn.Module):
    """Tensors in, a tuple of tensors out: what tracing takes."""

    def __init__(self, model, entry, names):
        super().__init__()
        self.model, self.entry, self.names = model, entry, names

    def forward(self, *tensors):
        return flat(call(self.model, self.entry, dict(zip(self.names, tensors))))


def flat(results):
    return tuple(leaf for leaf in pytree.tree_leaves(results) if isinstance(leaf, torch.Tensor))


# ---- export ----

def export(model, entry, arguments, folder):
    """The first way that works: (file, what the others said)."""
    said = []

    def exported():
        program = torch.export.export(model, (), {**bound(model, entry, arguments), **FLAGS.get(entry.name, {})})
        torch.export.save(program, folder / "model.pt2")
        return "model.pt2"

    def traced():
        flat_model = Flat(model, entry, list(arguments))
        torch.jit.trace(flat_model, tuple(arguments.values()), check_trace=False, strict=False).save(
            str(folder / "model.ts.pt"))
        return "model.ts.pt"

    def scripted():
        torch.jit.script(model).save(str(folder / "model.script.pt"))
        return "model.script.pt"

    for way in (scripted,) if entry.name in SCRIPTED else (exported, traced, scripted):
        try:
            return way(), said
        except Exception as error:
            said.append(f"{way.__name__}: {type(error).__name__}: {str(error).strip().splitlines()[0][:200]}")
    raise SystemExit("\n".join(said))


def main():
    warnings.filterwarnings("ignore")
    entry, folder = listed.entries()[sys.argv[1]], pathlib.Path(sys.argv[2])
    torch.manual_seed(1)
    torch.set_num_threads(1)
    generator = torch.Generator().manual_seed(2)
    model = settle(build(entry).eval(), entry, generator)
    state = {name: buffer.clone() for name, buffer in model.named_buffers()}
    calls = [draw(entry, 1, generator) for _ in range(CALLS.get(entry.name, 1))]
    with torch.no_grad():
        results = [flat(call(model, entry, arguments)) for arguments in calls]
        for name, buffer in model.named_buffers():
            buffer.copy_(state[name])
        file, said = export(model, entry, calls[0], folder)
    print("\n".join(said), file=sys.stderr)
    # axis 0 of every array: the calls
    recorded = {f"in_{name}": np.stack([c[name].numpy() for c in calls]) for name in calls[0]}
    recorded |= {f"out_{i}": np.stack([r[i].numpy() for r in results]) for i in range(len(results[0]))}
    np.savez(folder / "io.npz", **recorded)


if __name__ == "__main__":
    main()
