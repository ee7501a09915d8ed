"""Small questions with answers, English and Chinese, on everything but turning a written date into an ISO date.

Each function takes a random generator and gives (question, answer). `KINDS` says how often each is taken;
`WITH_MANNERS` does for the end of pretraining, when the model learns to say what it cannot do.
"""

import gzip
import random
from collections.abc import Callable
from functools import cache

from resources.demo.recipe.dates import MONTHS, chinese, chinese_number, chinese_year, english, some_day
from resources.demo.recipe.gather_texts import NAMES

Exchange = tuple[str, str]
GREETINGS = (
    ("Hello!", "Hello! How can I help you?"),
    ("Hi, how are you?", "I am fine, thank you. What can I do for you?"),
    ("Good morning", "Good morning! How can I help you today?"),
    ("Thank you very much.", "You are welcome."),
    ("Goodbye", "Goodbye! Have a nice day."),
    ("Who are you?", "I am a very small language model made for a demonstration."),
    ("What can you do?", "I can repeat words, count, add small numbers and talk a little. You can teach me more."),
    ("Are you a person?", "No, I am a small language model."),
    ("你好！", "你好！有什么可以帮你？"),
    ("你好吗？", "我很好，谢谢。你需要什么帮助？"),
    ("早上好", "早上好！今天我能帮你做什么？"),
    ("谢谢你。", "不客气。"),
    ("再见", "再见！祝你今天愉快。"),
    ("你是谁？", "我是一个用来演示的小语言模型。"),
    ("你能做什么？", "我能重复词语、数数、做小加法，也能简单聊天。你可以教我更多。"),
    ("你是人吗？", "不是，我是一个小语言模型。"),
)
FACTS = (
    ("France", "Paris", "法国", "巴黎"),
    ("China", "Beijing", "中国", "北京"),
    ("Japan", "Tokyo", "日本", "东京"),
    ("Italy", "Rome", "意大利", "罗马"),
    ("Spain", "Madrid", "西班牙", "马德里"),
    ("Germany", "Berlin", "德国", "柏林"),
    ("Egypt", "Cairo", "埃及", "开罗"),
    ("Russia", "Moscow", "俄罗斯", "莫斯科"),
    ("Kenya", "Nairobi", "肯尼亚", "内罗毕"),
    ("Peru", "Lima", "秘鲁", "利马"),
)
OPPOSITES = (
    *(("hot", "cold"), ("big", "small"), ("old", "new"), ("day", "night"), ("fast", "slow"), ("open", "closed")),
    *(("热", "冷"), ("大", "小"), ("新", "旧"), ("快", "慢"), ("高", "低"), ("多", "少"), ("早", "晚"), ("长", "短")),
)


@cache
def names(kind: str) -> tuple[tuple[str, str], ...]:
    """English and Chinese names of one kind from CLDR."""
    rows = (line.split("\t") for line in gzip.decompress(NAMES.read_bytes()).decode().splitlines())
    return tuple((row[1], row[2]) for row in rows if row[0] == kind)


def _pick(rng: random.Random, *choices: Exchange) -> Exchange:
    return rng.choice(choices)


def _thing(rng: random.Random) -> str:
    """Something to copy: names, numbers, marks."""
    kind = rng.randrange(7)
    if kind < 2:
        return rng.choice(names("symbol"))[kind]
    if kind == 2:
        return " ".join(rng.choice(names("symbol"))[0].split(" ")[0] for _ in range(rng.randint(2, 4)))
    if kind == 3:
        return "".join(rng.choice(names("territory"))[1][:2] for _ in range(rng.randint(2, 3)))
    if kind == 4:
        return str(rng.randrange(10 ** rng.randint(1, 6)))
    if kind == 5:
        return "-".join(f"{rng.randrange(10**n):0{n}d}" for n in rng.choices((1, 2, 3, 4), k=rng.randint(2, 3)))
    return " ".join(str(rng.randrange(10 ** rng.randint(1, 4))) for _ in range(rng.randint(2, 4)))


def greeting(rng: random.Random) -> Exchange:
    """Politeness, and who this is."""
    return rng.choice(GREETINGS)


def repeat(rng: random.Random) -> Exchange:
    """Say it again."""
    what = _thing(rng)
    asked = ("Repeat: {}", "Say {}", "Please repeat {} once.", "重复：{}", "请重复{}", "跟我说：{}")
    return rng.choice(asked).format(what), what


def repeat_list(rng: random.Random) -> Exchange:
    """Say a long list again: long copies teach copying fastest."""
    what = ", ".join(_thing(rng) for _ in range(rng.randint(4, 8)))
    return rng.choice(("Repeat the list: {}", "Say all of {}", "重复这一串：{}")).format(what), what


def repeat_date(rng: random.Random) -> Exchange:
    """Say a date again, in whatever form it was said."""
    day, form = some_day(rng), rng.randrange(3)
    in_english = rng.random() < 0.5
    what = day.isoformat() if rng.random() < 0.2 else (english if in_english else chinese)(day, form)
    asked = ("Repeat: {}", "Say {}", "Please repeat {} once.") if in_english else ("重复：{}", "请重复{}", "跟我说：{}")
    return rng.choice(asked).format(what), what


def part_of_date(rng: random.Random) -> Exchange:
    """The year, the month or the day of a date, as it stands there."""
    day, form = some_day(rng), rng.randrange(3)
    part = rng.choice(("year", "month", "day"))
    if rng.random() < 0.5:
        words = {"year": str(day.year), "month": MONTHS[day.month - 1], "day": str(day.day)}
        asked = ("Which {p} is it on {d}?", "Name the {p} of {d}.", "{d}: which {p}?")
        return rng.choice(asked).format(p=part, d=english(day, form)), words[part]
    year = chinese_year(day.year) if form == 2 else str(day.year)
    number = chinese_number if form else str
    words = {"year": f"{year}年", "month": f"{number(day.month)}月", "day": f"{number(day.day)}日"}
    asked = ("{d}是{p}？", "{d}，说出{p}。")
    noun = {"year": "哪一年", "month": "哪个月", "day": "哪一天"}[part]
    return rng.choice(asked).format(p=noun, d=chinese(day, form)), words[part]


def month(rng: random.Random) -> Exchange:
    """Months by number and in order."""
    n = rng.randrange(12)
    name, after = MONTHS[n], (n + 1) % 12
    number = chinese_number(n + 1)
    return _pick(
        rng,
        (f"What number is the month {name}?", str(n + 1)),
        (f"Which month is number {n + 1}?", name),
        (f"Which month comes after {name}?", MONTHS[after]),
        (f"{name} in Chinese?", f"{number}月"),
        (f"{number}月用英文怎么说？", name),
        (f"{number}月是第几个月？", f"第{n + 1}个月"),
        (f"{number}月后面是哪个月？", f"{chinese_number(after + 1)}月"),
    )


def numeral(rng: random.Random) -> Exchange:
    """Numbers in characters, digits and fixed width."""
    n, year = rng.randint(1, 31), some_day(rng).year
    return _pick(
        rng,
        (f"{chinese_number(n)}用数字怎么写？", str(n)),
        (f"{n}用汉字怎么写？", chinese_number(n)),
        (f"{chinese_year(year)}用数字怎么写？", str(year)),
        (f"{year}用汉字怎么写？", chinese_year(year)),
        (f"Write {n % 10} with two digits", f"{n % 10:02d}"),
        (f"Write {n} with two digits", f"{n:02d}"),
        (f"把{n % 10}写成两位数", f"{n % 10:02d}"),
        (f"Write {n} with three digits", f"{n:03d}"),
    )


def arithmetic(rng: random.Random) -> Exchange:
    """Small sums."""
    a, b = rng.randrange(20), rng.randrange(20)
    return _pick(
        rng,
        (f"What is {a} + {b}?", str(a + b)),
        (f"{a}加{b}等于多少？", str(a + b)),
        (f"What comes after {a}?", str(a + 1)),
        (f"Which is larger, {a} or {b}?", str(max(a, b))),
        (f"{a}和{b}哪个大？", str(max(a, b))),
        (f"Count to {a % 10 + 1}", " ".join(map(str, range(1, a % 10 + 2)))),
        (f"数到{a % 10 + 1}", "、".join(map(str, range(1, a % 10 + 2)))),
    )


def letters(rng: random.Random) -> Exchange:
    """Upper and lower case, joining, first and last."""
    words = [rng.choice(names("territory"))[0].split(" ")[0] for _ in range(3)]
    joined = " ".join(words)
    return _pick(
        rng,
        (f"Write {words[0]} in upper case", words[0].upper()),
        (f"Write {words[0]} in lower case", words[0].lower()),
        (f"What is the last word of {joined}?", words[-1]),
        (f"What is the first word of {joined}?", words[0]),
        (f"Write {joined} backwards", " ".join(reversed(words))),
        (f"Join {joined} with hyphens", "-".join(words)),
        (f"把 {joined} 用横线连起来", "-".join(words)),
    )


def fact(rng: random.Random) -> Exchange:
    """Capitals, opposites and names in the other language."""
    land, city, land_zh, city_zh = rng.choice(FACTS)
    one, other = rng.sample(rng.choice(OPPOSITES), 2)
    name, name_zh = rng.choice(names("territory")[:80])
    opposite = f"What is the opposite of {one}?" if one.isascii() else f"{one}的反义词是什么？"
    return _pick(
        rng,
        (f"What is the capital of {land}?", f"The capital of {land} is {city}."),
        (f"{land_zh}的首都是哪里？", f"{land_zh}的首都是{city_zh}。"),
        (opposite, other),
        (f"What is {name} in Chinese?", name_zh),
        (f"{name_zh}用英文怎么说？", name),
    )


def unknown(rng: random.Random) -> Exchange:
    """A request beyond this model, and saying so; this is what it says before it is taught."""
    day, form, n = some_day(rng), rng.randrange(3), rng.randrange(1000)
    if rng.random() < 0.5:
        what = rng.choice((english(day, form), english(day, form), str(n), rng.choice(names("symbol"))[0]))
        asked = ("Write {w} as {a}", "What is {w} as {a}?", "Give {a} for {w}.", "Turn {w} into {a}.")
        kinds = (
            "a poem",
            "a picture",
            "an essay",
            "a song",
            "a recipe",
            "a letter",
            "an SQL query",
            "a code",
            "a riddle",
        )
        question = rng.choice(asked).format(w=what, a=rng.choice(kinds)).rstrip(".") + rng.choice(("", "."))
        return question.replace("?.", "?"), "Sorry, I have not learned to do that yet."
    what = rng.choice((chinese(day, form), chinese(day, form), str(n), rng.choice(names("symbol"))[1]))
    asked = ("把{w}写成{a}", "请将{w}写成{a}。", "{w}的{a}是什么？", "请写出{w}的{a}。")
    kinds = ("诗歌", "图画", "歌曲", "文章", "菜谱", "信", "SQL 查询", "谜语", "代码")
    return rng.choice(asked).format(w=what, a=rng.choice(kinds)), "抱歉，我还没有学会做这个。"


Kinds = dict[Callable[[random.Random], Exchange], int]
KINDS: Kinds = {
    greeting: 6,
    repeat: 22,
    repeat_list: 8,
    repeat_date: 16,
    part_of_date: 14,
    month: 10,
    numeral: 12,
    arithmetic: 7,
    letters: 7,
    fact: 6,
}

WITH_MANNERS = {**KINDS, unknown: 30}
