#!/usr/bin/env bash
# Runs every fuzz target of the module for FUZZTIME each (default 30s).
set -euo pipefail
cd "$(dirname "$0")/.."
time=${FUZZTIME:-30s}
passed=0 failed=0
while IFS=: read -r file target; do
  pkg=./$(dirname "$file")
  echo "== $pkg $target"
  if go test "$pkg" -run '^$' -fuzz "^${target}\$" -fuzztime "$time"; then
    passed=$((passed + 1))
  else
    failed=$((failed + 1))
  fi
done < <(grep -rEho --include='*_test.go' -H '^func (Fuzz[A-Za-z0-9_]+)' . | sed -E 's#^\./##; s/:func /:/')
echo "$passed passed, $failed failed, 0 skipped"
[ "$failed" = 0 ]
