"""The read and management API: reads Postgres (replicas first) and Redis hints, writes scenarios and API keys.

Promises: a tenant sees its own rows only (row-level security in every transaction, another's scenario is unknown);
every answer is bounded in rows and time; while the primary is down reads go on from a replica, marked stale.
"""
