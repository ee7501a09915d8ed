"""Files of adapters: what comes back is what went in, both ways with peft's folders, and what is broken is refused."""

import json
import math
import mmap
import os
import shutil

import numpy as np
import pyarrow as pa
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from lora_cases import KINDS, save_peft
from peft import LoraConfig
from safetensors.torch import load_file, save_file

from engine.compute.lora import format as lora_format
from engine.compute.lora import quantised
from engine.compute.lora.adapter import KNOWN, UNSUPPORTED, assemble
from engine.compute.lora.format import LoRAFormat
from engine.compute.lora.peft_folder import read_folder, write_folder
from engine.contract.errors import UserError

WEIGHTS, CONFIG = "adapter_model.safetensors", "adapter_config.json"
PLAIN = {"peft_type": "LORA", "r": 2, "lora_alpha": 4, "base_model_name_or_path": "someone/base"}
STEM = "base_model.model.model.layers.0.self_attn.q_proj"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return save_peft(tmp_path_factory.mktemp("adapters") / "plain")


@pytest.fixture
def file(folder, tmp_path):
    path = tmp_path / "one.lora.arrow"
    LoRAFormat.save(read_folder(folder), path)
    return path


def small(dtype=torch.float32, rank=2, **config):
    """A small adapter that was never in a model."""
    chance = torch.Generator().manual_seed(3)
    tensors = {
        f"{STEM}.lora_A.weight": torch.randn(rank, 24, generator=chance).to(dtype),
        f"{STEM}.lora_B.weight": torch.randn(16, rank, generator=chance).to(dtype),
    }
    return assemble(json.dumps(PLAIN | {"r": rank} | config), tensors, "small")


def same_bits(one: torch.Tensor, other: torch.Tensor) -> bool:
    bits = [tensor.contiguous().reshape(-1).view(torch.uint8) for tensor in (one, other)]
    return one.dtype == other.dtype and one.shape == other.shape and torch.equal(*bits)


def refusal(work, *arguments, **options) -> UserError:
    with pytest.raises(UserError) as caught:
        work(*arguments, **options)
    assert "{" not in caught.value.text, "a parameter of the text is missing"
    return caught.value


def codes(error: UserError) -> set[str]:
    return {problem.code for problem in error.problems} or {error.code}


@pytest.mark.parametrize("kind", KINDS)
def test_that_a_folder_of_pefts_comes_back_bit_for_bit(tmp_path, kind):
    folder, path = save_peft(tmp_path / "peft", kind), tmp_path / "file.lora.arrow"
    LoRAFormat.save(read_folder(folder), path)
    write_folder(LoRAFormat.load(path, verify=True), tmp_path / "back")
    before, after = load_file(folder / WEIGHTS), load_file(tmp_path / "back" / WEIGHTS)
    assert before.keys() == after.keys()
    assert all(same_bits(before[name], after[name]) for name in before)
    assert (tmp_path / "back" / CONFIG).read_bytes() == (folder / CONFIG).read_bytes()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_that_half_precision_comes_back_bit_for_bit(tmp_path, dtype):
    folder = save_peft(tmp_path / "peft", "dora", dtype=dtype)
    read = read_folder(folder)
    card = LoRAFormat.save(read, tmp_path / "file")
    again = LoRAFormat.load(tmp_path / "file")
    assert card.dtype == {torch.float16: "fp16", torch.bfloat16: "bf16"}[dtype]
    assert all(same_bits(tensor, again.tensors[name]) for name, tensor in read.tensors.items())


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_that_any_weights_come_back_bitwise(tmp_path, data):
    rank, wide, high = (data.draw(st.integers(1, most)) for most in (9, 70, 70))
    dtype = data.draw(st.sampled_from([torch.float32, torch.float16, torch.bfloat16]))
    tensors = dict[str, torch.Tensor]()
    for layer in range(data.draw(st.integers(1, 4))):
        for name in data.draw(st.sets(st.sampled_from(["q_proj", "k_proj", "up_proj"]), min_size=1)):
            bits = [
                np.frombuffer(data.draw(st.binary(min_size=64, max_size=64)), dtype=np.int16) & 0x3FFF for _ in range(2)
            ]
            halves = [torch.from_numpy(one.copy()).view(torch.float16).to(dtype) for one in bits]
            stem = f"base_model.model.layers.{layer}.{name}"
            tensors[f"{stem}.lora_A.weight"] = halves[0].repeat(-(-rank * wide // 32))[: rank * wide].view(rank, wide)
            tensors[f"{stem}.lora_B.weight"] = halves[1].repeat(-(-rank * high // 32))[: rank * high].view(high, rank)
    adapter = assemble(json.dumps(PLAIN | {"r": rank}), tensors, "made")
    path = tmp_path / f"{data.draw(st.uuids())}.arrow"
    LoRAFormat.save(adapter, path)
    again = LoRAFormat.load(path, verify=True)
    assert again.tensors.keys() == tensors.keys()
    assert all(same_bits(tensors[name], tensor) for name, tensor in again.tensors.items())
    path.unlink()


def test_that_the_slab_and_each_weight_lie_at_a_multiple_of_64_bytes_all_first_matrices_first(folder, tmp_path):
    for number in range(4):  # the length of the texts before the slab must not matter
        adapter = read_folder(folder)
        adapter.card = adapter.card.model_copy(update={"description": "x" * (number * 7)})
        LoRAFormat.save(adapter, tmp_path / f"{number}")
        again = LoRAFormat.load(tmp_path / f"{number}")
        assert {tensor.data_ptr() % 64 for tensor in again.tensors.values()} == {0}
        firsts, seconds = (
            [tensor.data_ptr() for name, tensor in again.tensors.items() if f"lora_{one}" in name] for one in "AB"
        )
        assert max(firsts) < min(seconds)


def test_that_any_arrow_reader_reads_the_card(file):
    with pa.memory_map(str(file)) as source:
        texts = pa.ipc.open_file(source).schema.metadata
        assert json.loads(texts[b"card"])["rank"] == 4
        assert json.loads(json.loads(texts[b"peft"])["config"])["peft_type"] == "LORA"


def test_that_a_mapped_weight_that_is_written_into_leaves_the_file_alone(file):
    before = file.read_bytes()
    adapter = LoRAFormat.load(file)
    assert isinstance(adapter.owner, mmap.mmap)
    next(iter(adapter.tensors.values())).zero_()
    assert file.read_bytes() == before


@pytest.mark.parametrize(("storage", "most"), [("fp16", 1e-3), ("bf16", 5e-3), ("int8", 2e-2), ("int4", 0.2)])
def test_that_the_error_of_smaller_storage_is_what_the_card_states(folder, tmp_path, storage, most):
    read = read_folder(folder)
    card = LoRAFormat.save(read, tmp_path / "small", storage=storage)
    again = LoRAFormat.load(tmp_path / "small", verify=True)
    errors = [
        float(torch.linalg.norm(again.tensors[name].double() - tensor) / torch.linalg.norm(tensor.double()))
        for name, tensor in read.tensors.items()
    ]
    assert 0 < card.storage_error < most
    assert card.storage_error == pytest.approx(max(errors), rel=1e-6)
    assert again.card == card
    assert (tmp_path / "small").stat().st_size < sum(t.numel() for t in read.tensors.values()) * 2.5 + 20_000


def worst(one, other) -> float:
    """The greatest relative error of a matrix."""
    return max(quantised.error(tensor, other.tensors[name]) for name, tensor in one.tensors.items())


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("storages", [("int8",), ("int4",), ("bf16", "int8"), ("int8", "int4"), ("fp16", "int4")])
def test_that_the_stated_error_holds_for_any_digits_and_one_storage_after_another(tmp_path, dtype, storages):
    read = made = small(dtype, rank=7)
    for number, storage in enumerate(storages):
        LoRAFormat.save(made, tmp_path / f"{number}", storage)
        made = LoRAFormat.load(tmp_path / f"{number}", verify=True)
    found = worst(read, made)
    assert found <= made.card.storage_error * (1 + 1e-9)
    assert len(storages) > 1 or made.card.storage_error == pytest.approx(found)


@pytest.mark.parametrize("storage", ["int8", "int4"])
def test_that_a_card_says_how_its_own_file_holds_the_matrices(tmp_path, storage):
    LoRAFormat.save(small(torch.bfloat16), tmp_path / "few", storage)
    few = LoRAFormat.load(tmp_path / "few")
    assert few.card.dtype == storage
    again = LoRAFormat.save(few, tmp_path / "again")
    assert (again.dtype, again.storage_error) == ("bf16", few.card.storage_error)


@settings(max_examples=30, deadline=None)
@given(
    rank=st.integers(1, 9), length=st.integers(1, 200), seed=st.integers(0, 99), form=st.sampled_from(["int8", "int4"])
)
def test_that_a_quantised_value_is_off_by_half_a_step_at_most(rank, length, seed, form):
    from engine.compute.lora.quantised import GROUP, pack, unpack

    rows = torch.randn(rank, length, generator=torch.Generator().manual_seed(seed))
    again = unpack(*pack(rows, form), form, rank, length)
    for row, back in zip(rows, again, strict=True):
        for begin in range(0, length, GROUP if form == "int4" else length):
            part = slice(begin, begin + (GROUP if form == "int4" else length))
            step = float(row[part].abs().max()) / (7 if form == "int4" else 127)
            assert float((row[part] - back[part]).abs().max()) <= step / 2 * 1.0001


def test_that_a_card_never_names_a_path_of_this_computer():
    for given_name, shown in (
        ("/home/me/models/qwen", "qwen"),
        ("a/b", "a/b"),
        ("C:\\models\\qwen", "qwen"),
        (None, ""),
    ):
        assert small(base_model_name_or_path=given_name).card.base_model == shown


# Bad input.


@pytest.mark.parametrize("share", [0.0, 0.01, 0.5, 0.99])
def test_that_a_truncated_file_is_refused(file, share):
    file.write_bytes(file.read_bytes()[: int(file.stat().st_size * share)])
    assert refusal(LoRAFormat.load, file).code == "lora.file_broken"


def test_that_a_changed_byte_is_found_when_the_file_is_verified(file):
    begin = LoRAFormat.load(file).tensors
    whole = bytearray(file.read_bytes())
    position = whole.find(next(iter(begin.values())).numpy().tobytes()[:64])
    whole[position + 5] ^= 1
    file.write_bytes(whole)
    assert refusal(LoRAFormat.load, file, verify=True).code == "lora.tampered"


def test_that_a_changed_card_is_found_when_the_file_is_verified(file):
    file.write_bytes(file.read_bytes().replace(b'"alpha":8.0', b'"alpha":9.0'))
    assert refusal(LoRAFormat.verify, file).code == "lora.tampered"


def test_that_other_files_are_refused(tmp_path):
    assert refusal(LoRAFormat.load, tmp_path / "none").code == "lora.missing"
    (tmp_path / "text").write_text("no adapter")
    assert refusal(LoRAFormat.load, tmp_path / "text").code == "lora.file_broken"
    with pa.ipc.new_file(str(tmp_path / "table"), pa.schema([("x", pa.int64())])) as writer:
        writer.write_batch(pa.record_batch([pa.array([1])], names=["x"]))
    assert refusal(LoRAFormat.load, tmp_path / "table").code == "lora.file_broken"
    assert refusal(LoRAFormat.load, tmp_path).code == "lora.file_broken"


def rewritten(file, name: bytes, change):
    """The file with one text of its schema changed."""
    with pa.memory_map(str(file)) as source:
        reader = pa.ipc.open_file(source)
        texts = dict(reader.schema.metadata)
        slab = reader.get_batch(0).column(0).to_numpy().copy()
    texts[name] = change(texts[name])
    texts.pop(b"pad")
    file.unlink()
    lora_format._write(file, texts, slab)
    return file


def test_that_a_newer_version_is_refused(file):
    assert refusal(LoRAFormat.load, rewritten(file, lora_format.MARK, lambda old: b"99")).code == "lora.file_version"


def row_changed(number, value):
    def change(text: bytes) -> bytes:
        rows = json.loads(text)
        rows[0][number] = value(rows[0][number]) if callable(value) else value
        return json.dumps(rows).encode()

    return change


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (row_changed(4, "fp7"), "lora.dtype"),
        (row_changed(5, [0, 256]), "lora.rank"),
        (row_changed(6, 1 << 40), "lora.file_broken"),
        (row_changed(6, -64), "lora.file_broken"),
        (row_changed(6, 3), "lora.file_broken"),
        (row_changed(5, lambda shape: [shape[0] * 2, shape[1]]), "lora.file_broken"),
        (lambda text: b"[[1,2]]", "lora.file_broken"),
        (lambda text: b"nothing", "lora.file_broken"),
        (lambda text: b"[" * 100_000 + b"]" * 100_000, "lora.file_broken"),
        (row_changed(5, lambda shape: [float(side) for side in shape]), "lora.file_broken"),
        (row_changed(6, 0.0), "lora.file_broken"),
        (row_changed(1, ["a list"]), "lora.file_broken"),
    ],
)
def test_that_an_index_that_lies_is_refused(file, change, code):
    assert code in codes(refusal(LoRAFormat.load, rewritten(file, b"index", change)))


@pytest.mark.parametrize(
    ("name", "change", "code"),
    [
        (b"index", row_changed(2, "whole"), "lora.file_broken"),
        (b"index", row_changed(0, "another"), "lora.file_broken"),
        (b"index", lambda text: json.dumps([*json.loads(text), json.loads(text)[0]]).encode(), "lora.file_broken"),
        (b"index", lambda text: b"[]", "lora.half"),
        (b"card", lambda text: text.replace(b'"rank":4', b'"rank":5'), "lora.rank_other"),
        (b"card", lambda text: text.replace(b'"alpha_pattern":{}', b'"alpha_pattern":{"(":1}'), "lora.file_broken"),
        (b"card", lambda text: text.replace(b'"alpha_pattern":{}', b'"alpha_pattern":{".*":1e999}'), "lora.value"),
        (b"peft", lambda text: text.replace(b"LORA", b"LOHA"), "lora.kind"),
        (b"peft", lambda text: b'{"config": "{", "metadata": {}}', "lora.file_broken"),
    ],
)
def test_that_texts_that_lie_are_found_though_the_hash_is_theirs(file, name, change, code):
    def hashed(_old: bytes) -> bytes:
        _, texts, slab = lora_format._open(file)
        return lora_format._digest(texts, slab.numpy()).encode()

    changed = rewritten(rewritten(file, name, change), b"sha256", hashed)
    assert code in codes(refusal(LoRAFormat.verify, changed))


@pytest.mark.parametrize(
    "told",
    [{"name": "x" * 201}, {"metrics": {"loss": math.nan}}, {"description": "\udcff"}, {"embedding": (math.inf,)}],
)
def test_that_a_card_that_could_not_be_read_again_is_not_written(tmp_path, told):
    adapter = small()
    adapter.card = adapter.card.model_copy(update=told)
    error = refusal(LoRAFormat.save, adapter, tmp_path / "one")
    assert error.code == "lora.card"
    assert list(tmp_path.iterdir()) == []


def test_that_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    assert refusal(LoRAFormat.load, tmp_path / "pipe").code == "lora.file_broken"


def test_that_a_card_with_rank_0_is_refused(file):
    broken = rewritten(file, b"card", lambda text: text.replace(b'"rank":4', b'"rank":0'))
    assert refusal(LoRAFormat.load, broken).code == "lora.file_broken"


def test_that_what_is_not_finite_is_neither_written_nor_verified(folder, tmp_path):
    shutil.copytree(folder, tmp_path / "bad")
    tensors = load_file(folder / WEIGHTS)
    name = next(iter(tensors))
    tensors[name][0, 0] = math.nan
    save_file(tensors, tmp_path / "bad" / WEIGHTS)
    assert codes(refusal(read_folder, tmp_path / "bad")) == {"lora.not_finite"}
    adapter = read_folder(folder)
    adapter.tensors[name] = tensors[name]
    LoRAFormat.save(adapter, tmp_path / "file")  # as another program could have
    assert codes(refusal(LoRAFormat.verify, tmp_path / "file")) == {"lora.not_finite"}


def test_that_values_too_large_for_the_storage_are_refused(tmp_path):
    adapter = small()
    adapter.tensors[f"{STEM}.lora_A.weight"][0, 0] = 1e6
    assert codes(refusal(LoRAFormat.save, adapter, tmp_path / "one", storage="fp16")) == {"lora.overflow"}
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("config", "code"),
    [
        ({"peft_type": "LOHA"}, "lora.kind"),
        ({"peft_type": None}, "lora.kind"),
        ({"use_qalora": True}, "lora.option"),
        ({"layer_replication": [[0, 2]]}, "lora.option"),
        ({"init_lora_weights": "pissa_niter_4"}, "lora.option"),
        ({"use_something_of_2028": True}, "lora.unknown_option"),
        ({"rank_pattern": {"(": 2}}, "lora.pattern"),
        ({"r": 0}, "lora.rank"),
        ({"r": 3}, "lora.rank_other"),
        ({"r": True}, "lora.rank"),
        ({"lora_alpha": None}, "lora.value"),
        ({"lora_alpha": "much"}, "lora.value"),
        ({"lora_alpha": math.nan}, "lora.value"),
        ({"alpha_pattern": {"q_proj": math.inf}}, "lora.value"),
        ({"alpha_pattern": {"q_proj": None}}, "lora.value"),
        ({"alpha_pattern": ["q_proj"]}, "lora.value"),
        ({"rank_pattern": "q_proj"}, "lora.value"),
        ({"alpha_pattern": {"(?i)a": 2}}, "lora.pattern"),
        ({"alpha_pattern": {"\ud800": 2}}, "lora.pattern"),
        ({"use_dora": True}, "lora.half"),
    ],
)
def test_that_a_config_that_cannot_be_represented_is_refused_by_name(config, code):
    error = refusal(assemble, json.dumps(PLAIN | config), small().tensors, "bad")
    assert codes(error) == {code}


def test_that_a_pattern_no_machine_can_look_for_is_refused():
    with pytest.raises(UserError) as caught:
        assemble(json.dumps(PLAIN | {"alpha_pattern": {"a{99999999999}": 2}}), small().tensors, "bad")
    assert codes(caught.value) == {"lora.pattern"}


def test_that_a_magnitude_is_refused_where_peft_would_leave_it_out():
    tensors = small().tensors | {f"{STEM}.lora_magnitude_vector": torch.ones(3)}
    assert "lora.half" in codes(refusal(assemble, json.dumps(PLAIN), tensors, "bad"))


def test_that_a_base_whose_name_is_no_text_is_named_all_the_same(tmp_path):
    adapter = assemble(json.dumps(PLAIN | {"base_model_name_or_path": "a\ud800b"}), small().tensors, "odd")
    assert LoRAFormat.save(adapter, tmp_path / "one").base_model == "a?b"


def test_that_all_problems_of_the_weights_are_listed():
    a, b = torch.ones(2, 4), torch.ones(4, 3)
    tensors = {
        f"{STEM}.lora_A.weight": a,
        f"{STEM}.lora_B.weight": torch.full((4, 2), math.inf),
        "base_model.model.x.lora_A.weight": a.double(),
        "base_model.model.y.lora_B.weight": b,
        "base_model.model.z.lora_E": b,
        "elsewhere.weight": b,
    }
    error = refusal(assemble, json.dumps(PLAIN), tensors, "bad")
    assert codes(error) == {"lora.not_finite", "lora.dtype", "lora.half", "lora.key"}
    shapes = {f"{STEM}.lora_A.weight": a, f"{STEM}.lora_B.weight": b}
    assert codes(refusal(assemble, json.dumps(PLAIN), shapes, "bad")) == {"lora.shape"}


def test_that_folders_without_what_they_need_are_refused(folder, tmp_path):
    assert refusal(read_folder, tmp_path / "none").code == "lora.missing"
    assert refusal(read_folder, tmp_path).code == "lora.no_config"
    (tmp_path / CONFIG).write_text("{")
    assert refusal(read_folder, tmp_path).code == "lora.bad_config"
    shutil.copy(folder / CONFIG, tmp_path / CONFIG)
    assert refusal(read_folder, tmp_path).code == "lora.no_weights"
    (tmp_path / "adapter_model.bin").write_bytes(b"pickle")
    assert refusal(read_folder, tmp_path).code == "lora.pickled"
    (tmp_path / WEIGHTS).write_bytes((folder / WEIGHTS).read_bytes()[:-9])
    assert refusal(read_folder, tmp_path).code == "lora.bad_weights"


def test_that_nothing_is_written_over(folder, file):
    assert refusal(LoRAFormat.save, read_folder(folder), file).code == "lora.exists"
    assert refusal(write_folder, read_folder(folder), folder).code == "lora.exists"
    assert refusal(write_folder, read_folder(folder), file).code == "lora.exists"


def test_that_a_half_written_file_never_takes_the_name(tmp_path, monkeypatch):
    def breaks(path, *rest):
        path.write_bytes(b"half")
        raise OSError("no space")

    monkeypatch.setattr(lora_format, "_write", breaks)
    with pytest.raises(OSError, match="no space"):
        LoRAFormat.save(small(), tmp_path / "one")
    assert list(tmp_path.iterdir()) == []


def test_that_every_option_of_the_installed_peft_is_known_or_refused():
    options = set(LoraConfig.__dataclass_fields__)
    assert options <= KNOWN | set(UNSUPPORTED)
    assert not KNOWN & set(UNSUPPORTED)
