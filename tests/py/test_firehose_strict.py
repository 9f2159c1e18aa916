"""Every kind of delivery stream with boto3, of a server that verifies signatures."""

import json
import subprocess
import time

import boto3
import botocore.config
import botocore.exceptions
import pytest
from conftest import ACCOUNT, REGION, binary, serve

ROLE = f"arn:aws:iam::{ACCOUNT}:role/firehose"
BUCKET = {"RoleARN": ROLE, "BucketARN": "arn:aws:s3:::landing"}
KINDS = {
    "S3": ("S3", BUCKET),
    "ExtendedS3": ("ExtendedS3", {**BUCKET, "CompressionFormat": "GZIP"}),
    "HttpEndpoint": ("HttpEndpoint", {"EndpointConfiguration": {"Url": "https://example.com/in", "AccessKey": "hidden"}}),
    "Redshift": ("Redshift", {
        "RoleARN": ROLE, "ClusterJDBCURL": "jdbc:postgresql://127.0.0.1:5432/game", "Username": "u", "Password": "Hidden123",
        "CopyCommand": {"DataTableName": "events", "CopyOptions": "json 'auto'"},
    }),
    "Elasticsearch": ("Elasticsearch", {"RoleARN": ROLE, "IndexName": "events", "ClusterEndpoint": "https://example.com"}),
    "AmazonopensearchService": ("Amazonopensearchservice", {"RoleARN": ROLE, "IndexName": "events", "ClusterEndpoint": "https://example.com"}),
    "AmazonOpenSearchServerless": ("AmazonOpenSearchServerless", {"RoleARN": ROLE, "IndexName": "events", "CollectionEndpoint": "https://example.com"}),
    "Iceberg": ("Iceberg", {
        "RoleARN": ROLE, "CatalogConfiguration": {"CatalogARN": f"arn:aws:glue:{REGION}:{ACCOUNT}:catalog"},
        "DestinationTableConfigurationList": [{"DestinationDatabaseName": "game", "DestinationTableName": "events"}],
    }),
    "Splunk": ("Splunk", {"HECEndpoint": "https://example.com:8088", "HECEndpointType": "Raw", "HECToken": "token"}),
}


@pytest.fixture(scope="module")
def strict(tmp_path_factory, environment):
    directory = tmp_path_factory.mktemp("strict")
    with serve(directory, "--auth", "strict") as url:
        made = subprocess.run(
            [binary(directory), "keys", "create", "--account", ACCOUNT, "--data", str(directory / "data"), "-o", "json"],
            check=True, capture_output=True, timeout=30,
        )
        key = json.loads(made.stdout)
        yield url, key["access_key_id"], key["secret_access_key"]


def client(service, url, access, secret):
    config = botocore.config.Config(retries={"total_max_attempts": 1}, read_timeout=20)
    return boto3.client(service, endpoint_url=url, region_name=REGION, config=config, aws_access_key_id=access, aws_secret_access_key=secret)


@pytest.mark.parametrize("kind", KINDS)
def test_kind(strict, kind):
    member, config = KINDS[kind]
    firehose = client("firehose", *strict)
    if kind not in ("S3", "ExtendedS3"):
        config = {**config, "S3Configuration": BUCKET}
    firehose.create_delivery_stream(DeliveryStreamName=kind, **{member + "DestinationConfiguration": config})
    described = firehose.describe_delivery_stream(DeliveryStreamName=kind)["DeliveryStreamDescription"]
    assert (described["DeliveryStreamStatus"], described["VersionId"]) == ("ACTIVE", "1")
    [destination] = described["Destinations"]
    assert member + "DestinationDescription" in destination
    assert "idden" not in json.dumps(destination)

    change = {"BufferingHints": {"SizeInMBs": 2, "IntervalInSeconds": 55}}
    if kind == "Redshift":
        change = {"S3Update": change}
    firehose.update_destination(
        DeliveryStreamName=kind, CurrentDeliveryStreamVersionId="1", DestinationId=destination["DestinationId"],
        **{member + "DestinationUpdate": change},
    )
    described = firehose.describe_delivery_stream(DeliveryStreamName=kind)["DeliveryStreamDescription"]
    now = described["Destinations"][0][member + "DestinationDescription"]
    assert described["VersionId"] == "2"
    assert now.get("BufferingHints", now.get("S3DestinationDescription", {}).get("BufferingHints")) == {"SizeInMBs": 2, "IntervalInSeconds": 55}

    assert firehose.put_record(DeliveryStreamName=kind, Record={"Data": b"{}"})["RecordId"]
    answer = firehose.put_record_batch(DeliveryStreamName=kind, Records=[{"Data": b"{}"}, {"Data": b""}])
    assert answer["FailedPutCount"] == 0 and len(answer["RequestResponses"]) == 2
    assert kind in firehose.list_delivery_streams(Limit=100)["DeliveryStreamNames"]

    url, access, secret = strict
    for stranger, code in [((access, secret[::-1]), "InvalidSignatureException"), ((ACCOUNT, "test"), "UnrecognizedClientException")]:
        with pytest.raises(botocore.exceptions.ClientError) as refused:
            client("firehose", url, *stranger).put_record(DeliveryStreamName=kind, Record={"Data": b"{}"})
        assert refused.value.response["Error"]["Code"] == code

    firehose.delete_delivery_stream(DeliveryStreamName=kind, AllowForceDelete=True)
    for _ in range(1000):
        try:
            firehose.describe_delivery_stream(DeliveryStreamName=kind)
        except firehose.exceptions.ResourceNotFoundException:
            return
        time.sleep(0.01)
    raise AssertionError("it is still there")
