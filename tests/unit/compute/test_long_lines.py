"""Lines of the journal and commands: short enough, however much there is to tell."""

from __future__ import annotations

import pytest

from engine.compute.worker.adapter_file import card_line
from engine.compute.worker.commands import MAX_COMMAND_BYTES
from engine.compute.worker.journal import encode
from engine.compute.worker.manifest import fits_line
from engine.contract import events
from engine.contract.api import ClassScore
from engine.contract.commands import WorkerCommand
from engine.contract.lora_card import LoRACard
from engine.contract.reproduction import DataMark, RunManifest
from engine.contract.serving import MOST_KEYS, SCOPES, NewKey, make_key


@pytest.mark.parametrize(("sources", "packages"), [(0, 10), (18, 150), (64, 150), (64, 3000)])
def test_that_it_fits_a_line_however_many_sources_and_packages(sources, packages):
    manifest = RunManifest(
        data=[DataMark(name="数" * 200, rows=1, sha256="0" * 64) for _ in range(sources)],
        packages={f"package-{number}": "1.2.3" for number in range(packages)} | {"torch": "2.13.0"},
    )
    found = fits_line(manifest)
    line = events.ManifestMade(seq=1, t=0.0, manifest=found.model_dump(mode="json"))
    assert len(line.model_dump_json().encode()) < events.MAX_LINE_BYTES
    assert found.packages["torch"] == "2.13.0"
    assert (found == manifest) == (sources + packages < 100)


def test_that_a_card_fits_a_line_however_many_datasets_and_ranks():
    many = {f"model.layers.{number}.self_attn.q_proj": 8 for number in range(500)}
    card = LoRACard(
        rank=8, alpha=16, name="long", rank_pattern=many, datasets={f"{'数' * 150}{n}": "0" * 64 for n in range(64)},
        targets=tuple(many), embedding=(0.125,) * 4096, metrics={"loss": 1.0},
    )  # fmt: skip
    line = events.ArtifactSaved(seq=1, t=0.0, artifact="adapter_file", path="outputs/a", card=card_line(card))
    assert len(line.model_dump_json().encode()) < events.MAX_LINE_BYTES
    assert LoRACard.model_validate(line.card).name == "long"
    short = LoRACard(rank=8, alpha=16, name="short", rank_pattern={"q": 4}, metrics={"loss": 1.0})
    assert LoRACard.model_validate(card_line(short)) == short


def test_that_a_score_of_classes_with_long_names_fits_a_line():
    classes = [ClassScore(label="类" * 80, rows=1, given=1, right=1, f1=1.0) for _ in range(60)]
    score = events.Score(
        seq=1, t=0.0, when="after", metric="accuracy", value=1.0, correct=60, rows=60, classes=classes
    )  # fmt: skip
    data = encode(score)
    assert len(data) < events.MAX_LINE_BYTES
    found = events.Score.model_validate_json(data)
    assert len(found.classes) >= 40
    assert found.classes[0].label


def test_that_as_many_keys_as_there_may_be_fit_a_command():
    longest = NewKey(name="数" * 120, tenant="t" * 120, scopes=SCOPES, tokens_per_minute=10**9, days=30)
    key = make_key(longest, "k" * 16, 1.8e9).about.model_copy(update={"counted_as": "0" * 64, "replaced_by": "k" * 16})
    plain = [key.model_dump(mode="json")] * (MOST_KEYS + 1)
    command = WorkerCommand(id="keys-1", verb="keys", params={"keys": plain})
    assert len(command.model_dump_json().encode()) < MAX_COMMAND_BYTES
