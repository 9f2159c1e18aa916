"""Queues with boto3: shared consumption, dead letters, and kill -9 under load."""

import contextlib
import json
import signal
import subprocess
import threading
import urllib.request

import pytest
from botocore.exceptions import BotoCoreError, ClientError

import conftest
from conftest import serve


@pytest.fixture(scope="module")
def movable(tmp_path_factory):
    """The base URL of a server whose clock can be moved."""
    with serve(tmp_path_factory.mktemp("movable"), "--test-aids") as url:
        yield url


@pytest.fixture(scope="module")
def kinesis(movable, environment):
    return conftest.client(movable)


@pytest.fixture
def advance(movable):
    def move(seconds):
        body = json.dumps({"advance": f"{seconds}s"}).encode()
        urllib.request.urlopen(urllib.request.Request(movable + "/_thalweg/clock", body, method="POST"))

    return move


def make_stream(kinesis, name):
    """The ARN of a new on-demand stream."""
    kinesis.create_stream(StreamName=name, StreamModeDetails={"StreamMode": "ON_DEMAND"})
    return kinesis.describe_stream_summary(StreamName=name)["StreamDescriptionSummary"]["StreamARN"]


def make_queue(kinesis, stream, name, start="TRIM_HORIZON", **attributes):
    """The ARN of a new queue."""
    return kinesis.create_queue(
        QueueName=name,
        StreamConfigurationList=[{"StreamARN": stream, "StartingPosition": {"Type": start}}],
        QueueAttributes=attributes,
    )["QueueDescription"]["QueueARN"]


def test_life_of_a_record(kinesis, name, advance):
    stream = make_stream(kinesis, name)
    queue = make_queue(kinesis, stream, name, VisibilityTimeoutSeconds=10,
                       DeadLetterConfiguration={"TargetType": "BUILT_IN", "MaxReceiveCount": 1})
    sequence = kinesis.put_record(StreamARN=stream, PartitionKey="k", Data=b"x")["SequenceNumber"]
    (record,) = kinesis.receive_queue_records(QueueARN=queue, WaitTimeSeconds=20)["QueueRecords"]
    assert (record["RecordId"], record["Data"], record["PartitionKey"], record["ReceiveCount"]) == (sequence, b"x", "k", 1)
    assert kinesis.receive_queue_records(QueueARN=queue)["QueueRecords"] == []
    advance(10)
    assert kinesis.receive_queue_records(QueueARN=queue)["QueueRecords"] == []
    (dead,) = kinesis.receive_dead_letter_queue_records(QueueARN=queue)["QueueRecords"]
    assert dead["RecordId"] == sequence
    answer = kinesis.restore_dead_letter_queue_records(
        QueueARN=queue, Entries=[{"ReceiptHandle": dead["ReceiptHandle"]}, {"ReceiptHandle": record["ReceiptHandle"]}])
    assert answer["Successful"] == [{"ReceiptHandle": dead["ReceiptHandle"]}]
    assert [f["ErrorCode"] for f in answer["Failed"]] == ["InvalidArgumentException"]
    (record,) = kinesis.receive_queue_records(QueueARN=queue)["QueueRecords"]
    entry = {"ReceiptHandle": record["ReceiptHandle"]}
    assert kinesis.acknowledge_queue_records(QueueARN=queue, Entries=[entry])["Successful"] == [entry]
    advance(60)
    assert kinesis.receive_queue_records(QueueARN=queue)["QueueRecords"] == []
    with pytest.raises(kinesis.exceptions.ResourceInUseException):
        kinesis.delete_stream(StreamName=name)
    assert [q["QueueARN"] for q in kinesis.list_queues(StreamFilter=[{"StreamARN": stream}])["QueueSummaries"]] == [queue]
    kinesis.delete_queue(QueueARN=queue)
    kinesis.delete_stream(StreamName=name)
    with pytest.raises(kinesis.exceptions.ResourceNotFoundException):
        kinesis.receive_queue_records(QueueARN=queue)


def test_waits_for_a_put(kinesis, name):
    stream = make_stream(kinesis, name)
    queue = make_queue(kinesis, stream, name, start="LATEST")
    answers = []
    waiting = threading.Thread(
        target=lambda: answers.append(kinesis.receive_queue_records(QueueARN=queue, WaitTimeSeconds=15)["QueueRecords"]))
    waiting.start()
    kinesis.put_record(StreamARN=stream, PartitionKey="k", Data=b"x")
    waiting.join(10)
    assert [r["Data"] for r in answers[0]] == [b"x"]


class Victim:
    """A server with a data directory that is killed and started again."""

    def __init__(self, directory):
        self.directory, self.binary, self.starts = directory, conftest.binary(directory), 0
        self.start()

    def start(self):
        self.starts += 1
        ready, log = self.directory / f"ready{self.starts}.json", self.directory / "log"
        with log.open("ab") as out:
            self.process = subprocess.Popen(
                [self.binary, "serve", "--test-aids", "--listen", "127.0.0.1:0", "--listen-tls", "127.0.0.1:0", "--listen-kafka",
                 "127.0.0.1:0", "--ready-file", str(ready), "--data", str(self.directory / "data")],
                stdout=out, stderr=subprocess.STDOUT)
        self.url = conftest._await_ready(self.process, ready, log)

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(30)


def consume(url, queue, done, doubt, flaws, stop):
    """Receives and acknowledges until the server is gone or told to stop."""
    kinesis = conftest.client(url)
    with contextlib.suppress(BotoCoreError, ClientError):
        while not stop.is_set():
            for record in kinesis.receive_queue_records(QueueARN=queue)["QueueRecords"]:
                doubt.add(record["Data"])
                answer = kinesis.acknowledge_queue_records(QueueARN=queue, Entries=[{"ReceiptHandle": record["ReceiptHandle"]}])
                flaws += answer["Failed"]
                if record["Data"] in done:
                    flaws.append(b"acknowledged, and delivered again: " + record["Data"])
                done.add(record["Data"])
                doubt.discard(record["Data"])


def test_kill_nine(tmp_path, environment, name):
    """Five kills while three consumers acknowledge: what was acknowledged stays so, and all else comes."""
    victim = Victim(tmp_path)
    try:
        kinesis = conftest.client(victim.url)
        stream = make_stream(kinesis, name)
        queue = make_queue(kinesis, stream, name, VisibilityTimeoutSeconds=30, DeadLetterConfiguration={"TargetType": "NONE"})
        want, done, doubts, flaws = set(), set(), set(), []
        for round in range(5):
            records = [{"PartitionKey": str(i), "Data": b"%d.%d" % (round, i)} for i in range(200)]
            assert conftest.client(victim.url).put_records(StreamName=name, Records=records)["FailedRecordCount"] == 0
            want |= {r["Data"] for r in records}
            before, stop = len(done), threading.Event()
            shared = [set() for _ in range(3)]
            threads = [threading.Thread(target=consume, args=(victim.url, queue, done, doubt, flaws, stop)) for doubt in shared]
            for t in threads:
                t.start()
            while len(done) < before + 40:
                assert any(t.is_alive() for t in threads)
                threads[0].join(0.01)
            victim.kill()
            for t in threads:
                t.join(30)
            doubts |= set().union(*shared)
            victim.start()
        assert not flaws
        assert 200 <= len(done) < len(want)
        kinesis = conftest.client(victim.url)
        body = json.dumps({"advance": "60s"}).encode()
        urllib.request.urlopen(urllib.request.Request(victim.url + "/_thalweg/clock", body, method="POST"))
        came = set()
        while found := kinesis.receive_queue_records(QueueARN=queue, VisibilityTimeoutSeconds=3600)["QueueRecords"]:
            for record in found:
                assert record["Data"] not in came and record["Data"] not in done
                came.add(record["Data"])
        assert want - came - done <= doubts
    finally:
        victim.kill()
