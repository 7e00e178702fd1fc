"""Makes or updates a virtual environment so that it holds exactly what a hashed lock file names, and this project.

Usage: python3 scripts/set_up.py VENV LOCK     needs Python's own modules only
"""

import hashlib
import subprocess
import sys
from pathlib import Path

OLDEST = (3, 11)
ROOT = Path(__file__).resolve().parent.parent


def main(venv: Path, lock: Path) -> None:
    if sys.version_info < OLDEST:
        raise SystemExit(
            f"mockupAWS needs Python {OLDEST[0]}.{OLDEST[1]} or newer; {sys.executable} is {sys.version.split()[0]}"
        )
    wanted = hashlib.sha256(lock.read_bytes() + (ROOT / "pyproject.toml").read_bytes()).hexdigest()
    stamp = venv / f"{lock.name}.installed"
    if stamp.exists() and stamp.read_text() == wanted:
        return
    python = venv / "bin" / "python"
    if not python.exists():
        make_environment(venv)
    packages = sum(line[:1].isalnum() for line in lock.read_text().splitlines())
    say(f"set-up: installing the {packages} packages of {lock.name} (once; a minute or two)")
    install(python, ["--require-hashes", "--requirement", str(lock)])
    install(python, ["--no-deps", "--no-build-isolation", "--editable", str(ROOT)])
    stamp.write_text(wanted)
    say("set-up: done")


def make_environment(venv: Path) -> None:
    say(f"set-up: making {venv} with Python {sys.version.split()[0]}")
    made = subprocess.run(
        [sys.executable, "-m", "venv", "--clear", str(venv)], capture_output=True, text=True, check=False
    )
    if made.returncode:
        raise SystemExit(
            f"Python's venv module failed:\n{made.stdout}{made.stderr}\n"
            "On Debian or Ubuntu it is a package of its own: apt-get install python3-venv"
        )


def install(python: Path, arguments: list) -> None:
    """Runs pip; shows a dot a package, and pip's own words only where it failed."""
    command = [str(python), "-m", "pip", "install", "--no-input", "--disable-pip-version-check", *arguments]
    pip = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    said = []
    for line in pip.stdout:
        said.append(line)
        if line.startswith(("Collecting", "Requirement already")):
            print(".", end="", flush=True)
    print(flush=True)
    if pip.wait():
        raise SystemExit(
            "".join(said[-30:]) + "set-up: pip failed, its last words are above. "
            "Without a network, point pip at a mirror (PIP_INDEX_URL) or a folder of wheels (PIP_FIND_LINKS) first."
        )


def say(text: str) -> None:
    print(text, flush=True)


if __name__ == "__main__":
    if len(sys.argv) != 3:
        raise SystemExit(__doc__)
    main(Path(sys.argv[1]), Path(sys.argv[2]))
