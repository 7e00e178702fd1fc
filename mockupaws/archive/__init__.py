"""The tiers: partitions made and forgotten in time, names of archive objects, and the way back by replay.

Reads `ingest.requests` (replay), writes Postgres partitions (lifecycle) and `ingest.requests` again. Promises that a
replay publishes the same requests with the same ids, so that the sinks recognise them.
"""
