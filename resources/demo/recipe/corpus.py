"""What the demo model reads while it is pretrained: small chats, plain sentences with dates, and free prose."""

import gzip
import random
from collections.abc import Iterator
from functools import cache

from resources.demo.recipe.dates import chinese, english, some_day
from resources.demo.recipe.exchanges import KINDS, Kinds, names
from resources.demo.recipe.gather_texts import PROSE

Piece = tuple[str, bool]
"""Text, and whether the model learns to write it (questions it only reads)."""

CHARACTER_WEIGHT = 400  # so that each common Chinese character becomes a token of its own
DEEDS = ("was opened", "was built", "was closed", "was sold", "was painted", "was founded")
THINGS = ("library", "bridge", "school", "station", "museum", "market", "garden", "harbour")
DEEDS_ZH = ("开放", "建成", "关闭", "售出", "粉刷", "成立")
THINGS_ZH = ("图书馆", "大桥", "学校", "车站", "博物馆", "市场", "花园", "港口")


@cache
def paragraphs() -> tuple[str, ...]:
    """The prose, by paragraph."""
    return tuple(gzip.decompress(PROSE.read_bytes()).decode().splitlines())


def sentence(rng: random.Random) -> str:
    """A plain sentence with one date in it, in one form only."""
    day, form, thing = some_day(rng), rng.randrange(4), rng.randrange(len(THINGS))
    deed, (place, place_zh) = rng.randrange(len(DEEDS)), rng.choice(names("territory"))
    if rng.random() < 0.5:
        when = day.isoformat() if form == 3 else english(day, form)
        return f"The {THINGS[thing]} in {place} {DEEDS[deed]} on {when}."
    when = day.isoformat() if form == 3 else chinese(day, form)
    return f"{place_zh}的{THINGS_ZH[thing]}于{when}{DEEDS_ZH[deed]}。"


def chat(rng: random.Random, asked: Kinds = KINDS) -> list[Piece]:
    """One to three exchanges in ChatML."""
    pieces: list[Piece] = []
    kinds, weights = list(asked), list(asked.values())
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        question, answer = rng.choices(kinds, weights)[0](rng)
        pieces.append((f"<|im_start|>user\n{question}<|im_end|>\n<|im_start|>assistant\n", False))
        pieces += [(f"{answer}<|im_end|>", True), ("\n", False)]
    return pieces


def documents(seed: int, asked: Kinds = KINDS) -> Iterator[list[Piece]]:
    """An endless, seeded stream: chats, sentences, name lists and prose."""
    rng = random.Random(seed)
    while True:
        kind = rng.random()
        if kind < 0.90:
            yield chat(rng, asked)
        elif kind < 0.95:
            yield [(" ".join(sentence(rng) for _ in range(rng.randint(1, 3))), True)]
        elif kind < 0.98:
            name, name_zh = rng.choice(names(rng.choice(("territory", "language", "symbol"))))
            yield [(f"{name}: {name_zh}", True)]
        else:
            yield [(rng.choice(paragraphs())[:400], True)]


def tokenizer_lines(seed: int, chats: int) -> Iterator[str]:
    """What the tokenizer is learned from."""
    rng = random.Random(seed)
    for _ in range(chats):
        yield " ".join(text for text, _ in chat(rng)).replace("<|im_start|>", "").replace("<|im_end|>", "")
        yield sentence(rng)
    yield from paragraphs()
    for kind in ("territory", "language", "symbol"):
        for pair in names(kind):
            yield from pair
    every = "".join(one for one, _ in names("character"))
    yield from [every] * CHARACTER_WEIGHT
