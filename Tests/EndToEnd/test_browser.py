"""A real Chromium at the wall."""

import os
import pathlib
import time

import pytest
from conftest import PASSWORD, until
from link import LinkProcess
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import Select

SCREENSHOTS = pathlib.Path(os.environ.get("PLASTRON_SCREENSHOTS", "/tmp/plastron-screenshots"))


@pytest.fixture
def browser(world):
    options = webdriver.ChromeOptions()
    options.binary_location = "/usr/bin/chromium"
    for argument in ["--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--ignore-certificate-errors", "--window-size=1280,900", "--autoplay-policy=no-user-gesture-required"]:
        options.add_argument(argument)
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(
        "/usr/bin/chromedriver", env=dict(os.environ, PLASTRON_TEST_FOLDER=str(world.scratch))))
    driver.get(f"https://localhost:{world.console_port}/")
    yield driver
    driver.quit()


def log_in(driver, name):
    until(lambda: driver.find_element(By.ID, "login").is_displayed())
    driver.find_element(By.NAME, "name").send_keys(name)
    driver.find_element(By.NAME, "password").send_keys(PASSWORD)
    driver.find_element(By.CSS_SELECTOR, "#login button").click()


def tile(driver, camera):
    found = until(lambda: driver.find_elements(By.CSS_SELECTOR, f'.tile[data-camera="{camera}"]'), 15)
    return found[0]


def shown(driver, element):
    """Time of the picture, decoded frames, width."""
    return driver.execute_script(
        "const v = arguments[0].querySelector('video'); return [v.currentTime, v.getVideoPlaybackQuality().totalVideoFrames, v.videoWidth]", element)


def press(driver, element, selector):
    """Presses a button where it is: alarms that come and go move the page under a pointer."""
    driver.execute_script("arguments[0].click()", element.find_element(By.CSS_SELECTOR, selector))


def screenshot(driver, name):
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    driver.save_screenshot(str(SCREENSHOTS / f"{name}.png"))


def test_an_operator_watches_and_is_refused_without_a_threat(world, cameras, browser):
    quiet, threatened = world.new_camera(), world.new_camera()
    cameras(quiet, 60)
    cameras(threatened, 60, "--threat", "agents")
    log_in(browser, "operateur")
    refused = tile(browser, quiet)
    press(browser, refused, ".watch")
    until(lambda: refused.get_attribute("data-refusal") == "no-threat")
    assert "menace" in refused.find_element(By.CSS_SELECTOR, ".message").text
    watched = tile(browser, threatened)
    assert "MENACE" in watched.text
    press(browser, watched, ".watch")
    first = until(lambda: (lambda s: s if s[1] > 5 and s[2] == 320 else None)(shown(browser, watched)), 20)
    time.sleep(2)
    second = shown(browser, watched)
    assert second[0] > first[0] + 1 and second[1] > first[1] + 25
    screenshot(browser, "wall")
    # The picture is not black: some of its pixels differ.
    colours = browser.execute_script(
        "const v = arguments[0].querySelector('video'), c = document.createElement('canvas'); c.width = 32; c.height = 24;"
        "const x = c.getContext('2d'); x.drawImage(v, 0, 0, 32, 24); return new Set(Array.from(x.getImageData(0, 0, 32, 24).data)).size", watched)
    assert colours > 20
    # The threat is lifted at another post: the picture ends here at once.
    card = world.incident(threatened)
    assert world.session("operateur").call("DELETE", f"/incidents/{card['incident']}/threat").status_code == 204
    until(lambda: "Direct terminé" in watched.find_element(By.CSS_SELECTOR, ".message").text or "live ended" in watched.text, 5)
    assert browser.execute_script("return arguments[0].querySelector('video').src", watched) == ""
    for camera in (quiet, threatened):
        world.close(camera)


def test_a_tile_says_that_a_picture_was_lost_and_goes_on_at_the_next_whole_one(world, cameras, browser):
    camera = world.new_camera()
    # What is lost is given up by the sender before it can be sent again.
    with LinkProcess(world.ingest_port, [{"loss": 0.01, "delay_ms": 100, "seed": 41}]) as link:
        run = cameras(camera, 60, "--threat", "agents", "--message-ttl", "50", "--port", str(link.ports[0]))
        log_in(browser, "operateur")
        watched = tile(browser, camera)
        browser.execute_script(
            "window.said = []; new MutationObserver(() => said.push(arguments[0].textContent)).observe(arguments[0], {childList: true})",
            watched.find_element(By.CSS_SELECTOR, ".message"))
        press(browser, watched, ".watch")
        until(lambda: any("Image perdue" in text for text in browser.execute_script("return said")), 30)
        # The picture is there again, and the word is gone.
        until(lambda: browser.execute_script("return said.at(-1)") == "", 10)
        first = shown(browser, watched)
        until(lambda: shown(browser, watched)[1] > first[1] + 25, 10)
        assert watched.get_attribute("data-refusal") is None
        run.stop()
    world.close(camera)


def test_a_camera_that_was_not_issued_alarms_and_is_issued_at_the_wall(world, cameras, browser):
    camera = world.new_camera(issued=False)
    log_in(browser, "operateur")
    run = cameras(camera, 40, "--reconnect")
    alarm = until(lambda: browser.find_elements(By.CSS_SELECTOR, f'.alarm[data-camera="{camera}"][data-code="not-issued"]'), 15)[0]
    select = until(lambda: (lambda s: s if len(s.options) else None)(Select(alarm.find_element(By.TAG_NAME, "select"))))
    select.select_by_value(world.agent)
    screenshot(browser, "alarm")
    press(browser, alarm, "button")
    tile(browser, camera)
    issued = [e for e in world.journal() if e["act"] == "camera.issued" and e["facts"]["camera"] == camera]
    assert len(issued) == 1 and issued[0]["author"] == "operateur"
    run.stop()
    world.close(camera)


def test_an_auditor_sees_no_wall(world, browser):
    log_in(browser, "auditeur")
    until(lambda: "opérateur" in browser.find_element(By.ID, "state").text)
    assert browser.find_elements(By.CSS_SELECTOR, ".tile") == []


def test_an_extracted_mp4_plays_in_a_browser(world, cameras, browser):
    camera = world.new_camera()
    cameras(camera, 5).wait()
    mp4 = world.scratch / "extracted.mp4"
    mp4.write_bytes(world.export(world.close(camera)["recording"], "mp4"))
    browser.get(f"file://{mp4}")
    state = "const v = document.querySelector('video'); v.muted = true; v.play(); return [v.currentTime, v.videoWidth, v.error && v.error.message]"
    first = until(lambda: (lambda s: s if s[1] == 320 else None)(browser.execute_script(state)))
    time.sleep(1)
    second = browser.execute_script(state)
    assert second[0] > first[0] + 0.5 and second[2] is None


def test_a_first_log_in_sets_up_a_second_factor_and_closing_asks_its_questions(world, cameras, browser):
    from test_law import totp
    world.admin("account", "--name", "nouvelle", "--agent", world.person("M-60", "Nouvelle"))
    world.accredit("chef", "nouvelle", "operator", world.service)
    camera = world.new_camera()
    cameras(camera, 40)
    recording = world.incident(camera)["recording"]
    log_in(browser, "nouvelle")
    card = tile(browser, camera)
    press(browser, card, ".close")
    browser.switch_to.alert.accept()
    dialog = browser.find_element(By.ID, "closing")
    until(dialog.is_displayed)
    dialog.find_element(By.NAME, "place").send_keys("place de la République")
    Select(dialog.find_element(By.NAME, "informed")).select_by_value("no")
    dialog.find_element(By.NAME, "reason").send_keys("personne inconsciente")
    screenshot(browser, "closing")
    dialog.find_element(By.CSS_SELECTOR, "button[value=go]").click()
    row = until(lambda: [r for r in world.rows(recording=recording) if r.get("place") == "place de la République"])[0]
    assert row["informed"] is False
    # The same account under the rule that is the default: nothing before the second factor.
    strict = browser.execute_async_script(
        "const done = arguments[0]; fetch('/api/v1/session').then(r => r.json()).then(s => done(s.needsSecondFactor))")
    assert strict is False
    secret = world.session("nouvelle").call("POST", "/session/second-factor").json()["secret"]
    world.session("nouvelle").call("PUT", "/session/second-factor", json={"code": totp(secret)})
    browser.find_element(By.ID, "logout").click()
    log_in(browser, "nouvelle")
    field = until(lambda: (lambda f: f if f.is_displayed() else None)(browser.find_element(By.CSS_SELECTOR, "#code input")))
    field.send_keys(totp(secret, time.time() + 30))
    browser.find_element(By.CSS_SELECTOR, "#login button").click()
    until(lambda: browser.find_element(By.ID, "logout").is_displayed())
