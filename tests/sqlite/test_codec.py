"""Canonical bytes: every SQLite value survives, different rows have different bytes, damage is told."""

import struct
import tracemalloc

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from ingest.sqlite.codec import LENGTH, Row, Text, decode, encode

INT64 = st.integers(-(2**63), 2**63 - 1)
# From their bits, so that -0.0, infinities and every NaN come up.
REALS = INT64.map(lambda bits: struct.unpack(">d", struct.pack(">q", bits))[0]) | st.floats()
VALUES = (
    st.none() | INT64 | REALS | st.binary() | st.binary().map(Text) | st.text().map(lambda text: Text(text.encode()))
)
ROWS = st.lists(VALUES, max_size=8).map(tuple)


def identity(row: Row) -> list[tuple[type, object]]:
    """What makes two rows the same to SQLite: storage classes and bits; 1 == 1.0 and b"a" == Text(b"a") in Python."""
    return [(type(value), struct.pack(">d", value) if type(value) is float else value) for value in row]


@given(ROWS)
def test_every_row_comes_back_in_storage_class_and_bits(row):
    assert identity(decode(encode(row))) == identity(row)


@pytest.mark.parametrize(
    "row",
    [
        (),
        (None,),
        (0, -1, 2**63 - 1, -(2**63)),
        (0.0, -0.0, float("inf"), float("-inf"), 5e-324),
        (Text(b""), b"", Text(b"\x00"), Text(b"a\x00b"), Text(b"\xff\xc3("), Text("é😀".encode())),
        (Text(encode((Text(b"N"), None))), encode((b"T", 1))),
    ],
)
def test_the_odd_values_come_back(row):
    assert identity(decode(encode(row))) == identity(row)


@pytest.mark.parametrize("bits", [0x7FF8000000000000, 0x7FF8000000000001, 0xFFF8DEADBEEF0000])
def test_a_nan_keeps_its_bits(bits):
    (value,) = decode(encode(struct.unpack(">d", struct.pack(">Q", bits))))
    assert struct.pack(">d", value) == struct.pack(">Q", bits)


@given(ROWS, ROWS)
def test_different_rows_have_different_bytes(one, other):
    assume(identity(one) != identity(other))
    assert encode(one) != encode(other)


def test_values_that_look_alike_have_different_bytes():
    alike = [
        (1,), (1.0,), (Text(b"1"),), (b"1",), (Text(b"1.0"),),
        (0,), (0.0,), (-0.0,), (None,), (), (None, None), (Text(b""),), (b"",), (Text(b""), Text(b"")),
        (Text(b"ab"), Text(b"c")), (Text(b"a"), Text(b"bc")), (Text(b"abc"),), (Text(b"abc\x00"),),
        (Text("é".encode()),), (Text("e\u0301".encode()),),
    ]  # fmt: skip
    assert len({encode(row) for row in alike}) == len(alike)


def test_the_bytes_stay_those_of_vaults_written_before():
    assert encode((None, 1, -2.5, Text(b"a\x00"), b"b")) == (
        b"\x00\x00\x00\x00\x00\x00\x00\x05"
        b"N"
        b"I\x00\x00\x00\x00\x00\x00\x00\x01"
        b"R\xc0\x04\x00\x00\x00\x00\x00\x00"
        b"T\x00\x00\x00\x00\x00\x00\x00\x02a\x00"
        b"B\x00\x00\x00\x00\x00\x00\x00\x01b"
    )


@pytest.mark.parametrize("value", [True, "text", 2**63, -(2**63) - 1, bytearray(b"a"), 1j, (1,)])
def test_what_is_no_sqlite_value_is_refused(value):
    with pytest.raises(TypeError):
        encode((value,))


@given(ROWS, st.data())
def test_a_row_cut_short_is_refused(row, data):
    content = encode(row)
    with pytest.raises(ValueError, match="end"):
        decode(content[: data.draw(st.integers(0, len(content) - 1))])


@given(ROWS, st.binary(min_size=1))
def test_a_row_with_a_rest_is_refused(row, rest):
    with pytest.raises(ValueError, match="follow the row"):
        decode(encode(row) + rest)


@given(ROWS, st.data())
def test_changed_bytes_are_refused_or_another_row(row, data):
    content = bytearray(encode(row))
    content[data.draw(st.integers(0, len(content) - 1))] ^= data.draw(st.integers(1, 255))
    accepted_only_as_canonical(bytes(content))


@given(st.binary(max_size=200))
def test_any_bytes_are_refused_or_a_row(content):
    accepted_only_as_canonical(content)


def accepted_only_as_canonical(content: bytes) -> None:
    """A row has one form only: what can be read is written the same again."""
    try:
        row = decode(content)
    except ValueError:
        return
    assert encode(row) == content


@pytest.mark.parametrize("tag", [b"\x00", b"n", b"X", b"\xff"])
def test_an_unknown_tag_is_refused(tag):
    with pytest.raises(ValueError, match="unknown tag"):
        decode(LENGTH.pack(1) + tag + bytes(8))


@pytest.mark.parametrize("claim", [2**20, 2**63 - 1, 2**63, 2**64 - 1])
@pytest.mark.parametrize("start", [b"", LENGTH.pack(1) + b"T", LENGTH.pack(2) + b"NB"])
def test_a_huge_count_or_length_is_refused_at_once(start, claim):
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match=r"end early|claims"):
            decode(start + LENGTH.pack(claim) + b"N" * 100)
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()
