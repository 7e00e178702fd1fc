"""Kafka to stores: what the processors found becomes rows and archive objects, each request once per sink.

Reads `logs.analysed` and `ingest.dead_letters`, writes Postgres and the archive. Promises that rows (or the manifest)
and offsets move in one transaction, and that a sink that lost its partition writes nothing.
"""
