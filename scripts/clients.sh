#!/usr/bin/env bash
# The real clients under tests/py (boto3, AWS CLI, librdkafka), tests/js
# (JavaScript SDK, KafkaJS), tests/sarama, tests/java (Apache Kafka's client,
# Kafka Streams, Kinesis Producer and Client Libraries, Flink),
# tests/kafka/clients (kcat, Apache Kafka's tools, Kafka Connect) and tests/go
# (aws-sdk-go-v2 and franz-go's transactions, through kill -9, and delivery streams
# into Debian's PostgreSQL and into Parquet that Python reads) against the real
# binary, bin/thalweg or $THALWEG_BIN; and tests/kafkalog, the log and a delivery
# stream on a real Apache Kafka. Versions are pinned; each install is tried three times, then this
# fails: nothing is skipped. Ends with 'N passed, N failed, N skipped'.
set -euo pipefail
cd "$(dirname "$0")/.."

try() {
  local n
  for n in 1 2 3; do
    "$@" && return 0
    echo "attempt $n of 3 failed: $*" >&2
  done
  return 1
}

# need COMMAND PACKAGE... installs the packages where the command is missing.
need() {
  command -v "$1" >/dev/null && return 0
  local sudo=
  [ "$(id -u)" = 0 ] || sudo=sudo
  shift
  try $sudo apt-get update -qq
  try $sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq "$@"
}

need python3 python3 python3-venv
need curl curl
need node nodejs npm
need javac openjdk-17-jdk-headless
need mvn maven
need kcat kcat
need pg_ctlcluster postgresql

[ -n "${THALWEG_BIN:-}" ] || [ -x bin/thalweg ] || make build
THALWEG_BIN=$(realpath "${THALWEG_BIN:-bin/thalweg}")
export THALWEG_BIN
: "${KILLS:=20}"
results=$(mktemp -d)
trap 'rm -rf "$results"' EXIT

# A virtual environment made for other pins is made anew.
venv=tests/py/.venv
if ! cmp -s tests/py/requirements.txt "$venv/installed.txt"; then
  rm -rf "$venv"
  python3 -m venv "$venv"
  try "$venv/bin/pip" install --quiet --disable-pip-version-check -r tests/py/requirements.txt
  cp tests/py/requirements.txt "$venv/installed.txt"
fi
# Flink's distribution; its Python packaging holds the jars.
flink=tests/java/flink/.dist
if ! cmp -s tests/java/flink/requirements.txt "$flink/installed.txt"; then
  rm -rf "$flink"
  mkdir "$flink"
  try "$venv/bin/pip" download --quiet --disable-pip-version-check --no-deps --dest "$flink" \
    -r tests/java/flink/requirements.txt
  tar -xzf "$flink"/apache-flink-libraries-*.tar.gz -C "$flink" --strip-components=2 --wildcards '*/deps/lib'
  rm "$flink"/*.tar.gz
  cp tests/java/flink/requirements.txt "$flink/installed.txt"
fi
(cd tests/js && try npm ci --silent --no-audit --no-fund)
(cd tests/sarama && try go mod download)
rm -rf tests/java/*/target/surefire-reports
(cd tests/java && try mvn -B -q test -DskipTests)
# jars DIR prints where the jars of DIR/pom.xml are, after fetching them.
jars() {
  local to
  to=$PWD/$1/target/$(sha256sum "$1/pom.xml" | cut -c1-16)
  if [ ! -d "$to" ]; then
    try mvn -B -q -f "$1/pom.xml" dependency:copy-dependencies -DoutputDirectory="$to.part" >&2 || return 1
    mv "$to.part" "$to"
  fi
  echo "$to"
}
KAFKA_TOOLS=$(jars tests/kafka/clients)
KAFKA_CONNECT=$(jars tests/kafka/connect)
export KAFKA_TOOLS KAFKA_CONNECT
rm -rf tests/kafkalog/libs
try mvn -B -q -f tests/kafka/broker/pom.xml dependency:copy-dependencies -DoutputDirectory="$PWD/tests/kafkalog/libs"

code=0
echo "boto3 and AWS CLI:"
(cd tests/py && .venv/bin/pytest -q -p no:cacheprovider --junitxml="$results/py.xml") || code=1
echo "JavaScript SDK, HTTP/2, and KafkaJS:"
(cd tests/js && node --test --test-reporter=spec --test-reporter-destination=stdout \
  --test-reporter=junit --test-reporter-destination="$results/js.xml") || code=1
echo "Java clients:"
(cd tests/java && mvn -B -q -o --fail-at-end test) || code=1
echo "Go SDK, $KILLS times kill -9:"
go run ./tools/testsum -- -count=1 -timeout 20m ./tests/go/killnine -kills="$KILLS" | tee "$results/go" || code=1
echo "Sarama:"
(cd tests/sarama && go run thalweg/tools/testsum -- -count=1 .) | tee "$results/sarama" || code=1
echo "Kafka transactions, $KILLS times kill -9:"
go run ./tools/testsum -- -count=1 -timeout 10m ./tests/go/killkafka -kills="$KILLS" -events=60000 | tee "$results/killkafka" || code=1
echo "kcat, Apache Kafka's tools, Kafka Connect:"
go run ./tools/testsum -- -count=1 -timeout 20m ./tests/kafka/clients | tee "$results/kcat" || code=1
echo "PostgreSQL:"
go run ./tools/testsum -- -count=1 -timeout 10m ./tests/postgres | tee "$results/postgres" || code=1
echo "Data Firehose into every destination, $KILLS times kill -9:"
go run ./tools/testsum -- -count=1 -timeout 20m ./tests/go/firehose -run 'TestKillNine' -kills="$KILLS" -events=60000 \
  -postgres -python="$PWD/tests/py/.venv/bin/python" | tee "$results/firehose" || code=1
echo "The log on Apache Kafka:"
go run ./tools/testsum -- -count=1 -timeout 10m ./tests/kafkalog -libs="$PWD/tests/kafkalog/libs" | tee "$results/kafkalog" || code=1
go run ./tests/junit "$results/py.xml" "$results/js.xml" tests/java/*/target/surefire-reports/*.xml "$results/go" "$results/sarama" "$results/killkafka" "$results/kcat" "$results/postgres" "$results/firehose" "$results/kafkalog" || code=1
exit $code
