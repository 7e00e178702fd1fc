"""Publishes a range of accepted requests again.

Reads from `ingest.requests`, writes to `ingest.requests`. Promises: the requests keep their ids, so whatever is stored
stays as it is and only what is missing is added; nothing published by this run is read by it.
"""
