"""Files at rest in the published Tink format AES-GCM-HKDF streaming, written over `cryptography`.

The format (https://developers.google.com/tink/streaming-aead/aes_gcm_hkdf_streaming, read 2026-11-23), with AES-256,
SHA-256 and 64 KiB ciphertext segments:

    object  = header ‖ segment 0 ‖ segment 1 ‖ …          header = its length (1) ‖ salt (32) ‖ nonce prefix (7)
    key     = HKDF-SHA256(data key, salt, info = aad)      nonce  = prefix (7) ‖ index (u32) ‖ is last (1)

Segment *i* ends at byte 65,536 × (i + 1): the header shortens the first, so every later read is aligned.
Tink itself checks this file in tests, in both directions; why it is not used here stands in docs/adr/0003.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Awaitable, Callable

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from acervo.base.errors import NeedsPerson

KEY_BYTES = 32
HEADER_BYTES = 40
_SALT_BYTES = 32
_PREFIX_BYTES = 7
_TAG_BYTES = 16
_SEGMENT_BYTES = 64 * 1024
_PLAIN_BYTES = _SEGMENT_BYTES - _TAG_BYTES
_FIRST_PLAIN_BYTES = _PLAIN_BYTES - HEADER_BYTES
_SEGMENTS_PER_READ = 16  # one request of at most 1 MiB to the store

Read = Callable[[int, int], Awaitable[bytes]]


class ObjectDamaged(NeedsPerson):
    """The stored bytes are not the ones we wrote. Restore this object from a backup of the store."""

    code = "object_damaged"


class Sealer:
    """Seals one object as its bytes come. What `update` and `finish` return, joined, is the whole object.

    Holds one segment back, because only the end of the source tells which segment is the last.
    """

    def __init__(self, key: bytes, aad: bytes) -> None:
        self.header = bytes((HEADER_BYTES,)) + os.urandom(HEADER_BYTES - 1)
        self._prefix = self.header[-_PREFIX_BYTES:]
        self._cipher = _cipher(key, aad, self.header)
        self._held: list[memoryview] = []
        self._held_bytes = 0
        self._index = 0

    def update(self, chunk: bytes) -> bytearray:
        """The segments that are complete now; often none. The buffer is fresh and never touched again."""
        data = memoryview(chunk)
        segments = _segments_beyond(self._index, self._held_bytes + len(data))
        out, at = bytearray(segments * _SEGMENT_BYTES), 0
        for _ in range(segments):
            taken = _plain_bytes(self._index) - self._held_bytes
            at = self._seal_into(out, at, self._joined(data[:taken]), is_last=False)
            data = data[taken:]
        self._held.append(data)
        self._held_bytes += len(data)
        return out

    def finish(self) -> bytearray:
        """The last segment."""
        start = HEADER_BYTES if self._index == 0 else 0
        out = bytearray(start + self._held_bytes + _TAG_BYTES)
        self._seal_into(out, 0, self._joined(memoryview(b"")), is_last=True)
        return out

    def _joined(self, data: memoryview) -> memoryview | bytes:
        """What was held, and this; copied only where it lies in several pieces."""
        pieces = [piece for piece in (*self._held, data) if piece]
        self._held, self._held_bytes = [], 0
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def _seal_into(self, out: bytearray, at: int, plain: memoryview | bytes, *, is_last: bool) -> int:
        if self._index == 0:
            out[at : at + HEADER_BYTES] = self.header
            at += HEADER_BYTES
        end = at + len(plain) + _TAG_BYTES
        nonce = _nonce(self._prefix, self._index, is_last=is_last)
        self._cipher.encrypt_into(nonce, plain, None, memoryview(out)[at:end])
        self._index += 1
        return end


def sealed_size(plain_bytes: int) -> int:
    """How long the sealed object of so many bytes is."""
    segments = 1 + max(0, -(-(plain_bytes - _FIRST_PLAIN_BYTES) // _PLAIN_BYTES))
    return HEADER_BYTES + plain_bytes + segments * _TAG_BYTES


def plain_size(sealed_bytes: int) -> int:
    """How many bytes a sealed object of this length holds. Raises ObjectDamaged for a length no object can have."""
    segments = -(-sealed_bytes // _SEGMENT_BYTES)
    plain = sealed_bytes - HEADER_BYTES - segments * _TAG_BYTES
    if plain < 0 or sealed_size(plain) != sealed_bytes:
        raise ObjectDamaged(f"No sealed object is {sealed_bytes} bytes long.")
    return plain


async def open_range(
    read: Read, *, key: bytes, aad: bytes, header: bytes, sealed_bytes: int, start: int, stop: int
) -> AsyncIterator[bytes]:
    """Yield the plain bytes `start` to `stop`, in pieces of at most 1 MiB, touching only the segments they are in.

    `read(start, stop)` gives ciphertext; `header` and `sealed_bytes` come from our row, not from the store. A piece is
    yielded only after it proved authentic. Raises ObjectDamaged.
    """
    if len(header) != HEADER_BYTES or header[0] != HEADER_BYTES:
        raise ObjectDamaged("The row has no readable seal header.")
    plain_bytes = plain_size(sealed_bytes)
    stop = min(stop, plain_bytes)
    if start >= stop and plain_bytes:
        return
    cipher = _cipher(key, aad, header)
    last = (sealed_bytes - 1) // _SEGMENT_BYTES
    until = _segment_of(max(stop - 1, 0))
    for first in range(_segment_of(start), until + 1, _SEGMENTS_PER_READ):
        end = min(first + _SEGMENTS_PER_READ, until + 1)
        sealed = await _read_exactly(read, first * _SEGMENT_BYTES, min(end * _SEGMENT_BYTES, sealed_bytes))
        if first == 0 and sealed[:HEADER_BYTES] != header:
            raise ObjectDamaged("The object does not begin with the header it was sealed with.")
        parts = [
            _open_segment(cipher, header, sealed, i, i - first, is_last=i == last) for i in range(first, end)
        ]
        plain = b"".join(parts) if len(parts) > 1 else parts[0]
        offset = _plain_start(first)
        if offset < start or offset + len(plain) > stop:
            plain = plain[max(0, start - offset) : stop - offset]
        if plain:
            yield plain


def _open_segment(
    cipher: AESGCM, header: bytes, sealed: memoryview, index: int, position: int, *, is_last: bool
) -> bytes:
    begin = position * _SEGMENT_BYTES + (HEADER_BYTES if index == 0 else 0)
    body = sealed[begin : (position + 1) * _SEGMENT_BYTES]
    try:
        return cipher.decrypt(_nonce(header[-_PREFIX_BYTES:], index, is_last=is_last), body, None)
    except InvalidTag as error:
        raise ObjectDamaged(f"Segment {index} is not authentic.", segment=index) from error


async def _read_exactly(read: Read, start: int, stop: int) -> memoryview:
    sealed = memoryview(await read(start, stop))
    if len(sealed) != stop - start:
        raise ObjectDamaged(f"The store gave {len(sealed)} bytes where {stop - start} were sealed.")
    return sealed


def _cipher(key: bytes, aad: bytes, header: bytes) -> AESGCM:
    salt = header[1 : 1 + _SALT_BYTES]
    return AESGCM(HKDF(algorithm=SHA256(), length=KEY_BYTES, salt=salt, info=aad).derive(key))


def _nonce(prefix: bytes, index: int, *, is_last: bool) -> bytes:
    return prefix + index.to_bytes(4, "big") + (b"\x01" if is_last else b"\x00")


def _plain_bytes(index: int) -> int:
    return _FIRST_PLAIN_BYTES if index == 0 else _PLAIN_BYTES


def _plain_start(index: int) -> int:
    return max(0, index * _PLAIN_BYTES - HEADER_BYTES)


def _segment_of(plain_offset: int) -> int:
    return (plain_offset + HEADER_BYTES) // _PLAIN_BYTES


def _segments_beyond(index: int, waiting_bytes: int) -> int:
    """How many segments are certainly not the last, when so many bytes wait from segment `index` on."""
    beyond_first = waiting_bytes - _plain_bytes(index)
    return 0 if beyond_first <= 0 else 1 + (beyond_first - 1) // _PLAIN_BYTES
