"""mockupAWS: what a workload would cost on AWS, and what personal data its logs leak, from real log traffic.

The packages follow the data's way; `docs/architecture.md` draws it, and each package's docstring says what it reads,
what it writes and what it promises.
"""

__version__ = "0.1.0"
