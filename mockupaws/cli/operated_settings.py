"""Which installation an operator's command acts on: the one the environment names, else the embedded one below home."""

from __future__ import annotations

from collections.abc import Mapping

from mockupaws.runtime.embedded.installation import Installation
from mockupaws.runtime.errors import SettingsError
from mockupaws.runtime.settings import PREFIX, Settings

_OWNER_URL, _AUDIT_KEY = f"{PREFIX}POSTGRES_OWNER_URL", f"{PREFIX}AUDIT_KEY"


def operated_settings(environ: Mapping[str, str]) -> Settings:
    """Raises SettingsError where there is neither, or where what is done could not be written to the audit log."""
    settings = Settings.from_environ(environ)
    if settings.postgres_owner_url:
        if not settings.audit_key:
            raise SettingsError(
                f"{_OWNER_URL} names an installation, whose audit log needs {_AUDIT_KEY}: set it as its processes "
                "have it"
            )
        return settings
    if not Installation.exists(settings):
        raise SettingsError(
            f"nothing was ever started in {settings.home.absolute()}: go where `mockupaws up` was run, or set "
            f"{PREFIX}HOME to its folder; for an installation elsewhere set {_OWNER_URL} and the like as its processes "
            "have them"
        )
    return Installation.open(settings).settings
