"""Starts the real server once a session and hands out clients of it.

The server is $THALWEG_ENDPOINT if set, else the binary $THALWEG_BIN, else one
built from this repository.
"""

import contextlib
import json
import os
import pathlib
import signal
import subprocess
import time
import uuid

import boto3
import botocore.config
import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
REGION = "us-east-1"
ACCOUNT = "000000000000"


def binary(directory):
    if os.environ.get("THALWEG_BIN"):
        return os.environ["THALWEG_BIN"]
    path = directory / "thalweg"
    subprocess.run(
        ["go", "build", "-o", str(path), "./cmd/thalweg"],
        cwd=ROOT,
        env={**os.environ, "CGO_ENABLED": "0"},
        check=True,
    )
    return str(path)


def _await_ready(process, path, log):
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            ready = json.loads(path.read_text())
            break
        except (FileNotFoundError, json.JSONDecodeError):
            if process.poll() is not None:
                raise RuntimeError("the server ended at once:\n" + log.read_text()) from None
            time.sleep(0.005)
    else:
        process.kill()
        raise RuntimeError("no ready file after 60 s:\n" + log.read_text())
    address = ready["http"]
    return address if "://" in address else "http://" + address


@contextlib.contextmanager
def serve(directory, *flags):
    """A server of its own with a data directory; its base URL."""
    ready, log = directory / "ready.json", directory / "log"
    command = [binary(directory), "serve", "--listen", "127.0.0.1:0", "--listen-tls", "127.0.0.1:0",
               "--listen-kafka", "127.0.0.1:0"]
    command += ["--ready-file", str(ready), "--data", str(directory / "data"), *flags]
    with log.open("wb") as out:
        process = subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT)
    try:
        yield _await_ready(process, ready, log)
    finally:
        process.send_signal(signal.SIGTERM)
        code = process.wait(30)
    assert code == 0, "the server left with exit code %d:\n%s" % (code, log.read_text())


@pytest.fixture(scope="session")
def endpoint(tmp_path_factory):
    """The base URL of a running server."""
    if os.environ.get("THALWEG_ENDPOINT"):
        yield os.environ["THALWEG_ENDPOINT"]
        return
    with serve(tmp_path_factory.mktemp("server")) as url:
        yield url


@pytest.fixture(scope="session")
def environment():
    """Credentials and region, and nothing of the user's own configuration."""
    values = {
        "AWS_ACCESS_KEY_ID": ACCOUNT,
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": REGION,
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_PAGER": "",
    }
    os.environ.pop("AWS_PROFILE", None)
    os.environ.update(values)
    return dict(os.environ)


def client(endpoint):
    """A boto3 client that reports the first failure."""
    config = botocore.config.Config(retries={"total_max_attempts": 1}, read_timeout=20)
    return boto3.client("kinesis", endpoint_url=endpoint, region_name=REGION, config=config)


@pytest.fixture(scope="session")
def kinesis(endpoint, environment):
    return client(endpoint)


@pytest.fixture
def name():
    """A stream name of its own."""
    return "py-" + uuid.uuid4().hex[:12]


@pytest.fixture
def stream(kinesis, name):
    """An active stream of two shards, deleted afterwards."""
    kinesis.create_stream(StreamName=name, ShardCount=2)
    kinesis.get_waiter("stream_exists").wait(StreamName=name, WaiterConfig={"Delay": 1, "MaxAttempts": 30})
    yield name
    kinesis.delete_stream(StreamName=name)
