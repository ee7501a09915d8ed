"""Preferences, verdicts and scores through the worker: what it tells, leaves behind, refuses, and goes on from."""

import copy
import json
from dataclasses import replace

import numpy as np
import pytest
import tiny
import torch
from helpers import Attempt

from engine.compute.data.formats import convert
from engine.compute.data.pieces import in_pieces
from engine.compute.data.preference import AnswerTokeniser, Pair, Verdict
from engine.compute.data.row_set import HeldRows
from engine.compute.data.rows import Example, Record
from engine.compute.data.templates import choose_template
from engine.compute.data.tokenise import Tokeniser
from engine.compute.training.batches import collate, rows_between, rows_of
from engine.compute.training.stages import STAGES
from engine.compute.worker.queries import answer
from engine.contract.bundled import DATASETS
from engine.contract.errors import Refused, UserError
from engine.contract.paths import resources_folder
from resources.demo.make_preferences import files

PAIRED = {"rewards/chosen", "rewards/rejected", "rewards/margins", "rewards/accuracies"}
TOLD = {
    "dpo": PAIRED | {"logps/chosen", "logps/rejected"},
    "kto": {"rewards/chosen", "rewards/rejected", "kl"},
    "orpo": PAIRED | {"nll_loss", "log_odds"},
    "simpo": PAIRED,
    "reward": PAIRED,
}


def pairs(count: int, begin: int = 0) -> list[dict]:
    return [
        {"prompt": f"say {n}" + " please" * (n % 4), "chosen": f"it is {n % 7}", "rejected": f"no, {n % 5}!"}
        for n in range(begin, begin + count)
    ]


def verdicts(count: int) -> list[dict]:
    return [
        {"prompt": row["prompt"], "completion": row["chosen" if n % 3 else "rejected"], "label": bool(n % 3)}
        for n, row in enumerate(pairs(count))
    ]


def job(tmp_path, stage: str, **more) -> dict:
    rows = tiny.write_jsonl(tmp_path / "rows.jsonl", verdicts(24) if stage == "kto" else pairs(24))
    held = tiny.write_jsonl(tmp_path / "held.jsonl", pairs(12, 100))
    training = {"max_steps": 4, "micro_batch_size": 4, "learning_rate": 1e-2, "memory_probe": False}
    return {
        "stage": stage, "data": {"train": [{"path": str(rows)}], "validation_share": 0.25},
        "evaluation": {"data": [{"path": str(held)}]}, **more, "training": {**training, **more.get("training", {})},
    }  # fmt: skip


@pytest.mark.parametrize("stage", TOLD)
def test_that_a_stage_trains_and_tells_of_it(attempt, tmp_path, stage):
    made = attempt(**job(tmp_path, stage, training={"memory_probe": True}))
    assert made.run() == 0, made.end
    steps = [line.values for line in made.of("step")]
    assert len(steps) == 4
    assert TOLD[stage] <= {name for values in steps for name in values}
    (validation,) = made.of("validation")
    assert "validation_rewards/chosen" in validation.values
    before, after = made.of("score")
    assert (before.metric, before.rows, after.when) == ("pair_accuracy", 12, "after")
    (saved,) = [line for line in made.of("artifact") if line.artifact == "adapter"]
    assert (made.folder / saved.path / "adapter_model.safetensors").stat().st_size == saved.bytes or saved.bytes
    (measured,) = [line for line in made.of("memory_forecast") if line.measured]
    assert 0.2 < measured.factor < 5


def test_that_training_puts_pairs_in_order(attempt, tmp_path):
    made = attempt(**job(tmp_path, "dpo", training={"max_steps": 12}))
    assert made.run() == 0
    steps = [line.values for line in made.of("step")]
    assert steps[0]["rewards/margins"] == 0
    assert steps[-1]["rewards/margins"] > 0.1
    assert steps[-1]["loss"] < steps[0]["loss"]
    before, after = made.of("score")
    assert after.value == 1.0 >= before.value


def test_that_a_reward_model_gives_the_same_scores_when_it_is_loaded_again(attempt, tmp_path, model, tokenizer):
    from peft import PeftModel
    from transformers import AutoModelForSequenceClassification

    made = attempt(**job(tmp_path, "reward"))
    assert made.run() == 0
    base = AutoModelForSequenceClassification.from_pretrained(model, num_labels=1)
    base.config.pad_token_id = tokenizer.pad_token_id
    again = PeftModel.from_pretrained(base, str(made.outputs / "adapter")).eval()
    lines = [json.loads(line) for line in (made.outputs / "comparisons_after.jsonl").read_text().splitlines()]
    tokeniser = AnswerTokeniser(choose_template(tokenizer, "auto"), 1024)
    rows = tokeniser.encode([convert(Record(n, row), "preference") for n, row in enumerate(pairs(12, 100))])
    with torch.no_grad():
        found = again(input_ids=collate(rows, tokenizer.pad_token_id, 1)["input_ids"]).logits.squeeze(-1)
    assert found[:12].tolist() == pytest.approx([line["chosen"] for line in lines], rel=1e-4, abs=1e-6)
    assert found[12:].tolist() == pytest.approx([line["rejected"] for line in lines], rel=1e-4, abs=1e-6)


@pytest.mark.parametrize(("stage", "tuner"), [("dpo", {"kind": "full"}), ("kto", {"init": "pissa"}), ("reward", {})])
def test_that_it_goes_on_bit_for_bit(attempt, tmp_path, stage, tuner):
    """Also the mean of several steps of which only some were done before, and where the reference is a copy."""
    more = {"tuner": tuner, "checkpoints": {"every_steps": 3, "at_end": False}, "evaluation": {}}
    wanted = job(tmp_path, stage, training={"max_steps": 5, "log_every": 5}, **more)
    whole = attempt(**wanted)
    assert whole.run() == 0, whole.end
    order = json.loads((whole.folder / "order.json").read_text())
    order |= {"attempt": 2, "resume_required": True, "resume": [{"attempt": 1, "step": 3, "path": "checkpoints/a1-s3"}]}
    (whole.folder.parent / "2").mkdir()
    (whole.folder.parent / "2" / "order.json").write_text(json.dumps(order))
    again = Attempt(whole.folder.parent / "2")
    assert again.run() == 0, again.end
    assert again.of("resumed")[0].step == 3
    one, other = whole.of("step")[-1].values, again.of("step")[-1].values
    assert {k: v for k, v in one.items() if "second" not in k} == {k: v for k, v in other.items() if "second" not in k}


def test_that_rows_of_another_sort_are_refused_each_with_its_line():
    good = [convert(Record(n, row), "preference") for n, row in enumerate(pairs(3), 1)]
    texts = [Example(text="x", line=line, form="text") for line in (7, 9)]
    with pytest.raises(Refused) as caught:
        STAGES["dpo"].check([*good, *texts])
    assert [(problem.line, problem.code) for problem in caught.value.problems] == [
        (7, "data.not_for_stage"), (9, "data.not_for_stage"),
    ]  # fmt: skip
    assert caught.value.problems[0].params["able"] == "pretrain"
    with pytest.raises(UserError) as alone:
        STAGES["sft"].check(good)
    assert alone.value.params["able"] == "dpo, kto, orpo, cpo, simpo, reward"


def test_that_a_run_on_rows_of_another_sort_ends_with_the_reason(attempt, tmp_path):
    made = attempt(**{**job(tmp_path, "dpo"), "data": job(tmp_path, "kto")["data"], "stage": "dpo"})
    assert made.run() == 1
    assert made.end.error.code == "data.not_for_stage"


def test_that_rows_are_shown_as_the_stage_sees_them(tmp_path, model):
    rows = tiny.write_jsonl(tmp_path / "rows.jsonl", pairs(4))
    asked = {"model": {"path": str(model)}, "source": {"path": str(rows)}, "stage": "dpo", "rows": 2}
    found = answer(json.dumps({"kind": "preview_row", "params": asked}))
    assert found.error is None
    shown = found.result["rows"]
    assert [(row["line"], row["side"]) for row in shown[:2]] == [(1, "chosen"), (1, "rejected")]
    assert len(shown) == 4
    assert ["".join(s["text"] for s in row["spans"] if s["trained"]) for row in shown[:2]] == [
        "it is 0<|im_end|>\n", "no, 0!<|im_end|>\n",
    ]  # fmt: skip
    refused = answer(json.dumps({"kind": "preview_row", "params": {**asked, "stage": "sft"}}))
    assert refused.error.code == "data.not_for_stage"


def test_that_a_batch_of_pairs_comes_apart_by_pairs(tokenizer):
    tokeniser = AnswerTokeniser(choose_template(tokenizer, "auto"), 200)
    rows = tokeniser.encode([convert(Record(n, row), "preference") for n, row in enumerate(pairs(5), 1)])
    batch = collate(rows, 0, 1)
    assert rows_of(batch) == 5
    parts = [rows_between(batch, at, at + 2) for at in (0, 2, 4)]
    assert [rows_of(part) for part in parts] == [2, 2, 1]
    for name in ("input_ids", "labels", "lengths"):
        assert torch.equal(torch.cat([part[name][: rows_of(part)] for part in parts]), batch[name][:5])
        assert torch.equal(torch.cat([part[name][rows_of(part) :] for part in parts]), batch[name][5:])


@pytest.mark.parametrize("truncation", ["end", "start", "drop"])
def test_that_long_rows_are_cut_as_asked(tokenizer, truncation):
    template = choose_template(tokenizer, "auto")
    turns = tuple(tiny.make_rows(1)[0]["messages"])
    (whole,) = Tokeniser(template, 999).encode([Example(turns=turns)])
    limit = len(whole) - 3
    (cut,) = Tokeniser(template, limit, truncation=truncation).encode([Example(turns=turns)])
    assert len(cut) == limit
    assert list(cut.ids) == (list(whole.ids[3:]) if truncation == "start" else list(whole.ids[:limit]))
    assert (cut.trained_tokens == 0) == (truncation == "drop")
    tokeniser = AnswerTokeniser(template, 30, truncation=truncation)
    (pair,) = tokeniser.encode([convert(Record(1, {**pairs(1)[0], "chosen": "yes " * 20}), "preference")])
    assert isinstance(pair, Pair)
    assert (pair.trained_tokens == 0) == (truncation == "drop")
    assert tokeniser.tally.cut == 1


def test_that_only_the_last_answer_is_learned_if_so_asked(tokenizer):
    turns = tuple(turn for row in tiny.make_rows(2) for turn in row["messages"])
    template = choose_template(tokenizer, "auto")
    (both,) = Tokeniser(template, 999).encode([Example(turns=turns)])
    (last,) = Tokeniser(template, 999, last_only=True).encode([Example(turns=turns)])
    assert 0 < last.trained_tokens < both.trained_tokens
    assert sum(last.trained[: len(last) // 2]) == 0


def test_that_a_question_gets_the_answer_of_the_row_before(tokenizer):
    tokeniser = AnswerTokeniser(choose_template(tokenizer, "auto"), 200)
    rows = tokeniser.encode([convert(Record(n, row), "kto") for n, row in enumerate(verdicts(3), 1)])
    assert all(isinstance(row, Verdict) for row in rows)
    batch = collate(rows, 0, 1)
    texts = [tokenizer.decode(ids[:n]) for ids, n in zip(batch["input_ids"], batch["lengths"].tolist(), strict=True)]
    assert batch["verdict"].tolist() == [False, True, True]
    for number, (crossed, before) in enumerate(zip(texts[3:], [texts[2], texts[0], texts[1]], strict=True)):
        assert crossed.split("assistant")[0] == texts[number].split("assistant")[0]
        assert crossed.split("assistant")[1] == before.split("assistant")[1]


def test_that_noise_is_drawn_again_alike(attempt, tmp_path):
    def losses(name, alpha):
        made = attempt(name=name, objective={"neftune_alpha": alpha})
        assert made.run() == 0
        return [line.values["loss"] for line in made.of("step")]

    one, same, none = losses("one", 5.0), losses("same", 5.0), losses("none", None)
    assert one == same
    assert one != none


def test_that_the_demo_preferences_are_those_of_their_script():
    texts = files()
    for name, text in texts.items():
        assert (resources_folder() / DATASETS[f"demo/{name}"]).read_text(encoding="utf-8") == text
    rows = [json.loads(line) for line in texts["preferences"].splitlines()]
    assert all(row["chosen"] != row["rejected"] for row in rows)


def test_that_a_margin_comes_with_its_row(tokenizer):
    row = convert(Record(1, {**pairs(1)[0], "margin": 0.5}), "preference")
    tokeniser = AnswerTokeniser(choose_template(tokenizer, "auto"), 200)
    assert collate(tokeniser.encode([row]), 0, 1)["margin"].tolist() == [0.5]
    assert "margin" not in collate(tokeniser.encode([replace(copy.copy(row), extra={})]), 0, 1)


def test_that_long_rows_come_in_pieces_of_which_nothing_is_lost(attempt, tokenizer, tmp_path):
    texts = ["abcdefghij" * 9, "short"]
    rows = HeldRows([Example(text=text, line=n) for n, text in enumerate(texts, 1)])
    tokeniser = Tokeniser(choose_template(tokenizer, "auto"), 40, truncation="split")
    pieces = in_pieces(rows, tokeniser, lambda _done: None)
    made = tokeniser.encode(pieces.examples(range(len(pieces))))
    assert [len(row) for row in made] == [40, 40, 11, 6]
    assert tokeniser.tally.cut == 0
    whole = Tokeniser(tokeniser.template, 999).encode(rows.all())
    assert [token for row in made for token in row.ids] == [token for row in whole for token in row.ids]
    assert [pieces.row_id(n) == rows.row_id(0) for n in range(4)] == [True, True, True, False]
    assert pieces.take(np.array([2])).examples([0])[0].piece == 2
    long = tiny.write_jsonl(tmp_path / "long.jsonl", [{"text": "word " * 40} for _ in range(4)])
    job = {"stage": "pretrain", "data": {"train": [{"path": str(long)}], "max_length": 64}}
    for truncation, planned in (("end", 4), ("split", 16)):
        run = attempt(name=truncation, objective={"truncation": truncation}, **job)
        assert run.run() == 0, run.end
        assert run.of("planned")[0].rows == planned
