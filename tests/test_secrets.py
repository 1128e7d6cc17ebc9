"""Secrets are known by their format, and never leave the analysis."""

import random
import string
from dataclasses import asdict

import pytest

from detectors import Code, Tier, analyse
from detectors._engine.secrets import FORMATS, checksum, secrets_in

ALPHANUMERIC = string.ascii_letters + string.digits
UPPER = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
HEX = "0123456789abcdef"


def text_of(alphabet: str, length: int, seed: int = 5) -> str:
    return "".join(random.Random(seed).choices(alphabet, k=length))


def github_like(prefix: str) -> str:
    body = text_of(ALPHANUMERIC, 30)
    return prefix + body + checksum(body)


KEYS = {
    "Hugging Face": "hf_" + text_of(string.ascii_letters, 34),
    "Anthropic": "sk-ant-" + "api03-" + text_of(ALPHANUMERIC, 93),
    "OpenRouter": "sk-or-v1-" + text_of(HEX, 64),
    "OpenAI project": "sk-proj-" + text_of(ALPHANUMERIC, 74),
    "OpenAI": "sk-" + text_of(ALPHANUMERIC, 48),
    "Groq": "gsk_" + text_of(ALPHANUMERIC, 52),
    "Replicate": "r8_" + text_of(ALPHANUMERIC, 37),
    "Google": "AIza" + text_of(ALPHANUMERIC, 35),
    "AWS": "AKIA" + text_of(UPPER, 16),
    "GitHub": github_like("ghp_"),
    "npm": github_like("npm_"),
    "Slack": "xoxb-" + f"{text_of('123456789', 11)}-{text_of('123456789', 12)}-{text_of(ALPHANUMERIC, 24)}",
    "Stripe": "sk_live_" + text_of(ALPHANUMERIC, 24),
    "LangSmith": "lsv2_" + f"pt_{text_of(HEX, 32)}_{text_of(HEX, 10)}",
    "Databricks": "dapi" + text_of(HEX, 32),
    "NVIDIA": "nvapi-" + text_of(ALPHANUMERIC, 64),
    "Pinecone": "pcsk_" + f"{text_of(ALPHANUMERIC, 6)}_{text_of(ALPHANUMERIC, 63)}",
}


@pytest.mark.parametrize("key", KEYS.values(), ids=KEYS)
def test_a_key_is_found_on_its_line_and_appears_nowhere_in_the_analysis(key: str) -> None:
    text = f'import os\n\nTOKEN = "{key}"\nclient = connect(TOKEN)\n'
    findings = analyse(text, "client.py", rules={"hard-coded-secret"}).findings

    assert [(each.line, each.tier) for each in findings] == [(3, Tier.BUG)]
    body = key[max(len(each.prefix) for each in FORMATS if key.startswith(each.prefix)) :]
    assert not any(body[at : at + 8] in str(asdict(findings[0])) for at in range(len(body) - 7))


@pytest.mark.parametrize("key", KEYS.values(), ids=KEYS)
def test_no_other_rule_repeats_a_key_or_suggests_a_line_that_holds_it(key: str) -> None:
    text = (
        "import logging\n\nlogger = logging.getLogger(__name__)\n\n\n"
        f'def report(name):\n    logger.info(f"{{name}} uses {key}")\n'
    )
    findings = analyse(text, "client.py").findings

    assert {each.rule for each in findings} >= {"eager-log-format", "hard-coded-secret"}
    assert not any(key in str(asdict(each)) for each in findings)


def test_another_key_on_the_same_line_is_a_new_finding() -> None:
    first, second = ("hf_" + text_of(string.ascii_letters, 34, seed) for seed in (1, 2))
    one, other = (analyse(f'T = "{key}"\n', "a.py", rules={"hard-coded-secret"}).findings[0] for key in (first, second))

    assert one.text != other.text


def test_a_github_token_with_a_wrong_checksum_is_no_secret() -> None:
    assert not list(secrets_in("ghp_" + text_of(ALPHANUMERIC, 36)))


def test_a_private_key_block_is_found_and_hidden_line_by_line() -> None:
    body = "\n".join(text_of(ALPHANUMERIC + "+/", 64, seed) for seed in range(8))
    begin, end = "-----BEGIN " + "PRIVATE KEY-----", "-----END " + "PRIVATE KEY-----"
    code = f'KEY = """{begin}\n{body}\n{end}"""\n'
    findings = analyse(code, "a.py", rules={"hard-coded-secret"}).findings

    assert [each.line for each in findings] == [1]
    assert not any(line in str(asdict(findings[0])) for line in body.split("\n"))
    assert len(Code(code).secrets) == 1
