"""AWS's limits and injected faults, as boto3 meets them on a server of its own.

The server's clock runs on while a test does, so where a limit is on calls the
test calls until it is refused; recovery is had by moving the clock.
"""

import json
import urllib.request

import botocore.exceptions
import pytest

from conftest import ACCOUNT, client, serve

MIB = 1 << 20
SHARD_TEXT = "Rate exceeded for shard shardId-000000000000 in stream %s under account " + ACCOUNT + "."


@pytest.fixture(scope="module")
def limited(tmp_path_factory, environment):
    """The base URL of a server with AWS's limits and test aids."""
    with serve(tmp_path_factory.mktemp("limited"), "--limits", "aws", "--test-aids") as url:
        yield url


@pytest.fixture
def kinesis(limited):
    yield client(limited)
    aid(limited, "DELETE", "faults")


def aid(limited, method, name, body=None):
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(f"{limited}/_thalweg/{name}", data=data, method=method)
    with urllib.request.urlopen(request, timeout=20) as answer:
        return json.load(answer)


def advance(limited, by):
    aid(limited, "POST", "clock", {"advance": by})


@pytest.fixture
def stream(limited, kinesis, name):
    advance(limited, "10s")  # whatever other tests used up is back
    kinesis.create_stream(StreamName=name, ShardCount=1)
    return name


def refusal(most, call, **arguments):
    """What refuses a call in the end, and how often it was let through before."""
    for n in range(most):
        try:
            call(**arguments)
        except botocore.exceptions.ClientError as error:
            assert error.response["ResponseMetadata"]["HTTPStatusCode"] == 400
            return n, error.response["Error"]
    pytest.fail(f"{most} calls in a row were let through")


def read(kinesis, stream):
    iterator = kinesis.get_shard_iterator(
        StreamName=stream, ShardId="shardId-000000000000", ShardIteratorType="TRIM_HORIZON"
    )["ShardIterator"]
    return [r["Data"].rstrip(b".") for r in kinesis.get_records(ShardIterator=iterator)["Records"]]


def records(n, size):
    return [{"PartitionKey": "k", "Data": str(i).encode().ljust(size, b".")} for i in range(n)]


def test_put_records_fails_in_part(limited, kinesis, stream):
    out = kinesis.put_records(StreamName=stream, Records=records(12, MIB // 4 - 1))
    assert out["ResponseMetadata"]["HTTPStatusCode"] == 200
    assert out["FailedRecordCount"] == 8
    for i, result in enumerate(out["Records"]):
        if i < 4:
            assert result["ShardId"] == "shardId-000000000000" and len(result["SequenceNumber"]) == 56
        else:
            assert result == {
                "ErrorCode": "ProvisionedThroughputExceededException",
                "ErrorMessage": SHARD_TEXT % stream,
            }
    again = [r for r, result in zip(records(12, MIB // 4 - 1), out["Records"]) if "ErrorCode" in result]
    advance(limited, "1s")
    assert kinesis.put_records(StreamName=stream, Records=again[:4])["FailedRecordCount"] == 0
    assert read(kinesis, stream) == [str(i).encode() for i in range(8)]


def test_put_record_and_reads(limited, kinesis, stream):
    _, error = refusal(50, kinesis.put_record, StreamName=stream, PartitionKey="k", Data=b"x" * (MIB // 2))
    assert error == {"Code": "ProvisionedThroughputExceededException", "Message": SHARD_TEXT % stream}
    advance(limited, "1s")
    kinesis.put_record(StreamName=stream, PartitionKey="k", Data=b"x")
    place = {"StreamName": stream, "ShardId": "shardId-000000000000", "ShardIteratorType": "LATEST"}
    let, error = refusal(500, kinesis.get_shard_iterator, **place)
    assert let >= 5
    assert error == {"Code": "ProvisionedThroughputExceededException", "Message": SHARD_TEXT % stream}
    advance(limited, "1s")
    iterator = kinesis.get_shard_iterator(**place)["ShardIterator"]
    let, error = refusal(500, kinesis.get_records, ShardIterator=iterator)
    assert let >= 5
    assert error == {"Code": "ProvisionedThroughputExceededException", "Message": SHARD_TEXT % stream}
    advance(limited, "200ms")
    assert kinesis.get_records(ShardIterator=iterator)["Records"] == []


@pytest.mark.parametrize(
    "call, rate, text",
    [
        ("list_streams", 5, "Rate exceeded for account %s." % ACCOUNT),
        ("describe_limits", 1, "Rate exceeded for account %s." % ACCOUNT),
        ("describe_stream", 10, "Rate exceeded for stream STREAM under account %s." % ACCOUNT),
        ("describe_stream_summary", 20, "Rate exceeded for stream STREAM under account %s." % ACCOUNT),
        ("list_tags_for_stream", 5, "Rate exceeded for stream STREAM under account %s." % ACCOUNT),
    ],
)
def test_calls_have_a_rate(limited, kinesis, stream, call, rate, text):
    arguments = {"StreamName": stream} if "STREAM" in text else {}
    let, error = refusal(2000, getattr(kinesis, call), **arguments)
    assert let >= rate
    assert error == {"Code": "LimitExceededException", "Message": text.replace("STREAM", stream)}
    advance(limited, "1s")
    getattr(kinesis, call)(**arguments)


def test_injected_faults(limited, kinesis, stream):
    aid(limited, "POST", "faults", {"seed": 3, "rules": [
        {"operation": "PutRecords", "stream": stream, "kind": "partial", "error": "InternalFailure", "count": 1},
        {"operation": "PutRecord", "stream": stream, "kind": "error", "error": "KMSThrottlingException", "count": 1},
        {"operation": "PutRecord", "stream": stream, "kind": "reset", "count": 1},
    ]})
    out = kinesis.put_records(StreamName=stream, Records=records(40, 1))
    failed = [r for r in out["Records"] if "ErrorCode" in r]
    assert 0 < len(failed) == out["FailedRecordCount"] < 40
    assert all(r == {"ErrorCode": "InternalFailure", "ErrorMessage": "Internal Service Failure"} for r in failed)
    stored = [str(i).encode() for i, r in enumerate(out["Records"]) if "ErrorCode" not in r]
    assert read(kinesis, stream) == stored
    put = {"StreamName": stream, "PartitionKey": "k", "Data": b"x"}
    _, error = refusal(1, kinesis.put_record, **put)
    assert error["Code"] == "KMSThrottlingException"
    with pytest.raises(botocore.exceptions.ConnectionClosedError):
        kinesis.put_record(**put)
    kinesis.put_record(**put)
    assert read(kinesis, stream) == [*stored, b"x"]
    assert [r["hit"] for r in aid(limited, "GET", "faults")["rules"]] == [1, 1, 1]
