"""Both verifiers against the vectors on disk, and against what the running product writes."""

import json
import pathlib
import shutil
import subprocess

import pytest
from verify_journal import verify

ROOT = pathlib.Path(__file__).resolve().parents[2]
PROGRAM = ROOT / ".build/debug/plastron"
VECTORS = sorted(p for p in (ROOT / "Tests/Fixtures/journal").iterdir())


def order(findings):
    return sorted(findings, key=lambda f: (f[0], f[1] if f[1] is not None else -1))


def by_the_product(folder, against):
    result = subprocess.run(
        [str(PROGRAM), "journal", "verify", str(folder), "--key", str(folder / "public-key"), "--json"]
        + [word for path in against for word in ("--against", str(path))], capture_output=True, text=True, timeout=60)
    assert result.returncode in (0, 2), result.stderr
    report = json.loads(result.stdout)
    assert report["holds"] == (result.returncode == 0)
    return report


@pytest.mark.parametrize("folder", VECTORS, ids=lambda p: p.name)
def test_both_verifiers_name_what_is_wrong(folder):
    expected = json.loads((folder / "expected.json").read_text())
    against = [folder / name for name in expected["against"]]
    independent = verify(folder, (folder / "public-key").read_text(), [p.read_text() for p in against])
    assert order([[f["code"], f["position"]] for f in independent["findings"]]) == order(expected["findings"])
    product = by_the_product(folder, against)
    assert order([[f["code"], f.get("position")] for f in product["findings"]]) == order(expected["findings"]), product
    for count in ("entries", "withheld", "purged"):
        assert product[count] == independent[count]


def test_every_byte_of_a_journal_matters(tmp_path):
    """One flipped bit anywhere in a small export is found by both."""
    source = ROOT / "Tests/Fixtures/journal/good"
    key = (source / "public-key").read_text()
    files = [p for p in source.rglob("*") if p.is_file() and p.name not in ("expected.json", "public-key")]
    assert len(files) == 7
    for number, path in enumerate(files * 3):
        copy = tmp_path / str(number)
        shutil.copytree(source, copy)
        target = copy / path.relative_to(source)
        content = bytearray(target.read_bytes())
        content[(number * 7919) % len(content)] ^= 1
        target.write_bytes(content)
        earlier = copy / "earlier-0"
        try:
            holds = verify(copy, key, [earlier.read_bytes().decode()])["holds"]
        except UnicodeDecodeError:
            holds = False
        assert not holds, target
        product = subprocess.run(
            [str(PROGRAM), "journal", "verify", str(copy), "--key", str(source / "public-key"), "--against", str(earlier)],
            capture_output=True, timeout=60)
        assert product.returncode != 0, target
