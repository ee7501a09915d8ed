"""`python -m engine.compute.hubs.pushing`: put a result on a hub by the hub's own library; order on stdin.

A process of its own: in a worker those libraries are switched off, for nothing there may ask a hub by itself. The token
comes on stdin, never as an argument or a variable. A push that broke off is gone on with by pushing again: what is
there already is not sent twice.
"""

from __future__ import annotations

import errno
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from engine.compute.hubs.card import ADAPTER as ADAPTER_CONFIG
from engine.compute.hubs.card import CARD, adapter_config, base_name, card
from engine.contract import logs
from engine.contract.errors import UserError
from engine.contract.faults import fault
from engine.contract.hubs import HubAccess, may_be_told
from engine.contract.paths import AttemptFolder, code_root
from engine.contract.push import PUSHERS, PushConfig, Pushed
from engine.contract.run_spec import AttemptOrder, TrainJob
from engine.contract.secrets import GivenSecrets

RESULTS = ("model", "adapter")
SWITCHED_OFF = ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "HF_DATASETS_OFFLINE", "HF_TOKEN", "HUGGING_FACE_HUB_TOKEN")
POLL_SECONDS = 0.2
PRIVATE = 1
"""How ModelScope says it of a repository."""


class Order(BaseModel):
    """What the process is told."""

    folder: str
    """Of the attempt."""
    push: PushConfig
    endpoint: str
    token: str


def push(
    folder: Path, wanted: PushConfig, access: HubAccess, secrets: GivenSecrets, check: Callable[[], None] = lambda: None
) -> Pushed:
    """Put the result of an attempt on a hub; raises UserError. `check` is asked meanwhile and may end it by raising."""
    if access.is_offline:
        raise UserError("hub.offline", path=wanted.repo)
    library = PUSHERS[wanted.hub]
    if importlib.util.find_spec(library) is None:
        named: dict[str, Any] = {"used_for": wanted.hub, "package": library, "install": library.replace("_", "-")}
        raise UserError("package.missing", field="outputs.push.hub", **named)
    token, endpoint = secrets.plain(wanted.hub), access.endpoint(wanted.hub)
    if not token:
        raise UserError("push.no_token", hub=wanted.hub)
    if not may_be_told(endpoint):
        raise UserError("hub.token_unsafe", endpoint=endpoint)
    logs.hide(token)
    order = Order(folder=str(folder), push=wanted, endpoint=endpoint, token=token)
    return _answered(_spoken(order, _environment(access, secrets), check))


def _environment(access: HubAccess, secrets: GivenSecrets) -> dict[str, str]:
    """What a library needs to ask a hub, and nothing that would make it ask with another token."""
    found = {name: value for name, value in os.environ.items() if name not in SWITCHED_OFF}
    found |= {"PYTHONPATH": str(code_root()), "HF_HUB_DISABLE_TELEMETRY": "1", "HF_HUB_DISABLE_PROGRESS_BARS": "1"}
    found["HF_HUB_DISABLE_XET"] = "1"  # another server and another protocol, which a hub of one's own has not
    if access.proxy:
        login = secrets.plain("proxy")
        scheme, _, place = access.proxy.rpartition("://")
        proxy = f"{scheme or 'http'}://{login + '@' if login else ''}{place}"
        found |= {"HTTPS_PROXY": proxy, "HTTP_PROXY": proxy, "NO_PROXY": access.no_proxy}
    return found


def _spoken(order: Order, environment: dict[str, str], check: Callable[[], None]) -> bytes:
    command = [sys.executable, "-m", "engine.compute.hubs.pushing"]
    with tempfile.TemporaryFile() as said:
        child = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=said, stderr=subprocess.DEVNULL, env=environment
        )
        try:
            assert child.stdin is not None
            child.stdin.write(order.model_dump_json().encode())
            child.stdin.close()
            while child.poll() is None:
                check()
                time.sleep(POLL_SECONDS)
        finally:
            if child.poll() is None:
                child.kill()
                child.wait()
        said.seek(0)
        return said.read()


def _answered(said: bytes) -> Pushed:
    try:
        found = json.loads(said.strip().rpartition(b"\n")[2])
    except ValueError:
        raise UserError("push.refused", detail="The process that pushed ended without a word.") from None
    if "code" in found:
        raise UserError(found["code"], **found["params"])
    return Pushed.model_validate(found)


def files_of(folder: AttemptFolder, wanted: PushConfig) -> dict[str, Path | bytes]:
    """What goes there, by its name; raises UserError where there is no result."""
    result = next((folder.outputs / name for name in RESULTS if (folder.outputs / name).is_dir()), None)
    if result is None:
        raise UserError("push.no_result")
    spec = AttemptOrder.model_validate_json(folder.order.read_bytes()).spec
    if not isinstance(spec.job, TrainJob):
        raise UserError("push.no_result")
    found: dict[str, Path | bytes] = {
        path.relative_to(result).as_posix(): path for path in sorted(result.rglob("*")) if path.is_file()
    }
    settled = adapter_config(result, base_name(spec.job))
    if settled is not None:
        found[ADAPTER_CONFIG] = settled
    return found | {CARD: card(spec, folder.outputs, wanted.licence).encode()}


def _to_huggingface(order: Order, files: dict[str, Path | bytes]) -> Pushed:
    from huggingface_hub import CommitOperationAdd, HfApi

    api, repo = HfApi(endpoint=order.endpoint, token=order.token), order.push.repo
    api.create_repo(repo, private=order.push.private, exist_ok=True)
    if order.push.private and api.model_info(repo).private is False:
        raise UserError("push.public", repo=repo)
    operations = [
        CommitOperationAdd(path_in_repo=name, path_or_fileobj=content if isinstance(content, bytes) else str(content))
        for name, content in files.items()
    ]
    made = api.create_commit(repo, operations, commit_message="Add the result of a run")
    return Pushed(url=f"{order.endpoint}/{repo}", commit=str(made.oid))


def _to_modelscope(order: Order, files: dict[str, Path | bytes]) -> Pushed:
    with tempfile.TemporaryDirectory() as aside:
        os.environ["MODELSCOPE_HOME"] = str(Path(aside, "home"))  # it neither reads nor leaves a person's credentials
        from modelscope_hub import HubApi
        from modelscope_hub.errors import AuthenticationError, NotExistError

        api, repo = HubApi(endpoint=order.endpoint, token=order.token), order.push.repo
        try:
            there = api.legacy.get_repo_info(repo, "model")
        except (NotExistError, AuthenticationError):  # a private one of others is not told from one that is not there
            api.create_repo(repo, "model", visibility="private" if order.push.private else "public")
        else:
            if order.push.private and there.get("Visibility") != PRIVATE:
                raise UserError("push.public", repo=repo)
        staged = Path(aside, "files")
        for name, content in files.items():
            target = staged / name
            target.parent.mkdir(parents=True, exist_ok=True)
            if isinstance(content, bytes):
                target.write_bytes(content)
            else:
                shutil.copyfile(content, target)
        made = api.upload_folder(
            repo, "model", staged, commit_message="Add the result of a run", use_cache=False, disable_tqdm=True
        )
        last = made[-1] if isinstance(made, list) and made else made
        commit = str(last.get("oid") or last.get("commit_id") or "") if isinstance(last, dict) else ""
    return Pushed(url=f"{order.endpoint}/models/{repo}", commit=commit)


def _problem(error: Exception, order: Order) -> dict[str, Any]:
    """What went wrong, without what must not be told."""
    if isinstance(error, UserError):
        return {"code": error.code, "params": error.params}
    detail = " ".join(f"{type(error).__name__}: {error}".split())[:300].replace(order.token, logs.DOTS)
    behind = list(_behind(error))
    if any(isinstance(one, OSError) and one.errno in (errno.ENOSPC, errno.EDQUOT) for one in behind):
        return {"code": "push.disk_full", "params": {"path": tempfile.gettempdir()}}
    answers = [getattr(getattr(one, "response", None), "status_code", None) for one in behind]
    status = next((answer for answer in answers if answer is not None), None)
    if (status is None and any(map(_of_the_link, behind))) or (status is not None and status >= 500):
        return {"code": "hub.unreachable", "params": {"endpoint": order.endpoint, "detail": detail}}
    return {"code": "push.refused", "params": {"detail": detail}}


def _behind(error: BaseException | None) -> Iterator[BaseException]:
    """An error, and those it was raised from: libraries hide a broken link behind errors of their own."""
    while error is not None:
        yield error
        error = error.__cause__


def _of_the_link(error: BaseException) -> bool:
    return isinstance(error, OSError) or any(kind.__name__ == "TransportError" for kind in type(error).__mro__)


def main() -> int:
    """Read, push, say what came of it."""
    order = Order.model_validate_json(sys.stdin.read())
    out, sys.stdout = sys.stdout, sys.stderr
    try:
        files = files_of(AttemptFolder(Path(order.folder)), order.push)
        fault("push.before_send")
        send = {"huggingface": _to_huggingface, "modelscope": _to_modelscope}[order.push.hub]
        found: dict[str, Any] = send(order, files).model_dump()
    except Exception as error:  # noqa: BLE001 - the border: libraries raise what they like
        found = _problem(error, order)
    out.write(json.dumps(found) + "\n")
    out.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main())
