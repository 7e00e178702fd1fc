"""The embedded default: real Kafka, Postgres and Valkey without root or Docker, and the supervisor that runs all."""
