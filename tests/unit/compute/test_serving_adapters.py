"""Adapters while it serves: loaded, replaced, unloaded, blended and routed to; what is refused at the start."""

import contextlib
import importlib.util
import json
import os
import shutil
import socket
import threading
from concurrent.futures import ThreadPoolExecutor

import openai
import pytest
import torch
from lora_cases import DEMO, base, save_peft
from peft import PeftModel
from serving_cases import ASKED, LONG, OWN, QUESTION, adapter, client, job_of, key, opened, plain, said, wait_for

from engine.compute.lora.format import LoRAFormat
from engine.compute.lora.injection import base_hash
from engine.compute.serving import counts, tracing
from engine.compute.serving.runner import Server, bind
from engine.contract.errors import Refused, UserError
from engine.contract.held_adapters import AdapterChange, AdapterChanges, HeldAdapter

COUNT = 12


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("adapters")
    adapter(folder, "dates", 3, description="ISO dates of days in August")
    adapter(folder, "other", 4, kind="dora", description="How to cook noodles with garlic")
    adapter(folder, "third", 5, kind="rslora")
    return folder


def path(files, name):
    return str(files / f"{name}.lora.arrow")


@pytest.fixture
def server(files):
    adapters = [{"name": name, "path": path(files, name)} for name in ("dates", "other")]
    with opened(adapters=adapters) as made:
        yield made


@pytest.fixture(scope="module")
def expected(files):
    """What each says greedily, by peft."""
    with opened() as plain_one:
        served = plain_one.desk.served
        tokens, decode = list(served.of_turns(ASKED)), served.tokenizer.decode

    def greedy(model):
        found = list(tokens)
        with torch.no_grad():
            for _ in range(COUNT):
                found.append(int(model(torch.tensor([found])).logits[0, -1].argmax()))
        return decode(found[len(tokens) :], skip_special_tokens=True)

    made = {"demo": greedy(base())}
    for name in ("dates", "other", "third"):
        made[name] = greedy(PeftModel.from_pretrained(base(), str(files / f"{name}.peft")).eval())
    assert len(set(made.values())) == 4
    return made


def test_that_each_model_name_answers_as_peft_does(server, expected):
    for name in ("demo", "dates", "other"):
        assert said(server, name, count=COUNT) == expected[name]
    assert [one.id for one in client(server).models.list()] == ["demo", "dates", "other", "auto"]


def test_that_adapters_come_and_go_without_a_restart(server, files, expected):
    with plain(server) as http:
        found = http.post("/v1/adapters", json={"name": "new", "path": path(files, "third")})
        assert found.status_code == 200
        assert (found.json()["rank"], found.json()["name"]) == (4, "new")
        assert said(server, "new", count=COUNT) == expected["third"]
        assert http.post("/v1/adapters", json={"name": "new", "path": path(files, "third")}).status_code == 409
        states = {one["name"]: one for one in http.get("/v1/adapters").json()["adapters"]}
        assert (states["new"]["requests"], states["new"]["loaded"]) == (1, True)
        assert http.delete("/v1/adapters/new").json() == {"id": "new", "object": "adapter", "deleted": True}
        assert http.delete("/v1/adapters/new").status_code == 404
    with pytest.raises(openai.NotFoundError):
        said(server, "new")
    assert len(server.desk.served.manager.names) == 2


def test_that_vllms_names_do_the_same(server, files, expected):
    with plain(server) as http:
        asked = {"lora_name": "new", "lora_path": path(files, "third")}
        assert http.post("/v1/load_lora_adapter", json=asked).status_code == 200
        assert said(server, "new", count=COUNT) == expected["third"]
        assert http.post("/v1/unload_lora_adapter", json={"lora_name": "new"}).status_code == 200
        assert http.post("/v1/unload_lora_adapter", json={"lora_name": "new"}).status_code == 404


def test_that_a_new_version_never_mixes_into_an_answer_under_way(server, files, expected):
    """While others replace the adapter again and again, each answer is one version's, whole."""
    versions, wrong = {expected["dates"], expected["other"]}, []

    def ask():
        for _ in range(6):
            found = said(server, "dates", count=COUNT)
            if found not in versions:
                wrong.append(found)

    threads = [threading.Thread(target=ask) for _ in range(3)]
    for thread in threads:
        thread.start()
    with plain(server) as http:
        for number in range(8):
            body = {"name": "dates", "path": path(files, ("other", "dates")[number % 2]), "replace": True}
            assert http.post("/v1/adapters", json=body).status_code == 200
    for thread in threads:
        thread.join()
    assert wrong == []
    assert said(server, "dates", count=COUNT) == expected["dates"]
    assert len(server.desk.served.manager.names) == 2, "older versions are let go of"


def test_that_a_request_keeps_the_adapter_it_began_with(server, files, expected):
    stream = client(server).chat.completions.create(
        model="dates", messages=ASKED, stream=True, temperature=0, max_tokens=COUNT, extra_body={"ignore_eos": True}
    )
    texts = [next(iter(stream)).choices[0].delta.content or ""]
    with plain(server) as http:
        body = {"name": "dates", "path": path(files, "third"), "replace": True}
        assert http.post("/v1/adapters", json=body).status_code == 200
    texts += [chunk.choices[0].delta.content or "" for chunk in stream]
    assert "".join(texts) == expected["dates"]
    assert said(server, "dates", count=COUNT) == expected["third"]


def test_that_adapters_are_blended_by_weight(server, expected):
    assert said(server, count=COUNT, extra_body={"adapters": {"dates": 1.0}}) == expected["dates"]
    blend = {"adapters": {"dates": 0.5, "other": 0.5}}
    assert said(server, count=COUNT, extra_body=blend) == said(server, count=COUNT, extra_body=blend)
    assert said(server, count=COUNT, extra_body={"adapters": {}}) == expected["demo"]
    for wrong, raised in (({"none": 1.0}, openai.NotFoundError), ({"dates": "1"}, openai.BadRequestError)):
        with pytest.raises(raised):
            said(server, extra_body={"adapters": wrong})


def test_that_auto_takes_the_adapter_whose_description_is_likest(server, expected):
    with plain(server) as http:
        text = "ISO dates of days in August"
        found = http.post("/v1/route", json={"text": text}).json()
        assert list(found["adapters"]) == ["dates"]
        assert found["likeness"]["dates"] == pytest.approx(1.0, abs=1e-3)
        assert "dates" in found["reason"]
        asked = {"model": "auto", "messages": [{"role": "user", "content": text}], "max_tokens": 2}
        answered = http.post("/v1/chat/completions", json=asked).json()
    assert answered["model"] == "dates"
    assert answered["forge"]["adapters"] == {"dates": 1.0}


def test_that_auto_takes_the_base_where_nothing_is_like_it(files):
    adapters = [{"name": "dates", "path": path(files, "dates")}]
    with opened(adapters=adapters, route_threshold=1.0) as server, plain(server) as http:
        found = http.post("/v1/route", json={"text": "noodles"}).json()
        assert found["adapters"] == {}
        asked = {"model": "auto", "messages": ASKED, "max_tokens": 2}
        assert http.post("/v1/chat/completions", json=asked).json()["model"] == "demo"


def test_that_the_base_is_known_by_its_weights_once_an_adapter_names_one(server, tmp_path):
    host, book = server.desk.served.manager.host, server.desk.served.book
    assert host.base_hash == ""
    own = base_hash(DEMO)
    book.add("own", str(adapter(tmp_path, "own", 8, base_hash=own)))
    assert host.base_hash == own
    with pytest.raises(UserError) as caught:
        book.add("foreign", str(adapter(tmp_path, "foreign", 9, base_hash="1" * 64)))
    assert caught.value.code == "lora.foreign_base"
    assert "foreign" not in book.names


# What is wrong with an adapter is told at the start, all at once, and while it serves.


def broken_files(folder, files):
    """Paths of adapters that cannot be used, and the code of what is wrong."""
    whole = (files / "dates.lora.arrow").read_bytes()
    made = {"missing": (str(folder / "nothing.lora.arrow"), "lora.missing")}
    (folder / "short.lora.arrow").write_bytes(whole[: len(whole) // 2])
    made["short"] = (str(folder / "short.lora.arrow"), "lora.file_broken")
    changed = bytearray(whole)
    changed[len(whole) // 2] ^= 1
    (folder / "changed.lora.arrow").write_bytes(changed)
    made["changed"] = (str(folder / "changed.lora.arrow"), "lora.tampered")
    made["foreign"] = (str(adapter(folder, "foreign", 7, base_hash="0" * 64)), "lora.foreign_base")
    for name, change in (("nan", "nan"), ("rank", "rank"), ("shape", "shape"), ("dtype", "dtype")):
        made[name] = (str(bent(folder / name, change)), {
            "nan": "lora.not_finite", "rank": "lora.rank", "shape": "lora.module_shape", "dtype": "lora.dtype",
        }[change])  # fmt: skip
    return made


def bent(folder, change):
    """A folder of peft's with something wrong in it."""
    from safetensors.torch import load_file, save_file

    save_peft(folder, "plain", 1)
    weights = load_file(folder / "adapter_model.safetensors")
    if change == "rank":
        config = json.loads((folder / "adapter_config.json").read_text())
        (folder / "adapter_config.json").write_text(json.dumps(config | {"r": 0}))
    first = next(name for name in sorted(weights) if "lora_A" in name)
    if change == "nan":
        weights[first][0, 0] = float("nan")
    elif change == "shape":
        weights[first] = weights[first][:, :-1].contiguous()
    elif change == "dtype":
        weights[first] = weights[first].to(torch.int16)
    save_file(weights, folder / "adapter_model.safetensors")
    return folder


def test_that_everything_wrong_is_told_at_the_start_at_once(tmp_path, files, monkeypatch):
    missing = ("redis", tracing.SDK, tracing.EXPORTER)  # as where nobody installed them
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *more: None if name in missing else find(name, *more))
    wrong = broken_files(tmp_path, files)
    taken = socket.create_server(("127.0.0.1", 0))
    adapters = [{"name": name, "path": where} for name, (where, _) in wrong.items()]
    job = job_of(
        adapters=[{"name": "good", "path": path(files, "dates")}, *adapters], port=taken.getsockname()[1],
        limits_in="redis://127.0.0.1:1/0", tracing="http://127.0.0.1:4318",
    )  # fmt: skip
    with taken, pytest.raises(Refused) as caught:
        Server.open(DEMO, job)
    found = {one.field.split(" ")[0]: one.code for one in caught.value.problems}
    expected = {f"adapters.{number + 1}.path": code for number, (_, code) in enumerate(wrong.values())}
    expected |= {"port": "serve.port_taken", "limits_in": "serve.redis_missing", "tracing": "serve.tracing_missing"}
    assert found == expected
    for one in caught.value.problems:
        assert one.reason
        assert one.fix or one.code.startswith("lora.")


def test_that_a_redis_that_does_not_answer_is_refused_in_words(monkeypatch):
    """With the package there, or a double of its name where it is not."""
    monkeypatch.setattr(counts.importlib.util, "find_spec", lambda name: name)
    monkeypatch.setenv(counts.PASSWORD, "hidden-password")
    with pytest.raises(UserError) as caught:
        counts.open_storage("redis://127.0.0.1:1/0")
    assert caught.value.code == "serve.redis"
    assert "127.0.0.1:1" in caught.value.text
    assert "hidden-password" not in caught.value.text


def test_that_a_host_of_another_computer_is_refused():
    for host in ("192.0.2.1", "no.such.host.invalid"):
        with pytest.raises(UserError) as caught:
            bind(host, 0)
        assert caught.value.code == "serve.host_not_here"


def test_that_a_broken_adapter_changes_nothing_while_it_serves(server, tmp_path, files, expected):
    with plain(server) as http:
        for where, _ in broken_files(tmp_path, files).values():
            found = http.post("/v1/adapters", json={"name": "dates", "path": where, "replace": True})
            assert found.status_code in (400, 404), found.text
            assert found.json()["error"]["message"]
        assert http.post("/v1/adapters", json={"name": "demo", "path": path(files, "third")}).status_code == 409
        assert http.post("/v1/adapters", json={"name": "au to", "path": "x"}).status_code == 400
    assert said(server, "dates", count=COUNT) == expected["dates"]


def test_that_a_file_that_changes_on_disk_while_it_serves_is_not_mixed_in(server, tmp_path, files, expected):
    copy = tmp_path / "copy.lora.arrow"
    shutil.copy(files / "dates.lora.arrow", copy)
    server.desk.served.book.add("copy", str(copy))
    assert said(server, "copy", count=COUNT) == expected["dates"]
    shutil.copy(files / "third.lora.arrow", tmp_path / "next")
    (tmp_path / "next").replace(copy)
    assert said(server, "copy", count=COUNT) == expected["dates"]
    server.desk.served.book.add("copy", str(copy), replace=True)
    assert said(server, "copy", count=COUNT) == expected["third"]
    assert LoRAFormat.verify(copy).name == "third"


def test_that_nothing_is_kept_of_one_that_is_gone(server, files):
    book = server.desk.served.book
    book.add("passing", path(files, "third"))
    said(server, "passing", count=2)
    book.remove("passing")
    assert "passing" not in str(vars(book))


def test_that_unloading_waits_for_the_last_request(server):
    stream = client(server).chat.completions.create(model="dates", messages=ASKED, stream=True, **LONG)
    next(iter(stream))
    manager = server.desk.served.manager
    with plain(server) as http:
        assert http.delete("/v1/adapters/dates").status_code == 200
    assert len(manager.names) == 2, "it is still at work"
    stream.close()
    wait_for(lambda: len(manager.names) == 1)


def test_that_a_prompt_of_one_adapter_is_not_reused_for_another(server, expected):
    for _ in range(2):
        for name in ("dates", "demo", "other"):
            assert said(server, name, QUESTION, COUNT) == expected[name]
    assert server.desk.served.engine.metrics.cache.found > 0


@pytest.mark.parametrize("where", ["~nobody-of-this-name/x", "x" * 300, "/" + "y" * 3000, "a\0b", "/nowhere/at/all"])
def test_that_a_path_that_cannot_be_is_told_as_one_that_is_not_there(server, where):
    with plain(server) as http:
        error = http.post("/v1/adapters", json={"name": "new", "path": where}).json()["error"]
    assert (error["code"], error["param"]) == ("lora.missing", "path")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes among the files here")
@pytest.mark.parametrize("inside", [False, True])
def test_that_a_pipe_is_refused_and_nobody_waits_for_it(server, files, tmp_path, inside):
    """Reading it would never end, and the next adapter waited for its end."""
    pipe = tmp_path / ("adapter_config.json" if inside else "pipe.lora.arrow")
    os.mkfifo(pipe)
    with plain(server) as http:
        found = http.post("/v1/adapters", json={"name": "pipe", "path": str(tmp_path if inside else pipe)})
        error = found.json()["error"]
        assert (found.status_code, error["code"], error["param"]) == (400, "lora.file_broken", "path")
        assert http.post("/v1/adapters", json={"name": "new", "path": path(files, "third")}).status_code == 200


@pytest.mark.parametrize(
    ("more", "place"),
    [
        ({"path": "\ud800"}, "path"), ({"path": ""}, "path"), ({"replace": "yes"}, "replace"),
        ({"replace": 1}, "replace"), ({"name": "a/b"}, "name"), ({"body": 1}, "body"),
    ],
)  # fmt: skip
def test_that_what_is_wrong_with_an_adapter_is_told_by_its_name(server, files, more, place):
    body = json.dumps({"name": "new", "path": path(files, "third"), **more})
    with plain(server) as http:
        found = http.post("/v1/adapters", content=body, headers={"content-type": "application/json"})
    assert (found.status_code, found.json()["error"]["param"]) == (400, place)
    assert "new" not in server.models


@pytest.mark.parametrize(
    ("weights", "status", "place"),
    [
        ({"dates": -1e300}, 400, "adapters.dates"), ({"dates": 101.0}, 400, "adapters.dates"),
        ({"no": 1.0}, 404, "adapters"),
    ],
)  # fmt: skip
def test_that_a_blend_that_cannot_be_is_refused(server, weights, status, place):
    with plain(server) as http:
        body = {"model": "demo", "messages": ASKED, "max_tokens": 2, "adapters": weights}
        found = http.post("/v1/chat/completions", json=body)
        assert (found.status_code, found.json()["error"]["param"]) == (status, place)


# What people made of them while it served is told, and taken up again.


def test_that_changes_are_those_of_people(server, files):
    book, told = server.desk.served.book, Heard(server)
    book.add("late", path(files, "third"), source="/where/it/lies")
    book.add("dates", path(files, "third"), replace=True)
    book.remove("other")
    late, dates = told.changes.loaded
    assert (dates.name, dates.path, late.source) == ("dates", path(files, "third"), "/where/it/lies")
    assert told.changes.dropped == ["dates", "other"]
    book.remove("late")
    book.remove("dates")
    book.add("dates", path(files, "dates"))  # the same file again is a version of its own
    assert [one.name for one in told.changes.loaded] == ["dates"]


def test_that_a_change_is_told_before_it_is_acknowledged(server, files):
    told = Heard(server)
    with plain(server) as http:
        wish = {"name": "late", "path": path(files, "third")}
        assert http.post("/v1/adapters", json=wish).status_code == 200
        assert [one.name for one in told.changes.loaded] == ["late"]
        assert http.post("/v1/unload_lora_adapter", json={"lora_name": "late"}).status_code == 200
        assert told.changes.loaded == []
        assert http.post("/v1/adapters", json={"name": "torn", "path": "/nowhere"}).status_code == 404
    assert len(told.heard) == 2


def test_that_changes_of_many_at_once_are_told_as_they_came(server, files):
    told, book = Heard(server), server.desk.served.book

    def back_and_forth(number: int) -> None:
        for _ in range(5):
            with contextlib.suppress(UserError):
                book.add("one", path(files, ("third", "other")[number % 2]), replace=True)
            with contextlib.suppress(UserError):
                book.remove("one")
        book.add(f"own{number}", path(files, "third"))

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(back_and_forth, range(4)))
    there = {name for name in server.models if name.startswith("o")} - {"other"}
    assert {one.name for one in told.changes.loaded} == there


class Heard:
    """Whoever is told of changes."""

    def __init__(self, server: Server) -> None:
        self.heard = list[AdapterChange]()
        server.when_changed(self.heard.append)

    @property
    def changes(self) -> AdapterChanges:
        """All of them, one after the other."""
        found = AdapterChanges()
        for change in self.heard:
            found = found.after(change)
        return found


def test_that_changes_are_taken_up_and_what_is_gone_keeps_nothing_from_serving(files):
    adapters = [{"name": name, "path": path(files, name)} for name in ("dates", "other")]
    job = job_of(adapters=[*adapters, {"name": "torn", "path": "/nowhere"}])
    server = Server.open(DEMO, job, own_key=OWN, device=torch.device("cpu"), dropped=["other", "torn"])
    try:
        held = [HeldAdapter(name="late", path=path(files, "third")), HeldAdapter(name="gone", path="/nowhere")]
        lost = server.take_up(held)
        assert {name: error.code for name, error in lost.items()} == {"gone": "lora.missing"}
        assert server.models == ["demo", "dates", "late", "auto"]
        before, told = AdapterChanges(loaded=held, dropped=["other", "torn"]), Heard(server)
        server.changed(lost)
        (gone,) = told.heard
        assert before.after(gone) == AdapterChanges(loaded=held[:1], dropped=["other", "torn"])
    finally:
        server.stop(0)


def test_that_only_the_controller_says_where_an_adapter_lies(files):
    other = key(scopes=["adapters"])
    with opened([other]) as server:
        told = Heard(server)
        for number, secret in enumerate((OWN, other.key)):
            with plain(server, secret) as http:
                wish = {"name": f"a{number}", "path": path(files, "third"), "source": "/secret"}
                assert http.post("/v1/adapters", json=wish).status_code == 200
        assert [one.source for one in told.changes.loaded] == ["/secret", ""]
