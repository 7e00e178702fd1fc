"""A real PgBouncer in transaction mode before the test's database: few server connections for many clients."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from mockupaws.runtime.embedded.run_as import arguments_of, choose_identity
from tests.running_stack import free_ports

BACKENDS = 5
"""Server connections, shared by all clients."""
START_SECONDS = 60.0
STOP_SECONDS = 60.0
_CONFIGURATION = """
[databases]
{database} = host={host} port={port} dbname={database}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {listen_port}
unix_socket_dir =
auth_type = scram-sha-256
auth_file = {folder}/users.txt
pool_mode = transaction
default_pool_size = {backends}
max_client_conn = 1000
query_wait_timeout = 60
"""


def find_pgbouncer() -> Path:
    """Skips the test where there is none; `.ci/run` installs it where it may, and says so where it can't."""
    found = shutil.which("pgbouncer", path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/usr/local/sbin")
    if found is None:
        pytest.skip("needs PgBouncer, which isn't here: `apt-get install pgbouncer`")
    return Path(found)


@contextmanager
def pgbouncer(database_url: str, folder: Path) -> Iterator[str]:
    """The URL that leads to the database through a pooler of BACKENDS server connections."""
    program = find_pgbouncer()
    parts = urlsplit(database_url)
    [port] = free_ports(1)
    database = parts.path.removeprefix("/")
    folder.mkdir()
    (folder / "users.txt").write_text(f'"{parts.username}" "{parts.password}"\n')
    configuration = folder / "pgbouncer.ini"
    configuration.write_text(
        _CONFIGURATION.format(
            database=database,
            host=parts.hostname,
            port=parts.port,
            listen_port=port,
            folder=folder,
            backends=BACKENDS,
        )
    )
    identity = choose_identity([folder, program])
    if identity is not None:
        for path in (folder, *folder.iterdir()):
            os.chown(path, *identity.owner)
    with (folder / "pgbouncer.log").open("ab") as log:
        process = subprocess.Popen([str(program), str(configuration)], stdout=log, stderr=log, **arguments_of(identity))
    try:
        _until_it_listens(port, process, folder)
        yield f"postgresql://{parts.username}:{parts.password}@127.0.0.1:{port}/{database}"
    finally:
        process.terminate()
        process.wait(STOP_SECONDS)


def _until_it_listens(port: int, process: subprocess.Popen[bytes], folder: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            log = (folder / "pgbouncer.log").read_text()[-1000:]
            assert process.poll() is None, f"PgBouncer ended:\n{log}"
            assert time.monotonic() < deadline, f"PgBouncer doesn't listen:\n{log}"
            time.sleep(0.02)
