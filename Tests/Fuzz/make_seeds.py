"""Makes the first inputs of the fuzz targets from the clips in Tests/Fixtures: small, whole, one for each way in.

    python3 Tests/Fuzz/make_seeds.py

What the fuzzer finds on its own is added beside them by `make fuzz-corpus`.
"""

import hashlib
import pathlib
import struct

FIXTURES = pathlib.Path(__file__).resolve().parents[1] / "Fixtures"
CORPUS = FIXTURES / "corpus"


def write(target, name, content):
    folder = CORPUS / target
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(content)


def packets(clip, pid):
    """Start flag, random-access flag, stuffing, payload, of each packet of a PID. ISO/IEC 13818-1, 2.4.3.2."""
    for at in range(0, len(clip), 188):
        packet = clip[at:at + 188]
        if (packet[1] & 0x1F) << 8 | packet[2] != pid or not packet[3] & 0x10:
            continue
        adaptation = 1 + packet[4] if packet[3] & 0x20 else 0
        flags = packet[5] if adaptation > 1 else 0
        yield packet[1] >> 6 & 1, flags >> 6 & 1, adaptation > 2 and packet[4 + adaptation - 1] == 0xFF, packet[4 + adaptation:]


def elementary(clip, pid, most=60):
    out = bytearray()
    for start, random, stuffed, payload in list(packets(clip, pid))[:most]:
        out += bytes([start | random << 1 | stuffed << 3, len(payload)]) + payload
    return bytes(out)


def stream(clip, pid):
    """The elementary stream, PES headers taken off."""
    out = bytearray()
    for start, _, _, payload in packets(clip, pid):
        out += payload[9 + payload[8]:] if start else payload
    return bytes(out)


def units(data):
    return [piece.rstrip(b"\0") for piece in data.split(b"\0\0\1")[1:]]


def chunk(kind, index, previous, content, marks=()):
    """One chunk, not sealed by any key: the hashes are what a third party checks. docs/footage-format.md."""
    sealed = content + bytes(16)
    header = b"PLCH" + struct.pack(
        ">IBBHQIIQqqQI", 140 + 4 * len(marks), kind, bool(marks), len(marks), index, 1, 1, index, 1, 2, 90, len(content))
    header += hashlib.sha256(content).digest() + previous + bytes(12) + b"".join(struct.pack(">I", m) for m in marks)
    tag = b"plastron/footage/v1/chunk\0"
    return header + sealed, hashlib.sha256(tag + header + hashlib.sha256(sealed).digest() + previous).digest()


def footage():
    facts = bytes(40)
    header = b"PLASTRN1" + struct.pack(">I", 184 + len(facts)) + bytes(range(64)) + struct.pack(">Iq", 20261121, 42)
    header += bytes(32) + bytes(60) + struct.pack(">I", len(facts)) + facts
    head = hashlib.sha256(b"plastron/footage/v1/header\0" + header).digest()
    file = header
    for index, (kind, content, marks) in enumerate(
            [(4, b"", ()), (1, b"G" * 376, (0, 188)), (3, b"gap", ()), (2, b"fill", (0,)), (5, b"", ())]):
        bytes_, head = chunk(kind, index, head, content, marks)
        file += bytes_
    return file


def metadata():
    """One set of MISB ST 0601: time, latitude, longitude, height, checksum."""
    items = bytes([2, 8]) + struct.pack(">Q", 1_790_000_000_000_000) + bytes([13, 4]) + struct.pack(">i", 1 << 29)
    items += bytes([14, 4]) + struct.pack(">i", 1 << 26) + bytes([15, 2, 0x10, 0, 1, 2])
    whole = bytes.fromhex("060e2b34020b01010e01030101000000") + bytes([len(items) + 2]) + items
    return whole + struct.pack(">H", sum(byte << (8 if at % 2 == 0 else 0) for at, byte in enumerate(whole)) & 0xFFFF)


def main():
    baseline = (FIXTURES / "h264-baseline.ts").read_bytes()
    sound = (FIXTURES / "h264-bframes-aac.ts").read_bytes()
    h265 = (FIXTURES / "h265.ts").read_bytes()
    write("transport-stream", "h264-short.ts", baseline[:188 * 60])
    write("transport-stream", "h264-aac-short.ts", sound[:188 * 80])
    write("elementary-stream", "h264", elementary(baseline, 0x100))
    write("elementary-stream", "h264-bframes", elementary(sound, 0x100))
    write("elementary-stream", "aac", elementary(sound, 0x101))
    write("elementary-stream", "h265", elementary(h265, 0x100))
    for name, clip in [("baseline", baseline), ("high", sound)]:
        for unit in units(stream(clip, 0x100)):
            if unit[0] & 0x1F in (7, 8):
                write("parameter-sets", f"h264-{name}-{unit[0] & 0x1F}", unit)
        write("parameter-sets", f"h264-{name}-units", stream(clip, 0x100)[:400])
    for unit in units(stream(h265, 0x100)):
        if unit[0] >> 1 & 0x3F in (32, 33, 34):
            write("parameter-sets", f"h265-{unit[0] >> 1 & 0x3F}", unit)
    write("parameter-sets", "adts", stream(sound, 0x101)[:900])
    # The first byte of a sound input chooses the framing, of a metadata input the carriage.
    write("sound", "adts", b"\0" + stream(sound, 0x101)[:900])
    write("sound", "latm", b"\1" + bytes([0x56, 0xE0, 8, 0x20, 0, 0x11, 0x90, 0, 2, 0, 0]))
    write("sound", "opus", b"\2" + bytes([0x7F, 0xE0, 4, 0xFC, 1, 2, 3]))
    cell = metadata()
    write("metadata", "asynchronous", b"\0" + cell)
    write("metadata", "synchronous", b"\1" + bytes([0, 0, 0xDF]) + struct.pack(">H", len(cell)) + cell)
    write("packet-order", "holes", bytes([0]) + b"".join(bytes(op) for op in [(1, 0, 9), (2, 0, 1), (1, 0, 40), (3, 2, 0), (0, 0xE0, 200), (5, 0, 0), (4, 9, 9), (1, 0, 3)]))
    write("packet-order", "no-room", bytes([0]) + b"".join(bytes(op) for op in [(1, 0, 1), (2, 0, 1), (1, 100, 0), (0, 0x81, 255), (3, 2, 0)]))
    write("packet-order", "timely", bytes([1]) + b"".join(bytes(op) for op in [(1, 0, 9), (2, 0, 1), (1, 0, 40), (0, 0xF0, 9)]))
    write("footage", "whole.plm-seed", footage())
    write("footage", "torn.plm-seed", footage()[:-40])


if __name__ == "__main__":
    main()
