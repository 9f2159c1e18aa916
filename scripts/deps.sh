#!/usr/bin/env bash
# Installs what the tests need and this machine lacks. Tried three times, then
# it fails: nothing is skipped for want of a tool.
set -euo pipefail

try() {
  local n
  for n in 1 2 3; do
    "$@" && return 0
    echo "attempt $n of 3 failed: $*" >&2
  done
  return 1
}

need=()
command -v strace >/dev/null || need+=(strace)
command -v gcc >/dev/null || need+=(gcc libc6-dev) # the race detector
if [ ${#need[@]} -gt 0 ]; then
  sudo=; [ "$(id -u)" = 0 ] || sudo=sudo
  try $sudo apt-get update -qq
  try $sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq "${need[@]}"
fi
try go mod download
