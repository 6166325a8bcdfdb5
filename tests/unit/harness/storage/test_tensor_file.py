"""Tensors and their record are read back from bytes, or refused."""

import pickle

import pytest
import safetensors.torch
import torch
from hypothesis import given
from hypothesis import strategies as st

from harness.storage import tensor_file

RECORDS = st.dictionaries(
    st.text(),
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text()
    | st.lists(st.text()),
)
TENSORS = {
    "float": torch.tensor([[1.5, -0.0, torch.inf]]),
    "byte": torch.arange(3, dtype=torch.uint8),
}
TENSORS |= {"number": torch.tensor(7, dtype=torch.int64), "empty": torch.empty(0, 3)}
WHOLE = tensor_file.dump(TENSORS, {"step": 3})


@given(RECORDS)
def test_tensors_and_record_are_read_back(record: dict[str, object]) -> None:
    tensors, found = tensor_file.parse(tensor_file.dump(TENSORS, record))
    assert found == record
    assert set(tensors) == set(TENSORS)
    for name, tensor in TENSORS.items():
        assert tensors[name].dtype == tensor.dtype
        assert torch.equal(tensors[name], tensor)


def test_views_and_parameters_are_stored_by_value() -> None:
    square = torch.arange(6.0).reshape(2, 3)
    parameter = torch.nn.Parameter(square)
    tensors, _ = tensor_file.parse(
        tensor_file.dump({"turned": square.T, "row": square[1], "parameter": parameter}, {})
    )
    assert torch.equal(tensors["turned"], square.T)
    assert torch.equal(tensors["row"], square[1])
    assert torch.equal(tensors["parameter"], square)


@given(st.integers(0, len(WHOLE) - 1))
def test_truncated_bytes_are_refused(size: int) -> None:
    with pytest.raises(ValueError, match=f"^not a whole safetensors file of {size} bytes"):
        tensor_file.parse(WHOLE[:size])


@pytest.mark.parametrize(
    "content",
    [
        b"\0" * 64,
        b"not tensors at all",
        pickle.dumps({"a": 1}),
        WHOLE + b"more",
        safetensors.torch.save(TENSORS),
        safetensors.torch.save(TENSORS, {"record": "{"}),
    ],
    ids=["zeros", "text", "pickle", "longer", "no record", "broken record"],
)
def test_other_bytes_are_refused(content: bytes) -> None:
    with pytest.raises(ValueError, match=r"^not a whole safetensors file"):
        tensor_file.parse(content)


@given(RECORDS)
def test_a_header_gives_names_and_record(record: dict[str, object]) -> None:
    content = tensor_file.dump(TENSORS, record)
    assert tensor_file.read_header(lambda n: content[:n], len(content)) == (set(TENSORS), record)


@given(st.integers(0, len(WHOLE) - 1))
def test_a_header_of_a_truncated_file_is_refused(size: int) -> None:
    with pytest.raises(ValueError, match=r"safetensors header|bytes expected"):
        tensor_file.read_header(lambda n: WHOLE[:size][:n], size)
