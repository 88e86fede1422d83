"""The sealing format: read and written by Tink too, readable from the middle, and closed to every alteration."""

from __future__ import annotations

import os
import random

import pytest

from acervo.keep.sealing import ObjectDamaged, Sealer, open_range, plain_size, sealed_size
from tests.keep import tink_oracle

FIRST, NEXT, SEGMENT = 65_480, 65_520, 65_536
SIZES = [
    0,
    1,
    100,
    FIRST - 1,
    FIRST,
    FIRST + 1,
    FIRST + NEXT - 1,
    FIRST + NEXT,
    FIRST + NEXT + 1,
    300_000,
    1_500_000,
]
KEY, AAD = os.urandom(32), b"workspace/key/object/original/1"


def seal(plain: bytes, *, step: int | None = None, key: bytes = KEY, aad: bytes = AAD) -> tuple[bytes, bytes]:
    sealer, sealed = Sealer(key, aad), bytearray()
    for start in range(0, len(plain), step or max(len(plain), 1)):
        sealed += sealer.update(plain[start : start + (step or len(plain))])
    return sealer.header, bytes(sealed + sealer.finish())


async def unseal(sealed, header, *, start=0, stop=None, sealed_bytes=None, key=KEY, aad=AAD, asked=None):
    async def read(begin, end):
        if asked is not None:
            asked.append((begin, end))
        return sealed[begin:end]

    size = len(sealed) if sealed_bytes is None else sealed_bytes
    stop = plain_size(size) if stop is None else stop
    pieces = open_range(read, key=key, aad=aad, header=header, sealed_bytes=size, start=start, stop=stop)
    return b"".join([piece async for piece in pieces])


@pytest.mark.parametrize("size", SIZES)
def test_tink_reads_what_we_seal(size):
    plain = os.urandom(size)
    assert tink_oracle.unseal(KEY, AAD, seal(plain)[1]) == plain


@pytest.mark.parametrize("size", SIZES)
async def test_we_read_what_tink_seals(size):
    plain = os.urandom(size)
    sealed = tink_oracle.seal(KEY, AAD, plain)
    assert len(sealed) == sealed_size(size)
    assert await unseal(sealed, sealed[:40]) == plain


@pytest.mark.parametrize("step", [1_000, FIRST, NEXT, SEGMENT, 262_144])
@pytest.mark.parametrize("size", SIZES)
async def test_the_size_of_the_chunks_does_not_matter(size, step):
    plain = os.urandom(size)
    header, sealed = seal(plain, step=step)
    assert sealed[:40] == header
    assert len(sealed) == sealed_size(size)
    assert await unseal(sealed, header) == plain


@pytest.mark.parametrize("size", SIZES)
def test_sizes_follow_from_each_other(size):
    assert plain_size(sealed_size(size)) == size


@pytest.mark.parametrize("length", [0, 39, 55, SEGMENT + 1, SEGMENT + 16])
def test_a_length_no_object_can_have_is_refused(length):
    with pytest.raises(ObjectDamaged):
        plain_size(length)


async def test_a_thousand_random_ranges_are_equal():
    chance = random.Random(7)
    plain = os.urandom(3_000_000)
    header, sealed = seal(plain)
    edges = [0, FIRST, FIRST + NEXT, FIRST + 15 * NEXT, FIRST + 16 * NEXT, len(plain)]
    for _ in range(1_000):
        start = chance.choice(
            [chance.randrange(len(plain)), max(0, chance.choice(edges) - chance.randrange(3))]
        )
        stop = start + chance.choice([0, 1, 2, 500, chance.randrange(200_000), chance.randrange(3_000_000)])
        assert await unseal(sealed, header, start=start, stop=stop) == plain[start:stop]


async def test_a_range_touches_only_its_segments_in_requests_of_at_most_a_mebibyte():
    plain, asked = os.urandom(3_000_000), []
    header, sealed = seal(plain)
    await unseal(sealed, header, start=FIRST + NEXT, stop=FIRST + NEXT + 1, asked=asked)
    assert asked == [(2 * SEGMENT, 3 * SEGMENT)]
    asked.clear()
    await unseal(sealed, header, asked=asked)
    assert asked[0][0] == 0
    assert asked[-1][1] == len(sealed)
    assert all(end - begin <= 1024 * 1024 for begin, end in asked)


@pytest.mark.parametrize("cut", [1, 16, SEGMENT])
async def test_a_truncated_object_is_refused_when_the_row_knows_its_length(cut):
    header, sealed = seal(os.urandom(FIRST + NEXT + 10_000))
    with pytest.raises(ObjectDamaged):
        await unseal(sealed[:-cut], header, sealed_bytes=len(sealed))


async def test_an_object_truncated_at_a_segment_border_is_refused_even_when_the_row_was_changed_too():
    header, sealed = seal(os.urandom(3 * NEXT))
    with pytest.raises(ObjectDamaged):
        await unseal(sealed[: 2 * SEGMENT], header)


async def test_an_object_that_grew_is_refused():
    header, sealed = seal(os.urandom(FIRST))
    with pytest.raises(ObjectDamaged):
        await unseal(sealed + os.urandom(SEGMENT), header)


async def test_swapped_segments_are_refused():
    header, sealed = seal(os.urandom(4 * NEXT))
    swapped = (
        sealed[:SEGMENT]
        + sealed[2 * SEGMENT : 3 * SEGMENT]
        + sealed[SEGMENT : 2 * SEGMENT]
        + sealed[3 * SEGMENT :]
    )
    with pytest.raises(ObjectDamaged):
        await unseal(swapped, header)


async def test_an_object_spliced_from_two_under_one_key_is_refused():
    header, ours = seal(os.urandom(3 * NEXT))
    _, other = seal(os.urandom(3 * NEXT))
    with pytest.raises(ObjectDamaged):
        await unseal(ours[:SEGMENT] + other[SEGMENT:], header)


async def test_another_object_sealed_for_the_same_place_is_refused():
    """The row remembers the header, so an older version cannot be slipped in."""
    header, _ = seal(b"now")
    _, before = seal(b"old")
    with pytest.raises(ObjectDamaged):
        await unseal(before, header)


async def test_a_moved_object_is_refused():
    header, sealed = seal(b"a voice note", aad=b"workspace/key/object-a/original/1")
    with pytest.raises(ObjectDamaged):
        await unseal(sealed, header, aad=b"workspace/key/object-b/original/1")


async def test_another_key_is_refused():
    header, sealed = seal(b"a voice note")
    with pytest.raises(ObjectDamaged):
        await unseal(sealed, header, key=os.urandom(32))


@pytest.mark.parametrize("at", [5, 45, SEGMENT - 1, SEGMENT, SEGMENT + 100])
async def test_one_changed_bit_is_refused_before_anything_of_its_piece_comes_out(at):
    header, sealed = seal(os.urandom(2 * NEXT))
    altered = bytearray(sealed)
    altered[at] ^= 1
    with pytest.raises(ObjectDamaged):
        await unseal(bytes(altered), header)


async def test_a_missing_header_is_refused():
    _, sealed = seal(b"a voice note")
    with pytest.raises(ObjectDamaged):
        await unseal(sealed, b"")


async def test_an_empty_file_is_authenticated_too():
    header, sealed = seal(b"")
    assert await unseal(sealed, header) == b""
    with pytest.raises(ObjectDamaged):
        await unseal(sealed[:-1] + bytes([sealed[-1] ^ 1]), header)
