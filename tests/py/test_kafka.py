"""librdkafka, through confluent-kafka: another client than the one that the Go
tests use, by other people."""

import json
import time

import confluent_kafka
import confluent_kafka.admin
import conftest
import pytest


@pytest.fixture(scope="module")
def bootstrap(tmp_path_factory):
    directory = tmp_path_factory.mktemp("kafka")
    with conftest.serve(directory):
        yield json.loads((directory / "ready.json").read_text())["kafka"]


@pytest.fixture
def admin(bootstrap):
    return confluent_kafka.admin.AdminClient({"bootstrap.servers": bootstrap})


def create(admin, name, partitions, **config):
    config = {k.replace("_", "."): v for k, v in config.items()}
    topic = confluent_kafka.admin.NewTopic(name, partitions, 1, config=config)
    admin.create_topics([topic])[name].result(20)


def produce(bootstrap, topic, values, **config):
    failed = []
    producer = confluent_kafka.Producer({"bootstrap.servers": bootstrap, **config})
    for i, value in enumerate(values):
        producer.produce(topic, value, key="key%d" % (i % 7), on_delivery=lambda e, m: e and failed.append(e))
    assert producer.flush(30) == 0
    assert failed == []


def consume(bootstrap, topic, count, group, **config):
    """The values of count records, in the order of their partitions."""
    consumer = confluent_kafka.Consumer(
        {"bootstrap.servers": bootstrap, "group.id": group, "auto.offset.reset": "earliest", **config}
    )
    consumer.subscribe([topic])
    got = []
    deadline = time.monotonic() + 60
    while len(got) < count and time.monotonic() < deadline:
        for m in consumer.consume(500, 0.2):
            assert m.error() is None, m.error()
            got.append(m)
    consumer.commit(asynchronous=False)
    consumer.close()
    assert len(got) == count
    for p in {m.partition() for m in got}:
        offsets = [m.offset() for m in got if m.partition() == p]
        assert offsets == sorted(set(offsets))
    return got


@pytest.mark.parametrize("codec", ["none", "gzip", "snappy", "lz4", "zstd"])
@pytest.mark.parametrize("idempotent", [False, True])
def test_there_and_back(bootstrap, admin, codec, idempotent):
    name = "back-%s-%s" % (codec, idempotent)
    create(admin, name, 3)
    values = [b"move %d " % i + b"x" * (i % 300) for i in range(3000)]
    produce(bootstrap, name, values, **{"compression.type": codec, "enable.idempotence": idempotent, "linger.ms": 2})
    got = consume(bootstrap, name, len(values), "g-" + name)
    assert sorted(m.value() for m in got) == sorted(values)


def test_a_group_goes_on_where_it_was(bootstrap, admin):
    create(admin, "resume", 2)
    produce(bootstrap, "resume", [b"first %d" % i for i in range(50)])
    consume(bootstrap, "resume", 50, "resume")
    produce(bootstrap, "resume", [b"second %d" % i for i in range(30)])
    got = consume(bootstrap, "resume", 30, "resume")
    assert all(m.value().startswith(b"second") for m in got)
    group = admin.describe_consumer_groups(["resume"])["resume"].result(20)
    assert group.state == confluent_kafka.ConsumerGroupState.EMPTY
    assert "resume" in [g.group_id for g in admin.list_consumer_groups().result(20).valid]


@pytest.mark.parametrize("strategy", ["range", "roundrobin", "cooperative-sticky", "the server's"])
def test_two_members_share(bootstrap, admin, strategy):
    name = "share-" + strategy.replace("'", "").replace(" ", "-")
    config = {"partition.assignment.strategy": strategy, "session.timeout.ms": 6000, "heartbeat.interval.ms": 200}
    if strategy == "the server's":
        config = {"group.protocol": "consumer", "group.remote.assignor": "uniform"}
    create(admin, name, 4)
    members = [
        confluent_kafka.Consumer(
            {
                "bootstrap.servers": bootstrap,
                "group.id": name,
                "auto.offset.reset": "earliest",
                **config,
            }
        )
        for _ in range(2)
    ]
    for m in members:
        m.subscribe([name])
    deadline = time.monotonic() + 40
    while sorted(len(m.assignment()) for m in members) != [2, 2]:
        assert time.monotonic() < deadline, [m.assignment() for m in members]
        for m in members:
            m.poll(0.1)
    produce(bootstrap, name, [b"%d" % i for i in range(400)], partitioner="murmur2_random")
    seen = set()
    while len(seen) < 400:
        assert time.monotonic() < deadline, len(seen)
        for m in members:
            seen.update(r.value() for r in m.consume(200, 0.1) if not r.error())
    for m in members:
        m.close()


def test_transactions(bootstrap, admin):
    create(admin, "ledger", 2)
    teller = confluent_kafka.Producer({"bootstrap.servers": bootstrap, "transactional.id": "teller"})
    teller.init_transactions(20)
    for i, end in enumerate([teller.commit_transaction, teller.abort_transaction, teller.commit_transaction]):
        teller.begin_transaction()
        for k in range(10):
            teller.produce("ledger", b"%d-%d" % (i, k))
        end(20)
    got = consume(bootstrap, "ledger", 20, "ledger", **{"isolation.level": "read_committed"})
    assert {m.value().split(b"-")[0] for m in got} == {b"0", b"2"}

    second = confluent_kafka.Producer({"bootstrap.servers": bootstrap, "transactional.id": "teller"})
    second.init_transactions(20)
    teller.begin_transaction()
    teller.produce("ledger", b"zombie")
    with pytest.raises(confluent_kafka.KafkaException) as fenced:
        teller.commit_transaction(20)
    assert fenced.value.args[0].fatal()


def test_offsets_in_a_transaction(bootstrap, admin):
    create(admin, "from", 2)
    create(admin, "to", 2)
    produce(bootstrap, "from", [b"%d" % i for i in range(60)])
    source = confluent_kafka.Consumer(
        {"bootstrap.servers": bootstrap, "group.id": "copy", "auto.offset.reset": "earliest", "enable.auto.commit": False}
    )
    source.subscribe(["from"])
    copier = confluent_kafka.Producer({"bootstrap.servers": bootstrap, "transactional.id": "copy"})
    copier.init_transactions(20)
    copied, deadline = 0, time.monotonic() + 40
    while copied < 60:
        assert time.monotonic() < deadline, copied
        messages = source.consume(20, 0.2)
        if not messages:
            continue
        copier.begin_transaction()
        for m in messages:
            copier.produce("to", m.value())
        copier.send_offsets_to_transaction(source.position(source.assignment()), source.consumer_group_metadata(), 20)
        copier.commit_transaction(20)
        copied += len(messages)
    source.close()
    got = consume(bootstrap, "to", 60, "to", **{"isolation.level": "read_committed"})
    assert sorted(int(m.value()) for m in got) == list(range(60))
    again = confluent_kafka.Consumer({"bootstrap.servers": bootstrap, "group.id": "copy"})
    parts = [confluent_kafka.TopicPartition("from", p) for p in range(2)]
    assert sum(p.offset for p in again.committed(parts, 20)) == 60
    again.close()


def test_times_and_limits(bootstrap, admin):
    create(admin, "times", 1)
    producer = confluent_kafka.Producer({"bootstrap.servers": bootstrap})
    now = int(time.time() * 1000)
    for i in range(10):
        producer.produce("times", b"%d" % i, timestamp=now - 100_000 + i * 10_000)
    assert producer.flush(20) == 0
    consumer = confluent_kafka.Consumer({"bootstrap.servers": bootstrap, "group.id": "times"})
    at = confluent_kafka.TopicPartition("times", 0, now - 100_000 + 35_000)
    assert consumer.offsets_for_times([at], timeout=20)[0].offset == 4
    assert consumer.get_watermark_offsets(confluent_kafka.TopicPartition("times", 0), timeout=20) == (0, 10)
    consumer.close()

    failed = []
    small = confluent_kafka.Producer({"bootstrap.servers": bootstrap, "message.max.bytes": 5_000_000})
    small.produce("times", b"x" * 2_000_000, on_delivery=lambda e, m: failed.append(e))
    assert small.flush(20) == 0
    assert failed[0].code() == confluent_kafka.KafkaError.MSG_SIZE_TOO_LARGE


def test_configs(bootstrap, admin):
    create(admin, "configs", 1, retention_ms="3600000")
    resource = confluent_kafka.admin.ConfigResource("topic", "configs")
    got = admin.describe_configs([resource])[resource].result(20)
    assert got["retention.ms"].value == "3600000"
    assert not got["retention.ms"].is_default
    assert got["cleanup.policy"].value == "delete"
    entry = confluent_kafka.admin.ConfigEntry(
        "retention.ms", "7200000", incremental_operation=confluent_kafka.admin.AlterConfigOpType.SET
    )
    change = confluent_kafka.admin.ConfigResource("topic", "configs", incremental_configs=[entry])
    admin.incremental_alter_configs([change])[change].result(20)
    assert admin.describe_configs([resource])[resource].result(20)["retention.ms"].value == "7200000"
    with pytest.raises(confluent_kafka.KafkaException) as bad:
        create(admin, "bad", 1, retention_ms="soon")
    assert bad.value.args[0].code() == confluent_kafka.KafkaError.INVALID_CONFIG
    with pytest.raises(confluent_kafka.KafkaException) as bad:
        create(admin, "bad/name", 1)
    assert bad.value.args[0].code() == confluent_kafka.KafkaError.TOPIC_EXCEPTION


def test_keyless_records_of_a_compacted_topic(bootstrap, admin):
    create(admin, "table", 1, cleanup_policy="compact")
    failed = []
    producer = confluent_kafka.Producer({"bootstrap.servers": bootstrap})
    producer.produce("table", b"no key", on_delivery=lambda e, m: failed.append(e))
    assert producer.flush(20) == 0
    assert failed[0].code() == confluent_kafka.KafkaError.INVALID_RECORD


def test_topics_are_made_on_first_use(bootstrap, admin):
    produce(bootstrap, "made.on.first.use", [b"one"])
    assert "made.on.first.use" in admin.list_topics(timeout=20).topics
    admin.delete_topics(["made.on.first.use"])["made.on.first.use"].result(20)
    assert "made.on.first.use" not in admin.list_topics(timeout=20).topics
