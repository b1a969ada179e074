"""Verifies a journal, written from docs/journal-format.md alone.

    python verify_journal.py FOLDER KEY [--against CHECKPOINT ...]

KEY is the first trusted public key or a file with it. Prints what it finds as JSON; ends with 2 if anything is wrong.
"""

import argparse
import base64
import hashlib
import json
import pathlib

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

KEPT_US = 1095 * 86_400 * 1_000_000
ESCAPES = {'"': '\\"', "\\": "\\\\", "\b": "\\b", "\t": "\\t", "\n": "\\n", "\f": "\\f", "\r": "\\r"}


def leaf_hash(entry):
    return hashlib.sha256(b"\0" + entry).digest()


def node_hash(left, right):
    return hashlib.sha256(b"\1" + left + right).digest()


def root_of(hashes):
    """RFC 6962, 2.1, without recursion: pairs of equal height are joined from the left, then from the right."""
    if not hashes:
        return hashlib.sha256(b"").digest()
    peaks = []
    for number, value in enumerate(hashes):
        while number & 1:
            value = node_hash(peaks.pop(), value)
            number >>= 1
        peaks.append(value)
    value = peaks.pop()
    while peaks:
        value = node_hash(peaks.pop(), value)
    return value


def canonical(value):
    """RFC 8785 without floating-point numbers; raises ValueError for what has no canonical form here."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, str):
        return '"' + "".join(ESCAPES.get(c) or (f"\\u{ord(c):04x}" if ord(c) < 32 else c) for c in value) + '"'
    if isinstance(value, list):
        return "[" + ",".join(map(canonical, value)) + "]"
    if isinstance(value, dict):
        names = sorted(value, key=lambda name: name.encode("utf-16-be"))
        return "{" + ",".join(canonical(name) + ":" + canonical(value[name]) for name in names) + "}"
    raise ValueError(f"no canonical form: {value!r}")


def parse_entry(raw):
    try:
        entry = json.loads(raw.decode("utf-8"))
        if canonical(entry).encode() == raw and entry.get("v") == 1 and isinstance(entry.get("facts"), dict):
            return entry
    except (ValueError, AttributeError):
        pass
    return None


class Key:
    def __init__(self, text):
        self.text = text.strip()
        self.name, key_id, blob = self.text.split("+", 2)
        raw = base64.b64decode(blob, validate=True)
        assert raw[0] == 1 and len(raw) == 33, "not an Ed25519 key"
        self.public = raw[1:]
        self.id = hashlib.sha256(self.name.encode() + b"\n\x01" + self.public).digest()[:4]
        assert self.id.hex() == key_id, "the key id is not the key's"

    def has_signed(self, body, signatures):
        for name, blob in signatures:
            if name == self.name and blob[:4] == self.id:
                try:
                    Ed25519PublicKey.from_public_bytes(self.public).verify(blob[4:], body.encode())
                    return True
                except InvalidSignature:
                    pass
        return False


class Checkpoint:
    """A signed note read as a checkpoint; raises ValueError where it is none."""

    def __init__(self, note):
        body, separator, rest = note.rpartition("\n\n")
        if not separator:
            raise ValueError("not a signed note")
        self.body = body + "\n"
        lines = self.body.split("\n")
        if len(lines) < 4:
            raise ValueError("not a checkpoint")
        self.origin, self.size, self.root = lines[0], int(lines[1]), base64.b64decode(lines[2], validate=True)
        self.signatures = []
        for line in rest.splitlines():
            dash, name, blob = line.split(" ")
            if dash != "\u2014":
                raise ValueError("not a signature")
            self.signatures.append((name, base64.b64decode(blob, validate=True)))
        if not self.signatures or len(self.root) != 32:
            raise ValueError("not a checkpoint")


def path_holds(leaf, index, size, path, root):
    """RFC 9162, 2.1.3.2."""
    if index >= size:
        return False
    node, last, value = index, size - 1, leaf
    for sibling in path:
        if last == 0:
            return False
        if node & 1 or node == last:
            value = node_hash(sibling, value)
            while not node & 1 and node:
                node, last = node >> 1, last >> 1
        else:
            value = node_hash(value, sibling)
        node, last = node >> 1, last >> 1
    return last == 0 and value == root


def tile_name(number):
    groups = [f"{number % 1000:03}"]
    while number >= 1000:
        number //= 1000
        groups.insert(0, f"x{number % 1000:03}")
    return "/".join(groups)


class Verifier:
    def __init__(self, folder, key, against=()):
        self.folder, self.keys, self.against = pathlib.Path(folder), [Key(key)], against
        self.firsts, self.unnumbered = [], False
        self.findings, self.read, self.withheld, self.purged, self.size = [], 0, 0, 0, None
        self.scoped = (self.folder / "scope").exists()
        self.listed = None
        if (self.folder / "entries").exists():
            self.listed, last = {}, -1
            for line in (self.folder / "entries").read_bytes().split(b"\n")[:-1]:
                position, _, raw = line.partition(b" ")
                if int(position) <= last:
                    self.find("entry-inserted", int(position))
                last = max(last, int(position))
                self.listed[int(position)] = raw

    def find(self, code, position=None):
        self.findings.append({"code": code, "position": position})

    def file(self, name, width):
        for candidate in [self.folder / name] + ([self.folder / f"{name}.p" / str(width)] if width < 256 else []):
            if candidate.is_file():
                return candidate.read_bytes()
        return None

    def run(self):
        marks = self.follow_rotations()
        note = self.folder / "checkpoint"
        if not note.exists():
            self.find("checkpoint-missing")
            return self
        newest = self.believe(note.read_text(), self.keys[-1:])
        if newest is None:
            return self
        self.size = newest.size
        for text in self.against:
            earlier = self.believe(text, self.keys)
            if earlier:
                marks.append(earlier)
        for mark in marks:
            if mark.size > newest.size:
                self.find("truncated", newest.size)
        self.read_tree(newest, [mark for mark in marks if mark.size <= newest.size])
        return self

    def believe(self, note, keys):
        try:
            checkpoint = Checkpoint(note)
        except ValueError:
            self.find("checkpoint-malformed")
            return None
        if not any(key.name == checkpoint.origin and key.has_signed(checkpoint.body, checkpoint.signatures) for key in keys):
            self.find("wrong-key")
            return None
        return checkpoint

    def follow_rotations(self):
        marks, folder = [], self.folder / "rotations"
        paths = sorted(folder.iterdir()) if folder.is_dir() else []
        # Who trusts a later key needs nothing of the changes before it.
        for number, path in reversed(list(enumerate(paths))):
            raw = path.read_text().split("\n")
            try:
                entry = parse_entry(base64.b64decode(raw[1][6:])) if len(raw) > 1 and raw[1].startswith("extra ") else None
            except ValueError:
                entry = None
            if entry and entry["facts"].get("new") == self.keys[0].text:
                paths = paths[number + 1:]
                break
        for path in paths:
            try:
                head, _, note = path.read_text().partition("\n\n")
                title, extra, index, *hashes = head.split("\n")
                assert title == "c2sp.org/tlog-proof@v1" and extra.startswith("extra ") and index.startswith("index ")
                raw = base64.b64decode(extra[6:], validate=True)
                checkpoint, entry = Checkpoint(note), parse_entry(raw)
                assert self.keys[-1].has_signed(checkpoint.body, checkpoint.signatures)
                assert path_holds(
                    leaf_hash(raw), int(index[6:]), checkpoint.size, [base64.b64decode(h, validate=True) for h in hashes], checkpoint.root)
                assert entry and entry["act"] == "journal.key-rotated" and entry["facts"]["old"] == self.keys[-1].text
                self.keys.append(Key(entry["facts"]["new"]))
                marks.append(checkpoint)
            except (AssertionError, ValueError, KeyError):
                self.find("rotation-invalid")
                break
        return marks

    def entries_of(self, bundle, width):
        """Entries by their place; None where there is nothing of this bundle."""
        if self.listed is not None:
            found = {p - bundle * 256: raw for p, raw in self.listed.items() if p // 256 == bundle}
            return found or None
        raw = self.file(f"tile/entries/{tile_name(bundle)}", width)
        growing = (self.folder / f"tile/entries/{tile_name(bundle)}").is_file()
        if raw is None:
            return None
        entries, at = [], 0
        while at + 2 <= len(raw):
            size = int.from_bytes(raw[at:at + 2], "big")
            if size == 0 or at + 2 + size > len(raw):
                break
            entries.append(raw[at + 2:at + 2 + size])
            at += 2 + size
        return dict(enumerate(entries[:width] if growing and width < 256 else entries))

    def read_tree(self, newest, marks):
        leaves, from_entries, mismatches, absent, numbers, purged_below = [], [], [], [], {}, 0
        for bundle in range((newest.size + 255) // 256):
            width = min(256, newest.size - bundle * 256)
            entries = self.entries_of(bundle, width)
            tile = self.file(f"tile/0/{tile_name(bundle)}", width)
            stored = [tile[i * 32:i * 32 + 32] for i in range(width)] if tile and len(tile) >= width * 32 else None
            hashed = {place: leaf_hash(raw) for place, raw in entries.items()} if entries is not None else None
            whole = [hashed[i] for i in range(width)] if hashed and all(i in hashed for i in range(width)) else None
            wanted = stored or whole
            if wanted is None:
                first = next(i for i in range(width) if not hashed or i not in hashed)
                self.find("truncated", bundle * 256 + first)
                return
            leaves += wanted
            from_entries = from_entries + whole if whole and from_entries is not None else None
            if entries is None:
                absent.append((bundle * 256, width))
                continue
            mismatches += self.compare(bundle * 256, wanted, hashed)
            for place in sorted(entries):
                if place < width:
                    purged_below = max(purged_below, self.read_entry(bundle * 256 + place, entries[place], numbers))
        for first, width in absent:
            if first + width <= purged_below:
                self.purged += width
            elif self.scoped:
                self.withheld += width
            else:
                self.find("entry-missing", first)
        # The first of each service is number 1, unless bodies were purged; who is shown a service is shown some of it.
        if purged_below == 0 and not self.unnumbered:
            for position, number in self.firsts:
                if number != 1:
                    self.find("number-gap", position)
            for service in (self.folder / "scope").read_text().splitlines() if self.scoped else []:
                if service not in numbers:
                    self.find("entry-missing")
        for position in sorted(self.listed or {}):
            if position >= newest.size:
                self.find("entry-inserted", position)
        if root_of(leaves) != newest.root:
            if from_entries is not None and root_of(from_entries) == newest.root:
                for bundle in sorted({position // 256 for _, position in mismatches}):
                    self.find("tile-edited", bundle * 256)
                return
            self.find("root-mismatch")
        for code, position in mismatches:
            self.find(code, position)
        self.check_upper(leaves)
        if any(finding["code"] == "root-mismatch" for finding in self.findings):
            return
        for mark in marks:
            if root_of(leaves[:mark.size]) != mark.root:
                self.find("forked")

    def compare(self, first, wanted, hashed):
        out = []
        places = {value: place for place, value in enumerate(wanted)}
        strangers = {place for place, value in hashed.items() if value not in places}
        there = set(hashed.values())
        lost = {place for place, value in enumerate(wanted) if value not in there}
        edited = strangers & lost
        out += [("entry-edited", first + place) for place in sorted(edited)]
        out += [("entry-inserted", first + place) for place in sorted(strangers - edited)]
        for place in sorted(lost - edited):
            if self.scoped and place not in hashed:
                self.withheld += 1
            else:
                out.append(("entry-missing", first + place))
        moved = [place for place, value in hashed.items() if value in places and places[value] != place]
        missing = {place for place in lost - edited if not self.scoped or place in hashed}
        if moved and not strangers - edited and not missing:
            out.append(("entries-reordered", first + min(moved)))
        return out

    def read_entry(self, position, raw, numbers):
        self.read += 1
        entry = parse_entry(raw)
        if entry is None:
            self.find("entry-malformed", position)
            return 0
        if "n" in entry:
            service = entry.get("service", "")
            if service not in numbers:
                self.firsts.append((position, entry["n"]))
            elif entry["n"] != numbers[service] + 1:
                self.find("number-gap", position)
            numbers[service] = entry["n"]
        else:
            self.unnumbered = True
        facts = entry["facts"]
        if entry["act"] == "journal.purged" and facts["before_us"] <= entry["time_us"] - KEPT_US and facts["entries"] % 256 == 0:
            return facts["entries"]
        return 0

    def check_upper(self, leaves):
        below = [root_of(leaves[i:i + 256]) for i in range(0, len(leaves) // 256 * 256, 256)]
        level = 1
        while below:
            for index in range((len(below) + 255) // 256):
                run = below[index * 256:index * 256 + 256]
                tile = self.file(f"tile/{level}/{tile_name(index)}", len(run))
                for offset, value in enumerate(run if tile and len(tile) >= 32 * len(run) else []):
                    if tile[offset * 32:offset * 32 + 32] != value:
                        self.find("tile-edited", (index * 256 + offset) << 8 * level)
            below = [root_of(below[i:i + 256]) for i in range(0, len(below) // 256 * 256, 256)]
            level += 1

    def report(self):
        return {
            "holds": not self.findings and self.size is not None, "size": self.size, "entries": self.read,
            "withheld": self.withheld, "purged": self.purged, "findings": self.findings}


def verify(folder, key, against=()):
    return Verifier(folder, key, against).run().report()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("folder")
    parser.add_argument("key")
    parser.add_argument("--against", action="append", default=[])
    options = parser.parse_args()
    key = pathlib.Path(options.key).read_text() if pathlib.Path(options.key).is_file() else options.key
    report = verify(options.folder, key, [pathlib.Path(p).read_text() for p in options.against])
    print(json.dumps(report, indent=1))
    raise SystemExit(0 if report["holds"] else 2)
