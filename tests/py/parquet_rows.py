"""Prints the rows of all Parquet files below a directory, as Apache Arrow or DuckDB reads
them: map, kind, game_id, player_id and seq, with tabs between, files by their names.

    parquet_rows.py arrow|duckdb DIRECTORY
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


for row in {"arrow": arrow, "duckdb": duckdb}[sys.argv[1]](sys.argv[2]):
    print(*row, sep="\t")
