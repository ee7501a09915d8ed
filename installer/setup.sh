#!/usr/bin/env bash
# Sets up everything on a fresh machine: system libraries, the desktop's and the worker's environment.
# Safe to repeat; it does nothing when nothing changed. Never prompts.
set -euo pipefail
cd "$(dirname "$0")/.."

say() { printf '[setup] %s\n' "$*"; }
as_root() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo -n "$@"; fi; }
can_be_root() { [ "$(id -u)" = 0 ] || sudo -n true 2>/dev/null; }

# What the Qt platform plugins link against, and a font with Chinese characters.
qt_packages="libegl1 libgl1 libopengl0 libglib2.0-0 libdbus-1-3 libfontconfig1 libfreetype6 libxkbcommon0 \
libxkbcommon-x11-0 libxcb-cursor0 libxcb-icccm4 libxcb-image0 libxcb-keysyms1 libxcb-randr0 libxcb-render-util0 \
libxcb-shape0 libxcb-shm0 libxcb-sync1 libxcb-xfixes0 libxcb-xkb1 libx11-xcb1 fonts-noto-cjk"

find_python() {
  local candidate
  for candidate in ${PYTHON:-} python3.12 python3.13 python3.11 python3; do
    command -v "$candidate" >/dev/null 2>&1 || continue
    "$candidate" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null || continue
    printf '%s\n' "$candidate"; return 0
  done
  return 1
}

missing_packages() {
  command -v dpkg-query >/dev/null 2>&1 || return 0
  local package
  for package in $qt_packages "$@"; do
    # Newer releases rename some (libglib2.0-0t64): a provided name counts as installed.
    dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'ok installed' \
      || dpkg-query -W -f='${Status}' "${package}t64" 2>/dev/null | grep -q 'ok installed' \
      || printf '%s ' "$package"
  done
}

python=$(find_python) || { say "Python 3.11, 3.12 or 3.13 is needed: install it (Debian: apt install python3) and try again."; exit 1; }
extra=""
if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
  extra="python3-venv"
  # Debian names the package after the version: python3.11-venv.
  version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
  [ "$("$python" -c 'import sys; print(sys.executable)')" = "/usr/bin/python3" ] || extra="python${version}-venv"
fi
missing=$(missing_packages $extra)
if [ -n "${missing// /}" ]; then
  if command -v apt-get >/dev/null 2>&1 && can_be_root; then
    say "installing system packages: $missing"
    log=$(mktemp)
    { as_root apt-get update -q && as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends $missing; } \
      >"$log" 2>&1 || { tail -n 20 "$log"; say "could not install them; run: sudo apt-get install $missing"; exit 1; }
    rm -f "$log"
  else
    say "please install these system packages, then try again: sudo apt-get install $missing"
    exit 1
  fi
fi

# An environment is remade when what it was made from has changed.
stamp_of() { cat pyproject.toml constraints.txt installer/setup.sh | sha256sum | cut -c1-16; }
stamp="$("$python" -V 2>&1) $(stamp_of)"

make_environment() { # folder, what pip installs …
  local folder=$1; shift
  [ "$(cat "$folder/.complete" 2>/dev/null)" = "$stamp" ] && return 0
  say "making $folder ($(basename "$python"); the first time takes a few minutes)"
  [ -x "$folder/bin/python" ] && "$folder/bin/python" -c 'import sys' 2>/dev/null || "$python" -m venv --clear "$folder"
  "$folder/bin/python" -m pip install -q --disable-pip-version-check -c constraints.txt "$@" 2>&1 \
    | { grep -v -e 'is ignored: it is neither' -e 'notice' || true; }
  printf '%s' "$stamp" >"$folder/.complete"
}

desktop() { make_environment .venv -e '.[dev]'; }
worker() {
  # The worker's list is the extra "worker" alone: it needs neither Qt nor the controller's packages.
  local wanted
  wanted=$("$python" - <<'PY'
import tomllib
extras = tomllib.load(open("pyproject.toml", "rb"))["project"]["optional-dependencies"]
tests = [line for line in extras["dev"] if line.startswith(("pytest>", "pytest-timeout", "pytest-xdist", "hypothesis", "modelscope-hub", "openai", "schemathesis", "redis", "opentelemetry"))]
print("\n".join(extras["worker"] + extras["sentences"] + tests))
PY
)
  local list; mapfile -t list <<<"$wanted"
  make_environment .venv-worker "${list[@]}"
  optional .venv-worker 'deepspeed==0.19.8'
}

# What a worker can do without: where it cannot be had set-up goes on, and its tests are skipped.
optional() { # folder, what pip installs
  local folder=$1 package=$2 log
  [ "$(cat "$folder/.optional" 2>/dev/null)" = "$stamp" ] && return 0
  log=$(mktemp)
  DS_BUILD_OPS=0 timeout 180 "$folder/bin/python" -m pip install -q --disable-pip-version-check -c constraints.txt "$package" \
    >"$log" 2>&1 || { tail -n 5 "$log"; say "could not install $package: what needs it cannot run, and its tests are skipped"; }
  rm -f "$log"
  printf '%s' "$stamp" >"$folder/.optional"
}

# Engines for `make test-docker`: the tests start them; here they are only put on the machine.
docker_parts() {
  local wanted="iptables iproute2 mmdebstrap openssh-server openssh-client docker-compose faketime redis-server" missing="" package log guard=""
  [ -x /usr/bin/dockerd ] || [ -x /usr/sbin/dockerd ] || wanted="docker.io $wanted"
  command -v apt-get >/dev/null 2>&1 || { say "no apt-get: tests that need what is not here are skipped"; return 0; }
  for package in $wanted; do
    dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing="$missing $package"
  done
  [ -n "$missing" ] || return 0
  # On a person's own machine the packages would start an ssh server and a Docker daemon for good: ask first.
  if ! can_be_root || { [ -z "${CI:-}" ] && [ -d /run/systemd/system ]; }; then
    say "for all tests with Docker: sudo apt-get install$missing"
    return 0
  fi
  if [ ! -e /usr/sbin/policy-rc.d ]; then  # nothing is started by installing it
    guard=yes; printf '#!/bin/sh\nexit 101\n' | as_root tee /usr/sbin/policy-rc.d >/dev/null; as_root chmod 755 /usr/sbin/policy-rc.d
  fi
  say "installing for the tests with Docker:$missing"
  log=$(mktemp)
  { as_root apt-get update -q && as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends $missing; } \
    >"$log" 2>&1 || { tail -n 20 "$log"; say "could not install them; the tests say what they miss"; }
  [ -z "$guard" ] || as_root rm -f /usr/sbin/policy-rc.d
  rm -f "$log"
}

case "${1:-all}" in
  desktop) desktop ;;
  worker) worker ;;
  docker) docker_parts ;;
  all) desktop; worker ;;
  *) say "usage: installer/setup.sh [desktop|worker|docker|all]"; exit 2 ;;
esac
