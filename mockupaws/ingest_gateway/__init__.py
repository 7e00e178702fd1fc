"""Step 1: HTTP in, Kafka out.

Reads from: producers' HTTP requests. Writes to: topic `ingest.requests`.
Promises: a 202 means that each accepted entry is on the brokers' disks; whatever is not accepted is named in the
answer; no request waits longer than the publish deadline; no payload, key or token reaches a log or a metric.
"""
