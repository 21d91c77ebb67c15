"""The REST API and the web app's files, over HTTP.

Belongs here: routes, their JSON, errors as RFC 9457 problems, authentication, HTTP itself.
Does not: what the routes ask for. Other services are reached through the Protocols in `ports`; app wires them.
"""
