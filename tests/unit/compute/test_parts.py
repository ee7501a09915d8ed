"""Smaller parts: telemetry, artifacts, generation, evaluation, precision."""

import copy
from types import SimpleNamespace

import pytest
import tiny
import torch
from transformers import AutoTokenizer, GenerationConfig

from engine.compute.data.rows import Example
from engine.compute.data.templates import choose_template
from engine.compute.evaluation.exact_match import measure, questions_of
from engine.compute.inference.generate import Generator
from engine.compute.training.precision import decide
from engine.compute.training.tuners import apply_tuner
from engine.compute.worker.artifacts import fingerprint_of, publish_folder
from engine.compute.worker.results import save_stops, save_tokenizer
from engine.compute.worker.telemetry import FakeGpu, Telemetry, Ticker
from engine.contract.errors import UserError
from engine.contract.tuner import TunerConfig

PROMPTS = ["a", "a much longer prompt than the first", "middle sized", "问"]


def naive(model, tokenizer, prompt: str, count: int, ends: list[int]) -> str:
    """One row, no cache, no filling: what greedy generation means."""
    ids = tokenizer(prompt, add_special_tokens=False)["input_ids"]
    begin = len(ids)
    for _ in range(count):
        with torch.no_grad():
            following = int(model(input_ids=torch.tensor([ids])).logits[0, -1].argmax())
        if following in ends:
            break
        ids.append(following)
    return tokenizer.decode(ids[begin:], skip_special_tokens=True)


@pytest.mark.parametrize("kind", ["qwen3", "llama", "gemma2", "gpt2"])
def test_that_batched_answers_are_those_of_single_rows(tokenizer, kind):
    model = tiny.make_model(kind).eval()
    generator = Generator(model, tokenizer, choose_template(tokenizer, "auto").stops)
    found = generator.answers(PROMPTS, 8, lambda done: None, lambda: None)
    assert found == [naive(model, tokenizer, prompt, 8, generator.ends) for prompt in PROMPTS]


def test_that_generation_can_be_stopped_at_any_token(tokenizer):
    calls = []

    def check():
        calls.append(1)
        if len(calls) == 3:
            raise InterruptedError

    with pytest.raises(InterruptedError):
        Generator(tiny.make_model(), tokenizer, choose_template(tokenizer, "auto").stops).answers(
            PROMPTS, 50, lambda done: None, check
        )


def test_that_generation_leaves_the_models_mode_and_chance_alone(tokenizer):
    model = apply_tuner(tiny.make_model(), TunerConfig(rank=4, dropout=0.5)).train()
    state = torch.random.get_rng_state()
    Generator(model, tokenizer, choose_template(tokenizer, "auto").stops).answers(
        PROMPTS, 4, lambda done: None, lambda: None
    )
    assert model.training
    assert torch.equal(torch.random.get_rng_state(), state)


def test_that_an_exact_answer_counts_and_blanks_around_it_do_not(tokenizer):
    class Parrot:
        def answers(self, prompts, max_new_tokens, progress, check):
            assert all(prompt.endswith("<|im_start|>assistant\n") for prompt in prompts)
            return [" it is 0\n", "It is 1", "it is 2!"]

    examples = [Example(turns=tuple(row["messages"])) for row in tiny.make_rows(3)]
    template = choose_template(tokenizer, "auto")
    found = measure(Parrot(), template, questions_of(examples), 8, lambda done: None, lambda: None)
    assert [answer.correct for answer in found] == [True, False, False]
    assert (found[0].prompt, found[0].expected) == ("say 0", "it is 0")


def test_that_a_held_out_row_without_a_question_is_refused():
    with pytest.raises(UserError, match="no question"):
        questions_of([Example(turns=({"role": "assistant", "content": "hello"},), line=4)])


def test_that_readings_of_machine_and_gpu_come_together_and_names_once():
    told = []
    telemetry = Telemetry(lambda values, names: told.append((values, names)), "Some CPU")
    telemetry.tick()
    telemetry.watch_gpus(FakeGpu([{"utilisation": 50.0, "memory_used": 1e9}, {"utilisation": 60.0}], "NVIDIA H0"))
    telemetry.tick()
    telemetry.tick()
    assert [names for _, names in told] == [{"cpu": "Some CPU"}, {"gpu0": "NVIDIA H0"}, {}]
    assert [values.get("gpu0.utilisation") for values, _ in told] == [None, 50.0, 60.0]
    assert told[1][0]["gpu0.memory_used"] == 1e9
    assert all(values["ram.total"] > values["ram.process"] > 0 for values, _ in told)


def test_that_a_failing_ticker_keeps_its_failure():
    def fail():
        raise OSError(28, "No space left on device")

    ticker = Ticker([fail], interval=0.001)
    ticker.start()
    ticker._thread.join(10)
    assert isinstance(ticker.failure, OSError)
    ticker.stop()


def test_that_a_failing_ticker_ends_the_run(attempt, monkeypatch):
    from engine.compute.worker import session

    monkeypatch.setattr(session, "Ticker", lambda actions: Ticker(actions, interval=0.001))
    monkeypatch.setattr(Telemetry, "tick", lambda self: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    made = attempt(training={"max_steps": 100_000})
    assert made.run() == 1
    assert made.end.reason == "disk_full"


def test_that_a_folder_is_published_whole_or_not_at_all(tmp_path):
    target = tmp_path / "outputs" / "adapter"

    def write(folder):
        (folder / "deep").mkdir()
        (folder / "deep" / "b").write_text("b")
        (folder / "a").write_text("a")

    found = publish_folder(target, write)
    assert found == fingerprint_of(target)
    assert found.bytes == 2

    def fail(folder):
        (folder / "a").write_text("new")
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space"):
        publish_folder(target, fail)
    assert fingerprint_of(target) == found
    assert [path.name for path in target.parent.iterdir()] == ["adapter"]


def test_that_a_folders_fingerprint_is_that_of_its_sorted_lines(tmp_path):
    import hashlib

    (tmp_path / "b").write_text("2")
    (tmp_path / "a").write_text("1")
    one, two = (hashlib.sha256(text).hexdigest() for text in (b"1", b"2"))
    assert fingerprint_of(tmp_path).sha256 == hashlib.sha256(f"a {one}\nb {two}".encode()).hexdigest()


def test_that_precision_on_a_processor_is_chosen_and_said():
    cpu = torch.device("cpu")
    chosen = decide("auto", "auto", False, cpu)
    assert (chosen.arithmetic, chosen.weights, chosen.note) == ("fp32", "fp32", "training.precision_cpu")
    assert decide("bf16", "auto", False, cpu).weights == "bf16"
    assert decide("bf16", "auto", True, cpu).weights == "fp32"
    with pytest.raises(UserError, match="fp16"):
        decide("fp16", "auto", False, cpu)


@pytest.mark.parametrize("eos", ["<|im_end|>", "<|endoftext|>"])
def test_that_a_saved_model_says_where_its_answers_end(tmp_path, tokenizer, eos):
    own = copy.deepcopy(tokenizer)
    own.add_special_tokens({"additional_special_tokens": ["<|endoftext|>", "<|im_end|>"]})
    own.eos_token = eos
    model = tiny.make_model()
    model.generation_config.eos_token_id = own.convert_tokens_to_ids(eos)
    template = choose_template(own, "chatml")
    materials = SimpleNamespace(tokenizer=own, template=template, model=model, ends_texts=False)
    save_tokenizer(materials, tmp_path)
    save_stops(materials, tmp_path)
    saved = AutoTokenizer.from_pretrained(tmp_path)
    stop, before = own.convert_tokens_to_ids(["<|im_end|>", eos])
    assert saved.eos_token == "<|im_end|>"
    assert own.eos_token == eos  # training goes on with its own
    ends = GenerationConfig.from_pretrained(tmp_path).eos_token_id
    assert ends == (stop if stop == before else [stop, before])
    assert "generation %}" not in saved.chat_template
    turns = [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}]
    assert saved.apply_chat_template(turns, tokenize=False) == template.render(turns)
    assert Generator(model, own, template.stops).ends == sorted({stop, before})
