#!/usr/bin/env python3
"""Puts an asynchronous KLV stream (MISB ST 0601) into a transport stream: klv.py FROM TO."""

import struct
import sys

KEY = bytes.fromhex("060e2b34020b01010e01030101000000")
PID = 0x1F0
MAP = 0x1000
PACKET = 188


def crc(data):
    value = 0xFFFFFFFF
    for byte in data:
        value ^= byte << 24
        for _ in range(8):
            value = (value << 1 ^ 0x04C11DB7 if value & 0x80000000 else value << 1) & 0xFFFFFFFF
    return struct.pack(">I", value)


def local_set(time_us, latitude, longitude, altitude):
    items = b"\x02\x08" + struct.pack(">Q", time_us)
    items += b"\x0d\x04" + struct.pack(">i", round(latitude / 90 * (2**31 - 1)))
    items += b"\x0e\x04" + struct.pack(">i", round(longitude / 180 * (2**31 - 1)))
    items += b"\x0f\x02" + struct.pack(">H", round((altitude + 900) / 19900 * 65535))
    data = KEY + bytes([len(items) + 4]) + items + b"\x01\x02"
    total = sum(byte << (8 if index % 2 == 0 else 0) for index, byte in enumerate(data))
    return data + struct.pack(">H", total & 0xFFFF)


def packet(pid, counter, payload, fill=False):
    head = bytes([0x47, 0x40 | pid >> 8, pid & 0xFF])
    if fill:
        return head + bytes([0x10 | counter]) + payload.ljust(184, b"\xff")
    field = 184 - len(payload)
    return head + bytes([0x30 | counter, field - 1, 0]) + b"\xff" * (field - 2) + payload


source, target = sys.argv[1:]
clip = open(source, "rb").read()
out = b""
sent = False
for start in range(0, len(clip), PACKET):
    part = clip[start : start + PACKET]
    if (part[1] & 0x1F) << 8 | part[2] == MAP:
        begin = 5 + part[4]
        length = (part[begin + 1] & 0x0F) << 8 | part[begin + 2]
        section = part[begin : begin + 3 + length - 4]
        more = bytes([0x06, 0xE0 | PID >> 8, PID & 0xFF, 0xF0, 6, 5, 4]) + b"KLVA"
        section = bytes([section[0], 0xB0, length + len(more)]) + section[3:] + more
        part = packet(MAP, part[3] & 0x0F, b"\0" + section + crc(section), fill=True)
    out += part
    if (part[1] & 0x1F) << 8 | part[2] == MAP and not sent:
        sent = True
        data = local_set(1_224_807_209_913_000, 48.8566, 2.3522, 35)
        body = b"\x80\0\0" + data
        out += packet(PID, 0, b"\0\0\1\xbd" + struct.pack(">H", len(body)) + body)
open(target, "wb").write(out)
