"""Prints map, kind, game_id, player_id and seq of rows, with tabs between: those of all
Parquet files below a directory, by the files' names, as Apache Arrow or DuckDB reads them,
or those of an Iceberg table, as PyIceberg does.

    rows.py arrow|duckdb DIRECTORY
    rows.py iceberg URL/NAMESPACE/TABLE
"""

import pathlib
import sys

COLUMNS = ["map", "kind", "game_id", "player_id", "seq"]


def arrow(directory):
    import pyarrow.parquet

    for path in sorted(pathlib.Path(directory).rglob("*.parquet")):
        table = pyarrow.parquet.ParquetFile(path).read(columns=COLUMNS)
        yield from zip(*(table.column(c).to_pylist() for c in COLUMNS))


def duckdb(directory):
    import duckdb

    with duckdb.connect() as db:
        db.execute("SET threads = 1")
        # Partitions are columns, m and k, of which the files say nothing.
        rows = db.execute(f"""SELECT {", ".join(COLUMNS)}, m, k FROM read_parquet('{directory}/**/*.parquet',
            hive_partitioning = true, hive_types_autocast = false, filename = true) ORDER BY filename, file_row_number""")
        while some := rows.fetchmany(10_000):
            for row in some:
                assert row[0] == row[5] and row[1] == row[6], row
                yield row[:5]


def iceberg(place):
    from pyiceberg.catalog import load_catalog

    url, namespace, table = place.rsplit("/", 2)
    catalog = load_catalog("thalweg", type="rest", uri=url + "/iceberg", warehouse="s3://lake/w",
                           **{"s3.access-key-id": "000000000000", "s3.secret-access-key": "test"})
    for batch in catalog.load_table((namespace, table)).scan().to_arrow_batch_reader():
        yield from zip(*(batch.column(c).to_pylist() for c in COLUMNS))


for row in {"arrow": arrow, "duckdb": duckdb, "iceberg": iceberg}[sys.argv[1]](sys.argv[2]):
    print(*row, sep="\t")
