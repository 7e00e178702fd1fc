"""Loaded by schemathesis: each call carries the next of the credentials, so that one run meets every role."""

from __future__ import annotations

import itertools
import json
import os
from typing import Any

import schemathesis

_credentials = itertools.cycle(json.loads(os.environ["FUZZ_CREDENTIALS"]))


@schemathesis.hook
def before_call(context: Any, case: Any, kwargs: dict[str, Any]) -> None:
    case.headers.pop("Authorization", None)
    credential = next(_credentials)
    if credential:
        case.headers["Authorization"] = f"Bearer {credential}"
