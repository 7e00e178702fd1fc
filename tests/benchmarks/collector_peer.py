"""OpenTelemetry's Collector, OTLP over HTTP → Kafka: what the gateway does for a batch, in Go, without keys or checks.

Measured where `otelcol` with the receiver `otlp` and the exporter `kafka` is on the PATH. Its answer follows Kafka's
acknowledgement, as ours does: no batching, no queue.
"""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import httpx

from tests.running_stack import RunningStack, free_ports, wait_until

TOPIC = "collector-logs"
_COMMAND = "otelcol"
_START_SECONDS = 60
_CONFIGURATION = """
receivers:
  otlp:
    protocols:
      http: {{endpoint: "127.0.0.1:{port}"}}
exporters:
  kafka:
    brokers: ["{kafka}"]
    logs: {{topic: "{topic}", encoding: "otlp_json"}}
    producer: {{required_acks: -1, compression: none, linger: 2ms}}
    sending_queue: {{enabled: false}}
service:
  telemetry: {{metrics: {{level: none}}, logs: {{level: warn}}}}
  pipelines:
    logs:
      receivers: [otlp]
      exporters: [kafka]
"""


def collector_is_installed() -> bool:
    return shutil.which(_COMMAND) is not None


@contextlib.contextmanager
def collector_peer(stack: RunningStack) -> Iterator[tuple[str, int]]:
    """Its URL and process id."""
    [port] = free_ports(1)
    url = f"http://127.0.0.1:{port}"
    with tempfile.TemporaryDirectory(prefix="mockupaws-collector-") as folder:
        configuration = Path(folder, "otelcol.yaml")
        configuration.write_text(
            _CONFIGURATION.format(port=port, topic=TOPIC, kafka=stack.settings.kafka_bootstrap_servers)
        )
        process = subprocess.Popen([_COMMAND, "--config", str(configuration)])

        def answers() -> bool:
            with contextlib.suppress(httpx.TransportError):
                return httpx.get(url, trust_env=False).status_code > 0
            return False

        try:
            wait_until(answers, "the collector answers", _START_SECONDS)
            yield url, process.pid
        finally:
            process.terminate()
            process.wait(20)
