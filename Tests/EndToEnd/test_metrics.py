"""What a collector sees: in Prometheus' own format, without names of persons or cameras."""

import re
import subprocess

import pytest
import requests
from conftest import ROOT, until


def metrics(world):
    answer = requests.get(f"http://127.0.0.1:{world.metrics_port}/metrics", timeout=10)
    assert answer.ok and answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    return answer.text


def value(text, name, *labels):
    found = [line for line in text.splitlines() if line.startswith(name + "{") or line.startswith(name + " ")]
    found = [line for line in found if all(label in line for label in labels)]
    assert len(found) == 1, (name, labels, found)
    return float(found[0].rsplit(" ", 1)[1])


@pytest.mark.alone
def test_the_durability_lag_is_a_metric(world, cameras):
    camera = world.new_camera()
    running = cameras(camera, 8, "--threat", "agents")
    world.incident(camera)
    text = until(lambda: (lambda t: t if value(t, "plastron_durability_lag_seconds") > 0 else None)(metrics(world)), 20, 0.5)
    # Half a second of it is the gathering of a chunk.
    assert 0.4 < value(text, "plastron_durability_lag_seconds") < 1
    assert value(text, "plastron_durability_seconds_bucket", 'le="1.0"') == value(text, "plastron_durability_seconds_bucket", 'le="+Inf"')
    assert value(text, "plastron_incidents_active") >= 1 and value(text, "plastron_incidents_live") >= 1
    assert value(text, "plastron_up", 'role="ingest"') == 1 and value(text, "plastron_database_up") == 1
    assert value(text, "plastron_volume_free_bytes", 'volume="footage"') > 0
    assert camera not in text and "Porteur" not in text and world.service not in text
    running.wait()


def test_promtool_finds_nothing_wrong(world):
    checked = subprocess.run(["promtool", "check", "metrics"], input=metrics(world), capture_output=True, text=True)
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_alerts_are_rules_over_metrics_that_exist(world):
    rules = ROOT / "deploy/prometheus-alerts.yml"
    checked = subprocess.run(["promtool", "check", "rules", str(rules)], capture_output=True, text=True)
    assert checked.returncode == 0, checked.stdout + checked.stderr
    families = set(re.findall(r"^# TYPE (\w+)", metrics(world), re.M))
    for name in set(re.findall(r"\bplastron_\w+", "\n".join(l for l in rules.read_text().splitlines() if "expr:" in l))):
        assert re.sub(r"_(bucket|sum|count)$", "", name) in families or name in families, name
    documented = (ROOT / "docs/guide/operations.md").read_text()
    assert all(f"`{name}`" in documented for name in families), [n for n in families if f"`{n}`" not in documented]
