"""What the documents say is true of the code."""

import re
from pathlib import Path

from typer.main import get_command

from app.cli import cli
from app.settings import Settings
from detectors import all_detectors

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


def settings_table() -> str:
    """The README's table, from the settings themselves."""
    rows = []
    for name, field in Settings.model_fields.items():
        default = "" if field.default in (None, "") else f"`{field.default}`"
        rows.append(f"| `MLSTAFF_{name.upper()}` | {field.description} | {default} |")
    return "\n".join(rows)


def test_the_readme_lists_every_setting_with_its_default() -> None:
    assert settings_table() in README, "the README's table should be:\n" + settings_table()


def test_the_readme_names_only_commands_that_exist() -> None:
    commands = get_command(cli).commands  # type: ignore[attr-defined]
    named = set(re.findall(r"(?m)(?:^|`)\s*mlstaff ([a-z]+)", README))

    assert {"check", "review", "serve", "explain"} <= named <= set(commands)


def test_the_readme_names_only_targets_that_exist() -> None:
    makefile = (ROOT / "Makefile").read_text()
    contributing = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    named = set(re.findall(r"(?m)(?:^|`)make ([a-z]+)", README + contributing))

    assert {"run", "test", "check"} <= named
    assert all(re.search(rf"^{target}:", makefile, re.M) for target in named)


def test_links_in_the_documents_lead_somewhere() -> None:
    for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md"):
        text = (ROOT / name).read_text(encoding="utf-8")
        for target in re.findall(r"\]\((?!https?:)([^)#]+)\)", text):
            assert (ROOT / target).exists(), f"{name} links to {target}"


def test_every_page_links_to_where_its_facts_come_from() -> None:
    assert [each.name for each in all_detectors() if not each.page.links] == []
