"""The pages: how the bot is, the rules, what is not there; and what every page promises a browser."""

import asyncio
import html
import re
from collections.abc import Iterator, Sequence

import pytest
from pydantic import SecretStr

from app.doctor.line import Line, fail, ok
from app.settings import Settings
from app.web.site import Credentials
from app.web.templates import STYLE
from detectors import all_detectors
from tests.site import CONNECTED, Client, site


@pytest.fixture(scope="module")
def client() -> Iterator[Client]:
    with site() as client:
        yield client


def text_of(client: Client, path: str = "/") -> str:
    """The words of a page."""
    words = re.sub(r"<[^>]+>", " ", client.get(path).text)
    return " ".join(html.unescape(words).split())


def home(settings: Settings = CONNECTED, *, problem: str = "", name: str = "Staff", workers: int | None = 1) -> str:
    with site(settings, problem=problem, name=name, workers=workers) as client:
        return text_of(client)


def test_a_connected_bot_says_as_which_app(client: Client) -> None:
    words = text_of(client)

    assert "Connected and reviewing" in words
    assert "Connected to api.github.com as the App Staff (id 7)." in words
    assert "One worker is running." in words


def test_missing_credentials_are_named_with_what_to_do() -> None:
    words = home(CONNECTED.model_copy(update={"private_key": None, "webhook_secret": SecretStr("")}))

    assert "Not connected to GitHub yet" in words
    assert "Set MLSTAFF_PRIVATE_KEY and MLSTAFF_WEBHOOK_SECRET and start mlstaff again." in words
    assert "MLSTAFF_APP_ID and" not in words
    assert "How to connect it" in words


def test_credentials_that_github_refuses_say_why() -> None:
    words = home(problem="A JSON web token could not be decoded")

    assert "The credentials cannot be used: A JSON web token could not be decoded" in words


def test_credentials_that_are_being_checked_are_no_trouble() -> None:
    assert "Checking the connection" in home(problem=Credentials.NOT_CHECKED)


def test_an_app_without_a_name_is_known_by_its_id() -> None:
    assert "as the App 7." in home(name="")


def test_what_the_doctor_found_wrong_with_the_app_is_said_with_what_to_do() -> None:
    line = fail("App: permissions", "Missing: checks: write.", "Add them in the App's settings.")
    with site(failing=(line,)) as client:
        words = text_of(client)
    assert "Not reviewing: permissions trouble" in words
    assert "Missing: checks: write. Add them in the App's settings." in words


def test_the_doctor_looks_at_the_app_in_the_background_once_its_credentials_are_usable() -> None:
    found = [fail("webhook", "It has no secret.", "Set it."), ok("App", "Staff")]
    looks = list[str]()

    async def check() -> str:
        looks.append("check")
        return "" if len(looks) > 1 else "not yet"

    async def examine() -> Sequence[Line]:
        looks.append("examine")
        if looks.count("examine") == 1:
            raise RuntimeError
        return found

    async def watch() -> None:
        credentials = Credentials(check, lambda: "Staff", examine)
        watching = asyncio.create_task(credentials.watch())
        while not credentials.failing:
            await asyncio.sleep(0.01)
        watching.cancel()
        assert [each.name for each in credentials.failing] == ["webhook"]
        assert looks[:3] == ["check", "check", "examine"]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("app.web.site.CHECK_AGAIN_SECONDS", 0.01)
        patch.setattr("app.web.site.EXAMINE_AGAIN_SECONDS", 0.01)
        asyncio.run(asyncio.wait_for(watch(), 30))


def test_a_store_that_is_gone_and_workers_that_do_not_run_are_said() -> None:
    assert "The store cannot be reached" in home(workers=None)
    assert "No worker is running" in home(workers=0)


def test_the_first_visit_shows_an_example_with_its_review(client: Client) -> None:
    page = client.get("/").text

    assert "optimizer.zero_grad()" in page
    assert 'aria-label="Comment on line +' in page
    assert "Suggested change" in page


def test_rules_are_listed_by_family_with_their_tier(client: Client) -> None:
    words = text_of(client, "/rules")

    for each in all_detectors():
        assert f"{each.page.title} {each.name} {each.tier.value}" in words


def test_a_family_is_chosen_by_a_link(client: Client) -> None:
    page = client.get("/rules?family=training").text

    assert "/rules/missing-zero-grad" in page
    assert "/rules/save-whole-model" not in page
    assert 'href="/rules?family=training" aria-current="page"' in page
    assert client.get("/rules?family=<script>").status_code == 404


def test_every_rule_has_its_page(client: Client) -> None:
    for each in all_detectors():
        answer = client.get(f"/rules/{each.name}")
        assert answer.status_code == 200, each.name
        assert html.escape(each.page.title) in answer.text.replace("&#39;", "&#x27;")
        assert f"# mlstaff: ignore[{each.name}]" in answer.text
        assert all(f'href="{html.escape(link)}"' in answer.text for link in each.page.links)


def test_lines_that_are_found_stand_out_and_carry_no_mark(client: Client) -> None:
    page = client.get("/rules/missing-zero-grad").text

    assert page.count('class="l found"') >= 1
    assert "# ❌" not in page


def test_a_rule_that_is_not_there_is_guessed_at(client: Client) -> None:
    answer = client.get("/rules/missing_zero_grads")

    assert answer.status_code == 404
    assert 'href="/rules/missing-zero-grad"' in answer.text


def test_any_other_address_has_a_page_that_says_so(client: Client) -> None:
    answer = client.get("/<script>alert(1)</script>")

    assert answer.status_code == 404
    assert "There is no such page." in answer.text
    assert "<script" not in answer.text


@pytest.mark.parametrize("path", ["/", "/rules", "/rules/missing-zero-grad", "/nowhere", "/style.css", "/mark.svg"])
def test_no_page_may_run_scripts_or_be_framed(client: Client, path: str) -> None:
    headers = client.get(path).headers

    assert headers["content-security-policy"] == (
        "default-src 'none'; style-src 'self'; img-src 'self' data:; form-action 'self'; "
        "frame-ancestors 'none'; base-uri 'none'"
    )
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"


@pytest.mark.parametrize("path", ["/", "/rules", "/rules/missing-zero-grad"])
def test_pages_load_nothing_from_elsewhere_and_hold_no_style_of_their_own(client: Client, path: str) -> None:
    page = client.get(path).text

    assert re.findall(r'(?:src|<link[^>]*href)="(?:https?:)?//', page) == []
    assert "<script" not in page
    assert "style=" not in page
    assert re.findall(r"url\(|@import", STYLE) == []


def test_every_field_has_a_label(client: Client) -> None:
    page = client.get("/").text

    for field in re.findall(r"<(?:input|textarea)[^>]*>", page):
        identity = re.search(r'id="([^"]+)"', field)
        assert "aria-label=" in field or (identity and f'<label for="{identity[1]}"' in page), field


def test_the_style_sheet_may_be_kept_for_its_address_changes_with_it(client: Client) -> None:
    address = re.search(r'href="(/style\.css\?\w+)"', client.get("/").text)

    assert address is not None
    assert "immutable" in client.get(address[1]).headers["cache-control"]


def test_a_page_is_there_for_head_too(client: Client) -> None:
    assert client.request("HEAD", "/").status_code == 200


# -- contrast: https://www.w3.org/TR/WCAG22/#contrast-minimum ---------------------------------------------

TEXT = "ink quiet accent red amber green blue k s c n f".split()
GROUNDS = "paper raised sunk".split()


def colours(sheet: str) -> dict[str, str]:
    return dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})", sheet))


def luminance(colour: str) -> float:
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    dark, light = sorted([luminance(one), luminance(other)])
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_can_be_read(scheme: str) -> None:
    light, _, dark = STYLE.partition("@media (prefers-color-scheme: dark)")
    known = colours(light) | (colours(dark) if scheme == "dark" else {})
    pairs = [(text, ground) for text in TEXT for ground in GROUNDS]
    pairs += [(text, ground) for text in ["ink", *"kscnf"] for ground in ("add", "del", "found")]
    pairs += [("ink", "add-no"), ("ink", "del-no"), ("green", "add"), ("red", "del"), ("accent", "accent-soft")]
    pairs += [("accent-ink", "accent")]

    assert [pair for pair in pairs if contrast(known[pair[0]], known[pair[1]]) < 4.5] == []
