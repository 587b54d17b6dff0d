"""What an agent does with Selenium, whose chromedriver is told a `debuggerAddress`.

    python browser_selenium.py MODULES CDP-URL FOLDER

It is spoken to as `node/browser_steps.mjs` says. Chromedriver is Debian's, of the same package as the browser; in this
mode it starts no browser, and ends none.
"""

import base64
import json
import shutil
import sys
import urllib.parse
from pathlib import Path

import trio
from selenium import webdriver
from selenium.common.exceptions import WebDriverException
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support import expected_conditions as when
from selenium.webdriver.support.ui import Select, WebDriverWait

PATIENCE = 30
# What the other fields than a password's hold.
HELD = """const [field] = arguments;
if (field.maxLength === 1) return [...field.parentElement.children].map((box) => box.value).join("");
return field.value ?? field.textContent;"""


class Steps:
    def __init__(self, url, folder):
        self.url, self.folder = url, Path(folder)
        self.driver = self.start("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
        self.driver.set_page_load_timeout(PATIENCE)
        self.driver.switch_to.new_window("tab")

    def start(self, capability, given):
        options = webdriver.ChromeOptions()
        options.debugger_address = urllib.parse.urlsplit(self.url).netloc
        options.set_capability(capability, given)
        return webdriver.Chrome(options=options, service=Service(shutil.which("chromedriver")))

    def wait(self, condition):
        return WebDriverWait(self.driver, PATIENCE, 0.05).until(condition)

    def element(self, selector):
        return self.wait(when.presence_of_element_located((By.CSS_SELECTOR, selector)))

    def field(self, name, open):
        if open:
            return self.element("#host").shadow_root.find_element(By.CSS_SELECTOR, f"#{name}")
        return self.element(f"#{name}")

    def type(self, url, user, password, way="keys", form=None, frame=False, open=False):
        self.driver.switch_to.default_content()
        self.driver.get(url)
        if frame:
            self.wait(when.frame_to_be_available_and_switch_to_it((By.ID, "inner")))
        for name, text in (("user", user), ("password", password)):
            self.keys(self.field(name, open), way, text)
        if form:
            return [self.field("user", open).get_property("value"), self.driver.execute_script(HELD, self.field("password", open))]
        return [self.field(name, open).get_property("value") for name in ("user", "password")]

    def keys(self, field, way, text):
        if way == "actions":
            webdriver.ActionChains(self.driver).click(field).send_keys(text).perform()
        else:
            field.send_keys(text)

    def submit(self, form=None, frame=False, open=False):
        self.field("submit", open).click()
        self.element("#confirmed")

    def refused(self, url, password, way="keys"):
        self.driver.switch_to.default_content()
        self.driver.get(url)
        self.keys(self.element("#password"), way, password)

    def framed(self, name):
        self.wait(when.frame_to_be_available_and_switch_to_it((By.ID, name)))
        text = self.element("#framed").text
        self.driver.switch_to.default_content()
        return text

    def dialog(self):
        self.element("#alert").click()
        alert = self.wait(when.alert_is_present())
        text = alert.text
        alert.accept()
        return text

    def logged(self, button, kind, mark):
        """The log after a click, once it holds the mark."""
        self.element(button).click()
        entries = []

        def arrived(driver):
            entries.extend(driver.get_log(kind))
            return mark in json.dumps(entries)

        self.wait(arrived)
        return entries

    def navigation(self, home):
        self.driver.get(f"{home}/flow/start")
        told = [self.driver.title]
        self.element("#next").click()
        told.append(self.element("#words").text)
        self.driver.back()
        told.append(self.driver.title)
        self.driver.forward()
        self.driver.refresh()
        return [*told, self.driver.current_url]

    def frames(self, home):
        self.driver.get(f"{home}/flow/start")
        told = []
        for name in ("near", "far"):
            self.driver.switch_to.frame(name)
            told.append(self.element("#inside").text)
            self.driver.switch_to.default_content()
        return told

    def form(self, home):
        self.driver.get(f"{home}/flow/form")
        self.element("#name").send_keys("Zoë")
        self.element("#note").send_keys("one _two x_ three", Keys.BACKSPACE)
        self.element("#box").click()
        Select(self.element("#kind")).select_by_visible_text("two")
        self.element("#send").click()
        return self.element("#told").text

    def tabs(self, home):
        self.driver.get(f"{home}/flow/start")
        first, told = self.driver.current_window_handle, []
        for opener in ("#tab", "#popup"):
            known = self.driver.window_handles
            self.element(opener).click()
            self.wait(when.new_window_is_opened(known))
            self.driver.switch_to.window((set(self.driver.window_handles) - set(known)).pop())
            told.append(self.element("#words").text)
            self.driver.close()
            self.driver.switch_to.window(first)
        return told

    def download(self, home):
        self.driver.execute_cdp_cmd("Browser.setDownloadBehavior", {"behavior": "allow", "downloadPath": str(self.folder)})
        self.driver.get(f"{home}/flow/start")
        self.element("#report").click()
        report = self.folder / "report.txt"
        self.wait(lambda _: report.exists())
        text = report.read_text()
        report.unlink()
        return text

    def upload(self, home):
        file = self.folder / "mine.txt"
        file.write_text("what is mine\n")
        self.driver.get(f"{home}/flow/upload")
        self.element("#file").send_keys(str(file))
        self.element("#send").click()
        return self.element("#told").text

    def interception(self, home):
        """As its users do it: single commands of CDP, and its own connection to CDP, on which requests wait."""
        told = []
        for method, given, none in (
            ("Network.setExtraHTTPHeaders", {"headers": {"x-added": "by the client"}}, {"headers": {}}),
            ("Network.setBlockedURLs", {"urls": ["*/flow/data"]}, {"urls": []}),
        ):
            self.driver.execute_cdp_cmd("Network.enable", {})
            self.driver.execute_cdp_cmd(method, given)
            told.append(self.called(home))
            self.driver.execute_cdp_cmd(method, none)
        trio.run(self.answered, home, told)
        return told

    def bidi(self, home):
        """A session of WebDriver BiDi, whose commands a script of chromedriver's in a hidden page turns into CDP."""
        driver = self.start("webSocketUrl", True)
        try:
            driver.browsing_context.navigate(driver.current_window_handle, f"{home}/flow/next", wait="complete")
            return driver.title
        finally:
            driver.quit()

    def called(self, home):
        self.driver.get(f"{home}/flow/call")
        return self.wait(lambda driver: driver.find_element(By.ID, "told").text)

    async def answered(self, home, told):
        async with self.driver.bidi_connection() as connection, trio.open_nursery() as nursery:
            session, fetch = connection.session, connection.devtools.fetch
            await session.execute(fetch.enable(patterns=[fetch.RequestPattern(url_pattern="*/flow/data")]))
            paused = session.listen(fetch.RequestPaused)

            async def answer():
                async for event in paused:
                    body = base64.b64encode(b"from the client").decode()
                    await session.execute(fetch.fulfill_request(event.request_id, 200, body=body))

            nursery.start_soon(answer)
            told.append(await trio.to_thread.run_sync(self.called, home))
            await session.execute(fetch.disable())
            nursery.cancel_scope.cancel()

    def dialogs(self, home):
        self.driver.get(f"{home}/flow/dialog")
        self.element("#ask").click()
        told = []
        for answer in (None, None, "Zoë"):
            alert = self.wait(when.alert_is_present())
            told.append(alert.text)
            if answer:
                alert.send_keys(answer)
            alert.accept()
        return [*told, self.element("#told").text]

    def steps(self):
        driver = self.driver
        return {
            "type": self.type,
            "submit": self.submit,
            "refused": self.refused,
            "read source": lambda: driver.page_source,
            "read text": lambda: self.element("body").text,
            "read script": lambda: driver.execute_script("return { deep: [localStorage.kept, { text: document.title }] }"),
            "read input": lambda: self.element("#field").get_property("value"),
            "read password field": lambda: self.element("#hidden").get_attribute("value"),
            "read attribute": lambda: self.element("#attribute").get_attribute("data-note"),
            "read shadow root": lambda: self.element("#open").shadow_root.find_element(By.CSS_SELECTOR, "p").text,
            "read near frame": lambda: self.framed("near"),
            "read far frame": lambda: self.framed("far"),
            "read title": lambda: driver.title,
            "read url": lambda: driver.current_url,
            "read cookies": driver.get_cookies,
            "read console": lambda: self.logged("#log", "browser", "session of"),
            "read network": lambda: self.logged("#call", "performance", "/api/"),
            "read dialog": self.dialog,
            "read accessible name": lambda: self.element("#attribute").get_attribute("title"),
            "picture of the view": lambda: len(driver.get_screenshot_as_png()) > 0,
            "picture of an element": lambda: len(self.element("#text").screenshot_as_png) > 0,
            "print": lambda: driver.print_page()[:6],
            "flow navigation": self.navigation,
            "flow frames": self.frames,
            "flow form": self.form,
            "flow tabs": self.tabs,
            "flow download": self.download,
            "flow upload": self.upload,
            "flow interception": self.interception,
            "bidi": self.bidi,
            "flow dialogs": self.dialogs,
            "flow print": lambda home: driver.print_page()[:6] if not driver.get(f"{home}/flow/next") else None,
        }


def main(_modules, url, folder):
    steps = Steps(url, folder)
    known = steps.steps()
    print(json.dumps(list(known)), flush=True)
    for line in sys.stdin:
        given = json.loads(line)
        try:
            outcome = {"told": known[given.pop("step")](**given)}
        except WebDriverException as error:
            outcome = {"error": error.msg or repr(error)}
        print(json.dumps(outcome), flush=True)
    steps.driver.quit()


if __name__ == "__main__":
    main(*sys.argv[1:])
