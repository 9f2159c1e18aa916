"""Channels of streams and of topics with boto3: made, delivering by the clock, changed, deleted."""

import gzip
import json
import time
import urllib.request

import boto3
import botocore.config
import confluent_kafka
import pytest

import conftest

ROLE = "arn:aws:iam::%s:role/channel" % conftest.ACCOUNT


@pytest.fixture(scope="module")
def url(tmp_path_factory):
    with conftest.serve(tmp_path_factory.mktemp("channels"), "--test-aids") as at:
        yield at


@pytest.fixture(scope="module")
def client(url, environment):
    def make(service):
        config = botocore.config.Config(retries={"total_max_attempts": 1}, read_timeout=20, s3={"addressing_style": "path"})
        return boto3.client(service, endpoint_url=url, region_name=conftest.REGION, config=config)

    return make


@pytest.fixture
def advance(url):
    def move(seconds):
        body = json.dumps({"advance": "%ds" % seconds}).encode()
        urllib.request.urlopen(urllib.request.Request(url + "/_thalweg/clock", body, method="POST"))

    return move


def bucket(client, name):
    client("s3").create_bucket(Bucket=name)
    return "arn:aws:s3:::" + name


def objects(client, name, want):
    """The objects of a bucket by key, once there are as many as wanted."""
    s3 = client("s3")
    deadline = time.monotonic() + 30
    while True:
        keys = [o["Key"] for o in s3.list_objects_v2(Bucket=name).get("Contents", [])]
        if len(keys) >= want:
            return {k: s3.get_object(Bucket=name, Key=k)["Body"].read() for k in keys}
        assert time.monotonic() < deadline, keys


def gone(ask, error):
    deadline = time.monotonic() + 30
    while True:
        try:
            state = ask()
        except error:
            return
        assert time.monotonic() < deadline, state


def test_a_streams_channel(client, name, advance):
    kinesis = client("kinesis")
    at = bucket(client, name)
    kinesis.create_stream(StreamName=name, StreamModeDetails={"StreamMode": "ON_DEMAND"})
    stream = kinesis.describe_stream_summary(StreamName=name)["StreamDescriptionSummary"]["StreamARN"]
    kinesis.put_record(StreamName=name, PartitionKey="k", Data=b'{"before": true}')
    made = kinesis.create_channel(
        ChannelName=name, ServiceExecutionRoleARN=ROLE, Tags={"team": "game"},
        StreamConfigurationList=[{"StreamARN": stream, "RecordConfiguration": {"RecordFormatType": "JSON"}}],
        S3DestinationConfiguration={"StorageConfiguration": {
            "BucketARN": at, "ExpectedBucketOwner": conftest.ACCOUNT, "CompressionType": "GZIP"}},
    )["ChannelDescription"]
    channel = made["ChannelARN"]
    assert made["S3DestinationConfiguration"]["DataFreshnessInSeconds"] == 300
    kinesis.get_waiter("channel_active").wait(ChannelARN=channel, WaiterConfig={"Delay": 1, "MaxAttempts": 5})
    assert kinesis.describe_channel(ChannelARN=channel)["ChannelDescription"] == made
    assert [c["ChannelName"] for c in kinesis.list_channels(StreamFilter=[{"StreamARN": stream}])["ChannelSummaries"]] == [name]
    assert kinesis.list_tags_for_resource(ResourceARN=channel)["Tags"] == [{"Key": "team", "Value": "game"}]
    assert client("firehose").list_delivery_streams()["DeliveryStreamNames"] == []
    for n in range(20):
        kinesis.put_record(StreamName=name, PartitionKey=str(n % 3), Data=json.dumps({"n": n}).encode())
    kinesis.put_record(StreamName=name, PartitionKey="x", Data=b"no JSON")
    advance(301)
    found = objects(client, name, 2)
    (dead,) = [body for key, body in found.items() if key.startswith("kinesis-channel/errors/%s/%s/" % (name, made["ChannelId"]))]
    (good,) = [body for key, body in found.items() if key.startswith("kinesis-channel/%s/%s/" % (name, made["ChannelId"])) and key.endswith(".gz")]
    assert sorted(json.loads(line)["n"] for line in gzip.decompress(good).splitlines()) == list(range(20))
    assert json.loads(dead)["errorCode"] == "Validation.InvalidJson"
    changed = kinesis.update_channel(ChannelARN=channel, S3DestinationConfiguration={"DataFreshnessInSeconds": 900})["ChannelDescription"]
    assert changed["S3DestinationConfiguration"]["DataFreshnessInSeconds"] == 900
    with pytest.raises(kinesis.exceptions.ResourceInUseException):
        kinesis.delete_stream(StreamName=name)
    kinesis.delete_channel(ChannelARN=channel)
    gone(lambda: kinesis.describe_channel(ChannelARN=channel), kinesis.exceptions.ResourceNotFoundException)
    kinesis.delete_stream(StreamName=name)


def test_a_topics_channel(client, name, advance):
    kafka = client("kafka")
    at = bucket(client, name)
    (cluster,) = kafka.list_clusters()["ClusterInfoList"]
    cluster = cluster["ClusterArn"]
    topic = kafka.create_topic(ClusterArn=cluster, TopicName=name, PartitionCount=3, ReplicationFactor=1)["TopicArn"]
    channel = kafka.create_channel(
        ClusterArn=cluster, ChannelName=name,
        TopicConfigurationList=[{"TopicArn": topic, "RecordConverter": {"ValueConverter": "STRING"}}],
        S3DestinationConfiguration={
            "Storage": {"BucketArn": at, "StorageClass": "STANDARD", "CompressionType": "NONE", "OutputPrefix": "out/",
                        "OutputKeyTemplate": "p!{partition-id}/!{kafka-offset}"},
            "ServiceExecutionRoleArn": ROLE, "DeadLetterQueueS3": {"BucketArn": at}, "DataFreshnessInSeconds": 300},
    )["ChannelArn"]
    described = kafka.describe_channel(ClusterArn=cluster, ChannelArn=channel)
    assert (described["Status"], described["DestinationType"]) == ("ACTIVE", "S3")
    assert [c["ChannelArn"] for c in kafka.list_channels(ClusterArn=cluster)["Channels"]] == [channel]
    producer = confluent_kafka.Producer({"bootstrap.servers": kafka.get_bootstrap_brokers(ClusterArn=cluster)["BootstrapBrokerString"]})
    for n in range(30):
        producer.produce(name, str(n).encode(), partition=n % 3)
    assert producer.flush(20) == 0
    advance(301)
    found = objects(client, name, 3)
    by_partition = {key.split("/")[1]: body for key, body in found.items()}
    assert by_partition == {"p%d" % p: b"".join(b"%d\n" % n for n in range(p, 30, 3)) for p in range(3)}
    assert all(key.split("/")[2].startswith("000000000000000000-") for key in found)
    kafka.update_channel(ClusterArn=cluster, ChannelArn=channel, S3DestinationUpdate={"DataFreshnessInSeconds": 900})
    kafka.delete_channel(ClusterArn=cluster, ChannelArn=channel)
    gone(lambda: kafka.describe_channel(ClusterArn=cluster, ChannelArn=channel), kafka.exceptions.NotFoundException)
