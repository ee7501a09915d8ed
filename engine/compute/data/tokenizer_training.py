"""A tokenizer trained on texts: byte-level BPE, Unigram or WordPiece, the same from the same texts."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import Any

from engine.contract.errors import UserError
from engine.contract.scratch import ScratchConfig

UNKNOWN = {"unigram": "<unk>", "wordpiece": "[UNK]"}
EVEN, ROUNDS, BATCH = -10.0, 3, 256
"""The likelihood each token begins with, so that the fewest tokens are best; how often it is counted anew."""


def train_tokenizer(form: ScratchConfig, read: Callable[[], Iterable[str]]) -> str:
    """The tokenizer.json; refuses a vocabulary that the texts do not fill, or that cannot hold their characters.

    `read` gives all texts, each time anew and in the same order.
    """
    letters = sorted({letter for text in read() for letter in (text.lower() if form.lower_case else text)})
    if not letters:
        raise UserError("scratch.nothing_to_read")
    special = _special(form)
    least = {"bpe": 0, "unigram": len(letters), "wordpiece": 2 * len(letters)}[form.algorithm] + len(special)
    if least > form.vocabulary:
        raise UserError("scratch.vocabulary_too_small", letters=len(letters), wanted=form.vocabulary, least=least)
    inner, trainer = _parts(form, letters)
    inner.train_from_iterator(iter(read()), trainer)
    made = inner.get_vocab_size()
    if made < form.vocabulary:
        raise UserError("scratch.vocabulary_too_large", made=made, wanted=form.vocabulary)
    content = json.loads(inner.to_str())
    content["added_tokens"] = content["added_tokens"][: len(special)]  # letters were given so that each has its place
    if form.algorithm == "unigram":
        _estimate(content, len(special), read)
    return json.dumps(content, ensure_ascii=False, indent=1)


def passes_of(form: ScratchConfig) -> int:
    """How often all texts are read: for their letters, for the tokens, and for how likely each is."""
    return 2 + (ROUNDS if form.algorithm == "unigram" else 0)


def _estimate(content: dict[str, Any], special: int, read: Callable[[], Iterable[str]]) -> None:
    """Likelihoods of the tokens from how often each is the best choice: the library's own differ from call to call."""
    from tokenizers import Tokenizer

    first, found = content["model"]["vocab"][:special], content["model"]["vocab"][special:]
    likely = dict.fromkeys(sorted(token for token, _ in found), EVEN)
    for _ in range(ROUNDS):
        content["model"]["vocab"] = first + sorted(map(list, likely.items()), key=lambda one: (-one[1], one[0]))
        inner, counted = Tokenizer.from_str(json.dumps(content)), Counter[str]()
        for texts in batched(read(), BATCH):
            for encoded in inner.encode_batch(texts, add_special_tokens=False):
                counted.update(encoded.tokens)
        total = math.log(sum(counted[token] for token in likely) + len(likely) / 2)
        likely = {token: math.log(counted[token] + 0.5) - total for token in likely}
    content["model"]["vocab"] = first + sorted(map(list, likely.items()), key=lambda one: (-one[1], one[0]))


def batched(texts: Iterable[str], size: int) -> Iterator[list[str]]:
    """The texts in lists of so many."""
    left = iter(texts)
    while found := list(islice(left, size)):
        yield found


def wrapped(content: str, form: ScratchConfig) -> Any:
    """What transformers makes of it: the first special token ends a text and fills rows."""
    from tokenizers import Tokenizer
    from transformers import PreTrainedTokenizerFast

    end, *others = form.special_tokens
    more = {"unk_token": UNKNOWN[form.algorithm]} if form.algorithm in UNKNOWN else {}
    return PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer.from_str(content), eos_token=end, pad_token=end, extra_special_tokens=others,
        model_max_length=form.context, clean_up_tokenization_spaces=False, **more,
    )  # fmt: skip


def _parts(form: ScratchConfig, letters: Sequence[str]) -> tuple[Any, Any]:
    """The empty tokenizer, and what trains it."""
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

    special, size = _special(form), form.vocabulary
    if form.algorithm == "bpe":
        inner = Tokenizer(models.BPE())
        inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        inner.decoder = decoders.ByteLevel()
        alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
        trainer: Any = trainers.BpeTrainer(
            vocab_size=size, special_tokens=special, initial_alphabet=alphabet, show_progress=False
        )
    elif form.algorithm == "unigram":
        inner = Tokenizer(models.Unigram())
        inner.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="never")
        inner.decoder = decoders.Metaspace(prepend_scheme="never")
        trainer = trainers.UnigramTrainer(
            vocab_size=size, special_tokens=special, unk_token=UNKNOWN["unigram"], show_progress=False
        )
    else:
        inner = Tokenizer(models.WordPiece(unk_token=UNKNOWN["wordpiece"]))
        inner.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
        inner.decoder = decoders.WordPiece()
        special += [*letters, *(f"##{letter}" for letter in letters)]
        trainer = trainers.WordPieceTrainer(vocab_size=size, special_tokens=special, show_progress=False)
    if form.lower_case:
        inner.normalizer = normalizers.Lowercase()
    return inner, trainer


def _special(form: ScratchConfig) -> list[str]:
    unknown = UNKNOWN.get(form.algorithm)
    return [*form.special_tokens, *([unknown] if unknown and unknown not in form.special_tokens else [])]
