"""One SQLite file that processes of a machine share: what caches and limits keep on disk."""
