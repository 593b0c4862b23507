"""The invented model of `windows`: its configuration and what it was trained on."""

from __future__ import annotations

from typing import Any

import pytest
import windows

from gitloop.monitoring.references import Reference
from gitloop.settings import Settings


@pytest.fixture(scope="session")
def loaded(stock: dict[str, Any]) -> Settings:
    found = windows.settings(stock)
    return found.model_copy(update={"evaluation": found.evaluation.model_copy(update={"bootstrap": 60})})


@pytest.fixture(scope="session")
def reference() -> Reference:
    return windows.reference()
