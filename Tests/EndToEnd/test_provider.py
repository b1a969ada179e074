"""The way in through an OpenID Connect provider: who somebody is, and never what they may do."""

import time

import pytest
import requests
from conftest import World
from cryptography.hazmat.primitives.asymmetric import rsa
from provider import Provider


@pytest.fixture(scope="module")
def provider():
    provider = Provider()
    yield provider
    provider.end()


@pytest.fixture(scope="module")
def linked(provider, tmp_path_factory):
    """A world whose console knows the provider, in which `operateur` is its `alice`."""
    secret = tmp_path_factory.mktemp("oidc") / "secret"
    secret.write_text(provider.client_secret + "\n")
    world = World({"PLASTRON_OIDC_ISSUER": provider.issuer, "PLASTRON_OIDC_CLIENT_SECRET_FILE": str(secret)})
    world.admin("link", "--name", "operateur", "--issuer", provider.issuer, "--subject", "alice")
    yield world
    world.end()


def browse(world, provider, **spoil):
    """What a browser does: leaves for the provider, comes back; the last answer."""
    provider.spoil = spoil
    browser = requests.Session()
    browser.verify, browser.trust_env = str(world.data / "tls/certificate.pem"), False
    base = f"https://localhost:{world.console_port}"
    left = browser.get(base + "/api/v1/session/provider", allow_redirects=False, timeout=20)
    assert left.status_code == 303, left.text
    at_provider = browser.get(left.headers["Location"], allow_redirects=False, timeout=20)
    assert at_provider.status_code == 302
    back = at_provider.headers["Location"]
    return browser, back, browser.get(back, allow_redirects=False, timeout=20)


def test_a_linked_person_is_let_in_with_their_accreditations_only(linked, provider):
    browser, back, answer = browse(linked, provider)
    assert answer.status_code == 303 and answer.headers["Location"] == "/"
    info = browser.get(f"https://localhost:{linked.console_port}/api/v1/session", timeout=20).json()
    # The token says head, administrator and auditor; the accreditation says operator.
    assert info["name"] == "operateur" and [a["role"] for a in info["accreditations"]] == ["operator"]
    refused = browser.get(f"https://localhost:{linked.console_port}/api/v1/register", timeout=20)
    assert refused.status_code == 403
    entry = [e for e in linked.journal() if e["act"] == "log-in" and e["author"] == "operateur"][-1]
    assert entry["facts"]["by"] == provider.issuer
    # The way back is good once.
    assert browser.get(back, allow_redirects=False, timeout=20).status_code == 400


def test_a_stranger_of_the_provider_is_not_let_in(linked, provider):
    provider.login = "mallory"
    try:
        answer = browse(linked, provider)[2]
        assert answer.status_code == 403 and answer.json()["code"] == "not-linked"
        assert [e for e in linked.journal() if e["act"] == "log-in.refused"][-1]["facts"]["subject"] == "mallory"
    finally:
        provider.login = "alice"


@pytest.mark.parametrize("what,spoil", [
    ("another issuer", {"claims": {"iss": "https://evil.invalid"}}), ("another audience", {"claims": {"aud": "other"}}),
    ("two audiences without a party", {"claims": {"aud": ["plastron", "other"]}}), ("expired", {"claims": {"exp": 1_700_000_000}}),
    ("of long ago", {"claims": {"iat": 1_700_000_000}}), ("another log-in's", {"claims": {"nonce": "x"}}),
    ("no subject", {"claims": {"sub": ""}}), ("unsigned", {"header": {"alg": "none"}}), ("signed with the shared secret", {"header": {"alg": "HS256"}}),
    ("signed by another", {"key": rsa.generate_private_key(65537, 2048)}), ("of an unknown key", {"header": {"kid": "unknown"}})])
def test_a_wrong_token_is_refused(linked, provider, what, spoil):
    answer = browse(linked, provider, **spoil)[2]
    assert answer.status_code == 401 and answer.json()["code"] == "provider-refused", answer.text


def test_the_providers_keys_change(linked, provider):
    assert browse(linked, provider)[2].status_code == 303
    provider.rotate()
    time.sleep(10.5)  # a new set is asked for every ten seconds at the most
    asked = provider.asked_keys
    assert browse(linked, provider)[2].status_code == 303
    assert provider.asked_keys == asked + 1


def test_the_way_back_belongs_to_the_browser_that_left(linked, provider):
    browser, back, _ = browse(linked, provider)
    victim = requests.Session()
    victim.verify, victim.trust_env = str(linked.data / "tls/certificate.pem"), False
    left = browser.get(f"https://localhost:{linked.console_port}/api/v1/session/provider", allow_redirects=False, timeout=20)
    back = browser.get(left.headers["Location"], allow_redirects=False, timeout=20).headers["Location"]
    answer = victim.get(back, allow_redirects=False, timeout=20)
    assert answer.status_code == 400 and not victim.cookies.get("__Host-plastron")


def test_no_secret_of_it_is_in_logs_or_addresses(linked, provider):
    browser, back, _ = browse(linked, provider)
    log = (linked.scratch / "server.log").read_text()
    assert provider.client_secret not in log and "code=" not in log


def test_without_a_provider_there_is_no_such_way(world):
    answer = world.session("operateur").call("GET", "/session/provider")
    assert answer.status_code == 404 and answer.json()["code"] == "not-configured"
    assert world.session("operateur").call("GET", "/session/ways").json() == {"provider": False}
