"""Layers with adapters: what peft computes, the base bit for bit without them, and rows that have one each."""

import copy
import json

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from lora_cases import KINDS, base, peft_model, save_peft, stir, tokens
from test_lora_format import codes, refusal

from engine.compute.lora import plans
from engine.compute.lora.adapter import assemble
from engine.compute.lora.format import LoRAFormat
from engine.compute.lora.injection import Host
from engine.compute.lora.manager import LoRAManager
from engine.compute.lora.peft_folder import read_folder

NEAR = 2e-6
"""Of the greatest logit: fp32 sums in another order."""


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Three adapters of other kinds and ranks, as files."""
    made, folder = {}, tmp_path_factory.mktemp("adapters")
    for seed, (name, kind, rank) in enumerate((("a", "all_linear", 4), ("b", "dora", 3), ("c", "patterns", 5))):
        save_peft(folder / name, kind, seed, rank)
        made[name] = folder / f"{name}.lora.arrow"
        LoRAFormat.save(read_folder(folder / name), made[name])
    return made


@pytest.fixture
def manager(files):
    made = LoRAManager()
    for name, path in files.items():
        made.register(name, path)
    made.inject(base())
    yield made
    made.remove()


def logits(model, ids=None) -> torch.Tensor:
    with torch.no_grad():
        return model(tokens() if ids is None else ids).logits


def assert_near(found: torch.Tensor, wanted: torch.Tensor) -> None:
    assert found.shape == wanted.shape
    assert float((found - wanted).abs().max() / wanted.abs().max()) <= NEAR


def pointers(model) -> dict[str, int]:
    return {name: parameter.data_ptr() for name, parameter in model.named_parameters()}


def expected(files, names) -> torch.Tensor:
    """By peft, all of them active."""
    from peft import PeftModel

    model = None
    for name in names:
        folder = str(files[name].with_name(name))
        if model is None:
            model = PeftModel.from_pretrained(base(), folder, adapter_name=name).eval()
        else:
            model.load_adapter(folder, name)
    model.base_model.set_adapter(list(names))
    return logits(model)


@pytest.mark.parametrize("kind", KINDS)
def test_that_the_forward_pass_is_pefts(tmp_path, kind):
    from peft import PeftModel

    folder = save_peft(tmp_path / "peft", kind)
    LoRAFormat.save(read_folder(folder), tmp_path / "file")
    wanted = logits(PeftModel.from_pretrained(base(), str(folder)).eval())
    manager = LoRAManager()
    manager.register("one", tmp_path / "file")
    model = base()
    plain = logits(model)
    manager.inject(model)
    manager.activate("one")
    found = logits(model)
    assert_near(found, wanted)
    assert (found - plain).abs().max() > 1e-3, "it changed nothing"
    one = tokens(1, 1)
    assert_near(logits(model, one), logits(PeftModel.from_pretrained(base(), str(folder)).eval(), one))


@settings(max_examples=12, deadline=None)
@given(
    rank=st.integers(1, 9),
    alpha=st.integers(1, 32),
    kind=st.sampled_from(sorted(KINDS)),
    rslora=st.booleans(),
    seed=st.integers(0, 999),
)
def test_that_any_adapter_of_pefts_computes_the_same(rank, alpha, kind, rslora, seed):
    from peft import get_peft_model_state_dict

    made = peft_model(kind, seed, rank, lora_alpha=alpha, use_rslora=rslora)
    ids = tokens(2, 5, seed)
    wanted, config = logits(made, ids), made.peft_config["default"].to_dict()
    text = json.dumps({k: sorted(v) if isinstance(v, set) else v for k, v in config.items()}, default=str)
    state = {name: one.clone() for name, one in get_peft_model_state_dict(made).items()}
    adapter = assemble(text, state, "made")
    model = base()
    host = Host(model)
    host.inject(adapter)
    from engine.compute.lora.plans import Part

    host.switch.default = host.select([Part("x", adapter, 1.0, host.gains(adapter))])
    assert_near(logits(model, ids), wanted)


@pytest.mark.parametrize("dora", [False, True])
def test_that_biases_trained_with_it_are_pefts(tmp_path, dora, monkeypatch):
    import transformers as tf
    from peft import LoraConfig, PeftModel, get_peft_model

    sizes = {"vocab_size": 99, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2}
    config = tf.Qwen2Config(**sizes, num_attention_heads=4, num_key_value_heads=2)

    def fresh():
        torch.manual_seed(1)
        return tf.Qwen2ForCausalLM(config).eval()

    options = {"r": 3, "target_modules": ["q_proj"], "bias": "all", "use_dora": dora}
    made = get_peft_model(fresh(), LoraConfig(**options, task_type="CAUSAL_LM"))
    stir(made, 4)
    made.save_pretrained(str(tmp_path / "peft"))
    model, ids = fresh(), tokens() % 99
    manager = LoRAManager()
    manager.register("one", tmp_path / "peft")
    manager.inject(model)
    manager.activate("one")
    wanted = logits(PeftModel.from_pretrained(fresh(), str(tmp_path / "peft")).eval(), ids)
    assert_near(logits(model, ids), wanted)
    plain = logits(fresh(), ids)
    assert (wanted - plain).abs().max() > 1e-3
    for masked in (64, 0):
        monkeypatch.setattr(plans, "MASKED_RANKS", masked)
        manager.remove()
        manager.inject(model)
        with manager.request(rows=["one", None]):
            assert_near(logits(model, ids), torch.stack([wanted[0], plain[1]]))


@settings(max_examples=8, deadline=None)
@given(kind=st.sampled_from(sorted(KINDS)), seed=st.integers(0, 99), again=st.integers(1, 3))
def test_that_removal_restores_logits_and_weights_exactly(kind, seed, again, tmp_path_factory):
    path = tmp_path_factory.mktemp("one") / "peft"
    save_peft(path, kind, seed)
    model = base()
    ids = tokens(2, 5, seed)
    before, places, classes = logits(model, ids), pointers(model), [type(one) for one in model.modules()]
    keys = [sorted(one.__dict__) for one in model.modules()]
    for _ in range(again):
        manager = LoRAManager()
        manager.register("one", path)
        manager.inject(model)
        manager.activate("one")
        assert not torch.equal(logits(model, ids), before)
        assert pointers(model) == places, "a weight was copied"
        manager.deactivate()
        assert torch.equal(logits(model, ids), before), "off is not the base"
        manager.remove()
    assert torch.equal(logits(model, ids), before)
    assert pointers(model) == places
    assert [type(one) for one in model.modules()] == classes
    assert [sorted(one.__dict__) for one in model.modules()] == keys


@settings(max_examples=6, deadline=None)
@given(kind=st.sampled_from(sorted(KINDS)), times=st.integers(2, 4))
def test_that_injecting_again_is_the_same_as_once(kind, times, tmp_path_factory):
    path = save_peft(tmp_path_factory.mktemp("one") / "peft", kind)
    found = []
    for count in (1, times):
        manager, model = LoRAManager(), base()
        manager.register("one", path)
        for _ in range(count):
            manager.inject(model)
            manager.activate("one")
            adapter = read_folder(path)
            manager.host.inject(adapter)
        found.append((logits(model), [type(one).__name__ for one in model.modules()]))
    assert torch.equal(found[0][0], found[1][0])
    assert found[0][1] == found[1][1]


def test_that_several_at_once_add_up_as_in_peft(tmp_path):
    files = {}
    for seed, (name, kind) in enumerate((("a", "all_linear"), ("b", "rslora"), ("c", "patterns"))):
        save_peft(tmp_path / name, kind, seed, rank=seed + 2)
        files[name] = tmp_path / f"{name}.arrow"
        LoRAFormat.save(read_folder(tmp_path / name), files[name])
    manager = LoRAManager()
    for name, path in files.items():
        manager.register(name, path)
    manager.inject(base())
    manager.activate(["a", "b", "c"])
    assert_near(logits(manager.host.model), expected(files, "abc"))


def test_that_a_weight_scales_what_an_adapter_adds(manager, files):
    from peft import PeftModel

    model = PeftModel.from_pretrained(base(), str(files["a"].with_name("a"))).eval()
    for module in model.modules():
        if isinstance(getattr(module, "scaling", None), dict):
            module.scaling["default"] *= 0.25
    manager.activate({"a": 0.25})
    assert_near(logits(manager.host.model), logits(model))
    manager.activate({"b": 0.0})
    assert_near(logits(manager.host.model), logits(base()))


@pytest.mark.parametrize("masked", [64, 0])
def test_that_each_row_of_a_batch_has_its_own_adapter(manager, monkeypatch, masked):
    monkeypatch.setattr(plans, "MASKED_RANKS", masked)
    rows, ids = ["a", None, "b", "c", "a", None], tokens(6, 5)
    alone = []
    for name, row in zip(rows, ids, strict=True):
        with manager.request(name or ()):
            alone.append(logits(manager.host.model, row[None]))
    for length in (5, 1):
        with manager.request(rows=rows):
            together = logits(manager.host.model, ids[:, :length])
        assert_near(together, torch.cat(alone)[:, :length])


@pytest.mark.parametrize("masked", [64, 0])
def test_that_rows_may_replace_whole_modules(tmp_path, monkeypatch, masked):
    monkeypatch.setattr(plans, "MASKED_RANKS", masked)
    manager = LoRAManager()
    for name in ("whole", "embedding", "plain", "dora_embedding"):
        manager.register(name, save_peft(tmp_path / name, name, seed=len(name)))
    manager.inject(base())
    rows, ids = ["whole", "plain", None, "dora_embedding", "embedding", "whole"], tokens(6, 4)
    alone = []
    for name, row in zip(rows, ids, strict=True):
        with manager.request(name or ()):
            alone.append(logits(manager.host.model, row[None]))
    with manager.request(rows=rows):
        assert_near(logits(manager.host.model, ids), torch.cat(alone))


@pytest.mark.parametrize("masked", [64, 0])
def test_that_rows_that_do_not_fit_the_batch_are_refused(manager, monkeypatch, masked):
    monkeypatch.setattr(plans, "MASKED_RANKS", masked)
    with manager.request(rows=["a", "b"]):
        assert refusal(logits, manager.host.model, tokens(3)).code == "lora.rows"


def test_that_a_generated_answer_is_pefts(manager, files):
    from peft import PeftModel

    ids = tokens(2, 6)
    model = PeftModel.from_pretrained(base(), str(files["b"].with_name("b"))).eval()
    options = {"max_new_tokens": 6, "do_sample": False, "attention_mask": torch.ones_like(ids), "pad_token_id": 0}
    with torch.no_grad(), manager.request("b"):
        found = manager.host.model.generate(input_ids=ids, **options)
    assert torch.equal(found, model.generate(input_ids=ids, **options))


def test_that_an_fp32_adapter_on_a_bf16_base_computes_as_in_peft(manager, files):
    from peft import PeftModel

    with torch.no_grad():
        model = PeftModel.from_pretrained(base().bfloat16(), str(files["a"].with_name("a"))).eval()
        manager.remove()
        manager.inject(base().bfloat16())
        manager.activate("a")
        torch.testing.assert_close(logits(manager.host.model), logits(model), rtol=2e-2, atol=2e-2)


@pytest.mark.parametrize("kind", ["dora", "dora_embedding"])
def test_that_doras_gains_keep_their_digits_on_a_bf16_base(tmp_path, kind):
    adapter, half = read_folder(save_peft(tmp_path / "peft", kind)), base().bfloat16()
    wanted, found = Host(copy.deepcopy(half).float()).gains(adapter), Host(half).gains(adapter)
    for path, gain in wanted.items():
        torch.testing.assert_close(found[path].float(), gain, rtol=1e-5, atol=0)


def test_that_gradients_pass_through(manager):
    manager.activate("a")
    embedded = manager.host.model.get_input_embeddings()(tokens()).detach().requires_grad_()
    manager.host.model(inputs_embeds=embedded).logits.sum().backward()
    assert torch.isfinite(embedded.grad).all()
    assert embedded.grad.abs().max() > 0


# Bad input.


def test_that_an_adapter_of_another_base_is_refused_with_every_module(files):
    from tiny import make_model

    error = refusal(Host(make_model()).inject, LoRAFormat.load(files["a"]))
    assert codes(error) == {"lora.module_shape", "lora.module_missing"}
    assert len(error.problems) == 28
    assert all(type(one).__name__ != "LoRALinear" for one in make_model().modules())


def test_that_an_adapter_of_other_weights_is_refused(files):
    adapter = LoRAFormat.load(files["a"])
    adapter.card = adapter.card.model_copy(update={"base_hash": "a" * 64})
    assert refusal(Host(base(), "b" * 64).inject, adapter).code == "lora.foreign_base"
    Host(base(), "a" * 64).inject(adapter)


def test_that_modules_that_are_no_linear_ones_are_refused():
    from tiny import make_model

    stem = "base_model.model.transformer.h.0.attn.c_attn"
    tensors = {f"{stem}.lora_A.weight": torch.ones(2, 32), f"{stem}.lora_B.weight": torch.ones(96, 2)}
    adapter = assemble(json.dumps({"peft_type": "LORA", "r": 2, "lora_alpha": 2}), tensors, "gpt2")
    assert codes(refusal(Host(make_model("gpt2")).inject, adapter)) == {"lora.module_kind"}


def test_that_two_that_replace_a_module_are_refused_together(tmp_path):
    manager = LoRAManager()
    for number in (1, 2):
        manager.register(f"{number}", save_peft(tmp_path / f"{number}", "whole", number))
    manager.inject(base())
    assert refusal(manager.activate, ["1", "2"]).code == "lora.two_whole"
    assert refusal(manager.activate, {"1": 0.5}).code == "lora.whole_weighed"
    assert manager.active == {}
