"""The files of `deploy/` and the compose file are understood by what they are for, and name only what there is."""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML
from typer.main import get_command

from app import metrics
from app.cli import cli
from app.settings import Settings

ROOT = Path(__file__).parent.parent
COMMANDS = set(get_command(cli).commands)  # type: ignore[attr-defined]
VARIABLES = {f"MLSTAFF_{name.upper()}" for name in Settings.model_fields} | {"REDIS_URL"}


def documents(name: str) -> list[Any]:
    return list(YAML(typ="safe").load_all(ROOT / name))


COMPOSE: dict[str, Any] = documents("docker-compose.yml")[0]
OBJECTS: list[dict[str, Any]] = documents("deploy/kubernetes/mlstaff.yaml")
PODS = [each for each in OBJECTS if each["kind"] in ("Deployment", "StatefulSet")]


def containers() -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """Each container with its pod."""
    for each in PODS:
        pod = each["spec"]["template"]["spec"]
        yield from ((pod, container) for container in pod["containers"])


def test_compose_runs_commands_with_settings_that_there_are() -> None:
    ours = {name: each for name, each in COMPOSE["services"].items() if each["image"] == "mlstaff"}
    assert {tuple(each["command"]) for each in ours.values()} == {("web",), ("worker",)}
    for each in ours.values():
        assert set(each["environment"]) <= VARIABLES
        for other, how in each["depends_on"].items():
            assert how == {"condition": "service_healthy"}
            assert COMPOSE["services"][other]["healthcheck"]["test"][0] == "CMD"


def test_what_compose_mounts_is_declared_and_what_it_sets_can_be_given() -> None:
    named = {volume.split(":")[0] for each in COMPOSE["services"].values() for volume in each.get("volumes", ())}
    assert named == set(COMPOSE["volumes"])
    text = (ROOT / "docker-compose.yml").read_text()
    assert set(re.findall(r"\$\{(\w+)", text)) <= VARIABLES


@pytest.mark.parametrize(
    "words", [COMPOSE["services"]["valkey"]["command"], PODS[-1]["spec"]["template"]["spec"]["containers"][0]["args"]]
)
def test_the_store_that_is_deployed_keeps_what_it_accepted(words: list[str]) -> None:
    assert words[words.index("--appendonly") + 1] == "yes"
    assert words[words.index("--appendfsync") + 1] == "always"
    assert all(isinstance(word, str) for word in words), "`yes` without quotes is no string in YAML"


def test_kubernetes_objects_are_of_kinds_that_there_are_and_have_names() -> None:
    kinds = {(each["apiVersion"], each["kind"]) for each in OBJECTS}
    assert kinds == {("v1", "ConfigMap"), ("v1", "Service"), ("apps/v1", "Deployment"), ("apps/v1", "StatefulSet")}
    names = [(each["kind"], each["metadata"]["name"]) for each in OBJECTS]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("each", PODS, ids=lambda each: each["metadata"]["name"])
def test_a_selector_selects_its_own_pods(each: dict[str, Any]) -> None:
    assert each["spec"]["selector"]["matchLabels"] == each["spec"]["template"]["metadata"]["labels"]


@pytest.mark.parametrize("each", [each for each in OBJECTS if each["kind"] == "Service"], ids=str)
def test_a_service_has_pods_with_its_ports(each: dict[str, Any]) -> None:
    wanted = each["spec"]["selector"].items()
    pods = [pod["spec"]["template"] for pod in PODS if wanted <= pod["spec"]["template"]["metadata"]["labels"].items()]
    ports = {port["name"] for pod in pods for container in pod["spec"]["containers"] for port in container["ports"]}
    assert pods
    assert {port.get("targetPort", port["name"]) for port in each["spec"]["ports"]} <= ports


@pytest.mark.parametrize(("pod", "container"), list(containers()), ids=str)
def test_a_container_s_settings_volumes_and_probes_fit(pod: dict[str, Any], container: dict[str, Any]) -> None:
    volumes = {volume["name"] for volume in pod.get("volumes", ())} | {"data"}
    assert {mount["name"] for mount in container["volumeMounts"]} <= volumes
    assert container["resources"]["limits"]["memory"]
    ports = {port["name"] for port in container.get("ports", ())}
    for probe in (container.get("readinessProbe", {}), container.get("livenessProbe", {})):
        assert "httpGet" not in probe or probe["httpGet"]["port"] in ports
    if container["image"].startswith("mlstaff"):
        assert container["args"][0] in COMMANDS
        sources = [next(iter(each.values()))["name"] for each in container["envFrom"]]
        assert sources == ["mlstaff", "mlstaff"], "the config map, and the secret that its comment makes"


def test_kubernetes_settings_are_ours() -> None:
    (settings,) = (each["data"] for each in OBJECTS if each["kind"] == "ConfigMap")
    assert set(settings) <= VARIABLES
    text = (ROOT / "deploy/kubernetes/mlstaff.yaml").read_text()
    assert set(re.findall(r"MLSTAFF_[A-Z_]+", text)) <= VARIABLES


def shown() -> set[str]:
    """The names of all series that `/metrics` shows."""
    gauges = set(re.findall(r"(?m)^# TYPE (\w+)", metrics.page({}, dict.fromkeys(metrics._GAUGES, 0.0)).decode()))
    samples = {f"{family}{end}" for family in gauges for end in ("", "_total", "_bucket", "_count", "_sum")}
    return samples | {"up"}


def expressions(value: Any) -> Iterator[str]:
    """Every `expr` in a file."""
    if isinstance(value, dict):
        yield from (text for name, text in value.items() if name == "expr")
        value = list(value.values())
    if isinstance(value, list):
        for each in value:
            yield from expressions(each)


@pytest.mark.parametrize(
    "expression",
    [
        *expressions(documents("deploy/prometheus/alerts.yml")),
        *expressions(json.loads((ROOT / "deploy/grafana/mlstaff.json").read_text())),
    ],
)
def test_an_expression_is_about_series_that_there_are(expression: str) -> None:
    assert set(re.findall(r"\bmlstaff_\w+", expression)) | {"up"} <= shown()
    for opening, closing in ("()", "[]", "{}"):
        assert expression.count(opening) == expression.count(closing)


def test_alerts_have_what_prometheus_asks_for() -> None:
    (rules,) = documents("deploy/prometheus/alerts.yml")
    for group in rules["groups"]:
        for rule in group["rules"]:
            assert set(rule) <= {"alert", "expr", "for", "labels", "annotations"}
            assert re.fullmatch(r"[A-Z]\w+", rule["alert"])
            assert re.fullmatch(r"\d+[smh]", rule.get("for", "1m"))
            assert rule["labels"]["severity"] in ("critical", "warning")
    (scrape,) = documents("deploy/prometheus/scrape.yml")
    assert all((ROOT / "deploy/prometheus" / name).exists() for name in scrape["rule_files"])


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not here")
def test_systemd_understands_the_unit(tmp_path: Path) -> None:
    unit = (ROOT / "deploy/systemd/mlstaff.service").read_text()
    (tmp_path / "mlstaff.service").write_text(unit.replace("/opt/mlstaff/bin/mlstaff", "/bin/true"))
    command = ["systemd-analyze", "verify", "--man=no", str(tmp_path / "mlstaff.service")]
    result = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    said = [line for line in (result.stdout + result.stderr).splitlines() if "mlstaff.service" in line]
    assert said == []
    assert set(re.findall(r"MLSTAFF_[A-Z_]+", unit)) <= VARIABLES
    assert re.search(r"(?m)^ExecStart=\S+/mlstaff (\w+)", unit)[1] in COMMANDS  # type: ignore[index]
