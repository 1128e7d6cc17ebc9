"""Secrets are known by their format, and never leave the analysis."""

import random
import string
from dataclasses import asdict

import pytest

from detectors import Code, Tier, analyse
from detectors._engine.secrecy.secrets import secrets_in
from tests.keys import Key, every_key, is_in

ALPHANUMERIC = string.ascii_letters + string.digits
KEYS = {each.name: each for each in every_key()}
LINES = {
    "a logger's text": "import logging\n\nlogger = logging.getLogger(__name__)\n\n\n"
    'def report(name):\n    logger.info(f"{name} uses KEY")\n',
    "an argument of a client": "from openai import OpenAI\n\nclient = OpenAI(api_key='KEY')\n"
    'print(client.responses.create(model="gpt-4.1", input="hi", user=\'KEY\'))\n',
    "a name that is cut": "import pickle\n\nimport requests\n\n"
    "pickle.loads(requests.get(url, headers={'t': 'KEY'}).read())\n",
    "a path of one machine": "import pandas\n\nframe = pandas.read_csv('/home/ada/projects/KEY/train.csv')\n",
    "the line above": "import torch\n\n"
    "TOKEN = 'KEY'\nmodel = torch.nn.Linear(3, 3)\ntorch.save(model, 'model.pt')  # KEY\n",
    "a prompt": "from fastapi import FastAPI\nfrom openai import OpenAI\n\n"
    "app = FastAPI()\nclient = OpenAI(timeout=9)\n\n\n"
    "@app.post('/ask')\ndef ask(question: str):\n"
    "    return client.responses.create(model='gpt-4.1', input=question, instructions=f'KEY {question}')\n",
}
"""Code in which another rule speaks of the line that holds the key."""


def text_of(alphabet: str, length: int, seed: int = 5) -> str:
    return "".join(random.Random(seed).choices(alphabet, k=length))


@pytest.mark.parametrize("key", KEYS.values(), ids=KEYS)
def test_a_key_is_found_on_its_line_and_appears_nowhere_in_the_analysis(key: Key) -> None:
    text = f"import os\n\n{key.line}\nclient = connect(TOKEN)\n"
    findings = analyse(text, "client.py", rules={"hard-coded-secret"}).findings

    assert [(each.line, each.tier) for each in findings] == [(3, Tier.BUG)]
    assert not is_in(key.body, str(asdict(findings[0])))


@pytest.mark.parametrize("code", LINES.values(), ids=LINES)
def test_no_other_rule_repeats_a_key_or_suggests_a_line_that_holds_it(code: str) -> None:
    others = set()
    for key in KEYS.values():
        value = key.value.replace("\n", "\\n")
        text = f"{key.line}\n{code.replace('KEY', value)}"
        findings = analyse(text, "client.py").findings

        others |= {each.rule for each in findings} - {"hard-coded-secret"}
        assert not any(is_in(key.body, str(asdict(each))) for each in findings), key.name
    assert others


@pytest.mark.parametrize("key", KEYS.values(), ids=KEYS)
def test_a_key_in_two_literals_is_found_and_neither_half_is_repeated(key: Key) -> None:
    half = len(key.value) // 2
    if key.value != key.body and key.name != "private key":
        text = f'import torch\n\ntorch.save(model.eval(), open(\n    "{key.value[:half]}"\n    "{key.value[half:]}"))\n'
        findings = analyse(text, "client.py").findings

        assert "hard-coded-secret" in {each.rule for each in findings}
        assert not any(is_in(key.body, str(asdict(each))) for each in findings)


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
