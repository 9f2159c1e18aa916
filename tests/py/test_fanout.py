"""Enhanced fan-out with boto3: consumers, and shards pushed over HTTP/1.1."""

import json
import threading
import urllib.request

import boto3
import botocore.config
import pytest
from botocore.exceptions import ClientError, EventStreamError

from conftest import ACCOUNT, REGION, serve

SHARD = "shardId-000000000000"
TRIM_HORIZON = {"Type": "TRIM_HORIZON"}


@pytest.fixture(scope="module")
def movable(tmp_path_factory):
    """The base URL of a server whose clock can be moved."""
    with serve(tmp_path_factory.mktemp("movable"), "--test-aids") as url:
        yield url


@pytest.fixture(scope="module")
def kinesis(movable, environment):
    config = botocore.config.Config(retries={"total_max_attempts": 1}, read_timeout=20)
    return boto3.client("kinesis", endpoint_url=movable, region_name=REGION, config=config)


@pytest.fixture
def advance(movable):
    def move(seconds):
        body = json.dumps({"advance": f"{seconds}s"}).encode()
        urllib.request.urlopen(urllib.request.Request(movable + "/_thalweg/clock", body, method="POST"))

    return move


@pytest.fixture
def stream(kinesis, name):
    """The ARN of an active stream of one shard, deleted afterwards with its consumers."""
    kinesis.create_stream(StreamName=name, ShardCount=1)
    yield kinesis.describe_stream_summary(StreamName=name)["StreamDescriptionSummary"]["StreamARN"]
    kinesis.delete_stream(StreamName=name, EnforceConsumerDeletion=True)


@pytest.fixture
def consumer(kinesis, stream):
    return kinesis.register_stream_consumer(StreamARN=stream, ConsumerName="c")["Consumer"]["ConsumerARN"]


def subscribe(kinesis, consumer, position):
    answer = kinesis.subscribe_to_shard(ConsumerARN=consumer, ShardId=SHARD, StartingPosition=position)
    return answer["EventStream"]


def after(sequence):
    return {"Type": "AFTER_SEQUENCE_NUMBER", "SequenceNumber": sequence}


def test_life_of_a_consumer(kinesis, stream):
    made = kinesis.register_stream_consumer(StreamARN=stream, ConsumerName="one", Tags={"a": "1"})["Consumer"]
    assert made["ConsumerName"] == "one"
    assert made["ConsumerARN"] == f"{stream}/consumer/one:{int(made['ConsumerCreationTimestamp'].timestamp())}"
    described = kinesis.describe_stream_consumer(ConsumerARN=made["ConsumerARN"])["ConsumerDescription"]
    assert described == {**made, "ConsumerStatus": "ACTIVE", "StreamARN": stream}
    assert kinesis.describe_stream_consumer(StreamARN=stream, ConsumerName="one")["ConsumerDescription"] == described
    kinesis.register_stream_consumer(StreamARN=stream, ConsumerName="two")
    names = []
    for page in kinesis.get_paginator("list_stream_consumers").paginate(StreamARN=stream, PaginationConfig={"PageSize": 1}):
        names += [c["ConsumerName"] for c in page["Consumers"]]
    assert names == ["one", "two"]
    assert kinesis.list_tags_for_resource(ResourceARN=made["ConsumerARN"])["Tags"] == [{"Key": "a", "Value": "1"}]
    with pytest.raises(kinesis.exceptions.ResourceInUseException):
        kinesis.register_stream_consumer(StreamARN=stream, ConsumerName="one")
    with pytest.raises(kinesis.exceptions.ResourceInUseException):
        kinesis.delete_stream(StreamARN=stream)
    kinesis.deregister_stream_consumer(ConsumerARN=made["ConsumerARN"])
    again = kinesis.register_stream_consumer(StreamARN=stream, ConsumerName="one")["Consumer"]
    assert again["ConsumerARN"] != made["ConsumerARN"]
    with pytest.raises(kinesis.exceptions.ResourceNotFoundException):
        kinesis.describe_stream_consumer(ConsumerARN=made["ConsumerARN"])


def test_renewal_without_loss_or_duplicate(kinesis, stream, consumer, advance):
    renewals, done, put = 10, threading.Event(), []

    def produce():
        while not done.is_set():
            answer = kinesis.put_record(StreamARN=stream, Data=str(len(put)).encode(), PartitionKey="k")
            put.append(answer["SequenceNumber"])

    producer = threading.Thread(target=produce)
    producer.start()
    try:
        got, position = [], TRIM_HORIZON
        for _ in range(renewals):
            moved, before = False, len(got)
            for event in subscribe(kinesis, consumer, position):
                event = event["SubscribeToShardEvent"]
                got += event["Records"]
                position = after(event["ContinuationSequenceNumber"])
                if not moved and len(got) > before + 10:
                    advance(300)
                    moved = True
    finally:
        done.set()
        producer.join()
    for event in subscribe(kinesis, consumer, position):
        got += event["SubscribeToShardEvent"]["Records"]
        if len(got) >= len(put):
            break
    assert [r["SequenceNumber"] for r in got] == put
    assert [r["Data"] for r in got] == [str(i).encode() for i in range(len(put))]


def test_silence_and_takeover(kinesis, stream, consumer, advance):
    first = iter(subscribe(kinesis, consumer, {"Type": "LATEST"}))
    continuation = next(first)["SubscribeToShardEvent"]["ContinuationSequenceNumber"]
    with pytest.raises(kinesis.exceptions.ResourceInUseException):
        subscribe(kinesis, consumer, TRIM_HORIZON)
    advance(5)
    silence = next(first)["SubscribeToShardEvent"]
    assert silence["Records"] == [] and silence["MillisBehindLatest"] == 0
    assert silence["ContinuationSequenceNumber"] > continuation
    second = iter(subscribe(kinesis, consumer, after(silence["ContinuationSequenceNumber"])))
    next(second)
    with pytest.raises(EventStreamError) as caught:
        list(first)
    assert caught.value.response["Error"]["Code"] == "ResourceInUseException"
    kinesis.put_record(StreamARN=stream, Data=b"x", PartitionKey="k")
    assert [r["Data"] for r in next(second)["SubscribeToShardEvent"]["Records"]] == [b"x"]


def test_end_of_a_shard(kinesis, stream, consumer):
    events = iter(subscribe(kinesis, consumer, TRIM_HORIZON))
    next(events)
    kinesis.split_shard(StreamARN=stream, ShardToSplit=SHARD, NewStartingHashKey=str(2**127))
    last = [e["SubscribeToShardEvent"] for e in events][-1]
    assert "ContinuationSequenceNumber" not in last
    assert [c["ShardId"] for c in last["ChildShards"]] == ["shardId-000000000001", "shardId-000000000002"]
    assert all(c["ParentShards"] == [SHARD] for c in last["ChildShards"])


def test_nobody_to_subscribe(kinesis, stream):
    missing = f"arn:aws:kinesis:{REGION}:{ACCOUNT}:stream/{stream.split('/')[1]}/consumer/none:1"
    with pytest.raises(ClientError) as caught:
        subscribe(kinesis, missing, TRIM_HORIZON)
    assert caught.value.response["Error"]["Code"] == "ResourceNotFoundException"
