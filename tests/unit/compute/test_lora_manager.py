"""Many adapters in memory: the least recently used go, those in use stay, and requests never see each other's."""

import threading

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from lora_cases import base, save_peft, tokens
from test_lora_format import refusal
from test_lora_layers import logits

from engine.compute.lora.format import LoRAFormat
from engine.compute.lora.manager import LoRAManager
from engine.compute.lora.peft_folder import read_folder

NAMES = tuple("abcd")
DEEDS = ("load", "activate", "request", "off")


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("adapters")
    for seed, name in enumerate(NAMES):
        LoRAFormat.save(read_folder(save_peft(folder / f"{name}.peft", "plain", seed)), folder / name)
    return [folder / name for name in NAMES]


@pytest.fixture(scope="module")
def size(files) -> int:
    return LoRAFormat.load(files[0]).held_bytes


@pytest.fixture(scope="module")
def one_model():
    return base()


def made(files, **limits) -> LoRAManager:
    manager = LoRAManager(**limits)
    for path in files:
        manager.register(path.name, path)
    return manager


def test_that_the_least_recently_used_go_when_there_are_too_many(files):
    manager = made(files, limit_count=2)
    for name in ("a", "b", "a", "c"):
        manager.load(name)
    assert manager.held.names == ("a", "c")


def test_that_the_least_recently_used_go_when_they_take_too_much(files, size):
    manager = made(files, limit_bytes=2 * size)
    for name in NAMES:
        manager.load(name)
        assert manager.held.bytes <= 2 * size
    assert manager.held.names == ("c", "d")


def test_that_matrices_made_of_quantised_ones_count_too(files, size, tmp_path):
    LoRAFormat.save(LoRAFormat.load(files[0]), tmp_path / "small", storage="int8")
    manager = made([tmp_path / "small"])
    manager.load("small")
    assert size < manager.held.bytes < 1.4 * size


def test_that_one_that_a_request_works_with_stays(files, one_model):
    manager = made(files, limit_count=2)
    manager.inject(one_model)
    with manager.request("a"):
        for name in "bcd":
            manager.load(name)
        assert "a" in manager.held.names
        assert refusal(manager.unload, "a").code == "lora.in_use"
        assert refusal(manager.remove).code == "lora.in_use"
        with manager.request("b"):
            assert refusal(manager.load, "c").code == "lora.no_room"
    manager.unload("a")
    assert "a" not in manager.names
    manager.remove()


def test_that_one_that_is_at_work_stays(files, one_model):
    manager = made(files, limit_count=2)
    manager.inject(one_model)
    manager.activate("a")
    for name in "bcd":
        manager.load(name)
    assert "a" in manager.held.names
    manager.unload("a")
    assert manager.active == {}
    manager.remove()


def test_that_a_file_that_changed_is_verified_again(files, tmp_path):
    path = tmp_path / "a"
    path.write_bytes(files[0].read_bytes())
    manager = made([path], limit_count=1)
    manager.register("b", files[1])
    manager.load("a")
    manager.load("b")
    whole = bytearray(path.read_bytes())
    whole[len(whole) // 2] ^= 1
    path.unlink()
    path.write_bytes(whole)
    assert refusal(manager.load, "a").code == "lora.tampered"


def test_that_a_file_that_is_removed_serves_who_has_it(files, tmp_path, one_model):
    path = tmp_path / "a"
    path.write_bytes(files[0].read_bytes())
    manager = made([path])
    manager.inject(one_model)
    with manager.request("a"):
        before = logits(one_model)
        path.unlink()
        assert torch.equal(logits(one_model), before)
    manager.unload("a")
    manager.remove()
    assert refusal(manager.register, "a", path).code == "lora.missing"


def test_that_nobody_waits_while_another_is_read(files, one_model, monkeypatch):
    manager = made(files)
    manager.inject(one_model)
    manager.load("a")
    begun, go = threading.Event(), threading.Event()
    read = LoRAFormat.load

    def slow(path, verify=False):
        begun.set()
        assert go.wait(30)
        return read(path, verify=verify)

    monkeypatch.setattr(LoRAFormat, "load", slow)
    reader = threading.Thread(target=manager.load, args=("b",))
    reader.start()
    assert begun.wait(30)
    with manager.request("a"):  # as if nobody were reading
        logits(one_model)
    manager.hold(["a"])
    manager.let_go(["a"])
    go.set()
    reader.join()
    assert set(manager.held.names) == {"a", "b"}
    manager.remove()


def test_that_one_unloaded_while_it_is_read_is_not_kept(files, monkeypatch):
    manager = made(files)
    read = LoRAFormat.load

    def gone(path, verify=False):
        manager.unload("b")
        return read(path, verify=verify)

    monkeypatch.setattr(LoRAFormat, "load", gone)
    assert refusal(manager.load, "b").code == "lora.unknown"
    assert manager.held.names == ()
    assert not manager._verified


def test_that_nothing_is_kept_of_one_that_is_gone(files, one_model):
    manager = LoRAManager()
    manager.inject(one_model)
    for number in range(3):
        name = f"passing-{number}"
        manager.register(name, files[0])
        manager.hold([name])
        with manager.request([name]):
            pass
        manager.let_go([name])
        manager.unload(name)
    assert "passing" not in str(vars(manager))
    manager.remove()


def test_that_weights_are_changed_one_by_one(files, one_model):
    manager = made(files)
    manager.inject(one_model)
    manager.activate("a")
    manager.weigh("b", 0.5)
    both = logits(one_model)
    manager.activate({"a": 1, "b": 0.5})
    assert torch.equal(logits(one_model), both)
    assert manager.active == {"a": 1.0, "b": 0.5}
    manager.remove()


@settings(max_examples=15, deadline=None)
@given(deeds=st.lists(st.tuples(st.sampled_from(DEEDS), st.sampled_from(NAMES)), max_size=12))
def test_that_no_order_of_deeds_passes_a_limit(files, size, one_model, deeds):
    manager = made(files, limit_bytes=3 * size, limit_count=2)
    manager.inject(one_model)
    for deed, name in deeds:
        if deed == "load":
            manager.load(name)
        elif deed == "activate":
            manager.activate(name)
        elif deed == "request":
            with manager.request(name):
                assert name in manager.held.names
        else:
            manager.deactivate()
        assert len(manager.held.names) <= 2
        assert manager.held.bytes <= 3 * size
    manager.remove()


@settings(max_examples=4, deadline=None)
@given(st.lists(st.lists(st.sampled_from((*NAMES, "")), min_size=3, max_size=5), min_size=2, max_size=3))
def test_that_concurrent_switches_never_mix_two_in_one_request(files, one_model, plans):
    manager, ids = made(files, limit_count=3 * 3), tokens(1, 4)
    manager.inject(one_model)
    known = {}
    for name in (*NAMES, ""):
        with manager.request(name or ()):
            known[name] = logits(one_model, ids)
    wrong, done = list[str](), threading.Event()

    def asks(names):
        for name in names:
            with manager.request(name or ()):
                found = [logits(one_model, ids) for _ in range(2)]
            if not all(torch.equal(one, known[name]) for one in found):
                wrong.append(name)

    def passes():
        """Whoever has no lease gets one of them whole, whichever it is."""
        for _ in range(6):
            found = logits(one_model, ids)
            if not any(torch.equal(found, one) for one in known.values()):
                wrong.append("a pass without a lease")

    def switches():
        while not done.is_set():
            for name in NAMES:
                manager.activate(name)
            manager.deactivate()

    workers = [threading.Thread(target=asks, args=(names,)) for names in plans] + [threading.Thread(target=passes)]
    switching = threading.Thread(target=switches)
    switching.start()
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    done.set()
    switching.join()
    manager.remove()
    assert wrong == []


def test_that_what_is_unknown_is_refused(files, tmp_path, one_model):
    manager = made(files)
    assert refusal(manager.load, "z").code == "lora.unknown"
    assert refusal(manager.unload, "z").code == "lora.unknown"
    assert refusal(manager.register, "a", files[0]).code == "lora.taken"
    assert refusal(manager.activate, "a").code == "lora.no_model"
    manager.inject(one_model)
    assert refusal(manager.inject, base()).code == "lora.other_model"
    for weight in (float("nan"), float("inf"), "much"):
        assert refusal(manager.activate, {"a": weight}).code == "lora.weight"
    manager.remove()
