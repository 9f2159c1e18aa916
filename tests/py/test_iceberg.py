"""Tables of the Iceberg REST catalog with PyIceberg, which writes and reads them over S3, and with DuckDB, which reads
the files that PyIceberg's scan names."""

import concurrent.futures
import json
import subprocess

import boto3
import botocore.config
import duckdb
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from conftest import ACCOUNT, REGION, binary, serve
from pyiceberg.catalog import load_catalog
from pyiceberg.exceptions import (
    CommitFailedException,
    ForbiddenError,
    NamespaceAlreadyExistsError,
    NamespaceNotEmptyError,
    NoSuchNamespaceError,
    NoSuchTableError,
    TableAlreadyExistsError,
)
from pyiceberg.partitioning import PartitionField, PartitionSpec
from pyiceberg.schema import Schema
from pyiceberg.transforms import IdentityTransform
from pyiceberg.types import IntegerType, ListType, LongType, NestedField, StringType

WAREHOUSE = "s3://iceberg-warehouse/w"
ROWS = pa.table({"player": ["ada", "ben", "ada"], "score": pa.array([1, 2, 3], pa.int64())})


def connect(endpoint, **more):
    return load_catalog("thalweg", type="rest", uri=endpoint + "/iceberg", warehouse=WAREHOUSE,
                        **{"s3.access-key-id": ACCOUNT, "s3.secret-access-key": "test", **more})


def bucket(endpoint):
    config = botocore.config.Config(retries={"total_max_attempts": 1}, signature_version="s3v4")
    boto3.client("s3", endpoint_url=endpoint, region_name=REGION, config=config).create_bucket(Bucket="iceberg-warehouse")


@pytest.fixture(scope="module")
def catalog(endpoint, environment):
    bucket(endpoint)
    return connect(endpoint)


@pytest.fixture
def space(catalog, request):
    name = request.node.name
    catalog.create_namespace(name, {"owner": "tests"})
    return name


def rows(table, **scan):
    return sorted(zip(*table.scan(**scan).to_arrow().select(["player", "score"]).to_pydict().values(), strict=True))


def test_a_table_is_written_and_read(catalog, space):
    table = catalog.create_table((space, "scores"), ROWS.schema)
    assert table.location() == f"{WAREHOUSE}/{space}/scores"
    for n in range(3):
        table.append(ROWS, snapshot_properties={"thalweg.offset": str(n)})
    assert rows(table) == sorted([("ada", 1), ("ada", 3), ("ben", 2)] * 3)
    again = catalog.load_table((space, "scores"))
    assert [s.summary["thalweg.offset"] for s in again.snapshots()] == ["0", "1", "2"]
    assert rows(again, snapshot_id=again.snapshots()[0].snapshot_id) == [("ada", 1), ("ada", 3), ("ben", 2)]
    again.delete("player = 'ben'")
    again.overwrite(pa.table({"player": ["eve"], "score": pa.array([9], pa.int64())}), overwrite_filter="score = 3")
    assert rows(catalog.load_table((space, "scores"))) == sorted([("ada", 1)] * 3 + [("eve", 9)])


def test_another_engine_reads_it(catalog, space, tmp_path):
    table = catalog.create_table((space, "scores"), ROWS.schema)
    table.append(ROWS)
    table.append(ROWS)
    files = []
    for task in table.scan().plan_files():
        files.append(str(tmp_path / task.file.file_path.rsplit("/", 1)[1]))
        with table.io.new_input(task.file.file_path).open() as source:
            (tmp_path / files[-1]).write_bytes(source.read())
    total = duckdb.sql(f"select player, sum(score)::int s, count(*) n from read_parquet({files!r}) group by player order by player")
    assert total.fetchall() == [("ada", 8, 4), ("ben", 4, 2)]


def test_schema_and_partitions_change(catalog, space):
    schema = Schema(NestedField(1, "player", StringType()), NestedField(2, "score", LongType()),
                    NestedField(3, "tags", ListType(4, StringType(), element_required=False)))
    spec = PartitionSpec(PartitionField(1, 1000, IdentityTransform(), "player"))
    table = catalog.create_table((space, "t"), schema, partition_spec=spec, properties={"a": "1"})
    assert table.spec().fields[0].name == "player" and table.properties["a"] == "1"
    with table.update_schema() as update:
        update.add_column("level", IntegerType())
        update.rename_column("score", "points")
    with table.update_spec() as update:
        update.add_identity("level")
    with table.transaction() as change:
        change.set_properties(b="2")
        change.remove_properties("a")
    table = catalog.load_table((space, "t"))
    assert [f.name for f in table.schema().fields] == ["player", "points", "tags", "level"]
    assert [f.name for f in table.spec().fields] == ["player", "level"]
    assert table.properties == {"b": "2", **{k: v for k, v in table.properties.items() if k.startswith("write.")}}
    assert len(table.metadata.metadata_log) == 3 and len(table.metadata.schemas) == 2


def test_commits_that_meet(catalog, space):
    catalog.create_table((space, "t"), ROWS.schema, properties={"commit.retry.num-retries": "0"})
    first, second = catalog.load_table((space, "t")), catalog.load_table((space, "t"))
    first.append(ROWS)
    with pytest.raises(CommitFailedException):
        second.append(ROWS)
    assert len(rows(catalog.load_table((space, "t")))) == 3


def test_names(catalog, space):
    with pytest.raises(NamespaceAlreadyExistsError):
        catalog.create_namespace(space)
    with pytest.raises(NoSuchNamespaceError):
        catalog.create_table(("none", "t"), ROWS.schema)
    catalog.create_namespace((space, "inner"))
    assert catalog.list_namespaces(space) == [(space, "inner")]
    catalog.create_table((space, "inner", "t"), ROWS.schema)
    with pytest.raises(TableAlreadyExistsError):
        catalog.create_table((space, "inner", "t"), ROWS.schema)
    with pytest.raises(NamespaceNotEmptyError):
        catalog.drop_namespace(space)
    renamed = catalog.rename_table((space, "inner", "t"), (space, "renamed"))
    renamed.append(ROWS)
    assert catalog.list_tables(space) == [(space, "renamed")] and catalog.list_tables((space, "inner")) == []
    assert catalog.table_exists((space, "renamed")) and not catalog.table_exists((space, "inner", "t"))
    place = catalog.load_table((space, "renamed")).metadata_location
    catalog.drop_table((space, "renamed"))
    with pytest.raises(NoSuchTableError):
        catalog.load_table((space, "renamed"))
    assert len(rows(catalog.register_table((space, "back"), place))) == 3
    changed = catalog.update_namespace_properties(space, removals={"owner", "none"}, updates={"new": "1"})
    assert (changed.removed, changed.updated, changed.missing) == (["owner"], ["new"], ["none"])
    assert catalog.load_namespace_properties(space) == {"new": "1"}


def test_a_table_is_staged(catalog, space):
    with catalog.create_table_transaction((space, "t"), ROWS.schema) as change:
        assert not catalog.table_exists((space, "t"))
        with change.update_snapshot().fast_append():
            pass
        change.append(ROWS)
    assert rows(catalog.load_table((space, "t"))) == [("ada", 1), ("ada", 3), ("ben", 2)]


def test_it_is_all_there_after_a_restart(tmp_path, environment):
    with serve(tmp_path) as endpoint:
        bucket(endpoint)
        catalog = connect(endpoint)
        catalog.create_namespace("n")
        catalog.create_table("n.t", ROWS.schema).append(ROWS)
    (tmp_path / "ready.json").unlink(missing_ok=True)
    with serve(tmp_path) as endpoint:
        table = connect(endpoint).load_table("n.t")
        assert pc.sum(table.scan().to_arrow()["score"]).as_py() == 6
        table.append(ROWS)
        assert len(rows(table)) == 6


def test_writers_at_once_lose_nothing(catalog, space):
    catalog.create_table((space, "t"), ROWS.schema)

    def write(_):
        for _ in range(100):
            try:
                catalog.load_table((space, "t")).append(ROWS)
                return
            except CommitFailedException:
                continue
        raise AssertionError("no commit in a hundred")

    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        list(pool.map(write, range(12)))
    assert len(rows(catalog.load_table((space, "t")))) == 36


def test_signed_requests(tmp_path, environment, monkeypatch):
    def key(account):
        command = [binary(tmp_path), "keys", "create", "--account", account, "--data", str(tmp_path / "data"), "-o", "json"]
        return json.loads(subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout)

    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)  # and as it was afterwards
    with serve(tmp_path, "--auth", "strict") as endpoint:
        mine, others = key("111122223333"), key("444455556666")

        def signed(key):
            monkeypatch.setenv("AWS_ACCESS_KEY_ID", key["access_key_id"])
            monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", key["secret_access_key"])
            boto3.setup_default_session()
            return connect(endpoint, **{"rest.sigv4-enabled": "true", "rest.signing-name": "glue", "rest.signing-region": REGION,
                                        "s3.access-key-id": key["access_key_id"], "s3.secret-access-key": key["secret_access_key"]})

        with pytest.raises(Exception, match="must be signed"):
            connect(endpoint)
        catalog = signed(mine)
        bucket(endpoint)
        catalog.create_namespace("n")
        table = catalog.create_table("n.t", ROWS.schema)
        table.append(ROWS)
        assert len(rows(catalog.load_table("n.t"))) == 3
        stranger = signed(others)
        with pytest.raises(NoSuchTableError):
            stranger.load_table("n.t")
        stranger.create_namespace("n")
        with pytest.raises(ForbiddenError):
            stranger.register_table("n.t", table.metadata_location)
