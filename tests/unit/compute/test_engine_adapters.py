"""Adapters in the engine: several in a batch, none mixed up, and what is kept of prompts is each one's own."""

import copy
import threading

import pytest
import tiny
import torch
import transformers as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from lora_cases import base, save_peft, stir
from peft import LoraConfig, PeftModel, get_peft_model
from transformers import AutoTokenizer

from engine.compute.inference.engine.engine import ArrowEngine, Limits
from engine.compute.inference.engine.requests import Asked, Sampling
from engine.compute.lora.format import LoRAFormat
from engine.compute.lora.manager import LoRAManager
from engine.compute.lora.peft_folder import read_folder
from engine.contract.errors import Conflict, UserError
from engine.contract.paths import resources_folder

NAMES = ("a", "b", "c")
KINDS = {"a": "all_linear", "b": "dora", "c": "rslora"}
PROMPT = tuple(range(100, 140))
COUNT = 8
SIZES = {"vocab_size": 260, "hidden_size": 32, "num_attention_heads": 4, "max_position_embeddings": 128}


def greedy_sampling(count: int = COUNT) -> Sampling:
    return Sampling(max_tokens=count, temperature=0, ignore_end=True)


@torch.no_grad()
def greedy(model, tokens, count: int = COUNT) -> tuple[int, ...]:
    found = list(tokens)
    for _ in range(count):
        found.append(int(model(torch.tensor([found])).logits[0, -1].argmax()))
    return tuple(found[len(tokens) :])


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("adapters")
    for seed, name in enumerate(NAMES):
        torch.manual_seed(seed)  # peft draws the first matrices from it
        made = save_peft(folder / f"{name}.peft", KINDS[name], seed + 3, lora_alpha=64)  # it says something else
        LoRAFormat.save(read_folder(made), folder / name)
    return folder


@pytest.fixture(scope="module")
def references(files):
    """What the base and each adapter make of a prompt, by peft."""
    models = {None: base()}
    for name in NAMES:
        models[name] = PeftModel.from_pretrained(base(), str(files / f"{name}.peft")).eval()
    known: dict = {}

    def ask(name, tokens) -> tuple[int, ...]:
        if (name, tokens) not in known:
            known[name, tokens] = greedy(models[name], tokens)
        return known[name, tokens]

    return ask


@pytest.fixture(scope="module")
def engine(files):
    manager = LoRAManager()
    for name in NAMES:
        manager.register(name, files / name)
    tokenizer = AutoTokenizer.from_pretrained(resources_folder() / "demo" / "model")
    with ArrowEngine(base(), tokenizer, Limits(blocks=48, piece=16, rows=4), manager) as made:
        yield made


def asked(name, tokens=PROMPT, **more) -> Asked:
    return Asked(tuple(tokens), greedy_sampling(), ((name, 1.0),) if name else (), **more)


def test_that_each_row_has_its_own_adapter(engine, references):
    names = (None, "a", "b", "c", "a", None)
    handles = [engine.submit(asked(name)) for name in names]
    found = [handle.whole().tokens for handle in handles]
    assert found == [references(name, PROMPT) for name in names]
    assert len(set(found)) == 4, "the adapters say something else each"


@pytest.mark.parametrize("rank", [4, 40])
def test_that_rows_have_their_own_heads(tmp_path, rank):
    heads = {
        "added": {"target_modules": ["q_proj", "lm_head"]},
        "dora": {"target_modules": ["v_proj", "lm_head"], "use_dora": True},
        "saved": {"target_modules": ["q_proj"], "modules_to_save": ["lm_head"]},
    }
    manager, right = LoRAManager(), [greedy(base(), PROMPT)]
    for seed, (name, options) in enumerate(heads.items()):
        folder = save_peft(tmp_path / name, seed=seed, rank=rank, **options)
        right.append(greedy(PeftModel.from_pretrained(base(), str(folder)).eval(), PROMPT))
        manager.register(name, folder)
    tokenizer = AutoTokenizer.from_pretrained(resources_folder() / "demo" / "model")
    with ArrowEngine(base(), tokenizer, Limits(blocks=48), manager) as engine:
        handles = [engine.submit(asked(name)) for name in (None, *heads)]
        assert [handle.whole().tokens for handle in handles] == right


IN_LINE = {
    "opt": lambda: tf.OPTConfig(
        **SIZES, ffn_dim=48, num_hidden_layers=2, word_embed_proj_dim=32, bos_token_id=1, eos_token_id=2
    ),
    "qwen2_moe": lambda: tf.Qwen2MoeConfig(
        **SIZES, intermediate_size=48, num_hidden_layers=2, num_key_value_heads=2, num_experts=4,
        moe_intermediate_size=16, shared_expert_intermediate_size=24,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", IN_LINE)
def test_that_rows_that_lie_in_one_line_have_their_own_adapters(tmp_path, name):
    torch.manual_seed(1)
    model = tf.AutoModelForCausalLM.from_config(IN_LINE[name]()).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(std=0.2)
    kinds = {
        "low": {"target_modules": "all-linear"},
        "high": {"target_modules": "all-linear", "r": 40},
        "biases": {"target_modules": ["q_proj"], "bias": "all"},
        "whole": {"target_modules": ["q_proj"], "modules_to_save": ["gate" if name == "qwen2_moe" else "fc1"]},
    }
    manager, prompts = LoRAManager(), [tuple(range(3 + n, 30 + 5 * n)) for n in range(5)]
    right = [greedy(model, prompts[0])]
    for seed, (kind, options) in enumerate(kinds.items()):
        made = get_peft_model(copy.deepcopy(model), LoraConfig(**{"r": 4, "lora_alpha": 32} | options)).eval()
        stir(made, seed)
        made.save_pretrained(str(tmp_path / kind))
        right.append(greedy(made, prompts[seed + 1]))
        manager.register(kind, tmp_path / kind)
    with ArrowEngine(model, tiny.make_tokenizer(), Limits(blocks=48, piece=16), manager) as engine:
        handles = [engine.submit(asked(kind, prompts[n])) for n, kind in enumerate((None, *kinds))]
        assert [handle.whole().tokens for handle in handles] == right


@settings(max_examples=15, deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from((None, *NAMES)), st.integers(0, 3), st.integers(17, 60), st.booleans()),
        min_size=1, max_size=8,
    )
)  # fmt: skip
def test_that_kept_beginnings_and_neighbours_change_no_answer(engine, references, wanted):
    """Prompts that begin alike, whatever was kept, evicted and answered beside."""
    handles = []
    for name, seed, length, gives_up in wanted:
        prompt = tuple(range(100, 100 + length - seed)) + tuple(range(500, 500 + seed))
        handle = engine.submit(asked(name, prompt))
        if gives_up:
            handle.cancel()
        else:
            handles.append((name, prompt, handle))
    for name, prompt, handle in handles:
        assert handle.whole().tokens == references(name, prompt)


def test_that_swaps_from_many_threads_never_mix(engine, references):
    wrong: list = []

    def ask(number: int) -> None:
        for turn in range(4):
            name = (None, *NAMES)[(number + turn) % 4]
            found = engine.submit(asked(name)).whole().tokens
            if found != references(name, PROMPT):
                wrong.append((name, found))

    for name in (None, *NAMES):
        references(name, PROMPT)
    threads = [threading.Thread(target=ask, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_that_a_blend_is_answered_alone_and_the_others_after_it(engine, references):
    blend = Asked(PROMPT, greedy_sampling(), (("a", 0.5), ("b", 0.5)))
    handles = [engine.submit(one) for one in (asked("a"), blend, asked("c"), blend)]
    found = [handle.whole().tokens for handle in handles]
    assert found[0] == references("a", PROMPT)
    assert found[2] == references("c", PROMPT)
    assert found[1] == found[3]


def test_that_an_adapter_at_work_is_not_unloaded(engine):
    handle = engine.submit(Asked(PROMPT, Sampling(max_tokens=400, temperature=0, ignore_end=True), (("b", 1.0),)))
    next(iter(handle))
    with pytest.raises(Conflict):
        engine.adapters.unload("b")
    handle.cancel()
    handle.whole()


def test_that_an_adapter_that_cannot_be_loaded_fails_its_own_request_only(engine, references, tmp_path):
    broken = tmp_path / "broken"
    broken.write_bytes(b"ARROW1 and nothing else")
    engine.adapters.register("broken", broken)
    bad, good = engine.submit(asked("broken")), engine.submit(asked("a"))
    with pytest.raises(UserError, match="broken"):
        bad.whole()
    assert good.whole().tokens == references("a", PROMPT)
    engine.adapters.unload("broken")
    with pytest.raises(UserError) as caught:
        engine.submit(asked("nobody"))
    assert caught.value.code == "lora.unknown"
