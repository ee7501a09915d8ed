"""New tokens: one row each that begins as a mean, learns, comes back with the result, and goes on bit for bit."""

import pytest
import tiny
import torch
from helpers import ROOT, assert_goes_on
from peft import PeftModel
from transformers import AutoModelForCausalLM, AutoTokenizer

from engine.compute.training.new_tokens import BASE_CONFIG, add_tokens, fit_base
from engine.compute.training.tuners import apply_tuner
from engine.compute.worker.queries import answer
from engine.contract.api import QueryRequest
from engine.contract.config_file import check_document
from engine.contract.errors import UserError
from engine.contract.forensics_api import TokenLosses
from engine.contract.tuner import TunerConfig

WANTED = {"<|tool|>": "say it", "<|end_of_tool|>": ""}
SAVED = {"every_minutes": None, "every_steps": 2, "keep_last": 9}


def rows() -> list[dict]:
    found = tiny.make_rows(24)
    for number, row in enumerate(found):
        row["messages"][1]["content"] = f"<|tool|>it is {number % 7}<|end_of_tool|>"
    return found


def logits(model, tokenizer) -> torch.Tensor:
    ids = tokenizer("say <|tool|>it<|end_of_tool|>", return_tensors="pt")["input_ids"]
    assert ids.max() >= tiny.VOCABULARY
    with torch.no_grad():
        return model.eval()(input_ids=ids, use_cache=False).logits


def test_that_rows_begin_as_the_mean_of_a_description_or_of_all():
    model, tokenizer = tiny.make_model(), tiny.make_tokenizer()
    before = model.get_input_embeddings().weight.detach().clone()
    old = len(tokenizer)
    numbers = add_tokens(model, tokenizer, WANTED)
    table = model.get_input_embeddings().weight.detach()
    assert numbers == [old, old + 1]
    assert tokenizer("<|tool|>")["input_ids"] == [old]
    said = tokenizer("say it")["input_ids"]
    assert torch.allclose(table[old], before[said].mean(0), atol=1e-6)
    assert torch.allclose(table[old + 1], before[:old].mean(0), atol=1e-6)
    assert torch.equal(table[:old], before[:old])
    head = model.get_output_embeddings().weight.detach()
    assert len(head) == len(table)


def test_that_a_token_the_model_has_is_refused():
    with pytest.raises(UserError) as refused:
        add_tokens(tiny.make_model(), tiny.make_tokenizer(), {"<|im_end|>": ""})
    assert refused.value.code == "config.token_known"


@pytest.mark.parametrize("kind", ["lora", "dora", "full", "lisa", "trainable_tokens"])
@pytest.mark.slow
def test_that_they_learn_come_back_and_a_run_goes_on(attempt, model, kind):
    more = {"rank": 4} if kind in ("lora", "dora") else {"layers": 1, "every": 2} if kind == "lisa" else {}
    made = attempt(
        rows=rows(), tuner={"kind": kind, "new_tokens": WANTED, **more}, checkpoints=SAVED,
        training={"max_steps": 4, "micro_batch_size": 4, "learning_rate": 1e-2},
    )  # fmt: skip
    assert made.run() == 0, made.end
    whole = kind in ("full", "lisa")
    folder = made.outputs / ("model" if whole else "adapter")
    tokenizer = AutoTokenizer.from_pretrained(folder)
    fresh, again = AutoModelForCausalLM.from_pretrained(model, dtype=torch.float32), None
    add_tokens(fresh, tiny.make_tokenizer(), WANTED)
    before = fresh.get_input_embeddings().weight.detach().clone()
    if whole:
        again = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    else:
        base = fit_base(AutoModelForCausalLM.from_pretrained(model, dtype=torch.float32), folder)
        again = PeftModel.from_pretrained(base, str(folder))
    first = logits(again, tokenizer)
    assert torch.isfinite(first).all()
    from engine.compute.training.checkpoint import load_weights

    torch.manual_seed(42)
    plain = AutoModelForCausalLM.from_pretrained(model, dtype=torch.float32)
    state = apply_tuner(plain, TunerConfig(kind=kind, new_tokens=WANTED, **more), tokenizer=tiny.make_tokenizer())
    load_weights(state, made.folder.parent.parent / "checkpoints" / "a1-s4")
    assert torch.equal(logits(state, tokenizer), first)
    inner = state.merge_and_unload() if hasattr(state, "peft_config") else state
    moved = (inner.get_input_embeddings().weight.detach() - before).abs().amax(1)
    assert (moved[-2:] > 1e-4).all()
    if not whole:
        assert (moved[:-2] == 0).all()
    assert_goes_on(made, 2, ("loss", "grad_norm"))


@pytest.mark.parametrize(
    ("more", "code"),
    [
        ({"tuner": {"kind": "lora"}, "blank": " "}, "config.token_text"),
        ({"tuner": {"kind": "ia3"}}, "config.new_tokens_tuner"),
        ({"tuner": {"kind": "qlora"}}, "config.new_tokens_tuner"),
        ({"tuner": {"kind": "lora", "init": "pissa"}}, "config.new_tokens_init"),
        ({"tuner": {"kind": "lora"}, "stage": "reward"}, "config.new_tokens_stage"),
    ],
)
def test_that_they_are_refused_where_no_row_could_learn(more, code):
    more["tuner"]["new_tokens"] = {more.pop("blank", "<x>"): ""}
    document = {"name": "x", "model": {"path": "demo", "hub": "bundled"},
                "data": {"train": [{"path": "demo/train", "hub": "bundled"}]}, **more}  # fmt: skip
    assert code in [problem.code for problem in check_document(document)[1]]


@pytest.mark.parametrize("kind", ["lora", "trainable_tokens"])
def test_that_a_head_that_is_the_embedding_learns_them_once(kind, tmp_path):
    demo = ROOT / "resources" / "demo" / "model"
    tokenizer = AutoTokenizer.from_pretrained(demo)
    model = apply_tuner(
        AutoModelForCausalLM.from_pretrained(demo, dtype=torch.float32), TunerConfig(kind=kind, new_tokens=WANTED),
        tokenizer=tokenizer,
    )  # fmt: skip
    learned = [parameter for name, parameter in model.named_parameters() if "trainable_tokens" in name]
    assert len(learned) == 1
    with torch.no_grad():
        learned[0].add_(torch.randn(learned[0].shape))
    model.save_pretrained(str(tmp_path), save_embedding_layers=False)
    rows = model.get_input_embeddings().weight.shape[0]
    (tmp_path / BASE_CONFIG).write_text(f'{{"vocab_size": {rows}}}')
    base = fit_base(AutoModelForCausalLM.from_pretrained(demo, dtype=torch.float32), tmp_path)
    again = PeftModel.from_pretrained(base, str(tmp_path))
    ids = tokenizer("<|tool|>1<|end_of_tool|>", return_tensors="pt")["input_ids"]
    with torch.no_grad():
        first, second = (one.eval()(input_ids=ids, use_cache=False).logits for one in (model, again))
    assert torch.equal(first, second)
    assert first.shape[-1] == rows


@pytest.mark.slow
def test_that_losses_of_tokens_know_those_that_were_added(attempt, model, tmp_path, monkeypatch):
    monkeypatch.setenv("FORGE_HOME", str(tmp_path))
    tuner = {"kind": "lora", "rank": 4, "new_tokens": WANTED}
    training = {"max_steps": 4, "micro_batch_size": 4, "learning_rate": 1e-2}
    made = attempt(rows=rows(), tuner=tuner, checkpoints=SAVED, training=training, name="runs/r1")
    assert made.run() == 0, made.end

    def texts(state: str) -> list[str]:
        asked = TokenLosses(
            model={"path": str(model)}, source={"path": str(tmp_path / "train.jsonl")}, line=1, run="r1", state=state,
            tuner=tuner,
        )  # fmt: skip
        found = answer(QueryRequest(kind="token_losses", params=asked.model_dump(mode="json")).model_dump_json())
        assert found.error is None, found.error
        return [one["text"] for one in found.result["tokens"]]

    for state in ("attempts/1/outputs/adapter", "checkpoints/a1-s4"):
        assert texts(state).count("<|tool|>") == 1
    assert "<|tool|>" not in texts("")  # the base model has no such token
