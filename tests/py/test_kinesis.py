"""The core operations of Kinesis Data Streams with boto3."""

import datetime
import hashlib
import json
import time

import boto3
import pytest
from botocore.exceptions import ClientError

from conftest import ACCOUNT, REGION

WAIT = {"Delay": 1, "MaxAttempts": 30}
NEVER = "999999999999999999999999999999999999999999999999999999999999"


def refusal(call, **arguments):
    """The error that a call is refused with."""
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    response = caught.value.response
    assert response["ResponseMetadata"]["HTTPStatusCode"] == 400
    assert response["ResponseMetadata"]["RequestId"]
    assert response["Error"]["Message"]
    return response["Error"]


def shard_ids(kinesis, stream):
    return [s["ShardId"] for s in kinesis.list_shards(StreamName=stream)["Shards"]]


def read(kinesis, stream, shard, limit=10000, **position):
    """Every record of a shard from a position to its tip."""
    position.setdefault("ShardIteratorType", "TRIM_HORIZON")
    iterator = kinesis.get_shard_iterator(StreamName=stream, ShardId=shard, **position)["ShardIterator"]
    records = []
    while True:
        page = kinesis.get_records(ShardIterator=iterator, Limit=limit)
        assert len(page["Records"]) <= limit
        records += page["Records"]
        iterator = page["NextShardIterator"]
        if not page["Records"] and page["MillisBehindLatest"] == 0:
            return records


def read_all(kinesis, stream):
    return [r for shard in shard_ids(kinesis, stream) for r in read(kinesis, stream, shard)]


def test_life_of_a_stream(kinesis, name):
    kinesis.create_stream(StreamName=name, ShardCount=3, Tags={"made": "at once"})
    kinesis.get_waiter("stream_exists").wait(StreamName=name, WaiterConfig=WAIT)
    described = kinesis.describe_stream(StreamName=name)["StreamDescription"]
    assert described["StreamName"] == name
    assert described["StreamARN"] == f"arn:aws:kinesis:{REGION}:{ACCOUNT}:stream/{name}"
    assert described["StreamStatus"] == "ACTIVE"
    assert described["StreamModeDetails"] == {"StreamMode": "PROVISIONED"}
    assert described["RetentionPeriodHours"] == 24
    assert described["EncryptionType"] == "NONE"
    assert described["HasMoreShards"] is False
    assert described["EnhancedMonitoring"] == [{"ShardLevelMetrics": []}]
    age = datetime.datetime.now(datetime.timezone.utc) - described["StreamCreationTimestamp"]
    assert abs(age.total_seconds()) < 60
    shards = described["Shards"]
    assert [s["ShardId"] for s in shards] == [f"shardId-{i:012d}" for i in range(3)]
    assert all("ParentShardId" not in s and "AdjacentParentShardId" not in s for s in shards)
    assert all("EndingSequenceNumber" not in s["SequenceNumberRange"] for s in shards)
    assert all(len(s["SequenceNumberRange"]["StartingSequenceNumber"]) == 56 for s in shards)
    third = 2**128 // 3
    assert [int(s["HashKeyRange"]["StartingHashKey"]) for s in shards] == [0, third, 2 * third]
    assert [int(s["HashKeyRange"]["EndingHashKey"]) for s in shards] == [third - 1, 2 * third - 1, 2**128 - 1]

    summary = kinesis.describe_stream_summary(StreamName=name)["StreamDescriptionSummary"]
    assert summary["OpenShardCount"] == 3
    assert summary["ConsumerCount"] == 0
    assert summary["StreamStatus"] == "ACTIVE"
    assert kinesis.describe_stream_summary(StreamARN=summary["StreamARN"])["StreamDescriptionSummary"] == summary
    assert kinesis.list_tags_for_stream(StreamName=name)["Tags"] == [{"Key": "made", "Value": "at once"}]

    error = refusal(kinesis.create_stream, StreamName=name, ShardCount=1)
    assert error["Code"] == "ResourceInUseException"
    assert error["Message"] == f"Stream {name} under account {ACCOUNT} already exists."

    kinesis.delete_stream(StreamName=name)
    kinesis.get_waiter("stream_not_exists").wait(StreamName=name, WaiterConfig=WAIT)
    error = refusal(kinesis.describe_stream, StreamName=name)
    assert error["Code"] == "ResourceNotFoundException"
    assert error["Message"] == f"Stream {name} under account {ACCOUNT} not found."


def test_on_demand_stream(kinesis, name):
    kinesis.create_stream(StreamName=name, StreamModeDetails={"StreamMode": "ON_DEMAND"})
    kinesis.get_waiter("stream_exists").wait(StreamName=name, WaiterConfig=WAIT)
    summary = kinesis.describe_stream_summary(StreamName=name)["StreamDescriptionSummary"]
    assert summary["StreamModeDetails"] == {"StreamMode": "ON_DEMAND"}
    assert summary["OpenShardCount"] == 4
    kinesis.delete_stream(StreamName=name)


def test_listing_pages(kinesis):
    names = sorted(f"page-{i:02d}-{time.time_ns()}" for i in range(5))
    for each in names:
        kinesis.create_stream(StreamName=each, ShardCount=1)
    try:
        got = []
        for page in kinesis.get_paginator("list_streams").paginate(PaginationConfig={"PageSize": 2}):
            assert len(page["StreamNames"]) <= 2
            assert [s["StreamName"] for s in page["StreamSummaries"]] == page["StreamNames"]
            got += page["StreamNames"]
        assert got == sorted(got)
        assert set(names) <= set(got)
        after = kinesis.list_streams(ExclusiveStartStreamName=names[1], Limit=2)
        assert after["StreamNames"] == names[2:4]
        assert after["HasMoreStreams"] is True
    finally:
        for each in names:
            kinesis.get_waiter("stream_exists").wait(StreamName=each, WaiterConfig=WAIT)
            kinesis.delete_stream(StreamName=each)


def test_shard_pages(kinesis, name):
    kinesis.create_stream(StreamName=name, ShardCount=5)
    kinesis.get_waiter("stream_exists").wait(StreamName=name, WaiterConfig=WAIT)
    whole = kinesis.list_shards(StreamName=name)["Shards"]
    first = kinesis.list_shards(StreamName=name, MaxResults=2)
    assert first["Shards"] == whole[:2]
    second = kinesis.list_shards(NextToken=first["NextToken"], MaxResults=2)
    assert second["Shards"] == whole[2:4]
    last = kinesis.list_shards(NextToken=second["NextToken"])
    assert last["Shards"] == whole[4:]
    assert "NextToken" not in last
    after = kinesis.list_shards(StreamName=name, ExclusiveStartShardId="shardId-000000000002")["Shards"]
    assert after == whole[3:]
    for kind in ("AT_LATEST", "AT_TRIM_HORIZON", "FROM_TRIM_HORIZON"):
        assert kinesis.list_shards(StreamName=name, ShardFilter={"Type": kind})["Shards"] == whole, kind
    after_shard = {"Type": "AFTER_SHARD_ID", "ShardId": "shardId-000000000000"}
    assert kinesis.list_shards(StreamName=name, ShardFilter=after_shard)["Shards"] == whole[1:]
    pages = list(kinesis.get_paginator("describe_stream").paginate(StreamName=name, PaginationConfig={"PageSize": 2}))
    assert [s["ShardId"] for p in pages for s in p["StreamDescription"]["Shards"]] == [s["ShardId"] for s in whole]
    error = refusal(kinesis.list_shards, StreamName=name, NextToken=first["NextToken"])
    assert error["Code"] == "InvalidArgumentException"
    kinesis.delete_stream(StreamName=name)


def test_limits(kinesis):
    limits = kinesis.describe_limits()
    assert limits["ShardLimit"] > 0
    assert limits["OnDemandStreamCountLimit"] > 0
    assert 0 <= limits["OpenShardCount"]


def test_put_record_routes_by_md5(kinesis, stream):
    start = {s["ShardId"]: int(s["HashKeyRange"]["StartingHashKey"]) for s in kinesis.list_shards(StreamName=stream)["Shards"]}
    for i in range(20):
        key = f"key {i}"
        put = kinesis.put_record(StreamName=stream, PartitionKey=key, Data=f"data {i}".encode())
        hashed = int.from_bytes(hashlib.md5(key.encode()).digest(), "big")
        assert put["ShardId"] == max(s for s in start if start[s] <= hashed)
        assert len(put["SequenceNumber"]) == 56
        assert put.get("EncryptionType", "NONE") == "NONE"
    explicit = kinesis.put_record(StreamName=stream, PartitionKey="x", ExplicitHashKey=str(2**128 - 1), Data=b"last")
    assert explicit["ShardId"] == "shardId-000000000001"
    error = refusal(kinesis.put_record, StreamName=stream, PartitionKey="x", ExplicitHashKey=str(2**128), Data=b"")
    assert error["Code"] == "InvalidArgumentException"
    assert error["Message"] == (
        "Invalid ExplicitHashKey. ExplicitHashKey must be in the range: [0, 2^128-1]. "
        f"Specified value was {2**128}"
    )


def test_what_is_put_is_read(kinesis, stream):
    keys = ["plain", "Gr\u00fc\u00dfe \u4f60\u597d", "\U0001f3ae" * 128, 'quote " back \\ slash', "\x00\x01\x1f\x7f"]
    payloads = [b"", b"\x00", bytes(range(256)), "\u2028\U0001f680".encode(), b"\xff" * 1000, b'{"a":1}']
    sent = {}
    for key in keys:
        for data in payloads:
            put = kinesis.put_record(StreamName=stream, PartitionKey=key, Data=data)
            sent[put["SequenceNumber"]] = (put["ShardId"], key, data)
    got = {}
    for shard in shard_ids(kinesis, stream):
        numbers = []
        for r in read(kinesis, stream, shard):
            got[r["SequenceNumber"]] = (shard, r["PartitionKey"], r["Data"])
            numbers.append(int(r["SequenceNumber"]))
            assert abs(r["ApproximateArrivalTimestamp"].timestamp() - time.time()) < 60
        assert numbers == sorted(set(numbers))
    assert got == sent


def test_one_mebibyte(kinesis, stream):
    data = bytes(i * 7 % 251 for i in range(1 << 20))
    put = kinesis.put_record(StreamName=stream, PartitionKey="big", Data=data)
    (record,) = read(kinesis, stream, put["ShardId"])
    assert record["Data"] == data
    error = refusal(kinesis.put_record, StreamName=stream, PartitionKey="big", Data=data + b"x")
    assert error["Code"] in ("ValidationException", "InvalidArgumentException")
    assert len(read_all(kinesis, stream)) == 1


def test_put_records(kinesis, stream):
    entries = [{"PartitionKey": f"k{i % 7}", "Data": f"{i}".encode()} for i in range(500)]
    put = kinesis.put_records(StreamName=stream, Records=entries)
    assert put["FailedRecordCount"] == 0
    assert len(put["Records"]) == 500
    assert all("ErrorCode" not in r and "ErrorMessage" not in r for r in put["Records"])
    by_place = {(r["ShardId"], r["SequenceNumber"]): e for r, e in zip(put["Records"], entries)}
    assert len(by_place) == 500
    for shard in shard_ids(kinesis, stream):
        last = {}
        for r in read(kinesis, stream, shard, limit=100):
            entry = by_place.pop((shard, r["SequenceNumber"]))
            assert (r["PartitionKey"], r["Data"]) == (entry["PartitionKey"], entry["Data"])
            assert last.get(r["PartitionKey"], -1) < int(r["Data"])
            last[r["PartitionKey"]] = int(r["Data"])
    assert not by_place


def test_a_bad_entry_fails_them_all(kinesis, stream):
    entries = [{"PartitionKey": "k", "Data": b"good"} for _ in range(10)]
    entries[7]["ExplicitHashKey"] = str(2**128)
    error = refusal(kinesis.put_records, StreamName=stream, Records=entries)
    assert error["Code"] == "InvalidArgumentException"
    entries[7] = {"PartitionKey": "k" * 257, "Data": b""}
    error = refusal(kinesis.put_records, StreamName=stream, Records=entries)
    assert error["Code"] == "ValidationException"
    assert error["Message"].startswith("1 validation error detected: Value '")
    assert "at 'records.8.member.partitionKey' failed to satisfy constraint" in error["Message"]
    assert "Member must have length less than or equal to 256" in error["Message"]
    too_many = [{"PartitionKey": "k", "Data": b""}] * 501
    assert refusal(kinesis.put_records, StreamName=stream, Records=too_many)["Code"] == "ValidationException"
    assert read_all(kinesis, stream) == []


def test_every_iterator_type(kinesis, stream):
    shard = "shardId-000000000000"
    put = []
    for i in range(6):
        if i == 3:
            time.sleep(0.05)
            middle = datetime.datetime.now(datetime.timezone.utc)
            time.sleep(0.05)
        put.append(kinesis.put_record(StreamName=stream, PartitionKey="k", ExplicitHashKey="0", Data=b"%d" % i))
    assert {p["ShardId"] for p in put} == {shard}
    latest = kinesis.get_shard_iterator(StreamName=stream, ShardId=shard, ShardIteratorType="LATEST")["ShardIterator"]

    def data(**position):
        return b"".join(r["Data"] for r in read(kinesis, stream, shard, **position))

    third = put[3]["SequenceNumber"]
    start = kinesis.list_shards(StreamName=stream)["Shards"][0]["SequenceNumberRange"]["StartingSequenceNumber"]
    assert data(ShardIteratorType="TRIM_HORIZON") == b"012345"
    assert data(ShardIteratorType="LATEST") == b""
    assert data(ShardIteratorType="AT_SEQUENCE_NUMBER", StartingSequenceNumber=third) == b"345"
    assert data(ShardIteratorType="AFTER_SEQUENCE_NUMBER", StartingSequenceNumber=third) == b"45"
    assert data(ShardIteratorType="AT_SEQUENCE_NUMBER", StartingSequenceNumber=start) == b"012345"
    assert data(ShardIteratorType="AFTER_SEQUENCE_NUMBER", StartingSequenceNumber=start) == b"012345"
    assert data(ShardIteratorType="AT_TIMESTAMP", Timestamp=middle) == b"345"
    assert data(ShardIteratorType="AT_TIMESTAMP", Timestamp=middle - datetime.timedelta(hours=5)) == b"012345"

    kinesis.put_record(StreamName=stream, PartitionKey="k", ExplicitHashKey="0", Data=b"6")
    page = kinesis.get_records(ShardIterator=latest)
    assert [r["Data"] for r in page["Records"]] == [b"6"]
    again = kinesis.get_records(ShardIterator=latest)
    assert again["Records"] == page["Records"], "an iterator may be used again"


def test_empty_shard_by_time(kinesis, stream):
    past = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(minutes=1)
    assert read(kinesis, stream, "shardId-000000000001", ShardIteratorType="AT_TIMESTAMP", Timestamp=past) == []


def test_pages_of_a_shard(kinesis, stream):
    entries = [{"PartitionKey": "k", "ExplicitHashKey": "0", "Data": b"%d" % i} for i in range(95)]
    kinesis.put_records(StreamName=stream, Records=entries)
    records = read(kinesis, stream, "shardId-000000000000", limit=10)
    assert [r["Data"] for r in records] == [e["Data"] for e in entries]


def test_iterator_errors(kinesis, stream):
    shard = "shardId-000000000000"
    ask = kinesis.get_shard_iterator
    error = refusal(ask, StreamName=stream, ShardId="shardId-000000000009", ShardIteratorType="LATEST")
    assert error["Code"] == "ResourceNotFoundException"
    assert error["Message"] == f"Shard shardId-000000000009 in stream {stream} under account {ACCOUNT} does not exist"
    error = refusal(ask, StreamName=stream, ShardId=shard, ShardIteratorType="AT_SEQUENCE_NUMBER")
    assert error["Code"] == "InvalidArgumentException"
    assert error["Message"].startswith("Must either specify (1) AT_SEQUENCE_NUMBER or AFTER_SEQUENCE_NUMBER")
    error = refusal(ask, StreamName=stream, ShardId=shard, ShardIteratorType="AT_SEQUENCE_NUMBER", StartingSequenceNumber=NEVER)
    assert error["Code"] == "InvalidArgumentException"
    future = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(hours=1)
    error = refusal(ask, StreamName=stream, ShardId=shard, ShardIteratorType="AT_TIMESTAMP", Timestamp=future)
    assert error["Code"] == "InvalidArgumentException"
    assert error["Message"].startswith("The timestampInMillis parameter cannot be greater than the currentTimestampInMillis")
    error = refusal(ask, StreamName=stream, ShardId=shard, ShardIteratorType="SOMEWHERE")
    assert error["Code"] == "ValidationException"
    other = kinesis.put_record(StreamName=stream, PartitionKey="k", ExplicitHashKey=str(2**128 - 1), Data=b"x")
    error = refusal(
        ask, StreamName=stream, ShardId=shard, ShardIteratorType="AT_SEQUENCE_NUMBER",
        StartingSequenceNumber=other["SequenceNumber"],
    )
    assert error["Code"] == "InvalidArgumentException"
    assert "It encodes shardId-000000000001, while it was used in a call to a shard with shardId-000000000000" in error["Message"]
    error = refusal(kinesis.get_records, ShardIterator="bm90IGFuIGl0ZXJhdG9y")
    assert (error["Code"], error["Message"]) == ("InvalidArgumentException", "Invalid ShardIterator.")


def test_validation_names_every_violation(kinesis):
    error = refusal(kinesis.describe_stream, StreamName="no such, ever", Limit=100000)
    assert error["Code"] == "ValidationException"
    assert error["Message"].startswith("2 validation errors detected: ")
    assert "Value 'no such, ever' at 'streamName' failed to satisfy constraint: Member must satisfy regular expression pattern: [a-zA-Z0-9_.-]+" in error["Message"]
    assert "Value '100000' at 'limit' failed to satisfy constraint: Member must have value less than or equal to 10000" in error["Message"]


def test_missing_stream(kinesis, name):
    for call, arguments in [
        (kinesis.put_record, {"PartitionKey": "k", "Data": b""}),
        (kinesis.put_records, {"Records": [{"PartitionKey": "k", "Data": b""}]}),
        (kinesis.delete_stream, {}),
        (kinesis.describe_stream_summary, {}),
        (kinesis.list_shards, {}),
        (kinesis.list_tags_for_stream, {}),
        (kinesis.increase_stream_retention_period, {"RetentionPeriodHours": 48}),
    ]:
        error = refusal(call, StreamName=name, **arguments)
        assert error["Code"] == "ResourceNotFoundException", call
        assert name in error["Message"]


def test_retention(kinesis, stream):
    def hours():
        return kinesis.describe_stream_summary(StreamName=stream)["StreamDescriptionSummary"]["RetentionPeriodHours"]

    kinesis.increase_stream_retention_period(StreamName=stream, RetentionPeriodHours=8760)
    kinesis.get_waiter("stream_exists").wait(StreamName=stream, WaiterConfig=WAIT)
    assert hours() == 8760
    kinesis.decrease_stream_retention_period(StreamName=stream, RetentionPeriodHours=25)
    kinesis.get_waiter("stream_exists").wait(StreamName=stream, WaiterConfig=WAIT)
    assert hours() == 25
    error = refusal(kinesis.increase_stream_retention_period, StreamName=stream, RetentionPeriodHours=24)
    assert error["Code"] == "InvalidArgumentException"
    error = refusal(kinesis.decrease_stream_retention_period, StreamName=stream, RetentionPeriodHours=26)
    assert error["Code"] == "InvalidArgumentException"
    error = refusal(kinesis.increase_stream_retention_period, StreamName=stream, RetentionPeriodHours=8761)
    assert error["Code"] in ("InvalidArgumentException", "ValidationException")
    assert hours() == 25


def test_tags_of_a_stream(kinesis, stream):
    kinesis.add_tags_to_stream(StreamName=stream, Tags={f"tag{i}": f"value {i}" for i in range(10)})
    kinesis.add_tags_to_stream(StreamName=stream, Tags={"tag3": "\u00fcber", "empty": ""})
    kinesis.remove_tags_from_stream(StreamName=stream, TagKeys=["tag5", "never there"])
    first = kinesis.list_tags_for_stream(StreamName=stream, Limit=4)
    assert [t["Key"] for t in first["Tags"]] == ["empty", "tag0", "tag1", "tag2"]
    assert first["HasMoreTags"] is True
    rest = kinesis.list_tags_for_stream(StreamName=stream, ExclusiveStartTagKey="tag2")
    assert rest["HasMoreTags"] is False
    assert {t["Key"]: t["Value"] for t in rest["Tags"]} == {
        "tag3": "\u00fcber", "tag4": "value 4", "tag6": "value 6", "tag7": "value 7", "tag8": "value 8", "tag9": "value 9",
    }
    error = refusal(kinesis.add_tags_to_stream, StreamName=stream, Tags={f"more{i}": "" for i in range(45)})
    assert error["Code"] in ("InvalidArgumentException", "LimitExceededException", "ValidationException")


def test_tags_of_a_resource(kinesis, stream):
    arn = kinesis.describe_stream_summary(StreamName=stream)["StreamDescriptionSummary"]["StreamARN"]
    kinesis.tag_resource(ResourceARN=arn, Tags={"a": "1", "b": "2"})
    assert kinesis.list_tags_for_resource(ResourceARN=arn)["Tags"] == [{"Key": "a", "Value": "1"}, {"Key": "b", "Value": "2"}]
    kinesis.untag_resource(ResourceARN=arn, TagKeys=["a"])
    assert kinesis.list_tags_for_stream(StreamName=stream)["Tags"] == [{"Key": "b", "Value": "2"}]


def test_reshard(kinesis, name):
    """Splits, merges and scales, and reads a key from parent to child."""
    kinesis.create_stream(StreamName=name, ShardCount=1)
    kinesis.get_waiter("stream_exists").wait(StreamName=name, WaiterConfig=WAIT)

    def put(data):
        return kinesis.put_record(StreamName=name, PartitionKey="k", Data=data)["ShardId"]

    def open_shards():
        return kinesis.list_shards(StreamName=name, ShardFilter={"Type": "AT_LATEST"})["Shards"]

    assert put(b"0") == "shardId-000000000000"
    kinesis.split_shard(StreamName=name, ShardToSplit="shardId-000000000000", NewStartingHashKey=str(2**127))
    low, high = open_shards()
    assert (low["ParentShardId"], high["ParentShardId"]) == ("shardId-000000000000",) * 2
    assert high["HashKeyRange"] == {"StartingHashKey": str(2**127), "EndingHashKey": str(2**128 - 1)}
    put(b"1")
    kinesis.merge_shards(StreamName=name, ShardToMerge=low["ShardId"], AdjacentShardToMerge=high["ShardId"])
    put(b"2")
    scaled = kinesis.update_shard_count(StreamName=name, TargetShardCount=2, ScalingType="UNIFORM_SCALING")
    assert (scaled["CurrentShardCount"], scaled["TargetShardCount"]) == (1, 2)
    put(b"3")
    error = refusal(kinesis.split_shard, StreamName=name, ShardToSplit=low["ShardId"], NewStartingHashKey="5")
    assert error["Code"] == "InvalidArgumentException"
    assert "has already been merged or split" in error["Message"]

    waiting, seen, numbers = ["shardId-000000000000"], [], []
    while waiting:
        shard = waiting.pop(0)
        iterator = kinesis.get_shard_iterator(StreamName=name, ShardId=shard, ShardIteratorType="TRIM_HORIZON")
        page = kinesis.get_records(ShardIterator=iterator["ShardIterator"])
        seen += [r["Data"] for r in page["Records"]]
        numbers += [int(r["SequenceNumber"]) for r in page["Records"]]
        assert ("NextShardIterator" in page) == ("ChildShards" not in page)
        for child in page.get("ChildShards", []):
            assert shard in child["ParentShards"]
            if child["ShardId"] not in waiting:
                waiting.append(child["ShardId"])
    assert seen == [b"0", b"1", b"2", b"3"]
    assert numbers == sorted(set(numbers))
    arn = f"arn:aws:kinesis:{REGION}:{ACCOUNT}:stream/{name}"
    kinesis.update_stream_mode(StreamARN=arn, StreamModeDetails={"StreamMode": "ON_DEMAND"})
    error = refusal(kinesis.update_shard_count, StreamName=name, TargetShardCount=4, ScalingType="UNIFORM_SCALING")
    assert error["Code"] == "ValidationException"
    kinesis.delete_stream(StreamName=name)


def test_encryption(kinesis, stream):
    """Records say how they are stored, whatever the stream is under when they are read."""

    def described():
        out = kinesis.describe_stream(StreamName=stream)["StreamDescription"]
        return out["EncryptionType"], out.get("KeyId")

    def put(data):
        return kinesis.put_record(StreamName=stream, PartitionKey="k", Data=data).get("EncryptionType")

    assert described() == ("NONE", None)
    assert put(b"before") is None
    kinesis.start_stream_encryption(StreamName=stream, EncryptionType="KMS", KeyId="alias/aws/kinesis")
    kinesis.get_waiter("stream_exists").wait(StreamName=stream, WaiterConfig=WAIT)
    assert described() == ("KMS", "alias/aws/kinesis")
    assert put(b"during") == "KMS"
    records = [{"PartitionKey": "k", "Data": b"of several"}]
    assert kinesis.put_records(StreamName=stream, Records=records)["EncryptionType"] == "KMS"
    kinesis.stop_stream_encryption(StreamName=stream, EncryptionType="KMS", KeyId="alias/aws/kinesis")
    assert described() == ("NONE", None)
    assert put(b"after") is None
    assert [(r["Data"], r.get("EncryptionType")) for r in read_all(kinesis, stream)] == [
        (b"before", None), (b"during", "KMS"), (b"of several", "KMS"), (b"after", None),
    ]
    error = refusal(kinesis.start_stream_encryption, StreamName=stream, EncryptionType="KMS", KeyId="no key")
    assert (error["Code"], error["Message"]) == ("KMSNotFoundException", "Invalid keyId 'no key'")
    away = f"arn:aws:kms:eu-north-1:{ACCOUNT}:alias/k"
    error = refusal(kinesis.start_stream_encryption, StreamName=stream, EncryptionType="KMS", KeyId=away)
    assert error["Code"] == "KMSNotFoundException"


def test_unbuilt_operations_refuse(endpoint, environment):
    """An operation without a handler is refused with a modelled error, never answered as if done."""
    video = boto3.client("kinesisvideo", endpoint_url=endpoint, region_name=REGION)
    for call, arguments in [(video.list_streams, {}), (video.create_stream, {"StreamName": "unbuilt"})]:
        with pytest.raises(ClientError) as caught:
            call(**arguments)
        assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] >= 400
        assert caught.value.response["Error"]["Code"]


def test_records_of_ten_mebibytes(kinesis, stream):
    arn = kinesis.describe_stream_summary(StreamName=stream)["StreamDescriptionSummary"]["StreamARN"]
    data = bytes(range(256)) * (10 * 1024 * 4)
    assert refusal(kinesis.put_record, StreamName=stream, PartitionKey="k", Data=data)["Code"] == "ValidationException"
    error = refusal(kinesis.update_max_record_size, StreamARN=arn, MaxRecordSizeInKiB=10241)
    assert error["Code"] == "ValidationException"
    kinesis.update_max_record_size(StreamARN=arn, MaxRecordSizeInKiB=10240)
    put = kinesis.put_record(StreamName=stream, PartitionKey="k", Data=data)
    assert [r["Data"] for r in read(kinesis, stream, put["ShardId"])] == [data]
    assert refusal(kinesis.put_record, StreamName=stream, PartitionKey="k", Data=data + b"x")["Code"] == "ValidationException"


def test_dry_run(kinesis, stream):
    dry = {"StreamName": stream, "DryRun": True}
    entry = {"PartitionKey": "k", "Data": b"1"}
    shard = shard_ids(kinesis, stream)[0]
    iterator = kinesis.get_shard_iterator(StreamName=stream, ShardId=shard, ShardIteratorType="LATEST")["ShardIterator"]
    for call, arguments in [
        (kinesis.put_record, {**dry, **entry}),
        (kinesis.put_records, {**dry, "Records": [entry]}),
        (kinesis.get_shard_iterator, {**dry, "ShardId": shard, "ShardIteratorType": "LATEST"}),
        (kinesis.get_records, {"ShardIterator": iterator, "DryRun": True}),
    ]:
        assert refusal(call, **arguments)["Code"] == "DryRunOperationException"
    assert read_all(kinesis, stream) == []


def test_account_settings_and_warm_throughput(kinesis, name):
    commitment = "MinimumThroughputBillingCommitment"
    demand = {"StreamModeDetails": {"StreamMode": "ON_DEMAND"}}
    if kinesis.describe_account_settings()[commitment]["Status"] == "DISABLED":
        error = refusal(kinesis.create_stream, StreamName=name, WarmThroughputMiBps=6, **demand)
        assert error["Code"] == "InvalidArgumentException"
    settings = kinesis.update_account_settings(**{commitment: {"Status": "ENABLED"}})[commitment]
    assert settings["Status"] == "ENABLED"
    assert settings["EarliestAllowedEndAt"] - settings["StartedAt"] == datetime.timedelta(hours=24)
    kinesis.create_stream(StreamName=name, WarmThroughputMiBps=6, **demand)
    summary = kinesis.describe_stream_summary(StreamName=name)["StreamDescriptionSummary"]
    assert summary["WarmThroughput"] == {"TargetMiBps": 6, "CurrentMiBps": 6}
    assert summary["OpenShardCount"] == 6
    warm = kinesis.update_stream_warm_throughput(StreamName=name, WarmThroughputMiBps=8)["WarmThroughput"]
    assert warm == {"TargetMiBps": 8, "CurrentMiBps": 8}
    pending = kinesis.update_account_settings(**{commitment: {"Status": "DISABLED"}})[commitment]
    assert pending["Status"] == "ENABLED_UNTIL_EARLIEST_ALLOWED_END"
    kinesis.delete_stream(StreamName=name)


def test_enhanced_monitoring(kinesis, stream):
    on = kinesis.enable_enhanced_monitoring(StreamName=stream, ShardLevelMetrics=["ALL"])
    assert on["CurrentShardLevelMetrics"] == []
    assert len(on["DesiredShardLevelMetrics"]) == 7
    off = kinesis.disable_enhanced_monitoring(StreamName=stream, ShardLevelMetrics=["IncomingBytes"])
    assert off["CurrentShardLevelMetrics"] == on["DesiredShardLevelMetrics"]
    assert "IncomingBytes" not in off["DesiredShardLevelMetrics"]


def test_a_policy_shares_a_stream(kinesis, endpoint, stream):
    arn = kinesis.describe_stream_summary(StreamName=stream)["StreamDescriptionSummary"]["StreamARN"]
    other = boto3.client(
        "kinesis", endpoint_url=endpoint, region_name=REGION, aws_access_key_id="111111111111", aws_secret_access_key="test"
    )
    record = {"StreamARN": arn, "PartitionKey": "k", "Data": b"1"}
    assert refusal(other.put_record, **record)["Code"] == "AccessDeniedException"
    statement = {"Effect": "Allow", "Principal": {"AWS": "111111111111"}, "Action": "kinesis:PutRecord", "Resource": arn}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    kinesis.put_resource_policy(ResourceARN=arn, Policy=policy)
    assert kinesis.get_resource_policy(ResourceARN=arn)["Policy"] == policy
    other.put_record(**record)
    assert refusal(other.list_shards, StreamARN=arn)["Code"] == "AccessDeniedException"
    kinesis.delete_resource_policy(ResourceARN=arn)
    assert refusal(other.put_record, **record)["Code"] == "AccessDeniedException"
    assert refusal(kinesis.put_resource_policy, ResourceARN=arn, Policy="{")["Code"] == "InvalidArgumentException"
