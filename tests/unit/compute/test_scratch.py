"""Models that begin with fresh weights: their form, their tokenizer, a whole run, and what goes on from its result."""

import json
import shutil

import pytest
import tiny
import torch
from helpers import Attempt
from safetensors.torch import load_file

from engine.compute.data.tokenizer_training import train_tokenizer, wrapped
from engine.compute.inference.fresh import fresh_model, write_fresh
from engine.compute.training.experts import balance_of
from engine.compute.worker.from_scratch import TOKENIZER
from engine.contract import faults
from engine.contract.errors import UserError
from engine.contract.model_shape import read_shape
from engine.contract.paths import resources_folder
from engine.contract.scratch import SIZES, ScratchConfig, preset
from engine.contract.scratch_shape import ARCHITECTURES, parameters_of, shape_from

SMALL = {"hidden": 32, "layers": 2, "heads": 4, "kv_heads": 2, "intermediate": 64, "context": 128, "vocabulary": 400}
MORE = {
    "llama": {}, "qwen3": {"head_size": 12, "tied": False},
    "qwen3_moe": {"experts": 4, "expert_size": 24},
    "deepseek_v3": {"experts": 4, "expert_size": 24, "kv_rank": 12, "q_rank": 20, "rope_size": 6, "value_size": 10},
}  # fmt: skip
STEPS = 6


def form_of(family: str, **more) -> ScratchConfig:
    return ScratchConfig(**{"family": family, **SMALL, **MORE[family], **more})


def demo_texts() -> list[str]:
    lines = (resources_folder() / "demo" / "data" / "train.jsonl").read_text(encoding="utf-8").splitlines()
    return [turn["content"] for line in lines[:400] for turn in json.loads(line)["messages"]]


@pytest.fixture
def scratch(attempt):
    def make(family: str = "llama", **more):
        job = {
            "stage": "pretrain", "model": {"path": "new-one", "hub": "scratch"}, "tuner": {"kind": "full"},
            "data": {"train": [{"path": "demo", "hub": "bundled", "limit": 300}], "max_length": 64},
            "scratch": {"family": family, **SMALL, **MORE[family]},
            "training": {"max_steps": STEPS, "micro_batch_size": 8, "learning_rate": 3e-3, "precision": "fp32",
                         "memory_probe": False},
            "checkpoints": {"every_minutes": None, "every_steps": 3, "keep_last": 100},
            "evaluation": {"before": False},
        }  # fmt: skip
        for name, values in more.items():
            job[name] = {**job.get(name, {}), **values}
        return attempt(**job)

    return make


def again(made: Attempt, step: int) -> Attempt:
    folder = made.folder.parent / "2"
    folder.mkdir()
    order = json.loads((made.folder / "order.json").read_text())
    order |= {"attempt": 2, "lease": "l2", "resume_required": True}
    order["resume"] = [{"attempt": 1, "step": step, "path": f"checkpoints/a1-s{step}"}]
    (folder / "order.json").write_text(json.dumps(order))
    return Attempt(folder)


def curve(made: Attempt) -> dict[int, float]:
    return {line.step: line.values["loss"] for line in made.of("step")}


@pytest.mark.parametrize("family", ARCHITECTURES)
@pytest.mark.parametrize("size", ["2m", ""])
def test_that_the_count_of_the_form_is_that_of_the_real_model(family, size):
    form = ScratchConfig(**preset(family, size)) if size else form_of(family)
    tokenizer = tiny.make_tokenizer()
    model = fresh_model(form, tokenizer, 0)
    assert parameters_of(form, len(tokenizer)).total == model.num_parameters()
    assert type(model).__name__ == ARCHITECTURES[family]


@pytest.mark.parametrize("family", ARCHITECTURES)
@pytest.mark.parametrize("size", SIZES)
def test_that_every_size_has_the_parameters_it_is_said_to_have(family, size):
    from transformers import AutoConfig, AutoModelForCausalLM

    from engine.contract.scratch_shape import config_of

    form = ScratchConfig(**preset(family, size))
    content = config_of(form, form.vocabulary)
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(AutoConfig.for_model(content.pop("model_type"), **content))
    found = parameters_of(form, form.vocabulary)
    assert found.total == model.num_parameters()
    assert found.active < found.total if form.mixture else found.active == found.total
    named = {"2m": 2e6, "20m": 20e6, "125m": 125e6, "350m": 350e6}[size]
    assert 0.8 * named < found.active < 1.2 * named


@pytest.mark.parametrize("family", ARCHITECTURES)
def test_that_the_forecast_knows_the_shape_before_any_file_exists(family, tmp_path):
    tokenizer = tiny.make_tokenizer()
    form = form_of(family, vocabulary=len(tokenizer))
    write_fresh(form, tokenizer, 0, tmp_path)
    assert shape_from(form) == read_shape(tmp_path)


@pytest.mark.parametrize("family", ARCHITECTURES)
def test_that_a_seed_decides_the_weights_and_chance_stays_where_it_stood(family):
    tokenizer = tiny.make_tokenizer()
    before = torch.get_rng_state()
    one, same, other = (fresh_model(form_of(family), tokenizer, seed).state_dict() for seed in (1, 1, 2))
    assert torch.equal(before, torch.get_rng_state())
    assert all(torch.equal(one[name], same[name]) for name in one)
    assert not torch.equal(one["model.embed_tokens.weight"], other["model.embed_tokens.weight"])


@pytest.mark.parametrize("algorithm", ["bpe", "unigram", "wordpiece"])
def test_that_the_same_texts_give_the_same_tokenizer(algorithm):
    form, texts = ScratchConfig(algorithm=algorithm, vocabulary=400), demo_texts()
    found = {train_tokenizer(form, lambda: texts) for _ in range(3)}
    assert len(found) == 1
    made = wrapped(found.pop(), form)
    assert len(made) == 400
    assert made.convert_ids_to_tokens([0, 1, 2]) == form.special_tokens
    assert (made.eos_token_id, made.pad_token_id) == (0, 0)
    ids = made(texts[0])["input_ids"]
    assert made.unk_token_id is None or made.unk_token_id not in ids


@pytest.mark.parametrize(
    "text", ["Hello,  world!\n\tit's", "中文也行，ok", "🙂👩‍👩‍👧 é\u0301", "\x00\ufeff<|im_start|>x"]
)
def test_that_bytes_let_any_text_come_back_whole(text):
    form = ScratchConfig(vocabulary=265)
    made = wrapped(train_tokenizer(form, lambda: ["only plain English was read " * 20] * 3 + ["and more of it"]), form)
    assert made.decode(made(text)["input_ids"]) == text


def test_that_lower_case_is_a_choice():
    for lower, expected in ((False, "One TWO"), (True, "one two")):
        form = ScratchConfig(vocabulary=261, lower_case=lower)
        made = wrapped(train_tokenizer(form, lambda: ["One TWO one two three"] * 9), form)
        assert made.decode(made("One TWO")["input_ids"]) == expected


@pytest.mark.parametrize("algorithm", ["bpe", "unigram", "wordpiece"])
def test_that_a_vocabulary_the_rows_do_not_fill_is_refused_with_what_they_give(algorithm):
    form = ScratchConfig(algorithm=algorithm, vocabulary=50_000)
    with pytest.raises(UserError) as refused:
        train_tokenizer(form, demo_texts)
    assert refused.value.code == "scratch.vocabulary_too_large"
    fits = ScratchConfig(algorithm=algorithm, vocabulary=refused.value.params["made"])
    assert len(wrapped(train_tokenizer(fits, demo_texts), fits)) == fits.vocabulary


@pytest.mark.parametrize("algorithm", ["unigram", "wordpiece"])
def test_that_a_vocabulary_without_room_for_the_letters_is_refused_with_what_has(algorithm):
    with pytest.raises(UserError) as refused:
        train_tokenizer(ScratchConfig(algorithm=algorithm, vocabulary=30), demo_texts)
    assert refused.value.code == "scratch.vocabulary_too_small"
    assert refused.value.params["least"] > 30


@pytest.mark.parametrize("turn", [1, 2])
def test_that_a_stop_while_texts_are_read_ends_the_training(turn):
    texts, reads = demo_texts(), []

    def read():
        reads.append(1)
        yield texts[0]
        if len(reads) == turn:
            raise KeyError("stop")
        yield from texts

    with pytest.raises(KeyError, match="stop"):
        train_tokenizer(ScratchConfig(vocabulary=300), read)


def test_that_rows_without_text_train_no_tokenizer():
    with pytest.raises(UserError) as refused:
        train_tokenizer(ScratchConfig(), lambda: ["", ""])
    assert refused.value.code == "scratch.nothing_to_read"


@pytest.mark.parametrize("family", ARCHITECTURES)
def test_that_a_run_learns_and_goes_on_bit_for_bit_without_training_the_tokenizer_again(scratch, family, monkeypatch):
    whole = scratch(family)
    assert whole.run() == 0, whole.end
    losses = curve(whole)
    assert losses[STEPS] < losses[1]
    progress = [line.done for line in whole.of("phase") if line.phase == "making_model" and line.done is not None]
    assert progress == sorted(progress)
    assert progress[-1] == 1.0
    assert {"scratch.trained", "scratch.made"} <= {line.code for line in whole.of("note")}
    run = whole.folder.parent.parent
    trained = (run / "fresh-model" / "tokenizer.json").read_bytes()
    assert (run / "checkpoints" / "a1-s3" / TOKENIZER).read_bytes() == trained

    shutil.rmtree(run / "fresh-model")  # as on another node
    monkeypatch.setattr("engine.compute.worker.from_scratch.train_tokenizer", None)
    resumed = again(whole, 3)
    assert resumed.run() == 0, resumed.end
    assert curve(resumed) == {step: loss for step, loss in losses.items() if step > 3}
    assert (run / "fresh-model" / "tokenizer.json").read_bytes() == trained
    weights = [load_file(made.outputs / "model" / "model.safetensors") for made in (whole, resumed)]
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])


def test_that_the_same_run_gives_the_same_model_and_another_seed_another(scratch):
    found = []
    for seed in (1, 1, 2):
        made = scratch(training={"max_steps": 2, "seed": seed})
        assert made.run() == 0
        found.append((made.outputs / "model" / "model.safetensors").read_bytes())
        shutil.rmtree(made.folder.parent.parent)
    assert found[0] == found[1] != found[2]


@pytest.mark.parametrize("family", ARCHITECTURES)
def test_that_the_result_is_an_ordinary_folder_and_a_base_model_for_sft(scratch, attempt, family):
    from transformers import AutoModelForCausalLM, AutoTokenizer

    first = scratch(family, training={"max_steps": 2})
    assert first.run() == 0, first.end
    result = first.outputs / "model"
    model, tokenizer = (kind.from_pretrained(result) for kind in (AutoModelForCausalLM, AutoTokenizer))
    assert type(model).__name__ == ARCHITECTURES[family]
    assert model.config.vocab_size == len(tokenizer) == 400
    assert f"{parameters_of(form_of(family), 400).total:,} parameters" in (result / "README.md").read_text()

    target = "q_b_proj" if family == "deepseek_v3" else "q_proj"
    tuner = {"kind": "lora", "rank": 2, "targets": [target, "o_proj"]}
    tuned = attempt(model={"path": str(result)}, name="sft", tuner=tuner)
    assert tuned.run() == 0, tuned.end
    assert (tuned.outputs / "adapter" / "adapter_model.safetensors").is_file()


@pytest.mark.parametrize("source", ["base", "folder"])
def test_that_a_tokenizer_can_be_taken_over(scratch, model, source):
    form = {"tokenizer": source, "tokenizer_path": "demo" if source == "base" else str(model)}
    made = scratch(scratch=form, training={"max_steps": 2})
    assert made.run() == 0, made.end
    ours = json.loads((made.outputs / "model" / "tokenizer.json").read_text())["model"]["vocab"]
    folder = resources_folder() / "demo" / "model" if source == "base" else model
    assert ours == json.loads((folder / "tokenizer.json").read_text())["model"]["vocab"]
    assert "scratch.trained" not in {line.code for line in made.of("note")}


@pytest.mark.parametrize("algorithm", ["unigram", "wordpiece"])
def test_that_what_a_tokenizer_does_not_know_is_told(scratch, tmp_path, algorithm):
    words = "some plain words that come again and again in every row of the file"
    rows = [{"text": f"{words} {'x' * 120 if n % 2 else 'short'}"} for n in range(40)]  # WordPiece reads no such word
    path = tiny.write_jsonl(tmp_path / "plain.jsonl", rows)
    form = {"algorithm": algorithm, "vocabulary": {"unigram": 40, "wordpiece": 60}[algorithm]}
    made = scratch(scratch=form, data={"train": [{"path": str(path)}]}, training={"max_steps": 2})
    assert made.run() == 0, made.end
    unknown = [line.params["percent"] for line in made.of("note") if line.code == "scratch.unknown"]
    assert len(unknown) == (1 if algorithm == "wordpiece" else 0)
    assert all(float(percent) > 0 for percent in unknown)


def test_that_a_vocabulary_too_large_for_the_rows_ends_the_run_in_plain_words(scratch):
    made = scratch(scratch={"vocabulary": 60_000})
    assert made.run() != 0
    assert made.end.error.code == "scratch.vocabulary_too_large"


def test_that_the_loss_of_balance_is_that_of_transformers():
    from transformers.models.qwen3_moe.modeling_qwen3_moe import load_balancing_loss_func

    torch.manual_seed(0)
    logits = [torch.randn(2 * 7, 5, requires_grad=True) for _ in range(3)]
    heard = [(one.softmax(-1), one.softmax(-1).topk(2, dim=-1)[1]) for one in logits]
    mask = torch.ones(2, 7, dtype=torch.bool)
    mask[1, 4:] = False
    for counted, given in ((mask, mask.long()), (torch.ones_like(mask), None)):
        ours, loads = balance_of(heard, counted.reshape(-1))
        theirs = load_balancing_loss_func(tuple(logits), 5, 2, given)
        torch.testing.assert_close(ours, theirs)
        torch.testing.assert_close(
            *(torch.autograd.grad(one, logits[0], retain_graph=True)[0] for one in (ours, theirs))
        )
        torch.testing.assert_close(loads.sum(dim=-1), torch.ones(3))


@pytest.mark.parametrize("family", ["qwen3_moe", "deepseek_v3"])
def test_that_the_balance_of_experts_is_told_and_its_weight_evens_it(scratch, family):
    loads = {}
    for weight in (0.0, 5.0):
        made = scratch(family, scratch={"balance": weight}, training={"max_steps": 20})
        assert made.run() == 0, made.end
        told = [line.values for line in made.of("step")]
        assert all(1.0 <= values["expert_load/most"] <= 2.0 + 1e-6 for values in told)
        assert all(0.0 <= values["expert_load/idle"] < 1.0 for values in told)
        loads[weight] = sum(values["expert_load/most"] for values in told[-5:])
        shutil.rmtree(made.folder.parent.parent)
    assert loads[5.0] < loads[0.0]


def test_that_checkpointing_and_parts_leave_the_loss_of_a_mixture_the_same(scratch):
    found = []
    for more in ({}, {"gradient_checkpointing": True}):
        made = scratch("qwen3_moe", training=more)
        assert made.run() == 0, made.end
        found.append(curve(made))
        shutil.rmtree(made.folder.parent.parent)
    assert found[0] == pytest.approx(found[1], rel=1e-5)


def test_that_a_full_disk_leaves_no_half_model_and_the_next_attempt_makes_it(scratch):
    made = scratch()
    faults.arm("scratch.before_whole:ENOSPC")
    try:
        assert made.run() == 1
    finally:
        faults.arm("")
    assert (made.end.reason, made.end.error.code) == ("disk_full", "worker.disk_full")
    run = made.folder.parent.parent
    assert not (run / "fresh-model").exists()
    assert not list(run.rglob("*.partial"))
    order = json.loads((made.folder / "order.json").read_text())
    folder = made.folder.parent / "2"
    folder.mkdir()
    (folder / "order.json").write_text(json.dumps(order | {"attempt": 2}))
    second = Attempt(folder)
    assert second.run() == 0, second.end
    assert (run / "fresh-model" / "tokenizer.json").is_file()


def test_that_a_model_of_texts_keeps_the_end_of_texts_as_its_own(scratch):
    made = scratch(model={"template": "chatml"})
    assert made.run() == 0, made.end
    settings = json.loads((made.outputs / "model" / "tokenizer_config.json").read_text())
    begun = json.loads((made.folder.parent.parent / "fresh-model" / "tokenizer_config.json").read_text())
    assert settings["eos_token"] == begun["eos_token"] != "<|im_end|>"
