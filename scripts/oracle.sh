#!/usr/bin/env bash
# Starts a real Apache Kafka (tests/kafka/broker/pom.xml pins which) with a fresh directory, asks it what
# the scripts under tests/kafka/scripts ask, and keeps its answers under tests/kafka/testdata.
set -euo pipefail
cd "$(dirname "$0")/.."

need() {
  command -v "$1" >/dev/null && return 0
  local sudo=
  [ "$(id -u)" = 0 ] || sudo=sudo
  $sudo apt-get update -qq
  $sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq "$2"
}
need java openjdk-17-jre-headless
need mvn maven

dir=$(mktemp -d)
broker=
stop() {
  if [ -n "$broker" ]; then
    kill "$broker" 2>/dev/null || true
    wait "$broker" 2>/dev/null || true
  fi
  rm -rf "$dir"
}
trap stop EXIT

for n in 1 2 3; do
  mvn -B -q -f tests/kafka/broker/pom.xml dependency:copy-dependencies -DoutputDirectory="$dir/libs" && break
  [ "$n" -lt 3 ] || exit 1
done
version=$(basename "$dir"/libs/kafka_2.13-*.jar .jar)
version=${version#kafka_2.13-}
port=${ORACLE_PORT:-19092}
sed -e "s|@PORT@|$port|g; s|@CONTROLLER@|$((port + 1))|g; s|@DIR@|$dir|g" tests/kafka/broker/server.properties >"$dir/server.properties"
id=$(java -cp "$dir/libs/*" kafka.tools.StorageTool random-uuid 2>/dev/null)
java -Xmx256m -cp "$dir/libs/*" kafka.tools.StorageTool format -t "$id" -c "$dir/server.properties" >/dev/null 2>&1
java -Xmx512m -XX:+UseSerialGC -cp "$dir/libs/*" kafka.Kafka "$dir/server.properties" >"$dir/log" 2>&1 &
broker=$!

go test ./tests/kafka -count=1 -record "127.0.0.1:$port" -version "Apache Kafka $version" || { cat "$dir/log"; exit 1; }
git --no-pager diff --stat -- tests/kafka/testdata
