"""The Triton kernels give what plain torch gives. Without a GPU Triton's interpreter runs them, in its own process."""

import os
import subprocess
import sys
from importlib.util import find_spec

import pytest
import torch
from torch import nn
from torch.testing import assert_close

from common.app.errors import ConfigError
from protein.models.evoformer import EvoformerBlock, EvoformerConfig
from protein.models.folding_block import FoldingBlock
from protein.models.triangle_multiplication import TriangleMultiplication, use_kernels
from protein.predictor import StructurePredictor


def random(layer: nn.Module, device: str) -> nn.Module:
    """Not as layers start, whose outputs are zero."""
    for weight in layer.parameters():
        nn.init.normal_(weight, std=0.3)
    return layer.eval().to(device)


def compare(device: str) -> None:
    """Layers and blocks with and without kernels, on inputs with padding, whole and by pieces."""
    torch.manual_seed(0)
    for width, hidden, outgoing, chunk in ((16, 32, True, None), (32, 32, False, None), (32, 16, False, 4)):
        layer = random(TriangleMultiplication(width, hidden, outgoing), device)
        pair, mask = torch.randn(2, 13, 13, width, device=device), torch.rand(2, 13, device=device) > 0.3
        for given in (mask, None):
            expected = layer(pair.clone(), given, chunk)
            assert use_kernels(layer) == 1
            assert_close(layer(pair.clone(), given, chunk), expected, atol=1e-5, rtol=1e-5)
            turned = pair.transpose(1, 2).contiguous().transpose(1, 2)
            assert_close(layer(turned, given, chunk), expected, atol=1e-5, rtol=1e-5)
            layer.by_kernels = False
    layer = random(TriangleMultiplication(32, 32, True), device)
    pair = torch.randn(1, 9, 9, 32, device=device)
    # The interpreter multiplies no bfloat16.
    with torch.autocast(device, torch.bfloat16 if device == "cuda" else torch.float16):
        expected = layer(pair.clone())
        use_kernels(layer)
        assert_close(layer(pair.clone()), expected, atol=0.05, rtol=0.05)
    block = random(FoldingBlock(16, 16, 4, 4), device)
    single, pair, mask = torch.randn(1, 9, 16, device=device), torch.randn(1, 9, 9, 16, device=device), mask[:1, :9]
    expected = block(single.clone(), pair.clone(), mask)
    assert use_kernels(block) == 2
    for found, one in zip(block(single.clone(), pair.clone(), mask), expected, strict=True):
        assert_close(found, one, atol=1e-4, rtol=1e-4)


@pytest.mark.skipif(not find_spec("triton"), reason="needs the extra [triton]")
def test_kernels_in_the_interpreter_agree_with_torch():
    code = (
        "import torch; from tests.protein.models.test_triangle_kernels import compare; torch.no_grad()(compare)('cpu')"
    )
    environment = os.environ | {"TRITON_INTERPRET": "1"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.skipif(not (find_spec("triton") and torch.cuda.is_available()), reason="needs triton and a GPU")
@torch.no_grad()
def test_kernels_on_a_gpu_agree_with_torch():
    compare("cuda")


@pytest.mark.skipif(not find_spec("triton"), reason="needs the extra [triton]")
@pytest.mark.parametrize("capability", [80, 90])
@pytest.mark.parametrize("dtype", ["fp32", "bf16"])
def test_kernels_compile_for_gpus_that_are_not_here(capability, dtype, tmp_path, monkeypatch):
    import triton
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    from protein.models import triangle_kernels

    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path))
    types = {"nodes": "i32", "epsilon": "fp32", "epsilon_out": "fp32", "mask": "*i8"}
    shared = {"WIDTH": 32, "ROWS": triangle_kernels.ROWS}
    edges = {"CHANNELS": 64, "COLUMNS": triangle_kernels.COLUMNS, "MASKED": True, "OUTGOING": True}
    for kernel, constants in (
        (triangle_kernels._edges_kernel, shared | edges),
        (triangle_kernels._update_kernel, shared | {"HIDDEN": 32}),
    ):
        signature = {
            name: "constexpr" if name in constants else types.get(name, f"*{dtype}") for name in kernel.arg_names
        }
        source = ASTSource(kernel, signature, constexprs=constants)
        compiled = triton.compile(source, target=GPUTarget("cuda", capability, 32))
        assert compiled.asm["cubin"] and "mma" in compiled.asm["ptx"], "tensor cores multiply"


def test_gradients_take_plain_torch_with_kernels_chosen():
    layer = random(TriangleMultiplication(16, 16, True), "cpu")
    pair = torch.randn(1, 5, 5, 16, requires_grad=True)
    expected = layer(pair)
    use_kernels(layer)
    assert_close(layer(pair), expected)


def test_only_layers_of_suited_widths_take_kernels():
    assert use_kernels(nn.Sequential(TriangleMultiplication(24, 16, True), TriangleMultiplication(16, 8, True))) == 0
    assert use_kernels(EvoformerBlock(EvoformerConfig())) == 2
    assert use_kernels(StructurePredictor.from_pretrained("fold-small", device="cpu").model) == 4


def test_kernels_are_refused_without_a_gpu():
    with pytest.raises(ConfigError, match=r"run on a GPU.*cpu"):
        StructurePredictor.from_pretrained("fold-small", device="cpu").use_triton()
