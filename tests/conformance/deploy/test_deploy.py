"""The chart, the manifests made from it and the container file, as their own tools see them: helm, the schemas of
Kubernetes, hadolint. And the configurations in them, as the gateway does.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from antiphon.gateway.loading import loads
from antiphon.version import __version__
from tests.conformance.environments import environment
from tests.conformance.official import ROOT

DEPLOY = ROOT / "deploy"
CHART = DEPLOY / "helm" / "antiphon-gateway"
EXAMPLES = {"": (), **{path.stem: ("-f", str(path)) for path in sorted((CHART / "examples").glob("*.yaml"))}}
MANIFESTS = {name: DEPLOY / "kubernetes" / f"gateway{'-' if name else ''}{name}.yaml" for name in EXAMPLES}


@pytest.fixture(scope="module")
def tools() -> Path:
    return environment("tools", Path(__file__).parent) / "bin"


def run(*command: str | Path, fails: bool = False, told: str | None = None) -> str:
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, input=told, cwd=ROOT, check=False)
    assert (done.returncode != 0) == fails, done.stdout + done.stderr
    return done.stdout + done.stderr if fails else done.stdout


def rendered(tools: Path, options: Sequence[str]) -> str:
    return run(tools / "helm", "template", "gateway", CHART, "--namespace", "models", *options)


def validated(tools: Path, manifest: str, tmp_path: Path) -> list[Any]:
    """The documents of a manifest, which the schemas of Kubernetes know and accept."""
    documents = [each for each in yaml.safe_load_all(manifest) if each]
    known = [each for each in documents if each["kind"] != "ServiceMonitor"]  # that is Prometheus' operator's own
    (tmp_path / "known.yaml").write_text(yaml.safe_dump_all(known))
    for version in ("1.26", "1.37"):
        run(tools / "kubernetes-validate", "--strict", "-k", version, tmp_path / "known.yaml")
    return documents


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_chart(tools: Path, name: str, tmp_path: Path) -> None:
    run(tools / "helm", "lint", "--strict", CHART, *EXAMPLES[name])
    documents = validated(tools, rendered(tools, EXAMPLES[name]), tmp_path)
    kinds = {each["kind"] for each in documents}
    assert {"ConfigMap", "Deployment", "Service", "ServiceAccount", "PodDisruptionBudget"} <= kinds
    assert ({"Ingress", "HorizontalPodAutoscaler", "ServiceMonitor"} <= kinds) == (name == "kserve")
    (config,) = (each["data"]["gateway.toml"] for each in documents if each["kind"] == "ConfigMap")
    loaded = loads(config, environment={"TEAM_KEY_HASH": "sha256:" + "0" * 64})
    assert loaded.models
    assert loaded.open or loaded.keys
    (service,) = (each for each in documents if each["kind"] == "Service")
    (deployment,) = (each for each in documents if each["kind"] == "Deployment")
    assert service["spec"]["selector"] == deployment["spec"]["selector"]["matchLabels"]


def test_the_chart_with_everything(tools: Path, tmp_path: Path) -> None:
    options = (
        "--set=tlsSecret=tls,workers=auto,serviceAccount.create=false,serviceAccount.name=other,ingress.enabled=true",
        "--set=ingress.host=models.test,podLabels.a=b,podAnnotations.c=d,nodeSelector.e=f,imagePullSecrets[0].name=g",
    )
    documents = validated(tools, rendered(tools, options), tmp_path)
    (deployment,) = (each for each in documents if each["kind"] == "Deployment")
    pod = deployment["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert pod["serviceAccountName"] == "other"
    assert container["readinessProbe"]["httpGet"]["scheme"] == "HTTPS"
    assert "--certificate=/etc/antiphon-tls/tls.crt" in container["args"]
    assert container["image"] == f"antiphon:{__version__}"


@pytest.mark.parametrize(
    ("setting", "word"),
    [("replicas=-1", "replicas"), ("log=xml", "log"), ("servic.port=1", "servic"), ("ingress.enabled=true", "host")],
)
def test_values_that_cannot_be(tools: Path, setting: str, word: str) -> None:
    assert word in run(tools / "helm", "template", "gateway", CHART, "--set", setting, fails=True)


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_manifests_are_the_charts(tools: Path, name: str) -> None:
    made = "# Made from the chart, by tests/conformance/deploy: ANTIPHON_WRITE=1 writes it anew.\n" + rendered(
        tools, EXAMPLES[name]
    )
    if os.environ.get("ANTIPHON_WRITE"):
        MANIFESTS[name].write_text(made)
    assert MANIFESTS[name].read_text() == made


def test_the_container_file(tools: Path) -> None:
    assert run(tools / "hadolint", DEPLOY / "Containerfile") == ""
    told = (DEPLOY / "Containerfile").read_text()
    for line in told.splitlines():  # what it copies is there
        if line.startswith("COPY ") and "--from" not in line:
            for path in line.split()[1:-1]:
                assert (ROOT / path).exists(), line


def test_the_container_files_command_is_one_of_ours() -> None:
    from antiphon.cli import main

    with pytest.raises(SystemExit) as done:
        main(["gateway", "--help"])
    assert done.value.code == 0
