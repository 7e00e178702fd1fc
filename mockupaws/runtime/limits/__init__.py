"""Rate limits and quotas, counted for all processes together in Redis, and by each alone while Redis is down.

Reads from / writes to Redis (counters) and Postgres (tiers, overrides, tokens of the day). Gateway and API use it.
Promises: what is admitted stays within the limit; a check takes at most one round trip, and none while a slice of the
allowance, leased for 100 ms, lasts; Redis that is down or hung costs no request more than its timeout, and none of them
its answer.
"""
