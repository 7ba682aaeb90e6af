"""Backups: all rows of one moment in one file, and the way back.

Not pg_dump: its version must fit the server's and it is not on every host. COPY is the same for
every PostgreSQL, and the schema is in the migrations.
"""
