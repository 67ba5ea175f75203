"""What the overlays render to, and what compose resolves to, by the tools that `make manifests` builds."""

import json
import os
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from tests.tools import ROOT, tool

OVERLAYS = ("dev", "prod")


def built(name: str) -> str:
    """kustomize or compose-check."""
    return str(tool(name, needs="Go", target="manifests"))


def rendered(overlay: str) -> list[dict[str, Any]]:
    """The documents of an overlay, as kustomize writes them."""
    return _rendered(built("kustomize"), overlay)


@cache
def _rendered(kustomize: str, overlay: str) -> list[dict[str, Any]]:
    done = subprocess.run(
        [kustomize, "build", str(ROOT / "k8s" / "overlays" / overlay)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert not done.stderr, done.stderr  # a deprecated field is told there
    return list(yaml.load_all(done.stdout, Loader=yaml.CSafeLoader))


def composed(path: Path, environment: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """What compose-go makes of a file."""
    return subprocess.run(
        [built("compose-check"), str(path)],
        capture_output=True,
        text=True,
        check=False,
        env={"PATH": os.environ["PATH"], "TOWN_SECRETS": "/secrets", **(environment or {})},
    )


def compose_services() -> dict[str, Any]:
    """The services of the compose file, resolved."""
    done = composed(ROOT / "deploy" / "compose" / "compose.yaml")
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)["services"]
    return found
