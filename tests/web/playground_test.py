"""The playground in a real browser (Debian's chromium, headless), against a real server with the bundled model.

    playground_test.py --binaries build/release/bin [--screenshots FOLDER] [unittest arguments]
"""

import argparse
import base64
import hashlib
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import unittest
import urllib.request

from selenium import webdriver
from selenium.webdriver import ActionChains, Keys
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.append(str(ROOT / "tests/support"))
from live_server import LiveServer  # noqa: E402: beside the tests, in no package

SCENE = ROOT / "examples/scene.png"
PATIENCE_S = 60


def open_browser(width=1280, height=950, dark=False):
    options = Options()
    options.binary_location = shutil.which("chromium")
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
                     f"--window-size={width},{height}"):
        options.add_argument(argument)
    if dark:
        options.add_argument("--blink-settings=preferredColorScheme=0")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    return webdriver.Chrome(options=options, service=Service(shutil.which("chromedriver")))


class PlaygroundTest(unittest.TestCase):
    server = url = None  # of the whole run
    screenshots = None
    binaries = None

    def open(self, **window):
        self.browser = open_browser(**window)
        self.addCleanup(self.browser.quit)
        self.browser.get(self.url)
        self.wait(lambda: "version" in self.text("model"))
        self.answer()  # of the sample that the page begins with

    def setUp(self):
        opens_itself = ("test_fits_a_phone", "test_is_dark_where_the_system_is", "test_asks_for_a_key_and_says_what_is_wrong_with_it",
                        "test_asks_nothing_by_itself_of_a_model_of_text_alone")
        if self._testMethodName not in opens_itself:
            self.open()

    def tearDown(self):
        if self.screenshots:
            self.browser.save_screenshot(str(self.screenshots / f"{self._testMethodName}.png"))
        log = self.browser.get_log("browser")
        self.assertEqual([line["message"] for line in log if line["level"] == "SEVERE"], [])

    def element(self, name):
        return self.browser.find_element(By.ID, name)

    def text(self, name):
        return self.element(name).text

    def wait(self, condition):
        return WebDriverWait(self.browser, PATIENCE_S, poll_frequency=0.05).until(lambda _: condition())

    def upload(self, path=SCENE):
        self.element("file").send_keys(str(path))

    def ask(self, question):
        field = self.element("question")
        field.clear()
        field.send_keys(question)
        self.element("ask").click()
        return self.answer()

    def answer(self):
        self.wait(lambda: self.element("facts").is_displayed() or "error" in self.element("answer").get_attribute("class"))
        return self.text("answer")

    def open_panel(self, name):
        self.browser.find_element(By.CSS_SELECTOR, f"#{name} summary").click()

    def num_painted(self, canvas):
        return self.browser.execute_script(
            "const c = arguments[0], d = c.getContext('2d').getImageData(0, 0, c.width, c.height).data; let n = 0;"
            "for (let i = 3; i < d.length; i += 4) n += d[i] > 0; return n;", self.element(canvas))

    # --- asking ---

    def test_begins_with_a_sample_and_its_answer(self):
        self.assertEqual(self.text("answer"), "circle")
        self.assertEqual(self.element("question").get_attribute("value"), "what shape is the red object?")
        self.assertTrue(self.element("preview").is_displayed() and self.element("why").is_displayed())

    def test_asks_nothing_by_itself_of_a_model_of_text_alone(self):
        self.browser = open_browser()
        self.addCleanup(self.browser.quit)
        self.browser.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": """
            const real = fetch;
            window.fetch = async (path, options) => {
              const response = await real(path, options);
              if (path !== '/v1/models') return response;
              const body = await response.json();
              body.data[0].image_tokens = 0;
              return new Response(JSON.stringify(body));
            };"""})
        self.browser.get(self.url)
        self.wait(lambda: "version" in self.text("model"))
        self.assertFalse(self.element("ask").is_enabled())
        self.upload()
        self.ask("what shape is the red object?")
        self.assertEqual(len(self.browser.find_elements(By.CSS_SELECTOR, "#history button")), 1)

    def test_answers_about_an_uploaded_picture(self):
        self.upload()
        self.assertEqual(self.ask("what shape is the red object?"), "circle")
        self.assertIn("36 of the picture", self.text("facts"))
        self.assertEqual(self.ask("is the red object on the left or right?"), "left")

    def test_streams_the_answer(self):
        self.upload()
        # Every state that the answer goes through is written down by the page itself.
        self.browser.execute_script(
            "window.states = []; new MutationObserver(() => states.push(document.getElementById('answer').textContent))"
            ".observe(document.getElementById('answer'), {childList: true, characterData: true, subtree: true});")
        answer = self.ask("describe the picture")
        states = [state for state in self.browser.execute_script("return states") if state]
        self.assertGreater(len(set(states)), 3)
        self.assertTrue(all(answer.startswith(state.rstrip()) for state in states), states)
        for words in ("a red circle", "a green square"):
            self.assertIn(words, answer)

    def test_takes_a_dropped_and_a_pasted_picture(self):
        script = """
            const bytes = Uint8Array.from(atob(arguments[0]), c => c.charCodeAt(0));
            const data = new DataTransfer();
            data.items.add(new File([bytes], 'dropped.png', {type: 'image/png'}));
            const event = arguments[1] === 'drop' ? new DragEvent('drop', {dataTransfer: data, bubbles: true, cancelable: true})
                : new ClipboardEvent('paste', {clipboardData: data, bubbles: true});
            (arguments[1] === 'drop' ? document.getElementById('stage') : document).dispatchEvent(event);"""
        picture = base64.b64encode(SCENE.read_bytes()).decode()
        for kind in ("drop", "paste"):
            self.browser.execute_script(script, picture, kind)
            self.assertEqual(self.ask("what shape is the red object?"), "circle", kind)

    def test_answers_about_a_drawing(self):
        self.element("draw").click()
        self.assertFalse(self.element("ask").is_enabled(), "there is nothing to ask about yet")
        board = self.element("board")
        def place(shape, colour, x, y):
            for label in (shape, colour):
                self.browser.find_element(By.CSS_SELECTOR, f"#tools [aria-label={label}]").click()
            ActionChains(self.browser).move_to_element_with_offset(board, x, y).click().perform()
        place("circle", "red", -80, -60)
        place("square", "blue", 80, 60)
        self.wait(lambda: self.element("ask").is_enabled())
        self.assertEqual(self.ask("what shape is the blue object?"), "square")
        self.assertEqual(self.ask("is the red object on the left or right?"), "left")

    def test_answers_about_a_generated_picture(self):
        self.element("generate").click()
        self.wait(lambda: not self.element("facts").is_displayed())
        self.assertIn(self.ask("what shape is the red object?"), ("circle", "square"))

    def test_says_what_is_wrong_with_a_file(self):
        with tempfile.NamedTemporaryFile(suffix=".png") as file:
            file.write(b"<script>alert(1)</script>" * 10)
            file.flush()
            self.upload(file.name)
            answer = self.ask("what is it?")
        self.assertIn("error", self.element("answer").get_attribute("class"))
        self.assertIn("image", answer)
        self.browser.get_log("browser")  # the refusal is an error in the console too: read, and gone

    def test_works_from_the_keyboard(self):
        self.upload()
        self.element("question").send_keys("what shape is the red object?" + Keys.ENTER)
        self.assertEqual(self.answer(), "circle")
        reached = set()
        self.browser.execute_script("document.activeElement.blur()")
        for _ in range(40):
            ActionChains(self.browser).send_keys(Keys.TAB).perform()
            reached.add(self.browser.switch_to.active_element.get_attribute("id"))
        self.assertLessEqual({"choose", "draw", "generate", "stage", "question", "ask", "explain", "method"}, reached)

    # --- seeing why ---

    def test_shows_where_the_model_looked_and_which_experts_worked(self):
        self.upload()
        self.ask("what shape is the red object?")
        for method in ("relevancy", "occlusion", "rollout", "attention"):
            self.browser.find_element(By.CSS_SELECTOR, f"#method option[value={method}]").click()
            self.element("explain").click()
            self.wait(lambda: self.element("tokens").is_displayed() and not self.text("why-status"))
            self.assertIn("circle", self.text("tokens"))
            self.assertGreater(self.num_painted("overlay"), 0, method)
        self.assertIn("logit lens", self.text("lens"))
        heatmap = self.element("overlay").screenshot_as_base64  # attention, the mean of all layers
        self.browser.find_element(By.CSS_SELECTOR, "#layer option[value='2']").click()
        self.wait(lambda: self.element("explain").is_enabled() and not self.text("why-status"))
        self.assertNotEqual(self.element("overlay").screenshot_as_base64, heatmap)
        self.browser.find_element(By.CSS_SELECTOR, "#view option[value=experts]").click()
        self.wait(lambda: self.element("layer").is_displayed())
        self.assertNotEqual(self.element("overlay").screenshot_as_base64, heatmap)
        self.assertRegex(self.text("legend"), r"(?i)expert|\d")

    def test_brings_a_question_of_before_back(self):
        self.upload(ROOT / "examples/outlined.png")
        second = self.ask("describe the picture")
        rows = self.browser.find_elements(By.CSS_SELECTOR, "#history button")
        self.assertEqual(len(rows), 2)
        self.assertIn(second[:10], rows[0].text)
        rows[1].click()
        self.assertEqual(self.text("answer"), "circle")
        self.assertEqual(self.element("question").get_attribute("value"), "what shape is the red object?")
        self.assertEqual(self.ask("is the red object on the left or right?"), "left")
        self.ask("is the red object on the left or right?")
        self.assertEqual(len(self.browser.find_elements(By.CSS_SELECTOR, "#history button")), 3, "asked twice, one row")

    def test_marks_dead_experts_and_an_even_load(self):
        self.browser.execute_script("""
            const real = fetch;
            let tokens = 0;
            const expert = (expert, text) => ({expert, image: {tokens: 0}, text: {tokens: text}});
            window.fetch = (path, options) => {
              if (path !== '/v1/experts') return real(path, options);
              tokens += 100;
              const experts = [expert(0, 3 * tokens), expert(1, tokens), expert(2, 0), expert(3, 0)];
              return Promise.resolve(new Response(JSON.stringify({model_version: 99, layers: [{layer: 0, experts}]})));
            };""")
        self.open_panel("experts-card")
        self.wait(lambda: "hottest: expert 0, 3.0 times an even load; 2 dead" in self.text("experts"))
        labels = [bar.get_attribute("aria-label") for bar in self.browser.find_elements(By.CSS_SELECTOR, "#experts [role=img]")]
        self.assertEqual([label.endswith(", dead") for label in labels], [False, False, True, True])
        self.assertEqual(len(self.browser.find_elements(By.CSS_SELECTOR, "#experts .even")), 4)

    def test_asks_for_a_key_and_says_what_is_wrong_with_it(self):
        with tempfile.TemporaryDirectory() as folder:
            keys = pathlib.Path(folder) / "keys"
            keys.write_text(f"alice {hashlib.sha256(b'sesame').hexdigest()} infer\n")
            server = LiveServer(self.binaries, pathlib.Path(folder), "--model", ROOT / "models/demo", "--api-keys", keys)
            self.addCleanup(server.stop)
            self.browser = open_browser()
            self.addCleanup(self.browser.quit)
            self.browser.get("http://" + server.address("http"))
            self.wait(lambda: self.element("key-dialog").is_displayed())
            press = self.browser.find_element(By.CSS_SELECTOR, "#key-form .primary").click
            press()
            self.assertIn("empty", self.text("key-complaint"))
            self.element("key").send_keys("open sesame")
            press()
            self.assertIn("space", self.text("key-complaint"))
            self.element("key").clear()
            self.element("key").send_keys("wrong")
            press()
            self.wait(lambda: "does not know this key" in self.text("key-complaint"))
            self.element("key").send_keys(Keys.ESCAPE)
            self.wait(lambda: "none was given" in self.text("model"))
            self.browser.refresh()
            self.wait(lambda: self.element("key-dialog").is_displayed())
            self.assertEqual(self.text("key-complaint"), "")
            self.element("key").send_keys("sesame" + Keys.ENTER)
            self.assertEqual(self.answer(), "circle")
            self.open_panel("calls")
            self.assertIn("$SPARSEFUSION_API_KEY", self.text("snippet"))
            self.assertNotIn("sesame", self.text("snippet"))
            self.browser.get_log("browser")  # the refusals are errors in the console too: read, and gone

    def test_links_its_documents(self):
        for link in self.browser.find_elements(By.CSS_SELECTOR, "nav a"):
            with urllib.request.urlopen(link.get_attribute("href"), timeout=PATIENCE_S) as page:
                self.assertGreater(len(page.read()), 1000, link.text)

    def test_shows_live_expert_load_and_versions(self):
        self.element("generate").click()  # one that no cache has
        self.wait(lambda: not self.element("facts").is_displayed())
        self.ask("describe the picture")
        self.open_panel("experts-card")
        self.wait(lambda: "image (blue)" in self.text("experts-status"))
        bars = self.browser.find_elements(By.CSS_SELECTOR, "#experts [role=img]")
        self.assertTrue(any(re.search(r": [1-9]\d* image", bar.get_attribute("aria-label")) for bar in bars))
        self.open_panel("versions-card")
        self.wait(lambda: "served" in self.text("versions"))

    # --- the same call from a program ---

    def test_its_snippets_work_as_pasted(self):
        self.upload()
        self.ask("what shape is the red object?")
        self.open_panel("calls")
        environment = os.environ | {"PATH": f"{self.binaries}:{os.environ['PATH']}"}
        for tab in ("curl", "python", "grpc"):
            self.element(f"tab-{tab}").click()
            snippet = self.text("snippet")
            if tab == "grpc":  # the first of two ways
                snippet = snippet.splitlines()[0]
            command = [sys.executable, "-c", snippet] if tab == "python" else ["bash", "-c", snippet]
            done = subprocess.run(command, cwd=SCENE.parent, env=environment, capture_output=True, text=True, timeout=60)
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertIn("circle", done.stdout, tab)

    # --- what a page owes its readers ---

    def test_every_control_has_a_name(self):
        self.upload()
        self.ask("what shape is the red object?")
        for panel in ("calls", "experts-card", "versions-card"):
            self.open_panel(panel)
        for control in self.browser.find_elements(By.CSS_SELECTOR, "button, input, select, [tabindex], canvas:not([aria-hidden])"):
            if control.is_displayed():
                self.assertTrue(control.accessible_name, control.get_attribute("outerHTML")[:200])
        self.assertEqual(self.element("answer").get_attribute("aria-live"), "polite")

    def test_loads_nothing_from_elsewhere(self):
        self.upload()
        self.ask("what shape is the red object?")
        messages = [json.loads(line["message"])["message"] for line in self.browser.get_log("performance")]
        urls = [m["params"]["request"]["url"] for m in messages if m["method"] == "Network.requestWillBeSent"]
        self.assertTrue(urls)
        foreign = [url for url in urls if not url.startswith((self.url, "data:", "blob:", "chrome:"))]
        self.assertEqual(foreign, [])
        policy = next(m["params"]["response"]["headers"] for m in messages if m["method"] == "Network.responseReceived"
                      and m["params"]["response"]["url"].rstrip("/") == self.url)
        policy = {name.lower(): value for name, value in policy.items()}["content-security-policy"]
        self.assertIn("default-src 'none'", policy)
        self.assertNotIn("unsafe", policy)

    def test_fits_a_phone(self):
        self.open(width=500, height=900)
        self.browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride",
                                     {"width": 360, "height": 740, "deviceScaleFactor": 2, "mobile": True})
        self.upload()
        self.ask("describe the picture")
        for panel in ("calls", "experts-card", "versions-card"):
            self.open_panel(panel)
        self.wait(lambda: "served" in self.text("versions"))
        self.assertLessEqual(self.browser.execute_script("return document.documentElement.scrollWidth"), 360)

    def test_is_dark_where_the_system_is(self):
        self.open(dark=True)
        channels = re.findall(r"\d+", self.browser.execute_script("return getComputedStyle(document.body).backgroundColor"))
        self.assertLess(max(int(channel) for channel in channels[:3]), 64)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--binaries", type=pathlib.Path, required=True)
    parser.add_argument("--screenshots", type=pathlib.Path)
    arguments, rest = parser.parse_known_args()
    PlaygroundTest.binaries = arguments.binaries.resolve()
    PlaygroundTest.screenshots = arguments.screenshots
    if arguments.screenshots:
        arguments.screenshots.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        PlaygroundTest.server = LiveServer(PlaygroundTest.binaries, pathlib.Path(folder), "--model", ROOT / "models/demo")
        PlaygroundTest.url = "http://" + PlaygroundTest.server.address("http")
        try:
            program = unittest.main(argv=[sys.argv[0], *rest], exit=False, verbosity=2)
        finally:
            PlaygroundTest.server.stop()
    sys.exit(not program.result.wasSuccessful())
