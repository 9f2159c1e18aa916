"""Player events through a delivery stream into an Iceberg table by map and day, with a server that is killed amid puts
and commits while another client commits to the table and expires its snapshots. Every event is there once.

$THALWEG_ICEBERG_KILLS and $THALWEG_ICEBERG_EVENTS make more of it."""

import collections
import concurrent.futures
import contextlib
import datetime
import gzip
import http.client
import json
import os
import random
import socket
import subprocess
import threading
import time

import boto3
import botocore.config
import botocore.retries.quota
import botocore.retries.standard
import duckdb
import pytest
from conftest import ACCOUNT, REGION, binary
from pyiceberg.catalog import load_catalog
from pyiceberg.partitioning import PartitionField, PartitionSpec
from pyiceberg.schema import Schema
from pyiceberg.transforms import DayTransform, IdentityTransform
from pyiceberg.types import DoubleType, LongType, NestedField, StringType, TimestampType
from test_firehose import flush
from test_iceberg_firehose import configuration

KILLS = int(os.environ.get("THALWEG_ICEBERG_KILLS", "10"))
EVENTS = int(os.environ.get("THALWEG_ICEBERG_EVENTS", "20000"))
WRITERS = 4
PER_CALL = 100

SCHEMA = Schema(
    NestedField(1, "game_id", StringType(), required=True), NestedField(2, "player_id", StringType(), required=True),
    NestedField(3, "seq", LongType(), required=True), NestedField(4, "map", StringType(), required=True),
    NestedField(5, "at", TimestampType(), required=True), NestedField(6, "kind", StringType()), NestedField(7, "x", DoubleType()),
    NestedField(8, "y", DoubleType()))
SPEC = PartitionSpec(PartitionField(4, 1000, IdentityTransform(), "map"), PartitionField(5, 1001, DayTransform(), "at_day"))
BEGIN = datetime.datetime(2026, 11, 20, tzinfo=datetime.timezone.utc)


def recorded():
    """The recorded events, if there is a file of them, else those of a seeded model."""
    path = os.environ.get("THALWEG_EVENTS")
    if path:
        with gzip.open(path, "rt") as lines:
            for _, line in zip(range(EVENTS), lines):
                yield json.loads(line)
        return
    seeded = random.Random(1)
    games = [(f"game{g:03}", f"Map {seeded.randrange(7)}") for g in range(40)]
    seq = collections.Counter()
    for n in range(EVENTS):
        game, place = seeded.choice(games)
        player = f"player{seeded.randrange(2)}"
        event = {"ts": n * 37, "seq": seq[game, player], "game_id": game, "map": place, "player_id": player, "kind": "CameraEvent"}
        if seeded.randrange(2):
            event.update(x=seeded.random() * 200, y=seeded.random() * 200)
        seq[game, player] += 1
        yield event


def events():
    for n, e in enumerate(recorded()):
        at = BEGIN + datetime.timedelta(seconds=n * 20)  # days go by
        yield {**e, "at": at.strftime("%Y-%m-%dT%H:%M:%S.%f")}


class Server:
    """A server at one address, which is killed and comes back."""

    def __init__(self, directory):
        self.directory, self.binary = directory, binary(directory)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.address = f"127.0.0.1:{free.getsockname()[1]}"
        self.url = "http://" + self.address
        self.start()

    def start(self):
        ready = self.directory / "ready.json"
        ready.unlink(missing_ok=True)
        self.process = subprocess.Popen(
            [self.binary, "serve", "--listen", self.address, "--listen-tls", "off", "--listen-kafka", "off", "--test-aids", "--ready-file", str(ready),
             "--data", str(self.directory / "data")], stdout=(self.directory / "log").open("ab"), stderr=subprocess.STDOUT)
        deadline = time.monotonic() + 60
        while not ready.exists():
            assert self.process.poll() is None and time.monotonic() < deadline, (self.directory / "log").read_text()[-4000:]
            time.sleep(0.005)

    def kill(self):
        self.process.kill()
        self.process.wait(30)


def client(server, service):
    config = botocore.config.Config(retries={"total_max_attempts": 1000, "mode": "standard"}, connect_timeout=5, read_timeout=20)
    return boto3.session.Session().client(service, endpoint_url=server.url, region_name=REGION, config=config)


@pytest.fixture
def server(tmp_path, environment):
    server = Server(tmp_path)
    yield server
    server.kill()


def test_killed(server, tmp_path, monkeypatch):
    monkeypatch.setattr(botocore.retries.standard.ExponentialBackoff, "delay_amount", lambda *_: 0.05)
    monkeypatch.setattr(botocore.retries.quota.RetryQuota, "acquire", lambda *_: True)
    rng = random.Random()
    client(server, "s3").create_bucket(Bucket="lake")
    client(server, "s3").create_bucket(Bucket="errors")
    catalog = load_catalog("thalweg", type="rest", uri=server.url + "/iceberg", warehouse="s3://lake/w",
                           **{"s3.access-key-id": ACCOUNT, "s3.secret-access-key": "test"})
    catalog.create_namespace("game")
    catalog.create_table("game.events", SCHEMA, partition_spec=SPEC)
    client(server, "firehose").create_delivery_stream(DeliveryStreamName="events", IcebergDestinationConfiguration=configuration("game", "events"))
    everything = list(events())
    acked, lock, over = 0, threading.Lock(), threading.Event()

    def write(mine):
        nonlocal acked
        firehose = client(server, "firehose")
        for at in range(0, len(mine), PER_CALL):
            data = [{"Data": json.dumps(e).encode() + b"\n"} for e in mine[at:at + PER_CALL]]
            # The SDK repeats a call that was cut off, under the same id, so that it counts once.
            assert firehose.put_record_batch(DeliveryStreamName="events", Records=data)["FailedPutCount"] == 0
            with lock:
                acked += len(data)

    def disturb():
        """Commits to the table, and takes away what snapshots tell of deliveries."""
        n = 0
        while not over.wait(0.05):
            with contextlib.suppress(Exception):  # the server may go at any point of it, and others may commit
                table = catalog.load_table("game.events")
                with table.transaction() as change:
                    change.set_properties(disturbed=str(n))
                n += 1
                if n % 5 == 0:
                    before = datetime.datetime.now() - datetime.timedelta(milliseconds=500)
                    catalog.load_table("game.events").maintenance.expire_snapshots().older_than(before).commit()
        return n

    def hurry():
        """Has everything delivered again and again, so that there are many commits to be cut off."""
        while not over.wait(0.05):
            with contextlib.suppress(OSError, http.client.HTTPException, ValueError):
                flush(server.url, "events")

    def kill():
        for k in range(KILLS):
            while acked < len(everything) * (k + rng.random()) / (KILLS + 1):
                if over.wait(0.002):
                    return
            time.sleep(rng.random() * 0.05)
            server.kill()
            server.start()

    with concurrent.futures.ThreadPoolExecutor(WRITERS + 3) as pool:
        disturbed, hurried = pool.submit(disturb), pool.submit(hurry)
        try:
            jobs = [pool.submit(write, everything[w::WRITERS]) for w in range(WRITERS)] + [pool.submit(kill)]
            concurrent.futures.wait(jobs, return_when=concurrent.futures.FIRST_EXCEPTION)
            over.set()
            for job in jobs:
                job.result()
        finally:
            over.set()
    hurried.result()
    flush(server.url, "events")
    table = catalog.load_table("game.events")
    rows = table.scan().to_arrow()
    got = collections.Counter(zip(*(rows[c].to_pylist() for c in ("game_id", "player_id", "seq")), strict=True))
    want = collections.Counter((e["game_id"], e["player_id"], e["seq"]) for e in everything)
    assert (len(want - got), len(got - want)) == (0, 0)
    assert client(server, "s3").list_objects_v2(Bucket="errors")["KeyCount"] == 0
    files = []
    for task in table.scan().plan_files():
        place, day = task.file.partition[0], task.file.partition[1]
        files.append(str(tmp_path / task.file.file_path.rsplit("/", 1)[1]))
        with table.io.new_input(task.file.file_path).open() as source:
            (tmp_path / files[-1]).write_bytes(source.read())
        one = duckdb.sql(f"""select distinct map, date_diff('day', date '1970-01-01', "at"::date) from read_parquet('{files[-1]}')""").fetchall()
        assert one == [(place, day)]
    total = duckdb.sql(f"select count(*), count(distinct (game_id, player_id, seq)), count(x) from read_parquet({files!r})").fetchall()[0]
    assert total == (len(everything), len(everything), sum("x" in e for e in everything))
    print(f"{KILLS} kills, {len(everything)} events, {len(files)} files, {table.metadata.last_sequence_number} snapshots of which "
          f"{len(table.snapshots())} are kept, {disturbed.result()} commits of another client")
