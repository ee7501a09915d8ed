"""What one token adds to a text, in bytes, for tokenizers of either kind."""

from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.compute.data.token_texts import token_bytes
from engine.compute.inference.base import load_tokenizer
from engine.contract.paths import resources_folder

TOKENIZER = load_tokenizer(resources_folder() / "demo" / "model")


@settings(max_examples=100, deadline=None)
@given(st.text(st.characters(codec="utf-8", exclude_categories=["Cc"]), min_size=1, max_size=12))
def test_that_bytes_of_tokens_are_together_the_bytes_of_the_text(text):
    ids = TOKENIZER(text, add_special_tokens=False)["input_ids"]
    assert b"".join(token_bytes(TOKENIZER, token) for token in ids) == TOKENIZER.decode(ids).encode()


@pytest.mark.parametrize(
    ("name", "text", "raw"),
    [("▁Hello", "Hello", b" Hello"), ("<0xF0>", "\ufffd", b"\xf0"), ("<0x0A>", "\n", b"\n"), ("▁", "", b" "),
     ("<0x41>", "<0x41>", b"<0x41>"), ("lo", "lo", b"lo")],
)  # fmt: skip
def test_that_tokens_that_write_bytes_and_spaces_in_words_are_read(name, text, raw):
    """As sentencepiece names them: a token alone loses its space."""
    tokenizer = SimpleNamespace(decode=lambda _: text, convert_ids_to_tokens=lambda _: name)
    assert token_bytes(tokenizer, 1) == raw
