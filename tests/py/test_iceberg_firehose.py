"""Delivery streams into Iceberg tables: put with boto3, read with PyIceberg and DuckDB."""

import base64
import datetime
import decimal
import json
import re
import uuid

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import ACCOUNT, REGION, serve
from pyiceberg.catalog import load_catalog
from pyiceberg.conversions import from_bytes
from pyiceberg.expressions import EqualTo, literal
from pyiceberg.partitioning import PartitionField, PartitionSpec
from pyiceberg.schema import Schema
from pyiceberg.transforms import (
    BucketTransform,
    DayTransform,
    HourTransform,
    IdentityTransform,
    MonthTransform,
    TruncateTransform,
    YearTransform,
)
from pyiceberg.types import (
    BinaryType,
    BooleanType,
    DateType,
    DecimalType,
    DoubleType,
    FixedType,
    FloatType,
    IntegerType,
    ListType,
    LongType,
    MapType,
    NestedField,
    StringType,
    StructType,
    TimestampType,
    TimestamptzType,
    TimeType,
    UUIDType,
)
from test_firehose import flush, make, objects

ROLE = "arn:aws:iam::000000000000:role/firehose"
HINTS = {"SizeInMBs": 1, "IntervalInSeconds": 0}
CATALOG = f"arn:aws:glue:{REGION}:{ACCOUNT}:catalog"


@pytest.fixture(scope="module")
def server(tmp_path_factory, environment):
    with serve(tmp_path_factory.mktemp("iceberg"), "--test-aids") as url:
        make(url, "s3").create_bucket(Bucket="lake")
        make(url, "s3").create_bucket(Bucket="errors")
        yield url


@pytest.fixture(scope="module")
def catalog(server):
    return load_catalog("thalweg", type="rest", uri=server + "/iceberg", warehouse="s3://lake/w",
                        **{"s3.access-key-id": ACCOUNT, "s3.secret-access-key": "test"})


@pytest.fixture
def name(catalog):
    name = "n" + uuid.uuid4().hex[:10]
    catalog.create_namespace(name)
    return name


def configuration(name, *tables, **more):
    return {
        "RoleARN": ROLE, "CatalogConfiguration": {"CatalogARN": CATALOG}, "BufferingHints": HINTS,
        "DestinationTableConfigurationList": [{"DestinationDatabaseName": name, "DestinationTableName": t} for t in tables],
        "S3Configuration": {"RoleARN": ROLE, "BucketARN": "arn:aws:s3:::errors", "Prefix": name + "/", "BufferingHints": HINTS}, **more}


def stream(server, name, *tables, **more):
    make(server, "firehose").create_delivery_stream(
        DeliveryStreamName=name, IcebergDestinationConfiguration=configuration(name, *tables, **more))


def put(server, name, *records):
    firehose = make(server, "firehose")
    for at in range(0, len(records), 500):
        data = [{"Data": r if isinstance(r, bytes) else json.dumps(r).encode()} for r in records[at:at + 500]]
        assert firehose.put_record_batch(DeliveryStreamName=name, Records=data)["FailedPutCount"] == 0
    flush(server, name)


def failed(server, name):
    """The lines of the error output, by what is in the record."""
    out = {}
    for key, (body, _) in objects(make(server, "s3"), "errors").items():
        if key.startswith(name + "/"):
            assert re.fullmatch(name + r"/iceberg-failed/\d{4}/\d\d/\d\d/\d\d/[^/]+", key), key
            for line in body.splitlines():
                line = json.loads(line)
                raw = base64.b64decode(line["rawData"])
                assert raw not in out
                out[raw] = line
    return out


SCHEMA = Schema(
    NestedField(1, "id", LongType(), required=True), NestedField(2, "ok", BooleanType()), NestedField(3, "small", IntegerType()),
    NestedField(4, "f", FloatType()), NestedField(5, "d", DoubleType()), NestedField(6, "price", DecimalType(9, 2)),
    NestedField(7, "big", DecimalType(38, 3)), NestedField(8, "mid", DecimalType(18, 0)), NestedField(9, "name", StringType()),
    NestedField(10, "day", DateType()), NestedField(11, "t", TimeType()), NestedField(12, "at", TimestampType()),
    NestedField(13, "atz", TimestamptzType()), NestedField(14, "u", UUIDType()), NestedField(15, "b", BinaryType()),
    NestedField(16, "x", FixedType(3)),
    NestedField(17, "tags", ListType(20, StringType(), element_required=False)),
    NestedField(18, "attrs", MapType(21, StringType(), 22, LongType(), value_required=False)),
    NestedField(19, "pos", StructType(NestedField(23, "x", DoubleType(), required=True), NestedField(24, "y", ListType(25, LongType(), element_required=True)))),
)

FULL = {
    "id": 1, "ok": True, "small": -5, "f": 1.5, "d": -0.25, "price": 12.34, "big": "12345678901234567890.125", "mid": 10**17, "name": "\u00e9t\u00e9",
    "day": "2026-11-25", "t": "10:15:00.000001", "at": "2026-11-25T10:15:00.000001", "atz": "2026-11-25T10:15:00+02:00",
    "u": "6ba7b810-9dad-41d1-80b4-00c04fd430c8", "b": "aGk=", "x": "AQID", "tags": ["a", None], "attrs": {"k": 1, "l": None},
    "pos": {"x": 1.0, "y": [1, 2]}, "more": "is passed over"}

ROW = {
    "id": 1, "ok": True, "small": -5, "f": 1.5, "d": -0.25, "price": decimal.Decimal("12.34"), "big": decimal.Decimal("12345678901234567890.125"),
    "mid": decimal.Decimal(10**17), "name": "\u00e9t\u00e9", "day": datetime.date(2026, 11, 25), "t": datetime.time(10, 15, 0, 1),
    "at": datetime.datetime(2026, 11, 25, 10, 15, 0, 1), "atz": datetime.datetime(2026, 11, 25, 8, 15, tzinfo=datetime.timezone.utc),
    "u": uuid.UUID("6ba7b810-9dad-41d1-80b4-00c04fd430c8"), "b": b"hi", "x": b"\1\2\3", "tags": ["a", None], "attrs": [("k", 1), ("l", None)],
    "pos": {"x": 1.0, "y": [1, 2]}}

NUMBERS = {"id": 2, "day": 20782, "t": 1, "at": 1_000_001, "atz": -1, "mid": -1, "x": "010203"}


def test_every_type(server, catalog, name):
    catalog.create_table((name, "t"), SCHEMA)
    stream(server, name, "t")
    bad = {
        "id": [{"id": "3"}, {"id": 1.5}, {"id": 2**63}], "Iceberg.MissingColumnWithinRecord": [{"name": "no id"}, {}, {"ID": 1}],
        "Iceberg.MalformedRecord": [b"no JSON", b'{"id":7}{"id":8}', b"[]", b""],
        "types": [{"id": 4, **{k: v}} for k, v in [
            ("ok", 1), ("small", 2**31), ("small", "1"), ("f", "1"), ("f", 1e300), ("price", 1.234), ("price", 10**7), ("name", 5), ("name", {}),
            ("day", "2026-02-30"), ("day", True), ("t", 86400 * 10**6), ("at", "2026-11-25"), ("at", "2026-11-25T10:15:00+02:00"),
            ("atz", "2026-11-25T10:15:00"), ("u", "6ba7b810"), ("b", 5), ("x", "AQI="), ("tags", "a"), ("tags", [1]), ("attrs", {"k": "1"}),
            ("pos", {"y": [1]}), ("pos", {"x": 1.0, "y": [None]})]],
    }
    put(server, name, FULL, *(r for group in bad.values() for r in group), NUMBERS)
    table = catalog.load_table((name, "t"))
    rows = sorted(table.scan().to_arrow().to_pylist(), key=lambda r: r["id"])
    assert [r["id"] for r in rows] == [1, 2]
    got = {**rows[0], "u": rows[0]["u"] if isinstance(rows[0]["u"], uuid.UUID) else uuid.UUID(bytes=rows[0]["u"])}
    assert got == ROW
    assert rows[1]["day"] == datetime.date(2026, 11, 25) and rows[1]["at"] == datetime.datetime(1970, 1, 1, 0, 0, 1, 1) and rows[1]["name"] is None
    assert rows[1]["x"] == b"\1\2\3" and rows[1]["atz"] < datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)
    lines = failed(server, name)
    assert len(lines) == sum(len(group) for group in bad.values())
    for code, group in bad.items():
        for r in group:
            line = lines[r if isinstance(r, bytes) else json.dumps(r).encode()]
            want = code if code.startswith("Iceberg") else "Iceberg.SchemaTypeMismatch"
            if isinstance(r, dict) and (pos := r.get("pos")) is not None:
                want = "Iceberg.MissingColumnWithinRecord"
            assert line["errorCode"] == want, (r, line)


def rows_of(table, task):
    with table.io.new_input(task.file.file_path).open() as source:
        return pq.read_table(source).to_pylist()


def partition_of(table, row):
    out = []
    for field in table.spec().fields:
        source = table.schema().find_field(field.source_id)
        value = row
        for part in table.schema().find_column_name(field.source_id).split("."):
            value = value and value[part]
        if value is not None:
            value = literal(value).to(source.field_type).value
        out.append(field.transform.transform(source.field_type)(value))
    return out


BOUNDED = ["id", "ok", "small", "f", "d", "price", "mid", "name", "day", "t", "at", "atz"]


def test_partitions(server, catalog, name):
    transforms = [
        PartitionField(9, 1000, IdentityTransform(), "name"), PartitionField(1, 1001, BucketTransform(4), "id_bucket"),
        PartitionField(9, 1002, TruncateTransform(2), "name-trunc"), PartitionField(12, 1003, YearTransform(), "at_year"),
        PartitionField(13, 1004, MonthTransform(), "atz_month"), PartitionField(12, 1005, DayTransform(), "at_day"),
        PartitionField(12, 1006, HourTransform(), "at_hour"), PartitionField(6, 1007, IdentityTransform(), "price_p"),
        PartitionField(14, 1008, BucketTransform(7), "u_bucket"), PartitionField(10, 1009, DayTransform(), "day_day"),
        PartitionField(23, 1010, IdentityTransform(), "pos.x")]
    table = catalog.create_table((name, "t"), SCHEMA, partition_spec=PartitionSpec(*transforms))
    stream(server, name, "t")
    records = [{**FULL, "id": i, "name": n} for i in range(6) for n in ("ada", "b\u00e9n", None)] + [NUMBERS, {"id": 3}]
    put(server, name, *records)
    table = catalog.load_table((name, "t"))
    tasks = list(table.scan().plan_files())
    assert len(tasks) > 9
    for task in tasks:  # PyIceberg's transforms of the file's rows are the file's partition
        rows = rows_of(table, task)
        assert len(rows) == task.file.record_count
        for row in rows:
            assert partition_of(table, row) == list(task.file.partition), row
        for field in table.schema().fields:
            if field.field_type.is_primitive:
                values = [row[field.name] for row in rows if row[field.name] is not None]
                assert task.file.value_counts[field.field_id] == len(rows)
                assert task.file.null_value_counts[field.field_id] == len(rows) - len(values)
                if field.name in BOUNDED and values:
                    values = [literal(v).to(field.field_type).value for v in values]
                    bounds = [from_bytes(field.field_type, b[field.field_id]) for b in (task.file.lower_bounds, task.file.upper_bounds)]
                    assert bounds == [min(values), max(values)], field
    assert table.scan(row_filter=EqualTo("name", "ada")).to_arrow().num_rows == 6
    assert table.scan(row_filter=EqualTo("id", 3)).to_arrow().num_rows == 4
    summaries = table.inspect.manifests().to_pylist()
    assert summaries[0]["added_data_files_count"] == len(tasks)


def test_others_write_too(server, catalog, name):
    rows = pa.table({"player": ["ada"], "score": pa.array([1], pa.int64())})
    table = catalog.create_table((name, "t"), rows.schema)
    table.append(rows)
    stream(server, name, "t")
    for n in range(3):
        put(server, name, {"player": "ben", "score": n})
        table = catalog.load_table((name, "t"))
        table.append(rows)
    table.delete("player = 'ada'")
    put(server, name, {"player": "eve", "score": 9})
    table = catalog.load_table((name, "t"))
    assert sorted(table.scan().to_arrow()["player"].to_pylist()) == ["ben"] * 3 + ["eve"]
    assert table.current_snapshot().summary["total-records"] == "4"
    with table.update_schema() as update:
        update.add_column("level", IntegerType())
        update.rename_column("score", "points")
    put(server, name, {"player": "eve", "points": 10, "level": 3})
    table = catalog.load_table((name, "t"))
    assert table.scan(row_filter=EqualTo("level", 3)).to_arrow()["points"].to_pylist() == [10]
    assert sorted(table.scan().to_arrow()["points"].to_pylist()) == [0, 1, 2, 9, 10]


def test_routes(server, catalog, name):
    schema = pa.schema([("player", pa.string())])
    for t in ("a", "b"):
        catalog.create_table((name, t), schema)
    query = "{destinationDatabaseName: .db, destinationTableName: .table, operation: .op}"
    stream(server, name, ProcessingConfiguration={"Enabled": True, "Processors": [{"Type": "MetadataExtraction", "Parameters": [
        {"ParameterName": "MetadataExtractionQuery", "ParameterValue": query}, {"ParameterName": "JsonParsingEngine", "ParameterValue": "JQ-1.6"}]}]})
    to = {"db": name, "op": "insert"}
    put(server, name, {**to, "table": "a", "player": "ada"}, {**to, "table": "b", "player": "ben"}, {**to, "table": "a", "player": "eve"},
        {**to, "table": "c", "player": "none"}, {**to, "table": "a", "op": "delete", "player": "ada"}, {**to, "db": "other", "table": "a", "player": "x"})
    assert [sorted(catalog.load_table((name, t)).scan().to_arrow()["player"].to_pylist()) for t in ("a", "b")] == [["ada", "eve"], ["ben"]]
    codes = sorted(line["errorCode"] for line in failed(server, name).values())
    assert codes == ["Iceberg.NoSuchTable", "Iceberg.NoSuchTable", "Iceberg.UnsupportedOperation"]


def test_no_table(server, name):
    stream(server, name, "t")
    put(server, name, {"a": 1}, {"a": 2})
    assert [line["errorCode"] for line in failed(server, name).values()] == ["Iceberg.NoSuchTable"] * 2


def test_duckdb(server, catalog, name, tmp_path):
    table = catalog.create_table((name, "t"), SCHEMA, partition_spec=PartitionSpec(PartitionField(9, 1000, IdentityTransform(), "name")))
    stream(server, name, "t")
    put(server, name, *({**FULL, "id": i, "name": f"p{i % 3}"} for i in range(90)))
    table = catalog.load_table((name, "t"))
    files = []
    for task in table.scan().plan_files():
        files.append(str(tmp_path / task.file.file_path.rsplit("/", 1)[1]))
        with table.io.new_input(task.file.file_path).open() as source:
            (tmp_path / files[-1]).write_bytes(source.read())
    assert len(files) == 3
    total = duckdb.sql(f"select name, count(*), sum(id)::int, max(big), max(\"at\") from read_parquet({files!r}) group by name order by name").fetchall()
    assert [row[:3] for row in total] == [("p0", 30, 1305), ("p1", 30, 1335), ("p2", 30, 1365)]
    assert total[0][3:] == (ROW["big"], ROW["at"])
