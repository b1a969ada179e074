#!/usr/bin/env python3
"""Reads a Plastron master from docs/footage-format.md alone, checks it, and writes what the camera sent to standard output.

read_footage.py FILE... [--keys FOLDER]   the parts of one recording, in their order. Without keys: the chain only.
The last chain hash of each goes to standard error.
"""

import argparse
import hashlib
import pathlib
import struct
import sys
import uuid

CHUNK = struct.Struct(">4sIBBHQIIQqqQI32s32s12s")
KINDS = {1: "media", 2: "fill", 3: "gap", 4: "epoch", 5: "close"}


def tagged(tag, *pieces):
    return hashlib.sha256(tag.encode() + b"\0" + b"".join(pieces)).digest()


def opened(sealed, key, purpose, subject):
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM
    return AESGCM(key).decrypt(sealed[:12], sealed[12:], purpose.encode() + b"\0" + subject)


def part_key(keys, service, day, wrapped, part):
    master = bytes.fromhex((keys / "master.key").read_text().strip())
    text = f"{day // 10000:04}-{day // 100 % 100:02}-{day % 100:02}"
    name = f"{text}_{uuid.UUID(bytes=service)}.key"
    day_key = opened((keys / "days" / name).read_bytes(), master, "plastron/keys/v1/day", name.encode())
    return opened(wrapped, day_key, "plastron/footage/v1/key", part)


def read(path, keys=None):
    """Yields (kind, epoch, sequence, plaintext or None) for each chunk; returns the last chain hash."""
    data = pathlib.Path(path).read_bytes()
    assert data[:8] == b"PLASTRN1", "not a master"
    length = int.from_bytes(data[8:12], "big")
    part, service = data[12:28], data[60:76]
    day = int.from_bytes(data[76:80], "big")
    wrapped = data[120:180]
    key = part_key(keys, service, day, wrapped, part) if keys else None
    head = tagged("plastron/footage/v1/header", data[:length])
    at, index = length, 0
    while at < len(data):
        fields = CHUNK.unpack_from(data, at)
        magic, header_length, kind, _, marks, number, epoch, _, sequence, _, _, _, size, digest, previous, nonce = fields
        assert magic == b"PLCH" and header_length == CHUNK.size + 4 * marks, f"no chunk at {at}"
        assert number == index, f"chunk {number} where {index} is due"
        assert previous == head, f"chunk {number} does not follow"
        header = data[at:at + header_length]
        sealed = data[at + header_length:at + header_length + size + 16]
        assert len(sealed) == size + 16, f"chunk {number} is cut off"
        plaintext = None
        if key:
            from cryptography.hazmat.primitives.ciphers.aead import AESGCM
            plaintext = AESGCM(key).decrypt(nonce, sealed, header)
            assert hashlib.sha256(plaintext).digest() == digest, f"chunk {number} opens to other bytes"
        head = tagged("plastron/footage/v1/chunk", header, hashlib.sha256(sealed).digest(), head)
        yield KINDS[kind], epoch, sequence, plaintext
        at += header_length + size + 16
        index += 1
    return head


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("files", nargs="+")
    parser.add_argument("--keys", type=pathlib.Path)
    arguments = parser.parse_args()
    media = []
    for file in arguments.files:
        chunks, walk = [], read(file, arguments.keys)
        while True:
            try:
                chunks.append(next(walk))
            except StopIteration as end:
                head = end.value
                break
        media += ((e, s, p) for k, e, s, p in chunks if k in ("media", "fill"))
        closed = bool(chunks) and chunks[-1][0] == "close"
        print(f"chunks {len(chunks)}, closed {closed}, chain {head.hex()}", file=sys.stderr)
    # One order over all parts.
    for _, _, plaintext in sorted(media, key=lambda c: c[:2]):
        if plaintext is not None:
            sys.stdout.buffer.write(plaintext)


if __name__ == "__main__":
    main()
