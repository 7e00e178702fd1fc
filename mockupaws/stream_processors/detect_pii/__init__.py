"""Finds personal data and secrets in log lines.

Reads from: bytes of lines. Writes to: nothing; answers spans. Promises: a finding passed its exact check, its span is
exact, no two overlap, and the time is linear in the text. `table.py` lists what is found; `scan.py` finds it.
"""
