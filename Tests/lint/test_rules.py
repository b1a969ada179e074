"""The rules of the code that a machine can hold."""

import pathlib
import re
import subprocess

ROOT = pathlib.Path(__file__).resolve().parents[2]
SOURCES = ROOT / "Sources"
PURE = ["TransportStream", "FragmentedMP4", "Doctrine", "Journal", "Footage"]
HOMES = {"CSRT": "SRT", "CPostgres": "Postgres", "CAVCodec": "Imaging", "CTimex": "plastron", "CUring": "plastron", "CMalloc": "plastron", "CFlush": "Vault"}


def swift(folder=SOURCES):
    return [(path, path.read_text()) for path in sorted(folder.rglob("*.swift"))]


def test_c_libraries_are_imported_by_their_wrapper_only():
    for path, text in swift():
        for library, home in HOMES.items():
            if re.search(rf"^\s*(?:@\w+ )?(?:\w+ )?import {library}\b", text, re.M):
                assert path.relative_to(SOURCES).parts[0] == home, path


def test_sql_lives_in_the_registry():
    for path, text in swift():
        if re.search(r"\b(SELECT|INSERT INTO|UPDATE|DELETE FROM) ", text):
            assert path.relative_to(SOURCES).parts[0] in ("Registry", "Postgres"), path


def test_pure_modules_are_pure():
    forbidden = r"^(?:\w+ )?import (Foundation|Logging|NIO\w*|Dispatch|Glibc)\b|\bDate\(\)|ContinuousClock|SuspendingClock|\bTask *\{|\basync\b|\bprint\("
    for module in PURE:
        for path, text in swift(SOURCES / module):
            found = re.search(forbidden, text, re.M)
            assert not found, f"{path}: {found and found[0]}"


def test_no_traps_or_leftovers():
    for path, text in swift():
        found = re.search(r"fatalError\(|\btry!|\bas!|TODO|FIXME|unimplemented", text)
        assert not found, f"{path}: {found and found[0]}"


def test_files_stay_short():
    for path, text in swift():
        assert text.count("\n") <= 700, path


def test_formatting():
    result = subprocess.run(
        ["swift", "format", "lint", "-s", "-r", "Sources", "Tests", "Package.swift"], cwd=ROOT, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr[:3000]


def test_the_promises_stand_in_the_readme_and_in_the_security_page():
    security = (ROOT / "SECURITY.md").read_text()
    readme = (ROOT / "README.md").read_text()
    for number in range(1, 10):
        sentence = re.search(rf"^\| P{number} \| (.+) \|$", security, re.M)
        assert sentence, f"P{number}"
        assert sentence[0] in readme, f"P{number} reads differently in the README"


def test_requirements_are_cited_where_they_are_carried_out():
    text = "\n".join(text for _, text in swift()) + (ROOT / "migrations/0001_foundation.sql").read_text()
    for requirement in ["REC-1", "REC-4", "REC-5", "LIVE-1", "LIVE-2", "LIVE-5", "LIVE-7", "LIVE-8", "STO-5", "STO-6", "MET-2", "ACC-1", "ACC-3", "LOG-1", "LOG-8", "RET-1", "RET-3", "INT-1", "INT-6"]:
        assert requirement in text, requirement
