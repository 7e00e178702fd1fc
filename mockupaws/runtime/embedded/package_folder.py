"""Finds the programs that wheels carry, without running the wheels' own Python code."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path


def package_folder(name: str) -> Path:
    """The installed package's folder. Raises ModuleNotFoundError."""
    spec = find_spec(name)
    if spec is None or not spec.submodule_search_locations:
        raise ModuleNotFoundError(f"the package {name} is not installed; run make up", name=name)
    return Path(spec.submodule_search_locations[0])
