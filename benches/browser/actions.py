"""A script of 40 actions per client for Python, straight to the browser and through the sidecar, in turns.

    python actions.py ROUNDS DIRECT SIDECAR

The Python is one in which tests/clients/requirements-browser.txt is installed; DIRECT and SIDECAR are base URLs of endpoints of
one browser. Prints a line of JSON for each client, as `actions.mjs` does. Selenium is left out where there is no chromedriver.
"""

import asyncio
import http.server
import json
import logging
import os
import shutil
import statistics
import sys
import tempfile
import threading
import time
import urllib.parse

# Nothing is to be asked of anybody but the browser.
for name in ("ANONYMIZED_TELEMETRY", "BROWSER_USE_CLOUD_SYNC", "BROWSER_USE_VERSION_CHECK", "BROWSER_USE_CLOUD_HINTS"):
    os.environ[name] = "false"
os.environ["BROWSER_USE_SETUP_LOGGING"] = "false"
os.environ["SE_OFFLINE"] = "true"

HTML = """<title>Shop</title><input id=name><input id=search><textarea id=note></textarea>
  <select id=size><option>S<option>M<option>L</select><input id=agree type=checkbox><button id=send
  onclick="out.textContent = [document.querySelector('#name').value, size.value, agree.checked].join(' ')">Send</button>
  <p id=out></p><ul>""" + "<li>An item of the list</li>" * 50 + "</ul>"


class Site(http.server.BaseHTTPRequestHandler):
    """The page, on loopback: browser-use waits for documents of `data:` without end."""

    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(HTML.encode())

    def log_message(self, *_):
        pass


def selenium(url, page):
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service
    from selenium.webdriver.common.by import By
    from selenium.webdriver.support.ui import Select

    options = webdriver.ChromeOptions()
    options.debugger_address = urllib.parse.urlsplit(url).netloc
    driver = webdriver.Chrome(options=options, service=Service(shutil.which("chromedriver")))
    driver.switch_to.new_window("tab")

    def find(field):
        return driver.find_element(By.ID, field)

    begun = time.perf_counter()
    for turn in range(4):
        driver.get(page)
        find("name").send_keys(f"a name {turn}")
        find("search").send_keys("item")
        find("note").send_keys("some lines")
        Select(find("size")).select_by_visible_text("M")
        find("agree").click()
        find("send").click()
        assert find("out").text == f"a name {turn} M true", find("out").text
        driver.execute_script("return document.querySelectorAll('li').length")
        assert driver.title == "Shop"
    took = time.perf_counter() - begun
    driver.close()
    driver.quit()
    return took


def browser_use(url, page):
    return asyncio.run(use(url, page))


async def use(url, page):
    from browser_use import Browser
    from browser_use.filesystem.file_system import FileSystem
    from browser_use.tools.service import Tools

    with tempfile.TemporaryDirectory(prefix="bauta-bench-") as folder:
        session = Browser(cdp_url=url, enable_default_extensions=False, downloads_path=folder)
        await session.start()
        tools, files = Tools(), FileSystem(folder)
        model = tools.registry.create_action_model()

        async def act(name, **given):
            result = await tools.act(model(**{name: given}), browser_session=session, file_system=files)
            assert not result.error, result.error
            return result.extracted_content

        await act("navigate", url="about:blank", new_tab=True)
        begun = time.perf_counter()
        for turn in range(4):
            await act("navigate", url=page, new_tab=False)
            state = await session.get_browser_state_summary(include_screenshot=False)
            at = {node.attributes.get("id"): index for index, node in state.dom_state.selector_map.items()}
            await act("input", index=at["name"], text=f"a name {turn}")
            await act("input", index=at["search"], text="item")
            await act("input", index=at["note"], text="some lines")
            await act("select_dropdown", index=at["size"], text="M")
            await act("click", index=at["agree"])
            await act("click", index=at["send"])
            assert f"a name {turn} M true" in await act("evaluate", code="document.querySelector('#out').textContent")
            await act("find_elements", selector="li")
        took = time.perf_counter() - begun
        await session.stop()
    return took


def main(rounds, direct, sidecar):
    logging.disable(logging.CRITICAL)
    site = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Site)
    threading.Thread(target=site.serve_forever, daemon=True).start()
    page = f"http://127.0.0.1:{site.server_port}/"
    scripts = {"browser-use": browser_use}
    if shutil.which("chromedriver"):
        scripts = {"selenium": selenium} | scripts
    for client, script in scripts.items():
        times = {direct: [], sidecar: []}
        # The first of each warms up.
        for number in range(int(rounds) + 1):
            for url, taken in times.items():
                took = script(url, page) * 1000
                if number:
                    taken.append(took)
        medians = {"direct": statistics.median(times[direct]), "sidecar": statistics.median(times[sidecar])}
        print(json.dumps({"client": client, **medians}), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
