"""Amazon MSK's API through boto3, and a cluster made by it through librdkafka."""

import json
import time

import boto3
import botocore.config
import botocore.exceptions
import confluent_kafka
import confluent_kafka.admin
import conftest
import pytest


@pytest.fixture(scope="module")
def url(tmp_path_factory):
    with conftest.serve(tmp_path_factory.mktemp("msk")) as at:
        yield at


@pytest.fixture
def msk(url):
    return boto3.client("kafka", endpoint_url=url, region_name=conftest.REGION, aws_access_key_id="test", aws_secret_access_key="test",
                        config=botocore.config.Config(retries={"max_attempts": 0}))


def until(ask, want):
    """Asks again until the answer is wanted; there are no waiters for MSK in boto3."""
    deadline = time.monotonic() + 60
    while (answer := ask()) != want:
        assert time.monotonic() < deadline, answer
    return answer


def state(msk, arn):
    try:
        return msk.describe_cluster_v2(ClusterArn=arn)["ClusterInfo"]["State"]
    except msk.exceptions.NotFoundException:
        return "gone"


def operated(msk, answer):
    def ask():
        return msk.describe_cluster_operation_v2(ClusterOperationArn=answer["ClusterOperationArn"])["ClusterOperationInfo"]["OperationState"]

    until(ask, "UPDATE_COMPLETE")


def version(msk, arn):
    return msk.describe_cluster(ClusterArn=arn)["ClusterInfo"]["CurrentVersion"]


def test_a_clusters_life(msk):
    config = msk.create_configuration(Name="six", ServerProperties=b"auto.create.topics.enable=true\nnum.partitions=6\n")
    assert msk.describe_configuration_revision(Arn=config["Arn"], Revision=1)["ServerProperties"].startswith(b"auto.create")
    arn = msk.create_cluster(
        ClusterName="games", KafkaVersion="3.9.x", NumberOfBrokerNodes=2,
        BrokerNodeGroupInfo={"ClientSubnets": ["subnet-1", "subnet-2"], "InstanceType": "kafka.m7g.large"},
        EncryptionInfo={"EncryptionInTransit": {"ClientBroker": "PLAINTEXT"}},
        ConfigurationInfo={"Arn": config["Arn"], "Revision": 1},
    )["ClusterArn"]
    until(lambda: state(msk, arn), "ACTIVE")
    names = [c["ClusterName"] for page in msk.get_paginator("list_clusters_v2").paginate(PaginationConfig={"PageSize": 1})
             for c in page["ClusterInfoList"]]
    assert names == ["default", "games"]

    bootstrap = msk.get_bootstrap_brokers(ClusterArn=arn)["BootstrapBrokerString"]
    producer = confluent_kafka.Producer({"bootstrap.servers": bootstrap})
    failed = []
    producer.produce("scores", b"1", on_delivery=lambda e, m: e and failed.append(e))
    assert producer.flush(30) == 0
    assert failed == []
    topic = msk.describe_topic(ClusterArn=arn, TopicName="scores")
    assert topic["PartitionCount"] == 6
    assert topic["ReplicationFactor"] == 2
    partitions = [p for page in msk.get_paginator("describe_topic_partitions").paginate(
        ClusterArn=arn, TopicName="scores", PaginationConfig={"PageSize": 4}) for p in page["Partitions"]]
    assert [p["Partition"] for p in partitions] == list(range(6))
    assert {p["Leader"] for p in partitions} == {1, 2}

    operated(msk, msk.update_broker_count(ClusterArn=arn, CurrentVersion=version(msk, arn), TargetNumberOfBrokerNodes=3))
    admin = confluent_kafka.admin.AdminClient({"bootstrap.servers": bootstrap})
    assert len(admin.list_topics(timeout=30).brokers) == 3
    operated(msk, msk.reboot_broker(ClusterArn=arn, BrokerIds=["2"]))
    producer.produce("scores", b"2", on_delivery=lambda e, m: e and failed.append(e))
    assert producer.flush(30) == 0
    assert failed == []
    assert [o["OperationType"] for o in msk.list_cluster_operations_v2(ClusterArn=arn)["ClusterOperationInfoList"]] == [
        "REBOOT_NODE", "INCREASE_BROKER_COUNT"]

    with pytest.raises(msk.exceptions.BadRequestException, match="in use"):
        msk.delete_configuration(Arn=config["Arn"])
    msk.delete_cluster(ClusterArn=arn)
    until(lambda: state(msk, arn), "gone")
    msk.delete_configuration(Arn=config["Arn"])


def test_topics_of_the_default_cluster_are_streams(msk, url):
    kinesis = boto3.client("kinesis", endpoint_url=url, region_name=conftest.REGION, aws_access_key_id="test", aws_secret_access_key="test")
    arn = msk.list_clusters()["ClusterInfoList"][0]["ClusterArn"]
    msk.create_topic(ClusterArn=arn, TopicName="both", PartitionCount=2, ReplicationFactor=1)
    kinesis.put_record(StreamName="both", Data=b"x", PartitionKey="k")
    kinesis.create_stream(StreamName="stream", ShardCount=1)
    assert [t["TopicName"] for t in msk.list_topics(ClusterArn=arn)["Topics"]] == ["both", "stream"]
    with pytest.raises(msk.exceptions.BadRequestException, match="Kinesis data stream"):
        msk.delete_topic(ClusterArn=arn, TopicName="stream")
    msk.delete_topic(ClusterArn=arn, TopicName="both")
    with pytest.raises(msk.exceptions.UnknownTopicOrPartitionException):
        msk.describe_topic(ClusterArn=arn, TopicName="both")


def test_a_policy_is_kept_as_it_was_put(msk):
    arn = msk.list_clusters()["ClusterInfoList"][0]["ClusterArn"]
    text = json.dumps({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Principal": {"AWS": "111111111111"}, "Action": "kafka:DescribeCluster*", "Resource": arn}]})
    put = msk.put_cluster_policy(ClusterArn=arn, Policy=text)
    got = msk.get_cluster_policy(ClusterArn=arn)
    assert (got["Policy"], got["CurrentVersion"]) == (text, put["CurrentVersion"])
    msk.delete_cluster_policy(ClusterArn=arn)
    with pytest.raises(msk.exceptions.NotFoundException):
        msk.get_cluster_policy(ClusterArn=arn)


def test_what_is_not_built_says_so(msk):
    with pytest.raises(msk.exceptions.BadRequestException, match="not implemented"):
        msk.create_vpc_connection(TargetClusterArn="arn:aws:kafka:us-east-1:000000000000:cluster/x/y", Authentication="SASL_IAM", VpcId="vpc",
                                  ClientSubnets=["s"], SecurityGroups=["sg"])
    with pytest.raises(botocore.exceptions.ClientError, match="--kafka-client-ca"):
        msk.create_cluster(ClusterName="tls", KafkaVersion="3.9.x", NumberOfBrokerNodes=1,
                           BrokerNodeGroupInfo={"ClientSubnets": ["s"], "InstanceType": "kafka.m7g.large"},
                           ClientAuthentication={"Tls": {"Enabled": True}})
