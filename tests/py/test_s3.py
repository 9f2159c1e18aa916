"""Buckets and objects with boto3 and the AWS CLI, credentials verified by nobody."""

import hashlib
import json
import os
import pathlib
import subprocess
import sys
import urllib.request

import boto3
import botocore.config
import botocore.exceptions
import pytest
from boto3.s3.transfer import TransferConfig
from conftest import REGION

AWS = pathlib.Path(sys.executable).parent / "aws"
LARGE = os.urandom(1 << 20) * 20


@pytest.fixture(scope="session")
def s3(endpoint, environment):
    config = botocore.config.Config(retries={"total_max_attempts": 1}, read_timeout=20, signature_version="s3v4")
    return boto3.client("s3", endpoint_url=endpoint, region_name=REGION, config=config)


@pytest.fixture
def bucket(s3, request):
    name = "py-" + hashlib.sha256(request.node.name.encode()).hexdigest()[:16]
    s3.create_bucket(Bucket=name)
    return name


@pytest.fixture
def aws(endpoint, environment):
    def run(*arguments, ok=True):
        done = subprocess.run([sys.executable, str(AWS), "--endpoint-url", endpoint, *map(str, arguments)], env=environment,
                              capture_output=True, text=True, timeout=60)
        assert (done.returncode == 0) == ok, done.stdout + done.stderr
        return done.stdout if ok else done.stderr

    return run


def code(error):
    return error.value.response["Error"]["Code"]


def test_put_and_get(s3, bucket):
    put = s3.put_object(Bucket=bucket, Key="a/b c+d%\u00e9", Body=b"hello", ContentType="text/plain", Metadata={"some-thing": "value"})
    assert put["ETag"] == '"5d41402abc4b2a76b9719d911017c592"'
    got = s3.get_object(Bucket=bucket, Key="a/b c+d%\u00e9", ChecksumMode="ENABLED")
    assert got["Body"].read() == b"hello"
    assert (got["ContentType"], got["Metadata"], got["ContentLength"]) == ("text/plain", {"some-thing": "value"}, 5)
    assert s3.get_object(Bucket=bucket, Key="a/b c+d%\u00e9", Range="bytes=1-3")["Body"].read() == b"ell"
    head = s3.head_object(Bucket=bucket, Key="a/b c+d%\u00e9")
    assert head["ETag"] == put["ETag"]
    with pytest.raises(s3.exceptions.NoSuchKey):
        s3.get_object(Bucket=bucket, Key="none")
    with pytest.raises(botocore.exceptions.ClientError) as error:
        s3.head_object(Bucket=bucket, Key="none")
    assert code(error) == "404"


@pytest.mark.parametrize("algorithm", ["CRC32", "SHA1", "SHA256"])
def test_checksums(s3, bucket, algorithm):
    put = s3.put_object(Bucket=bucket, Key="k", Body=b"hello world", ChecksumAlgorithm=algorithm)
    got = s3.get_object(Bucket=bucket, Key="k", ChecksumMode="ENABLED")
    assert got["Body"].read() == b"hello world"
    assert got["Checksum" + algorithm] == put["Checksum" + algorithm]
    with pytest.raises(botocore.exceptions.ClientError) as error:
        s3.put_object(Bucket=bucket, Key="k", Body=b"other", **{"Checksum" + algorithm: put["Checksum" + algorithm]})
    assert code(error) == "BadDigest"


def test_conditions(s3, bucket):
    s3.put_object(Bucket=bucket, Key="k", Body=b"one", IfNoneMatch="*")
    for condition in [{"IfNoneMatch": "*"}, {"IfMatch": '"x"'}]:
        with pytest.raises(botocore.exceptions.ClientError) as error:
            s3.put_object(Bucket=bucket, Key="k", Body=b"two", **condition)
        assert code(error) == "PreconditionFailed"
    tag = s3.head_object(Bucket=bucket, Key="k")["ETag"]
    s3.put_object(Bucket=bucket, Key="k", Body=b"two", IfMatch=tag)
    with pytest.raises(botocore.exceptions.ClientError) as error:
        s3.get_object(Bucket=bucket, Key="k", IfMatch=tag)
    assert code(error) == "PreconditionFailed"


def test_lists(s3, bucket):
    keys = sorted(["a", "b/1", "b/2", "b/c/3", "d e", "\u00e9", "&<>"] + ["n/%04d" % n for n in range(250)])
    for key in keys:
        s3.put_object(Bucket=bucket, Key=key, Body=b"x")
    for name in ["list_objects_v2", "list_objects"]:
        pages = s3.get_paginator(name).paginate(Bucket=bucket, PaginationConfig={"PageSize": 100})
        assert [o["Key"] for page in pages for o in page.get("Contents", [])] == keys
        top = s3.get_paginator(name).paginate(Bucket=bucket, Delimiter="/", PaginationConfig={"PageSize": 2})
        found = [(o["Key"] for o in page.get("Contents", [])) for page in top]
        assert [k for page in found for k in page] == [k for k in keys if "/" not in k]
    answer = s3.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": k} for k in keys[:200]]})
    assert len(answer["Deleted"]) == 200 and "Errors" not in answer
    left = s3.list_objects_v2(Bucket=bucket)
    assert [o["Key"] for o in left["Contents"]] == keys[200:]


def test_transfers(s3, bucket, tmp_path):
    (tmp_path / "in").write_bytes(LARGE)
    s3.upload_file(str(tmp_path / "in"), bucket, "large", Config=TransferConfig(multipart_threshold=6 << 20, multipart_chunksize=6 << 20))
    assert s3.head_object(Bucket=bucket, Key="large")["ETag"].endswith('-4"')
    s3.copy({"Bucket": bucket, "Key": "large"}, bucket, "copy", Config=TransferConfig(multipart_threshold=6 << 20, multipart_chunksize=6 << 20))
    s3.download_file(bucket, "copy", str(tmp_path / "out"))
    assert (tmp_path / "out").read_bytes() == LARGE


def test_uploads(s3, bucket):
    upload = s3.create_multipart_upload(Bucket=bucket, Key="k", ChecksumAlgorithm="CRC32")["UploadId"]
    part = s3.upload_part(Bucket=bucket, Key="k", UploadId=upload, PartNumber=2, Body=b"x", ChecksumAlgorithm="CRC32")
    assert [p["PartNumber"] for p in s3.list_parts(Bucket=bucket, Key="k", UploadId=upload)["Parts"]] == [2]
    assert [u["UploadId"] for u in s3.list_multipart_uploads(Bucket=bucket)["Uploads"]] == [upload]
    with pytest.raises(botocore.exceptions.ClientError) as error:
        s3.complete_multipart_upload(Bucket=bucket, Key="k", UploadId=upload, MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]})
    assert code(error) == "InvalidPart"
    s3.abort_multipart_upload(Bucket=bucket, Key="k", UploadId=upload)
    with pytest.raises(s3.exceptions.NoSuchUpload):
        s3.list_parts(Bucket=bucket, Key="k", UploadId=upload)


def test_presigned(s3, bucket):
    url = s3.generate_presigned_url("put_object", {"Bucket": bucket, "Key": "k"})
    with urllib.request.urlopen(urllib.request.Request(url, data=b"hello", method="PUT"), timeout=20) as answer:
        assert answer.status == 200
    url = s3.generate_presigned_url("get_object", {"Bucket": bucket, "Key": "k", "ResponseContentType": "text/x"})
    got = subprocess.run(["curl", "-sS", "-i", url], capture_output=True, text=True, timeout=20, check=True).stdout
    assert got.startswith("HTTP/1.1 200") and "Content-Type: text/x" in got and got.endswith("hello")


def test_buckets(s3, bucket):
    assert bucket in [b["Name"] for b in s3.list_buckets()["Buckets"]]
    assert s3.head_bucket(Bucket=bucket)["BucketRegion"] == REGION
    assert s3.get_bucket_location(Bucket=bucket).get("LocationConstraint") is None
    s3.put_object(Bucket=bucket, Key="k", Body=b"")
    with pytest.raises(botocore.exceptions.ClientError) as error:
        s3.delete_bucket(Bucket=bucket)
    assert code(error) == "BucketNotEmpty"
    for call in [s3.get_bucket_acl, s3.get_bucket_policy, s3.get_bucket_versioning, s3.list_object_versions]:
        with pytest.raises(botocore.exceptions.ClientError) as error:
            call(Bucket=bucket)
        assert code(error) == "NotImplemented"
    s3.delete_object(Bucket=bucket, Key="k")
    s3.delete_bucket(Bucket=bucket)
    with pytest.raises(botocore.exceptions.ClientError) as error:
        s3.head_bucket(Bucket=bucket)
    assert code(error) == "404"


def test_cli(aws, tmp_path):
    tree = tmp_path / "tree"
    (tree / "d").mkdir(parents=True)
    (tree / "a").write_text("a")
    (tree / "d" / "b c+\u00e9").write_text("b")
    (tree / "large").write_bytes(LARGE)
    aws("s3", "mb", "s3://cli-bucket")
    aws("s3", "sync", "--no-progress", tree, "s3://cli-bucket/t")
    assert aws("s3", "sync", "--no-progress", tree, "s3://cli-bucket/t") == ""
    assert "PRE d/" in aws("s3", "ls", "s3://cli-bucket/t/")
    assert len(aws("s3", "ls", "--recursive", "s3://cli-bucket").splitlines()) == 3
    aws("s3", "cp", "--no-progress", "s3://cli-bucket/t/large", tmp_path / "large")
    assert (tmp_path / "large").read_bytes() == LARGE
    aws("s3", "mv", "--no-progress", "s3://cli-bucket/t/a", "s3://cli-bucket/moved")
    aws("s3", "sync", "--no-progress", "--delete", "s3://cli-bucket", tmp_path / "back")
    assert sorted(str(p.relative_to(tmp_path / "back")) for p in (tmp_path / "back").rglob("*") if p.is_file()) == ["moved", "t/d/b c+\u00e9", "t/large"]
    head = json.loads(aws("s3api", "head-object", "--bucket", "cli-bucket", "--key", "moved"))
    assert head["ContentLength"] == 1
    assert "BucketNotEmpty" in aws("s3", "rb", "s3://cli-bucket", ok=False)
    aws("s3", "rm", "--recursive", "s3://cli-bucket")
    aws("s3", "rb", "s3://cli-bucket")
    assert "NoSuchBucket" in aws("s3", "ls", "s3://cli-bucket", ok=False)
