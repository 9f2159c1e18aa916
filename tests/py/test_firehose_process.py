"""What delivery streams do to records on their way, with boto3: partition keys by jq, a
function behind Lambda's protocol, and Parquet by a table of the Data Catalog, read by
Apache Arrow and DuckDB."""

import base64
import datetime
import http.server
import io
import json
import threading
import urllib.request
import uuid

import boto3
import botocore.config
import botocore.exceptions
import duckdb
import pyarrow.parquet
import pytest
from conftest import REGION, serve

ROLE = "arn:aws:iam::000000000000:role/firehose"
ARN = f"arn:aws:lambda:{REGION}:000000000000:function:shout"


class Function(http.server.BaseHTTPRequestHandler):
    """Answers as the runtime interface emulator does: capitals, and a key of its own."""

    calls = []

    def do_POST(self):
        event = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        Function.calls.append((self.path, event))
        answer = []
        for record in event["records"]:
            move = json.loads(base64.b64decode(record["data"]))
            if move["player"] == "nobody":
                answer.append({"recordId": record["recordId"], "result": "Dropped"})
                continue
            if move["player"] == "cheat":
                answer.append({"recordId": record["recordId"], "result": "ProcessingFailed"})
                continue
            move["player"] = move["player"].upper()
            data = base64.b64encode(json.dumps(move).encode()).decode()
            metadata = {"partitionKeys": {"first": move["player"][0]}}
            answer.append({"recordId": record["recordId"], "result": "Ok", "data": data, "metadata": metadata})
        body = json.dumps({"records": answer}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def function():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Function)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="module")
def server(tmp_path_factory, environment, function):
    with serve(tmp_path_factory.mktemp("process"), "--test-aids", "--lambda", f"shout={function}") as url:
        yield url


def make(server, service):
    config = botocore.config.Config(retries={"total_max_attempts": 1}, read_timeout=20)
    return boto3.client(service, endpoint_url=server, region_name=REGION, config=config)


@pytest.fixture(scope="module")
def aws(server):
    class Clients:
        firehose, s3, glue = make(server, "firehose"), make(server, "s3"), make(server, "glue")

    return Clients


@pytest.fixture
def name():
    return "py-" + uuid.uuid4().hex[:12]


def delivered(server, aws, name, records, **destination):
    """The objects that the records come to, by key."""
    aws.s3.create_bucket(Bucket=name)
    aws.firehose.create_delivery_stream(
        DeliveryStreamName=name,
        ExtendedS3DestinationConfiguration={"RoleARN": ROLE, "BucketARN": "arn:aws:s3:::" + name, **destination},
    )
    batch = [{"Data": r if isinstance(r, bytes) else json.dumps(r).encode()} for r in records]
    assert aws.firehose.put_record_batch(DeliveryStreamName=name, Records=batch)["FailedPutCount"] == 0
    request = urllib.request.Request(f"{server}/_thalweg/firehose/{name}/flush", method="POST")
    urllib.request.urlopen(request, timeout=20).close()
    keys = [o["Key"] for o in aws.s3.list_objects_v2(Bucket=name).get("Contents", [])]
    return {k: aws.s3.get_object(Bucket=name, Key=k)["Body"].read() for k in keys}


def processors(**kinds):
    return {
        "Enabled": True,
        "Processors": [
            {"Type": kind, "Parameters": [{"ParameterName": n, "ParameterValue": v} for n, v in parameters.items()]}
            for kind, parameters in kinds.items()
        ],
    }


def one(objects, prefix):
    found = [v for k, v in objects.items() if k.startswith(prefix)]
    assert len(found) == 1, sorted(objects)
    return found[0]


def test_partition_keys(server, aws, name):
    got = delivered(
        server, aws, name,
        [b'{"player":"ada","game":{"id":7}}{"player":"bob","game":{"id":8}}', {"player": "ada", "game": {"id": 7}}, {"player": "eve"}],
        Prefix="p=!{partitionKeyFromQuery:player}/g=!{partitionKeyFromQuery:game}/",
        ErrorOutputPrefix="bad/!{firehose:error-output-type}/",
        DynamicPartitioningConfiguration={"Enabled": True},
        ProcessingConfiguration=processors(
            RecordDeAggregation={"SubRecordType": "JSON"},
            MetadataExtraction={"MetadataExtractionQuery": "{player:.player,game:.game.id}", "JsonParsingEngine": "JQ-1.6"},
            AppendDelimiterToRecord={"Delimiter": "\\n"},
        ),
    )
    assert len(got) == 3
    assert one(got, "p=ada/g=7/") == b'{"player":"ada","game":{"id":7}}\n{"player": "ada", "game": {"id": 7}}\n'
    assert one(got, "p=bob/g=8/") == b'{"player":"bob","game":{"id":8}}\n'
    bad = json.loads(one(got, "bad/metadata-extraction-failed/"))
    assert bad["errorCode"] == "DynamicPartitioning.MetadataExtractionFailed"
    assert bad["errorMessage"] == "partitionKeys values must not be null or empty"
    assert json.loads(base64.b64decode(bad["rawData"])) == {"player": "eve"}


def test_function(server, aws, name):
    Function.calls.clear()
    got = delivered(
        server, aws, name, [{"player": p} for p in ["ada", "nobody", "bob", "cheat"]],
        Prefix="f=!{partitionKeyFromLambda:first}/",
        ErrorOutputPrefix="bad/!{firehose:error-output-type}/",
        DynamicPartitioningConfiguration={"Enabled": True},
        ProcessingConfiguration=processors(Lambda={"LambdaArn": ARN}),
    )
    assert len(got) == 3
    assert one(got, "f=A/") == b'{"player": "ADA"}'
    assert one(got, "f=B/") == b'{"player": "BOB"}'
    bad = json.loads(one(got, "bad/processing-failed/"))
    assert (bad["errorCode"], bad["lambdaArn"], bad["attemptsMade"]) == ("Lambda.ProcessingFailedStatus", ARN, 1)
    [(path, event)] = Function.calls
    assert path == "/2015-03-31/functions/function/invocations"
    assert event["deliveryStreamArn"].endswith(":deliverystream/" + name) and len(event["records"]) == 4


def test_parquet(server, aws, name):
    aws.glue.create_database(DatabaseInput={"Name": "game"})
    aws.glue.create_table(
        DatabaseName="game",
        TableInput={
            "Name": "moves",
            "StorageDescriptor": {
                "Columns": [
                    {"Name": "player", "Type": "string"}, {"Name": "score", "Type": "decimal(8,2)"},
                    {"Name": "at", "Type": "timestamp"}, {"Name": "path", "Type": "array<struct<x:int,y:int>>"},
                ],
            },
        },
    )
    with pytest.raises(aws.glue.exceptions.AlreadyExistsException):
        aws.glue.create_table(DatabaseName="game", TableInput={"Name": "Moves"})
    got = delivered(
        server, aws, name,
        [
            {"player": "ada", "score": 1.5, "at": "2026-11-25 12:00:00", "path": [{"x": 1}, {"y": 2}]},
            {"player": "bob", "score": "many"},
            b"no json",
            {"player": "eve", "at": 1795608000},
        ],
        Prefix="moves/",
        DataFormatConversionConfiguration={
            "SchemaConfiguration": {"RoleARN": ROLE, "DatabaseName": "game", "TableName": "moves", "Region": REGION, "VersionId": "LATEST"},
            "InputFormatConfiguration": {"Deserializer": {"OpenXJsonSerDe": {}}},
            "OutputFormatConfiguration": {"Serializer": {"ParquetSerDe": {}}},
        },
    )
    assert len(got) == 2
    [key] = [k for k in got if k.endswith(".parquet")]
    noon = datetime.datetime(2026, 11, 25, 12)
    table = pyarrow.parquet.read_table(io.BytesIO(got[key]))
    assert [r["player"] for r in table.to_pylist()] == ["ada", "eve"]
    assert [r["at"].replace(tzinfo=None) for r in table.to_pylist()] == [noon, noon]
    with duckdb.connect() as db:
        moves = db.from_arrow(table)
        assert moves.filter("player = 'ada'").project("score::varchar, path[2].y").fetchall() == [("1.50", 2)]
    lines = [json.loads(line) for line in one(got, "moves/format-conversion-failed/").splitlines()]
    assert [line["lastErrorCode"] for line in lines] == ["DataFormatConversion.MalformedData", "DataFormatConversion.ParseError"]
    assert lines[0]["dataCatalogTable"]["tableName"] == "moves"
    assert base64.b64decode(lines[1]["rawData"]) == b"no json"


def test_refused(aws, name):
    with pytest.raises(aws.firehose.exceptions.InvalidArgumentException, match="now/0 is not supported"):
        aws.firehose.create_delivery_stream(
            DeliveryStreamName=name,
            ExtendedS3DestinationConfiguration={
                "RoleARN": ROLE, "BucketARN": "arn:aws:s3:::" + name, "Prefix": "!{partitionKeyFromQuery:a}/",
                "ErrorOutputPrefix": "!{firehose:error-output-type}/", "DynamicPartitioningConfiguration": {"Enabled": True},
                "ProcessingConfiguration": processors(MetadataExtraction={"MetadataExtractionQuery": "{a:now}", "JsonParsingEngine": "JQ-1.6"}),
            },
        )
    with pytest.raises(botocore.exceptions.ClientError) as refused:
        aws.glue.get_partitions(DatabaseName="game", TableName="moves")
    assert refused.value.response["Error"]["Code"] == "UnknownOperationException"
