"""Requests beside others in the engine: what is wrong with one is its own, and none waits for ever."""

import itertools
import shutil

import pytest
import torch
from lora_cases import base, save_peft
from transformers import AutoTokenizer

from engine.compute.inference.engine import engine as engines
from engine.compute.inference.engine.engine import ArrowEngine, Limits
from engine.compute.inference.engine.requests import Asked, Over, Sampling
from engine.compute.lora import manager as managers
from engine.compute.lora.manager import LoRAManager
from engine.contract.errors import UserError
from engine.contract.paths import resources_folder

PROMPT, OTHER = tuple(range(100, 140)), tuple(range(200, 220))
NAN, INFINITE = float("nan"), float("inf")


@pytest.fixture(scope="module")
def tokenizer():
    return AutoTokenizer.from_pretrained(resources_folder() / "demo" / "model")


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Two adapters that say something else."""
    folder, found = tmp_path_factory.mktemp("adapters"), {}
    for seed, name in enumerate("ab"):
        torch.manual_seed(seed)
        found[name] = save_peft(folder / name, "all_linear", seed, lora_alpha=64)
    return found


def asked(tokens=PROMPT, count: int = 8, adapters=(), **more) -> Asked:
    return Asked(tuple(tokens), Sampling(max_tokens=count, temperature=0, ignore_end=True, **more), adapters)


def managed(folders, **limits) -> LoRAManager:
    manager = LoRAManager(**limits)
    for name, folder in folders.items():
        manager.register(name, folder)
    return manager


def code_of(handle) -> str:
    with pytest.raises(UserError) as caught:
        handle.whole()
    return caught.value.code


@pytest.mark.parametrize("token", [-1, 4096, 2**40])
def test_that_tokens_the_model_does_not_know_are_refused_at_once(tokenizer, token):
    with ArrowEngine(base(), tokenizer, Limits(blocks=48)) as engine:
        neighbour = engine.submit(asked(count=30))
        with pytest.raises(UserError) as caught:
            engine.submit(asked((*PROMPT, token, 5)))
        assert (caught.value.code, caught.value.params["token"]) == ("inference.no_token", token)
        assert len(neighbour.whole().tokens) == 30


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("temperature", one) for one in (-1.0, NAN, INFINITE)),
        *(("top_p", one) for one in (0.0, 1.5, NAN)),
        *(("min_p", one) for one in (-0.1, 2.0, NAN)),
        *(("repetition", one) for one in (0.0, -1.0, INFINITE, NAN)),
        ("top_k", -1), ("presence", NAN), ("frequency", INFINITE), ("seed", 2**64), ("logprobs", -1),
        *(("bias", ((token, value),)) for token, value in ((4096, 1.0), (-1, 1.0), (5, NAN), (5, -INFINITE))),
    ],
)  # fmt: skip
def test_that_a_setting_nothing_can_be_chosen_by_is_refused_by_name(tokenizer, name, value):
    with ArrowEngine(base(), tokenizer, Limits(blocks=48)) as engine:
        with pytest.raises(UserError) as caught:
            engine.submit(Asked(PROMPT, Sampling(**{"max_tokens": 4, name: value})))
        assert caught.value.code == "inference.sampling"
        assert name in caught.value.text


def test_that_what_breaks_while_a_token_is_chosen_ends_its_own_answer_only(tokenizer, monkeypatch):
    class Breaking(engines.Chooser):
        def choose(self, logits, allowed=None):
            if self.sampling.presence:
                raise RuntimeError("broken")
            return super().choose(logits, allowed)

    monkeypatch.setattr(engines, "Chooser", Breaking)
    with ArrowEngine(base(), tokenizer, Limits(blocks=48)) as engine:
        right = engine.submit(asked(OTHER, 20, logprobs=0)).whole().tokens
        first = engine.submit(asked(OTHER, 20, logprobs=0))
        broken = [engine.submit(asked(count=4, presence=1.0)) for _ in range(3)]
        assert [code_of(one) for one in broken] == ["inference.broken"] * 3
        assert first.whole().tokens == right
        assert engine.pool.used == 0


def test_that_what_breaks_while_an_adapter_is_read_ends_its_own_request_only(tokenizer, folders, monkeypatch):
    def breaks(path):
        raise PermissionError(13, "Permission denied", str(path))

    with ArrowEngine(base(), tokenizer, Limits(blocks=48), managed(folders)) as engine:
        right = engine.submit(asked(OTHER, 20)).whole().tokens
        whole = managers.read_folder
        monkeypatch.setattr(managers, "read_folder", breaks)
        neighbour = engine.submit(asked(OTHER, 20))
        assert code_of(engine.submit(asked(adapters=(("a", 1.0),)))) == "inference.broken"
        assert neighbour.whole().tokens == right
        monkeypatch.setattr(managers, "read_folder", whole)
        assert len(engine.submit(asked(adapters=(("a", 1.0),))).whole().tokens) == 8
        assert engine.adapters.held.names == ("a",)


def test_that_a_blend_is_not_overtaken_for_ever(tokenizer, folders):
    limits = Limits(blocks=96, rows=2, ageing=1e-9)
    engine = ArrowEngine(base(), tokenizer, limits, managed(folders), thread=False)
    others = [engine.submit(asked(OTHER, 6))]
    engine.turn()
    blend = engine.submit(asked(adapters=(("a", 0.5),)))
    for number in itertools.count():
        others.append(engine.submit(asked(OTHER, 6))) if number % 3 == 0 else None
        assert engine.turn()
        if any(isinstance(one, Over) for one in blend.news()):
            break
        assert number < 40, "others go on and on before it"
    while engine.turn():
        pass
    assert all(len(one.whole().tokens) == 6 for one in others)
    engine.close()


def test_that_an_adapter_without_room_waits_for_those_at_work(tokenizer, folders):
    manager = managed(folders, limit_count=1)
    with ArrowEngine(base(), tokenizer, Limits(blocks=48), manager) as engine:
        alone = engine.submit(asked(adapters=(("b", 1.0),))).whole().tokens
        first = engine.submit(asked(count=30, adapters=(("a", 1.0),)))
        second = engine.submit(asked(adapters=(("b", 1.0),)))
        assert second.whole().tokens == alone
        assert len(first.whole().tokens) == 30
        both = engine.submit(asked(adapters=(("a", 1.0), ("b", 1.0))))
        assert code_of(both) == "lora.no_room", "nobody is at work who could let go of one"


def test_that_a_folder_under_the_same_name_is_another_version(tokenizer, folders, tmp_path):
    here, manager = tmp_path / "live", LoRAManager()
    shutil.copytree(folders["a"], here)
    manager.register("live", here)
    with ArrowEngine(base(), tokenizer, Limits(blocks=48), manager) as engine:
        live = asked(adapters=(("live", 1.0),))
        engine.submit(live).whole()
        assert engine.submit(live).whole().over.timing.cached > 0
        manager.unload("live")
        shutil.rmtree(here)
        shutil.copytree(folders["b"], here)
        manager.register("live", here)
        assert engine.submit(live).whole().over.timing.cached == 0
