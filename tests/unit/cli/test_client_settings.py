from __future__ import annotations

import pytest

from mockupaws.cli.client_settings import ClientSettings
from mockupaws.runtime.errors import SettingsError

DEMO = """# demo tenant
MOCKUPAWS_INGEST_URL=http://127.0.0.1:8000/
export MOCKUPAWS_API_URL="http://127.0.0.1:8001"
MOCKUPAWS_API_KEY=mk_a_b
MOCKUPAWS_SCENARIO_ID='demo'
"""


def test_flags_go_before_the_environment_and_that_before_the_demo_file() -> None:
    environ = {"MOCKUPAWS_API_KEY": "mk_environ", "MOCKUPAWS_SCENARIO_ID": "environ"}
    settings = ClientSettings.resolve({"scenario_id": "flag", "api_key": None}, environ, DEMO)
    assert settings == ClientSettings(
        ingest_url="http://127.0.0.1:8000", api_url="http://127.0.0.1:8001", api_key="mk_environ", scenario_id="flag"
    )


def test_what_is_missing_is_named() -> None:
    with pytest.raises(SettingsError, match="MOCKUPAWS_INGEST_URL is not set"):
        ClientSettings.resolve({}, {}, "")
