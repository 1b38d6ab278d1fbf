"""Database servers that are nodes of a cluster: Galera, and MySQL's Group Replication."""
