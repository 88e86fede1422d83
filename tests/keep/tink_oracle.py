"""Tink itself, as the independent second opinion on our sealing."""

from __future__ import annotations

import io

import tink
from tink import secret_key_access, streaming_aead
from tink.proto import aes_gcm_hkdf_streaming_pb2, common_pb2, tink_pb2

streaming_aead.register()


class KeptBytes(io.BytesIO):
    """Tink closes the destination; what it wrote must outlive that."""

    kept = b""

    def close(self) -> None:
        if not self.closed:
            self.kept = self.getvalue()
        super().close()


def primitive(key: bytes) -> streaming_aead.StreamingAead:
    params = aes_gcm_hkdf_streaming_pb2.AesGcmHkdfStreamingParams(
        ciphertext_segment_size=65_536, derived_key_size=32, hkdf_hash_type=common_pb2.SHA256
    )
    material = aes_gcm_hkdf_streaming_pb2.AesGcmHkdfStreamingKey(version=0, params=params, key_value=key)
    data = tink_pb2.KeyData(
        type_url="type.googleapis.com/google.crypto.tink.AesGcmHkdfStreamingKey",
        value=material.SerializeToString(),
        key_material_type=tink_pb2.KeyData.SYMMETRIC,
    )
    entry = tink_pb2.Keyset.Key(
        key_data=data, status=tink_pb2.ENABLED, key_id=1, output_prefix_type=tink_pb2.RAW
    )
    keyset = tink_pb2.Keyset(primary_key_id=1, key=[entry])
    handle = tink.proto_keyset_format.parse(keyset.SerializeToString(), secret_key_access.TOKEN)
    return handle.primitive(streaming_aead.StreamingAead)


def seal(key: bytes, aad: bytes, plain: bytes) -> bytes:
    out = KeptBytes()
    with primitive(key).new_encrypting_stream(out, aad) as stream:
        stream.write(plain)
    return out.kept


def unseal(key: bytes, aad: bytes, sealed: bytes) -> bytes:
    with primitive(key).new_decrypting_stream(io.BytesIO(sealed), aad) as stream:
        return stream.read()
