#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes envelope-v1.json: golden envelopes from an implementation that shares nothing with ours but the format's
description in crypto/envelope.h (hashlib's BLAKE2b, the AEADs of python3-cryptography)."""
import hashlib
import json
import struct

from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305


def envelope(suite, key, key_id, salt, tenant, lineage, record_key, plain):
    head = bytes([0xC1, 0x5D, 1, suite, 0, 1, 1, 0]) + key_id + salt
    aad = struct.pack(">H", len(tenant)) + tenant + struct.pack(">H", len(lineage)) + lineage
    aad += b"\0" if record_key is None else b"\1" + hashlib.blake2b(record_key, digest_size=32).digest()
    okm = hashlib.blake2b(b"cst-env1" + head + aad, key=key, digest_size=64).digest()
    aead = (AESGCM if suite == 1 else ChaCha20Poly1305)(okm[:32])
    return head + okm[32:48] + aead.encrypt(bytes(12), plain, None)


def stream(name, n):
    return hashlib.shake_256(name.encode()).digest(n)


rows = []
for suite in (1, 2):
    for i, (tenant, lineage, record_key, size) in enumerate([
            ("default", "orders", b"alice", 5), ("default", "orders", b"alice", 0), ("default", "orders", None, 256),
            ("default", "orders", b"", 17), ("t" * 255, "l" * 249, b"k" * 200, 1000), ("", "", b"x", 16),
            ("acme", "people-v2", bytes(range(256))[:64], 64)]):
        seed = f"golden {suite} {i}"
        key, key_id, salt = stream(seed + "k", 32), stream(seed + "i", 16), stream(seed + "s", 16)
        plain = stream(seed + "p", size)
        row = {"suite": suite, "key": key.hex(), "key_id": key_id.hex(), "salt": salt.hex(), "tenant": tenant,
               "lineage": lineage, "plain": plain.hex(),
               "envelope": envelope(suite, key, key_id, salt, tenant.encode(), lineage.encode(), record_key, plain).hex()}
        if record_key is not None:
            row["record_key"] = record_key.hex()
        rows.append(row)
print(json.dumps(rows, indent=1, sort_keys=True))
