"""What went wrong, in the form OpenAI's clients know: a status, a type, a code, the parameter, and a whole message."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from fastapi.exceptions import RequestValidationError
from starlette.responses import Response

from engine.compute.serving.bodies import FORMS
from engine.compute.serving.refusals import ROLES, advice_on
from engine.contract.errors import NotFound, Problem, UserError
from engine.contract.messages import MESSAGES

STATUS = {
    "serve.no_key": 401, "serve.bad_key": 401, "serve.key_over": 401, "serve.scope": 403,
    "serve.model": 404, "serve.no_path": 404, "serve.method": 405, "serve.timeout": 408, "serve.body_slow": 408,
    "serve.body": 413, "serve.too_many_requests": 429, "serve.too_many_tokens": 429, "serve.full": 429,
    "inference.busy": 429, "serve.broken": 500, "inference.broken": 500, "serve.draining": 503,
    "serve.counts_away": 503, "inference.closed": 503, "inference.out_of_memory": 503, "serve.out_of_memory": 503,
    "inference.timeout": 504, "lora.no_room": 503,
}  # fmt: skip
KINDS = {
    400: "invalid_request_error", 401: "authentication_error", 403: "permission_error", 404: "not_found_error",
    405: "invalid_request_error", 408: "timeout_error", 409: "conflict_error", 413: "invalid_request_error",
    429: "rate_limit_error", 500: "server_error", 503: "server_error", 504: "timeout_error",
}  # fmt: skip
CODES = {
    "serve.model": "model_not_found", "lora.unknown": "model_not_found", "serve.no_key": "missing_api_key",
    "serve.bad_key": "invalid_api_key", "serve.key_over": "expired_api_key", "serve.scope": "missing_scope",
    "serve.too_many_requests": "rate_limit_exceeded", "serve.too_many_tokens": "rate_limit_exceeded",
    "serve.full": "rate_limit_exceeded", "inference.busy": "rate_limit_exceeded",
    "inference.too_long": "context_length_exceeded", "serve.long_prompt": "context_length_exceeded",
    "serve.unsupported": "unsupported_parameter", "serve.invalid": "invalid_value", "serve.field": "invalid_value",
    "serve.text": "invalid_value",
}  # fmt: skip
PLACES = {"inference.shape": "response_format"}
"""Parameters of what comes up while it is answered."""
RETRY_S = 1
"""When it is worth asking again where nothing is known of it."""
MOST_PROBLEMS = 20


def status_of(error: UserError) -> int:
    """The HTTP status; 422 is for programs, people get 400."""
    found = STATUS.get(error.code, error.status)
    return 400 if found == 422 else found


def body_of(error: UserError, trace: str = "") -> dict[str, Any]:
    """`{"error": {message, type, param, code, trace_id, forge}}`; `forge` is for clients that speak other languages."""
    problems = error.problems
    message = " ".join(part for part in (error.what, error.why, error.fix) if part)
    message += "".join(f"\n- {problem}" for problem in problems[:MOST_PROBLEMS])
    code = CODES.get(error.code, error.code)
    if problems and error.code == "serve.invalid":
        code = CODES.get(problems[0].code, problems[0].code)
    param = error.params.get("param") or (problems[0].field if problems else PLACES.get(error.code))
    kind = KINDS.get(status_of(error), "invalid_request_error")
    told = {"message": message, "type": kind, "param": param or None, "code": code, "trace_id": trace}
    return {"error": told | {"forge": _in_parts(error)}}


def _in_parts(error: UserError) -> dict[str, Any]:
    """The same by code and parameters, and nothing the message does not tell."""
    body = error.body()
    body.problems = body.problems[:MOST_PROBLEMS]
    known = MESSAGES.get(error.code)
    texts = "" if known is None else known.what + known.why + known.fix
    body.params = {name: value for name, value in body.params.items() if f"{{{name}}}" in texts}
    return body.model_dump(mode="json")


def answer_of(error: UserError, trace: str = "") -> Response:
    """The whole answer."""
    status = status_of(error)
    headers = {"x-trace-id": trace} if trace else {}
    if status in (429, 503):
        headers["retry-after"] = str(max(RETRY_S, int(float(error.params.get("seconds", RETRY_S)) + 0.999)))
    if status == 401:
        headers["www-authenticate"] = "Bearer"
    # in ASCII: what is told again of a request may hold what UTF-8 does not know
    return Response(json.dumps(body_of(error, trace)), status, headers, "application/json")


def invalid(problems: Sequence[Problem]) -> UserError:
    """A request that holds problems, all of them listed."""
    return UserError("serve.invalid", count=len(problems), problems=list(problems))


def not_understood(error: RequestValidationError) -> UserError:
    """What pydantic found, with the place, the reason and what to do of each."""
    return invalid([_problem(one) for one in error.errors()])


def not_there(path: str) -> UserError:
    """No such endpoint."""
    return NotFound("serve.no_path", path=path[:200])


def _problem(found: dict[str, Any]) -> Problem:
    place = _place(found["loc"])
    kind, context = found["type"], found.get("ctx") or {}
    name = place.rpartition(".")[2]
    if kind == "extra_forbidden":
        why, fix = advice_on(name)
        return Problem(code="serve.unsupported", field=place, params={"name": name, "detail": why, "advice": fix})
    if kind == "unsupported":
        params = {"name": context.get("name", name), "detail": context.get("why", ""), "advice": context.get("fix", "")}
        return Problem(code="serve.unsupported", field=place, params=params)
    if kind == "text":
        return Problem(code="serve.text", field=place, params=dict(context))
    if kind == "string_unicode":
        return Problem(code="serve.text", field=place, params={"character": "half of a character", "place": 0})
    if kind == "json_invalid":
        return Problem(code="serve.not_json", params={"detail": str(context.get("error", found["msg"]))[:200]})
    if kind in ("union_tag_invalid", "union_tag_not_found") and place.startswith("messages"):
        params = {"role": str(context.get("tag", "none"))[:50], "known": ", ".join(ROLES)}
        return Problem(code="serve.role", field=f"{place}.role", params=params)
    detail = str(found["msg"])[:300].rstrip(".")
    return Problem(code="serve.field", field=place, params={"detail": detail})


def _place(loc: Sequence[Any]) -> str:
    """Where it stands in the request; pydantic's own words for a kind of message or value are left out."""
    parts = [str(one) for one in loc]
    if parts and parts[0] in ("body", "query", "path", "header"):
        parts = parts[1:]
    found = list[str]()
    for number, part in enumerate(parts):
        of_a_kind = number >= 2 and parts[number - 2] == "messages" and parts[number - 1].isdigit() and part in ROLES
        if not of_a_kind and not (number and part in FORMS):
            found.append(part)
    return ".".join(found)[:200]
