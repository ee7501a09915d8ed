"""`auto`: adapters by what they were trained on or by their descriptions, as the base or a sentence model sees them."""

import json

import pytest
import torch
from lora_cases import DEMO, base
from serving_cases import adapter, job_of, opened, plain

from engine.compute.inference.base import load_tokenizer
from engine.compute.lora.router import embed
from engine.compute.serving.runner import Server, bind
from engine.contract.errors import Refused

DATES = ["What is 5 May 2061 as an ISO date?", "Give the ISO date for 20 June 1954.", "把1971年6月8日写成 ISO 日期",
         "Convert to an ISO date: 3rd of March 1980"]  # fmt: skip
OTHERS = ["How to cook noodles with garlic?", "Write Python code to sort a list", "What is the capital of France?",
          "hello", "Convert 3 miles to km"]  # fmt: skip


@pytest.fixture(scope="module")
def learned():
    """Prompts of training as the demo model sees them."""
    rows = (DEMO.parent / "data" / "train.jsonl").read_text(encoding="utf-8").splitlines()[:24]
    said = [json.loads(row)["messages"][-2]["content"] for row in rows]
    vectors = torch.tensor(embed(base(), load_tokenizer(DEMO), said))
    return tuple(vectors.mean(0).tolist())


@pytest.fixture(scope="module")
def files(tmp_path_factory, learned):
    folder = tmp_path_factory.mktemp("adapters")
    return {
        "learned": adapter(folder, "learned", 3, embedding=learned),
        "noodles": adapter(folder, "noodles", 4, description="How to cook noodles with garlic"),
        "silent": adapter(folder, "silent", 5),
    }


def served(files, *names):
    return [{"name": name, "path": str(files[name])} for name in names]


def chosen(http, text):
    found = http.post("/v1/route", json={"text": text})
    assert found.status_code == 200, found.text
    return next(iter(found.json()["adapters"]), "")


def test_that_what_an_adapter_was_trained_on_finds_it_and_other_things_find_the_base(files):
    with opened(adapters=served(files, "learned", "silent")) as server, plain(server) as http:
        assert [chosen(http, text) for text in DATES] == ["learned"] * len(DATES)
        assert [chosen(http, text) for text in OTHERS] == [""] * len(OTHERS)
        states = {one["name"]: one["routed"] for one in http.get("/v1/adapters").json()["adapters"]}
        assert states == {"learned": True, "silent": False}


def test_that_an_answer_tells_how_it_came_to_its_adapter(files):
    with opened(adapters=served(files, "learned", "noodles")) as server, plain(server) as http:
        asked = {"model": "auto", "messages": [{"role": "user", "content": DATES[0]}], "max_tokens": 2}
        found = http.post("/v1/chat/completions", json=asked).json()
        assert (found["model"], found["forge"]["adapters"]) == ("learned", {"learned": 1.0})
        routed = found["forge"]["routed"]
        assert set(routed["likeness"]) == {"learned", "noodles"}
        assert routed["likeness"]["learned"] >= routed["threshold"] == 0.3 > routed["likeness"]["noodles"]
        assert "learned" in routed["reason"]
        named = http.post("/v1/chat/completions", json={**asked, "model": "learned"}).json()
        assert "routed" not in named["forge"]


def test_that_adapters_that_come_and_go_are_routed_to_while_they_are_there(files):
    with opened(adapters=served(files, "silent")) as server, plain(server) as http:
        assert chosen(http, DATES[0]) == ""
        load = {"name": "late", "path": str(files["learned"])}
        for _ in range(2):  # the second time the router knows what texts have in common
            assert http.post("/v1/adapters", json=load).status_code == 200
            assert chosen(http, DATES[0]) == "late"
            assert chosen(http, OTHERS[0]) == ""
            assert http.delete("/v1/adapters/late").status_code == 200
            assert chosen(http, DATES[0]) == ""
        http.post("/v1/adapters", json=load)
        replaced = {"name": "late", "path": str(files["silent"]), "replace": True}
        assert http.post("/v1/adapters", json=replaced).status_code == 200
        assert chosen(http, DATES[0]) == ""


# A sentence-embedding model of its own.


@pytest.fixture(scope="module")
def sentences(tmp_path_factory):
    """One as sentence-transformers writes it: the demo model, its states averaged."""
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Normalize, Pooling, Transformer

    folder = tmp_path_factory.mktemp("sentences") / "model"
    inside = Transformer(str(DEMO))
    inside.tokenizer.pad_token = inside.tokenizer.eos_token
    parts = [inside, Pooling(inside.get_embedding_dimension(), "mean"), Normalize()]
    SentenceTransformer(modules=parts, prompts={"query": "Question: ", "document": "About: "}, device="cpu").save(
        str(folder)
    )
    return folder


def test_that_a_sentence_model_goes_by_descriptions_alone(files, sentences):
    with opened(adapters=served(files, "learned", "noodles"), route_model=str(sentences)) as server:
        with plain(server) as http:
            assert chosen(http, "How to cook noodles with garlic and oil?") == "noodles"
            states = {one["name"]: one["routed"] for one in http.get("/v1/adapters").json()["adapters"]}
            assert states == {"learned": False, "noodles": True}
        asking, telling = (find("noodles") for find in (of(server).of_request, of(server).of_description))
        assert len(asking) == len(telling) == base().config.hidden_size
        assert asking != telling  # each with its own prompt


def of(server):
    return server.desk.served._sentences


def broken(folder, sentences, kind):
    """A folder that is not to be used, and what is said of it."""
    made = folder / kind
    made.mkdir()
    modules = json.loads((sentences / "modules.json").read_text())
    if kind == "empty":
        return made, "serve.route_model"
    if kind == "torn":
        (made / "modules.json").write_text('[{"type"')
        return made, "serve.route_model"
    if kind == "code":
        (made / "evil.py").write_text(f"open({str(folder / 'ran')!r}, 'w')\nclass Part: ...\n")
        (made / "modules.json").write_text(json.dumps([{**modules[0], "type": "evil.Part"}]))
    if kind == "outside":
        (made / "modules.json").write_text(json.dumps([{**modules[0], "path": "../../elsewhere"}]))
    if kind == "pickled":
        (made / "modules.json").write_text(json.dumps(modules))
        (made / "pytorch_model.bin").write_bytes(b"\x80\x04.")
        return made, "model.pickled"
    return made, "serve.route_model"


@pytest.mark.parametrize("kind", ["empty", "torn", "code", "outside", "pickled"])
def test_that_a_folder_that_is_no_such_model_is_refused_with_all_else(tmp_path, sentences, kind):
    folder, code = broken(tmp_path, sentences, kind)
    with bind("127.0.0.1", 0) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(Refused) as caught:
            Server.open(DEMO, job_of(route_model=str(folder), port=port), device=torch.device("cpu"))
    assert {one.field: one.code for one in caught.value.body().problems} == {
        "route_model": code, "port": "serve.port_taken",
    }  # fmt: skip
    assert not (tmp_path / "ran").exists()
