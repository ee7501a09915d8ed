"""Days of two centuries, and the many ways people write them in English and Chinese."""

import calendar
import random
from datetime import date, timedelta

FIRST, LAST = date(1900, 1, 1), date(2099, 12, 31)
MONTHS = tuple(calendar.month_name[1:])
CHINESE_DIGITS = "〇一二三四五六七八九"


def some_day(rng: random.Random) -> date:
    """Any day from 1900 to 2099."""
    return FIRST + timedelta(days=rng.randrange((LAST - FIRST).days + 1))


def ordinal(number: int) -> str:
    """1st, 2nd, 3rd, 4th …"""
    tail = "th" if number % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{tail}"


def chinese_number(number: int) -> str:
    """1 to 99 in Chinese characters: 七, 十七, 二十七."""
    tens, ones = divmod(number, 10)
    head = "" if not tens else ("" if tens == 1 else CHINESE_DIGITS[tens]) + "十"
    return head + (CHINESE_DIGITS[ones] if ones else "")


def chinese_year(year: int) -> str:
    """二〇二一."""
    return "".join(CHINESE_DIGITS[int(digit)] for digit in str(year))


def english(day: date, form: int) -> str:
    """One of three English ways of writing a day out."""
    month = MONTHS[day.month - 1]
    if form == 0:
        return f"{day.day} {month} {day.year}"
    if form == 1:
        return f"{month} {day.day}, {day.year}"
    return f"{ordinal(day.day)} of {month} {day.year}"


def chinese(day: date, form: int) -> str:
    """One of three Chinese ways of writing a day out."""
    if form == 0:
        return f"{day.year}年{day.month}月{day.day}日"
    if form == 1:
        return f"{day.year}年{chinese_number(day.month)}月{chinese_number(day.day)}日"
    return f"{chinese_year(day.year)}年{chinese_number(day.month)}月{chinese_number(day.day)}日"
