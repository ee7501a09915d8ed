#!/usr/bin/env bash
# Runs the two commands as a newcomer would: a bare Debian root with git, make and python3, and a fresh clone in it.
# Needs root and mmdebstrap. Takes the package sources and pip settings of this machine, nothing else.
set -euo pipefail
here=$(cd "$(dirname "$0")/.." && pwd)
[ "$(id -u)" = 0 ] || { echo "newcomer: needs root"; exit 1; }
command -v mmdebstrap >/dev/null || DEBIAN_FRONTEND=noninteractive apt-get install -y -q mmdebstrap >/dev/null
root=${NEWCOMER_ROOT:-/var/tmp/forge-newcomer}
commands=${*:-demo test}

mounted=()
cleanup() { local place; for place in $(printf '%s\n' "${mounted[@]}" | tac); do umount -l "$place" || true; done; }
trap cleanup EXIT
bind() { mkdir -p "$root$1"; mount --bind "$1" "$root$1"; mounted+=("$root$1"); }

rm -rf --one-file-system "$root"
mkdir -p "$root"
echo "newcomer: making a bare root"
mmdebstrap --quiet --variant=minbase --include=git,make,python3,ca-certificates bookworm "$root"
cp /etc/resolv.conf /etc/hosts "$root/etc/" 2>/dev/null || true
[ -d /etc/apt/apt.conf.d ] && cp -a /etc/apt/apt.conf.d/. "$root/etc/apt/apt.conf.d/"
cp -a /etc/ssl/certs/. "$root/etc/ssl/certs/"
[ -f /etc/pip.conf ] && cp /etc/pip.conf "$root/etc/pip.conf"
[ -f ~/.config/pip/pip.conf ] && install -D ~/.config/pip/pip.conf "$root/root/.config/pip/pip.conf"
mount -t proc proc "$root/proc"; mounted+=("$root/proc")
mount -t tmpfs tmpfs "$root/dev/shm"; mounted+=("$root/dev/shm")
# Folders of packages that pip is told to look into here.
local_indexes=$(cat /etc/pip.conf ~/.config/pip/pip.conf 2>/dev/null | grep -oE 'file:///[^ ]+' | sed 's#^file://##; s#/simple/*$##')
for folder in ${PIP_FIND_LINKS:-} $local_indexes; do if [ -d "$folder" ]; then bind "$folder"; fi; done
git clone -q "$here" "$root/root/loraforge"
for command in $commands; do
  echo "newcomer: make $command"
  began=$(date +%s)
  env -i HOME=/root LANG=C.UTF-8 PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
    $(env | grep -E '^(PIP_|SSL_|HTTPS?_PROXY|https?_proxy|no_proxy|NO_PROXY)' | tr '\n' ' ') \
    chroot "$root" sh -c "cd /root/loraforge && make $command"
  echo "newcomer: make $command took $(( $(date +%s) - began )) s"
done
