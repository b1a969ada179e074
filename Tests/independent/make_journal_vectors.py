"""Makes Tests/Fixtures/journal: a good journal and what a forger could make of it, from docs/journal-format.md alone.

Deterministic: run it again and `git diff` stays empty. Each folder has `expected.json`: the findings of a verifier that
trusts `public-key`, as [code, position] in any order, and the files of earlier checkpoints to hold it against.
"""

import base64
import hashlib
import json
import pathlib
import shutil

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from verify_journal import Key, canonical, leaf_hash, root_of, tile_name

TARGET = pathlib.Path(__file__).resolve().parents[1] / "Fixtures/journal"
ORIGIN = "plastron/fixture"
YEAR_US = 365 * 86_400 * 1_000_000
START_US = 1_790_000_000_000_000


class Signer:
    def __init__(self, seed):
        self.key = Ed25519PrivateKey.from_private_bytes(hashlib.sha256(seed).digest())
        public = self.key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        self.id = hashlib.sha256(ORIGIN.encode() + b"\n\x01" + public).digest()[:4]
        self.text = f"{ORIGIN}+{self.id.hex()}+{base64.b64encode(bytes([1]) + public).decode()}"
        Key(self.text)

    def sign(self, leaves):
        body = f"{ORIGIN}\n{len(leaves)}\n{base64.b64encode(root_of(leaves)).decode()}\n"
        blob = base64.b64encode(self.id + self.key.sign(body.encode())).decode()
        return f"{body}\n\u2014 {ORIGIN} {blob}\n"


def entry(number, service, count, act="viewing.joined", facts=None, time_us=None):
    value = {
        "v": 1, "kind": "consultation", "act": act, "time_us": time_us or START_US + number * 1_000_000, "author": f"agent-{number % 7}",
        "n": count, "facts": facts if facts is not None else {"recording": f"r-{number}", "reason": "é \"\\\n\u0001"},
        "salt": hashlib.sha256(f"salt {number}".encode()).hexdigest()[:32]}
    if service:
        value["service"] = service
    return canonical(value).encode()


def journal(count):
    """Entries of two services and of none, numbered each."""
    numbers, out = {}, []
    for number in range(count):
        service = [None, "s-1", "s-2"][number % 3]
        numbers[service] = numbers.get(service, 0) + 1
        out.append(entry(number, service, numbers[service]))
    return out


def path_of(leaves, index):
    """RFC 6962, 2.1.1."""
    if len(leaves) == 1:
        return []
    split = 1
    while split * 2 < len(leaves):
        split *= 2
    if index < split:
        return path_of(leaves[:split], index) + [root_of(leaves[split:])]
    return path_of(leaves[split:], index - split) + [root_of(leaves[:split])]


def proof(entries, index, note):
    path = path_of([leaf_hash(e) for e in entries], index)
    lines = ["c2sp.org/tlog-proof@v1", "extra " + base64.b64encode(entries[index]).decode(), f"index {index}"]
    return "\n".join(lines + [base64.b64encode(h).decode() for h in path]) + "\n\n" + note


def put(folder, name, content):
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())


def partial(name, width):
    return name if width == 256 else f"{name}.p/{width}"


def write(name, entries, note, key, expected, tiles=None, bundles=None, against=(), rotations=(), scope=None):
    """An export. `tiles`: entries that the hash tiles are of, where not those of the bundles."""
    folder = TARGET / name
    put(folder, "checkpoint", note)
    put(folder, "public-key", key + "\n")
    put(folder, "expected.json", json.dumps({"findings": expected, "against": [f"earlier-{i}" for i in range(len(against))]}) + "\n")
    for number, text in enumerate(against):
        put(folder, f"earlier-{number}", text)
    for number, text in enumerate(rotations):
        put(folder, f"rotations/{number:020}", text)
    hashes, level = [leaf_hash(e) for e in tiles or entries], 0
    while hashes:
        for at in range(0, len(hashes), 256):
            run = hashes[at:at + 256]
            put(folder, partial(f"tile/{level}/{tile_name(at // 256)}", len(run)), b"".join(run))
        hashes = [root_of(hashes[i:i + 256]) for i in range(0, len(hashes) // 256 * 256, 256)]
        level += 1
    if scope:
        put(folder, "scope", "".join(s + "\n" for s in scope))
        put(folder, "entries", b"".join(b"%d %s\n" % pair for pair in bundles))
        return folder
    signed = len(tiles or entries)
    for at in range(0, len(entries), 256):
        run = entries[at:at + 256]
        full = min(256, signed - at)
        if full > 0:
            put(folder, partial(f"tile/entries/{tile_name(at // 256)}", full), b"".join(len(e).to_bytes(2, "big") + e for e in run))
    return folder


def main():
    shutil.rmtree(TARGET, ignore_errors=True)
    first, second, stranger = Signer(b"first"), Signer(b"second"), Signer(b"stranger")
    good = journal(300)
    leaves = [leaf_hash(e) for e in good]
    note, early = first.sign(leaves), first.sign(leaves[:100])
    key = first.text

    write("good", good, note, key, [], against=[early])
    edited = good[:137] + [entry(137, "s-2", 46, facts={"recording": "r-another", "reason": "x"})] + good[138:]
    write("edited", edited, note, key, [["entry-edited", 137]], tiles=good)
    write("edited-with-tile", edited, note, key, [["root-mismatch", None], ["tile-edited", 0]], tiles=edited)
    tile = TARGET / "edited-with-tile/tile/1/000.p/1"
    tile.write_bytes(root_of(leaves[:256]))
    write("tile-edited", good, note, key, [["tile-edited", 0]], tiles=edited)
    write("deleted", good[:40] + good[41:256] + good[256:], note, key, [["entry-missing", 40]], tiles=good)
    bundle = b"".join(len(e).to_bytes(2, "big") + e for e in good[:40] + good[41:256])
    put(TARGET / "deleted", "tile/entries/000", bundle)
    put(TARGET / "deleted", "tile/entries/001.p/44", b"".join(len(e).to_bytes(2, "big") + e for e in good[256:]))
    # Its entries step in their numbers too: 40 is of s-1.
    put(TARGET / "deleted", "expected.json", json.dumps({"findings": [["entry-missing", 40], ["number-gap", 42]], "against": []}) + "\n")
    write("bundle-deleted", good, note, key, [["entry-missing", 0], ["number-gap", 256], ["number-gap", 257], ["number-gap", 258]])
    (TARGET / "bundle-deleted/tile/entries/000").unlink()
    swapped = good[:10] + [good[13]] + good[11:13] + [good[10]] + good[14:]
    write("reordered", swapped, note, key, [["entries-reordered", 10], ["number-gap", 10], ["number-gap", 13], ["number-gap", 16]], tiles=good)
    write("truncated", good[:256], note, key, [["truncated", 256]])
    write("rolled-back", good[:90], first.sign(leaves[:90]), key, [["truncated", 90]], against=[early])
    other = good[:50] + [entry(50, "s-2", 17, facts={"recording": "r-other"})] + good[51:]
    write("forked", other, first.sign([leaf_hash(e) for e in other]), key, [["forked", None]], against=[early])
    write("re-signed", edited, stranger.sign([leaf_hash(e) for e in edited]), key, [["wrong-key", None]])
    # A full bundle with one too many.
    write("inserted", good[:256], first.sign(leaves[:256]), key, [["entry-inserted", 20]], tiles=good[:256])
    shutil.rmtree(TARGET / "inserted/tile/entries")
    put(TARGET / "inserted", "tile/entries/000", b"".join(len(e).to_bytes(2, "big") + e for e in good[:20] + [entry(20, "s-9", 1)] + good[20:256]))
    shutil.rmtree(TARGET / "inserted/tile/0")
    put(TARGET / "inserted", "tile/0/000", b"".join(leaves[:256]))
    loose = good[:5] + [good[5].replace(b'"act":', b'"act": ', 1)] + good[6:]
    write("not-canonical", loose, first.sign([leaf_hash(e) for e in loose]), key, [["entry-malformed", 5], ["number-gap", 8]])
    write("no-checkpoint", good, note, key, [["checkpoint-missing", None]])
    (TARGET / "no-checkpoint/checkpoint").unlink()
    write("garbled-checkpoint", good, note.replace("\n300\n", "\nmany\n"), key, [["checkpoint-malformed", None]])

    turned = good[:120] + [entry(120, None, 41, act="journal.key-rotated", facts={"old": first.text, "new": second.text})] + good[121:]
    turn = proof(turned[:121], 120, first.sign([leaf_hash(e) for e in turned[:121]]))
    write("rotated", turned, second.sign([leaf_hash(e) for e in turned]), key, [], rotations=[turn], against=[first.sign([leaf_hash(e) for e in turned[:60]])])
    write("rotated-newest-key", turned, second.sign([leaf_hash(e) for e in turned]), second.text, [], rotations=[turn])
    forged = turned[:120] + [entry(120, None, 41, act="journal.key-rotated", facts={"old": first.text, "new": stranger.text})] + turned[121:]
    false_turn = proof(forged[:121], 120, stranger.sign([leaf_hash(e) for e in forged[:121]]))
    write("rotated-by-stranger", forged, stranger.sign([leaf_hash(e) for e in forged]), key, [["rotation-invalid", None], ["wrong-key", None]], rotations=[false_turn])

    old = [e for e in good[:299]]
    purge = entry(299, "s-2", 100, act="journal.purged", facts={"entries": 256, "before_us": START_US + 256 * 1_000_000}, time_us=START_US + 4 * YEAR_US)
    write("purged", old + [purge], first.sign([leaf_hash(e) for e in old + [purge]]), key, [])
    (TARGET / "purged/tile/entries/000").unlink()
    soon = entry(299, "s-2", 100, act="journal.purged", facts={"entries": 256, "before_us": START_US + 256 * 1_000_000}, time_us=START_US + YEAR_US)
    write("purged-too-soon", old + [soon], first.sign([leaf_hash(e) for e in old + [soon]]), key,
          [["entry-missing", 0], ["number-gap", 256], ["number-gap", 257], ["number-gap", 258]])
    (TARGET / "purged-too-soon/tile/entries/000").unlink()

    shown = [(n, e) for n, e in enumerate(good) if n % 3 != 2]
    write("scoped", good, note, key, [], scope=["s-1"], bundles=shown)
    write("scoped-without-its-first", good, note, key, [["number-gap", 4]], scope=["s-1"], bundles=[(n, e) for n, e in shown if n != 1])
    write("scoped-without-its-service", good, note, key, [["entry-missing", None]], scope=["s-1"], bundles=[(n, e) for n, e in shown if n % 3 == 0])
    write("scoped-without-its-beginning", good, note, key, [["number-gap", 256], ["number-gap", 258]], scope=["s-1"], bundles=[(n, e) for n, e in shown if n >= 256])
    write("scoped-with-a-stranger", good, note, key, [["entry-inserted", 99_999]], scope=["s-1"], bundles=shown + [(99_999, entry(7, "s-9", 1))])
    write("scoped-with-a-double", good, note, key, [["entry-inserted", 3]], scope=["s-1"], bundles=[p for p in shown if p[0] <= 3] + [p for p in shown if p[0] >= 3])
    write("scoped-with-omission", good, note, key, [["number-gap", 133]], scope=["s-1"], bundles=[(n, e) for n, e in shown if n != 130])


if __name__ == "__main__":
    main()
