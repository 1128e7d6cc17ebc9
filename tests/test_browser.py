"""The pages in Chromium, against a running server."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, FilePayload, Page, expect, sync_playwright

from tests.changes import BUGGY, TRAINING
from tests.service import Service, running
from tests.test_notebook import BUGGY as BUGGY_CELL
from tests.test_notebook import LOOP, SET_UP, file_of

CHROMIUM = Path("/usr/bin/chromium")
ARGUMENTS = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync"
).split()
PHONE = 360
PATIENCE = 30_000
"""Milliseconds, for a machine that is busy with other tests."""

expect.set_options(timeout=PATIENCE)

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not CHROMIUM.exists(), reason=f"there is no {CHROMIUM}: apt-get install chromium"),
]


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with running(tmp_path_factory.mktemp("service")) as service:
        yield service


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def page(browser: Browser, service: Service) -> Iterator[Page]:
    """A page without JavaScript, as everything has to work without it."""
    context = browser.new_context(base_url=service.url, java_script_enabled=False)
    context.set_default_timeout(PATIENCE)
    yield context.new_page()
    context.close()


def test_a_change_is_pasted_and_reviewed(page: Page) -> None:
    page.goto("/")
    page.get_by_text("Before and after", exact=True).click()
    page.locator("#file_before").fill(TRAINING)
    page.locator("#file_after").fill(BUGGY)
    page.get_by_role("button", name="Review").click()

    expect(page.get_by_role("heading", name="1 bug")).to_be_visible()
    comment = page.get_by_role("article", name="Comment on line +6")
    expect(comment).to_contain_text("optimizer.zero_grad()")
    expect(page.locator("#file_after")).to_have_value(BUGGY)
    comment.get_by_role("link", name="missing-zero-grad").click()
    expect(page.get_by_role("heading", name="Gradients are never cleared")).to_be_visible()


def test_a_notebook_is_dropped_and_reviewed(page: Page) -> None:
    page.goto("/")
    page.get_by_text("A notebook", exact=True).click()
    for field, cell in (("before", LOOP), ("after", BUGGY_CELL)):
        notebook = FilePayload(name="train.ipynb", mimeType="application/json", buffer=file_of(SET_UP, cell).encode())
        page.locator(f"[name=notebook_{field}_upload]").set_input_files(notebook)
    page.get_by_role("button", name="Review").click()

    expect(page.get_by_role("article", name="Comment on line")).to_contain_text("In cell 3, line 1")


def test_the_form_can_be_filled_with_the_keyboard_alone(page: Page) -> None:
    page.goto("/")
    page.locator("#kind-diff").focus()
    page.keyboard.press("ArrowRight")
    expect(page.locator("#file_after")).to_be_visible()
    expect(page.locator("#diff")).to_be_hidden()
    page.locator("#file_after").focus()
    page.keyboard.type("import torch")
    page.get_by_role("button", name="Review").press("Enter")

    expect(page.get_by_role("heading", name="No ML problems found")).to_be_visible()


@pytest.mark.parametrize("path", ["/", "/rules", "/rules/missing-zero-grad", "/nowhere"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_is_wider_than_a_phone_or_refused_by_the_policy(
    browser: Browser, service: Service, path: str, scheme: str
) -> None:
    context = browser.new_context(
        base_url=service.url,
        viewport={"width": PHONE, "height": 700},
        color_scheme="dark" if scheme == "dark" else "light",
    )
    page = context.new_page()
    said: list[str] = []
    asked: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.on("request", lambda request: asked.append(request.url))
    page.goto(path)

    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE
    assert [each for each in said if "404" not in each] == []
    assert [each for each in asked if not each.startswith(service.url)] == []
    context.close()
