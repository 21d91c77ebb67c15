"""The registry: which cameras exist, kept in the database with their credentials encrypted.

Belongs here: the database and its migrations, secrets at rest, the configuration file's claim on cameras.
Does not: live state (vms.ingest), recordings and their catalog (vms.storage), HTTP (vms.api).
"""
