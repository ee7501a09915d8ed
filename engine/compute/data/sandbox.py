"""Rendering a chat template that came from somebody else: nothing but the conversation in reach, and an end to it.

The environment is that of transformers (immutable sandbox, loop controls, {% generation %}), so that the text is the
same, with limits: steps, processor time, size of what is made, memory. What goes past them is refused in plain words.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache, wraps
from typing import Any

import jinja2
import jinja2.ext
import jinja2.meta
from jinja2 import nodes
from jinja2.defaults import DEFAULT_FILTERS
from jinja2.sandbox import ImmutableSandboxedEnvironment

from engine.compute.data.guard import MAX_NUMBER, MAX_SIZE, WIDE, Guard, TooMuch, guarding, present, reasonable
from engine.contract.errors import UserError

Span = tuple[int, int]
MAX_SOURCE = 1_000_000
"""Characters of a template."""
REASONING = ("reasoning_content", "thinking", "reasoning")
"""Names under which a turn's thoughts are given, the one templates read first."""


class _Generation(jinja2.ext.Extension):  # type: ignore[misc]
    """{% generation %}: what stands in it is what the assistant says."""

    tags = {"generation"}

    def parse(self, parser: Any) -> nodes.Node:
        """The block as a call that notes where it stands."""
        line = next(parser.stream).lineno
        body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
        return nodes.CallBlock(self.call_method("_said"), [], [], body).set_lineno(line)

    def _said(self, caller: Callable[[], str]) -> str:
        said, guard = caller(), present()
        guard.marks.append((guard.length, guard.length + len(said), said))
        return said


class _Sandbox(ImmutableSandboxedEnvironment):  # type: ignore[misc]
    """transformers' environment with a guard at every loop, call, filter and operator that can make something large."""

    intercepted_binops = frozenset(("+", "*", "**", "%"))

    def __init__(self) -> None:
        extensions = [_Generation, jinja2.ext.loopcontrols]
        super().__init__(trim_blocks=True, lstrip_blocks=True, extensions=extensions, finalize=_finalized)
        self.filters: dict[str, Callable[..., Any]] = {n: _guarded(n, made) for n, made in DEFAULT_FILTERS.items()}
        self.filters["tojson"] = _guarded("tojson", _tojson)
        self.filters["forge_concat"] = _guarded("forge_concat", lambda parts: "".join(map(str, parts)))
        self.globals.pop("lipsum", None)
        self.globals.update(raise_exception=_raise, strftime_now=_now_as, dict=_Dict(), namespace=_Namespace)

    def _parse(self, source: str, name: str | None, filename: str | None) -> nodes.Template:
        tree = super()._parse(source, name, filename)
        for loop in tree.find_all(nodes.For):
            tick = nodes.Call(nodes.EnvironmentAttribute("tick"), [], [], None, None)
            loop.body.insert(0, nodes.ExprStmt(tick).set_lineno(loop.lineno))
        return _Joined().visit(tree)

    @staticmethod
    def tick() -> None:
        """A loop went round."""
        present().step()

    def call(__self, __context: Any, __obj: Any, *args: Any, **kwargs: Any) -> Any:  # noqa: N805
        """Call something, if it asks for nothing huge."""
        guard = present()
        guard.step()
        reasonable(guard, getattr(__obj, "__name__", ""), (getattr(__obj, "__self__", None), *args), kwargs)
        return guard.made(super().call(__context, __obj, *args, **kwargs))

    def wrap_str_format(self, value: Any) -> Any:
        """`text.format`, unless the text asks for a huge width."""
        wrapped = super().wrap_str_format(value)
        if wrapped is not None and WIDE.search(value.__self__):
            raise TooMuch("template.too_large")
        return wrapped

    def unsafe_undefined(self, obj: Any, attribute: str) -> Any:
        """Reaching for what is inside of things is refused at once."""
        raise jinja2.exceptions.SecurityError(f"access to attribute {attribute!r} of {type(obj).__name__!r} is unsafe.")

    def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
        """An operator, if what it makes is not huge."""
        guard = present()
        if operator == "+":
            if isinstance(left, str | list | tuple) and isinstance(right, str | list | tuple):
                guard.fits(len(left) + len(right))
        elif operator == "*":
            for one, times in ((left, right), (right, left)):
                if isinstance(one, str | list | tuple | bytes) and isinstance(times, int):
                    guard.fits(len(one) * times)
        elif operator == "**":
            if not (abs(left) <= MAX_NUMBER and abs(right) <= 64):
                raise TooMuch("template.too_large")
        elif isinstance(left, str):
            if WIDE.search(left):
                raise TooMuch("template.too_large")
            guard.shown(right)
        guard.step()
        return super().call_binop(context, operator, left, right)


def _finalized(value: Any) -> Any:
    """What is written out, if its text is not huge."""
    if isinstance(value, list | tuple | dict):
        present().shown(value)
    return value


class _Joined(jinja2.visitor.NodeTransformer):  # type: ignore[misc]
    """`a ~ b` as a filter, which can be guarded."""

    def visit_Concat(self, node: nodes.Concat) -> nodes.Node:  # noqa: N802
        """The same parts, joined by us."""
        self.generic_visit(node)
        parts = nodes.List(node.nodes).set_lineno(node.lineno)
        return nodes.Filter(parts, "forge_concat", [], [], None, None).set_lineno(node.lineno)


class _Dict:
    """`dict` without its attributes."""

    def __call__(self, *args: Any, **kwargs: Any) -> dict[Any, Any]:
        return dict(*args, **kwargs)

    def fromkeys(self, *args: Any) -> dict[Any, Any]:
        """As dict.fromkeys."""
        return dict.fromkeys(*args)


class _Namespace(jinja2.utils.Namespace):  # type: ignore[misc]
    """A namespace that takes no name with an underscore in front."""

    def __init__(*args: Any, **kwargs: Any) -> None:
        self, rest = args[0], args[1:]
        given = dict(*rest, **kwargs)
        for name in given:
            _allowed(name)
        jinja2.utils.Namespace.__init__(self, given)

    def __setitem__(self, name: str, value: Any) -> None:
        _allowed(name)
        super().__setitem__(name, value)


def _allowed(name: Any) -> None:
    if isinstance(name, str) and name.startswith("_"):
        raise jinja2.exceptions.SecurityError(f"The name {name!r} cannot be kept.")


def _raise(message: str) -> None:
    raise jinja2.exceptions.TemplateError(message)


def _now_as(form: str) -> str:
    return datetime.now().strftime(form)


def _tojson(value: Any, ensure_ascii: bool = False, indent: int | None = None, separators: Any = None,
            sort_keys: bool = False) -> str:  # fmt: skip
    return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)


def _guarded(name: str, made: Callable[..., Any]) -> Callable[..., Any]:
    """A filter that counts, and refuses to make what is huge."""

    @wraps(made)  # also keeps jinja2's mark of what else the filter is given
    def filtered(*args: Any, **kwargs: Any) -> Any:
        guard = present()
        guard.step()
        reasonable(guard, name, args, kwargs)
        return guard.made(made(*args, **kwargs))

    return filtered


@lru_cache(maxsize=64)
def compiled(source: str) -> jinja2.Template:
    """The template, read; a syntax error has its line."""
    if len(source) > MAX_SOURCE:
        raise UserError("template.too_large")
    try:
        return _Sandbox().from_string(source)
    except jinja2.TemplateSyntaxError as error:
        raise UserError("template.syntax", line=error.lineno, detail=(error.message or "")[:300]) from error
    except TooMuch as error:
        raise UserError(error.code, **error.params) from error
    except RecursionError as error:
        raise UserError("template.too_deep") from error


@lru_cache(maxsize=64)
def variables_of(source: str) -> frozenset[str]:
    """Names a template is to be given from outside."""
    compiled(source)  # says what is wrong with it
    return frozenset(jinja2.meta.find_undeclared_variables(_Sandbox().parse(source)))


@dataclass(frozen=True)
class Rendered:
    """A conversation as text, and what its template marks as said by the assistant."""

    text: str
    marks: list[Span]
    """Empty where the template marks nothing."""


def render(
    source: str, messages: Sequence[Mapping[str, Any]], tools: Sequence[Any] | None = None, **more: Any
) -> Rendered:
    """The text a template makes of a conversation; refuses what loops, reaches out or grows too large."""
    template = compiled(source)
    chat = [_for_template(message) for message in messages]
    try:
        with guarding() as guard:
            return _run(
                template, guard, {"messages": chat, "tools": list(tools or ()) or None, "documents": None, **more}
            )
    except TooMuch as error:
        raise UserError(error.code, **error.params) from error
    except jinja2.exceptions.SecurityError as error:
        raise UserError("template.forbidden", line=_line_of(error), detail=str(error)[:300]) from error
    except RecursionError as error:
        raise UserError("template.too_deep") from error
    except (MemoryError, OverflowError) as error:
        raise UserError("template.too_large") from error
    except Exception as error:
        said = str(error) if type(error) is jinja2.exceptions.TemplateError else f"{type(error).__name__}: {error}"
        raise UserError("model.template_failed", detail=said[:500], line=_line_of(error)) from error


def _run(template: jinja2.Template, guard: Guard, variables: dict[str, Any]) -> Rendered:
    guard.size = max(MAX_SIZE, 8 * _size(variables))
    pieces = list[str]()
    for piece in template.generate(**variables):
        guard.length += len(piece)
        guard.fits(guard.length)
        pieces.append(piece)
    text = "".join(pieces)
    if any(text[begin:end] != said for begin, end, said in guard.marks):
        return Rendered(text, [])  # marked inside something that was put elsewhere: its place is not known
    return Rendered(text, [(begin, end) for begin, end, _ in guard.marks])


def _size(variables: Mapping[str, Any]) -> int:
    """Characters of what is given, as far as they stand in turns."""
    return sum(len(value) for turn in variables["messages"] for value in turn.values() if isinstance(value, str))


def _for_template(message: Mapping[str, Any]) -> dict[str, Any]:
    """A turn as transformers hands it on: nothing empty, thoughts under their usual names; without our own marks."""
    turn = {key: value for key, value in message.items() if value is not None and key != "train"}
    thought = next((turn[name] for name in REASONING if name in turn), None)
    return turn if thought is None else {"thinking": thought, **turn, "reasoning_content": thought}


def _line_of(error: BaseException) -> int:
    """The line of the template where it happened; 0: not known."""
    line, trace = 0, error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename in ("<template>", "<unknown>"):
            line = trace.tb_lineno
        trace = trace.tb_next
    return line
