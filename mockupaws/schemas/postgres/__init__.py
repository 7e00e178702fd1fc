"""The database's schema, as migrations that only go forward."""
