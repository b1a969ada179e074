"""What a collector sees: in Prometheus' own format, without names of persons or cameras."""

import datetime
import json
import re
import subprocess

import pytest
import requests
from conftest import ROOT, until


def metrics(world, path="/metrics"):
    answer = requests.get(f"http://127.0.0.1:{world.metrics_port}{path}", timeout=10)
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
    for path in ("/metrics", "/metrics/cameras"):
        checked = subprocess.run(["promtool", "check", "metrics"], input=metrics(world, path), capture_output=True, text=True)
        assert checked.returncode == 0, path + checked.stdout + checked.stderr


def families(text):
    return set(re.findall(r"^# TYPE (\w+)", text, re.M))


def used(expressions, known):
    """The families that expressions name; fails on one that is not there."""
    found = set()
    for name in set(re.findall(r"\bplastron_\w+", expressions)):
        family = name if name in known else re.sub(r"_(bucket|sum|count)$", "", name)
        assert family in known, name
        found.add(family)
    return found


def test_links_are_told_of_all_together_and_of_each_only_where_it_is_asked(world, cameras):
    camera = world.new_camera()
    running = cameras(camera, 40)
    world.incident(camera)
    node = re.search(r'plastron_incidents_active{node="([^"]+)"}', metrics(world))[1]
    told = datetime.datetime.now(datetime.timezone.utc).isoformat()
    assert world.device("POST", "/clock", camera, json={"now": told}).status_code == 204
    each = until(lambda: (lambda t: t if f'round_trip_seconds{{node="{node}",camera="{camera}"' in t else None)(metrics(world, "/metrics/cameras")), 30, 0.5)
    assert value(each, "plastron_camera_connected", f'camera="{camera}"') == 1
    assert value(each, "plastron_camera_packets_total", f'camera="{camera}"') > 0
    assert value(each, "plastron_camera_rate_bytes_per_second", f'camera="{camera}"') > 6000
    assert 0 <= value(each, "plastron_camera_round_trip_seconds", f'camera="{camera}"') < 5
    assert "Porteur" not in each and world.service not in each
    labels = set(re.findall(r'(\w+)="', each))
    assert labels == {"node", "camera"}, labels
    all_of_them = metrics(world)
    assert camera not in all_of_them
    assert value(all_of_them, "plastron_cameras_connected") >= 1
    assert value(all_of_them, "plastron_link_bytes_total") > 0
    assert value(all_of_them, "plastron_link_round_trip_seconds_count") >= 1
    # A dashboard over several nodes tells them apart by it; only whether a process answers is told without the keeper.
    bare = {line.split("{")[0].split(" ")[0] for line in (all_of_them + each).splitlines() if not line.startswith("#") and 'node="' not in line}
    assert bare == {"plastron_up"}, bare
    # One series a code, whatever happens.
    assert len(re.findall(r"^plastron_cameras_diagnosed{", all_of_them, re.M)) == 12
    # Every panel, variable and alert asks for what is there, and the guide has every name.
    known = families(all_of_them) | families(each)
    dashboard = json.loads((ROOT / "deploy/grafana-dashboard.json").read_text())
    panels = [p for panel in dashboard["panels"] for p in [panel, *panel.get("panels", [])]]
    expressions = [t["expr"] for p in panels for t in p.get("targets", [])]
    expressions += [v["definition"] for v in dashboard["templating"]["list"] if v["type"] == "query"]
    assert len(used("\n".join(expressions), known)) > 25
    documented = (ROOT / "docs/guide/operations.md").read_text()
    assert all(f"`{name}`" in documented for name in known), [n for n in known if f"`{n}`" not in documented]
    running.stop()


def test_the_dashboard_can_be_imported():
    """What Grafana's import asks of a file: its own identifier, panels with theirs, on a grid, each of one source."""
    dashboard = json.loads((ROOT / "deploy/grafana-dashboard.json").read_text())
    assert dashboard["title"] and dashboard["uid"] and dashboard["schemaVersion"] >= 30
    panels = dashboard["panels"]
    assert len({p["id"] for p in panels}) == len(panels)
    taken = set()
    for panel in panels:
        at = panel["gridPos"]
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert at["x"] + at["w"] <= 24 and not cells & taken, panel["title"]
        taken |= cells
        for target in panel.get("targets", []):
            assert target["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
    names = {v["name"] for v in dashboard["templating"]["list"]}
    asked = set(re.findall(r"\$\{?(\w+)", json.dumps(panels)))
    assert asked <= names, asked - names
    rules = "\n".join(f"      - {{record: 'a:b{n}', expr: {json.dumps(re.sub(chr(92) + '$' + chr(92) + 'w+', 'x', t['expr']))}}}" for n, t in enumerate(
        t for p in panels for t in p.get("targets", [])))
    checked = subprocess.run(
        ["promtool", "check", "rules", "/dev/stdin"], input=f"groups:\n  - name: a\n    rules:\n{rules}\n", capture_output=True, text=True)
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_alerts_are_rules_over_metrics_that_exist(world):
    rules = ROOT / "deploy/prometheus-alerts.yml"
    checked = subprocess.run(["promtool", "check", "rules", str(rules)], capture_output=True, text=True)
    assert checked.returncode == 0, checked.stdout + checked.stderr
    known = families(metrics(world))
    assert used("\n".join(line for line in rules.read_text().splitlines() if "expr:" in line), known)
    documented = (ROOT / "docs/guide/operations.md").read_text()
    assert all(f"`{name}`" in documented for name in known), [n for n in known if f"`{n}`" not in documented]
