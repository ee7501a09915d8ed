"""The base model of a run that begins from scratch: its tokenizer, trained or taken over, and its fresh weights."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from engine.compute.data.loading import Loaded, load_sources
from engine.compute.data.tokenizer_training import batched, passes_of, train_tokenizer, wrapped
from engine.compute.inference.base import load_tokenizer
from engine.compute.inference.fresh import write_fresh
from engine.compute.worker.artifacts import publish_folder
from engine.compute.worker.identity import FORM
from engine.compute.worker.materials import Materials
from engine.compute.worker.resume import Start
from engine.compute.worker.worker import Worker
from engine.contract.durable import write_json
from engine.contract.errors import UserError
from engine.contract.faults import fault
from engine.contract.paths import AttemptFolder
from engine.contract.run_spec import TrainJob
from engine.contract.scratch_shape import parameters_of, tokenizer_folder
from engine.contract.states import Phase

TOKENIZER = "scratch_tokenizer.json"
"""In a checkpoint: the tokenizer the run was begun with."""
CHUNK, LOOKED_AT = 256, 2000


class FromScratch:
    """Makes the model's folder once; later attempts find it, or make it again from a checkpoint's tokenizer."""

    def __init__(self, job: TrainJob, folder: AttemptFolder, worker: Worker) -> None:
        self._job, self._folder, self._worker = job, folder.fresh_model, worker
        self._done = 0
        """Rows that were read for the tokenizer, each as often as it was."""

    def obtain(self, start: Start | None) -> Path:
        """The folder with config, weights and tokenizer."""
        asked = {"form": self._job.scratch.model_dump(mode="json"), "seed": self._job.training.seed}
        if _read(self._folder / FORM) == asked:
            return self._folder
        self._worker.report.phase(Phase.MAKING_MODEL)
        tokenizer = self._tokenizer(start)
        self._worker.check()

        def write(aside: Path) -> None:
            write_fresh(self._job.scratch, tokenizer, self._job.training.seed, aside)
            fault("scratch.before_whole")
            write_json(aside / FORM, asked)

        publish_folder(self._folder, write)
        self._tell(len(tokenizer))
        return self._folder

    def _tell(self, vocabulary: int) -> None:
        form, seed = self._job.scratch, self._job.training.seed
        made = parameters_of(form, vocabulary)
        total, active = f"{made.total:,}", f"{made.active:,}"
        self._worker.report.note("scratch.made", family=form.family, seed=seed, total=total, active=active)

    def _tokenizer(self, start: Start | None) -> Any:
        form = self._job.scratch
        if form.tokenizer != "trained":
            return self._taken_over()
        kept = start.folder / TOKENIZER if start is not None else None
        if kept is not None and kept.is_file():
            return wrapped(kept.read_text(encoding="utf-8"), form)
        loaded = load_sources(self._job.data.train, self._job.training.seed)
        made = wrapped(train_tokenizer(form, lambda: self._texts(loaded)), form)
        self._tell_tokenizer(made, loaded)
        return made

    def _taken_over(self) -> Any:
        path = tokenizer_folder(self._job.scratch)
        if path is None or not path.is_dir():
            raise UserError("model.not_here", path=self._job.scratch.tokenizer_path, choices="demo")
        made = load_tokenizer(path)
        if made.eos_token_id is None:
            raise UserError("scratch.no_end_token", path=str(path))
        return made

    def _texts(self, loaded: Sequence[Loaded]) -> Iterator[str]:
        """All texts of the training rows in their order; tells how far it is, and is a place to stop."""
        whole, done = sum(len(source.content) for source in loaded) * passes_of(self._job.scratch), self._done
        for source in loaded:
            for begin in range(0, len(source.content), CHUNK):
                places = range(begin, min(begin + CHUNK, len(source.content)))
                self._worker.check()
                for row in source.content.examples(places):
                    yield from filter(None, [row.text, *(str(turn["content"]) for turn in row.turns)])
                done += len(places)
                self._worker.report.phase(Phase.MAKING_MODEL, done / whole)
        self._done = done

    def _tell_tokenizer(self, made: Any, loaded: Sequence[Loaded]) -> None:
        """How well it fits: characters of a token, and what it does not know."""
        letters = tokens = unknown = 0
        texts = [text for source in loaded for text in self._some(source)]
        for some in batched(texts, CHUNK):
            letters += sum(map(len, some))
            for ids in made(some, add_special_tokens=False)["input_ids"]:
                tokens += len(ids)
                unknown += ids.count(made.unk_token_id) if made.unk_token_id is not None else 0
        rows = sum(len(source.content) for source in loaded)
        algorithm, each = self._job.scratch.algorithm, f"{letters / max(tokens, 1):.2f}"
        self._worker.report.note(
            "scratch.trained", algorithm=algorithm, tokens=f"{len(made):,}", rows=f"{rows:,}", per_token=each
        )
        if unknown:
            self._worker.report.note("scratch.unknown", "warning", percent=f"{100 * unknown / tokens:.1f}")

    def _some(self, source: Loaded) -> list[str]:
        rows = source.content.examples(range(min(LOOKED_AT, len(source.content))))
        return [text for row in rows for text in (row.text, *(str(turn["content"]) for turn in row.turns)) if text]


def keep_tokenizer(materials: Materials, folder: Path) -> None:
    """Into a checkpoint: the tokenizer a model from scratch was begun with."""
    source = materials.folder / "tokenizer.json"
    if (materials.folder / FORM).is_file() and source.is_file():
        shutil.copyfile(source, folder / TOKENIZER)


def write_card(job: TrainJob, materials: Materials, folder: Path) -> None:
    """Beside the result: what the model is, for whoever finds it."""
    form = job.scratch
    made = parameters_of(form, len(materials.tokenizer))
    rows = ", ".join(source.path for source in job.data.train)
    lines = [
        "---", "library_name: transformers", "pipeline_tag: text-generation", "---", "", f"# {job.model.path}", "",
        f"A language model of the family {form.family}, trained from fresh weights (seed {job.training.seed}).", "",
        f"- {made.total:,} parameters, of which {made.active:,} work on a token",
        f"- {form.layers} layers, hidden size {form.hidden}, context of {form.context:,} tokens",
        f"- {len(materials.tokenizer):,} tokens; tokenizer: {form.tokenizer}",
        f"- trained on: {rows}", "",
    ]  # fmt: skip
    (folder / "README.md").write_text("\n".join(lines), encoding="utf-8")


def _read(path: Path) -> dict[str, Any] | None:
    try:
        found = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None
