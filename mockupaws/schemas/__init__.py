"""The contracts between processes: records, topics, tables, identifiers. No I/O, no framework.

Whoever writes a record and whoever reads it import the same definition from here; `examples/` keeps one golden
record per schema version, and every reader is tested against all of them.
"""
