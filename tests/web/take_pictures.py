"""Takes the pictures of docs/screenshots anew: look at them before they are committed.

    take_pictures.py --binaries build/release/bin [--out docs/screenshots]
"""

import argparse
import pathlib
import tempfile

from playground_test import ROOT, By, LiveServer, PlaygroundTest, open_browser


class Photographer(PlaygroundTest):
    """The test's hands without its checks."""

    def __init__(self, browser):
        super().__init__("setUp")
        self.browser = browser

    def show_why(self, question, method, token, view="heatmap", layer=None):
        self.upload()
        self.ask(question)
        self.browser.find_element(By.CSS_SELECTOR, f"#method option[value={method}]").click()
        self.element("explain").click()
        self.wait(lambda: self.element("tokens").is_displayed() and not self.text("why-status"))
        if layer is not None:
            self.browser.find_element(By.CSS_SELECTOR, f"#layer option[value='{layer}']").click()
            self.wait(lambda: self.element("explain").is_enabled() and not self.text("why-status"))
        self.browser.find_element(By.CSS_SELECTOR, f"#view option[value={view}]").click()
        self.browser.find_element(By.XPATH, f"//*[@id='tokens']//button[normalize-space()='{token}']").click()


def playground(photographer):
    photographer.show_why("describe the picture", "occlusion", "red")
    photographer.open_panel("experts-card")
    photographer.wait(lambda: "image (blue)" in photographer.text("experts-status"))


def experts(photographer):
    photographer.show_why("what shape is the red object?", "attention", "circle", view="experts", layer=2)
    photographer.open_panel("calls")
    photographer.open_panel("versions-card")
    photographer.wait(lambda: "served" in photographer.text("versions"))


def phone(photographer):
    photographer.browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride",
                                         {"width": 360, "height": 740, "deviceScaleFactor": 1, "mobile": True})
    photographer.show_why("what shape is the red object?", "occlusion", "circle")


PICTURES = {"playground": (playground, {"height": 1500}), "experts": (experts, {"height": 1200, "dark": True}),
            "phone": (phone, {"width": 500, "height": 900})}

if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--binaries", type=pathlib.Path, required=True)
    parser.add_argument("--out", type=pathlib.Path, default=ROOT / "docs/screenshots")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        server = LiveServer(arguments.binaries.resolve(), pathlib.Path(folder), "--model", ROOT / "models/demo")
        try:
            for name, (pose, window) in PICTURES.items():
                browser = open_browser(**window)
                browser.get("http://" + server.address("http"))
                photographer = Photographer(browser)
                photographer.wait(lambda: "version" in photographer.text("model"))
                photographer.answer()  # of the sample
                pose(photographer)
                browser.execute_script("window.scrollTo(0, 0)")
                browser.save_screenshot(str(arguments.out / f"{name}.png"))
                browser.quit()
        finally:
            server.stop()
