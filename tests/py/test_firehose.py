"""Delivery streams with boto3: from a put, or a Kinesis stream, to objects in a bucket."""

import gzip
import json
import re
import urllib.request
import uuid

import boto3
import botocore.config
import botocore.exceptions
import pytest
from conftest import REGION, serve

ROLE = "arn:aws:iam::000000000000:role/firehose"
HINTS = {"SizeInMBs": 1, "IntervalInSeconds": 0}


@pytest.fixture(scope="module")
def server(tmp_path_factory, environment):
    with serve(tmp_path_factory.mktemp("firehose"), "--test-aids") as url:
        yield url


def make(server, service):
    config = botocore.config.Config(retries={"total_max_attempts": 1}, read_timeout=20)
    return boto3.client(service, endpoint_url=server, region_name=REGION, config=config)


@pytest.fixture(scope="module")
def firehose(server):
    return make(server, "firehose")


@pytest.fixture(scope="module")
def s3(server):
    return make(server, "s3")


@pytest.fixture
def bucket(s3):
    name = "py-" + uuid.uuid4().hex[:16]
    s3.create_bucket(Bucket=name)
    return name


@pytest.fixture
def name():
    return "py-" + uuid.uuid4().hex[:12]


def target(bucket, **more):
    return {"RoleARN": ROLE, "BucketARN": "arn:aws:s3:::" + bucket, "BufferingHints": HINTS, **more}


def flush(server, name):
    request = urllib.request.Request(f"{server}/_thalweg/firehose/{name}/flush", method="POST")
    with urllib.request.urlopen(request, timeout=20) as answer:
        return json.load(answer)


def objects(s3, bucket):
    out = {}
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket):
        for o in page.get("Contents", []):
            got = s3.get_object(Bucket=bucket, Key=o["Key"])
            out[o["Key"]] = (got["Body"].read(), got)
    return out


def described(firehose, name):
    return firehose.describe_delivery_stream(DeliveryStreamName=name)["DeliveryStreamDescription"]


def test_deliver(server, firehose, s3, bucket, name):
    firehose.create_delivery_stream(
        DeliveryStreamName=name,
        ExtendedS3DestinationConfiguration=target(bucket, Prefix="raw/", CompressionFormat="GZIP"),
    )
    assert described(firehose, name)["DeliveryStreamStatus"] == "ACTIVE"
    first = firehose.put_record(DeliveryStreamName=name, Record={"Data": b"abc"})
    assert first["Encrypted"] is False
    batch = firehose.put_record_batch(DeliveryStreamName=name, Records=[{"Data": b"abc"}] * 500)
    ids = [first["RecordId"], *(r["RecordId"] for r in batch["RequestResponses"])]
    assert batch["FailedPutCount"] == 0 and len(set(ids)) == 501
    flush(server, name)
    got = objects(s3, bucket)
    assert b"".join(gzip.decompress(body) for body, _ in got.values()) == b"abc" * 501
    for key, (_, head) in got.items():
        assert re.fullmatch(r"raw/\d{4}/\d\d/\d\d/\d\d/" + name + r"-1-[-\d]{19}-[-0-9a-f]{36}\.gz", key)
        assert head["ContentType"] == "application/octet-stream" and head["ContentEncoding"] == "gzip"


def test_source(server, firehose, s3, bucket, name):
    kinesis = make(server, "kinesis")
    kinesis.create_stream(StreamName=name, ShardCount=2)
    source = kinesis.describe_stream_summary(StreamName=name)["StreamDescriptionSummary"]["StreamARN"]
    kinesis.put_record(StreamName=name, PartitionKey="k", Data=b"too early\n")
    firehose.create_delivery_stream(
        DeliveryStreamName=name,
        DeliveryStreamType="KinesisStreamAsSource",
        KinesisStreamSourceConfiguration={"KinesisStreamARN": source, "RoleARN": ROLE},
        ExtendedS3DestinationConfiguration=target(bucket),
    )
    lines = [b"line %d\n" % i for i in range(100)]
    kinesis.put_records(StreamName=name, Records=[{"Data": d, "PartitionKey": "%d" % (i % 10)} for i, d in enumerate(lines)])
    flush(server, name)
    got = b"".join(body for body, _ in objects(s3, bucket).values())
    assert sorted(got.splitlines(keepends=True)) == sorted(lines)
    assert described(firehose, name)["Source"]["KinesisStreamSourceDescription"]["KinesisStreamARN"] == source
    with pytest.raises(firehose.exceptions.InvalidArgumentException, match="not permitted"):
        firehose.put_record(DeliveryStreamName=name, Record={"Data": b"x"})


def test_dynamic_partitions(server, firehose, s3, bucket, name):
    firehose.create_delivery_stream(
        DeliveryStreamName=name,
        ExtendedS3DestinationConfiguration={
            **target(bucket, Prefix="player=!{partitionKeyFromQuery:player}/", ErrorOutputPrefix="failed/!{firehose:error-output-type}/"),
            "BufferingHints": {"SizeInMBs": 64, "IntervalInSeconds": 60},
            "DynamicPartitioningConfiguration": {"Enabled": True},
            "ProcessingConfiguration": {
                "Enabled": True,
                "Processors": [
                    {
                        "Type": "MetadataExtraction",
                        "Parameters": [
                            {"ParameterName": "MetadataExtractionQuery", "ParameterValue": "{player: .player}"},
                            {"ParameterName": "JsonParsingEngine", "ParameterValue": "JQ-1.6"},
                        ],
                    },
                    {"Type": "AppendDelimiterToRecord", "Parameters": []},
                ],
            },
        },
    )
    records = [json.dumps({"player": "p%d" % (i % 5), "n": i}).encode() for i in range(50)] + [b"no json"]
    firehose.put_record_batch(DeliveryStreamName=name, Records=[{"Data": r} for r in records])
    flush(server, name)
    got = objects(s3, bucket)
    for player in range(5):
        body = b"".join(b for k, (b, _) in got.items() if k.startswith("player=p%d/" % player))
        assert [json.loads(line)["n"] for line in body.splitlines()] == list(range(player, 50, 5))
    failed = [b for k, (b, _) in got.items() if k.startswith("failed/")]
    assert len(failed) == 1 and json.loads(failed[0])["rawData"] == "bm8ganNvbg=="


def test_encryption_tags_and_update(server, firehose, s3, bucket, name):
    firehose.create_delivery_stream(DeliveryStreamName=name, ExtendedS3DestinationConfiguration=target(bucket))
    firehose.start_delivery_stream_encryption(DeliveryStreamName=name)
    assert described(firehose, name)["DeliveryStreamEncryptionConfiguration"] == {"KeyType": "AWS_OWNED_CMK", "Status": "ENABLED"}
    assert firehose.put_record(DeliveryStreamName=name, Record={"Data": b"secret"})["Encrypted"] is True
    firehose.tag_delivery_stream(DeliveryStreamName=name, Tags=[{"Key": "team", "Value": "a"}])
    assert firehose.list_tags_for_delivery_stream(DeliveryStreamName=name)["Tags"] == [{"Key": "team", "Value": "a"}]
    firehose.untag_delivery_stream(DeliveryStreamName=name, TagKeys=["team"])
    with pytest.raises(firehose.exceptions.ConcurrentModificationException, match="current version id: 1"):
        firehose.update_destination(
            DeliveryStreamName=name,
            CurrentDeliveryStreamVersionId="7",
            DestinationId="destinationId-000000000001",
            ExtendedS3DestinationUpdate={"Prefix": "new/"},
        )
    flush(server, name)
    firehose.update_destination(
        DeliveryStreamName=name,
        CurrentDeliveryStreamVersionId="1",
        DestinationId="destinationId-000000000001",
        ExtendedS3DestinationUpdate={"Prefix": "new/"},
    )
    firehose.put_record(DeliveryStreamName=name, Record={"Data": b"after"})
    flush(server, name)
    got = objects(s3, bucket)
    assert sorted(body for body, _ in got.values()) == [b"after", b"secret"]
    assert [body for key, (body, _) in got.items() if key.startswith("new/") and "-2-" in key] == [b"after"]
    firehose.delete_delivery_stream(DeliveryStreamName=name)
    with pytest.raises(firehose.exceptions.ResourceNotFoundException):
        firehose.put_record(DeliveryStreamName=name, Record={"Data": b"x"})


def test_errors(firehose, bucket, name):
    with pytest.raises(firehose.exceptions.InvalidArgumentException, match="Exactly one destination"):
        firehose.create_delivery_stream(DeliveryStreamName=name)
    with pytest.raises(firehose.exceptions.ResourceNotFoundException, match=f"Firehose {name} under account 000000000000 not found."):
        firehose.describe_delivery_stream(DeliveryStreamName=name)
    firehose.create_delivery_stream(DeliveryStreamName=name, ExtendedS3DestinationConfiguration=target(bucket))
    with pytest.raises(firehose.exceptions.ResourceInUseException, match="already exists"):
        firehose.create_delivery_stream(DeliveryStreamName=name, ExtendedS3DestinationConfiguration=target(bucket))
    with pytest.raises(firehose.exceptions.InvalidArgumentException, match="4 MB"):
        firehose.put_record_batch(DeliveryStreamName=name, Records=[{"Data": b"x" * 1_000_000}] * 5)
