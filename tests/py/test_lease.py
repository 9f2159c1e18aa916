"""What consumer libraries call besides the streams, with boto3."""

import datetime
import decimal
import threading

import boto3
import botocore.config
import pytest
from boto3.dynamodb.conditions import Attr, Key
from botocore.exceptions import ClientError

from conftest import ACCOUNT, REGION

CONFIG = botocore.config.Config(retries={"total_max_attempts": 1}, read_timeout=20)


@pytest.fixture
def dynamodb(endpoint, environment):
    return boto3.resource("dynamodb", endpoint_url=endpoint, region_name=REGION, config=CONFIG)


@pytest.fixture
def leases(dynamodb, name):
    """An active table of leases with an index by owner, deleted afterwards."""
    table = dynamodb.create_table(
        TableName=name,
        KeySchema=[{"AttributeName": "leaseKey", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "leaseKey", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    table.wait_until_exists()
    table.update(
        AttributeDefinitions=[{"AttributeName": n, "AttributeType": "S"} for n in ("leaseKey", "leaseOwner")],
        GlobalSecondaryIndexUpdates=[{"Create": {
            "IndexName": "LeaseOwnerToLeaseKeyIndex",
            "KeySchema": [
                {"AttributeName": "leaseOwner", "KeyType": "HASH"},
                {"AttributeName": "leaseKey", "KeyType": "RANGE"},
            ],
            "Projection": {"ProjectionType": "KEYS_ONLY"},
        }}],
    )
    yield table
    table.delete()
    table.wait_until_not_exists()


def code(call, **arguments):
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    return caught.value.response["Error"]["Code"]


def test_items_come_back(leases):
    item = {
        "leaseKey": "a", "n": decimal.Decimal("-1.50"), "big": decimal.Decimal("9" * 38), "b": b"\x00\xff", "t": True, "none": None,
        "set": {"x", "y"}, "numbers": {decimal.Decimal(1), decimal.Decimal("2.5")}, "list": [decimal.Decimal(1), {"deep": ["er"]}],
    }
    leases.put_item(Item=item)
    got = leases.get_item(Key={"leaseKey": "a"}, ConsistentRead=True)["Item"]
    got["b"] = got["b"].value
    assert got == item
    part = leases.get_item(Key={"leaseKey": "a"}, ProjectionExpression="#l[1].deep, n", ExpressionAttributeNames={"#l": "list"})
    assert part["Item"] == {"n": decimal.Decimal("-1.5"), "list": [{"deep": ["er"]}]}
    assert "Item" not in leases.get_item(Key={"leaseKey": "b"})
    assert leases.delete_item(Key={"leaseKey": "a"}, ReturnValues="ALL_OLD")["Attributes"]["n"] == decimal.Decimal("-1.5")


def test_conditions(leases):
    leases.put_item(Item={"leaseKey": "a", "leaseCounter": 1}, ConditionExpression=Attr("leaseKey").not_exists())
    again = {"Item": {"leaseKey": "a"}, "ConditionExpression": Attr("leaseKey").not_exists()}
    assert code(leases.put_item, **again) == "ConditionalCheckFailedException"
    out = leases.update_item(
        Key={"leaseKey": "a"}, UpdateExpression="SET leaseCounter = leaseCounter + :one, seen = list_append(if_not_exists(seen, :none), :w)",
        ConditionExpression=Attr("leaseCounter").between(1, 2) & ~Attr("leaseOwner").exists(),
        ExpressionAttributeValues={":one": 1, ":none": [], ":w": ["w1"]}, ReturnValues="UPDATED_NEW",
    )
    assert out["Attributes"] == {"leaseCounter": 2, "seen": ["w1"]}
    # As consumers of the first version say it.
    client, key = leases.meta.client, {"leaseKey": "a"}
    renew = {
        "TableName": leases.name, "Key": key, "Expected": {"leaseCounter": {"Value": 2}},
        "AttributeUpdates": {"leaseCounter": {"Value": 3, "Action": "PUT"}, "leaseOwner": {"Value": "w1"}, "seen": {"Action": "DELETE"}},
    }
    assert client.update_item(**renew, ReturnValues="ALL_NEW")["Attributes"] == {"leaseKey": "a", "leaseCounter": 3, "leaseOwner": "w1"}
    assert code(client.update_item, **renew) == "ConditionalCheckFailedException"
    assert code(leases.update_item, Key=key, UpdateExpression="SET a = = :v", ExpressionAttributeValues={":v": 1}) == "ValidationException"


def test_searches(leases):
    with leases.batch_writer() as batch:
        for i in range(60):
            batch.put_item(Item={"leaseKey": f"shard-{i:02}", "leaseOwner": f"w{i % 3}", "n": i})
    pages = leases.meta.client.get_paginator("scan").paginate(TableName=leases.name, PaginationConfig={"PageSize": 7})
    assert len({item["leaseKey"] for page in pages for item in page["Items"]}) == 60
    segments = [leases.scan(Segment=i, TotalSegments=4)["Items"] for i in range(4)]
    assert sorted(item["n"] for segment in segments for item in segment) == list(range(60))
    filtered = leases.scan(FilterExpression=Attr("n").lt(5) | Attr("n").is_in([50]))
    assert (filtered["Count"], filtered["ScannedCount"]) == (6, 60)
    mine = leases.query(
        IndexName="LeaseOwnerToLeaseKeyIndex", KeyConditionExpression=Key("leaseOwner").eq("w1") & Key("leaseKey").begins_with("shard-1"),
        ScanIndexForward=False,
    )
    assert [item["leaseKey"] for item in mine["Items"]] == ["shard-19", "shard-16", "shard-13", "shard-10"]
    assert leases.meta.client.describe_table(TableName=leases.name)["Table"]["ItemCount"] == 60


def test_increments_add_up(leases):
    leases.put_item(Item={"leaseKey": "n", "v": 0})

    def raise_it():
        for _ in range(20):
            leases.update_item(Key={"leaseKey": "n"}, UpdateExpression="ADD v :one", ExpressionAttributeValues={":one": 1})

    threads = [threading.Thread(target=raise_it) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert leases.get_item(Key={"leaseKey": "n"})["Item"]["v"] == 80


def test_transactions(leases):
    client = leases.meta.client
    put = {"TableName": leases.name, "Item": {"leaseKey": "t"}, "ConditionExpression": "attribute_not_exists(leaseKey)"}
    client.transact_write_items(TransactItems=[{"Put": put}])
    with pytest.raises(client.exceptions.TransactionCanceledException) as caught:
        client.transact_write_items(TransactItems=[{"Delete": {"TableName": leases.name, "Key": {"leaseKey": "x"}}}, {"Put": put}])
    assert [r["Code"] for r in caught.value.response["CancellationReasons"]] == ["None", "ConditionalCheckFailed"]


def test_what_is_not_there_is_refused(leases):
    client = leases.meta.client
    assert code(client.describe_table, TableName="no-such-table") == "ResourceNotFoundException"
    assert code(client.execute_statement, Statement="SELECT * FROM x") == "UnknownOperationException"
    backups = {"TableName": leases.name, "PointInTimeRecoverySpecification": {"PointInTimeRecoveryEnabled": True}}
    assert code(client.update_continuous_backups, **backups) == "ContinuousBackupsUnavailableException"


def test_metrics_and_identity(endpoint, environment):
    def client(service):
        return boto3.client(service, endpoint_url=endpoint, region_name=REGION, config=CONFIG)

    who = client("sts").get_caller_identity()
    assert (who["Account"], who["Arn"]) == (ACCOUNT, f"arn:aws:iam::{ACCOUNT}:root")
    cloudwatch = client("cloudwatch")
    now = datetime.datetime.now(datetime.timezone.utc)
    dimensions = [{"Name": "Operation", "Value": "ProcessTask"}]
    data = [{"MetricName": f"m{i}", "Dimensions": dimensions, "Timestamp": now, "Values": [1.0, 2.0], "Counts": [1, 3]} for i in range(200)]
    cloudwatch.put_metric_data(Namespace="Arena", MetricData=data)
    old = [{"MetricName": "m", "Value": 1, "Timestamp": datetime.datetime(2020, 1, 1)}]
    assert code(cloudwatch.put_metric_data, Namespace="Arena", MetricData=old).startswith("InvalidParameterValue")
