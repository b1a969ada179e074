"""The law as the running server carries it: who may, what is kept, who did what."""

import base64
import hashlib
import hmac
import json
import os
import pathlib
import struct
import subprocess
import sys
import time

import pytest
import requests
from conftest import PASSWORD, PROGRAM, Session, until

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "independent"))
from verify_journal import verify  # noqa: E402


def code_of(answer):
    return answer.json()["code"]


@pytest.fixture(scope="module")
def closed(world):
    """A closed recording with an open threat in its life, made once."""
    camera = world.new_camera()
    running = world.record(camera, 4, "--threat", "agents", "--ref", "INT-77")
    card = world.incident(camera)
    running.wait()
    world.session("operateur").call("POST", f"/incidents/{card['incident']}/close")
    return world.closed(camera)


def refused_acts(world, name):
    return [e for e in world.journal() if e["author"] == name and e["facts"].get("result") == "refused"]


class TestPeople:
    def test_a_head_is_seated_by_two_other_persons(self, world):
        world.admin("account", "--name", "prochain", "--agent", world.person("M-30", "Prochain"))
        assert world.seat_head("prochain", world.service, first="temoin1", second="temoin1", check=False) == ""
        assert world.seat_head("prochain", world.service, first="prochain", second="temoin1", check=False) == ""
        wrong = subprocess.run(
            [str(PROGRAM), "admin", "seat-head", "--service", world.service, "--account", "prochain", "--act", "x", "--first", "temoin1",
             "--second", "temoin2"], env=dict(world.environment, PLASTRON_SECOND_PASSWORD="motdepasse-errone"), capture_output=True, text=True)
        assert wrong.returncode != 0 and "motdepasse-errone" not in wrong.stderr
        assert world.seat_head("prochain", world.service)
        seated = [e for e in world.journal() if e["act"] == "head.seated"][-1]
        assert seated["facts"]["first"] == "temoin1" and seated["facts"]["second"] == "temoin2" and seated["facts"]["to"] == "prochain"

    def test_a_head_makes_neither_heads_nor_administrators(self, world):
        for role in ("head", "administrator"):
            answer = world.accredit("chef", "lecteur", role, world.service, check=False)
            assert answer.status_code == 403 and code_of(answer) == "ceremony-required"

    def test_nobody_else_accredits(self, world):
        for name in ("operateur", "auditeur", "lecteur", "administrateur", "porteur", "chef-voisin"):
            answer = world.accredit(name, "lecteur", "reader", world.service, check=False)
            assert answer.status_code == 403, name

    def test_the_end_of_an_accreditation_cuts_what_runs(self, world, cameras):
        world.admin("account", "--name", "fugace", "--agent", world.person("M-31", "Fugace"))
        given = world.accredit("chef", "fugace", "operator", world.service).json()["id"]
        camera = world.new_camera()
        cameras(camera, 20, "--threat", "persons")
        recording = world.incident(camera)["recording"]
        viewer = world.session("fugace")
        with viewer.get(viewer.base + f"/recordings/{recording}/live", stream=True, timeout=20) as live:
            stream = live.iter_content(4096)
            next(stream)
            ended = world.session("chef").call("POST", f"/accreditations/{given}/end", json={"act": "note 9"})
            assert ended.status_code == 204, ended.text
            cut = time.monotonic()
            for _ in stream:
                pass
            assert time.monotonic() - cut < 5
        again = viewer.call("GET", f"/recordings/{recording}/live")
        assert again.status_code == 403 and code_of(again) == "accreditation-ended"
        # ACC-2: what was in force then is shown years later.
        rows = world.session("auditeur").call("GET", "/register/accreditations", params={"account": "fugace"}).json()["rows"]
        assert [r["ended_by"] for r in rows] == ["chef"] and rows[0]["end_act"] == "note 9" and rows[0]["accreditation"] == given

    def test_an_attached_agent_sees_live_and_no_longer_than_attached(self, world, cameras):
        camera = world.new_camera()
        cameras(camera, 15, "--threat", "agents")
        card = world.incident(camera)
        path = f"/recordings/{card['recording']}/live"
        wearer = world.session("porteur")
        assert code_of(wearer.call("GET", path)) == "missing-right"
        attached = world.session("operateur").call("PUT", f"/incidents/{card['incident']}/agents/{world.agent}", json={})
        assert attached.status_code == 204, attached.text
        with wearer.get(wearer.base + path, stream=True, timeout=20) as live:
            stream = live.iter_content(4096)
            next(stream)
            world.session("operateur").call("DELETE", f"/incidents/{card['incident']}/agents/{world.agent}")
            for _ in stream:
                pass
        assert code_of(wearer.call("GET", path)) == "missing-right"
        world.close(camera)

    def test_the_regime_is_changed_within_the_text(self, world):
        head, path = world.session("chef-voisin"), f"/services/{world.other}/regime"
        assert code_of(head.call("POST", path, json={"term_months": 7, "act": "x"})) == "term-above-law"
        assert head.call("POST", path, json={"term_months": 3, "act": "délibération 4"}).status_code == 201
        assert head.call("POST", path, json={"term_months": 6, "act": "délibération 5"}).status_code == 201
        rows = world.session("auditeur-voisin").call("GET", "/register/regimes").json()["rows"]
        assert [(r["act"], r.get("version")) for r in rows[:2]] == [("délibération 5", "3"), ("délibération 4", "2")] or rows[0]["term_months"] == "6"


class TestRecordings:
    def test_closing_questions_and_justification(self, world, closed):
        recording = closed["recording"]
        row = [r for r in world.rows(unjustified="yes") if r["recording"] == recording]
        assert row and row[0]["unjustified"]
        head = world.session("chef")
        bad = head.call("POST", f"/recordings/{recording}/closing", json={"informed": False})
        assert bad.status_code == 400 and "circonstance" in bad.json()["detail"]
        done = world.session("operateur").call("POST", f"/recordings/{recording}/closing", json={
            "place": "12 rue des Lilas", "informed": False, "notInformedReason": "fuite de la personne"})
        assert done.status_code == 204, done.text
        assert [r["place"] for r in world.rows(recording=recording)] == ["12 rue des Lilas"]
        assert not [r for r in world.rows(unjustified="yes") if r["recording"] == recording]
        # The place is a fact of the recording and goes with it: the journal does not keep it.
        assert "Lilas" not in json.dumps(world.journal())
        assert head.call("POST", f"/recordings/{recording}/justification", json={"justification": "vu"}).status_code == 204

    def test_a_wearer_sees_their_own_for_the_texts_reasons(self, world, closed):
        path = f"/recordings/{closed['recording']}/consultation"
        wearer = world.session("porteur")
        seen = wearer.call("POST", path, json={"reason": "faithful-report", "reference": "INT-77"})
        assert seen.status_code == 200 and seen.content[4:8] == b"ftyp"
        assert code_of(wearer.call("POST", path, json={"reason": "judicial", "reference": "x"})) == "reason-not-allowed"
        assert wearer.call("POST", path, json={"reason": "curiosity", "reference": "x"}).status_code == 400
        assert code_of(world.session("operateur").call("POST", path, json={"reason": "judicial", "reference": "x"})) == "missing-right"
        row = world.session("auditeur").call("GET", "/register/viewings", params={"recording": closed["recording"]}).json()["rows"][0]
        assert row["account"] == "porteur" and row["reason"] == "faithful-report" and row["matricule"] == "M-1" and row["accreditation"]

    def test_extractions_are_registered_with_their_recipient(self, world, closed):
        answer = world.session("lecteur").call("POST", f"/recordings/{closed['recording']}/extraction", json={
            "reason": "judicial", "reference": "PV 2026/9", "form": "ts", "recipient": "TJ Lille, cabinet 3"})
        assert answer.status_code == 200 and len(answer.content) == closed["size_bytes"]
        row = world.session("auditeur").call("GET", "/register/extractions", params={"reference": "PV 2026/9"}).json()["rows"][0]
        assert row["recipient"] == "TJ Lille, cabinet 3" and row["account"] == "lecteur" and row["number"]

    def test_a_hold_is_placed_shown_and_released(self, world, closed):
        head, path = world.session("chef"), f"/recordings/{closed['recording']}/holds"
        form = {"kind": "judicial", "reference": "PV 2026/10", "authority": "procureur de Lille", "requestedOn": "2026-01-05",
                "reviewOn": "2099-01-01"}
        assert head.call("POST", path, json=dict(form, requestedOn="2099-01-01")).status_code == 400
        assert code_of(world.session("auditeur").call("POST", path, json=form)) == "missing-right"
        assert head.call("POST", f"/recordings/{closed['recording']}/procedures", json={"kind": "judicial", "reference": "PV 2026/10"}).ok
        hold = head.call("POST", path, json=form)
        assert hold.status_code == 201, hold.text
        auditor = world.session("auditeur")
        assert auditor.call("GET", "/register/holds", params={"recording": closed["recording"], "state": "open"}).json()["rows"][0]["authority"] == "procureur de Lille"
        assert world.rows(recording=closed["recording"])[0]["held_by"] == "judicial PV 2026/10"
        # Its key was wrapped anew: it is read all the same, and is in no plan.
        assert len(world.export(closed["recording"])) == closed["size_bytes"]
        assert closed["recording"] not in world.command("retention", "plan", "--until", "2030-01-01", account="auditeur").stdout
        held = auditor.call("GET", "/completeness", params={"from": "2026-01-01", "to": "2027-12-31"}).json()["held"]
        assert closed["recording"] in [h["recording"] for h in held]
        assert code_of(head.call("POST", f"/recordings/{closed['recording']}/erasure", json={"ground": "right-of-erasure", "reference": "D-1"})) == "held"
        released = head.call("POST", f"/holds/{hold.json()['id']}/release", json={"reason": "classement"})
        assert released.status_code == 204
        assert code_of(head.call("POST", f"/holds/{hold.json()['id']}/release", json={"reason": "encore"})) == "released"
        plan = world.command("retention", "plan", "--until", "2030-01-01", account="auditeur").stdout
        assert closed["recording"] in plan and "WARNING" in plan

    def test_the_law_orders_an_erasure_and_two_persons_carry_it(self, world, cameras):
        camera = world.new_camera()
        cameras(camera, 3).wait()
        row = world.close(camera)
        recording = row["recording"]
        head, reader = world.session("chef"), world.session("lecteur")
        path = f"/recordings/{recording}/erasure"
        assert code_of(reader.call("POST", path, json={"ground": "right-of-erasure", "reference": "D-2"})) == "missing-right"
        assert head.call("POST", path, json={"ground": "right-of-erasure", "reference": "D-2"}).status_code == 201
        assert code_of(head.call("POST", path + "/confirmation")) == "second-person"
        assert [r["state"] for r in world.rows(recording=recording)] == ["closed"]
        confirmed = reader.call("POST", path + "/confirmation")
        assert confirmed.status_code == 204, confirmed.text
        erased = world.rows(recording=recording)[0]
        assert erased["state"] == "erased" and "camera" not in erased and "agent" not in erased and "from" not in erased
        assert not [p for p in world.footage() if recording in str(p)]
        certificate = [e for e in world.journal() if e["act"] == "erasure.certificate" and e["facts"]["recording"] == recording]
        assert len(certificate) == 1
        facts = certificate[0]["facts"]
        assert (facts["first"], facts["second"], facts["ground"], facts["article"]) == ("chef", "lecteur", "right-of-erasure", "loi 78-17 art. 106")
        gone = world.session("chef").call("POST", f"/recordings/{recording}/extraction", json={"reason": "judicial", "reference": "x", "form": "ts"})
        assert code_of(gone) == "erased"
        # What a third party is handed: the certificate, in the signed journal, checked offline with the public key.
        folder = world.scratch / "certificates"
        written = world.command("erasure", "prove", "--recording", recording, "--out", str(folder), account="auditeur").stdout.split()
        assert len(written) == 1
        checked = subprocess.run(
            [str(PROGRAM), "journal", "prove", written[0], "--check", "--key", str(world.data / "journal/first-public-key")],
            capture_output=True, text=True, timeout=20)
        assert checked.returncode == 0 and recording in checked.stdout and "erasure.certificate" in checked.stdout, checked.stdout
        # Later recordings of the same day still have their key.
        other = world.new_camera()
        cameras(other, 3).wait()
        again = world.close(other)
        assert len(world.export(again["recording"])) == again["size_bytes"]

    def test_a_request_of_a_person_recorded(self, world):
        head = world.session("chef")
        made = head.call("POST", f"/services/{world.service}/requests", json={
            "kind": "access", "reference": "DPO-12", "receivedOn": "2026-11-02", "place": "gare", "from": "2026-10-31T10:00:00Z",
            "to": "2026-10-31T12:00:00Z"})
        assert made.status_code == 201, made.text
        row = world.session("auditeur").call("GET", "/register/requests", params={"state": "open"}).json()["rows"][0]
        assert row["due_on"] == "2027-01-02" and row["reference"] == "DPO-12"
        answer = {"decision": "refused", "ground": "enquête en cours, loi 78-17 art. 107", "reply": "Votre demande..."}
        path = f"/requests/{made.json()['id']}/decision"
        assert head.call("POST", path, json=dict(answer, reply="")).status_code == 400
        assert head.call("POST", path, json=answer).status_code == 204
        assert code_of(head.call("POST", path, json=answer)) == "decided"


class TestOtherService:
    """A second service's people reach nothing of the first's: refused, and journalled."""

    def test_footage_live_register_journal(self, world, closed, cameras):
        camera = world.new_camera()
        cameras(camera, 20, "--threat", "agents")
        card = world.incident(camera)
        recording, incident = closed["recording"], card["incident"]
        attempts = [
            ("GET", f"/recordings/{card['recording']}/live", None),
            ("POST", f"/recordings/{recording}/extraction", {"reason": "judicial", "reference": "x", "form": "ts"}),
            ("POST", f"/recordings/{recording}/consultation", {"reason": "judicial", "reference": "x"}),
            ("POST", f"/incidents/{incident}/close", None), ("POST", f"/incidents/{incident}/threat", {"ground": "agents", "reason": "x"}),
            ("DELETE", f"/incidents/{incident}/threat", None), ("POST", f"/cameras/{camera}/return", None),
            ("POST", f"/recordings/{recording}/holds", {"kind": "judicial", "reference": "x", "authority": "x", "requestedOn": "2026-01-01", "reviewOn": "2099-01-01"}),
            ("POST", f"/recordings/{recording}/erasure", {"ground": "right-of-erasure", "reference": "x"}),
            ("GET", f"/services/{world.service}/agents", None), ("GET", f"/services/{world.service}/report?year=2026", None),
            ("POST", f"/services/{world.service}/regime", {"term_months": 1, "act": "x"}),
        ]
        for name in ("voisin", "lecteur-voisin", "auditeur-voisin", "chef-voisin"):
            session, before = world.session(name), len(refused_acts(world, name))
            for method, path, body in attempts:
                answer = session.call(method, path, json=body) if body else session.call(method, path)
                assert answer.status_code == 403 and code_of(answer) == "other-service", (name, path, answer.text)
            journalled = refused_acts(world, name)[before:]
            assert len(journalled) == len(attempts) and all(e["facts"]["code"] == "other-service" for e in journalled), name
        for name in ("voisin", "lecteur-voisin"):
            session, before = world.session(name), len(refused_acts(world, name))
            paths = [
                "/register", f"/register?service={world.service}", "/register/journal", "/journal/entries", "/journal/proofs/3",
                "/completeness?from=2026-01-01&to=2027-12-31", "/footage/check"]
            for path in paths:
                assert session.call("GET", path).status_code == 403, (name, path)
            assert len(refused_acts(world, name)) - before == len(paths), name
        auditor = world.session("auditeur-voisin")
        # What its own service's acts are proven by, nothing of another's: not by its position either.
        position = next(n for n, e in enumerate(world.journal()) if e["facts"].get("recording") == recording)
        assert recording not in auditor.call("GET", f"/journal/proofs/{position}").text
        parts = world.sql(f"SELECT id FROM recording_part WHERE service_id = '{world.service}'").splitlines()
        listed = auditor.call("GET", "/journal/entries").text
        assert parts and not [part for part in parts if part in listed]
        for view in ("recordings", "viewings", "extractions", "erasures", "holds", "accreditations", "regimes", "refusals", "requests", "journal"):
            text = auditor.call("GET", f"/register/{view}", params={"limit": 1000}).text
            assert world.service not in text and recording not in text and "M-1\"" not in text, view
        entries = auditor.call("GET", "/journal/entries").text
        assert world.service not in entries.replace(world.other, "") and world.other in entries
        assert "PM Essai" not in auditor.call("GET", "/completeness", params={"from": "2026-01-01", "to": "2027-12-31"}).text
        other = world.session("auditeur").call("GET", "/register", params={"service": world.other})
        assert other.status_code == 403 and code_of(other) == "other-service"
        # The first service's auditor finds who tried.
        seen = world.session("auditeur").call("GET", "/register/refusals", params={"account": "voisin", "limit": 1000}).json()["rows"]
        assert len([r for r in seen if r["code"] == "other-service"]) >= len(attempts)
        world.close(camera)


class TestRegister:
    def test_pages_follow_each_other_without_hole_or_double(self, world, closed):
        auditor, seen, after = [world.session("auditeur") for _ in range(8)][-1], [], None
        whole = auditor.call("GET", "/register/journal", params={"limit": 1000, "act": "log-in"}).json()["rows"]
        for _ in range(100):
            page = auditor.call("GET", "/register/journal", params={"limit": 7, "act": "log-in", **({"after": after} if after else {})}).json()
            seen += page["rows"]
            after = page.get("next")
            if not after:
                break
        # Each read logs in nobody, so the list stays as it was.
        assert [r["position"] for r in seen][:len(whole)] == [r["position"] for r in whole]
        assert len(set(r["position"] for r in seen)) == len(seen) > 7

    def test_filters_are_facts_and_unknown_ones_are_refused(self, world, closed):
        auditor = world.session("auditeur")
        for params in ({"reference": "INT-77"}, {"agent": "M-1"}, {"agent": "Alix Porteur"}, {"camera": closed["camera"]}, {"incident": closed["incident"]}):
            rows = auditor.call("GET", "/register", params=dict(params, limit=1000)).json()["rows"]
            assert closed["recording"] in [r["recording"] for r in rows], params
        assert auditor.call("GET", "/register", params={"agent": "personne"}).json()["rows"] == []
        for params in ({"face": "x"}, {"limit": "0"}, {"limit": "x"}, {"from": "yesterday"}, {"after": "x"}, {"after": "9_9"}, {"act": "x"}, {"format": "xml"}):
            answer = auditor.call("GET", "/register", params=params)
            assert answer.status_code == 400, (params, answer.text)

    def test_every_view_has_json_and_csv_and_is_journalled(self, world, closed):
        auditor = world.session("auditeur")
        for view in ("recordings", "viewings", "extractions", "erasures", "holds", "accreditations", "regimes", "refusals", "requests", "journal"):
            page = auditor.call("GET", f"/register/{view}", params={"limit": 3}).json()
            assert page["journalSize"] > 0 and len(page["journalRoot"]) == 64 and page["checkpoint"].startswith("plastron/")
            csv = auditor.call("GET", f"/register/{view}", params={"limit": 3, "format": "csv"})
            assert csv.headers["Content-Type"].startswith("text/csv") and csv.text.splitlines()[-1].startswith("# journal,")
        reads = [e for e in world.journal() if e["act"] == "register.read" and e["author"] == "auditeur"]
        assert {e["facts"]["view"] for e in reads} >= {"recordings", "holds", "journal"}
        result = world.command("register", "holds", "--format", "csv", account="auditeur")
        assert result.stdout.startswith("hold,recording,")

    def test_the_annual_report_counts_from_the_journal(self, world, closed):
        def counts():
            return world.session("chef").call("GET", f"/services/{world.service}/report", params={"year": 2026}).json()["counts"]
        year = time.gmtime().tm_year
        if year != 2026:
            pytest.skip("counts of the running year")
        before = counts()
        for number in ("PV A", "PV A", "PV B"):
            answer = world.session("lecteur").call("POST", f"/recordings/{closed['recording']}/extraction", json={
                "reason": "disciplinary", "reference": number, "form": "ts"})
            assert answer.ok
        until(lambda: counts()["procedures_disciplinary"] == before["procedures_disciplinary"] + 2, 5)
        assert counts()["cameras_used"] >= 1 and counts()["agents_accredited"] >= 5


class TestJournal:
    def export(self, world, tmp_path, name="auditeur"):
        out = tmp_path / f"export-{name}"
        time.sleep(1.2)
        world.command("journal", "export", str(out), account=name)
        return out

    def test_an_auditor_takes_it_away_and_checks_it_alone(self, world, closed, tmp_path):
        out, key = self.export(world, tmp_path), (world.data / "journal/public-key").read_text()
        report = verify(out, key)
        assert report["holds"], report
        assert report["entries"] > 50 and report["withheld"] > 0
        result = subprocess.run([str(PROGRAM), "journal", "verify", str(out), "--key", key], capture_output=True, text=True)
        assert result.returncode == 0, result.stdout
        lines = (out / "entries").read_text().splitlines()
        shown = [json.loads(line.split(" ", 1)[1]) for line in lines]
        assert {e.get("service") for e in shown} <= {world.service, None}
        # One entry left out of it is noticed, by the numbers of the service.
        kept = [line for line in lines if '"act":"extraction"' not in line]
        assert len(kept) < len(lines)
        (out / "entries").write_text("".join(line + "\n" for line in kept))
        assert "number-gap" in [f["code"] for f in verify(out, key)["findings"]]

    def test_the_nodes_own_folder_and_a_proof(self, world, closed, tmp_path):
        key = (world.data / "journal/public-key").read_text()
        position = next(n for n, e in enumerate(world.journal()) if e["act"] == "incident.opened" and e["facts"]["recording"] == closed["recording"])
        answer = until(lambda: (lambda a: a if a.ok else None)(world.session("auditeur").call("GET", f"/journal/proofs/{position}")))
        (tmp_path / "proof").write_text(answer.text)
        checked = subprocess.run(
            [str(PROGRAM), "journal", "prove", str(tmp_path / "proof"), "--check", "--key", key], capture_output=True, text=True)
        assert checked.returncode == 0 and closed["recording"] in checked.stdout
        (tmp_path / "proof").write_text(answer.text.replace(f"index {position}", f"index {position + 1}"))
        assert subprocess.run([str(PROGRAM), "journal", "prove", str(tmp_path / "proof"), "--check", "--key", key], capture_output=True).returncode == 2

    def test_a_hand_in_the_files_or_in_the_index_is_named(self, world, closed, tmp_path):
        key = (world.data / "journal/public-key").read_text()
        time.sleep(1.2)
        copy = tmp_path / "copy"
        subprocess.run(["cp", "-r", str(world.data / "journal"), str(copy)], check=True)
        bundle = copy / "tile/entries/000"
        raw = bundle.read_bytes()
        at = raw.index(b'"author":"')
        bundle.write_bytes(raw[:at + 10] + bytes([raw[at + 10] ^ 1]) + raw[at + 11:])
        found = subprocess.run([str(PROGRAM), "journal", "verify", str(copy), "--key", key], capture_output=True, text=True)
        assert found.returncode == 2 and "entry-edited: entry" in found.stdout or "entry-malformed" in found.stdout, found.stdout
        # A row of the index: the owner of the database edits it, and the comparison names it.
        target = world.sql("SELECT position FROM journal WHERE act = 'extraction' ORDER BY position LIMIT 1")
        world.sql(f"UPDATE journal SET entry = jsonb_set(entry, '{{author}}', '\"personne\"') WHERE position = {target}")
        compared = world.command("journal", "compare", account="auditeur", check=False)
        assert compared.returncode == 2 and f"entry {target}" in compared.stdout, compared.stdout + compared.stderr
        world.sql(f"UPDATE journal SET entry = jsonb_set(entry, '{{author}}', to_jsonb(author)) WHERE position = {target}")
        assert world.command("journal", "compare", account="auditeur", check=False).returncode == 0

    def test_the_key_changes_under_the_old_ones_signature(self, world, tmp_path):
        first = (world.data / "journal/public-key").read_text()
        world.admin("rotate-journal-key")
        until(lambda: (world.data / "journal/public-key").read_text() != first)
        report = verify(self.export(world, tmp_path), first)
        assert report["holds"], report

    def test_P7_what_cannot_be_journalled_does_not_happen_and_capture_goes_on(self, world, cameras, closed):
        camera = world.new_camera()
        running = cameras(camera, 14)
        card = world.incident(camera)
        operator, reader = world.session("operateur"), world.session("lecteur")
        pid = world.pid("keeper")
        # No file of the keeper may grow: its journal cannot be written.
        subprocess.run(["prlimit", "--pid", str(pid), "--fsize=0:unlimited"], check=True)
        try:
            before = len(world.journal())
            for answer in (
                    operator.call("POST", f"/incidents/{card['incident']}/threat", json={"ground": "agents", "reason": "x"}),
                    operator.call("POST", f"/incidents/{card['incident']}/close"),
                    reader.call("POST", f"/recordings/{closed['recording']}/extraction", json={"reason": "judicial", "reference": "x", "form": "ts"}),
                    world.session_answer("operateur")):
                assert answer.status_code == 503 and code_of(answer) == "journal-unwritable", answer.text
            assert len(world.journal()) == before and world.pid("keeper") == pid
            size = sum(world.footage().values())
            until(lambda: sum(world.footage().values()) > size + 50_000, 10)
        finally:
            subprocess.run(["prlimit", "--pid", str(pid), "--fsize=unlimited:unlimited"], check=True)
        assert operator.call("POST", f"/incidents/{card['incident']}/threat", json={"ground": "agents", "reason": "x"}).status_code == 204
        running.wait()
        row = world.close(camera)
        assert world.export(row["recording"]) == running.sent.read_bytes()


def totp(secret, at=None):
    """RFC 6238, another hand than the server's."""
    key = base64.b32decode(secret + "=" * (-len(secret) % 8))
    digest = hmac.new(key, struct.pack(">Q", int(at or time.time()) // 30), hashlib.sha1).digest()
    number = struct.unpack(">I", digest[digest[-1] & 15:][:4])[0] & 0x7FFFFFFF
    return f"{number % 10**6:06}"


class TestSecondFactor:
    def test_set_up_used_once_lost_and_reset(self, world):
        world.admin("account", "--name", "prudent", "--agent", world.person("M-40", "Prudent"))
        session = world.session("prudent")
        secret = session.call("POST", "/session/second-factor").json()["secret"]
        assert session.call("PUT", "/session/second-factor", json={"code": "000000"}).status_code in (400, 200)
        until(lambda: time.time() % 30 < 15, 20)  # what follows is meant to happen within one step
        codes = session.call("PUT", "/session/second-factor", json={"code": totp(secret)}).json()["recoveryCodes"]
        assert len(set(codes)) == 10

        def log_in(**more):
            return requests.post(session.base + "/session", json={"name": "prudent", "password": PASSWORD, **more}, verify=session.verify, timeout=20)
        assert code_of(log_in()) == "code-required"
        assert code_of(log_in(code="123")) == "wrong-credentials"
        used = totp(secret)
        first = log_in(code=used)
        later = totp(secret, time.time() + 30)
        assert first.status_code == 401, "the step that confirmed is used up"
        assert log_in(code=later).status_code == 200
        assert log_in(code=later).status_code == 401, "a code is good once"
        assert log_in(code=codes[0]).status_code == 200 and log_in(code=codes[0]).status_code == 401
        text = "".join(p.read_text(errors="replace") for p in [world.scratch / "server.log"]) + json.dumps(world.journal())
        assert secret not in text and codes[1] not in text
        world.admin("reset-second-factor", "--name", "prudent")
        assert log_in().status_code == 200
