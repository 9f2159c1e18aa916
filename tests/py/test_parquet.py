"""The Parquet that Firehose's format conversion writes, read by Apache Arrow and DuckDB.

The files are the golden ones of internal/delivery/convert, which a unit test holds
its output against."""

import datetime
import decimal
import pathlib

import duckdb
import pyarrow.parquet
import pytest

DIRECTORY = pathlib.Path(__file__).parents[2] / "internal" / "delivery" / "convert" / "testdata"
FILES = ["snappy", "gzip", "plain"]
COLUMNS = ["id", "name", "ok", "price", "ratio", "small", "day", "at", "tags", "attrs", "pos", "moves"]

ROWS = [
    [1, "ada", True, decimal.Decimal("12.34"), 0.1, -1, datetime.date(2026, 11, 25),
     datetime.datetime(2026, 11, 25, 12, 34, 56, 789000), ["a", None, "b"], {"k": 1, "l": None},
     {"x": 3, "y": {"z": 1.5}}, [{"from": "e2", "to": "e4"}, {"from": None, "to": "d5"}]],
    [2, None, None, None, None, None, None, None, [], {}, {"x": None, "y": None}, [None]],
    [3, "\u00e9t\u00e9 \U0001f600", None, decimal.Decimal("-0.01"), None, None, datetime.date(1969, 12, 31),
     datetime.datetime(1969, 12, 31, 23, 59, 59), None, None, None, None],
]


@pytest.mark.parametrize("name", FILES)
def test_arrow(name):
    file = pyarrow.parquet.ParquetFile(DIRECTORY / f"{name}.parquet")
    codec = {"snappy": "SNAPPY", "gzip": "GZIP", "plain": "UNCOMPRESSED"}[name]
    assert file.metadata.row_group(0).column(0).compression == codec
    table = file.read()
    assert table.column_names == COLUMNS
    rows = []
    for row in table.to_pylist():
        at = row["at"]
        row["at"] = at and at.replace(tzinfo=None)
        row["attrs"] = None if row["attrs"] is None else dict(row["attrs"])
        rows.append([row[c] for c in COLUMNS])
    assert rows == ROWS


@pytest.mark.parametrize("name", FILES)
def test_duckdb(name):
    with duckdb.connect() as db:
        got = db.execute(f"SELECT * FROM read_parquet('{DIRECTORY / (name + '.parquet')}') ORDER BY id")
        assert [c[0] for c in got.description] == COLUMNS
        assert [list(row) for row in got.fetchall()] == ROWS
        sums = db.execute(f"""SELECT sum(price), count("at"), sum(len(tags)) FROM read_parquet('{DIRECTORY}/*.parquet')""").fetchone()
        assert sums == (decimal.Decimal("36.99"), 6, 9)
