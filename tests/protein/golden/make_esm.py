"""Makes esm2/, esm2_fair.pt, esmfold/ and esm_outputs.safetensors: small models of random weights in the official
formats, and what the official code computes with them.

python -m venv venv && venv/bin/pip install torch==2.13.0 transformers==5.23.0 fair-esm==2.0.0 safetensors
venv/bin/python tests/protein/golden/make_esm.py
"""

from argparse import Namespace
from pathlib import Path

import torch
from esm.model.esm2 import ESM2
from safetensors.torch import load_file, save_file
from transformers import EsmConfig, EsmForMaskedLM, EsmForProteinFolding

HERE = Path(__file__).parent
LANGUAGE = {
    "vocab_size": 33, "mask_token_id": 32, "pad_token_id": 1, "hidden_size": 16, "num_hidden_layers": 2,
    "num_attention_heads": 2, "intermediate_size": 64, "position_embedding_type": "rotary", "token_dropout": True,
    "emb_layer_norm_before": False, "layer_norm_eps": 1e-5, "hidden_dropout_prob": 0.0,
    "attention_probs_dropout_prob": 0.0,
}  # fmt: skip
STRUCTURE = {
    "sequence_dim": 12, "pairwise_dim": 10, "ipa_dim": 4, "num_heads_ipa": 3, "num_qk_points": 2, "num_v_points": 3,
    "num_blocks": 3, "resnet_dim": 8,
}  # fmt: skip
TRUNK = {
    "num_blocks": 2, "sequence_state_dim": 16, "pairwise_state_dim": 8, "sequence_head_width": 8,
    "pairwise_head_width": 4, "position_bins": 4, "chunk_size": None, "structure_module": STRUCTURE,
}  # fmt: skip
LONG = (27, 23)
OUTPUTS = (
    "frames", "sidechain_frames", "angles", "unnormalized_angles", "positions", "s_s", "s_z", "distogram_logits",
    "lm_logits", "lddt_head", "plddt", "predicted_aligned_error",
)  # fmt: skip


@torch.no_grad()
def randomized(model: torch.nn.Module) -> torch.nn.Module:
    """Of weights that 16-bit numbers hold exactly, large enough for every part to matter."""
    for parameter in model.parameters():
        if parameter.ndim > 1:
            parameter.normal_(0, 0.8 / parameter.shape[-1] ** 0.5)
        else:
            parameter.add_(0.2 * torch.randn_like(parameter))
        parameter.copy_(parameter.half())
    return model.eval()


def save_folder(model: torch.nn.Module, name: str) -> None:
    """As Hugging Face does, in 16-bit numbers, under the names of the published folders."""
    model.save_pretrained(HERE / name)
    path = HERE / name / "model.safetensors"
    save_file({key: value.half() for key, value in load_file(path).items()}, path, {"format": "pt"})


def language_models() -> dict[str, torch.Tensor]:
    tokens = torch.randint(4, 24, (2, 13))
    tokens[:, 0], tokens[0, -1], tokens[0, 5] = 0, 2, 32
    tokens[1, 9], tokens[1, 10:] = 2, 1
    outputs = {"tokens": tokens}
    model = randomized(EsmForMaskedLM(EsmConfig(**LANGUAGE)))
    save_folder(model, "esm2")
    found = model(tokens, attention_mask=tokens != 1, output_hidden_states=True)
    outputs |= {"esm2.logits": found.logits, "esm2.states": torch.stack(found.hidden_states)}
    fair = randomized(ESM2(num_layers=2, embed_dim=16, attention_heads=2))
    names = {
        ("encoder." if name.startswith("lm_head") else "encoder.sentence_encoder.") + name: value.half()
        for name, value in fair.state_dict().items()
        if not name.startswith("contact_head")
    }
    settings = {"model": Namespace(encoder_layers=2, encoder_embed_dim=16, encoder_attention_heads=2)}
    torch.save({"cfg": settings, "model": names}, HERE / "esm2_fair.pt")
    found = fair(tokens, repr_layers=range(3))
    outputs |= {"fair.logits": found["logits"], "fair.states": torch.stack(list(found["representations"].values()))}
    return outputs


def folding_model() -> dict[str, torch.Tensor]:
    """Two chains side by side, with a gap in the numbers of one; and the pTM of two longer ones, each alone."""
    folding = {"fp16_esm": False, "lddt_head_hid_dim": 4, "trunk": TRUNK}
    model = randomized(EsmForProteinFolding(EsmConfig(**LANGUAGE, is_folding_model=True, esmfold_config=folding)))
    save_folder(model, "esmfold")
    types = torch.randint(0, 20, (2, 12))
    mask = torch.ones_like(types)
    types[1, 9:], mask[1, 9:] = 0, 0
    index = torch.arange(12).expand(2, -1).clone()
    index[0, 6:] += 20
    outputs = {"types": types, "mask": mask, "index": index}
    found = model(types, mask, index, num_recycles=2)
    outputs |= {f"esmfold.{key}": found[key] for key in OUTPUTS}
    long = torch.randint(0, 20, (2, 27))
    alone = [model(long[chain, :length][None]).ptm for chain, length in enumerate(LONG)]
    return outputs | {"long": long, "long.ptm": torch.stack(alone)}


if __name__ == "__main__":
    torch.manual_seed(7)
    with torch.no_grad():
        golden = language_models() | folding_model()
    golden["esmfold.lddt_head"] = golden["esmfold.lddt_head"][-1:, :, :, :3]
    save_file({name: value.contiguous() for name, value in golden.items()}, HERE / "esm_outputs.safetensors")
