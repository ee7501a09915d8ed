"""Models that write no text, through the worker: what they learn, tell, leave behind, refuse, and go on from."""

import json
from pathlib import Path

import pytest
import tiny
import torch
from helpers import Attempt

from engine.compute.data.formats import convert
from engine.compute.data.headed import HeadTokeniser
from engine.compute.data.labels import Labels
from engine.compute.data.rows import Example, Record
from engine.compute.data.templates import choose_template
from engine.compute.evaluation.heads import of_classes, of_numbers, of_ranks, pearson, rank_of
from engine.compute.training.batches import collate, rows_between, rows_of
from engine.compute.training.stages import STAGES
from engine.compute.training.vectors import vectors_of
from engine.compute.worker.queries import answer
from engine.contract.bundled import DATASETS
from engine.contract.errors import UserError
from engine.contract.heads import HeadConfig
from engine.contract.paths import resources_folder
from resources.demo.make_heads import files

WORDS = ("red", "green", "blue")
TASKS = {
    "one": ("classification", {}, "accuracy"),
    "several": ("classification", {"problem": "multi_label", "class_weights": "auto"}, "micro_f1"),
    "number": ("classification", {"problem": "regression"}, "pearson"),
    "vector": ("embedding", {"pooling": "mean", "symmetric": True}, "recall_at_1"),
    "last": ("embedding", {"pooling": "last", "normalise": False, "temperature": 2.0}, "recall_at_1"),
    "alike": ("embedding", {}, "pearson"),
    "rank": ("reranker", {}, "mrr"),
    "list": ("reranker", {"negatives": 2}, "mrr"),
    "point": ("reranker", {}, "pearson"),
}
LOSSES = {"alike": "cosine", "list": "listwise", "point": "pointwise"}


def rows(task: str, count: int, begin: int = 0) -> list[dict]:
    found = []
    for n in range(begin, begin + count):
        word, text = WORDS[n % 3], f"{n} is {WORDS[n % 3]}" + " indeed" * (n % 4)
        if task == "one":
            found.append({"text": text, "label": word})
        elif task == "several":
            found.append({"text": text, "label": [word, "odd"] if n % 2 else [word]})
        elif task == "number":
            found.append({"text": text, "label": n % 3 / 2})
        elif task in ("alike", "point"):
            found.append({"anchor": text, "positive": f"{n}!", "score": n % 3 / 2})
        else:
            more = {"negative": [f"no {n}", f"never {n + 1}"]} if task == "list" else {}
            found.append({"anchor": text, "positive": f"{n} {word}!", **more})
    return found


def job(tmp_path: Path, task: str, **more) -> dict:
    stage, head, _metric = TASKS[task]
    train = tiny.write_jsonl(tmp_path / f"{task}.jsonl", rows(task, 24))
    held = tiny.write_jsonl(tmp_path / f"{task}_held.jsonl", rows(task, 12, 100))
    training = {"max_steps": 4, "micro_batch_size": 4, "learning_rate": 1e-2, "memory_probe": False}
    return {
        "stage": stage, "head": {**head, **more.pop("head", {})}, "objective": {"loss": LOSSES.get(task, "auto")},
        "data": {"train": [{"path": str(train)}], "validation_share": 0.25, "max_length": 64},
        "evaluation": {"data": [{"path": str(held)}]}, **more, "training": {**training, **more.get("training", {})},
    }  # fmt: skip


def predictions(made: Attempt) -> list[dict]:
    return [json.loads(line) for line in (made.outputs / "predictions_after.jsonl").read_text().splitlines()]


@pytest.mark.parametrize("task", TASKS)
def test_that_it_trains_and_its_result_gives_the_same_numbers_when_loaded_again(attempt, tmp_path, model, task):
    made = attempt(**job(tmp_path, task, training={"memory_probe": True}))
    assert made.run() == 0, made.end
    stage, head, metric = TASKS[task]
    steps = [line.values for line in made.of("step")]
    assert len(steps) == 4
    assert {"accuracy", "absolute_error", "scores/right"} & steps[0].keys()
    before, after = made.of("score")
    assert (before.metric, after.metric, after.rows) == (metric, metric, 12)
    assert 0 <= after.value <= 1
    (validation,) = made.of("validation")
    assert validation.values["validation_loss"] > 0
    assert {line.prompt for line in made.of("sample")} <= {row["prompt"] for row in predictions(made)}
    about = json.loads((made.outputs / "adapter" / "forge_head.json").read_text())
    assert about["stage"] == stage
    found = again(made.outputs / "adapter", model, stage)
    said = predictions(made)
    texts = [row["text"] if stage == "classification" else row for row in rows(task, 12, 100)]
    if stage == "embedding":
        likeness = alike(found, model, texts, about)
        wanted = [row["score"] if "score" in row else float(row["answer"]) for row in said]
        assert likeness == pytest.approx(wanted, rel=1e-3, abs=1e-4)
        layout = json.loads((made.outputs / "adapter" / "modules.json").read_text())
        assert len(layout) == (2 if head.get("normalise") is False else 3)
        pooling = json.loads((made.outputs / "adapter" / "1_Pooling" / "config.json").read_text())
        assert pooling["pooling_mode_mean_tokens"] == (about["pooling"] == "mean")
        return
    if stage == "reranker":
        joined = about["joined"]
        texts = [joined.format(query=row["anchor"], document=row["positive"]) for row in texts]
    logits = logits_of(found, model, texts)
    if task == "point":
        assert torch.sigmoid(logits).flatten().tolist() == pytest.approx([float(r["answer"]) for r in said], abs=1e-3)
    else:
        wanted = [row["logits"] if "logits" in row else [row["score"]] for row in said]
        assert logits.flatten().tolist() == pytest.approx([x for one in wanted for x in one], rel=1e-4, abs=1e-6)


def again(folder: Path, base: Path, stage: str):
    """As any other program would load it: a vector's by its folder alone, else base, config and adapter."""
    from peft import PeftModel
    from transformers import AutoConfig, AutoModel, AutoModelForSequenceClassification

    if stage == "embedding":
        return AutoModel.from_pretrained(folder).eval()
    made = AutoModelForSequenceClassification.from_pretrained(base, config=AutoConfig.from_pretrained(folder / "head"))
    return PeftModel.from_pretrained(made, str(folder)).eval()


def logits_of(found, folder: Path, texts: list[str]) -> torch.Tensor:
    from transformers import AutoTokenizer

    batch = AutoTokenizer.from_pretrained(folder)(texts, padding=True, padding_side="right", return_tensors="pt")
    with torch.no_grad():
        return found(**batch).logits


def alike(found, folder: Path, pairs: list[dict], about: dict) -> list[float]:
    """Of each pair how alike its vectors are, made by hand."""
    from transformers import AutoTokenizer

    tokenizer, likeness = AutoTokenizer.from_pretrained(folder), list[float]()
    for pair in pairs:
        vectors = []
        for text in (pair["anchor"], pair["positive"]):
            with torch.no_grad():
                states = found(**tokenizer(text, return_tensors="pt")).last_hidden_state[0]
            vector = states.mean(0) if about["pooling"] == "mean" else states[-1]
            vectors.append(torch.nn.functional.normalize(vector, dim=-1) if about["normalise"] else vector)
        likeness.append(float(vectors[0] @ vectors[1]))
    return likeness


@pytest.mark.parametrize("task", ["one", "rank"])
def test_that_a_whole_model_is_loaded_by_its_folder_alone(attempt, tmp_path, task):
    from transformers import AutoModelForSequenceClassification

    made = attempt(**job(tmp_path, task, tuner={"kind": "full"}, training={"learning_rate": 1e-3}))
    assert made.run() == 0, made.end
    folder = made.outputs / "model"
    found, said = AutoModelForSequenceClassification.from_pretrained(folder).eval(), predictions(made)
    if task == "one":
        assert found.config.id2label == {0: "blue", 1: "green", 2: "red"}
        logits = logits_of(found, folder, [row["text"] for row in rows(task, 12, 100)])
        wanted = [x for row in said for x in row["logits"]]
        assert logits.flatten().tolist() == pytest.approx(wanted, rel=1e-4, abs=1e-6)
    else:
        assert found.config.num_labels == 1


def test_that_classes_are_learned_and_each_is_counted(attempt, tmp_path):
    recipe = {"max_steps": 150, "learning_rate": 3e-3, "log_every": 50, "micro_batch_size": 8}
    made = attempt(**job(tmp_path, "one", tuner={"kind": "full"}, training=recipe))
    assert made.run() == 0
    before, after = made.of("score")
    assert after.value > max(before.value, 0.8)
    assert after.correct == round(after.value * 12)
    assert {one.label for one in after.classes} == set(WORDS)
    assert sum(one.rows for one in after.classes) == sum(one.given for one in after.classes) == 12
    assert after.more["macro_f1"] > 0.8


@pytest.mark.parametrize("task", ["one", "vector", "list"])
def test_that_it_goes_on_bit_for_bit(attempt, tmp_path, task):
    more = {"checkpoints": {"every_steps": 3, "at_end": False}, "evaluation": {}}
    whole = attempt(**job(tmp_path, task, training={"max_steps": 5, "log_every": 5}, **more))
    assert whole.run() == 0, whole.end
    other = resumed(whole, 3)
    assert other.run() == 0, other.end
    assert told(whole)[5] == told(other)[5]


def test_that_it_goes_on_after_a_kill(attempt, tmp_path):
    more = {"checkpoints": {"every_steps": 2, "at_end": False}, "evaluation": {}}
    wanted = job(tmp_path, "one", training={"max_steps": 6, "threads": 1}, **more)
    whole, killed = attempt(**wanted, name="whole"), attempt(**wanted, name="killed")
    assert whole.run() == 0, whole.end
    process = killed.start(FORGE_FAULT="training.before_batch:kill:6")  # the batch of the fifth step, or the sixth
    assert process.wait(100) == -9, killed.log
    other = resumed(killed, 4)
    assert other.run() == 0, other.end
    assert other.of("resumed")[0].step == 4
    assert {step: told(whole)[step] for step in (5, 6)} == {step: told(other)[step] for step in (5, 6)}


def resumed(made: Attempt, step: int) -> Attempt:
    order = json.loads((made.folder / "order.json").read_text())
    place = {"attempt": 1, "step": step, "path": f"checkpoints/a1-s{step}"}
    folder = made.folder.parent / "2"
    folder.mkdir()
    (folder / "order.json").write_text(json.dumps({**order, "attempt": 2, "resume_required": True, "resume": [place]}))
    return Attempt(folder)


def told(made: Attempt) -> dict[int, dict[str, float]]:
    return {line.step: {k: v for k, v in line.values.items() if "second" not in k} for line in made.of("step")}


def test_that_rows_of_a_class_that_was_never_learned_are_refused_before_the_model_is_loaded(attempt, tmp_path):
    wanted = job(tmp_path, "one")
    strange = [*rows("one", 3), {"text": "x", "label": "pink"}, {"text": "y", "label": "grey"}]
    wanted["evaluation"]["data"] = [{"path": str(tiny.write_jsonl(tmp_path / "strange.jsonl", strange))}]
    made = attempt(**wanted)
    assert made.run() == 1
    assert made.end.error.code == "data.refused_for_stage"
    assert [(p.code, p.line, p.params["label"]) for p in made.end.error.problems] == [
        ("data.unknown_label", 4, "pink"), ("data.unknown_label", 5, "grey"),
    ]  # fmt: skip
    assert not made.of("planned")
    known = attempt(name="named", **{**wanted, "head": {"labels": [*WORDS, "pink", "grey"]}})
    assert known.run() == 0, known.end


@pytest.mark.parametrize(
    ("task", "row", "head", "code"),
    [
        ("one", {"text": "x", "label": ["red", "blue"]}, {}, "data.several_labels"),
        ("number", {"text": "x", "label": "much"}, {}, "data.label_no_number"),
        ("vector", {"anchor": "a", "positive": ["b", "c"]}, {}, "data.several_positives"),
        ("vector", {"anchor": "a", "positive": "b", "score": 0.5}, {}, "data.score_unused"),
        ("alike", {"anchor": "a", "positive": "b"}, {}, "data.score_needed"),
        ("point", {"anchor": "a", "positive": "b", "score": 5}, {}, "data.score_range"),
        ("one", {"text": "x", "label": "red"}, {"labels": ["green", "blue"]}, "data.unknown_label"),
    ],
)
def test_that_rows_that_do_not_suit_are_refused_when_they_are_shown(tmp_path, model, task, row, head, code):
    wanted = job(tmp_path, task, head=head)
    path = tiny.write_jsonl(tmp_path / "row.jsonl", [row] * 3)
    asked = {
        "model": {"path": str(model)}, "source": {"path": str(path)}, "stage": wanted["stage"],
        "objective": wanted["objective"], "head": wanted["head"], "rows": 2,
    }  # fmt: skip
    found = answer(json.dumps({"kind": "preview_row", "params": asked}))
    assert found.error is not None
    assert (found.error.code, found.error.params["line"]) == (code, 1)


def test_that_classes_that_are_never_learned_are_found_before_a_run(tmp_path, model):
    train = tiny.write_jsonl(tmp_path / "train.jsonl", rows("one", 6))
    held = tiny.write_jsonl(tmp_path / "held.jsonl", [*rows("one", 2), {"text": "x", "label": "pink"}])
    asked = {
        "model": {"path": str(model)}, "source": {"path": str(held)}, "stage": "classification", "rows": 0,
        "against": [{"path": str(train)}],
    }  # fmt: skip

    def found(**more):
        return answer(json.dumps({"kind": "preview_row", "params": {**asked, **more}})).error

    error = found()
    assert (error.code, error.params["line"], error.params["label"]) == ("data.unknown_label", 3, "pink")
    assert "red" in error.params["known"]
    assert found(against=[]) is None
    assert found(head={"labels": [*WORDS, "pink"]}) is None
    assert found(source={"path": str(train)}) is None


def test_that_rows_are_shown_as_the_model_reads_them(tmp_path, model):
    def shown(task: str, **head) -> list[dict]:
        path = tiny.write_jsonl(tmp_path / "shown.jsonl", rows(task, 2))
        asked = {"model": {"path": str(model)}, "source": {"path": str(path)}, "stage": TASKS[task][0], "rows": 1}
        found = answer(json.dumps({"kind": "preview_row", "params": {**asked, "head": head}}))
        assert found.error is None, found.error
        assert found.result["teaching"] == 2
        return [(row["side"], "".join(span["text"] for span in row["spans"])) for row in found.result["rows"]]

    assert shown("one") == [("red", "0 is red")]
    (side,) = shown("one", through_template=True)
    assert side == ("red", "<|im_start|>user\n0 is red<|im_end|>\n")
    assert shown("vector", instruction="Find: ") == [("anchor", "Find: 0 is red"), ("positive", "0 red!")]
    assert shown("list", joined="{query} => {document}") == [
        ("positive", "0 is red => 0 red!"), ("negative", "0 is red => no 0"), ("negative", "0 is red => never 1"),
    ]  # fmt: skip


def test_that_unbalanced_classes_are_told_of_and_weights_balance_them(attempt, tmp_path):
    many = [{"text": f"t {n}", "label": "rare" if n % 22 == 0 else "usual"} for n in range(44)]
    for weights, warned in (("none", 1), ("auto", 0)):
        wanted = job(tmp_path, "one", head={"class_weights": weights})
        wanted["data"] = {"train": [{"path": str(tiny.write_jsonl(tmp_path / "many.jsonl", many))}]}
        made = attempt(name=weights, **{**wanted, "evaluation": {}, "training": {"max_steps": 1}})
        assert made.run() == 0, made.end
        assert len([line for line in made.of("note") if line.code == "heads.unbalanced"]) == warned
    labels = Labels("single_label", ("rare", "usual"), (11.0, 44 / 84))
    assert 2 * labels.weight(0) == pytest.approx(42 * labels.weight(1))


def test_that_one_row_at_once_needs_texts_that_do_not_belong(attempt, tmp_path):
    alone = {"training": {"micro_batch_size": 1, "max_steps": 1}}
    made = attempt(**job(tmp_path, "rank", **alone))
    assert made.run() == 1
    assert made.end.error.code == "heads.no_negatives"
    fine = attempt(name="fine", **job(tmp_path, "list", **alone, evaluation={}))
    assert fine.run() == 0, fine.end


def bundle(tokenizer, stage: str, loss: str, content: list[dict], **head):
    tokeniser = HeadTokeniser(choose_template(tokenizer, "auto"), 64, "end", stage, loss, HeadConfig(**head))
    return tokeniser.encode([convert(Record(n, row), "pairs") for n, row in enumerate(content, 1)])


def test_that_a_row_without_wrong_documents_gets_those_of_other_rows(tokenizer):
    content = [{"anchor": f"q{n}", "positive": "same" if n < 2 else f"d{n}"} for n in range(4)]
    made = bundle(tokenizer, "reranker", "pairwise", content, negatives=2, joined="{query}: {document}")
    batch = collate(made, 0, 1)
    texts = [tokenizer.decode(ids[:n]) for ids, n in zip(batch["input_ids"], batch["ends"].tolist(), strict=True)]
    beside = list(zip(batch["owner"].tolist(), batch["slot"].tolist(), texts, strict=True))[4:]
    assert beside == [
        (0, 1, "q0: d3"), (0, 2, "q0: d2"),  # not "same" of row 1: it answers this query as well
        (1, 1, "q1: d3"), (1, 2, "q1: d2"), (2, 1, "q2: same"), (2, 2, "q2: d3"), (3, 1, "q3: d2"), (3, 2, "q3: same"),
    ]  # fmt: skip
    assert rows_of(batch) == 4
    part = rows_between(batch, 1, 3)
    assert (rows_of(part), part["owner"].tolist()) == (2, [0, 1, 0, 0, 1, 1])
    whole = bundle(
        tokenizer, "reranker", "pairwise", [{"anchor": "q0", "positive": "d3"}], joined="{query}: {document}"
    )
    assert list(whole[0].texts[0].ids) == batch["input_ids"][4][: batch["ends"][4]].tolist()


class Fixed(torch.nn.Module):
    """Gives states, or scores, that were given to it."""

    def __init__(self, states: torch.Tensor) -> None:
        super().__init__()
        self.last_hidden_state = self.logits = states

    def forward(self, **_asked) -> "Fixed":
        return self


def objective(tmp_path: Path, task: str, loss: str, **head):
    from engine.contract.run_spec import TrainJob

    wanted = {"model": {"path": "x"}, "data": {"train": [{"path": "x"}]}, "stage": TASKS[task][0]}
    made = TrainJob.model_validate({**wanted, "objective": {"loss": loss}, "head": head})
    return STAGES[made.stage].objective(made, None)


@pytest.mark.parametrize("symmetric", [False, True])
def test_that_info_nce_is_its_formula(tokenizer, tmp_path, symmetric):
    content = [{"anchor": f"a{n}", "positive": f"p{n % 3}", "negative": [f"n{n}", f"m{n}"]} for n in range(4)]
    batch = collate(bundle(tokenizer, "embedding", "info_nce", content), 0, 1)
    states = torch.randn(16, batch["input_ids"].shape[1], 6, generator=torch.Generator().manual_seed(1))
    made = objective(tmp_path, "vector", "info_nce", symmetric=symmetric, temperature=0.1)
    found, figures = made.loss(Fixed(states), batch, True)
    means = [states[n, : batch["ends"][n]].mean(0) for n in range(16)]
    unit = [vector / vector.norm() for vector in means]
    first, docs = unit[:4], unit[4:]
    total = 0.0
    for n in range(4):
        # p0 belongs to rows 0 and 3: neither is the other's negative
        others = [doc for at, doc in enumerate(docs) if at == n or {at, n} != {0, 3}]
        likeness = torch.stack([first[n] @ doc for doc in others]) / 0.1
        loss = torch.logsumexp(likeness, 0) - first[n] @ docs[n] / 0.1
        if symmetric:
            back = torch.stack([docs[n] @ one for one in first]) / 0.1
            loss = (loss + torch.logsumexp(back, 0) - docs[n] @ first[n] / 0.1) / 2
        total += float(loss)
    assert float(found) == pytest.approx(total, rel=1e-5)
    assert figures["similarity/right"].tolist() == pytest.approx(
        [float(first[n] @ docs[n]) for n in range(4)], rel=1e-5
    )


def test_that_the_losses_of_rerankers_are_their_formulas(tokenizer, tmp_path):
    content = [{"anchor": f"a{n}", "positive": f"p{n}", "negative": [f"n{n}"] * (1 + n % 2)} for n in range(2)]
    batch = collate(bundle(tokenizer, "reranker", "pairwise", content), 0, 1)
    right, wrong = [1.5, -0.5], [[0.25], [2.0, -1.0]]
    scores = torch.tensor([*right, *wrong[0], *wrong[1]])[:, None]
    sigmoid = torch.nn.functional.logsigmoid

    def by(loss: str) -> float:
        return float(objective(tmp_path, "rank", loss).loss(Fixed(scores), batch, True)[0])

    pair = [sum(-float(sigmoid(torch.tensor(r - w))) for w in ws) / len(ws) for r, ws in zip(right, wrong, strict=True)]
    assert by("pairwise") == pytest.approx(sum(pair), rel=1e-5)
    whole = [-float(torch.log_softmax(torch.tensor([r, *ws]), 0)[0]) for r, ws in zip(right, wrong, strict=True)]
    assert by("listwise") == pytest.approx(sum(whole), rel=1e-5)
    point = [
        (-float(sigmoid(torch.tensor(r))) - sum(float(sigmoid(torch.tensor(-w))) for w in ws)) / (1 + len(ws))
        for r, ws in zip(right, wrong, strict=True)
    ]
    assert by("pointwise") == pytest.approx(sum(point), rel=1e-5)


def test_that_a_batch_in_parts_gives_the_same_sum(tokenizer, tmp_path):
    content = rows("list", 5)
    batch = collate(bundle(tokenizer, "reranker", "listwise", content), 0, 1)
    scores = torch.randn(len(batch["owner"]), 1, generator=torch.Generator().manual_seed(2))
    made = objective(tmp_path, "list", "listwise")
    whole = float(made.loss(Fixed(scores), batch, True)[0])
    parts = 0.0
    for at in (0, 2, 4):
        chosen = (batch["owner"] >= at) & (batch["owner"] < at + 2)
        parts += float(made.loss(Fixed(scores[chosen]), rows_between(batch, at, at + 2), True)[0])
    assert parts == pytest.approx(whole, rel=1e-6)


def test_that_filling_changes_no_vector(tokenizer, model):
    from transformers import AutoModel

    found = AutoModel.from_pretrained(model).eval()
    made = bundle(tokenizer, "embedding", "info_nce", rows("vector", 3))
    for pooling in ("mean", "last"):
        head = HeadConfig(pooling=pooling)
        with torch.no_grad():
            together = vectors_of(found, collate(made, 257, 8), head)
            alone = [vectors_of(found, collate([row], 257, 1), head)[0] for row in made]
        for one, other in zip(together[:3], alone, strict=True):
            assert one.tolist() == pytest.approx(other.tolist(), abs=1e-5)


def test_that_texts_keep_what_their_tokenizer_puts_around_them_when_they_are_cut(tokenizer):
    from copy import deepcopy

    from tokenizers.processors import TemplateProcessing

    wrapped = deepcopy(tokenizer)
    wrapped.backend_tokenizer.post_processor = TemplateProcessing(
        single="<|im_start|> $A <|im_end|>", special_tokens=[("<|im_start|>", 258), ("<|im_end|>", 256)]
    )
    begin, end = wrapped("")["input_ids"]
    for truncation, kept in (("end", "abc"), ("start", "fgh")):
        made = HeadTokeniser(choose_template(wrapped, "auto"), 5, truncation, "embedding", "info_nce", HeadConfig())
        ids = list(made.text("abcdefgh").ids)
        assert (ids[0], ids[-1], wrapped.decode(ids[1:-1])) == (begin, end, kept)
        assert list(made.text("ab").ids) == wrapped("ab")["input_ids"]
    dropped = HeadTokeniser(choose_template(wrapped, "auto"), 5, "drop", "embedding", "info_nce", HeadConfig())
    (row,) = dropped.encode([Example(texts=("ab", "abcdefgh"), form="pairs")])
    assert row.trained_tokens == 0
    assert dropped.tally.untrained == 1


def test_that_scores_are_reckoned_as_they_are_known_to_be():
    found = of_classes(("a", "b", "c"), [{0}, {0}, {1}, {1}], [{0}, {1}, {1}, {1}], several=False)
    assert (found.metric, found.value, found.correct) == ("accuracy", 0.75, 3)
    assert found.more["macro_f1"] == pytest.approx((2 / 3 + 0.8) / 2)  # of c there is no row, and none was said to be
    both = of_classes(("a", "b"), [{0, 1}, {0}], [{0}, {0, 1}], several=True)
    assert (both.value, both.more["exact"], both.correct) == (pytest.approx(4 / 6), 0.0, None)
    assert pearson([1, 2, 3], [2, 4, 6]) == pytest.approx(1)
    assert pearson([1, 2, 3], [5, 5, 5]) == 0
    assert of_numbers([0.0, 1.0], [1.0, 0.0]).value == 0
    ranks = of_ranks("mrr", [1, 2, 20])
    assert ranks.value == pytest.approx((1 + 0.5 + 0.05) / 3)
    assert ranks.more["ndcg_at_10"] == pytest.approx((1 + 0.6309297) / 3)
    assert of_ranks("recall_at_1", [1, 2, 20]).more["recall_at_10"] == pytest.approx(2 / 3)
    assert [rank_of([0.5, 0.5, 0.1], place) for place in range(3)] == [2, 2, 3]
    assert rank_of([float("nan"), 1.0], 1) == 2  # a broken model finds nothing
    with pytest.raises(UserError):
        Labels("single_label", ("a",)).place("b", 3)


def test_that_early_stop_goes_by_the_score(attempt, tmp_path):
    stopping = {"metric": "score", "patience": 1}
    recipe = {"validate_every": 2, "learning_rate": 1e-9, "max_steps": 20}
    made = attempt(**job(tmp_path, "one", stopping=stopping, training=recipe))
    assert made.run() == 0, made.end
    assert [line.step for line in made.of("validation")] == [2, 4]
    assert all("score" in line.values for line in made.of("validation"))
    assert made.of("step")[-1].step == 4


def test_that_it_answers_no_questions(attempt, tmp_path):
    more = {"watching": {"prompts": ["hello"], "prompts_every": 1}, "checkpoints": {"every_steps": 2}}
    made = attempt(**job(tmp_path, "vector", **more))
    assert made.run() == 0, made.end
    assert not [line for line in made.of("sample") if line.when == "checkpoint"]


def test_that_the_demo_files_are_those_of_their_script():
    for name, text in files().items():
        assert (resources_folder() / DATASETS[f"demo/{name}"]).read_text(encoding="utf-8") == text
