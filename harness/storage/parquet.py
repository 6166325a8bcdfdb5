"""Reads parquet files of unknown origin within limits, without threads that outlive Python.

`pyarrow.parquet.read_table` uses Arrow's data set scanner. Its threads may still hold a Python file
when Python ends, which aborts the process (apache/arrow#34314). Here the bytes are copied into
Arrow's own memory and read by one thread. The metadata is checked first, because a few kilobytes
can encode a billion equal values.
"""

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

MAX_ROWS = 5_000_000  # a row of results takes some kilobytes in Python
MAX_BYTES = 2**31  # the limit of a text column in Arrow
VALUE_BYTES = 8  # size of a number or of an index into a dictionary


class NotParquetError(ValueError):
    """Bytes that are not a complete parquet file."""


class TooLargeError(ValueError):
    """A file that would need too much memory."""


def read(content: bytes) -> pa.Table:
    """The table in the bytes of a parquet file.

    `NotParquetError` or `TooLargeError` if it cannot be read.
    """
    try:
        file = _open_file(content, [])
        _check_size(file.metadata)
        texts = _text_columns(file.schema_arrow)
        table = (_open_file(content, texts) if texts else file).read(use_threads=False)
        table.validate(full=True)
        decoded_bytes = sum(_decoded_bytes(column) for column in table.columns)
        if decoded_bytes > MAX_BYTES:
            raise TooLargeError(
                f"its text unfolds to {decoded_bytes:,} bytes; expected at most {MAX_BYTES:,}"
            )
        return table.cast(file.schema_arrow.with_metadata(table.schema.metadata))
    except (pa.ArrowException, OSError) as error:
        raise NotParquetError(str(error).partition("\n")[0]) from None


def get_metadata(table: pa.Table, name: bytes) -> str | None:
    """The value of a key in a table's metadata, None if there is none."""
    value: bytes | None = (table.schema.metadata or {}).get(name)
    return None if value is None else value.decode(errors="replace")


def _open_file(content: bytes, dictionaries: list[str]) -> pq.ParquetFile:
    sink = pa.BufferOutputStream()
    sink.write(content)
    return pq.ParquetFile(pa.BufferReader(sink.getvalue()), read_dictionary=dictionaries)


def _check_size(metadata: pq.FileMetaData) -> None:
    if metadata.num_rows > MAX_ROWS:
        raise TooLargeError(f"it has {metadata.num_rows:,} rows; expected at most {MAX_ROWS:,}")
    groups = [metadata.row_group(number) for number in range(metadata.num_row_groups)]
    chunks = [group.column(index) for group in groups for index in range(metadata.num_columns)]
    decoded_bytes = sum(
        max(chunk.total_uncompressed_size, VALUE_BYTES * chunk.num_values) for chunk in chunks
    )
    if decoded_bytes > MAX_BYTES:
        raise TooLargeError(
            f"it unfolds to {decoded_bytes:,} bytes; expected at most {MAX_BYTES:,}"
        )


def _text_columns(columns: pa.Schema) -> list[str]:
    return [field.name for field in columns if _is_text(field.type)]


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _decoded_bytes(column: pa.ChunkedArray) -> int:
    """Bytes of a dictionary column's text once it is written out for every row."""
    if not pa.types.is_dictionary(column.type) or not _is_text(column.type.value_type):
        return 0
    parts = (
        pc.sum(pc.binary_length(part.dictionary).take(part.indices)).as_py()
        for part in column.chunks
    )
    return sum(part or 0 for part in parts)
