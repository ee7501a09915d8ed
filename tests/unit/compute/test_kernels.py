"""Compiled layers have the same losses, a missing compiler is told, and Liger is refused where it cannot be."""

import importlib.util

import pytest
import tiny
import torch

from engine.compute.training import kernels
from engine.compute.training.batches import collate
from engine.compute.training.kernels import apply_liger, compile_layers, why_not_compiled
from engine.compute.training.loss import summed_loss
from engine.compute.training.tuners import apply_tuner
from engine.compute.worker import train_job
from engine.contract.errors import UserError
from engine.contract.tuner import TunerConfig

CPU = torch.device("cpu")


@pytest.fixture
def rows():
    from test_packing import make_rows

    return make_rows()


def gradient(model, rows) -> tuple[torch.Tensor, torch.Tensor]:
    loss = summed_loss(model, collate(rows, 0, 1), selective=True)
    loss.backward()
    return loss.detach(), torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None])


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["full", "lora"])
def test_that_compiled_layers_give_the_same_loss_and_gradients(kind, rows):
    torch.compiler.reset()
    found = []
    for compiled in (False, True):
        torch.manual_seed(3)
        model = apply_tuner(tiny.make_model(), TunerConfig(kind=kind, rank=4, init="orthogonal"))
        names = list(model.state_dict())
        if compiled:
            before = torch._dynamo.utils.counters["stats"]["unique_graphs"]
            assert compile_layers(model, "aot_eager") == 2  # its own code generator would take a minute here
        found.append(gradient(model.train(), rows))
        assert list(model.state_dict()) == names
    assert torch._dynamo.utils.counters["stats"]["unique_graphs"] > before  # something was compiled
    assert torch.allclose(found[0][0], found[1][0], rtol=1e-5)
    assert torch.allclose(found[0][1], found[1][1], rtol=1e-3, atol=1e-5)


def test_that_a_compiler_that_fails_is_named():
    detail = why_not_compiled(CPU, "no_such_compiler")
    assert "no_such_compiler" in detail


@pytest.mark.slow
def test_that_a_run_goes_on_without_a_compiler_and_says_so(attempt, monkeypatch):
    monkeypatch.setattr(train_job, "why_not_compiled", lambda device: why_not_compiled(device, "no_such_compiler"))
    curves = []
    for name, wanted in (("with", True), ("without", False)):
        made = attempt(name=name, training={"max_steps": 3, "micro_batch_size": 4, "compile": wanted})
        assert made.run() == 0, made.end
        curves.append([line.values["loss"] for line in made.of("step")])
        told = [line.code for line in made.of("note") if "compiled" in line.code]
        assert told == (["training.not_compiled"] if wanted else [])
    assert curves[0] == curves[1]


@pytest.mark.slow
def test_that_a_compiled_run_has_the_curve_of_one_that_is_not(attempt, monkeypatch):
    torch.compiler.reset()
    monkeypatch.setattr(train_job, "why_not_compiled", lambda device: why_not_compiled(device, "aot_eager"))
    monkeypatch.setattr(train_job, "compile_layers", lambda model: compile_layers(model, "aot_eager"))
    curves = []
    for name, wanted in (("with", True), ("without", False)):
        made = attempt(name=name, training={"max_steps": 4, "micro_batch_size": 4, "compile": wanted})
        assert made.run() == 0, made.end
        curves.append([line.values["loss"] for line in made.of("step")])
        assert ("training.compiled" in [line.code for line in made.of("note")]) == wanted
    assert curves[0] == pytest.approx(curves[1], rel=1e-4)


def test_that_liger_is_refused_by_its_package():
    if importlib.util.find_spec("liger_kernel") is not None:
        pytest.skip("it is here")
    with pytest.raises(UserError) as refused:
        apply_liger(tiny.make_model(), CPU)
    assert refused.value.code == "package.missing"
    assert refused.value.params["install"] == "liger-kernel"


def test_that_liger_is_refused_without_a_gpu(monkeypatch):
    monkeypatch.setattr(kernels.importlib.util, "find_spec", lambda name: object())
    with pytest.raises(UserError) as refused:
        apply_liger(tiny.make_model(), CPU)
    assert refused.value.code == "package.needs_cuda"


def test_that_flash_attention_is_refused_by_its_package_or_without_a_gpu(monkeypatch):
    for attention in ("auto", "sdpa", "eager"):
        kernels.check_attention(attention, CPU)
    monkeypatch.setattr(kernels.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UserError) as refused:
        kernels.check_attention("flash_attention_2", CPU)
    assert (refused.value.code, refused.value.params["package"]) == ("package.missing", "flash_attn")
    monkeypatch.setattr(kernels.importlib.util, "find_spec", lambda name: object())
    with pytest.raises(UserError) as without_gpu:
        kernels.check_attention("flash_attention_2", CPU)
    assert without_gpu.value.code == "package.needs_cuda"
