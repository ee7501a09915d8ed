"""Several adapters as one, as peft combines them; smaller ranks within a budget; and how two differ."""

import json
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from lora_cases import base, save_peft
from test_lora_format import refusal, small
from test_lora_layers import assert_near, logits

from engine.compute.lora.adapter import Factors
from engine.compute.lora.format import LoRAFormat
from engine.compute.lora.injection import Host
from engine.compute.lora.merging import change_error, diff, merge, merge_into, shrink
from engine.compute.lora.peft_folder import read_folder, write_folder
from engine.compute.lora.plans import Part


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Adapters of the same modules and ranks, and one with others."""
    folder = tmp_path_factory.mktemp("adapters")
    made = {name: save_peft(folder / name, "plain", seed, 4) for seed, name in enumerate("ab")}
    made["c"] = save_peft(folder / "c", "patterns", 7, 5)
    made["embedding"] = save_peft(folder / "embedding", "embedding", 8, 3)
    return made


@pytest.fixture(scope="module")
def adapters(folders):
    return {name: read_folder(folder) for name, folder in folders.items()}


def by_peft(folders, names, weights, method, **options):
    """What peft's add_weighted_adapter makes, by module."""
    from peft import PeftModel

    model = PeftModel.from_pretrained(base(), str(folders[names[0]]), adapter_name=names[0])
    for name in names[1:]:
        model.load_adapter(str(folders[name]), name)
    torch.manual_seed(3)
    model.add_weighted_adapter(list(names), list(weights), "made", combination_type=method, **options)
    return {
        path.removeprefix("base_model.model."): module.get_delta_weight("made")
        for path, module in model.named_modules()
        if hasattr(module, "get_delta_weight")
    }


@pytest.mark.parametrize("weights", [(0.7, 0.4), (1.0, -0.5)])
@pytest.mark.parametrize(
    ("method", "options"),
    [
        ("linear", {}), ("cat", {}), ("svd", {}), ("ties", {"density": 0.4}), ("ties", {"density": 1.0}),
        ("dare_linear", {"density": 1.0}), ("dare_ties", {"density": 1.0}),
    ],
)  # fmt: skip
def test_that_a_merged_adapter_is_pefts(folders, adapters, method, options, weights):
    wanted = by_peft(folders, "ab", weights, method, **options)
    made = merge({name: adapters[name] for name in "ab"}, weights, method, **options)
    assert wanted.keys() == made.modules.keys()
    for path, one in made.modules.items():
        torch.testing.assert_close(one.delta(), wanted[path], rtol=1e-4, atol=2e-6)


@pytest.mark.parametrize("method", ["dare_linear", "dare_ties"])
def test_that_dare_is_pefts_with_the_same_chance(folders, adapters, monkeypatch, method):
    draw, chance = torch.bernoulli, torch.Generator()
    monkeypatch.setattr(torch, "bernoulli", lambda share, generator=None: draw(share, generator=chance))
    chance.manual_seed(3)
    wanted = by_peft(folders, "ab", (0.7, 0.4), method, density=0.5)
    for name in "ab":  # modules in the order peft meets them
        monkeypatch.setattr(adapters[name], "modules", {path: adapters[name].modules[path] for path in wanted})
    chance.manual_seed(3)
    made = merge({name: adapters[name] for name in "ab"}, (0.7, 0.4), method, 0.5)
    for path, one in made.modules.items():
        torch.testing.assert_close(one.delta(), wanted[path], rtol=1e-4, atol=2e-6)


def test_that_dare_is_reproduced_by_its_seed(adapters):
    pair = {name: adapters[name] for name in "ab"}
    first, again, other = (merge(pair, None, "dare_ties", 0.5, seed) for seed in (3, 3, 4))
    assert all(torch.equal(tensor, again.tensors[name]) for name, tensor in first.tensors.items())
    assert not all(torch.equal(tensor, other.tensors[name]) for name, tensor in first.tensors.items())


def test_that_dare_keeps_the_mean():
    one = small(rank=2)
    total = torch.stack([merge({"x": one}, None, "dare_linear", 0.5, seed).tensors[name] for seed in range(600)
                         for name in list(one.tensors)[:1]]).mean(0)  # fmt: skip
    wanted = merge({"x": one}).tensors[next(iter(one.tensors))]
    assert float((total - wanted).norm() / wanted.norm()) < 0.1


def test_that_a_merged_adapter_is_one_of_pefts(folders, adapters, tmp_path):
    from peft import PeftModel

    made = merge({name: adapters[name] for name in "ac"}, (0.5, 1.0), "cat")
    write_folder(made, tmp_path / "made")
    model = PeftModel.from_pretrained(base(), str(tmp_path / "made")).eval()
    host = Host(base())
    for name in "ac":
        host.inject(adapters[name])
    host.switch.default = host.select([Part("a", adapters["a"], 0.5), Part("c", adapters["c"], 1.0)])
    assert_near(logits(model), logits(host.model))


@pytest.mark.parametrize("kind", ["all_linear", "dora", "embedding", "dora_embedding", "whole"])
def test_that_merging_into_the_base_is_pefts(tmp_path, kind):
    from peft import PeftModel

    folder = save_peft(tmp_path / "peft", kind)
    model = base()
    model.config.tie_word_embeddings = False
    model.lm_head.weight = torch.nn.Parameter(model.lm_head.weight.detach().clone())
    import copy

    theirs = PeftModel.from_pretrained(copy.deepcopy(model), str(folder)).merge_and_unload().eval()
    merge_into(model, read_folder(folder))
    assert_near(logits(model), logits(theirs))


TIED = {
    "head": ({"target_modules": ["q_proj", "lm_head"]}, False),
    "embeddings": ({"target_modules": ["q_proj", "embed_tokens"]}, False),
    "head_whole": ({"target_modules": ["q_proj"], "modules_to_save": ["lm_head"]}, False),
    "embeddings_whole": ({"target_modules": ["q_proj"], "modules_to_save": ["embed_tokens"]}, False),
    "both_apart": ({"target_modules": ["q_proj"], "modules_to_save": ["lm_head", "embed_tokens"]}, False),
    "both_alike": (
        {"target_modules": ["q_proj"], "modules_to_save": ["embed_tokens"], "ensure_weight_tying": True}, True,
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", TIED)
def test_that_a_base_with_tied_weights_answers_as_with_the_adapter(tmp_path, case):
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    options, tied = TIED[case]
    folder, model = save_peft(tmp_path / "peft", **options), base()
    wanted = logits(PeftModel.from_pretrained(base(), str(folder)).eval())
    merge_into(model, read_folder(folder))
    assert_near(logits(model), wanted)
    assert (model.lm_head.weight is model.model.embed_tokens.weight) == tied
    model.save_pretrained(tmp_path / "model")
    assert_near(logits(AutoModelForCausalLM.from_pretrained(tmp_path / "model", dtype=torch.float32).eval()), wanted)


def test_that_merging_a_part_into_the_base_is_the_weight_at_work(tmp_path):
    for kind in ("all_linear", "dora"):
        adapter, model, host = read_folder(save_peft(tmp_path / kind, kind)), base(), Host(base())
        merge_into(model, adapter, 0.5)
        host.inject(adapter)
        host.switch.default = host.select([Part("x", adapter, 0.5, host.gains(adapter))])
        assert_near(logits(model), logits(host.model))


@settings(max_examples=25, deadline=None)
@given(budget=st.floats(0, 0.9), seed=st.integers(0, 99), decay=st.floats(0.1, 1))
def test_that_shrinking_keeps_within_the_budget_and_takes_no_rank_too_many(budget, seed, decay):
    adapter = small(rank=8)
    chance = torch.Generator().manual_seed(seed)
    for name, tensor in adapter.tensors.items():
        fade = torch.tensor([decay**n for n in range(8)])
        tensor.copy_(torch.randn(tensor.shape, generator=chance) * (fade[:, None] if "lora_A" in name else fade))
    made, lost = shrink(adapter, budget)
    (path,) = made.modules
    assert change_error(adapter, made) <= budget + 1e-6
    assert lost[path] == pytest.approx(change_error(adapter, made), abs=1e-6)
    rank = made.modules[path].rank
    values = torch.linalg.svdvals(adapter.modules[path].delta().double())
    if rank > 1:
        assert float(values[rank - 1 :].norm() / values.norm()) > budget * 0.999, "one rank less would do"


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("budget", [0.0, 0.001, 0.01, 0.3])
def test_that_the_budget_holds_for_matrices_of_half_precision(dtype, budget):
    adapter = small(dtype, rank=8, lora_alpha=11)
    adapter.tensors[next(iter(adapter.tensors))][5:].mul_(0.01)
    made, lost = shrink(adapter, budget)
    found = change_error(adapter, made)
    assert found <= budget + 1e-6
    assert max(lost.values()) == pytest.approx(found, abs=1e-6)
    assert made.card.storage_error == pytest.approx(found, abs=1e-6)


def test_that_a_large_alpha_fits_into_small_digits():
    _, lost = shrink(small(torch.float16, rank=8, lora_alpha=4e5), 0.5)
    assert 0 < max(lost.values()) <= 0.5


@pytest.mark.parametrize("options", [{"layers_to_transform": [0]}, {"exclude_modules": ["v_proj"]}])
def test_that_a_merged_adapter_loads_whatever_the_first_one_left_out(tmp_path, options):
    from peft import PeftModel

    first = read_folder(save_peft(tmp_path / "first", "plain", **options))
    second = read_folder(save_peft(tmp_path / "second", "all_linear"))
    write_folder(merge({"first": first, "second": second}), tmp_path / "made")
    model, host = PeftModel.from_pretrained(base(), str(tmp_path / "made")).eval(), Host(base())
    remade = read_folder(tmp_path / "made")
    host.inject(remade)
    host.switch.default = host.select([Part("x", remade)])
    assert_near(logits(model), logits(host.model))


@pytest.mark.parametrize("kind", ["dora", "factor_bias", "whole"])
def test_that_what_is_no_product_differs_too(tmp_path, kind):
    one = read_folder(save_peft(tmp_path / "one", kind))
    other = read_folder(tmp_path / "one")
    assert {it.distance for it in diff(one, other).values()} == {0.0}
    parts = [part for it in other.modules.values() for part in (it.magnitude, it.bias) if part is not None]
    parts += [part for more in other.whole.values() for part in more.values()]
    for part in parts:
        part.mul_(2)
    found = {path: it.distance for path, it in diff(one, other).items()}
    assert {path for path, distance in found.items() if distance == 0} == set(one.modules)
    assert [distance for distance in found.values() if distance] == [pytest.approx(0.5)] * len(parts)


def test_that_adapters_of_other_bases_are_refused_together():
    one, narrow = small(), small()
    narrow.modules = {path: Factors(part.a[:, :8], part.b, 1.0) for path, part in narrow.modules.items()}
    for method in ("linear", "cat", "svd", "ties", "dare_linear", "dare_ties"):
        error = refusal(merge, {"one": one, "narrow": narrow}, method=method)
        assert error.code == "lora.merge_bases"
        assert "[16, 8]" in error.text


def test_that_long_names_and_seeds_are_taken(tmp_path):
    names = ["x" * 150, "y" * 150]
    made = merge({name: small() for name in names}, method="dare_linear", seed=10**30)
    LoRAFormat.save(made, tmp_path / "one")
    assert LoRAFormat.load(tmp_path / "one").card.name == f"{names[0]} + {names[1]}"[:200]


def test_that_a_shrunk_adapter_has_its_own_rank_by_module_and_goes_to_peft(adapters, tmp_path):
    from peft import PeftModel

    made, lost = shrink(adapters["c"], 0.7)
    assert max(lost.values()) <= 0.7
    assert sum(one.rank for one in made.modules.values()) < sum(one.rank for one in adapters["c"].modules.values())
    write_folder(made, tmp_path / "made")
    host = Host(base())
    host.inject(made)
    host.switch.default = host.select([Part("x", made)])
    assert_near(logits(PeftModel.from_pretrained(base(), str(tmp_path / "made")).eval()), logits(host.model))
    assert made.card.storage_error == pytest.approx(max(lost.values()))


def test_that_shrinking_by_nothing_changes_nothing(adapters):
    made, lost = shrink(adapters["a"], 0.0)
    assert set(lost.values()) == {0.0}
    assert change_error(adapters["a"], made) < 1e-6


def test_that_a_difference_is_that_of_the_whole_matrices(adapters):
    found = diff(adapters["a"], adapters["c"])
    assert found.keys() == adapters["a"].modules.keys() & adapters["c"].modules.keys()
    for path, one in found.items():
        a, c = (adapters[name].modules[path].delta().double().reshape(-1) for name in "ac")
        assert one.cosine == pytest.approx(float(a @ c / a.norm() / c.norm()), abs=1e-6)
        assert one.distance == pytest.approx(float((a - c).norm() / max(a.norm(), c.norm())), rel=1e-6)
    same = diff(adapters["a"], adapters["a"])
    assert all(one.cosine == pytest.approx(1) and one.distance < 1e-6 for one in same.values())


# Bad input.


def test_that_merges_that_cannot_be_are_refused(adapters, tmp_path):
    pair, a = {name: adapters[name] for name in "ab"}, adapters["a"]
    assert refusal(merge, {}).code == "lora.merge_none"
    assert refusal(merge, pair, None, "mean").code == "lora.merge_method"
    assert refusal(merge, pair, [1.0]).code == "lora.merge_counts"
    assert refusal(merge, pair, [1.0, math.nan]).code == "lora.weight"
    for density in (0.0, 1.1, -1, math.nan):
        assert refusal(merge, pair, None, "ties", density).code == "lora.merge_density"
    assert refusal(merge, {"a": a, "c": adapters["c"]}, None, "linear").code == "lora.merge_ranks"
    dora = read_folder(save_peft(tmp_path / "dora", "dora"))
    assert refusal(merge, {"a": a, "dora": dora}).code == "lora.merge_dora"
    whole = read_folder(save_peft(tmp_path / "whole", "whole"))
    assert refusal(merge, {"a": a, "whole": whole}).code == "lora.merge_dora"
    assert refusal(merge_into, base(), whole, 0.5).code == "lora.whole_weighed"


def test_that_budgets_and_pairs_that_make_no_sense_are_refused(adapters):
    for budget in (-0.1, 1.0, math.nan):
        assert refusal(shrink, adapters["a"], budget).code == "lora.shrink_error"
    assert refusal(diff, adapters["a"], small()).code == "lora.diff_none"


def test_that_a_merge_that_does_not_fit_leaves_the_base_alone(adapters):
    from tiny import make_model

    model = make_model()
    before = {name: one.clone() for name, one in model.state_dict().items()}
    assert refusal(merge_into, model, adapters["a"]).code == "lora.unfit"
    assert all(torch.equal(before[name], one) for name, one in model.state_dict().items())


def test_that_a_merged_card_says_what_it_is_of(adapters):
    made = merge({name: adapters[name] for name in "ab"})
    assert made.card.name == "a + b"
    assert json.loads(made.config_text)["use_rslora"] is False


def test_that_a_merged_card_says_what_all_of_them_say(adapters):
    a, b = adapters["a"], adapters["b"]
    kept = a.card, b.card
    try:
        a.card = a.card.model_copy(
            update={"run": "one", "licence": "mit", "datasets": {"x": "1"}, "embedding": (1.0, 0.0)}
        )
        b.card = b.card.model_copy(update={"run": "two", "licence": "apache-2.0", "datasets": {"y": "2"},
                                           "description": "Recipes", "embedding": (0.0, 1.0)})  # fmt: skip
        card = merge({"a": a, "b": b}, [3.0, -1.0], "cat").card
        assert (card.run, card.licence, card.description) == ("", "apache-2.0 AND mit", "Recipes")
        assert (card.datasets, card.embedding) == ({"x": "1", "y": "2"}, (0.75, 0.25))
        b.card = b.card.model_copy(update={"embedding": ()})
        assert merge({"a": a, "b": b}).card.embedding == ()
        assert merge({"a": a}).card.embedding == (1.0, 0.0)
    finally:
        a.card, b.card = kept
