#!/usr/bin/env bash
# The black-box and crash tests at full size. Every count and the seed is a
# variable; the seed is printed. Summaries (commit, seed, counts) go to
# docs/evidence. Ends with 'N passed, N failed, N skipped'.
set -euo pipefail
cd "$(dirname "$0")/.."

: "${SEED:=$(od -An -N4 -tu4 /dev/urandom | tr -d ' ')}"
: "${EVENTS:=all}"     # player events of one run
: "${KILLS:=20}"       # kill -9, each with
: "${ACKS:=10000}"     # records acknowledged since the last and
: "${UNANSWERED:=8}"   # calls unanswered
: "${POINTS:=20000}"   # simulated crash points
: "${FLIPS:=0}"        # bits flipped in each region; 0 is every bit (twenty minutes)
echo "seed $SEED"

[ -n "${THALWEG_BIN:-}" ] || [ -x bin/thalweg ] || make build
THALWEG_BIN=$(realpath "${THALWEG_BIN:-bin/thalweg}")
export THALWEG_BIN
export THALWEG_EVIDENCE=$PWD/docs/evidence
# What Python reads of deliveries is looked at where make clients has been run.
python=$PWD/tests/py/.venv/bin/python
[ -x "$python" ] || python=
mkdir -p "$THALWEG_EVIDENCE"

go run ./tools/testsum \
  -- -count=1 -timeout 180m ./tests/crash/... -crash.points="$POINTS" -crash.seed="$SEED" -crash.flips="$FLIPS" \
  -- -count=1 -timeout 30m ./tests/go/blackbox -events="$EVENTS" \
  -- -count=1 -timeout 30m ./tests/go/killnine -events="$EVENTS" -kills="$KILLS" -acks="$ACKS" -unanswered="$UNANSWERED" -seed="$SEED" \
  -- -count=1 -timeout 30m ./tests/go/killkafka -events="$EVENTS" -kills="$KILLS" -batch=200 -seed="$SEED" \
  -- -count=1 -timeout 30m ./tests/go/reshard -events="$EVENTS" -kills="$KILLS" -acks="$ACKS" -reshards=60 -seed="$SEED" \
  -- -count=1 -timeout 60m ./tests/go/firehose -run TestKillNine -events="$EVENTS" -kills="$((KILLS + KILLS / 2))" -seed="$SEED" -postgres -python="$python" \
  -- -count=1 -timeout 10m ./tests/go/strace ./tests/go/badinput
