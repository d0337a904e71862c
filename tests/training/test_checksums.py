import jax.numpy as jnp
import ml_dtypes
import numpy as np
import pytest

from jaxrcnn.training.checksums import (
    Checksum,
    checksum,
    checksums,
    file_checksum,
    first_difference,
    short_name,
    text_checksum,
)


def crc32c(content):
    """By the definition of RFC 3720, bit by bit."""
    crc = 0xFFFFFFFF
    for byte in content:
        crc ^= byte
        for _ in range(8):
            crc = (crc >> 1) ^ (0x82F63B78 if crc & 1 else 0)
    return f"{crc ^ 0xFFFFFFFF:08x}"


def test_the_checksums_of_the_standard(tmp_path):
    assert crc32c(bytes(32)) == "8a9136aa"  # RFC 3720, B.4
    assert text_checksum("123456789") == crc32c(b"123456789") == "e3069283"
    content = bytes(range(256)) * 9000  # more than is read at a time
    (tmp_path / "a").write_bytes(content)
    zeros = np.zeros(8, np.float32)
    assert checksum(zeros) == Checksum("8a9136aa", "float32", [8])
    assert file_checksum(tmp_path / "a") == checksum(np.frombuffer(content, np.uint8)).crc32c


@pytest.mark.parametrize(
    "array",
    [
        np.arange(12, dtype=">i4").astype("<i4").reshape(3, 4).T,  # not in C order
        np.array(2.5),
        np.arange(5).astype(ml_dtypes.bfloat16),
        np.array([True, False]),
        jnp.arange(6.0).reshape(2, 3),
    ],
)
def test_a_checksum_is_of_the_bytes_in_c_order(array):
    host = np.asarray(array)
    expected = Checksum(crc32c(host.tobytes()), host.dtype.name, list(host.shape))
    assert checksum(array) == expected


def test_the_first_array_that_differs_is_named():
    tree = {"a": np.arange(3), "b": (np.zeros(2), np.ones((2, 1)))}
    sums = checksums(tree)
    assert list(sums) == ["a", "b.0", "b.1"]
    assert first_difference(tree, sums) == ""
    assert first_difference({"b": (..., tree["b"][1])}, sums) == ""  # the rest was not read
    for other in (np.array([1.0, 1.0]), np.ones((1, 2)), np.ones((2, 1), np.float32)):
        spoiled = {**tree, "b": (tree["b"][0], other)}
        assert first_difference(spoiled, sums) == "b.1 does not match its checksum"
    assert first_difference({"c": np.zeros(2)}, sums) == "c has no checksum"


def test_a_message_names_an_array_without_the_records_around_records():
    name = "opt_state.inner_states.trained.inner_state.1.trace.rpn.winner_state.kernel"
    assert short_name(name) == "opt_state.trained.1.trace.rpn.winner_state.kernel"
    assert first_difference({"inner_state": {"mu": np.zeros(2)}}, {}) == "mu has no checksum"
