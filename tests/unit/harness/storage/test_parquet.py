"""Parquet files of unknown origin: limits that hold before decoding, and no threads left behind."""

import contextlib
import io
import random

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from harness.storage import parquet


def written(table: pa.Table) -> bytes:
    sink = io.BytesIO()
    pq.write_table(table, sink)
    return sink.getvalue()


def test_what_is_written_is_read() -> None:
    table = pa.table({"n": [1, None], "x": [0.5, 1.0], "word": ["a", None], "list": [[1], None]})
    assert parquet.read(written(table)).to_pylist() == table.to_pylist()


def test_neither_the_data_set_scanner_nor_a_python_file_is_used(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Their threads may use Python's memory while Python ends.

    The message is then "terminate called without an active exception".
    """
    opened = []

    def watched(source: object, **options: object) -> pq.ParquetFile:
        opened.append(source)
        return original(source, **options)

    original = pq.ParquetFile
    monkeypatch.setattr(pq, "ParquetFile", watched)
    monkeypatch.setattr(pq, "read_table", None)
    content = written(pa.table({"word": ["a"]}))
    assert parquet.read(content).num_rows == 1
    assert len(opened) == 2
    assert all(isinstance(source, pa.BufferReader) for source in opened)


@pytest.mark.parametrize(
    ("column", "expected"),
    [
        (pa.nulls(20_000, pa.int8()), "20,000 rows; expected at most 10,000"),
        (pa.array([[0] * 1_000] * 300), "unfolds to 2,400,000 bytes; expected at most 1,000,000"),
        (
            pa.array(["x" * 1_000] * 3_000),
            "text unfolds to 3,000,000 bytes; expected at most 1,000,000",
        ),
        (pa.array(["x" * 1_000] * 3_000, pa.large_string()), "text unfolds to 3,000,000 bytes"),
    ],
    ids=["rows", "lists", "text", "large text"],
)
def test_a_small_file_that_unfolds_to_much_is_refused(
    column: pa.Array, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parquet, "MAX_ROWS", 10_000)
    monkeypatch.setattr(parquet, "MAX_BYTES", 1_000_000)
    content = written(pa.table({"x": column}))
    assert len(content) < 20_000
    with pytest.raises(parquet.TooLargeError, match=expected):
        parquet.read(content)


def test_a_damaged_file_is_told_or_read() -> None:
    """The file is truncated, or one byte is changed."""
    content = written(pa.table({"n": list(range(50)), "word": ["some text"] * 50}))
    chance = random.Random(0)
    cut = [content[:length] for length in range(0, len(content), 40)]
    for _ in range(300):
        place = chance.randrange(len(content))
        cut.append(content[:place] + bytes([chance.randrange(256)]) + content[place + 1 :])
    for damaged in cut:
        with contextlib.suppress(parquet.NotParquetError, parquet.TooLargeError):
            parquet.read(damaged)
