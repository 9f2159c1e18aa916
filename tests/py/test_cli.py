"""The core operations of Kinesis Data Streams with the AWS CLI."""

import base64
import json
import os
import subprocess
import sys

import pytest


@pytest.fixture
def aws(endpoint, environment):
    """Runs `aws kinesis ...` and returns what it printed as JSON."""
    program = os.path.join(os.path.dirname(sys.executable), "aws")

    def run(*arguments, code=0):
        command = [program, "--endpoint-url", endpoint, "--output", "json", "kinesis", *arguments]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == code, f"{arguments}: exit code {done.returncode}\n{done.stdout}{done.stderr}"
        if code:
            return done.stderr
        return json.loads(done.stdout) if done.stdout.strip() else None

    return run


def test_a_stream_from_the_shell(aws, name):
    assert aws("create-stream", "--stream-name", name, "--shard-count", "1") is None
    aws("wait", "stream-exists", "--stream-name", name)
    assert name in aws("list-streams")["StreamNames"]
    summary = aws("describe-stream-summary", "--stream-name", name)["StreamDescriptionSummary"]
    assert (summary["StreamStatus"], summary["OpenShardCount"]) == ("ACTIVE", 1)

    # Version 1 of the CLI takes blobs as they are and prints them in base64.
    first = aws("put-record", "--stream-name", name, "--partition-key", "k", "--data", "hello \u4e16\u754c")
    entries = json.dumps([{"PartitionKey": f"k{i}", "Data": str(i)} for i in range(3)])
    assert aws("put-records", "--stream-name", name, "--records", entries)["FailedRecordCount"] == 0

    iterator = aws(
        "get-shard-iterator", "--stream-name", name, "--shard-id", first["ShardId"],
        "--shard-iterator-type", "AT_SEQUENCE_NUMBER", "--starting-sequence-number", first["SequenceNumber"],
    )["ShardIterator"]
    page = aws("get-records", "--shard-iterator", iterator, "--limit", "10")
    got = [base64.b64decode(r["Data"]).decode() for r in page["Records"]]
    assert got == ["hello \u4e16\u754c", "0", "1", "2"]

    aws("add-tags-to-stream", "--stream-name", name, "--tags", "team=blue,tier=1")
    tags = aws("list-tags-for-stream", "--stream-name", name)["Tags"]
    assert tags == [{"Key": "team", "Value": "blue"}, {"Key": "tier", "Value": "1"}]
    aws("increase-stream-retention-period", "--stream-name", name, "--retention-period-hours", "48")
    shards = aws("list-shards", "--stream-name", name)["Shards"]
    assert [s["ShardId"] for s in shards] == ["shardId-000000000000"]

    aws("delete-stream", "--stream-name", name)
    aws("wait", "stream-not-exists", "--stream-name", name)
    said = aws("describe-stream", "--stream-name", name, code=255)
    assert "ResourceNotFoundException" in said
    assert f"Stream {name} under account" in said


def test_reshard_from_the_shell(aws, name):
    aws("create-stream", "--stream-name", name, "--shard-count", "2")
    assert aws("split-shard", "--stream-name", name, "--shard-to-split", "shardId-000000000000",
               "--new-starting-hash-key", "5") is None
    assert aws("merge-shards", "--stream-name", name, "--shard-to-merge", "shardId-000000000002",
               "--adjacent-shard-to-merge", "shardId-000000000003") is None
    scaled = aws("update-shard-count", "--stream-name", name, "--target-shard-count", "4", "--scaling-type", "UNIFORM_SCALING")
    assert scaled["CurrentShardCount"] == 2
    shards = aws("list-shards", "--stream-name", name, "--shard-filter", "Type=AT_LATEST")["Shards"]
    assert len(shards) == 4 and all("ParentShardId" in s for s in shards)
    aws("delete-stream", "--stream-name", name)
