"""Writes mockupaws/runtime/embedded/kafka_jars.lock: `python scripts/lock_kafka_jars.py [kafka version]`.

Resolves the broker's jars as Maven does, leaves out what a broker of ours never loads, downloads the rest and notes
size and SHA-256. After it, run `make test`: a jar that was left out wrongly shows there.
"""

from __future__ import annotations

import hashlib
import sys
import tempfile
from pathlib import Path

from jgo.maven import MavenContext

LOGGING = "org.apache.logging.log4j:log4j-slf4j-impl"
"""Not a dependency of the jars: Kafka's own archive adds it, so that log lines reach log4j at all."""
LEFT_OUT = {
    "scala-reflect": "macros, at compile time only",
    "snappy-java": "our producers compress with zstd",
    "commons-beanutils": "parts of commons-validator that check forms",
    "commons-collections": "parts of commons-validator that check forms",
    "commons-digester": "parts of commons-validator that check forms",
    "commons-logging": "parts of commons-validator that check forms",
    "jackson-dataformat-csv": "command line tools",
    "jose4j": "OAuth sign-in",
}


def main(version: str) -> None:
    with tempfile.TemporaryDirectory() as cache:
        context = MavenContext(repo_cache=Path(cache), timeout=60)
        kafka = context.create_dependency(f"org.apache.kafka:kafka_2.13:{version}")
        _, found = context.resolver.get_dependency_list([kafka])
        dependencies = [node.dep for node in found]
        log4j = next(d.version for d in dependencies if d.artifactId == "log4j-core")
        wanted = [kafka, context.create_dependency(f"{LOGGING}:{log4j}"), *dependencies]
        lines = sorted(_line(d.artifact) for d in wanted if d.artifactId not in LEFT_OUT)
    target = Path(__file__).parents[1] / "mockupaws" / "runtime" / "embedded" / "kafka_jars.lock"
    target.write_text(f"# group:artifact:version bytes sha256; made by {Path(__file__).name}\n" + "".join(lines))


def _line(artifact: object) -> str:
    content = Path(artifact.resolve()).read_bytes()  # type: ignore[attr-defined]
    digest = hashlib.sha256(content).hexdigest()
    return f"{artifact.groupId}:{artifact.artifactId}:{artifact.version} {len(content)} {digest}\n"  # type: ignore[attr-defined]


if __name__ == "__main__":
    main(*sys.argv[1:] or ["4.3.1"])
